//! Digest authentication as HTTP clients do it (RFC 7616, MD5 and SHA-256 with `qop="auth"`; RFC 2069 without `qop`), the
//! server's side. Nonces carry their time and prove that they are ours; one is kept once a proof was made with it.
//!
//! * The `uri` that was proved must be the target of the request (RFC 7616 §3.4.6). Tolerated is its absolute form, and a
//!   path that has more before it: a proxy has taken that away. The query must be the same to the byte.
//! * Every `nc` is good once for its nonce, in any order within the last 64. What comes again, or too late, is told that the
//!   nonce is stale, upon which clients ask again with a new one. Without `qop` there is no `nc`: such a nonce is good once.
//! * Both algorithms are offered with one nonce, MD5 first: some clients take the first challenge and some the last.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amphi_media::Lock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use amphi_media::MediaTime;

/// How long a nonce is good.
const LIFE: Duration = Duration::from_secs(300);
/// Nonces that are kept; one more ends the oldest.
const NONCES: usize = 1024;

/// Knows the one user.
pub struct Authenticator {
    realm: &'static str,
    user: String,
    /// Hashes of user, realm and password.
    secrets: [String; 2],
    /// Makes our nonces ours; new at every start.
    key: String,
    /// Tells nonces apart, and which are older.
    serial: AtomicU64,
    used: Lock<Used>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Good,
    /// It must come again, with an answer to one of these values of `WWW-Authenticate`.
    Challenge {
        /// One for each algorithm.
        values: Vec<String>,
        /// A proof was made, and it is wrong: somebody guesses, or has forgotten.
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

    /// RFC 7616 §3.4: MD5 where nothing is said.
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
    /// Knows this one.
    pub fn new(realm: &'static str, user: String, password: &str) -> Self {
        let secrets = Algorithm::ALL.map(|algorithm| algorithm.hex(&format!("{user}:{realm}:{password}")));
        let key = format!("{:032x}", fastrand::u128(..));
        Self { realm, user, secrets, key, serial: AtomicU64::default(), used: Lock::default() }
    }

    /// Judges a request for `target`, a path and perhaps a query, by its `Authorization`.
    pub fn judge(&self, method: &str, target: &str, shown: Option<&str>, now: MediaTime) -> Verdict {
        let Some(fields) = shown.and_then(Fields::parse) else { return self.challenge(now, false, false) };
        if !self.proves(method, target, &fields) {
            return self.challenge(now, false, true);
        }
        // Only who knows the password learns that the nonce is old, or that this was said before.
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

    fn proves(&self, method: &str, target: &str, fields: &Fields) -> bool {
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

    /// When a nonce of ours was made, and its number.
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
    // One of the future is as old: a clock that was stepped back must not make nonces live for ever.
    let age = now.nanos_since(MediaTime::from_millis(millis.clamp(0, i64::MAX / 1_000_000)));
    u128::from(age.unsigned_abs()) <= LIFE.as_nanos()
}

/// Is `shown` the request's target? See the module's text.
fn is_target(shown: &str, target: &str) -> bool {
    if shown == target {
        return true;
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Ok(uri) = Uri::try_from(shown) else { return false };
    uri.path().ends_with(path) && path.starts_with('/') && path != "/" && uri.query() == query
}

/// The nonces that were used, by their numbers, and which counts of each: the highest, and a bit for each of the 64 up to
/// it. Their times are no order: clocks are stepped back.
#[derive(Debug, Default)]
struct Used {
    nonces: BTreeMap<u64, (u32, u64)>,
    /// Nonces up to here are not good any more.
    ended: Option<u64>,
}

impl Used {
    /// Takes this count of the nonce, unless it is gone.
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
