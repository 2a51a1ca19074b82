//! The fast path and hyper give the same answers, and nothing is lost between the two.

use std::fmt::Write as _;
use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::tests::{K, channel};
use super::*;
use crate::delivery::{AnswerKind, PublishedChannel};
use amphi_http::{self as joints, Asked, Content, FastPath, Limits, Places, SlowPath, listen};
use amphi_media::{CellIndex, Segment};

/// A channel with three cells, whose best rung is sent as pages.
fn ready() -> Delivery {
    let (delivery, mut writer) = channel(2000);
    for k in 0..3 {
        let segment = |size: usize| Segment {
            head: vec![k as u8; 10].into(),
            video: Some((0..size).map(|at| (at / 7) as u8).collect()),
            audio: Some(vec![k as u8; 20].into()),
        };
        let cell = vec![segment(400_000), segment(1000), Segment { video: None, ..segment(0) }];
        writer.push(CellIndex(K + k), cell).expect("in order");
    }
    delivery
}

pub(super) type Answered = (StatusCode, HeaderMap, Vec<u8>);

/// Reads one answer from the front of `bytes`.
pub(super) fn take(bytes: &mut &[u8], has_body: bool) -> Answered {
    let mut fields = [httparse::EMPTY_HEADER; 40];
    let mut response = httparse::Response::new(&mut fields);
    let Ok(httparse::Status::Complete(used)) = response.parse(bytes) else {
        panic!("no whole head: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)]));
    };
    let status = StatusCode::from_u16(response.code.expect("a status")).expect("a status");
    let mut headers = HeaderMap::new();
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_bytes(field.value).expect("a value"));
    }
    let date = headers.remove("date").expect("every answer has its date");
    assert!(date.to_str().is_ok_and(|date| date.len() == 29 && date.ends_with(" GMT")), "{date:?}");
    let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let body = if has_body { length.unwrap_or(0) } else { 0 };
    let content = bytes[used..used + body].to_vec();
    *bytes = &bytes[used + body..];
    (status, headers, content)
}

pub(super) async fn ordinary(delivery: &Delivery, path: &str, tag: Option<&str>) -> Answered {
    let mut request = Request::get(path);
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    let request = request.body(()).expect("a valid request");
    let (parts, body) = delivery.clone().oneshot(request).await.expect("infallible").into_parts();
    (parts.status, parts.headers, body.collect().await.expect("it lies there").to_bytes().to_vec())
}

fn fast(delivery: &Delivery, target: &str, tag: Option<&str>) -> Option<Answered> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut bytes = Vec::new();
    let asked = Asked { path, query, if_none_match: tag.map(str::as_bytes), fields: &[] };
    let parcel = delivery.ready(&asked, &mut bytes)?;
    bytes.extend_from_slice(b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
    match parcel.content {
        Content::Pieces(pieces) => bytes.extend_from_slice(&pieces.concat()),
        Content::Pages(pages) => bytes.extend_from_slice(&pages.read().expect("it is there")),
    }
    let mut rest = &bytes[..];
    let answered = take(&mut rest, true);
    assert!(rest.is_empty(), "more than was announced");
    Some(answered)
}

