//! The initialization section of a rung: `ftyp` and `moov` (ISO/IEC 23000-19 §7.3.1).

use bytes::Bytes;
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig};
use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Codec, Dinf, Dref, Encode, Esds, FourCC, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov,
    Mp4a, Mvex, Mvhd, Smhd, Stbl, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd,
};

use super::{AUDIO_TRACK_ID, OTHER_SAMPLE, SYNC_SAMPLE, VIDEO_TRACK_ID};
use crate::media::{
    AAC_FRAME_SAMPLES, AudioSpecificConfig, AudioTrack, ParameterSets, Parts, RungTracks, VIDEO_TIMESCALE,
    VideoTrack,
};

/// `objectTypeIndication` of AAC (ISO/IEC 14496-1 table 5).
const OBJECT_TYPE_AAC: u8 = 0x40;
/// `streamType` of sound (ISO/IEC 14496-1 table 6).
const STREAM_TYPE_AUDIO: u8 = 5;

/// Why a rung cannot be described: a fault of whoever made its tracks.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The SPS ends before its profile and level.
    #[error("rung {rung}: the SPS has {length} bytes, too few for profile and level")]
    ParameterSets {
        /// The rung's name.
        rung: String,
        /// Bytes of the SPS.
        length: usize,
    },
    /// A picture side that 16 bits cannot say.
    #[error("rung {rung}: a picture of {width}x{height} is too large for a sample entry")]
    Size {
        /// The rung's name.
        rung: String,
        /// Luma samples per row.
        width: u32,
        /// Rows of luma.
        height: u32,
    },
    /// The box writer refused.
    #[error("rung {rung}: {source}")]
    Boxes {
        /// The rung's name.
        rung: String,
        /// What it said.
        source: mp4_atom::Error,
    },
}

/// The initialization section of these parts of a rung: picture as track 1 if it has one, sound as track 2.
pub fn init_section(tracks: &RungTracks, parts: Parts) -> Result<Bytes, InitError> {
    let mut moov = Moov {
        mvhd: Mvhd {
            timescale: 1000,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: AUDIO_TRACK_ID + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex::default()),
        ..Moov::default()
    };
    let mut add = |(trak, trex): (Trak, Trex)| {
        moov.trak.push(trak);
        moov.mvex.get_or_insert_default().trex.push(trex);
    };
    if let Some(video) = tracks.video.as_ref().filter(|_| parts.has_picture()) {
        add(video_track(video, &tracks.name)?);
    }
    if parts.has_sound() {
        add(audio_track(&tracks.audio));
    }

    // iso6 brings tfdt and default-base-is-moof (§E.9). The CMAF brands promise one track per file, so a rung
    // with picture and sound may not claim them.
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"mp41".into()],
    };
    let mut out = Vec::new();
    ftyp.encode(&mut out)
        .and_then(|()| moov.encode(&mut out))
        .map_err(|source| InitError::Boxes { rung: tracks.name.clone(), source })?;
    Ok(out.into())
}

fn video_track(video: &VideoTrack, rung: &str) -> Result<(Trak, Trex), InitError> {
    let too_large =
        || InitError::Size { rung: rung.to_owned(), width: video.size.width, height: video.size.height };
    let width = u16::try_from(video.size.width).map_err(|_| too_large())?;
    let height = u16::try_from(video.size.height).map_err(|_| too_large())?;
    let entry = Avc1 {
        visual: Visual { data_reference_index: 1, width, height, ..Visual::default() },
        avcc: avc_configuration(&video.parameter_sets, rung)?,
        btrt: None,
        // The SPS says what the colours are; a second opinion could only differ.
        colr: None,
        pasp: None,
        taic: None,
        fiel: None,
        spatial: None,
    };
    let trak = Trak {
        tkhd: Tkhd { width: width.into(), height: height.into(), ..track_header(VIDEO_TRACK_ID) },
        mdia: Mdia {
            mdhd: media_header(VIDEO_TIMESCALE.0),
            hdlr: handler(*b"vide", "picture"),
            minf: Minf { vmhd: Some(Vmhd::default()), ..media_information(entry.into()) },
        },
        ..Trak::default()
    };
    let trex = Trex {
        track_id: VIDEO_TRACK_ID,
        default_sample_description_index: 1,
        default_sample_duration: VIDEO_TIMESCALE.0 / video.fps.max(1),
        default_sample_size: 0,
        default_sample_flags: OTHER_SAMPLE,
    };
    Ok((trak, trex))
}

