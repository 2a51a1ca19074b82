//! Decodes the packets of a file's sound to PCM in one or two channels. Knows nothing of time.
//!
//! More than two channels are mixed to two: centre and surround at -3 dB, no LFE (ITU-R BS.775-3 annex 4), scaled so that
//! nothing clips.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oxideav_core::{CodecId, CodecParameters, Decoder, Frame, Packet, TimeBase};
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_ADPCM_IMA_QT, CODEC_ID_ALAC};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::{AdpcmDecoder, AlacDecoder};

use super::{LOUDEST, MpegDecoder, g711};
use amphi_media::{AudioFormat, G711Law, PacketCoding, PacketSound, PcmLayout};

/// Most samples per channel in one packet: a second at 192 kHz.
const SAMPLES_MAX: usize = 192_000;
/// Samples of a channel in a packet of QuickTime's IMA ADPCM, and its bytes.
const IMA: (usize, usize) = (64, 34);

/// A decoder of one track.
pub struct PacketDecoder {
    inner: PacketCodec,
    format: AudioFormat,
    /// Samples of all channels, as the packet has them.
    raw: Vec<f32>,
}

enum PacketCodec {
    Pcm(PcmLayout),
    G711(G711Law),
    Mpeg(MpegDecoder),
    Block(Box<dyn AudioDecoder>),
    Dolby(Box<dyn Decoder>),
}

impl PacketDecoder {
    /// A decoder for `sound`, or the reason why there is none.
    pub fn new(sound: &PacketSound) -> Result<Self, String> {
        let options = AudioDecoderOptions::default();
        let boxed = |error: symphonia::core::errors::Error| error.to_string();
        let inner = match &sound.coding {
            PacketCoding::Pcm(layout) => PacketCodec::Pcm(*layout),
            PacketCoding::G711(law) => PacketCodec::G711(*law),
            PacketCoding::Mpeg => PacketCodec::Mpeg(MpegDecoder::any_layer()),
            PacketCoding::Alac(config) => {
                let mut parameters = AudioCodecParameters::new();
                parameters.for_codec(CODEC_ID_ALAC).with_extra_data(config.to_vec().into_boxed_slice());
                PacketCodec::Block(Box::new(AlacDecoder::try_new(&parameters, &options).map_err(boxed)?))
            }
            PacketCoding::ImaAdpcm => {
                let mut parameters = AudioCodecParameters::new();
                parameters
                    .for_codec(CODEC_ID_ADPCM_IMA_QT)
                    .with_sample_rate(sound.sample_rate.max(1))
                    .with_channels(Channels::Discrete(sound.channels.into()))
                    .with_max_frames_per_packet(SAMPLES_MAX as u64)
                    .with_frames_per_block(IMA.0 as u64);
                PacketCodec::Block(Box::new(AdpcmDecoder::try_new(&parameters, &options).map_err(boxed)?))
            }
            PacketCoding::Ac3 | PacketCoding::Eac3 => PacketCodec::Dolby(dolby(sound)?),
        };
        let (sample_rate, channels) = (sound.sample_rate, sound.channels);
        Ok(Self { inner, format: AudioFormat { sample_rate, channels }, raw: Vec::new() })
    }

