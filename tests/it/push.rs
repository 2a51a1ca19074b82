//! A channel pushed to another server: one of ours takes it as a source.

use crate::http;
use crate::server::{Server, eventually};
use crate::sources::one_hall;

/// A channel whose source is as `source` says, in TOML.
fn channel(source: &str) -> String {
    one_hall("rtsp://127.0.0.1:9/x").replace("url = \"rtsp://127.0.0.1:9/x\"", source)
}

fn state(server: &Server) -> (String, String) {
    let text = http::get(server.admin, "/api/v1/pushes").text().to_owned();
    let pushes: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    (pushes[0]["state"].as_str().unwrap_or_default().to_owned(), text)
}

#[test]
fn a_channel_is_pushed_until_the_server_ends() {
    let taker = Server::run(&channel("publish_key = \"chalk\""));
    let push = |key: &str| {
        let url = format!("rtmp://{}/publish/hall?key={key}", taker.media);
        let source = channel("publish_key = \"other\"");
        format!("{source}\n[[push]]\nname = \"away\"\nchannel = \"Live\"\nrung = \"480p\"\nurl = \"{url}\"\n")
    };
    let pusher = Server::run(&push("cheese"));
    eventually("a wrong key is refused", || state(&pusher).0 == "backing_off");
    assert_eq!(taker.on_air("Live"), None);
    let refused = state(&pusher).1;
    assert!(refused.contains("the server refuses") && !refused.contains("cheese"), "{refused}");

    pusher.rewrite(&push("chalk"));
    eventually("it is published", || state(&pusher).0 == "publishing");
    eventually("it is on air", || taker.on_air("Live").as_deref() == Some("hall"));
    let metrics = http::get(pusher.admin, "/metrics");
    assert!(metrics.text().contains("amphi_push_up{push=\"away\",channel=\"Live\"} 1"), "{}", metrics.text());
    assert_eq!(pusher.end(), Some(0));
    eventually("the waiting loop is on air", || taker.on_air("Live").is_none());
    assert_eq!(taker.end(), Some(0));
}
