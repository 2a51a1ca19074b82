//! One track that is sent to a peer: what is sent when and over which carrier, and what faults do to it.

use bytes::{Bytes, BytesMut};

use super::Spares;
use super::fault::SimulatedFault;
use super::playout::Playout;
use amphi_container::clip::ClipTrack;
use amphi_media::{MediaTime, TrackFormat, h264};
use amphi_protocol::rtsp::{Packetizer, Start, interleaved};
use amphi_runtime::udp::RtpPair;

/// Nanoseconds between two sender reports.
const REPORT_EVERY: i64 = 2_000_000_000;
/// With [`SimulatedFault::Wrap`], seconds from PLAY to the end of 32 bits.
const WRAP_AFTER: i64 = 5;
/// With [`SimulatedFault::Garbage`], one in so many access units is of random bytes.
const GARBAGE_EVERY: u32 = 20;
/// With [`SimulatedFault::Reorder`], one in so many packets is overtaken by the next.
const REORDER_EVERY: u32 = 10;

/// Where a stream's packets go.
pub(super) enum Carrier {
    /// Channels of the RTSP connection for RTP and RTCP (RFC 2326 §10.12).
    Interleaved(u8, u8),
    /// Sockets, connected to the peer's ports.
    Udp(RtpPair),
}

/// A stream that was set up by SETUP.
pub(super) struct SimulatedStream {
    /// The track's index in the session's description.
    number: usize,
    track: ClipTrack,
    carrier: Carrier,
    packetizer: Packetizer,
    playout: Option<Playout>,
    report_at: MediaTime,
    fault: Option<SimulatedFault>,
    /// Access units and packets so far, for faults that come again and again.
    units: u32,
    packets: u32,
    /// A packet that is sent after the next one.
    overtaken: Option<Bytes>,
}

impl SimulatedStream {
    pub(super) fn new(
        number: usize,
        track: ClipTrack,
        carrier: Carrier,
        packetizer: Packetizer,
        fault: Option<SimulatedFault>,
    ) -> Self {
        Self {
            number,
            track,
            carrier,
            packetizer,
            playout: None,
            report_at: MediaTime::default(),
            fault,
            units: 0,
            packets: 0,
            overtaken: None,
        }
    }

    fn is_video(&self) -> bool {
        matches!(*self.track.format, TrackFormat::H264(_))
    }

    /// The track's index in the session's description.
    pub(super) const fn number(&self) -> usize {
        self.number
    }

    /// Begins to play; says with which sequence number and time stamp.
    pub(super) fn start(&mut self, now: MediaTime) -> Start {
        let (track, fault) = (&self.track, self.fault);
        let playout = self.playout.get_or_insert_with(|| {
            let mut playout = Playout::new(track, now, fastrand::u32(..));
            if fault == Some(SimulatedFault::Wrap) {
                playout.set_timestamp(now.offset_nanos(WRAP_AFTER * 1_000_000_000), 0);
            }
            playout
        });
        let sequence = Some(self.packetizer.next_sequence());
        Start { track: self.number, sequence, timestamp: playout.timestamp_at(now) }
    }

    pub(super) fn pause(&mut self) {
        self.playout = None;
    }

    /// The device has begun or ceased to fail.
    pub(super) fn refit(&mut self, fault: Option<SimulatedFault>, spares: &Spares, now: MediaTime) {
        let is_video = self.is_video();
        let was = std::mem::replace(&mut self.fault, fault);
        let Some(playout) = &mut self.playout else { return };
        let origin = playout.origin();
        let track = match fault {
            Some(SimulatedFault::Black) if is_video => spares.black.video.as_ref(),
            Some(SimulatedFault::Silent) if !is_video => spares.black.audio.as_ref(),
            Some(SimulatedFault::Resize) if is_video => spares.small.video.as_ref(),
            _ => None,
        };
        // What was not sent during the fault is not sent later.
        let fresh = track.is_some() || was.is_some();
        if fresh {
            *playout = Playout::new(track.unwrap_or(&self.track), now, origin);
        }
        match fault {
            Some(SimulatedFault::Jump(seconds)) => playout.shift(i64::from(seconds)),
            Some(SimulatedFault::VideoReset) if is_video => playout.set_timestamp(now, 0),
            Some(SimulatedFault::Still) if is_video => playout.stand_still(),
            _ => {}
        }
    }

