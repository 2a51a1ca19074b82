//! Session descriptions, up to the choice of tracks.

#![no_main]

use amphi_protocol::rtsp::client::SessionDescription;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    assert!(SessionDescription::parse(data).media.len() <= 32);
    amphi_source::rehearse(data, false, []);
});
