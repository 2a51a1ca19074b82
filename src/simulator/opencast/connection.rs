//! One request of a connection, one answer, and the end; or what a mishap makes of it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answers::{Answer, answer};
use super::{Mishap, Office};

/// Bytes of a request's head.
const HEAD: usize = 16 * 1024;

/// What was asked.
pub(super) struct Request {
    pub(super) path: String,
    pub(super) query: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// As it was asked for.
    pub(super) fn target(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.path, self.query)
    }

    /// A value of the query, percent-decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let target = lines.next()?.split(' ').nth(1)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter_map(header).collect();
        Some(Self { path: path.to_owned(), query: query.to_owned(), headers })
    }
}

pub(super) async fn serve(mut stream: TcpStream, office: &Office) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD {
        let mut byte = [0; 1024];
        let read = stream.read(&mut byte).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(byte.get(..read).unwrap_or_default());
    }
    let Some(request) = Request::parse(&String::from_utf8_lossy(&head)) else { return Ok(()) };
    let mishap = office.desk().mishap;
    let page = |body: &str| Answer::page(200, body.to_owned());
    let answer = match mishap {
        Some(Mishap::Drop) => return Ok(()),
        Some(Mishap::Hang) => return std::future::pending().await,
        Some(Mishap::Html) => page("<html><body>Opencast is being maintained</body></html>"),
        Some(Mishap::HtmlAsCalendar) => Answer {
            kind: "text/calendar; charset=UTF-8".to_owned(),
            ..page("<html><body>Sorry</body></html>")
        },
        Some(Mishap::Error) => {
            Answer::page(500, "<html><body>Internal Server Error</body></html>".to_owned())
        }
        Some(Mishap::Redirect) => Answer::login(),
        Some(Mishap::NotModified) => Answer { status: 304, ..Answer::default() },
        _ => answer(&request, office),
    };
    let half = answer.body.len() / 2;
    let cut = answer.body.get(..half).unwrap_or_default();
    match mishap.filter(|_| answer.status == 200) {
        Some(Mishap::HalfBody) => {
            stream.write_all(answer.head(answer.body.len()).as_bytes()).await?;
            stream.write_all(cut.as_bytes()).await?;
        }
        Some(Mishap::HalfCalendar) => {
            stream.write_all(answer.head(cut.len()).as_bytes()).await?;
            stream.write_all(cut.as_bytes()).await?;
        }
        Some(Mishap::HangHalfway) => {
            stream.write_all(answer.head(answer.body.len()).as_bytes()).await?;
            stream.write_all(cut.as_bytes()).await?;
            return std::future::pending().await;
        }
        _ => {
            stream.write_all(answer.head(answer.body.len()).as_bytes()).await?;
            stream.write_all(answer.body.as_bytes()).await?;
        }
    }
    stream.shutdown().await
}
