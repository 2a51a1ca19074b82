//! Reads AAC in LATM over RTP, `MP4A-LATM` (RFC 6416 §6, formerly RFC 3016 §4; ISO/IEC 14496-3 §1.7.3): AudioMuxElements
//! become raw access units with their AudioSpecificConfig.
//!
//! Contract. Call [`Latm::new`] with what the description says, then [`Latm::push`] with each RTP payload in order of sequence
//! numbers. It returns the access units of an element when that is complete: at the packet with the marker, or at the first
//! packet with another timestamp. After each call [`Latm::asc`] is the configuration of the units just returned; with
//! `cpresent=1` it may change. A fault affects only the element that it is found in. All units of an element share one RTP
//! timestamp, that of the first; each further unit is one frame later (RFC 6416 §6.1).
//!
//! Of several programs and layers, the first layer of the first program is used. Tolerated: several elements in a packet,
//! and a marker that is never set.
//!
//! Bounds: an element has at most 64 KiB, and a configuration at most 16 streams.

use bytes::{Bytes, BytesMut};

use amphi_media::{AudioSpecificConfig, AudioSpecificConfigError, Bits, Short};

/// Longest element in bytes; 64 subframes of 64 kbit/s take a sixth of it.
const MOST_BYTES: usize = 64 * 1024;
/// Most streams: `streamIndx` has four bits (ISO/IEC 14496-3 table 1.47).
const MOST_STREAMS: usize = 16;
/// Most access units that are returned for one element.
const MOST_UNITS: usize = 256;

/// Why LATM cannot be used. The source is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LatmFault {
    /// `cpresent=0`, but the description has no `config`.
    #[error("LATM without configuration: the description has no config= and says cpresent=0")]
    NoConfiguration,
    /// An element refers to a configuration that has not come yet. It is left out.
    #[error("LATM before its first configuration")]
    NotConfigured,
    /// An element ends inside a field, or its lengths do not add up.
    #[error("a LATM element or configuration ends too early")]
    Truncated,
    /// An element or access unit exceeds its bound.
    #[error("a LATM element of more than {MOST_BYTES} bytes")]
    TooLong,
    /// A packet of an element was lost.
    #[error("a part of a LATM element was lost")]
    Lost,
    /// It uses a part of LATM that is not supported, such as other coders than AAC.
    #[error("this kind of LATM is not supported: {0}")]
    Unsupported(&'static str),
    /// Its AudioSpecificConfig cannot be read.
    #[error("LATM: {0}")]
    Config(#[from] AudioSpecificConfigError),
}

impl From<Short> for LatmFault {
    fn from(_: Short) -> Self {
        Self::Truncated
    }
}

/// How the length of a stream's payloads is given (`frameLengthType`, ISO/IEC 14496-3 §1.7.3.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// The element gives it.
    Said,
    /// It is always this many bytes.
    Fixed(usize),
}

/// The fields of StreamMuxConfig that are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MuxConfig {
    asc: AudioSpecificConfig,
    same_framing: bool,
    /// Number of subframes minus one.
    more_subframes: u32,
    /// For each stream; only the first stream is used.
    lengths: Vec<Length>,
    other_data_bits: usize,
}

/// Reads one track of LATM; see the module's contract.
#[derive(Debug)]
pub struct Latm {
    in_band: bool,
    config: Option<MuxConfig>,
    /// The packets of an element that is not complete yet.
    pending: BytesMut,
    /// RTP timestamp of these packets.
    timestamp: u32,
    /// Packets up to the next marker cannot be used.
    spoilt: bool,
    /// Chunks of an access unit that is not complete yet.
    chunks: BytesMut,
}

impl Latm {
    /// A reader for a track with these `fmtp` parameters: `config`, a StreamMuxConfig, and `cpresent`, which is 1 if the
    /// description does not have it (RFC 6416 §7.1).
    pub fn new(config: Option<&[u8]>, cpresent: bool) -> Result<Self, LatmFault> {
        let config = config.map(|bytes| MuxConfig::read(&mut Bits::new(bytes)));
        let config = match config {
            Some(Ok(config)) => Some(config),
            // The configuration that comes in band counts.
            Some(Err(_)) | None if cpresent => None,
            Some(Err(fault)) => return Err(fault),
            None => return Err(LatmFault::NoConfiguration),
        };
        Ok(Self {
            in_band: cpresent,
            config,
            pending: BytesMut::new(),
            timestamp: 0,
            spoilt: false,
            chunks: BytesMut::new(),
        })
    }

