//! Subtitles and chapters: WebVTT and SRT cues, cut into segments (RFC 8216 §3.5). Sans-IO.
//!
//! Cue settings and markup pass through as they are; styles, regions and notes are left out. A block that is no cue is
//! read over.

use std::fmt::Write as _;

use serde::Serialize;

/// A segment of subtitles, in milliseconds.
const SEGMENT_MS: u64 = 60_000;
/// Cues of a day that never stops talking.
const CUES_MAX: usize = 200_000;

/// A cue, or a chapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cue {
    /// Milliseconds of presentation time.
    pub start_ms: u64,
    /// Milliseconds of presentation time.
    pub end_ms: u64,
    /// Position and the like, as WebVTT has them.
    #[serde(skip)]
    pub settings: String,
    /// The text, of one or more lines.
    pub text: String,
}

/// The cues of a WebVTT or SRT file, in order of time.
pub(super) fn cues(text: &str) -> Vec<Cue> {
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

/// `[hh:]mm:ss.mmm`, in SRT with a comma.
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

/// The media playlist of subtitles that go with `duration_ms` of media.
pub(super) fn playlist(index: usize, duration_ms: u64) -> String {
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n",
        SEGMENT_MS / 1000
    );
    let mut start = 0;
    for part in 0.. {
        if start >= duration_ms && part > 0 {
            break;
        }
        let length = SEGMENT_MS.min(duration_ms.saturating_sub(start)).max(1);
        let _ = writeln!(out, "#EXTINF:{:.3},\ntext_{index}_{part}.vtt", length as f64 / 1000.0);
        start += SEGMENT_MS;
    }
    out.push_str("#EXT-X-ENDLIST\n");
    out
}

/// One segment: every cue that is shown within it, with its whole times.
pub(super) fn segment(cues: &[Cue], part: usize) -> String {
    let start = (part as u64).saturating_mul(SEGMENT_MS);
    let end = start.saturating_add(SEGMENT_MS);
    let mut out = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n".to_owned();
    for cue in cues.iter().filter(|cue| cue.start_ms < end && cue.end_ms > start) {
        let _ = write!(out, "\n{} --> {}", clock(cue.start_ms), clock(cue.end_ms));
        if !cue.settings.is_empty() {
            let _ = write!(out, " {}", cue.settings);
        }
        let _ = writeln!(out, "\n{}", cue.text);
    }
    out
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
        assert_eq!(playlist(0, 61_000).matches("#EXTINF").count(), 2);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(WEBVTT|\n|\n\n|-->| |[0-9:.,]{1,9}|.){0,30}") {
            for cue in cues(&text) { prop_assert!(cue.start_ms < cue.end_ms); }
        }
    }
}
