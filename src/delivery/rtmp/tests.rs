//! Connections over loopback, with `rml_rtmp`'s client.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rml_amf0::Amf0Value;
use rml_rtmp::chunk_io::ChunkSerializer;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::messages::{RtmpMessage, UserControlEventType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent as Said, ClientSessionResult, PublishRequestType,
};
use rml_rtmp::time::RtmpTimestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::delivery::{AccessDenied, AnswerKind, PublishedChannel};
use amphi_access::Admission;
use amphi_protocol::rtmp::{Frame, Guard};
use amphi_vod::{Mount, MountSettings};

/// A door that lets callers in that have the password, and records them.
#[derive(Debug, Default)]
struct Strict(Mutex<Vec<String>>);

impl Door for Strict {
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        self.0.lock().expect("one at a time").push(format!("{caller:?} {}", caller.query));
        if caller.query.contains("token=good") {
            Ok(Admission::Shown)
        } else {
            Err(AccessDenied::Told("the token is missing"))
        }
    }
}

/// Accepts every publisher, and can be taken over by the test.
#[derive(Default)]
struct Source(CancellationToken);

struct Taken(CancellationToken);

impl Publishing for Source {
    fn open(&self, _: &str) -> Result<Box<dyn PublishedStream>, &'static str> {
        Ok(Box::new(Taken(self.0.clone())))
    }
}

impl PublishedStream for Taken {
    fn frame(&mut self, _: Frame) {}

    fn taken_over(&self) -> CancellationToken {
        self.0.clone()
    }
}

struct Server {
    port: RtmpPort,
    door: Arc<Strict>,
    taken_over: CancellationToken,
}

impl Server {
    fn new() -> Self {
        let registry = Arc::new(Registry::default());
        let (door, source) = (Arc::new(Strict::default()), Source::default());
        let taken_over = source.0.clone();
        let (counts, publishing) = (Arc::default(), Arc::new(source));
        let port =
            RtmpPort { registry, counts, audience: Arc::default(), door: Arc::clone(&door) as _, publishing };
        let server = Self { port, door, taken_over };
        server.mount("vod", &Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"));
        server
    }

    /// Serves the recordings in that directory.
    fn mount(&self, name: &str, root: &Path) {
        let settings = MountSettings {
            root: root.to_owned(),
            segment_ms: 6000,
            download: true,
            poster: false,
            index: false,
            ..MountSettings::default()
        };
        self.port.registry.mount(name, Mount::new(settings));
    }

    async fn connect(&self, app: &str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listening");
        let (accepted, _) = listener.accept().await.expect("a client");
        let serving = tokio::spawn(self.port.clone().serve(accepted, CancellationToken::new()));
        Client::connect(stream, serving, app).await
    }
}

struct Client {
    stream: TcpStream,
    session: ClientSession,
    /// Commands that the library's client does not know.
    own: ChunkSerializer,
    heard: Vec<Said>,
    /// Reads past the library's client, which gives up at answers to commands that it does not know.
    guard: Guard,
    pictures: VecDeque<u32>,
    /// What has been said about a stream, in order: codes, and the end of the stream.
    statuses: VecDeque<String>,
    given_up: bool,
    serving: JoinHandle<()>,
}

impl Client {
    async fn connect(mut stream: TcpStream, serving: JoinHandle<()>, app: &str) -> Self {
        let mut handshake = Handshake::new(PeerType::Client);
        let hello = handshake.generate_outbound_p0_and_p1().expect("random numbers");
        stream.write_all(&hello).await.expect("written");
        let mut buffer = vec![0; 4096];
        let rest = loop {
            let read = stream.read(&mut buffer).await.expect("an answer");
            match handshake.process_bytes(&buffer[..read]).expect("a handshake") {
                HandshakeProcessResult::InProgress { response_bytes } => {
                    stream.write_all(&response_bytes).await.expect("written");
                }
                HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                    stream.write_all(&response_bytes).await.expect("written");
                    break remaining_bytes;
                }
            }
        };
        let (session, first) = ClientSession::new(ClientSessionConfig::new()).expect("a client");
        let own = ChunkSerializer::new();
        let mut guard = Guard::default();
        guard.let_media_in(true);
        let (heard, pictures, statuses, given_up) = (Vec::new(), VecDeque::new(), VecDeque::new(), false);
        let mut client = Self { stream, session, own, heard, guard, pictures, statuses, given_up, serving };
        client.send(first).await;
        client.take_in(&rest).await;
        let request = client.session.request_connection(app.to_owned()).expect("a request");
        client.send(vec![request]).await;
        client.until(|said| matches!(said, Said::ConnectionRequestAccepted)).await;
        client
    }

