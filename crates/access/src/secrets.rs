//! Secrets that are shared with whoever signs: several per key, each for its time, so that one can be replaced by another
//! without a moment in which nobody gets in.
//!
//! Rotation: the new secret is added, the signer changes over, the old one is given an `until` after the longest signature
//! that was made with it. Whether a secret is good is asked when something is checked, not when it was signed.
//!
//! A file of secrets has one per line:
//! ```text
//! # Comments have a line of their own.
//! 8mXz41UvGwqTmDQkcbcD until 2026-12-01T00:00:00Z
//! hW3ToZ0Sg2hPvbJ7ZQfs from 2026-11-24T00:00:00+01:00
//! ```
//! Both times are optional and stand in this order, as RFC 3339 has them. A secret has no blanks, and does not begin with `#`.

use core::fmt;

use jiff::Timestamp;
use ring::hmac;

use crate::Refusal;

/// How many secrets a key has at most: each one may have to be tried for each token.
pub const MOST_SECRETS: usize = 8;
/// How long a secret is at most, in bytes.
const SECRET_BYTES_MAX: usize = 1024;

/// A secret and when it is good. `Debug` shows the times alone.
#[derive(Clone)]
pub struct SharedSecret {
    text: Box<str>,
    mac: hmac::Key,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl SharedSecret {
    /// A secret that is good from a time on, and before another one; without them, always.
    pub fn new(text: &str, from: Option<Timestamp>, until: Option<Timestamp>) -> Result<Self, SecretFault> {
        if text.is_empty() {
            return Err(SecretFault::Empty);
        }
        if text.len() > SECRET_BYTES_MAX {
            return Err(SecretFault::Long);
        }
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err(SecretFault::Never);
        }
        Ok(Self { text: text.into(), mac: hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()), from, until })
    }

    /// Itself, for hashes that contain it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// For HMAC-SHA-256 with it.
    pub(crate) fn mac(&self) -> &hmac::Key {
        &self.mac
    }

    /// Until when it is good.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Why it is not good now.
    fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        if self.until.is_some_and(|until| now >= until) {
            return Some(Refusal::Revoked);
        }
        self.from.is_some_and(|from| now < from).then_some(Refusal::NotYet)
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until, .. } = self;
        f.debug_struct("SharedSecret").field("from", from).field("until", until).finish_non_exhaustive()
    }
}

/// The secrets of a key; at least one.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<SharedSecret>);

impl Secrets {
    /// All of a key's secrets.
    pub fn new(secrets: Vec<SharedSecret>) -> Result<Self, SecretFault> {
        match secrets.len() {
            0 => Err(SecretFault::None),
            1..=MOST_SECRETS => Ok(Self(secrets)),
            _ => Err(SecretFault::Many),
        }
    }

    /// One secret that is always good.
    pub fn one(text: &str) -> Result<Self, SecretFault> {
        Self::new(vec![SharedSecret::new(text, None, None)?])
    }

    /// Reads a file's lines, as above.
    pub fn read(text: &str) -> Result<Self, SecretFault> {
        let mut secrets = Vec::new();
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = |fault| SecretFault::Line { line: number, fault: Box::new(fault) };
            secrets.push(read_line(line).map_err(at)?);
            if secrets.len() > MOST_SECRETS {
                return Err(at(SecretFault::Many));
            }
        }
        Self::new(secrets)
    }

    /// How long the shortest one is, in bytes.
    pub(crate) fn shortest(&self) -> usize {
        self.0.iter().map(|secret| secret.text.len()).min().unwrap_or(0)
    }

    /// The one with which a signature was made, if it is good now. Which one it was is no secret; `is_signed_with` itself
    /// takes constant time.
    pub(crate) fn find(
        &self,
        now: Timestamp,
        mut is_signed_with: impl FnMut(&SharedSecret) -> bool,
    ) -> Result<&SharedSecret, Refusal> {
        let mut refused = Refusal::Signature;
        for secret in self.0.iter().filter(|secret| is_signed_with(secret)) {
            match secret.refusal(now) {
                None => return Ok(secret),
                Some(refusal) => refused = refusal,
            }
        }
        Err(refused)
    }

    /// The one to sign with: of those that are good now, the one that is so the longest.
    pub(crate) fn to_sign_with(&self, now: Timestamp) -> Option<&SharedSecret> {
        let good = self.0.iter().filter(|secret| secret.refusal(now).is_none());
        good.max_by_key(|secret| secret.until.unwrap_or(Timestamp::MAX))
    }
}

