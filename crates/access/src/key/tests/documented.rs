//! The six lines of `docs/access-keys.md`, run as they stand there: what they make opens what it should.

use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use crate::key::hmac::HmacSettings;
use crate::key::{Key, KeySettings, KindSettings, Pass};
use crate::secrets::Secrets;
use crate::{Credentials, Subject};

const SECRET: &str = "8mXz41UvGwqTmDQkcbcD";
const SUBJECT: &str = "vod/2026/é ü.smil";

/// The code beneath a heading.
fn code(heading: &str) -> String {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/access-keys.md");
    let document = std::fs::read_to_string(document).expect("it is there");
    let (_, section) = document.split_once(&format!("\n### {heading}\n")).expect("it has the heading");
    let (_, block) = section.split_once("```").expect("it has code");
    let (_, code) = block.split_once('\n').expect("a language");
    code.split("```").next().expect("an end").to_owned()
}

/// What a program prints, `None` if it is not there; `files` are written first, `{}` is their folder.
fn run(program: &str, files: &[(&str, &str)], arguments: &[&str]) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("it can be written");
    }
    let place = folder.path().display().to_string();
    let arguments = arguments.iter().map(|argument| argument.replace("{}", &place));
    let Ok(output) = Command::new(program).args(arguments).output() else {
        println!("skipped: there is no {program} here");
        return None;
    };
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text").trim().to_owned())
}

fn check(token: &str, subject: &str, now: Timestamp) -> Result<Pass, crate::Refusal> {
    let settings =
        HmacSettings { secrets: Secrets::one(SECRET).expect("a secret"), parameter: "token".to_owned() };
    let key = Key::new(KeySettings { name: "moodle".to_owned(), kind: KindSettings::Hmac(settings) });
    let shown = Credentials {
        scheme: "https",
        authority: "amphi.example.edu",
        path: "/vod/2026/x.smil/playlist.m3u8",
        query: &format!("token={token}"),
        authorization: None,
        cookie: None,
        address: [192, 0, 2, 7].into(),
    };
    key.expect("a key").check(Subject(subject), &shown, now)
}

/// Makes tokens with and without an address.
fn makes_tokens(program: &str, file: &str, code: &str) {
    let now = Timestamp::from_second(1_800_000_000).expect("a time");
    let until = now + SignedDuration::from_hours(2);
    for address in ["", "192.0.2.7"] {
        let seconds = until.as_second().to_string();
        let arguments = [&format!("{{}}/{file}"), SECRET, SUBJECT, &seconds, address];
        let Some(token) = run(program, &[(file, code)], &arguments) else { return };
        assert_eq!(check(&token, SUBJECT, now), Ok(Pass { until: Some(until) }), "{program}: {token}");
        assert_eq!(token.contains(".ip."), !address.is_empty());
        assert!(check(&token, "vod/2026/x.smil", now).is_err());
    }
}

#[test]
#[ignore = "needs php"]
fn php() {
    let call = "echo amphi_token($argv[1], $argv[2], (int) $argv[3], $argv[4] ?? '');";
    makes_tokens("php", "token.php", &format!("<?php\n{}{call}", code("PHP")));
}

#[test]
#[ignore = "needs python3"]
fn python() {
    makes_tokens(
        "python3",
        "token.py",
        &format!("{}\nimport sys\nprint(amphi_token(*sys.argv[1:]))", code("Python")),
    );
}

#[test]
#[ignore = "needs node"]
fn node() {
    let call = "console.log(amphiToken(...process.argv.slice(2)));";
    makes_tokens("node", "token.cjs", &format!("{}{call}", code("JavaScript, Node")));
}

#[test]
#[ignore = "needs node"]
fn web_crypto() {
    let call = "amphiToken(...process.argv.slice(2)).then(console.log);";
    makes_tokens("node", "token.cjs", &format!("{}{call}", code("JavaScript, WebCrypto")));
}

#[test]
#[ignore = "needs php"]
fn moodle() {
    let moodle = format!(
        "<?php\nnamespace core_filters {{ class text_filter {{}} }}\nnamespace {{ function get_config($plugin, $name) {{ return '{SECRET}'; }} }}"
    );
    let filter = format!("<?php\n{}\necho (new text_filter())->filter($argv[1]);", code("Moodle"));
    let files = [("moodle.php", &*moodle), ("filter.php", &*filter)];
    let page = r#"<p>amphi</p><iframe src="https://amphi.example.edu/watch/vod/2026/%C3%A9%20%C3%BC.smil"></iframe><a href="https://other.example.edu/x">"#;
    let arguments = ["-d", "auto_prepend_file={}/moodle.php", "{}/filter.php", page];
    let Some(filtered) = run("php", &files, &arguments) else { return };
    let (before, rest) = filtered.split_once("?token=").expect("it is signed");
    let (token, after) = rest.split_once('"').expect("an end");
    assert_eq!(format!("{before}\"{after}"), page, "nothing else is changed");
    let now = Timestamp::now();
    let pass = check(token, SUBJECT, now).expect("it opens the page");
    assert!(pass.until.is_some_and(|until| until > now + SignedDuration::from_mins(90)));
}