    /// The configuration of the access units returned last, or of the next ones.
    pub fn asc(&self) -> Option<&AudioSpecificConfig> {
        self.config.as_ref().map(|config| &config.asc)
    }

    /// Takes one RTP payload with its marker and timestamp. `lost` says that packets before it are missing. Returns access
    /// units with the RTP timestamp of the first one.
    pub fn push(
        &mut self,
        payload: &[u8],
        marker: bool,
        timestamp: u32,
        lost: bool,
    ) -> Result<Option<(u32, Vec<Bytes>)>, LatmFault> {
        if lost {
            self.chunks.clear();
            // The lost packets may have included the beginning of the element; a marker or a new timestamp is a new start.
            let in_the_middle = !self.pending.is_empty() && self.timestamp == timestamp;
            self.pending.clear();
            self.timestamp = timestamp;
            if in_the_middle {
                self.spoilt = !marker;
                return Err(LatmFault::Lost);
            }
        }
        let fresh = self.timestamp != timestamp;
        let before =
            if fresh && !self.pending.is_empty() { Some((self.timestamp, self.element())) } else { None };
        self.spoilt &= !fresh;
        self.timestamp = timestamp;
        if self.spoilt {
            self.spoilt = !marker;
        } else if self.pending.len() + payload.len() > MOST_BYTES {
            self.pending.clear();
            self.spoilt = !marker;
            return Err(LatmFault::TooLong);
        } else {
            self.pending.extend_from_slice(payload);
        }
        let now = if marker && !self.pending.is_empty() { Some((timestamp, self.element())) } else { None };
        match (before, now) {
            // A sender that sets markers ends each element with one, so the element before is incomplete.
            (_, Some((at, units))) | (Some((at, units)), None) => Ok(Some((at, units?))),
            (None, None) => Ok(None),
        }
        .map(|units| units.filter(|(_, units)| !units.is_empty()))
    }

    /// The access units of the element that is complete.
    fn element(&mut self) -> Result<Vec<Bytes>, LatmFault> {
        let bytes = self.pending.split().freeze();
        let (mut bits, mut units) = (Bits::new(&bytes), Vec::new());
        self.read(&mut bits, &mut units)?;
        // Some senders put several elements into a packet. What cannot be read after a complete one is padding.
        while bits.left() >= 16 && units.len() < MOST_UNITS {
            let whole = units.len();
            if self.read(&mut bits, &mut units).is_err() {
                units.truncate(whole);
                break;
            }
        }
        Ok(units)
    }

    /// Reads an AudioMuxElement (ISO/IEC 14496-3 table 1.41).
    fn read(&mut self, bits: &mut Bits<'_>, units: &mut Vec<Bytes>) -> Result<(), LatmFault> {
        if self.in_band && !bits.flag()? {
            let config = MuxConfig::read(bits)?;
            if self.config.as_ref() != Some(&config) {
                self.chunks.clear();
                self.config = Some(config);
            }
        }
        let config = self.config.as_ref().ok_or(LatmFault::NotConfigured)?;
        for _ in 0..=config.more_subframes {
            if config.same_framing {
                let mut sizes = [0; MOST_STREAMS];
                for (size, length) in sizes.iter_mut().zip(&config.lengths) {
                    *size = payload_length(*length, bits)?;
                }
                for (stream, &size) in sizes.iter().enumerate().take(config.lengths.len()) {
                    if stream > 0 {
                        bits.skip(size.saturating_mul(8))?;
                    } else if size > 0 {
                        units.push(bits.bytes(size)?.into());
                    }
                }
            } else {
                read_chunks(config, &mut self.chunks, bits, units)?;
            }
        }
        bits.skip(config.other_data_bits)?;
        bits.align();
        Ok(())
    }
}

/// Reads PayloadLengthInfo of one stream (ISO/IEC 14496-3 table 1.44).
fn payload_length(length: Length, bits: &mut Bits<'_>) -> Result<usize, LatmFault> {
    if let Length::Fixed(size) = length {
        return Ok(size);
    }
    let mut size = 0;
    loop {
        let part = bits.take(8)?;
        size += part as usize;
        if part != 255 {
            return Ok(size);
        }
    }
}

