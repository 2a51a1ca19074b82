//! Subtitles and chapters: reads WebVTT and SRT, and cuts cues into segments (RFC 8216 §3.5). Sans-IO.
//!
//! Cue settings and markup are passed on unchanged. Styles, regions and notes are left out, and so is any block that is
//! not a cue.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use super::hls::{MediaPlaylist, MediaSegment};

/// Duration of a segment of subtitles, in milliseconds.
const SEGMENT_MS: u64 = 60_000;
/// How many cues of a file are read; a long day of speech has fewer.
const CUES_MAX: usize = 200_000;

/// A subtitle cue, or a chapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cue {
    /// Start in milliseconds of presentation time.
    pub start_ms: u64,
    /// End in milliseconds of presentation time.
    pub end_ms: u64,
    /// Cue settings such as the position, as WebVTT writes them.
    #[serde(skip)]
    pub settings: String,
    /// The text: one or more lines, with any markup.
    pub text: String,
}

impl Cue {
    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.settings.capacity() + self.text.capacity()
    }
}

/// Reads the cues of a WebVTT or SRT file, sorted by time.
pub fn cues(text: &str) -> Vec<Cue> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let mut cues: Vec<Cue> = text.split("\n\n").filter_map(cue).take(CUES_MAX).collect();
    cues.sort_by_key(|cue| (cue.start_ms, cue.end_ms));
    cues
}

fn cue(block: &str) -> Option<Cue> {
    let mut lines = block.trim_matches('\n').lines();
    let mut timing = lines.next()?;
    if !timing.contains("-->") {
        timing = lines.next().filter(|line| line.contains("-->"))?;
    }
    let (start, rest) = timing.split_once("-->")?;
    let rest = rest.trim();
    let (end, settings) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (start_ms, end_ms) = (time_ms(start)?, time_ms(end)?);
    let text = lines.collect::<Vec<_>>().join("\n");
    (start_ms < end_ms && !text.is_empty()).then(|| Cue {
        start_ms,
        end_ms,
        settings: settings.trim().to_owned(),
        text,
    })
}

/// Reads `[hh:]mm:ss.mmm`; SRT has a comma instead of the dot.
fn time_ms(text: &str) -> Option<u64> {
    let text = text.trim().replace(',', ".");
    let (clock, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let mut seconds = 0_u64;
    for field in clock.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(field.parse().ok()?)?;
    }
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    let ms: u64 = fraction.parse().ok()?;
    seconds.checked_mul(1000)?.checked_add(ms).filter(|ms| *ms < 1 << 40)
}

/// The media playlist of subtitles for media that covers `span`, in milliseconds of presentation time. It begins where the
/// media begins.
pub fn playlist(index: usize, span: Range<u64>) -> String {
    let first = span.start / SEGMENT_MS;
    let segment = |part: u64| {
        let (start, end) = (span.start.max(part * SEGMENT_MS), span.end.min((part + 1) * SEGMENT_MS));
        MediaSegment {
            uri: format!("text_{index}_{part}.vtt"),
            duration: Duration::from_millis(end.saturating_sub(start).max(1)),
            ..MediaSegment::default()
        }
    };
    MediaPlaylist {
        target_duration_s: SEGMENT_MS / 1000,
        is_vod: true,
        segments: (first..span.end.div_ceil(SEGMENT_MS).max(first + 1)).map(segment).collect(),
        is_ended: true,
        ..MediaPlaylist::default()
    }
    .to_string()
}

/// One segment: all cues that are shown during it. Cues that reach over its ends keep their full times.
pub fn segment(cues: &[Cue], part: usize) -> String {
    let start = (part as u64).saturating_mul(SEGMENT_MS);
    let end = start.saturating_add(SEGMENT_MS);
    let mut out = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n".to_owned();
    for cue in cues.iter().filter(|cue| cue.start_ms < end && cue.end_ms > start) {
        write_cue(&mut out, cue, cue.start_ms, cue.end_ms);
    }
    out
}

/// All cues that are shown during `span`, as one file with times that count from the start of `span`.
pub fn whole(cues: &[Cue], span: Range<u64>) -> String {
    let mut out = "WEBVTT\n".to_owned();
    for cue in cues.iter().filter(|cue| cue.start_ms < span.end && cue.end_ms > span.start) {
        let from_start = |ms: u64| ms.saturating_sub(span.start);
        write_cue(&mut out, cue, from_start(cue.start_ms), from_start(cue.end_ms));
    }
    out
}

fn write_cue(out: &mut String, cue: &Cue, start_ms: u64, end_ms: u64) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\n{} --> {}", clock(start_ms), clock(end_ms));
    if !cue.settings.is_empty() {
        let _ = write!(out, " {}", cue.settings);
    }
    let _ = writeln!(out, "\n{}", cue.text);
}

fn clock(ms: u64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VTT: &str = "\u{feff}WEBVTT - lecture\r\n\r\nNOTE by hand\r\n\r\n1\r\n00:01.000 --> 00:03.500 align:start\r\nBonjour\r\nà tous\r\n\r\n00:59:59.000 --> 01:00:01.000\r\nSecond";
    const SRT: &str =
        "1\n00:00:01,000 --> 00:00:03,500\nBonjour\nà tous\n\n2\n00:59:59,000 --> 01:00:01,000\nSecond\n";

    #[test]
    fn both_kinds_of_file_are_read() {
        let mut expected = cues(SRT);
        assert_eq!(expected.len(), 2);
        expected[0].settings = "align:start".to_owned();
        assert_eq!(cues(VTT), expected);
    }

    #[test]
    fn a_cue_over_a_seam_is_in_both_segments() {
        let cues = cues(VTT);
        let first = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n00:00:01.000 --> 00:00:03.500 align:start\nBonjour\nà tous\n";
        assert_eq!(segment(&cues, 0), first);
        for part in [59, 60] {
            assert!(segment(&cues, part).ends_with("00:59:59.000 --> 01:00:01.000\nSecond\n"), "{part}");
        }
        assert_eq!(segment(&cues, 1).lines().count(), 2);
        assert_eq!(playlist(0, 0..61_000).matches("#EXTINF").count(), 2);
        assert_eq!(playlist(0, 0..0).matches("#EXTINF").count(), 1);
    }

    #[test]
    fn a_part_of_a_recording_has_its_part_of_the_subtitles() {
        let list = playlist(3, 3_590_000..3_610_000);
        assert!(
            list.contains("#EXTINF:10.000,\ntext_3_59.vtt\n#EXTINF:10.000,\ntext_3_60.vtt\n#EXT-X-ENDLIST"),
            "{list}"
        );
        let cues = cues(VTT);
        let expected = "WEBVTT\n\n00:00:09.000 --> 00:00:11.000\nSecond\n";
        assert_eq!(whole(&cues, 3_590_000..3_610_000), expected);
        assert!(
            whole(&cues, 0..4000).ends_with("00:00:01.000 --> 00:00:03.500 align:start\nBonjour\nà tous\n")
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(WEBVTT|\n|\n\n|-->| |[0-9:.,]{1,9}|.){0,30}") {
            for cue in cues(&text) { prop_assert!(cue.start_ms < cue.end_ms); }
        }
    }
}
