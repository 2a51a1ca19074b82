//! The provider, asked over HTTPS: its document and keys, tokens for codes, and who somebody is.
//!
//! Nothing is fetched before somebody signs in. The document and the keys are kept for an hour, and good ones beyond that
//! while the provider is down; a failure is kept for some seconds, so that a crowd at the button does not become one at the
//! provider. Answers are bounded in size and time, redirects are not followed. No error has a URL's query, a code or a token.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::discovery::{ClientIdentity, CodeExchange, Discovery, document_url};
use super::identity::{Expected, TokenFault, verify};
use amphi_access::key::jwt::{KeySetFault, PublicKeys};
use amphi_config::OpenIdConnect;
use amphi_media::MediaTime;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const ANSWER_BYTES: usize = 512 * 1024;
/// How long the document and the keys are believed.
const FRESH: Duration = Duration::from_secs(3600);
/// How long a failure is kept.
const FAILED: Duration = Duration::from_secs(5);
/// How often at most the keys are fetched because a token names another one.
const NEW_KEYS: Duration = Duration::from_secs(30);

/// Why the provider gives no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProviderFault {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("its answer did not come within {} s", TIMEOUT.as_secs())]
    Late,
    #[error("it answered {0}")]
    Status(u16),
    #[error("its answer is longer than {ANSWER_BYTES} bytes")]
    TooLong,
    #[error("its document cannot be used: {0}")]
    Document(String),
    #[error("what it publishes as its keys cannot be used: {0}")]
    Keys(#[from] KeySetFault),
    #[error("its answer to the code has no ID token")]
    NoToken,
    #[error("it refused the code ({0}): are client_id, client_secret and redirect_url as registered there?")]
    Refused(String),
    #[error("its ID token is refused: {0}")]
    Token(#[from] TokenFault),
    #[error("{} sign-ins are asking it already", super::AT_ONCE)]
    Crowded,
    #[error("what it says of the person is no JSON object, or is of another person")]
    UserInfo,
}

/// What is kept of one kind.
#[derive(Debug)]
struct KeptAnswer<T> {
    value: Option<(Instant, Arc<T>)>,
    failed: Option<(Instant, ProviderFault)>,
}

impl<T> Default for KeptAnswer<T> {
    fn default() -> Self {
        Self { value: None, failed: None }
    }
}

impl<T> KeptAnswer<T> {
    /// The value, fetched if it is not younger than `age`.
    async fn get(
        &mut self,
        age: Duration,
        fetch: impl Future<Output = Result<T, ProviderFault>>,
    ) -> Result<Arc<T>, ProviderFault> {
        let now = Instant::now();
        let old = self.value.as_ref().map(|(_, value)| Arc::clone(value));
        if let Some((at, value)) = &self.value
            && now.duration_since(*at) < age
        {
            return Ok(Arc::clone(value));
        }
        if let Some((at, fault)) = &self.failed
            && now.duration_since(*at) < FAILED
        {
            return old.ok_or_else(|| fault.clone());
        }
        match fetch.await {
            Ok(value) => {
                let value = Arc::new(value);
                (self.value, self.failed) = (Some((Instant::now(), Arc::clone(&value))), None);
                Ok(value)
            }
            Err(fault) => {
                self.failed = Some((Instant::now(), fault.clone()));
                if old.is_some() {
                    tracing::warn!(%fault, "the OpenID provider does not answer: what it said before is used");
                }
                old.ok_or(fault)
            }
        }
    }
}

/// The answer of the token endpoint (RFC 6749 §5.1), as far as it is read.
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
    access_token: Option<String>,
}

/// What a provider says of a person.
pub(super) struct PersonSaid {
    pub(super) claims: Map<String, Value>,
    /// For [`Provider::more`].
    access_token: Option<String>,
}

/// One provider, and how this server is known there.
pub(super) struct Provider {
    pub(super) settings: OpenIdConnect,
    client: Client,
    document: Mutex<KeptAnswer<Discovery>>,
    keys: Mutex<KeptAnswer<PublicKeys>>,
}

