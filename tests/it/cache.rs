//! Real caches in front of the demo, from the files in `packaging`: the origin sees one viewer per rung.
//! 150 viewers by default; `AMPHI_CACHE_PLAYERS=2200` for the many.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::server::{Server, eventually};
use crate::{access, http};

/// How long all players watch, in seconds.
const SECONDS: u64 = 10;
/// How many players start in a second.
const COME: u64 = 75;

fn players() -> u64 {
    std::env::var("AMPHI_CACHE_PLAYERS").ok().and_then(|text| text.parse().ok()).unwrap_or(150)
}

/// What grants are signed with in these tests.
const GRANT_SECRET: &str = "ieT8ohphoz2ohghaeghoh3Ae";

/// A process that ends with the test.
struct Cache(Child);

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound")
}

fn packaged(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
    std::fs::read_to_string(path).expect("it is packaged")
}

fn nginx(home: &Path, origin: SocketAddr) -> (Cache, SocketAddr) {
    nginx_with(home, origin, &packaged("nginx/cache.conf"), "")
}

/// nginx that checks grants signed with [`GRANT_SECRET`].
fn nginx_with_access(home: &Path, origin: SocketAddr) -> (Cache, SocketAddr) {
    let module = "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;\n";
    std::fs::write(home.join("amphi_grants.js"), packaged("nginx/amphi_grants.js")).expect("written");
    let conf = packaged("nginx/cache-with-access.conf").replace("change-me", GRANT_SECRET);
    let path = format!("js_path {};\n", home.display());
    nginx_with(home, origin, &(path + &conf), module)
}

fn nginx_with(home: &Path, origin: SocketAddr, conf: &str, modules: &str) -> (Cache, SocketAddr) {
    let address = free();
    let home = home.display().to_string();
    let cache = conf
        .replace("127.0.0.1:8080", &origin.to_string())
        .replace("listen 8081", &format!("listen {address}"))
        .replace("/var/cache/nginx/amphi", &format!("{home}/cache"));
    let whole = format!(
        "{modules}daemon off;\nuser root;\npid {home}/pid;\nerror_log {home}/error.log;\nevents {{ worker_connections 8192; }}\n\
         http {{\naccess_log off;\nclient_body_temp_path {home}/body;\n{cache}}}\n"
    );
    std::fs::write(format!("{home}/nginx.conf"), whole).expect("written");
    let child = Command::new("nginx").args(["-c", &format!("{home}/nginx.conf"), "-e", "stderr"]).spawn();
    (Cache(child.expect("nginx is installed")), address)
}

fn varnish(home: &Path, origin: SocketAddr) -> (Cache, SocketAddr) {
    varnish_with(home, origin, &packaged("varnish/amphi.vcl"))
}

/// Varnish that checks grants signed with [`GRANT_SECRET`].
fn varnish_with_access(home: &Path, origin: SocketAddr) -> (Cache, SocketAddr) {
    let vcl = packaged("varnish/amphi-with-access.vcl").replace("change-me", GRANT_SECRET);
    varnish_with(home, origin, &vcl)
}

fn varnish_with(home: &Path, origin: SocketAddr, vcl: &str) -> (Cache, SocketAddr) {
    let address = free();
    let vcl = vcl.replace("\"8080\"", &format!("\"{}\"", origin.port()));
    let file = home.join("amphi.vcl");
    std::fs::write(&file, vcl).expect("written");
    let child = Command::new("varnishd")
        .args(["-F", "-a", &address.to_string(), "-s", "malloc,64m", "-n"])
        .arg(home.join("varnish"))
        .arg("-f")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    (Cache(child.expect("varnishd is installed")), address)
}

/// Answers of this kind so far.
fn answers(server: &Server, kind: &str) -> u64 {
    let page = http::get(server.admin, "/metrics");
    let prefix = format!("amphi_delivery_answers_total{{kind=\"{kind}\"}} ");
    let line = page.text().lines().find_map(|line| line.strip_prefix(&prefix)).expect("it is measured");
    line.parse().expect("a number")
}

