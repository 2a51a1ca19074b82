//! Conversations: scripted ones, and with the client of `rml_rtmp`.

use proptest::prelude::*;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult};

use super::*;
use crate::rtmp::StreamName;
use crate::rtmp::amf::Value;
use crate::rtmp::control::{put_command, user_control};
use crate::rtmp::handshake::HANDSHAKE_BYTES;
use crate::rtmp::wire::{CHUNK_SIZE, Head, INITIAL_CHUNK_SIZE, message_type, put_message};

const CONNECT: &[Value<'_>] = &[Value::Object(&[
    ("app", Value::Text("live/_definst_?a=1")),
    ("tcUrl", Value::Text("rtmp://host/live/_definst_?a=secret")),
])];
const PLAY: &[Value<'_>] = &[Value::Null, Value::Text("mp4:hall_720p?key=secret"), Value::Number(-2000.0)];
const PUBLISH: &[Value<'_>] = &[Value::Null, Value::Text("multicam?key=secret"), Value::Text("live")];

/// Bytes of a client: the simple handshake, then commands in chunks of 128 bytes.
fn script(commands: &[(&str, &[Value<'_>])]) -> BytesMut {
    let mut wire = BytesMut::from(&[7; HANDSHAKE_BYTES][..]);
    wire[0] = 3;
    for (index, (name, values)) in commands.iter().enumerate() {
        put_command(&mut wire, INITIAL_CHUNK_SIZE, 1, name, index as f64, values);
    }
    wire
}

/// Passes `wire` in pieces of `cut` bytes and accepts every request.
fn converse(session: &mut RtmpSession, wire: &[u8], cut: usize) -> Result<Vec<RtmpEvent>, SessionError> {
    let mut events = Vec::new();
    for mut part in wire.chunks(cut) {
        while let Some(event) = session.handle(&mut part)? {
            session.accept();
            events.push(event);
        }
        assert!(part.is_empty());
    }
    Ok(events)
}

/// What the server sent after its part of the handshake: commands with their codes, other types by number.
fn said(session: &mut RtmpSession) -> Vec<String> {
    let output = session.take_output();
    let mut rest = &output[HANDSHAKE_BYTES.min(output.len())..];
    let mut guard = Guard::default();
    let mut words = Vec::new();
    while let Some(message) = guard.next_message(&mut rest).expect("we write what we read") {
        words.push(match message.body {
            RtmpMessage::Amf0Command { command_name, additional_arguments, .. } => {
                match additional_arguments.first() {
                    Some(Amf0Value::Object(properties)) => match properties.get("code") {
                        Some(Amf0Value::Utf8String(code)) => code.clone(),
                        code => format!("{command_name} {code:?}"),
                    },
                    _ => command_name,
                }
            }
            other => other.get_message_type_id().to_string(),
        });
    }
    words
}

fn name(prefix: &str, path: &str) -> StreamName {
    StreamName { prefix: prefix.to_owned(), path: path.to_owned() }
}

#[test]
fn a_player_is_led_to_its_stream() {
    let mut session = RtmpSession::default();
    let pause = [Value::Null, Value::Boolean(true), Value::Number(1234.0)];
    let seek = [Value::Null, Value::Number(60_000.0)];
    let commands: [(&str, &[Value<'_>]); 8] = [
        ("connect", CONNECT),
        ("createStream", &[Value::Null]),
        ("getStreamLength", &[Value::Null, Value::Text("hall")]),
        ("play", PLAY),
        ("pause", &pause),
        ("seek", &seek),
        ("deleteStream", &[Value::Null, Value::Number(1.0)]),
        ("closeStream", &[Value::Null]),
    ];
    let events = converse(&mut session, &script(&commands), 4096).expect("in order");
    let [RtmpEvent::Connect { app, tc_url, query }, play, pause, seek, RtmpEvent::Close] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((&app[..], &tc_url[..], query.reveal()), ("live", "rtmp://host/live/_definst_", "a=1"));
    let RtmpEvent::Play { path, query, start_ms: None } = play else { panic!("{play:?}") };
    assert_eq!((&path[..], query.get("key").as_deref()), ("live/_definst_/mp4:hall_720p", Some("secret")));
    assert_eq!(*pause, RtmpEvent::Pause { paused: true, position_ms: 1234 });
    assert_eq!(*seek, RtmpEvent::Seek { position_ms: 60_000 });
    assert!(!format!("{events:?}").contains("secret"));
    let words = said(&mut session);
    let codes: Vec<_> = words.iter().filter(|word| word.starts_with("Net")).map(String::as_str).collect();
    assert_eq!(
        codes,
        [
            "NetConnection.Connect.Success",
            "NetStream.Play.Reset",
            "NetStream.Play.Start",
            "NetStream.Pause.Notify",
            "NetStream.Seek.Notify",
            "NetStream.Play.Start"
        ]
    );
}

#[test]
fn a_publisher_is_heard_once_it_was_accepted() {
    let mut wire = script(&[
        ("connect", CONNECT),
        ("releaseStream", PUBLISH),
        ("FCPublish", PUBLISH),
        ("createStream", &[Value::Null]),
    ]);
    let picture = |wire: &mut BytesMut| {
        let head = Head { type_id: message_type::VIDEO, timestamp_ms: 40, stream_id: 1 };
        put_message(wire, head, INITIAL_CHUNK_SIZE, &[&[0x17; 300]]);
    };
    picture(&mut wire);
    put_command(&mut wire, INITIAL_CHUNK_SIZE, 1, "publish", 5.0, PUBLISH);
    picture(&mut wire);
    let metadata = Metadata { fps: Some(15.0), ..Metadata::default() };
    let head = Head { type_id: message_type::DATA, timestamp_ms: 0, stream_id: 1 };
    put_message(&mut wire, head, INITIAL_CHUNK_SIZE, &[&metadata.for_server()]);
    put_command(&mut wire, INITIAL_CHUNK_SIZE, 1, "FCUnpublish", 6.0, PUBLISH);
    picture(&mut wire);
    let mut session = RtmpSession::default();
    let events = converse(&mut session, &wire, 1000).expect("in order");
    let [
        RtmpEvent::Connect { .. },
        RtmpEvent::Publish { stream, query },
        video,
        RtmpEvent::Metadata(seen),
        RtmpEvent::Close,
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((stream, query.get("key").as_deref()), (&name("", "multicam"), Some("secret")));
    assert_eq!(*video, RtmpEvent::Video { timestamp_ms: 40, data: vec![0x17; 300].into() });
    assert_eq!(seen.fps, Some(15.0));
    let words = said(&mut session);
    let published = words.iter().position(|word| word == "NetStream.Publish.Start").expect("it may publish");
    assert_eq!(words[published + 1..], ["NetStream.Unpublish.Success", "NetStream.Unpublish.Success"]);
}

#[test]
fn a_publisher_may_end_and_begin_again_and_ask_twice_in_vain() {
    let create: (&str, &[Value<'_>]) = ("createStream", &[Value::Null]);
    let stop: &[Value<'_>] = &[Value::Null, Value::Boolean(false)];
    let commands: [(&str, &[Value<'_>]); 11] = [
        ("connect", CONNECT),
        create,
        create,
        ("publish", PUBLISH),
        ("publish", PUBLISH),
        ("FCUnpublish", PUBLISH),
        ("deleteStream", &[Value::Null, Value::Number(1.0)]),
        create,
        ("publish", PUBLISH),
        ("publish", stop),
        ("_checkbw", &[Value::Null]),
    ];
    let mut session = RtmpSession::default();
    let events = converse(&mut session, &script(&commands), 700).expect("in order");
    let kinds: Vec<_> = events.iter().map(std::mem::discriminant).collect();
    let [_, publish, close, again, over] = kinds[..] else { panic!("{events:?}") };
    assert_eq!((publish, close), (again, over));
    let words = said(&mut session);
    let count = |code: &str| words.iter().filter(|word| *word == code).count();
    assert_eq!((count("NetStream.Publish.Start"), count("NetStream.Publish.BadName")), (2, 1));
}

#[test]
fn aggregate_messages_are_told_one_by_one() {
    let mut wire = script(&[("connect", CONNECT), ("publish", PUBLISH)]);
    let tag = |type_id: u8, ms: u8, data: u8| {
        [&[type_id, 0, 0, 1, 0, 0, ms, 0, 0, 0, 0, data][..], &[0, 0, 0, 12]].concat()
    };
    let body = [tag(9, 50, 1), tag(18, 50, 2), tag(8, 60, 3), tag(9, 90, 4)].concat();
    let head = Head { type_id: message_type::AGGREGATE, timestamp_ms: 1000, stream_id: 1 };
    put_message(&mut wire, head, INITIAL_CHUNK_SIZE, &[&body]);
    put_command(&mut wire, INITIAL_CHUNK_SIZE, 1, "FCUnpublish", 6.0, PUBLISH);
    let events = converse(&mut RtmpSession::default(), &wire, 90).expect("in order");
    let data = |byte: u8| vec![byte].into();
    assert_eq!(
        events[2..],
        [
            RtmpEvent::Video { timestamp_ms: 1000, data: data(1) },
            RtmpEvent::Audio { timestamp_ms: 1010, data: data(3) },
            RtmpEvent::Video { timestamp_ms: 1040, data: data(4) },
            RtmpEvent::Close,
        ]
    );
}

#[test]
fn a_name_that_cannot_be_is_refused_in_words_and_what_is_wrong_with_a_message_is_counted() {
    let tree: &[Value<'_>] = &[Value::Null, Value::Text("../x"), Value::Text("live")];
    let mut session = RtmpSession::default();
    converse(&mut session, &script(&[("connect", CONNECT), ("publish", tree)]), 500).expect_err("no name");
    assert_eq!(said(&mut session).last().map(String::as_str), Some("NetStream.Publish.BadName"));
    let app: &[Value<'_>] = &[Value::Object(&[("app", Value::Text("a b"))])];
    let mut session = RtmpSession::default();
    converse(&mut session, &script(&[("connect", app)]), 500).expect_err("no name");
    assert_eq!(said(&mut session).last().map(String::as_str), Some("NetConnection.Connect.Rejected"));

    let mut wire = script(&[("connect", CONNECT), ("publish", PUBLISH)]);
    let head = Head { type_id: message_type::DATA, timestamp_ms: 0, stream_id: 1 };
    put_message(&mut wire, head, INITIAL_CHUNK_SIZE, &[&[2, 0, 9]]);
    put_message(&mut wire, head, INITIAL_CHUNK_SIZE, &[&vec![2; 100_000]]);
    let mut session = RtmpSession::default();
    assert_eq!(converse(&mut session, &wire, 3000).expect("it goes on").len(), 2);
    assert_eq!(session.left_out().unreadable, 2);
    assert_eq!(session.left_out(), SkippedMessages::default(), "told once");
}

#[test]
fn who_may_not_publish_is_told_so() {
    let wire = script(&[("connect", CONNECT), ("publish", PUBLISH)]);
    let (mut session, mut input) = (RtmpSession::default(), &wire[..]);
    session.handle(&mut input).expect("in order").expect("a request");
    session.accept();
    session.handle(&mut input).expect("in order").expect("a request");
    session.deny("the key is not the right one");
    assert_eq!(said(&mut session).last().map(String::as_str), Some("NetStream.Publish.Denied"));
}

#[test]
fn a_refusal_gives_its_reason() {
    let reason = "a long reason that does not fit into one chunk of the first size, ".repeat(3);
    for (commands, code) in [
        (&[("connect", CONNECT)][..], "NetConnection.Connect.Rejected"),
        (&[("connect", CONNECT), ("publish", PUBLISH)], "NetStream.Publish.BadName"),
        (&[("connect", CONNECT), ("play", PLAY)], "NetStream.Play.StreamNotFound"),
    ] {
        let mut session = RtmpSession::default();
        let wire = script(commands);
        let mut input = &wire[..];
        for _ in 1..commands.len() {
            session.handle(&mut input).expect("in order").expect("a request");
            session.accept();
        }
        session.handle(&mut input).expect("in order").expect("a request");
        assert_eq!(session.handle(&mut input), Err(SessionError::Unanswered));
        session.reject(&reason);
        let output = session.take_output();
        assert!(output.windows(reason.len()).any(|text| text == reason.as_bytes()));
        session.output.extend_from_slice(&output);
        assert_eq!(said(&mut session).last().map(String::as_str), Some(code));
    }
}

#[test]
fn what_comes_out_of_order_is_refused() {
    let error = |commands: &[(&str, &[Value<'_>])]| {
        converse(&mut RtmpSession::default(), &script(commands), 500).expect_err("out of order")
    };
    let connect = ("connect", CONNECT);
    assert_eq!(error(&[("play", PLAY)]), SessionError::Unconnected);
    assert_eq!(error(&[connect, connect]), SessionError::Order("connect"));
    assert_eq!(error(&[connect, ("play", PLAY), ("publish", PUBLISH)]), SessionError::Order("publish"));
    let secret: &[Value<'_>] = &[Value::Object(&[
        ("app", Value::Text("publish")),
        ("tcUrl", Value::Text("rtmp://hall:secret@host/publish?a=1")),
    ])];
    let events =
        converse(&mut RtmpSession::default(), &script(&[("connect", secret)]), 500).expect("in order");
    let [RtmpEvent::Connect { tc_url, query, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&tc_url[..], query.get("pass").as_deref()), ("rtmp://host/publish", Some("secret")));
    assert_eq!(error(&[connect, ("play", &[Value::Null])]), SessionError::Arguments("play"));
    let tree: &[Value<'_>] = &[Value::Null, Value::Text("../../etc/passwd")];
    assert_eq!(error(&[connect, ("publish", tree)]), SessionError::Name(NameError::Characters));
    assert_eq!(error(&[("connect", &[Value::Null])]), SessionError::Arguments("connect"));
    let mut other = script(&[]);
    other[0] = 6;
    assert_eq!(converse(&mut RtmpSession::default(), &other, 500), Err(SessionError::Handshake));
}

#[test]
fn a_peer_that_does_not_listen_is_dropped() {
    let mut wire = script(&[("connect", CONNECT)]);
    for _ in 0..5000 {
        put_command(&mut wire, INITIAL_CHUNK_SIZE, 0, "createStream", 9.0, &[Value::Null]);
    }
    let mut session = RtmpSession::default();
    assert_eq!(converse(&mut session, &wire, 16_384), Err(SessionError::Flood));
    assert!(session.output.len() < OUTPUT_MAX + 1000);
}

#[test]
fn pings_are_answered_and_an_ended_stream_is_told() {
    let mut wire = script(&[("connect", CONNECT), ("play", PLAY)]);
    user_control(&mut wire, 6, 0x0102_0304);
    let mut session = RtmpSession::default();
    converse(&mut session, &wire, 5000).expect("in order");
    assert!(session.take_output().ends_with(&[0, 7, 1, 2, 3, 4]));
    session.finish();
    let output = session.take_output();
    session.output.extend_from_slice(&[&[0; HANDSHAKE_BYTES][..], &output].concat());
    assert_eq!(said(&mut session), ["4", "NetStream.Play.Stop"]);
    session.finish();
    assert!(session.take_output().is_empty(), "once");
}

#[test]
fn the_end_of_a_recording_is_told_and_playing_goes_on() {
    let mut wire = script(&[("connect", CONNECT), ("play", PLAY)]);
    let mut session = RtmpSession::default();
    session.finish_recorded(60.0);
    assert!(session.take_output().is_empty(), "nothing is played yet");
    converse(&mut session, &wire, 5000).expect("in order");
    session.take_output();
    session.finish_recorded(60.5);
    let output = session.take_output();
    let words = |it: &[u8]| output.windows(it.len()).any(|part| part == it);
    assert!(words(b"onPlayStatus") && words(b"NetStream.Play.Complete") && words(&60.5_f64.to_be_bytes()));
    session.output.extend_from_slice(&[&[0; HANDSHAKE_BYTES][..], &output].concat());
    assert_eq!(said(&mut session).last().map(String::as_str), Some("NetStream.Play.Stop"));
    // It may still seek.
    wire.clear();
    put_command(&mut wire, INITIAL_CHUNK_SIZE, 1, "seek", 0.0, &[Value::Null, Value::Number(9000.0)]);
    let sought = session.handle(&mut &wire[..]);
    assert_eq!(sought, Ok(Some(RtmpEvent::Seek { position_ms: 9000 })));
}

/// Lets the client of `rml_rtmp` and this server talk until neither has anything to send.
fn talk(
    client: &mut ClientSession,
    session: &mut RtmpSession,
    mut outbound: Vec<u8>,
) -> Vec<ClientSessionEvent> {
    let mut events = Vec::new();
    while !outbound.is_empty() {
        let mut input = &outbound[..];
        while session.handle(&mut input).expect("in order").is_some() {
            session.accept();
        }
        let results = client.handle_input(&session.take_output()).expect("understood");
        outbound = sort(results, &mut events);
    }
    events
}

fn sort(results: Vec<ClientSessionResult>, events: &mut Vec<ClientSessionEvent>) -> Vec<u8> {
    let mut outbound = Vec::new();
    for result in results {
        match result {
            ClientSessionResult::OutboundResponse(packet) => outbound.extend(packet.bytes),
            ClientSessionResult::RaisedEvent(event) => events.push(event),
            ClientSessionResult::UnhandleableMessageReceived(_) => {}
        }
    }
    outbound
}

#[test]
fn another_client_shakes_hands_connects_and_plays() {
    let mut session = RtmpSession::default();
    let mut handshake = Handshake::new(PeerType::Client);
    let hello = handshake.generate_outbound_p0_and_p1().expect("random numbers");
    assert_eq!(session.handle(&mut &hello[..]), Ok(None));
    assert!(!session.has_shaken_hands());
    let answer = handshake.process_bytes(&session.take_output()).expect("an answer");
    let HandshakeProcessResult::Completed { response_bytes, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(session.handle(&mut &response_bytes[..]), Ok(None));
    assert!(session.has_shaken_hands());

    let (mut client, first) = ClientSession::new(ClientSessionConfig::new()).expect("a client");
    let mut events = Vec::new();
    let outbound = sort(first, &mut events);
    talk(&mut client, &mut session, outbound);
    let request = vec![client.request_connection("live".to_owned()).expect("a request")];
    let outbound = sort(request, &mut events);
    let events = talk(&mut client, &mut session, outbound);
    assert!(matches!(events[..], [ClientSessionEvent::ConnectionRequestAccepted]), "{events:?}");
    let request = vec![client.request_playback("hall".to_owned()).expect("a request")];
    let outbound = sort(request, &mut Vec::new());
    let events = talk(&mut client, &mut session, outbound);
    assert!(
        events.iter().any(|event| matches!(event, ClientSessionEvent::PlaybackRequestAccepted)),
        "{events:?}"
    );

    let message = crate::rtmp::video(5, true, &vec![0x65; 100_000]).expect("short");
    let mut events = Vec::new();
    sort(client.handle_input(&message).expect("understood"), &mut events);
    let [ClientSessionEvent::VideoDataReceived { timestamp, data }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((timestamp.value, data.len(), CHUNK_SIZE < data.len()), (5, 100_005, true));
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_events_are_the_same(cut in 1..4000_usize) {
        let wire = script(&[("connect", CONNECT), ("createStream", &[Value::Null]), ("play", PLAY)]);
        let whole = converse(&mut RtmpSession::default(), &wire, wire.len());
        prop_assert_eq!(converse(&mut RtmpSession::default(), &wire, cut), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(
        tail in prop::collection::vec(any::<u8>(), 0..300), connected: bool, publishing: bool,
        value in prop_oneof![any::<f64>().prop_map(Some), Just(None)],
    ) {
        let mut commands: Vec<(&str, &[Value<'_>])> = Vec::new();
        if connected { commands.push(("connect", CONNECT)); }
        if connected && publishing { commands.push(("publish", PUBLISH)); }
        let odd = [Value::Null, value.map_or(Value::Undefined, Value::Number), Value::Boolean(true)];
        if connected { commands.extend([("seek", &odd[..]), ("pause", &odd), ("deleteStream", &odd), ("x", &odd)]); }
        let mut wire = script(&commands);
        wire.extend_from_slice(&tail);
        let _ = converse(&mut RtmpSession::default(), &wire, 1000);
    }
}

#[test]
fn a_url_forgets_its_user_and_nothing_else() {
    for (url, expected) in [
        ("rtmp://user:p@ss@host/app", "rtmp://host/app"),
        ("rtmp://host/app/x@y", "rtmp://host/app/x@y"),
        ("rtmp://user@host", "rtmp://host"),
        ("user@host", "user@host"),
    ] {
        let mut text = url.to_owned();
        forget_user(&mut text);
        assert_eq!(text, expected, "{url}");
    }
}
