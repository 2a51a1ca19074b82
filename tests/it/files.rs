//! Files that change while they are watched, downloads, names with accents, what cannot be played.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::http;
use crate::material::fixture;
use crate::server::{Server, eventually};

/// A server with a NAS that `fill` writes, and no channel.
fn with_nas(fill: impl Fn(&Path)) -> (Server, tempfile::TempDir) {
    let nas = tempfile::tempdir().expect("a folder");
    fill(nas.path());
    let root = nas.path().display();
    let config = format!("[[vod]]\nname = \"vod\"\nroot = '{root}'\nsegment_ms = 4000\nindex = true\n");
    (Server::run(&config), nas)
}

fn copy(name: &str, to: &Path) {
    fs::copy(fixture(name), to).expect("copied");
}

fn touch(path: &Path, seconds: u64) {
    let file = fs::File::options().append(true).open(path).expect("opened");
    file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).expect("touched");
}

fn lines<'a>(text: &'a str, start: &'a str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

/// A player in the middle of a recording: it has all names, and the bytes that they mean.
struct Begun {
    folder: &'static str,
    names: Vec<String>,
    bytes: Vec<Vec<u8>>,
}

impl Begun {
    fn new(server: &Server, folder: &'static str) -> Self {
        let list = http::get(server.http, &format!("{folder}/playlist.m3u8"));
        assert_eq!(list.status, 200, "{}", list.text());
        let chunklist = lines(list.text(), "chunklist_")[0].to_owned();
        let media = http::get(server.http, &format!("{folder}/{chunklist}"));
        let mut names = vec![chunklist];
        names.extend(lines(media.text(), "media_").into_iter().map(str::to_owned));
        let init = media.text().split("#EXT-X-MAP:URI=\"").nth(1).and_then(|rest| rest.split('"').next());
        names.push(init.expect("an initialization section").to_owned());
        let mut begun = Self { folder, names, bytes: Vec::new() };
        begun.bytes = begun.fetch(server).into_iter().map(|answer| answer.body).collect();
        begun
    }

    fn fetch(&self, server: &Server) -> Vec<http::Answer> {
        let get = |name: &String| http::get(server.http, &format!("{}/{name}", self.folder));
        self.names.iter().map(get).collect()
    }

    /// Everything is as it was.
    fn goes_on(&self, server: &Server) {
        for ((answer, bytes), name) in self.fetch(server).into_iter().zip(&self.bytes).zip(&self.names) {
            assert_eq!(answer.status, 200, "{name}");
            assert!(answer.body == *bytes, "{name} has other bytes");
        }
    }

    /// Newcomers get other names.
    fn is_old(&self, server: &Server) -> bool {
        let list = http::get(server.http, &format!("{}/playlist.m3u8", self.folder));
        list.status != 200 || !list.text().contains(&self.names[0])
    }
}

#[test]
fn who_has_begun_goes_on_when_a_file_is_replaced_touched_or_overwritten() {
    let smil = |name: &str| format!("<smil><body><switch><video src='mp4:{name}'/></switch></body></smil>");
    let (server, nas) = with_nas(|nas| {
        for name in ["a.mp4", "b.mp4", "c.mp4"] {
            copy("hall_a.mp4", &nas.join(name));
        }
        copy("hall_a_low.mp4", &nas.join("low.mp4"));
        fs::write(nas.join("x.smil"), smil("b.mp4")).expect("written");
    });
    let nas = nas.path();
    let replaced = Begun::new(&server, "/vod/mp4:a.mp4");
    let listed = Begun::new(&server, "/vod/smil:x.smil");
    let touched = Begun::new(&server, "/vod/mp4:b.mp4");
    let overwritten = Begun::new(&server, "/vod/mp4:c.mp4");

    copy("hall_a_low.mp4", &nas.join("new"));
    fs::rename(nas.join("new"), nas.join("a.mp4")).expect("replaced");
    touch(&nas.join("b.mp4"), 3);
    fs::write(nas.join("x.smil"), smil("low.mp4") + "\n").expect("written");
    for begun in [&replaced, &listed, &touched] {
        eventually("newcomers get the new one", || begun.is_old(&server));
        begun.goes_on(&server);
        Begun::new(&server, begun.folder).goes_on(&server);
        begun.goes_on(&server);
    }
    fs::remove_file(nas.join("a.mp4")).expect("removed");
    eventually("it is gone", || http::get(server.http, "/vod/mp4:a.mp4/playlist.m3u8").status == 404);
    replaced.goes_on(&server);

    // In place: the same descriptor has other bytes.
    copy("hall_a_low.mp4", &nas.join("c.mp4"));
    touch(&nas.join("c.mp4"), 3);
    let answer = http::get(server.http, &format!("/vod/mp4:c.mp4/{}", overwritten.names[1]));
    assert_eq!(answer.status, 410, "{}", answer.text());
    assert!(answer.text().contains("overwritten in place"), "{}", answer.text());
    server.logged(|line| {
        line["path"] == "c.mp4" && line["message"].as_str().is_some_and(|it| it.contains("overwritten"))
    });
    eventually("newcomers get the new one", || overwritten.is_old(&server));
    Begun::new(&server, "/vod/mp4:c.mp4").goes_on(&server);
    for (answer, bytes) in overwritten.fetch(&server).into_iter().zip(&overwritten.bytes) {
        assert!(answer.status == 404 || answer.status == 410 || answer.body == *bytes, "{}", answer.status);
    }
    assert_eq!(server.end(), Some(0));
}