    async fn send(&mut self, results: Vec<ClientSessionResult>) {
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    self.stream.write_all(&packet.bytes).await.expect("written");
                }
                ClientSessionResult::RaisedEvent(event) => self.heard.push(event),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
    }

    /// A command of the server, or a control message.
    async fn say(&mut self, message: RtmpMessage, stream_id: u32) {
        let payload = message.into_message_payload(RtmpTimestamp::new(0), stream_id).expect("a message");
        let packet = self.own.serialize(&payload, true, false).expect("short");
        self.stream.write_all(&packet.bytes).await.expect("written");
    }

    async fn command(&mut self, name: &str, arguments: Vec<Amf0Value>) {
        let command = RtmpMessage::Amf0Command {
            command_name: name.to_owned(),
            transaction_id: 0.0,
            command_object: Amf0Value::Null,
            additional_arguments: arguments,
        };
        self.say(command, 1).await;
    }

    /// Reads once; `false` at the end of the connection.
    async fn read(&mut self) -> bool {
        let mut buffer = vec![0; 65_536];
        let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut buffer)).await;
        let read = read.expect("something comes").unwrap_or(0);
        self.take_in(&buffer[..read]).await;
        read > 0
    }

    async fn take_in(&mut self, mut bytes: &[u8]) {
        if !self.given_up {
            match self.session.handle_input(bytes) {
                Ok(results) => self.send(results).await,
                Err(_) => self.given_up = true,
            }
        }
        while let Some(message) = self.guard.next_message(&mut bytes).expect("we write what we read") {
            // Coded pictures, not their configuration.
            if matches!(&message.body, RtmpMessage::VideoData { data } if data.get(1) == Some(&1)) {
                self.pictures.push_back(message.timestamp_ms);
            }
            self.statuses.extend(status(&message.body));
        }
    }

    /// What is said about the stream next.
    async fn status(&mut self) -> String {
        loop {
            if let Some(status) = self.statuses.pop_front() {
                return status;
            }
            assert!(self.read().await, "the connection ended early");
        }
    }

    /// Reads until `wanted` comes; what came before it is dropped.
    async fn until(&mut self, wanted: impl Fn(&Said) -> bool) -> Said {
        loop {
            if let Some(at) = self.heard.iter().position(&wanted) {
                return self.heard.drain(..=at).next_back().expect("it was found");
            }
            assert!(self.read().await, "the connection ended early; heard {:?}", self.heard);
        }
    }

    async fn play(&mut self, stream: &str) {
        let request = self.session.request_playback(stream.to_owned()).expect("a request");
        self.send(vec![request]).await;
        self.until(|said| matches!(said, Said::PlaybackRequestAccepted)).await;
    }

    /// Reads to the end of the connection.
    async fn end(mut self) -> Vec<Said> {
        while self.read().await {}
        self.serving.await.expect("no panic");
        self.heard
    }

    /// The time of the next coded picture.
    async fn picture(&mut self) -> u32 {
        loop {
            if let Some(at) = self.pictures.pop_front() {
                return at;
            }
            assert!(self.read().await, "the connection ended early");
        }
    }
}

