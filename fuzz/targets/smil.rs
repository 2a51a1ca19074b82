//! SMIL playlists.

#![no_main]

use amphi_vod::Smil;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(smil) = Smil::read(data) {
        for path in smil.renditions.iter().flat_map(|it| [Some(&it.path), it.path_of_url.as_ref()]).flatten() {
            assert!(!path.split('/').any(|part| part == ".."), "{path}");
        }
    }
});
