//! Text tracks and chapters of files that are made here: an index of a fixture, with a track put into it.

use proptest::prelude::*;

use super::super::isobmff::{Boxes, put_box, put_full_box};
use super::super::webvtt::Cue;
use super::*;

/// How a text track is described.
struct MadeTrack<'a> {
    id: u32,
    handler: [u8; 4],
    entry: ([u8; 4], &'a [u8]),
    name: &'a str,
    /// Duration in milliseconds, and size.
    samples: &'a [(u32, usize)],
    at: u32,
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

impl MadeTrack<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        put_box(out, *b"trak", |out| {
            put_full_box(out, *b"tkhd", 0, 1, |out| {
                words(out, &[0, 0, self.id]);
                out.extend([0; 68]);
            });
            put_box(out, *b"mdia", |out| {
                // "fra"
                put_full_box(out, *b"mdhd", 0, 0, |out| words(out, &[0, 0, 1000, 0, 0x1a41_0000]));
                put_full_box(out, *b"hdlr", 0, 0, |out| {
                    out.extend([0; 4]);
                    out.extend(self.handler);
                    out.extend([0; 12]);
                    out.extend(self.name.bytes().chain([0]));
                });
                put_box(out, *b"minf", |out| put_box(out, *b"stbl", |out| self.tables(out)));
            });
        });
    }

    fn tables(&self, out: &mut Vec<u8>) {
        put_full_box(out, *b"stsd", 0, 0, |out| {
            words(out, &[1]);
            put_box(out, self.entry.0, |out| out.extend([&[0, 0, 0, 0, 0, 0, 0, 1], self.entry.1].concat()));
        });
        let count = self.samples.len() as u32;
        if count == 0 {
            return;
        }
        put_full_box(out, *b"stts", 0, 0, |out| {
            words(out, &[count]);
            self.samples.iter().for_each(|(duration, _)| words(out, &[1, *duration]));
        });
        put_full_box(out, *b"stsz", 0, 0, |out| {
            words(out, &[0, count]);
            self.samples.iter().for_each(|(_, size)| words(out, &[*size as u32]));
        });
        put_full_box(out, *b"stsc", 0, 0, |out| words(out, &[1, 1, count, 1]));
        put_full_box(out, *b"stco", 0, 0, |out| words(out, &[1, self.at]));
    }
}

/// The fixture's index with more boxes at its end.
fn with_boxes(more: impl FnOnce(&mut Vec<u8>)) -> Movie {
    let file = include_bytes!("../../../../fixtures/hall_a.mp4");
    let moov = Boxes::of_file(file).flatten().find(|found| found.kind == *b"moov").expect("a moov");
    let mut whole = Vec::new();
    put_box(&mut whole, *b"moov", |out| {
        out.extend(moov.body);
        more(out);
    });
    Movie::parse(&whole, moov.at, u64::from(u32::MAX)).and_then(|movie| movie.finish(moov.at)).expect("sound")
}

fn with_track(track: &MadeTrack<'_>) -> Movie {
    with_boxes(|out| track.put(out))
}

/// The cues of a track with these samples, each of two seconds, and what is lost.
fn read(entry: ([u8; 4], &[u8]), samples: &[&[u8]]) -> (Vec<Cue>, usize) {
    let sizes: Vec<_> = samples.iter().map(|sample| (2000, sample.len())).collect();
    let track = MadeTrack { id: 9, handler: *b"sbtl", entry, name: "", samples: &sizes, at: 4000 };
    let movie = with_track(&track);
    assert!(movie.left_out.is_empty(), "{:?}", movie.left_out);
    let text = movie.texts.first().expect("a text track");
    let bytes = samples.concat();
    let len: u64 = text.extents().iter().map(|extent| extent.len).sum();
    assert_eq!(len, bytes.len() as u64);
    let read = text.read_samples(&bytes);
    (read.cues, read.lost.len())
}

fn told(cues: &[Cue]) -> Vec<(u64, u64, &str)> {
    cues.iter().map(|cue| (cue.start_ms, cue.end_ms, &*cue.text)).collect()
}

