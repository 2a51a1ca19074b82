//! The public keys of whoever signs JWTs: JSON Web Key Sets (RFC 7517), and PEM.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use spki::der::DecodePem as _;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoOwned};

use super::fault::JwtFault;

/// The longest set that is read, in bytes.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;
/// How many keys for signatures a set has.
const MOST_KEYS: usize = 64;
/// With how many keys a token is tried. So many fit only where it or they have no `kid`; OpenID Connect Core 1.0 §10.1 demands
/// one where there are several keys.
const MOST_TRIED: usize = 16;
/// How many keys a set has, those for something else too.
const MOST_PUBLISHED: usize = 256;
/// How short an RSA modulus may be, in bytes (RFC 7518 §3.3).
const RSA_BYTES_MIN: usize = 256;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const EDWARDS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What a key signs with (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignedBy {
    Rs256,
    Es256,
    Es384,
    EdDsa,
}

impl SignedBy {
    /// As `alg` names it; EdDSA over Ed25519 has two names (RFC 9864 §2.2).
    fn named(alg: &str) -> Option<Self> {
        match alg {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
            Self::EdDsa => &ED25519,
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
struct PublicKey {
    kid: Option<String>,
    signed_by: SignedBy,
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    /// A point of a curve, or an RSA key in DER.
    Encoded(Vec<u8>),
    /// Modulus and exponent, big-endian without zeros in front.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// The public keys of one signer; at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKeys(Vec<PublicKey>);

impl fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (key.signed_by, &key.kid))).finish()
    }
}

impl PublicKeys {
    /// Reads a JSON Web Key Set. Keys for something else are passed over: encryption, other algorithms, secrets.
    pub fn from_jwks(text: &str) -> Result<Self, KeySetFault> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetFault::Large);
        }
        let set: Set = serde_json::from_str(text).map_err(|_| KeySetFault::Json)?;
        if set.keys.len() > MOST_PUBLISHED {
            return Err(KeySetFault::Many);
        }
        let keys =
            set.keys.into_iter().filter_map(|key| serde_json::from_value::<WebKey>(key).ok()?.usable());
        let keys: Vec<_> = keys.collect();
        match keys.len() {
            0 => Err(KeySetFault::NoneUsable),
            1..=MOST_KEYS => Ok(Self(keys)),
            _ => Err(KeySetFault::Many),
        }
    }

    /// Reads a public key in PEM (`-----BEGIN PUBLIC KEY-----`, RFC 7468 §13).
    pub fn from_pem(text: &str) -> Result<Self, KeySetFault> {
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(KeySetFault::Large);
        }
        let info = SubjectPublicKeyInfoOwned::from_pem(text.trim()).map_err(|_| KeySetFault::Pem)?;
        let curve = || info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        let signed_by = match info.algorithm.oid {
            RSA => SignedBy::Rs256,
            EC if curve() == Some(P256) => SignedBy::Es256,
            EC if curve() == Some(P384) => SignedBy::Es384,
            EDWARDS => SignedBy::EdDsa,
            _ => return Err(KeySetFault::NoneUsable),
        };
        let bytes = info.subject_public_key.as_bytes().ok_or(KeySetFault::Pem)?;
        let is_fine = match signed_by {
            SignedBy::Rs256 => bytes.len() > RSA_BYTES_MIN,
            SignedBy::Es256 => bytes.len() == 65,
            SignedBy::Es384 => bytes.len() == 97,
            SignedBy::EdDsa => bytes.len() == 32,
        };
        if !is_fine {
            return Err(KeySetFault::NoneUsable);
        }
        Ok(Self(vec![PublicKey { kid: None, signed_by, material: Material::Encoded(bytes.to_vec()) }]))
    }

    /// Checks a signature with the keys of that name, or those without one, that are for that algorithm.
    pub(super) fn verify(
        &self,
        alg: &str,
        kid: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), JwtFault> {
        let signed_by = SignedBy::named(alg).ok_or(JwtFault::Algorithm)?;
        let is_named = |key: &&PublicKey| match (kid, &key.kid) {
            (Some(kid), Some(own)) => kid == own,
            _ => true,
        };
        let mut fault = JwtFault::UnknownKey;
        let fitting = self.0.iter().filter(|key| key.signed_by == signed_by).filter(is_named);
        for key in fitting.take(MOST_TRIED) {
            let verified = match &key.material {
                Material::Encoded(bytes) => {
                    UnparsedPublicKey::new(signed_by.algorithm(), bytes).verify(signed, signature)
                }
                Material::Rsa { n, e } => {
                    RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                }
            };
            match verified {
                Ok(()) => return Ok(()),
                Err(_) => fault = JwtFault::Signature,
            }
        }
        Err(fault)
    }
}