    /// Decodes one packet and appends its samples to `out`, interleaved, in `channels` channels (1 or 2). Returns how many per
    /// second they are; 0 if neither the packet nor the file says.
    pub fn decode(&mut self, packet: &[u8], channels: u8, out: &mut Vec<f32>) -> Result<u32, String> {
        self.raw.clear();
        let format = match &mut self.inner {
            PacketCodec::Pcm(layout) => {
                pcm(*layout, packet, &mut self.raw);
                self.format
            }
            PacketCodec::G711(law) => {
                self.raw.extend(packet.iter().map(|&byte| f32::from(g711(*law, byte)) / 32_768.0));
                self.format
            }
            PacketCodec::Mpeg(inner) => inner.decode(packet, &mut self.raw)?,
            PacketCodec::Block(inner) => {
                let lasts = packet.len() / (IMA.1 * usize::from(self.format.channels.max(1))) * IMA.0;
                let lasts = Duration::from(lasts.min(SAMPLES_MAX) as u64);
                let packet = PacketRef::new(0, Timestamp::ZERO, lasts, packet);
                let decoded = inner.decode_ref(&packet).map_err(|error| error.to_string())?;
                let count = decoded.spec().channels().count();
                decoded.copy_to_vec_interleaved(&mut self.raw);
                AudioFormat { channels: u8::try_from(count).unwrap_or(0), ..self.format }
            }
            PacketCodec::Dolby(inner) => {
                let rate = self.format.sample_rate;
                // A packet of silence is better than no segment.
                let decoded =
                    catch_unwind(AssertUnwindSafe(|| dolby_packet(inner.as_mut(), packet, &mut self.raw)));
                let channels = decoded.map_err(|_| "its decoder panicked".to_owned())??;
                AudioFormat { sample_rate: rate, channels }
            }
        };
        if self.raw.len() > SAMPLES_MAX * usize::from(format.channels.max(1)) {
            return Err("it lasts longer than a second".to_owned());
        }
        mix(&self.raw, format.channels, channels, out);
        Ok(format.sample_rate)
    }
}

fn dolby(sound: &PacketSound) -> Result<Box<dyn Decoder>, String> {
    let is_plain = sound.coding == PacketCoding::Ac3;
    let mut parameters = CodecParameters::audio(CodecId::new(if is_plain { "ac3" } else { "eac3" }));
    // Its own mix follows the levels in the stream.
    parameters.channels = (sound.channels > 2).then_some(2);
    let made = if is_plain {
        oxideav_ac3::decoder::make_decoder(&parameters)
    } else {
        oxideav_ac3::decoder::make_eac3_decoder(&parameters)
    };
    made.map_err(|error| error.to_string())
}

/// Decodes a packet of AC-3 or E-AC-3 to `out`; returns the number of channels.
fn dolby_packet(inner: &mut dyn Decoder, packet: &[u8], out: &mut Vec<f32>) -> Result<u8, String> {
    let packet = Packet::new(0, TimeBase::new(1, 48_000), packet.to_vec());
    inner.send_packet(&packet).map_err(|error| error.to_string())?;
    let mut channels = 0;
    while let Ok(Frame::Audio(frame)) = inner.receive_frame() {
        let (samples, _) = frame.data.first().map(|bytes| bytes.as_chunks::<2>()).unwrap_or_default();
        out.extend(samples.iter().map(|&sample| f32::from(i16::from_le_bytes(sample)) / 32_768.0));
        channels = samples.len().checked_div(frame.samples as usize).unwrap_or(0);
    }
    u8::try_from(channels).ok().filter(|&count| count > 0).ok_or_else(|| "it has no samples".to_owned())
}

