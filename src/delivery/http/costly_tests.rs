//! Answers that take computing are made in the workshop, and do not delay others.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::mpsc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{ETAG, IF_NONE_MATCH, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use amphi_http::Body;
use amphi_media::{CellIndex, Segment};
use amphi_runtime::workshop::{Workshop, WorkshopLimits};
use amphi_vod::{Mount, MountSettings};

const ALL: [&str; 9] = [
    "mp4:a.mp4/playlist.m3u8",
    "mp4:a.mp4/manifest.mpd",
    "mp4:a.mp4/chunklist.m3u8",
    "mp4:a.mp4/text_0.m3u8",
    "mp4:a.mp4/text_0_0.vtt",
    "mp4:a.mp4/text_0.vtt",
    "mp4:a.mp4/chapters.json",
    "mp4:a.mp4/poster.jpg?t=4",
    "index.json",
];

fn folder() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hall_a.mp4");
    for name in ["a.mp4", "b.mp4", "c.mp4"] {
        std::fs::copy(&fixture, root.path().join(name)).expect("copied");
    }
    std::fs::write(root.path().join("a.smil"), "<smil><body><video src='mp4:a'/></body></smil>")
        .expect("written");
    let cues = (0..3000).fold(String::new(), |mut cues, n| {
        write!(cues, "00:{:02}.000 --> 01:00.000\ncue {n}\n\n", n % 60).expect("in memory");
        cues
    });
    std::fs::write(root.path().join("a.de.vtt"), format!("WEBVTT\n\n{cues}")).expect("written");
    root
}

/// A channel on air and a mount, whose answers come from one workshop.
fn served(root: &std::path::Path, plan: WorkshopLimits) -> (Delivery, Workshop) {
    let (delivery, mut writer) = super::tests::channel(2000);
    let segment = Segment { head: Bytes::from_static(b"head"), video: None, audio: None };
    writer.push(CellIndex(super::tests::K), vec![segment; 3]).expect("in order");
    let settings = MountSettings {
        root: root.to_owned(),
        segment_ms: 4000,
        download: true,
        poster: true,
        index: true,
        ..MountSettings::default()
    };
    let workshop = Workshop::new(plan);
    delivery.registry().mount("vod", Mount::new(settings).in_workshop(workshop.clone()));
    (delivery, workshop)
}

fn peer(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 4711))
}

async fn get(delivery: &Delivery, path: &str) -> Response<Body> {
    let request = Request::get(path).body(()).expect("a request");
    delivery.clone().oneshot(request).await.expect("infallible")
}

async fn body(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.expect("read").to_bytes()
}

/// Keeps the only thread busy until the sender is dropped.
async fn block(workshop: &Workshop) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let at = workshop.clone();
    tokio::spawn(async move { at.run(None, move || held.recv().is_ok()).await });
    while workshop.load().running == 0 {
        tokio::task::yield_now().await;
    }
    release
}

const ONE: WorkshopLimits = WorkshopLimits { threads: 1, places: 256, per_address: 32 };

#[tokio::test]
async fn whatever_many_ask_for_at_once_is_computed_once() {
    let root = folder();
    let (delivery, _workshop) = served(root.path(), ONE);
    for (made, path) in (1..).zip(ALL) {
        let path = format!("/vod/{path}");
        let answers = join_all((0..100).map(|_| get(&delivery, &path))).await;
        let first = answers.first().expect("one").headers()[ETAG].clone();
        for answer in answers {
            assert_eq!((answer.status(), &answer.headers()[ETAG]), (StatusCode::OK, &first), "{path}");
        }
        assert_eq!(delivery.made.count(), made, "{path}");
        let again = Request::get(&path).header(IF_NONE_MATCH, &first).body(()).expect("a request");
        let again = delivery.clone().oneshot(again).await.expect("infallible");
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
    }
}

