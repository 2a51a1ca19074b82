//! Wowza SecureToken v2, as Wowza's players and Opencast's Wowza provider write it.
//!
//! ```text
//! hash = base64(SHA(<path> ? [<address> &] <secret> & <prefix>a=1 & <prefix>endtime=<s> …))
//! ```
//! The path is the URL's without slashes around; over HTTP without its last part, as long as the rest still names what is
//! asked for (`key/place.rs`). Opencast's provider leaves the last part out of `/vod/a.mp4` too; that hash would open
//! all of the mount, and is refused. RTMP and RTSP sign application and stream. Over RTMP this is checked when a stream is
//! asked for, not at `connect`, where only the application is known: then path and query are whole, from wherever in the
//! two commands a player put them.
//!
//! Tolerated, because signers differ: Wowza sorts address, secret and parameters as one list, Opencast puts address and
//! secret first; paths and values are hashed as they are written or as what they stand for; `_definst_` in the path may be
//! left out of the hash; base64 of both alphabets, padded or not.
//!
//! Not tolerated, because then one text could be read in two ways: names that are percent-encoded, parameters without `=`,
//! and an encoded `&` in a value that is hashed decoded.

use core::net::IpAddr;
use std::borrow::Cow;
use std::fmt::Write as _;

use amphi_media::percent;
use jiff::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::{KeyFault, Pass, place, shown};
use crate::secrets::{Secrets, SharedSecret};
use crate::{Credentials, Refusal, Subject};

/// How many parameters with the prefix are read: each is sorted and hashed several times.
const MOST_PARAMETERS: usize = 32;

/// The hash that Wowza's `securityTokenHashAlgorithm` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecureTokenHash {
    /// SHA-256: Opencast knows no other.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// What a SecureToken needs.
#[derive(Debug)]
pub struct WowzaSettings {
    /// Wowza's `securityTokenSharedSecret`.
    pub secrets: Secrets,
    /// Wowza's `securityTokenQueryPrefix`: `wowzatoken` where nothing else is set.
    pub prefix: String,
    /// The hash.
    pub hash: SecureTokenHash,
    /// Whether the viewer's address is in the hash: Wowza's `securityTokenIncludeClientIPInHash`.
    pub with_address: bool,
}

/// Checks SecureTokens.
#[derive(Debug)]
pub struct SecureToken {
    settings: WowzaSettings,
}

impl SecureToken {
    pub(super) fn new(mut settings: WowzaSettings) -> Result<Self, KeyFault> {
        settings.prefix = super::parameter(settings.prefix)?;
        Ok(Self { settings })
    }

    pub(super) fn check(
        &self,
        subject: Subject<'_>,
        shown: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        let token = PrefixedParameters::read(shown.query, &self.settings.prefix)?;
        let texts = Texts {
            paths: paths(shown, subject),
            addresses: if self.settings.with_address { spellings(shown.address) } else { Vec::new() },
            parameters: token.spellings()?,
        };
        let algorithm = match self.settings.hash {
            SecureTokenHash::Sha256 => &digest::SHA256,
            SecureTokenHash::Sha384 => &digest::SHA384,
            SecureTokenHash::Sha512 => &digest::SHA512,
        };
        self.settings.secrets.find(now, |secret| {
            texts.any(secret, |text| {
                digest::digest(algorithm, text.as_bytes()).as_ref().ct_eq(&token.hash).into()
            })
        })?;
        super::in_time(token.time("starttime")?, token.time("endtime")?, now)
    }
}

/// The parameters with the prefix.
struct PrefixedParameters<'a> {
    hash: Vec<u8>,
    /// Name and value as they were written, in the order of their names; without the hash.
    parameters: Vec<(&'a str, &'a str)>,
    prefix: &'a str,
}

