//! The cores, with a clock moved by hand, and what is refused.

use super::buffer::Buffer;
use super::histogram::Histogram;
use super::playlist::{Playlist, parse};
use super::*;

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
fn quantiles_are_near_the_truth() {
    let histogram = Histogram::default();
    assert_eq!(histogram.quantile(0.99), ms(0));
    for value in 1..=1000 {
        histogram.add(ms(value));
    }
    for (of, truth) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
        let found = histogram.quantile(of).as_secs_f64() * 1e3;
        assert!((truth..truth * 1.05).contains(&found), "{of}: {found}");
    }
}

#[test]
fn playlists_of_both_kinds_are_read() {
    let variants = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nb.m3u8\n";
    assert_eq!(parse(variants), Some(Playlist::Multivariant(vec!["a.m3u8".to_owned(), "b.m3u8".to_owned()])));
    let media = "#EXTM3U\r\n#EXT-X-TARGETDURATION:2\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n#EXT-X-MAP:URI=\"i.mp4\"\r\n\
                 #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:10.000Z\r\n#EXTINF:2.0,\r\nx.m4s\r\n";
    let Some(Playlist::Media(media)) = parse(media) else { panic!("it is a media playlist") };
    assert_eq!((media.sequence, media.target, media.init.as_deref()), (7, ms(2000), Some("i.mp4")));
    assert_eq!((&*media.segments[0].uri, media.segments[0].ends), ("x.m4s", Some(ms(12_000))));
    assert!(!media.is_ended);
    assert_eq!(parse("<html>"), None);
}

#[tokio::test]
async fn only_ones_own_servers_are_tested() {
    for url in ["http://127.0.0.1:1/x.m3u8", "http://[::1]:1/x.m3u8", "http://10.1.2.3/x.m3u8"] {
        Target::resolve(url, false).await.expect(url);
    }
    let public = Target::resolve("http://192.0.2.7/x.m3u8", false).await.expect_err("public").to_string();
    assert!(public.contains("--i-own-this-server"), "{public}");
    Target::resolve("http://192.0.2.7/x.m3u8", true).await.expect("owned");
    for (url, part) in [("x", "not an URL"), ("rtsp://127.0.0.1/x", "rtsp: is not tested")] {
        let fault = Target::resolve(url, false).await.expect_err(url).to_string();
        assert!(fault.contains(part), "{fault}");
    }
}

#[test]
fn every_player_has_a_port() {
    let target = "127.0.0.1:80".parse().expect("an address");
    let source = |number| source_address(target, number).map(|address| address.ip().to_string());
    assert_eq!(source(0).as_deref(), Some("127.1.0.1"));
    assert_eq!(source(PORTS).as_deref(), Some("127.1.0.2"));
    assert_eq!(source_address("10.0.0.1:80".parse().expect("an address"), 0), None);
}
