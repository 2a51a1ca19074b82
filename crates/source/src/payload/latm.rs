//! AAC in LATM (RFC 6416 §6): [`Latm`] reads the elements, and here they get their time.

use std::sync::Arc;

use super::{Depacketized, Sound, unhex};
use amphi_media::TrackFormat;
use amphi_protocol::rtsp::Latm;
use amphi_protocol::rtsp::client::{Media, Received};

/// The RTP clock if the description does not say it (RFC 6416 §7.3).
const CLOCK_RATE: u32 = 90_000;

#[derive(Debug)]
pub(crate) struct LatmPayload {
    latm: Latm,
    clock_rate: u32,
    format: Option<Arc<TrackFormat>>,
    lost: u32,
    /// Time stamps of the last packets and their ticks: elements may come out with the next packet.
    ticks: [(u32, i64); 2],
}

impl LatmPayload {
    /// Sound as `media` describes it, or what is wrong with the description.
    pub(crate) fn new(media: &Media) -> Result<Self, String> {
        let cpresent = media.parameter("cpresent").is_none_or(|value| value != "0");
        let said = media
            .parameter("config")
            .map(|config| config.trim_matches('"'))
            .filter(|config| !config.is_empty());
        let config = match said.map(unhex) {
            Some(None) if !cpresent => {
                return Err("AAC in LATM with a broken config: not hexadecimal".to_owned());
            }
            config => config.flatten(),
        };
        let latm = Latm::new(config.as_deref(), cpresent);
        let latm = latm.map_err(|why| format!("AAC in LATM with a broken config: {why}"))?;
        let clock_rate = if media.clock_rate == 0 { CLOCK_RATE } else { media.clock_rate };
        let mut payload = Self { latm, clock_rate, format: None, lost: 0, ticks: [(0, 0); 2] };
        payload.learn();
        Ok(payload)
    }

    pub(super) const fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    pub(super) fn format(&self) -> Option<Arc<TrackFormat>> {
        self.format.clone()
    }

    fn learn(&mut self) {
        let Some(asc) = self.latm.asc() else { return };
        let format = TrackFormat::Aac(*asc);
        if self.format.as_deref() != Some(&format) {
            self.format = Some(Arc::new(format));
        }
    }

    pub(super) fn push(&mut self, received: &Received, out: &mut Vec<Depacketized>) {
        self.lost = self.lost.saturating_add(received.lost);
        let packet = &received.packet;
        if self.ticks[1] != (packet.timestamp, received.ticks) {
            self.ticks = [self.ticks[1], (packet.timestamp, received.ticks)];
        }
        match self.latm.push(&packet.payload, packet.marker, packet.timestamp, received.lost > 0) {
            Err(why) => out.push(Depacketized::Broken { missing: false, why: why.to_string() }),
            Ok(None) => {}
            Ok(Some((timestamp, units))) => {
                self.learn();
                let Some(format) = self.format.clone() else { return };
                let TrackFormat::Aac(config) = *format else { return };
                let known = self.ticks.iter().rev().find(|(known, _)| *known == timestamp);
                let first = known.map_or(received.ticks, |(_, ticks)| *ticks);
                for (data, index) in units.iter().zip(0_i64..) {
                    let samples = index * i64::from(config.frame_samples());
                    let ticks =
                        first + samples * i64::from(self.clock_rate) / i64::from(config.sample_rate.max(1));
                    let lost = std::mem::take(&mut self.lost);
                    let (clock_rate, arrival) = (self.clock_rate, received.arrival);
                    out.push(Sound { ticks, clock_rate, arrival, lost, data }.unit(&format));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use amphi_media::MediaTime;
    use amphi_protocol::rtsp::client::{RtpPacket, SessionDescription};

    #[test]
    fn elements_get_their_time_and_faults_are_told() {
        let sdp =
            "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/48000/2\na=fmtp:97 cpresent=0;config=400023203fc0\n";
        let media = SessionDescription::parse(sdp.as_bytes()).media.remove(0);
        let mut payload = LatmPayload::new(&media).unwrap();
        assert!(
            matches!(payload.format().as_deref(), Some(TrackFormat::Aac(config)) if config.sample_rate == 48_000)
        );
        let mut out = Vec::new();
        for (ticks, bytes) in [(5_i64, &[2_u8, 1, 2][..]), (1029, &[9, 1]), (2053, &[1, 7])] {
            let packet = RtpPacket {
                payload_type: 97,
                marker: true,
                sequence: 0,
                timestamp: ticks as u32,
                ssrc: 0,
                payload: Bytes::copy_from_slice(bytes),
            };
            payload.push(&Received { packet, ticks, arrival: MediaTime::from_millis(0), lost: 0 }, &mut out);
        }
        let ticks: Vec<_> = out
            .iter()
            .map(|made| match made {
                Depacketized::Unit(unit) => (unit.rtp.ticks, unit.data.to_vec()),
                _ => (-1, Vec::new()),
            })
            .collect();
        assert_eq!(ticks, [(5, vec![1, 2]), (-1, vec![]), (2053, vec![7])]);
        for broken in ["cpresent=0", "cpresent=0;config=xyz", "cpresent=0;config=40"] {
            let media = Media { fmtp: Some(broken.to_owned()), ..media.clone() };
            assert!(LatmPayload::new(&media).is_err(), "{broken}");
        }
    }
}
