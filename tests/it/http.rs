//! A client of a few lines, so that the server is not judged by its own libraries.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::{dash, rfc8216};

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text")
    }

    /// A header's value, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// One request on a connection of its own.
pub fn request(address: SocketAddr, method: &str, path: &str, extra: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{extra}\r\n{body}"
    )
    .expect("sent");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("an answer");
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(reply[..end].to_vec()).expect("a head is text");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let answer = Answer { status, headers: head.to_lowercase(), body: reply[end + 4..].to_vec() };
    if status == 200
        && answer.header("content-type") == Some("application/vnd.apple.mpegurl")
        && method == "GET"
    {
        rfc8216::check(path, answer.text());
    }
    if status == 200 && answer.header("content-type") == Some("application/dash+xml") && method == "GET" {
        dash::check(path, answer.text());
    }
    answer
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, "", "")
}

/// With header lines of its own.
pub fn get_with(address: SocketAddr, path: &str, extra: &[(&str, &str)]) -> Answer {
    let extra: Vec<String> = extra.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let extra = extra.concat();
    request(address, "GET", path, &extra, "")
}
