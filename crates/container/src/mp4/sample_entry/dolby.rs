//! AC-3 and E-AC-3 (ETSI TS 102 366 annex F): what their boxes say, and the entries by which players know them.
//!
//! Not every player decodes them, so they are described for a decoder too.

use bytes::{BufMut, Bytes};

use super::super::super::isobmff::{BoxFault, BoxReader, BoxRef, Boxes};
use super::sound_entry::{SoundEntry, written};
use super::{Coding, DescribedEntry, SOUND, child};
use amphi_media::PacketCoding;

/// Kilobits per second of each `bit_rate_code` of AC-3 (annex F.4).
const KBPS: [u32; 19] =
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];

// Places of loudspeakers (table E.1.4).
const LEFT: u16 = 1 << 15;
const CENTRE: u16 = 1 << 14;
const RIGHT: u16 = 1 << 13;
const LEFT_SURROUND: u16 = 1 << 12;
const RIGHT_SURROUND: u16 = 1 << 11;
const CENTRE_SURROUND: u16 = 1 << 8;
const LOW_FREQUENCIES_2: u16 = 1 << 1;
const LOW_FREQUENCIES: u16 = 1;
/// The places that are two loudspeakers each.
const PAIRS: u16 = 1 << 10 | 1 << 9 | 1 << 6 | 1 << 5 | 1 << 4 | 1 << 2;

/// AC-3 or E-AC-3, as a `dac3` or `dec3` says it that players can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DolbySound {
    /// Samples per second.
    pub sample_rate: u32,
    /// A bit for each place of loudspeakers, as in table E.1.4: left is the highest, low frequencies the lowest.
    pub places: u16,
    /// Bits per second; `None` for E-AC-3, in which they may vary.
    pub bitrate_bps: Option<u32>,
}

impl DolbySound {
    /// What the entry of a track says, which must have been read by [`ac3`] or [`eac3`]. `None` if it is no such sound, or its
    /// box is missing or wrong.
    pub(super) fn of_entry(entry: &[u8]) -> Option<Self> {
        let entry = Boxes::new(entry, 0).next()?.ok()?;
        match &entry.kind {
            b"ac-3" => Self::of_ac3(child(&entry, SOUND, *b"dac3").ok()?.body),
            b"ec-3" => Self::of_eac3(child(&entry, SOUND, *b"dec3").ok()?.body),
            _ => None,
        }
    }

    /// AC3SpecificBox (annex F.4).
    fn of_ac3(body: &[u8]) -> Option<Self> {
        let [first, second, third] = *body.first_chunk::<3>()?;
        // Decoders of this version read those before it (§4.4.2.1).
        let is_known = (1..=8).contains(&(first >> 1 & 0x1f));
        let kbps = KBPS.get(usize::from((second & 3) << 3 | third >> 5)).filter(|_| is_known)?;
        Some(Self {
            sample_rate: rate(first >> 6)?,
            places: places(second >> 3 & 7, second >> 2 & 1),
            bitrate_bps: Some(kbps * 1000),
        })
    }

    /// EC3SpecificBox (annex F.6): the places of the first independent substream and of those that depend on it.
    fn of_eac3(body: &[u8]) -> Option<Self> {
        let mut fields = BoxReader(body);
        let count = (fields.u16()? & 7) + 1;
        let mut first = None;
        for _ in 0..count {
            let [one, two, three] = fields.array()?;
            // An independent substream may be AC-3.
            let is_known = matches!(one >> 1 & 0x1f, 1..=8 | 11..=16);
            let sample_rate = rate(one >> 6).filter(|_| is_known)?;
            let mut places = places(two >> 1 & 7, two & 1);
            if three >> 1 & 0xf > 0 {
                places |= dependent(u16::from(three & 1) << 8 | u16::from(fields.u8()?));
            }
            first.get_or_insert(Self { sample_rate, places, bitrate_bps: None });
        }
        first
    }

    /// Number of its channels.
    pub const fn channels(self) -> u32 {
        self.places.count_ones() + (self.places & PAIRS).count_ones()
    }
}

/// AC-3 (annex F.3 and F.4), which QuickTime calls `sac3` too. Without its box players know nothing of it.
pub(super) fn ac3(it: &SoundEntry<'_>) -> Result<DescribedEntry, BoxFault> {
    let Some(dac3) = it.find(*b"dac3") else {
        return Ok(it.packets(PacketCoding::Ac3, it.sample_rate, it.channels));
    };
    let [first, second, _] = *dac3.body.first_chunk::<3>().ok_or(dac3.fault("it is too short"))?;
    // fscod, bsid, bsmod, acmod, lfeon.
    let sample_rate = rate(first >> 6).unwrap_or(it.sample_rate);
    let channels = channels(second >> 3 & 7, second >> 2 & 1);
    Ok(described(it, &dac3, PacketCoding::Ac3, (sample_rate, channels)))
}

/// E-AC-3 (annex F.5 and F.6): of what is decoded here, the first independent substream is what is heard.
pub(super) fn eac3(it: &SoundEntry<'_>) -> Result<DescribedEntry, BoxFault> {
    let dec3 = it.need(*b"dec3")?;
    let [_, _, first, second, ..] = *dec3.body else { return Err(dec3.fault("it is too short")) };
    // fscod, bsid; reserved, asvc, bsmod, acmod, lfeon.
    let sample_rate = rate(first >> 6).unwrap_or(it.sample_rate);
    let channels = channels(second >> 1 & 7, second & 1);
    Ok(described(it, &dec3, PacketCoding::Eac3, (sample_rate, channels)))
}

