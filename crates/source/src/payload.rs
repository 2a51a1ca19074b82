//! From RTP packets in order to access units. Sans-IO.
//!
//! `h264` wraps retina's depacketizer, the others are ours. No packet makes them panic, and all that they keep has a
//! bound. A packet that cannot be understood gives [`Depacketized::Broken`], and the next one is looked at anew.

mod aac;
mod h264;
mod latm;
mod plain;

use std::sync::Arc;

use bytes::Bytes;

use self::aac::AacPayload;
pub(super) use self::h264::H264Payload;
use self::latm::LatmPayload;
use self::plain::{G711Payload, MpaPayload};
use super::intake::ArrivedUnit;
use super::timeline::RtpInstant;
use amphi_media::{G711Law, MediaTime, TrackFormat};
use amphi_protocol::rtsp::client::{Media, Received};

/// What a payload makes of packets.
#[derive(Debug)]
pub(super) enum Depacketized {
    Unit(ArrivedUnit),
    /// A packet could not be understood.
    Broken {
        /// Whether something of the picture is missing.
        missing: bool,
        /// What is wrong with the packet.
        why: String,
    },
    /// An access unit that is of no use: without a slice, or before any parameter sets.
    Nothing,
}

/// A stream of sound, as its packets carry it.
#[derive(Debug)]
pub(super) enum SoundPayload {
    /// MPEG-4 AAC with AU headers (RFC 3640).
    Aac(AacPayload),
    /// MPEG-4 AAC in LATM (RFC 6416).
    Latm(LatmPayload),
    /// MP3, that is, MPEG audio layer III (RFC 2250 §3.5).
    Mpa(MpaPayload),
    /// G.711 with µ-law or A-law (RFC 3551 §4.5.14).
    G711(G711Payload),
}

impl SoundPayload {
    /// Sound as `media` describes it; `None` for a codec that is not supported, an error for a wrong description.
    pub(super) fn new(media: &Media) -> Option<Result<Self, String>> {
        Some(match &*media.encoding {
            "mpeg4-generic" => AacPayload::new(media).map(Self::Aac),
            "mp4a-latm" => LatmPayload::new(media).map(Self::Latm),
            "mpa" => Ok(Self::Mpa(MpaPayload::default())),
            "pcmu" => G711Payload::new(media, G711Law::Mu).map(Self::G711),
            "pcma" => G711Payload::new(media, G711Law::A).map(Self::G711),
            _ => return None,
        })
    }

    pub(super) fn push(&mut self, received: &Received, out: &mut Vec<Depacketized>) {
        match self {
            Self::Aac(aac) => aac.push(received, out),
            Self::Latm(latm) => latm.push(received, out),
            Self::Mpa(mpa) => mpa.push(received, out),
            Self::G711(g711) => g711.push(received, out),
        }
    }

    /// Ticks per second of its RTP time stamps.
    pub(super) const fn clock_rate(&self) -> u32 {
        match self {
            Self::Aac(aac) => aac.clock_rate(),
            Self::Latm(latm) => latm.clock_rate(),
            Self::Mpa(_) => MpaPayload::clock_rate(),
            Self::G711(g711) => g711.clock_rate(),
        }
    }

    /// How it is coded, once that is known.
    pub(super) fn format(&self) -> Option<Arc<TrackFormat>> {
        match self {
            Self::Aac(aac) => Some(aac.format()),
            Self::Latm(latm) => latm.format(),
            Self::Mpa(mpa) => mpa.format(),
            Self::G711(g711) => Some(g711.format()),
        }
    }
}

/// A codec whose frames may lie in several packets.
trait FramesInParts {
    /// Packets lost before the next frame.
    fn lost(&mut self) -> &mut u32;

    /// Forgets the parts that have come of a frame.
    fn forget_parts(&mut self);

    /// What one packet makes, or what is wrong with it.
    fn read(&mut self, received: &Received, out: &mut Vec<Depacketized>) -> Result<(), &'static str>;

    fn push(&mut self, received: &Received, out: &mut Vec<Depacketized>) {
        let lost = self.lost();
        *lost = lost.saturating_add(received.lost);
        if received.lost > 0 {
            self.forget_parts();
        }
        if let Err(why) = self.read(received, out) {
            self.forget_parts();
            out.push(Depacketized::Broken { missing: false, why: why.to_owned() });
        }
    }
}

struct Sound<'a> {
    ticks: i64,
    clock_rate: u32,
    arrival: MediaTime,
    lost: u32,
    data: &'a [u8],
}

impl Sound<'_> {
    fn unit(&self, format: &Arc<TrackFormat>) -> Depacketized {
        Depacketized::Unit(ArrivedUnit {
            rtp: RtpInstant { ticks: self.ticks, clock_rate: self.clock_rate },
            arrival: self.arrival,
            // Copied, since a frame is small and the buffer that it lies in is not.
            data: Bytes::copy_from_slice(self.data),
            sync: true,
            lost: self.lost.min(u32::from(u16::MAX)) as u16,
            format: Arc::clone(format),
        })
    }
}

/// The bytes of a configuration in hexadecimal; `None` if it is not.
fn unhex(text: &str) -> Option<Vec<u8>> {
    const LONGEST: usize = 1024;
    let digits: Option<Vec<u8>> =
        text.chars().take(LONGEST).map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits?;
    digits
        .len()
        .is_multiple_of(2)
        .then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
