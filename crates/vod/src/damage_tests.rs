//! Files with a false index are served as far as it is plausible, or not at all: nothing panics.

use proptest::prelude::*;

use super::*;
use amphi_container::isobmff::{Boxes, put_full_box};
use amphi_container::testing::{moov, put, rewritten};

proptest! {
    /// Numbers at the places where they matter most, rather than anywhere.
    #[test]
    fn absurd_numbers_never_panic(
        lies in prop::collection::vec((0..9_usize, 0..40_usize, prop::sample::select(vec![0, 1, 2, 0x7fff_ffff, 0x8000_0000, u32::MAX])), 1..6),
        elst in prop::option::of(prop::array::uniform3(any::<u64>())),
    ) {
        const KINDS: [&[u8; 4]; 9] = [b"stts", b"stsz", b"stsc", b"stco", b"stss", b"mdhd", b"mvhd", b"tkhd", b"ctts"];
        let (moov, at, len) = moov();
        let moov = Boxes::new(&moov, at).next().expect("a box").expect("sound");
        let moov = rewritten(&moov, &mut |kind, body| {
            for (which, word, value) in &lies {
                if kind == KINDS[*which] && word * 4 + 4 <= body.len() {
                    put(body, word * 4, *value);
                }
            }
            if let (b"edts", Some([duration, start, more])) = (kind, elst) {
                body.clear();
                put_full_box(body, *b"elst", 1, 0, |out| {
                    out.extend([0, 0, 0, 2]);
                    for (duration, start) in [(more, u64::MAX), (duration, start)] {
                        out.extend(duration.to_be_bytes());
                        out.extend(start.to_be_bytes());
                        out.extend([0, 1, 0, 0]);
                    }
                });
            }
        });
        let Ok(movie) = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)) else { return Ok(()) };
        let lead = movie.lead().expect("a finished movie has one");
        let all = cuts(lead, 1000);
        prop_assert!(all.len() <= lead.samples.count() as usize);
        prop_assert!(all.iter().all(|cut| cut.from < cut.to && cut.to <= lead.end));
        let recording = Recording::for_tests(movie);
        for kind in [TrackSelection::Both, TrackSelection::Picture, TrackSelection::Sound(0)] {
            for trim in [Trim::default(), Trim { start_ms: 5000, duration_ms: Some(u64::MAX) }] {
                let _ = recording.media_playlist(kind, trim);
            }
            let _ = recording.init(kind);
        }
        let _ = recording.i_frame_playlist(Trim::default());
        for cut in all.iter().take(20) {
            let _ = recording.segment(TrackSelection::Both, cut.from, cut.to);
        }
        let shown = dash::ShownRendition { recording: &recording, kind: TrackSelection::Both, trim: Trim { start_ms: 3000, duration_ms: None } };
        let _ = dash::manifest(&[shown], &[]);
    }
}
