//! ID tokens: the signature and the claims that every one must have (OpenID Connect Core 1.0 §3.1.3.7). Sans-IO; time is an
//! argument.
//!
//! The signature is verified by `amphi_access`, where the key fixes the algorithm; claims are read here as what the standard
//! says they are, so that one of a wrong type is refused and not passed over.

use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use amphi_access::key::jwt::{self, JwtFault, PublicKeys};
use amphi_media::MediaTime;

/// The most bytes of a token: more than viewers' have, because all of somebody's groups may be in it.
const TOKEN_BYTES: usize = 64 * 1024;
/// How far the provider's clock may be from ours, in seconds.
const LEEWAY_S: f64 = 60.0;

/// Why an ID token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenFault {
    #[error("it is too long, or no signed token in three parts, or its claims are no JSON object")]
    Malformed,
    #[error(
        "its header does not say that it is signed with RS256, ES256, ES384 or EdDSA, or has extensions (crit)"
    )]
    Algorithm,
    #[error("its key is not among those that the provider publishes")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it is of another issuer (iss)")]
    Issuer,
    #[error("it is for another client (aud, azp)")]
    Audience,
    #[error("it has expired (exp), or the clocks differ")]
    Expired,
    #[error("it is of the future (iat, nbf): the clocks differ")]
    NotYet,
    #[error("it belongs to another sign-in (nonce)")]
    Nonce,
    #[error("it names nobody (sub)")]
    Nobody,
}

impl From<JwtFault> for TokenFault {
    fn from(fault: JwtFault) -> Self {
        match fault {
            JwtFault::Form => Self::Malformed,
            JwtFault::Header | JwtFault::Algorithm => Self::Algorithm,
            JwtFault::UnknownKey => Self::UnknownKey,
            JwtFault::Signature => Self::Signature,
        }
    }
}

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: MediaTime,
}

/// The claims of `token`, if it is signed by one of `keys` and says what is expected.
pub(super) fn verify(
    token: &str,
    keys: &PublicKeys,
    expected: Expected<'_>,
) -> Result<Map<String, Value>, TokenFault> {
    let payload = jwt::verified(token, keys, TOKEN_BYTES)?;
    judge(serde_json::from_slice(&payload).map_err(|_| TokenFault::Malformed)?, expected)
}

fn judge(claims: Map<String, Value>, expected: Expected<'_>) -> Result<Map<String, Value>, TokenFault> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(TokenFault::Issuer);
    }
    let (is_ours, is_alone) = match claims.get("aud") {
        Some(Value::String(one)) => (one == expected.client_id, true),
        Some(Value::Array(all)) => (all.iter().any(|one| one == expected.client_id), all.len() == 1),
        _ => (false, true),
    };
    // §3.1.3.7, 4 and 5: with several audiences the authorized party is named, and is this client.
    let party = match claims.get("azp") {
        None => is_alone,
        Some(party) => party == expected.client_id,
    };
    if !is_ours || !party {
        return Err(TokenFault::Audience);
    }
    let now = expected.now.as_millis() as f64 / 1000.0;
    let ends = claims.get("exp").and_then(Value::as_f64).ok_or(TokenFault::Expired)?;
    if now >= ends + LEEWAY_S {
        return Err(TokenFault::Expired);
    }
    for name in ["iat", "nbf"] {
        let Some(value) = claims.get(name) else { continue };
        if value.as_f64().is_none_or(|begins| now < begins - LEEWAY_S) {
            return Err(TokenFault::NotYet);
        }
    }
    let nonce = text("nonce").unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(TokenFault::Nonce);
    }
    if text("sub").is_none_or(str::is_empty) {
        return Err(TokenFault::Nobody);
    }
    Ok(claims)
}