/// What a message says about a stream.
fn status(message: &RtmpMessage) -> Option<String> {
    let (name, told) = match message {
        RtmpMessage::UserControl { event_type: UserControlEventType::StreamEof, .. } => {
            return Some("StreamEOF".to_owned());
        }
        RtmpMessage::Amf0Command { command_name, additional_arguments, .. } => {
            (command_name.as_str(), additional_arguments.first()?)
        }
        RtmpMessage::Amf0Data { values } => match values.as_slice() {
            [Amf0Value::Utf8String(name), told, ..] => (name.as_str(), told),
            _ => return None,
        },
        _ => return None,
    };
    match (name, told) {
        ("onStatus" | "onPlayStatus", Amf0Value::Object(fields)) => {
            match (fields.get("code"), fields.get("duration")) {
                (Some(Amf0Value::Utf8String(code)), Some(Amf0Value::Number(seconds))) => {
                    Some(format!("{code} {seconds:.1}"))
                }
                (Some(Amf0Value::Utf8String(code)), _) => Some(code.clone()),
                _ => None,
            }
        }
        _ => None,
    }
}

fn number(value: f64) -> Amf0Value {
    Amf0Value::Number(value)
}

#[tokio::test]
async fn a_recording_is_played_paused_sought_and_ends() {
    let server = Server::new();
    let mut client = server.connect("vod?token=good").await;
    let buffer = RtmpMessage::UserControl {
        event_type: UserControlEventType::SetBufferLength,
        stream_id: Some(1),
        buffer_length: Some(2000),
        timestamp: None,
    };
    client.say(buffer, 0).await;
    client.play("mp4:hall_a.mp4").await;
    let metadata = client.until(|said| matches!(said, Said::StreamMetadataReceived { .. })).await;
    let Said::StreamMetadataReceived { metadata } = metadata else { unreachable!("asked for") };
    assert_eq!((metadata.video_width, metadata.video_height), (Some(1280), Some(720)));
    assert_eq!(client.picture().await, 0);
    // At once: the buffer that was asked for, and a step; not the whole recording.
    let mut last = 0;
    while last < 2300 {
        last = client.picture().await;
    }
    client.command("pause", vec![Amf0Value::Boolean(true), number(500.0)]).await;
    // From the last key picture, which is later than anything that a paused recording would have sent by itself.
    client.command("seek", vec![number(7300.0)]).await;
    client.command("pause", vec![Amf0Value::Boolean(false), number(7300.0)]).await;
    let mut at = client.picture().await;
    while at < 5000 {
        assert!(at <= 5000, "{at}");
        at = client.picture().await;
    }
    assert_eq!(at, 6000, "the sync sample before");
    assert_eq!(client.picture().await, 6067);
    client.command("seek", vec![number(19_900.0)]).await;
    while at != 18_000 {
        at = client.picture().await;
    }
    while at < 19_900 {
        at = client.picture().await;
    }
    assert_eq!(at, 19_933, "the last picture");
    // After the end a player may seek back.
    client.command("seek", vec![number(0.0)]).await;
    while at != 0 {
        at = client.picture().await;
    }
    client.command("closeStream", vec![]).await;
    client.end().await;
    assert!(server.port.counts.answers(AnswerKind::RtmpRecorded) > 3);
}

/// What is said at the end of a recording of so many seconds, after which nothing more comes.
async fn assert_ended(client: &mut Client, seconds: &str) {
    while client.status().await != format!("NetStream.Play.Complete {seconds}") {}
    assert_eq!([client.status().await, client.status().await], ["StreamEOF", "NetStream.Play.Stop"]);
}

#[tokio::test]
async fn the_end_of_a_recording_is_told_each_time() {
    let server = Server::new();
    let mut client = server.connect("vod?token=good").await;
    client.play("mp4:hall_a.mp4").await;
    client.statuses.clear();
    client.command("seek", vec![number(19_900.0)]).await;
    assert_ended(&mut client, "20.0").await;
    assert_eq!(client.pictures.back(), Some(&19_933));
    // A player that has been told may seek back, and is told again.
    client.command("seek", vec![number(18_500.0)]).await;
    while client.status().await != "NetStream.Seek.Notify" {}
    client.pictures.clear();
    assert_ended(&mut client, "20.0").await;
    assert_eq!((client.pictures.front(), client.pictures.back()), (Some(&18_000), Some(&19_933)));
    client.command("closeStream", vec![]).await;
    client.end().await;
}

