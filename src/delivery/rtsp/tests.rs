//! The RTSP port from outside: raw clients on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

use super::*;
use crate::delivery::{
    AccessAction, AccessDenied, AccessRequest, Air, AirTiming, OpenDoor, PublishedChannel, Resolved, air,
};
use crate::store::{PublishedRung, published_window};
use amphi_access::Admission;
use amphi_http::Places;
use amphi_media::clock::SystemClock;
use amphi_media::{
    AudioFormat, AudioTrack, CellIndex, CodedCell, Grid, ParameterSets, PictureSize, RungTracks, SampleEntry,
    TrackCell, VIDEO_TIMESCALE, VideoTrack, h264,
};
use amphi_vod::{Mount, MountSettings};

const GRID: Grid = Grid::new(400);
const PICTURES: usize = 6;

fn tracks() -> RungTracks {
    RungTracks {
        name: "720p".to_owned(),
        video: Some(VideoTrack {
            size: PictureSize { width: 1280, height: 720 },
            fps: 15,
            bitrate_bps: 750_000,
            parameter_sets: ParameterSets {
                sps: Bytes::from_static(&[0x67, 0x64, 0, 0x1f]),
                pps: Bytes::from_static(&[0x68, 1]),
            },
        }),
        video_index: Some(0),
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    }
}

/// A cell whose pictures have so many bytes, the number of the cell in each.
fn cell(k: CellIndex, size: usize) -> CodedCell {
    let mut data = BytesMut::new();
    let mut samples = Vec::new();
    for index in 0..PICTURES {
        let mut nal = vec![k.0 as u8; size];
        nal[0] = if index == 0 { 0x65 } else { 0x41 };
        let before = data.len();
        h264::push_sample_nal(&mut data, &nal);
        samples.push(SampleEntry { size: (data.len() - before) as u32, duration: 6000, sync: index == 0 });
    }
    let start = GRID.start(k).to_ticks(VIDEO_TIMESCALE);
    let video = TrackCell { start, data: data.freeze(), samples: samples.into() };
    let frames = GRID.audio_frames(k, 48_000);
    let samples: Vec<_> =
        frames.clone().map(|_| SampleEntry { size: 50, duration: 1024, sync: true }).collect();
    let data = vec![7; samples.len() * 50].into();
    let audio = TrackCell { start: frames.start * 1024, data, samples: samples.into() };
    CodedCell { k, video: vec![video], audio }
}

/// A channel `hall` on air, in a server at an address of its own.
struct Rig {
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Rig {
    async fn start(host: &str, picture: usize) -> Self {
        Self::behind(Arc::new(OpenDoor), host, picture).await
    }

    /// The same with that door, and the fixtures as the mount `vod`.
    async fn behind(asked: Arc<dyn Door>, host: &str, picture: usize) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let timing = AirTiming { grid: GRID, deadline: Duration::from_millis(100) };
        let (air, reader) = air([tracks()].into(), clock.now(), timing);
        let (_, window) = published_window(GRID, 3, vec![PublishedRung::new(tracks(), Bytes::new())]);
        let door = RtspPort {
            registry: Arc::default(),
            counts: Arc::default(),
            audience: Arc::default(),
            door: asked,
            places: Places::new(100, 0),
            clock: Arc::clone(&clock),
        };
        let channel =
            PublishedChannel { streams: vec!["live".to_owned()], window: Some(window), air: Some(reader) };
        door.registry.insert("hall", channel);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let settings = MountSettings {
            root,
            segment_ms: 6000,
            download: true,
            poster: false,
            index: false,
            ..MountSettings::default()
        };
        door.registry.mount("vod", Mount::new(settings));
        let listener = TcpListener::bind((host, 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let accept = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(door.clone().serve(stream, CancellationToken::new()));
            }
        });
        Self { address, tasks: vec![accept, tokio::spawn(show(air, clock, picture))] }
    }

    async fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        Client { stream, bytes: BytesMut::new(), url: format!("rtsp://{}/hall/live", self.address), cseq: 0 }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Airs every cell when it has ended, and at the beginning some older ones.