impl<'a> PrefixedParameters<'a> {
    fn read(query: &'a str, prefix: &'a str) -> Result<Self, Refusal> {
        let (mut hash, mut parameters) = (None, Vec::new());
        for parameter in shown::parameters(query)? {
            if !parameter.decoded_name().starts_with(prefix) {
                continue;
            }
            let value = parameter.value.ok_or(Refusal::Malformed)?;
            if parameter.name.contains('%') || parameters.len() >= MOST_PARAMETERS {
                return Err(Refusal::Malformed);
            }
            if parameter.name.strip_prefix(prefix) == Some("hash") {
                if hash.replace(value).is_some() {
                    return Err(Refusal::Malformed);
                }
            } else {
                parameters.push((parameter.name, value));
            }
        }
        parameters.sort_unstable();
        if parameters.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
            return Err(Refusal::Malformed);
        }
        let missing = if parameters.is_empty() { Refusal::Missing } else { Refusal::Malformed };
        let hash = percent::decode(hash.ok_or(missing)?).map_err(|_| Refusal::Malformed)?;
        Ok(Self { hash: shown::from_base64(&hash)?, parameters, prefix })
    }

    /// `name=value` of all parameters: as they are written and, where that differs, decoded.
    fn spellings(&self) -> Result<Vec<Vec<String>>, Refusal> {
        let written = self.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let values = self.parameters.iter().map(|(_, value)| percent::decode(value));
        let values: Vec<Cow<'_, str>> = values.collect::<Result<_, _>>().map_err(|_| Refusal::Malformed)?;
        let is_same = values.iter().all(|value| matches!(value, Cow::Borrowed(_)));
        // Else the end could hide in another parameter's value.
        if is_same || values.iter().any(|value| value.contains('&')) {
            return Ok(vec![written]);
        }
        let decoded = self.parameters.iter().zip(&values).map(|((name, _), value)| format!("{name}={value}"));
        Ok(vec![written, decoded.collect()])
    }

    /// A time in seconds since 1970; absent is open.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let named = |(known, _): &&(&str, &str)| known.strip_prefix(self.prefix) == Some(name);
        let value = self.parameters.iter().find(named).map(|(_, value)| shown::unix_seconds(value));
        value.transpose()
    }
}

/// The texts that may have been hashed.
struct Texts<'a> {
    paths: Vec<Cow<'a, str>>,
    /// None if the address is in no hash.
    addresses: Vec<String>,
    parameters: Vec<Vec<String>>,
}

impl Texts<'_> {
    /// Whether any of them is it.
    fn any(&self, secret: &SharedSecret, mut is_it: impl FnMut(&str) -> bool) -> bool {
        let addresses: Vec<_> = match &*self.addresses {
            [] => vec![None],
            all => all.iter().map(|address| Some(address.as_str())).collect(),
        };
        for (address, parameters) in
            addresses.iter().flat_map(|it| self.parameters.iter().map(move |all| (it, all)))
        {
            let front = address.iter().copied().chain([secret.text()]);
            let opencast: Vec<_> = front.chain(parameters.iter().map(String::as_str)).collect();
            let mut wowza = opencast.clone();
            wowza.sort_unstable();
            for path in &self.paths {
                if is_it(&text(path, &opencast)) || (wowza != opencast && is_it(&text(path, &wowza))) {
                    return true;
                }
            }
        }
        false
    }
}

/// `<path>?<part>&<part>…`.
fn text(path: &str, parts: &[&str]) -> String {
    let mut text = format!("{path}?");
    for (index, part) in parts.iter().enumerate() {
        let _ = write!(text, "{}{part}", if index > 0 { "&" } else { "" });
    }
    text
}

/// What the path may be called in the hash.
fn paths<'a>(shown: &Credentials<'a>, subject: Subject<'_>) -> Vec<Cow<'a, str>> {
    let mut readings = place::readings(shown.path, subject);
    if !shown.scheme.starts_with("http") {
        readings.truncate(1);
    }
    let mut found: Vec<Cow<'a, str>> = Vec::new();
    let mut add = |path: Cow<'a, str>| {
        if !found.contains(&path) {
            found.push(path);
        }
    };
    for written in readings {
        add(Cow::Borrowed(written));
        add(Cow::Owned(place::without_instance(written).into_owned()));
        // A text with `%` is only read as it was written, so that `a%2520b` is not opened with a hash for `a%20b`.
        if let Ok(decoded) = percent::decode(written)
            && !decoded.contains('%')
        {
            add(Cow::Owned(place::without_instance(&decoded).into_owned()));
            add(decoded);
        }
    }
    found
}

/// How an address is written: as RFC 5952 has it, and IPv6 also as Java prints it, with all its parts.
fn spellings(address: IpAddr) -> Vec<String> {
    match address.to_canonical() {
        IpAddr::V4(address) => vec![address.to_string()],
        IpAddr::V6(address) => {
            let parts = address.segments().map(|part| format!("{part:x}"));
            vec![address.to_string(), parts.join(":")]
        }
    }
}
