//! SMIL playlists.

#![no_main]

use amphi_vod::Smil;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(smil) = Smil::parse(text) {
        for rendition in &smil.renditions {
            assert!(!rendition.path.split('/').any(|part| part == ".."), "{}", rendition.path);
        }
    }
});