#[tokio::test]
async fn the_lane_answers_as_the_ordinary_way_does() {
    let delivery = ready();
    let last = K + 2;
    let media =
        String::from_utf8(ordinary(&delivery, "/hs-a/chunklist_720p.m3u8", None).await.2).expect("text");
    let init = format!("/hs-a/{}", media.split('"').nth(1).expect("EXT-X-MAP"));
    for path in [
        "/hs-a/playlist.m3u8",
        "/hs-a/vl1_480p/playlist.m3u8?token=a%20b",
        "/hs-a/_definst_/ngrp%3Avl1_all/playlist.m3u8",
        "/hs-a/manifest.mpd",
        "/hs-a/chunklist_720p.m3u8",
        "/hs-a/vl1/chunklist_w929118404_b64000.m3u8",
        &init,
        &format!("/hs-a/media_720p_{last}.m4s"),
        &format!("/hs-a/media_480p_{last}.m4s"),
        &format!("/hs-a/media_160p_{last}.m4s"),
    ] {
        let plain = ordinary(&delivery, path, None).await;
        assert_eq!(plain.0, StatusCode::OK, "{path}");
        assert_eq!(fast(&delivery, path, None), Some(plain.clone()), "{path}");
        // If there is an `ETag`: the right one, and another.
        let tag = plain.1.get("etag").map(|tag| tag.to_str().expect("ASCII").to_owned());
        for tag in [tag.as_deref(), Some("W/\"other\", \"more\""), Some("*")] {
            let expected = ordinary(&delivery, path, tag).await;
            assert_eq!(fast(&delivery, path, tag), Some(expected), "{path} {tag:?}");
        }
    }
}

#[tokio::test]
async fn what_does_not_lie_ready_is_left_to_the_ordinary_way() {
    let delivery = ready();
    delivery.registry().insert("starting", PublishedChannel { streams: Vec::new(), window: None, air: None });
    for path in [
        "/",
        "/assets/channels.json",
        "/watch/hs-a",
        "/watch/playlist.m3u8",
        "/api/public/now.json",
        "/crossdomain.xml",
        "/hs-a/vl2/playlist.m3u8",
        "/nobody/playlist.m3u8",
        "/starting/playlist.m3u8",
        "/hs-a/media_720p_1.m4s",
        "/hs-a/%zz",
        "/hs-a/init_720p_00000000.mp4",
    ] {
        assert!(fast(&delivery, path, None).is_none(), "{path}");
    }
    // It is not counted there either.
    assert_eq!((delivery.counts().answers(AnswerKind::Refused), delivery.counts().bytes()), (0, 0));
}

/// Serves with the fast path or without it, sends `script` in pieces of `step` bytes, and returns all that comes back.
pub(super) async fn exchange(delivery: &Delivery, with_lane: bool, script: &[u8], step: usize) -> Vec<u8> {
    exchange_within(Limits::default(), delivery, with_lane, script, step).await
}

