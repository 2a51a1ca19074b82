//! ID tokens: the signature and the claims that every one must have (OpenID Connect Core 1.0 §3.1.3.7). Sans-IO; time is an
//! argument.
//!
//! The library verifies the signature alone; claims are read here as what the standard says they are, so that one of a wrong
//! type is refused and not passed over. The key fixes the family of algorithms, and `none` and secrets are none of them.

use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use amphi_media::MediaTime;

/// The most bytes of a token.
const TOKEN_BYTES: usize = 64 * 1024;
/// The most keys of a set that are looked at.
const MOST_KEYS: usize = 64;
/// How far the provider's clock may be from ours, in seconds.
const LEEWAY_S: f64 = 60.0;

/// The algorithms that are taken (RFC 7518 §3.1, RFC 8037 §3.1).
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Why an ID token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenFault {
    #[error("it is too long, or no signed token in three parts")]
    Malformed,
    #[error("its algorithm is not RS256, ES256 or EdDSA")]
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

/// The provider's public keys for signatures.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet(Vec<Jwk>);

impl KeySet {
    /// Reads a JWK set (RFC 7517 §5). Keys of kinds that are not known are left out, as the standard says.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let set: Value = serde_json::from_slice(json).ok()?;
        let keys = set.get("keys")?.as_array()?.iter().take(MOST_KEYS);
        let keys = keys.filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        let signs = |key: &Jwk| matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
        Some(Self(keys.filter(signs).collect()))
    }

    /// The keys that may have signed this: those of its `kid`, or all where it names none.
    fn of<'a>(&'a self, kid: Option<&'a str>, algorithm: Algorithm) -> impl Iterator<Item = &'a Jwk> {
        let wanted = match algorithm {
            Algorithm::RS256 => KeyAlgorithm::RS256,
            Algorithm::ES256 => KeyAlgorithm::ES256,
            _ => KeyAlgorithm::EdDSA,
        };
        self.0.iter().filter(move |key| {
            let is_named = kid.is_none() || key.common.key_id.as_deref() == kid;
            is_named && key.common.key_algorithm.is_none_or(|it| it == wanted)
        })
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
    keys: &KeySet,
    expected: Expected<'_>,
) -> Result<Map<String, Value>, TokenFault> {
    if token.len() > TOKEN_BYTES || token.split('.').count() != 3 {
        return Err(TokenFault::Malformed);
    }
    // An algorithm that the library does not know, such as `none`, is a fault of the header.
    let header = decode_header(token).map_err(|_| TokenFault::Algorithm)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(TokenFault::Algorithm);
    }
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let mut fault = TokenFault::UnknownKey;
    for key in keys.of(header.kid.as_deref(), header.alg) {
        let Ok(key) = DecodingKey::from_jwk(key) else { continue };
        match decode::<Map<String, Value>>(token, &key, &validation) {
            Ok(token) => return judge(token.claims, expected),
            // Of another family than the algorithm.
            Err(error) if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::InvalidAlgorithm) => {}
            Err(_) => fault = TokenFault::Signature,
        }
    }
    Err(fault)
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