async fn show(mut air: Air, clock: Arc<dyn Clock>, picture: usize) {
    let mut k = CellIndex(GRID.cell_at(clock.now()).0 - 4);
    loop {
        tokio::time::sleep(GRID.end(k).saturating_since(clock.now())).await;
        air.push(Arc::new(cell(k, picture)));
        k = k.next();
    }
}

struct Client {
    stream: TcpStream,
    bytes: BytesMut,
    url: String,
    cseq: u32,
}

impl Client {
    async fn ask(&mut self, method: &str, under: &str, headers: &str) -> String {
        self.cseq += 1;
        let text = format!("{method} {}{under} RTSP/1.0\r\nCSeq: {}\r\n{headers}\r\n", self.url, self.cseq);
        self.stream.write_all(text.as_bytes()).await.expect("sent");
        loop {
            if self.bytes.first() == Some(&b'$') {
                self.packet().await;
                continue;
            }
            let text = String::from_utf8_lossy(&self.bytes).into_owned();
            let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
            if let Some(end) = text.find("\r\n\r\n").map(|end| end + 4 + length.unwrap_or(0))
                && self.bytes.len() >= end
            {
                return String::from_utf8(self.bytes.split_to(end).to_vec()).expect("text");
            }
            self.more().await;
        }
    }

    async fn more(&mut self) {
        let read = self.stream.read_buf(&mut self.bytes).await.expect("read");
        assert!(read > 0, "the connection stays open");
    }

    /// The next interleaved packet.
    async fn packet(&mut self) -> (u8, Bytes) {
        loop {
            if let [first, channel, high, low, ..] = self.bytes[..] {
                assert_eq!(first, b'$', "whole frames, one behind the other");
                let len = 4 + usize::from(u16::from_be_bytes([high, low]));
                if self.bytes.len() >= len {
                    return (channel, self.bytes.split_to(len).freeze().slice(4..));
                }
            }
            self.more().await;
        }
    }

    /// Sets both streams up over TCP and plays.
    async fn play(&mut self, channels: [&str; 2]) -> String {
        for (track, channels) in channels.into_iter().enumerate() {
            let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n");
            let answer = self.ask("SETUP", &format!("/trackID={track}"), &transport).await;
            assert!(answer.starts_with("RTSP/1.0 200 "), "{answer}");
        }
        let answer = self.ask("PLAY", "", "Range: npt=0.000-\r\n").await;
        assert!(answer.starts_with("RTSP/1.0 200 ") && answer.contains("Range: npt=now-"), "{answer}");
        answer
    }
}

fn sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

fn field<T: std::str::FromStr>(answer: &str, name: &str) -> Option<T> {
    let rest = answer.split(name).nth(1)?;
    rest.split([';', ',', '\r']).next()?.parse().ok()
}