const DOWNLOAD: &str = "/vod/mp4:le%C3%A7on.mp4/download";

#[test]
fn a_download_that_broke_off_goes_on_or_begins_anew() {
    let (server, nas) = with_nas(|nas| copy("hall_a.mp4", &nas.join("leçon.mp4")));
    let path = nas.path().join("leçon.mp4");
    let whole = fs::read(&path).expect("read");
    let a_day_ago = SystemTime::now() - Duration::from_secs(86_400);
    fs::File::options().append(true).open(&path).expect("opened").set_modified(a_day_ago).expect("aged");
    let head = http::request(server.http, "HEAD", DOWNLOAD, "", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(&*whole.len().to_string()));
    assert_eq!(
        head.header("content-disposition"),
        Some("attachment; filename=\"lecon.mp4\"; filename*=utf-8''le%c3%a7on.mp4")
    );
    let etag = head.header("etag").expect("a tag").to_owned();
    assert!(etag.starts_with('"'), "a strong one: {etag}");
    // `Answer` has lower case, and dates have not.
    let modified =
        raw(server.http, &format!("HEAD {DOWNLOAD} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    let modified = String::from_utf8(modified).expect("a head");
    let modified = lines(&modified, "last-modified: ").first().map(|line| line[15..].to_owned());
    let modified = modified.expect("a date");

    let ask = |extra: &[(&str, &str)]| http::get_with(server.http, DOWNLOAD, extra);
    let rest = format!("bytes={}-", whole.len() - 1000);
    for validator in [&etag, &modified] {
        let part = ask(&[("Range", &rest), ("If-Range", validator)]);
        assert_eq!((part.status, &part.body[..]), (206, &whole[whole.len() - 1000..]), "{validator}");
        assert_eq!(part.header("etag"), Some(&*etag));
    }
    for (condition, value, status) in [
        ("If-None-Match", etag.as_str(), 304),
        ("If-None-Match", "\"other\"", 200),
        ("If-Modified-Since", &modified, 304),
        ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("If-Match", "\"other\"", 412),
        ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
    ] {
        let answer = ask(&[(condition, value)]);
        assert_eq!(answer.status, status, "{condition}: {value}");
        assert!(status != 304 || answer.body.is_empty() && answer.header("etag") == Some(&*etag));
    }
    // Several parts: all of it, or both of them (RFC 9110 §14.2).
    let several = ask(&[("Range", "bytes=0-9,100-109")]);
    assert_eq!((several.status, several.body.len()), (200, whole.len()));

    // Other versions of HTTP.
    let old = raw(
        server.http,
        &format!("GET {DOWNLOAD} HTTP/1.0\r\nRange: bytes=10-19\r\nIf-Range: {etag}\r\n\r\n"),
    );
    let end = old.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    assert!(old.starts_with(b"HTTP/1.0 206") || old.starts_with(b"HTTP/1.1 206"));
    assert_eq!(old[end..], whole[10..20]);
    let (status, fields, body) =
        http2(server.http, DOWNLOAD, &[("range", "bytes=10-19"), ("if-range", &etag)]);
    assert_eq!((status, &body[..], fields["etag"].to_str().ok()), (206, &whole[10..20], Some(&*etag)));
    let (status, fields, body) = http2(server.http, DOWNLOAD, &[("if-none-match", &etag)]);
    assert_eq!((status, body.len(), fields.get("content-length")), (304, 0, None));

    // It is replaced: the rest of the old one is not to be had, and the new one begins.
    copy("hall_a_low.mp4", &nas.path().join("new"));
    fs::rename(nas.path().join("new"), &path).expect("replaced");
    let new = fs::read(&path).expect("read");
    eventually("the new one is seen", || {
        http::request(server.http, "HEAD", DOWNLOAD, "", "").header("etag") != Some(&*etag)
    });
    for validator in [&etag, &modified] {
        let anew = ask(&[("Range", &rest), ("If-Range", validator)]);
        assert!(anew.status == 200 && anew.body == new, "{validator}: {}", anew.status);
    }
    // A date within the same second is no validator (RFC 9110 §8.8.2.2).
    assert_eq!(server.end(), Some(0));
}

fn raw(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}

/// One GET over HTTP/2 without TLS.
fn http2(address: SocketAddr, path: &str, extra: &[(&str, &str)]) -> (u16, ::http::HeaderMap, Vec<u8>) {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let mut request = ::http::Request::get(format!("http://{address}{path}"));
    for (name, value) in extra {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<bytes::Bytes>::new()).expect("a request");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.expect("the server listens");
        let shake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = shake.await.expect("it speaks HTTP/2");
        let connection = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes().to_vec();
        connection.abort();
        (head.status.as_u16(), head.headers, body)
    })
}

