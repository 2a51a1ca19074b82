//! Sample entries (ISO/IEC 14496-12 §8.5.2): a track's codec as playlists state it, and the entry itself for the
//! initialization section.
//!
//! Entries are passed on as they are in the file, so that whatever the encoder put there reaches the player. Only QuickTime's
//! own sound entries are rewritten. Sans-IO.

use std::fmt::Write;

use bytes::{BufMut, Bytes};

use super::super::isobmff::{BoxFault, BoxReader, BoxRef, Boxes, put_box};
use amphi_media::h264::AvcConfiguration;
use amphi_media::{AudioSpecificConfig, ParameterSets, TrackFormat};

/// Bytes of a visual sample entry before its boxes (§12.1.3).
const VISUAL: usize = 78;
/// Bytes of an audio sample entry before its boxes (§12.2.3).
const SOUND: usize = 28;
/// `objectTypeIndication` of MPEG-4 audio (ISO/IEC 14496-1 table 5).
const MPEG4_AUDIO: u8 = 0x40;

/// How a track is coded, from its first sample entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coding {
    /// The whole sample entry box, for the initialization section.
    pub entry: Bytes,
    /// Codec string for CODECS (RFC 6381).
    pub codec: String,
    /// Picture size, or number of sound channels.
    pub media: TrackMedia,
}

impl Coding {
    /// The parameter sets of H.264 as the beginning of an access unit in Annex B (ISO/IEC 14496-15 §5.3.3.1). `None` if the
    /// track is not H.264 with 4-byte NAL unit lengths.
    pub fn annex_b_sets(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let record = self.avc_configuration()?;
        for set in record.sps.iter().chain(&record.pps) {
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(set);
        }
        Some(out)
    }

    fn avc_configuration(&self) -> Option<AvcConfiguration> {
        AvcConfiguration::parse(&self.avcc()?).ok().filter(|record| record.length_size == 4)
    }

    fn avcc(&self) -> Option<Bytes> {
        let entry = Boxes::new(&self.entry, 0).next()?.ok()?;
        Some(Bytes::copy_from_slice(child(&entry, VISUAL, *b"avcC").ok()?.body))
    }

    /// The first parameter sets, if the track is H.264 with 4-byte NAL unit lengths.
    pub fn h264(&self) -> Option<ParameterSets> {
        self.avc_configuration()?.first_sets().ok()
    }

    /// The configuration, if the track is AAC of any kind.
    pub fn aac(&self) -> Option<AudioSpecificConfig> {
        AudioSpecificConfig::parse(&self.audio_specific_config()?).ok()
    }

    /// The format as the media path uses it. `None` if it is neither H.264 with 4-byte lengths nor AAC-LC, mono or stereo.
    pub fn format(&self) -> Option<TrackFormat> {
        match self.media {
            TrackMedia::Video { .. } => self.h264().map(TrackFormat::H264),
            TrackMedia::Audio { .. } => {
                let is_lc = |config: &AudioSpecificConfig| config.core_type == 2 && config.channels <= 2;
                self.aac().filter(is_lc).map(TrackFormat::Aac)
            }
        }
    }

    /// The bytes that configure a decoder: the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1) or the
    /// AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). `None` if the track is neither H.264 nor AAC.
    pub fn decoder_configuration(&self) -> Option<Bytes> {
        match self.media {
            TrackMedia::Video { .. } if self.codec.starts_with("avc") => self.avcc(),
            TrackMedia::Video { .. } => None,
            TrackMedia::Audio { .. } => self.audio_specific_config(),
        }
    }

    fn audio_specific_config(&self) -> Option<Bytes> {
        let entry = Boxes::new(&self.entry, 0).next()?.ok()?;
        let esds = child(&entry, SOUND, *b"esds").ok()?;
        let (object_type, specific) = decoder_config(esds.body.get(4..)?)?;
        (object_type == MPEG4_AUDIO).then(|| Bytes::copy_from_slice(specific))
    }
}

/// Whether a track has pictures or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackMedia {
    /// Pictures of this size, in luma samples.
    Video {
        /// Luma samples per row.
        width: u16,
        /// Rows of luma samples.
        height: u16,
    },
    /// Sound, as its sample entry describes it.
    Audio {
        /// Number of channels; for AAC the AudioSpecificConfig may say another.
        channels: u16,
        /// Samples per second and channel that a decoder gives; 0 if it is not said.
        sample_rate: u32,
    },
}

/// What a track's sample description says (§8.5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Described {
    /// A coding that players take.
    Played(Coding),
    /// None that players take: its name and its four characters, as an end of the sentence "it is left out: ...".
    LeftOut(String),
}

/// Reads the `stsd` of a track.
pub(super) fn read(stsd: &BoxRef<'_>) -> Result<Described, BoxFault> {
    let mut entries = stsd.children(8);
    let nothing = || Described::LeftOut("it has no sample description".to_owned());
    let Some(entry) = entries.next().transpose()? else { return Ok(nothing()) };
    let coding = match &entry.kind {
        b"avc1" | b"avc3" | b"hvc1" | b"hev1" => picture(&entry)?,
        b"mp4a" | b"Opus" => sound(&entry)?,
        other => return Ok(Described::LeftOut(format!("its coding is {}", other.escape_ascii()))),
    };
    if entries.next().is_some() {
        return Err(stsd.fault("it has several sample descriptions, and no player could change between them"));
    }
    Ok(Described::Played(coding))
}