#[tokio::test]
async fn players_share_packets_whatever_their_channels() {
    let rig = Rig::start("127.0.0.1", 3000).await;
    let (mut plain, mut other) = (rig.client().await, rig.client().await);
    let described = plain.ask("DESCRIBE", "", "Accept: application/sdp\r\n").await;
    assert!(
        described.contains("a=control:trackID=1") && described.contains("/hall/live/\r\n"),
        "{described}"
    );
    let info = plain.play(["0-1", "2-3"]).await;
    other.play(["2-3", "0-1"]).await;
    let (first, timestamp): (u16, u32) =
        (field(&info, "seq=").expect("a number"), field(&info, "rtptime=").expect("a time"));
    let (mut seen, mut sound) = (Vec::new(), 0);
    let mut reports = Vec::new();
    while seen.len() < 40 {
        match plain.packet().await {
            (0, packet) => seen.push(packet),
            (2, _) => sound += 1,
            (channel, _) => reports.push((channel, seen.len(), sound)),
        }
    }
    assert!(matches!(reports[..2], [(1, 0, 0), (3, 0, 0)]), "before all packets: {reports:?}");
    let is_behind = |&(_, pictures, sound): &(u8, usize, usize)| pictures > 0 && sound > 0;
    assert!(
        reports.len() == 4 && reports[2..].iter().all(is_behind),
        "behind the first of each: {reports:?}"
    );
    assert_eq!(sequence(&seen[0]), first);
    assert_eq!(seen[0][4..8], timestamp.to_be_bytes(), "the first picture is at the time that was told");
    assert_eq!((seen[0][12], seen[1][12]), (0x67, 0x68), "parameter sets go before the first picture");
    for pair in seen.windows(2) {
        assert_eq!(sequence(&pair[1]), sequence(&pair[0]).wrapping_add(1));
    }
    // The other player gets the same bytes on other channels.
    let theirs = loop {
        let (channel, packet) = other.packet().await;
        if channel == 2 {
            break packet;
        }
    };
    let ours = seen.iter().find(|packet| sequence(packet) == sequence(&theirs));
    assert!(ours.is_none_or(|ours| *ours == theirs));
    let paused = plain.ask("PAUSE", "", "").await;
    assert!(paused.starts_with("RTSP/1.0 200 "), "{paused}");
    assert!(plain.ask("PLAY", "", "").await.contains("RTP-Info: "));
    assert!(plain.ask("TEARDOWN", "", "").await.starts_with("RTSP/1.0 200 "));
    let mut rest = Vec::new();
    plain.stream.read_to_end(&mut rest).await.expect("closed");
}

#[tokio::test]
async fn udp_goes_to_the_peer_alone_over_both_families() {
    for host in ["127.0.0.1", "::1"] {
        let rig = Rig::start(host, 3000).await;
        let mut client = rig.client().await;
        let (data, control) = (
            UdpSocket::bind((host, 0)).await.expect("a port"),
            UdpSocket::bind((host, 0)).await.expect("a port"),
        );
        let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
        // Another destination is ignored.
        let transport = format!(
            "Transport: RTP/AVP;unicast;client_port={}-{};destination=192.0.2.1\r\n",
            port(&data),
            port(&control)
        );
        let answer = client.ask("SETUP", "/trackID=0", &transport).await;
        assert!(answer.contains("server_port="), "{answer}");
        let info = client.ask("PLAY", "", "").await;
        let mut expected: u16 = field(&info, "seq=").expect("a number");
        let mut buffer = [0; 2000];
        let len = control.recv(&mut buffer).await.expect("a report");
        assert!(len >= 28 && buffer[1] == 200);
        for _ in 0..60 {
            let (len, from) = data.recv_from(&mut buffer).await.expect("a packet");
            assert_eq!(from.ip(), rig.address.ip());
            assert_eq!((sequence(&buffer), len <= 1412), (expected, true), "none is lost");
            expected = expected.wrapping_add(1);
        }
    }
}

#[tokio::test]
async fn who_reads_nothing_loses_whole_cells_and_disturbs_nobody() {
    // 4 MB a cell, 10 MB a second: no system buffers that for long.
    let rig = Rig::start("127.0.0.1", 700_000).await;
    let (mut slow, mut quick) = (rig.client().await, rig.client().await);
    slow.play(["0-1", "2-3"]).await;
    quick.play(["0-1", "2-3"]).await;
    let read = tokio::spawn(async move {
        let mut expected = None;
        for _ in 0..30_000 {
            let (channel, packet) = quick.packet().await;
            if channel == 0 {
                assert!(expected.is_none_or(|expected| expected == sequence(&packet)), "none is missing");
                expected = Some(sequence(&packet).wrapping_add(1));
            }
        }
    });
    read.await.expect("the quick one is not disturbed");
    // After every gap comes the beginning of a cell.
    let (mut expected, mut gaps) = (None, 0);
    while gaps == 0 {
        let (channel, packet) = slow.packet().await;
        if channel == 0 {
            if expected.is_some_and(|expected| expected != sequence(&packet)) {
                gaps += 1;
                assert_eq!(packet[12], 0x67, "a player comes in again with an IDR picture");
            }
            expected = Some(sequence(&packet).wrapping_add(1));
        }
    }
}

