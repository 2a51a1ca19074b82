//! Sign-ins that have begun: what must come back from the provider, by which browser, and until when. Sans-IO; time and
//! chance are arguments.
//!
//! Contract: [`Flows::begin`] gives what goes to the browser: the URL's `state`, `nonce` and `code_challenge` (RFC 7636),
//! and a cookie that binds the state to this browser (RFC 6749 §10.12). [`Flows::take`] gives the sign-in back once, to the
//! same browser, within [`LIFE`]. Only hashes of states and cookies are kept. [`MOST`] may have begun; one more drops the
//! oldest.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use amphi_media::MediaTime;

/// How long a person may take to sign in at the provider.
pub(super) const LIFE: Duration = Duration::from_secs(600);
/// Sign-ins that may have begun.
const MOST: usize = 1024;
/// The longest path to which a browser returns.
const PATH_CHARS: usize = 200;

/// Random bytes for one sign-in: state, cookie, nonce, verifier.
pub(super) type Seed = [[u8; 32]; 4];

/// What goes to the browser.
#[derive(Debug)]
pub(super) struct BegunSignIn {
    pub(super) state: String,
    pub(super) cookie: String,
    pub(super) nonce: String,
    /// `code_challenge` of the method S256 (RFC 7636 §4.2).
    pub(super) challenge: String,
}

/// What is kept until the browser comes back.
#[derive(Debug)]
pub(super) struct PendingSignIn {
    cookie: [u8; 32],
    pub(super) nonce: String,
    /// `code_verifier` (RFC 7636 §4.1).
    pub(super) verifier: String,
    pub(super) redirect_url: String,
    /// Where in the console the browser goes then, relative to its root.
    pub(super) to: String,
    begun: MediaTime,
}

/// Why a state is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateFault {
    /// It was never given out, or used, or is too old.
    Unknown,
    /// Another browser has begun.
    OtherBrowser,
}

/// All sign-ins that have begun.
#[derive(Debug, Default)]
pub(super) struct Flows(HashMap<[u8; 32], PendingSignIn>);

impl Flows {
    pub(super) fn begin(
        &mut self,
        seed: Seed,
        redirect_url: String,
        to: &str,
        now: MediaTime,
    ) -> BegunSignIn {
        let [state, cookie, nonce, verifier] = seed.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        self.0.retain(|_, it| it.is_good(now));
        while self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, it)| it.begun).map(|(key, _)| *key);
            let Some(oldest) = oldest else { break };
            self.0.remove(&oldest);
        }
        let challenge = URL_SAFE_NO_PAD.encode(hash(&verifier));
        let to = return_path(to).to_owned();
        let pending = PendingSignIn {
            cookie: hash(&cookie),
            nonce: nonce.clone(),
            verifier,
            redirect_url,
            to,
            begun: now,
        };
        self.0.insert(hash(&state), pending);
        BegunSignIn { state, cookie, nonce, challenge }
    }

    /// The sign-in of this state, once.
    pub(super) fn take(
        &mut self,
        state: &str,
        cookie: &str,
        now: MediaTime,
    ) -> Result<PendingSignIn, StateFault> {
        let pending = self.0.remove(&hash(state)).filter(|it| it.is_good(now)).ok_or(StateFault::Unknown)?;
        let is_same = bool::from(pending.cookie.ct_eq(&hash(cookie)));
        if is_same { Ok(pending) } else { Err(StateFault::OtherBrowser) }
    }
}

