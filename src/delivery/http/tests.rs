//! The service as viewers see it.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW,
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RETRY_AFTER,
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::delivery::{AccessDenied, AccessRequest, AnswerKind, Door, PublishedChannel};
use crate::store::{PublishedRung, WindowWriter, published_window};
use amphi_access::Admission;
use amphi_http::{Body, Limits, Port, listen, serve_with_peer};
use amphi_media::{
    AudioFormat, AudioTrack, CellIndex, Grid, ParameterSets, PictureSize, RungTracks, Segment, VideoTrack,
};

pub(super) const K: i64 = 897_500_000;
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

fn rung(name: &str, video: bool) -> PublishedRung {
    let parameter_sets = ParameterSets {
        sps: Bytes::from_static(&[0x67, 0x64, 0x00, 0x1f]),
        pps: Bytes::from_static(&[0x68]),
    };
    let tracks = RungTracks {
        name: name.to_owned(),
        video: video.then(|| VideoTrack {
            size: PictureSize { width: 1280, height: 720 },
            fps: 15,
            bitrate_bps: if name == "720p" { 750_000 } else { 400_000 },
            parameter_sets,
        }),
        video_index: video.then_some(0),
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    };
    PublishedRung::new(tracks, Bytes::from(format!("init of {name}")))
}

/// A channel `hs-a` with the stream `vl1` and three rungs.
pub(super) fn channel(cell_ms: u32) -> (Delivery, WindowWriter) {
    let rungs = vec![rung("720p", true), rung("480p", true), rung("160p", false)];
    let (writer, window) = published_window(Grid::new(cell_ms), 3, rungs);
    let delivery = Delivery::default();
    let streams = vec!["vl1".to_owned(), "other_one".to_owned()];
    delivery.registry().insert("hs-a", PublishedChannel { streams, window: Some(window), air: None });
    (delivery, writer)
}

fn cell(tag: u8) -> Vec<Segment> {
    let segment = |size: usize| Segment {
        head: vec![tag; 10].into(),
        video: Some(vec![tag; size].into()),
        audio: Some(vec![tag; 20].into()),
    };
    vec![segment(3000), segment(1000), Segment { video: None, ..segment(0) }]
}

/// A channel with `cells` cells, the first being [`K`].
fn ready(cells: i64) -> Delivery {
    let (delivery, mut writer) = channel(2000);
    for k in 0..cells {
        writer.push(CellIndex(K + k), cell(k as u8)).expect("in order");
    }
    delivery
}

async fn send(delivery: &Delivery, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a valid request");
    delivery.clone().oneshot(request).await.expect("infallible")
}

async fn get(delivery: &Delivery, path: &str) -> Response<Body> {
    send(delivery, "GET", path, &[]).await
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("infallible").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn header(response: &Response<Body>, name: impl http::header::AsHeaderName) -> String {
    response.headers().get(name).map_or("", |value| value.to_str().expect("ASCII")).to_owned()
}

#[tokio::test]
async fn every_form_of_a_url_gives_its_playlist() {
    let delivery = ready(1);
    let rungs = ["720p", "480p", "160p"];
    for (base, expected) in [
        ("/hs-a", &rungs[..]),
        ("/hs-a/_definst_", &rungs),
        ("/hs-a/vl1", &rungs),
        ("/hs-a/vl1.stream", &rungs),
        ("/hs-a/other_one", &rungs),
        ("/hs-a/_definst_/vl1", &rungs),
        ("/hs-a/_definst_/ngrp%3Avl1.stream_all", &rungs),
        ("/hs-a/ngrp:vl1_all", &rungs),
        ("/hs-a/vl1_720p", &rungs[..1]),
        ("/hs-a/vl1.stream_480p", &rungs[1..2]),
        ("/hs-a/_definst_/vl1_160p", &rungs[2..]),
    ] {
        let response = get(&delivery, &format!("{base}/playlist.m3u8?DVR")).await;
        assert_eq!(response.status(), StatusCode::OK, "{base}");
        assert_eq!(header(&response, CONTENT_TYPE), "application/vnd.apple.mpegurl");
        assert_eq!(header(&response, CACHE_CONTROL), "public, max-age=2");
        let playlist = text(response).await;
        let uris: Vec<&str> = playlist.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            uris,
            expected.iter().map(|rung| format!("chunklist_{rung}.m3u8")).collect::<Vec<_>>(),
            "{base}"
        );
        // Everything that the playlists name is there, under the same base.
        for uri in uris {
            let response = get(&delivery, &format!("{base}/{uri}")).await;
            assert_eq!(response.status(), StatusCode::OK, "{base}/{uri}");
            let playlist = text(response).await;
            let init = playlist.split('"').nth(1).expect("EXT-X-MAP");
            for media in playlist.lines().filter(|line| !line.starts_with('#')).chain([init]) {
                let response = get(&delivery, &format!("{base}/{media}")).await;
                assert_eq!(response.status(), StatusCode::OK, "{base}/{media}");
                let sound = media.contains("160p");
                assert_eq!(header(&response, CONTENT_TYPE), if sound { "audio/mp4" } else { "video/mp4" });
                assert_eq!(header(&response, CACHE_CONTROL), IMMUTABLE);
            }
        }
    }
}

