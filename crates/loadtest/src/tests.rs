//! The cores, with a clock moved by hand; what is refused; and players on servers made for these tests.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use super::buffer::Buffer;
use super::histogram::SharedHistogram;
use super::*;
use amphi_container::isobmff::{put_box, put_full_box};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_buffer_that_runs_dry_is_a_stall() {
    let mut buffer = Buffer::default();
    assert_eq!(buffer.missing(ms(900)), ms(0), "the start is no stall");
    assert_eq!(buffer.add(ms(1000), ms(2000)), None);
    assert_eq!(buffer.ahead(ms(1500)), ms(1500));
    assert_eq!(buffer.add(ms(2900), ms(2000)), None, "in time");
    assert_eq!(buffer.missing(ms(5500)), ms(500));
    assert_eq!(buffer.add(ms(5500), ms(2000)), Some(ms(500)));
    assert_eq!(buffer.add(ms(7520), ms(2000)), None, "too short to be seen");
    assert_eq!(buffer.ahead(ms(7520)), ms(2000));
}

#[test]
fn a_lead_keeps_a_stream_that_comes_as_it_is_made() {
    let mut buffer = Buffer::with_lead(ms(1000));
    assert_eq!(buffer.add(ms(0), ms(100)), None);
    assert_eq!(buffer.add(ms(1090), ms(100)), None, "it begins at 1000 with what is there");
    assert_eq!(buffer.add(ms(1400), ms(100)), Some(ms(200)));
}

#[test]
fn quantiles_are_near_the_truth() {
    let histogram = SharedHistogram::default();
    assert_eq!(histogram.counts().quantile(0.99), ms(0));
    for value in 1..=1000 {
        histogram.add(ms(value));
    }
    let first = histogram.counts();
    for (of, truth) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
        let found = first.quantile(of).as_secs_f64() * 1e3;
        assert!((truth..truth * 1.05).contains(&found), "{of}: {found}");
    }
    histogram.add(ms(7));
    let since = histogram.counts().since(&first);
    assert_eq!(since.count(), 1);
    assert!((ms(7)..ms(8)).contains(&since.quantile(0.5)));
}

#[tokio::test]
async fn only_ones_own_servers_are_tested() {
    for url in ["http://127.0.0.1:1/x.m3u8", "http://[::1]:1/x.m3u8", "rtsp://10.1.2.3/x"] {
        LoadTarget::resolve(url, false).await.expect(url);
    }
    let public = LoadTarget::resolve("http://192.0.2.7/x.m3u8", false).await.expect_err("public").to_string();
    assert!(public.contains("--i-own-this-server"), "{public}");
    LoadTarget::resolve("http://192.0.2.7/x.m3u8", true).await.expect("owned");
    let protocols = [
        ("https://127.0.0.1/x", TargetProtocol::Https, 443),
        ("h2c://127.0.0.1:7/x", TargetProtocol::Http2, 7),
        ("rtmp://127.0.0.1/app/stream", TargetProtocol::Rtmp, 1935),
    ];
    for (url, protocol, port) in protocols {
        let target = LoadTarget::resolve(url, false).await.expect(url);
        assert_eq!((target.protocol, target.address.port()), (protocol, port));
    }
    for (url, part) in
        [("x", "not a URL"), ("ftp://127.0.0.1/x", "ftp: is not tested"), ("rtmp://h", "application")]
    {
        let fault = LoadTarget::resolve(url, false).await.expect_err(url).to_string();
        assert!(fault.contains(part), "{fault}");
    }
}

#[test]
fn every_player_has_a_port() {
    let target = "127.0.0.1:80".parse().expect("an address");
    let source = |number| source_address(target, number).map(|address| address.ip().to_string());
    assert_eq!(source(0).as_deref(), Some("127.1.0.1"));
    assert_eq!(source(PORTS).as_deref(), Some("127.1.0.2"));
    assert_eq!(source(60_000_000).as_deref(), Some("127.1.234.97"));
    assert_eq!(source(usize::MAX).as_deref(), Some("127.1.255.254"));
    assert_eq!(source_address("10.0.0.1:80".parse().expect("an address"), 0), None);
}

/// What a made-up server has at a path.
type Content = fn(&str) -> Option<Vec<u8>>;

/// Serves `content` over HTTP/1.1 and HTTP/2, with or without TLS; counts requests.
async fn server(content: Content, tls: Option<rustls::ServerConfig>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let acceptor = tls.map(|tls| tokio_rustls::TlsAcceptor::from(Arc::new(tls)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (counted, acceptor) = (Arc::clone(&counted), acceptor.clone());
            tokio::spawn(async move {
                let answer = |request: Request<hyper::body::Incoming>| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    let body = content(request.uri().path());
                    let status = if body.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
                    let mut response = Response::new(Full::new(Bytes::from(body.unwrap_or_default())));
                    *response.status_mut() = status;
                    async move { Ok::<_, Infallible>(response) }
                };
                let service = hyper::service::service_fn(answer);
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = match acceptor {
                    Some(acceptor) => {
                        let stream = acceptor.accept(stream).await.expect("a handshake");
                        builder.serve_connection(TokioIo::new(stream), service).await
                    }
                    None => builder.serve_connection(TokioIo::new(stream), service).await,
                };
            });
        }
    });
    (address, asked)
}

