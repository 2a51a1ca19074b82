//! Initialization sections: `ftyp` and `moov` (ISO/IEC 14496-12 §8, 23000-19 §7.3.1).

use bytes::{BufMut, Bytes};

use super::super::isobmff::{put_box, put_full_box};
use super::super::mp4::{TrackMedia, aac_entry};
use super::{AUDIO_TRACK_ID, OTHER_SAMPLE, SYNC_SAMPLE, VIDEO_TRACK_ID};
use amphi_media::h264::avc_configuration;
use amphi_media::{
    AAC_FRAME_SAMPLES, AudioSpecificConfig, AudioTrack, Parts, RungTracks, VIDEO_TIMESCALE, VideoTrack,
};

/// The identity matrix of `mvhd` and `tkhd` (§8.2.2): pictures are shown as they are coded.
const UNITY: [u8; 36] = {
    let mut matrix = [0; 36];
    (matrix[1], matrix[17], matrix[32]) = (1, 1, 0x40);
    matrix
};

/// Why no initialization section can be written. Whoever made the tracks is at fault.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The SPS ends before its profile and level.
    #[error("rung {rung}: the SPS has {length} bytes, too few for profile and level")]
    ParameterSets {
        /// Name of the rung.
        rung: String,
        /// Length of the SPS in bytes.
        length: usize,
    },
    /// Width or height of the picture does not fit in 16 bits.
    #[error("rung {rung}: a picture of {width}x{height} is too large for a sample entry")]
    Size {
        /// Name of the rung.
        rung: String,
        /// Luma samples per row.
        width: u32,
        /// Number of rows of luma samples.
        height: u32,
    },
}

/// What an initialization section says about one track.
#[derive(Clone, Copy, Debug)]
pub struct InitTrack<'a> {
    /// `track_ID`, unique in the section.
    pub track_id: u32,
    /// Ticks per second of the track's times.
    pub timescale: u32,
    /// Language code of three letters (ISO 639-2/T).
    pub language: &'a str,
    /// Whether it has pictures or sound.
    pub media: TrackMedia,
    /// The sample entry, with its header.
    pub sample_entry: &'a [u8],
    /// The matrix of `tkhd` (§8.3.2), 36 bytes; the identity matrix if `None`.
    pub matrix: Option<&'a [u8]>,
    /// Media time at which the presentation begins, in ticks; if it is 0, no edit list is written.
    pub edit_start: i64,
    /// Duration of samples if a fragment does not give one, in ticks.
    pub default_duration: u32,
    /// Flags of samples if a fragment does not give any.
    pub default_flags: u32,
}

impl InitTrack<'_> {
    const fn is_video(&self) -> bool {
        matches!(self.media, TrackMedia::Video { .. })
    }
}

/// The initialization section for these parts of a rung: the picture, if any, is track 1, the sound is track 2.
pub fn init_section(rung: &RungTracks, parts: Parts) -> Result<Bytes, InitError> {
    let video = rung.video.as_ref().filter(|_| parts.has_picture());
    let picture = video.map(|video| Ok((video, picture_entry(video, &rung.name)?))).transpose()?;
    let sound = parts.has_sound().then(|| {
        let AudioTrack { format, bitrate_bps } = rung.audio;
        aac_entry(AudioSpecificConfig::lc(format), bitrate_bps)
    });
    let mut tracks = Vec::new();
    if let Some((video, (media, entry))) = &picture {
        tracks.push(InitTrack {
            track_id: VIDEO_TRACK_ID,
            timescale: VIDEO_TIMESCALE.0,
            language: "und",
            media: *media,
            sample_entry: entry,
            matrix: None,
            edit_start: 0,
            default_duration: VIDEO_TIMESCALE.0 / video.fps.max(1),
            default_flags: OTHER_SAMPLE,
        });
    }
    if let Some(entry) = &sound {
        tracks.push(InitTrack {
            track_id: AUDIO_TRACK_ID,
            timescale: rung.audio.timescale().0,
            language: "und",
            media: TrackMedia::Audio {
                channels: u16::from(rung.audio.format.channels),
                sample_rate: rung.audio.format.sample_rate,
            },
            sample_entry: entry,
            matrix: None,
            edit_start: 0,
            default_duration: AAC_FRAME_SAMPLES,
            default_flags: SYNC_SAMPLE,
        });
    }
    Ok(init_section_of(&tracks))
}

