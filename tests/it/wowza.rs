//! Wowza's REST as scripts and Esup-Pod call it: curl, Digest, a real server. Needs curl and bash.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::http;
use crate::server::Server;
use crate::sources::one_hall;
use crate::stream::Follower;

const BASE: &str = "/v2/servers/_defaultServer_/vhosts/_defaultVHost_";
const USER: &str = "admin:chalk";

/// A server whose hall cannot be reached, and the address of its Wowza REST. The first line of the text belongs to `[server]`.
fn start() -> (Server, SocketAddr) {
    let hall = one_hall("rtsp://127.0.0.1:9/extron1").replace("source = \"hall\"", "source = \"\"");
    let users = "[wowza_rest]\nusername = \"admin\"\npassword = \"chalk\"\n";
    let server = Server::run(&format!("wowza_rest_listen = \"127.0.0.1:0\"\n{users}{hall}"));
    let line = server.logged(|fields| fields["message"] == "listening" && fields["service"] == "wowza-rest");
    let address = line["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
    (server, address)
}

/// Runs the script; returns whether it took the reply for a success.
fn pilot(address: SocketAddr, action: &str, stream: &str) -> bool {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pilot.sh");
    let arguments = [&*address.to_string(), USER, action, "Live", stream];
    let output = Command::new("bash").arg(script).args(arguments).output().expect("bash runs");
    let reply = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(reply.starts_with("{\"success\":"), "{reply}{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

/// curl with Digest; status and body.
fn curl(address: SocketAddr, method: &str, path: &str, user: &str) -> (u16, Value) {
    let url = format!("http://{address}{path}");
    let arguments =
        ["--silent", "--digest", "--user", user, "--request", method, "--write-out", "\n%{http_code}", &url];
    let output = Command::new("curl").args(arguments).output().expect("curl runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), serde_json::from_str(body).expect("JSON"))
}

#[test]
fn scripts_and_esup_pod_pilot_the_matrix() {
    let (server, address) = start();
    let desired = || server.matrix()["channels"][0]["desired"].clone();
    assert!(pilot(address, "connect", "hall"));
    assert_eq!((&desired()["source"], &desired()["by"]), (&"hall".into(), &"manual".into()));
    assert!(pilot(address, "connect", "hall"), "connected already: a success too");
    assert!(pilot(address, "reset", "hall"));
    assert!(!pilot(address, "connect", "nobody"));

    // Esup-Pod: is it connected, is it recorded; start, split, stop; where is the file.
    let stream = format!("{BASE}/applications/Live/instances/_definst_/incomingstreams/hall.stream");
    let recorder = format!("{BASE}/applications/Live/instances/_definst_/streamrecorders/hall.stream");
    let (status, incoming) = curl(address, "GET", &stream, USER);
    assert_eq!(status, 200);
    assert_eq!((&incoming["isConnected"], &incoming["isRecordingSet"]), (&false.into(), &false.into()));
    for (method, path, expected) in [
        ("POST", recorder.clone(), 501),
        ("PUT", format!("{recorder}/actions/splitRecording"), 404),
        ("PUT", format!("{recorder}/actions/stopRecording"), 404),
        ("GET", recorder, 404),
    ] {
        let (status, reply) = curl(address, method, &path, USER);
        assert_eq!((status, &reply["success"]), (expected, &false.into()), "{method} {path}: {reply}");
        assert_eq!(reply["code"], expected.to_string());
    }
    assert_eq!(curl(address, "GET", &stream, "admin:cheese").0, 401);

    assert!(pilot(address, "disconnect", "hall"));
    assert!(!pilot(address, "disconnect", "hall"), "it is not there any more");
    assert_eq!(desired()["source"], Value::Null);
    let audit: Value = serde_json::from_str(http::get(server.admin, "/api/v1/audit").text()).expect("JSON");
    let newest = &audit[0];
    assert_eq!(
        (&newest["who"], &newest["from"], &newest["what"]),
        (&"wowza:admin".into(), &"127.0.0.1".into(), &"disconnect".into())
    );
    assert!(newest["refused"].is_string() && audit[1]["refused"].is_null(), "{audit}");
    assert_eq!(server.end(), Some(0));
}

#[test]
fn who_watches_is_told_as_monitoring_asks() {
    let hall = one_hall("rtsp://127.0.0.1:9/extron1").replace("source = \"hall\"", "source = \"\"");
    let any = "\"127.0.0.1:0\"";
    let server = Server::run(&format!("wowza_rest_listen = {any}\nwowza_counts_listen = {any}\n{hall}"));
    let port = |service: &str| {
        let line = server.logged(|fields| fields["message"] == "listening" && fields["service"] == service);
        line["address"].as_str().and_then(|address| address.parse::<SocketAddr>().ok()).expect("an address")
    };
    let (rest, counts) = (port("wowza-rest"), port("wowza-counts"));
    let monitoring = || -> Value {
        let path = format!("{BASE}/applications/Live/monitoring/current");
        serde_json::from_str(http::get(rest, &path).text()).expect("JSON")
    };
    assert_eq!(http::get(counts, "/serverinfo").status, 404);
    let mut viewer = Follower::new(server.http, "Live", "480p");
    viewer.until("the viewer is counted", || monitoring()["connectionCount"]["CUPERTINO"] == 1);
    let told = monitoring();
    assert_eq!((&told["totalConnections"], &told["connectionCount"]["MPEGDASH"]), (&1.into(), &0.into()));
    assert!(told["bytesOut"].as_u64() > Some(10_000), "{told}");
    let xml = http::get(counts, "/connectioncounts?flat");
    assert_eq!((xml.status, xml.header("content-type")), (200, Some("text/xml; charset=utf-8")));
    let application = xml.text().split("<Application>").nth(1).expect("one");
    assert!(
        application.starts_with("<Name>Live</Name><Status>loaded</Status>")
            && application.contains("<ConnectionsCurrent>1</ConnectionsCurrent>"),
        "{application}"
    );
    let status: Value =
        serde_json::from_str(http::get(rest, "/v2/servers/_defaultServer_/status").text()).expect("JSON");
    assert_eq!(status["currentConnections"], 1);
    assert_eq!(server.end(), Some(0));
}
