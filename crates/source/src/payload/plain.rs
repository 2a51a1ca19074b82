//! Sound with simple packets: G.711 (RFC 3551 §4.5.14), whose packets are samples, and MP3 (RFC 2250 §3.5, RFC 3551
//! §4.5.13), whose packets hold frames after a header of four bytes.

use std::sync::Arc;

use super::{Depacketized, FramesInParts, Sound};
use amphi_media::{G711Law, Mp3Header, TrackFormat};
use amphi_protocol::rtsp::client::{Media, Received};

/// The RTP clock of MPEG audio (RFC 3551 §4.5.13), whatever a description says.
const MPEG_CLOCK_RATE: u32 = 90_000;
/// More bytes than any frame has: 320 kbit/s at 32 kHz are 1440.
const LONGEST_FRAME: usize = 2048;
const MOST_CHANNELS: u8 = 8;

#[derive(Debug)]
pub(crate) struct G711Payload {
    format: Arc<TrackFormat>,
    clock_rate: u32,
    channels: usize,
    lost: u32,
}

impl G711Payload {
    /// Sound as `media` describes it, or what is wrong with the description.
    pub(crate) fn new(media: &Media, law: G711Law) -> Result<Self, String> {
        let sample_rate = if media.clock_rate == 0 { 8000 } else { media.clock_rate };
        let channels = media.channels.unwrap_or(1).max(1);
        if channels > MOST_CHANNELS {
            return Err(format!("G.711 of {channels} channels"));
        }
        let format = Arc::new(TrackFormat::G711 { law, sample_rate, channels });
        Ok(Self { format, clock_rate: sample_rate, channels: usize::from(channels), lost: 0 })
    }

    pub(super) const fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    pub(super) fn format(&self) -> Arc<TrackFormat> {
        Arc::clone(&self.format)
    }

    pub(super) fn push(&mut self, received: &Received, out: &mut Vec<Depacketized>) {
        self.lost = self.lost.saturating_add(received.lost);
        let payload = &received.packet.payload;
        // Only whole samples of all channels.
        let data = payload.get(..payload.len() - payload.len() % self.channels).unwrap_or_default();
        if data.is_empty() {
            return out
                .push(Depacketized::Broken { missing: false, why: "a G.711 packet is empty".to_owned() });
        }
        let lost = std::mem::take(&mut self.lost);
        let (ticks, clock_rate, arrival) = (received.ticks, self.clock_rate, received.arrival);
        out.push(Sound { ticks, clock_rate, arrival, lost, data }.unit(&self.format));
    }
}

#[derive(Debug, Default)]
pub(crate) struct MpaPayload {
    format: Option<Arc<TrackFormat>>,
    lost: u32,
    /// A frame of which only parts have come: its ticks, and its bytes so far.
    parts: Option<(i64, Vec<u8>)>,
}

impl MpaPayload {
    pub(super) const fn clock_rate() -> u32 {
        MPEG_CLOCK_RATE
    }

    pub(super) fn format(&self) -> Option<Arc<TrackFormat>> {
        self.format.clone()
    }

    /// The frames of `data`; the last one may go on in the next packet.
    fn frames(
        &mut self,
        received: &Received,
        ticks: i64,
        data: &[u8],
        out: &mut Vec<Depacketized>,
    ) -> Result<(), &'static str> {
        let (mut rest, mut ticks) = (data, ticks);
        while !rest.is_empty() {
            let frame = Mp3Header::read(rest).ok_or("an MPEG audio packet holds no frame of layer III")?;
            let Some((data, after)) = rest.split_at_checked(frame.size) else {
                if rest.len() > LONGEST_FRAME {
                    return Err("an MP3 frame is too long");
                }
                self.parts = Some((ticks, rest.to_vec()));
                return Ok(());
            };
            let format = TrackFormat::Mp3 { sample_rate: frame.sample_rate, channels: frame.channels };
            let known = self.format.take_if(|known| **known == format).unwrap_or_else(|| Arc::new(format));
            let (lost, arrival) = (std::mem::take(&mut self.lost), received.arrival);
            out.push(Sound { ticks, clock_rate: MPEG_CLOCK_RATE, arrival, lost, data }.unit(&known));
            self.format = Some(known);
            ticks += i64::from(frame.samples) * i64::from(MPEG_CLOCK_RATE) / i64::from(frame.sample_rate);
            rest = after;
        }
        Ok(())
    }
}

