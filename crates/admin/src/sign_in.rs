//! Sign-in of people: by OpenID Connect (authorization code flow with PKCE), or by a reverse proxy that has done it.
//!
//! 1. `GET /sign-in` remembers a state, gives the browser a cookie for it, and sends it to the provider.
//! 2. The provider sends it back to `GET /sign-in/callback` with a code. The state must be known, unused, and of this
//!    browser; the code is exchanged for an ID token, which must be the provider's, for us, and of this sign-in.
//! 3. Claims give a role. Then there is a session like one that a token opens, with the person's name.
//!
//! Every failure is a page in words; what is wrong in detail is in the log. All links are relative, so a proxy may serve all of
//! it beneath a path, if `redirect_url` says so.
//!
//! What belongs here: the two routes. The rules are in the cores: `flow`, `identity`, `discovery`, and `claims` beside this
//! file; [`provider`] asks the provider.

mod discovery;
#[cfg(test)]
mod fake;
mod flow;
mod identity;
#[cfg(test)]
mod identity_tests;
mod pages;
mod provider;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{HOST, LOCATION, SET_COOKIE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::Url;

use self::discovery::CodeExchange;
use self::flow::{AuthorizationRequest, Flows, LIFE, PendingSignIn, StateFault, authorization_url};
use self::pages::{Language, NoSignIn, Root};
use self::provider::{Provider, ProviderFault, error_word};
use super::access::{Caller, Proof, Role};
use super::claims::ClaimRules;
use super::cookie::{self, SIGN_IN_NAME, session_cookie, sign_in_cookie};
use super::person::Person;
use super::remote::RemoteUsers;
use super::sessions::Maker;
use super::{AdminContext, Shared};
use amphi_config::Config;
use amphi_control::audit::Action;
use amphi_http::Peer;
use amphi_media::Lock;

/// Where a sign-in begins.
const BEGIN: &str = "/sign-in";
/// Where the provider sends browsers back to.
const CALLBACK: &str = "/sign-in/callback";
/// Sign-ins that may be asking the provider at the same time.
const AT_ONCE: usize = 16;
/// The longest parameter of a callback.
const PARAMETER_BYTES: usize = 4096;
/// How long signing out waits for the provider's document.
const SIGN_OUT: Duration = Duration::from_secs(2);

/// How people are known, beside the tokens.
#[derive(Default)]
pub struct People {
    openid: Option<OpenId>,
    pub(super) remote: Option<RemoteUsers>,
    /// Whom to ask for access; may be empty.
    pub(super) contact: String,
    /// Authorities under which this port is reached over https.
    https: Vec<Authority>,
}

struct OpenId {
    provider: Provider,
    rules: ClaimRules,
    flows: Lock<Flows>,
    asking: Semaphore,
}

impl People {
    /// From the configuration; fails if the provider's `ca_file` cannot be read.
    pub fn new(config: &Config) -> std::io::Result<Self> {
        let oidc = &config.admin.oidc;
        let openid = |oidc: &amphi_config::OpenIdConnect| {
            std::io::Result::Ok(OpenId {
                rules: ClaimRules::new(&oidc.operator, &oidc.viewer, &oidc.name_claim),
                provider: Provider::new(oidc.clone())?,
                flows: Lock::default(),
                asking: Semaphore::new(AT_ONCE),
            })
        };
        let urls = [&config.pages.public_url, &oidc.redirect_url].map(|url| url.parse::<Uri>().ok());
        let https = urls.into_iter().flatten().filter(|url| url.scheme_str() == Some("https"));
        Ok(Self {
            openid: Some(oidc).filter(|it| !it.issuer.is_empty()).map(openid).transpose()?,
            remote: RemoteUsers::new(config),
            contact: config.admin.contact.clone(),
            https: https.filter_map(|url| url.authority().cloned()).collect(),
        })
    }

    /// Whether people can sign in at all.
    pub(super) fn can_sign_in(&self) -> bool {
        self.openid.is_some() || self.remote.is_some()
    }

    /// Whether the browser speaks https with this port or with a proxy in front of it.
    pub(super) fn is_secure(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let forwarded = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        forwarded || host(uri, headers).is_some_and(|host| self.https.contains(&host))
    }

    /// Where the provider's session ends; `None` if there is no such place, or the provider does not answer soon.
    pub(super) async fn sign_out_url(&self, uri: &Uri, headers: &HeaderMap) -> Option<Url> {
        let openid = self.openid.as_ref()?;
        let discovery = tokio::time::timeout(SIGN_OUT, openid.provider.discovery()).await.ok()?.ok()?;
        // The one URL of ours that is known there.
        let back = self.redirect_url(openid, uri, headers)?;
        discovery.sign_out_url(&openid.provider.settings.client_id, &back)
    }

