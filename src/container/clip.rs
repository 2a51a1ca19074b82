//! A small mp4 file in memory, as timed access units: the waiting video, and what a simulated hall sends.
//!
//! Reads progressive files with one H.264 and one AAC track (others are ignored). Every number of the tables is
//! checked against the file's length before memory is taken for it. What does not belong here: recorded
//! lectures, which are never read whole.

use std::sync::Arc;

use bytes::Bytes;
use mp4_atom::{Atom, Codec, Decode, Header, Moov, Stbl, StszSamples, Trak};

use crate::media::{AudioSpecificConfig, ParameterSets, Timescale, TrackFormat};

/// One access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipSample {
    /// Decode time in ticks.
    pub dts: i64,
    /// Presentation time in ticks, the edit list applied; negative before the edit begins.
    pub pts: i64,
    /// Ticks.
    pub duration: u32,
    /// Decoding can start here.
    pub sync: bool,
    /// The bytes, a part of the file's.
    pub data: Bytes,
}

/// One track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipTrack {
    /// How samples are coded.
    pub format: Arc<TrackFormat>,
    /// Ticks per second.
    pub timescale: Timescale,
    /// In decode order.
    pub samples: Vec<ClipSample>,
}

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// The first H.264 track.
    pub video: Option<ClipTrack>,
    /// The first AAC track.
    pub audio: Option<ClipTrack>,
}

/// Why a file is no clip.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// It does not begin like an mp4 file.
    #[error("not an mp4 file: it does not begin with an ftyp box")]
    NotMp4,
    /// A box is longer than the file.
    #[error("box {kind} at byte {at} reaches beyond the end of the file: the file is truncated")]
    Truncated {
        /// The box's type.
        kind: String,
        /// Its offset in the file.
        at: usize,
    },
    /// There is no index.
    #[error("no moov box: the file is truncated or not finished")]
    NoIndex,
    /// The index cannot be read.
    #[error("the moov box cannot be read: {0}")]
    Index(#[from] mp4_atom::Error),
    /// The tables of a track disagree, or point outside the file.
    #[error("track {track}: {fault}")]
    Table {
        /// The track's number.
        track: u32,
        /// What is wrong, naming the box.
        fault: &'static str,
    },
    /// The file is sound, but holds nothing that we play.
    #[error("no H.264 or AAC track")]
    Nothing,
}

impl Clip {
    /// Reads the index of `file` and cuts the samples out of it, without copying them.
    pub fn parse(file: &Bytes) -> Result<Self, ClipError> {
        let moov = find_moov(file)?;
        let mut clip = Self { video: None, audio: None };
        for trak in &moov.trak {
            match format_of(trak)? {
                Some(format @ TrackFormat::H264(_)) if clip.video.is_none() => {
                    clip.video = Some(track(trak, moov.mvhd.timescale, format, file)?);
                }
                Some(format @ TrackFormat::Aac(_)) if clip.audio.is_none() => {
                    clip.audio = Some(track(trak, moov.mvhd.timescale, format, file)?);
                }
                _ => {}
            }
        }
        if clip.video.is_none() && clip.audio.is_none() { Err(ClipError::Nothing) } else { Ok(clip) }
    }
}

fn find_moov(file: &Bytes) -> Result<Moov, ClipError> {
    if file.get(4..8) != Some(b"ftyp") {
        return Err(ClipError::NotMp4);
    }
    let mut at = 0;
    let mut moov = None;
    while at < file.len() {
        let mut rest = &file[at..];
        let header = Header::decode(&mut rest)?;
        let size = header.size.unwrap_or(rest.len());
        if size > rest.len() {
            return Err(ClipError::Truncated { kind: header.kind.to_string(), at });
        }
        if header.kind == Moov::KIND {
            moov = Some(Moov::decode_body(&mut &rest[..size])?);
        }
        at = file.len() - rest.len() + size;
    }
    moov.ok_or(ClipError::NoIndex)
}

fn format_of(trak: &Trak) -> Result<Option<TrackFormat>, ClipError> {
    let fault = |fault| ClipError::Table { track: trak.tkhd.track_id, fault };
    let entries = &trak.mdia.minf.stbl.stsd.codecs;
    match entries.first() {
        Some(Codec::Avc1(avc1)) => {
            if entries.len() > 1 {
                return Err(fault("stsd has several sample descriptions"));
            }
            if avc1.avcc.length_size != 4 {
                return Err(fault("avcC: NAL lengths of 4 bytes are needed"));
            }
            let sps = avc1.avcc.sequence_parameter_sets.first().ok_or(fault("avcC has no SPS"))?;
            let pps = avc1.avcc.picture_parameter_sets.first().ok_or(fault("avcC has no PPS"))?;
            let sets = ParameterSets { sps: Bytes::copy_from_slice(sps), pps: Bytes::copy_from_slice(pps) };
            Ok(Some(TrackFormat::H264(sets)))
        }
        Some(Codec::Mp4a(mp4a)) => {
            let specific = mp4a.esds.es_desc.dec_config.dec_specific.as_ref();
            let bytes = &specific.ok_or(fault("esds has no AudioSpecificConfig"))?.raw;
            let config = AudioSpecificConfig::parse(bytes)
                .map_err(|_| fault("esds: the AudioSpecificConfig cannot be read"))?;
            Ok(Some(TrackFormat::Aac(config)))
        }
        _ => Ok(None),
    }
}