impl FramesInParts for MpaPayload {
    fn lost(&mut self) -> &mut u32 {
        &mut self.lost
    }

    fn forget_parts(&mut self) {
        self.parts = None;
    }

    fn read(&mut self, received: &Received, out: &mut Vec<Depacketized>) -> Result<(), &'static str> {
        let payload = &received.packet.payload[..];
        let (&[_, _, high, low], data) =
            payload.split_first_chunk::<4>().ok_or("an MPEG audio packet is shorter than its header")?;
        let offset = usize::from(u16::from_be_bytes([high, low]));
        if offset > 0 {
            let whole =
                self.parts.take_if(|(ticks, parts)| *ticks == received.ticks && parts.len() == offset);
            let (ticks, mut parts) = whole.ok_or("a part of an MP3 frame has no beginning")?;
            parts.extend_from_slice(data);
            return self.frames(received, ticks, &parts, out);
        }
        self.parts = None;
        self.frames(received, received.ticks, data, out)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use amphi_media::MediaTime;
    use amphi_protocol::rtsp::client::RtpPacket;

    fn packet(ticks: i64, payload: &[u8]) -> Received {
        let packet = RtpPacket {
            payload_type: 14,
            marker: false,
            sequence: 0,
            timestamp: ticks as u32,
            ssrc: 0,
            payload: Bytes::copy_from_slice(payload),
        };
        Received { packet, ticks, arrival: MediaTime::from_millis(0), lost: 0 }
    }

    fn lens(out: &[Depacketized]) -> Vec<(i64, usize)> {
        let units = out.iter().filter_map(|made| match made {
            Depacketized::Unit(unit) => Some((unit.rtp.ticks, unit.data.len())),
            _ => None,
        });
        units.collect()
    }

    /// A frame of 128 kbit/s at 48 kHz, stereo: 384 bytes.
    fn frame() -> Vec<u8> {
        let mut frame = vec![0; 384];
        frame[..4].copy_from_slice(&[0xff, 0xfb, 0x94, 0x00]);
        frame
    }

    #[test]
    fn mp3_frames_come_one_by_one() {
        let (mut mpa, mut out) = (MpaPayload::default(), Vec::new());
        mpa.push(&packet(0, &[vec![0; 4], frame(), frame()].concat()), &mut out);
        mpa.push(&packet(4320, &[&[0; 4], &frame()[..100]].concat()), &mut out);
        mpa.push(&packet(4320, &[&[0, 0, 0, 100], &frame()[100..]].concat()), &mut out);
        assert_eq!(lens(&out), [(0, 384), (2160, 384), (4320, 384)]);
        assert_eq!(mpa.format().as_deref(), Some(&TrackFormat::Mp3 { sample_rate: 48_000, channels: 2 }));
        for bad in [&[][..], &[0; 3], &[0, 0, 0, 9, 1], &[0, 0, 0, 0, 0xff, 0xfd, 0x94, 0]] {
            out.clear();
            mpa.push(&packet(9, bad), &mut out);
            assert!(matches!(out[..], [Depacketized::Broken { missing: false, .. }]), "{bad:?}");
        }
    }

    #[test]
    fn g711_is_samples() {
        let media = Media { channels: Some(2), ..Media::default() };
        let (mut g711, mut out) = (G711Payload::new(&media, G711Law::A).unwrap(), Vec::new());
        g711.push(&packet(0, &[1, 2, 3]), &mut out);
        g711.push(&packet(1, &[1]), &mut out);
        assert_eq!((lens(&out), out.len()), (vec![(0, 2)], 2));
    }

    proptest! {
        #[test]
        fn no_packets_make_it_panic(
            packets in prop::collection::vec((0..3_i64, any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..30),
        ) {
            let (mut mpa, mut out) = (MpaPayload::default(), Vec::new());
            for (ticks, begins, mut bytes) in packets {
                if begins { bytes.splice(0..0, [0, 0, 0, 0, 0xff, 0xf3, 0x14, 0]); }
                mpa.push(&packet(ticks, &bytes), &mut out);
            }
        }
    }
}