fn sequence(address: SocketAddr) -> i64 {
    let answer = http::get(address, "/Live_PAES/chunklist_720p.m3u8");
    let text = answer.text().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
    line.expect("a playlist").parse().expect("a number")
}

fn many_are_one(start: fn(&Path, SocketAddr) -> (Cache, SocketAddr)) {
    let server = Server::demo();
    eventually("the hall is on air", || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A"));
    let home = tempfile::tempdir().expect("a directory");
    let (_cache, address) = start(home.path(), server.http);
    eventually("the cache answers", || {
        std::net::TcpStream::connect(address).is_ok()
            && http::get(address, "/Live_PAES/playlist.m3u8").status == 200
    });
    let before = (answers(&server, "media_playlist"), answers(&server, "segment"));
    let url = format!("http://{address}/Live_PAES/playlist.m3u8?token=any");
    let (players, ramp) = (players(), players().div_ceil(COME));
    let test = Command::new(env!("CARGO_BIN_EXE_amphi"))
        .args([
            "loadtest",
            &url,
            "--players",
            &players.to_string(),
            "--duration",
            &(ramp + SECONDS).to_string(),
        ])
        .args(["--ramp", &ramp.to_string(), "--json", "-"])
        .stderr(Stdio::null())
        .output()
        .expect("amphi starts");
    let report: Value = serde_json::from_slice(&test.stdout).expect("JSON");
    assert_eq!(report["errors"], serde_json::json!({}), "{report}");
    let count = |of: &str| report[of]["count"].as_u64().expect("a number");
    let asked = |kind: &str, before| answers(&server, kind) - before;
    let (playlists, segments) = (asked("media_playlist", before.0), asked("segment", before.1));
    // One rung is played: each half second one playlist, and each segment once. A machine that stumbles may run longer.
    let watched = report["seconds"].as_f64().expect("a number");
    assert!(playlists as f64 <= watched * 2.0 + 4.0, "{playlists} for {} of viewers", count("playlist"));
    assert!(segments as f64 <= watched / 2.0 + 6.0, "{segments} for {} of viewers", count("segment"));
    println!(
        "{playlists} playlists and {segments} segments of the origin in {watched:.0} s, {} and {} of viewers",
        count("playlist"),
        count("segment")
    );
    assert!(count("segment") > 2 * players, "{report}");
    // Never more than half a cell late, so never two cells.
    for _ in 0..20 {
        let cached = sequence(address);
        let fresh = sequence(server.http);
        assert!((fresh - 1..=fresh).contains(&cached), "{cached} behind {fresh}");
        std::thread::sleep(std::time::Duration::from_millis(150));
    }
}

#[test]
#[ignore = "needs nginx: tests/run"]
fn through_nginx_many_viewers_cost_what_one_costs() {
    many_are_one(nginx);
}

#[test]
#[ignore = "needs Varnish: tests/run"]
fn through_varnish_many_viewers_cost_what_one_costs() {
    many_are_one(varnish);
}

/// Viewers with tokens of their own share what a cache has; who has no right gets nothing from it.
fn rights_are_checked_in_front(start: fn(&Path, SocketAddr) -> (Cache, SocketAddr)) {
    let (server, _nas) = access::served_with(&format!("[access]\ngrant_secret = \"{GRANT_SECRET}\"\n"));
    let home = tempfile::tempdir().expect("a directory");
    let (_cache, address) = start(home.path(), server.http);
    eventually("the cache answers", || {
        std::net::TcpStream::connect(address).is_ok()
            && http::get(address, "/Open/live/playlist.m3u8").status == 200
    });
    let get = |path: &str| http::get(address, path);
    let entry = "/Live_A/live/playlist.m3u8";
    assert_eq!(get(entry).status, 401);
    let mut segments = Vec::new();
    for viewer in 0..10 {
        let list = get(&format!("{entry}?{}", access::token("Live_A", access::now() + 600 + viewer)));
        assert_eq!(list.status, 200, "{}", list.text());
        let chunklist = access::joined(entry, access::lines(list.text()).next().expect("a variant"));
        let media = get(&chunklist);
        assert_eq!(media.status, 200, "{chunklist}");
        segments.push(access::joined(&chunklist, access::lines(media.text()).next().expect("a segment")));
    }
    let before = answers(&server, "segment");
    let newest = segments.last().expect("ten").clone();
    for _ in 0..20 {
        assert_eq!(get(&newest).status, 200);
    }
    assert!(answers(&server, "segment") - before <= 1, "one copy serves all");
    // A live playlist for many at once: one or two are fetched for each half second.
    let playlist = format!("{}/chunklist_180p.m3u8", newest.rsplit_once('/').expect("a file").0);
    let asked = answers(&server, "media_playlist");
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| assert_eq!(http::get(address, &playlist).status, 200));
        }
    });
    let asked = answers(&server, "media_playlist") - asked;
    assert!(asked <= 6, "{asked} playlists of the origin for 40 viewers");
    // Nobody says by himself that he is on the campus.
    assert_eq!(http::get_with(address, entry, &[("Forwarded", "for=192.0.2.7")]).status, 401);
    // The same without the grant, with another one, and with a grant for something else.
    let (app, rest) = newest.split_once("/~").expect("a grant");
    let (grant, rest) = rest.split_once('/').expect("a path");
    let last = if grant.ends_with('0') { '1' } else { '0' };
    assert_eq!(get(&format!("{app}/{rest}")).status, 401);
    assert_eq!(get(&format!("{app}/~{}{last}/{rest}", &grant[..grant.len() - 1])).status, 403);
    assert_eq!(get(&format!("/Open/~{grant}/{rest}")).status, 403);
    assert_eq!(get(&format!("{app}/~/{rest}")).status, 403);
    // A recording.
    let entry = "/vod/mp4:secret/a.mp4/playlist.m3u8";
    assert_eq!(get(entry).status, 401);
    let list = get(&format!("{entry}?{}", access::token("vod/secret/a.mp4", access::now() + 600)));
    let chunklist = access::joined(entry, access::lines(list.text()).next().expect("a variant"));
    let media = get(&chunklist);
    assert_eq!(media.status, 200, "{chunklist}");
    let segment = access::joined(&chunklist, access::lines(media.text()).next().expect("a segment"));
    assert_eq!(get(&segment).status, 200);
    assert_eq!(get(&segment.replace("secret", "open")).status, 403);
    // A part of it is another playlist than all of it.
    let behind = chunklist.rsplit_once('/').expect("a file").0.to_owned();
    let part = get(&format!("{behind}/playlist.m3u8?wowzaplaystart=1000&wowzaplayduration=1000"));
    let whole = get(&format!("{behind}/playlist.m3u8?token=x"));
    assert_eq!((part.status, whole.status), (200, 200));
    assert_ne!(part.text(), whole.text());
    // What one viewer gets by right is not kept for others.
    let download = "/vod/mp4:secret/a.mp4/download";
    let right = access::token("vod/secret/a.mp4", access::now() + 600);
    let bearer = format!("Bearer {}", right.trim_start_matches("token="));
    assert_eq!(http::get_with(address, download, &[("Authorization", &bearer)]).status, 200);
    assert_eq!(get(download).status, 401);
    assert_eq!(get(&format!("{download}?{right}")).status, 200);
    assert_eq!(get(download).status, 401);
}

#[test]
#[ignore = "needs nginx with njs: tests/run"]
fn nginx_checks_grants_by_itself() {
    rights_are_checked_in_front(nginx_with_access);
}

#[test]
#[ignore = "needs Varnish with vmod_digest: tests/run"]
fn varnish_checks_grants_by_itself() {
    rights_are_checked_in_front(varnish_with_access);
}
