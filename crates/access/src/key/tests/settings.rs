//! What makes no key, and keys that are replaced.

use jiff::Timestamp;

use crate::key::hmac::HmacSettings;
use crate::key::jwt::{JwtProof, JwtSettings, PublicKeys};
use crate::key::opencast::OpencastSettings;
use crate::key::wowza::{SecureTokenHash, WowzaSettings};
use crate::key::{Key, KeyFault, KeySettings, KindSettings};
use crate::secrets::{SecretFault, Secrets};
use crate::{Credentials, Refusal, Subject};

fn secrets(text: &str) -> Secrets {
    Secrets::one(text).expect("a secret")
}

fn own(secret: &str, parameter: &str) -> KindSettings {
    KindSettings::Hmac(HmacSettings { secrets: secrets(secret), parameter: parameter.to_owned() })
}

fn jwt(proof: JwtProof) -> KindSettings {
    KindSettings::Jwt(JwtSettings {
        proof,
        issuers: Vec::new(),
        audiences: Vec::new(),
        parameters: vec!["jwt".to_owned()],
        cookie: None,
        any_claims: false,
    })
}

fn fault(name: &str, kind: KindSettings) -> Option<KeyFault> {
    Key::new(KeySettings { name: name.to_owned(), kind }).err()
}

#[test]
fn faults_of_settings_are_found() {
    const LONG: &str = "0123456789abcdef0123456789abcdef";
    for name in ["", "12", "a.b", "é", "a b", &"x".repeat(65)] {
        assert_eq!(fault(name, own(LONG, "token")), Some(KeyFault::Name), "{name}");
    }
    assert_eq!(fault("2a-b_c", own(LONG, "token")), None);
    assert_eq!(fault("k", own(LONG, "a=b")), Some(KeyFault::Parameter("a=b".to_owned())));
    assert_eq!(fault("k", own("short", "token")), Some(SecretFault::Short(16).into()));
    assert_eq!(fault("k", jwt(JwtProof::Secrets(secrets(&LONG[1..])))), Some(SecretFault::Short(32).into()));
    let prefix = String::new();
    let wowza =
        WowzaSettings { secrets: secrets("a"), prefix, hash: SecureTokenHash::Sha256, with_address: false };
    assert_eq!(fault("k", KindSettings::Wowza(wowza)), Some(KeyFault::Parameter(String::new())));
    let opencast = OpencastSettings { key_id: String::new(), secrets: secrets("a"), strict: false };
    assert_eq!(fault("k", KindSettings::Opencast(opencast)), Some(KeyFault::KeyId));
}

/// Two sets of keys of the vectors' script, and tokens that the first one signed.
#[test]
fn other_keys_forget_what_was_checked_with_the_old_ones() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../vectors/jwt.json")).expect("vectors");
    let pem = |name: &str| {
        PublicKeys::from_pem(vectors["keys"][name]["pem"].as_str().expect("it has one")).expect("a key")
    };
    let cases = vectors["cases"].as_array().expect("cases");
    let case = cases.iter().find(|case| case["name"] == "ES256 of PEM").expect("it is there");
    let shown = Credentials {
        scheme: "https",
        authority: "",
        path: "/x",
        query: "",
        authorization: case["authorization"].as_str(),
        cookie: None,
        address: [192, 0, 2, 7].into(),
    };
    let subject = Subject(case["subject"].as_str().expect("text"));
    let now = Timestamp::from_second(case["now"].as_i64().expect("a number")).expect("a time");
    let key = Key::new(KeySettings { name: "k".to_owned(), kind: jwt(JwtProof::Fetched) }).expect("a key");
    let check = || key.check(subject, &shown, now).map(|_| ());
    let tokens = key.as_jwt().expect("they are JWTs");

    assert_eq!(check(), Err(Refusal::Unavailable));
    assert!(tokens.replace_keys(pem("ES256")));
    assert_eq!([check(), check()], [Ok(()); 2]);
    assert!(tokens.replace_keys(pem("ES256")), "the same ones");
    assert_eq!(check(), Ok(()));
    assert!(tokens.replace_keys(pem("EdDSA")));
    assert_eq!(check(), Err(Refusal::UnknownKey));

    let secret = jwt(JwtProof::Secrets(secrets("0123456789abcdef0123456789abcdef")));
    let key = Key::new(KeySettings { name: "k".to_owned(), kind: secret }).expect("a key");
    assert!(!key.as_jwt().expect("they are JWTs").replace_keys(pem("ES256")), "a secret stays one");
}

/// A token is remembered no longer than its secret is good.
#[test]
fn what_is_remembered_ends_with_its_secret() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../vectors/jwt.json")).expect("vectors");
    let cases = vectors["cases"].as_array().expect("cases");
    let case = cases.iter().find(|case| case["name"] == "secret").expect("it is there");
    let now = Timestamp::from_second(case["now"].as_i64().expect("a number")).expect("a time");
    let later = now + jiff::SignedDuration::from_secs(10);
    let secrets =
        Secrets::read(&format!("0123456789abcdef0123456789abcdef until {later}")).expect("a secret");
    let key = Key::new(KeySettings { name: "k".to_owned(), kind: jwt(JwtProof::Secrets(secrets)) });
    let key = key.expect("a key");
    let shown = Credentials {
        scheme: "https",
        authority: "",
        path: "/x",
        query: "",
        authorization: case["authorization"].as_str(),
        cookie: None,
        address: [192, 0, 2, 7].into(),
    };
    let subject = Subject(case["subject"].as_str().expect("text"));
    assert!(key.check(subject, &shown, now).is_ok());
    assert_eq!(key.check(subject, &shown, later), Err(Refusal::Revoked));
}
