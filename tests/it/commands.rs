//! Commands that end by themselves: what they print, and their exit codes.

use std::process::{Command, Output};

use crate::sources::one_hall;

fn amphi(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_amphi")).args(arguments).output().expect("amphi starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_configuration_is_checked_and_every_fault_is_said_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    let path = file.to_str().expect("UTF-8");
    let good = one_hall("rtsp://u:hunter2@127.0.0.1:9/extron1");
    std::fs::write(&file, &good).expect("written");
    let answer = amphi(&["check", path]);
    assert_eq!(answer.status.code(), Some(0), "{}", text(&answer.stdout));

    let bad = good
        .replace("fps = 15, bitrate = 400000", "fps = 7, bitrate = 400000")
        .replace("\"live\"", "\"li ve\"");
    std::fs::write(&file, bad + "[[vod]]\nname = \"vod\"\nrot = 1\n").expect("written");
    for command in ["check", "run"] {
        let answer = amphi(&[command, path]);
        assert_eq!(answer.status.code(), Some(1), "{command}");
        let said = if command == "check" { text(&answer.stdout) } else { text(&answer.stderr) };
        assert!(said.contains("config.toml:") && said.contains('^'), "{command}: place and caret: {said}");
        for word in ["fps", "li ve", "rot"] {
            assert!(said.contains(word), "{command}: {word} in {said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
    let answer = amphi(&["check", "/nowhere/config.toml"]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(text(&answer.stdout).contains("/nowhere/config.toml"), "{}", text(&answer.stdout));
}

#[test]
fn two_configurations_are_told_apart_without_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let old = one_hall("rtsp://u:hunter2@127.0.0.1:9/extron1");
    let new = old.replace("hunter2", "hunter3").replace("bitrate = 750000", "bitrate = 800000");
    let (old, new) = (write("old.toml", &old), write("new.toml", &(new + "[pages]\ntitle = \"x\"\n")));
    let answer = amphi(&["check", &new, "--against", &old]);
    let said = text(&answer.stdout);
    assert_eq!(answer.status.code(), Some(0), "{said}");
    for line in [
        "~ source \"hall\": url: (a secret) -> (a secret)",
        "~ ladder \"lecture\": rung \"720p\": bitrate: 750000 -> 800000",
        "reload: source \"hall\" is reconnected",
        "reload: channel \"Live\" is ended and restarted",
        "restart: [pages] are read at start only",
    ] {
        assert!(said.lines().any(|it| it == line), "{line} in {said}");
    }
    assert!(!said.contains("hunter"), "{said}");
    assert!(text(&amphi(&["check", &old, "--against", &old]).stdout).ends_with("no difference\n"));
    let bad = write("bad.toml", "[server\n");
    assert_eq!(amphi(&["check", &new, "--against", &bad]).status.code(), Some(1));
    // No server runs with it.
    let answer = amphi(&["reload", &old, "--admin", "127.0.0.1:9"]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(text(&answer.stderr).contains("no server answers at 127.0.0.1:9"), "{}", text(&answer.stderr));
}

#[test]
fn a_probe_that_finds_nobody_says_so() {
    let free = {
        let any = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        any.local_addr().expect("bound")
    };
    let answer = amphi(&["probe", &format!("rtsp://u:hunter2@{free}/extron1"), "--seconds", "1"]);
    assert_eq!(answer.status.code(), Some(1));
    let said = text(&answer.stderr);
    assert!(said.contains("no connection") && !said.contains("hunter2"), "{said}");
    assert!(answer.stdout.is_empty(), "results go to stdout, and there is none");
}

#[test]
fn what_makes_no_sense_is_told_from_what_fails() {
    for arguments in [&["fly"][..], &[], &["probe"], &["demo", "--fault", "PS-Amphi_A=on fire"]] {
        let answer = amphi(arguments);
        assert_eq!(answer.status.code(), Some(2), "{arguments:?}");
        assert!(!answer.stderr.is_empty());
    }
    // A port that is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let any = "127.0.0.1:0";
    let answer = amphi(&["demo", "--listen", any, "--http-listen", &address, "--admin-listen", any]);
    assert_eq!(answer.status.code(), Some(1));
    let said = text(&answer.stderr);
    assert!(said.contains("server.http_listen") && said.contains(&address), "{said}");
}

const SITE: &str = "[[source]]\nname = \"PS-Amphi_D\"\nurl = \"rtsp://192.0.2.14/extron1\"\n\
    [[ladder]]\nname = \"l\"\n[[ladder.rung]]\nname = \"160p\"\naudio_only = true\n\
    [[channel]]\nname = \"Live_PAES\"\nstreams = [\"live\"]\nladder = \"l\"\n\
    [schedule]\ntimezone = \"Europe/Paris\"\n[[schedule.rule]]\nseries = '^PAES_'\nchannel = \"Live_PAES\"\n";

#[test]
fn a_calendar_is_simulated() {
    let home = tempfile::tempdir().expect("a directory");
    let config = home.path().join("config.toml");
    std::fs::write(&config, SITE).expect("written");
    let config = config.to_str().expect("UTF-8");
    let calendar = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/opencast-2.2-two-events.ics");
    let day = |from: &'static str, to: &'static str, more: &[&'static str]| {
        amphi(&[&["simulate", calendar, "--config", config, "--from", from, "--to", to], more].concat())
    };
    // 1042 has a series; 1043, a day later, has none.
    let good = day("2017-01-04", "2017-01-05", &[]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    let table = text(&good.stdout);
    let live = "  13:48  Live_PAES  PS-Amphi_D    event 1042 'Informations générales; réunion, partie 1' 13:51–15:30\n";
    assert!(table.contains(live) && table.contains("  15:40  Live_PAES  waiting loop  "), "{table}");
    let bad = day("2017-01-04", "2017-01-06", &["--json"]);
    assert_eq!(bad.status.code(), Some(1), "there is a conflict");
    let json: serde_json::Value = serde_json::from_slice(&bad.stdout).expect("JSON");
    assert_eq!(
        (&json["conflicts"][0]["kind"], &json["steps"][1]["by"]),
        (&"no_series".into(), &"schedule".into())
    );
    assert!(
        json["conflicts"][0]["sentence"]
            .as_str()
            .is_some_and(|it| it.contains("Thu 05 Jan 2017 08:20–10:20")),
        "{json}"
    );
    assert_eq!(day("someday", "2017-01-06", &[]).status.code(), Some(2), "usage");
    assert_eq!(amphi(&["simulate", config, "--config", config]).status.code(), Some(1), "no calendar");
}
