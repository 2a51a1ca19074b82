//! A publisher: connect, publish, then whatever it sends, through the unpacker into a source's intake. The first byte tells how
//! the bytes are cut, and whether well-formed messages are made from the rest, so that most of them reach the intake.

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use amphi_config::SecondPublisher;
use amphi_control::matrix::SourceStatus;
use amphi_media::clock::{Clocks, ManualClock};
use amphi_media::feed::FeedWriter;
use amphi_media::{MediaTime, Track};
use amphi_protocol::rtmp::{Frame, RtmpEvent, RtmpSession, Unpacker};
use amphi_source::{Current, Inlet, Publication, SourceGauges};
use libfuzzer_sys::fuzz_target;

const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

/// `connect` to the application `publish`, and `publish` of the stream `hall`.
const OPENING: &[&[u8]] = &[
    b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03\0\x03app\x02\0\x07publish\0\0\x09",
    b"\x02\0\x07publish\0\x40\x14\0\0\0\0\0\0\x05\x02\0\x04hall\x02\0\x04live",
];

fn message(out: &mut Vec<u8>, type_id: u8, time_ms: u32, payload: &[u8]) {
    let chunk_stream = 3 + type_id % 8;
    out.push(chunk_stream);
    out.extend(&time_ms.min(0xff_ffff).to_be_bytes()[1..]);
    out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    out.push(type_id);
    out.extend([1, 0, 0, 0]);
    if time_ms >= 0xff_ffff {
        out.extend(time_ms.to_be_bytes());
    }
    for (index, chunk) in payload.chunks(128).enumerate() {
        if index > 0 {
            out.push(0xc0 | chunk_stream);
        }
        out.extend(chunk);
    }
}

/// Makes messages from type, time step and length, each followed by so many bytes.
fn well_formed(mut data: &[u8]) -> Vec<u8> {
    const TYPES: [u8; 8] = [8, 9, 9, 8, 18, 22, 20, 1];
    let (mut out, mut time_ms) = (Vec::new(), 0_u32);
    while let [kind, step, high, low, rest @ ..] = data {
        let length = (usize::from(*high & 15) << 8 | usize::from(*low)).min(rest.len());
        let (payload, later) = rest.split_at(length);
        time_ms = time_ms.wrapping_add(u32::from(*step) << (kind >> 4));
        message(&mut out, TYPES[usize::from(kind & 7)], time_ms, payload);
        data = later;
    }
    out
}

fn inlet(clock: &Arc<ManualClock>, second: SecondPublisher) -> Arc<Inlet> {
    Arc::new(Inlet {
        lattice_fps: 25,
        feed: FeedWriter::default(),
        status: tokio::sync::watch::Sender::new(SourceStatus::idle(START)),
        gauges: Arc::new(SourceGauges::default()),
        clocks: Clocks { media: Arc::clone(clock) as _, wall: Arc::clone(clock) as _ },
        zone: jiff::tz::TimeZone::UTC,
        second,
        publisher: Current::default(),
    })
}

fn take(into: &mut Publication, frame: Result<Option<Frame>, amphi_protocol::rtmp::FlvError>) {
    match frame {
        Ok(Some(frame)) => {
            assert!(!frame.data.is_empty());
            into.frame(frame.pts_ms, frame.sync, frame.data, frame.format);
        }
        Ok(None) => into.heard(),
        Err(wrong) => {
            into.passed_over(wrong.track(), &wrong.to_string(), wrong.is_harmless());
            if wrong.loses_a_picture() && wrong.track() == Track::Video {
                into.lost();
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    let mut wire = vec![7; 1 + 1536 * 2];
    wire[0] = 3;
    for payload in OPENING {
        message(&mut wire, 20, 0, payload);
    }
    let raw = first & 1 == 0;
    wire.extend(if raw { data.to_vec() } else { well_formed(data) });
    let clock = Arc::new(ManualClock::at(START));
    let second = if first & 0x80 == 0 { SecondPublisher::Refuse } else { SecondPublisher::TakeOver };
    let inlet = inlet(&clock, second);
    inlet.wait();
    inlet.refused("a wrong key");
    // Another publisher is there before, in some runs.
    let mut other = if first & 0x40 == 0 { None } else { inlet.open() };
    let (mut session, mut unpacker) = (RtmpSession::default(), Unpacker::default());
    let mut publication: Option<Publication> = None;
    for mut input in wire.chunks(usize::from(first >> 1) * 40 + 7) {
        loop {
            let event = match session.handle(&mut input) {
                Err(error) => {
                    if let Some(into) = &mut publication {
                        into.left(&format!("{error}, {}", session.position()));
                    }
                    return;
                }
                Ok(None) => break,
                Ok(Some(event)) => event,
            };
            clock.advance(Duration::from_millis(20));
            match event {
                RtmpEvent::Publish { .. } => {
                    drop(publication.take());
                    unpacker = Unpacker::default();
                    publication = inlet.open();
                    if publication.is_some() {
                        session.accept();
                    } else {
                        inlet.refused("there is another");
                        session.deny("there is another");
                    }
                    if let Some(before) = &mut other {
                        before.look();
                        before.passed_over(Track::Video, "late", false);
                        assert_eq!(before.taken_over().is_cancelled(), publication.is_some());
                    }
                }
                RtmpEvent::Close => {
                    if let Some(mut leaving) = publication.take() {
                        leaving.left("it has said good-bye");
                    }
                }
                RtmpEvent::Video { timestamp_ms, data } => {
                    let frame = unpacker.video(timestamp_ms, data);
                    if let Some(into) = &mut publication {
                        take(into, frame);
                    }
                }
                RtmpEvent::Audio { timestamp_ms, data } => {
                    let frame = unpacker.audio(timestamp_ms, data);
                    if let Some(into) = &mut publication {
                        take(into, frame);
                    }
                }
                RtmpEvent::Connect { .. } | RtmpEvent::Play { .. } | RtmpEvent::Seek { .. } => {
                    session.accept()
                }
                RtmpEvent::Pause { .. } | RtmpEvent::Metadata(_) => {}
            }
            if let Some(into) = &mut publication {
                into.look();
            }
        }
        let left_out = session.left_out();
        assert!(left_out.pictures <= left_out.too_long + left_out.interrupted + left_out.unreadable);
        assert!(session.take_output().len() < 1 << 20);
    }
});
