//! Tokens in their compact form (RFC 7515 §7.1): form, header and signature, nothing of their claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fault::JwtFault;
use super::keys::PublicKeys;

/// A token that has been taken apart. Nothing of it is believed yet.
pub(super) struct SignedToken<'a> {
    header: JwtHeader,
    /// What is signed: header and payload as they came.
    pub(super) signed: &'a [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// The header (RFC 7515 §4.1). What it says about keys (`jwk`, `jku`, `x5u`) is not read.
#[derive(Deserialize)]
struct JwtHeader {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl<'a> SignedToken<'a> {
    /// Takes a token of at most `bytes_max` bytes apart.
    pub(super) fn read(token: &'a str, bytes_max: usize) -> Result<Self, JwtFault> {
        if token.len() > bytes_max {
            return Err(JwtFault::Form);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtFault::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtFault::Form)?;
        if payload.contains('.') {
            return Err(JwtFault::Form);
        }
        let decode = |text: &str, fault| URL_SAFE_NO_PAD.decode(text).map_err(|_| fault);
        let header = decode(header, JwtFault::Header)?;
        let header: JwtHeader = serde_json::from_slice(&header).map_err(|_| JwtFault::Header)?;
        // Extensions that must be understood (§4.1.11): none is.
        if header.crit.is_some() {
            return Err(JwtFault::Header);
        }
        let payload = decode(payload, JwtFault::Form)?;
        let signature = decode(signature, JwtFault::Form)?;
        Ok(Self { header, signed: signed.as_bytes(), payload, signature })
    }

    /// `alg`, which says what the signer claims, never how we check.
    pub(super) fn algorithm(&self) -> &str {
        &self.header.alg
    }

    /// Whether one of the keys has signed it.
    pub(super) fn is_signed_by(&self, keys: &PublicKeys) -> Result<(), JwtFault> {
        keys.verify(&self.header.alg, self.header.kid.as_deref(), self.signed, &self.signature)
    }
}

/// The payload of a token of at most `bytes_max` bytes that one of the keys has signed: JSON, if the signer follows RFC 7519.
///
/// Whom it is for, from whom it is, and until when, is not asked here: whoever calls this must read its claims.
///
/// The key fixes the algorithm: `none` and secrets are refused, whatever the header says.
pub fn verified(token: &str, keys: &PublicKeys, bytes_max: usize) -> Result<Vec<u8>, JwtFault> {
    let token = SignedToken::read(token, bytes_max)?;
    token.is_signed_by(keys)?;
    Ok(token.payload)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::{Value, json};

    use super::*;

    const BYTES_MAX: usize = 4096;

    struct Signer(Ed25519KeyPair);

    impl Signer {
        fn new(seed: u8) -> Self {
            Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key"))
        }

        fn public(&self, kid: &str) -> Value {
            let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
            if kid.is_empty() {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            } else {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid })
            }
        }

        fn sign(&self, header: &Value, payload: &str) -> String {
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let signed = format!("{}.{}", part(&header.to_string()), part(payload));
            let signature = URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes()));
            format!("{signed}.{signature}")
        }
    }

    fn set(keys: &[Value]) -> PublicKeys {
        PublicKeys::from_jwks(&json!({ "keys": keys }).to_string()).expect("a set")
    }

    #[test]
    fn what_is_signed_comes_back_as_it_was() {
        let signer = Signer::new(1);
        let keys = set(&[signer.public("one")]);
        for payload in ["{}", "no JSON", "", "{\"exp\":1}"] {
            let token = signer.sign(&json!({ "alg": "EdDSA", "kid": "one" }), payload);
            assert_eq!(verified(&token, &keys, token.len()).as_deref(), Ok(payload.as_bytes()));
            assert_eq!(verified(&token, &keys, token.len() - 1), Err(JwtFault::Form));
        }
    }

    #[test]
    fn each_fault_has_its_name() {
        let signer = Signer::new(1);
        let keys = set(&[signer.public("one")]);
        let of = |token: &str| verified(token, &keys, BYTES_MAX).err();
        for (header, fault) in [
            (json!({ "alg": "EdDSA" }), None),
            (json!({ "alg": "Ed25519", "typ": "JWT", "jwk": Signer::new(2).public("one") }), None),
            (json!({ "alg": "EdDSA", "kid": "two" }), Some(JwtFault::UnknownKey)),
            (json!({ "alg": "RS256", "kid": "one" }), Some(JwtFault::UnknownKey)),
            (json!({ "alg": "none" }), Some(JwtFault::Algorithm)),
            (json!({ "alg": "HS256" }), Some(JwtFault::Algorithm)),
            (json!({ "alg": "eddsa" }), Some(JwtFault::Algorithm)),
            (json!({ "alg": "EdDSA", "crit": ["b64"], "b64": false }), Some(JwtFault::Header)),
            (json!({ "alg": 1 }), Some(JwtFault::Header)),
            (json!({ "kid": "one" }), Some(JwtFault::Header)),
            (json!([]), Some(JwtFault::Header)),
        ] {
            assert_eq!(of(&signer.sign(&header, "{}")), fault, "{header}");
        }
        let good = signer.sign(&json!({ "alg": "EdDSA" }), "{}");
        let (signed, signature) = good.rsplit_once('.').expect("three parts");
        for (token, fault) in [
            (String::new(), JwtFault::Form),
            (signed.to_owned(), JwtFault::Form),
            (format!("{good}."), JwtFault::Form),
            (format!("{good}="), JwtFault::Form),
            (format!("{good}.{signature}"), JwtFault::Form),
            (format!("..{signature}"), JwtFault::Header),
            (format!("{signed}."), JwtFault::Signature),
            (Signer::new(2).sign(&json!({ "alg": "EdDSA" }), "{}"), JwtFault::Signature),
        ] {
            assert_eq!(of(&token), Some(fault), "{token}");
        }
    }

    #[test]
    fn a_header_that_says_a_thing_twice_is_refused() {
        let signer = Signer::new(1);
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"EdDSA"}"#);
        let signed = format!("{header}.e30");
        let signature = URL_SAFE_NO_PAD.encode(signer.0.sign(signed.as_bytes()));
        let token = format!("{signed}.{signature}");
        assert_eq!(verified(&token, &set(&[signer.public("")]), BYTES_MAX), Err(JwtFault::Header));
    }

    #[test]
    fn a_token_without_a_name_is_not_tried_with_every_key() {
        let signers: Vec<_> = (0..20).map(Signer::new).collect();
        let named: Vec<_> = signers.iter().enumerate().map(|(at, it)| it.public(&at.to_string())).collect();
        let keys = set(&named);
        let at =
            |at: usize, header: &Value| verified(&signers[at].sign(header, "{}"), &keys, BYTES_MAX).err();
        assert_eq!(at(15, &json!({ "alg": "EdDSA" })), None);
        assert_eq!(at(16, &json!({ "alg": "EdDSA" })), Some(JwtFault::Signature));
        assert_eq!(at(16, &json!({ "alg": "EdDSA", "kid": "16" })), None);
    }
}
