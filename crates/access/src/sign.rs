//! Makes tokens of our own: what `amphi sign` does, and what a site's pages do with six lines of theirs.

use core::net::IpAddr;

use jiff::Timestamp;
use ring::hmac;

use crate::Subject;
use crate::key::hmac::{SubjectKey, signed_text, written};
use crate::secrets::SharedSecret;

/// Signs with one key.
#[derive(Clone, Debug)]
pub struct Signer<'a> {
    parameter: &'a str,
    secret: &'a SharedSecret,
}

impl<'a> Signer<'a> {
    /// Signs with that of the key's secrets that is good now and will be so the longest.
    pub fn new(key: &'a SubjectKey, now: Timestamp) -> Result<Self, SignFault> {
        let secret = key.secret(now).ok_or(SignFault::NoSecret)?;
        Ok(Self { parameter: key.parameter(), secret })
    }

    /// A token for a subject, good before `until`, of which whole seconds count; from one address alone, if one is given.
    pub fn sign(
        &self,
        subject: Subject<'_>,
        until: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<String, SignFault> {
        if self.secret.until().is_some_and(|end| until > end) {
            return Err(SignFault::Outlives);
        }
        let seconds = u64::try_from(until.as_second()).map_err(|_| SignFault::Past)?.to_string();
        let text = signed_text(subject, &seconds, address);
        let signature = hmac::sign(self.secret.mac(), text.as_bytes());
        Ok(written(&seconds, address.is_some(), signature.as_ref()))
    }

    /// A URL with a token in its query, instead of one that it has already.
    pub fn url(&self, url: &str, token: &str) -> String {
        let (url, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let is_other = |part: &&str| {
            !part.is_empty() && part.split_once('=').map_or(*part, |(name, _)| name) != self.parameter
        };
        let own = format!("{}={token}", self.parameter);
        let query: Vec<_> = query.split('&').filter(is_other).chain([&*own]).collect();
        format!("{base}?{}{fragment}", query.join("&"))
    }
}

/// Why nothing is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignFault {
    /// None of the key's secrets is good now.
    #[error("none of the key's secrets is good now: look at their `from` and `until`")]
    NoSecret,
    /// The secret is good for less long.
    #[error("the key's secret runs out before that: sign for less long, or add a secret to the key")]
    Outlives,
    /// A time before 1970.
    #[error("it would have run out before 1970")]
    Past,
}
