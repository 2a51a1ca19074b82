//! Whatever is changed in what is right makes it wrong, and nothing that strangers send ends the server.

use jiff::Timestamp;
use proptest::prelude::*;
use ring::{digest, hmac};

use crate::key::hmac::HmacSettings;
use crate::key::jwt::{JwtProof, JwtSettings};
use crate::key::opencast::OpencastSettings;
use crate::key::wowza::{SecureTokenHash, WowzaSettings};
use crate::key::{Key, KeySettings, KindSettings, Pass};
use crate::secrets::Secrets;
use crate::sign::{SignFault, Signer};
use crate::{Credentials, Refusal, Subject};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: i64 = 1_800_000_000;

fn key(kind: KindSettings) -> Key {
    Key::new(KeySettings { name: "k".to_owned(), kind }).expect("a key")
}

fn secrets() -> Secrets {
    Secrets::one(SECRET).expect("a secret")
}

fn own() -> Key {
    key(KindSettings::Hmac(HmacSettings { secrets: secrets(), parameter: "token".to_owned() }))
}

fn wowza(with_address: bool) -> Key {
    let prefix = "wowzatoken".to_owned();
    key(KindSettings::Wowza(WowzaSettings {
        secrets: secrets(),
        prefix,
        hash: SecureTokenHash::Sha256,
        with_address,
    }))
}

fn opencast() -> Key {
    key(KindSettings::Opencast(OpencastSettings {
        key_id: "oc".to_owned(),
        secrets: secrets(),
        strict: false,
    }))
}

fn jwt() -> Key {
    key(KindSettings::Jwt(JwtSettings {
        proof: JwtProof::Secrets(secrets()),
        issuers: Vec::new(),
        audiences: Vec::new(),
        parameters: vec!["jwt".to_owned(), "token".to_owned()],
        cookie: Some("jwt".to_owned()),
        any_claims: true,
    }))
}

fn shown<'a>(path: &'a str, query: &'a str) -> Credentials<'a> {
    let address = [192, 0, 2, 7].into();
    Credentials { scheme: "https", authority: "h", path, query, authorization: None, cookie: None, address }
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}

fn check(key: &Key, subject: &str, path: &str, query: &str) -> Result<Pass, Refusal> {
    key.check(Subject(subject), &shown(path, query), now())
}

/// A text with one character put in place of another one.
fn changed(text: &str, at: prop::sample::Index, to: char) -> Option<String> {
    let at = at.index(text.len());
    let old = text.get(at..=at)?;
    (old != to.to_string()).then(|| format!("{}{to}{}", &text[..at], &text[at + 1..]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn signed_jwt(claims: &str) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(claims));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
}

fn signed_policy(resource: &str) -> String {
    let until = NOW * 1000 + 60_000;
    let policy =
        format!(r#"{{"Statement":{{"Condition":{{"DateLessThan":{until}}},"Resource":"{resource}"}}}}"#);
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), policy.as_bytes());
    format!("policy={}&keyId=oc&signature={}", URL_SAFE_NO_PAD.encode(policy), hex(mac.as_ref()))
}

fn wowza_hash(text: &str) -> digest::Digest {
    digest::digest(&digest::SHA256, text.as_bytes())
}

