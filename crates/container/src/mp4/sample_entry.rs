//! Sample entries (ISO/IEC 14496-12 §8.5.2): a track's codec as playlists state it, and the entry itself for the
//! initialization section.
//!
//! Entries are passed on as they are in the file, so that whatever the encoder put there reaches the player. They are written
//! anew only where players need another form: QuickTime's own sound entries, odd ES descriptors, names that say less than
//! the parameter sets in them. Sans-IO.

mod dolby;
mod esds;
mod names;
mod pcm;
mod pictures;
mod sound_entry;
mod sounds;

use bytes::Bytes;

use super::super::isobmff::{BoxFault, BoxRef, Boxes};
use amphi_media::h264::AvcConfiguration;
use amphi_media::{AudioSpecificConfig, AudioTrack, PacketSound, ParameterSets, TrackFormat};
use esds::elementary_stream;
use names::name_of;
use pictures::picture;
use sounds::sound;

pub use dolby::DolbySound;
pub use sounds::aac_entry;

/// Bytes of a visual sample entry before its boxes (§12.1.3).
const VISUAL: usize = 78;
/// Bytes of an audio sample entry before its boxes (§12.2.3).
const SOUND: usize = 28;

/// How a track is coded, from its first sample entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coding {
    /// The whole sample entry box, for the initialization section.
    pub entry: Bytes,
    /// Codec string for CODECS (RFC 6381).
    pub codec: String,
    /// Picture size, or number of sound channels.
    pub media: TrackMedia,
    /// What a decoder must know of sound that no browser, or not every browser, decodes. `None` for all other tracks.
    pub packets: Option<PacketSound>,
}

impl Coding {
    /// How AAC-LC is coded that this server makes.
    pub fn of_track(track: AudioTrack) -> Self {
        sounds::of_track(track)
    }

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

    /// What its box says, if the track is AC-3 or E-AC-3 with an entry that players can rely on.
    pub fn dolby(&self) -> Option<DolbySound> {
        DolbySound::of_entry(&self.entry)
    }

    /// The format as the media path uses it. `None` if it is neither H.264 with 4-byte lengths nor AAC-LC.
    pub fn format(&self) -> Option<TrackFormat> {
        match self.media {
            TrackMedia::Video { .. } => self.h264().map(TrackFormat::H264),
            TrackMedia::Audio { .. } => {
                let is_lc = |config: &AudioSpecificConfig| config.core_type == 2;
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
        let stream = elementary_stream(esds.body.get(4..)?)?;
        (stream.object_type == esds::MPEG4_AUDIO).then(|| Bytes::copy_from_slice(stream.specific))
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
pub(super) enum DescribedEntry {
    /// A coding that players take, or sound that is decoded here.
    Played(Coding),
    /// None that players take: its name and its four characters, in words for an operator.
    LeftOut(String),
}

/// Reads entry number `index`, counted from 0, of the `stsd` of a track.
pub(super) fn read(stsd: &BoxRef<'_>, index: usize) -> Result<DescribedEntry, BoxFault> {
    let version = stsd.full()?.version;
    let Some(entry) = stsd.children(4 + 4).nth(index).transpose()? else {
        return Ok(DescribedEntry::LeftOut("it has no sample description".to_owned()));
    };
    Ok(match &entry.kind {
        b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"av01" | b"vp09" => DescribedEntry::Played(picture(&entry)?),
        _ => sound(&entry, version)?.unwrap_or_else(|| DescribedEntry::LeftOut(unplayed(&entry))),
    })
}

/// Why nothing is made of an entry.
fn unplayed(entry: &BoxRef<'_>) -> String {
    let kind = entry.kind.escape_ascii();
    match &entry.kind {
        // (§8.12, and Apple's own.)
        b"encv" | b"enca" | b"enct" | b"encs" | b"drms" | b"drmi" | b"p608" | b"resv" => {
            format!("it is encrypted or restricted ({kind}), and there is no key for it")
        }
        // QuickTime names MPEG-4 systems' pictures by their object type (mp4ra.org).
        b"mp4v" => {
            let esds = child(entry, VISUAL, *b"esds").ok();
            let stream = esds.and_then(|esds| elementary_stream(esds.body.get(4..)?));
            let name = match stream.map(|stream| stream.object_type) {
                Some(0x60..=0x65) => "MPEG-2 video",
                Some(0x6a) => "MPEG-1 video",
                Some(0x6c) => "Motion JPEG",
                Some(0x6e) => "JPEG 2000",
                _ => "MPEG-4 Visual",
            };
            format!("{name} ({kind}) is played by no browser")
        }
        other => match name_of(*other) {
            Some(name) => format!("{name} ({kind}) is played by no browser"),
            None => format!("its coding ({kind}) is not known"),
        },
    }
}

fn child<'a>(entry: &BoxRef<'a>, skip: usize, kind: [u8; 4]) -> Result<BoxRef<'a>, BoxFault> {
    let found = entry.children(skip).find(|child| child.as_ref().map_or(true, |child| child.kind == kind));
    found.transpose()?.ok_or(BoxFault {
        kind,
        at: entry.at,
        fault: "it is missing in the sample entry at this byte".into(),
    })
}

#[cfg(test)]
mod tests;
