//! The guard under attack, with interleaved chunks, and with input cut at every position.

use proptest::prelude::*;
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::messages::UserControlEventType;

use super::*;
use crate::rtmp::wire::{Head, put_message};

/// A chunk with a full header.
fn full(csid: u8, timestamp_ms: u32, length: usize, type_id: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![csid];
    out.extend(&timestamp_ms.to_be_bytes()[1..]);
    out.extend(&(length as u32).to_be_bytes()[1..]);
    out.push(type_id);
    out.extend(1_u32.to_le_bytes());
    out.extend(data);
    out
}

fn all(guard: &mut Guard, mut input: &[u8]) -> Result<Vec<Message>, GuardError> {
    let mut messages = Vec::new();
    while let Some(message) = guard.next_message(&mut input)? {
        messages.push(message);
    }
    assert!(input.is_empty(), "the guard stops before the end only for a message");
    Ok(messages)
}

fn publisher() -> Guard {
    let mut guard = Guard::default();
    guard.let_media_in(true);
    guard
}

fn nested_arrays(levels: usize) -> Vec<u8> {
    let mut bytes = [0x0a, 0, 0, 0, 1].repeat(levels);
    bytes.push(5);
    bytes
}

/// A message cut into chunks of 128 bytes.
fn chunked(type_id: u8, data: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let head = Head { type_id, timestamp_ms: 0, stream_id: 1 };
    put_message(&mut out, head, INITIAL_CHUNK_SIZE, &[data]);
    out.to_vec()
}

#[test]
fn interleaved_chunk_streams_arrive_intact() {
    let mut wire = full(4, 40, 300, 9, &[0xaa; 128]);
    wire.extend(full(5, 41, 10, 8, &[0xbb; 10]));
    wire.extend([&[0xc4][..], &[0xaa; 128], &[0xc4], &[0xaa; 44]].concat());
    let messages = all(&mut publisher(), &wire).expect("legal");
    let expected = [
        Message {
            timestamp_ms: 41,
            stream_id: 1,
            body: RtmpMessage::AudioData { data: vec![0xbb; 10].into() },
        },
        Message {
            timestamp_ms: 40,
            stream_id: 1,
            body: RtmpMessage::VideoData { data: vec![0xaa; 300].into() },
        },
    ];
    assert_eq!(messages, expected);
}

#[test]
fn a_command_of_one_value_is_an_error_not_a_panic() {
    let [one, amf3] = [20, 17].map(|type_id| full(3, 0, 4, type_id, &[2, 0, 1, 65]));
    assert_eq!(all(&mut Guard::default(), &one), Err(GuardError::ShortCommand(1)));
    assert_eq!(all(&mut Guard::default(), &amf3), Err(GuardError::ShortCommand(1)));
}

#[test]
fn nested_arrays_are_an_error_not_an_abort() {
    for type_id in [17, 20] {
        let bomb = chunked(type_id, &nested_arrays(20_000));
        let too_long = GuardError::TooLong { type_id, length: 100_001, limit: COMMAND_MAX };
        assert_eq!(all(&mut Guard::default(), &bomb), Err(too_long));
        let small_bomb = chunked(type_id, &nested_arrays(3000));
        let refused = all(&mut Guard::default(), &small_bomb);
        assert!(
            matches!(refused, Err(GuardError::Amf { error: AmfError { fault: AmfFault::TooDeep, .. }, .. })),
            "{refused:?}"
        );
    }
    for type_id in [15, 18] {
        let mut guard = Guard::default();
        assert_eq!(all(&mut guard, &chunked(type_id, &nested_arrays(20_000))), Ok(vec![]));
        assert_eq!(all(&mut guard, &chunked(type_id, &nested_arrays(3000))), Ok(vec![]));
        assert_eq!(
            guard.left_out(),
            SkippedMessages { too_long: 1, interrupted: 0, unreadable: 1, pictures: 0 }
        );
    }
}

#[test]
fn amf3_is_read_as_the_values_that_were_checked() {
    let values = [&[2, 0, 1, b'x'][..], &[0; 9], &[5]].concat();
    let plain = chunked(20, &values);
    let flash = chunked(17, &[&[0], &values[..]].concat());
    assert_eq!(all(&mut Guard::default(), &flash), all(&mut Guard::default(), &plain));
    // A reader that skips a second zero byte would find values there that the check took for a number.
    let hidden = [&[0, 0, 2, 0, 0, 0, 0, 0, 0, 0][..], &[5, 5]].concat();
    assert_eq!(all(&mut Guard::default(), &chunked(17, &hidden)), Err(GuardError::Malformed(20)));
}

