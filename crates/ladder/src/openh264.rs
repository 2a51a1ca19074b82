//! OpenH264 (Cisco, C++, built from source by `openh264-sys2`) behind two safe types: [`Encoder`] and
//! [`Decoder`].
//!
//! Why not the safe `openh264` crate: it cannot turn CABAC on, cannot give key frames their bits
//! (`iIdrBitrateRatio`; 3 to 6 dB on slides), and its decoder loses both B pictures and timestamps.
//!
//! All `unsafe` of this crate stands in this directory. What does *not* belong here: when a picture is an
//! IDR picture, what happens after an error, scaling, threads. Both types belong to one thread at a time.

mod decoder;
mod encoder;
mod level;
mod rate;
mod view;

pub use decoder::{DecodeError, Decoder};
pub use encoder::{CodecError, Encoded, Encoder, EncoderSettings};
pub use view::PictureView;

/// Whether OpenH264 was built with its assembler. Without it decoding costs 1.2-1.5 times and encoding
/// 2.1-2.5 times the CPU.
pub const ASSEMBLER: bool = !cfg!(amphi_without_nasm);

#[cfg(test)]
mod tests;