/// A key as it is published (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
#[derive(Deserialize)]
struct WebKey {
    kty: String,
    #[serde(rename = "use")]
    used_for: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl WebKey {
    /// As a key that checks signatures of an algorithm that we know.
    fn usable(self) -> Option<PublicKey> {
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let number = |text: &Option<String>| {
            let bytes = bytes(text)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            bytes.get(zeros..).map(<[u8]>::to_vec)
        };
        let point = |size: usize| {
            let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
            // Uncompressed (SEC 1 §2.3.3).
            (x.len() == size && y.len() == size).then(|| [&[4][..], &x, &y].concat())
        };
        if self.used_for.as_deref().is_some_and(|it| it != "sig") {
            return None;
        }
        let (signed_by, material) = match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (number(&self.n)?, number(&self.e)?);
                (n.len() >= RSA_BYTES_MIN).then_some((SignedBy::Rs256, Material::Rsa { n, e }))?
            }
            ("EC", Some("P-256")) => (SignedBy::Es256, Material::Encoded(point(32)?)),
            ("EC", Some("P-384")) => (SignedBy::Es384, Material::Encoded(point(48)?)),
            ("OKP", Some("Ed25519")) => {
                let x = bytes(&self.x).filter(|x| x.len() == 32)?;
                (SignedBy::EdDsa, Material::Encoded(x))
            }
            _ => return None,
        };
        let is_for_it = self.alg.as_deref().is_none_or(|alg| SignedBy::named(alg) == Some(signed_by));
        is_for_it.then_some(PublicKey { kid: self.kid, signed_by, material })
    }
}

/// Why there are no keys in a text. Whoever published it is at fault, or the configuration names the wrong file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetFault {
    /// More than 256 KiB.
    #[error("it has more than {KEY_SET_BYTES_MAX} bytes: that is no set of keys")]
    Large,
    /// No JSON Web Key Set.
    #[error("it is no JSON Web Key Set (RFC 7517): `{{\"keys\": [ … ]}}`")]
    Json,
    /// No public key in PEM.
    #[error("it is no public key in PEM: `-----BEGIN PUBLIC KEY-----`, as `openssl pkey -pubout` writes it")]
    Pem,
    /// More keys than are used.
    #[error("it has more than {MOST_KEYS} keys for signatures, or {MOST_PUBLISHED} in all")]
    Many,
    /// No key for RS256 with at least 2048 bits, ES256, ES384 or EdDSA.
    #[error("it has no key for RS256 (of 2048 bits or more), ES256, ES384 or EdDSA with Ed25519")]
    NoneUsable,
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "11qYAycYSxDcVAaaVXCJGAk0rqc7EoNGdGjgLmy0ZRs";

    fn set(keys: &str) -> Result<PublicKeys, KeySetFault> {
        PublicKeys::from_jwks(&format!(r#"{{"keys":[{keys}]}}"#))
    }

    #[test]
    fn keys_for_something_else_are_passed_over() {
        let good = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{X}"}}"#);
        assert_eq!(set(&good).map(|PublicKeys(keys)| keys.len()), Ok(1));
        let small = format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, "A".repeat(100));
        for other in [
            r#"{"kty":"oct","k":"AAAA"}"#.to_owned(),
            format!(r#"{{"kty":"OKP","crv":"X25519","x":"{X}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","use":"enc"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","alg":"RS256"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}A"}}"#),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}"}}"#),
            format!(r#"{{"kty":"EC","crv":"P-384","x":"{X}","y":"{X}"}}"#),
            small,
            "7".to_owned(),
            "{}".to_owned(),
        ] {
            assert_eq!(set(&other), Err(KeySetFault::NoneUsable), "{other}");
            assert_eq!(set(&format!("{other},{good}")).map(|PublicKeys(keys)| keys.len()), Ok(1), "{other}");
        }
        assert_eq!(set(&vec![&*good; MOST_KEYS + 1].join(",")), Err(KeySetFault::Many));
        assert_eq!(set(&vec!["{}"; MOST_PUBLISHED + 1].join(",")), Err(KeySetFault::Many));
    }

    #[test]
    fn what_is_no_set_is_said() {
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(PublicKeys::from_jwks(text), Err(KeySetFault::Json), "{text}");
            assert_eq!(PublicKeys::from_pem(text), Err(KeySetFault::Pem), "{text}");
        }
        let large = " ".repeat(KEY_SET_BYTES_MAX + 1);
        assert_eq!(PublicKeys::from_jwks(&large), Err(KeySetFault::Large));
        assert_eq!(PublicKeys::from_pem(&large), Err(KeySetFault::Large));
        // X25519: for agreement, not for signatures.
        let other = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEA11qYAycYSxDcVAaaVXCJGAk0rqc7EoNGdGjgLmy0ZRs=\n-----END PUBLIC KEY-----\n";
        assert_eq!(PublicKeys::from_pem(other), Err(KeySetFault::NoneUsable));
        let edwards = other.replace("VuAyEA", "VwAyEA");
        assert!(PublicKeys::from_pem(&edwards).is_ok());
    }
}
