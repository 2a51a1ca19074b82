//! TLS on every port, with clients that are not ours: openssl, curl, ffmpeg; and certificates that change meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::push::channel;
use crate::server::{Server, eventually};

/// An authority, and the pairs of files that it has signed.
pub struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    der: CertificateDer<'static>,
    pub folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "An authority of a test");
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        let der = certificate.der().clone();
        Self { issuer: rcgen::Issuer::new(params, key), der, folder }
    }

    pub fn ca(&self) -> String {
        self.path("ca.pem")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Writes `name.pem` and `name.key` for hosts, valid for so many days from yesterday.
    pub fn sign(&self, name: &str, hosts: &[&str], days: u64) -> CertificateDer<'static> {
        let (chain, key, der) = self.signed(hosts, days);
        // As certbot does: never half a file.
        for (path, text) in
            [(self.path(&format!("{name}.pem")), chain), (self.path(&format!("{name}.key")), key)]
        {
            std::fs::write(format!("{path}.new"), text).expect("written");
            std::fs::rename(format!("{path}.new"), path).expect("replaced");
        }
        der
    }

    fn signed(&self, hosts: &[&str], days: u64) -> (String, String, CertificateDer<'static>) {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(hosts).expect("hosts");
        let day = Duration::from_secs(86_400);
        let yesterday = std::time::SystemTime::now() - day;
        params.not_before = yesterday.into();
        params.not_after = (yesterday + day * u32::try_from(days).expect("few")).into();
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem(), certificate.der().clone())
    }

    /// `[[tls.certificate]]` for these names of pairs.
    pub fn tables(&self, names: &[&str]) -> String {
        let table = |name: &&str| {
            let (chain, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
            format!("[[tls.certificate]]\nchain = \"{chain}\"\nkey = \"{key}\"\n")
        };
        names.iter().map(table).collect()
    }

    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
        // A session that is resumed has the certificate of its beginning.
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    }
}

/// A server with HTTPS, these lines in `[server]`, and this configuration.
fn server(lines: &str, configuration: &str) -> (Server, SocketAddr) {
    let hall = channel("publish_key = \"chalk-and-cheese\"");
    let server = Server::run(&format!("https_listen = \"127.0.0.1:0\"\n{lines}\n{configuration}\n{hall}"));
    let https = server.address("https");
    let is_ready = || crate::http::get(server.http, "/Live/live/playlist.m3u8").status == 200;
    eventually("the waiting loop is coded", is_ready);
    (server, https)
}

fn run(command: &str, arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new(command).args(arguments).stdin(Stdio::null()).output().expect("it is installed");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// `openssl s_client` with these options.
fn s_client(address: SocketAddr, options: &[&str]) -> (bool, String) {
    let address = address.to_string();
    let given = ["s_client", "-connect", &address];
    run("openssl", &[&given[..], options].concat())
}

async fn shaken(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    chain[0].clone().into_owned()
}

/// The body of the answer to a GET on a connection that stays.
async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> std::io::Result<Vec<u8>> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if answer.len() >= end + 4 + length.parse::<usize>().expect("a number") {
            return Ok(answer.split_off(end + 4));
        }
    }
}

