//! Paths of HLS and DASH, and names of files of recordings.

#![no_main]

use amphi::delivery::route;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(path) = std::str::from_utf8(data) else { return };
    let _ = route::parse(path);
    let _ = amphi::vod::parse_file(path);
});
