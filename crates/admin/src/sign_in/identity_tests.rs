//! ID tokens that are good, and each way in which one is not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};

use super::fake::SigningKey;
use super::identity::{Expected, TokenFault, verify};
use amphi_access::key::jwt::PublicKeys;
use amphi_media::MediaTime;

const NOW_S: i64 = 1_795_000_000;
const EXPECTED: Expected<'static> = Expected {
    issuer: "https://login.example.org",
    client_id: "amphi",
    nonce: "n-0S6_WzA2Mj",
    now: MediaTime::from_millis(NOW_S * 1000),
};

fn claims() -> Value {
    json!({
        "iss": EXPECTED.issuer, "aud": EXPECTED.client_id, "sub": "7", "nonce": EXPECTED.nonce,
        "iat": NOW_S, "exp": NOW_S + 300,
    })
}

fn set(keys: &[&SigningKey]) -> PublicKeys {
    let keys: Vec<_> = keys.iter().map(|it| it.public.clone()).collect();
    PublicKeys::from_jwks(&json!({ "keys": keys }).to_string()).expect("a set")
}

#[test]
fn tokens_of_each_algorithm_are_taken() {
    let (one, two) = (SigningKey::ecdsa("one"), SigningKey::edwards("two"));
    let keys = set(&[&one, &two]);
    for (key, kid) in [(&one, Some("one")), (&two, Some("two")), (&one, None), (&two, None)] {
        let claims = verify(&key.sign(kid, &claims()), &keys, EXPECTED).expect("it is good");
        assert_eq!(claims["sub"], "7");
    }
}

#[test]
fn claims_that_are_signed_and_no_object_are_refused() {
    let key = SigningKey::edwards("one");
    for claims in [json!([]), json!("sub"), Value::Null] {
        assert_eq!(
            verify(&key.sign(None, &claims), &set(&[&key]), EXPECTED),
            Err(TokenFault::Malformed),
            "{claims}"
        );
    }
}

/// RFC 7515, appendix A.2: RS256. Its claims are of another issuer, which is asked about after the signature.
#[test]
fn the_rsa_example_of_the_standard_verifies() {
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
                 cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let keys = json!({ "keys": [{ "kty": "RSA", "n": n, "e": "AQAB" }] }).to_string();
    let keys = PublicKeys::from_jwks(&keys).expect("a set");
    assert_eq!(verify(token, &keys, EXPECTED), Err(TokenFault::Issuer));
    let spoilt = token.replacen("cC4h", "cC4i", 1);
    assert_eq!(verify(&spoilt, &keys, EXPECTED), Err(TokenFault::Signature));
}

#[test]
fn each_wrong_claim_is_refused() {
    use TokenFault::{Audience, Expired, Issuer, Nobody, Nonce, NotYet};
    let key = SigningKey::ecdsa("one");
    let keys = set(&[&key]);
    for (name, value, fault) in [
        ("iss", json!("https://evil.example"), Some(Issuer)),
        ("iss", json!([EXPECTED.issuer]), Some(Issuer)),
        ("iss", Value::Null, Some(Issuer)),
        ("aud", json!("other"), Some(Audience)),
        ("aud", json!([]), Some(Audience)),
        ("aud", json!(["amphi"]), None),
        ("aud", json!(["amphi", "other"]), Some(Audience)),
        ("aud", json!({ "amphi": 1 }), Some(Audience)),
        ("azp", json!("amphi"), None),
        ("azp", json!("other"), Some(Audience)),
        ("exp", json!(NOW_S - 60), Some(Expired)),
        ("exp", json!(NOW_S - 59), None),
        ("exp", json!((NOW_S + 300).to_string()), Some(Expired)),
        ("exp", Value::Null, Some(Expired)),
        ("nbf", json!(NOW_S + 61), Some(NotYet)),
        ("nbf", json!("tomorrow"), Some(NotYet)),
        ("iat", json!(NOW_S + 3600), Some(NotYet)),
        ("nonce", json!("another"), Some(Nonce)),
        ("nonce", json!(""), Some(Nonce)),
        ("nonce", Value::Null, Some(Nonce)),
        ("sub", json!(""), Some(Nobody)),
        ("sub", json!(7), Some(Nobody)),
    ] {
        let mut wrong = claims();
        wrong[name] = value.clone();
        let verified = verify(&key.sign(Some("one"), &wrong), &keys, EXPECTED);
        assert_eq!(verified.err(), fault, "{name} = {value}");
    }
    let mut two = claims();
    (two["aud"], two["azp"]) = (json!(["amphi", "other"]), json!("amphi"));
    assert!(verify(&key.sign(None, &two), &keys, EXPECTED).is_ok());
}

#[test]
fn what_the_provider_has_not_signed_is_refused() {
    let (key, other) = (SigningKey::ecdsa("one"), SigningKey::ecdsa("one"));
    let keys = set(&[&key]);
    let of = |token: &str| verify(token, &keys, EXPECTED).err();
    assert_eq!(of(&other.sign(Some("one"), &claims())), Some(TokenFault::Signature));
    assert_eq!(of(&key.sign(Some("two"), &claims())), Some(TokenFault::UnknownKey));
    assert_eq!(of(&SigningKey::edwards("one").sign(Some("one"), &claims())), Some(TokenFault::UnknownKey));

    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for header in
        [json!({ "alg": "none" }), json!({ "alg": "None" }), json!({ "typ": "JWT" }), json!({ "alg": 1 })]
    {
        let token = format!("{}.{}.", part(&header), part(&claims()));
        assert_eq!(of(&token), Some(TokenFault::Algorithm), "{header}");
    }
    // The public key as a secret: the classic confusion of algorithms.
    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public.to_string().as_bytes());
    let signed = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims()));
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&secret, signed.as_bytes())));
    assert_eq!(of(&token), Some(TokenFault::Algorithm));
    for text in ["", "a.b", "a.b.c.d", &"x".repeat(70_000)] {
        assert_eq!(of(text), Some(TokenFault::Malformed));
    }
    assert_eq!(of("a.b.c"), Some(TokenFault::Algorithm));
}

#[test]
fn a_set_of_keys_is_read_leniently_and_used_strictly() {
    let (key, other) = (SigningKey::ecdsa("one"), SigningKey::edwards("two"));
    let token = key.sign(Some("one"), &claims());
    let with = |change: fn(&mut Value)| {
        let mut public = key.public.clone();
        change(&mut public);
        let keys = json!({ "keys": [{ "kty": "XYZ" }, 3, other.public, public] }).to_string();
        verify(&token, &PublicKeys::from_jwks(&keys).expect("a set"), EXPECTED).err()
    };
    assert_eq!(with(|_| {}), None);
    assert_eq!(with(|it| it["use"] = "enc".into()), Some(TokenFault::UnknownKey));
    assert_eq!(with(|it| it["alg"] = "ES384".into()), Some(TokenFault::UnknownKey));
    for text in ["", "[]", "{}", "{\"keys\":{}}"] {
        assert!(PublicKeys::from_jwks(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_changed_byte_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let key = SigningKey::ecdsa("one");
        let token = key.sign(Some("one"), &claims());
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        prop_assert!(verify(&changed, &set(&[&key]), EXPECTED).is_err());
    }

    #[test]
    fn no_text_makes_it_panic(token in ".{0,200}|[a-zA-Z0-9_-]{0,80}\\.[a-zA-Z0-9_-]{0,80}\\.[a-zA-Z0-9_-]{0,80}") {
        prop_assert!(verify(&token, &set(&[&SigningKey::ecdsa("one")]), EXPECTED).is_err());
    }
}
