//! Silence at both ends of a fixture's sound.

use super::super::super::isobmff::Boxes;
use super::super::movie::Movie;
use super::super::samples::Extent;
use super::*;
use crate::testing::{edit_list, track_rewritten};

/// The sound of the fixture, 939 frames at 48 kHz of which the first is priming, with these edits.
fn sound(edits: &[(u32, i32, u16)]) -> MovieTrack {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hall_a.mp4");
    let file = std::fs::read(path).expect("a fixture");
    let mut boxes = Boxes::new(&file, 0).map(|found| found.expect("sound"));
    let moov = boxes.find(|found| found.kind == *b"moov").expect("an index");
    let edited = track_rewritten(&moov, *b"soun", &mut |kind, body| {
        if *kind == *b"edts" {
            *body = edit_list(edits);
        }
    });
    let movie = Movie::parse(&edited, moov.at, file.len() as u64).and_then(|movie| movie.finish(moov.at));
    movie.expect("it is played").audio.swap_remove(0)
}

fn frame() -> SilentFrame {
    SilentFrame { bytes: Bytes::from_static(b"silence"), samples: 1024, sample_rate: 48_000 }
}

const SECOND: i64 = 1_000_000_000;

#[test]
fn silence_is_there_before_sound_that_begins_late() {
    // Two seconds are empty; the edit begins after the priming.
    let late = sound(&[(2000, -1, 1), (20_000, 1024, 1)]);
    assert!(late.begins_late());
    let mut filled = late.clone();
    filled.begin_with(&frame());
    assert!(!filled.begins_late());
    assert_eq!((filled.begin, filled.end, filled.samples.count()), (0, 939 + 92, 939 + 92));
    // 92 whole frames fit into what is empty.
    assert_eq!([0, 1, 92, 93].map(|index| filled.shown_at(index)), [768, 1792, 94_976, 96_000]);
    assert_eq!(filled.shown_until(), late.shown_until());
    assert_eq!([0, 91].map(|index| filled.samples.size(index)), [7, 7]);
    assert_eq!(filled.samples.get(91), None);
    assert_eq!(filled.samples.get(92), late.samples.get(0));
    assert_eq!(filled.samples.extents(0, 92), []);
    assert_eq!(filled.samples.extents(90, 95), late.samples.extents(0, 3));
    assert_eq!(filled.samples.silent(90, 95), (2, 0));
    assert_eq!(filled.samples.bytes(90, 95), 14 + late.samples.bytes(0, 3));
    // An eighth of a second is what every encoder leaves.
    assert!(!sound(&[(125, -1, 1), (20_000, 0, 1)]).begins_late());
}

#[test]
fn silence_is_there_in_place_of_what_the_edit_cuts_off() {
    let short = sound(&[(5000, 1024, 1)]);
    assert!(short.ends_before(20 * SECOND) && !short.ends_before(5 * SECOND + SECOND / 10));
    let mut filled = short.clone();
    filled.end_with(&frame(), 20 * SECOND);
    assert!(!filled.ends_before(20 * SECOND));
    assert!((0..1024).contains(&(20 * 48_000 - filled.shown_until())), "{}", filled.shown_until());
    assert_eq!((filled.origin, filled.end), (short.origin, filled.samples.count()));
    let first = short.end;
    assert_eq!(filled.shown_at(first), short.shown_until());
    assert_eq!(filled.samples.extents(first - 2, first + 2), short.samples.extents(first - 2, first));
    assert_eq!(filled.samples.silent(first - 2, first + 2), (0, 2));
    assert_eq!(filled.samples.silent(first + 1, u32::MAX), (0, filled.end - first - 1));
    assert_eq!((filled.samples.size(first), filled.samples.size(filled.end)), (7, 0));
    assert!(filled.samples.is_silent(first) && !filled.samples.is_silent(first - 1));
}

#[test]
fn silence_at_both_ends_leaves_the_sound_where_it_is() {
    let heard = sound(&[(3000, -1, 1), (5000, 1024, 1)]);
    let mut filled = heard.clone();
    filled.begin_with(&frame());
    filled.end_with(&frame(), 30 * SECOND);
    let before = filled.samples.silent(0, u32::MAX).0;
    assert_eq!(before, (3 * 48_000 - 1024) / 1024);
    for index in heard.begin..heard.end {
        assert_eq!(filled.samples.get(before + index), heard.samples.get(index));
        assert_eq!(filled.shown_at(before + index), heard.shown_at(index));
    }
    let extents: Vec<Extent> = heard.samples.extents(heard.begin, heard.end);
    assert_eq!(filled.samples.extents(0, u32::MAX), extents);
    assert!((0..1024).contains(&filled.shown_at(0)));
    assert!((0..1024).contains(&(30 * 48_000 - filled.shown_until())));
    let infos: Vec<_> = filled.samples.range(0, u32::MAX).collect();
    assert!(infos.iter().all(|info| info.duration == 1024 && info.sync));
    assert_eq!(infos.iter().map(|info| u64::from(info.size)).sum::<u64>(), filled.samples.bytes(0, u32::MAX));
}

#[test]
fn a_timescale_that_cannot_say_a_frame_becomes_a_finer_one() {
    let mut late = sound(&[(2000, -1, 1), (20_000, 0, 1)]);
    // As a recorder that counts in another rate than it codes.
    late.timescale = 44_100;
    late.origin = -2 * 44_100;
    let mut filled = late.clone();
    filled.begin_with(&frame());
    assert_eq!((filled.timescale, filled.samples.duration(0)), (220_500, 4704));
    assert_eq!((filled.samples.duration(93), filled.silence.len()), (5 * 1024, 7));
    assert_eq!(filled.nanos(filled.shown_at(93)), 2 * SECOND);
    assert_eq!(filled.nanos(filled.shown_until()), late.nanos(late.shown_until()));
    assert_eq!(filled.samples.end(), late.samples.end() * 5 + 93 * 4704);
    // One that cannot be made finer.
    let mut whole = late.clone();
    (whole.timescale, whole.origin) = (4_000_000_007, -2 * 4_000_000_007);
    let count = whole.samples.count();
    whole.begin_with(&frame());
    assert_eq!((whole.timescale, whole.samples.count()), (4_000_000_007, count));
}

#[test]
fn a_track_that_says_what_is_impossible_stays_as_it_is() {
    let plain = sound(&[(20_000, 1024, 1)]);
    let mut filled = plain.clone();
    filled.begin_with(&frame());
    filled.end_with(&frame(), 0);
    // Longer than two days, and than there are numbers.
    filled.end_with(&frame(), i64::MAX);
    filled.end_with(&SilentFrame { sample_rate: 0, ..frame() }, 30 * SECOND);
    filled.end_with(&SilentFrame { samples: 0, ..frame() }, 30 * SECOND);
    assert_eq!((filled.samples.count(), filled.origin), (plain.samples.count(), plain.origin));
    assert!(!filled.samples.is_silent(0));
}
