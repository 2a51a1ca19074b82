//! Opencast's stream security: `policy`, `keyId` and `signature` in the query.
//!
//! The policy is JSON in base64; the signature is the HMAC-SHA-256 of it, in small hexadecimal digits. Opencast signs the
//! JSON, the example in its manual the base64 text with padding: the signature may be over the decoded bytes, over the
//! text as it came, and over the text padded anew. The JSON is never written again, since its order is the signer's. No text
//! is good in two readings: JSON begins with a brace, which is no digit of base64.
//!
//! The checks, in this order: all three there, once ([`Refusal::Malformed`]); the key's name; the signature; the
//! address; the resource; the times, in milliseconds, without leeway.
//!
//! A policy names a URL. It opens the subject if its path is the one that is asked for, or both are of the same subject:
//! of an entry (`*.m3u8`, `*.mpd`) the path without the last part, as `key/place.rs` has it. Never does an end of a path
//! suffice. Scheme, host and port are only compared where the configuration is `strict`, for a proxy in front changes them.

use core::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use jiff::Timestamp;
use ring::hmac;
use serde::Deserialize;

use super::{KeyFault, Pass, place, shown};
use crate::secrets::{Secrets, SharedSecret};
use crate::{Credentials, Refusal, Subject};

/// The longest policy that is read, in digits of base64.
const POLICY_BYTES_MAX: usize = 8 * 1024;
/// The longest name of a key, in bytes.
const KEY_ID_BYTES_MAX: usize = 256;

/// What a key of Opencast's needs.
#[derive(Debug)]
pub struct OpencastSettings {
    /// `keyId`: the `<id>` of Opencast's `key.<id>.secret`.
    pub key_id: String,
    /// Opencast's `key.<id>.secret`.
    pub secrets: Secrets,
    /// Whether scheme, host and port must be those of the policy, too.
    pub strict: bool,
}

/// Checks URLs that Opencast has signed.
#[derive(Debug)]
pub struct SignedUrl {
    settings: OpencastSettings,
}

impl SignedUrl {
    pub(super) fn new(settings: OpencastSettings) -> Result<Self, KeyFault> {
        let is_fine = (1..=KEY_ID_BYTES_MAX).contains(&settings.key_id.len());
        if is_fine { Ok(Self { settings }) } else { Err(KeyFault::KeyId) }
    }

    pub(super) fn check(
        &self,
        subject: Subject<'_>,
        shown: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        let [policy, key_id, signature] =
            ["policy", "keyId", "signature"].map(|name| shown::only(shown.query, name));
        let (policy, key_id, signature) = match (policy?, key_id?, signature?) {
            (None, None, None) => return Err(Refusal::Missing),
            (Some(policy), Some(key_id), Some(signature)) => (policy, key_id, signature),
            _ => return Err(Refusal::Malformed),
        };
        if policy.len() > POLICY_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        let json = shown::from_base64(&policy)?;
        let signature = shown::from_hex(&signature).ok_or(Refusal::Malformed)?;
        if *key_id != *self.settings.key_id {
            return Err(Refusal::UnknownKey);
        }
        let padded = URL_SAFE.encode(&json);
        let readings = [&*json, policy.as_bytes(), padded.as_bytes()];
        self.settings.secrets.find(now, |secret| is_signed(secret, readings, &signature))?;

        let Policy { statement: Statement { condition, resource } } =
            serde_json::from_slice(&json).map_err(|_| Refusal::Malformed)?;
        if let Some(address) = condition.ip_address {
            let address: IpAddr = address.parse().map_err(|_| Refusal::Malformed)?;
            if address.to_canonical() != shown.address.to_canonical() {
                return Err(Refusal::OtherAddress);
            }
        }
        if !self.names(&resource, subject, shown) {
            return Err(Refusal::OtherSubject);
        }
        let time = |ms| Timestamp::from_millisecond(ms).map_err(|_| Refusal::Malformed);
        let from = condition.date_greater_than.map(time).transpose()?;
        super::in_time(from, Some(time(condition.date_less_than)?), now)
    }

    /// Whether a policy's resource is what is asked for.
    fn names(&self, resource: &str, subject: Subject<'_>, shown: &Credentials<'_>) -> bool {
        let (origin, path) = match resource.split_once("://") {
            Some((scheme, rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                (Some((scheme, authority)), path)
            }
            None => (None, resource),
        };
        if self.settings.strict {
            let is_same = origin.is_some_and(|(scheme, authority)| {
                scheme.eq_ignore_ascii_case(shown.scheme)
                    && host_and_port(scheme, authority) == host_and_port(shown.scheme, shown.authority)
            });
            if !is_same {
                return false;
            }
        }
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let (path, asked) = (place::decoded(path), place::decoded(shown.path));
        let mut allowed = place::readings(&path, subject);
        // A policy for a file or a poster opens that, one for an entry all that the entry names.
        if !is_entry(&path) {
            allowed.truncate(1);
        }
        let asked: Vec<_> =
            place::readings(&asked, subject).into_iter().map(place::without_instance).collect();
        allowed.iter().any(|path| !path.is_empty() && asked.contains(&place::without_instance(path)))
    }
}

/// Whether the signature is over any of the readings.
fn is_signed(secret: &SharedSecret, readings: [&[u8]; 3], signature: &[u8]) -> bool {
    readings.iter().any(|text| hmac::verify(secret.mac(), text, signature).is_ok())
}

/// Whether a path is that of a playlist or a manifest.
fn is_entry(path: &str) -> bool {
    let (_, end) = path.rsplit_once('.').unwrap_or_default();
    end.eq_ignore_ascii_case("m3u8") || end.eq_ignore_ascii_case("mpd")
}

/// Host in lower case, and port; the scheme's own where none is written.
fn host_and_port(scheme: &str, authority: &str) -> (String, String) {
    let own = match &*scheme.to_ascii_lowercase() {
        "http" => "80",
        "https" | "rtmps" => "443",
        "rtmp" => "1935",
        "rtsp" => "554",
        "rtsps" => "322",
        _ => "",
    };
    // The colons of an IPv6 address stand in brackets (RFC 3986 §3.2.2).
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    (host.to_ascii_lowercase(), if port.is_empty() { own } else { port }.to_owned())
}

/// A policy that has more than these fields asks for something that is not checked here: it is refused.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Policy {
    statement: Statement,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    condition: PolicyCondition,
    resource: String,
}

/// Times are unix milliseconds.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PolicyCondition {
    date_less_than: i64,
    date_greater_than: Option<i64>,
    ip_address: Option<String>,
}
