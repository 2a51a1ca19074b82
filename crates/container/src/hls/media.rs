//! Media playlists (RFC 8216 §4.3.3, §4.3.2).

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::attributes::text;
use super::{PlaylistFault, lines, tag};
use amphi_media::MediaTime;

/// A media playlist (§4.3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaPlaylist {
    /// `EXT-X-TARGETDURATION` in seconds: no segment's duration rounds to a larger number (§4.3.3.1).
    pub target_duration_s: u64,
    /// `EXT-X-MEDIA-SEQUENCE`: number of the first segment (§4.3.3.2).
    pub media_sequence: u64,
    /// `EXT-X-PLAYLIST-TYPE:VOD`: the playlist never changes (§4.3.3.5).
    pub is_vod: bool,
    /// `EXT-X-INDEPENDENT-SEGMENTS`: each segment begins with a sync sample (§4.3.5.1).
    pub has_independent_segments: bool,
    /// `EXT-X-I-FRAMES-ONLY`: each segment is one I-frame (§4.3.3.6).
    pub is_i_frames_only: bool,
    /// `EXT-X-MAP`: URI of the initialization section (§4.3.2.5).
    pub map: Option<String>,
    /// The segments in order.
    pub segments: Vec<MediaSegment>,
    /// `EXT-X-ENDLIST`: no more segments will come (§4.3.3.4).
    pub is_ended: bool,
}

/// A media segment as a playlist lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaSegment {
    /// URI, relative to that of the playlist.
    pub uri: String,
    /// `EXTINF`: its duration, read and written in seconds (§4.3.2.1).
    pub duration: Duration,
    /// `EXT-X-PROGRAM-DATE-TIME`: when its first sample was recorded (§4.3.2.6). If the tag is missing, the reader computes
    /// it from the last segment that had one.
    pub program_date_time: Option<MediaTime>,
    /// `EXT-X-DISCONTINUITY`: it does not continue the segment before (§4.3.2.3).
    pub is_discontinuous: bool,
}

impl MediaPlaylist {
    pub(super) fn parse(text_of_all: &str) -> Result<Self, PlaylistFault> {
        let mut playlist = Self::default();
        let mut next = MediaSegment::default();
        for (line, text_of_line) in lines(text_of_all) {
            let fault = |fault| PlaylistFault { line, fault };
            let (name, value) = tag(text_of_line);
            match name {
                "#EXT-X-TARGETDURATION" => {
                    playlist.target_duration_s =
                        value.parse().map_err(|_| fault("the target duration is no number (§4.3.3.1)"))?;
                }
                "#EXT-X-MEDIA-SEQUENCE" => {
                    playlist.media_sequence =
                        value.parse().map_err(|_| fault("the media sequence is no number (§4.3.3.2)"))?;
                }
                "#EXTINF" => {
                    let seconds = value.split(',').next().and_then(|seconds| seconds.parse().ok());
                    next.duration = seconds
                        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                        .ok_or(fault("the duration is no number (§4.3.2.1)"))?;
                }
                "#EXT-X-PROGRAM-DATE-TIME" => {
                    let date = value.parse::<jiff::Timestamp>();
                    next.program_date_time =
                        Some(date.map_err(|_| fault("the date is none (§4.3.2.6)"))?.into());
                }
                "#EXT-X-MAP" => playlist.map = text(value, "URI"),
                "#EXT-X-DISCONTINUITY" => next.is_discontinuous = true,
                "#EXT-X-PLAYLIST-TYPE" => playlist.is_vod = value == "VOD",
                "#EXT-X-INDEPENDENT-SEGMENTS" => playlist.has_independent_segments = true,
                "#EXT-X-I-FRAMES-ONLY" => playlist.is_i_frames_only = true,
                "#EXT-X-ENDLIST" => playlist.is_ended = true,
                _ if text_of_line.starts_with('#') => {}
                _ => {
                    let segment = MediaSegment { uri: text_of_line.to_owned(), ..next };
                    next = MediaSegment {
                        duration: segment.duration,
                        program_date_time: segment.program_date_time.map(|date| date + segment.duration),
                        ..MediaSegment::default()
                    };
                    playlist.segments.push(segment);
                }
            }
        }
        Ok(playlist)
    }
}

/// Writes the text of the playlist.
///
/// The version is 7: §7 requires at least 6 for `EXT-X-MAP` outside of I-frame playlists, and Apple's authoring
/// specification requires 7 for fragmented MP4.
impl Display for MediaPlaylist {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "#EXTM3U\n#EXT-X-VERSION:7")?;
        if self.has_independent_segments {
            writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        writeln!(out, "#EXT-X-TARGETDURATION:{}", self.target_duration_s)?;
        writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", self.media_sequence)?;
        if self.is_vod {
            writeln!(out, "#EXT-X-PLAYLIST-TYPE:VOD")?;
        }
        if self.is_i_frames_only {
            writeln!(out, "#EXT-X-I-FRAMES-ONLY")?;
        }
        if let Some(map) = &self.map {
            writeln!(out, "#EXT-X-MAP:URI=\"{map}\"")?;
        }
        // A playlist without an initialization section is one of WebVTT, whose cues count milliseconds.
        let decimals = if self.map.is_some() { 6 } else { 3 };
        for segment in &self.segments {
            if segment.is_discontinuous {
                writeln!(out, "#EXT-X-DISCONTINUITY")?;
            }
            if let Some(date) = segment.program_date_time {
                writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{date}")?;
            }
            let seconds = segment.duration.as_secs_f64();
            writeln!(out, "#EXTINF:{seconds:.decimals$},\n{}", segment.uri)?;
        }
        if self.is_ended {
            writeln!(out, "#EXT-X-ENDLIST")?;
        }
        Ok(())
    }
}