#[test]
fn the_certificate_is_replaced_under_five_hundred_players() {
    let authority = Authority::new();
    let old = authority.sign("a", &["localhost"], 90);
    let (server, https) = server("", &authority.tables(&["a"]));
    let config = authority.client();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (stop, answers, swapped) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    runtime.block_on(async {
        let mut first = shaken(https, &config).await.expect("a connection");
        let playlist =
            String::from_utf8(get(&mut first, "/Live/live/playlist.m3u8").await.expect("an answer"));
        let rung =
            playlist.expect("text").lines().find(|line| !line.starts_with('#')).expect("a rung").to_owned();
        let path = format!("/Live/live/{rung}");
        let players = (0..500).map(|number| {
            let (config, stop, path) = (Arc::clone(&config), Arc::clone(&stop), path.clone());
            let (answers, swapped, old) = (Arc::clone(&answers), Arc::clone(&swapped), old.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = shaken(https, &config).await.expect("a handshake");
                    swapped.fetch_add(usize::from(shown(&stream) != old), Ordering::Relaxed);
                    // Most stay, some come again.
                    for _ in 0..if number % 5 == 0 { 2 } else { 1000 } {
                        get(&mut stream, &path).await.expect("an answer");
                        answers.fetch_add(1, Ordering::Relaxed);
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
            })
        });
        let players: Vec<_> = players.collect();
        while answers.load(Ordering::Relaxed) < 600 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Between the two files they do not belong together.
        let (chain, key, new) = authority.signed(&["localhost"], 90);
        std::fs::write(authority.path("a.pem"), chain).expect("written");
        let log = tokio::task::block_in_place(|| {
            server.logged(|line| line["message"].as_str().is_some_and(|it| it.contains("is refused")))
        });
        assert!(log["why"].as_str().is_some_and(|why| why.contains("does not belong")), "{log}");
        std::fs::write(authority.path("a.key"), key).expect("written");
        let log =
            tokio::task::block_in_place(|| server.logged(|line| line["message"] == "a certificate is shown"));
        assert_eq!(log["days"], 88);
        let fresh = shaken(https, &config).await.expect("a connection");
        assert_eq!(shown(&fresh), new);
        assert_eq!(shown(&first), old);
        get(&mut first, &path).await.expect("a connection from before goes on");
        while swapped.load(Ordering::Relaxed) < 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.store(true, Ordering::Relaxed);
        for player in players {
            player.await.expect("no player had an error");
        }
    });
    assert_eq!(server.end(), Some(0));
}