impl Provider {
    /// Fails if `ca_file` cannot be read.
    pub(super) fn new(settings: OpenIdConnect) -> std::io::Result<Self> {
        let pem = (!settings.ca_file.as_os_str().is_empty())
            .then(|| std::fs::read(&settings.ca_file))
            .transpose()?;
        let trust = amphi_tls::client_config(pem.as_deref()).map_err(std::io::Error::other)?;
        let builder = Client::builder()
            .use_preconfigured_tls((*trust).clone())
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT / 2)
            // People sign in rarely: a connection that the provider has closed meanwhile would be a failure.
            .pool_max_idle_per_host(0);
        let client = builder.build().map_err(std::io::Error::other)?;
        Ok(Self { settings, client, document: Mutex::default(), keys: Mutex::default() })
    }

    /// Its document.
    pub(super) async fn discovery(&self) -> Result<Arc<Discovery>, ProviderFault> {
        let issuer = &self.settings.issuer;
        let fetch = async {
            let bytes = self.read(self.client.get(document_url(issuer))).await?;
            Discovery::read(&bytes, issuer).map_err(ProviderFault::Document)
        };
        self.document.lock().await.get(FRESH, fetch).await
    }

    /// Its keys, not older than `age`.
    async fn keys(&self, url: &Url, age: Duration) -> Result<Arc<PublicKeys>, ProviderFault> {
        let fetch = async {
            let bytes = self.read(self.client.get(url.clone())).await?;
            let text = core::str::from_utf8(&bytes).map_err(|_| KeySetFault::Json)?;
            Ok(PublicKeys::from_jwks(text)?)
        };
        self.keys.lock().await.get(age, fetch).await
    }

    /// Who has signed in: exchanges the code, and verifies the ID token.
    pub(super) async fn exchange(
        &self,
        exchange: CodeExchange<'_>,
        nonce: &str,
        now: MediaTime,
    ) -> Result<PersonSaid, ProviderFault> {
        let OpenIdConnect { client_id, client_secret, issuer, .. } = &self.settings;
        let discovery = self.discovery().await?;
        let (body, field) =
            discovery.exchange(ClientIdentity { id: client_id, secret: client_secret.reveal() }, exchange);
        let mut request = self.client.post(discovery.token.clone()).body(body);
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(field) = field {
            request = request.header(AUTHORIZATION, field);
        }
        let bytes = self.read(request).await?;
        let answer: TokenAnswer = serde_json::from_slice(&bytes).map_err(|_| ProviderFault::NoToken)?;
        let token = answer.id_token.ok_or(ProviderFault::NoToken)?;
        let expected = Expected { issuer, client_id, nonce, now };
        let keys = self.keys(&discovery.keys, FRESH).await?;
        let claims = match verify(&token, &keys, expected) {
            // It may have changed its keys since.
            Err(TokenFault::UnknownKey | TokenFault::Signature) => {
                let keys = self.keys(&discovery.keys, NEW_KEYS).await?;
                verify(&token, &keys, expected)?
            }
            claims => claims?,
        };
        Ok(PersonSaid { claims, access_token: answer.access_token })
    }

    /// What the provider says besides (OpenID Connect Core 1.0 §5.3): added to the claims, of which none is replaced. Signed
    /// answers (`application/jwt`) are not read.
    pub(super) async fn more(&self, said: &mut PersonSaid) -> Result<(), ProviderFault> {
        let discovery = self.discovery().await?;
        let (Some(url), Some(token)) = (&discovery.userinfo, &said.access_token) else { return Ok(()) };
        let bytes = self.read(self.client.get(url.clone()).bearer_auth(token)).await?;
        let more: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| ProviderFault::UserInfo)?;
        // §5.3.2: it must be the same person.
        if more.get("sub").is_none_or(|sub| Some(sub) != said.claims.get("sub")) {
            return Err(ProviderFault::UserInfo);
        }
        for (name, value) in more {
            said.claims.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// The body of a good answer.
    async fn read(&self, request: RequestBuilder) -> Result<Vec<u8>, ProviderFault> {
        let mut response = request.header(ACCEPT, "application/json").send().await.map_err(unanswered)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err(ProviderFault::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        // RFC 6749 §5.2.
        let refusal = serde_json::from_slice::<Value>(&body).ok();
        let word = refusal.as_ref().and_then(|it| it.get("error")?.as_str()).map(error_word);
        match word {
            Some(word) if matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) => {
                Err(ProviderFault::Refused(word))
            }
            _ => Err(ProviderFault::Status(status.as_u16())),
        }
    }
}

/// An error code of OAuth (RFC 6749 §4.1.2.1), bounded.
pub(super) fn error_word(text: &str) -> String {
    text.chars().filter(|it| it.is_ascii_alphanumeric() || "_-.".contains(*it)).take(60).collect()
}

/// The last cause of an error, without the URL.
fn unanswered(error: reqwest::Error) -> ProviderFault {
    if error.is_timeout() {
        return ProviderFault::Late;
    }
    let error = error.without_url();
    let mut last: &dyn std::error::Error = &error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    ProviderFault::Unreachable(last.to_string())
}
