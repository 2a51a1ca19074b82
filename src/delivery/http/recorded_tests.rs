//! Recordings come from their files as they come by reading them, whatever the file is like and whatever becomes of it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::fast_path_tests::{Answered, exchange, ordinary, take};
use super::*;
use amphi_container::isobmff::{BoxRef, Boxes, put_box};
use amphi_container::mp4::{Movie, MovieTrack};
use amphi_container::testing::track_rewritten;
use amphi_http::{Limits, Places, SlowPath, accept_each, listen, serve_fast_path};
use amphi_vod::{Mount, MountSettings};

fn fixture() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hall_a.mp4")).expect("a fixture")
}

fn served(root: &Path) -> Delivery {
    let delivery = Delivery::default();
    let settings = MountSettings { root: root.to_owned(), segment_ms: 4000, ..MountSettings::default() };
    delivery.registry().mount("vod", Mount::new(settings));
    delivery
}

fn find(file: &[u8], kind: [u8; 4]) -> BoxRef<'_> {
    Boxes::new(file, 0).flatten().find(|found| found.kind == kind).expect("there")
}

/// The file with its index behind its media: as it is, `by_track` with the sound behind all pictures.
fn index_last(file: &[u8], by_track: bool) -> Vec<u8> {
    let (ftyp, moov, mdat) = (find(file, *b"ftyp"), find(file, *b"moov"), find(file, *b"mdat"));
    let movie = Movie::parse(moov.whole, moov.at, file.len() as u64).expect("sound");
    let bytes = |track: &MovieTrack| {
        let extents = track.samples.extents(0, u32::MAX);
        extents
            .iter()
            .flat_map(|it| &file[it.offset as usize..it.end() as usize])
            .copied()
            .collect::<Vec<u8>>()
    };
    let tracks = [movie.video.as_ref().expect("a picture"), &movie.audio[0]];
    let apart = tracks.map(bytes);
    let begin = ftyp.whole.len() as u32 + 8;
    let places = [begin, begin + apart[0].len() as u32];
    let moved = begin.wrapping_sub(mdat.at as u32 + 8);
    let mut index = moov.whole.to_vec();
    for ((handler, track), place) in [*b"vide", *b"soun"].into_iter().zip(tracks).zip(places) {
        let mut edit = |kind: &[u8; 4], body: &mut Vec<u8>| match kind {
            b"stsc" if by_track => {
                *body = [0, 1, 1, track.samples.count(), 1].into_iter().flat_map(u32::to_be_bytes).collect();
            }
            b"stco" if by_track => *body = [0, 1, place].into_iter().flat_map(u32::to_be_bytes).collect(),
            b"stco" => {
                for offset in body[8..].chunks_exact_mut(4) {
                    let at = u32::from_be_bytes(offset.try_into().expect("four bytes"));
                    offset.copy_from_slice(&at.wrapping_add(moved).to_be_bytes());
                }
            }
            _ => {}
        };
        index = track_rewritten(&find(&index, *b"moov"), handler, &mut edit);
    }
    let mut out = ftyp.whole.to_vec();
    put_box(
        &mut out,
        *b"mdat",
        |out| if by_track { out.extend(apart.concat()) } else { out.extend(mdat.body) },
    );
    out.extend(index);
    out
}

