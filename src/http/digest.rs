//! Digest authentication as HTTP clients do it (RFC 7616, MD5 with `qop="auth"`; RFC 2069 without `qop`), the server's
//! side. Nonces carry their time and prove that they are ours, so none is kept.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;

use crate::media::MediaTime;

/// How long a nonce is good.
const LIFE: Duration = Duration::from_secs(300);

/// Knows the one user.
pub struct Authenticator {
    realm: &'static str,
    user: String,
    /// MD5 of user, realm and password.
    secret_hash: String,
    /// Makes our nonces ours; new at every start.
    key: String,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Good,
    /// It must come again, with an answer to this value of `WWW-Authenticate`.
    Challenge(String),
}

impl Authenticator {
    /// Knows this one.
    pub fn new(realm: &'static str, user: String, password: &str) -> Self {
        let secret_hash = hex(&format!("{user}:{realm}:{password}"));
        Self { realm, user, secret_hash, key: format!("{:032x}", fastrand::u128(..)) }
    }

    /// Judges a request by its `Authorization`.
    pub fn judge(&self, method: &str, shown: Option<&str>, now: MediaTime) -> Verdict {
        let Some(fields) = shown.and_then(Fields::parse) else { return self.challenge(now, false) };
        if !self.proves(method, &fields) {
            return self.challenge(now, false);
        }
        // Only who knows the password learns that the nonce is old.
        if self.is_fresh(fields.get("nonce").unwrap_or_default(), now) {
            Verdict::Good
        } else {
            self.challenge(now, true)
        }
    }

    fn proves(&self, method: &str, fields: &Fields) -> bool {
        let get = |name| fields.get(name).unwrap_or_default();
        let request = hex(&format!("{method}:{}", get("uri")));
        let expected = match fields.get("qop") {
            Some(qop) => {
                let [nonce, nc, cnonce] = ["nonce", "nc", "cnonce"].map(get);
                hex(&format!("{}:{nonce}:{nc}:{cnonce}:{qop}:{request}", self.secret_hash))
            }
            None => hex(&format!("{}:{}:{request}", self.secret_hash, get("nonce"))),
        };
        let same_user = get("username") == self.user;
        same_user & bool::from(expected.as_bytes().ct_eq(get("response").to_ascii_lowercase().as_bytes()))
    }

    fn challenge(&self, now: MediaTime, stale: bool) -> Verdict {
        let nonce = self.nonce(now.as_millis());
        let stale = if stale { ", stale=true" } else { "" };
        Verdict::Challenge(format!(
            "Digest realm=\"{}\", domain=\"/\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"{stale}",
            self.realm
        ))
    }

    fn nonce(&self, millis: i64) -> String {
        STANDARD.encode(format!("{millis}:{}", hex(&format!("{millis}:{}", self.key))))
    }

    fn is_fresh(&self, nonce: &str, now: MediaTime) -> bool {
        let text =
            STANDARD.decode(nonce).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let Some(millis) = text.split_once(':').and_then(|(millis, _)| millis.parse::<i64>().ok()) else {
            return false;
        };
        // One of the future is as old: a clock that was stepped back must not make nonces live for ever.
        let age = now.nanos_since(MediaTime::from_millis(millis.clamp(0, i64::MAX / 1_000_000)));
        u128::from(age.unsigned_abs()) <= LIFE.as_nanos()
            && bool::from(self.nonce(millis).as_bytes().ct_eq(nonce.as_bytes()))
    }
}

/// The parameters of an `Authorization` (RFC 9110 §11.6.2).
struct Fields(Vec<(String, String)>);

impl Fields {
    fn parse(value: &str) -> Option<Self> {
        let (scheme, mut rest) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut fields = Vec::new();
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                // Quoted: may hold commas. No value that we ask for holds a quote.
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            fields.push((
                name.trim_start_matches([',', ' ']).trim().to_ascii_lowercase(),
                value.trim().to_owned(),
            ));
            rest = after;
        }
        Some(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn hex(text: &str) -> String {
    let bytes: [u8; 16] = Md5::digest(text.as_bytes()).into();
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> MediaTime {
        MediaTime::from_millis((1_795_000_000 + second) * 1000)
    }

    /// What a client answers to a challenge (RFC 7616 §3.4.1).
    fn answer(challenge: &Verdict, password: &str) -> String {
        let Verdict::Challenge(challenge) = challenge else { panic!("a challenge") };
        let fields = Fields::parse(challenge).expect("Digest");
        let nonce = fields.get("nonce").expect("a nonce");
        let secret = hex(&format!("admin:Wowza:{password}"));
        let response = hex(&format!("{secret}:{nonce}:00000001:abc:auth:{}", hex("PUT:/v2/x?a=b,c")));
        format!(
            "Digest username=\"admin\", realm=\"Wowza\", nonce=\"{nonce}\", uri=\"/v2/x?a=b,c\", cnonce=\"abc\", \
             nc=00000001, qop=auth, response=\"{response}\", algorithm=MD5"
        )
    }

    #[test]
    fn who_knows_the_password_passes_and_old_nonces_are_renewed() {
        let authenticator = Authenticator::new("Wowza", "admin".to_owned(), "chalk");
        let challenge = authenticator.judge("PUT", None, at(0));
        let good = answer(&challenge, "chalk");
        assert_eq!(authenticator.judge("PUT", Some(&good), at(299)), Verdict::Good);
        assert!(
            matches!(authenticator.judge("GET", Some(&good), at(1)), Verdict::Challenge(_)),
            "another method"
        );
        let wrong = answer(&challenge, "cheese");
        assert!(
            matches!(authenticator.judge("PUT", Some(&wrong), at(1)), Verdict::Challenge(it) if !it.contains("stale"))
        );
        assert!(
            matches!(authenticator.judge("PUT", Some(&good), at(301)), Verdict::Challenge(it) if it.contains("stale=true"))
        );
        let stranger = Authenticator::new("Wowza", "admin".to_owned(), "chalk");
        let foreign = answer(&stranger.judge("PUT", None, at(0)), "chalk");
        assert!(
            matches!(authenticator.judge("PUT", Some(&foreign), at(1)), Verdict::Challenge(_)),
            "not our nonce"
        );
    }

    proptest! {
        #[test]
        fn nothing_shown_passes_by_chance(shown in "(Digest )?[a-z=\", :0-9]{0,80}") {
            let authenticator = Authenticator::new("Wowza", "admin".to_owned(), "chalk");
            prop_assert!(matches!(authenticator.judge("GET", Some(&shown), at(0)), Verdict::Challenge(_)));
        }
    }
}
