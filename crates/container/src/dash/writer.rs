//! Writes manifests.

use std::fmt::{self, Display, Formatter};

use super::{
    AdaptationSet, ChannelConfiguration, ContentType, Mpd, PresentationType, Representation,
    RepresentationFormat, RepresentationMedia, SegmentTemplate,
};

/// Names a configuration of ISO/IEC 23003-3.
const CHANNELS_SCHEME: &str = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";
/// Names a map of places, in hexadecimal digits.
pub(super) const PLACES_SCHEME: &str = "tag:dolby.com,2014:dash:audio_channel_configuration:2011";

/// Writes the XML text of the manifest.
impl Display for Mpd {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" "
        )?;
        match self.presentation {
            PresentationType::Static { duration } => write!(
                out,
                "type=\"static\" mediaPresentationDuration=\"PT{:.3}S\" minBufferTime=\"PT4S\">",
                duration.as_secs_f64()
            )?,
            PresentationType::Dynamic { now, update_period, buffer_depth, delay } => {
                let period = update_period.as_secs_f64();
                write!(
                    out,
                    "type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\" publishTime=\"{now}\" \
                     minimumUpdatePeriod=\"PT{period}S\" minBufferTime=\"PT{period}S\" \
                     timeShiftBufferDepth=\"PT{}S\" suggestedPresentationDelay=\"PT{}S\" \
                     maxSegmentDuration=\"PT{}S\">",
                    buffer_depth.as_secs_f64(),
                    delay.as_secs_f64(),
                    period.ceil()
                )?;
            }
        }
        writeln!(out, "\n<Period id=\"0\" start=\"PT0S\">")?;
        self.adaptation_sets.iter().try_for_each(|set| set.fmt(out))?;
        writeln!(out, "</Period>")?;
        if let PresentationType::Dynamic { now, .. } = self.presentation {
            writeln!(out, "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:direct:2014\" value=\"{now}\"/>")?;
        }
        writeln!(out, "</MPD>")
    }
}

impl Display for AdaptationSet {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (content, mime_type) = match self.content {
            ContentType::Video => ("video", "video/mp4"),
            ContentType::Audio => ("audio", "audio/mp4"),
            ContentType::Text => ("text", "text/vtt"),
        };
        write!(out, "<AdaptationSet id=\"{}\" contentType=\"{content}\" mimeType=\"{mime_type}\"", self.id)?;
        if let Some(language) = &self.language {
            write!(out, " lang=\"{}\"", Escaped(language))?;
        }
        if let Some(priority) = self.selection_priority {
            write!(out, " selectionPriority=\"{priority}\"")?;
        }
        if self.segment_alignment {
            write!(out, " segmentAlignment=\"true\"")?;
        }
        writeln!(out, "{}", if self.content == ContentType::Text { ">" } else { " startWithSAP=\"1\">" })?;
        if let Some(label) = &self.label {
            writeln!(out, "<Label>{}</Label>", Escaped(label))?;
        }
        if self.content == ContentType::Text {
            writeln!(out, "<Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"subtitle\"/>")?;
        }
        self.representations.iter().try_for_each(|it| it.fmt(out))?;
        writeln!(out, "</AdaptationSet>")
    }
}

impl Display for Representation {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "<Representation id=\"{}\"", Escaped(&self.id))?;
        if !self.codecs.is_empty() {
            write!(out, " codecs=\"{}\"", Escaped(&self.codecs))?;
        }
        write!(out, " bandwidth=\"{}\"", self.bandwidth_bps)?;
        match &self.format {
            RepresentationFormat::Video { width, height, frame_rate } => {
                write!(out, " width=\"{width}\" height=\"{height}\" frameRate=\"{}\"", Escaped(frame_rate))?;
            }
            RepresentationFormat::Audio { sample_rate, .. } => {
                write!(out, " audioSamplingRate=\"{sample_rate}\"")?;
            }
            RepresentationFormat::Text => {}
        }
        let channels = match self.format {
            RepresentationFormat::Audio { channels, .. } => channels,
            _ => None,
        };
        match &self.media {
            RepresentationMedia::Segments(template) => {
                writeln!(out, ">")?;
                channels.map_or(Ok(()), |channels| channels.fmt(out))?;
                writeln!(out, "{template}")?;
            }
            RepresentationMedia::BaseUrl(url) => write!(out, "><BaseURL>{}</BaseURL>", Escaped(url))?,
        }
        writeln!(out, "</Representation>")
    }
}

impl Display for ChannelConfiguration {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "<AudioChannelConfiguration schemeIdUri=")?;
        match self {
            // ChannelConfiguration of ISO/IEC 23003-3, which is the number of channels up to six.
            Self::Count(channels) => {
                let value = if *channels == 8 { 12 } else { *channels };
                writeln!(out, "\"{CHANNELS_SCHEME}\" value=\"{value}\"/>")
            }
            // (ETSI TS 102 366 annex I.1.2.1.)
            Self::Places(places) => writeln!(out, "\"{PLACES_SCHEME}\" value=\"{places:04X}\"/>"),
        }
    }
}

impl Display for SegmentTemplate {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "<SegmentTemplate timescale=\"{}\"", self.timescale)?;
        if let Some(offset) = self.presentation_time_offset {
            write!(out, " presentationTimeOffset=\"{offset}\"")?;
        }
        if let Some(number) = self.start_number {
            write!(out, " startNumber=\"{number}\"")?;
        }
        write!(
            out,
            " initialization=\"{}\" media=\"{}\"><SegmentTimeline>{}</SegmentTimeline></SegmentTemplate>",
            Escaped(&self.initialization),
            Escaped(&self.media),
            self.timeline
        )
    }
}

/// Text in an attribute or an element, escaped (XML 1.0 §2.4), without what no document may hold (§2.2). Language tags and names
/// come from files and may contain anything.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.split_inclusive(is_special).try_for_each(|part| {
            let last = part.chars().next_back().filter(|last| is_special(*last));
            out.write_str(part.strip_suffix(is_special).unwrap_or(part))?;
            out.write_str(match last {
                Some('&') => "&amp;",
                Some('<') => "&lt;",
                // No text may hold "]]>" (§2.4).
                Some('>') => "&gt;",
                Some('"') => "&quot;",
                _ => "",
            })
        })
    }
}

const fn is_special(letter: char) -> bool {
    matches!(letter, '&' | '<' | '>' | '"' | '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}
