//! A channel is pushed to another server: nginx, or another Amphi, which takes it as a source.

use crate::http;
use crate::server::{Server, eventually};
use crate::sources::one_hall;

/// A channel whose source is as `source` says, in TOML.
pub fn channel(source: &str) -> String {
    one_hall("rtsp://127.0.0.1:9/x").replace("url = \"rtsp://127.0.0.1:9/x\"", source)
}

fn state(server: &Server) -> (String, String) {
    let text = http::get(server.admin, "/api/v1/pushes").text().to_owned();
    let pushes: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    (pushes[0]["state"].as_str().unwrap_or_default().to_owned(), text)
}

#[test]
fn a_channel_is_pushed_until_the_server_ends() {
    let taker = Server::run(&channel("publish_key = \"chalk\""));
    let push = |key: &str| {
        let url = format!("rtmp://{}/publish/hall?key={key}", taker.media);
        let source = channel("publish_key = \"other\"");
        format!("{source}\n[[push]]\nname = \"away\"\nchannel = \"Live\"\nrung = \"480p\"\nurl = \"{url}\"\n")
    };
    let pusher = Server::run(&push("cheese"));
    eventually("a wrong key is refused", || state(&pusher).0 == "backing_off");
    assert_eq!(taker.on_air("Live"), None);
    let refused = state(&pusher).1;
    assert!(refused.contains("the server refuses") && !refused.contains("cheese"), "{refused}");

    pusher.rewrite(&push("chalk"));
    eventually("it is published", || state(&pusher).0 == "publishing");
    eventually("it is on air", || taker.on_air("Live").as_deref() == Some("hall"));
    let metrics = http::get(pusher.admin, "/metrics");
    assert!(metrics.text().contains("amphi_push_up{push=\"away\",channel=\"Live\"} 1"), "{}", metrics.text());
    assert_eq!(pusher.end(), Some(0));
    eventually("the waiting loop is on air", || taker.on_air("Live").is_none());
    assert_eq!(taker.end(), Some(0));
}

/// nginx with its RTMP module as the server that is pushed to, and a TLS listener before it.
struct Nginx {
    child: std::process::Child,
    rtmp: u16,
    rtmps: u16,
    folder: tempfile::TempDir,
    _tls: tokio::runtime::Runtime,
}

impl Nginx {
    fn start() -> Self {
        // nginx cannot say which port it was given.
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let rtmp = free.local_addr().expect("bound").port();
        drop(free);
        let folder = tempfile::tempdir().expect("a directory");
        let configuration = format!(
            "daemon off; master_process off; pid {0}/pid; error_log {0}/log;\n\
             load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\nevents {{ }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{rtmp}; application live {{ live on; }} }} }}\n",
            folder.path().display()
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).expect("written");
        let child = std::process::Command::new("nginx")
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(folder.path().join("log"))
            .spawn()
            .expect("nginx is installed");
        let tls = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let tls = tls.expect("a runtime");
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let pem = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, certified.cert.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n");
        std::fs::write(folder.path().join("ca.pem"), pem).expect("written");
        let listener = tls.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let rtmps = listener.local_addr().expect("bound").port();
        tls.spawn(forward(listener, certified, rtmp));
        Self { child, rtmp, rtmps, folder, _tls: tls }
    }

    /// Picture times in milliseconds of what ffmpeg reads of a stream in three seconds.
    fn played(&self, stream: &str) -> Vec<i64> {
        let url = format!("rtmp://127.0.0.1:{}/live/{stream}", self.rtmp);
        let output = std::process::Command::new("ffprobe")
            .args(["-v", "error", "-read_intervals", "%+3", "-select_streams", "v", "-of", "csv=p=0"])
            .args(["-show_entries", "packet=pts_time", &url])
            .output()
            .expect("ffprobe is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let seconds = text.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
        seconds.map(|seconds| (seconds * 1000.0).round() as i64).collect()
    }

    fn has(&self, stream: &str) {
        let times = self.played(stream);
        assert!(times.len() >= 40, "{stream}: {} pictures in 3 s", times.len());
        for pair in times.windows(2) {
            assert!((66..=67).contains(&(pair[1] - pair[0])), "{stream}: one timeline, {pair:?}");
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Terminates TLS in front of `to`.
async fn forward(listener: tokio::net::TcpListener, certified: rcgen::CertifiedKey<rcgen::KeyPair>, to: u16) {
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("a key of the certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(mut outside) = acceptor.accept(stream).await else { return };
            let Ok(mut inside) = tokio::net::TcpStream::connect(("127.0.0.1", to)).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
        });
    }
}

#[test]
#[ignore = "needs nginx with its RTMP module and ffmpeg: tests/run"]
fn nginx_takes_pushes_in_tls_and_without_while_they_are_wanted() {
    let nginx = Nginx::start();
    let ca = nginx.folder.path().join("ca.pem");
    let pushes = format!(
        "\n[[push]]\nname = \"seen\"\nchannel = \"Live\"\nrung = \"480p\"\nurl = \"rtmp://127.0.0.1:{}/live/seen\"\n\
         when = \"live\"\n[[push]]\nname = \"planned\"\nchannel = \"Live\"\nrung = \"480p\"\n\
         url = \"rtmps://localhost:{}/live/planned\"\nca_file = \"{}\"\nwhen = \"schedule\"\n",
        nginx.rtmp,
        nginx.rtmps,
        ca.display()
    );
    let server = Server::run(&(channel("publish_key = \"chalk\"") + &pushes));
    let states = || {
        let text = http::get(server.admin, "/api/v1/pushes").text().to_owned();
        let pushes: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let mut states: Vec<_> = pushes
            .as_array()
            .expect("pushes")
            .iter()
            .map(|push| {
                format!("{} {}", push["name"].as_str().unwrap_or("?"), push["state"].as_str().unwrap_or("?"))
            })
            .collect();
        states.sort();
        states.join(", ")
    };
    // The configuration has a source on the channel, which does not publish yet.
    eventually("what is planned is pushed", || states() == "planned publishing, seen idle");
    nginx.has("planned");
    let clip = crate::material::fixture("hall_a.mp4");
    let url = format!("rtmp://{}/publish/hall?key=chalk", server.media);
    let mut publisher = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "quiet", "-re", "-stream_loop", "-1", "-i"])
        .arg(&clip)
        .args(["-c", "copy", "-f", "flv", &url])
        .spawn()
        .expect("ffmpeg is installed");
    eventually("what is live is pushed", || states() == "planned publishing, seen publishing");
    nginx.has("seen");
    // Neither planned nor live any more.
    server.disconnect("Live");
    eventually("nothing is pushed", || states() == "planned idle, seen idle");
    let _ = publisher.kill();
    let _ = publisher.wait();
    assert_eq!(server.end(), Some(0));
}
