//! The client against our own server, and against servers that behave otherwise.

use proptest::prelude::*;

use super::*;
use crate::rtmp::handshake::HANDSHAKE_BYTES;
use crate::rtmp::{RtmpEvent, RtmpSession};
use amphi_media::{AudioFormat, AudioTrack};

const URL: &str = "rtmp://host/app/stream-key?token=hidden";

fn publisher() -> Publisher {
    Publisher::new(Target::parse(URL).expect("an URL")).expect("random numbers")
}

/// Lets both ends talk until neither has anything to send; `reject` names the request to refuse.
fn talk(
    publisher: &mut Publisher,
    session: &mut RtmpSession,
    refuse: Option<&str>,
) -> Result<Vec<RtmpEvent>, ServerFault> {
    let mut events = Vec::new();
    loop {
        let output = publisher.take_output();
        let mut input = &output[..];
        while let Some(event) = session.handle(&mut input).expect("in order") {
            match refuse {
                Some(reason) if matches!(event, RtmpEvent::Publish { .. }) => session.reject(reason),
                _ => session.accept(),
            }
            events.push(event);
        }
        let answer = session.take_output();
        if answer.is_empty() && output.is_empty() {
            return Ok(events);
        }
        publisher.handle(&answer)?;
    }
}

fn sound_only() -> RungTracks {
    let audio = AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 };
    RungTracks { name: "160p".to_owned(), video: None, video_index: None, audio }
}

#[test]
fn it_publishes_to_our_own_server() {
    let (mut publisher, mut session) = (publisher(), RtmpSession::default());
    let events = talk(&mut publisher, &mut session, None).expect("accepted");
    let [RtmpEvent::Connect { app, tc_url, .. }, RtmpEvent::Publish { stream, query }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((&app[..], &tc_url[..]), ("app", "rtmp://host:1935/app"));
    assert_eq!((&stream.path[..], query.get("token").as_deref()), ("stream-key", Some("hidden")));
    assert!(publisher.is_publishing());

    let sound = crate::rtmp::audio(20, &[1, 2, 3]).expect("short");
    let wire = [publisher.opening(&sound_only(), 0), publisher.address(&sound)].concat();
    let mut input = &wire[..];
    let mut seen = Vec::new();
    while let Some(event) = session.handle(&mut input).expect("in order") {
        seen.push(event);
    }
    assert!(matches!(
        &seen[..],
        [RtmpEvent::Metadata(_), RtmpEvent::Audio { .. }, RtmpEvent::Audio { timestamp_ms: 20, .. }]
    ));

    publisher.close();
    assert_eq!(talk(&mut publisher, &mut session, None), Ok(vec![RtmpEvent::Close]));
    assert!(!publisher.is_publishing());
}

#[test]
fn a_refusal_is_told_without_the_key() {
    let reason = "stream-key?token=hidden is taken;\nask for another stream-key";
    let error = talk(&mut publisher(), &mut RtmpSession::default(), Some(reason)).expect_err("refused");
    let expected = "the server refuses: NetStream.Publish.BadName: … is taken;ask for another …";
    assert_eq!(error.to_string(), expected);
}

/// A publisher after its handshake.
fn connected() -> Publisher {
    let mut publisher = publisher();
    publisher.take_output();
    let mut hello = vec![9; HANDSHAKE_BYTES];
    hello[0] = 3;
    publisher.handle(&hello).expect("a simple handshake");
    publisher
}

fn says(name: &str, transaction: f64, values: &[Value<'_>]) -> BytesMut {
    let mut wire = BytesMut::new();
    put_command(&mut wire, INITIAL_CHUNK_SIZE, 0, name, transaction, values);
    wire
}

#[test]
fn another_stream_number_is_obeyed_and_small_refusals_are_not_fatal() {
    let mut publisher = connected();
    publisher.handle(&says("onBWDone", 0.0, &[Value::Null])).expect("ignored");
    let name_alone = [2, 0, 0, 0, 0, 0, 4, 20, 0, 0, 0, 0, 2, 0, 1, b'x'];
    publisher.handle(&name_alone).expect("ignored");
    publisher.handle(&says("_result", 1.0, &[Value::Null, Value::Null])).expect("connected");
    publisher.handle(&says("_error", 2.0, &[Value::Null, Value::Null])).expect("releaseStream may fail");
    publisher.handle(&says("_result", 4.0, &[Value::Null, Value::Number(7.0)])).expect("created");
    let start = [("level", Value::Text("status")), ("code", Value::Text("NetStream.Publish.Start"))];
    publisher.handle(&says("onStatus", 0.0, &[Value::Null, Value::Object(&start)])).expect("started");
    assert!(publisher.is_publishing());
    let sound = crate::rtmp::audio(20, &[1, 2, 3]).expect("short");
    let mut guard = Guard::default();
    guard.let_media_in(true);
    let mut wire = BytesMut::new();
    set_chunk_size(&mut wire);
    wire.extend_from_slice(&publisher.opening(&sound_only(), 0));
    wire.extend_from_slice(&publisher.address(&sound));
    let mut input = &wire[..];
    for _ in 0..3 {
        let message = guard.next_message(&mut input).expect("chunks").expect("three messages");
        assert_eq!(message.stream_id, 7);
    }
    let stopped = [("level", Value::Text("error")), ("code", Value::Text("NetStream.Publish.Failed"))];
    let error = publisher.handle(&says("onStatus", 0.0, &[Value::Null, Value::Object(&stopped)]));
    assert_eq!(error, Err(ServerFault::Refused("NetStream.Publish.Failed".to_owned())));
}

#[test]
fn another_protocol_is_noticed() {
    assert_eq!(publisher().handle(b"HTTP/1.1 400 Bad Request\r\n"), Err(ServerFault::Handshake));
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(
        wire in prop::collection::vec(any::<u8>(), 0..300), number in any::<f64>(), transaction in 0..7_u8,
    ) {
        let mut publisher = connected();
        let answer = says("_result", f64::from(transaction), &[Value::Null, Value::Number(number)]);
        let _ = publisher.handle(&answer);
        let _ = publisher.handle(&wire);
    }
}
