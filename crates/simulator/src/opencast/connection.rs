//! A connection with one request and one answer, or what a mishap makes of it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answers::{OpencastAnswer, answer};
use super::request::OpencastRequest;
use super::{Mishap, Office};

/// Most bytes of a request's head.
const HEAD: usize = 16 * 1024;

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
    let Some(request) = OpencastRequest::parse(&String::from_utf8_lossy(&head)) else { return Ok(()) };
    let mishap = office.state().mishap;
    let page = |body: &str| OpencastAnswer::page(200, body.to_owned());
    let answer = match mishap {
        Some(Mishap::Drop) => return Ok(()),
        Some(Mishap::Hang) => return std::future::pending().await,
        Some(Mishap::Html) => page("<html><body>Opencast is being maintained</body></html>"),
        Some(Mishap::HtmlAsCalendar) => OpencastAnswer {
            kind: "text/calendar; charset=UTF-8".to_owned(),
            ..page("<html><body>Sorry</body></html>")
        },
        Some(Mishap::Error) => {
            OpencastAnswer::page(500, "<html><body>Internal Server Error</body></html>".to_owned())
        }
        Some(Mishap::Redirect) => OpencastAnswer::login(),
        Some(Mishap::NotModified) => OpencastAnswer { status: 304, ..OpencastAnswer::default() },
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
