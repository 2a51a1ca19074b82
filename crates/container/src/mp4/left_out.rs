//! What of a file is not played, and why: for the log, the listing and the operator.

use std::fmt;

/// A track, or a part of one, that is left out of the presentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// `track_ID` in the file; 0 if it could not be read.
    pub track_id: u32,
    /// What its handler says it is.
    pub kind: TrackKind,
    /// Why, in words for an operator: the codec, or the box and what is wrong with it.
    pub reason: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "track {} ({}): {}", self.track_id, self.kind, self.reason)
    }
}

/// What a track holds, by its handler (ISO/IEC 14496-12 §8.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// `vide`
    Picture,
    /// `soun`
    Sound,
    /// `text`, `sbtl`, `subt`: subtitles or chapter titles.
    Text,
    /// Timecodes, hints, metadata.
    Other,
}

impl fmt::Display for TrackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Picture => "picture",
            Self::Sound => "sound",
            Self::Text => "text",
            Self::Other => "other",
        })
    }
}