/// `secret [from <time>] [until <time>]`.
fn read_line(line: &str) -> Result<SharedSecret, SecretFault> {
    let mut words = line.split_whitespace();
    let secret = words.next().unwrap_or_default();
    let (mut from, mut until) = (None, None);
    while let Some(word) = words.next() {
        let place = match word {
            "from" if from.is_none() && until.is_none() => &mut from,
            "until" if until.is_none() => &mut until,
            _ => return Err(SecretFault::Words),
        };
        let time = words.next().and_then(|time| time.parse().ok());
        *place = Some(time.ok_or(SecretFault::Time)?);
    }
    SharedSecret::new(secret, from, until)
}

/// Why a secret cannot be used. The configuration is at fault; the secret itself is never in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// No secret at all.
    #[error("there is no secret: give at least one")]
    None,
    /// An empty one.
    #[error("the secret is empty: anybody could sign with it")]
    Empty,
    /// A secret of more than 1024 bytes.
    #[error("a secret has at most {SECRET_BYTES_MAX} bytes")]
    Long,
    /// Too short a secret to sign with, for anybody who has a signature can try secrets at leisure.
    #[error(
        "the secret has fewer than {0} bytes: it could be found by trying. Make one with `openssl rand -hex 32`"
    )]
    Short(usize),
    /// More than eight secrets.
    #[error("a key has at most {MOST_SECRETS} secrets: take out those that have run out")]
    Many,
    /// It ends before it begins.
    #[error("`from` must be before `until`")]
    Never,
    /// Something else than `from` and `until` after a secret.
    #[error("a line is `secret [from TIME] [until TIME]`; the secret has no blanks")]
    Words,
    /// What follows `from` or `until` is no time.
    #[error("`from` and `until` are followed by a time as `2026-12-01T00:00:00Z`")]
    Time,
    /// A fault in a line of a file, counted from 1.
    #[error("line {line}: {fault}")]
    Line {
        /// The line.
        line: usize,
        /// What is wrong with it.
        fault: Box<SecretFault>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_file_is_read_line_by_line() {
        let text = "# ours\n\n old until 2026-12-01T00:00:00Z \nnew from 2026-11-24T00:00:00+01:00 until 2027-01-01T00:00:00Z\n";
        let Secrets(all) = Secrets::read(text).expect("it is well-formed");
        assert_eq!(all.iter().map(SharedSecret::text).collect::<Vec<_>>(), ["old", "new"]);
        assert_eq!(all[1].from, Some(time("2026-11-23T23:00:00Z")));
        assert_eq!(all[0].until, Some(time("2026-12-01T00:00:00Z")));
    }

    #[test]
    fn a_fault_tells_the_line_and_no_secret() {
        for (text, line, fault) in [
            ("hush now", 1, SecretFault::Words),
            ("# x\nhush from", 2, SecretFault::Time),
            ("hush from yesterday", 1, SecretFault::Time),
            ("hush until 2026-12-01T00:00:00Z from 2026-11-01T00:00:00Z", 1, SecretFault::Words),
            ("hush from 2026-12-01T00:00:00Z until 2026-12-01T00:00:00Z", 1, SecretFault::Never),
            (&"hush\n".repeat(9), 9, SecretFault::Many),
            (&"hush".repeat(257), 1, SecretFault::Long),
        ] {
            let found = Secrets::read(text).expect_err(text);
            assert_eq!(found, SecretFault::Line { line, fault: Box::new(fault) });
            assert!(!found.to_string().contains("hush"));
        }
        assert_eq!(Secrets::read("# nothing\n").expect_err("none"), SecretFault::None);
        assert_eq!(Secrets::one("").expect_err("empty"), SecretFault::Empty);
        assert!(!format!("{:?}", Secrets::one("hush").expect("one")).contains("hush"));
    }

    #[test]
    fn each_is_good_for_its_time() {
        let text = "old until 2026-12-01T00:00:00Z\nnew from 2026-11-24T00:00:00Z\n";
        let secrets = Secrets::read(text).expect("it is well-formed");
        let find =
            |name: &str, now| secrets.find(time(now), |secret| secret.text() == name).map(SharedSecret::text);
        assert_eq!(find("old", "2026-11-01T00:00:00Z"), Ok("old"));
        assert_eq!(find("new", "2026-11-01T00:00:00Z"), Err(Refusal::NotYet));
        assert_eq!(find("new", "2026-11-24T00:00:00Z"), Ok("new"));
        assert_eq!(find("old", "2026-11-30T23:59:59Z"), Ok("old"));
        assert_eq!(find("old", "2026-12-01T00:00:00Z"), Err(Refusal::Revoked));
        assert_eq!(find("other", "2026-12-01T00:00:00Z"), Err(Refusal::Signature));
        let sign = |now| secrets.to_sign_with(time(now)).map(SharedSecret::text);
        assert_eq!(sign("2026-11-01T00:00:00Z"), Some("old"));
        assert_eq!(sign("2026-11-25T00:00:00Z"), Some("new"));
    }
}