#[test]
fn what_is_not_known_is_dropped_and_the_rest_goes_on() {
    let date = [&[2, 0, 1, b'x', 11][..], &[0; 10]].concat();
    let ping = [0, 6, 0, 0, 0, 9];
    let mut wire = full(2, 0, 6, 4, &[0, 26, 0, 0, 0, 0]);
    wire.extend(chunked(22, &vec![7; 70_000]));
    wire.extend(chunked(9, &vec![7; 70_000]));
    wire.extend(chunked(18, &date));
    wire.extend(full(2, 0, 6, 4, &ping));
    let messages = all(&mut Guard::default(), &wire).expect("nothing that hurts");
    let [Message { body: RtmpMessage::UserControl { event_type, .. }, .. }] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(*event_type, UserControlEventType::PingRequest);
}

#[test]
fn bounds_hold() {
    let mut wire = Vec::new();
    for low in 0..=64_u8 {
        wire.extend([&[0, low], &full(0, 0, 0, 99, &[])[1..]].concat());
    }
    let mut guard = Guard::default();
    assert_eq!(all(&mut guard, &wire), Ok(vec![]), "the one that rested longest makes room");
    assert_eq!(guard.streams.len(), CHUNK_STREAMS_MAX);
    let begun: Vec<u8> =
        (0..=64_u8).flat_map(|low| [&[0, low], &full(0, 0, 200, 99, &[0; 128])[1..]].concat()).collect();
    assert_eq!(all(&mut Guard::default(), &begun), Err(GuardError::ChunkStreams));

    let mut guard = publisher();
    let mut wire = full(4, 0, MEDIA_MAX + 1, 9, &[0; 128]);
    wire.extend([&[0xc4][..], &[0; 128]].concat());
    assert_eq!(all(&mut guard, &wire), Ok(vec![]), "passed over without memory");
    assert_eq!((guard.unfinished, guard.left_out().too_long), (0, 1));

    let begun = |count: u8, length, type_id| -> Vec<u8> {
        (0..count).flat_map(|n| full(10 + n, 0, length, type_id, &[0; 128])).collect()
    };
    let unfinished = all(&mut publisher(), &begun(2, MEDIA_MAX, 9));
    assert_eq!(unfinished, Err(GuardError::Unfinished(UNFINISHED_MEDIA_MAX)));
    assert_eq!(all(&mut Guard::default(), &begun(4, COMMAND_MAX, 20)), Ok(vec![]));
    let unfinished = all(&mut Guard::default(), &begun(5, COMMAND_MAX, 20));
    assert_eq!(unfinished, Err(GuardError::Unfinished(UNFINISHED_MAX)));

    for size in [0, 0x8000_0000, u32::MAX] {
        let wire = full(2, 0, 4, 1, &size.to_be_bytes());
        assert_eq!(all(&mut Guard::default(), &wire), Err(GuardError::ChunkSize(size)));
    }
    let mut wire = full(2, 0, 4, 1, &0x7fff_ffff_u32.to_be_bytes());
    wire.extend(full(4, 0, MEDIA_MAX, 9, &vec![1; MEDIA_MAX]));
    assert_eq!(all(&mut publisher(), &wire).map(|messages| messages.len()), Ok(1));
}

#[test]
fn headers_that_lean_on_nothing_are_refused_and_an_interrupted_message_is_given_up() {
    for format in [2_u8, 3] {
        let wire = [&[format << 6 | 4], &[0; 7][..]].concat();
        assert_eq!(all(&mut Guard::default(), &wire), Err(GuardError::Headless(4)));
    }
    let mut wire = full(4, 0, 300, 9, &[0; 128]);
    wire.extend(full(4, 0, 2, 9, &[7; 2]));
    let mut guard = publisher();
    assert_eq!(all(&mut guard, &wire).map(|messages| messages.len()), Ok(1), "the other one is given up");
    assert_eq!((guard.unfinished, guard.left_out().interrupted), (0, 1));
    // librtmp's first ping: a type 1 header on a chunk stream that was not used before.
    let ping = [&[0x42, 0, 0, 0, 0, 0, 10, 4, 0, 3][..], &[0; 8]].concat();
    assert_eq!(all(&mut Guard::default(), &ping).map(|messages| messages.len()), Ok(1));
}

#[test]
fn an_aborted_message_is_forgotten() {
    let mut wire = full(4, 7, 300, 9, &[0xaa; 128]);
    wire.extend(full(2, 0, 4, 2, &4_u32.to_be_bytes()));
    wire.extend(full(4, 9, 3, 9, &[1, 2, 3]));
    let mut guard = publisher();
    let messages = all(&mut guard, &wire).expect("legal");
    assert_eq!(messages.iter().map(|message| message.timestamp_ms).collect::<Vec<_>>(), [9]);
    assert_eq!(guard.unfinished, 0);
}