#[test]
fn each_name_has_its_certificate_and_one_that_ends_soon_is_an_alarm() {
    let authority = Authority::new();
    let soon = authority.sign("a", &["localhost"], 15);
    let other = authority.sign("b", &["other.example.org"], 90);
    let (server, https) = server("", &authority.tables(&["a", "b"]));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = authority.client();
    let named = |name: &'static str| {
        runtime.block_on(async {
            let stream = TcpStream::connect(https).await.expect("it listens");
            let name = ServerName::try_from(name).expect("a name");
            shown(&TlsConnector::from(Arc::clone(&config)).connect(name, stream).await.expect("trusted"))
        })
    };
    assert_eq!((named("localhost"), named("other.example.org")), (soon, other));
    let alarms = || crate::http::get(server.admin, "/api/v1/alarms").text().to_owned();
    eventually("an alarm", || alarms().contains("expires in 13 day(s)"));
    assert!(alarms().contains("\"certificate\""), "{}", alarms());
    authority.sign("a", &["localhost"], 90);
    eventually("the alarm is over", || !alarms().contains("expires in"));
    // Another list of certificates is taken over by a reload.
    let hall = channel("publish_key = \"chalk-and-cheese\"");
    let second = authority.sign("c", &["third.example.org"], 90);
    let tables = authority.tables(&["a", "c"]);
    server.rewrite(&format!("https_listen = \"127.0.0.1:0\"\n{tables}\n{hall}"));
    let is_shown = || {
        runtime.block_on(async {
            let stream = TcpStream::connect(https).await.expect("it listens");
            let name = ServerName::try_from("third.example.org").expect("a name");
            let shaken = TlsConnector::from(Arc::clone(&config)).connect(name, stream).await;
            shaken.is_ok_and(|stream| shown(&stream) == second)
        })
    };
    eventually("the third name", is_shown);
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs openssl and curl: tests/run"]
fn what_is_spoken_is_modern_and_nothing_else() {
    let authority = Authority::new();
    authority.sign("a", &["localhost"], 90);
    let told = "[tls]\nhsts_s = 600\n";
    let (server, https) = server("admin_tls = true", &format!("{told}{}", authority.tables(&["a"])));
    let ca = authority.ca();
    let trusting = ["-CAfile", &ca, "-servername", "localhost", "-verify_return_error"];
    for address in [https, server.media, server.admin] {
        for version in ["-tls1_2", "-tls1_3"] {
            let (done, said) = s_client(address, &[&trusting[..], &[version]].concat());
            assert!(done && said.contains("Verify return code: 0 (ok)"), "{address} {version}: {said}");
        }
        // These need a lower security level to be offered at all.
        for old in ["-tls1", "-tls1_1"] {
            let (done, said) = s_client(address, &[old, "-cipher", "ALL:@SECLEVEL=0"]);
            assert!(!done, "{address} {old}: {said}");
        }
        for weak in
            ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "NULL"]
        {
            let (done, said) = s_client(address, &["-tls1_2", "-cipher", &format!("{weak}:@SECLEVEL=0")]);
            assert!(!done, "{address} {weak}: {said}");
        }
    }
    for (offered, chosen) in [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1"), ("h2", "h2")] {
        let (_, said) = s_client(https, &["-alpn", offered]);
        assert!(said.contains(&format!("ALPN protocol: {chosen}")), "{offered}: {said}");
    }
    assert!(!s_client(https, &["-alpn", "spdy/1"]).0, "a protocol that we do not speak");
    for version in ["-tls1_2", "-tls1_3"] {
        let session = authority.path("session");
        let get = format!(
            "printf 'GET / HTTP/1.1\\r\\nhost: a\\r\\nconnection: close\\r\\n\\r\\n' | openssl s_client -ign_eof -connect {https} {version}"
        );
        let (_, said) = run("sh", &["-c", &format!("{get} -sess_out {session}")]);
        assert!(said.contains("HTTP/1.1 200"), "{said}");
        let (_, said) = run("sh", &["-c", &format!("{get} -sess_in {session}")]);
        assert!(said.contains("Reused, TLSv1"), "{version}: {said}");
    }
    let fetched = |version: &str, path: &str| {
        let url = format!("https://localhost:{}{path}", https.port());
        run("curl", &["-sS", "-f", "-i", version, "--cacert", &ca, &url])
    };
    for version in ["--http1.1", "--http2"] {
        for path in ["/", "/Live/live/playlist.m3u8"] {
            let (done, said) = fetched(version, path);
            assert!(
                done && said.contains("strict-transport-security: max-age=600"),
                "{version} {path}: {said}"
            );
            assert_eq!(said.starts_with("HTTP/2"), version == "--http2", "{said}");
        }
    }
    // Admin: TLS and nothing else, cookies inside it only.
    let admin = format!("https://localhost:{}/api/v1/health", server.admin.port());
    let (done, said) = run("curl", &["-sS", "-f", "--cacert", &ca, &admin]);
    assert!(done, "{said}");
    let plain = format!("http://localhost:{}/api/v1/health", server.admin.port());
    assert!(!run("curl", &["-sS", "-f", &plain]).0);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_hall_inside_tls_is_pulled_by_its_authority_alone() {
    let authority = Authority::new();
    authority.sign("a", &["localhost"], 90);
    let (hall, _) = server("", &authority.tables(&["a"]));
    let pulled = |ca: &str| {
        let url = format!("rtsps://localhost:{}/Live/live_480p", hall.media.port());
        channel(&format!("url = \"{url}\"\nca_file = \"{ca}\""))
    };
    let taker = Server::run(&pulled(""));
    let sources = || crate::http::get(taker.admin, "/api/v1/sources").text().to_owned();
    eventually("it is not trusted", || sources().contains("no TLS: invalid peer certificate"));
    assert_eq!(taker.on_air("Live"), None);
    taker.rewrite(&pulled(&authority.ca()));
    eventually("it is on air", || taker.on_air("Live").as_deref() == Some("hall"));
    assert_eq!(taker.end(), Some(0));
    assert_eq!(hall.end(), Some(0));
}

