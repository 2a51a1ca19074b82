//! MPEG-DASH manifests (ISO/IEC 23009-1 §5) as values, with a writer, and a reader for tests.
//!
//! One period, and for every representation a timeline of its segments, so that no clock need be right. The reader knows
//! what the writer writes, and reads over the rest.
//!
//! What does *not* belong here: which segments there are (`store`, `vod`), and the names of files.

#[cfg(any(test, feature = "testing"))]
mod reader;
mod timeline;
mod writer;

use std::time::Duration;

use amphi_media::MediaTime;

#[cfg(any(test, feature = "testing"))]
pub use reader::MpdFault;
pub use timeline::SegmentTimeline;

/// A media presentation description (§5.3.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Mpd {
    /// Whether it grows.
    pub presentation: PresentationType,
    /// `AdaptationSet`s of its one period (§5.3.3).
    pub adaptation_sets: Vec<AdaptationSet>,
}

/// `type`, and what goes with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PresentationType {
    /// A recording.
    Static {
        /// `mediaPresentationDuration`.
        duration: Duration,
    },
    /// A live channel, whose presentation time is unix time.
    Dynamic {
        /// `publishTime`, and `UTCTiming` for a player's clock. A manifest that has been kept for a moment by a cache puts
        /// a player a moment later, never too early.
        now: MediaTime,
        /// `minimumUpdatePeriod`: one segment.
        update_period: Duration,
        /// `timeShiftBufferDepth`.
        buffer_depth: Duration,
        /// `suggestedPresentationDelay`.
        delay: Duration,
    },
}

/// Representations that a player may change between.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptationSet {
    /// Its number.
    pub id: usize,
    /// What is in it.
    pub content: ContentType,
    /// RFC 5646.
    pub language: Option<String>,
    /// Segments of all representations begin at the same times.
    pub segment_alignment: bool,
    /// Best first.
    pub representations: Vec<Representation>,
}

/// `contentType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles.
    Text,
}

/// One version of what an adaptation set holds (§5.3.5).
#[derive(Clone, Debug, PartialEq)]
pub struct Representation {
    /// Its name.
    pub id: String,
    /// RFC 6381; empty for subtitles.
    pub codecs: String,
    /// Bits per second.
    pub bandwidth_bps: u64,
    /// How it is shown or heard.
    pub format: RepresentationFormat,
    /// Where its media is.
    pub media: RepresentationMedia,
}

/// Attributes that depend on the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepresentationFormat {
    /// Of pictures.
    Video {
        /// Luma samples per row.
        width: u32,
        /// Rows of luma.
        height: u32,
        /// `frameRate`, a number or a fraction.
        frame_rate: String,
    },
    /// Of sound.
    Audio {
        /// `audioSamplingRate`.
        sample_rate: u32,
    },
    /// Of subtitles.
    Text,
}

/// Where a representation's media is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepresentationMedia {
    /// In segments.
    Segments(SegmentTemplate),
    /// In one file (§5.6).
    BaseUrl(String),
}

/// Names and times of segments (§5.3.9.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentTemplate {
    /// Ticks per second.
    pub timescale: u32,
    /// `presentationTimeOffset`: where the presentation begins in the media's time, in ticks.
    pub presentation_time_offset: Option<i64>,
    /// `startNumber`, where names hold `$Number$`.
    pub start_number: Option<i64>,
    /// The name of the initialization section.
    pub initialization: String,
    /// The names of segments, with `$Number$` or `$Time$`.
    pub media: String,
    /// When they begin and how long they last.
    pub timeline: SegmentTimeline,
}

#[cfg(test)]
mod tests;
