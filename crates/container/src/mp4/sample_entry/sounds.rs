//! Audio sample entries (ISO/IEC 14496-12 §12.2.3, and QuickTime's own).
//!
//! Sound that browsers decode keeps its entry, or gets one of version 0 where QuickTime wrote another version. Sound that none
//! decodes is described for a decoder ([`PacketSound`](amphi_media::PacketSound)).

use bytes::Bytes;

use super::super::super::isobmff::{BoxFault, BoxReader, BoxRef, put_full_box};
use super::dolby::{ac3, eac3};
use super::esds::{self, MPEG4_AUDIO, elementary_stream, put_es_descriptor};
use super::pcm;
use super::sound_entry::{SoundEntry, written};
use super::{Coding, DescribedEntry, TrackMedia};
use amphi_media::{AudioFormat, AudioSpecificConfig, AudioTrack, PacketCoding};

/// Bytes of an AudioSpecificConfig that is kept (the longest of known kinds).
const SPECIFIC_MAX: usize = 64;

/// The sample entry of AAC with this configuration.
pub fn aac_entry(config: AudioSpecificConfig, bitrate_bps: u32) -> Bytes {
    let AudioFormat { sample_rate, channels } = config.format();
    written(*b"mp4a", channels.into(), sample_rate, |out| {
        put_full_box(out, *b"esds", 0, 0, |out| put_es_descriptor(out, bitrate_bps, &config.to_bytes()));
    })
}

/// How AAC-LC is coded that this server makes.
pub(super) fn of_track(track: AudioTrack) -> Coding {
    let config = AudioSpecificConfig::lc(track.format);
    let media =
        TrackMedia::Audio { channels: track.format.channels.into(), sample_rate: track.format.sample_rate };
    Coding {
        entry: aac_entry(config, track.bitrate_bps),
        codec: "mp4a.40.2".to_owned(),
        media,
        packets: None,
    }
}