/// Frames that ffmpeg decodes of a URL in four seconds.
fn decoded(url: &str, options: &[&str]) -> usize {
    let given =
        [&["-nostdin", "-v", "error", "-stats"][..], options, &["-i", url, "-t", "4", "-f", "null", "-"]];
    let (done, said) = run("ffmpeg", &given.concat());
    assert!(done, "{url}: {said}");
    let last = said.rsplit("frame=").next().unwrap_or_default();
    last.trim_start().split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn ffmpeg_plays_every_protocol_inside_tls() {
    let authority = Authority::new();
    authority.sign("a", &["localhost"], 90);
    let (server, https) = server("", &authority.tables(&["a"]));
    let ca = authority.ca();
    let trusting = ["-tls_verify", "1", "-ca_file", &ca];
    let over_tcp = ["-rtsp_transport", "tcp"];
    for (url, options) in [
        (format!("https://localhost:{}/Live/live/playlist.m3u8", https.port()), &trusting[..]),
        (format!("https://localhost:{}/Live/live/playlist.m3u8", server.media.port()), &trusting),
        (format!("rtmps://localhost:{}/Live/live_480p", server.media.port()), &[]),
        (format!("rtsps://localhost:{}/Live/live_480p", server.media.port()), &over_tcp),
    ] {
        let frames = decoded(&url, options);
        assert!(frames >= 50, "{url}: {frames}");
    }
    // And publishes.
    let clip = crate::material::fixture("hall_a.mp4");
    let url = format!("rtmps://localhost:{}/publish/hall?key=chalk-and-cheese", server.media.port());
    let mut publisher = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i"])
        .arg(Path::new(&clip))
        .args(["-c", "copy", "-f", "flv", &url])
        .spawn()
        .expect("ffmpeg is installed");
    eventually("it is on air", || server.on_air("Live").as_deref() == Some("hall"));
    let _ = publisher.kill();
    let _ = publisher.wait();
    assert_eq!(server.end(), Some(0));
}

/// Debian's test authority, and the name server that sends it to this machine.
struct Pebble {
    children: Vec<std::process::Child>,
    directory: String,
}

impl Pebble {
    /// One that looks for proofs at these ports.
    fn start(authority: &Authority, tls_port: u16, http_port: u16) -> Self {
        authority.sign("pebble", &["localhost"], 90);
        let [listen, management, dns, control] = [(); 4].map(|()| free_port());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": authority.path("pebble.pem"),
            "privateKey": authority.path("pebble.key"),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": true,
            "externalAccountMACKeys": { "kid-1": KEY },
        }});
        std::fs::write(authority.path("pebble.json"), config.to_string()).expect("written");
        let quiet = |command: &str, arguments: &[&str]| {
            let mut command = Command::new(command);
            command.args(arguments).env("PEBBLE_VA_NOSLEEP", "1").stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("pebble is installed")
        };
        let dns_address = format!("127.0.0.1:{dns}");
        let names = quiet(
            "pebble-challtestsrv",
            &[
                "-defaultIPv4",
                "127.0.0.1",
                "-defaultIPv6",
                "",
                "-dns01",
                &dns_address,
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
                "-management",
                &format!("127.0.0.1:{control}"),
            ],
        );
        let given = ["-config", &authority.path("pebble.json"), "-dnsserver", &dns_address];
        let children = vec![names, quiet("pebble", &given)];
        eventually("pebble listens", || std::net::TcpStream::connect(("127.0.0.1", listen)).is_ok());
        Self { children, directory: format!("https://localhost:{listen}/dir") }
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// Pebble has to be told ports before they are opened.
fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    free.local_addr().expect("bound").port()
}

