//! A connection after its handshake: chunks and messages of a player or a publisher. The first byte says how it is answered and
//! how the bytes are cut.

#![no_main]

use amphi_protocol::rtmp::{RtmpEvent, RtmpSession, Unpacker, shows_key};
use libfuzzer_sys::fuzz_target;

fn answer(session: &mut RtmpSession, how: u8, event: &RtmpEvent) {
    match event {
        // Nothing follows a connection that is refused.
        RtmpEvent::Connect { .. } if how & 4 == 0 => session.accept(),
        _ if how & 3 == 0 => session.accept_recorded(),
        _ if how & 3 == 1 => session.accept(),
        _ if how & 3 == 2 => session.deny("not you"),
        _ => session.reject("not now"),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    let mut session = RtmpSession::default();
    let mut wire = vec![7; 1 + 1536 * 2];
    wire[0] = 3;
    wire.extend(data);
    let mut unpacker = Unpacker::default();
    // The result must not depend on how the bytes are cut.
    let pieces = if first & 8 == 0 { wire.len() / 2 + 1 } else { 7 };
    for mut input in wire.chunks(pieces) {
        loop {
            match session.handle(&mut input) {
                Err(error) => {
                    assert!(!error.to_string().is_empty() && !session.position().to_string().is_empty());
                    return;
                }
                Ok(None) => break,
                Ok(Some(RtmpEvent::Video { timestamp_ms, data })) => drop(unpacker.video(timestamp_ms, data)),
                Ok(Some(RtmpEvent::Audio { timestamp_ms, data })) => drop(unpacker.audio(timestamp_ms, data)),
                Ok(Some(event)) => {
                    // Nothing of a query is shown.
                    let shown = format!("{event:?}");
                    if let RtmpEvent::Publish { stream, query } = &event {
                        let key = query.get("key").unwrap_or_default();
                        assert!(key.is_empty() || shows_key(query.reveal(), &stream.to_string(), &key));
                    }
                    assert!(!shown.is_empty());
                    answer(&mut session, first, &event);
                }
            }
            assert!(session.take_output().len() < 1 << 20);
        }
    }
    let _ = (session.has_more(), session.has_shaken_hands(), session.buffer_ms(), session.left_out());
    session.finish_recorded(60.0);
    session.end_recorded("gone");
    session.finish();
    session.end_publishing("gone");
});
