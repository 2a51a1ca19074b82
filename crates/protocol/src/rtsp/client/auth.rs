//! Authentication of a client: Basic (RFC 7617) and Digest (RFC 7616, RFC 2617, RFC 2069).
//!
//! Of all challenges the strongest that is supported is answered: Digest with SHA-512-256, SHA-256 or MD5, then Basic;
//! with or without `-sess`, with or without `qop`. The answer repeats `algorithm` if the challenge has it
//! (RFC 7616 §3.4); servers that do not find it assume MD5.
//!
//! A 401 to an answer with a nonce that came in reply to the same request means that the credentials are refused,
//! unless it says `stale`. A 401 to an older nonce means that the nonce has expired, whether it says so or not.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};

use super::message::Headers;
use crate::rtsp::hex::hex;
use amphi_media::auth_params::{AuthParameters, MOST_CHALLENGES, challenges};

/// How many times `stale` is believed for one request.
const MOST_STALE: u32 = 3;

/// A user name and a password. It has no `Debug`, so that no log shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name, in clear text and not percent-encoded.
    pub username: String,
    /// The password, in clear text and not percent-encoded.
    pub password: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DigestAlgorithm {
    Md5,
    Sha256,
    Sha512,
}

impl DigestAlgorithm {
    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => hex(&Sha256::digest(text.as_bytes())),
            Self::Sha512 => hex(&Sha512_256::digest(text.as_bytes())),
        }
    }
}

/// A challenge that is supported.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Digest(DigestChallenge),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DigestChallenge {
    algorithm: DigestAlgorithm,
    session: bool,
    /// `algorithm` as the server wrote it, if it did.
    algorithm_name: Option<String>,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// `auth` or `auth-int`, if the challenge offers one of them in `qop`.
    qop: Option<&'static str>,
    stale: bool,
}

/// What to do after a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AuthVerdict {
    /// Send the request again, with an answer.
    Again,
    /// Give up: there are no credentials.
    Missing,
    /// Give up: the credentials are refused.
    Refused,
    /// Give up: no challenge is supported. The text lists their schemes.
    Unknown(String),
}

/// The latest challenge of a server, and our credentials.
pub(super) struct Authentication {
    credentials: Option<Credentials>,
    challenge: Option<Challenge>,
    /// How many times the nonce was used (`nc`).
    count: u32,
    random: fastrand::Rng,
    /// The current request has been answered with a nonce that came in reply to it.
    fresh: bool,
    stale: u32,
}

impl Authentication {
    pub(super) fn new(credentials: Option<Credentials>, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { credentials, challenge: None, count: 0, random, fresh: false, stale: 0 }
    }

    /// A new request begins, with the challenge kept.
    pub(super) fn begin(&mut self) {
        self.fresh = false;
        self.stale = 0;
    }

    /// Takes in a 401 and decides what to do.
    pub(super) fn challenged(&mut self, headers: &Headers) -> AuthVerdict {
        if self.credentials.is_none() {
            return AuthVerdict::Missing;
        }
        let mut schemes = Vec::new();
        let best = headers
            .all("WWW-Authenticate")
            .flat_map(challenges)
            .take(MOST_CHALLENGES)
            .filter_map(|(scheme, parameters)| {
                let challenge = understand(&scheme, &parameters);
                schemes.push(scheme);
                challenge
            })
            .max_by_key(strength);
        let Some(challenge) = best else {
            // A 401 without a challenge, although the request had an answer.
            if self.challenge.is_some() && schemes.is_empty() {
                return AuthVerdict::Refused;
            }
            let schemes: String =
                schemes.join(", ").chars().filter(char::is_ascii_graphic).take(60).collect();
            return AuthVerdict::Unknown(schemes);
        };
        let stale = matches!(&challenge, Challenge::Digest(digest) if digest.stale);
        if stale {
            self.stale += 1;
        }
        let same = self.challenge.as_ref().is_some_and(|old| match (old, &challenge) {
            (Challenge::Digest(old), Challenge::Digest(new)) => old.nonce == new.nonce,
            (old, new) => old == new,
        });
        if (self.fresh || same) && !(stale && self.stale <= MOST_STALE) {
            return AuthVerdict::Refused;
        }
        self.challenge = Some(challenge);
        self.count = 0;
        self.fresh = true;
        AuthVerdict::Again
    }

    /// Takes over the nonce for the next request, if the server names one (RFC 7616 §3.5).
    pub(super) fn informed(&mut self, headers: &Headers) {
        let Some(Challenge::Digest(digest)) = &mut self.challenge else { return };
        let info = headers.get("Authentication-Info").map(AuthParameters::without_scheme).unwrap_or_default();
        if let Some(next) = info.get("nextnonce").filter(|next| !next.is_empty()) {
            next.clone_into(&mut digest.nonce);
            self.count = 0;
        }
    }

