//! A server of one channel and one recording, and players who ask it over sockets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rml_amf0::Amf0Value;
use rml_rtmp::chunk_io::ChunkSerializer;
use rml_rtmp::messages::RtmpMessage;
use rml_rtmp::time::RtmpTimestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::delivery::{
    AccessAction, AccessDenied, AccessRequest, Air, AirTiming, Delivery, Door, PublishedChannel,
    PublishedStream, Publishing, Registry, Resolved, RtmpPort, RtspPort, air,
};
use crate::store::{PublishedRung, WindowWriter, published_window};
use amphi_access::{AccessControl, Admission, Credentials, Revocations, Subject, Visit};
use amphi_http::{Limits, Places, SlowPath, serve_fast_path};
use amphi_media::clock::{Clock, SystemClock};
use amphi_media::{
    AudioFormat, AudioTrack, CellIndex, Grid, ParameterSets, PictureSize, RungTracks, Segment, VideoTrack,
};
use amphi_protocol::rtmp::Guard;
use amphi_vod::{Mount, MountSettings};

const GRID: Grid = Grid::new(2000);
pub(super) const K: i64 = 897_500_000;
/// C0, C1 and C2, and what answers them.
const HANDSHAKE: usize = 1 + 1536 + 1536;
/// For the next piece of an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Remembers what it was asked about.
#[derive(Default)]
struct Recorder {
    heard: Mutex<Vec<String>>,
    is_closed: AtomicBool,
    /// Rules, if there are any.
    control: Mutex<Option<AccessControl>>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

impl Door for Recorder {
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        let AccessAction::Play(what) = caller.wish else {
            return Err(AccessDenied::Told("nobody publishes here"));
        };
        self.heard.lock().expect("one at a time").push(format!("{what:?}"));
        if let Some(control) = &*self.control.lock().expect("one at a time") {
            let Some(subject) = what.subject() else { return Ok(Admission::Open) };
            let visit = visit(caller, &subject);
            let revoked = Revocations::default();
            let admitted = match what {
                Resolved::Index(_) => control.admit_to_all(&visit, &revoked),
                _ => control.admit(&visit, &revoked),
            };
            return admitted.map_err(AccessDenied::Play);
        }
        if self.is_closed.load(Ordering::Relaxed) {
            Err(AccessDenied::Told("not for you"))
        } else {
            Ok(Admission::Open)
        }
    }
}

fn visit<'a>(caller: &AccessRequest<'a>, subject: &'a str) -> Visit<'a> {
    let shown = Credentials {
        scheme: "http",
        authority: "",
        path: caller.path,
        query: caller.query,
        authorization: None,
        cookie: None,
        address: [127, 0, 0, 1].into(),
    };
    Visit {
        subject: Subject(subject),
        scope: caller.scope,
        shown,
        grant: caller.grant,
        step: caller.step,
        lecture_ended: None,
        now: jiff::Timestamp::from_second(1_795_000_000).expect("a time"),
    }
}

struct NoSource;

impl Publishing for NoSource {
    fn open(&self, _: &str) -> Result<Box<dyn PublishedStream>, &'static str> {
        Err("there is none")
    }
}

fn tracks(name: &str, pps: u8, bitrate_bps: u32) -> RungTracks {
    RungTracks {
        name: name.to_owned(),
        video: Some(VideoTrack {
            size: PictureSize { width: 1280, height: 720 },
            fps: 15,
            bitrate_bps,
            parameter_sets: ParameterSets {
                sps: Bytes::from_static(&[0x67, 0x64, 0, 0x1f]),
                pps: vec![0x68, pps].into(),
            },
        }),
        video_index: Some(0),
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    }
}

/// A channel `hs-a` with the streams `vl1` and `other_one` and two rungs, and a mount `vod` with one recording in it.
pub(super) struct Server {
    door: Arc<Recorder>,
    pub(super) delivery: Delivery,
    rtsp: RtspPort,
    rtmp: RtmpPort,
    _kept: (TempDir, WindowWriter, Air),
}

