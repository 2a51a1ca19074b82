//! Who may watch, in a running server: rules, keys, grants, over each protocol.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::browser::Viewing;
use crate::http;
use crate::material::fixture;
use crate::server::{Server, eventually};

/// A key of ours; the test signs with it by itself.
const SECRET: &str = "Rie7eephahc5Eiqu8Aeph1oo";

/// A channel and a mount that the key `portal` opens, and loopback proxies.
fn configuration(nas: &Path) -> String {
    format!(
        "trusted_proxies = [\"127.0.0.1\"]\n\
         [[ladder]]\nname = \"small\"\n\
         [[ladder.rung]]\nname = \"180p\"\nwidth = 320\nheight = 180\nfps = 15\nbitrate = 100000\n\
         [[channel]]\nname = \"Live_A\"\nstreams = [\"live\"]\nladder = \"small\"\n\
         [[channel]]\nname = \"Open\"\nstreams = [\"live\"]\nladder = \"small\"\n\
         [[vod]]\nname = \"vod\"\nroot = '{}'\nindex = true\n\
         [[access.network]]\nname = \"campus\"\ncidr = [\"192.0.2.0/24\"]\n\
         [[access.key]]\nname = \"portal\"\nsecrets = [\"{SECRET}\"]\n\
         [[access.rule]]\npath = \"Live_*\"\nallow = [\"network:campus\", \"key:portal\"]\n\
         [[access.rule]]\npath = \"vod/secret/*\"\nallow = [\"key:portal\"]\n",
        nas.display()
    )
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The query that opens a subject, as a portal makes it.
pub fn token(subject: &str, until: u64) -> String {
    use ring::hmac;
    let text = format!("amphi1\n{subject}\n{until}\n");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut token = format!("token={until}.");
    for byte in hmac::sign(&key, text.as_bytes()).as_ref() {
        let _ = write!(token, "{byte:02x}");
    }
    token
}

/// In base64url without padding.
fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn served() -> (Server, tempfile::TempDir) {
    served_with("")
}

/// The same with more lines, which begin with a table.
pub fn served_with(more: &str) -> (Server, tempfile::TempDir) {
    let nas = tempfile::tempdir().expect("a folder");
    for folder in ["secret", "open"] {
        std::fs::create_dir(nas.path().join(folder)).expect("made");
        std::fs::copy(fixture("small.mp4"), nas.path().join(folder).join("a.mp4")).expect("copied");
    }
    let server = Server::run(&(configuration(nas.path()) + more));
    eventually("the channel is there", || http::get(server.http, "/Open/live/playlist.m3u8").status == 200);
    (server, nas)
}

pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// The path that a reference in the file at `base` leads to.
pub fn joined(base: &str, reference: &str) -> String {
    let url = url::Url::parse(&format!("http://host{base}")).expect("a path");
    let url = url.join(reference).expect("a reference");
    url.path().to_owned()
}

#[test]
fn a_channel_opens_by_right_alone_and_everything_behind_its_entry_with_it() {
    let (server, _nas) = served();
    let status = |path: &str| http::get(server.http, path).status;
    let entry = "/Live_A/live/playlist.m3u8";
    assert_eq!(status(entry), 401);
    assert_eq!(status(&format!("{entry}?{}", token("Open", now() + 600))), 403);
    assert_eq!(status(&format!("{entry}?{}", token("Live_A", now() - 1))), 410);
    assert_eq!(status("/Open/live/chunklist.m3u8"), 200);

    let list = http::get(server.http, &format!("{entry}?{}", token("Live_A", now() + 600)));
    assert_eq!((list.status, list.header("cache-control")), (200, Some("no-store")));
    let chunklist = joined(entry, lines(list.text()).next().expect("a variant"));
    assert!(chunklist.starts_with("/Live_A/~"), "{chunklist}");
    let media = http::get(server.http, &chunklist);
    assert_eq!(media.status, 200, "{}", media.text());
    let segment = joined(&chunklist, lines(media.text()).last().expect("a segment"));
    let answer = http::get(server.http, &segment);
    assert_eq!(answer.status, 200);
    assert!(answer.header("cache-control").is_some_and(|field| field.contains("immutable")));
    // Without the grant, and with one that is not right.
    let (_, rest) = segment.split_once('~').expect("a grant");
    let (grant, rest) = rest.split_once('/').expect("a path");
    assert_eq!(status(&format!("/Live_A/{rest}")), 401);
    let wrong: String = grant.chars().rev().collect::<String>().replace('-', "0");
    assert_ne!(status(&format!("/Live_A/~{wrong}/{rest}")), 200);
    let other = format!("{}{}", &grant[..grant.len() - 1], if grant.ends_with('0') { '1' } else { '0' });
    assert_eq!(status(&format!("/Live_A/~{other}/{rest}")), 403);
    // The entry takes the grant, too, and names what is behind it without it: the path carries it on.
    let again = http::get(server.http, &format!("/Live_A/~{grant}/live/playlist.m3u8"));
    assert_eq!(again.status, 200);
    assert!(!again.text().contains('~'), "{}", again.text());

    let manifest =
        http::get(server.http, &format!("/Live_A/live/manifest.mpd?{}", token("Live_A", now() + 600)));
    assert_eq!(manifest.status, 200);
    let of = |name: &str| {
        let (_, rest) = manifest.text().split_once(&format!("<{name}>")).expect(name);
        joined("/Live_A/live/manifest.mpd", rest.split_once('<').expect("its end").0)
    };
    assert_eq!(status(&of("Location")), 200);
    assert!(of("BaseURL").starts_with("/Live_A/~"), "{}", manifest.text());
}

#[test]
fn the_campus_needs_no_key_and_nobody_says_that_he_is_there() {
    let (server, _nas) = served();
    let from = |address: &str| {
        http::get_with(server.http, "/Live_A/live/playlist.m3u8", &[("X-Forwarded-For", address)]).status
    };
    assert_eq!(from("192.0.2.7"), 200);
    assert_eq!(from("203.0.113.7"), 401);
    assert_eq!(from("192.0.2.7, 203.0.113.7"), 401);
    let claims = [("Forwarded", "for=192.0.2.7"), ("X-Forwarded-For", "203.0.113.7")];
    assert_eq!(http::get_with(server.http, "/Live_A/live/playlist.m3u8", &claims).status, 401);
    assert!(!http::get(server.http, "/assets/channels.json").text().contains("Live_A"));
    assert!(http::get(server.http, "/assets/channels.json").text().contains("Open"));
    assert!(!http::get(server.http, "/api/public/now.json").text().contains("Live_A"));
}

#[test]
fn a_recording_behind_a_key_gives_nothing_away() {
    let (server, _nas) = served();
    let status = |path: &str| http::get(server.http, path).status;
    for path in [
        "/vod/mp4:secret/a.mp4/playlist.m3u8",
        "/vod/secret/a/playlist.m3u8",
        "/vod/_definst_/mp4:secret%2Fa.mp4/playlist.m3u8",
        "/vod/%73ecret/a.mp4/manifest.mpd",
        "/vod/secret/a.mp4/poster.jpg",
        "/vod/secret/a.mp4/download",
        "/vod/secret/mp4:a.mp4/chunklist.m3u8",
        "/vod/index.json",
    ] {
        let answer = http::get(server.http, path);
        assert!(matches!(answer.status, 401 | 404), "{path}: {}", answer.status);
        assert!(!answer.text().contains("EXTM3U"), "{path}");
    }
    assert_eq!(status("/vod/mp4:open/a.mp4/playlist.m3u8"), 200);
    let entry = "/vod/mp4:secret/a.mp4/playlist.m3u8";
    let list = http::get(server.http, &format!("{entry}?{}", token("vod/secret/a.mp4", now() + 600)));
    assert_eq!(list.status, 200, "{}", list.text());
    let chunklist = joined(entry, lines(list.text()).next().expect("a variant"));
    let media = http::get(server.http, &chunklist);
    assert_eq!(media.status, 200, "{chunklist}");
    let segment = joined(&chunklist, lines(media.text()).next().expect("a segment"));
    assert_eq!(status(&segment), 200);
    // It opens no other recording.
    assert_eq!(status(&segment.replace("secret", "open")), 404);
}

#[test]
fn what_is_revoked_ends_and_what_is_restored_opens() {
    let (server, _nas) = served();
    let entry = format!("/Live_A/live/playlist.m3u8?{}", token("Live_A", now() + 600));
    let list = http::get(server.http, &entry);
    let chunklist = joined("/Live_A/live/playlist.m3u8", lines(list.text()).next().expect("a variant"));
    let status = |path: &str| http::get(server.http, path).status;
    assert_eq!(status(&chunklist), 200);
    let rest = |method: &str, path: &str| http::request(server.admin, method, path, "", "").status;
    assert_eq!(rest("DELETE", "/api/v1/access/keys/none"), 404);
    assert_eq!(rest("DELETE", "/api/v1/access/keys/portal"), 204);
    assert_eq!((status(&chunklist), status(&entry)), (403, 403));
    assert_eq!(rest("PUT", "/api/v1/access/keys/portal"), 204);
    assert_eq!((status(&chunklist), status(&entry)), (200, 200));
    let grant = chunklist.split('/').find(|part| part.starts_with('~')).expect("a grant");
    assert_eq!(rest("DELETE", &format!("/api/v1/access/grants/{grant}")), 204);
    assert_eq!((status(&chunklist), status(&entry)), (403, 200));
    let shown = http::get(server.admin, "/api/v1/access");
    assert!(shown.text().contains(grant) && !shown.text().contains(SECRET), "{}", shown.text());
    let server = server.again();
    eventually("the channel is there", || http::get(server.http, "/Open/live/playlist.m3u8").status == 200);
    assert_eq!(http::get(server.http, &chunklist).status, 403, "it is revoked after a restart, too");
    let metrics = http::get(server.admin, "/metrics");
    assert!(
        metrics.text().contains("amphi_access_refused_total{reason=\"revoked\"} 1"),
        "{}",
        metrics.text()
    );
}

#[test]
fn no_log_line_has_a_token_or_a_whole_address() {
    let (server, _nas) = served();
    let answer = http::get_with(
        server.http,
        "/Live_A/live/playlist.m3u8?token=1.5ec4e7",
        &[("X-Forwarded-For", "203.0.113.77"), ("Authorization", "Bearer s3cr3t")],
    );
    assert!(answer.status >= 400);
    let line = server.logged(|line| line["message"].as_str().is_some_and(|it| it.contains("not let in")));
    let text = line.to_string();
    assert!(text.contains("203.0.113.0") && !text.contains("203.0.113.77"), "{text}");
    assert!(!text.contains("5ec4e7") && !text.contains("s3cr3t"), "{text}");
}

/// Answers every request with what `answer` says to its body; counts them.
fn site(
    answer: fn(&str) -> (u16, String),
) -> (std::net::SocketAddr, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut text = String::new();
            let mut buffer = [0; 8192];
            loop {
                let read = stream.read(&mut buffer).unwrap_or(0);
                text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                let length = text.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
                if read == 0 || body.is_some_and(|body| body >= length.unwrap_or(0)) {
                    break;
                }
            }
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let (status, body) = answer(body);
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, count)
}

