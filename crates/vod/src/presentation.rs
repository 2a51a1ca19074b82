//! A recording with all its renditions, among which players choose, and the playlists and manifests of it.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::captions::ListedText;
use super::cut::Trim;
use super::dash;
use super::names::{self, FileNames, TrackSelection};
use super::playlist::{StatedRendition, Subtitles, multivariant};
use super::recording::Recording;
use super::smil::Smil;
use amphi_container::webvtt::{self as text, TimedText};

/// The renditions of one recording, opened and indexed.
#[derive(Clone, Debug)]
pub struct Presentation {
    /// In the order of the SMIL file; at least one.
    pub renditions: Vec<Rendition>,
    /// The SMIL file that names them; `None` if a media file was asked for.
    pub smil: Option<Arc<Smil>>,
}

/// A file, and which part and tracks of it.
#[derive(Clone, Debug)]
pub struct Rendition {
    /// The file with its index.
    pub recording: Arc<Recording>,
    /// The part that the SMIL file names.
    pub trim: Trim,
    /// The tracks that the SMIL file names.
    pub kind: TrackSelection,
}

impl Rendition {
    /// The part that is played when a viewer asks for `asked`, which overrides the SMIL file's.
    fn trimmed(&self, asked: Trim) -> Trim {
        if asked.is_whole() { self.trim } else { asked }
    }

    /// What the multivariant playlist says of it.
    fn stated(&self, asked: Trim) -> StatedRendition<'_> {
        let Self { recording, kind, .. } = self;
        StatedRendition {
            movie: &recording.movie,
            names: &recording.names,
            rates: recording.rates_of(*kind),
            trim: self.trimmed(asked),
            kind: *kind,
            sounds: recording.sounds(),
        }
    }

    /// The same with sound as it is in the file; `None` where there is none, where one sound alone lies beside its pictures, whose
    /// readers would lose it if it were apart, and where there is no picture: hlsdemux2 of GStreamer changes from AAC to AC-3
    /// for its bit rate and then stops.
    fn stated_in_file(&self, asked: Trim) -> Option<StatedRendition<'_>> {
        let sounds = self.recording.sounds_in_file()?;
        let is_both = self.kind == TrackSelection::Both && self.recording.movie.video.is_some();
        if !is_both || sounds.len() < 2 {
            return None;
        }
        Some(StatedRendition { rates: self.recording.rates_with(&sounds), sounds, ..self.stated(asked) })
    }
}

impl Presentation {
    /// Changes whenever anything of the presentation changes; part of keys of caches.
    pub fn version(&self) -> String {
        let mut version = String::new();
        for Rendition { recording, trim, kind } in &self.renditions {
            let Trim { start_ms, duration_ms } = trim;
            let names = &recording.names;
            // Writing to a String cannot fail.
            let _ = write!(version, "{}{}{kind:?}{start_ms}{duration_ms:?};", names.key, names.tag);
        }
        version
    }

    /// The part that is played when a viewer asks for `asked`: that of the first rendition.
    fn trimmed(&self, asked: Trim) -> Trim {
        self.renditions.first().map_or(asked, |first| first.trimmed(asked))
    }

    /// Where a part begins and where its longest rendition ends, in milliseconds of presentation time.
    fn span_ms(&self, trim: Trim) -> Range<u64> {
        let ms = |nanos: i64| nanos.max(0) as u64 / 1_000_000;
        let spans: Vec<Range<i64>> = self.renditions.iter().map(|it| it.recording.span(trim)).collect();
        let start = spans.first().map_or(0, |span| span.start);
        ms(start)..ms(spans.iter().map(|span| span.end).max().unwrap_or(0))
    }

    /// The multivariant playlist; `trim` is what the viewer asked for.
    pub fn multivariant(&self, trim: Trim, texts: &[ListedText]) -> String {
        let trim_of_text = self.trimmed(trim);
        let subtitle = |text: &ListedText| Subtitles {
            language: text.language.clone(),
            name: text.name.clone(),
            uri: names::text_playlist(&text.names, trim_of_text),
        };
        let subtitles: Vec<Subtitles> = texts.iter().map(subtitle).collect();
        let variants: Vec<StatedRendition<'_>> = self.renditions.iter().map(|it| it.stated(trim)).collect();
        let in_file: Vec<Option<StatedRendition<'_>>> =
            self.renditions.iter().map(|it| it.stated_in_file(trim)).collect();
        multivariant(&variants, &in_file, &subtitles).to_string()
    }

    /// The DASH manifest; `trim` is what the viewer asked for.
    pub fn manifest(&self, trim: Trim, texts: &[ListedText]) -> String {
        let shown = self.renditions.iter().map(|rendition| dash::ShownRendition {
            recording: &rendition.recording,
            kind: rendition.kind,
            trim: rendition.trimmed(trim),
        });
        let trim = self.trimmed(trim);
        let texts = texts.iter().map(|text| Subtitles {
            language: text.language.clone(),
            name: text.name.clone(),
            uri: names::whole_text(&text.names, trim),
        });
        dash::manifest(&shown.collect::<Vec<_>>(), &texts.collect::<Vec<_>>()).to_string()
    }

    /// The media playlist of subtitles with these names for a part.
    pub fn text_playlist(&self, names: &FileNames, trim: Trim) -> String {
        text::playlist(|part| names::text_segment(names, part), self.span_ms(trim))
    }

    /// The cues of a part as one WebVTT text.
    pub fn whole_text(&self, cues: &TimedText, trim: Trim) -> String {
        text::whole(cues, self.span_ms(trim))
    }
}
