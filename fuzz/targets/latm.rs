//! LATM over RTP: a configuration from a description, and payloads with their markers, timestamps and gaps.

#![no_main]

use amphi_protocol::rtsp::Latm;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [flags, length, rest @ ..] = data else { return };
    let (config, mut rest) = rest.split_at(usize::from(length & 63).min(rest.len()));
    let Ok(mut latm) = Latm::new(Some(config).filter(|_| flags & 2 == 0), flags & 1 == 1) else { return };
    let mut timestamp = 0_u32;
    while let [how, length, tail @ ..] = rest {
        let (payload, after) = tail.split_at(usize::from(*length).min(tail.len()));
        timestamp = timestamp.wrapping_add(u32::from(how >> 2) << 7);
        if let Ok(Some((_, units))) = latm.push(payload, how & 1 == 1, timestamp, how & 2 == 2) {
            assert!(latm.asc().is_some());
            assert!(units.iter().all(|unit| !unit.is_empty()));
        }
        rest = after;
    }
});
