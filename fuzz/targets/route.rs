//! Paths of HLS and DASH, and file names of recordings.

#![no_main]

use amphi::delivery::{address, route};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(path) = std::str::from_utf8(data) else { return };
    let _ = route::parse(path, |_| false);
    let _ = route::parse(path, |_| true);
    let _ = address::parse(path, |_| true);
    let _ = amphi_vod::parse_file(path);
});
