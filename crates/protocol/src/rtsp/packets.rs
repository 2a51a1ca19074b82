//! Packets that are written once and sent to all players.
//!
//! The packets of a row stand one after the other in one allocation, in the order in which they are sent. Each has
//! the frame that interleaving needs (RFC 2326 §10.12), for channels 0 and 1 of the first track and 2 and 3 of the
//! second, which are the channels that clients ask for. So for a player over TCP, the packets that are due are one slice of
//! the allocation; for one over UDP or with other channels, each packet without its frame is a slice. All players of a
//! rung share SSRC and sequence numbers; `RTP-Info` tells each where it starts.
//!
//! What does *not* belong here: pace ([`Pacer`](super::Pacer)), sockets.

use std::ops::Range;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::message::frame_head;
use super::rtp::{HEADER, Nowhere, Packetizer, Sink};
use amphi_media::{CodedCell, MediaTime, ParameterSets, RungTracks, Timescale, VIDEO_TIMESCALE, h264};

/// Bytes of the frame before an interleaved packet (RFC 2326 §10.12).
const FRAME: usize = 4;
/// The first dynamic payload type (RFC 3551 §6). A track's payload type is this plus its number.
pub const PAYLOAD_TYPE: u8 = 96;

/// Position and time of a packet in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it is sent, in media time.
    pub at: MediaTime,
    /// Number of its track, from 0.
    pub track: u8,
    /// Position of its frame in the allocation.
    from: u32,
    /// Its size in bytes, without the frame.
    len: u16,
}

impl Packet {
    /// Size of its payload in bytes.
    pub const fn payload_len(&self) -> u32 {
        (self.len as u32).saturating_sub(HEADER as u32)
    }
}

/// A row of packets in one allocation; see the module's text.
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

    /// When the first one is sent; `None` if there are none.
    pub fn start(&self) -> Option<MediaTime> {
        self.packets.first().map(|packet| packet.at)
    }

    /// The bytes of a packet without its frame, shared.
    pub fn bytes_of(&self, packet: &Packet) -> Bytes {
        let from = packet.from as usize + FRAME;
        let to = from + usize::from(packet.len);
        if to <= self.bytes.len() { self.bytes.slice(from..to) } else { Bytes::new() }
    }

    /// The bytes of the packets in `range` with their frames, shared.
    pub fn framed(&self, range: Range<usize>) -> Bytes {
        let place =
            |index: usize| self.packets.get(index).map_or(self.bytes.len(), |packet| packet.from as usize);
        let (from, to) = (place(range.start), place(range.end));
        if from <= to { self.bytes.slice(from..to) } else { Bytes::new() }
    }

    /// Sequence number of a track's first packet; `None` if the track has none.
    pub fn sequence_of(&self, track: u8) -> Option<u16> {
        let packet = self.packets.iter().find(|packet| packet.track == track)?;
        let bytes = self.bytes_of(packet);
        Some(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))
    }

    /// Size of all packets with their frames, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no packets.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

/// An access unit to be packetized.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// Number of its track, from 0.
    pub track: u8,
    /// When its first packet is sent, in media time.
    pub at: MediaTime,
    /// Its packets are sent over this time, so that a large picture is not a burst.
    pub spread: Duration,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// Its coded bytes.
    pub coded: Coded<'a>,
}

/// The bytes of an access unit.
#[derive(Clone, Copy, Debug)]
pub enum Coded<'a> {
    /// NAL units with 4-byte lengths. Parameter sets, if given, are sent before them, as encoders do with IDR pictures, for
    /// players that have missed the beginning.
    H264(Option<&'a ParameterSets>, &'a [u8]),
    /// A raw AAC access unit, without ADTS header.
    Aac(&'a [u8]),
}

impl Packetizer {
    /// Packetizes an access unit of either kind.
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

/// Builds [`Packets`] from access units, which come in the order in which they are sent.
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
    /// A builder with room for about so many bytes of media.
    pub fn with_capacity(media: usize) -> Self {
        // Header and frame: 18 bytes for a packet of 1400 bytes of a picture, 20 for one of 200 bytes of sound.
        Self { bytes: BytesMut::with_capacity(media + media / 8 + 4096), ..Self::default() }
    }

    /// Appends the packets of the next access unit, numbered by `packetizer`.
    pub fn unit(&mut self, packetizer: &mut Packetizer, unit: Unit<'_>) {
        let first = self.packets.len();
        // Packets are sent in this order, so none is due before an earlier one.
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

    /// The packets in one allocation.
    pub fn finish(self) -> Packets {
        Packets { bytes: self.bytes.freeze(), packets: self.packets }
    }
}

/// Numbers the packets of a channel's rung, from cell to cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RungNumbers {
    video: Option<Packetizer>,
    audio: Packetizer,
}

impl RungNumbers {
    /// Starts the numbering of a rung. `random` supplies SSRCs and first sequence numbers.
    pub fn new(tracks: &RungTracks, mut random: impl FnMut() -> u32) -> Self {
        let mut packetizer = |track| {
            let (ssrc, sequence) = (random(), random());
            Packetizer::new(PAYLOAD_TYPE + track, ssrc, sequence as u16)
        };
        let video = tracks.video.as_ref().map(|_| packetizer(0));
        let audio = packetizer(u8::from(video.is_some()));
        Self { video, audio }
    }

    /// Synchronization source of a track, which is 0 or 1.
    pub fn ssrc(&self, track: u8) -> u32 {
        let video = self.video.as_ref().filter(|_| track == 0);
        video.unwrap_or(&self.audio).ssrc()
    }

    /// Counts the packets of a cell without making them.
    pub fn pass(&mut self, tracks: &RungTracks, cell: &CodedCell) {
        self.each_unit(tracks, cell, |packetizer, unit| {
            packetizer.unit(unit.timestamp, unit.coded, &mut Nowhere);
        });
    }

    /// The packets of a cell, in order of time; a picture comes before sound of the same time.
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
        // Both tracks are walked in parallel; each is in order.
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

/// Walks through a track's samples. RTP time is the low 32 bits of unix time in the track's timescale.
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
