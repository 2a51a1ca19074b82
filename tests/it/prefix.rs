//! The pages and the console behind a proxy that serves them beneath a path.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use url::Url;

use crate::http;
use crate::server::{Server, eventually};

const PREFIXES: [&str; 2] = ["/a/video", "/staff"];

/// A proxy for one request per connection: it takes the prefix away, and knows nothing beneath another one.
fn proxy(viewers: SocketAddr, admin: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || pass(client, [viewers, admin]));
        }
    });
    address
}

fn pass(mut client: TcpStream, behind: [SocketAddr; 2]) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && head != "\r\n" {
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    let (method, rest) = first.split_once(' ')?;
    let found = PREFIXES.iter().zip(behind).find_map(|(prefix, to)| {
        let path = rest.strip_prefix(prefix).filter(|path| path.starts_with('/'))?;
        Some((path, to))
    });
    let Some((path, to)) = found else {
        return client
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .ok();
    };
    let mut server = TcpStream::connect(to).ok()?;
    write!(server, "{method} {path}{head}").ok()?;
    let mut answer = [0; 16_384];
    loop {
        match server.read(&mut answer) {
            Ok(0) | Err(_) => return Some(()),
            Ok(read) => client.write_all(answer.get(..read)?).ok()?,
        }
    }
}

/// What stands between `before` and the next of `ends`.
fn between<'a>(text: &'a str, before: &'a str, end: char) -> impl Iterator<Item = &'a str> {
    text.match_indices(before).filter_map(move |(at, _)| text.get(at + before.len()..)?.split(end).next())
}

fn get(proxy: SocketAddr, url: &Url) -> http::Answer {
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    http::get(proxy, &path)
}

/// Everything that a page loads, and the modules that its scripts import.
fn loaded(proxy: SocketAddr, page: &Url) -> Vec<(Url, String)> {
    let text = get(proxy, page).text().to_owned();
    let links = between(&text, "href=\"", '"').chain(between(&text, "src=\"", '"'));
    let mut open: Vec<Url> = links.map(|link| page.join(link).expect("a link")).collect();
    open.retain(|link| link.path() != page.path());
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(link) = open.pop() {
        if !seen.insert(link.path().to_owned()) {
            continue;
        }
        let answer = get(proxy, &link);
        assert_eq!(answer.status, 200, "{page} loads {link}");
        let Ok(text) = String::from_utf8(answer.body) else { continue };
        if Path::new(link.path()).extension().is_some_and(|it| it == "js") {
            open.extend(between(&text, "from \"", '"').map(|module| link.join(module).expect("a link")));
            found.push((link, text));
        }
    }
    found
}

#[test]
fn everything_works_beneath_a_path() {
    let server = Server::demo();
    let proxy = proxy(server.http, server.admin);
    let at = |path: &str| Url::parse(&format!("http://{proxy}{path}")).expect("an address");
    assert_eq!(get(proxy, &at("/assets/pages.css")).status, 404, "nothing at the root");

    let vod = "/a/video/vod/smil:engage-player_1042_presenter.smil";
    for page in
        ["/a/video/", "/a/video/watch/Live_PAES", "/a/video/watch/vod/smil:engage-player_1042_presenter.smil"]
    {
        let page = at(page);
        assert_eq!(get(proxy, &page).status, 200, "{page}");
        assert!(loaded(proxy, &page).len() >= 2, "{page}");
    }
    assert_eq!(get(proxy, &at("/a/video/assets/channels.json")).status, 200);
    // What the portal is told leads back through the proxy.
    let now = at("/a/video/api/public/now.json");
    eventually("the portal's document", || get(proxy, &now).status == 200);
    let document: serde_json::Value = serde_json::from_slice(&get(proxy, &now).body).expect("JSON");
    for channel in document["channels"].as_array().expect("channels") {
        for link in ["hls", "dash", "watch"] {
            let link = now.join(channel[link].as_str().expect("a link")).expect("an address");
            assert!(link.path().starts_with("/a/video/"), "{link}");
        }
    }
    // Playlists and what they name.
    for list in [at("/a/video/Live_PAES/playlist.m3u8"), at(&format!("{vod}/playlist.m3u8"))] {
        eventually("the playlist", || get(proxy, &list).status == 200);
        let text = get(proxy, &list).text().to_owned();
        let chunklist = text.lines().find(|line| line.starts_with("chunklist")).expect("a rendition");
        let chunklist = list.join(chunklist).expect("an address");
        let media = get(proxy, &chunklist).text().to_owned();
        let segment = media.lines().rfind(|line| line.starts_with("media_")).expect("a segment");
        assert_eq!(get(proxy, &chunklist.join(segment).expect("an address")).status, 200, "{segment}");
    }

    // The console, and what its scripts ask for.
    let console = at("/staff/");
    assert_eq!(get(proxy, &console).status, 200);
    let scripts = loaded(proxy, &console);
    assert!(scripts.len() > 8);
    let mut asked = BTreeSet::new();
    for (_, text) in &scripts {
        for call in ["fetch(\"", "json(\"", "EventSource(\""] {
            asked.extend(between(text, call, '"').map(str::to_owned));
        }
    }
    assert!(asked.len() >= 5, "{asked:?}");
    for path in asked.iter().filter(|path| !path.ends_with("/events")) {
        assert_eq!(get(proxy, &console.join(path).expect("an address")).status, 200, "{path}");
    }
    assert_eq!(server.end(), Some(0));
}