fn track(
    trak: &Trak,
    movie_timescale: u32,
    format: TrackFormat,
    file: &Bytes,
) -> Result<ClipTrack, ClipError> {
    let fault = |fault| ClipError::Table { track: trak.tkhd.track_id, fault };
    let timescale = trak.mdia.mdhd.timescale;
    if timescale == 0 {
        return Err(fault("mdhd: the timescale is zero"));
    }
    let stbl = &trak.mdia.minf.stbl;
    let places = places(stbl, file.len()).map_err(fault)?;
    let mut durations = runs(stbl.stts.entries.iter().map(|entry| (entry.sample_count, entry.sample_delta)));
    let mut offsets = runs(
        stbl.ctts
            .iter()
            .flat_map(|ctts| &ctts.entries)
            .map(|entry| (entry.sample_count, entry.sample_offset)),
    );
    let shift = edit_shift(trak, movie_timescale, timescale);
    let mut dts = 0;
    let mut samples = Vec::with_capacity(places.len());
    for (index, (offset, size)) in places.into_iter().enumerate() {
        let duration = durations.next().ok_or(fault("stts has fewer samples than stsz"))?;
        let pts = dts + offsets.next().unwrap_or_default() - shift;
        let sync =
            stbl.stss.as_ref().is_none_or(|stss| stss.entries.binary_search(&(index as u32 + 1)).is_ok());
        let data = file.slice(offset..offset + size);
        samples.push(ClipSample { dts: dts - shift, pts, duration, sync, data });
        dts += i64::from(duration);
    }
    Ok(ClipTrack { format: Arc::new(format), timescale: Timescale(timescale), samples })
}

/// Media time at which the presentation begins, in the track's ticks: the first edit that is not empty, less the
/// empty ones before it (ISO/IEC 14496-12 §8.6.6).
fn edit_shift(trak: &Trak, movie_timescale: u32, timescale: u32) -> i64 {
    let entries = trak.edts.iter().flat_map(|edts| &edts.elst).flat_map(|elst| &elst.entries);
    let mut empty = 0_i128;
    for entry in entries {
        match entry.media_time {
            Some(start) => {
                let empty = empty * i128::from(timescale) / i128::from(movie_timescale.max(1));
                return (i128::from(start) - empty).clamp(i128::from(i32::MIN), i128::from(u32::MAX)) as i64;
            }
            None => empty += i128::from(entry.segment_duration),
        }
    }
    0
}

/// Run-length pairs, unrolled.
fn runs<T: Copy>(pairs: impl Iterator<Item = (u32, T)>) -> impl Iterator<Item = T> {
    pairs.flat_map(|(count, value)| std::iter::repeat_n(value, count as usize))
}

/// Offset and size of each sample, all within the file.
fn places(stbl: &Stbl, file_len: usize) -> Result<Vec<(usize, usize)>, &'static str> {
    let mut sizes: Box<dyn Iterator<Item = u32>> = match &stbl.stsz.samples {
        StszSamples::Identical { count, size } => {
            if u64::from(*count) * u64::from(*size) > file_len as u64 || *size == 0 && *count > 0 {
                return Err("stsz: the samples are larger than the file");
            }
            Box::new(std::iter::repeat_n(*size, *count as usize))
        }
        StszSamples::Different { sizes } => Box::new(sizes.iter().copied()),
    };
    let chunks: Vec<u64> = match (&stbl.stco, &stbl.co64) {
        (Some(stco), _) => stco.entries.iter().map(|offset| u64::from(*offset)).collect(),
        (None, Some(co64)) => co64.entries.clone(),
        (None, None) => return Err("neither stco nor co64"),
    };
    let mut places = Vec::new();
    let mut entries = stbl.stsc.entries.iter().peekable();
    let mut per_chunk = 0;
    for (index, mut offset) in chunks.into_iter().enumerate() {
        if let Some(entry) = entries.next_if(|entry| entry.first_chunk as usize <= index + 1) {
            per_chunk = entry.samples_per_chunk;
        }
        for _ in 0..per_chunk {
            let Some(size) = sizes.next() else { return Ok(places) };
            let end = offset.checked_add(u64::from(size)).ok_or("stco: an offset overflows")?;
            if end > file_len as u64 {
                return Err("stco and stsz: a sample lies beyond the end of the file");
            }
            places.push((offset as usize, size as usize));
            offset = end;
        }
    }
    if sizes.next().is_some() { Err("stsc: the chunks hold fewer samples than stsz") } else { Ok(places) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fixture(name: &str) -> Bytes {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
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
