//! GStreamer's RTSP server as the source: a child that ends with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Serves one clip.
pub struct GstServer {
    child: Child,
    pub port: u16,
}

impl GstServer {
    /// Serves `clip` with these options of `gst_server.py`.
    pub fn start(clip: &Path, options: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/gst_server.py");
        // Debian's own interpreter, because another one on the path would not find Debian's python3-gi.
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(clip)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is installed");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
        Self { child, port: port.expect("GStreamer's RTSP server is installed") }
    }

    /// Where the clip is; `user` is empty or `name:password@`.
    pub fn url(&self, user: &str) -> String {
        format!("rtsp://{user}127.0.0.1:{}/extron1", self.port)
    }

    /// Kills the process, as if an encoder had crashed.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for GstServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