fn picture(entry: &BoxRef<'_>) -> Result<Coding, BoxFault> {
    let mut fields = BoxReader(entry.body);
    let size = fields.skip(24).and_then(|()| Some((fields.u16()?, fields.u16()?)));
    let (width, height) = size.ok_or(entry.fault("it is too short"))?;
    let codec = if entry.kind.starts_with(b"avc") {
        let avcc = child(entry, VISUAL, *b"avcC")?;
        let [_, profile, compatibility, level, ..] = *avcc.body else {
            return Err(avcc.fault("it is too short"));
        };
        format!("{}.{profile:02X}{compatibility:02X}{level:02X}", kind(entry))
    } else {
        let hvcc = child(entry, VISUAL, *b"hvcC")?;
        hevc(&kind(entry), hvcc.body).ok_or(hvcc.fault("it is too short"))?
    };
    let media = TrackMedia::Video { width, height };
    Ok(Coding { entry: Bytes::copy_from_slice(entry.whole), codec, media })
}

fn kind(entry: &BoxRef<'_>) -> String {
    String::from_utf8_lossy(&entry.kind).into_owned()
}

/// The codec string of HEVC (ISO/IEC 14496-15 annex E.3).
fn hevc(kind: &str, config: &[u8]) -> Option<String> {
    let mut fields = BoxReader(config);
    fields.skip(1)?;
    let profile = fields.u8()?;
    let space = ["", "A", "B", "C"].get(usize::from(profile >> 6))?;
    let compatibility = fields.u32()?.reverse_bits();
    let constraints = fields.array::<6>()?;
    let level = fields.u8()?;
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let mut codec = format!("{kind}.{space}{}.{compatibility:X}.{tier}{level}", profile & 0x1f);
    let said = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(said) {
        write!(codec, ".{byte:X}").ok()?;
    }
    Some(codec)
}

fn sound(entry: &BoxRef<'_>) -> Result<Coding, BoxFault> {
    let mut fields = BoxReader(entry.body);
    let said = fields.skip(8).and_then(|()| {
        let version = fields.u16()?;
        fields.skip(6)?;
        let channels = fields.u16()?;
        fields.skip(6)?;
        Some((version, channels, u32::from(fields.u16()?)))
    });
    let (version, channels, sample_rate) = said.ok_or(entry.fault("it is too short"))?;
    let media = TrackMedia::Audio { channels, sample_rate };
    if &entry.kind == b"Opus" {
        return Ok(Coding { entry: Bytes::copy_from_slice(entry.whole), codec: "Opus".to_owned(), media });
    }
    // QuickTime's sound description (versions 1 and 2) has more fields, and may have its esds inside a wave box.
    let fields = match version {
        0 => SOUND,
        1 => SOUND + 16,
        _ => SOUND + 36,
    };
    let esds = match child(entry, fields, *b"esds") {
        Ok(esds) => esds,
        Err(missing) => {
            child(entry, fields, *b"wave").and_then(|wave| wave.need(*b"esds")).map_err(|_| missing)?
        }
    };
    let codec =
        esds.body.get(4..).and_then(mpeg4_audio).ok_or(esds.fault("its descriptors cannot be read"))?;
    let is_plain = version == 0 && entry.body.len() >= SOUND;
    let entry = if is_plain { Bytes::copy_from_slice(entry.whole) } else { rewritten(entry, &esds) };
    Ok(Coding { entry, codec, media })
}

/// The same `mp4a` entry in version 0.
fn rewritten(entry: &BoxRef<'_>, esds: &BoxRef<'_>) -> Bytes {
    let mut out = Vec::new();
    put_box(&mut out, *b"mp4a", |out| {
        out.put_bytes(0, 6);
        out.put_u16(1);
        out.put_bytes(0, 8);
        out.put_slice(entry.body.get(16..18).unwrap_or(&[0, 2]));
        out.put_u16(16);
        out.put_u32(0);
        out.put_slice(entry.body.get(24..28).unwrap_or(&[0; 4]));
        out.put_slice(esds.whole);
    });
    out.into()
}

fn child<'a>(entry: &BoxRef<'a>, skip: usize, kind: [u8; 4]) -> Result<BoxRef<'a>, BoxFault> {
    let found = entry.children(skip).find(|child| child.as_ref().map_or(true, |child| child.kind == kind));
    found.transpose()?.ok_or(BoxFault {
        kind,
        at: entry.at,
        fault: "it is missing in the sample entry at this byte",
    })
}

/// The codec string of an ES descriptor (RFC 6381 §3.3).
fn mpeg4_audio(descriptors: &[u8]) -> Option<String> {
    let (object_type, specific) = decoder_config(descriptors)?;
    if object_type != MPEG4_AUDIO {
        return Some(format!("mp4a.{object_type:02x}"));
    }
    let config = AudioSpecificConfig::parse(specific).ok()?;
    Some(format!("mp4a.40.{}", config.object_type))
}

