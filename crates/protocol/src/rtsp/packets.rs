//! Packets made once and sent to everybody.
//!
//! The packets of a while stand one behind the other in one allocation, in the order in which they are sent, each with
//! the frame that the RTSP connection wants (RFC 2326 §10.12), for channels 0 and 1 of the first track, 2 and 3 of the
//! second: the ones that clients ask for. So what is due at a moment is one piece of that allocation for a player over
//! TCP, and the packets without their frames are pieces of it for one over UDP or with other channels. All players of a
//! rung share SSRC and sequence numbers; `RTP-Info` tells each where it comes in.
//!
//! What does *not* belong here: pace ([`Pacer`](super::Pacer)), sockets.

use std::ops::Range;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::message::frame_head;
use super::rtp::{HEADER, Nowhere, Packetizer, Sink};
use amphi_media::{CodedCell, MediaTime, ParameterSets, RungTracks, Timescale, VIDEO_TIMESCALE, h264};

/// Bytes of the frame (RFC 2326 §10.12).
const FRAME: usize = 4;
/// The first dynamic payload type (RFC 3551 §6); a track has this and its number.
pub const PAYLOAD_TYPE: u8 = 96;

/// A packet's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it is sent.
    pub at: MediaTime,
    /// Its track's number.
    pub track: u8,
    /// Where its frame begins.
    from: u32,
    /// Bytes without the frame.
    len: u16,
}

impl Packet {
    /// Bytes of payload.
    pub const fn payload_len(&self) -> u32 {
        (self.len as u32).saturating_sub(HEADER as u32)
    }
}

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packets {
    bytes: Bytes,
    packets: Vec<Packet>,
}

impl Packets {
    /// The packets in the order in which they are sent.
    pub fn all(&self) -> &[Packet] {
        &self.packets
    }

    /// When the first one is sent.
    pub fn start(&self) -> Option<MediaTime> {
        self.packets.first().map(|packet| packet.at)
    }

    /// A packet without its frame.
    pub fn bytes_of(&self, packet: &Packet) -> Bytes {
        let from = packet.from as usize + FRAME;
        let to = from + usize::from(packet.len);
        if to <= self.bytes.len() { self.bytes.slice(from..to) } else { Bytes::new() }
    }

    /// The packets `range` with their frames.
    pub fn framed(&self, range: Range<usize>) -> Bytes {
        let place =
            |index: usize| self.packets.get(index).map_or(self.bytes.len(), |packet| packet.from as usize);
        let (from, to) = (place(range.start), place(range.end));
        if from <= to { self.bytes.slice(from..to) } else { Bytes::new() }
    }

    /// The number of a track's first packet.
    pub fn sequence_of(&self, track: u8) -> Option<u16> {
        let packet = self.packets.iter().find(|packet| packet.track == track)?;
        let bytes = self.bytes_of(packet);
        Some(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))
    }

    /// All bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// There is no packet.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

/// An access unit on its way into packets.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// Its track's number.
    pub track: u8,
    /// When it is sent.
    pub at: MediaTime,
    /// Its packets are sent over so long: a picture of many packets is no burst.
    pub spread: Duration,
    /// Its RTP time.
    pub timestamp: u32,
    /// What is in it.
    pub coded: Coded<'a>,
}

/// The bytes of an access unit.
#[derive(Clone, Copy, Debug)]
pub enum Coded<'a> {
    /// NAL units with 4-byte lengths; parameter sets go in front of them, as encoders do with IDR pictures, for whoever
    /// has lost the beginning.
    H264(Option<&'a ParameterSets>, &'a [u8]),
    /// Raw AAC.
    Aac(&'a [u8]),
}

impl Packetizer {
    /// Any access unit.
    fn unit(&mut self, timestamp: u32, coded: Coded<'_>, sink: &mut impl Sink) {
        match coded {
            Coded::H264(sets, sample) => {
                let sets = sets.into_iter().flat_map(|sets| [&sets.sps[..], &sets.pps[..]]);
                self.h264(timestamp, sets.chain(h264::sample_nals(sample)), sink);
            }
            Coded::Aac(frame) => self.aac(timestamp, frame, sink),
        }
    }
}

/// Makes [`Packets`] of access units in the order in which they are sent.
#[derive(Debug, Default)]
pub struct PacketsBuilder {
    bytes: BytesMut,
    packets: Vec<Packet>,
    track: u8,
    at: MediaTime,
}

impl Sink for PacketsBuilder {
    fn packet(&mut self, header: [u8; HEADER], payload: &[&[u8]]) {
        let len = HEADER + payload.iter().map(|part| part.len()).sum::<usize>();
        let (from, len) = (self.bytes.len() as u32, len as u16);
        self.packets.push(Packet { at: self.at, track: self.track, from, len });
        self.bytes.put_slice(&frame_head(self.track << 1, len));
        self.bytes.put_slice(&header);
        for part in payload {
            self.bytes.put_slice(part);
        }
    }
}

impl PacketsBuilder {
    /// Room for so many bytes of media.
    pub fn with_capacity(media: usize) -> Self {
        // A packet of 1400 bytes has 18 bytes of its own, one of 200 bytes of sound 20.
        Self { bytes: BytesMut::with_capacity(media + media / 8 + 4096), ..Self::default() }
    }

