//! Picture and sound messages of a publisher, in the legacy and the enhanced form.

#![no_main]

use amphi_protocol::rtmp::Unpacker;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut unpacker = Unpacker::default();
    let mut rest = data;
    let mut time = 0_u32;
    while let [kind, high, low, tail @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(tail.len());
        let (tag, after) = tail.split_at(length);
        time = time.wrapping_add(u32::from(*kind) << 3);
        let tag = Bytes::copy_from_slice(tag);
        let frame = if kind & 1 == 0 { unpacker.video(time, tag) } else { unpacker.audio(time, tag) };
        match frame {
            Ok(frame) => assert!(frame.is_none_or(|frame| !frame.data.is_empty())),
            Err(wrong) => {
                assert!(!wrong.to_string().is_empty());
                let _ = (wrong.track(), wrong.loses_a_picture(), wrong.is_harmless());
            }
        }
        rest = after;
    }
});
