//! Initialization sections (ISO/IEC 23000-19 §7.3.1): what a decoder must know before the first segment.

use bytes::Bytes;
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig};
use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Codec, Compressor, Dinf, Dref, DrefEntry, Encode, Esds, FixedPoint, FourCC,
    Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mp4a, Mvex, Mvhd, Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url,
    Visual, Vmhd,
};

use crate::media::{AudioSpecificConfig, AudioTrack, RungTracks, VIDEO_TIMESCALE, VideoTrack};

use super::{AUDIO_TRACK, VIDEO_TRACK};

/// An initialization section could not be written: the parameter sets are not what an encoder makes.
#[derive(Debug, thiserror::Error)]
#[error("initialization section: {0}")]
pub struct PackageError(#[from] mp4_atom::Error);

/// `ftyp` and `moov` of one rung.
pub fn init_section(rung: &RungTracks) -> Result<Bytes, PackageError> {
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: vec![FourCC::new(b"iso6"), FourCC::new(b"cmfc"), FourCC::new(b"mp41")],
    };
    let mut trak = Vec::new();
    if let Some(video) = &rung.video {
        trak.push(video_trak(video)?);
    }
    trak.push(audio_trak(&rung.audio));
    let trex = trak.iter().map(|trak| Trex {
        track_id: trak.tkhd.track_id,
        default_sample_description_index: 1,
        ..Trex::default()
    });
    let moov = Moov {
        mvhd: Mvhd {
            timescale: 1000,
            rate: FixedPoint::new(1, 0),
            volume: FixedPoint::new(1, 0),
            next_track_id: AUDIO_TRACK + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex { mehd: None, trex: trex.collect() }),
        trak,
        ..Moov::default()
    };
    let mut out = Vec::new();
    ftyp.encode(&mut out)?;
    moov.encode(&mut out)?;
    Ok(out.into())
}

fn video_trak(track: &VideoTrack) -> Result<Trak, PackageError> {
    let (width, height) = (track.size.width as u16, track.size.height as u16);
    let mut avcc = Avcc::new(&track.parameter_sets.sps, &track.parameter_sets.pps)?;
    // Profiles from High on carry chroma format and bit depths (ISO/IEC 14496-15 §5.3.3.1.2): 4:2:0, 8 bits.
    avcc.ext = Some(AvccExt::default());
    let codec = Codec::Avc1(Avc1 {
        visual: Visual {
            data_reference_index: 1,
            width,
            height,
            horizresolution: FixedPoint::new(72, 0),
            vertresolution: FixedPoint::new(72, 0),
            frame_count: 1,
            compressor: Compressor::default(),
            depth: 24,
        },
        avcc,
        btrt: None,
        colr: None,
        pasp: None,
        taic: None,
        fiel: None,
        spatial: None,
    });
    let tkhd =
        Tkhd { width: FixedPoint::new(width, 0), height: FixedPoint::new(height, 0), ..tkhd(VIDEO_TRACK) };
    let minf = Minf { vmhd: Some(Vmhd::default()), ..minf(codec) };
    Ok(trak(tkhd, VIDEO_TIMESCALE.0, *b"vide", minf))
}

fn audio_trak(track: &AudioTrack) -> Trak {
    let config = AudioSpecificConfig::lc(track.format);
    let codec = Codec::Mp4a(Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: u16::from(track.format.channels),
            sample_size: 16,
            sample_rate: FixedPoint::new(track.format.sample_rate.min(65_535) as u16, 0),
        },
        esds: Esds {
            es_desc: EsDescriptor {
                es_id: AUDIO_TRACK as u16,
                dec_config: DecoderConfig {
                    // MPEG-4 audio, audio stream (ISO/IEC 14496-1 tables 5 and 6).
                    object_type_indication: 0x40,
                    stream_type: 5,
                    max_bitrate: track.bitrate_bps,
                    avg_bitrate: track.bitrate_bps,
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
    });
    let tkhd = Tkhd { volume: FixedPoint::new(1, 0), alternate_group: 1, ..tkhd(AUDIO_TRACK) };
    let minf = Minf { smhd: Some(Smhd::default()), ..minf(codec) };
    trak(tkhd, track.format.sample_rate, *b"soun", minf)
}

fn tkhd(track_id: u32) -> Tkhd {
    Tkhd { track_id, enabled: true, in_movie: true, ..Tkhd::default() }
}

fn minf(codec: Codec) -> Minf {
    Minf {
        dinf: Dinf { dref: Dref { entries: vec![DrefEntry::Url(Url::default())] } },
        stbl: Stbl { stsd: Stsd { codecs: vec![codec] }, stco: Some(Stco::default()), ..Stbl::default() },
        ..Minf::default()
    }
}

fn trak(tkhd: Tkhd, timescale: u32, handler: [u8; 4], minf: Minf) -> Trak {
    Trak {
        tkhd,
        mdia: Mdia {
            mdhd: Mdhd { timescale, language: "und".to_owned(), ..Mdhd::default() },
            hdlr: Hdlr { handler: FourCC::new(&handler), name: String::new() },
            minf,
        },
        ..Trak::default()
    }
}

#[cfg(test)]
mod tests {
    use mp4_atom::{Atom, Decode, Header};

    use super::*;
    use crate::media::{AudioFormat, ParameterSets, PictureSize};

    fn rung(picture: bool) -> RungTracks {
        let audio =
            AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 };
        let sps = Bytes::from_static(&[0x67, 0x64, 0x0c, 0x1f, 0xac, 0xb2]);
        let parameter_sets = ParameterSets { sps, pps: Bytes::from_static(&[0x68, 0xee, 0x3c, 0xb0]) };
        let size = PictureSize { width: 1280, height: 720 };
        RungTracks {
            name: "720p".to_owned(),
            video: picture.then_some(VideoTrack { size, fps: 15, parameter_sets }),
            video_index: picture.then_some(0),
            audio,
        }
    }

    fn moov(bytes: &Bytes) -> Moov {
        let mut rest = &bytes[..];
        Ftyp::decode(&mut rest).expect("ftyp comes first");
        assert_eq!(Header::decode(&mut &rest[..]).expect("a box").kind, Moov::KIND);
        Moov::decode(&mut rest).expect("then moov")
    }

    #[test]
    fn a_picture_rung_has_both_tracks_and_a_sound_rung_one() {
        let both = moov(&init_section(&rung(true)).expect("sound parameter sets"));
        assert_eq!(both.trak.iter().map(|trak| trak.tkhd.track_id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(both.trak[0].mdia.mdhd.timescale, 90_000);
        assert_eq!(both.mvex.expect("mvex").trex.len(), 2);
        let Codec::Avc1(avc1) = &both.trak[0].mdia.minf.stbl.stsd.codecs[0] else { panic!("avc1") };
        assert_eq!(avc1.avcc.sequence_parameter_sets[0][..], [0x67, 0x64, 0x0c, 0x1f, 0xac, 0xb2]);
        let sound = moov(&init_section(&rung(false)).expect("no parameter sets needed"));
        assert_eq!(sound.trak.len(), 1);
        let Codec::Mp4a(mp4a) = &sound.trak[0].mdia.minf.stbl.stsd.codecs[0] else { panic!("mp4a") };
        let specific = mp4a.esds.es_desc.dec_config.dec_specific.as_ref().expect("configuration");
        assert_eq!(specific.raw, [0x11, 0x90]);
    }

    #[test]
    fn the_same_rung_gives_the_same_bytes() {
        let write = || init_section(&rung(true)).expect("sound parameter sets");
        assert_eq!(write(), write());
    }
}