#[tokio::test]
async fn who_holds_a_session_for_ever_is_told_and_closed() {
    let rig = Rig::start("127.0.0.1", 300).await;
    let mut client = rig.client().await;
    client.play(["0-1", "2-3"]).await;
    let answer = client.ask("PAUSE", "", "").await;
    assert!(answer.starts_with("RTSP/1.0 200 "), "{answer}");
    rig.tasks.iter().for_each(JoinHandle::abort);
    tokio::time::pause();
    let mut closed = None;
    for minute in 1..40 {
        // Shorter than the time after which silence ends it.
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(30)).await;
            let asked = b"OPTIONS * RTSP/1.0\r\nCSeq: 99\r\n\r\n";
            if client.stream.write_all(asked).await.is_err() {
                closed.get_or_insert(minute);
            }
        }
        if closed.is_some() {
            break;
        }
    }
    assert!(closed.is_some_and(|minute| (30..33).contains(&minute)), "closed after {closed:?} minutes");
}

/// A door that lets nobody play the hall.
#[derive(Debug)]
struct NoHall;

impl Door for NoHall {
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        let AccessAction::Play(what) = caller.wish else {
            return Err(AccessDenied::Told("nobody publishes here"));
        };
        if matches!(what, Resolved::Channel { channel: "hall", .. }) {
            return Err(AccessDenied::Told("not for you"));
        }
        Ok(Admission::Open)
    }
}

#[tokio::test]
async fn a_name_is_asked_about_and_looked_up_in_one_spelling() {
    let rig = Rig::behind(Arc::new(NoHall), "127.0.0.1", 300).await;
    let mut client = rig.client().await;
    for (path, status) in [
        ("hall/live", 403),
        ("%68all/live", 403),
        ("h%61%6Cl/_definst_/mp4%3Alive", 403),
        ("%2568all/live", 404),
        ("vod/mp4:hall_a.mp4", 200),
        ("%76od/mp4:hall%5Fa", 200),
        ("vod/_definst_/hall_a.mp4", 200),
        ("vod/_definst_x", 404),
        ("vod", 404),
    ] {
        client.url = format!("rtsp://{}/{path}", rig.address);
        let answer = client.ask("DESCRIBE", "", "Accept: application/sdp\r\n").await;
        assert!(answer.starts_with(&format!("RTSP/1.0 {status} ")), "{path}: {answer}");
    }
}

#[tokio::test]
async fn strangers_and_mistakes_are_answered_or_cut() {
    let rig = Rig::start("127.0.0.1", 3000).await;
    let mut client = rig.client().await;
    for (method, under, status) in [
        ("PLAY", "", 455),
        ("DESCRIBE", "_144p", 404),
        ("DESCRIBE", "/more", 404),
        ("SETUP", "/trackID=2", 404),
        ("SETUP", "_x/trackID=0", 404),
        ("RECORD", "", 405),
    ] {
        let answer = client.ask(method, under, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n").await;
        assert!(answer.starts_with(&format!("RTSP/1.0 {status} ")), "{method} {under}: {answer}");
    }
    // SETUP before DESCRIBE is allowed.
    client.play(["0-1", "2-3"]).await;
    for garbage in [&b"\x80\x01\x02\x03 nothing\r\n\r\n"[..], b"OPTIONS * HTTP/9\r\n\r\n"] {
        let mut stranger = rig.client().await;
        stranger.stream.write_all(garbage).await.expect("sent");
        let mut rest = Vec::new();
        stranger.stream.read_to_end(&mut rest).await.expect("closed without a reset");
        assert!(rest.is_empty());
    }
    let mut endless = rig.client().await;
    let mut request = BytesMut::from(&b"OPTIONS * RTSP/1.0\r\n"[..]);
    request.put_slice(&b"X: y\r\n".repeat(4000));
    let sent = endless.stream.write_all(&request).await;
    let read = endless.stream.read(&mut [0; 100]).await;
    assert!(sent.is_err() || !matches!(read, Ok(1..)), "cut, without an answer");
}
