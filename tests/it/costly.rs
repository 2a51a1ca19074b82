//! Costly answers about recordings, seen from outside, and a proxy that strips a path.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use crate::http;
use crate::material::fixture;
use crate::server::{Server, eventually};

#[test]
fn hundreds_who_ask_for_costly_answers_get_the_same_one_or_are_asked_to_come_again() {
    let nas = tempfile::tempdir().expect("a folder");
    std::fs::copy(fixture("hall_a.mp4"), nas.path().join("a.mp4")).expect("copied");
    std::fs::write(nas.path().join("a.smil"), "<smil><body><video src='mp4:a'/></body></smil>")
        .expect("written");
    let cues = (0..3000).fold(String::new(), |mut cues, n| {
        write!(cues, "00:{:02}.000 --> 01:00.000\ncue {n}\n\n", n % 60).expect("in memory");
        cues
    });
    std::fs::write(nas.path().join("a.de.vtt"), format!("WEBVTT\n\n{cues}")).expect("written");
    let root = nas.path().display();
    let server =
        Server::run(&format!("[[vod]]\nname = \"vod\"\nroot = '{root}'\nindex = true\nposter = true\n"));
    for path in [
        "/vod/smil:a.smil/playlist.m3u8",
        "/vod/smil:a.smil/manifest.mpd",
        "/vod/mp4:a.mp4/text_0_0.vtt",
        "/vod/mp4:a.mp4/text_0.vtt",
        "/vod/mp4:a.mp4/poster.jpg?t=4",
        "/vod/mp4:a.mp4/chapters.json",
        "/vod/index.json",
    ] {
        let address = server.http;
        let askers: Vec<_> = (0..60).map(|_| std::thread::spawn(move || http::get(address, path))).collect();
        let mut seen = BTreeSet::new();
        for asker in askers {
            let answer = asker.join().expect("an answer");
            assert_eq!(answer.status, 200, "{path}");
            seen.insert(answer.header("etag").expect("a tag").to_owned());
        }
        assert_eq!(seen.len(), 1, "{path}");
    }
    let metrics = http::get(server.admin, "/metrics");
    assert!(metrics.text().contains("amphi_workshop_panics_total{} 0"), "{}", metrics.text());
    assert!(metrics.text().contains("amphi_vod_open_files{mount=\"vod\"} 1"), "{}", metrics.text());
    assert_eq!(server.end(), Some(0));
}

/// Passes `/video/...` on to `origin` without `/video`, one request to a connection; anything else is 404.
fn proxy(origin: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(read @ 1..) if request.len() < 60_000 => request.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            if !text.starts_with("GET /video/") {
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let mut behind = TcpStream::connect(origin).expect("the server listens");
            behind.write_all(text.replacen("GET /video/", "GET /", 1).as_bytes()).expect("sent");
            let mut answer = Vec::new();
            behind.read_to_end(&mut answer).expect("an answer");
            let _ = stream.write_all(&answer);
        }
    });
    address
}

/// The URLs that a text links to, as a browser resolves them from `page`.
fn links(page: &str, text: &str) -> Vec<String> {
    let page = url::Url::parse(page).expect("an address");
    let mut found = Vec::new();
    for word in ["href=\"", "src=\"", "from \""] {
        for (at, _) in text.match_indices(word) {
            let link = text[at + word.len()..].split('"').next().expect("a link");
            found.push(page.join(link).expect("an address").path().to_owned());
        }
    }
    found
}

#[test]
fn pages_and_the_portals_links_work_beneath_a_path() {
    let server = Server::demo();
    let address = proxy(server.http);
    let get = |path: &str| http::get(address, path);
    let mut asked = BTreeSet::new();
    for page in [
        "/video/",
        "/video/watch/Live_L2",
        "/video/watch/vod/engage-player_1042_presenter.smil",
        "/video/watch/None/x",
    ] {
        let text = get(page);
        assert!([200, 404].contains(&text.status), "{page}");
        for link in links(&format!("http://host{page}"), text.text()) {
            assert!(link.starts_with("/video/"), "{page}: {link}");
            let part = get(&link);
            assert_eq!(part.status, 200, "{page}: {link}");
            if Path::new(&link).extension().is_some_and(|it| it == "js") {
                for module in links(&format!("http://host{link}"), part.text()) {
                    assert_eq!(get(&module).status, 200, "{link}: {module}");
                    asked.insert(module);
                }
            }
            asked.insert(link);
        }
    }
    assert!(
        asked.contains("/video/assets/player.js") && asked.contains("/video/assets/watch.js"),
        "{asked:?}"
    );
    let now = "http://host/video/api/public/now.json";
    let told = || get("/video/api/public/now.json");
    eventually("there is something to tell", || told().status == 200);
    let told: serde_json::Value = serde_json::from_str(told().text()).expect("JSON");
    let channel = &told["channels"][0];
    for link in ["hls", "dash", "watch"] {
        let link = channel[link].as_str().expect("a link");
        let meant = url::Url::parse(now).expect("an address").join(link).expect("an address");
        // The channel may still be coding its waiting loop.
        eventually(link, || get(meant.path()).status == 200);
    }
    assert_eq!(server.end(), Some(0));
}
