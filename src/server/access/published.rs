//! Public keys that somebody publishes as a JSON Web Key Set (RFC 7517), fetched again and again.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use amphi_access::Key;
use amphi_access::key::jwt::PublicKeys;
use amphi_config::AccessKey;
use amphi_media::retry::{BackOff, Urgency};

/// Between two looks at keys that are there.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest set that is read, in bytes.
const BYTES_MAX: usize = 256 << 10;

/// The published keys of one access key.
pub(super) struct PublishedKeys {
    key: Arc<Key>,
    url: String,
    client: reqwest::Client,
}

impl PublishedKeys {
    pub(super) fn new(settings: &AccessKey, key: Arc<Key>) -> Option<Self> {
        match client(settings, PATIENCE) {
            Ok(client) => Some(Self { key, url: settings.jwks_url.clone(), client }),
            Err(why) => {
                tracing::error!(key = settings.name, "its published keys cannot be fetched: {why}");
                None
            }
        }
    }

    /// Fetches them now, and again when it is time. Keys that are there stay while new ones cannot be had.
    pub(super) async fn keep_fresh(&self) {
        let mut backoff = BackOff::default();
        loop {
            match self.fetch().await {
                Ok(keys) => {
                    self.key.as_jwt().map(|jwt| jwt.replace_keys(keys));
                    info!(key = self.key.name(), "the published keys of an access key have been fetched");
                    backoff = BackOff::default();
                    tokio::time::sleep(FRESH).await;
                }
                Err(why) => {
                    warn!(
                        key = self.key.name(),
                        "the published keys of an access key cannot be fetched: {why}"
                    );
                    tokio::time::sleep(backoff.delay(Urgency::Soon, fastrand::f64())).await;
                }
            }
        }
    }

    async fn fetch(&self) -> Result<PublicKeys, String> {
        let get = self.client.get(&self.url).send();
        let mut answer =
            get.await.and_then(reqwest::Response::error_for_status).map_err(|it| it.to_string())?;
        let mut bytes = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(|error| error.to_string())? {
            bytes.extend_from_slice(&more);
            if bytes.len() > BYTES_MAX {
                return Err(format!("longer than {BYTES_MAX} bytes"));
            }
        }
        let text = String::from_utf8(bytes).map_err(|_| "not UTF-8")?;
        PublicKeys::from_jwks(&text).map_err(|fault| fault.to_string())
    }
}

/// A client for a key's server. It follows no redirect: whoever can redirect could decide.
pub(super) fn client(key: &AccessKey, timeout: Duration) -> Result<reqwest::Client, String> {
    let mut builder =
        reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none()).no_proxy();
    if !key.ca_file.as_os_str().is_empty() {
        let pem =
            std::fs::read(&key.ca_file).map_err(|error| format!("{}: {error}", key.ca_file.display()))?;
        for authority in reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())? {
            builder = builder.add_root_certificate(authority);
        }
    }
    builder.build().map_err(|error| error.to_string())
}
