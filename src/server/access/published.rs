//! Public keys that somebody publishes as a JSON Web Key Set (RFC 7517), fetched again and again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use amphi_access::key::jwt::PublicKeys;
use amphi_access::{Credentials, Key, KeyCheck, Refusal, Subject};
use amphi_config::AccessKey;
use amphi_media::retry::{BackOff, Urgency};

/// Between two looks at keys that are there.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// The same where a token names a key that is not among them.
const MISSED: Duration = Duration::from_secs(30);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest set that is read, in bytes.
const BYTES_MAX: usize = 256 << 10;

/// The published keys of one access key.
pub(super) struct PublishedKeys {
    key: Key,
    url: String,
    client: reqwest::Client,
    /// Somebody has shown a token of a key that is not known.
    missed: Notify,
    /// When they were fetched last.
    fetched: Mutex<Option<Instant>>,
}

impl PublishedKeys {
    pub(super) fn new(settings: &AccessKey, key: Key) -> Result<Self, String> {
        let client = client(settings, PATIENCE)?;
        let (missed, fetched) = (Notify::new(), Mutex::new(None));
        Ok(Self { key, url: settings.jwks_url.clone(), client, missed, fetched })
    }

    /// The name of the access key.
    pub(super) fn name(&self) -> &str {
        self.key.name()
    }

    /// Waits until it is time to fetch them: at once if there are none, else after a while, or soon if one was missed.
    async fn due(&self) {
        let fetched = *self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fetched) = fetched else { return };
        tokio::select! {
            () = tokio::time::sleep_until(fetched + FRESH) => {}
            () = async {
                self.missed.notified().await;
                tokio::time::sleep_until(fetched + MISSED).await;
            } => {}
        }
    }

    /// Fetches them whenever it is time. Keys that are there stay while new ones cannot be had. May be dropped and called again.
    pub(super) async fn keep_fresh(&self) {
        let mut backoff = BackOff::default();
        loop {
            self.due().await;
            match self.fetch().await {
                Ok(keys) => {
                    self.key.as_jwt().map(|jwt| jwt.replace_keys(keys));
                    info!(key = self.key.name(), "the published keys of an access key have been fetched");
                    backoff = BackOff::default();
                    *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
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
        let mut answer = get
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(|it| it.without_url().to_string())?;
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

/// Published keys as a key of the table.
pub(super) struct PublishedKey(pub(super) Arc<PublishedKeys>);

impl KeyCheck for PublishedKey {
    fn check(&self, subject: Subject<'_>, shown: &Credentials<'_>, now: Timestamp) -> Result<(), Refusal> {
        let checked = self.0.key.check(subject, shown, now).map(drop);
        if checked == Err(Refusal::UnknownKey) {
            self.0.missed.notify_one();
        }
        checked
    }
}

/// A client for a key's server. It follows no redirect: whoever can redirect could decide.
pub(super) fn client(key: &AccessKey, timeout: Duration) -> Result<reqwest::Client, String> {
    let pem = (!key.ca_file.as_os_str().is_empty()).then(|| std::fs::read(&key.ca_file)).transpose();
    let pem = pem.map_err(|error| format!("{}: {error}", key.ca_file.display()))?;
    let trust = amphi_tls::client_config(pem.as_deref()).map_err(|error| error.to_string())?;
    let builder =
        reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none()).no_proxy();
    let builder = builder.use_preconfigured_tls((*trust).clone());
    builder.build().map_err(|error| error.to_string())
}