#[test]
#[ignore = "needs pebble: tests/run"]
fn certificates_come_from_an_authority_by_either_proof_and_survive_a_restart() {
    for (challenge, name) in [("tls-alpn-01", "live.example.org"), ("http-01", "other.example.org")] {
        let authority = Authority::new();
        let (https, plain) = (free_port(), free_port());
        let pebble = Pebble::start(&authority, https, plain);
        let key_file = authority.path("eab");
        std::fs::write(&key_file, KEY).expect("written");
        let hall = channel("publish_key = \"chalk-and-cheese\"");
        let configuration = |directory: &str| {
            format!(
                "https_listen = \"127.0.0.1:{https}\"\n[tls.acme]\ndirectory = \"{directory}\"\ndomains = [\"{name}\"]\n\
                 contact = [\"mailto:av@example.org\"]\neab_key_id = \"kid-1\"\neab_hmac_key_file = \"{key_file}\"\n\
                 challenge = \"{challenge}\"\nca_file = \"{}\"\n{hall}",
                authority.ca()
            )
        };
        let server = Server::run_at(plain, &configuration(&pebble.directory));
        let shown = |line: &serde_json::Value| line["message"] == "a certificate of the authority is shown";
        let line = server.logged(shown);
        assert!(line["names"].as_str().is_some_and(|names| names.contains(name)), "{line}");
        let address = SocketAddr::from(([127, 0, 0, 1], https));
        let (_, said) = s_client(address, &["-servername", name]);
        assert!(said.contains("Pebble Intermediate CA"), "{said}");
        // Without the authority, what was kept is shown.
        drop(pebble);
        let server = server.again();
        let (_, said) = s_client(address, &["-servername", name]);
        assert!(said.contains("Pebble Intermediate CA"), "{said}");
        let log = server.said();
        assert!(!log.contains(KEY), "{log}");
        assert_eq!(server.end(), Some(0));
    }
}

#[test]
#[ignore = "needs pebble: tests/run"]
fn an_authority_that_refuses_is_an_alarm() {
    let authority = Authority::new();
    let https = free_port();
    // It looks elsewhere, where nobody answers.
    let pebble = Pebble::start(&authority, free_port(), free_port());
    let acme = format!(
        "[tls.acme]\ndirectory = \"{}\"\ndomains = [\"live.example.org\"]\neab_key_id = \"kid-1\"\neab_hmac_key = \"{KEY}\"\n\
         ca_file = \"{}\"\n",
        pebble.directory,
        authority.ca()
    );
    let hall = channel("publish_key = \"chalk-and-cheese\"");
    let server = Server::run(&format!("https_listen = \"127.0.0.1:{https}\"\n{acme}{hall}"));
    let alarms = || crate::http::get(server.admin, "/api/v1/alarms").text().to_owned();
    eventually("an alarm", || alarms().contains("does not accept the proof for live.example.org"));
    assert!(!alarms().contains(KEY));
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs curl: tests/run"]
fn a_recording_is_the_same_inside_tls() {
    let authority = Authority::new();
    authority.sign("a", &["localhost"], 90);
    let clip = crate::material::fixture("hall_a.mp4");
    let root = Path::new(&clip).parent().expect("a folder");
    let mount = format!("[[vod]]\nname = \"vod\"\nroot = \"{}\"\n", root.display());
    let (server, https) = server("", &format!("{}{mount}", authority.tables(&["a"])));
    let (whole, ca) = (std::fs::read(&clip).expect("a file"), authority.ca());
    let path = "vod/mp4:hall_a.mp4/download";
    for (version, range) in
        [("--http1.1", None), ("--http2", None), ("--http1.1", Some(100..70_000)), ("--http2", Some(5..9))]
    {
        let into = authority.path("got");
        let url = format!("https://localhost:{}/{path}", https.port());
        let mut arguments = vec!["-sS", "-f", version, "--cacert", &ca, "-o", &into, &url];
        let wanted = range.as_ref().map(|range| format!("{}-{}", range.start, range.end - 1));
        if let Some(wanted) = &wanted {
            arguments.extend(["-r", wanted]);
        }
        let (done, said) = run("curl", &arguments);
        assert!(done, "{said}");
        let expected = range.map_or(&whole[..], |range| &whole[range]);
        assert!(std::fs::read(&into).expect("a file") == expected, "{version} {wanted:?}");
    }
    assert_eq!(server.end(), Some(0));
}
