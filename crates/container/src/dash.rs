//! MPEG-DASH manifests (ISO/IEC 23009-1 §5) as values, with a writer, and a reader for tests.
//!
//! A presentation has one period, and every representation a timeline of its segments, so a player's clock need not be right.
//! The reader reads what the writer writes and ignores the rest.
//!
//! What does *not* belong here: which segments there are (`store`, `vod`), and file names.

#[cfg(any(test, feature = "testing"))]
mod reader;
mod timeline;
mod writer;

use std::time::Duration;

use amphi_media::MediaTime;

#[cfg(any(test, feature = "testing"))]
pub use reader::MpdFault;
pub use timeline::SegmentTimeline;

/// A manifest as [`Mpd`] writes it, in which all addresses are relative, with `base` in front of each of them (`BaseURL`, §5.6).
/// Players fetch it again from `location` (`Location`, §5.3.1.2). Both are relative references.
pub fn rebased(text: &str, base: &str, location: Option<&str>) -> String {
    let Some((head, rest)) = text.split_once("\n<Period ") else { return text.to_owned() };
    let location =
        location.map(|it| format!("\n<Location>{}</Location>", writer::Escaped(it))).unwrap_or_default();
    format!("{head}\n<BaseURL>{}</BaseURL>{location}\n<Period {rest}", writer::Escaped(base))
}

/// A media presentation description (MPD, §5.3.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Mpd {
    /// Whether it is a recording or a live channel.
    pub presentation: PresentationType,
    /// The `AdaptationSet`s of its one period (§5.3.3).
    pub adaptation_sets: Vec<AdaptationSet>,
}

/// The attribute `type`, and the attributes that go with its value (§5.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PresentationType {
    /// A recording, complete.
    Static {
        /// `mediaPresentationDuration`, written with milliseconds.
        duration: Duration,
    },
    /// A live channel, whose presentation time is unix time.
    Dynamic {
        /// `publishTime`, and the value of `UTCTiming` (§5.8.4.11), by which a player sets its clock. If a cache has kept the
        /// manifest for a while, players are late by that time; they are never early.
        now: MediaTime,
        /// `minimumUpdatePeriod`: the duration of one segment.
        update_period: Duration,
        /// `timeShiftBufferDepth`: how far back the listed segments reach.
        buffer_depth: Duration,
        /// `suggestedPresentationDelay`: how far behind live players are asked to stay.
        delay: Duration,
    },
}

/// Representations between which a player may switch (§5.3.3).
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptationSet {
    /// The attribute `id`, unique in the period.
    pub id: usize,
    /// What its representations contain.
    pub content: ContentType,
    /// Language tag (RFC 5646), if known.
    pub language: Option<String>,
    /// What players call it in a menu (`Label`, §5.3.10), if it has a name.
    pub label: Option<String>,
    /// `selectionPriority` (§5.3.3.2): the larger, the better; 1 if it is not written.
    pub selection_priority: Option<u32>,
    /// Whether segments of all representations begin at the same times.
    pub segment_alignment: bool,
    /// Its representations, best first.
    pub representations: Vec<Representation>,
}

/// The attribute `contentType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// Pictures, in `video/mp4`.
    Video,
    /// Sound, in `audio/mp4`.
    Audio,
    /// Subtitles, in `text/vtt`.
    Text,
}

/// One coded version of the content of an adaptation set (§5.3.5).
#[derive(Clone, Debug, PartialEq)]
pub struct Representation {
    /// The attribute `id`, unique in the period.
    pub id: String,
    /// The attribute `codecs` (RFC 6381); empty for subtitles.
    pub codecs: String,
    /// Bandwidth in bits per second.
    pub bandwidth_bps: u64,
    /// Attributes that depend on the content.
    pub format: RepresentationFormat,
    /// Where its media data is.
    pub media: RepresentationMedia,
}

/// Attributes of a representation that depend on its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepresentationFormat {
    /// Attributes of pictures.
    Video {
        /// Luma samples per row of a picture.
        width: u32,
        /// Rows of luma samples of a picture.
        height: u32,
        /// `frameRate`: a number, or a fraction such as `30000/1001`.
        frame_rate: String,
    },
    /// Attributes of sound.
    Audio {
        /// `audioSamplingRate` in samples per second.
        sample_rate: u32,
        /// `AudioChannelConfiguration` (§5.8.5.4), if it is written.
        channels: Option<ChannelConfiguration>,
    },
    /// Subtitles, which need none.
    Text,
}

/// Which channels sound has (§5.8.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelConfiguration {
    /// So many, in their usual places.
    Count(u32),
    /// In these places, a bit for each (ETSI TS 102 366 table E.1.4).
    Places(u16),
}

/// Where the media data of a representation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepresentationMedia {
    /// In segments with names that follow a template.
    Segments(SegmentTemplate),
    /// In one file with this URL (`BaseURL`, §5.6).
    BaseUrl(String),
}

/// Names and times of the segments of a representation (§5.3.9.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentTemplate {
    /// Ticks per second of all times of this template.
    pub timescale: u32,
    /// `presentationTimeOffset`: media time at which the presentation begins, in ticks.
    pub presentation_time_offset: Option<i64>,
    /// `startNumber`, if segment names contain `$Number$`.
    pub start_number: Option<i64>,
    /// Name of the initialization section.
    pub initialization: String,
    /// Template of segment names, with `$Number$` or `$Time$` (§5.3.9.4.4).
    pub media: String,
    /// Start and duration of each segment.
    pub timeline: SegmentTimeline,
}

#[cfg(test)]
mod tests;