    /// The callback's URL as the browser reaches it; `None` without a `Host`.
    fn redirect_url(&self, openid: &OpenId, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let configured = &openid.provider.settings.redirect_url;
        if !configured.is_empty() {
            return Some(configured.clone());
        }
        let host = host(uri, headers).filter(|it| !it.as_str().contains('@'))?;
        let scheme = if self.is_secure(uri, headers) { "https" } else { "http" };
        Some(format!("{scheme}://{host}{CALLBACK}"))
    }
}

fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let named = || headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    uri.authority().cloned().or_else(named)
}

/// The two routes, if there is a provider. They need no credentials.
pub(super) fn router(context: &Arc<AdminContext>) -> Router {
    if context.people.openid.is_none() {
        return Router::new();
    }
    let routes = Router::new().route(BEGIN, get(begin)).route(CALLBACK, get(come_back));
    routes.with_state(Arc::clone(context))
}

/// The query of `/sign-in`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Beginning {
    /// Where in the console to go afterwards.
    to: String,
}

async fn begin(State(state): Shared, request: Request) -> Response {
    let (uri, headers) = (request.uri(), request.headers());
    let language = Language::of(headers);
    let refuse = |notice: NoSignIn<'_>| pages::page(notice, language, Root::Here);
    let Some(openid) = &state.people.openid else { return refuse(NoSignIn::Off) };
    let wanted: Beginning = axum::extract::Query::try_from_uri(uri).map(|it| it.0).unwrap_or_default();
    let Some(redirect_url) = state.people.redirect_url(openid, uri, headers) else {
        return refuse(NoSignIn::Stale);
    };
    let discovery = match openid.discovery().await {
        Ok(discovery) => discovery,
        Err(fault) => return refuse(down(&fault)),
    };
    let mut seed = [[0; 32]; 4];
    if seed.iter_mut().any(|part| getrandom::fill(part).is_err()) {
        tracing::error!("nobody can sign in: the system gives no random bytes");
        return refuse(NoSignIn::Down);
    }
    let begun = openid.flows.lock().begin(seed, redirect_url.clone(), &wanted.to, state.clock.now());
    let settings = &openid.provider.settings;
    let question = AuthorizationRequest {
        client_id: &settings.client_id,
        redirect_url: &redirect_url,
        scopes: &settings.scopes,
    };
    let url = authorization_url(&discovery.authorization, question, &begun);
    let cookie = sign_in_cookie(&begun.cookie, LIFE.as_secs(), state.people.is_secure(uri, headers));
    redirect(url.as_str(), &[cookie])
}

/// The query of the callback (RFC 6749 §4.1.2; `iss` RFC 9207).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Return {
    state: String,
    code: String,
    error: String,
    iss: Option<String>,
}

async fn come_back(State(state): Shared, request: Request) -> Response {
    let (uri, headers) = (request.uri(), request.headers());
    let language = Language::of(headers);
    let is_secure = state.people.is_secure(uri, headers);
    let gone = sign_in_cookie("", 0, is_secure);
    // After signing out the provider sends browsers here, too, because it knows no other URL of ours.
    if uri.query().unwrap_or_default().is_empty() {
        return redirect("../", &[gone]);
    }
    let address = request.extensions().get::<Peer>().map(|Peer(address)| address.ip().to_canonical());
    match signed_in(&state, uri, headers).await {
        Ok((role, person, to)) => {
            let now = state.clock.now();
            let opened = state.sessions.open(role, Some(Arc::clone(&person)), Maker::OpenId, now);
            let Ok((value, until)) = opened else {
                tracing::error!("nobody can sign in: the system gives no random bytes");
                return pages::page(NoSignIn::Down, language, Root::Above);
            };
            let proof = Proof::Session;
            let caller = Caller { role, proof, until: Some(until), address, person: Some(person) };
            state.audit.record(caller.does(Action::OpenSession, now).until(Some(until)));
            redirect(&format!("../{to}"), &[session_cookie(&value, is_secure), gone])
        }
        Err(FailedSignIn(notice, person)) => {
            if let Some(person) = person {
                let caller = Caller {
                    role: Role::Viewer,
                    proof: Proof::Session,
                    until: None,
                    address,
                    person: Some(person),
                };
                let entry = caller.does(Action::OpenSession, state.clock.now());
                state.audit.record(entry.result(&Err::<(), _>("no claim gives this person a role")));
            }
            let mut page = pages::page(notice, language, Root::Above);
            append_cookies(&mut page, &[gone]);
            page
        }
    }
}

