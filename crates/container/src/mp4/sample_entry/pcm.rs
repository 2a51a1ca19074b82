//! PCM and other codings of a fixed size per sample: QuickTime's, and those of ISO/IEC 23003-5.

use super::sound_entry::SoundEntry;
use amphi_media::{G711Law, PacketCoding, PcmLayout};

/// `formatSpecificFlags` of QuickTime's `lpcm` in version 2.
const FLOAT: u32 = 1;
const BIG_ENDIAN: u32 = 2;
const SIGNED: u32 = 4;
const NOT_INTERLEAVED: u32 = 0x20;

/// Whether an entry is of this kind.
pub(super) fn is_known(kind: [u8; 4]) -> bool {
    let known = [
        b"sowt",
        b"twos",
        b"raw ",
        b"NONE",
        b"in24",
        b"in32",
        b"42ni",
        b"23ni",
        b"fl32",
        b"fl64",
        b"lpcm",
        b"ipcm",
        b"fpcm",
        b"ulaw",
        b"alaw",
        b"ima4",
        b"ms\0\x06",
        b"ms\0\x07",
    ];
    known.contains(&&kind)
}

/// How its samples are coded; `None` if it says something that no file is known to have.
pub(super) fn coding(kind: [u8; 4], entry: &SoundEntry<'_>) -> Option<PacketCoding> {
    let pcm = |bits: u32, is_float: bool, is_big_endian: bool, is_unsigned: bool| {
        let bytes = bits.div_ceil(8) as u8;
        let is_sound = if is_float { matches!(bytes, 4 | 8) } else { matches!(bytes, 1..=4) };
        let layout = PcmLayout { bytes, is_float, is_big_endian, is_unsigned };
        is_sound.then_some(PacketCoding::Pcm(layout))
    };
    let is_little = little_endian(entry);
    match &kind {
        b"sowt" => pcm(sample_bits(entry), false, false, false),
        b"twos" => pcm(sample_bits(entry), false, true, false),
        // Eight bits are counted from zero up, more are as in `twos`.
        b"raw " | b"NONE" => pcm(entry.bits.max(8), false, true, entry.bits <= 8),
        b"in24" => pcm(24, false, !is_little, false),
        b"in32" => pcm(32, false, !is_little, false),
        b"42ni" => pcm(24, false, false, false),
        b"23ni" => pcm(32, false, false, false),
        b"fl32" => pcm(32, true, !is_little, false),
        b"fl64" => pcm(64, true, !is_little, false),
        b"lpcm" if entry.version == 2 => {
            let has = |flag| entry.flags & flag != 0;
            let is_unsigned = !has(SIGNED | FLOAT);
            // Channels one after the other.
            if has(NOT_INTERLEAVED) && entry.channels > 1 {
                return None;
            }
            pcm(entry.bits, has(FLOAT), has(BIG_ENDIAN), is_unsigned)
        }
        b"lpcm" => pcm(sample_bits(entry), false, !is_little, false),
        b"ipcm" | b"fpcm" => {
            // format_flags and PCM_sample_size (ISO/IEC 23003-5 §5.1).
            let mut fields = entry.find(*b"pcmC")?.full().ok()?.rest;
            let (flags, bits) = (fields.u8()?, fields.u8()?);
            pcm(bits.into(), kind == *b"fpcm", flags & 1 == 0, false)
        }
        b"ulaw" | b"ms\0\x07" => Some(PacketCoding::G711(G711Law::Mu)),
        b"alaw" | b"ms\0\x06" => Some(PacketCoding::G711(G711Law::A)),
        b"ima4" => Some(PacketCoding::ImaAdpcm),
        _ => None,
    }
}

/// Bits of a sample; those who write 0 mean 16.
fn sample_bits(entry: &SoundEntry<'_>) -> u32 {
    if entry.bits == 0 { 16 } else { entry.bits }
}

/// What `enda` says, which stands in `wave`; without it the first byte is the highest.
fn little_endian(entry: &SoundEntry<'_>) -> bool {
    entry.find(*b"enda").is_some_and(|enda| enda.body.first_chunk() == Some(&[0, 1]))
}