proptest! {
    #[test]
    fn what_is_signed_opens_the_subject_and_nothing_else(
        subject in "[^/\0]{1,20}(/[^/\0]{1,20}){0,3}",
        other in "[^/\0]{1,20}(/[^/\0]{1,20}){0,3}",
        seconds in 1_i64..100_000,
        address in prop::option::of(Just([192, 0, 2, 7].into())),
    ) {
        let key = own();
        let until = Timestamp::from_second(NOW + seconds).expect("a time");
        let signer = Signer::new(key.as_hmac().expect("it is ours"), now()).expect("a secret is good");
        let token = signer.sign(Subject(&subject), until, address).expect("it can be signed");
        let url = signer.url("/a?x=1&token=old#t=3", &token);
        let query = format!("x=1&token={token}");
        prop_assert_eq!(&url, &format!("/a?{query}#t=3"));
        prop_assert_eq!(check(&key, &subject, "/x", &query), Ok(Pass { until: Some(until) }));
        if subject != other {
            prop_assert_eq!(check(&key, &other, "/x", &query), Err(Refusal::Signature));
        }
        let later = query.replacen(&(NOW + seconds).to_string(), &(NOW + seconds + 1).to_string(), 1);
        prop_assert_eq!(check(&key, &subject, "/x", &later), Err(Refusal::Signature));
    }

    #[test]
    fn a_changed_token_of_ours_opens_nothing(at: prop::sample::Index, to in "[ -~]", with_address: bool) {
        let key = own();
        let signer = Signer::new(key.as_hmac().expect("it is ours"), now()).expect("a secret is good");
        let until = Timestamp::from_second(NOW + 60).expect("a time");
        let address = with_address.then_some([192, 0, 2, 7].into());
        let token = signer.sign(Subject("Live"), until, address).expect("it can be signed");
        if let Some(token) = changed(&token, at, to.chars().next().expect("one")) {
            let query = format!("token={token}");
            prop_assert!(check(&key, "Live", "/x", &query).is_err(), "{}", query);
        }
    }

    #[test]
    fn a_changed_jwt_opens_nothing(at: prop::sample::Index, to in "[ -~]") {
        let (key, good) = (jwt(), signed_jwt(&format!(r#"{{"exp":{}}}"#, NOW + 60)));
        // The key remembers the right one.
        let query = format!("jwt={good}");
        prop_assert!(check(&key, "Live", "/x", &query).is_ok());
        if let Some(token) = changed(&good, at, to.chars().next().expect("one")) {
            let query = format!("jwt={token}");
            prop_assert!(check(&key, "Live", "/x", &query).is_err(), "{}", query);
        }
    }

    #[test]
    fn a_changed_policy_opens_nothing(at: prop::sample::Index, to in "[0-9A-Za-z_-]") {
        let (key, path) = (opencast(), "/vod/a.smil/playlist.m3u8");
        let good = signed_policy("https://h/vod/a.smil/playlist.m3u8");
        prop_assert!(check(&key, "vod/a.smil", path, &good).is_ok());
        if let Some(query) = changed(&good, at, to.chars().next().expect("one")) {
            prop_assert!(check(&key, "vod/a.smil", path, &query).is_err(), "{}", query);
        }
    }

    #[test]
    fn a_changed_secure_token_opens_nothing(at: prop::sample::Index, to in "[0-9A-Za-z_&=-]") {
        let key = wowza(false);
        let parameters = format!("wowzatokenendtime={}", NOW + 60);
        let hash = wowza_hash(&format!("vod/a.smil?{SECRET}&{parameters}"));
        let good = format!("{parameters}&wowzatokenhash={}", URL_SAFE_NO_PAD.encode(hash));
        let path = "/vod/a.smil/playlist.m3u8";
        prop_assert!(check(&key, "vod/a.smil", path, &good).is_ok());
        if let Some(query) = changed(&good, at, to.chars().next().expect("one")) {
            // What opens it still must be padding: no other character is without a meaning.
            let opened = check(&key, "vod/a.smil", path, &query);
            prop_assert!(opened.is_err(), "{}", query);
        }
    }

    #[test]
    fn orders_and_spellings_of_a_secure_token_are_one(
        names in prop::collection::btree_set("[a-z]{1,6}", 0..5),
        is_wowzas_order: bool,
        with_address: bool,
        spelling in 0_usize..4,
    ) {
        let names: Vec<_> = names.into_iter().filter(|name| !["hash", "endtime", "starttime"].contains(&&**name)).collect();
        let mut parameters: Vec<_> = names.iter().map(|name| format!("wowzatoken{name}=1")).collect();
        parameters.push(format!("wowzatokenendtime={}", NOW + 60));
        let address = with_address.then(|| "192.0.2.7".to_owned());
        let mut parts: Vec<_> = address.into_iter().chain([SECRET.to_owned()]).collect();
        // Opencast sorts by name, Wowza all texts.
        parameters.sort_by(|one, other| one.split('=').next().cmp(&other.split('=').next()));
        parts.extend(parameters.iter().cloned());
        if is_wowzas_order {
            parts.sort();
        }
        let hash = wowza_hash(&format!("Live?{}", parts.join("&")));
        let engines = [&URL_SAFE, &URL_SAFE_NO_PAD, &STANDARD, &STANDARD_NO_PAD];
        let hash = engines[spelling].encode(hash).replace('=', "%3D");
        parameters.reverse();
        let query = format!("wowzatokenhash={hash}&{}", parameters.join("&"));
        prop_assert!(check(&wowza(with_address), "Live", "/Live/playlist.m3u8", &query).is_ok(), "{}", query);
        prop_assert!(check(&wowza(!with_address), "Live", "/Live/playlist.m3u8", &query).is_err());
    }

    #[test]
    fn nothing_that_strangers_send_opens_anything(
        subject in ".{0,20}",
        path in "(/|%2F|%|[ -~]|\\PC){0,30}",
        names in prop::collection::vec("(token|jwt|policy|keyId|signature|wowzatoken(hash|endtime)?|oc|.)", 0..6),
        values in prop::collection::vec("([0-9a-zA-Z._=&%-]{0,70}|eyJ[ -~]{0,30}|[0-9]{1,12}(\\.ip)?\\.[0-9a-f]{64}|.{0,20})", 6),
        header in prop::option::of("(?i)(bearer|basic|) .{0,60}"),
        cookie in prop::option::of("(jwt=)?.{0,40}"),
    ) {
        let query: Vec<_> = names.iter().zip(&values).map(|(name, value)| format!("{name}={value}")).collect();
        let query = query.join("&");
        let shown = Credentials {
            authorization: header.as_deref(),
            cookie: cookie.as_deref(),
            ..shown(&path, &query)
        };
        for key in [own(), wowza(true), opencast(), jwt()] {
            prop_assert!(key.check(Subject(&subject), &shown, now()).is_err());
        }
    }
}

#[test]
fn nothing_is_signed_for_longer_than_the_secret_is_good() {
    let secrets = Secrets::read("correct-horse-battery until 2027-01-15T09:00:00Z").expect("a secret");
    let key = key(KindSettings::Hmac(HmacSettings { secrets, parameter: "token".to_owned() }));
    let own = key.as_hmac().expect("it is ours");
    let time = |text: &str| text.parse::<Timestamp>().expect("a time");
    let signer = Signer::new(own, now()).expect("it is good");
    assert!(signer.sign(Subject("a"), time("2027-01-15T09:00:00Z"), None).is_ok());
    assert_eq!(signer.sign(Subject("a"), time("2027-01-15T09:00:01Z"), None), Err(SignFault::Outlives));
    assert_eq!(signer.sign(Subject("a"), time("1969-01-01T00:00:00Z"), None), Err(SignFault::Past));
    assert_eq!(Signer::new(own, time("2027-02-01T00:00:00Z")).err(), Some(SignFault::NoSecret));
    assert!(!format!("{signer:?}{key:?}").contains("horse"));
}
