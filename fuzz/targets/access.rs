//! What callers show, for every kind of key: never a panic, and never more than what was signed.
//!
//! The first byte says what the rest is:
//! 0: subject, path, query, `Authorization` and `Cookie`, each in a line; nobody has signed any of it.
//! 1: changes of a right query, three bytes each: which one it is, where, and the new byte.
//! 2: a policy, 3: the claims of a JWT, 4: parameters of a SecureToken, as a signer might sign them.
//! 5: published keys, a PEM file, a file of secrets.

#![no_main]

use std::sync::LazyLock;

use amphi_access::key::hmac::HmacSettings;
use amphi_access::key::hook::{HookAction, HookQuestion};
use amphi_access::key::jwt::{JwtProof, JwtSettings, PublicKeys};
use amphi_access::key::opencast::OpencastSettings;
use amphi_access::key::wowza::{SecureTokenHash, WowzaSettings};
use amphi_access::key::{KeySettings, KindSettings};
use amphi_access::secrets::Secrets;
use amphi_access::sign::Signer;
use amphi_access::{Credentials, Key, Pass, Refusal, Subject};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use ring::{digest, hmac};

const SECRET: &str = "fedcba9876543210fedcba9876543210";
const NOW: i64 = 1_800_000_000;
const SUBJECT: Subject<'_> = Subject("vod/4f1c/a.smil");
const PATH: &str = "/vod/4f1c/a.smil/playlist.m3u8";

/// One key of each kind, in the order of [`Fixed::good`].
struct Fixed {
    keys: [Key; 4],
    good: [String; 4],
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let keys = [
        KindSettings::Hmac(HmacSettings { secrets: secrets(), parameter: "token".to_owned() }),
        KindSettings::Jwt(JwtSettings {
            proof: JwtProof::Secrets(secrets()),
            issuers: Vec::new(),
            audiences: Vec::new(),
            parameters: vec!["jwt".to_owned(), "token".to_owned()],
            cookie: Some("jwt".to_owned()),
            any_claims: false,
        }),
        KindSettings::Opencast(OpencastSettings {
            key_id: "oc".to_owned(),
            secrets: secrets(),
            strict: false,
        }),
        KindSettings::Wowza(WowzaSettings {
            secrets: secrets(),
            prefix: "wowzatoken".to_owned(),
            hash: SecureTokenHash::Sha256,
            with_address: false,
        }),
    ]
    .map(|kind| Key::new(KeySettings { name: "k".to_owned(), kind }).expect("a key"));
    let signer = Signer::new(keys[0].as_hmac().expect("it is ours"), now()).expect("its secret is good");
    let until = Timestamp::from_second(NOW + 60).expect("a time");
    let condition = format!(r#"{{"DateLessThan":{}000}}"#, NOW + 60);
    let policy = format!(r#"{{"Statement":{{"Condition":{condition},"Resource":"https://h{PATH}"}}}}"#);
    let good = [
        format!("token={}", signer.sign(SUBJECT, until, None).expect("it can be signed")),
        format!("jwt={}", jwt(format!(r#"{{"exp":{},"oc":{{"e:4f1c":["read"]}}}}"#, NOW + 30).as_bytes())),
        opencast(policy.as_bytes()),
        wowza(&format!("wowzatokenendtime={}", NOW + 60)),
    ];
    Fixed { keys, good }
});

fn secrets() -> Secrets {
    Secrets::one(SECRET).expect("a secret")
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}

fn mac(text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text)
}

fn jwt(claims: &[u8]) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(claims));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac(text.as_bytes())))
}

fn opencast(policy: &[u8]) -> String {
    let digits: Vec<_> = mac(policy).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("policy={}&keyId=oc&signature={}", URL_SAFE_NO_PAD.encode(policy), digits.concat())
}

fn wowza(parameters: &str) -> String {
    let text = format!("vod/4f1c/a.smil?{SECRET}&{parameters}");
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    format!("{parameters}&wowzatokenhash={}", URL_SAFE_NO_PAD.encode(hash))
}

fn shown<'a>(path: &'a str, query: &'a str) -> Credentials<'a> {
    let address = [192, 0, 2, 7].into();
    Credentials { scheme: "https", authority: "h", path, query, authorization: None, cookie: None, address }
}

fn check(key: &Key, query: &str) -> Result<Pass, Refusal> {
    key.check(SUBJECT, &shown(PATH, query), now())
}

fuzz_target!(|data: &[u8]| {
    let Some((what, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    match what % 6 {
        0 => unsigned(&text),
        1 => changed(rest),
        2 => drop(check(&FIXED.keys[2], &opencast(rest))),
        3 => drop(check(&FIXED.keys[1], &format!("jwt={}", jwt(rest)))),
        4 => drop(check(&FIXED.keys[3], &wowza(&text))),
        _ => {
            let _ = (PublicKeys::from_jwks(&text), PublicKeys::from_pem(&text), Secrets::read(&text));
        }
    }
});

fn unsigned(text: &str) {
    let mut lines = text.splitn(5, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (subject, path, query) = (Subject(line()), line(), line());
    let (authorization, cookie) = (Some(line()), Some(line()));
    let shown = Credentials { authorization, cookie, ..shown(path, query) };
    for key in &FIXED.keys {
        assert!(key.check(subject, &shown, now()).is_err(), "{} opened {subject}", key.name());
    }
    if let Ok(question) = HookQuestion::new(HookAction::Read, subject, &shown, "hls", path) {
        assert!(!question.body().is_empty());
    }
}

/// Another spelling may open as well, but not for longer, nor anything else.
fn changed(changes: &[u8]) {
    let Some(which) = changes.first().map(|first| usize::from(*first) % 4) else { return };
    let (key, good) = (&FIXED.keys[which], &FIXED.good[which]);
    let mut query = good.clone().into_bytes();
    for change in changes.chunks_exact(3) {
        if let [_, at, byte] = change {
            let at = usize::from(*at) * query.len() / 256;
            query[at] = byte & 127;
        }
    }
    let query = String::from_utf8_lossy(&query);
    if let Ok(pass) = check(key, &query) {
        assert_eq!(Ok(pass), check(key, good), "{query}");
    }
    if which < 2 {
        assert!(key.check(Subject("vod/other/a.smil"), &shown(PATH, &query), now()).is_err(), "{query}");
    } else {
        let other = shown("/vod/4f1c/b.smil/playlist.m3u8", &query);
        assert!(key.check(Subject("vod/4f1c/b.smil"), &other, now()).is_err(), "{query}");
    }
}
