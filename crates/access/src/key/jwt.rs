//! JSON Web Tokens (RFC 7519), signed (RFC 7515) by a portal or an identity provider.
//!
//! A token is looked for in `Authorization: Bearer`, then in parameters of the query, then in a cookie; the first one that
//! opens the subject does. The checks, in this order: its form ([`Refusal::Malformed`]); a key with its `kid` for its
//! algorithm ([`Refusal::UnknownKey`]); the signature; `iss` and `aud`, where they are configured, and what its claims open
//! ([`Refusal::OtherSubject`]); `exp`, which is demanded, and `nbf`, with 30 seconds of leeway.
//!
//! The key says which algorithm it is for, never the token: a public key cannot be used as a secret, `none` is no algorithm,
//! and a secret is never taken out of a set of published keys. [`verified`] is this part alone, for tokens that say something
//! else: those of a sign-in.
//!
//! A portal's service worker sends its token with every request, so tokens whose signature was right are kept, by their
//! SHA-256, until there are [`CACHED_TOKENS`] newer ones: then a check costs 0.4 µs, half of it the hash, instead of a
//! signature. Times and claims are asked at each request. Other keys ([`WebTokens::replace_keys`]) begin with an empty cache.

mod claims;
mod fault;
mod keys;
mod signed;

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;
use ring::{digest, hmac};

pub use fault::JwtFault;
pub use keys::{KEY_SET_BYTES_MAX, KeySetFault, PublicKeys};
pub use signed::verified;

use super::{KeyFault, Pass, shown};
use crate::secrets::{SecretFault, Secrets};
use crate::{Credentials, Refusal, Subject};
use claims::Claims;
use signed::SignedToken;

/// How much clocks may differ. Nothing else here has leeway.
const LEEWAY: SignedDuration = SignedDuration::from_secs(30);
/// How many tokens with a right signature are kept: more than viewers whose portal gives each a token of his own.
pub const CACHED_TOKENS: usize = 8192;
/// The shortest secret of HS256, in bytes (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;

/// With what signatures are checked.
#[derive(Debug)]
pub enum JwtProof {
    /// HS256, with secrets of at least 32 bytes.
    Secrets(Secrets),
    /// Public keys of a file: RS256, ES256, ES384, EdDSA.
    Keys(PublicKeys),
    /// Public keys that are fetched: until the first are there, [`Refusal::Unavailable`].
    Fetched,
}

/// What JWTs need.
#[derive(Debug)]
pub struct JwtSettings {
    /// With what signatures are checked.
    pub proof: JwtProof,
    /// One of them must be `iss`; none: any.
    pub issuers: Vec<String>,
    /// One of them must be in `aud`; none: any.
    pub audiences: Vec<String>,
    /// Parameters of the query: `jwt` and `token`.
    pub parameters: Vec<String>,
    /// The cookie: `jwt`. None is read if there is no name.
    pub cookie: Option<String>,
    /// Whether a token that says nothing about what it opens does open everything that names this key.
    pub any_claims: bool,
}

/// Checks JWTs.
#[derive(Debug)]
pub struct WebTokens {
    settings: JwtSettings,
    /// Keys, and what was checked with them.
    published: ArcSwap<Published>,
}

#[derive(Debug)]
struct Published {
    keys: Option<PublicKeys>,
    verified: Cache<[u8; 32], Arc<Verified>>,
}

impl Published {
    fn new(keys: Option<PublicKeys>) -> Self {
        Self { keys, verified: Cache::new(CACHED_TOKENS) }
    }
}

/// What a token says whose signature is right.
#[derive(Debug)]
struct Verified {
    claims: Claims,
    /// `nbf` and `exp`, with the leeway.
    from: Option<Timestamp>,
    until: Timestamp,
    /// Until when its secret is good.
    secret_until: Option<Timestamp>,
}

impl WebTokens {
    pub(super) fn new(mut settings: JwtSettings) -> Result<Self, KeyFault> {
        let parameters = settings.parameters.into_iter().map(super::parameter);
        settings.parameters = parameters.collect::<Result<_, _>>()?;
        settings.cookie = settings.cookie.map(super::parameter).transpose()?;
        let keys = match &mut settings.proof {
            JwtProof::Secrets(secrets) if secrets.shortest() < SECRET_BYTES_MIN => {
                return Err(SecretFault::Short(SECRET_BYTES_MIN).into());
            }
            JwtProof::Keys(keys) => Some(keys.clone()),
            JwtProof::Secrets(_) | JwtProof::Fetched => None,
        };
        Ok(Self { settings, published: ArcSwap::from_pointee(Published::new(keys)) })
    }