impl PendingSignIn {
    /// After a step of the clock backwards it is too old as well.
    fn is_good(&self, now: MediaTime) -> bool {
        self.begun <= now + Duration::from_secs(5) && now < self.begun + LIFE
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// `text` if it is a path beneath the console's root, else the root: nothing that leads to another host or up.
fn return_path(text: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    let leads_up = text.split('/').any(|step| step.is_empty() || step.starts_with('.'));
    let is_good = text.len() <= PATH_CHARS && text.bytes().all(is_plain) && !leads_up;
    if is_good { text } else { "" }
}

/// What a request to the authorization endpoint says beside the state.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuthorizationRequest<'a> {
    pub(super) client_id: &'a str,
    pub(super) redirect_url: &'a str,
    pub(super) scopes: &'a [String],
}

/// The URL that the browser is sent to (OpenID Connect Core 1.0 §3.1.2.1, RFC 7636 §4.3).
pub(super) fn authorization_url(
    endpoint: &Url,
    question: AuthorizationRequest<'_>,
    begun: &BegunSignIn,
) -> Url {
    let mut url = endpoint.clone();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", question.client_id)
        .append_pair("redirect_uri", question.redirect_url)
        .append_pair("scope", &question.scopes.join(" "))
        .append_pair("state", &begun.state)
        .append_pair("nonce", &begun.nonce)
        .append_pair("code_challenge", &begun.challenge)
        .append_pair("code_challenge_method", "S256");
    url
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    fn begin(flows: &mut Flows, number: u64, now: MediaTime) -> BegunSignIn {
        let seed: Seed = [0, 1, 2, 3].map(|part| hash(&format!("{number} {part}")));
        flows.begin(seed, "https://a.example.org/sign-in/callback".to_owned(), "", now)
    }

    #[test]
    fn a_state_is_good_once_for_one_browser_and_for_ten_minutes() {
        let mut flows = Flows::default();
        let begun = begin(&mut flows, 0, START);
        assert!(flows.take(&begun.state, &begun.cookie, START).is_ok());
        assert_eq!(flows.take(&begun.state, &begun.cookie, START).err(), Some(StateFault::Unknown), "twice");

        let begun = begin(&mut flows, 1, START);
        assert_eq!(flows.take(&begun.state, "", START).err(), Some(StateFault::OtherBrowser));
        assert_eq!(flows.take(&begun.state, &begun.cookie, START).err(), Some(StateFault::Unknown), "spent");

        for (after, good) in
            [(LIFE.as_millis() as i64 - 1, true), (LIFE.as_millis() as i64, false), (-60_000, false)]
        {
            let begun = begin(&mut flows, 2, START);
            let now = START.offset_nanos(after * 1_000_000);
            assert_eq!(flows.take(&begun.state, &begun.cookie, now).is_ok(), good, "{after}");
        }
    }

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_the_standard() {
        let verifier = URL_SAFE_NO_PAD.decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").expect("base64");
        let mut seed: Seed = [[0; 32]; 4];
        seed[3] = verifier.try_into().expect("32 bytes");
        let begun = Flows::default().begin(seed, String::new(), "", START);
        assert_eq!(begun.challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn there_are_never_more_than_the_most_and_the_oldest_go() {
        let mut flows = Flows::default();
        let at = |number: u64| START + Duration::from_millis(number);
        let all: Vec<_> = (0..MOST as u64 + 2).map(|number| begin(&mut flows, number, at(number))).collect();
        assert_eq!(flows.0.len(), MOST);
        let found = |it: &BegunSignIn| flows.0.contains_key(&hash(&it.state));
        assert_eq!(all.iter().position(found), Some(2));
        begin(&mut flows, 9999, at(0) + LIFE * 2);
        assert_eq!(flows.0.len(), 1, "what is over is forgotten");
    }

    #[test]
    fn the_provider_is_asked_as_the_standard_says() {
        let begun = begin(&mut Flows::default(), 0, START);
        let endpoint = Url::parse("https://login.example.org/auth?tenant=a b").expect("a URL");
        let scopes = ["openid".to_owned(), "profile".to_owned()];
        let redirect_url = "https://a.example.org/sign-in/callback";
        let question = AuthorizationRequest { client_id: "a&b=c", redirect_url, scopes: &scopes };
        let url = authorization_url(&endpoint, question, &begun);
        let pairs: HashMap<_, _> = url.query_pairs().into_owned().collect();
        for (key, value) in [
            ("tenant", "a b"),
            ("response_type", "code"),
            ("client_id", "a&b=c"),
            ("redirect_uri", redirect_url),
            ("scope", "openid profile"),
            ("state", &*begun.state),
            ("nonce", &*begun.nonce),
            ("code_challenge", &*begun.challenge),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(pairs.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert!(!url.as_str().contains(&begun.cookie));
    }

    #[test]
    fn a_browser_returns_to_the_console_and_nowhere_else() {
        for good in ["", "console/style.css", "a-b_c.d"] {
            assert_eq!(return_path(good), good);
        }
        for bad in [
            "/",
            "//evil.example",
            "https://evil.example",
            "..",
            "a/../b",
            "a//b",
            "a?b",
            "a#b",
            "\\\\evil",
            "a b",
            "%2e",
        ] {
            assert_eq!(return_path(bad), "", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_return_path_leaves_the_host_or_the_root(text in ".{0,40}|[./\\\\:a-z%]{0,12}") {
            let base = Url::parse("https://a.example.org/video/sign-in/callback").expect("a URL");
            let url = base.join(&format!("../{}", return_path(&text))).expect("a URL");
            prop_assert!(url.as_str().starts_with("https://a.example.org/video/"), "{}", url);
        }

        #[test]
        fn only_the_state_and_the_cookie_that_were_given_open(state in "[A-Za-z0-9_-]{0,50}", cookie in "[A-Za-z0-9_-]{0,50}") {
            let mut flows = Flows::default();
            let begun = begin(&mut flows, 0, START);
            prop_assert!(flows.take(&state, &begun.cookie, START).is_err());
            prop_assert!(flows.take(&begun.state, &cookie, START).is_err());
        }
    }
}
