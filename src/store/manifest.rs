//! Dynamic MPEG-DASH manifests (ISO/IEC 23009-1 §5) of the same segments that HLS lists.
//!
//! One period that began with the epoch: presentation time is unix time, a segment's number is its cell, so a server that
//! is started again says the same of the same segment. The timeline names exactly the segments that are there, so no
//! clock need be right. `UTCTiming` gives the end of the newest cell for a clock; a manifest that has been kept for a
//! moment by a cache puts a player a moment later, never too early.

use std::fmt::Write as _;

use super::multivariant::Variant;
use super::rung::Rung;
use crate::media::{AAC_FRAME_SAMPLES, CellIndex, Grid, VIDEO_TIMESCALE};

/// How far behind the newest segment players are to play, in cells.
const DELAY: u32 = 3;

/// The manifest of these representations, pictures and one sound, that lists `cells`.
pub(super) fn render(
    pictures: &[Variant<'_>],
    sound: Option<Variant<'_>>,
    grid: Grid,
    cells: std::ops::RangeInclusive<i64>,
) -> String {
    let mut out = String::with_capacity(3000);
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, pictures, sound, grid, cells);
    out
}

fn write_all(
    out: &mut String,
    pictures: &[Variant<'_>],
    sound: Option<Variant<'_>>,
    grid: Grid,
    cells: std::ops::RangeInclusive<i64>,
) -> std::fmt::Result {
    let cell = grid.duration().as_secs_f64();
    let listed = cells.end() - cells.start() + 1;
    let now = grid.start(CellIndex(cells.end() + 1));
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" \
         type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\" publishTime=\"{now}\" \
         minimumUpdatePeriod=\"PT{cell}S\" minBufferTime=\"PT{cell}S\" timeShiftBufferDepth=\"PT{}S\" \
         suggestedPresentationDelay=\"PT{}S\" maxSegmentDuration=\"PT{}S\">",
        cell * listed as f64,
        cell * f64::from(DELAY),
        cell.ceil()
    )?;
    writeln!(out, "<Period id=\"0\" start=\"PT0S\">")?;
    if !pictures.is_empty() {
        writeln!(
            out,
            "<AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" \
             startWithSAP=\"1\">"
        )?;
        let ticks = |k: i64| k * i64::from(grid.duration_ms()) * i64::from(VIDEO_TIMESCALE.0) / 1000;
        let durations = cells.clone().map(|k| (ticks(k), ticks(k + 1) - ticks(k)));
        let timeline = timeline(durations)?;
        for variant in pictures {
            let Some(video) = variant.rung.picture() else { continue };
            let more = format!(
                " width=\"{}\" height=\"{}\" frameRate=\"{}\"",
                video.size.width, video.size.height, video.fps
            );
            write_representation(out, variant, &more, VIDEO_TIMESCALE.0, *cells.start(), &timeline)?;
        }
        writeln!(out, "</AdaptationSet>")?;
    }
    if let Some((variant, track)) = sound.and_then(|variant| Some((variant, variant.rung.sound()?))) {
        writeln!(
            out,
            "<AdaptationSet id=\"1\" contentType=\"audio\" mimeType=\"audio/mp4\" lang=\"und\" \
             segmentAlignment=\"true\" startWithSAP=\"1\">"
        )?;
        let rate = track.format.sample_rate;
        let durations = cells.clone().map(|k| {
            let frames = grid.audio_frames(CellIndex(k), rate);
            let samples = AAC_FRAME_SAMPLES as i64;
            (frames.start * samples, (frames.end - frames.start) * samples)
        });
        let timeline = timeline(durations)?;
        let more = format!(" audioSamplingRate=\"{rate}\"");
        write_representation(out, &variant, &more, rate, *cells.start(), &timeline)?;
        writeln!(out, "</AdaptationSet>")?;
    }
    writeln!(out, "</Period>")?;
    writeln!(out, "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:direct:2014\" value=\"{now}\"/>")?;
    writeln!(out, "</MPD>")
}

fn write_representation(
    out: &mut String,
    variant: &Variant<'_>,
    more: &str,
    timescale: u32,
    first: i64,
    timeline: &str,
) -> std::fmt::Result {
    let rung: &Rung = variant.rung;
    writeln!(
        out,
        "<Representation id=\"{name}\" codecs=\"{}\" bandwidth=\"{}\"{more}>\n\
         <SegmentTemplate timescale=\"{timescale}\" startNumber=\"{first}\" initialization=\"{}\" \
         media=\"media_{name}_$Number$.m4s\"><SegmentTimeline>{timeline}</SegmentTimeline></SegmentTemplate>\n\
         </Representation>",
        rung.codecs().join(","),
        variant.bandwidth_bps,
        rung.init_name(),
        name = rung.name(),
    )
}

/// `S` elements; equal durations in a row are said once (§5.3.9.6). Cells have no holes.
fn timeline(cells: impl Iterator<Item = (i64, i64)>) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let mut cells = cells.peekable();
    while let Some((start, duration)) = cells.next() {
        let mut repeats = 0;
        while cells.next_if(|&(_, next)| next == duration).is_some() {
            repeats += 1;
        }
        let repeated = if repeats > 0 { format!(" r=\"{repeats}\"") } else { String::new() };
        write!(out, "<S t=\"{start}\" d=\"{duration}\"{repeated}/>")?;
    }
    Ok(out)
}