#[tokio::test]
async fn every_segment_of_subtitles_is_cut_from_cues_that_were_read_once() {
    let root = folder();
    let (delivery, workshop) = served(root.path(), ONE);
    get(&delivery, "/vod/mp4:a.mp4/text_0_0.vtt").await;
    let before = workshop.load().done;
    for part in 1..20 {
        let path = format!("/vod/mp4:a.mp4/text_0_{part}.vtt");
        assert_eq!(get(&delivery, &path).await.status(), StatusCode::OK);
    }
    // The last one may still be counted.
    let jobs = workshop.load().done - before;
    assert!((18..=20).contains(&jobs), "{jobs} jobs for 19 segments: the file was read again");
}

#[tokio::test]
async fn a_changed_file_is_answered_anew() {
    let root = folder();
    let (delivery, _workshop) = served(root.path(), ONE);
    let path = "/vod/mp4:a.mp4/text_0_0.vtt";
    let first = get(&delivery, path).await;
    let etag = first.headers()[ETAG].clone();
    std::fs::write(root.path().join("a.de.vtt"), "WEBVTT\n\n00:01.000 --> 00:02.000\nanother\n")
        .expect("written");
    // As often as files are looked at: three seconds.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let answer = get(&delivery, path).await;
        if answer.headers()[ETAG] != etag {
            assert!(body(answer).await.ends_with(b"another\n"));
            return;
        }
        assert!(std::time::Instant::now() < until, "the old answer stays");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn live_answers_go_on_while_the_workshop_is_full_and_others_are_asked_to_come_again() {
    let root = folder();
    let (delivery, workshop) = served(root.path(), WorkshopLimits { threads: 1, places: 3, per_address: 32 });
    let release = block(&workshop).await;
    let waiting: Vec<_> = ["a", "b"]
        .map(|name| {
            let delivery = delivery.for_peer(peer(1));
            tokio::spawn(async move { get(&delivery, &format!("/vod/mp4:{name}.mp4/playlist.m3u8")).await })
        })
        .into();
    while workshop.load().waiting < 2 {
        tokio::task::yield_now().await;
    }
    let refused = get(&delivery.for_peer(peer(2)), "/vod/mp4:c.mp4/playlist.m3u8").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    for path in ["/hs-a/playlist.m3u8", "/hs-a/chunklist_480p.m3u8", "/hs-a/manifest.mpd", "/"] {
        assert_eq!(get(&delivery, path).await.status(), StatusCode::OK, "{path}");
    }
    // Requests for the same document wait for it together, and take no place.
    let joined = delivery.for_peer(peer(3));
    let joined = tokio::spawn(async move { get(&joined, "/vod/mp4:b.mp4/playlist.m3u8").await });
    while !joined.is_finished() && workshop.load().refused < 1 {
        tokio::task::yield_now().await;
    }
    drop(release);
    for answer in waiting.into_iter().chain([joined]) {
        assert_eq!(answer.await.expect("it ends").status(), StatusCode::OK);
    }
    let answer = get(&delivery.for_peer(peer(2)), "/vod/mp4:c.mp4/playlist.m3u8").await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn one_address_has_its_share_and_no_more() {
    let root = folder();
    let (delivery, workshop) =
        served(root.path(), WorkshopLimits { threads: 1, places: 100, per_address: 2 });
    // Indexed before, so that each picture is one job.
    assert_eq!(get(&delivery, "/vod/mp4:a.mp4/playlist.m3u8").await.status(), StatusCode::OK);
    let release = block(&workshop).await;
    let ask = |last: u8, width: u32| {
        let delivery = delivery.for_peer(peer(last));
        tokio::spawn(async move { get(&delivery, &format!("/vod/mp4:a.mp4/poster.jpg?width={width}")).await })
    };
    let greedy: Vec<_> = (0..5).map(|number| ask(1, 100 + 2 * number)).collect();
    while workshop.load().waiting < 2 || workshop.load().refused < 3 {
        tokio::task::yield_now().await;
    }
    let modest = ask(2, 200);
    while workshop.load().waiting < 3 {
        tokio::task::yield_now().await;
    }
    drop(release);
    assert_eq!(modest.await.expect("it ends").status(), StatusCode::OK);
    let mut refused = 0;
    for answer in greedy {
        let answer = answer.await.expect("it ends");
        if answer.status() != StatusCode::OK {
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()[RETRY_AFTER], "1");
            refused += 1;
        }
    }
    assert_eq!(refused, 3);
}
