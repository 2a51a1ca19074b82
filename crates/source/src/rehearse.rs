//! The whole way from a hall's packets to its ladder, without sockets or waiting: for tests and fuzzing.

use std::time::Duration;

use bytes::Bytes;

use super::intake::Intake;
use super::payload::Depacketized;
use super::timeline::RtpInstant;
use super::tracks;
use amphi_media::{MediaTime, Track};
use amphi_protocol::rtsp::client::{Arrived, Receiver, SessionDescription};

/// One packet of a hall.
#[derive(Clone, Debug)]
pub struct Hailed {
    /// Whether it is of the sound, not of the picture.
    pub audio: bool,
    /// Whether it is RTCP, not RTP.
    pub rtcp: bool,
    /// The bytes of the packet.
    pub data: Bytes,
}

/// How many frames come of `packets` of a source with this description, a millisecond apart, over UDP or not; 0 where the
/// description has no picture.
pub fn rehearse(sdp: &[u8], udp: bool, packets: impl IntoIterator<Item = Hailed>) -> usize {
    let description = SessionDescription::parse(sdp);
    let Ok(mut choice) = tracks::choose(&description) else { return 0 };
    let payload_type = |index: usize| description.media.get(index).and_then(|media| media.payload_type);
    let audio = choice.audio.as_ref().map(|(index, audio)| (payload_type(*index), audio.clock_rate()));
    let mut receivers = [
        Receiver::new(payload_type(choice.video.0), 90_000, udp),
        Receiver::new(audio.and_then(|(pt, _)| pt), audio.map_or(90_000, |(_, rate)| rate), udp),
    ];
    let (mut intake, mut frames, mut made) = (Intake::new(15), 0, Vec::new());
    for (packet, ms) in packets.into_iter().zip(0_u32..) {
        let now = Duration::from_millis(u64::from(ms));
        let arrival = MediaTime::from_millis(1_795_000_000_000 + i64::from(ms));
        let [video, sound] = &mut receivers;
        let (receiver, track) = if packet.audio { (sound, Track::Audio) } else { (video, Track::Video) };
        if packet.rtcp {
            receiver.control(&packet.data, now);
        } else {
            receiver.packet(&packet.data, now, arrival);
        }
        receiver.tick(now);
        let _ = receiver.block(now);
        while let Some(arrived) = receiver.poll() {
            match (arrived, track) {
                (Arrived::Packet(received), Track::Video) => choice.video.1.push(&received, &mut made),
                (Arrived::Packet(received), Track::Audio) => {
                    if let Some((_, audio)) = &mut choice.audio {
                        audio.push(&received, &mut made);
                    }
                }
                (Arrived::Report { ticks, ntp }, track) => {
                    let clock_rate = audio.filter(|_| track == Track::Audio).map_or(90_000, |(_, rate)| rate);
                    intake.sender_report(track, RtpInstant { ticks, clock_rate }, ntp);
                }
                (Arrived::Broken(_), _) => {}
            }
        }
        for made in made.drain(..) {
            match made {
                Depacketized::Unit(unit) => intake.push(unit, |_| frames += 1),
                Depacketized::Broken { missing: true, .. } => intake.broken(),
                Depacketized::Broken { .. } | Depacketized::Nothing => {}
            }
        }
    }
    frames
}
