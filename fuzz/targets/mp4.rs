//! The index of a recording: memory and time must be bounded by the length of the file, whatever its tables claim.

#![no_main]

use amphi_container::isobmff::Boxes;
use amphi_vod::{Movie, cuts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut movie: Option<(Movie, u64)> = None;
    // As if the file went on after the data, so that samples may lie there.
    let len = data.len() as u64 + (1 << 20);
    for found in Boxes::new(data, 0) {
        let Ok(found) = found else { break };
        match (&found.kind, &mut movie) {
            (b"moov", None) => {
                let Ok(parsed) = Movie::parse(found.whole, found.at, len) else { return };
                movie = Some((parsed, found.at));
            }
            (b"moof", Some((movie, _))) => {
                if let Err(fault) = movie.add_fragment(found.whole, found.at, len) {
                    movie.leave_out_fragment(&fault);
                }
            }
            _ => {}
        }
    }
    let Some((movie, at)) = movie else { return };
    let Ok(mut movie) = movie.finish(at) else { return };
    movie.hold_pictures(6000);
    assert!(movie.memory() < 256 << 20);
    let _ = (movie.start_nanos(), movie.duration_nanos(), movie.picture_size());
    for track in movie.video.iter().chain(&movie.audio) {
        assert!(track.begin < track.end);
        let _ = track.coding.decoder_configuration();
        for index in [track.begin, track.begin + (track.end - track.begin) / 2, track.end - 1] {
            let _ = (track.shown_at(index), track.samples.is_sync(index));
            for extent in track.samples.extents(index, index + 1) {
                assert!(extent.offset + extent.len <= len, "a sample outside of the file");
            }
        }
        for cut in cuts(track, 6000).into_iter().take(100) {
            assert!(cut.from < cut.to && cut.to <= track.end);
        }
    }
});