    /// The next access unit of the stream that `packetizer` numbers.
    pub fn unit(&mut self, packetizer: &mut Packetizer, unit: Unit<'_>) {
        let first = self.packets.len();
        // Sent in this order: nothing is due before what stands in front of it.
        self.at = unit.at.max(self.at);
        self.track = unit.track;
        packetizer.unit(unit.timestamp, unit.coded, self);
        let begun = self.at;
        let made = self.packets.get_mut(first..).unwrap_or_default();
        let count = made.len().max(1) as u32;
        for (index, packet) in made.iter_mut().enumerate() {
            packet.at = begun + unit.spread * index as u32 / count;
            self.at = packet.at;
        }
    }

    /// What was made.
    pub fn finish(self) -> Packets {
        Packets { bytes: self.bytes.freeze(), packets: self.packets }
    }
}

/// Numbers the packets of a channel's rung from cell to cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RungNumbers {
    video: Option<Packetizer>,
    audio: Packetizer,
}

impl RungNumbers {
    /// A rung that begins. `random` gives SSRCs and sequence numbers.
    pub fn new(tracks: &RungTracks, mut random: impl FnMut() -> u32) -> Self {
        let mut packetizer = |track| {
            let (ssrc, sequence) = (random(), random());
            Packetizer::new(PAYLOAD_TYPE + track, ssrc, sequence as u16)
        };
        let video = tracks.video.as_ref().map(|_| packetizer(0));
        let audio = packetizer(u8::from(video.is_some()));
        Self { video, audio }
    }

    /// The synchronization source of a track.
    pub fn ssrc(&self, track: u8) -> u32 {
        let video = self.video.as_ref().filter(|_| track == 0);
        video.unwrap_or(&self.audio).ssrc()
    }

    /// Steps over a cell as if its packets had been made.
    pub fn pass(&mut self, tracks: &RungTracks, cell: &CodedCell) {
        self.each_unit(tracks, cell, |packetizer, unit| {
            packetizer.unit(unit.timestamp, unit.coded, &mut Nowhere);
        });
    }

    /// The packets of a cell, in order of time; a picture goes before the sound of its time.
    pub fn packets(&mut self, tracks: &RungTracks, cell: &CodedCell) -> Packets {
        let pictures = tracks.video_index.and_then(|index| cell.video.get(index));
        let media = pictures.map_or(0, |track| track.data.len()) + cell.audio.data.len();
        let mut builder = PacketsBuilder::with_capacity(media);
        self.each_unit(tracks, cell, |packetizer, unit| builder.unit(packetizer, unit));
        builder.finish()
    }

    fn each_unit(
        &mut self,
        tracks: &RungTracks,
        cell: &CodedCell,
        mut take: impl FnMut(&mut Packetizer, Unit<'_>),
    ) {
        let sets = tracks.video.as_ref().map(|video| &video.parameter_sets);
        let pictures = tracks.video_index.and_then(|index| cell.video.get(index));
        let sound_track = u8::from(self.video.is_some());
        let rate = tracks.audio.timescale();
        // Two walks side by side: each is in order.
        let mut pictures = Walk::of(pictures, VIDEO_TIMESCALE);
        let mut sound = Walk::of(Some(&cell.audio), rate);
        loop {
            let picture_first = match (pictures.at(), sound.at()) {
                (Some(picture), Some(frame)) => picture <= frame,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return,
            };
            if picture_first {
                let Some((timestamp, at, entry, bytes)) = pictures.step() else { return };
                let Some(packetizer) = &mut self.video else { continue };
                let spread = MediaTime::from_ticks(i64::from(entry.duration) / 2, VIDEO_TIMESCALE);
                let spread = Duration::from_nanos(spread.as_nanos().max(0) as u64);
                let coded = Coded::H264(sets.filter(|_| entry.sync), bytes);
                take(packetizer, Unit { track: 0, at, spread, timestamp, coded });
            } else {
                let Some((timestamp, at, _, bytes)) = sound.step() else { return };
                let coded = Coded::Aac(bytes);
                let spread = Duration::ZERO;
                take(&mut self.audio, Unit { track: sound_track, at, spread, timestamp, coded });
            }
        }
    }
}

/// A walk through a track's samples. RTP time is unix time in the track's timescale, 32 bits of it.
struct Walk<'a> {
    samples: std::slice::Iter<'a, amphi_media::SampleEntry>,
    rest: &'a [u8],
    ticks: i64,
    scale: Timescale,
}

impl<'a> Walk<'a> {
    fn of(track: Option<&'a amphi_media::TrackCell>, scale: Timescale) -> Self {
        let (samples, rest, ticks) =
            track.map_or((&[][..], &[][..], 0), |track| (&*track.samples, &track.data[..], track.start));
        Self { samples: samples.iter(), rest, ticks, scale }
    }

    /// When the next sample is shown or heard.
    fn at(&self) -> Option<MediaTime> {
        (!self.samples.as_slice().is_empty()).then(|| MediaTime::from_ticks(self.ticks, self.scale))
    }

    fn step(&mut self) -> Option<(u32, MediaTime, &'a amphi_media::SampleEntry, &'a [u8])> {
        let at = self.at()?;
        let entry = self.samples.next()?;
        let (bytes, rest) = self.rest.split_at(self.rest.len().min(entry.size as usize));
        self.rest = rest;
        let timestamp = self.ticks as u32;
        self.ticks += i64::from(entry.duration);
        Some((timestamp, at, entry, bytes))
    }
}

#[cfg(test)]
mod tests;
