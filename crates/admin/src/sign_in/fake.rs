//! An OpenID provider for tests, on a port of this machine, that does what it is told: also what none should.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use amphi_http::{Limits, Port, serve_with_peer};
use amphi_media::Lock;

/// A key that signs, and its public half.
pub(in super::super) struct SigningKey {
    pair: SigningPair,
    pub(super) public: Value,
}

enum SigningPair {
    Ecdsa(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl SigningKey {
    pub(in super::super) fn ecdsa(kid: &str) -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).expect("a key");
        let point = pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..65]].map(|it| URL_SAFE_NO_PAD.encode(it));
        let public =
            json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", "x": x, "y": y });
        Self { pair: SigningPair::Ecdsa(pair), public }
    }

    pub(super) fn edwards(kid: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let public = json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x });
        Self { pair: SigningPair::Edwards(pair), public }
    }

    /// `claims`, signed; the header names the key `kid`, if any.
    pub(in super::super) fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let alg = if matches!(self.pair, SigningPair::Ecdsa(_)) { "ES256" } else { "EdDSA" };
        let mut header = json!({ "typ": "JWT", "alg": alg });
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        let [header, claims] = [&header, claims].map(|it| URL_SAFE_NO_PAD.encode(it.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = match &self.pair {
            SigningPair::Ecdsa(pair) => pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("signed"),
            SigningPair::Edwards(pair) => pair.sign(signed.as_bytes()),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What the fake provider says next.
pub(in super::super) struct Script {
    /// Replaces the claims of the next ID token, which are good ones.
    pub(in super::super) claims: Box<dyn Fn(&mut Value) + Send>,
    /// Replaces the ID token.
    pub(in super::super) token: Option<String>,
    pub(in super::super) userinfo: Value,
    pub(in super::super) keys: Value,
    /// The next answers come this late.
    pub(in super::super) delay: Duration,
    /// The next answers are followed by so many blanks.
    pub(in super::super) padding: usize,
    pub(in super::super) status: StatusCode,
    pub(in super::super) issuer: Option<String>,
}

pub(in super::super) struct FakeProvider {
    pub(in super::super) issuer: String,
    pub(in super::super) key: SigningKey,
    pub(in super::super) script: Lock<Script>,
    /// The challenge and nonce of the last authorization, as a browser brought them.
    pub(in super::super) asked: Lock<HashMap<String, String>>,
    /// How often each path was asked for.
    pub(in super::super) count: Lock<HashMap<&'static str, usize>>,
    pub(in super::super) now_s: i64,
}

impl FakeProvider {
    pub(in super::super) async fn start(now_s: i64) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let key = SigningKey::ecdsa("one");
        let script = Script {
            claims: Box::new(|_| {}),
            token: None,
            userinfo: json!({ "sub": "7" }),
            keys: json!({ "keys": [{ "kty": "new" }, key.public] }),
            delay: Duration::ZERO,
            padding: 0,
            status: StatusCode::OK,
            issuer: None,
        };
        let provider = Arc::new(Self {
            issuer: format!("http://{}", listener.local_addr().expect("bound")),
            key,
            script: Lock::new(script),
            asked: Lock::default(),
            count: Lock::default(),
            now_s,
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/me", get(userinfo))
            .with_state(Arc::clone(&provider));
        tokio::spawn(async move {
            let (limits, never) = (Limits::default(), CancellationToken::new());
            serve_with_peer(&mut Port::new(listener), router, limits.places(), limits, None, never).await;
        });
        provider
    }

    /// Good claims for the last authorization.
    pub(in super::super) fn claims(&self) -> Value {
        let nonce = self.asked.lock().get("nonce").cloned();
        json!({
            "iss": self.issuer, "aud": "amphi", "sub": "7", "nonce": nonce, "iat": self.now_s, "exp": self.now_s + 300,
            "name": "Ada Lovelace", "groups": ["video"],
        })
    }

    async fn answer(&self, what: &'static str, body: String) -> Response {
        *self.count.lock().entry(what).or_default() += 1;
        let (delay, padding, status) = {
            let script = self.script.lock();
            (script.delay, script.padding, script.status)
        };
        tokio::time::sleep(delay).await;
        (status, body + &" ".repeat(padding)).into_response()
    }
}

async fn document(State(provider): State<Arc<FakeProvider>>) -> Response {
    let issuer = &provider.issuer;
    let said = provider.script.lock().issuer.clone().unwrap_or_else(|| issuer.clone());
    let document = json!({
        "issuer": said, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"), "userinfo_endpoint": format!("{issuer}/me"),
        "end_session_endpoint": format!("{issuer}/end"),
    });
    provider.answer("document", document.to_string()).await
}

async fn keys(State(provider): State<Arc<FakeProvider>>) -> Response {
    let keys = provider.script.lock().keys.to_string();
    provider.answer("keys", keys).await
}

/// Checks the secret and the verifier as a provider does.
async fn token(State(provider): State<Arc<FakeProvider>>, headers: HeaderMap, body: String) -> Response {
    let form: HashMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("amphi:hunter2"));
    let asked = provider.asked.lock().clone();
    let is_good = asked.get("code_challenge") == Some(&challenge)
        && asked.get("redirect_uri") == form.get("redirect_uri")
        && form["code"] == "the-code"
        && headers.get("authorization").is_some_and(|it| it == &*basic);
    if !is_good {
        *provider.count.lock().entry("refused").or_default() += 1;
        return (StatusCode::BAD_REQUEST, "{\"error\":\"invalid_grant\"}").into_response();
    }
    let mut claims = provider.claims();
    let replaced = {
        let script = provider.script.lock();
        (script.claims)(&mut claims);
        script.token.clone()
    };
    let token = replaced.unwrap_or_else(|| provider.key.sign(Some("one"), &claims));
    provider
        .answer(
            "token",
            json!({ "id_token": token, "access_token": "at", "token_type": "Bearer" }).to_string(),
        )
        .await
}

async fn userinfo(State(provider): State<Arc<FakeProvider>>, headers: HeaderMap) -> Response {
    assert_eq!(headers["authorization"], "Bearer at");
    let userinfo = provider.script.lock().userinfo.to_string();
    provider.answer("userinfo", userinfo).await
}
