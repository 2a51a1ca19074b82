//! A small mp4 file in memory, cut into access units: the waiting video, or what a simulated hall sends.
//!
//! Reads the first H.264 and the first AAC track of a progressive file and ignores all others. Every count in the tables is
//! checked against the file's length before memory is taken for it. What does not belong here: recordings, which are
//! never read whole.

use std::sync::Arc;

use bytes::Bytes;

use super::isobmff::{BoxFault, Boxes};
use super::mp4::{Movie, MovieTrack, SampleInfo};
use amphi_media::{Timescale, TrackFormat};

/// One access unit of a [`ClipTrack`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipSample {
    /// Decode time in ticks of the track's timescale.
    pub dts: i64,
    /// Presentation time in ticks after the edit list is applied; negative before the edit begins.
    pub pts: i64,
    /// Duration in ticks of the track's timescale.
    pub duration: u32,
    /// It is a sync sample: decoding can start here.
    pub sync: bool,
    /// The coded bytes, which are a part of the file's bytes.
    pub data: Bytes,
}

/// One track with all its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipTrack {
    /// How the samples are coded.
    pub format: Arc<TrackFormat>,
    /// Ticks per second of all times of this track.
    pub timescale: Timescale,
    /// The samples in decode order.
    pub samples: Vec<ClipSample>,
}

/// The tracks of a small mp4 file; see the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// The first H.264 track, if there is one.
    pub video: Option<ClipTrack>,
    /// The first AAC track, if there is one.
    pub audio: Option<ClipTrack>,
}

/// Why a file cannot be used as a clip. The file is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// It does not begin with an `ftyp` box.
    #[error("not an mp4 file: it does not begin with an ftyp box")]
    NotMp4,
    /// It has no `moov` box.
    #[error("no moov box: the file is truncated or not finished")]
    NoIndex,
    /// A box cannot be read, or refers to bytes outside the file.
    #[error(transparent)]
    Box(#[from] BoxFault),
    /// A track's coding cannot be read, or its tables are wrong.
    #[error("track {track}: {fault}")]
    Track {
        /// `track_ID` of that track.
        track: u32,
        /// What is wrong, with the name of the box.
        fault: &'static str,
    },
    /// The file is valid, but has neither an H.264 nor an AAC track.
    #[error("no H.264 or AAC track")]
    Nothing,
}

impl Clip {
    /// Reads the index of `file` and cuts out the samples, without copying them.
    pub fn parse(file: &Bytes) -> Result<Self, ClipError> {
        if file.get(4..8) != Some(b"ftyp") {
            return Err(ClipError::NotMp4);
        }
        let mut movie = None;
        for found in Boxes::of_file(file) {
            let found = found?;
            if found.kind == *b"moov" {
                let len = file.len() as u64;
                movie = Some(Movie::parse_preferring(found.whole, found.at, len, is_h264)?);
            }
        }
        let movie = movie.ok_or(ClipError::NoIndex)?;
        let video = movie.video.as_ref().filter(|track| is_h264(track));
        let audio = movie.audio.iter().find(|track| track.coding.codec.starts_with("mp4a.40."));
        let clip = Self {
            video: video
                .map(|track| cut(track, track.coding.h264().map(TrackFormat::H264).ok_or(NO_AVC), file))
                .transpose()?,
            audio: audio
                .map(|track| cut(track, track.coding.aac().map(TrackFormat::Aac).ok_or(NO_AAC), file))
                .transpose()?,
        };
        if clip.video.is_none() && clip.audio.is_none() { Err(ClipError::Nothing) } else { Ok(clip) }
    }
}

const NO_AVC: &str = "stsd: an avcC with NAL lengths of 4 bytes, an SPS and a PPS is needed";
const NO_AAC: &str = "stsd: an esds with an AudioSpecificConfig is needed";

fn is_h264(track: &MovieTrack) -> bool {
    track.coding.codec.starts_with("avc")
}