#[test]
fn shortened_headers_move_time_on() {
    let mut wire = full(5, 1000, 2, 8, &[0, 1]);
    wire.extend([0x45, 0, 0, 20, 0, 0, 2, 8, 0, 2]);
    wire.extend([0x85, 0, 0, 30, 0, 3]);
    wire.extend([0xc5, 0, 4]);
    let messages = all(&mut publisher(), &wire).expect("legal");
    let times: Vec<_> = messages.iter().map(|message| message.timestamp_ms).collect();
    assert_eq!(times, [1000, 1020, 1050, 1080]);
}

#[test]
fn a_time_behind_a_whole_header_is_added_again_only_where_that_can_be_meant() {
    for (first, second) in [(40, 80), (9_999, 19_998), (20_000, 20_000), (1_795_000_000, 1_795_000_000)] {
        let mut wire = BytesMut::new();
        let head = Head { type_id: 8, timestamp_ms: first, stream_id: 1 };
        put_message(&mut wire, head, INITIAL_CHUNK_SIZE, &[&[1]]);
        wire.put_slice(&[0xc5]);
        if first >= 0xff_ffff {
            wire.put_u32(first);
        }
        wire.put_slice(&[2]);
        let messages = all(&mut publisher(), &wire).expect("legal");
        let times: Vec<_> = messages.iter().map(|message| message.timestamp_ms).collect();
        assert_eq!(times, [first, second]);
    }
}

#[test]
fn messages_that_cannot_be_read_concern_nobody_else_of_a_publisher() {
    let sound = full(5, 40, 2, 8, &[0xaf, 1]);
    for odd in [
        full(3, 0, 4, 20, &[2, 0, 1, 65]),
        full(3, 0, 3, 20, &[2, 0, 9]),
        full(3, 0, 3, 18, &[2, 0, 9]),
        full(2, 0, 1, 4, &[0]),
        full(2, 0, 2, 5, &[0, 1]),
        full(2, 0, 2, 2, &[0, 1]),
        chunked(20, &nested_arrays(3000)),
    ] {
        let mut guard = publisher();
        let messages = all(&mut guard, &[&odd[..], &sound].concat()).expect("it goes on");
        assert_eq!(messages.len(), 1, "{odd:?}");
        assert_eq!(guard.left_out().unreadable, 1, "{odd:?}");
    }
    // Name and transaction only.
    let short = [&[2, 0, 1, b'x'][..], &[0; 9]].concat();
    assert_eq!(all(&mut Guard::default(), &chunked(20, &short)).map(|messages| messages.len()), Ok(1));
}

/// One message with an extended timestamp, which its continuations repeat or not.
fn extended(timestamp_ms: u32, length: usize, chunk_size: usize, repeated: bool) -> Vec<u8> {
    let mut wire = full(4, 0xff_ffff, length, 9, &timestamp_ms.to_be_bytes());
    let data: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
    for (index, chunk) in data.chunks(chunk_size).enumerate() {
        if index > 0 {
            wire.push(0xc4);
            wire.extend(timestamp_ms.to_be_bytes().iter().filter(|_| repeated));
        }
        wire.extend(chunk);
    }
    wire
}

/// Messages as another writer writes them, which shortens headers.
fn written(messages: &[(u8, u32, usize)], chunk_size: u32) -> Vec<u8> {
    let mut serializer = ChunkSerializer::new();
    let zero = RtmpTimestamp::new(0);
    let mut wire = serializer.set_max_chunk_size(chunk_size, zero).expect("a legal size").bytes;
    for &(type_id, timestamp_ms, length) in messages {
        let data = vec![length as u8; length].into();
        let timestamp = RtmpTimestamp::new(timestamp_ms);
        let payload = MessagePayload { timestamp, type_id, message_stream_id: 1, data };
        wire.extend(serializer.serialize(&payload, false, false).expect("a short message").bytes);
    }
    wire
}