#[tokio::test]
async fn a_recording_of_which_nothing_can_be_sent_ends_at_once() {
    let server = Server::new();
    // Every sample is said to have 5 MiB (`stsz`, ISO/IEC 14496-12 §8.7.3.2); the file is as long, and empty there.
    let folder = tempfile::tempdir().expect("a directory");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/small.mp4");
    let mut bytes = std::fs::read(fixture).expect("a fixture");
    let places: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, it)| it == b"stsz").map(|(at, _)| at).collect();
    for at in places {
        bytes[at + 8..at + 12].copy_from_slice(&(5_u32 << 20).to_be_bytes());
    }
    let path = folder.path().join("long.mp4");
    std::fs::write(&path, bytes).expect("written");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it is there");
    file.set_len(64 << 30).expect("a sparse file");
    server.mount("long", folder.path());

    let mut client = server.connect("long?token=good").await;
    client.play("mp4:long.mp4").await;
    while !client.status().await.starts_with("NetStream.Play.Complete") {}
    assert_eq!([client.status().await, client.status().await], ["StreamEOF", "NetStream.Play.Stop"]);
    assert!(client.pictures.is_empty());
}

#[tokio::test]
async fn who_holds_a_recording_for_ever_is_told_and_closed() {
    let server = Server::new();
    let mut client = server.connect("vod?token=good").await;
    client.play("mp4:hall_a.mp4").await;
    client.picture().await;
    client.command("pause", vec![Amf0Value::Boolean(true), number(500.0)]).await;
    // What was under way.
    while tokio::time::timeout(Duration::from_millis(300), client.read()).await.is_ok() {}
    tokio::time::pause();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(300)).await;
        client.command("pause", vec![Amf0Value::Boolean(true), number(500.0)]).await;
    }
    assert!(!client.serving.is_finished());
    tokio::time::sleep(Duration::from_secs(301)).await;
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).await.expect("closed");
    let is_there = |words: &[u8]| rest.windows(words.len()).any(|part| part == words);
    assert!(is_there(b"NetStream.Play.Failed") && is_there(b"held for too long"));
}

#[tokio::test]
async fn a_recording_begins_where_the_player_says() {
    let server = Server::new();
    let mut client = server.connect("vod?token=good").await;
    client.command("createStream", vec![]).await;
    client.command("play", vec![Amf0Value::Utf8String("hall_a".to_owned()), number(8500.0)]).await;
    assert_eq!(client.picture().await, 8000);
}

#[tokio::test]
async fn a_channel_that_is_being_started_is_awaited() {
    let server = Server::new();
    let channel = || PublishedChannel { streams: vec!["hall".to_owned()], window: None, air: None };
    server.port.registry.insert("hall", channel());
    let mut client = server.connect("hall?token=good").await;
    client.command("createStream", vec![]).await;
    client.command("play", vec![Amf0Value::Utf8String("hall".to_owned())]).await;
    while server.door.0.lock().expect("one at a time").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A request that changes and starts nothing does not end it.
    server.port.registry.insert("hall", channel());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!client.serving.is_finished(), "it is not refused at once");
    server.port.registry.remove("hall");
    let heard = client.end().await;
    assert!(!heard.iter().any(|said| matches!(said, Said::PlaybackRequestAccepted)), "{heard:?}");
}