#[test]
fn a_name_with_accents_is_found_in_both_forms_over_http_and_rtsp() {
    let (composed, decomposed) = ("le%C3%A7on", "lec%CC%A7on");
    let (server, nas) = with_nas(|nas| {
        // One is on disk as most systems write it, one as macOS did.
        copy("hall_a.mp4", &nas.join("le\u{e7}on.mp4"));
        copy("hall_a.mp4", &nas.join("lec\u{327}on 2.mp4"));
        let smil =
            |name: &str| format!("<smil><body><switch><video src='mp4:{name}'/></switch></body></smil>");
        fs::write(nas.join("a.smil"), smil("le\u{e7}on 2.mp4")).expect("written");
        fs::write(nas.join("lec\u{327}on.smil"), smil("lec\u{327}on")).expect("written");
    });
    let mut texts = Vec::new();
    for name in [composed, decomposed] {
        for path in
            [format!("/vod/mp4:{name}.mp4"), format!("/vod/mp4:{name}%202"), format!("/vod/smil:{name}.smil")]
        {
            let list = http::get(server.http, &format!("{path}/playlist.m3u8"));
            assert_eq!(list.status, 200, "{path}");
            let chunklist = lines(list.text(), "chunklist_")[0];
            assert_eq!(http::get(server.http, &format!("{path}/{chunklist}")).status, 200, "{path}");
            texts.push(list.text().to_owned());
            let request = format!("DESCRIBE rtsp://{}{path} RTSP/1.0\r\nCSeq: 1\r\n\r\n", server.media);
            let mut stream = TcpStream::connect(server.media).expect("it listens");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            stream.write_all(request.as_bytes()).expect("sent");
            let mut start = [0; 12];
            stream.read_exact(&mut start).expect("an answer");
            assert_eq!(&start, b"RTSP/1.0 200", "{path}");
        }
    }
    assert_eq!(texts[..3], texts[3..], "one thing in both spellings");
    assert_eq!(http::get(server.http, "/vod/smil:a.smil/playlist.m3u8").status, 200);
    let index: Value = serde_json::from_slice(&http::get(server.http, "/vod/index.json").body).expect("JSON");
    assert_eq!(
        (&index[1]["title"], &index[1]["path"]),
        (&"le\u{e7}on".into(), &"smil:le\u{e7}on.smil".into())
    );
    drop(nas);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn what_cannot_be_played_is_said_to_viewers_and_operators() {
    let (server, nas) = with_nas(|nas| {
        copy("hall_a.mp4", &nas.join("a.mp4"));
        fs::write(nas.join("text.mp4"), "Not a film at all, but a text that says so.").expect("written");
        let smil = "<smil><body><switch><video src='a'/><video src='text'/></switch></body></smil>";
        fs::write(nas.join("x.smil"), smil).expect("written");
    });
    let reports = || -> Vec<Value> {
        serde_json::from_slice(&http::get(server.admin, "/api/v1/recordings").body).expect("a list")
    };
    // Seen before anybody has asked for it.
    eventually("it is looked at", || reports().len() == 1);
    let report = &reports()[0];
    assert_eq!((&report["mount"], &report["path"]), (&"vod".into(), &"text.mp4".into()));
    assert_eq!((&report["played"], &report["reason"]), (&false.into(), &"text.mp4: not an mp4 file".into()));
    let alarms = || -> Vec<Value> {
        serde_json::from_slice(&http::get(server.admin, "/api/v1/alarms").body).expect("a list")
    };
    eventually("an alarm", || alarms().iter().any(|alarm| alarm["kind"] == "recording"));
    let alarm = &alarms()[0];
    assert_eq!(alarm["about"], "vod");
    assert!(alarm["sentence"].as_str().is_some_and(|it| it.contains("text.mp4: not an mp4 file")), "{alarm}");
    assert_eq!(
        http::get(server.http, "/vod/smil:x.smil/playlist.m3u8").status,
        200,
        "the other one is played"
    );

    let refused = http::get(server.http, "/vod/mp4:text.mp4/playlist.m3u8");
    assert_eq!(refused.status, 415);
    assert!(refused.text().contains("not an mp4 file"), "{}", refused.text());
    let mut stream = TcpStream::connect(server.media).expect("it listens");
    write!(stream, "DESCRIBE rtsp://{}/vod/mp4:text.mp4 RTSP/1.0\r\nCSeq: 1\r\n\r\n", server.media)
        .expect("sent");
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"RTSP/1.0 415");

    fs::remove_file(nas.path().join("text.mp4")).expect("removed");
    eventually("the report goes away with its reason", || {
        http::get(server.http, "/vod/smil:x.smil/playlist.m3u8?again");
        reports().is_empty() && alarms().is_empty()
    });
    assert_eq!(server.end(), Some(0));
}
