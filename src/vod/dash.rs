//! MPEG-DASH manifests of recordings (ISO/IEC 23009-1): static, one period, a timeline for each representation. Sans-IO.
//!
//! Segments are named by the time at which they begin, and hold one track each. A part of a recording has those segments
//! that lie in it, whole; `presentationTimeOffset` says where in the first one it begins.

use std::fmt::Write as _;

use super::cut::{Cut, Trim};
use super::names::Kind;
use super::playlist::{Subtitles, frame_rate};
use super::recording::Recording;
use crate::container::mp4::Media;
use crate::container::mp4::Track;

/// A rendition, as far as it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    pub recording: &'a Recording,
    pub kind: Kind,
    pub trim: Trim,
}

/// The manifest of these renditions; the sound is that of the first one that has any.
pub(super) fn manifest(renditions: &[Shown<'_>], texts: &[Subtitles]) -> String {
    let duration = |it: &Shown<'_>| {
        let span = it.recording.span(it.trim);
        span.end - span.start
    };
    let duration = renditions.iter().map(duration).max().unwrap_or(0);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT{:.3}S\" minBufferTime=\"PT4S\">\n<Period id=\"0\" start=\"PT0S\">\n",
        duration as f64 / 1e9
    );
    // Writing to a String cannot fail.
    let _ = write_sets(&mut out, renditions).and_then(|sets| write_texts(&mut out, texts, sets));
    out.push_str("</Period>\n</MPD>\n");
    out
}

/// Gives how many adaptation sets there are.
fn write_sets(out: &mut String, renditions: &[Shown<'_>]) -> Result<usize, std::fmt::Error> {
    let has_picture =
        |it: &&Shown<'_>| it.recording.movie.video.is_some() && !matches!(it.kind, Kind::Sound(_));
    let pictures: Vec<&Shown<'_>> = renditions.iter().filter(has_picture).collect();
    if !pictures.is_empty() {
        out.push_str(
            "<AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" startWithSAP=\"1\">\n",
        );
        for shown in pictures {
            let recording = shown.recording;
            let Some(track) = &recording.movie.video else { continue };
            if let Media::Video { width, height } = track.coding.media {
                let rate = (frame_rate(&recording.movie).unwrap_or(0.0) * 1000.0).round() as u32;
                let more = format!(" width=\"{width}\" height=\"{height}\" frameRate=\"{rate}/1000\"");
                let bandwidth = recording.rates_of(Kind::Picture).0;
                write_representation(out, *shown, Kind::Picture, track, &more, bandwidth)?;
            }
        }
        out.push_str("</AdaptationSet>\n");
    }
    let has_sound = |it: &&Shown<'_>| !it.recording.movie.audio.is_empty() && it.kind != Kind::Picture;
    let Some(heard) = renditions.iter().find(has_sound) else { return Ok(1) };
    for (index, track) in heard.recording.movie.audio.iter().enumerate() {
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
        write_representation(out, *heard, Kind::Sound(index), track, &more, bandwidth)?;
        out.push_str("</AdaptationSet>\n");
    }
    Ok(1 + heard.recording.movie.audio.len())
}

/// Subtitles, each in one piece; `first` is the number of their first set.
fn write_texts(out: &mut String, texts: &[Subtitles], first: usize) -> std::fmt::Result {
    for (index, text) in texts.iter().enumerate() {
        writeln!(
            out,
            "<AdaptationSet id=\"{}\" contentType=\"text\" mimeType=\"text/vtt\" lang=\"{}\">\n\
             <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"subtitle\"/>\n\
             <Representation id=\"text_{index}\" bandwidth=\"256\"><BaseURL>{}</BaseURL></Representation>\n\
             </AdaptationSet>",
            first + index,
            escaped(&text.language),
            text.uri
        )?;
    }
    Ok(())
}

/// Languages come from files.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn write_representation(
    out: &mut String,
    Shown { recording, trim, .. }: Shown<'_>,
    kind: Kind,
    track: &Track,
    more: &str,
    bandwidth: u64,
) -> std::fmt::Result {
    let names = &recording.names;
    let mut cuts = recording.cuts_of(kind, Trim::default()).unwrap_or_default();
    let mut offset = String::new();
    if !trim.is_whole() {
        let span = recording.span(trim);
        let (start, end) = (track.ticks(span.start), track.ticks(span.end));
        cuts.retain(|cut| cut.end > start && cut.start < end);
        offset = format!(" presentationTimeOffset=\"{start}\"");
    }
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
        "<SegmentTemplate timescale=\"{}\"{offset} initialization=\"{}\" media=\"{}\"><SegmentTimeline>",
        track.timescale,
        names.init(kind),
        names.segment_template(kind)
    )?;
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