/// The initialization section of these tracks.
///
/// The brand iso6 allows `tfdt` and default-base-is-moof (§E.9). The CMAF brands promise one track per file, so a section
/// with picture and sound must not have them.
pub fn init_section_of(tracks: &[InitTrack<'_>]) -> Bytes {
    let mut out = Vec::with_capacity(1500);
    put_box(&mut out, *b"ftyp", |out| out.put_slice(b"iso6\0\0\0\0iso6mp41"));
    put_box(&mut out, *b"moov", |out| {
        // Times and duration 0, 1000 ticks per second, rate 1, volume 1, then next_track_ID (§8.2.2).
        put_full_box(out, *b"mvhd", 1, 0, |out| {
            out.put_bytes(0, 16);
            out.put_u32(1000);
            out.put_u64(0);
            out.put_u32(0x0001_0000);
            out.put_u16(0x0100);
            out.put_bytes(0, 10);
            out.put_slice(&UNITY);
            out.put_bytes(0, 24);
            out.put_u32(tracks.iter().map(|track| track.track_id).fold(AUDIO_TRACK_ID, u32::max) + 1);
        });
        put_box(out, *b"mvex", |out| {
            for track in tracks {
                put_full_box(out, *b"trex", 0, 0, |out| {
                    for field in [track.track_id, 1, track.default_duration, 0, track.default_flags] {
                        out.put_u32(field);
                    }
                });
            }
        });
        for track in tracks {
            put_track(out, track);
        }
    });
    out.into()
}

/// Writes a `trak`. Its durations are 0, because all samples are in fragments (§8.3.2.3).
fn put_track(out: &mut Vec<u8>, track: &InitTrack<'_>) {
    let is_video = track.is_video();
    put_box(out, *b"trak", |out| {
        // track_enabled, track_in_movie, track_in_preview.
        put_full_box(out, *b"tkhd", 1, 7, |out| {
            out.put_bytes(0, 16);
            out.put_u32(track.track_id);
            out.put_bytes(0, 22);
            out.put_u16(u16::from(!is_video));
            out.put_u16(if is_video { 0 } else { 0x0100 });
            out.put_u16(0);
            out.put_slice(track.matrix.unwrap_or(&UNITY));
            match track.media {
                TrackMedia::Video { width, height } => {
                    out.put_u32(u32::from(width) << 16);
                    out.put_u32(u32::from(height) << 16);
                }
                TrackMedia::Audio { .. } => out.put_u64(0),
            }
        });
        if track.edit_start > 0 {
            put_box(out, *b"edts", |out| {
                put_full_box(out, *b"elst", 1, 0, |out| {
                    out.put_u32(1);
                    // In a fragmented file a duration of 0 means: up to the end (§8.6.6.1).
                    out.put_u64(0);
                    out.put_i64(track.edit_start);
                    out.put_u32(0x0001_0000);
                });
            });
        }
        put_box(out, *b"mdia", |out| {
            put_full_box(out, *b"mdhd", 1, 0, |out| {
                out.put_bytes(0, 16);
                out.put_u32(track.timescale);
                out.put_u64(0);
                out.put_u16(packed(track.language));
                out.put_u16(0);
            });
            put_full_box(out, *b"hdlr", 0, 0, |out| {
                out.put_u32(0);
                out.put_slice(if is_video { b"vide" } else { b"soun" });
                out.put_bytes(0, 12);
                out.put_slice(if is_video { b"picture\0" } else { b"sound\0" });
            });
            put_box(out, *b"minf", |out| put_media_information(out, track));
        });
    });
}

fn put_media_information(out: &mut Vec<u8>, track: &InitTrack<'_>) {
    put_box(out, *b"dinf", |out| {
        put_full_box(out, *b"dref", 0, 0, |out| {
            out.put_u32(1);
            // Flag 1: the media is in the same file (§8.7.2).
            put_full_box(out, *b"url ", 0, 1, |_| {});
        });
    });
    put_box(out, *b"stbl", |out| {
        put_full_box(out, *b"stsd", 0, 0, |out| {
            out.put_u32(1);
            out.put_slice(track.sample_entry);
        });
        // The tables are empty, since all samples are in fragments.
        for table in [b"stts", b"stsc"] {
            put_full_box(out, *table, 0, 0, |out| out.put_u32(0));
        }
        put_full_box(out, *b"stsz", 0, 0, |out| out.put_u64(0));
        put_full_box(out, *b"stco", 0, 0, |out| out.put_u32(0));
    });
    if track.is_video() {
        put_full_box(out, *b"vmhd", 0, 1, |out| out.put_bytes(0, 8));
    } else {
        put_full_box(out, *b"smhd", 0, 0, |out| out.put_bytes(0, 4));
    }
}

/// Packs a language code of three letters in 15 bits (§8.4.2.3).
fn packed(language: &str) -> u16 {
    language.bytes().take(3).fold(0, |word, letter| word << 5 | u16::from(letter & 0x1f))
}

/// The visual sample entry (§12.1.3) of H.264. It has no `colr` box, since the SPS describes the colours.
fn picture_entry(video: &VideoTrack, rung: &str) -> Result<(TrackMedia, Vec<u8>), InitError> {
    let too_large =
        || InitError::Size { rung: rung.to_owned(), width: video.size.width, height: video.size.height };
    let width = u16::try_from(video.size.width).map_err(|_| too_large())?;
    let height = u16::try_from(video.size.height).map_err(|_| too_large())?;
    let sps = &video.parameter_sets.sps;
    if sps.len() < 4 {
        return Err(InitError::ParameterSets { rung: rung.to_owned(), length: sps.len() });
    }
    let configuration = avc_configuration(&video.parameter_sets);
    let mut out = Vec::new();
    put_box(&mut out, *b"avc1", |out| {
        out.put_bytes(0, 6);
        out.put_u16(1);
        out.put_bytes(0, 16);
        out.put_u16(width);
        out.put_u16(height);
        // 72 dpi, one frame per sample, no compressor name.
        out.put_u64(0x0048_0000_0048_0000);
        out.put_u32(0);
        out.put_u16(1);
        out.put_bytes(0, 32);
        out.put_u16(0x18);
        out.put_i16(-1);
        put_box(out, *b"avcC", |out| out.put_slice(&configuration));
    });
    Ok((TrackMedia::Video { width, height }, out))
}
