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
