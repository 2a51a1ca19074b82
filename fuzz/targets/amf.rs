//! Commands and data in AMF0 through the guard, as complete messages in one chunk.

#![no_main]

use amphi_protocol::rtmp::Guard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, values)) = data.split_first() else { return };
    let type_id = [15, 17, 18, 20][usize::from(kind % 4)];
    // The largest chunk size, so that one chunk is enough.
    let mut wire = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 3, 0, 0, 0];
    wire.extend(&(values.len() as u32).to_be_bytes()[1..]);
    wire.extend([type_id, 0, 0, 0, 0]);
    wire.extend(values);
    let mut input = &wire[..];
    let _ = Guard::default().next_message(&mut input);
});