/// An initialization section of one track that counts in milliseconds.
fn init() -> Vec<u8> {
    let mut out = Vec::new();
    put_box(&mut out, *b"ftyp", |out| out.extend(b"iso6\0\0\0\0"));
    put_box(&mut out, *b"moov", |out| {
        put_box(out, *b"trak", |out| {
            put_full_box(out, *b"tkhd", 0, 0, |out| out.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
            put_box(out, *b"mdia", |out| {
                put_full_box(out, *b"mdhd", 0, 0, |out| {
                    out.extend([0; 8]);
                    out.extend(1000_u32.to_be_bytes());
                });
            });
        });
    });
    out
}

/// A second of that track, of `size` bytes.
fn segment(number: u32, start: u32, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put_box(&mut out, *b"moof", |out| {
        put_full_box(out, *b"mfhd", 0, 0, |out| out.extend(number.to_be_bytes()));
        put_box(out, *b"traf", |out| {
            put_full_box(out, *b"tfhd", 0, 8, |out| out.extend([0, 0, 0, 1, 0, 0, 3, 232]));
            put_full_box(out, *b"tfdt", 0, 0, |out| out.extend(start.to_be_bytes()));
            put_full_box(out, *b"trun", 0, 0, |out| out.extend(1_u32.to_be_bytes()));
        });
    });
    put_box(&mut out, *b"mdat", |out| out.resize(out.len() + size, 7));
    out
}

fn recording(count: u32, name: &str) -> Vec<u8> {
    let head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI=\"i.mp4\"\n".to_owned();
    let segments = (0..count).map(|number| format!("#EXTINF:1,\n{name}{number}.m4s\n"));
    let end = std::iter::once("#EXT-X-ENDLIST\n".to_owned());
    std::iter::once(head).chain(segments).chain(end).collect::<String>().into_bytes()
}

fn numbered(path: &str, name: &str) -> Option<u32> {
    path.strip_prefix(name)?.strip_suffix(".m4s")?.parse().ok()
}

fn options(variant: VariantChoice) -> Options {
    Options {
        players: 3,
        duration: Duration::from_secs(2),
        ramp: ms(100),
        variant,
        seek_every: Duration::from_secs(60),
        body_use: BodyUse::Check,
        is_unpaced: false,
        first_player: 0,
        insecure: true,
        progress: false,
    }
}

async fn play(url: String, variant: VariantChoice) -> LoadReport {
    run(LoadTarget::resolve(&url, false).await.expect("a target"), &options(variant)).await
}

/// A recording with two variants and separate sound.
fn rich(path: &str) -> Option<Vec<u8>> {
    Some(match path {
        "/m.m3u8" => b"#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",URI=\"sound.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1500000,AUDIO=\"a\"\nhigh.m3u8\n\
            #EXT-X-STREAM-INF:BANDWIDTH=9000,AUDIO=\"a\"\nlow.m3u8\n"
            .to_vec(),
        "/high.m3u8" => recording(5, "high"),
        "/low.m3u8" => recording(5, "low"),
        "/sound.m3u8" => recording(5, "sound"),
        "/i.mp4" => init(),
        path => {
            let sizes = [("/high", 200_000), ("/low", 30_000), ("/sound", 500)];
            let found = |(name, size)| Some((numbered(path, name)?, size));
            let (number, size) = sizes.into_iter().find_map(found)?;
            segment(number + 1, number * 1000, size)
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_of_its_own_is_fetched_and_the_rung_follows_the_rate() {
    let (address, _) = server(rich, None).await;
    let report = play(format!("http://{address}/m.m3u8"), VariantChoice::Adaptive).await;
    assert!(report.is_good(), "{report}");
    assert_eq!(report.errors, std::collections::BTreeMap::new(), "{report}");
    assert!(report.switches >= 1, "loopback carries more than the first guess: {report}");
    let page = report.html();
    assert!(
        page.contains("<polyline") && !page.contains("src=") && !page.contains("href="),
        "it stands alone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_and_tls_are_spoken_where_the_url_says_so() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let with = |protocols: &[&[u8]]| {
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
        let chain = vec![certified.cert.der().clone()];
        let mut config = builder.with_single_cert(chain, key.clone_key()).expect("a key that fits");
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config
    };
    let (plain, _) = server(rich, None).await;
    let (new, _) = server(rich, Some(with(&[b"h2"]))).await;
    let (old, _) = server(rich, Some(with(&[b"http/1.1"]))).await;
    let urls = [format!("h2c://{plain}"), format!("https://{new}"), format!("https://{old}")];
    for url in urls {
        let report = play(format!("{url}/m.m3u8"), VariantChoice::First).await;
        assert!(report.is_good() && report.errors.is_empty(), "{url}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_without_pauses_get_all_segments_again_and_again() {
    let (address, asked) = server(rich, None).await;
    let target = LoadTarget::resolve(&format!("http://{address}/m.m3u8"), false).await.expect("a target");
    for body_use in [BodyUse::Check, BodyUse::Read, BodyUse::Discard] {
        let before = asked.load(Ordering::Relaxed);
        let unpaced = Options { body_use, is_unpaced: true, ..options(VariantChoice::First) };
        let report = run(target.clone(), &unpaced).await;
        assert!(report.is_good() && report.errors.is_empty(), "{body_use:?}: {report}");
        assert!(report.segment.count > 3 * 10, "several times five segments of both kinds: {report}");
        assert_eq!((report.seeks, report.start.count), (0, 3), "{report}");
        // Every second segment is one of sound.
        assert!(report.bytes > report.segment.count / 3 * 200_000, "whole segments are counted: {report}");
        assert!(asked.load(Ordering::Relaxed) - before >= report.segment.count as usize);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_thrown_away_unread_must_still_be_there_and_whole() {
    let (address, _) = server(faulty, None).await;
    let target = LoadTarget::resolve(&format!("http://{address}/m.m3u8"), false).await.expect("a target");
    let unpaced = |body_use| Options { body_use, is_unpaced: true, ..options(VariantChoice::First) };
    let discarded = run(target.clone(), &unpaced(BodyUse::Discard)).await;
    let faults: Vec<_> = discarded.errors.keys().map(String::as_str).collect();
    assert_eq!(faults, ["segment: status 404"], "{discarded}");
    let read = run(target, &unpaced(BodyUse::Read)).await;
    assert!(read.errors.contains_key("segment: a segment ends inside a box"), "{read}");
}

#[tokio::test]
async fn streams_have_no_segments_to_be_discarded() {
    let stream = LoadTarget::resolve("rtsp://127.0.0.1/app/stream", false).await.expect("a target");
    let playlist = LoadTarget::resolve("http://127.0.0.1/m.m3u8", false).await.expect("a target");
    stream.fits(&options(VariantChoice::First)).expect("nothing is asked");
    for (body_use, is_unpaced, option) in [
        (BodyUse::Discard, false, "--discard"),
        (BodyUse::Read, false, "--read"),
        (BodyUse::Check, true, "--unpaced"),
    ] {
        let asked = Options { body_use, is_unpaced, ..options(VariantChoice::First) };
        playlist.fits(&asked).expect("it has segments");
        let fault = stream.fits(&asked).expect_err("it has none").to_string();
        assert!(fault.starts_with(option), "{fault}");
    }
}

/// The third segment begins too late, the fourth is cut off, the fifth is not there.
fn faulty(path: &str) -> Option<Vec<u8>> {
    match path {
        "/m.m3u8" => Some(recording(5, "s")),
        "/i.mp4" => Some(init()),
        path => match numbered(path, "/s")? {
            number @ 0..2 => Some(segment(number + 1, number * 1000, 9000)),
            2 => Some(segment(3, 2500, 9000)),
            3 => segment(4, 3000, 9000).get(..5000).map(<[u8]>::to_vec),
            _ => None,
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_are_no_good_are_named_and_a_dry_buffer_is_a_stall() {
    let (address, _) = server(faulty, None).await;
    let test = |seed| async move {
        fastrand::seed(seed);
        play(format!("http://{address}/m.m3u8"), VariantChoice::First).await
    };
    // Players begin anywhere; after a few starts every segment has been played.
    let mut errors = std::collections::BTreeMap::new();
    for seed in 0..3 {
        errors.extend(test(seed).await.errors);
    }
    for fault in ["segment: a segment ends inside a box", "segment: status 404"] {
        assert!(errors.contains_key(fault), "{fault}: {errors:?}");
    }
}

/// A live playlist that never gets anything new.
fn stuck(path: &str) -> Option<Vec<u8>> {
    match path {
        "/m.m3u8" => Some(
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:1,\ns7.m4s\n"
                .to_vec(),
        ),
        "/i.mp4" => Some(init()),
        path => numbered(path, "/s").map(|number| segment(number, number * 1000, 9000)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_stands_still_is_a_stall_of_every_player() {
    let (address, asked) = server(stuck, None).await;
    let report = play(format!("http://{address}/m.m3u8"), VariantChoice::First).await;
    assert_eq!((report.stalls, report.stalled_players, report.is_good()), (3, 3, false), "{report}");
    assert!(report.errors.is_empty(), "{report}");
    assert_eq!(report.segment.count, 3, "each segment once");
    assert!(asked.load(Ordering::Relaxed) <= 3 * (3 + 4), "half a target duration between two looks");
}