impl Server {
    pub(super) fn new(recording: &str) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let file = root.path().join(recording);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/flash_beep.mp4");
        std::fs::copy(fixture, &file).expect("a fixture");

        let door = Arc::new(Recorder::default());
        let delivery = Delivery::default().behind(Arc::clone(&door) as _);
        let registry = Arc::clone(delivery.registry());
        let settings = MountSettings {
            root: root.path().to_owned(),
            segment_ms: 6000,
            download: true,
            poster: false,
            index: false,
            ..MountSettings::default()
        };
        registry.mount("vod", Mount::new(settings));

        let rungs = [tracks("720p", 1, 750_000), tracks("480p", 2, 400_000)];
        let published =
            rungs.iter().map(|it| PublishedRung::new(it.clone(), it.name.clone().into())).collect();
        let (mut writer, window) = published_window(GRID, 3, published);
        let segment = Segment { head: vec![1; 10].into(), video: Some(vec![2; 20].into()), audio: None };
        writer.push(CellIndex(K), vec![segment; 2]).expect("the first");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let timing = AirTiming { grid: GRID, deadline: Duration::from_millis(100) };
        let (on_air, reader) = air(rungs.into(), clock.now(), timing);
        let streams = vec!["vl1".to_owned(), "other_one".to_owned()];
        registry.insert("hs-a", PublishedChannel { streams, window: Some(window), air: Some(reader) });
        Self {
            rtsp: rtsp(&registry, &door, clock),
            rtmp: rtmp(&registry, &door),
            delivery,
            door,
            _kept: (root, writer, on_air),
        }
    }

    /// Lets in everybody, or nobody.
    pub(super) fn close(&self, is_closed: bool) {
        self.door.is_closed.store(is_closed, Ordering::Relaxed);
    }

    /// Lets in by these rules from now on.
    pub(super) fn rule(&self, control: AccessControl) {
        *self.door.control.lock().expect("nobody else") = Some(control);
    }

    /// Takes what the door heard.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.door.heard.lock().expect("nobody else"))
    }

    /// Status and content of what a request over HTTP is answered with.
    pub(super) async fn send(&self, request: &str) -> (u16, String) {
        let delivery = self.delivery.clone();
        let serve = |stream| {
            serve_fast_path(
                stream,
                delivery,
                Limits::default(),
                SlowPath::default(),
                CancellationToken::new(),
            )
        };
        let mut stream = connected(serve).await;
        asked(&mut stream, request).await
    }

    /// Status and content of a file.
    pub(super) async fn http(&self, path: &str, fields: &str) -> (u16, String) {
        self.send(&format!("GET /{path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await
    }

    /// Status and description.
    pub(super) async fn rtsp(&self, path: &str) -> (u16, String) {
        let port = self.rtsp.clone();
        let mut stream = connected(|stream| port.serve(stream, CancellationToken::new())).await;
        asked(&mut stream, &format!("DESCRIBE rtsp://h/{path} RTSP/1.0\r\nCSeq: 1\r\n\r\n")).await
    }

    /// Whether it is played.
    pub(super) async fn rtmp(&self, app: &str, stream: &str) -> bool {
        let port = self.rtmp.clone();
        let mut socket = connected(|socket| port.serve(socket, CancellationToken::new())).await;
        socket.write_all(&rtmp_script(app, stream)).await.expect("sent");
        let (mut guard, mut buffer, mut greeting) = (Guard::default(), vec![0; 65_536], HANDSHAKE);
        guard.let_media_in(true);
        let mut said = Vec::new();
        loop {
            let read = timeout(PATIENCE, socket.read(&mut buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("{app} and {stream}: {said:?}")).unwrap_or(0);
            if read == 0 {
                return false;
            }
            let mut rest = &buffer[greeting.min(read)..read];
            greeting -= greeting.min(read);
            while let Some(message) = guard.next_message(&mut rest).expect("we write what we read") {
                let RtmpMessage::Amf0Command { additional_arguments, .. } = message.body else { continue };
                let Some(Amf0Value::Object(status)) = additional_arguments.first() else { continue };
                let code = status.get("code").cloned();
                if code == Some(Amf0Value::Utf8String("NetStream.Play.Start".to_owned())) {
                    return true;
                }
                said.push(code);
            }
        }
    }

    /// What the door heard and whether it was played, by each way: `spelled` is a path with all escapes that HTTP needs.
    pub(super) async fn all_ways(&self, spelled: &str) -> Vec<(String, Vec<String>, bool)> {
        let mut ways = Vec::new();
        for (way, fields) in [("HTTP, by the lane", ""), ("HTTP", "Range: bytes=0-\r\n")] {
            let (status, _) = self.http(&format!("{spelled}/playlist.m3u8"), fields).await;
            ways.push((way.to_owned(), self.heard(), matches!(status, 200 | 206)));
        }
        let (status, _) = self.rtsp(spelled).await;
        ways.push(("RTSP".to_owned(), self.heard(), status == 200));
        for (at, _) in spelled.match_indices('/') {
            let (app, stream) = (&spelled[..at], &spelled[at + 1..]);
            // A slash where the client has cut is the cut's.
            if !app.ends_with('/') && !stream.starts_with('/') {
                let is_played = self.rtmp(app, stream).await;
                ways.push((format!("RTMP, {app:?} and {stream:?}"), self.heard(), is_played));
            }
        }
        let is_played = self.rtmp(spelled, "").await;
        ways.push(("RTMP, all of it the application".to_owned(), self.heard(), is_played));
        ways
    }
}

fn rtsp(registry: &Arc<Registry>, door: &Arc<Recorder>, clock: Arc<dyn Clock>) -> RtspPort {
    RtspPort {
        registry: Arc::clone(registry),
        counts: Arc::default(),
        audience: Arc::default(),
        door: Arc::clone(door) as _,
        places: Places::new(100, 0),
        clock,
    }
}

fn rtmp(registry: &Arc<Registry>, door: &Arc<Recorder>) -> RtmpPort {
    RtmpPort {
        registry: Arc::clone(registry),
        counts: Arc::default(),
        audience: Arc::default(),
        door: Arc::clone(door) as _,
        publishing: Arc::new(NoSource),
    }
}

/// A client of what `serve` serves.
async fn connected<F: Future<Output = ()> + Send + 'static>(serve: impl FnOnce(TcpStream) -> F) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listening");
    let (accepted, _) = listener.accept().await.expect("a client");
    tokio::spawn(serve(accepted));
    client
}

/// The status of an answer, and its content; 0 where the connection ends without one.
async fn asked(stream: &mut TcpStream, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut read = BytesMut::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            });
            if request.starts_with("HEAD") || body.len() >= length.unwrap_or(0) {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
                return (status.unwrap_or(0), body.to_owned());
            }
        }
        let more = timeout(PATIENCE, stream.read_buf(&mut read)).await;
        if more.unwrap_or_else(|_| panic!("{request} is not answered: {text}")).unwrap_or(0) == 0 {
            return (0, String::new());
        }
    }
}

/// All that a player sends who does not wait for answers.
fn rtmp_script(app: &str, stream: &str) -> Vec<u8> {
    let text = |text: &str| Amf0Value::Utf8String(text.to_owned());
    let connect = HashMap::from([("app".to_owned(), text(app))]);
    let mut script = vec![7; HANDSHAKE];
    script[0] = 3;
    let mut serializer = ChunkSerializer::new();
    for (at, (name, object, arguments)) in [
        ("connect", Amf0Value::Object(connect), vec![]),
        ("createStream", Amf0Value::Null, vec![]),
        ("play", Amf0Value::Null, vec![text(stream)]),
    ]
    .into_iter()
    .enumerate()
    {
        let command = RtmpMessage::Amf0Command {
            command_name: name.to_owned(),
            transaction_id: at as f64 + 1.0,
            command_object: object,
            additional_arguments: arguments,
        };
        let payload = command.into_message_payload(RtmpTimestamp::new(0), at as u32 / 2).expect("a message");
        // Forced to whole headers it writes them inside long messages, too.
        script.extend(serializer.serialize(&payload, false, false).expect("short").bytes);
    }
    script
}
