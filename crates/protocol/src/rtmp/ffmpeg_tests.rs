//! RTMP from end to end with ffmpeg on both sides: what ffmpeg publishes is what ffmpeg plays.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{Frame, Metadata, RtmpEvent, RtmpSession, Unpacker, audio, opening, video};
use amphi_media::{
    AudioFormat, AudioTrack, ParameterSets, PictureSize, RungTracks, Track, TrackFormat, VideoTrack,
};

const HALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/hall_a.mp4");
/// Far more time than any step of these tests needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that a publisher sent.
#[derive(Default)]
struct Recording {
    metadata: Metadata,
    frames: Vec<Frame>,
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("it is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Size and MD5 of every coded frame of a track, from ffmpeg's framemd5.
fn digests(input: &str, stream: &str) -> Vec<String> {
    let text =
        run("ffmpeg", &["-v", "error", "-i", input, "-map", stream, "-c", "copy", "-f", "framemd5", "-"]);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(',').skip(4).take(2).map(str::trim).collect::<Vec<_>>().join(" ")).collect()
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

/// Reads a connection to its end, or until `each` returns false; accepts every request.
fn serve(mut socket: TcpStream, mut each: impl FnMut(RtmpEvent, &mut RtmpSession, &mut TcpStream) -> bool) {
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut session = RtmpSession::default();
    let mut buffer = [0; 16_384];
    loop {
        let count = socket.read(&mut buffer).expect("bytes in time");
        if count == 0 {
            return;
        }
        let mut input = &buffer[..count];
        loop {
            let event = session.handle(&mut input).expect("ffmpeg speaks RTMP");
            if event.is_some() {
                session.accept();
            }
            socket.write_all(&session.take_output()).expect("the peer reads");
            let Some(event) = event else { break };
            if !each(event, &mut session, &mut socket) {
                return;
            }
        }
    }
}

/// Records the stream of one publisher to its end.
fn record(listener: &TcpListener) -> Recording {
    let (socket, _) = listener.accept().expect("a publisher");
    let (mut recording, mut unpacker) = (Recording::default(), Unpacker::default());
    serve(socket, |event, _, _| {
        let frame = match event {
            RtmpEvent::Video { timestamp_ms, data } => unpacker.video(timestamp_ms, data),
            RtmpEvent::Audio { timestamp_ms, data } => unpacker.audio(timestamp_ms, data),
            RtmpEvent::Metadata(metadata) => {
                recording.metadata = metadata;
                Ok(None)
            }
            _ => Ok(None),
        };
        recording.frames.extend(frame.expect("H.264 and AAC"));
        true
    });
    recording
}

impl Recording {
    fn of_hall(publish: impl FnOnce(&str) + Send + 'static) -> Self {
        let (listener, port) = listen();
        let publisher =
            thread::spawn(move || publish(&format!("rtmp://127.0.0.1:{port}/publish/hall?key=secret")));
        let recording = record(&listener);
        publisher.join().expect("it has published");
        recording
    }

    fn tracks(&self) -> RungTracks {
        let mut sets = None;
        let mut format = AudioFormat { sample_rate: 0, channels: 0 };
        for frame in &self.frames {
            match &*frame.format {
                TrackFormat::H264(found) => sets = Some(ParameterSets::clone(found)),
                TrackFormat::Aac(config) => format = config.format(),
                other => panic!("{other:?}"),
            }
        }
        let size = self.metadata.size.unwrap_or(PictureSize { width: 1280, height: 720 });
        RungTracks {
            name: "720p".to_owned(),
            video: sets.map(|parameter_sets| VideoTrack {
                size,
                fps: 15,
                bitrate_bps: 750_000,
                parameter_sets,
            }),
            video_index: Some(0),
            audio: AudioTrack { format, bitrate_bps: 96_000 },
        }
    }

    fn count(&self, track: Track) -> usize {
        self.frames.iter().filter(|frame| frame.format.track() == track).count()
    }

    /// Every frame as a shared message, with its time moved by `base_ms`.
    fn messages(&self, base_ms: u32) -> Vec<bytes::Bytes> {
        let message = |frame: &Frame| {
            let at = base_ms.wrapping_add(frame.dts_ms as u32);
            match frame.format.track() {
                Track::Video => video(at, frame.sync, &frame.data),
                Track::Audio => audio(at, &frame.data),
            }
        };
        self.frames.iter().map(|frame| message(frame).expect("short")).collect()
    }

    /// Serves one player: the opening, every message, the end.
    fn play_to(self: Arc<Self>, listener: TcpListener, base_ms: u32) -> thread::JoinHandle<()> {
        thread::spawn(move || {
            let (socket, _) = listener.accept().expect("a player");
            serve(socket, |event, session, socket| {
                if !matches!(event, RtmpEvent::Play { .. }) {
                    return !matches!(event, RtmpEvent::Close);
                }
                socket.write_all(&opening(&self.tracks(), base_ms)).expect("the player reads");
                for message in self.messages(base_ms) {
                    socket.write_all(&message).expect("the player reads");
                }
                session.finish();
                true
            });
        })
    }
}

fn publish_with_ffmpeg(url: &str) {
    run("ffmpeg", &["-v", "error", "-i", HALL, "-c", "copy", "-f", "flv", url]);
}

/// Checks that every picture and every access unit of sound has arrived.
fn assert_whole(recording: &Recording) {
    assert_eq!(recording.count(Track::Video), digests(HALL, "0:v").len());
    assert_eq!(recording.count(Track::Audio), digests(HALL, "0:a").len());
    assert_eq!(recording.metadata.size, Some(PictureSize { width: 1280, height: 720 }));
}

#[test]
#[ignore = "needs ffmpeg"]
fn ffmpeg_plays_what_ffmpeg_published() {
    let recording = Arc::new(Recording::of_hall(publish_with_ffmpeg));
    assert_whole(&recording);
    // Timestamps in the plain field, and in the extended one.
    for base_ms in [0, 20_000_000] {
        for stream in ["0:v", "0:a"] {
            let (listener, port) = listen();
            let server = Arc::clone(&recording).play_to(listener, base_ms);
            let played = digests(&format!("rtmp://127.0.0.1:{port}/live/_definst_/mp4:hall_720p"), stream);
            server.join().expect("served");
            assert_eq!(played, digests(HALL, stream), "{stream} from {base_ms} ms");
        }
    }
}
