//! Whole sources against tiny encoders made of a raw socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{SourceGauges, SourceTask};
use amphi_config::{Secret, Source};
use amphi_control::matrix::{SourceState, SourceStatus};
use amphi_media::clock::{Clocks, ManualClock};
use amphi_media::feed::{FeedItem, FeedReader, FeedWriter};
use amphi_media::{MediaTime, Track, TrackFormat, h264};

const SDP: &str = "v=0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z2QADKyyAoM/PgIgAAADACAAAAMDweKFSQ==,aOvDyyLA\r\n\
    a=control:v\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\n\
    a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1190;sizelength=13;indexlength=3;indexdeltalength=3\r\n\
    a=control:a\r\nm=audio 0 RTP/AVP 98\r\na=rtpmap:98 MP4A-LATM/48000/2\r\na=control:l\r\n";

/// How a tiny encoder behaves after PLAY.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Sends both tracks for ever, and answers nothing more.
    Deaf,
    /// Sends both tracks for so many pictures, then nothing; the socket stays open.
    Freezes(u32),
    /// Stops the picture after so many; sound goes on.
    LosesPicture(u32),
    /// Closes after so many pictures.
    Closes(u32),
}

struct Peer {
    socket: TcpStream,
    bytes: Vec<u8>,
}

impl Peer {
    /// The next whole request; `None` at the end.
    async fn request(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.bytes.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            let mut more = [0; 2048];
            let read = self.socket.read(&mut more).await.ok().filter(|read| *read > 0)?;
            self.bytes.extend_from_slice(&more[..read]);
        }
    }

    async fn answer(&mut self, request: &str, status: &str, headers: &str, body: &str) {
        let cseq = request.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap();
        let length = body.len();
        let answer =
            format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        self.socket.write_all(answer.as_bytes()).await.unwrap();
    }

    /// Answers up to PLAY; `timeout` is the session's.
    async fn until_play(&mut self, timeout: u32, sdp: &str) {
        let mut channel = 0;
        while let Some(request) = self.request().await {
            let session = format!("Session: 1;timeout={timeout}\r\n");
            match request.split(' ').next() {
                Some("DESCRIBE") => {
                    self.answer(&request, "200 OK", "Content-Type: application/sdp\r\n", sdp).await;
                }
                Some("SETUP") => {
                    let transport = format!(
                        "{session}Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{}\r\n",
                        channel + 1
                    );
                    channel += 2;
                    self.answer(&request, "200 OK", &transport, "").await;
                }
                _ => return self.answer(&request, "200 OK", &session, "").await,
            }
        }
    }

    /// Sends an RTP packet, interleaved (RFC 2326 §10.12). Fails when the other side is gone.
    async fn rtp(&mut self, channel: u8, n: u32, ticks: u32, payload: &[u8]) -> std::io::Result<()> {
        let mut packet = vec![b'$', channel];
        packet.extend_from_slice(&(12 + payload.len() as u16).to_be_bytes());
        packet.extend_from_slice(&[0x80, 0x80 | (96 + channel / 2)]);
        packet.extend_from_slice(&(n as u16).to_be_bytes());
        packet.extend_from_slice(&(n * ticks).to_be_bytes());
        packet.extend_from_slice(&u32::from(channel).to_be_bytes());
        packet.extend_from_slice(payload);
        self.socket.write_all(&packet).await
    }

    async fn media(&mut self, manner: Manner) -> std::io::Result<()> {
        for n in 0.. {
            let (picture, sound) = match manner {
                Manner::Freezes(count) => (n < count, n < count),
                Manner::LosesPicture(count) => (n < count, true),
                Manner::Closes(count) if n == count => return Ok(()),
                Manner::Deaf | Manner::Closes(_) => (true, true),
            };
            if picture {
                let kind = if n % 15 == 0 { 0x65 } else { 0x41 };
                self.rtp(0, n, 6000, &[kind, 0x88, 1, 2, 3]).await?;
            }
            if sound {
                // One access unit of four bytes (RFC 3640 §3.3.6).
                self.rtp(2, n, 3200, &[0, 16, 0, 4 << 3, 0x21, 0x10, 0x04, 0x60]).await?;
            }
            tokio::time::sleep(Duration::from_micros(66_667)).await;
        }
        Ok(())
    }
}

