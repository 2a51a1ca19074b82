//! Subtitles and chapters: WebVTT and SRT.

#![no_main]

use amphi::vod::cues;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = cues(&String::from_utf8_lossy(data));
});
