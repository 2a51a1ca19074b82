//! Session descriptions, up to the choice of tracks.

#![no_main]

use amphi_protocol::rtsp::client::Description;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    assert!(Description::parse(data).media.len() <= 32);
    amphi_source::rehearse(data, false, []);
});
