//! Files that lie, for tests of whoever reads them.

use super::isobmff::{BoxRef, Boxes, put_box, put_full_box};
use super::mp4::{Sample, SampleTable, TextCoding, TextTrack};

/// The box with the content of those in it as `edit` leaves it; sizes follow. What is no box is left out.
pub fn rewritten(found: &BoxRef<'_>, edit: &mut impl FnMut(&[u8; 4], &mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    if matches!(&found.kind, b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"edts") {
        for child in found.children(0).flatten() {
            body.extend(rewritten(&child, edit));
        }
    } else {
        body.extend(found.body);
    }
    edit(&found.kind, &mut body);
    let mut out = Vec::new();
    put_box(&mut out, found.kind, |out| out.extend(body));
    out
}

/// The `moov` of a fixture, its position, and the length of the file: 300 pictures, 15 a second, a sync sample each 30; and sound
/// at 48 kHz.
#[expect(clippy::expect_used, reason = "a test whose fixture is damaged should say so and stop")]
pub fn moov() -> (Vec<u8>, u64, u64) {
    let file: &[u8] = include_bytes!("../../../fixtures/hall_a.mp4");
    let mut boxes = Boxes::new(file, 0).map(|found| found.expect("sound"));
    let moov = boxes.find(|found| found.kind == *b"moov").expect("an index");
    (moov.whole.to_vec(), moov.at, file.len() as u64)
}

/// Writes `value` over four bytes of `body`.
pub fn put(body: &mut [u8], at: usize, value: u32) {
    body[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// A text track whose samples follow each other in the file, each of two seconds and of so many bytes.
pub fn text_track(coding: TextCoding, sizes: &[u32]) -> TextTrack {
    let mut samples = SampleTable::default();
    let mut offset = 0;
    for &size in sizes {
        samples.push(Sample { offset, size, duration: 2000, composition: 0, sync: true });
        offset += u64::from(size);
    }
    TextTrack {
        id: 1,
        timescale: 1000,
        language: "und".to_owned(),
        name: None,
        coding,
        samples,
        origin: 0,
        first_decode_time: 0,
    }
}

/// The `moov` with the tracks of this handler type (`vide`, `soun`) as `edit` leaves their boxes.
pub fn track_rewritten(
    moov: &BoxRef<'_>,
    handler: [u8; 4],
    edit: &mut impl FnMut(&[u8; 4], &mut Vec<u8>),
) -> Vec<u8> {
    let mut out = Vec::new();
    put_box(&mut out, *b"moov", |out| {
        for child in moov.children(0).flatten() {
            let hdlr =
                child.child(*b"mdia").ok().flatten().and_then(|mdia| mdia.child(*b"hdlr").ok().flatten());
            let is_it = hdlr.is_some_and(|hdlr| hdlr.body.get(8..12) == Some(&handler[..]));
            if is_it { out.extend(rewritten(&child, edit)) } else { out.extend(child.whole) }
        }
    });
    out
}

/// An `edts` content with these edits: duration in ticks of the movie, media time (-1: empty), rate.
pub fn edit_list(edits: &[(u32, i32, u16)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_full_box(&mut out, *b"elst", 0, 0, |out| {
        out.extend((edits.len() as u32).to_be_bytes());
        for (duration, start, rate) in edits {
            out.extend(duration.to_be_bytes());
            out.extend(start.to_be_bytes());
            out.extend([rate.to_be_bytes(), [0, 0]].concat());
        }
    });
    out
}