/// An encoder at a port of its own that serves every connection in `manner`.
async fn encoder(manner: Manner) -> String {
    serve(move |mut peer| async move {
        peer.until_play(1, SDP).await;
        let _ = peer.media(manner).await;
    })
    .await
}

async fn serve<F: Future<Output = ()> + Send>(script: impl Fn(Peer) -> F + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            script(Peer { socket, bytes: Vec::new() }).await;
        }
    });
    address.to_string()
}

struct Rig {
    reader: FeedReader,
    status: watch::Receiver<SourceStatus>,
    wanted: watch::Sender<bool>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Rig {
    fn pull(url: &str) -> Self {
        Self::start(Self::source(url), true)
    }

    fn source(url: &str) -> Source {
        Source { name: "hall".to_owned(), url: Secret::new(url), ..Source::default() }
    }

    fn start(source: Source, wanted: bool) -> Self {
        Self::start_by(source, wanted, Clocks::system())
    }

    fn start_by(source: Source, wanted: bool, clocks: Clocks) -> Self {
        let (status_sender, status) = watch::channel(SourceStatus::idle(clocks.wall.now()));
        let (wanted, wanted_receiver) = watch::channel(wanted);
        let (feed, shutdown) = (FeedWriter::default(), CancellationToken::new());
        let reader = feed.subscribe();
        let task = SourceTask {
            source,
            lattice_fps: 15,
            wanted: wanted_receiver,
            feed,
            status: status_sender,
            gauges: Arc::new(SourceGauges::default()),
            clocks,
            shutdown: shutdown.clone(),
        };
        Self { reader, status, wanted, shutdown, task: tokio::spawn(task.run()) }
    }

    /// The same for a source that is kept open.
    fn keep_open(url: &str) -> Self {
        Self::start(Source { keep_open: true, ..Self::source(url) }, false)
    }

    /// Waits until the source is in `state`; panics if that takes too long.
    async fn reaches(&mut self, state: SourceState) -> SourceStatus {
        let reached = self.status.wait_for(|status| status.state == state);
        let status = tokio::time::timeout(Duration::from_secs(15), reached).await;
        status.unwrap_or_else(|_| panic!("{state:?} is not reached")).unwrap().clone()
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn frames_come_and_the_unanswered_keepalive_does_not_end_them() {
    // The session's timeout of 1 s makes the library send a keepalive each half second.
    let address = encoder(Manner::Deaf).await;
    let mut rig = Rig::pull(&format!("rtsp://{address}/extron1"));
    let status = rig.reaches(SourceState::Live).await;
    let media = status.media.unwrap();
    assert_eq!(
        (media.video_codec.as_deref(), media.width, media.height),
        (Some("avc1.64000C"), Some(320), Some(180))
    );
    assert_eq!(
        (media.audio_codec.as_deref(), media.sample_rate, media.channels),
        (Some("mp4a.40.2"), Some(48_000), Some(2))
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.status.borrow().state, SourceState::Live);
    assert_eq!(rig.status.borrow().connects, 1);
    let (mut pictures, mut sounds, mut last) = (0, 0, None);
    while let FeedItem::Frame(frame) = rig.reader.poll() {
        match frame.track() {
            Track::Audio => sounds += 1,
            Track::Video => {
                assert!(pictures > 0 || frame.sync, "the first picture is an IDR picture");
                assert!(last < Some(frame.pts));
                let TrackFormat::H264(sets) = &*frame.format else { panic!("not H.264") };
                assert_eq!(h264::nal_type(&sets.sps), h264::NAL_SPS);
                assert_eq!(h264::sample_nals(&frame.data).count(), 1);
                last = Some(frame.pts);
                pictures += 1;
            }
        }
    }
    assert!(pictures > 30 && sounds > 30, "{pictures} pictures, {sounds} sounds");
    rig.end().await;
}

#[tokio::test]
async fn a_frozen_peer_is_noticed_and_tried_again() {
    let address = encoder(Manner::Freezes(12)).await;
    let mut rig = Rig::pull(&format!("rtsp://{address}/extron1"));
    rig.reaches(SourceState::Live).await;
    let status = rig.reaches(SourceState::Stalled).await;
    assert_eq!(status.reason, "nothing came for 4 s on the open connection");
    rig.end().await;
}

#[tokio::test]
async fn a_frozen_picture_is_noticed_while_sound_goes_on() {
    let address = encoder(Manner::LosesPicture(12)).await;
    let mut rig = Rig::pull(&format!("rtsp://{address}/extron1"));
    rig.reaches(SourceState::Live).await;
    let status = rig.reaches(SourceState::Stalled).await;
    assert_eq!(status.reason, "no picture came for 4 s, while sound went on");
    rig.end().await;
}

#[tokio::test]
async fn a_closed_connection_is_made_again() {
    let address = encoder(Manner::Closes(12)).await;
    let mut rig = Rig::pull(&format!("rtsp://{address}/extron1"));
    rig.reaches(SourceState::Live).await;
    let status = rig.reaches(SourceState::BackingOff).await;
    assert_eq!(status.reason, "the encoder closed the connection");
    let status = rig.reaches(SourceState::Live).await;
    assert_eq!(status.connects, 2);
    rig.end().await;
}

#[tokio::test]
async fn after_a_leap_of_the_clock_a_source_becomes_live_again() {
    let begin = Arc::new(AtomicBool::new(true));
    let wish = Arc::clone(&begin);
    let address = serve(move |mut peer| {
        let wish = Arc::clone(&wish);
        async move {
            peer.until_play(60, SDP).await;
            for n in 0.. {
                // An IDR picture, or one of P slices.
                let picture = if wish.swap(false, Ordering::SeqCst) { [0x65, 0x88] } else { [0x41, 0x9a] };
                if peer.rtp(0, n, 1800, &[picture[0], picture[1], 2, 3]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    })
    .await;
    let clock = Arc::new(ManualClock::at(MediaTime::from_millis(1_795_000_000_000)));
    let clocks = Clocks { media: Arc::clone(&clock) as _, ..Clocks::system() };
    let mut rig = Rig::start_by(Rig::source(&format!("rtsp://{address}/extron1")), true, clocks);
    rig.reaches(SourceState::Live).await;
    // A leap, and then so long without a picture to begin with that it is reported. Each step is noticed with a picture.
    for seconds in [10, 4, 4] {
        clock.advance(Duration::from_secs(seconds));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    rig.reaches(SourceState::Connecting).await;
    begin.store(true, Ordering::SeqCst);
    rig.reaches(SourceState::Live).await;
    rig.end().await;
}

#[tokio::test]
async fn an_unwanted_source_is_left_alone() {
    let address = encoder(Manner::Deaf).await;
    let mut rig = Rig::pull(&format!("rtsp://{address}/extron1"));
    rig.reaches(SourceState::Live).await;
    rig.wanted.send(false).unwrap();
    rig.reaches(SourceState::Idle).await;
    rig.end().await;
}

#[tokio::test]
async fn refused_credentials_are_not_tried_again_soon_nor_told() {
    let address = serve(|mut peer| async move {
        while let Some(request) = peer.request().await {
            let digest = "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n";
            peer.answer(&request, "401 Unauthorized", digest, "").await;
        }
    })
    .await;
    for (userinfo, reason) in [
        (
            "ad%20min:hunter2@",
            "the encoder does not accept the user name and the password, or forbids access (401)",
        ),
        ("", "the encoder wants a user name and a password (401), and the URL has none"),
    ] {
        let mut rig = Rig::pull(&format!("rtsp://{userinfo}{address}/extron1"));
        assert_eq!(rig.reaches(SourceState::Refused).await.reason, reason);
        rig.end().await;
    }
}

#[tokio::test]
async fn a_web_server_is_told_from_an_encoder() {
    let address = serve(|mut peer| async move {
        peer.request().await;
        let _ = peer.socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let mut rig = Rig::pull(&format!("rtsp://{address}/extron1"));
    let status = rig.reaches(SourceState::BackingOff).await;
    assert_eq!(status.reason, "an HTTP server answers at this address, not an RTSP server");
    rig.end().await;
}

#[tokio::test]
async fn other_video_is_refused_by_name() {
    let address = serve(|mut peer| async move {
        peer.until_play(60, &SDP.replace("H264/", "H265/").replace("packetization-mode=1;", "")).await;
    })
    .await;
    let mut rig = Rig::pull(&format!("rtsp://{address}/extron1"));
    let status = rig.reaches(SourceState::BackingOff).await;
    assert_eq!(status.reason, "the source sends H.265 video; H.264 is needed");
    rig.end().await;
}

#[tokio::test]
async fn a_source_without_a_picture_is_refused_by_name() {
    let address = serve(|mut peer| async move {
        let picture = SDP.find("m=video").unwrap()..SDP.find("m=audio").unwrap();
        peer.until_play(60, &SDP.replace(&SDP[picture], "")).await;
    })
    .await;
    let mut rig = Rig::pull(&format!("rtsp://{address}/extron1"));
    let status = rig.reaches(SourceState::BackingOff).await;
    assert_eq!(status.reason, "the source sends no video");
    rig.end().await;
}

#[tokio::test]
async fn basic_credentials_are_shown_when_they_are_asked_for() {
    let address = serve(|mut peer| async move {
        // "ad min:p@ss" (RFC 7617 §2).
        let shown = "Authorization: Basic YWQgbWluOnBAc3M=";
        while let Some(request) = peer.request().await {
            if request.contains(shown) {
                peer.answer(&request, "404 Not Found", "", "").await;
            } else {
                peer.answer(&request, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "")
                    .await;
            }
        }
    })
    .await;
    let mut rig = Rig::pull(&format!("rtsp://ad%20min:p%40ss@{address}/extron1"));
    let reason = rig.reaches(SourceState::BackingOff).await.reason;
    assert_eq!(
        reason, "the encoder answered 404 (Not Found) to DESCRIBE: there is no stream under this path",
        "it was let in"
    );
    rig.end().await;
}

#[tokio::test]
async fn a_source_that_is_kept_open_needs_nobody_and_ends_with_teardown() {
    let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let address = serve(move |mut peer| {
        let told = told.clone();
        async move {
            peer.until_play(60, SDP).await;
            for n in 0..5 {
                let _ = peer.rtp(0, n, 6000, &[if n == 0 { 0x65 } else { 0x41 }, 0x88, 1, 2, 3]).await;
                let _ = peer.rtp(2, n, 3200, &[0, 16, 0, 4 << 3, 0x21, 0x10, 0x04, 0x60]).await;
            }
            while let Some(request) = peer.request().await {
                let _ = told.send(request.split(' ').next().unwrap_or_default().to_owned());
            }
        }
    })
    .await;
    let mut rig = Rig::keep_open(&format!("rtsp://{address}/extron1"));
    rig.reaches(SourceState::Live).await;
    rig.end().await;
    let mut methods = Vec::new();
    while let Ok(Some(method)) = tokio::time::timeout(Duration::from_secs(5), asked.recv()).await {
        methods.push(method);
        if methods.last().is_some_and(|last| last == "TEARDOWN") {
            return;
        }
    }
    panic!("no TEARDOWN, which nobody answers: {methods:?}");
}

#[tokio::test]
async fn nobody_at_home_and_wrong_paths_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut rig = Rig::pull(&format!("rtsp://u:hunter2@{address}/extron1"));
    let reason = rig.reaches(SourceState::BackingOff).await.reason;
    assert!(reason.starts_with("no connection: ") && !reason.contains("hunter2"), "{reason}");
    rig.end().await;

    let address = serve(|mut peer| async move {
        while let Some(request) = peer.request().await {
            peer.answer(&request, "404 Not Found", "", "").await;
        }
    })
    .await;
    let mut rig = Rig::pull(&format!("rtsp://{address}/nothing"));
    let reason = rig.reaches(SourceState::BackingOff).await.reason;
    assert_eq!(
        reason,
        "the encoder answered 404 (Not Found) to DESCRIBE: there is no stream under this path"
    );
    rig.end().await;
}

#[tokio::test]
async fn a_publishing_source_and_a_bad_url_stay_idle() {
    for (url, reason) in [
        ("", "waits for a publisher"),
        ("http://x/", "the URL cannot be used: it must begin with rtsp:// or rtsps://"),
    ] {
        let mut rig = Rig::pull(url);
        let waiting = rig.status.wait_for(|status| status.reason == reason);
        let status = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap().clone();
        assert_eq!(status.state, SourceState::Idle);
        rig.end().await;
    }
}
