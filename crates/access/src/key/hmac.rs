//! Our own token: an HMAC over a subject, so one signature opens a channel or a recording over every protocol, in every
//! spelling, and with its page, poster and captions.
//!
//! ```text
//! token     = [ key "." ] until "." [ "ip." ] signature
//! until     = seconds since 1970, without zeros in front
//! signature = 64 small hexadecimal digits: HMAC-SHA-256(secret, text)
//! text      = "amphi1" LF subject LF until LF [ address ]
//! ```
//! `key` is the key's name in the configuration, for a signer who wants to be told that it is unknown; it needs not be
//! there. With `ip.` the viewer's address is in the text, as RFC 5952 writes it: `192.0.2.7`, `2001:db8::7`. The subject is
//! `Live_PAES`, or `vod/2026/anatomy.smil`: decoded, in normalization form C, with its extension, without `_definst_` and
//! `mp4:`. It opens nothing else: neither what is beneath it, nor what it is beneath.
//!
//! The token is the parameter `token` of the query, or `Authorization: Bearer`. No two subjects and times have one text:
//! neither number nor address has a line's end, so whatever a subject contains, it stands between the first and the last
//! but one.

use core::net::IpAddr;

use jiff::Timestamp;
use ring::hmac;

use super::{KeyFault, Pass, shown};
use crate::secrets::{SecretFault, Secrets, SharedSecret};
use crate::{Credentials, Refusal, Subject};

/// The first line of what is signed.
const VERSION: &str = "amphi1";
/// What says that an address is in what is signed.
const WITH_ADDRESS: &str = "ip";
/// How short a secret may be, in bytes: 128 bits if it is any good.
const SECRET_BYTES_MIN: usize = 16;
/// What the parameter is called where the configuration does not say.
pub const PARAMETER: &str = "token";

/// What our own key needs.
#[derive(Debug)]
pub struct HmacSettings {
    /// The secrets that signers have, of at least 16 bytes.
    pub secrets: Secrets,
    /// The parameter of the query: [`PARAMETER`].
    pub parameter: String,
}

/// Checks tokens of our own, and makes them.
#[derive(Debug)]
pub struct SubjectKey {
    name: String,
    settings: HmacSettings,
}

/// A token, read.
struct SubjectToken<'a> {
    key: Option<&'a str>,
    until: &'a str,
    with_address: bool,
    signature: [u8; 32],
}

impl SubjectKey {
    pub(super) fn new(name: &str, mut settings: HmacSettings) -> Result<Self, KeyFault> {
        settings.parameter = super::parameter(settings.parameter)?;
        if settings.secrets.shortest() < SECRET_BYTES_MIN {
            return Err(SecretFault::Short(SECRET_BYTES_MIN).into());
        }
        Ok(Self { name: name.to_owned(), settings })
    }

    /// The parameter of the query.
    pub fn parameter(&self) -> &str {
        &self.settings.parameter
    }

    /// A secret that is good now, to sign with.
    pub(crate) fn secret(&self, now: Timestamp) -> Option<&SharedSecret> {
        self.settings.secrets.to_sign_with(now)
    }

    pub(super) fn check(
        &self,
        subject: Subject<'_>,
        shown: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        let in_query = shown::only(shown.query, &self.settings.parameter)?;
        let in_query = in_query.as_deref().filter(|token| !shown::is_like_jwt(token));
        let mut refused = Refusal::Missing;
        if let Some(text) = in_query {
            match SubjectToken::read(text).and_then(|token| self.opens(&token, subject, shown.address, now)) {
                Ok(pass) => return Ok(pass),
                Err(refusal) => refused = refusal,
            }
        }
        // A bearer's token may be anybody's: what has not our form is not malformed, but not for us.
        match shown::bearer(shown).map(SubjectToken::read) {
            Some(Ok(token)) => {
                self.opens(&token, subject, shown.address, now).map_err(|refusal| refusal.max(refused))
            }
            _ => Err(refused),
        }
    }

    fn opens(
        &self,
        token: &SubjectToken<'_>,
        subject: Subject<'_>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        let until = shown::unix_seconds(token.until)?;
        if token.key.is_some_and(|key| key != self.name) {
            return Err(Refusal::UnknownKey);
        }
        let text = signed_text(subject, token.until, token.with_address.then_some(address));
        self.settings
            .secrets
            .find(now, |secret| hmac::verify(secret.mac(), text.as_bytes(), &token.signature).is_ok())?;
        super::in_time(None, Some(until), now)
    }
}

impl<'a> SubjectToken<'a> {
    fn read(text: &'a str) -> Result<Self, Refusal> {
        let malformed = Refusal::Malformed;
        let (front, signature) = text.rsplit_once('.').ok_or(malformed)?;
        let signature = shown::from_hex(signature).ok_or(malformed)?;
        let (front, with_address) = match front.rsplit_once('.') {
            Some((front, WITH_ADDRESS)) => (front, true),
            _ => (front, false),
        };
        let (key, until) = match front.split_once('.') {
            Some((key, until)) => (Some(key), until),
            None => (None, front),
        };
        shown::unix_seconds(until)?;
        Ok(Self { key, until, with_address, signature })
    }
}

/// What is signed.
pub(crate) fn signed_text(subject: Subject<'_>, until: &str, address: Option<IpAddr>) -> String {
    let address = address.map(|address| address.to_canonical().to_string()).unwrap_or_default();
    format!("{VERSION}\n{subject}\n{until}\n{address}")
}

/// A token as it is written, without the key's name.
pub(crate) fn written(until: &str, with_address: bool, signature: &[u8]) -> String {
    let mut token = format!("{until}.");
    if with_address {
        token += WITH_ADDRESS;
        token.push('.');
    }
    for byte in signature {
        token.extend(
            [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0')),
        );
    }
    token
}
