//! Sound, decoded and coded, without time: what live halls and recordings both need.
//!
//! | module | what | with |
//! |---|---|---|
//! | `encoder` | AAC-LC, made | `fdk-aac` |
//! | `mpeg` | MPEG audio of layers I to III | `symphonia` |
//! | `g711` | G.711 | two lines of arithmetic |
//! | `packets` | whatever files hold that browsers do not decode: PCM, ALAC, ADPCM, AC-3 and the two above | `symphonia`, `oxideav-ac3` |
//! | `blocks` | a piece of such sound as frames of AAC-LC, on a lattice | |
//!
//! Sans-IO: bytes and values in, bytes and values out. Nothing is shared between calls, so any thread may do them.
//!
//! **What does not belong here:** where packets are in a file (`container`), when they are asked for and what is kept (`vod`),
//! lattices of live sound (`ladder`).
//!
//! **Where to start.** [`code_block`] in `blocks.rs`.
//!
//! # Example
//! ```
//! use amphi_media::{AudioFormat, AudioTrack};
//!
//! let format = AudioFormat { sample_rate: 48_000, channels: 2 };
//! let silence = amphi_sound::silence(AudioTrack { format, bitrate_bps: 128_000 })?;
//! // A frame has at most 6144 bits per channel (ISO/IEC 14496-3 §4.5.3.2).
//! assert!((1..=2 * 768).contains(&silence.len()));
//! # Ok::<(), amphi_sound::CodingError>(())
//! ```

mod blocks;
mod encoder;
mod g711;
mod mpeg;
mod packets;
mod resample;

use amphi_media::AudioTrack;

pub use blocks::{BlockJob, CodedFrames, PlacedPacket, RATES, code_block, coded_track, needed};
pub use encoder::{AacEncoder, joined, silence};
pub use g711::g711;
pub use mpeg::MpegDecoder;
pub use packets::PacketDecoder;

/// Samples are clamped to this: coded sound may overshoot full scale a little, broken sound without limit.
pub const LOUDEST: f32 = 2.0;

/// Why sound cannot be coded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// The format that is asked for cannot be encoded: whoever asks is at fault.
    #[error("sound of {target:?} cannot be encoded: {reason}")]
    Target {
        /// The format that was asked for.
        target: AudioTrack,
        /// What the encoder says is wrong.
        reason: String,
    },
    /// The encoder failed on good samples: our fault.
    #[error("the AAC encoder failed: {reason}")]
    Encode {
        /// What the encoder says is wrong.
        reason: String,
    },
}
