//! Cuts cues into segments (RFC 8216 §3.5), and lists these. Sans-IO.
//!
//! A file's `STYLE` and `REGION` blocks are in every segment: each is a WebVTT file of its own.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use super::super::hls::{MediaPlaylist, MediaSegment};
use super::{Cue, TimedText};

/// Duration of a segment of subtitles, in milliseconds.
const SEGMENT_MS: u64 = 60_000;

/// The media playlist of subtitles for media that covers `span`, in milliseconds of presentation time. It begins where the
/// media begins; `uri` names a segment by its number.
pub fn playlist(uri: impl Fn(u64) -> String, span: Range<u64>) -> String {
    let first = span.start / SEGMENT_MS;
    let segment = |part: u64| {
        let (start, end) = (span.start.max(part * SEGMENT_MS), span.end.min((part + 1) * SEGMENT_MS));
        MediaSegment {
            uri: uri(part),
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
pub fn segment(text: &TimedText, part: usize) -> String {
    let start = (part as u64).saturating_mul(SEGMENT_MS);
    let end = start.saturating_add(SEGMENT_MS);
    let mut out = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n".to_owned();
    write_header(&mut out, text);
    for cue in text.cues.iter().filter(|cue| cue.start_ms < end && cue.end_ms > start) {
        write_cue(&mut out, cue, cue.start_ms, cue.end_ms);
    }
    out
}

/// All cues that are shown during `span`, as one file with times that count from the start of `span`.
pub fn whole(text: &TimedText, span: Range<u64>) -> String {
    let mut out = "WEBVTT\n".to_owned();
    write_header(&mut out, text);
    for cue in text.cues.iter().filter(|cue| cue.start_ms < span.end && cue.end_ms > span.start) {
        let from_start = |ms: u64| ms.saturating_sub(span.start);
        write_cue(&mut out, cue, from_start(cue.start_ms), from_start(cue.end_ms));
    }
    out
}

fn write_header(out: &mut String, text: &TimedText) {
    if !text.header.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n{}\n", text.header);
    }
}

fn write_cue(out: &mut String, cue: &Cue, start_ms: u64, end_ms: u64) {
    out.push('\n');
    if !cue.id.is_empty() {
        out.push_str(&cue.id);
        out.push('\n');
    }
    // Writing to a String cannot fail.
    let _ = write!(out, "{} --> {}", clock(start_ms), clock(end_ms));
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
    use super::*;

    const VTT: &str = "WEBVTT\n\n00:01.000 --> 00:03.500 align:start\nBonjour\nà tous\n\n00:59:59.000 --> 01:00:01.000\nSecond";

    fn numbered(part: u64) -> String {
        format!("text_{part}.vtt")
    }

    #[test]
    fn a_cue_over_a_seam_is_in_both_segments() {
        let text = TimedText::of(VTT);
        let first = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n00:00:01.000 --> 00:00:03.500 align:start\nBonjour\nà tous\n";
        assert_eq!(segment(&text, 0), first);
        for part in [59, 60] {
            assert!(segment(&text, part).ends_with("00:59:59.000 --> 01:00:01.000\nSecond\n"), "{part}");
        }
        assert_eq!(segment(&text, 1).lines().count(), 2);
        assert_eq!(playlist(numbered, 0..61_000).matches("#EXTINF").count(), 2);
        assert_eq!(playlist(numbered, 0..0).matches("#EXTINF").count(), 1);
    }

    #[test]
    fn a_part_of_a_recording_has_its_part_of_the_subtitles() {
        let list = playlist(numbered, 3_590_000..3_610_000);
        assert!(
            list.contains("#EXTINF:10.000,\ntext_59.vtt\n#EXTINF:10.000,\ntext_60.vtt\n#EXT-X-ENDLIST"),
            "{list}"
        );
        let text = TimedText::of(VTT);
        let expected = "WEBVTT\n\n00:00:09.000 --> 00:00:11.000\nSecond\n";
        assert_eq!(whole(&text, 3_590_000..3_610_000), expected);
        assert!(
            whole(&text, 0..4000).ends_with("00:00:01.000 --> 00:00:03.500 align:start\nBonjour\nà tous\n")
        );
    }

    #[test]
    fn every_segment_is_a_file_of_its_own() {
        let text = TimedText::of(
            "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nintro\n00:01.000 --> 00:02.000\na &amp; b\n\n01:01.000 --> 01:02.000\nc",
        );
        let style = "STYLE\n::cue { color: red }\n\n";
        let map = "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n";
        assert_eq!(
            segment(&text, 0),
            format!("WEBVTT\n{map}{style}intro\n00:00:01.000 --> 00:00:02.000\na &amp; b\n")
        );
        assert_eq!(segment(&text, 1), format!("WEBVTT\n{map}{style}00:01:01.000 --> 00:01:02.000\nc\n"));
        assert!(whole(&text, 0..90_000).starts_with(&format!("WEBVTT\n\n{style}intro\n")));
        // What is written is read.
        assert_eq!(TimedText::of(&whole(&text, 0..90_000)), text);
    }
}