/// The names of the segments and initialization sections in a stream's playlists of both tracks, and of each alone.
async fn names(delivery: &Delivery, stream: &str) -> Vec<String> {
    let text = async |file: &str| {
        let (status, _, body) = ordinary(delivery, &format!("/vod/mp4:{stream}/{file}"), None).await;
        assert_eq!(status.as_u16(), 200, "{stream}/{file}");
        String::from_utf8(body).expect("text")
    };
    let list = text("playlist.m3u8").await;
    let both = list.lines().find(|line| line.starts_with("chunklist")).expect("a playlist").to_owned();
    let alone = ["_v.m3u8", "_a0.m3u8"].map(|kind| both.replace(".m3u8", kind));
    let mut names = Vec::new();
    for playlist in [both].into_iter().chain(alone) {
        let list = text(&playlist).await;
        let init = list.split("URI=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("EXT-X-MAP");
        names.push(init.to_owned());
        names.extend(list.lines().filter(|line| line.starts_with("media_")).map(str::to_owned));
    }
    names
}

/// The samples of each track of a segment, by its own reader.
fn samples(init: &[u8], segment: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let file = [init, segment].concat();
    let (moov, moof) = (find(&file, *b"moov"), find(&file, *b"moof"));
    let mut movie = Movie::parse(moov.whole, moov.at, file.len() as u64).expect("a section");
    movie.add_fragment(moof.whole, moof.at, file.len() as u64).expect("a fragment");
    let tracks = movie.video.iter().chain(&movie.audio);
    let of_track = |track: &MovieTrack| {
        let sample = |index| {
            let extents = track.samples.extents(index, index + 1);
            extents.iter().flat_map(|it| &file[it.offset as usize..it.end() as usize]).copied().collect()
        };
        (0..track.samples.count()).map(sample).collect()
    };
    tracks.map(of_track).collect()
}

#[tokio::test]
async fn a_file_is_sent_as_it_is_read() {
    let root = tempfile::tempdir().expect("a folder");
    let whole = fixture();
    let write = |name: &str, bytes: &[u8]| fs::write(root.path().join(name), bytes).expect("written");
    write("first.mp4", &whole);
    write("last.mp4", &index_last(&whole, false));
    write("apart.mp4", &index_last(&whole, true));
    let delivery = served(root.path());
    // As one file of fragments, from its own segments.
    let mut fragments = Vec::new();
    for name in names(&delivery, "first.mp4").await.iter().filter(|name| name.contains("_av")) {
        fragments.extend(ordinary(&delivery, &format!("/vod/mp4:first.mp4/{name}"), None).await.2);
    }
    write("fragments.mp4", &fragments);
    let mut all: Vec<Vec<Vec<Vec<Vec<u8>>>>> = Vec::new();
    for file in ["first.mp4", "last.mp4", "apart.mp4", "fragments.mp4"] {
        let names = names(&delivery, file).await;
        let (mut init, mut of_file) = (Vec::new(), Vec::new());
        let line = |name: &str| format!("GET /vod/mp4:{file}/{name} HTTP/1.1\r\nHost: a\r\n\r\n");
        let script: String = names.iter().map(|name| line(name)).collect();
        let mut last = line("download");
        last.insert_str(last.len() - 2, "Connection: close\r\n");
        let received = exchange(&delivery, true, (script + &last).as_bytes(), 1000).await;
        let mut received = &received[..];
        for name in &names {
            let sent: Answered = take(&mut received, true);
            assert_eq!(
                sent,
                ordinary(&delivery, &format!("/vod/mp4:{file}/{name}"), None).await,
                "{file}/{name}"
            );
            if name.starts_with("init") { init = sent.2 } else { of_file.push(samples(&init, &sent.2)) }
        }
        let download = take(&mut received, true);
        assert_eq!(download.2, fs::read(root.path().join(file)).expect("there"), "{file}");
        assert!(received.is_empty());
        all.push(of_file);
    }
    for (file, other) in all.iter().zip(all.iter().skip(1)) {
        assert!(file == other, "the same samples in the same segments, however the file is written");
    }
}

#[tokio::test]
async fn parts_and_conditions_are_those_of_the_ordinary_way() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("a.mp4"), fixture()).expect("written");
    let delivery = served(root.path());
    let segment = names(&delivery, "a.mp4").await.remove(2);
    let etag = ordinary(&delivery, "/vod/mp4:a.mp4/download", None).await.1["etag"].clone();
    let etag = etag.to_str().expect("ASCII");
    let mut requests = Vec::new();
    for (name, field) in [
        (segment.as_str(), ""),
        (&segment, "Range: bytes=0-"),
        (&segment, "Range: bytes=100-60000"),
        (&segment, "Range: bytes=100-120"),
        (&segment, "Range: bytes=-50000"),
        (&segment, "Range: bytes=99999999-"),
        ("download", "Range: bytes=1000-"),
        ("download", &format!("If-None-Match: {etag}")),
        ("download", &format!("If-Range: {etag}\r\nRange: bytes=5-400000")),
        ("download", "If-Range: \"other\"\r\nRange: bytes=5-400000"),
        ("download", "If-Match: \"other\""),
        ("nothing", ""),
        ("playlist.m3u8", ""),
        ("chunklist.m3u8", "If-None-Match: *"),
        ("media_k00000000_k00000000_av_0-60.m4s", ""),
        ("manifest.mpd", "X-Other: a\r\nX-Other: b"),
    ] {
        let field = if field.is_empty() { String::new() } else { format!("{field}\r\n") };
        requests.push(format!("GET /vod/mp4:a.mp4/{name} HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
    }
    let mut last = requests[0].clone();
    last.insert_str(last.len() - 2, "Connection: close\r\n");
    let script = requests.concat() + &last;
    for step in [40, 100_000] {
        let [sent, read] = [
            exchange(&delivery, true, script.as_bytes(), step).await,
            exchange(&delivery, false, script.as_bytes(), step).await,
        ];
        let (mut sent, mut read) = (&sent[..], &read[..]);
        for request in &requests {
            assert_eq!(take(&mut sent, true), take(&mut read, true), "{request}");
        }
    }
}

/// A file with something behind it that no socket holds all of.
fn long_file(path: &Path, byte: u8) -> usize {
    let mut file = fixture();
    put_box(&mut file, *b"free", |out| out.resize(out.len() + (48 << 20), byte));
    fs::write(path, &file).expect("written");
    file.len()
}

/// A connection to a server that ends with the guard.
async fn connected(delivery: Delivery) -> (TcpStream, tokio_util::sync::DropGuard) {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let end = CancellationToken::new();
    let ending = end.clone();
    let each = move |stream, _| {
        serve_fast_path(stream, delivery.clone(), Limits::default(), SlowPath::default(), ending.clone())
    };
    tokio::spawn(accept_each(listener, Places::new(10, 0), each, end.clone()));
    (TcpStream::connect(address).await.expect("a server"), end.drop_guard())
}

const DOWNLOAD: &[u8] = b"GET /vod/mp4:a.mp4/download HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_file_that_is_cut_short_ends_the_connection() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("a.mp4");
    let len = long_file(&path, 1);
    let delivery = served(root.path());
    let (mut stream, _server) = connected(delivery.clone()).await;
    stream.write_all(DOWNLOAD).await.expect("sent");
    let mut begun = vec![0; 100_000];
    stream.read_exact(&mut begun).await.expect("the beginning");
    fs::File::options().write(true).open(&path).expect("opened").set_len(200_000).expect("cut");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    // Reset, or closed before all was sent.
    let _ = ended.expect("it ends");
    assert!(begun.len() + rest.len() < len, "{} bytes", rest.len());
    // Others are told that it is not whole.
    let again = Request::get("/vod/mp4:a.mp4/playlist.m3u8").body(()).expect("a request");
    let again = delivery.oneshot(again).await.expect("infallible");
    assert_eq!(again.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// The rest of what a connection says, after the peer has said that it will send no more.
async fn said_after_the_last_request(delivery: Delivery, requests: &str) -> Vec<u8> {
    let (mut stream, _server) = connected(delivery).await;
    stream.write_all(requests.as_bytes()).await.expect("sent");
    stream.shutdown().await.expect("closed for writing");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.expect("answers");
    said
}

#[tokio::test]
async fn who_sends_all_requests_and_then_no_more_is_answered() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("a.mp4"), fixture()).expect("written");
    let delivery = served(root.path());
    let segment = names(&delivery, "a.mp4").await.remove(1);
    let request = format!("GET /vod/mp4:a.mp4/{segment} HTTP/1.1\r\nHost: a\r\n\r\n");
    let said = said_after_the_last_request(delivery.clone(), &request.repeat(3)).await;
    let mut rest = &said[..];
    let expected = ordinary(&delivery, &format!("/vod/mp4:a.mp4/{segment}"), None).await;
    assert_eq!(take(&mut rest, true), expected);
    assert_eq!(take(&mut rest, true), expected);
}

