//! The fields of audio sample entries: ISO's (ISO/IEC 14496-12 §12.2.3), and QuickTime's versions 1 and 2 (QuickTime File
//! Format, "Sound Sample Descriptions").

use bytes::{BufMut, Bytes};

use super::super::super::isobmff::{BoxFault, BoxReader, BoxRef, put_box};
use super::{Coding, DescribedEntry, SOUND, TrackMedia};
use amphi_media::{PacketCoding, PacketSound};

/// More channels than any sound of a recording has.
const CHANNELS_MAX: u32 = 24;

/// The fields of an audio sample entry of any version.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoundEntry<'a> {
    pub entry: BoxRef<'a>,
    /// Of the entry: 1 and 2 are QuickTime's.
    pub version: u16,
    pub channels: u32,
    /// Bits of a sample.
    pub bits: u32,
    /// Samples per second; 0 if the field cannot express them.
    pub sample_rate: u32,
    /// `formatSpecificFlags` of version 2.
    pub flags: u32,
    /// Where its boxes begin in its content.
    boxes: usize,
}

impl<'a> SoundEntry<'a> {
    /// Reads the entry of an `stsd` of `stsd_version`: there QuickTime's versions do not exist, and ISO's version 1 has no
    /// more fields than 0 (ISO/IEC 14496-12 §12.2.3.2).
    pub(super) fn read(entry: &BoxRef<'a>, stsd_version: u8) -> Result<Self, BoxFault> {
        let mut fields = BoxReader(entry.body);
        let mut first = || {
            fields.skip(8)?;
            let version = fields.u16()?;
            fields.skip(6)?;
            let (channels, bits) = (fields.u16()?, fields.u16()?);
            fields.skip(4)?;
            Some((version, channels, bits, fields.u32()? >> 16))
        };
        let (version, channels, bits, sample_rate) = first().ok_or(entry.fault("it is too short"))?;
        let (channels, bits) = (u32::from(channels), u32::from(bits));
        let version = if stsd_version == 0 { version } else { 0 };
        let mut read = Self { entry: *entry, version, channels, bits, sample_rate, flags: 0, boxes: SOUND };
        match version {
            1 => {
                let mut more = || {
                    fields.skip(12)?;
                    fields.u32()
                };
                // bytesPerSample says more than the sample size, which is 16 for whatever is larger.
                let bytes = more().unwrap_or(0);
                read.bits =
                    if (1..=8).contains(&bytes) && bits != 8 { read.bits.max(bytes * 8) } else { bits };
                read.boxes = SOUND + 16;
            }
            2 => {
                let mut more = || {
                    fields.skip(4)?;
                    let rate = f64::from_be_bytes(fields.array()?);
                    let channels = fields.u32()?;
                    fields.skip(4)?;
                    Some((rate, channels, fields.u32()?, fields.u32()?))
                };
                let (rate, channels, bits, flags) = more().ok_or(entry.fault("it is too short"))?;
                // A conversion that saturates.
                (read.sample_rate, read.channels, read.bits) = (rate.round() as u32, channels, bits);
                (read.flags, read.boxes) = (flags, SOUND + 36);
            }
            _ => {}
        }
        Ok(read)
    }

    /// The first box of this type in it, or in QuickTime's `wave` box.
    pub(super) fn find(&self, kind: [u8; 4]) -> Option<BoxRef<'a>> {
        let within = |skip: usize| {
            let boxes = || self.entry.children(skip).map_while(Result::ok);
            let wave = || {
                boxes()
                    .find(|it| it.kind == *b"wave")?
                    .children(0)
                    .map_while(Result::ok)
                    .find(|it| it.kind == kind)
            };
            boxes().find(|it| it.kind == kind).or_else(wave)
        };
        // Some writers say a version of QuickTime's without its fields.
        within(self.boxes).or_else(|| within(SOUND))
    }

    pub(super) fn need(&self, kind: [u8; 4]) -> Result<BoxRef<'a>, BoxFault> {
        let missing = "it is missing in the sample entry at this byte";
        self.find(kind).ok_or(BoxFault { kind, at: self.entry.at, fault: missing.into() })
    }

    /// The entry as it is, or in version 0 with the boxes `kept` alone.
    pub(super) fn plain(&self, kept: &BoxRef<'_>) -> Bytes {
        if self.version == 0 && self.entry.body.len() >= SOUND {
            return Bytes::copy_from_slice(self.entry.whole);
        }
        written(self.entry.kind, self.channels as u16, self.sample_rate, |out| out.put_slice(kept.whole))
    }

    pub(super) fn kind(&self) -> String {
        String::from_utf8_lossy(&self.entry.kind).into_owned()
    }

    /// Sound that no browser decodes.
    pub(super) fn packets(&self, coding: PacketCoding, sample_rate: u32, channels: u32) -> DescribedEntry {
        let is_known = (1..=CHANNELS_MAX).contains(&channels);
        let Some(channels) = u8::try_from(channels).ok().filter(|_| is_known) else {
            return DescribedEntry::LeftOut(format!("it says {channels} channels"));
        };
        if sample_rate > 0 && !PacketSound::SAMPLE_RATES.contains(&sample_rate) {
            return DescribedEntry::LeftOut(format!("it says {sample_rate} samples per second"));
        }
        let packets = Some(PacketSound { coding, sample_rate, channels });
        let media = TrackMedia::Audio { channels: channels.into(), sample_rate };
        let entry = Bytes::copy_from_slice(self.entry.whole);
        DescribedEntry::Played(Coding { entry, codec: self.kind(), media, packets })
    }

    pub(super) fn played(entry: Bytes, codec: String, channels: u8, sample_rate: u32) -> DescribedEntry {
        let media = TrackMedia::Audio { channels: channels.into(), sample_rate };
        DescribedEntry::Played(Coding { entry, codec, media, packets: None })
    }
}

/// An audio sample entry of version 0 (§12.2.3.2) with the boxes that `fill` writes.
pub(super) fn written(
    kind: [u8; 4],
    channels: u16,
    sample_rate: u32,
    fill: impl FnOnce(&mut Vec<u8>),
) -> Bytes {
    let mut out = Vec::new();
    put_box(&mut out, kind, |out| {
        out.put_bytes(0, 6);
        out.put_u16(1);
        out.put_bytes(0, 8);
        out.put_u16(channels);
        out.put_u16(16);
        out.put_u32(0);
        // 16.16 fixed point. A rate that does not fit is 0 here, and stands in the codec's own box only.
        out.put_u32(u32::from(u16::try_from(sample_rate).unwrap_or(0)) << 16);
        fill(out);
    });
    out.into()
}
