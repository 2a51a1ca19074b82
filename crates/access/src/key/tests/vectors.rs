//! What `vectors/make.py` made, with hashlib, hmac and PyJWT.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::key::hmac::HmacSettings;
use crate::key::jwt::{JwtProof, JwtSettings, PublicKeys};
use crate::key::opencast::OpencastSettings;
use crate::key::wowza::{SecureTokenHash, WowzaSettings};
use crate::key::{Key, KeySettings, KindSettings};
use crate::secrets::Secrets;
use crate::{Credentials, Subject};

#[derive(Deserialize)]
struct Vectors {
    keys: BTreeMap<String, KeyOfVectors>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyOfVectors {
    kind: String,
    secrets: Option<Vec<String>>,
    prefix: Option<String>,
    hash: Option<String>,
    #[serde(default)]
    with_address: bool,
    key_id: Option<String>,
    #[serde(default)]
    strict: bool,
    parameter: Option<String>,
    jwks: Option<String>,
    pem: Option<String>,
    #[serde(default)]
    issuers: Vec<String>,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    any_claims: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    key: String,
    subject: String,
    scheme: String,
    authority: String,
    path: String,
    query: String,
    authorization: Option<String>,
    cookie: Option<String>,
    address: String,
    now: i64,
    expect: String,
    until: Option<f64>,
}

impl KeyOfVectors {
    fn key(self, name: &str) -> Key {
        let secrets = |lines: Option<Vec<String>>| {
            Secrets::read(&lines.expect("secrets").join("\n")).expect("they are good")
        };
        let kind = match &*self.kind {
            "wowza" => KindSettings::Wowza(WowzaSettings {
                secrets: secrets(self.secrets),
                prefix: self.prefix.unwrap_or("wowzatoken".to_owned()),
                hash: match self.hash.as_deref() {
                    Some("sha384") => SecureTokenHash::Sha384,
                    Some("sha512") => SecureTokenHash::Sha512,
                    _ => SecureTokenHash::Sha256,
                },
                with_address: self.with_address,
            }),
            "opencast" => KindSettings::Opencast(OpencastSettings {
                key_id: self.key_id.expect("a name"),
                secrets: secrets(self.secrets),
                strict: self.strict,
            }),
            "hmac" => KindSettings::Hmac(HmacSettings {
                secrets: secrets(self.secrets),
                parameter: self.parameter.unwrap_or(crate::key::hmac::PARAMETER.to_owned()),
            }),
            _ => KindSettings::Jwt(JwtSettings {
                proof: match (self.secrets, self.jwks, self.pem) {
                    (Some(lines), _, _) => JwtProof::Secrets(secrets(Some(lines))),
                    (_, Some(set), _) => JwtProof::Keys(PublicKeys::from_jwks(&set).expect("a set")),
                    (.., Some(pem)) => JwtProof::Keys(PublicKeys::from_pem(&pem).expect("a key")),
                    _ => JwtProof::Fetched,
                },
                issuers: self.issuers,
                audiences: self.audiences,
                parameters: vec!["jwt".to_owned(), "token".to_owned()],
                cookie: Some("jwt".to_owned()),
                any_claims: self.any_claims,
            }),
        };
        Key::new(KeySettings { name: name.to_owned(), kind }).expect("a key")
    }
}

impl Case {
    /// `pass <until in milliseconds>`, or a refusal's name.
    fn found(&self, key: &Key) -> String {
        let shown = Credentials {
            scheme: &self.scheme,
            authority: &self.authority,
            path: &self.path,
            query: &self.query,
            authorization: self.authorization.as_deref(),
            cookie: self.cookie.as_deref(),
            address: self.address.parse().expect("an address"),
        };
        let now = Timestamp::from_second(self.now).expect("a time");
        match key.check(Subject(&self.subject), &shown, now) {
            Ok(pass) => format!("pass {:?}", pass.until.map(Timestamp::as_millisecond)),
            Err(refusal) => refusal.name().to_owned(),
        }
    }

    fn expected(&self) -> String {
        let ms = |seconds: f64| (seconds * 1000.0).round() as i64;
        if self.expect == "pass" { format!("pass {:?}", self.until.map(ms)) } else { self.expect.clone() }
    }
}

fn check(text: &str) -> usize {
    let Vectors { keys, cases } = serde_json::from_str(text).expect("vectors");
    let keys: BTreeMap<_, _> = keys.into_iter().map(|(name, key)| (name.clone(), key.key(&name))).collect();
    let mut faults = Vec::new();
    // Twice: what was kept of the first time must not change the second one.
    for case in cases.iter().chain(&cases) {
        let (found, expected) = (case.found(&keys[&case.key]), case.expected());
        if found != expected {
            faults.push(format!("{}: {found}, not {expected}", case.name));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    cases.len()
}

#[test]
fn wowza() {
    assert!(check(include_str!("../../../vectors/wowza.json")) > 50);
}

#[test]
fn opencast() {
    assert!(check(include_str!("../../../vectors/opencast.json")) > 50);
}

#[test]
fn our_own() {
    assert!(check(include_str!("../../../vectors/hmac.json")) > 40);
}

#[test]
fn jwt() {
    assert!(check(include_str!("../../../vectors/jwt.json")) > 80);
}
