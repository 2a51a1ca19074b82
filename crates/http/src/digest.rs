//! Digest authentication as HTTP clients do it (RFC 7616, MD5 and SHA-256 with `qop="auth"`; RFC 2069 without `qop`), the
//! server's side. A nonce carries its time and a keyed hash, so none is stored before it is used with a right response.
//!
//! * The `uri` in the response must be the target of the request (RFC 7616 §3.4.6). Tolerated are its absolute form, and a
//!   path with a prefix that a proxy has removed. The query must be the same to the byte.
//! * Every `nc` is good once for its nonce, in any order within the last 64. A repeated or older one is answered with
//!   `stale=true`, upon which clients try again with a new nonce. Without `qop` there is no `nc`: such a nonce is good once.
//! * Both algorithms are offered with one nonce, MD5 first: some clients take the first challenge and some the last.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amphi_media::auth_params::{AuthParameters, credentials};
use amphi_media::{Lock, MediaTime};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How long a nonce is good.
const LIFE: Duration = Duration::from_secs(300);
/// Used nonces that are kept; beyond that, the oldest is no longer good.
const NONCES: usize = 1024;

/// Checks requests against one user name and password.
pub struct Authenticator {
    realm: &'static str,
    user: String,
    /// H(user:realm:password) by MD5 and by SHA-256 (RFC 7616 §3.4.2).
    secrets: [String; 2],
    /// The key of the nonces' hash, random at every start.
    key: String,
    /// The number of the next nonce.
    serial: AtomicU64,
    used: Lock<Used>,
}

/// The result of checking a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The response is right and was not used before.
    Good,
    /// The request is to be answered with 401.
    Challenge {
        /// The values of `WWW-Authenticate`, one for each algorithm (RFC 7616 §3.3).
        values: Vec<String>,
        /// Whether there was a response and it was wrong. `false` for none, and for one that is only stale.
        wrong: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Md5, Self::Sha256];

    const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// By the `algorithm` parameter; MD5 where there is none (RFC 7616 §3.3).
    fn named(name: Option<&str>) -> Option<Self> {
        let Some(name) = name else { return Some(Self::Md5) };
        Self::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(name))
    }

    fn hex(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        }
    }
}

impl Authenticator {
    /// Keeps hashes of the password, not the password itself.
    pub fn new(realm: &'static str, user: String, password: &str) -> Self {
        let secrets = Algorithm::ALL.map(|algorithm| algorithm.hex(&format!("{user}:{realm}:{password}")));
        let key = format!("{:032x}", fastrand::u128(..));
        Self { realm, user, secrets, key, serial: AtomicU64::default(), used: Lock::default() }
    }

    /// Checks a request for `target`, a path with or without a query, by `shown`, its `Authorization` field.
    pub fn judge(&self, method: &str, target: &str, shown: Option<&str>, now: MediaTime) -> Verdict {
        let Some(fields) = shown.and_then(digest_fields) else { return self.challenge(now, false, false) };
        if !self.proves(method, target, &fields) {
            return self.challenge(now, false, true);
        }
        // Only a client that knows the password learns that its nonce is stale or was used before.
        let nonce = fields.get("nonce").unwrap_or_default();
        let count = match fields.get("qop") {
            // RFC 7616 §3.4: eight hexadecimal digits.
            Some(_) => fields.get("nc").filter(is_count).and_then(|nc| u32::from_str_radix(nc, 16).ok()),
            None => Some(u32::MAX),
        };
        let made = self.made(nonce).filter(|(millis, _)| is_fresh(*millis, now)).map(|(_, serial)| serial);
        let mut used = self.used.lock();
        match made.zip(count) {
            Some((made, count)) if used.take(made, count) => Verdict::Good,
            _ => self.challenge(now, true, false),
        }
    }