/// Object type and DecoderSpecificInfo of an ES descriptor (ISO/IEC 14496-1 §7.2.6.5). The latter is empty if it is missing.
fn decoder_config(descriptors: &[u8]) -> Option<(u8, &[u8])> {
    let mut es = descriptor(&mut BoxReader(descriptors), 3)?;
    es.skip(2)?;
    let flags = es.u8()?;
    if flags & 0x80 != 0 {
        es.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let length = es.u8()?;
        es.skip(usize::from(length))?;
    }
    if flags & 0x20 != 0 {
        es.skip(2)?;
    }
    let mut config = descriptor(&mut es, 4)?;
    let object_type = config.u8()?;
    config.skip(12)?;
    let specific = descriptor(&mut config, 5).map_or(&[][..], |specific| specific.0);
    Some((object_type, specific))
}

/// The next descriptor, if it has this tag. Its length comes in groups of seven bits (ISO/IEC 14496-1 §8.3.3).
fn descriptor<'a>(from: &mut BoxReader<'a>, tag: u8) -> Option<BoxReader<'a>> {
    if from.u8()? != tag {
        return None;
    }
    let mut length = 0;
    for _ in 0..4 {
        let byte = from.u8()?;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    // Some writers state a length that is too large.
    from.bytes(length.min(from.0.len())).map(BoxReader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn esds(object_type: u8, specific: &[u8]) -> Vec<u8> {
        let mut out = vec![3, 0x80, 0x80, 0x80, 23 + specific.len() as u8 - 3, 0, 1, 0];
        out.extend([4, 15 + specific.len() as u8, object_type, 0x15]);
        out.extend([0; 11]);
        out.extend([5, specific.len() as u8]);
        out.extend(specific);
        out
    }

    fn stsd(kind: [u8; 4], fill: impl Fn(&mut Vec<u8>), copies: usize) -> Result<Described, BoxFault> {
        let mut out = Vec::new();
        put_box(&mut out, *b"stsd", |out| {
            out.put_u64(copies as u64);
            for _ in 0..copies {
                put_box(out, kind, &fill);
            }
        });
        let stsd = Boxes::new(&out, 0).next().expect("a box").expect("sound");
        read(&stsd)
    }

    fn played(described: Result<Described, BoxFault>) -> Coding {
        match described {
            Ok(Described::Played(coding)) => coding,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn codecs_are_said_as_players_want_them() {
        for (object_type, specific, said) in [
            (0x40, &[0x11, 0x90][..], "mp4a.40.2"),
            (0x40, &[0x2b, 0x92, 0x08, 0x00], "mp4a.40.5"),
            (0x6b, &[0, 0], "mp4a.6b"),
        ] {
            assert_eq!(mpeg4_audio(&esds(object_type, specific)).as_deref(), Some(said));
        }
        let hvcc = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc("hvc1", &hvcc).as_deref(), Some("hvc1.1.6.L93.90"));
        let avc = |out: &mut Vec<u8>| {
            out.extend([0; 24]);
            out.extend([5, 0, 2, 0xd0]);
            out.extend([0; 50]);
            put_box(out, *b"pasp", |out| out.extend([0; 8]));
            put_box(out, *b"avcC", |out| out.extend([1, 0x64, 0, 0x29, 0xff]));
        };
        let coding = played(stsd(*b"avc1", avc, 1));
        assert_eq!(
            (&*coding.codec, coding.media),
            ("avc1.640029", TrackMedia::Video { width: 1280, height: 720 })
        );
        assert_eq!(stsd(*b"tmcd", |_| {}, 1), Ok(Described::LeftOut("its coding is tmcd".to_owned())));
        let several = stsd(*b"avc1", avc, 2).expect_err("not one").to_string();
        assert!(several.starts_with("box stsd at byte 0: it has several"), "{several}");
    }

    #[test]
    fn quicktime_sound_is_written_anew() {
        let quicktime = |out: &mut Vec<u8>| {
            out.extend([
                0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 16, 0xff, 0xfe, 0, 0, 0xbb, 0x80, 0,
                0,
            ]);
            out.extend([0; 16]);
            put_box(out, *b"wave", |out| {
                put_box(out, *b"frma", |out| out.extend(b"mp4a"));
                put_box(out, *b"esds", |out| {
                    out.put_u32(0);
                    out.extend(esds(0x40, &[0x11, 0x90]));
                });
            });
        };
        let coding = played(stsd(*b"mp4a", quicktime, 1));
        assert_eq!(
            (&*coding.codec, coding.media),
            ("mp4a.40.2", TrackMedia::Audio { channels: 2, sample_rate: 48_000 })
        );
        let rewritten = Boxes::new(&coding.entry[8 + SOUND..], 0).map(|found| found.expect("sound").kind);
        assert_eq!(rewritten.collect::<Vec<_>>(), [*b"esds"]);
    }
}