proptest! {
    #[test]
    fn extended_timestamps_may_be_repeated_or_left_out(
        timestamp_ms in 0xff_ffff_u32.., lengths in prop::collection::vec(1..600_usize, 1..6),
        chunk_size in 1..200_u32, repeated: bool, cut in 1..60_usize,
    ) {
        let mut wire = full(2, 0, 4, 1, &chunk_size.to_be_bytes());
        for length in &lengths {
            wire.extend(extended(timestamp_ms, *length, chunk_size as usize, repeated));
        }
        let mut guard = publisher();
        let mut read = Vec::new();
        for part in wire.chunks(cut) {
            read.extend(all(&mut guard, part).expect("legal"));
        }
        prop_assert_eq!(read.len(), lengths.len());
        for (message, length) in read.iter().zip(&lengths) {
            let RtmpMessage::VideoData { data } = &message.body else { panic!("{message:?}") };
            prop_assert_eq!((message.timestamp_ms, data.len()), (timestamp_ms, *length));
            prop_assert!(data.iter().enumerate().all(|(n, byte)| *byte == (n * 7) as u8));
        }
    }

    #[test]
    fn however_the_bytes_are_cut_the_messages_are_the_same(
        steps in prop::collection::vec((prop::sample::select(vec![8_u8, 9]), 0..100_u32, 1..700_usize), 1..20),
        base in prop::sample::select(vec![0_u32, 0xff_fff0, 0xffff_fff0]),
        chunk_size in 1..400_u32, cut in 1..200_usize,
    ) {
        let mut now = base;
        let messages: Vec<_> = steps.iter().map(|&(type_id, step, length)| {
            now = now.wrapping_add(step);
            (type_id, now, length)
        }).collect();
        let wire = written(&messages, chunk_size);
        let mut guard = publisher();
        let mut read = Vec::new();
        for part in wire.chunks(cut) {
            read.extend(all(&mut guard, part).expect("legal"));
        }
        let seen: Vec<_> = read.iter().map(|message| {
            let (RtmpMessage::AudioData { data } | RtmpMessage::VideoData { data }) = &message.body else {
                panic!("{message:?}")
            };
            assert!(data.iter().all(|&byte| byte == data.len() as u8));
            (message.body.get_message_type_id(), message.timestamp_ms, data.len())
        }).collect();
        prop_assert_eq!(seen, messages);
    }

    /// Each message, written again as one full chunk, is what `rml_rtmp` reads.
    #[test]
    fn a_message_survives_being_written_again(length in 1..5000_usize, timestamp_ms: u32) {
        let messages = all(&mut publisher(), &written(&[(9, timestamp_ms, length)], 128)).expect("legal");
        let RtmpMessage::VideoData { data } = &messages[0].body else { panic!("{messages:?}") };
        let mut again = BytesMut::new();
        let head = Head { type_id: 9, timestamp_ms: messages[0].timestamp_ms, stream_id: 1 };
        put_message(&mut again, head, MESSAGE_MAX, &[data]);
        let mut reader = ChunkDeserializer::new();
        reader.set_max_chunk_size(MESSAGE_MAX).expect("legal");
        let read = reader.get_next_message(&again).expect("a chunk").expect("whole");
        prop_assert_eq!((read.timestamp.value, &read.data), (timestamp_ms, data));
    }

    #[test]
    fn no_bytes_make_it_panic_or_hold_more_than_its_bound(
        wire in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            (2..8_u8, 0..70_000_usize, prop::sample::select(vec![1_u8, 2, 4, 5, 8, 9, 15, 17, 18, 20]), prop::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(csid, length, type_id, data)| full(csid, 0, length, type_id, &data)),
        ], 0..20),
        media: bool,
    ) {
        let mut guard = Guard::default();
        guard.let_media_in(media);
        let wire = wire.concat();
        let mut input = &wire[..];
        while let Ok(Some(_)) = guard.next_message(&mut input) {}
        let held: usize = guard.streams.values().filter_map(|stream| stream.message.as_ref()?.data.as_ref())
            .map(BytesMut::capacity).sum();
        let limit = if media { UNFINISHED_MEDIA_MAX } else { UNFINISHED_MAX };
        prop_assert!(held <= limit, "{held}");
        prop_assert!(guard.streams.len() <= CHUNK_STREAMS_MAX && guard.header.capacity() <= 64);
    }
}

#[test]
fn a_fault_is_told_with_its_place() {
    let mut wire = full(2, 0, 4, message_type::SET_CHUNK_SIZE, &4096_u32.to_be_bytes());
    wire.extend(full(2, 0, 4, message_type::SET_CHUNK_SIZE, &[0; 4]));
    let bytes = wire.len() as u64;
    wire.extend([0; 50]);
    for cut in [1, 7, 1000] {
        let mut guard = Guard::default();
        let fault = wire.chunks(cut).find_map(|part| all(&mut guard, part).err());
        assert_eq!(fault, Some(GuardError::ChunkSize(0)));
        assert_eq!(guard.position(), ChunkPosition { bytes, messages: 1 }, "cut every {cut} bytes");
    }
}
