//! What a source hands on: coded access units on wall-clock media time.

use std::sync::Arc;

use bytes::Bytes;

use super::{AudioSpecificConfig, MediaTime, ParameterSets};

/// The two kinds of track that a source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    /// The picture.
    Video,
    /// The sound.
    Audio,
}

/// How the frames of a track are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackFormat {
    /// H.264; samples are NAL units with 4-byte lengths (ISO/IEC 14496-15 §5.3), parameter sets apart.
    H264(ParameterSets),
    /// Raw AAC access units without ADTS.
    Aac(AudioSpecificConfig),
}

impl TrackFormat {
    /// The kind of track.
    pub const fn track(&self) -> Track {
        match self {
            Self::H264(_) => Track::Video,
            Self::Aac(_) => Track::Audio,
        }
    }
}

/// One access unit of a source, in decode order within its track.
#[derive(Clone, Debug)]
pub struct SourceFrame {
    /// When it is shown or heard, on the wall clock.
    pub pts: MediaTime,
    /// The coded bytes, as `format` says; none where a picture was lost on the way, or cannot be decoded for want of
    /// one that was.
    pub data: Bytes,
    /// Decoding can start here (H.264: an IDR picture; AAC: always).
    pub sync: bool,
    /// How `data` is coded. Frames share one allocation until the format changes.
    pub format: Arc<TrackFormat>,
}

impl SourceFrame {
    /// The track it belongs to.
    pub fn track(&self) -> Track {
        self.format.track()
    }
}
