//! The protocol of a connection from its first bytes: more bytes must not change an answer.

#![no_main]

use amphi_protocol::sniff::{SNIFF_MAX, Sniffed, sniff};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = sniff(data);
    assert!(data.len() < SNIFF_MAX || whole != Sniffed::NeedMore);
    for cut in [data.len() / 4, data.len() / 2, data.len().saturating_sub(1)] {
        let early = sniff(&data[..cut]);
        assert!(early == Sniffed::NeedMore || early == whole);
    }
});