/// Reads streams with different framing, chunk by chunk (ISO/IEC 14496-3 tables 1.44 and 1.45).
fn read_chunks(
    config: &MuxConfig,
    unit: &mut BytesMut,
    bits: &mut Bits<'_>,
    units: &mut Vec<Bytes>,
) -> Result<(), LatmFault> {
    let count = bits.take(4)? as usize + 1;
    let mut chunks = [(0, 0, false); MOST_STREAMS];
    for chunk in chunks.iter_mut().take(count) {
        let stream = bits.take(4)? as usize;
        let length = *config.lengths.get(stream).ok_or(LatmFault::Truncated)?;
        let size = payload_length(length, bits)?;
        let end = length != Length::Said || bits.flag()?;
        *chunk = (stream, size, end);
    }
    for &(stream, size, end) in chunks.iter().take(count) {
        if stream > 0 {
            bits.skip(size.saturating_mul(8))?;
            continue;
        }
        let bytes = bits.bytes(size)?;
        if unit.len() + bytes.len() > MOST_BYTES {
            unit.clear();
            return Err(LatmFault::TooLong);
        }
        unit.extend_from_slice(&bytes);
        if end && !unit.is_empty() {
            units.push(unit.split().freeze());
        }
    }
    Ok(())
}

impl MuxConfig {
    /// Reads StreamMuxConfig (ISO/IEC 14496-3 table 1.42).
    fn read(bits: &mut Bits<'_>) -> Result<Self, LatmFault> {
        let version_1 = bits.flag()?;
        if version_1 && bits.flag()? {
            return Err(LatmFault::Unsupported("audioMuxVersionA is 1"));
        }
        if version_1 {
            latm_value(bits)?;
        }
        let same_framing = bits.flag()?;
        let more_subframes = bits.take(6)?;
        let programs = bits.take(4)? + 1;
        let (mut ours, mut lengths, mut core_type) = (None, Vec::new(), 0);
        for program in 0..programs {
            for layer in 0..=bits.take(3)? {
                let first = program == 0 && layer == 0;
                let before = core_type;
                if first || !bits.flag()? {
                    let asc = read_asc(bits, version_1)?;
                    core_type = asc.core_type;
                    ours.get_or_insert(asc);
                }
                if lengths.len() == MOST_STREAMS {
                    return Err(LatmFault::Unsupported("more than 16 streams"));
                }
                lengths.push(match bits.take(3)? {
                    0 => {
                        bits.skip(8)?;
                        // coreFrameOffset
                        let scalable = layer > 0 && matches!(core_type, 6 | 20) && matches!(before, 8 | 24);
                        bits.skip(if scalable && !same_framing { 6 } else { 0 })?;
                        Length::Said
                    }
                    1 => Length::Fixed(bits.take(9)? as usize + 20),
                    _ => return Err(LatmFault::Unsupported("frames of CELP or HVXC")),
                });
            }
        }
        let other_data_bits = if bits.flag()? { other_data(bits, version_1)? } else { 0 };
        if bits.flag()? {
            // A checksum of the configuration, which is not needed: UDP and TCP have their own.
            bits.skip(8)?;
        }
        let asc = ours.ok_or(LatmFault::NotConfigured)?;
        Ok(Self { asc, same_framing, more_subframes, lengths, other_data_bits })
    }
}

/// Reads an AudioSpecificConfig inside StreamMuxConfig; version 1 gives its length.
fn read_asc(bits: &mut Bits<'_>, version_1: bool) -> Result<AudioSpecificConfig, LatmFault> {
    if !version_1 {
        return Ok(AudioSpecificConfig::read_unbounded(bits)?);
    }
    let length = latm_value(bits)? as usize;
    let mut bytes = bits.bytes(length / 8)?;
    if !length.is_multiple_of(8) {
        let rest = (length % 8) as u32;
        bytes.push((bits.take(rest)? << (8 - rest)) as u8);
    }
    Ok(AudioSpecificConfig::parse(&bytes)?)
}

/// Number of bits after the payloads that belong to no stream (otherDataLenBits).
fn other_data(bits: &mut Bits<'_>, version_1: bool) -> Result<usize, LatmFault> {
    if version_1 {
        return Ok(latm_value(bits)? as usize);
    }
    let mut length = 0_usize;
    loop {
        let escaped = bits.flag()?;
        length = length.saturating_mul(256).saturating_add(bits.take(8)? as usize);
        if !escaped {
            return Ok(length);
        }
    }
}

/// Reads LatmGetValue() (ISO/IEC 14496-3 table 1.43).
fn latm_value(bits: &mut Bits<'_>) -> Result<u32, Short> {
    let bytes = bits.take(2)? + 1;
    bits.take(8 * bytes)
}

#[cfg(test)]
mod tests;
