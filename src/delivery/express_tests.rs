//! The express lane beside the ordinary way: the same answers, and nothing lost between the two.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::tests::{K, channel};
use super::*;
use crate::http::{self as joints, Asked, Content, Express, Limits, Places, listen};
use crate::media::{CellIndex, Segment};

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

type Answered = (StatusCode, HeaderMap, Vec<u8>);

/// Reads one answer from the front of `bytes`.
fn take(bytes: &mut &[u8], has_body: bool) -> Answered {
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

async fn ordinary(delivery: &Delivery, path: &str, tag: Option<&str>) -> Answered {
    let mut request = Request::get(path);
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    let parts = request.body(()).expect("a valid request").into_parts().0;
    let (parts, body) = delivery.answer(&parts).into_parts();
    (parts.status, parts.headers, body.collect().await.expect("it lies there").to_bytes().to_vec())
}

fn express(delivery: &Delivery, target: &str, tag: Option<&str>) -> Option<Answered> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut bytes = Vec::new();
    let asked = Asked { path, query, if_none_match: tag.map(str::as_bytes) };
    let parcel = delivery.ready(&asked, &mut bytes)?;
    bytes.extend_from_slice(b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
    match parcel.content {
        Content::Pieces(pieces) => bytes.extend_from_slice(&pieces.concat()),
        Content::Sealed(sealed) => bytes.extend_from_slice(&sealed.read()),
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
        assert_eq!(express(&delivery, path, None), Some(plain.clone()), "{path}");
        // Where there is a validator: the one that fits, and another.
        let tag = plain.1.get("etag").map(|tag| tag.to_str().expect("ASCII").to_owned());
        for tag in [tag.as_deref(), Some("W/\"other\", \"more\""), Some("*")] {
            let expected = ordinary(&delivery, path, tag).await;
            assert_eq!(express(&delivery, path, tag), Some(expected), "{path} {tag:?}");
        }
    }
}

#[tokio::test]
async fn what_does_not_lie_ready_is_left_to_the_ordinary_way() {
    let delivery = ready();
    delivery.registry().insert("starting", Channel { streams: Vec::new(), shelf: None, air: None });
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
        assert!(express(&delivery, path, None).is_none(), "{path}");
    }
    // Nor is it counted there.
    assert_eq!((delivery.counts().answers(Kind::Refused), delivery.counts().bytes()), (0, 0));
}

/// Serves by the lane or without it, sends `script` in pieces of `step` bytes, and gives all that comes back.
async fn exchange(delivery: &Delivery, with_lane: bool, script: &[u8], step: usize) -> Vec<u8> {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (end, delivery) = (CancellationToken::new(), delivery.clone());
    let ending = end.clone();
    let each = move |stream, _| {
        let (delivery, ending) = (delivery.clone(), ending.clone());
        async move {
            if with_lane {
                joints::serve_express(stream, delivery, Limits::default(), ending).await;
            } else {
                joints::serve_stream(stream, delivery, Limits::default(), ending).await;
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
            to.write_all(piece).await.expect("sent");
            tokio::task::yield_now().await;
        }
    };
    let ((), read) = tokio::join!(send, from.read_to_end(&mut received));
    read.expect("all of it");
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
    // Each way out of the lane, with requests before it, and behind it where it is not the connection's end.
    let lane = [&segment, &playlist, &known, &small, &segment];
    let after = [&small, &segment, &last_one];
    for (way_out, after) in [(&part, &after[..]), (&missing, &after), (&head, &after), (&last_one, &[])] {
        let requests: Vec<&String> = lane.into_iter().chain([way_out]).chain(after.iter().copied()).collect();
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
    assert!(delivery.counts().answers(Kind::Segment) > 0);
}

#[tokio::test]
async fn what_is_no_http_1_is_not_the_lanes() {
    let delivery = ready();
    for script in ["GET /hs-a/playlist.m3u8 HTTP/1.0\r\n\r\n", "GET / nonsense\r\n\r\n"] {
        let [ours, hypers] = [true, false].map(|lane| exchange(&delivery, lane, script.as_bytes(), 100));
        let (ours, hypers) = (ours.await, hypers.await);
        assert_eq!(take(&mut &ours[..], true), take(&mut &hypers[..], true), "{script:?}");
    }
    // HTTP/2 with prior knowledge (RFC 9113 §3.3), which begins with SETTINGS and is told to go away.
    let mut http_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    http_2.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    http_2.extend([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let [ours, hypers] = [true, false].map(|lane| exchange(&delivery, lane, &http_2, 10));
    let (ours, hypers) = (ours.await, hypers.await);
    assert_eq!(ours.get(3), Some(&4), "SETTINGS");
    assert_eq!(ours, hypers);
}