async fn exchange_within(
    limits: Limits,
    delivery: &Delivery,
    with_lane: bool,
    script: &[u8],
    step: usize,
) -> Vec<u8> {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (end, delivery) = (CancellationToken::new(), delivery.clone());
    let ending = end.clone();
    let each = move |stream, _| {
        let (delivery, ending) = (delivery.clone(), ending.clone());
        async move {
            if with_lane {
                joints::serve_fast_path(stream, delivery, limits, SlowPath::default(), ending).await;
            } else {
                joints::serve_stream(stream, delivery, limits, ending).await;
            }
        }
    };
    let server = tokio::spawn(joints::accept_each(listener, Places::new(10, 0), each, end.clone()));
    let stream = tokio::net::TcpStream::connect(address).await.expect("a server");
    stream.set_nodelay(true).expect("a socket");
    let (mut from, mut to) = stream.into_split();
    let mut received = Vec::new();
    let send = async {
        for piece in script.chunks(step) {
            // After a refusal no more of the request is read.
            if to.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    // A connection that ends before it has read all is reset.
    let ((), _) = tokio::join!(send, from.read_to_end(&mut received));
    end.cancel();
    server.await.expect("no panic");
    received
}

#[tokio::test]
async fn whoever_leaves_the_lane_loses_nothing() {
    let (delivery, last) = (ready(), K + 2);
    let segment =
        format!("GET /hs-a/media_720p_{last}.m4s HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    let small = format!("GET /hs-a/media_480p_{last}.m4s HTTP/1.1\r\nHost: a\r\n\r\n");
    let playlist = "GET /hs-a/chunklist_720p.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
    let known = playlist.replace("\r\n\r\n", "\r\nIf-None-Match: *\r\n\r\n");
    let part = small.replace("\r\n\r\n", "\r\nRange: bytes=5-24\r\n\r\n");
    let last_one = playlist.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let other = |line: &str, rest: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n{rest}");
    let missing = other("GET /nobody/playlist.m3u8", "\r\n");
    let head = other("HEAD /hs-a/playlist.m3u8", "\r\n");
    // Each way out of the fast path, with requests before it, and after it if the connection goes on.
    let fast = [&segment, &playlist, &known, &small, &segment];
    let after = [&small, &segment, &last_one];
    for (way_out, after) in [(&part, &after[..]), (&missing, &after), (&head, &after), (&last_one, &[])] {
        let requests: Vec<&String> = fast.into_iter().chain([way_out]).chain(after.iter().copied()).collect();
        let script: String = requests.iter().map(|request| request.as_str()).collect();
        for step in [1, 13, 100, 10_000] {
            let [ours, hypers] = [
                exchange(&delivery, true, script.as_bytes(), step).await,
                exchange(&delivery, false, script.as_bytes(), step).await,
            ];
            let (mut ours, mut hypers) = (&ours[..], &hypers[..]);
            for request in &requests {
                let has_body = !request.starts_with("HEAD");
                let answer = take(&mut ours, has_body);
                assert_eq!(answer, take(&mut hypers, has_body), "{request} in steps of {step}");
            }
            assert!(ours.is_empty() && hypers.is_empty(), "in steps of {step}");
        }
    }
    assert!(delivery.counts().answers(AnswerKind::Segment) > 0);
}

#[tokio::test]
async fn what_is_no_http_1_is_not_the_lanes() {
    let delivery = ready();
    for script in ["GET /hs-a/playlist.m3u8 HTTP/1.0\r\n\r\n", "GET / nonsense\r\n\r\n"] {
        let [ours, hypers] = [true, false].map(|fast| exchange(&delivery, fast, script.as_bytes(), 100));
        let (ours, hypers) = (ours.await, hypers.await);
        assert_eq!(take(&mut &ours[..], true), take(&mut &hypers[..], true), "{script:?}");
    }
    // HTTP/2 with prior knowledge (RFC 9113 §3.3), which begins with SETTINGS and is told to go away.
    let mut http_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    http_2.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    http_2.extend([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let [ours, hypers] = [true, false].map(|fast| exchange(&delivery, fast, &http_2, 10));
    let (ours, hypers) = (ours.await, hypers.await);
    assert_eq!(ours.get(3), Some(&4), "SETTINGS");
    assert_eq!(ours, hypers);
}

/// The answers, as heads with their fields in order and the bytes after each, without `Date`.
fn told(bytes: &[u8]) -> Vec<(Vec<String>, String)> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let answers = text.split("HTTP/1.").skip(1).map(|answer| {
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
        let mut fields: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
        fields.retain(|field| !field.starts_with("date: "));
        fields.sort_unstable();
        (fields, rest.to_owned())
    });
    answers.collect()
}

/// A request with all kinds of oddities that the fast path and hyper may treat differently.
fn request() -> impl Strategy<Value = String> {
    let method = prop_oneof![8 => Just("GET"), 1 => Just("HEAD"), 1 => Just("POST"), 1 => Just("OPTIONS"), 1 => Just("get")];
    let target = select(vec![
        "/hs-a/playlist.m3u8",
        "/hs-a/playlist.m3u8",
        "/hs-a/chunklist_720p.m3u8",
        "/hs-a/manifest.mpd",
        "/hs-a/playlist.m3u8?token=a%20b",
        "/hs-a/playlist.m3u8?a=b?c",
        "/hs-a/playlist.m3u8?a=\"b\"",
        "/hs-a/playlist.m3u8?<a>",
        "/hs-a/playlist.m3u8#part",
        "/hs-a/playlist.m3u8?a#part",
        "//hs-a/playlist.m3u8",
        "/hs-a//playlist.m3u8",
        "/hs-a/../hs-a/playlist.m3u8",
        "/hs-a/%70laylist.m3u8",
        "/hs-a/play|list.m3u8",
        "/hs-a/\u{e9}.m3u8",
        "http://a/hs-a/playlist.m3u8",
        "*",
        "hs-a/playlist.m3u8",
        "/hs-a/playlist.m3u8 ",
        "/",
    ]);
    let version = prop_oneof![12 => Just("HTTP/1.1"), 1 => Just("HTTP/1.0"), 1 => Just("HTTP/1.2"), 1 => Just("HTTP/2.0")];
    let host = prop_oneof![
        8 => Just("Host: a\r\n"), 1 => Just(""), 1 => Just("host: a:80\r\nHost: b\r\n"), 1 => Just("Host:\r\n"),
        1 => Just("Host: a b\r\n"), 1 => Just("HOST: [::1]:80\r\n"), 1 => Just("Host: user@a\r\n"),
        1 => Just("Host: a/b\r\n"), 1 => Just("Host: a:99999\r\n"), 1 => Just("Host: :80\r\n"), 1 => Just("Host: a:b\r\n"),
        1 => Just("Host: a:1:2\r\n"),
        1 => Just("Host: -a..b_\r\n"),
    ];
    let field = select(vec![
        "Range: bytes=0-9",
        "range: bytes=-5",
        "Range: nonsense",
        "If-Range: \"x\"\r\nRange: bytes=0-9",
        "If-None-Match: *",
        "if-none-match: \"other\", W/\"more\"",
        "If-None-Match: *\r\nIf-None-Match: \"x\"",
        "If-Match: \"x\"",
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
        "Connection: keep-alive",
        "Connection: close",
        "connection: Keep-Alive, x",
        "Connection: Upgrade\r\nUpgrade: h2c",
        "Content-Length: 0",
        "Content-Length: 5",
        "Content-Length: x",
        "Content-Length: 5\r\nContent-Length: 6",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Expect: 100-continue",
        "TE: trailers",
        "Accept-Encoding: gzip",
        "X-Odd: \u{e9}",
        "X-Empty:",
        "Host : b",
        "X y: z",
        ": nameless",
        " folded: yes",
        "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "Trailer: x",
        "Proxy-Connection: close",
        "Keep-Alive: timeout=5",
        "Origin: http://b",
        "Authorization: Basic x",
        "X-Tab:\ta",
    ]);
    let many = prop_oneof![20 => Just(0_usize), 1 => Just(47), 1 => Just(60), 1 => Just(120)];
    let end = prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r\nhello"), 1 => Just("\r\n5\r\nhello\r\n0\r\n\r\n")];
    let fields = prop::collection::vec(field, 0..3);
    (method, target, version, host, fields, many, end).prop_map(
        |(method, target, version, host, fields, many, end)| {
            let mut head = format!("{method} {target} {version}\r\n{host}");
            for field in fields {
                write!(head, "{field}\r\n").expect("in memory");
            }
            for at in 0..many {
                write!(head, "X-{at}: y\r\n").expect("in memory");
            }
            head + end
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 50, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_asked_the_lane_and_hyper_say_the_same(
        requests in prop::collection::vec(request(), 1..3), step in 1_usize..3000,
    ) {
        let last = "GET /hs-a/chunklist_720p.m3u8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let script = requests.concat() + last;
        // The rest of half a request is waited for.
        let limits = Limits { idle: std::time::Duration::from_millis(300), ..Limits::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (ours, hypers) = runtime.block_on(async {
            let delivery = ready();
            let step = step.max(script.len() / 8);
            tokio::join!(
                exchange_within(limits, &delivery, true, script.as_bytes(), step),
                exchange_within(limits, &delivery, false, script.as_bytes(), step)
            )
        });
        prop_assert_eq!(told(&ours), told(&hypers), "{:?}", script);
    }
}
