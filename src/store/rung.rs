//! One rung as its viewers see it: names, codecs, initialization section.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use amphi_media::{
    AAC_FRAME_SAMPLES, AudioTrack, CellIndex, Grid, MediaTime, Parts, RungName, RungTracks, Timescale,
    VideoTrack,
};

/// AAC-LC (RFC 6381 §3.3, ISO/IEC 14496-3 table 1.17).
const AAC_LC: &str = "mp4a.40.2";

/// A rung of a channel: what stays the same for as long as the channel lives.
#[derive(Clone, Debug)]
pub struct PublishedRung {
    tracks: RungTracks,
    parts: Parts,
    name: RungName,
    init: Bytes,
    init_name: String,
}

/// Where a segment stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentSpan {
    /// The first sample's presentation time.
    pub(super) start: MediaTime,
    /// From there to the first sample of the next segment.
    pub(super) duration: Duration,
}

impl PublishedRung {
    /// A rung with all its tracks, and their initialization section.
    pub fn new(tracks: RungTracks, init: Bytes) -> Self {
        Self::part(tracks, Parts::All, init)
    }

    /// A part of a rung, and the initialization section of that part. Only rungs with [`Parts::All`] are variants of
    /// HLS; DASH lists what carries one track.
    pub fn part(tracks: RungTracks, parts: Parts, init: Bytes) -> Self {
        let name = RungName::from(format!("{}{}", tracks.name, parts.suffix()));
        // Players and caches keep an initialization section by its URL, so other bytes need another name.
        let mut init_name = format!("init_{name}_");
        for byte in Sha256::digest(&init).iter().take(4) {
            // Writing to a String cannot fail.
            let _ = write!(init_name, "{byte:02x}");
        }
        init_name.push_str(".mp4");
        Self { tracks, parts, name, init, init_name }
    }

    /// Its name: `720p`, or `720p.v` for its picture alone.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which of its tracks it carries.
    pub const fn parts(&self) -> Parts {
        self.parts
    }

    /// Whether HLS lists it as a variant: it carries all of its tracks.
    pub fn is_variant(&self) -> bool {
        self.parts == Parts::All
    }

    /// The picture track, unless it carries sound alone.
    pub fn picture(&self) -> Option<&VideoTrack> {
        self.tracks.video.as_ref().filter(|_| self.parts.has_picture())
    }

    /// The sound track, unless it carries the picture alone.
    pub fn sound(&self) -> Option<&AudioTrack> {
        self.parts.has_sound().then_some(&self.tracks.audio)
    }

    /// The configured bit rate of the tracks that it carries, in bits per second.
    pub(super) fn nominal_bps(&self) -> u64 {
        let picture = self.picture().map_or(0, |video| video.bitrate_bps);
        u64::from(picture) + u64::from(self.sound().map_or(0, |audio| audio.bitrate_bps))
    }

    /// All tracks of the rung, also those that this part does not carry.
    pub const fn tracks(&self) -> &RungTracks {
        &self.tracks
    }

    /// `ftyp` and `moov` (RFC 8216 §3.3: Media Initialization Section).
    pub const fn init(&self) -> &Bytes {
        &self.init
    }

    /// The file name of its initialization section, `init_<rung>_<hash of the bytes>.mp4`.
    pub fn init_name(&self) -> &str {
        &self.init_name
    }

    /// The file name of its media playlist, `chunklist_<rung>.m3u8`.
    pub fn playlist_name(&self) -> String {
        format!("chunklist_{}.m3u8", self.name)
    }

    /// The file name of its media segment of cell `k`, `media_<rung>_<k>.m4s`.
    pub fn segment_name(&self, k: CellIndex) -> String {
        format!("media_{}_{k}.m4s", self.name)
    }

    /// Codec strings (RFC 6381 §3.3), picture first.
    pub fn codecs(&self) -> Vec<String> {
        let picture = self.picture().map(|video| video.parameter_sets.codec_string());
        picture.into_iter().chain(self.sound().map(|_| AAC_LC.to_owned())).collect()
    }

    /// Where the segment of cell `k` stands. Pictures fill their cell exactly; sound alone starts at the first
    /// frame that starts in the cell.
    pub(super) fn span(&self, grid: Grid, k: CellIndex) -> SegmentSpan {
        if self.picture().is_some() {
            return SegmentSpan { start: grid.start(k), duration: grid.duration() };
        }
        let rate = self.tracks.audio.format.sample_rate;
        let frames = grid.audio_frames(k, rate);
        let time = |frame: i64| MediaTime::from_ticks(frame * AAC_FRAME_SAMPLES as i64, Timescale(rate));
        let start = time(frames.start);
        SegmentSpan { start, duration: time(frames.end).saturating_since(start) }
    }
}