    fn proves(&self, method: &str, target: &str, fields: &AuthParameters) -> bool {
        let get = |name| fields.get(name).unwrap_or_default();
        let Some(algorithm) = Algorithm::named(fields.get("algorithm")) else { return false };
        let [md5, sha256] = &self.secrets;
        let secret = match algorithm {
            Algorithm::Md5 => md5,
            Algorithm::Sha256 => sha256,
        };
        let request = algorithm.hex(&format!("{method}:{}", get("uri")));
        let [nonce, nc, cnonce] = ["nonce", "nc", "cnonce"].map(get);
        let expected = match fields.get("qop") {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                algorithm.hex(&format!("{secret}:{nonce}:{nc}:{cnonce}:{qop}:{request}"))
            }
            // `auth-int` is not offered.
            Some(_) => return false,
            None => algorithm.hex(&format!("{secret}:{nonce}:{request}")),
        };
        let same_user = get("username") == self.user;
        let right = bool::from(expected.as_bytes().ct_eq(get("response").to_ascii_lowercase().as_bytes()));
        same_user & right & is_target(get("uri"), target)
    }

    fn challenge(&self, now: MediaTime, stale: bool, wrong: bool) -> Verdict {
        let nonce = self.nonce(now.as_millis(), self.serial.fetch_add(1, Ordering::Relaxed));
        let stale = if stale { ", stale=true" } else { "" };
        let value = |algorithm: Algorithm| {
            format!(
                "Digest realm=\"{}\", domain=\"/\", nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
                self.realm,
                algorithm.name()
            )
        };
        Verdict::Challenge { values: Algorithm::ALL.map(value).into(), wrong }
    }

    fn nonce(&self, millis: i64, serial: u64) -> String {
        let proof = Algorithm::Sha256.hex(&format!("{millis}:{serial}:{}", self.key));
        STANDARD.encode(format!("{millis}:{serial}:{proof}"))
    }

    /// The time in milliseconds and the number of a nonce; `None` if it is not one of ours.
    fn made(&self, nonce: &str) -> Option<(i64, u64)> {
        let text = String::from_utf8(STANDARD.decode(nonce).ok()?).ok()?;
        let mut parts = text.split(':');
        let (millis, serial) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        bool::from(self.nonce(millis, serial).as_bytes().ct_eq(nonce.as_bytes())).then_some((millis, serial))
    }
}

fn is_count(nc: &&str) -> bool {
    nc.len() == 8 && nc.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_fresh(millis: i64, now: MediaTime) -> bool {
    // A nonce from the future ages too: after a step of the clock backwards it must not stay good for ever.
    let age = now.nanos_since(MediaTime::from_millis(millis.clamp(0, i64::MAX / 1_000_000)));
    u128::from(age.unsigned_abs()) <= LIFE.as_nanos()
}

/// Whether `shown`, the `uri` of a response, is the request's target; the module's text says what is tolerated.
fn is_target(shown: &str, target: &str) -> bool {
    if shown == target {
        return true;
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Ok(uri) = Uri::try_from(shown) else { return false };
    uri.path().ends_with(path) && path.starts_with('/') && path != "/" && uri.query() == query
}

/// The nonces that were used, by number, with the counts (`nc`) that were used of each: the highest, and a bit for each of
/// the 64 up to it. They are ordered by number and not by time, since the clock may be stepped back.
#[derive(Debug, Default)]
struct Used {
    nonces: BTreeMap<u64, (u32, u64)>,
    /// Nonces up to this number are no longer good.
    ended: Option<u64>,
}

impl Used {
    /// Marks this count of the nonce as used. `false` if it was used before, or can no longer be told.
    fn take(&mut self, nonce: u64, count: u32) -> bool {
        if count == 0 || self.ended.is_some_and(|ended| nonce <= ended) {
            return false;
        }
        let (highest, seen) = self.nonces.entry(nonce).or_insert((0, 0));
        let is_new = if count > *highest {
            *seen = seen.checked_shl(count - *highest).unwrap_or(0) | 1;
            *highest = count;
            true
        } else {
            let bit = 1_u64.checked_shl(*highest - count).unwrap_or(0);
            let is_new = bit != 0 && *seen & bit == 0;
            *seen |= bit;
            is_new
        };
        while self.nonces.len() > NONCES {
            self.ended = self.nonces.pop_first().map(|(oldest, _)| oldest);
        }
        is_new
    }
}

/// The parameters of an `Authorization` field, if its scheme is Digest.
fn digest_fields(value: &str) -> Option<AuthParameters> {
    credentials(value).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("digest")).map(|(_, fields)| fields)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
        text
    })
}

#[cfg(test)]
mod tests;
