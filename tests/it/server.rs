//! A server in a process of its own, on ports that the system chose; it ends with the test.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http;

/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Server {
    child: Child,
    pub media: SocketAddr,
    pub http: SocketAddr,
    pub admin: SocketAddr,
    log: Mutex<Receiver<Value>>,
    /// The time until which its log is not read.
    log_paused: Arc<Mutex<Instant>>,
    /// The folder of its configuration and state, if it has one.
    home: Option<TempDir>,
}

impl Server {
    /// `amphi run` with this configuration beneath a `[server]` table of its own.
    pub fn run(configuration: &str) -> Self {
        Self::run_at(0, configuration)
    }

    /// The same with plain HTTP on this port.
    pub fn run_at(port: u16, configuration: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        write_configuration(&home, port, configuration);
        Self::start_in(home)
    }

    /// Replaces the configuration.
    pub fn rewrite(&self, configuration: &str) {
        write_configuration(self.home.as_ref().expect("a server with a configuration"), 0, configuration);
    }

    /// Its `state_dir`.
    pub fn state(&self) -> std::path::PathBuf {
        self.home.as_ref().expect("a server with a configuration").path().join("state")
    }

    /// Stops reading its log for so long.
    pub fn pause_log(&self, time: Duration) {
        *self.log_paused.lock().expect("no panic") = Instant::now() + time;
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it and starts it anew with the same configuration and state.
    pub fn again(mut self) -> Self {
        let home = self.home.take().expect("a server with a configuration");
        assert_eq!(self.end(), Some(0));
        Self::start_in(home)
    }

    /// Kills it, as a power cut does, and starts it anew.
    pub fn killed(mut self) -> Self {
        let home = self.home.take().expect("a server with a configuration");
        drop(self);
        Self::start_in(home)
    }

    /// The folder of its configuration and its state.
    pub fn home(&self) -> &std::path::Path {
        self.home.as_ref().expect("a server with a configuration").path()
    }

    /// The same with these variables in its environment.
    pub fn run_in(environment: &[(&str, &str)], configuration: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        write_configuration(&home, 0, configuration);
        let path = home.path().join("config.toml");
        let mut server = Self::start_with(environment, &["run", path.to_str().expect("UTF-8")]);
        server.home = Some(home);
        server
    }

    fn start_in(home: TempDir) -> Self {
        let path = home.path().join("config.toml");
        let mut server = Self::start(&["run", path.to_str().expect("UTF-8")]);
        server.home = Some(home);
        server
    }

    /// `amphi` with these arguments.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(&[], arguments)
    }

    fn start_with(environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_amphi"))
            .args(["--log-format", "json"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("amphi starts");
        let stderr = child.stderr.take().expect("its log");
        let (sender, log) = channel();
        let log = Mutex::new(log);
        let log_paused = Arc::new(Mutex::new(Instant::now()));
        let paused = Arc::clone(&log_paused);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let until = *paused.lock().expect("no panic");
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                if let Ok(line) = serde_json::from_str::<Value>(&line) {
                    let _ = sender.send(line);
                } else {
                    eprintln!("amphi: {line}");
                }
            }
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server =
            Self { child, media: nowhere, http: nowhere, admin: nowhere, log, log_paused, home: None };
        server.media = server.address("media");
        server.http = server.address("http");
        server.admin = server.address("admin");
        server
    }

    /// The demo without a schedule, so that nothing happens by itself.
    pub fn demo() -> Self {
        let any = "127.0.0.1:0";
        let level = ["--log-level", "info,retina=warn,amphi::delivery::rtsp=debug"];
        let addresses = ["--listen", any, "--http-listen", any, "--admin-listen", any];
        Self::start(&[&level[..], &["demo", "--no-schedule"], &addresses].concat())
    }

    /// Where it serves `service`, if that was not read yet.
    pub fn address(&self, service: &str) -> SocketAddr {
        let line = self.logged(|fields| fields["message"] == "listening" && fields["service"] == service);
        line["address"].as_str().and_then(|address| address.parse().ok()).expect("an address")
    }

    /// What it has logged and the test has not read, for the message of a failure.
    pub fn said(&self) -> String {
        let log = self.log.lock().expect("one reader");
        let lines = log.try_iter().map(|line| format!("{} {}", line["timestamp"], line["fields"]));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Waits for a line of the log; gives its fields.
    pub fn logged(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self
                .log
                .lock()
                .expect("one reader")
                .recv_timeout(left)
                .expect("the line comes before the server ends");
            if wanted(&line["fields"]) {
                return line["fields"].clone();
            }
        }
    }

    pub fn matrix(&self) -> Value {
        serde_json::from_str(http::get(self.admin, "/api/v1/matrix").text()).expect("JSON")
    }

    /// What a channel shows: a source's name, or `None` for the waiting loop.
    pub fn on_air(&self, channel: &str) -> Option<String> {
        let matrix = self.matrix();
        let channels = matrix["channels"].as_array().expect("channels");
        let row = channels.iter().find(|row| row["name"] == channel).expect("the channel");
        row["on_air"]["source"].as_str().map(str::to_owned)
    }

    pub fn connect(&self, channel: &str, source: &str) {
        let path = format!("/api/v1/channels/{channel}/source");
        let body = format!("{{\"source\":\"{source}\"}}");
        let answer = http::request(self.admin, "PUT", &path, "Content-Type: application/json\r\n", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub fn disconnect(&self, channel: &str) {
        let answer =
            http::request(self.admin, "DELETE", &format!("/api/v1/channels/{channel}/source"), "", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Asks it to end, and gives its exit code.
    pub fn end(mut self) -> Option<i32> {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until the answer is yes.
pub fn eventually(what: &str, mut ask: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !ask() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn write_configuration(home: &TempDir, port: u16, configuration: &str) {
    let server = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nhttp_listen = \"127.0.0.1:{port}\"\nadmin_listen = \"127.0.0.1:0\"\n\
         state_dir = \"{}\"\n",
        home.path().join("state").display()
    );
    std::fs::write(home.path().join("config.toml"), server + configuration).expect("written");
}
