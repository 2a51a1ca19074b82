//! MPEG-DASH manifests of recordings (ISO/IEC 23009-1): static, one period, a timeline for each representation. Sans-IO.
//!
//! Segments are named by the time at which they begin, and hold one track each.

use std::fmt::Write as _;

use super::cut::{Cut, Trim};
use super::entry::Media;
use super::movie::Track;
use super::names::Kind;
use super::playlist::frame_rate;
use super::recording::Recording;

/// The manifest of these renditions; the sound is that of the first one that has any.
pub(super) fn manifest(renditions: &[&Recording]) -> String {
    let duration = renditions.iter().map(|it| it.movie.duration_nanos()).max().unwrap_or(0);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT{:.3}S\" minBufferTime=\"PT4S\">\n<Period id=\"0\" start=\"PT0S\">\n",
        duration as f64 / 1e9
    );
    // Writing to a String cannot fail.
    let _ = write_sets(&mut out, renditions);
    out.push_str("</Period>\n</MPD>\n");
    out
}

fn write_sets(out: &mut String, renditions: &[&Recording]) -> std::fmt::Result {
    let pictures: Vec<&&Recording> = renditions.iter().filter(|it| it.movie.video.is_some()).collect();
    if !pictures.is_empty() {
        out.push_str(
            "<AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" startWithSAP=\"1\">\n",
        );
        for recording in pictures {
            let Some(track) = &recording.movie.video else { continue };
            if let Media::Video { width, height } = track.coding.media {
                let rate = (frame_rate(&recording.movie).unwrap_or(0.0) * 1000.0).round() as u32;
                let more = format!(" width=\"{width}\" height=\"{height}\" frameRate=\"{rate}/1000\"");
                write_representation(out, recording, Kind::Picture, track, &more, recording.rates.0)?;
            }
        }
        out.push_str("</AdaptationSet>\n");
    }
    let Some(heard) = renditions.iter().find(|it| !it.movie.audio.is_empty()) else { return Ok(()) };
    for (index, track) in heard.movie.audio.iter().enumerate() {
        writeln!(
            out,
            "<AdaptationSet id=\"{}\" contentType=\"audio\" mimeType=\"audio/mp4\" lang=\"{}\" startWithSAP=\"1\">",
            index + 1,
            track.language
        )?;
        let more = format!(" audioSamplingRate=\"{}\"", track.timescale);
        let bits = track.samples.bytes(track.begin, track.end) * 8;
        let seconds = track.nanos(track.shown_until()).max(1) as f64 / 1e9;
        let bandwidth = (bits as f64 / seconds).ceil().max(1.0) as u64;
        write_representation(out, heard, Kind::Sound(index), track, &more, bandwidth)?;
        out.push_str("</AdaptationSet>\n");
    }
    Ok(())
}

fn write_representation(
    out: &mut String,
    recording: &Recording,
    kind: Kind,
    track: &Track,
    more: &str,
    bandwidth: u64,
) -> std::fmt::Result {
    let names = &recording.names;
    writeln!(
        out,
        "<Representation id=\"{}_{}\" codecs=\"{}\" bandwidth=\"{}\"{more}>",
        names.key,
        kind.text(),
        track.coding.codec,
        bandwidth.max(1)
    )?;
    writeln!(
        out,
        "<SegmentTemplate timescale=\"{}\" initialization=\"{}\" media=\"{}\"><SegmentTimeline>",
        track.timescale,
        names.init(kind),
        names.segment_template(kind)
    )?;
    let cuts = recording.cuts_of(kind, Trim::default()).unwrap_or_default();
    write_timeline(out, &cuts)?;
    out.push_str("</SegmentTimeline></SegmentTemplate>\n</Representation>\n");
    Ok(())
}

/// Equal durations in a row are said once (§5.3.9.6).
fn write_timeline(out: &mut String, cuts: &[Cut]) -> std::fmt::Result {
    let mut cuts = cuts.iter().peekable();
    while let Some(first) = cuts.next() {
        let duration = first.end - first.start;
        let (mut end, mut repeats) = (first.end, 0);
        while let Some(next) = cuts.next_if(|next| next.start == end && next.end - next.start == duration) {
            end = next.end;
            repeats += 1;
        }
        let repeated = if repeats > 0 { format!(" r=\"{repeats}\"") } else { String::new() };
        write!(out, "<S t=\"{}\" d=\"{duration}\"{repeated}/>", first.start)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_short() {
        let cut = |start, end| Cut { from: 0, to: 1, start, end };
        let mut out = String::new();
        write_timeline(&mut out, &[cut(0, 6), cut(6, 12), cut(12, 18), cut(18, 19)]).expect("written");
        assert_eq!(out, "<S t=\"0\" d=\"6\" r=\"2\"/><S t=\"18\" d=\"1\"/>");
    }
}
