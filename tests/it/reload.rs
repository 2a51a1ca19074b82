//! A configuration that changes under a running server.

use std::process::Command;

use crate::http;
use crate::server::{Server, eventually};
use crate::sources::one_hall;
use crate::stream::Follower;

fn playlist_status(server: &Server, channel: &str) -> u16 {
    http::get(server.http, &format!("/{channel}/playlist.m3u8")).status
}

/// A second channel beside the first.
fn two_channels(url: &str) -> String {
    let one = one_hall(url);
    let channel = &one[one.find("[[channel]]").expect("a channel")..];
    one.clone() + &channel.replace("\"Live\"", "\"Second\"").replace("source = \"hall\"", "source = \"\"")
}

#[test]
fn channels_come_and_go_and_the_others_do_not_notice() {
    let url = "rtsp://127.0.0.1:9/extron1";
    let server = Server::run(&one_hall(url));
    let mut viewer = Follower::new(server.http, "Live", "480p");
    viewer.until("the channel is there", || playlist_status(&server, "Live") == 200);
    server.disconnect("Live");
    server.rewrite(&two_channels(url));
    viewer.until("the new channel is there", || playlist_status(&server, "Second") == 200);

    // A fault is logged with its line, and the old configuration stays.
    server.rewrite(&two_channels(url).replace("720p", ""));
    let line =
        server.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("the old one stays")));
    assert!(line["message"].as_str().is_some_and(|text| text.contains("config.toml:")), "{line}");
    assert_eq!(playlist_status(&server, "Second"), 200);

    // By signal, without waiting for the file to be looked at.
    server.rewrite(&one_hall(url).replace("streams = [\"live\"]", "streams = [\"live\", \"other\"]"));
    let hung_up = Command::new("kill").args(["-HUP", &server.pid().to_string()]).status();
    assert!(hung_up.is_ok_and(|status| status.success()));
    viewer.until("the channel is gone", || playlist_status(&server, "Second") == 404);
    eventually("the new name is there", || http::get(server.http, "/Live/other/playlist.m3u8").status == 200);
    // A change that needs a restart is logged at every reload until there is one.
    let told = |reload: &str| {
        eventually(reload, || http::get(server.admin, "/api/v1/audit").text().contains(reload));
    };
    let titled = one_hall(url).replace("[\"live\"]", "[\"live\", \"other\", \"third\"]");
    let titled = titled + "[pages]\ntitle = \"Another\"\n";
    server.rewrite(&titled);
    told("taken over: [[channel]]; [pages] takes a restart");
    server.rewrite(&(titled + "# Nothing else.\n"));
    told("\"[pages] takes a restart");
    let matrix = server.matrix();
    assert_eq!(
        matrix["channels"][0]["desired"]["by"], "manual",
        "what was said by hand still holds: {matrix}"
    );
    assert_eq!(server.end(), Some(0));
}

/// `amphi reload` with the server's configuration.
fn amphi_reload(server: &Server, arguments: &[&str]) -> (Option<i32>, String) {
    let config = server.home().join("config.toml");
    let admin = server.admin.to_string();
    let answer = Command::new(env!("CARGO_BIN_EXE_amphi"))
        .args(["reload", config.to_str().expect("UTF-8"), "--admin", &admin])
        .args(arguments)
        .output()
        .expect("amphi starts");
    let said =
        String::from_utf8_lossy(&answer.stdout).into_owned() + &String::from_utf8_lossy(&answer.stderr);
    (answer.status.code(), said)
}

#[test]
fn what_people_watch_is_ended_only_with_a_confirmation() {
    let url = "rtsp://127.0.0.1:9/extron1";
    let server = Server::run(&two_channels(url));
    let mut viewer = Follower::new(server.http, "Second", "480p");
    viewer.until("the channel is there", || playlist_status(&server, "Second") == 200);
    viewer.follow(std::time::Duration::from_secs(8));
    let pending = || {
        let alarms = http::get(server.admin, "/api/v1/alarms").text().to_owned();
        alarms.contains("\"configuration\"").then_some(alarms)
    };
    // By a changed file, by signal, by command and by REST alike; nobody confirms it.
    server.rewrite(&one_hall(url));
    viewer.until("it is refused", || pending().is_some());
    let alarms = pending().expect("an alarm");
    assert!(alarms.contains("channel \\\"Second\\\" is ended (1 viewer(s) of Second)"), "{alarms}");
    viewer.read();
    let (code, said) = amphi_reload(&server, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Second") && said.contains("--yes"), "{said}");
    let json = "Content-Type: application/json\r\n";
    let answer = http::request(server.admin, "POST", "/api/v1/reload", json, "{}");
    assert_eq!(answer.status, 409, "{}", answer.text());
    viewer.read();
    // The name under which it is played.
    let (code, said) = {
        server.rewrite(&two_channels(url).replace("streams = [\"live\"]", "streams = [\"other\"]"));
        amphi_reload(&server, &[])
    };
    assert!(code == Some(1) && said.contains("stream \"Second/live\" is removed (1 viewer(s)"), "{said}");
    viewer.read();
    // An empty file, and a file with a fault.
    server.rewrite("");
    let (code, said) = amphi_reload(&server, &[]);
    assert!(code == Some(1) && said.contains("is it empty?"), "{said}");
    server.rewrite("nonsense = 1\n");
    let answer = http::request(server.admin, "POST", "/api/v1/reload", json, "{\"confirm\": true}");
    assert_eq!(answer.status, 422, "{}", answer.text());
    viewer.read();
    // The configuration that runs is back: the alarm is over.
    server.rewrite(&two_channels(url));
    viewer.until("the alarm is over", || pending().is_none());
    // With a confirmation it is taken over.
    server.rewrite(&one_hall(url));
    let (code, said) = amphi_reload(&server, &["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("- channel \"Second\"") && said.contains("taken over: [[channel]]"), "{said}");
    assert_eq!((playlist_status(&server, "Second"), playlist_status(&server, "Live")), (404, 200));
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_notice_is_painted_and_the_playlist_goes_on() {
    let server = Server::run(&one_hall("rtsp://127.0.0.1:9/extron1"));
    let mut viewer = Follower::new(server.http, "Live", "720p");
    viewer.until("the channel is there", || playlist_status(&server, "Live") == 200);
    let path = "/api/v1/channels/Live/notice";
    let body = r#"{"title":"UE3 Biophysique","place":"Amphi A","starts":"2026-11-23T09:30:00Z"}"#;
    let answer = http::request(server.admin, "PUT", path, "Content-Type: application/json\r\n", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    server.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("with its notice")));
    viewer.follow(std::time::Duration::from_secs(5));
    assert_eq!(server.matrix()["channels"][0]["notice"]["place"], "Amphi A");
    let long = format!("{{\"title\":\"{}\"}}", "x".repeat(201));
    assert_eq!(
        http::request(server.admin, "PUT", path, "Content-Type: application/json\r\n", &long).status,
        422
    );
    assert_eq!(http::request(server.admin, "DELETE", path, "", "").status, 200);
    assert_eq!(server.end(), Some(0));
}