/// `avcC` (ISO/IEC 14496-15 §5.3.3.1), with the fields that the High profiles add. Ladders code pictures of
/// 8 bits and 4:2:0 only ([`Picture`](crate::media::Picture)), so those need no reading of the SPS.
fn avc_configuration(sets: &ParameterSets, rung: &str) -> Result<Avcc, InitError> {
    let mut avcc = Avcc::new(&sets.sps, &sets.pps)
        .map_err(|_| InitError::ParameterSets { rung: rung.to_owned(), length: sets.sps.len() })?;
    if matches!(avcc.avc_profile_indication, 100 | 110 | 122 | 144) {
        avcc.ext = Some(AvccExt::default());
    }
    Ok(avcc)
}

fn audio_track(audio: &AudioTrack) -> (Trak, Trex) {
    let config = AudioSpecificConfig::lc(audio.format);
    let entry = Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: u16::from(audio.format.channels),
            sample_size: 16,
            // 16.16 fixed point; higher rates are said by the AudioSpecificConfig alone (§12.2.3).
            sample_rate: u16::try_from(audio.format.sample_rate).unwrap_or(0).into(),
        },
        esds: Esds {
            es_desc: EsDescriptor {
                // 0 in files (ISO/IEC 14496-14 §3.1.2).
                es_id: 0,
                dec_config: DecoderConfig {
                    object_type_indication: OBJECT_TYPE_AAC,
                    stream_type: STREAM_TYPE_AUDIO,
                    max_bitrate: audio.bitrate_bps,
                    avg_bitrate: audio.bitrate_bps,
                    dec_specific: Some(DecoderSpecific {
                        raw: config.to_bytes(),
                        ..DecoderSpecific::default()
                    }),
                    ..DecoderConfig::default()
                },
                sl_config: SLConfig::default(),
                ..EsDescriptor::default()
            },
        },
        btrt: None,
        taic: None,
    };
    let trak = Trak {
        tkhd: Tkhd { volume: 1.into(), alternate_group: 1, ..track_header(AUDIO_TRACK_ID) },
        mdia: Mdia {
            mdhd: media_header(audio.timescale().0),
            hdlr: handler(*b"soun", "sound"),
            minf: Minf { smhd: Some(Smhd::default()), ..media_information(entry.into()) },
        },
        ..Trak::default()
    };
    let trex = Trex {
        track_id: AUDIO_TRACK_ID,
        default_sample_description_index: 1,
        default_sample_duration: AAC_FRAME_SAMPLES,
        default_sample_size: 0,
        default_sample_flags: SYNC_SAMPLE,
    };
    (trak, trex)
}

/// Durations are 0: all samples stand in fragments (ISO/IEC 14496-12 §8.3.2.3).
fn track_header(track_id: u32) -> Tkhd {
    Tkhd { track_id, enabled: true, in_movie: true, ..Tkhd::default() }
}

fn media_header(timescale: u32) -> Mdhd {
    Mdhd { timescale, language: "und".to_owned(), ..Mdhd::default() }
}

fn handler(kind: [u8; 4], name: &str) -> Hdlr {
    Hdlr { handler: FourCC::new(&kind), name: name.to_owned() }
}

fn media_information(entry: Codec) -> Minf {
    let same_file = Url { location: String::new() };
    Minf {
        dinf: Dinf { dref: Dref { entries: vec![same_file.into()] } },
        stbl: Stbl {
            stsd: Stsd { codecs: vec![entry] },
            stco: Some(mp4_atom::Stco::default()),
            ..Stbl::default()
        },
        ..Minf::default()
    }
}
