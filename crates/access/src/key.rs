//! A key of the configuration: it reads what a caller shows and says whether that opens a subject.
//!
//! | kind | made by | what it binds |
//! |---|---|---|
//! | [`wowza`] | Wowza SecureToken v2, Opencast's Wowza provider | the URL's path |
//! | [`opencast`] | Opencast's stream security: policy, key, signature | a URL |
//! | [`hmac`] | `amphi sign`, and six lines in a site's own pages | the subject |
//! | [`jwt`] | portals, identity providers | what its claims say |
//!
//! Contract: [`Key::check`] is asked at an entry with what was shown, as it came, and the subject that was found for it. It
//! allocates little and never blocks. A key that finds nothing of its kind says [`Refusal::Missing`], so the caller asks the
//! next; of several refusals the greatest tells most. `docs/access-keys.md` has the order of the checks.

pub mod hmac;
pub mod hook;
pub mod jwt;
pub mod opencast;
mod place;
mod shown;
pub mod wowza;

use jiff::Timestamp;

use crate::secrets::SecretFault;
use crate::{Credentials, Refusal, Subject};

/// The longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// What a key says of somebody it lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Until when; `None` if what was shown has no end.
    pub until: Option<Timestamp>,
}

/// A key of the configuration.
#[derive(Debug)]
pub struct Key {
    name: String,
    kind: KeyKind,
}

/// What a key is made of.
#[derive(Debug)]
pub struct KeySettings {
    /// Its name: letters, digits, `_` and `-`; not digits alone.
    pub name: String,
    /// Its kind, and what that kind needs.
    pub kind: KindSettings,
}

/// A kind of key, and what it needs.
#[derive(Debug)]
pub enum KindSettings {
    /// Wowza SecureToken v2.
    Wowza(wowza::WowzaSettings),
    /// Opencast's stream security.
    Opencast(opencast::OpencastSettings),
    /// Our own.
    Hmac(hmac::HmacSettings),
    /// JSON Web Tokens.
    Jwt(jwt::JwtSettings),
}

#[derive(Debug)]
enum KeyKind {
    Wowza(wowza::SecureToken),
    Opencast(opencast::SignedUrl),
    Hmac(hmac::SubjectKey),
    Jwt(Box<jwt::WebTokens>),
}

impl Key {
    /// A key, if its settings make one.
    pub fn new(settings: KeySettings) -> Result<Self, KeyFault> {
        let KeySettings { name, kind } = settings;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        if is_number || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
            return Err(KeyFault::Name);
        }
        let kind = match kind {
            KindSettings::Wowza(settings) => KeyKind::Wowza(wowza::SecureToken::new(settings)?),
            KindSettings::Opencast(settings) => KeyKind::Opencast(opencast::SignedUrl::new(settings)?),
            KindSettings::Hmac(settings) => KeyKind::Hmac(hmac::SubjectKey::new(&name, settings)?),
            KindSettings::Jwt(settings) => KeyKind::Jwt(Box::new(jwt::WebTokens::new(settings)?)),
        };
        Ok(Self { name, kind })
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether what was shown opens the subject now.
    pub fn check(
        &self,
        subject: Subject<'_>,
        shown: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        match &self.kind {
            KeyKind::Wowza(key) => key.check(subject, shown, now),
            KeyKind::Opencast(key) => key.check(subject, shown, now),
            KeyKind::Hmac(key) => key.check(subject, shown, now),
            KeyKind::Jwt(key) => key.check(subject, shown, now),
        }
    }

    /// Our own kind, to sign with it.
    pub fn as_hmac(&self) -> Option<&hmac::SubjectKey> {
        if let KeyKind::Hmac(key) = &self.kind { Some(key) } else { None }
    }

    /// The JWTs' kind, to give it the keys that were fetched.
    pub fn as_jwt(&self) -> Option<&jwt::WebTokens> {
        if let KeyKind::Jwt(key) = &self.kind { Some(key) } else { None }
    }
}

/// Good from the first time on, and before the second.
fn in_time(from: Option<Timestamp>, until: Option<Timestamp>, now: Timestamp) -> Result<Pass, Refusal> {
    if until.is_some_and(|until| now >= until) {
        return Err(Refusal::Expired);
    }
    if from.is_some_and(|from| now < from) {
        return Err(Refusal::NotYet);
    }
    Ok(Pass { until })
}

/// Why there can be no key of these settings. The configuration is at fault; no secret is in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// A name that a token could not carry.
    #[error("a key's name has up to {NAME_BYTES_MAX} letters, digits, `_` and `-`, and not digits alone")]
    Name,
    /// A parameter, a prefix or a cookie whose name would have to be percent-encoded or quoted.
    #[error("{0:?} is no name of a parameter or a cookie: write letters, digits, `_`, `-` and `.`")]
    Parameter(String),
    /// A `keyId` that is empty or longer than 256 bytes.
    #[error("`key_id` is what Opencast calls the key; it has 1 to 256 bytes")]
    KeyId,
    /// A fault in a secret.
    #[error(transparent)]
    Secret(#[from] SecretFault),
}

/// A name of a parameter or a cookie that is written as it is.
fn parameter(name: String) -> Result<String, KeyFault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_fine = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain);
    if is_fine { Ok(name) } else { Err(KeyFault::Parameter(name)) }
}

#[cfg(test)]
mod tests;
