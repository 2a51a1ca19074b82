//! People who sign in: at npm's `oidc-provider` in headless Chromium, and by the headers of a proxy.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::http;
use crate::server::Server;
use crate::sources::one_hall;

/// The provider; it ends with the test.
struct Provider {
    child: Child,
    issuer: String,
    said: BufReader<std::process::ChildStdout>,
}

impl Provider {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/sign_in/provider.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        let mut provider = Self { child, issuer: String::new(), said };
        provider.issuer = provider.line();
        provider
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("it is up");
        line.trim().to_owned()
    }

    /// Tells it where browsers are sent back to.
    fn serve(&mut self, admin: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{admin}/sign-in/callback").expect("it reads");
        assert_eq!(self.line(), "ready");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(issuer: &str) -> String {
    format!(
        "{}[admin]\ntoken = \"operators-token\"\ncontact = \"the video team\"\n[admin.oidc]\nissuer = \"{issuer}\"\n\
         client_id = \"amphi\"\nclient_secret = \"a secret: with %\"\noperator = [\"groups=video\"]\nviewer = [\"groups=staff\"]\n\
         label = \"Campus account\"\n",
        one_hall("rtsp://127.0.0.1:9/extron1")
    )
}

fn who(server: &Server, cookie: &str) -> (u16, Value) {
    let cookie = format!("amphi_session={cookie}");
    let answer = http::get_with(server.admin, "/api/v1/session", &[("Cookie", &cookie)]);
    (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn people_sign_in_at_a_real_provider_in_a_browser() {
    let mut provider = Provider::start();
    let mut server = Server::run(&configuration(&provider.issuer));
    let admin = format!("http://{}", server.admin);
    provider.serve(&admin);
    let report = crate::console::run("sign_in.mjs", &[&admin]);
    assert_eq!(report.axe.len(), 3, "every page was judged");
    let steps = report.steps.iter();
    let cookie = steps.rev().find(|step| step.name == "cookie").and_then(|step| step.value.as_str());
    let cookie = cookie.expect("a session");
    for killed in [false, true] {
        server = if killed { server.killed() } else { server.again() };
        let (status, who) = who(&server, cookie);
        assert_eq!((status, &who["name"], &who["role"]), (200, &"Ada Müller".into(), &"operator".into()));
    }
    let audit = std::fs::read_to_string(server.state().join("audit.jsonl")).expect("the log");
    assert!(audit.contains("\"who\":\"operator:Ada Müller\",\"subject\":\"ada\""), "{audit}");
    // Other people are operators now: whoever signed in by the old rule signs in again.
    server.rewrite(&configuration(&provider.issuer).replace("groups=video", "groups=cinema"));
    let server = server.again();
    assert_eq!(who(&server, cookie).0, 401);
    assert_eq!(server.end(), Some(0));
}

/// The cookie of a session that this token opens, in its own letters: the other client writes headers small.
fn session_of(server: &Server, token: &str) -> String {
    let body = format!("{{\"token\":\"{token}\"}}");
    let mut stream = std::net::TcpStream::connect(server.admin).expect("it listens");
    write!(
        stream,
        "POST /api/v1/session HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.admin,
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, rest) = answer.split_once("amphi_session=").expect("a cookie");
    rest.split(';').next().expect("a value").to_owned()
}

#[test]
fn a_session_of_a_token_outlives_a_kill_and_ends_with_its_token() {
    let with =
        |token: &str| format!("{}[admin]\ntoken = \"{token}\"\n", one_hall("rtsp://127.0.0.1:9/extron1"));
    let server = Server::run(&with("operators-token"));
    let cookie = session_of(&server, "operators-token");
    let cookie = cookie.as_str();
    assert_eq!(who(&server, cookie).0, 200);
    let file = server.state().join("sessions.json");
    crate::server::eventually("the session is kept", || file.exists());
    let server = server.killed();
    assert_eq!(who(&server, cookie).0, 200);
    server.rewrite(&with("another-token"));
    let server = server.again();
    server.logged(|fields| fields["message"].as_str().is_some_and(|it| it.contains("sessions have ended")));
    assert_eq!(who(&server, cookie).0, 401);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_proxy_names_people_and_strangers_who_name_themselves_are_ignored() {
    let with = |proxy: &str| {
        format!(
            "trusted_proxies = [\"{proxy}\"]\n{}[admin]\nremote_user_header = \"X-Remote-User\"\nremote_groups_header = \"X-Groups\"\n\
             remote_viewer = [\"staff\"]\n",
            one_hall("rtsp://127.0.0.1:9/extron1")
        )
    };
    let ask = |server: &Server| {
        let headers = [("X-Remote-User", "bob@example.org"), ("X-Groups", "staff;all")];
        http::get_with(server.admin, "/api/v1/session", &headers)
    };
    let server = Server::run(&with("127.0.0.0/8"));
    let answer = ask(&server);
    let who: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(
        (answer.status, &who["name"], &who["role"]),
        (200, &"bob@example.org".into(), &"viewer".into())
    );
    assert_eq!(server.end(), Some(0));
    let server = Server::run(&with("192.0.2.1"));
    for _ in 0..3 {
        assert_eq!(ask(&server).status, 401);
    }
    server.logged(|fields| {
        fields["message"].as_str().is_some_and(|it| it.starts_with("a name in a header is ignored"))
    });
    assert!(!server.said().contains("a name in a header is ignored"), "said once");
    assert_eq!(server.end(), Some(0));
}
