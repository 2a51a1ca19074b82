//! Secrets that are easy to guess: tokens, passwords and publish keys on ports that are open to other machines.
//!
//! A weak token on a public address is a fault: whoever guesses it controls all halls. Weak publish keys and passwords of
//! Wowza's interface are warnings: changing the key of an encoder on a ceiling takes time.

use std::net::SocketAddr;

use super::super::Config;
use super::names::subject;
use super::{Checker, Place};

/// The least length of a token, in characters.
const TOKEN: usize = 16;
/// The least length of a publish key or a password, in characters.
const KEY: usize = 8;
/// The least number of different characters.
const DIFFERENT: usize = 6;
/// Words that are tried first, this server's own among them. Longer ones come first, since they contain others.
const WORDS: [&str; 34] = [
    "operators-token",
    "viewers-token",
    "qwertzuiop",
    "qwertyuiop",
    "asdfghjkl",
    "change-me",
    "change_me",
    "changeme",
    "opencast",
    "password",
    "passwort",
    "passw0rd",
    "operator",
    "yxcvbnm",
    "zxcvbnm",
    "example",
    "letmein",
    "welcome",
    "default",
    "streaming",
    "publish",
    "a-secret",
    "secret",
    "lecture",
    "viewer",
    "geheim",
    "wowza",
    "admin",
    "amphi",
    "token",
    "stream",
    "test",
    "live",
    "key",
];

/// Checks the secrets that stand in the configuration itself; `files` checks those in files of their own.
pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    let table = Place::top("admin");
    token(checker, config, &table.key("token"), "token", config.admin.token.reveal());
    token(checker, config, &table.key("viewer_token"), "viewer_token", config.admin.viewer_token.reveal());
    let server = &config.server;
    let listens = [&server.wowza_rest_listen, &server.wowza_counts_listen];
    if let Some(why) = weakness(config.wowza_rest.password.reveal(), KEY)
        && listens.into_iter().any(|listen| is_open(listen))
        && !config.wowza_rest.password.is_empty()
    {
        let place = Place::top("wowza_rest").key("password");
        checker.warning(&place, format!("wowza_rest: others than this machine may try the password: {why}"));
    }
    for (index, source) in config.sources.iter().enumerate().filter(|_| is_open(&server.listen)) {
        let key = source.publish_key.reveal();
        let why =
            if key == source.name { Some("it is the source's name".to_owned()) } else { weakness(key, KEY) };
        if let Some(why) = why.filter(|_| !key.is_empty()) {
            let place = Place::top("source").item(index).key("publish_key");
            let subject = subject("source", &source.name, index);
            checker
                .warning(&place, format!("{subject}: others than this machine may try publish_key: {why}"));
        }
    }
}

/// Checks a token of the admin port, from the configuration or from its file.
pub(super) fn token(checker: &mut Checker<'_>, config: &Config, place: &Place, key: &str, token: &str) {
    let listen = &config.server.admin_listen;
    if token.is_empty() || !is_open(listen) {
        return;
    }
    if let Some(why) = weakness(token, TOKEN) {
        let message = format!(
            "admin: {key}: {why}, and admin_listen = {listen:?} is open to others than this machine; take one from \
             `openssl rand -base64 24`"
        );
        checker.fault(place, message);
    }
}

fn is_open(listen: &str) -> bool {
    listen.parse::<SocketAddr>().is_ok_and(|address| !address.ip().to_canonical().is_loopback())
}

/// Why `secret` is easy to guess, in words that reveal no part of it. `least` is its minimum length in characters.
fn weakness(secret: &str, least: usize) -> Option<String> {
    let lower = secret.to_lowercase();
    let once = period(&lower);
    let count = once.chars().count();
    if secret.chars().count() < least {
        return Some(format!("it is shorter than {least} characters"));
    }
    if count < least.min(secret.chars().count()) {
        return Some("it is a few characters over and over".to_owned());
    }
    let mut different: Vec<char> = once.chars().collect();
    let rising = different.windows(2).filter(|pair| is_neighbour(pair)).count();
    different.sort_unstable();
    different.dedup();
    if different.len() < DIFFERENT {
        return Some("it has few different characters".to_owned());
    }
    if rising * 4 >= (count - 1) * 3 {
        return Some("its characters follow one another".to_owned());
    }
    let mut rest = once.to_owned();
    for word in WORDS {
        rest = rest.replace(word, "");
    }
    let count = |is: fn(char) -> bool| rest.chars().filter(|char| is(*char)).count();
    let is_little =
        count(char::is_alphabetic) < least * 3 / 8 && count(char::is_alphanumeric) < least * 5 / 8;
    let is_word = rest.len() < once.len() && is_little;
    is_word.then(|| "it is made of a word that everybody tries first".to_owned())
}