/// The samples of a track. The first edit that is not empty begins at time zero (ISO/IEC 14496-12 §8.6.6).
fn cut(
    track: &MovieTrack,
    format: Result<TrackFormat, &'static str>,
    file: &Bytes,
) -> Result<ClipTrack, ClipError> {
    let fault = |fault| ClipError::Track { track: track.id, fault };
    let format = format.map_err(fault)?;
    let count = track.samples.count();
    // Empty samples need no bytes in the file, but they need memory here.
    if count as usize > file.len() {
        return Err(fault("stsz: there are more samples than bytes"));
    }
    let mut dts = track.origin.saturating_neg();
    let sample = |(index, info): (u32, SampleInfo)| {
        let extents = track.samples.extents(index, index + 1);
        let data = extents.first().map(|it| file.slice(it.offset as usize..(it.offset + it.len) as usize));
        let (pts, duration) = (dts.saturating_add(info.composition.into()), info.duration);
        let sample = ClipSample { dts, pts, duration, sync: info.sync, data: data.unwrap_or_default() };
        dts = dts.saturating_add(duration.into());
        sample
    };
    let samples = (0..count).zip(track.samples.range(0, count)).map(sample).collect();
    Ok(ClipTrack { format: Arc::new(format), timescale: Timescale(track.timescale), samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixture(name: &str) -> Bytes {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
        std::fs::read(path).expect("a fixture").into()
    }

    #[test]
    fn a_hall_has_its_pictures_and_its_speech() {
        let clip = Clip::parse(&fixture("hall_c.mp4")).expect("a sound file");
        let video = clip.video.expect("pictures");
        assert_eq!(video.samples.len(), 300);
        let syncs: Vec<_> = (0..300).filter(|&index| video.samples[index].sync).collect();
        assert_eq!(syncs, (0..10).map(|index| index * 30).collect::<Vec<_>>());
        let TrackFormat::H264(sets) = &*video.format else { panic!("H.264") };
        assert_eq!(sets.codec_string(), "avc1.640029");
        let audio = clip.audio.expect("speech");
        let TrackFormat::Aac(config) = &*audio.format else { panic!("AAC") };
        assert_eq!((config.sample_rate, config.channels), (44_100, 1));
        assert_eq!(audio.samples[0].pts, -1024, "the encoder's priming lies before the edit");
    }

    #[test]
    fn a_second_reader_sees_the_same_samples() {
        let file = fixture("waiting.mp4");
        let clip = Clip::parse(&file).expect("a sound file");
        let mut other =
            mp4::Mp4Reader::read_header(std::io::Cursor::new(&file), file.len() as u64).expect("read");
        for (id, track) in [(1, clip.video.expect("pictures")), (2, clip.audio.expect("sound"))] {
            assert_eq!(other.sample_count(id).expect("a track") as usize, track.samples.len());
            for (index, sample) in track.samples.iter().enumerate() {
                let same = other.read_sample(id, index as u32 + 1).expect("readable").expect("there");
                assert_eq!(same.bytes, sample.data);
                assert_eq!(same.is_sync, sample.sync);
                assert_eq!(same.duration, sample.duration);
            }
        }
    }

    /// The same bytes with every `from` in them written as `to`.
    fn renamed(bytes: &[u8], from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for at in 0..bytes.len().saturating_sub(3) {
            if bytes[at..at + 4] == from {
                bytes[at..at + 4].copy_from_slice(&to);
            }
        }
        bytes
    }

    #[test]
    fn the_first_h264_track_is_taken_whatever_stands_before_it() {
        let file = fixture("waiting.mp4");
        let clip = Clip::parse(&file).expect("a sound file");
        let moov = Boxes::of_file(&file).flatten().find(|found| found.kind == *b"moov").expect("an index");
        let trak = moov.need(*b"trak").expect("pictures").whole;
        let hevc = renamed(&renamed(trak, *b"avc1", *b"hvc1"), *b"avcC", *b"hvcC");
        let place = moov.body.windows(trak.len()).position(|part| part == trak).expect("it is there");
        let body = [&moov.body[..place], &hevc, &moov.body[place..]].concat();
        // An index behind the media, so that every sample stays where it is.
        let mut both = renamed(&file, *b"moov", *b"free");
        super::super::isobmff::put_box(&mut both, *b"moov", |out| out.extend(&body));
        let found = Clip::parse(&both.into()).expect("a sound file");
        assert_eq!(found, clip);
    }

    #[test]
    fn what_is_no_clip_is_said() {
        let error =
            |bytes: &'static [u8]| Clip::parse(&Bytes::from_static(bytes)).expect_err("no clip").to_string();
        assert_eq!(error(b""), "not an mp4 file: it does not begin with an ftyp box");
        assert_eq!(error(b"<html>not found</html>"), error(b""));
        let file = fixture("waiting.mp4");
        for part in 1..64 {
            let cut = file.slice(..file.len() * part / 64);
            assert!(Clip::parse(&cut).is_err(), "{part}/64 of the file");
        }
        assert_eq!(
            error(b"\0\0\0\x08ftyp\0\0\0\x63mdat"),
            "box mdat at byte 8: it reaches beyond the end of the file: the file is truncated"
        );
    }

    proptest! {
        #[test]
        fn a_damaged_index_never_panics(flips in prop::collection::vec((0..6000_usize, any::<u8>()), 1..20)) {
            let mut bytes = fixture("waiting.mp4").to_vec();
            for (at, value) in flips { bytes[at] = value; }
            let _ = Clip::parse(&bytes.into());
        }
    }
}