    /// The value of `Authorization` for a request; `None` if there was no challenge yet.
    pub(super) fn answer(&mut self, method: &str, uri: &str) -> Option<String> {
        let credentials = self.credentials.as_ref()?;
        match self.challenge.as_ref()? {
            Challenge::Basic => {
                let pair = format!("{}:{}", credentials.username, credentials.password);
                Some(format!("Basic {}", STANDARD.encode(pair)))
            }
            Challenge::Digest(digest) => {
                self.count += 1;
                let cnonce = format!("{:016x}", self.random.u64(..));
                Some(digest.answer(credentials, method, uri, self.count, &cnonce))
            }
        }
    }
}

impl DigestChallenge {
    fn answer(&self, who: &Credentials, method: &str, uri: &str, count: u32, cnonce: &str) -> String {
        let hash = |text: &str| self.algorithm.hash(text);
        let Self { realm, nonce, .. } = self;
        let mut secret = hash(&format!("{}:{realm}:{}", who.username, who.password));
        if self.session {
            secret = hash(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let request = match self.qop {
            // Our requests have no body.
            Some("auth-int") => hash(&format!("{method}:{uri}:{}", hash(""))),
            _ => hash(&format!("{method}:{uri}")),
        };
        let response = match self.qop {
            Some(qop) => hash(&format!("{secret}:{nonce}:{count:08x}:{cnonce}:{qop}:{request}")),
            None => hash(&format!("{secret}:{nonce}:{request}")),
        };
        let mut out = format!(
            "Digest username={}, realm={}, nonce={}, uri=\"{uri}\", response=\"{response}\"",
            quoted(&who.username),
            quoted(realm),
            quoted(nonce),
        );
        // Writing to a String does not fail.
        if let Some(name) = &self.algorithm_name {
            let _ = write!(out, ", algorithm={name}");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(out, ", opaque={}", quoted(opaque));
        }
        if let Some(qop) = self.qop {
            let _ = write!(out, ", qop={qop}, nc={count:08x}");
        }
        if self.qop.is_some() || self.session {
            let _ = write!(out, ", cnonce=\"{cnonce}\"");
        }
        out
    }
}

fn strength(challenge: &Challenge) -> (bool, Option<DigestAlgorithm>) {
    match challenge {
        Challenge::Basic => (false, None),
        Challenge::Digest(digest) => (true, Some(digest.algorithm)),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

fn understand(scheme: &str, parameters: &AuthParameters) -> Option<Challenge> {
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let algorithm_name = parameters
        .get("algorithm")
        .filter(|name| name.len() <= 16 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let upper = algorithm_name.unwrap_or("MD5").to_ascii_uppercase();
    let (base, session) = upper.strip_suffix("-SESS").map_or((&*upper, false), |base| (base, true));
    let algorithm = match base {
        "MD5" => DigestAlgorithm::Md5,
        "SHA-256" => DigestAlgorithm::Sha256,
        "SHA-512-256" => DigestAlgorithm::Sha512,
        _ => return None,
    };
    let qop = match parameters.get("qop") {
        Some(offered) => {
            let has = |name: &str| offered.split(',').any(|one| one.trim().eq_ignore_ascii_case(name));
            match (has("auth"), has("auth-int")) {
                (true, _) => Some("auth"),
                (false, true) => Some("auth-int"),
                // An empty or unknown `qop` is ignored (RFC 2069).
                (false, false) => None,
            }
        }
        None => None,
    };
    Some(Challenge::Digest(DigestChallenge {
        algorithm,
        session,
        algorithm_name: algorithm_name.map(str::to_owned),
        realm: parameters.get("realm").unwrap_or_default().to_owned(),
        nonce: parameters.get("nonce")?.to_owned(),
        opaque: parameters.get("opaque").map(str::to_owned),
        qop,
        stale: parameters.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use amphi_media::auth_params::credentials;

    use super::super::message::{Messages, ServerMessage};
    use super::*;

    fn headers(lines: &str) -> Headers {
        let mut messages = Messages::default();
        messages.feed().extend_from_slice(format!("RTSP/1.0 401 Unauthorized\r\n{lines}\r\n\r\n").as_bytes());
        match messages.take() {
            Ok(Some(ServerMessage::Response(response))) => response.headers,
            other => panic!("{other:?}"),
        }
    }

    fn mufasa() -> Authentication {
        Authentication::new(
            Some(Credentials { username: "Mufasa".into(), password: "Circle of Life".into() }),
            1,
        )
    }

    fn said(answer: &str, name: &str) -> Option<String> {
        credentials(answer).and_then(|(_, shown)| shown.get(name).map(str::to_owned))
    }

    /// The examples of RFC 7616 §3.9.1.
    #[test]
    fn the_standards_examples_come_out() {
        for (algorithm, response) in [
            (DigestAlgorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (DigestAlgorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let challenge = DigestChallenge {
                algorithm,
                session: false,
                algorithm_name: None,
                realm: "http-auth@example.org".into(),
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".into(),
                opaque: None,
                qop: Some("auth"),
                stale: false,
            };
            let who = Credentials { username: "Mufasa".into(), password: "Circle of Life".into() };
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let answer = challenge.answer(&who, "GET", "/dir/index.html", 1, cnonce);
            assert_eq!(said(&answer, "response").as_deref(), Some(response));
        }
    }

    #[test]
    fn the_strongest_of_all_is_answered_and_its_algorithm_said_again() {
        for (lines, algorithm, qop) in [
            ("WWW-Authenticate: Digest realm=\"a, b\", nonce=\"1\"", None, None),
            (
                "WWW-Authenticate: Basic realm=\"x\", Digest realm=\"x\", nonce=\"1\", algorithm=MD5, Digest \
                 realm=\"x\",nonce=\"2\",algorithm=\"SHA-256\",qop=\"auth-int, auth\"",
                Some("SHA-256"),
                Some("auth"),
            ),
            (
                "WWW-Authenticate: digest realm=\"x\", nonce=\"1\", algorithm=SHA-256-sess\r\n\
                 WWW-Authenticate: Digest nonce=\"1\"\r\nWWW-Authenticate: Negotiate",
                Some("SHA-256-sess"),
                None,
            ),
            (
                "WWW-Authenticate: Digest nonce=\"1\", algorithm=WHIRLPOOL\r\n\
                 WWW-Authenticate: Digest nonce=\"1\", algorithm=md5, qop=\"\"",
                Some("md5"),
                None,
            ),
        ] {
            let mut proof = mufasa();
            assert_eq!(proof.challenged(&headers(lines)), AuthVerdict::Again);
            let answer = proof.answer("DESCRIBE", "rtsp://h/x").unwrap();
            assert_eq!(said(&answer, "algorithm").as_deref(), algorithm, "{answer}");
            assert_eq!(said(&answer, "qop").as_deref(), qop, "{answer}");
        }
        let mut proof = mufasa();
        assert_eq!(proof.challenged(&headers("WWW-Authenticate: Basic realm=\"x\"")), AuthVerdict::Again);
        assert_eq!(proof.answer("GET", "x").as_deref(), Some("Basic TXVmYXNhOkNpcmNsZSBvZiBMaWZl"));
    }

    #[test]
    fn a_nonce_that_is_used_up_is_renewed_and_a_fresh_one_refused_is_a_refusal() {
        let nonce = |n: u32, stale: &str| {
            headers(&format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"{n}\"{stale}"))
        };
        let mut proof = mufasa();
        assert_eq!(proof.challenged(&nonce(1, "")), AuthVerdict::Again);
        assert_eq!(proof.challenged(&nonce(2, "")), AuthVerdict::Refused, "fresh");
        let mut proof = mufasa();
        assert_eq!(proof.challenged(&nonce(1, "")), AuthVerdict::Again);
        proof.begin();
        assert_eq!(proof.challenged(&nonce(2, "")), AuthVerdict::Again, "renewed without a word");
        proof.begin();
        assert_eq!(proof.challenged(&nonce(2, "")), AuthVerdict::Refused, "the same again");
        let mut proof = mufasa();
        let verdicts: Vec<_> = (0..5).map(|n| proof.challenged(&nonce(n, ", stale=TRUE"))).collect();
        assert_eq!(
            verdicts.iter().filter(|verdict| **verdict == AuthVerdict::Again).count(),
            3,
            "for a while"
        );
    }

    #[test]
    fn nonces_are_counted_and_the_next_one_is_taken() {
        let mut proof = mufasa();
        proof.challenged(&headers(
            "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\", qop=auth, opaque=\"o\\\"p\"",
        ));
        let counts: Vec<_> =
            (0..2).map(|_| said(&proof.answer("OPTIONS", "x").unwrap(), "nc").unwrap()).collect();
        assert_eq!(counts, ["00000001", "00000002"]);
        assert_eq!(said(&proof.answer("OPTIONS", "x").unwrap(), "opaque").as_deref(), Some("o\"p"));
        proof.informed(&headers("Authentication-Info: nextnonce=\"9\", qop=auth"));
        let answer = proof.answer("OPTIONS", "x").unwrap();
        assert_eq!(
            (said(&answer, "nonce"), said(&answer, "nc")),
            (Some("9".into()), Some("00000001".into()))
        );
    }

    #[test]
    fn what_cannot_be_answered_is_told() {
        assert_eq!(Authentication::new(None, 1).challenged(&headers("X: y")), AuthVerdict::Missing);
        let verdict = mufasa().challenged(&headers("WWW-Authenticate: Negotiate abc=="));
        assert_eq!(verdict, AuthVerdict::Unknown("Negotiate".into()));
    }

    proptest! {
        #[test]
        fn no_challenge_makes_it_panic(value in "(Digest |Basic )?[a-z=\", \\\\:0-9\u{e4}]{0,80}") {
            let mut proof = mufasa();
            if proof.challenged(&headers(&format!("WWW-Authenticate: {value}"))) == AuthVerdict::Again {
                prop_assert!(proof.answer("OPTIONS", "rtsp://h/").is_some_and(|answer| !answer.contains("Life")));
            }
        }
    }
}