    /// Takes over keys that were fetched; tokens that were checked with others are checked anew. `false` if this key has
    /// secrets, which nobody publishes.
    pub fn replace_keys(&self, keys: PublicKeys) -> bool {
        if matches!(self.settings.proof, JwtProof::Secrets(_)) {
            return false;
        }
        if self.published.load().keys.as_ref() != Some(&keys) {
            self.published.store(Arc::new(Published::new(Some(keys))));
        }
        true
    }

    pub(super) fn check(
        &self,
        subject: Subject<'_>,
        shown: &Credentials<'_>,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        let published = self.published.load();
        let mut refused = Refusal::Missing;
        let mut opens = |token: &str| match self.opens(&published, token, subject, now) {
            Ok(pass) => Some(pass),
            Err(refusal) => {
                refused = refused.max(refusal);
                None
            }
        };
        // A bearer's token may be anybody's: without our form it is not for us.
        if let Some(pass) =
            shown::bearer(shown).filter(|token| shown::is_like_jwt(token)).and_then(&mut opens)
        {
            return Ok(pass);
        }
        for name in &self.settings.parameters {
            let pass = match shown::only(shown.query, name) {
                Ok(token) => token.filter(|token| !is_ours(token)).and_then(|token| opens(&token)),
                Err(refusal) => return Err(refusal.max(refused)),
            };
            if let Some(pass) = pass {
                return Ok(pass);
            }
        }
        let cookie = self.settings.cookie.as_ref().and_then(|name| shown::cookie(shown, name));
        cookie.and_then(&mut opens).ok_or(refused)
    }

    fn opens(
        &self,
        published: &Published,
        token: &str,
        subject: Subject<'_>,
        now: Timestamp,
    ) -> Result<Pass, Refusal> {
        if token.len() > shown::TOKEN_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        let hash: [u8; 32] = digest.as_ref().try_into().map_err(|_| Refusal::Malformed)?;
        let is_good = |it: &Arc<Verified>| it.secret_until.is_none_or(|until| now < until);
        let verified = if let Some(verified) = published.verified.get(&hash).filter(is_good) {
            verified
        } else {
            let verified = Arc::new(self.verify(published, token, now)?);
            published.verified.insert(hash, Arc::clone(&verified));
            verified
        };
        if !verified.claims.open(subject, self.settings.any_claims) {
            return Err(Refusal::OtherSubject);
        }
        super::in_time(verified.from, Some(verified.until), now)
    }

    /// Form, key, signature, issuer and audience.
    fn verify(&self, published: &Published, token: &str, now: Timestamp) -> Result<Verified, Refusal> {
        let token = SignedToken::read(token, shown::TOKEN_BYTES_MAX)?;
        let secret_until = match &self.settings.proof {
            JwtProof::Secrets(secrets) => {
                if token.algorithm() != "HS256" {
                    return Err(Refusal::UnknownKey);
                }
                let is_signed_with =
                    |mac: &hmac::Key| hmac::verify(mac, token.signed, &token.signature).is_ok();
                secrets.find(now, |secret| is_signed_with(secret.mac()))?.until()
            }
            JwtProof::Keys(_) | JwtProof::Fetched => {
                token.is_signed_by(published.keys.as_ref().ok_or(Refusal::Unavailable)?)?;
                None
            }
        };
        let claims = Claims::read(&token.payload, &self.settings.issuers, &self.settings.audiences)?;
        let time = |time: Timestamp, leeway| time.checked_add(leeway).map_err(|_| Refusal::Malformed);
        let from = claims.from.map(|from| time(from, -LEEWAY)).transpose()?;
        let until = time(claims.until, LEEWAY)?;
        Ok(Verified { claims, from, until, secret_until })
    }
}

/// Whether it has the form of a token of our own, which begins with a time or has one after the key's name.
fn is_ours(token: &str) -> bool {
    token.rsplit_once('.').is_some_and(|(_, signature)| shown::from_hex(signature).is_some())
}