#[tokio::test]
async fn every_wish_passes_the_door() {
    let server = Server::new();
    for (app, stream) in [("vod", "mp4:hall_a.mp4"), ("nothing", "here")] {
        let mut client = server.connect(app).await;
        let request = client.session.request_playback(stream.to_owned()).expect("a request");
        client.send(vec![request]).await;
        let heard = client.end().await;
        assert!(!heard.iter().any(|said| matches!(said, Said::PlaybackRequestAccepted)), "{heard:?}");
    }
    let mut client = server.connect("publish").await;
    let request = client.session.request_publishing("hall?key=chalk".to_owned(), PublishRequestType::Live);
    client.send(vec![request.expect("a request")]).await;
    let heard = client.end().await;
    assert!(!heard.iter().any(|said| matches!(said, Said::PublishRequestAccepted)), "{heard:?}");
    let came = server.door.0.lock().expect("nobody else").clone();
    let wishes: Vec<_> = came.iter().map(|who| who.split(" by ").next().unwrap_or_default()).collect();
    assert_eq!(
        wishes,
        ["Rtmp Play vod/mp4:hall_a.mp4", "Rtmp Play nothing/here", "Rtmp Publish publish/hall"]
    );
    assert!(came.iter().all(|who| who.contains("127.0.0.1")) && came[2].ends_with(" key=chalk"), "{came:?}");
}

#[tokio::test]
async fn whoever_is_taken_over_is_told_and_closed() {
    let server = Server::new();
    let mut client = server.connect("publish?token=good").await;
    let request = client.session.request_publishing("hall".to_owned(), PublishRequestType::Live);
    client.send(vec![request.expect("a request")]).await;
    client.until(|said| matches!(said, Said::PublishRequestAccepted)).await;
    server.taken_over.cancel();
    client.end().await;
}

#[tokio::test]
async fn a_publisher_may_begin_again_on_its_connection() {
    let server = Server::new();
    let mut client = server.connect("publish?token=good").await;
    let request = client.session.request_publishing("hall".to_owned(), PublishRequestType::Live);
    client.send(vec![request.expect("a request")]).await;
    client.until(|said| matches!(said, Said::PublishRequestAccepted)).await;
    let text = |text: &str| Amf0Value::Utf8String(text.to_owned());
    client.command("FCUnpublish", vec![text("hall")]).await;
    client.command("deleteStream", vec![number(1.0)]).await;
    client.command("publish", vec![text("hall"), text("live")]).await;
    while server.door.0.lock().expect("one at a time").len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.taken_over.cancel();
    client.end().await;
}

#[tokio::test]
async fn what_was_proved_when_connecting_serves_each_stream_of_that_source() {
    let server = Server::new();
    let app = "publish-auth?authmod=adobe&user=hall&response=x&token=good";
    let mut client = server.connect(app).await;
    let asked = || server.door.0.lock().expect("one at a time").len();
    assert_eq!(asked(), 1);
    let request = client.session.request_publishing("hall".to_owned(), PublishRequestType::Live);
    client.send(vec![request.expect("a request")]).await;
    client.until(|said| matches!(said, Said::PublishRequestAccepted)).await;
    assert_eq!(asked(), 1, "by then the proof may be too old");
    server.taken_over.cancel();
    client.end().await;
    let mut client = server.connect(app).await;
    let request = client.session.request_publishing("another".to_owned(), PublishRequestType::Live);
    client.send(vec![request.expect("a request")]).await;
    client.end().await;
    assert_eq!(asked(), 3, "another source has another key");
}

#[test]
fn the_segment_that_is_a_source_is_found() {
    let knows = |name: &str| name == "hall";
    assert_eq!(located("hall", knows), ("hall", None));
    assert_eq!(located("hall/chalk", knows), ("hall", Some("chalk")));
    assert_eq!(located("chalk/hall", knows), ("hall", Some("chalk")));
    assert_eq!(located("hall/a/b", knows), ("hall", Some("a/b")));
    assert_eq!(located("other/chalk", knows), ("other/chalk", None));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_sends_no_frame_is_closed() {
    let server = Server::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let _silent = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listening");
    let (accepted, _) = listener.accept().await.expect("a client");
    server.port.clone().serve(accepted, CancellationToken::new()).await;
}