    fn is_mute(&self) -> bool {
        match self.fault {
            Some(SimulatedFault::NoVideo) => self.is_video(),
            Some(SimulatedFault::NoAudio) => !self.is_video(),
            _ => false,
        }
    }

    pub(super) fn due_at(&self) -> Option<MediaTime> {
        self.playout.as_ref().map(Playout::due_at)
    }

    /// Sends everything that is due by `now`.
    pub(super) async fn play(&mut self, now: MediaTime, cname: &str, out: &mut BytesMut) {
        let is_mute = self.is_mute();
        let mut packets = Vec::new();
        while let Some(due) = self.playout.as_mut().filter(|it| it.due_at() <= now).and_then(Playout::take) {
            if is_mute {
                continue;
            }
            self.units = self.units.wrapping_add(1);
            match &*due.format {
                TrackFormat::H264(_)
                    if self.fault == Some(SimulatedFault::Garbage)
                        && self.units.is_multiple_of(GARBAGE_EVERY) =>
                {
                    self.packetizer.h264(due.timestamp, h264::sample_nals(&garbage()), &mut packets);
                }
                TrackFormat::H264(sets) => {
                    let is_idr = h264::sample_nals(&due.data).any(|nal| h264::nal_type(nal) == h264::NAL_IDR);
                    // Encoders repeat SPS and PPS before each IDR picture; ours does so too.
                    let sets = [&sets.sps[..], &sets.pps[..]].into_iter().filter(|_| is_idr);
                    let nals = sets.chain(h264::sample_nals(&due.data));
                    self.packetizer.h264(due.timestamp, nals, &mut packets);
                }
                TrackFormat::Aac(_) => self.packetizer.aac(due.timestamp, &due.data, &mut packets),
                // Clips have none.
                TrackFormat::Mp3 { .. } | TrackFormat::G711 { .. } => {}
            }
            for packet in packets.drain(..) {
                self.send(packet, out).await;
            }
        }
        if let Some(playout) = self.playout.as_ref().filter(|_| now >= self.report_at && !is_mute) {
            self.report_at = now.offset_nanos(REPORT_EVERY);
            let report = self.packetizer.report(now, playout.timestamp_at(now)).packet(cname);
            match &self.carrier {
                Carrier::Interleaved(_, channel) => interleaved(*channel, &report, out),
                Carrier::Udp(pair) => drop(pair.control.send(&report).await),
            }
        }
    }

    async fn send(&mut self, packet: Bytes, out: &mut BytesMut) {
        self.packets = self.packets.wrapping_add(1);
        match &self.carrier {
            Carrier::Interleaved(channel, _) => interleaved(*channel, &packet, out),
            Carrier::Udp(RtpPair { data, .. }) => {
                match self.fault {
                    Some(SimulatedFault::Loss(percent)) if fastrand::f64() * 100.0 < percent => return,
                    Some(SimulatedFault::Reorder) if self.packets.is_multiple_of(REORDER_EVERY) => {
                        self.overtaken = Some(packet);
                        return;
                    }
                    _ => {}
                }
                // A packet that the network refuses is a lost packet.
                drop(data.send(&packet).await);
                if let Some(late) = self.overtaken.take() {
                    drop(data.send(&late).await);
                }
            }
        }
    }
}

/// An access unit of NAL units with plausible types and random contents.
fn garbage() -> Bytes {
    const TYPES: [u8; 6] = [0x41, 0x65, 0x06, 0x01, 0x61, 0x0c];
    let mut unit = BytesMut::new();
    for _ in 0..fastrand::usize(1..4) {
        let mut nal = vec![TYPES[fastrand::usize(..TYPES.len())]];
        nal.extend(std::iter::repeat_with(|| fastrand::u8(..)).take(fastrand::usize(1..300)));
        h264::push_sample_nal(&mut unit, &nal);
    }
    unit.freeze()
}