#[test]
fn a_hook_is_asked_once_and_what_it_says_is_obeyed() {
    let (hook, asked) = site(|body| {
        let question: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(question["path"], "Asked");
        (if question["token"] == "good" { 200 } else { 403 }, String::new())
    });
    let (server, _nas) = served_with(&format!(
        "[[channel]]\nname = \"Asked\"\nstreams = [\"live\"]\nladder = \"small\"\n\
         [[access.key]]\nname = \"site\"\nkind = \"hook\"\nurl = \"http://{hook}/\"\n\
         [[access.rule]]\npath = \"Asked\"\nallow = [\"key:site\"]\n"
    ));
    let status = |query: &str| http::get(server.http, &format!("/Asked/live/playlist.m3u8{query}")).status;
    eventually("the channel is there", || status("?token=good") == 200);
    let before = asked.load(std::sync::atomic::Ordering::Relaxed);
    for _ in 0..5 {
        assert_eq!(status("?token=good"), 200);
        assert_eq!(status("?token=bad"), 403);
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), before + 1, "the bad one, once");
    let list = http::get(server.http, "/Asked/live/playlist.m3u8?token=good");
    let chunklist = joined("/Asked/live/playlist.m3u8", lines(list.text()).next().expect("a variant"));
    assert_eq!(http::get(server.http, &chunklist).status, 200);
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), before + 1, "the grant needs no question");
    assert_eq!(http::get(server.http, "/watch/Asked?token=good").status, 200);
    assert_eq!(http::get(server.http, "/watch/Asked").status, 403);
}

