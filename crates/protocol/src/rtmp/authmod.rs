//! User names and passwords of publishers, in the scheme called `authmod=adobe`: ffmpeg, OBS, Wirecast and hardware encoders
//! use it for `rtmp://user:password@host/…`. Sans-IO: time is an argument.
//!
//! It takes three connections. The first is refused with [`NEED`]. The second names the user and is refused with a salt and
//! a challenge ([`Challenger::challenge`]). The third answers the challenge ([`Challenger::answers`]). Nothing is kept
//! between them: the challenge says when and to whom it was given, and has a seal that only this server can make.
//!
//! The scheme demands MD5. It keeps the password from being read on the network, and no more.
//!
//! What does *not* belong here: the list of passwords, and what to do about a wrong one.

use std::fmt::{self, Write};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use amphi_media::MediaTime;

/// The refusal of a client that has not named its user.
pub const NEED: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
/// The refusal of a client whose answer is wrong.
pub const FAILED: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=-";
/// How long a challenge may be answered. Clients answer at once.
const FRESH: Duration = Duration::from_secs(60);
/// Longest parameter that is read; a client's challenge and answer are shorter.
const LONGEST: usize = 256;

/// Gives challenges and checks the answers.
pub struct Challenger {
    secret: [u8; 16],
}

impl fmt::Debug for Challenger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenger")
    }
}

impl Challenger {
    /// `secret` must be unknown to others, and should be a new one at every start of the server.
    pub const fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// The refusal that gives `user` a challenge to answer on the next connection.
    pub fn challenge(&self, user: &str, now: MediaTime) -> String {
        let (salt, opaque) = (self.salt(user), self.opaque(user, now.as_millis() / 1000));
        format!(
            "[ AccessManager.Reject ] : [ authmod=adobe ] : \
             ?reason=needauth&user={user}&salt={salt}&challenge={opaque}&opaque={opaque}"
        )
    }

    /// Whether `query` answers a recent challenge of this server for `user` with the right password.
    pub fn answers(&self, query: &str, user: &str, password: &str, now: MediaTime) -> bool {
        let get = |name: &str| parameter(query, name).filter(|value| value.len() <= LONGEST);
        let (Some(named), Some(opaque)) = (get("user"), get("opaque")) else { return false };
        let (Some(theirs), Some(response)) = (get("challenge"), get("response")) else { return false };
        // The seal covers the time, so a time that is not ours fails below.
        let given_s = opaque.get(..8).and_then(|hex| i64::from_str_radix(hex, 16).ok()).unwrap_or(0);
        let given = MediaTime::from_millis(given_s * 1000);
        let fresh = now.saturating_since(given) <= FRESH && given <= now + Duration::from_secs(1);
        let ours = self.opaque(user, given_s);
        let secret = md5_base64(&[user, &self.salt(user), password]);
        let expected = md5_base64(&[&secret, &opaque, &theirs]);
        let right = response.as_bytes().ct_eq(expected.as_bytes()) & opaque.as_bytes().ct_eq(ours.as_bytes());
        named == user && fresh && bool::from(right)
    }

    fn salt(&self, user: &str) -> String {
        self.sealed("salt", user, 4)
    }

    /// The time it was given, in seconds, and a seal over this time and the user.
    fn opaque(&self, user: &str, given_s: i64) -> String {
        let given = format!("{:08x}", given_s & 0xffff_ffff);
        let seal = self.sealed(&given, user, 8);
        given + &seal
    }

    fn sealed(&self, what: &str, user: &str, length: usize) -> String {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(what);
        hash.update([0]);
        hash.update(user);
        let mut out = String::with_capacity(length * 2);
        for byte in hash.finalize().iter().take(length) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{byte:02x}");
        }
        out
    }
}

/// The value of a parameter. Clients do not escape base64 in a query, so a `+` is not a space.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    parameters.find(|(key, _)| key == name).map(|(_, value)| value.replace(' ', "+"))
}

fn md5_base64(parts: &[&str]) -> String {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    STANDARD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    fn field(text: &str, name: &str) -> String {
        let query = text.split_once('?').expect("a query").1;
        parameter(query, name).expect("it is there")
    }

    /// The answer as ffmpeg's `do_adobe_auth` computes it.
    fn answer(description: &str, user: &str, password: &str) -> String {
        let (salt, opaque) = (field(description, "salt"), field(description, "opaque"));
        let first = md5_base64(&[user, &salt, password]);
        let response = md5_base64(&[&first, &opaque, "0a1b2c3d"]);
        format!("authmod=adobe&user={user}&challenge=0a1b2c3d&response={response}&opaque={opaque}")
    }

    #[test]
    fn who_knows_the_password_is_let_in_for_a_minute() {
        let challenger = Challenger::new([7; 16]);
        let said = challenger.challenge("hall", NOW);
        let good = answer(&said, "hall", "chalk+/=");
        assert!(challenger.answers(&good, "hall", "chalk+/=", NOW));
        assert!(challenger.answers(&good, "hall", "chalk+/=", NOW + FRESH));
        assert!(!challenger.answers(&good, "hall", "chalk+/=", NOW + FRESH + Duration::from_secs(1)));
        assert!(!challenger.answers(&good, "hall", "cheese", NOW));
        assert!(!challenger.answers(&good, "other", "chalk+/=", NOW));
        assert!(!challenger.answers(&answer(&said, "other", "chalk+/="), "other", "chalk+/=", NOW));
        assert!(!Challenger::new([8; 16]).answers(&good, "hall", "chalk+/=", NOW), "another start");
        for missing in ["user", "challenge", "response", "opaque"] {
            let without: Vec<_> = good.split('&').filter(|it| !it.starts_with(missing)).collect();
            assert!(!challenger.answers(&without.join("&"), "hall", "chalk+/=", NOW), "{missing}");
        }
    }

    #[test]
    fn a_challenge_cannot_be_made_up() {
        let challenger = Challenger::new([7; 16]);
        let said = challenger.challenge("hall", NOW);
        let opaque = field(&said, "opaque");
        let forged = said.replace(&opaque, &format!("{:08x}{}", 1_795_000_030_i64, &opaque[8..]));
        assert!(!challenger.answers(&answer(&forged, "hall", "chalk"), "hall", "chalk", NOW));
        for odd in ["", "zz", "éééééééé", "ffffffffffff"] {
            let query = format!("user=hall&challenge=1&response=1&opaque={odd}");
            assert!(!challenger.answers(&query, "hall", "chalk", NOW));
        }
    }
}
