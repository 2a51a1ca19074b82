//! Sound in files that browsers do not decode: what a decoder must know of it, and how long its packets are.
//!
//! Plain values: the index of a file fills them in, a decoder reads them. What does *not* belong here: decoding.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::G711Law;

/// How the sound of a file is coded that no browser takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketSound {
    /// The coding of each packet, which is one sample of its track.
    pub coding: PacketCoding,
    /// Samples per second and channel; 0 if the file does not say.
    pub sample_rate: u32,
    /// Number of channels: 1 to 24. MPEG audio and AC-3 say it again in each packet.
    pub channels: u8,
}

/// The codings that are decoded here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketCoding {
    /// Samples as they are, channels interleaved.
    Pcm(PcmLayout),
    /// ITU-T G.711: eight bits for each sample, channels interleaved.
    G711(G711Law),
    /// QuickTime's IMA ADPCM: 34 bytes for 64 samples of each channel (Apple's Technote TN1081).
    ImaAdpcm,
    /// Apple Lossless, with its ALACSpecificConfig.
    Alac(Bytes),
    /// MPEG audio of layers I to III: one or more frames with their headers (ISO/IEC 11172-3, 13818-3).
    Mpeg,
    /// AC-3 (ETSI TS 102 366).
    Ac3,
    /// E-AC-3 (ETSI TS 102 366 annex E).
    Eac3,
}

/// How one sample of PCM is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcmLayout {
    /// Bytes of one sample: 1 to 4, or 4 and 8 if it is a floating-point number.
    pub bytes: u8,
    /// A number of IEEE 754, whose full scale is 1.
    pub is_float: bool,
    /// The first byte is the highest.
    pub is_big_endian: bool,
    /// Counted from zero up, with silence in the middle.
    pub is_unsigned: bool,
}

impl PacketSound {
    /// The rates that sound has, in samples per second; what a file says beyond them is no rate.
    pub const SAMPLE_RATES: RangeInclusive<u32> = 4000..=384_000;

    /// Samples per channel and bytes of the smallest whole piece, if every piece has the same number of bytes. Tables of
    /// such tracks may count single samples.
    pub fn unit(&self) -> Option<(u32, u32)> {
        let channels = u32::from(self.channels.max(1));
        match &self.coding {
            PacketCoding::Pcm(layout) => Some((1, channels * u32::from(layout.bytes))),
            PacketCoding::G711(_) => Some((1, channels)),
            PacketCoding::ImaAdpcm => Some((64, channels * 34)),
            PacketCoding::Alac(_) | PacketCoding::Mpeg | PacketCoding::Ac3 | PacketCoding::Eac3 => None,
        }
    }

    /// Samples per channel that a packet of `size` bytes is decoded to, where its track says that it lasts about `lasts` of
    /// them. The track's time may be coarse, the number of samples is not.
    pub fn samples_of(&self, size: u32, lasts: u32) -> u32 {
        if let Some((samples, bytes)) = self.unit() {
            return size / bytes.max(1) * samples;
        }
        let nearest = |of: &[u32]| of.iter().copied().min_by_key(|it| it.abs_diff(lasts)).unwrap_or(lasts);
        match &self.coding {
            PacketCoding::Mpeg => nearest(&[384, 576, 1152]),
            PacketCoding::Ac3 => 1536,
            PacketCoding::Eac3 => nearest(&[256, 512, 768, 1536]),
            PacketCoding::Alac(config) => match config.first_chunk::<4>() {
                // frameLength; the last packet has fewer.
                Some(length) => u32::from_be_bytes(*length).min(lasts.saturating_add(lasts / 8)),
                None => lasts,
            },
            _ => lasts,
        }
    }

    /// How many packets before one must be decoded for it to sound as it does when all are: those that a frame of layer III
    /// takes bytes from (ISO/IEC 11172-3 §2.4.2.7, `main_data_begin`), and the one whose end rings into it.
    pub const fn run_up(&self) -> u32 {
        match self.coding {
            PacketCoding::Mpeg => 12,
            PacketCoding::Ac3 | PacketCoding::Eac3 | PacketCoding::ImaAdpcm => 2,
            PacketCoding::Pcm(_) | PacketCoding::G711(_) | PacketCoding::Alac(_) => 0,
        }
    }

    /// Its name as people say it.
    pub const fn name(&self) -> &'static str {
        match self.coding {
            PacketCoding::Pcm(_) => "PCM",
            PacketCoding::G711(G711Law::Mu) => "G.711 µ-law",
            PacketCoding::G711(G711Law::A) => "G.711 A-law",
            PacketCoding::ImaAdpcm => "IMA ADPCM",
            PacketCoding::Alac(_) => "ALAC",
            PacketCoding::Mpeg => "MP3",
            PacketCoding::Ac3 => "AC-3",
            PacketCoding::Eac3 => "E-AC-3",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_as_long_as_their_coding_says() {
        let sound = |coding, channels| PacketSound { coding, sample_rate: 48_000, channels };
        let layout = PcmLayout { bytes: 3, is_float: false, is_big_endian: true, is_unsigned: false };
        let pcm = sound(PacketCoding::Pcm(layout), 2);
        assert_eq!((pcm.unit(), pcm.samples_of(6000, 1)), (Some((1, 6)), 1000));
        let ima = sound(PacketCoding::ImaAdpcm, 2);
        assert_eq!((ima.unit(), ima.samples_of(136, 0)), (Some((64, 68)), 128));
        // A timescale of milliseconds makes 24 or 23 of 24 ms at 48 kHz.
        assert_eq!(sound(PacketCoding::Mpeg, 2).samples_of(400, 1104), 1152);
        assert_eq!(sound(PacketCoding::Mpeg, 1).samples_of(400, 576), 576);
        assert_eq!(sound(PacketCoding::Ac3, 6).samples_of(1792, 1536), 1536);
        let alac = sound(PacketCoding::Alac(Bytes::from_static(&[0, 0, 16, 0])), 2);
        assert_eq!((alac.samples_of(9000, 4096), alac.samples_of(9000, 100)), (4096, 112));
    }
}