/// Why nobody has signed in, and who it was, if that is known.
struct FailedSignIn<'a>(NoSignIn<'a>, Option<Arc<Person>>);

async fn signed_in<'a>(
    state: &'a AdminContext,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(Role, Arc<Person>, String), FailedSignIn<'a>> {
    let refused = |notice| FailedSignIn(notice, None);
    let openid = state.people.openid.as_ref().ok_or(refused(NoSignIn::Off))?;
    let back = axum::extract::Query::<Return>::try_from_uri(uri).map_err(|_| refused(NoSignIn::Stale))?.0;
    if [&back.state, &back.code, &back.error].iter().any(|it| it.len() > PARAMETER_BYTES) {
        return Err(refused(NoSignIn::Stale));
    }
    let cookie = cookie::named(headers, SIGN_IN_NAME).unwrap_or_default();
    let taken = openid.flows.lock().take(&back.state, cookie, state.clock.now());
    let pending = taken.map_err(|fault| match fault {
        StateFault::Unknown => refused(NoSignIn::Stale),
        StateFault::OtherBrowser => refused(NoSignIn::OtherBrowser),
    })?;
    if back.iss.is_some_and(|iss| iss != openid.provider.settings.issuer) {
        tracing::warn!("a sign-in is refused: the answer is of another issuer (iss)");
        return Err(refused(NoSignIn::Stale));
    }
    if !back.error.is_empty() || back.code.is_empty() {
        let error = error_word(&back.error);
        tracing::info!(error, "the OpenID provider did not sign somebody in");
        return Err(refused(NoSignIn::Denied));
    }
    let (role, person) =
        openid.identify(&pending, &back.code, state).await.map_err(|fault| refused(down(&fault)))?;
    let Some(person) = person else { return Err(refused(NoSignIn::Down)) };
    match role {
        Some(role) => Ok((role, person, pending.to)),
        None => Err(FailedSignIn(NoSignIn::Stranger(&state.people.contact), Some(person))),
    }
}

impl OpenId {
    async fn discovery(&self) -> Result<Arc<discovery::Discovery>, ProviderFault> {
        let Ok(_place) = self.asking.try_acquire() else { return Err(ProviderFault::Crowded) };
        self.provider.discovery().await
    }

    /// The role and the person of a code.
    async fn identify(
        &self,
        pending: &PendingSignIn,
        code: &str,
        state: &AdminContext,
    ) -> Result<(Option<Role>, Option<Arc<Person>>), ProviderFault> {
        let Ok(_place) = self.asking.try_acquire() else { return Err(ProviderFault::Crowded) };
        let PendingSignIn { redirect_url, verifier, nonce, .. } = pending;
        let exchange = CodeExchange { code, redirect_url, verifier };
        let mut said = self.provider.exchange(exchange, nonce, state.clock.now()).await?;
        if self.rules.misses_some(&said.claims)
            && let Err(fault) = self.provider.more(&mut said).await
        {
            // What the ID token says may be enough.
            if self.rules.role_of(&said.claims).is_none() {
                return Err(fault);
            }
            tracing::warn!(%fault, "the OpenID provider says no more of a person");
        }
        Ok((self.rules.role_of(&said.claims), self.rules.person_of(&said.claims)))
    }
}

/// Logs the fault; the page says only whose it is.
fn down(fault: &ProviderFault) -> NoSignIn<'static> {
    tracing::warn!(%fault, "nobody can sign in: the OpenID provider gives no good answer");
    if matches!(fault, ProviderFault::Crowded) { NoSignIn::Crowded } else { NoSignIn::Down }
}

/// To another page; the address of this one, which has a code, is not told to it.
fn redirect(to: &str, cookies: &[String]) -> Response {
    let Ok(to) = HeaderValue::from_str(to) else {
        return pages::page(NoSignIn::Down, Language::English, Root::Above);
    };
    // 303: whatever the method was, the next is GET (RFC 9110 §15.4.4).
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response();
    pages::guard(&mut response);
    append_cookies(&mut response, cookies);
    response
}

fn append_cookies(response: &mut Response, cookies: &[String]) {
    for cookie in cookies.iter().filter_map(|it| HeaderValue::from_str(it).ok()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}