/// Samples of PCM as numbers of which full scale is 1.
fn pcm(layout: PcmLayout, packet: &[u8], out: &mut Vec<f32>) {
    let width = usize::from(layout.bytes.clamp(1, 8));
    out.extend(packet.chunks_exact(width).map(|sample| {
        // The highest byte first.
        let mut word = [0_u8; 8];
        for (place, at) in word.iter_mut().zip(0..width) {
            let at = if layout.is_big_endian { at } else { width - 1 - at };
            *place = sample.get(at).copied().unwrap_or(0);
        }
        let value = u64::from_be_bytes(word);
        let number = match (layout.is_float, width) {
            (true, 8) => f64::from_bits(value) as f32,
            (true, _) => f32::from_bits((value >> 32) as u32),
            (false, _) if layout.is_unsigned => (value ^ 1 << 63) as i64 as f32 / i64::MAX as f32,
            (false, _) => value as i64 as f32 / i64::MAX as f32,
        };
        if number.is_finite() { number.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
    }));
}

/// Appends `raw` of `from` channels to `out` in `to` channels, 1 or 2. The order of channels is that of WAVE files: left,
/// right, centre, LFE, then surround.
fn mix(raw: &[f32], from: u8, to: u8, out: &mut Vec<f32>) {
    const HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    let count = usize::from(from.max(1));
    let samples = raw.chunks_exact(count);
    if from == to {
        out.extend_from_slice(raw);
        return;
    }
    let (centre, surround) = match from {
        3 => (Some(2), None),
        4 => (None, Some(2)),
        5 => (Some(2), Some(3)),
        6.. => (Some(2), Some(4)),
        _ => (None, None),
    };
    let whole = 1.0 + [centre, surround].iter().flatten().count() as f32 * HALF;
    for sample in samples {
        let at = |place: usize| sample.get(place).copied().unwrap_or(0.0);
        let middle = centre.map_or(0.0, |place| at(place) * HALF);
        let behind = |side: usize| surround.map_or(0.0, |place| at(place + side) * HALF);
        let (left, right) = match from {
            1 => (at(0), at(0)),
            _ => ((at(0) + middle + behind(0)) / whole, (at(1) + middle + behind(1)) / whole),
        };
        match to {
            1 => out.push(f32::midpoint(left, right)),
            _ => out.extend([left, right]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coding: PacketCoding, channels: u8, packet: &[u8], to: u8) -> Vec<f32> {
        let mut decoder =
            PacketDecoder::new(&PacketSound { coding, sample_rate: 48_000, channels }).expect("a decoder");
        let mut out = Vec::new();
        assert_eq!(decoder.decode(packet, to, &mut out), Ok(48_000));
        out
    }

    #[test]
    fn samples_of_every_layout_are_read() {
        let layout = |bytes, is_float, is_big_endian, is_unsigned| {
            PacketCoding::Pcm(PcmLayout { bytes, is_float, is_big_endian, is_unsigned })
        };
        for (coding, packet) in [
            (layout(1, false, true, true), vec![0xc0, 0x40]),
            (layout(1, false, true, false), vec![0x40, 0xc0]),
            (layout(2, false, false, false), vec![0, 0x40, 0, 0xc0]),
            (layout(2, false, true, false), vec![0x40, 0, 0xc0, 0]),
            (layout(3, false, true, false), vec![0x40, 0, 0, 0xc0, 0, 0]),
            (layout(4, false, false, false), vec![0, 0, 0, 0x40, 0, 0, 0, 0xc0]),
            (layout(4, true, true, false), [0.5_f32.to_be_bytes(), (-0.5_f32).to_be_bytes()].concat()),
            (layout(8, true, false, false), [0.5_f64.to_le_bytes(), (-0.5_f64).to_le_bytes()].concat()),
        ] {
            let heard = decoded(coding.clone(), 2, &packet, 2);
            assert!((heard[0] - 0.5).abs() < 1e-6 && (heard[1] + 0.5).abs() < 1e-6, "{coding:?}: {heard:?}");
            assert!(decoded(coding, 1, &packet, 2).len() == 4, "mono in two channels");
        }
        let broken = [f32::NAN.to_be_bytes(), f32::INFINITY.to_be_bytes()].concat();
        assert_eq!(decoded(layout(4, true, true, false), 2, &broken, 2), [0.0, 0.0]);
    }

    #[test]
    fn six_channels_become_two_without_clipping() {
        let bytes: Vec<u8> =
            [1.0_f32, 1.0, 1.0, 1.0, 1.0, 1.0].iter().flat_map(|it| it.to_le_bytes()).collect();
        let layout = PcmLayout { bytes: 4, is_float: true, is_big_endian: false, is_unsigned: false };
        let heard = decoded(PacketCoding::Pcm(layout), 6, &bytes, 2);
        assert!(heard.iter().all(|sample| (sample - 1.0).abs() < 1e-6), "{heard:?}");
    }

    #[test]
    fn no_bytes_make_a_decoder_panic() {
        let mut random = fastrand::Rng::with_seed(5);
        let alac = [0, 0, 16, 0, 0, 16, 40, 10, 14, 2, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbb, 0x80];
        for coding in [PacketCoding::Alac(alac.to_vec().into()), PacketCoding::ImaAdpcm, PacketCoding::Mpeg] {
            let sound = PacketSound { coding, sample_rate: 48_000, channels: 2 };
            let mut decoder = PacketDecoder::new(&sound).expect("a decoder");
            for _ in 0..300 {
                let packet: Vec<u8> = (0..random.usize(0..600)).map(|_| random.u8(..)).collect();
                let mut out = Vec::new();
                let _ = decoder.decode(&packet, 2, &mut out);
                assert!(out.len() <= 2 * SAMPLES_MAX);
            }
        }
    }
}
