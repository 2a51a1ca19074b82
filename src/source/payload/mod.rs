//! From RTP packets in order to access units. Sans-IO.
//!
//! `h264` stands over retina's depacketizer, the others are ours. None of them can be made to panic by what comes, and
//! what any of them keeps has a bound: a packet that makes no sense is told as [`Made::Broken`], and the next one is
//! looked at anew.

mod aac;
mod h264;

use std::sync::Arc;

use bytes::Bytes;

pub(super) use self::aac::{AacPayload, config as aac_config};
pub(super) use self::h264::H264Payload;
use super::intake::Unit;
use super::timeline::RtpInstant;
use crate::media::{MediaTime, TrackFormat};
use crate::rtsp::client::Received;

/// What packets make.
#[derive(Debug)]
pub(super) enum Made {
    /// An access unit.
    Unit(Unit),
    /// A packet could not be understood.
    Broken {
        /// Something of the picture is missing.
        missing: bool,
        /// What is wrong.
        why: String,
    },
    /// An access unit without use.
    Nothing,
}

/// A stream of sound, as its packets carry it.
#[derive(Debug)]
pub(super) enum SoundPayload {
    /// RFC 3640.
    Aac(AacPayload),
}

impl SoundPayload {
    pub(super) fn push(&mut self, received: &Received, out: &mut Vec<Made>) {
        match self {
            Self::Aac(aac) => aac.push(received, out),
        }
    }

    /// Ticks per second of its time stamps.
    pub(super) fn clock_rate(&self) -> u32 {
        match self {
            Self::Aac(aac) => aac.clock_rate(),
        }
    }

    /// How it is coded, once that is known.
    pub(super) fn format(&self) -> Option<Arc<TrackFormat>> {
        match self {
            Self::Aac(aac) => Some(aac.format()),
        }
    }
}

/// A frame of sound.
struct Sound<'a> {
    ticks: i64,
    clock_rate: u32,
    arrival: MediaTime,
    lost: u32,
    data: &'a [u8],
}

impl Sound<'_> {
    fn unit(&self, format: &Arc<TrackFormat>) -> Made {
        Made::Unit(Unit {
            rtp: RtpInstant { ticks: self.ticks, clock_rate: self.clock_rate },
            arrival: self.arrival,
            // Copied: a frame is small, and the buffer that it lies in is not.
            data: Bytes::copy_from_slice(self.data),
            sync: true,
            lost: self.lost.min(u32::from(u16::MAX)) as u16,
            format: Arc::clone(format),
        })
    }
}
