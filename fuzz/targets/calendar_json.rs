//! Opencast's `calendar.json`.

#![no_main]

use amphi_control::schedule::calendar_json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = calendar_json::parse(&String::from_utf8_lossy(data));
});