#[tokio::test]
async fn a_file_system_that_cannot_say_what_is_at_hand_is_read() {
    // tmpfs is one.
    let Ok(root) = tempfile::tempdir_in("/dev/shm") else { return };
    fs::write(root.path().join("a.mp4"), fixture()).expect("written");
    let delivery = served(root.path());
    let names = names(&delivery, "a.mp4").await;
    let line = |name: &String| format!("GET /vod/mp4:a.mp4/{name} HTTP/1.1\r\nHost: a\r\n\r\n");
    let script: String = names.iter().map(line).collect();
    let mut last = line(&"download".to_owned());
    last.insert_str(last.len() - 2, "Connection: close\r\n");
    let received = exchange(&delivery, true, (script + &last).as_bytes(), 1000).await;
    let mut received = &received[..];
    for name in &names {
        let read = ordinary(&delivery, &format!("/vod/mp4:a.mp4/{name}"), None).await;
        assert_eq!(take(&mut received, true), read, "{name}");
    }
    assert_eq!(take(&mut received, true).2, fixture());
}

#[tokio::test]
async fn a_file_that_is_replaced_is_sent_to_its_end() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("a.mp4");
    let len = long_file(&path, 1);
    let (mut stream, _server) = connected(served(root.path())).await;
    stream.write_all(DOWNLOAD).await.expect("sent");
    let mut begun = vec![0; 100_000];
    stream.read_exact(&mut begun).await.expect("the beginning");
    long_file(&root.path().join("new"), 2);
    fs::rename(root.path().join("new"), &path).expect("replaced");
    let head = begun.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let mut rest = vec![0; len + head - begun.len()];
    stream.read_exact(&mut rest).await.expect("all of it");
    assert_eq!(rest.last(), Some(&1), "of the file that it began");
}