#[test]
fn a_hook_that_is_down_refuses_or_opens_as_it_is_said() {
    let (hook, _) = site(|_| (500, String::new()));
    let channel = |name: &str, open: bool| {
        format!(
            "[[channel]]\nname = \"{name}\"\nstreams = [\"live\"]\nladder = \"small\"\n\
             [[access.key]]\nname = \"{name}\"\nkind = \"hook\"\nurl = \"http://{hook}/\"\nopen_when_down = {open}\n\
             [[access.rule]]\npath = \"{name}\"\nallow = [\"key:{name}\"]\n"
        )
    };
    let (server, _nas) = served_with(&(channel("Shut", false) + &channel("Lenient", true)));
    let status = |name: &str| http::get(server.http, &format!("/{name}/live/playlist.m3u8")).status;
    eventually("the channel is there", || status("Lenient") == 200);
    let answer = http::get(server.http, "/Shut/live/playlist.m3u8");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
}

#[test]
fn published_keys_are_fetched_and_tokens_signed_with_them_open() {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let pair = || Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let (keys, _) = site(|_| {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let x = encoded(pair.public_key().as_ref());
        (200, format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","x":"{x}"}}]}}"#))
    });
    let (server, _nas) = served_with(&format!(
        "[[channel]]\nname = \"Signed\"\nstreams = [\"live\"]\nladder = \"small\"\n\
         [[access.key]]\nname = \"tobira\"\nkind = \"jwt\"\njwks_url = \"http://{keys}/jwks.json\"\n\
         [[access.rule]]\npath = \"Signed\"\nallow = [\"key:tobira\"]\n"
    ));
    let token = |claims: &str| {
        let text = format!("{}.{}", encoded(br#"{"typ":"JWT","alg":"EdDSA"}"#), encoded(claims.as_bytes()));
        format!("{text}.{}", encoded(pair().sign(text.as_bytes()).as_ref()))
    };
    let good = token(&format!(r#"{{"exp":{},"amphi":["Sign*"]}}"#, now() + 600));
    let path = "/Signed/live/playlist.m3u8";
    let with = |token: &str| {
        http::get_with(server.http, path, &[("Authorization", &format!("Bearer {token}"))]).status
    };
    eventually("the keys have been fetched", || with(&good) == 200);
    assert_eq!(http::get(server.http, &format!("{path}?jwt={good}")).status, 200);
    assert_eq!(with(&token(&format!(r#"{{"exp":{},"amphi":["Sign*"]}}"#, now() - 60))), 410);
    assert_eq!(with(&token(&format!(r#"{{"exp":{},"amphi":["Live_A"]}}"#, now() + 600))), 403);
    assert_eq!(with(&format!("{good}AA")), 403);
    // A service worker shows it with every request; the answer is for this viewer alone.
    let bearer = format!("Bearer {good}");
    let segment = |path: &str| http::get_with(server.http, path, &[("Authorization", &bearer)]);
    let media = segment("/Signed/live/chunklist.m3u8");
    assert_eq!(media.status, 200);
    let name = lines(media.text()).last().expect("a segment").rsplit('/').next().expect("a name").to_owned();
    let answer = segment(&format!("/Signed/live/{name}"));
    assert_eq!(answer.status, 200);
    assert!(
        answer.header("cache-control").is_some_and(|it| it.starts_with("private")),
        "{:?}",
        answer.header("cache-control")
    );
}

/// What ffprobe says of a stream, or why it has nothing.
fn probed(url: &str, options: &[&str]) -> Result<String, String> {
    let probe = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"])
        .args(options)
        .arg(url)
        .output()
        .expect("ffprobe is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if probe.status.success() { Ok(text(&probe.stdout)) } else { Err(text(&probe.stderr)) }
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn ffmpeg_plays_by_right_over_every_protocol() {
    let (server, _nas) = served();
    let media = server.media;
    let (live, film) = (token("Live_A", now() + 600), token("vod/secret/a.mp4", now() + 600));
    for (url, query, options) in [
        (format!("http://{media}/Live_A/live/playlist.m3u8"), &live, &[][..]),
        (format!("http://{media}/Live_A/live/manifest.mpd"), &live, &[]),
        (format!("rtmp://{media}/Live_A/live"), &live, &[]),
        (format!("rtsp://{media}/Live_A/live"), &live, &["-rtsp_transport", "tcp"]),
        (format!("http://{media}/vod/mp4:secret/a.mp4/playlist.m3u8"), &film, &[]),
        (format!("http://{media}/vod/mp4:secret/a.mp4/manifest.mpd"), &film, &[]),
        (format!("rtmp://{media}/vod/mp4:secret/a.mp4"), &film, &[]),
        (format!("rtsp://{media}/vod/mp4:secret/a.mp4"), &film, &["-rtsp_transport", "tcp"]),
    ] {
        let played = probed(&format!("{url}?{query}"), options).unwrap_or_else(|why| panic!("{url}: {why}"));
        assert!(played.contains("h264"), "{url}: {played}");
        for other in [url.clone(), format!("{url}?{}", token("Open", now() + 600))] {
            assert!(probed(&other, options).is_err(), "{other}");
        }
    }
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn who_plays_over_rtmp_and_rtsp_is_ended_when_the_key_is_revoked() {
    let (server, _nas) = served();
    let live = token("Live_A", now() + 600);
    let mut players: Vec<_> = [
        (format!("rtmp://{}/Live_A/live?{live}", server.media), &[][..]),
        (format!("rtsp://{}/Live_A/live?{live}", server.media), &["-rtsp_transport", "tcp"]),
    ]
    .into_iter()
    .map(|(url, options)| {
        std::process::Command::new("ffmpeg")
            .args(["-v", "error"])
            .args(options)
            .args(["-i", &url, "-f", "null", "-"])
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("ffmpeg is installed")
    })
    .collect();
    let play = |protocol: &str| {
        let metrics = http::get(server.admin, "/metrics");
        let mut of = metrics.text().lines().filter(|line| line.starts_with("amphi_viewers{"));
        of.any(|line| line.contains(protocol) && line.rsplit(' ').next() == Some("1.0"))
    };
    eventually("both play", || play("\"rtmp\"") && play("\"rtsp\""));
    assert_eq!(http::request(server.admin, "DELETE", "/api/v1/access/keys/portal", "", "").status, 204);
    eventually("both are ended", || {
        players.iter_mut().all(|it| it.try_wait().is_ok_and(|end| end.is_some()))
    });
}

/// Players go on when their grant has ended: for longer than two periods, or so many minutes with `AMPHI_ACCESS_MINUTES`.
#[test]
#[ignore = "needs Chromium: tests/run"]
fn browser_players_go_on_when_their_grant_has_ended() {
    let minutes: Option<u32> = std::env::var("AMPHI_ACCESS_MINUTES").ok().and_then(|text| text.parse().ok());
    let (seconds, hls, dash, period): (_, &[&str], &[&str], _) = match minutes {
        Some(minutes) => (60 * minutes, &["hls.js", "flowplayer", "native"], &["dash.js", "shaka"], ""),
        None => (30, &["flowplayer"], &["dash.js"], "[access]\ngrant_s = 10\n"),
    };
    let (server, _nas) = served_with(period);
    eventually("the first cells are there", || {
        let query = token("Live_A", now() + 600);
        let list = http::get(server.http, &format!("/Live_A/live/chunklist.m3u8?{query}"));
        lines(list.text()).count() >= 5
    });
    let url =
        |file: &str| format!("http://{}/Live_A/live/{file}?{}", server.http, token("Live_A", now() + 20));
    let viewings = [("playlist.m3u8", hls), ("manifest.mpd", dash)]
        .map(|(file, players)| Viewing::start(&url(file), seconds, players));
    for viewing in viewings {
        for (player, seen) in &viewing.end() {
            seen.is_smooth(player);
        }
    }
}
