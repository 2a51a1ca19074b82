//! Files as recorders, editors and phones write them: each is made of a fixture by editing boxes, or of fragments.

use proptest::prelude::*;

use super::super::fmp4::layout::{TrackPart, init_of, layout};
use super::super::fmp4::{FragmentSample, TrackFragment, fragment_head};
use super::super::isobmff::{Boxes, put_box, put_full_box};
use super::*;
use crate::testing::{edit_list, moov, put, track_rewritten};

const PICTURE: [u8; 4] = *b"vide";
const SOUND: [u8; 4] = *b"soun";

/// The fixture after `edit` has changed the boxes of type `kind` of its pictures or sound.
fn edited(moov: &[u8], handler: [u8; 4], kind: [u8; 4], edit: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let moov = Boxes::new(moov, 0).next().expect("a box").expect("sound");
    track_rewritten(&moov, handler, &mut |found, body| {
        if *found == kind {
            edit(body);
        }
    })
}

fn with(handler: [u8; 4], kind: [u8; 4], edit: impl Fn(&mut Vec<u8>)) -> Movie {
    read(&edited(&moov().0, handler, kind, edit))
}

fn read(moov: &[u8]) -> Movie {
    let (_, at, len) = self::moov();
    Movie::parse(moov, at, len).and_then(|movie| movie.finish(at)).expect("something is played")
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// When each picture is shown, in milliseconds.
fn shown(movie: &Movie) -> Vec<i64> {
    let video = movie.video.as_ref().expect("a picture");
    (video.begin..video.end).map(|index| video.nanos(video.shown_at(index)) / 1_000_000).collect()
}

fn reasons(movie: &Movie) -> String {
    movie.left_out.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_negative_duration_sets_the_clock_back_a_little() {
    let tick = 1024;
    let movie = with(PICTURE, *b"stts", |body| {
        *body = words(&[0, 3, 60, tick, 1, -512_i32 as u32, 239, tick]);
    });
    let video = movie.video.as_ref().expect("a picture");
    assert_eq!((video.end, video.timescale), (300, 15_360));
    assert_eq!(video.samples.duration(60), 1, "as ffprobe says it");
    assert_eq!(video.samples.duration(61), tick - 2);
    let end = movie.duration_nanos() / 1_000_000;
    assert!((19_800..20_100).contains(&end), "{end} ms");
    assert!(movie.left_out.is_empty());
}

#[test]
fn a_table_of_sync_samples_without_entries_means_all() {
    let movie = with(PICTURE, *b"stss", |body| *body = words(&[0, 0]));
    let video = movie.video.as_ref().expect("it is no reason to lose the picture");
    assert_eq!((video.samples.sync_count(), video.end), (300, 300));
    assert!(
        reasons(&movie).contains("track 1 (picture): box stss: no sample is marked"),
        "{}",
        reasons(&movie)
    );
}

#[test]
fn sync_samples_are_those_of_the_track_in_any_order() {
    let plain = read(&moov().0);
    let plain = plain.video.as_ref().expect("a picture");
    let said: Vec<u32> = plain.samples.range(0, plain.end).map(|sample| u32::from(sample.sync)).collect();
    let numbers: Vec<u32> = (1..).zip(said).filter(|(_, sync)| *sync > 0).map(|(number, _)| number).collect();
    let backwards: Vec<u32> = numbers.iter().rev().copied().collect();
    for entries in [
        [&[0][..], &numbers].concat(),
        backwards.clone(),
        [&numbers[..], &numbers].concat(),
        [&[301, u32::MAX, 0][..], &backwards, &backwards].concat(),
    ] {
        let movie = with(PICTURE, *b"stss", |body| {
            *body = words(&[&[0, entries.len() as u32][..], &entries].concat());
        });
        let video = movie.video.as_ref().expect("a picture");
        let found: Vec<u32> =
            (0..).map_while(|place| video.samples.sync(place)).map(|index| index + 1).collect();
        assert_eq!((found, video.begin, video.end), (numbers.clone(), plain.begin, plain.end));
    }
}

#[test]
fn the_sample_before_one_without_bytes_lasts_longer() {
    let plain = read(&moov().0);
    let empty = |handler, indexes: &[usize]| {
        with(handler, *b"stsz", |body| indexes.iter().for_each(|index| put(body, 12 + 4 * index, 0)))
    };
    let movie = empty(PICTURE, &[60, 299]);
    let (video, before) = (movie.video.as_ref().expect("there"), plain.video.as_ref().expect("there"));
    let tick = before.samples.duration(0);
    assert_eq!((video.samples.count(), video.samples.end()), (298, before.samples.end()));
    assert_eq!([58, 59, 60, 297].map(|index| video.samples.duration(index) / tick), [1, 2, 1, 2]);
    assert_eq!(video.samples.decode_time(60), before.samples.decode_time(61));
    // Where the first one has no bytes, the track begins with the second.
    let movie = empty(SOUND, &[0, 150, 151, 152]);
    let (sound, before) = (&movie.audio[0].samples, &plain.audio[0].samples);
    assert_eq!((sound.count(), sound.end()), (before.count() - 4, before.end()));
    assert_eq!(
        [0, 148, 149].map(|index| sound.decode_time(index)),
        [1, 149, 153].map(|index| before.decode_time(index))
    );
    assert!((0..sound.count()).all(|index| sound.size(index) > 0));
}

#[test]
fn a_sample_of_a_fragment_without_bytes_makes_the_one_before_longer() {
    let movie = fragmented_with(&[0, 10_240, 15_360], |index| if index % 4 == 3 { 0 } else { 100 });
    let video = movie.video.as_ref().expect("a picture");
    assert_eq!((video.samples.count(), video.samples.duration(2)), (24, 2048));
    assert_eq!(video.samples.decode_time(8), 10_240);
    assert!((0..video.end).all(|index| video.samples.size(index) > 0));
}

#[test]
fn any_frame_of_sound_can_be_decoded_from() {
    for entries in [vec![0, 0], vec![0, 1, 1]] {
        let movie = with(SOUND, *b"stbl", |body| {
            put_box(body, *b"stss", |out| out.extend(words(&entries)));
        });
        let sound = movie.audio.first().expect("sound");
        assert!(sound.samples.all_sync() && movie.left_out.is_empty());
    }
}

#[test]
fn equal_descriptions_are_one() {
    for handler in [PICTURE, SOUND] {
        let twice = edited(&moov().0, handler, *b"stsd", |body| {
            let entry = body[8..].to_vec();
            body.extend(entry);
            put(body, 4, 2);
        });
        let movie = read(&edited(&twice, handler, *b"stsc", |body| put(body, 16, 2)));
        let plain = read(&moov().0);
        assert_eq!(reasons(&movie), "");
        for (ours, theirs) in
            [(&movie.video, &plain.video), (&movie.audio.first().cloned(), &plain.audio.first().cloned())]
        {
            let (ours, theirs) = (ours.as_ref().expect("there"), theirs.as_ref().expect("there"));
            assert_eq!((ours.end, &ours.coding), (theirs.end, &theirs.coding));
        }
    }
}

#[test]
fn of_different_descriptions_that_of_most_samples_is_played() {
    // The first chunks are of another size, as when a camera was turned.
    let two = edited(&moov().0, PICTURE, *b"stsd", |body| {
        let mut entry = body[8..].to_vec();
        entry[8 + 24] = 9;
        body.splice(8..8, entry);
        put(body, 4, 2);
    });
    let movie = read(&edited(&two, PICTURE, *b"stsc", |body| {
        let per_chunk = u32::from_be_bytes([body[12], body[13], body[14], body[15]]);
        assert_eq!(per_chunk, 1, "of the fixture");
        *body = words(&[0, 2, 1, 1, 1, 31, 1, 2]);
    }));
    let video = movie.video.as_ref().expect("a picture");
    assert_eq!((video.end, movie.picture_size()), (270, Some((1280, 720))));
    assert_eq!(shown(&movie)[0], 2000, "at its time");
    assert!(reasons(&movie).contains("30 samples have another sample description"), "{}", reasons(&movie));
}

#[test]
fn compact_sizes_are_sizes() {
    let plain = read(&moov().0);
    let sizes =
        |track: &MovieTrack| (0..track.end).map(|index| track.samples.size(index)).collect::<Vec<_>>();
    let sound = plain.audio.first().expect("sound");
    for bits in [4_u32, 8, 16] {
        let expected: Vec<u32> = sizes(sound).iter().map(|size| (size & ((1 << bits) - 1)).max(1)).collect();
        let moov = edited(&moov().0, SOUND, *b"stbl", |body| {
            let at = body.windows(4).position(|window| window == b"stsz").expect("there");
            body[at..at + 4].copy_from_slice(b"free");
            put_full_box(body, *b"stz2", 0, 0, |out| {
                out.extend(words(&[bits, expected.len() as u32]));
                match bits {
                    4 => out
                        .extend(expected.chunks(2).map(|two| (two[0] << 4 | two.get(1).unwrap_or(&0)) as u8)),
                    8 => out.extend(expected.iter().map(|size| *size as u8)),
                    _ => out.extend(expected.iter().flat_map(|size| (*size as u16).to_be_bytes())),
                }
            });
        });
        let movie = read(&moov);
        assert_eq!(sizes(movie.audio.first().expect("sound")), expected, "{bits} bits");
        assert_eq!(reasons(&movie), "");
    }
}

/// The fixture with another track whose handler and content are these.
fn beside(handler: [u8; 4], minf: &[u8]) -> Vec<u8> {
    let mut moov = moov().0;
    put_box(&mut moov, *b"trak", |out| {
        put_full_box(out, *b"tkhd", 0, 3, |out| out.extend([&words(&[0, 0, 9])[..], &[0; 68]].concat()));
        put_box(out, *b"mdia", |out| {
            put_full_box(out, *b"mdhd", 0, 0, |out| out.extend(words(&[0, 0, 1000, 1000, 0x55c4_0000])));
            put_full_box(out, *b"hdlr", 0, 0, |out| out.extend([&[0; 4], &handler[..], &[0; 13]].concat()));
            put_box(out, *b"minf", |out| out.extend(minf));
        });
    });
    let len = moov.len() as u32;
    put(&mut moov, 0, len);
    moov
}

#[test]
fn a_fault_belongs_to_its_track() {
    for (handler, said) in [
        (*b"sbtl", ""),
        (*b"text", ""),
        (*b"tmcd", ""),
        (*b"soun", "track 9 (sound): box stbl at byte"),
        (*b"vide", "track 9 (picture): box stbl at byte"),
    ] {
        let movie = read(&beside(handler, &[]));
        assert!(movie.video.is_some() && movie.audio.len() == 1);
        assert!(reasons(&movie).starts_with(said) && reasons(&movie).is_empty() == said.is_empty());
    }
}

#[test]
fn what_is_not_played_is_said_with_its_coding() {
    let unknown = |moov: &[u8], handler, name: &[u8; 4]| {
        edited(moov, handler, *b"stsd", |body| body[12..16].copy_from_slice(name))
    };
    let movie = read(&unknown(&moov().0, PICTURE, b"drac"));
    assert!(movie.video.is_none() && movie.audio.len() == 1);
    assert!(reasons(&movie).starts_with("track 1 (picture): ") && reasons(&movie).contains("drac"));
    let neither = unknown(&unknown(&moov().0, PICTURE, b"drac"), SOUND, b"Qclp");
    let fault = Movie::parse(&neither, 7, u64::MAX).expect_err("nothing is left").to_string();
    assert!(fault.starts_with("box moov at byte 7: no track can be played: track 1 (picture): "), "{fault}");
    assert!(
        fault.contains("drac") && fault.contains("track 2 (sound): ") && fault.contains("Qclp"),
        "{fault}"
    );
}

#[test]
fn enabled_tracks_go_before_others_and_say_their_names() {
    let moov = self::moov().0;
    let whole = Boxes::new(&moov, 0).next().expect("a box").expect("sound");
    let traks: Vec<_> = whole.children(0).flatten().filter(|child| child.kind == *b"trak").collect();
    // A second sound, enabled, beside the first, which is not.
    let mut second = traks[1].whole.to_vec();
    let tkhd = second.windows(4).position(|window| window == b"tkhd").expect("there") + 4;
    second[tkhd + 15] = 7;
    put_box(&mut second, *b"udta", |out| put_box(out, *b"name", |out| out.extend(b"Commentary")));
    let len = second.len() as u32;
    put(&mut second, 0, len);
    let mut both = edited(&moov, SOUND, *b"tkhd", |body| body[3] &= !1);
    both.extend(second);
    let len = both.len() as u32;
    put(&mut both, 0, len);
    let movie = read(&both);
    let ids: Vec<u32> = movie.audio.iter().map(|track| track.id).collect();
    assert_eq!(ids, [7, 2]);
    assert_eq!(movie.audio[0].label.name.as_deref(), Some("Commentary"));
    assert_eq!(movie.audio[1].label.name, None, "its writer's name says nothing");
    // Nobody expects to see what a chapter list shows.
    let mut cover = edited(&moov, PICTURE, *b"trak", |body| {
        put_box(body, *b"tref", |out| put_box(out, *b"chap", |out| out.extend(words(&[8]))));
    });
    let mut chapter = traks[0].whole.to_vec();
    let tkhd = chapter.windows(4).position(|window| window == b"tkhd").expect("there") + 4;
    chapter[tkhd + 15] = 8;
    cover.extend(chapter);
    let len = cover.len() as u32;
    put(&mut cover, 0, len);
    assert_eq!(reasons(&read(&cover)), "");
}

/// A movie of fragments with 10 pictures a second in groups of 10, each fragment at the time that it is given.
fn fragmented(times: &[u64]) -> Movie {
    fragmented_with(times, |_| 100)
}

fn fragmented_with(times: &[u64], size: impl Fn(u32) -> u32) -> Movie {
    const DURATION: u32 = 1024;
    let (progressive, at, _) = moov();
    let mut moov = progressive.clone();
    put_box(&mut moov, *b"mvex", |out| {
        put_full_box(out, *b"trex", 0, 0, |out| out.extend(words(&[1, 1, 0, 0, 0])));
    });
    let len = moov.len() as u32;
    put(&mut moov, 0, len);
    let moov = edited(&moov, PICTURE, *b"stbl", |body| {
        let stsd = Boxes::new(body, 0).flatten().find(|found| found.kind == *b"stsd").expect("there");
        let mut out = stsd.whole.to_vec();
        for table in [b"stts", b"stsc", b"stco"] {
            put_full_box(&mut out, *table, 0, 0, |out| out.extend(words(&[0])));
        }
        put_full_box(&mut out, *b"stsz", 0, 0, |out| out.extend(words(&[0, 0])));
        *body = out;
    });
    let moov = edited(&moov, PICTURE, *b"mdhd", |body| put(body, 12, 10_240));
    let moov = edited(&moov, PICTURE, *b"edts", |body| *body = edit_list(&[(0, 0, 1)]));
    let mut movie = Movie::parse(&moov, at, 1 << 30).expect("sound");
    for (number, time) in (0..).zip(times) {
        let sample = |index| FragmentSample {
            size: size(index),
            duration: DURATION,
            composition_offset: 0,
            sync: index == 0,
        };
        let track = TrackFragment::new(1, *time, (0..10).map(sample));
        let head = fragment_head(number, [track].iter());
        movie.add_fragment(&head, 1000 + u64::from(number) * 2000, 1 << 30).expect("sound");
    }
    movie.finish(at).expect("pictures")
}

#[test]
fn a_fragment_begins_when_it_says() {
    let second = 10_240;
    // The third is two seconds late, the fourth a little early: the last picture before each lasts as long as it takes.
    let movie = fragmented(&[0, second, 4 * second, 5 * second - 100]);
    let video = movie.video.as_ref().expect("a picture");
    let times = shown(&movie);
    assert_eq!((times[0], times[10], times[19], times[20], times[30]), (0, 1000, 1900, 4000, 4990));
    assert_eq!(video.samples.duration(19), 1024 + 2 * second as u32);
    assert_eq!(video.samples.duration(29), 1024 - 100);
    assert_eq!(reasons(&movie), "");
    // Sums of durations are the times, as players add them up within a segment.
    let mut sum = 0;
    for index in 0..video.end {
        assert_eq!(video.samples.decode_time(index), sum);
        sum += u64::from(video.samples.duration(index));
    }
}

#[test]
fn times_that_begin_late_begin_at_zero() {
    let times = shown(&fragmented(&[1 << 40, (1 << 40) + 20_480]));
    assert_eq!((times[0], times[10]), (0, 2000));
}

#[test]
fn what_is_there_twice_is_shown_once() {
    let second = 10_240;
    // As ffmpeg does: half a second is there again, and is decoded only.
    let movie = fragmented(&[0, second, 2 * second - second / 2, 3 * second]);
    let times = shown(&movie);
    assert_eq!(times[19], 1900);
    assert!(times[20..25].iter().all(|time| *time == 2000), "a tick each: {times:?}");
    assert_eq!((times[25], times[26], times[30]), (2000, 2100, 3000));
    assert!(times.is_sorted());
    assert!(reasons(&movie).contains("the times of 1 fragments go back"), "{}", reasons(&movie));
}

#[test]
fn a_recorder_that_begins_again_goes_on() {
    let second = 10_240;
    let movie = fragmented(&[20 * second, 21 * second, 0, second, 3 * second]);
    let times = shown(&movie);
    assert_eq!((times[19], times[20], times[30], times[40]), (1900, 2000, 3000, 5000));
    assert!(reasons(&movie).contains("go back"), "{}", reasons(&movie));
}

/// Which pictures an edit list shows, and when, in milliseconds: those of the fixture, 15 a second.
fn expected(edits: &[(u32, i32, u16)]) -> Vec<i64> {
    let (mut at, mut out) = (0, Vec::new());
    for &(duration, media_time, rate) in edits {
        let (duration, start) = (i64::from(duration), i64::from(media_time) * 1000 / 15_360);
        if media_time >= 0 && rate == 0 {
            out.push(at);
        } else if media_time >= 0 {
            let first = (start * 15).div_euclid(1000);
            for picture in first..300 {
                let time = picture * 1000 / 15;
                if time < start + duration {
                    out.push(at + (time - start).max(0));
                }
            }
        }
        at += duration;
    }
    out
}

fn with_edits(edits: &[(u32, i32, u16)]) -> Movie {
    with(PICTURE, *b"edts", |body| *body = edit_list(edits))
}

#[test]
fn a_part_that_is_cut_out_is_not_shown() {
    // Seconds 0 to 4, and 10 to the end: both begin at sync samples.
    let movie = with_edits(&[(4000, 0, 1), (10_000, 10 * 15_360, 1)]);
    assert_eq!(reasons(&movie), "");
    let times = shown(&movie);
    assert_eq!(times.len(), 60 + 150);
    assert_eq!((times[59], times[60], times[209]), (3933, 4000, 13_933));
    let video = movie.video.as_ref().expect("a picture");
    assert_eq!(video.nanos(video.shown_until()) / 1_000_000, 14_000);
    // Something empty in the middle: the picture before it stays.
    let movie = with_edits(&[(4000, 0, 1), (2000, -1, 1), (4000, 10 * 15_360, 1)]);
    let times = shown(&movie);
    assert_eq!((times.len(), times[59], times[60]), (120, 3933, 6000));
    // A picture that dwells.
    let movie = with_edits(&[(2000, 0, 1), (3000, 2 * 15_360, 0), (2000, 4 * 15_360, 1)]);
    let times = shown(&movie);
    assert_eq!((times.len(), times[30], times[31], times[60]), (61, 2000, 5000, 6933));
}

#[test]
fn pictures_before_a_cut_between_sync_samples_are_shown_for_next_to_nothing() {
    let movie = with_edits(&[(5000, 3 * 15_360, 1)]);
    let video = movie.video.as_ref().expect("a picture");
    assert!(video.samples.is_sync(video.begin), "decoding begins there");
    let times = shown(&movie);
    assert_eq!(times.len(), 15 + 75);
    assert!(times[..16].iter().all(|time| *time == 0), "{times:?}");
    assert_eq!((times[16], times[89]), (66, 4933));
    assert!(reasons(&movie).contains("the 15 pictures that it cuts out"), "{}", reasons(&movie));
    // Sound stays with it.
    let sound = movie.audio.first().expect("sound");
    assert_eq!(sound.nanos(sound.shown_at(1)), 0);
}

proptest! {
    #[test]
    fn every_picture_of_an_edit_is_shown_at_its_time(
        edits in prop::collection::vec((prop::sample::select(vec![200_u32, 1000, 2000, 2333, 5000]), prop::sample::select(vec![-1, 0, 15_360, 30_720, 46_080, 31_000, 100_000, 153_600]), prop::sample::select(vec![1_u16, 1, 1, 0])), 1..6),
    ) {
        prop_assume!(edits.iter().any(|(_, start, _)| *start >= 0));
        let movie = with_edits(&edits);
        let video = movie.video.as_ref().expect("a picture");
        let times = shown(&movie);
        let mut sorted = times.clone();
        sorted.sort_unstable();
        for wanted in expected(&edits) {
            let near = sorted.partition_point(|time| *time < wanted - 1);
            let found = sorted.get(near).is_some_and(|time| (time - wanted).abs() <= 1);
            prop_assert!(found, "nothing is shown at {}: {:?}", wanted, sorted);
        }
        let mut sum = 0;
        for index in 0..video.samples.count() {
            prop_assert_eq!(video.samples.decode_time(index), sum);
            sum += u64::from(video.samples.duration(index));
        }
        prop_assert!(video.samples.is_sync(video.begin));
    }

    #[test]
    fn fragments_are_shown_when_they_say(gaps in prop::collection::vec(0..30_000_u64, 1..12)) {
        let mut at = 0;
        let times: Vec<u64> = gaps.iter().map(|gap| { let now = at; at += 10_240 + gap; now }).collect();
        let shown = shown(&fragmented(&times));
        for (index, time) in times.iter().enumerate() {
            for picture in 0..10 {
                let wanted = (time - times[0] + picture * 1024) * 1000 / 10_240;
                prop_assert_eq!(shown[index * 10 + picture as usize], wanted as i64);
            }
        }
    }
}

#[test]
fn the_last_picture_is_held_as_long_as_there_is_sound() {
    let movie = with(PICTURE, *b"stsz", |body| put(body, 8, 75));
    let mut held = movie.clone();
    held.hold_pictures(4000);
    let video = held.video.as_ref().expect("a picture");
    // Sound goes on for 15 s: at 5 s, 8, 12 and 16 are the 15 pictures of the last group.
    assert_eq!(video.end, 75 + 4 * 15);
    let syncs = (0..video.samples.sync_count()).filter_map(|place| video.samples.sync(place));
    let syncs: Vec<i64> = syncs.map(|index| video.nanos(video.shown_at(index)) / 1_000_000).collect();
    assert_eq!(syncs, [0, 2000, 4000, 5000, 8000, 12_000, 16_000]);
    let (before, after) = (shown(&movie), shown(&held));
    assert_eq!(after[..75], before[..]);
    assert!((4990..5010).contains(&after[75]) && (4990..5010).contains(&after[89]), "{after:?}");
    assert!(video.samples.is_sync(75) && video.samples.sync_count() == 3 + 4);
    assert_eq!(held.duration_nanos() / 1_000_000, movie.duration_nanos() / 1_000_000);
    assert_eq!(video.nanos(video.shown_until()) / 1_000_000, movie.duration_nanos() / 1_000_000);
    let sound = held.audio.first().expect("sound");
    assert_eq!(sound.end, movie.audio.first().expect("sound").end, "of which nothing changes");
}

#[test]
fn the_first_picture_is_there_from_the_beginning() {
    let late = |ms: u32| {
        let mut movie = with_edits(&[(ms, -1, 1), (20_000, 0, 1)]);
        movie.hold_pictures(6000);
        movie
    };
    let movie = late(5000);
    assert_eq!((shown(&movie)[0], movie.video.as_ref().map(|video| video.early)), (5000, Some(5 * 15_360)));
    let movie = late(60_000);
    let times = shown(&movie);
    assert_eq!((times[0], times[9], times[10], times.len()), (0, 54_000, 60_000, 310));
    let video = movie.video.as_ref().expect("a picture");
    assert!((0..11).all(|index| video.samples.is_sync(index)) && video.early == 0);
}

/// When each picture of a segment of its own is shown, in milliseconds: as a player reads it.
fn shown_alone(movie: &Movie, from: u32, to: u32) -> Vec<i64> {
    let video = movie.video.as_ref().expect("a picture");
    let init = init_of(&[video]);
    let moov = Boxes::new(&init, 0).map(|found| found.expect("sound")).find(|found| found.kind == *b"moov");
    let moov = moov.expect("an index");
    let mut read = Movie::parse(moov.whole, moov.at, u64::MAX).expect("it is played");
    let segment = layout(&[TrackPart { track: video, from, to }], 1).head;
    read.add_fragment(&segment, 1 << 20, u64::MAX).expect("sound");
    // Media time counts from the first sample.
    let read = read.video.as_ref().expect("a picture");
    (0..read.samples.count()).map(|index| read.nanos(read.shown_at(index)) / 1_000_000).collect()
}

/// The fixture with these composition offsets, each for so many pictures, and these edits of its picture.
fn with_compositions(rows: &[[u32; 2]], edits: &[(u32, i32, u16)]) -> Movie {
    let with_edits = edited(&moov().0, PICTURE, *b"edts", |body| *body = edit_list(edits));
    read(&edited(&with_edits, PICTURE, *b"stbl", |body| {
        let rows = words(&rows.concat());
        put_full_box(body, *b"ctts", 0, 0, |out| {
            out.extend((rows.len() as u32 / 8).to_be_bytes());
            out.extend(rows);
        });
    }))
}

#[test]
fn pictures_that_are_all_shown_later_than_they_are_decoded_are_late() {
    let mut movie = with_compositions(&[[300, 15_360]], &[(20_000, 0, 1)]);
    // The edit ends after 20 s of media, of which the first is empty.
    assert_eq!((shown(&movie)[0], shown(&movie).len()), (1000, 285));
    movie.hold_pictures(4000);
    let video = movie.video.as_ref().expect("a picture");
    assert_eq!((shown(&movie)[0], shown(&movie).len(), video.early), (1000, 285, 15_360));
    assert!(!video.samples.has_compositions());
    assert_eq!(shown_alone(&movie, 0, 4), [0, 1066, 1133, 1200]);
    assert_eq!(shown_alone(&movie, 30, 32), [3000, 3066]);
}

#[test]
fn a_late_picture_is_there_from_zero_on_whatever_its_order() {
    // A picture, then pairs of which the second is shown first.
    let group = || std::iter::once([1, 1024]).chain([[1, 2048], [1, 0]].repeat(14)).chain([[1, 1024]]);
    let rows: Vec<[u32; 2]> = (0..10).flat_map(|_| group()).collect();
    let mut movie = with_compositions(&rows, &[(2000, -1, 1), (20_000, 1024, 1)]);
    movie.hold_pictures(4000);
    let times = shown(&movie);
    assert_eq!(times[..5], [2000, 2133, 2066, 2266, 2200]);
    let alone = shown_alone(&movie, 0, 30);
    assert_eq!((alone[0], &alone[1..]), (0, &times[1..30]));
}

#[test]
fn a_fragmented_recording_begins_with_its_earliest_track() {
    let plain = read(&moov().0);
    let tracks = [plain.video.as_ref().expect("a picture"), &plain.audio[0]];
    let init = init_of(&tracks);
    let moov = Boxes::new(&init, 0).map(|found| found.expect("sound")).find(|found| found.kind == *b"moov");
    let moov = moov.expect("an index");
    let late = |picture_ms: u64, sound_ms: u64| {
        let mut movie = Movie::parse(moov.whole, moov.at, u64::MAX).expect("sound");
        for (number, (track, ms)) in (1..).zip(tracks.iter().zip([picture_ms, sound_ms])) {
            let sample = FragmentSample { size: 100, duration: 1024, composition_offset: 0, sync: true };
            let at = ms * u64::from(track.timescale) / 1000;
            let fragment = TrackFragment::new(number, at, std::iter::repeat_n(sample, 60));
            movie.add_fragment(&fragment_head(1, [fragment].iter()), 1 << 20, u64::MAX).expect("sound");
        }
        let movie = movie.finish(0).expect("it is played");
        let start = |track: &MovieTrack| track.nanos(track.shown_at(0)) / 1_000_000;
        (movie.video.as_ref().map(start), movie.audio.first().map(start))
    };
    // A frame of priming is before zero.
    assert_eq!(late(2000, 0), (Some(2000), Some(-21)));
    assert_eq!(late(1_002_000, 1_000_000), (Some(2021), Some(0)));
    assert_eq!(late(1_000_000, 1_002_000), (Some(0), Some(1978)));
    // As an encoder leaves it: the picture is zero.
    assert_eq!(late(1_000_000, 999_900), (Some(0), Some(-121)));
    // Clocks that have nothing to do with each other.
    assert_eq!(late(1_700_000_000_000, 0), (Some(0), None));
}

#[test]
fn sound_whose_edit_begins_behind_its_end_is_left_out() {
    let movie = with(SOUND, *b"edts", |body| *body = edit_list(&[(6000, 48_000 * 3600, 1)]));
    assert!(movie.audio.is_empty() && movie.video.is_some());
    assert_eq!(reasons(&movie), "track 2 (sound): nothing of it is within the presentation");
}

#[test]
fn a_track_that_does_not_say_what_it_is_is_told() {
    let (moov, ..) = moov();
    let moov = Boxes::new(&moov, 0).next().expect("a box").expect("sound");
    let edited = track_rewritten(&moov, SOUND, &mut |kind, body| {
        if *kind == *b"trak" {
            // Its header alone.
            let tkhd = Boxes::new(body, 0)
                .flatten()
                .find(|found| found.kind == *b"tkhd")
                .map(|it| it.whole.to_vec());
            *body = tkhd.expect("a header");
        }
    });
    let movie = read(&edited);
    assert!(movie.audio.is_empty() && movie.video.is_some());
    assert_eq!(movie.left_out.len(), 1, "{}", reasons(&movie));
    assert!(reasons(&movie).starts_with("track 2 ("), "{}", reasons(&movie));
}

#[test]
fn sound_without_a_timescale_counts_samples() {
    let movie = with(SOUND, *b"mdhd", |body| put(body, 12, 0));
    let sound = movie.audio.first().expect("sound");
    assert_eq!((sound.timescale, movie.duration_nanos() / 1_000_000_000), (48_000, 20));
    assert!(
        reasons(&movie).starts_with("track 2 (sound): box mdhd: its timescale is zero"),
        "{}",
        reasons(&movie)
    );
}