#[tokio::test]
async fn chunklists_are_found_by_rung_rate_or_default() {
    let delivery = ready(1);
    for (path, rung) in [
        ("/hs-a/chunklist.m3u8", "720p"),
        ("/hs-a/vl1/chunklist_w929118404.m3u8", "720p"),
        ("/hs-a/vl1/chunklist_w1_b500000.m3u8", "480p"),
        ("/hs-a/vl1/chunklist_b1.m3u8", "160p"),
        ("/hs-a/vl1/chunklist_b99999999999.m3u8", "720p"),
        ("/hs-a/vl1/chunklist_w1_b1_480p.m3u8", "480p"),
        ("/hs-a/vl1_480p/chunklist.m3u8", "480p"),
        ("/hs-a/vl1_480p/chunklist_w7.m3u8", "480p"),
    ] {
        let playlist = text(get(&delivery, path).await).await;
        assert!(playlist.contains(&format!("media_{rung}_")), "{path}: {playlist}");
    }
}

#[tokio::test]
async fn what_is_not_there() {
    let delivery = ready(1);
    for (path, status) in [
        ("/assets/none.js", StatusCode::NOT_FOUND),
        ("/nowhere/playlist.m3u8", StatusCode::NOT_FOUND),
        ("/hs-a/nothing/playlist.m3u8", StatusCode::NOT_FOUND),
        ("/hs-a/vl1_1080p/playlist.m3u8", StatusCode::NOT_FOUND),
        ("/hs-a/_720p/playlist.m3u8", StatusCode::NOT_FOUND),
        ("/hs-a/chunklist_1080p.m3u8", StatusCode::NOT_FOUND),
        ("/hs-a/media_1080p_897500000.m4s", StatusCode::NOT_FOUND),
        ("/hs-a/init_720p_00000000.mp4", StatusCode::NOT_FOUND),
        ("/hs-a/../hs-a/playlist.m3u8", StatusCode::NOT_FOUND),
        ("/hs-a/%2/playlist.m3u8", StatusCode::BAD_REQUEST),
    ] {
        let response = get(&delivery, path).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(header(&response, CACHE_CONTROL), "no-store", "{path}");
        assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), "*", "{path}");
        assert_eq!(header(&response, CONTENT_TYPE), "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn expired_and_future_segments_are_404_without_content() {
    let delivery = ready(20);
    for k in [K, K + 20] {
        let response = get(&delivery, &format!("/hs-a/vl1/media_720p_{k}.m4s")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(header(&response, CONTENT_LENGTH), "0");
        assert_eq!(header(&response, CACHE_CONTROL), "no-store");
        assert_eq!(text(response).await, "");
    }
    assert_eq!(delivery.counts().answers(AnswerKind::SegmentGone), 2);
    assert_eq!(get(&delivery, &format!("/hs-a/media_720p_{}.m4s", K + 19)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_channel_before_its_first_cell_asks_to_come_again() {
    let (delivery, _writer) = channel(2000);
    for path in ["/hs-a/playlist.m3u8", "/hs-a/vl1/chunklist_720p.m3u8"] {
        let response = get(&delivery, path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(header(&response, RETRY_AFTER), "1");
        assert_eq!(header(&response, CACHE_CONTROL), "no-store");
    }
    assert_eq!(get(&delivery, "/hs-a/vl1/chunklist_x.m3u8").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_segment_is_sent_from_where_it_was_made() {
    let (delivery, mut writer) = channel(2000);
    let cell = cell(1);
    writer.push(CellIndex(K), cell.clone()).expect("the first");
    let mut body = get(&delivery, &format!("/hs-a/media_720p_{K}.m4s")).await.into_body();
    for piece in cell[0].pieces() {
        let sent = body.frame().await.expect("a piece").expect("infallible").into_data().expect("data");
        assert_eq!((sent.as_ptr(), sent.len()), (piece.as_ptr(), piece.len()));
    }
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn head_range_and_conditions() {
    let delivery = ready(1);
    let path = format!("/hs-a/media_720p_{K}.m4s");
    let response = send(&delivery, "HEAD", &path, &[]).await;
    assert_eq!(header(&response, CONTENT_LENGTH), "3030");
    assert_eq!(text(response).await, "");
    let response = send(&delivery, "GET", &path, &[("range", "bytes=-25")]).await;
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&response, CONTENT_RANGE), "bytes 3005-3029/3030");
    assert_eq!(text(response).await.len(), 25);
    let response = send(&delivery, "GET", &path, &[("range", "bytes=3030-")]).await;
    assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);

    let response = get(&delivery, "/hs-a/chunklist_720p.m3u8").await;
    assert_eq!(header(&response, CACHE_CONTROL), "public, max-age=0, must-revalidate");
    let etag = header(&response, ETAG);
    let response = send(&delivery, "GET", "/hs-a/chunklist_720p.m3u8", &[("if-none-match", &etag)]).await;
    assert_eq!((response.status(), header(&response, ETAG)), (StatusCode::NOT_MODIFIED, etag));
    let response = send(&delivery, "HEAD", "/nowhere/playlist.m3u8", &[]).await;
    assert_ne!(header(&response, CONTENT_LENGTH), "0");
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn a_media_playlist_is_kept_for_less_than_half_a_cell() {
    for (cell_ms, seconds) in [(1000, 0), (2000, 0), (4000, 1), (6000, 2), (10_000, 4)] {
        let (delivery, mut writer) = channel(cell_ms);
        writer.push(CellIndex(K), cell(0)).expect("the first");
        let response = get(&delivery, "/hs-a/chunklist_720p.m3u8").await;
        assert_eq!(header(&response, CACHE_CONTROL), format!("public, max-age={seconds}, must-revalidate"));
    }
}

#[tokio::test]
async fn methods_and_preflights() {
    let delivery = ready(1);
    let response = send(&delivery, "OPTIONS", "/hs-a/playlist.m3u8", &[("origin", "https://x")]).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_METHODS), "OPTIONS, GET, HEAD");
    assert_eq!(header(&response, ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    let response = send(&delivery, "POST", "/hs-a/playlist.m3u8", &[]).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&response, ALLOW), "OPTIONS, GET, HEAD");
    let response = get(&delivery, "/hs-a/playlist.m3u8").await;
    assert!(header(&response, ACCESS_CONTROL_EXPOSE_HEADERS).contains("Content-Length"));
}

#[tokio::test]
async fn a_channel_that_is_being_started_is_awaited() {
    let delivery = Delivery::default();
    let streams = vec!["vl1".to_owned()];
    delivery
        .registry()
        .insert("hs-a", PublishedChannel { streams: streams.clone(), window: None, air: None });
    let asked = get(&delivery, "/hs-a/vl1/playlist.m3u8");
    let started = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let (mut writer, reader) = published_window(Grid::new(2000), 3, vec![rung("720p", true)]);
        writer.push(CellIndex(K), cell(0).into_iter().take(1).collect()).expect("the first");
        delivery.registry().insert("hs-a", PublishedChannel { streams, window: Some(reader), air: None });
        writer
    };
    let (response, _writer) = tokio::join!(asked, started);
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_channel_without_a_window_asks_to_come_again() {
    let delivery = Delivery::default();
    let streams = vec!["vl1".to_owned()];
    delivery.registry().insert("hs-a", PublishedChannel { streams, window: None, air: None });
    let response = get(&delivery, "/hs-a/vl1/playlist.m3u8").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, RETRY_AFTER), "1");
}

#[tokio::test]
async fn crossdomain_and_counts() {
    let delivery = ready(1);
    let policy = text(get(&delivery, "/crossdomain.xml").await).await;
    assert!(policy.contains("allow-access-from domain=\"*\""));
    get(&delivery, &format!("/hs-a/media_480p_{K}.m4s")).await;
    let counts = delivery.counts();
    assert_eq!((counts.answers(AnswerKind::Segment), counts.answers(AnswerKind::Other)), (1, 1));
    assert_eq!(counts.bytes(), 1030 + policy.len() as u64);
}

/// A door that lets callers in that have the password, and records them.
#[derive(Debug, Default)]
struct Strict(std::sync::Mutex<Vec<String>>);

impl Door for Strict {
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        self.0.lock().expect("one at a time").push(format!("{caller:?}"));
        if caller.query == "token=good" {
            Ok(Admission::Open)
        } else {
            Err(AccessDenied::Told("the token is missing"))
        }
    }
}

#[tokio::test]
async fn the_door_decides_before_anything_is_looked_up() {
    let door = std::sync::Arc::new(Strict::default());
    let delivery = ready(1).behind(std::sync::Arc::clone(&door) as _);
    let ask = async |path: &str| {
        let request = Request::get(path).body(()).expect("a request");
        delivery.clone().oneshot(request).await.expect("infallible").status()
    };
    assert_eq!(ask("/hs-a/vl1/playlist.m3u8").await, StatusCode::FORBIDDEN);
    assert_eq!(ask("/hs-a/vl1/playlist.m3u8?token=good").await, StatusCode::OK);
    assert_eq!(ask("/no-such/vl1/playlist.m3u8").await, StatusCode::FORBIDDEN);
    let settings = amphi_vod::MountSettings {
        root: "/nowhere".into(),
        segment_ms: 6000,
        download: true,
        poster: false,
        index: false,
        ..amphi_vod::MountSettings::default()
    };
    delivery.registry().mount("vod", amphi_vod::Mount::new(settings));
    assert_eq!(ask("/vod/_definst_/mp4:a%20b/c.mp4/playlist.m3u8").await, StatusCode::FORBIDDEN);
    assert_ne!(ask("/vod/mp4:c.mp4/playlist.m3u8?token=good").await, StatusCode::FORBIDDEN);
    let came = door.0.lock().expect("nobody else").clone();
    assert_eq!(came[0], "Http Play hs-a by None (Entry)");
    assert_eq!(came[3], "Http Play vod/mp4:a b/c.mp4 by None (Entry)");
    assert!(came.iter().all(|caller| !caller.contains("token")), "{came:?}");
}

#[tokio::test]
async fn a_viewer_on_a_socket_takes_playlist_and_segment_over_one_connection() {
    let delivery = ready(1);
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let shutdown = CancellationToken::new();
    let (limits, ending) = (Limits::default(), shutdown.clone());
    let server = tokio::spawn(async move {
        serve_with_peer(&mut Port::new(listener), delivery, limits.places(), limits, None, ending).await;
    });
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("listening");
    let mut received = Vec::new();
    for (path, last) in
        [("chunklist_720p.m3u8".to_owned(), &b".m4s\n"[..]), (format!("media_720p_{K}.m4s"), &[0; 3030])]
    {
        let request = format!("GET /hs-a/vl1/{path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        received.clear();
        while !received.ends_with(last) {
            assert_ne!(
                stream.read_buf(&mut received).await.expect("readable"),
                0,
                "the connection stays open"
            );
        }
        assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    shutdown.cancel();
    server.await.expect("no panic");
}