#[test]
fn timed_text_with_styles_and_gaps() {
    let mut bold = b"\0\x07Bonjour\0\0\0\x16styl\0\x01\0\0\0\x03\0\x01\x01\x12\xff\xff\xff\xff".to_vec();
    let wide = b"\0\x06\xfe\xff\0A\0\xe9";
    let (cues, lost) = read((*b"tx3g", &[0; 30]), &[&bold, b"\0\0", b"\0\x07a < b\nc", wide, b"\0\x09short"]);
    assert_eq!(told(&cues), [(0, 2000, "<b>Bon</b>jour"), (4000, 6000, "a &lt; b\nc"), (6000, 8000, "Aé")]);
    assert_eq!(lost, 1);
    bold.truncate(20);
    assert_eq!(told(&read((*b"tx3g", &[]), &[&bold]).0), [(0, 2000, "Bonjour")]);
}

#[test]
fn quicktimes_text_is_of_a_macintosh() {
    let cues =
        read((*b"text", &[0; 40]), &[b"\0\x05\x8et\x8e <", b"\0\x03\xc3\xa9!\0\0\0\x0cencd\0\0\x01\0"]).0;
    assert_eq!(told(&cues), [(0, 2000, "été &lt;"), (2000, 4000, "é!")]);
}

fn vttc(parts: &[(&[u8; 4], &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_box(&mut out, *b"vttc", |out| {
        for (kind, text) in parts {
            put_box(out, **kind, |out| out.extend(text.bytes()));
        }
    });
    out
}

#[test]
fn webvtt_in_boxes_goes_on_over_samples() {
    let mut config = Vec::new();
    put_box(&mut config, *b"vttC", |out| out.extend(b"WEBVTT\n\nSTYLE\n::cue { color: red }"));
    let one = vttc(&[(b"iden", "a"), (b"sttg", "line:0"), (b"payl", "Un <i>x</i> &amp;\n\ny")]);
    let both = [one.clone(), vttc(&[(b"payl", "Deux")])].concat();
    let none = b"\0\0\0\x08vtte";
    let sizes: Vec<_> = [&one[..], &both, none, &one].iter().map(|sample| (2000, sample.len())).collect();
    let track = MadeTrack {
        id: 9,
        handler: *b"text",
        entry: (*b"wvtt", &config),
        name: "",
        samples: &sizes,
        at: 4000,
    };
    let movie = with_track(&track);
    let text = movie.texts[0].read_samples(&[&one[..], &both, none, &one].concat());
    assert_eq!(text.header, "STYLE\n::cue { color: red }");
    let expected =
        [(0, 4000, "Un <i>x</i> &amp;\ny"), (2000, 4000, "Deux"), (6000, 8000, "Un <i>x</i> &amp;\ny")];
    assert_eq!(told(&text.cues), expected);
    assert_eq!(text.cues[0].settings, "line:0");
}

#[test]
fn ttml_in_samples_counts_from_zero_or_from_its_sample() {
    let document = |begin: &str, end: &str| {
        format!(
            "<tt xmlns='http://www.w3.org/ns/ttml'><body><div><p begin='{begin}' end='{end}'>a</p></div></body></tt>"
        )
    };
    let (first, second) = (document("0.5s", "9s"), document("2s", "3s"));
    let cues = read((*b"stpp", b"http://www.w3.org/ns/ttml\0\0\0"), &[first.as_bytes(), second.as_bytes()]).0;
    assert_eq!(told(&cues), [(500, 3000, "a")], "it goes on");
    let relative = document("0s", "1s");
    let cues = read((*b"stpp", b"\0"), &[b"", b"", relative.as_bytes(), b"no XML"]);
    assert_eq!((told(&cues.0), cues.1), (vec![(4000, 5000, "a")], 1));
}

#[test]
fn language_and_name_are_the_files() {
    let track =
        |name, entry| MadeTrack { id: 9, handler: *b"text", entry, name, samples: &[(1000, 2)], at: 4000 };
    let named = |name| {
        let movie = with_track(&track(name, (*b"tx3g", &[])));
        let text = movie.texts.first().expect("a text track");
        (text.id, text.language.clone(), text.name.clone())
    };
    assert_eq!(named("Pour malentendants"), (9, "fra".to_owned(), Some("Pour malentendants".to_owned())));
    assert_eq!(named("SubtitleHandler").2, None);
    let movie = with_track(&MadeTrack { handler: *b"clcp", ..track("", (*b"c608", &[])) });
    assert!(movie.texts.is_empty());
    let left: Vec<String> = movie.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(left, ["track 9 (text): CEA-608 captions (c608) are not read"]);
}

#[test]
fn a_text_track_without_tables_or_samples_harms_nobody() {
    let empty = MadeTrack { id: 9, handler: *b"text", entry: (*b"tx3g", &[]), name: "", samples: &[], at: 0 };
    let movie = with_track(&empty);
    assert!(movie.texts.is_empty() && movie.left_out.is_empty() && movie.video.is_some());
    // Its sample lies beyond the end of the file.
    let beyond = MadeTrack { samples: &[(1000, u32::MAX as usize)], at: 4000, ..empty };
    let movie = with_track(&beyond);
    assert!(movie.texts.is_empty() && movie.video.is_some());
    assert!(movie.left_out[0].reason.starts_with("box stco at byte"), "{:?}", movie.left_out);
}

#[test]
fn neros_chapters_are_read() {
    let chpl = |version: u8, titles: &[(u64, &[u8])]| {
        with_boxes(|out| {
            put_box(out, *b"udta", |out| {
                put_full_box(out, *b"chpl", version, 0, |out| {
                    out.extend(vec![0; if version > 0 { 4 } else { 0 }]);
                    out.push(titles.len() as u8);
                    for (start, title) in titles {
                        out.extend((start * 10_000_000).to_be_bytes());
                        out.push(title.len() as u8);
                        out.extend(*title);
                    }
                });
            });
        })
    };
    for version in [0, 1] {
        let movie = chpl(version, &[(5, b"\xc9t\xe9"), (0, b"Plan"), (9, "fin é".as_bytes()), (7, b"")]);
        let end = movie.duration_nanos() as u64 / 1_000_000;
        let expected = [(0, 5000, "Plan"), (5000, 9000, "Été"), (9000, end, "fin é")];
        assert_eq!(told(&movie.listed_chapters), expected, "version {version}");
    }
    assert!(chpl(1, &[]).listed_chapters.is_empty());
}

#[test]
fn fragments_bring_texts_too() {
    let track = MadeTrack { id: 9, handler: *b"text", entry: (*b"tx3g", &[]), name: "", samples: &[], at: 0 };
    let file = include_bytes!("../../../../fixtures/hall_a.mp4");
    let moov = Boxes::of_file(file).flatten().find(|found| found.kind == *b"moov").expect("a moov");
    let mut whole = Vec::new();
    put_box(&mut whole, *b"moov", |out| {
        out.extend(moov.body);
        track.put(out);
        put_box(out, *b"mvex", |out| {
            put_full_box(out, *b"trex", 0, 0, |out| words(out, &[9, 1, 1000, 9, 0]));
        });
    });
    let mut movie = Movie::parse(&whole, 0, 1 << 20).expect("sound");
    for time in [3000_u32, 7000] {
        let mut moof = Vec::new();
        put_box(&mut moof, *b"moof", |out| {
            put_box(out, *b"traf", |out| {
                put_full_box(out, *b"tfhd", 0, 0x2_0000, |out| words(out, &[9]));
                put_full_box(out, *b"tfdt", 0, 0, |out| words(out, &[time]));
                put_full_box(out, *b"trun", 0, 1, |out| words(out, &[1, 100]));
            });
        });
        movie.add_fragment(&moof, 5000, 1 << 20).expect("sound");
    }
    let text = movie.texts.first().expect("a text track");
    let cues = text.read_samples(b"\0\x07premier\0\x07deuxime").cues;
    assert_eq!(told(&cues), [(3000, 4000, "premier"), (7000, 8000, "deuxime")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_sample_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..4_usize) {
        let entry = [*b"tx3g", *b"text", *b"wvtt", *b"stpp"][kind];
        for cue in read((entry, &[]), &[&bytes]).0 {
            prop_assert!(cue.start_ms < cue.end_ms && !cue.text.contains("-->"));
        }
    }
}
