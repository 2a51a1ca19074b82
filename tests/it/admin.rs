//! The admin port over real connections: roles, the audit log across a restart, the document against schemathesis.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::http;
use crate::server::Server;
use crate::sources::one_hall;

const TOKENS: &str = "[admin]\ntoken = \"chalk\"\nviewer_token = \"sponge\"\n";
const OPERATOR: &str = "Authorization: Bearer chalk\r\nContent-Type: application/json\r\n";
const VIEWER: &str = "Authorization: Bearer sponge\r\nContent-Type: application/json\r\n";

fn start() -> Server {
    Server::run(&format!("{TOKENS}{}", one_hall("rtsp://127.0.0.1:9/extron1")))
}

fn audit(server: &Server) -> Vec<Value> {
    let answer = http::request(server.admin, "GET", "/api/v1/audit", VIEWER, "");
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).expect("a list")
}

#[test]
fn what_was_done_is_on_record_after_a_restart() {
    let server = start();
    let path = "/api/v1/channels/Live/source";
    assert_eq!(http::request(server.admin, "DELETE", path, VIEWER, "").status, 403);
    assert_eq!(http::request(server.admin, "DELETE", path, OPERATOR, "").status, 200);
    let put = http::request(server.admin, "PUT", path, OPERATOR, r#"{"source":"hall"}"#);
    assert_eq!(put.status, 200);
    let channel: Value = serde_json::from_slice(&put.body).expect("JSON");
    let explanation = channel["explanation"].as_str().expect("a sentence");
    assert!(explanation.contains("by hand"), "{explanation}");
    let before = audit(&server);
    assert_eq!((&before[0]["what"], &before[1]["what"]), (&"connect".into(), &"disconnect".into()));
    assert_eq!((&before[0]["who"], &before[0]["from"]), (&"operator".into(), &"127.0.0.1".into()));

    let file = server.state().join("audit.jsonl");
    crate::server::eventually("it is on the disk", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() == 2)
    });
    // As a power cut leaves it.
    let mut half = OpenOptions::new().append(true).open(&file).expect("the log");
    half.write_all(b"{\"at\":\"2026-11-24T20:").expect("written");
    let server = server.again();
    assert_eq!(audit(&server), before);
    assert_eq!(http::request(server.admin, "DELETE", path, OPERATOR, "").status, 200);
    assert_eq!(audit(&server)[1..], before);
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs schemathesis: tests/run"]
fn schemathesis_finds_no_breach() {
    let server = start();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/schemathesis");
    let url = format!("http://{}/api/v1/openapi.json", server.admin);
    // It writes files of its own into its working directory.
    let home = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(program);
    command.current_dir(home.path());
    command.args(["run", &url, "--header", "Authorization: Bearer chalk"]);
    // Events have no end. Which names exist depends on the configuration, so a request may be as the document wants
    // it and still be refused.
    command.args(["--exclude-path", "/api/v1/events", "--exclude-checks", "positive_data_acceptance"]);
    command.args(["--max-examples", "15", "--seed", "6", "--generation-database", "none", "--no-color"]);
    let output = command.output().expect("schemathesis runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    // Everything answers as before, once the wait after its last wrong token is over.
    crate::server::eventually("a right token is judged again", || {
        http::request(server.admin, "GET", "/api/v1/matrix", VIEWER, "").status == 200
    });
    assert_eq!(server.end(), Some(0));
}