/// Sound that some players decode: its entry is good for them, and it is described for a decoder too.
fn described(
    it: &SoundEntry<'_>,
    kept: &BoxRef<'_>,
    coding: PacketCoding,
    (rate, channels): (u32, u32),
) -> DescribedEntry {
    let (kind, codec) = if coding == PacketCoding::Ac3 { (*b"ac-3", "ac-3") } else { (*b"ec-3", "ec-3") };
    match it.packets(coding, rate, channels) {
        DescribedEntry::Played(described) => {
            let entry = entry(it, kept, kind, (rate, channels));
            DescribedEntry::Played(Coding { entry, codec: codec.to_owned(), ..described })
        }
        left_out @ DescribedEntry::LeftOut(_) => left_out,
    }
}

/// The entry as it is, if it is as annex F.3 and F.5 have it; else one that is, with the box alone.
fn entry(it: &SoundEntry<'_>, kept: &BoxRef<'_>, kind: [u8; 4], (rate, channels): (u32, u32)) -> Bytes {
    let is_of_version_0 = it.entry.body.get(8..10) == Some(&[0, 0]);
    let has_it = || it.entry.children(SOUND).map_while(Result::ok).any(|found| found.at == kept.at);
    if it.entry.kind == kind && is_of_version_0 && has_it() {
        return Bytes::copy_from_slice(it.entry.whole);
    }
    written(kind, channels as u16, rate, |out| out.put_slice(kept.whole))
}

/// Samples per second of an `fscod` (table 4.1).
fn rate(fscod: u8) -> Option<u32> {
    [48_000, 44_100, 32_000].get(usize::from(fscod)).copied()
}

/// Places of the channels of an `acmod` (table 4.3), with the one for low frequencies.
fn places(acmod: u8, lfeon: u8) -> u16 {
    let front = if acmod & 1 == 1 && acmod > 1 { LEFT | CENTRE | RIGHT } else { LEFT | RIGHT };
    let all = match acmod {
        1 => CENTRE,
        4 | 5 => front | CENTRE_SURROUND,
        6 | 7 => front | LEFT_SURROUND | RIGHT_SURROUND,
        _ => front,
    };
    if lfeon == 1 { all | LOW_FREQUENCIES } else { all }
}

/// Number of the channels of an `acmod`, with the one for low frequencies.
fn channels(acmod: u8, lfeon: u8) -> u32 {
    places(acmod, lfeon).count_ones()
}

/// Places of a `chan_loc` (table F.6.1), which counts from the other end.
fn dependent(chan_loc: u16) -> u16 {
    let places = (0..8).filter(|bit| chan_loc >> bit & 1 == 1).fold(0, |all, bit| all | 1 << (10 - bit));
    if chan_loc >> 8 & 1 == 1 { places | LOW_FREQUENCIES_2 } else { places }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_rates_are_those_of_the_boxes() {
        let said = |body: &[u8]| {
            DolbySound::of_ac3(body).map(|it| (it.sample_rate, it.places, it.channels(), it.bitrate_bps))
        };
        assert_eq!(said(&[0x10, 0x3d, 0xc0]), Some((48_000, 0xf801, 6, Some(384_000))));
        assert_eq!(said(&[0x50, 0x11, 0x40]), Some((44_100, 0xa000, 2, Some(192_000))));
        assert_eq!(said(&[0x90, 0x08, 0xc0]), Some((32_000, 0x4000, 1, Some(96_000))));
        assert_eq!(said(&[0x10, 0x29, 0x40]).map(|it| it.1), Some(0xe100), "3/1");
        assert_eq!(said(&[0x10, 0x31, 0x40]).map(|it| it.1), Some(0xb800), "2/2");
        // A rate that is not there, other versions of the bit stream, a bit rate that is not there, too few bytes.
        for wrong in
            [&[0xd0, 0x3d, 0xc0][..], &[0, 0, 0], &[0x20, 0x3d, 0xc0], &[0x10, 0x3f, 0xe0], &[0x10, 0x3d]]
        {
            assert_eq!(said(wrong), None, "{wrong:x?}");
        }
    }

    #[test]
    fn dependent_substreams_have_places_too() {
        let said =
            |body: &[u8]| DolbySound::of_eac3(body).map(|it| (it.sample_rate, it.places, it.channels()));
        assert_eq!(said(&[0x06, 0, 0x20, 0x04, 0]), Some((48_000, 0xa000, 2)));
        assert_eq!(said(&[0x0c, 0, 0x20, 0x0f, 0]), Some((48_000, 0xf801, 6)));
        // 7.1: both rear surrounds in a dependent substream; and low frequencies once more.
        assert_eq!(said(&[0x0c, 0, 0x20, 0x0f, 0x02, 0x02]), Some((48_000, 0xfa01, 8)));
        assert_eq!(said(&[0x0c, 0, 0x20, 0x0f, 0x03, 0x00]), Some((48_000, 0xf803, 7)));
        // A second independent substream, and one that is not there.
        assert_eq!(said(&[0x0c, 1, 0x20, 0x0f, 0, 0x20, 0x04, 0]), Some((48_000, 0xf801, 6)));
        for wrong in
            [&[0x0c, 1, 0x20, 0x0f, 0][..], &[0x0c, 0, 0x20, 0x0f, 2], &[0x0c, 0, 0xe0, 0x0f, 0], &[0; 5]]
        {
            assert_eq!(said(wrong), None, "{wrong:x?}");
        }
    }

    #[test]
    fn channels_are_those_that_the_standard_counts() {
        let counts: Vec<u32> = (0..8).map(|acmod| channels(acmod, 0)).collect();
        assert_eq!(counts, [2, 1, 2, 3, 3, 4, 4, 5]);
    }
}