fn is_neighbour(pair: &[char]) -> bool {
    matches!(pair, [a, b] if (i64::from(u32::from(*a)) - i64::from(u32::from(*b))).abs() <= 1)
}

/// The shortest part that `text` repeats, the last repetition perhaps cut off; all of `text` where nothing is repeated.
fn period(text: &str) -> &str {
    let ends = text.char_indices().skip(1).map(|(at, _)| at).take_while(|at| *at <= text.len() / 2);
    let mut parts = ends.filter_map(|end| Some((text.get(..end)?, text.get(end..)?)));
    let whole = parts.find(|(first, rest)| {
        let again = first.bytes().cycle();
        rest.bytes().zip(again).all(|(byte, expected)| byte == expected)
    });
    whole.map_or(text, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_are_guessed_first_are_weak() {
        for secret in [
            "",
            "chalk",
            "changeme",
            "short-one-15chr",
            "changemechangeme",
            "changeme-changeme",
            "admin-admin-admin-1",
            "aaaaaaaaaaaaaaaaaaaa",
            "abababababababababab",
            "0123456789abcdef",
            "abcdefghijklmnopqrst",
            "Operators-Token-1",
            "secretsecret1234",
            "password12345678",
            "Amphi-Admin-2026",
            "abc123abc123abc123",
            "1111222233334444",
            "qwertyuiopasdfghjkl",
        ] {
            assert!(weakness(secret, TOKEN).is_some(), "{secret}");
        }
        for secret in [
            "kX9vTq2mZr7LwP4s",
            "Zm9vYmFyYmF6cXV4MTIzNDU2",
            "correct-horse-battery-staple",
            "3f9a1c77e0b24d5886aa91c3d0e7f412",
            "2SW9q-xw7Lecture-04hB",
        ] {
            assert_eq!(weakness(secret, TOKEN), None, "{secret}");
        }
        assert_eq!(weakness("kX9vTq2m", KEY), None);
        assert!(weakness("kX9vTq2", KEY).is_some());
    }

    fn report(text: &str) -> crate::CheckReport {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        crate::check(file.path())
    }

    #[test]
    fn a_weak_token_is_a_fault_where_others_may_try_it() {
        let of = |listen: &str, token: &str| {
            report(&format!("[server]\nadmin_listen = \"{listen}\"\n[admin]\ntoken = \"{token}\"\n"))
        };
        let says = |report: &crate::CheckReport| {
            report.faults.iter().any(|fault| fault.message.starts_with("admin: token: "))
        };
        for listen in ["0.0.0.0:8089", "[::]:8089", "192.0.2.1:8089"] {
            let found = of(listen, "changemechangeme");
            assert!(says(&found), "{listen}");
            assert!(!found.to_string().contains("changeme"), "the token is not repeated");
            assert!(!says(&of(listen, "kX9vTq2mZr7LwP4s")), "{listen}");
        }
        for listen in ["127.0.0.1:8089", "[::1]:8089"] {
            assert!(!says(&of(listen, "chalk")), "{listen}");
        }
    }

    #[test]
    fn weak_keys_and_passwords_are_warnings() {
        let text = "[server]\nwowza_rest_listen = \"0.0.0.0:8087\"\n[wowza_rest]\nusername = \"a\"\npassword = \"admin\"\n\
                    [[source]]\nname = \"multicam-in-L2\"\npublish_key = \"multicam-in-L2\"\n\
                    [[source]]\nname = \"b\"\npublish_key = \"kX9vTq2mZr7L\"\n";
        let warnings: Vec<_> = report(text).warnings.into_iter().map(|it| it.message).collect();
        let about = |what: &str| warnings.iter().filter(|it| it.contains(what)).count();
        assert_eq!((about("wowza_rest: "), about("publish_key")), (1, 1), "{warnings:?}");
    }
}