/// What an entry of sound says. `None` if its coding is not known.
pub(super) fn sound(entry: &BoxRef<'_>, stsd_version: u8) -> Result<Option<DescribedEntry>, BoxFault> {
    let read = || SoundEntry::read(entry, stsd_version);
    let described = match &entry.kind {
        b"mp4a" => mpeg4(&read()?)?,
        b"Opus" => opus(&read()?)?,
        b"fLaC" => flac(&read()?)?,
        b"ac-3" | b"sac3" => ac3(&read()?)?,
        b"ec-3" => eac3(&read()?)?,
        b"alac" => alac(&read()?)?,
        b".mp3" | b"ms\0\x55" | b"mp3 " => {
            let it = read()?;
            it.packets(PacketCoding::Mpeg, it.sample_rate, it.channels)
        }
        _ if pcm::is_known(entry.kind) => {
            let it = read()?;
            match pcm::coding(entry.kind, &it) {
                Some(coding) => it.packets(coding, it.sample_rate, it.channels),
                None => DescribedEntry::LeftOut(format!("{} of {} bits is not decoded", it.kind(), it.bits)),
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(described))
}

/// An `mp4a`: AAC of any kind, or another coding that an ES descriptor names (RFC 6381 §3.3).
fn mpeg4(it: &SoundEntry<'_>) -> Result<DescribedEntry, BoxFault> {
    let esds = it.need(*b"esds")?;
    let unreadable = esds.fault("its descriptors cannot be read");
    let stream = esds.body.get(4..).and_then(elementary_stream).ok_or(unreadable.clone())?;
    Ok(match stream.object_type {
        // MPEG-2 AAC: Main, LC, SSR. In files it has an AudioSpecificConfig too, and players know it by its MPEG-4 name.
        MPEG4_AUDIO | 0x66..=0x68 => return aac(it, &esds, stream),
        // MPEG-2 and MPEG-1 audio of any layer.
        0x69 | 0x6b => it.packets(PacketCoding::Mpeg, it.sample_rate, it.channels),
        0xa5 => it.packets(PacketCoding::Ac3, it.sample_rate, it.channels),
        0xa6 => it.packets(PacketCoding::Eac3, it.sample_rate, it.channels),
        other => {
            let name = match other {
                0xa9..=0xac => "DTS",
                0xdd => "Vorbis",
                0xe1 => "QCELP",
                _ => "a coding that is not known",
            };
            DescribedEntry::LeftOut(format!("{name} (mp4a.{other:02x}) is played by no browser"))
        }
    })
}

fn aac(
    it: &SoundEntry<'_>,
    esds: &BoxRef<'_>,
    stream: esds::ElementaryStream<'_>,
) -> Result<DescribedEntry, BoxFault> {
    let (channels, sample_rate) = (u8::try_from(it.channels).unwrap_or(0), it.sample_rate);
    let config = if stream.specific.is_empty() {
        // Nothing but the entry says what it is, so it is what nearly all AAC is.
        AudioSpecificConfig::parse(&AudioSpecificConfig::lc(AudioFormat { sample_rate, channels }).to_bytes())
    } else {
        AudioSpecificConfig::parse(stream.specific.get(..SPECIFIC_MAX).unwrap_or(stream.specific))
    };
    let Ok(config) = config else { return Err(esds.fault("its AudioSpecificConfig cannot be read")) };
    match config.object_type {
        // Layers I to III of MPEG-1 and 2 under their MPEG-4 names (ISO/IEC 14496-3 table 1.17).
        32..=34 => return Ok(it.packets(PacketCoding::Mpeg, config.sample_rate, u32::from(config.channels))),
        36 => {
            return Ok(DescribedEntry::LeftOut("MPEG-4 ALS (mp4a.40.36) is played by no browser".to_owned()));
        }
        _ => {}
    }
    let is_plain = stream.object_type == MPEG4_AUDIO && stream.is_plain && !stream.specific.is_empty();
    let entry = if is_plain { it.plain(esds) } else { aac_entry(config, 0) };
    let AudioFormat { sample_rate, channels } = config.output();
    Ok(SoundEntry::played(entry, format!("mp4a.40.{}", config.object_type), channels, sample_rate))
}

/// Opus (Encapsulation of Opus in ISO Base Media File Format §4.3): always 48 kHz, whatever went into the encoder.
fn opus(it: &SoundEntry<'_>) -> Result<DescribedEntry, BoxFault> {
    let dops = it.need(*b"dOps")?;
    let [_, channels, ..] = *dops.body else { return Err(dops.fault("it is too short")) };
    Ok(SoundEntry::played(it.plain(&dops), "Opus".to_owned(), channels, 48_000))
}

/// FLAC (Encapsulation of FLAC in ISO Base Media File Format §3.3): `dfLa` begins with the STREAMINFO block.
fn flac(it: &SoundEntry<'_>) -> Result<DescribedEntry, BoxFault> {
    let dfla = it.need(*b"dfLa")?;
    let mut fields = dfla.full()?.rest;
    let packed = fields.skip(4 + 10).and_then(|()| fields.u32()).ok_or(dfla.fault("it is too short"))?;
    let (sample_rate, channels) = (packed >> 12, (packed >> 9 & 7) as u8 + 1);
    Ok(SoundEntry::played(it.plain(&dfla), "fLaC".to_owned(), channels, sample_rate))
}

/// Apple Lossless: its box, in the entry or in `wave`, has the name of the entry.
fn alac(it: &SoundEntry<'_>) -> Result<DescribedEntry, BoxFault> {
    let config = it.need(*b"alac")?;
    let config = config.full()?.rest.0;
    let mut fields = BoxReader(config);
    let mut said = || {
        fields.skip(9)?;
        let channels = fields.u8()?;
        fields.skip(10)?;
        Some((channels, fields.u32()?))
    };
    let (channels, sample_rate) = said().ok_or(it.entry.fault("its ALACSpecificConfig is too short"))?;
    let config = Bytes::copy_from_slice(config.get(..SPECIFIC_MAX).unwrap_or(config));
    Ok(it.packets(PacketCoding::Alac(config), sample_rate, channels.into()))
}
