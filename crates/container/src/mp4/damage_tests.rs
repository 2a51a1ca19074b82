//! Damaged files: reading each of them fails in bounded time and memory, with a fault that names the box and its position.

use super::super::isobmff::{BoxFault, Boxes, put_box, put_full_box};
use super::*;
use crate::testing::{moov, put, rewritten, text_track};

/// The fixture's index after `edit` has changed the content of every box of type `kind`.
fn with(kind: [u8; 4], edit: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let (moov, at, _) = moov();
    let moov = Boxes::new(&moov, at).next().expect("a box").expect("sound");
    rewritten(&moov, &mut |found, body| {
        if *found == kind {
            edit(body);
        }
    })
}

fn read(moov: &[u8]) -> Result<Movie, BoxFault> {
    let (_, at, len) = self::moov();
    Movie::parse(moov, at, len).and_then(|movie| movie.finish(at))
}

/// Position of the first box of that type in the file.
fn place(moov: &[u8], kind: [u8; 4]) -> u64 {
    let (_, at, _) = self::moov();
    at + moov.windows(4).position(|window| *window == kind).expect("there") as u64 - 4
}

#[test]
fn every_lie_is_named_with_its_box_and_place() {
    let sized = |kind: &[u8; 4], size: u32| {
        let (mut moov, ..) = moov();
        let at = moov.windows(4).position(|window| window == kind).expect("there") - 4;
        put(&mut moov, at, size);
        moov
    };
    let nested = (0..10_000).fold(Vec::new(), |inner, _| {
        let mut out = Vec::with_capacity(inner.len() + 8);
        put_box(&mut out, *b"moov", |out| out.extend(inner));
        out
    });
    // What is wrong with the tables of both tracks, and whether the samples before the damage are played.
    for (what, moov, kind, fault, is_played) in [
        (
            "a box that is cut off",
            sized(b"stbl", 1 << 20),
            b"stbl",
            "it reaches beyond the end of the box around it",
            true,
        ),
        ("a size that lies", sized(b"stts", 4), b"stts", "it says a size smaller than its own header", true),
        (
            "no table of samples",
            with(*b"stbl", Vec::clear),
            b"stsd",
            "it is missing in the box at this byte",
            false,
        ),
        (
            "fewer sizes",
            with(*b"stsz", |body| body.truncate(40)),
            b"stsz",
            "it has fewer sizes than it says",
            true,
        ),
        (
            "fewer chunks",
            with(*b"stco", |body| body.truncate(40)),
            b"stco",
            "it has fewer chunks than the samples need",
            true,
        ),
        (
            "empty chunks",
            with(*b"stsc", |body| put(body, 12, 0)),
            b"stsc",
            "its chunks hold no samples",
            // Later chunks of the sound do.
            true,
        ),
        (
            "samples beyond the end",
            with(*b"stco", |body| put(body, 8, u32::MAX - 9)),
            b"stco",
            "a sample lies beyond the end of the file: it is not finished",
            false,
        ),
        (
            "samples beyond the end, later",
            with(*b"stco", |body| put(body, 20, u32::MAX - 9)),
            b"stco",
            "a sample lies beyond the end of the file: it is not finished",
            true,
        ),
        (
            "a billion samples",
            with(*b"stsz", |body| {
                put(body, 4, 1);
                put(body, 8, 1_000_000_000);
            }),
            b"stsz",
            "it says more samples than any recording has",
            false,
        ),
        (
            "sizes of seven bits",
            with(*b"stbl", |body| {
                let at = body.windows(4).position(|window| window == b"stsz").expect("there");
                body[at..at + 4].copy_from_slice(b"stz2");
                put(body, at + 8, 7);
            }),
            b"stz2",
            "its sizes have neither 4, 8 nor 16 bits",
            false,
        ),
    ] {
        let (said, count) = match read(&moov) {
            Ok(movie) => {
                let parts: Vec<String> = movie.left_out.iter().map(ToString::to_string).collect();
                (parts.join("; "), movie.lead().expect("one is played").samples.count())
            }
            Err(fault) => (fault.to_string(), 0),
        };
        // A missing box is reported at the position of the box that should contain it.
        let holder = if fault.starts_with("it is missing") { b"stbl" } else { kind };
        let at = place(&moov, *holder);
        let expected = format!("box {} at byte {at}: {fault}", String::from_utf8_lossy(kind));
        assert!(said.contains(&expected), "{what}: {said}, not {expected}");
        assert_eq!(count > 0, is_played, "{what}: {count} samples");
        assert!(is_played || said.starts_with("box moov at byte"), "{what}: {said}");
    }
    let said = read(&nested).expect_err("no track").to_string();
    assert!(said.ends_with("it has no track of pictures or sound"), "{said}");
}

#[test]
fn without_a_timescale_a_track_has_the_movies() {
    for (kind, timescale) in [(*b"mdhd", 1000), (*b"mvhd", 15_360)] {
        let movie = read(&with(kind, |body| put(body, 12, 0))).expect("as other players");
        assert_eq!(movie.lead().expect("a picture").timescale, timescale);
    }
}

#[test]
fn what_never_ends_is_refused_before_it_takes_time_or_memory() {
    // Two thousand centuries, in samples of 136 years each.
    let mut moov = with(*b"mdhd", |body| put(body, 12, 1));
    let at = moov.windows(4).position(|window| window == b"stts").expect("there") + 12;
    put(&mut moov, at + 4, u32::MAX / 2);
    let movie = read(&moov).expect("the sound is played");
    assert!(movie.video.is_none() && movie.audio.len() == 1);
    assert!(movie.left_out[0].reason.ends_with("it says that it lasts longer than any recording"));

    // Four billion samples in a few bytes, of an unknown track.
    let mut moof = Vec::new();
    put_box(&mut moof, *b"moof", |out| {
        put_box(out, *b"traf", |out| {
            put_full_box(out, *b"tfhd", 0, 0, |out| out.extend([0, 0, 0, 99]));
            put_full_box(out, *b"trun", 0, 0, |out| out.extend([0xff; 4]));
        });
    });
    let (moov, at, len) = self::moov();
    let mut movie = Movie::parse(&moov, at, len).expect("sound");
    let fault = movie.add_fragment(&moof, 5000, len).expect_err("a lie").to_string();
    assert_eq!(fault, "box trun at byte 5032: it brings more samples than any recording has");

    // A chapter whose title is the whole file.
    let chapters = text_track(TextCoding::TimedText, &vec![u32::MAX; 100_000]);
    assert!(chapters.extents().iter().map(|extent| extent.len).sum::<u64>() < 5 << 20);
    assert!(chapters_of(&chapters, &vec![0xff; 5 << 20]).is_empty());
}

#[test]
fn a_budget_is_for_all_tracks_of_a_file() {
    let mut budget = SampleBudget::default();
    assert!(budget.take(40_000_000) && !budget.take(40_000_000) && budget.take(1000));
}

#[test]
fn tables_that_are_short_of_times_are_read_with_the_last_one() {
    let movie = read(&with(*b"stts", |body| put(body, 8, 1))).expect("players go on, and so do we");
    assert_eq!(movie.lead().expect("pictures").samples.count(), 300);
}
