//! A connection after its handshake: chunks and messages of a player or a publisher.

#![no_main]

use amphi_protocol::rtmp::{RtmpEvent, RtmpSession, Unpacker};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut session = RtmpSession::default();
    let mut hello = vec![7; 1 + 1536 * 2];
    hello[0] = 3;
    let mut unpacker = Unpacker::default();
    for part in [&hello[..], data] {
        let mut input = part;
        // The result must not depend on how the bytes are cut, so they are cut in two.
        let later = input.split_off(input.len() / 2..).unwrap_or_default();
        for mut input in [input, later] {
            loop {
                match session.handle(&mut input) {
                    Err(_) => return,
                    Ok(None) => break,
                    Ok(Some(RtmpEvent::Video { timestamp_ms, data })) => drop(unpacker.video(timestamp_ms, data)),
                    Ok(Some(RtmpEvent::Audio { timestamp_ms, data })) => drop(unpacker.audio(timestamp_ms, data)),
                    Ok(Some(_)) => session.accept_recorded(),
                }
                assert!(session.take_output().len() < 1 << 20);
            }
        }
    }
});
