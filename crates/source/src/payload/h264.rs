//! H.264 in RTP (RFC 6184), over retina's depacketizer.
//!
//! That one is written for its own client and panics when a packet is pushed while a frame is pending: here every frame is
//! pulled before and after each push. What it would take for an error of the whole picture is kept from it: NAL
//! units of types that have no meaning (RFC 6184 §5.2: 0, 30, 31, and those of the interleaved mode), parameter sets that
//! cannot be parsed, markers of encoders that set one after each slice. Aggregates (§5.7.1) are taken apart first, for the
//! same reason. An access unit without an end is given up at [`LONGEST`] bytes.

use std::num::NonZeroU32;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use retina::codec::h26x::Framing;
use retina::codec::{CodecItem, Depacketizer, FrameFormat, ParametersRef, VideoParametersCodec};
use retina::rtp::PacketMeta;
use retina::testutil::DepacketizeBuf;
use retina::{PacketContext, Timestamp};

use super::Depacketized;
use crate::intake::ArrivedUnit;
use crate::sample;
use crate::timeline::RtpInstant;
use amphi_media::h264::{NAL_IDR, NAL_PPS, NAL_SPS, push_sample_nal};
use amphi_media::{MediaTime, ParameterSets, TrackFormat};
use amphi_protocol::rtsp::client::{Media, Received};

/// Most bytes of an access unit: an IDR picture of 1080 lines has a tenth.
const LONGEST: usize = 4 * 1024 * 1024;
/// Most bytes of a PPS: those with scaling lists have a few hundred.
const MOST_OF_PPS: usize = 2048;
/// Most packets of an access unit.
const MOST_PACKETS: u32 = 20_000;
/// `nal_unit_type`s of RFC 6184 table 1.
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// The clock of H.264 (RFC 6184 §8.2.1), whatever a description says.
const CLOCK_RATE: u32 = 90_000;

pub(crate) struct H264Payload {
    depacketizer: Depacketizer,
    buffer: DepacketizeBuf,
    /// What the last parameter sets say.
    known: Option<Known>,
    lost: u32,
    /// A loss that the depacketizer has not been told of yet.
    gap: bool,
    /// PPS with other identifiers, to which pictures may refer.
    further: Vec<Bytes>,
    /// The identifier of the PPS that the depacketizer has.
    first_pps: Option<u32>,
    /// Bytes and packets since the last frame.
    begun: (usize, u32),
    /// Ticks of an access unit of which something is missing.
    spoiled: Option<i64>,
    /// Ticks of the last slice with a marker.
    marked: Option<i64>,
    markers_lie: bool,
}

impl std::fmt::Debug for H264Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H264Payload").field("known", &self.known).finish_non_exhaustive()
    }
}

/// What parameter sets say.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The parameter sets as the format of frames.
    pub(crate) format: Arc<TrackFormat>,
    sets: ParameterSets,
    /// The codec as RFC 6381 §3.3 writes it.
    pub(crate) codec: String,
    /// Width and height in luma samples.
    pub(crate) size: (u32, u32),
}

/// One NAL unit or fragment, as it is given to the depacketizer.
struct NalPiece<'a> {
    data: &'a [u8],
    marker: bool,
}

impl H264Payload {
    /// Pictures as `media` describes them.
    pub(crate) fn new(media: &Media) -> Result<Self, String> {
        let mut payload = Self {
            depacketizer: depacketizer(None)?,
            buffer: DepacketizeBuf::new(64 * 1024),
            known: None,
            lost: 0,
            gap: false,
            further: Vec::new(),
            first_pps: None,
            begun: (0, 0),
            spoiled: None,
            marked: None,
            markers_lie: false,
        };
        // Parameter sets in the description that cannot be parsed are ignored: most encoders send them before IDR pictures too.
        if let Some((sets, further)) = described(media) {
            payload.depacketizer = depacketizer(Some(&sets))?;
            payload.first_pps = pps_id(&sets.pps);
            for pps in &further {
                payload.keep_aside(pps);
            }
            payload.learn();
        }
        Ok(payload)
    }

    pub(crate) fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    pub(crate) fn push(&mut self, received: &Received, out: &mut Vec<Depacketized>) {
        self.lost = self.lost.saturating_add(received.lost);
        self.gap |= received.lost > 0;
        let payload = &received.packet.payload[..];
        match payload.first().map(|header| (header & 0x80, header & 0x1f)) {
            None => broken(out, false, "an H.264 packet is empty"),
            // forbidden_zero_bit (RFC 6184 §1.3).
            Some((0x80, _)) => {
                self.spoiled = Some(received.ticks);
                broken(out, true, "a NAL unit is marked as damaged (its forbidden bit is set)");
            }
            Some((_, STAP_A)) => match aggregate(payload) {
                Ok(nals) => {
                    let last = nals.len().saturating_sub(1);
                    for (index, data) in nals.into_iter().enumerate() {
                        let marker = received.packet.marker && index == last;
                        self.nal(received, &NalPiece { data, marker }, out);
                    }
                }
                Err(why) => {
                    self.spoiled = Some(received.ticks);
                    broken(out, true, why);
                }
            },
            Some((_, 1..=23 | FU_A)) => {
                self.nal(received, &NalPiece { data: payload, marker: received.packet.marker }, out);
            }
            Some(_) => broken(out, false, "a NAL unit is of a type that has no meaning"),
        }
    }

    fn nal(&mut self, received: &Received, piece: &NalPiece<'_>, out: &mut Vec<Depacketized>) {
        let Some(header) = piece.data.first() else { return };
        // A fragment has its type in the FU header (RFC 6184 §5.8).
        let kind = match (header & 0x1f, piece.data.get(1)) {
            (FU_A, Some(fragment)) => fragment & 0x1f,
            (kind, _) => kind,
        };
        if self.is_senseless_set(piece.data) {
            return broken(out, false, "a parameter set cannot be parsed; the old one stays");
        }
        if self.is_further_pps(piece.data) {
            return self.keep_aside(piece.data);
        }
        let slice = matches!(kind, 1..=NAL_IDR);
        if slice && !self.gap && self.marked == Some(received.ticks) {
            self.markers_lie = true;
        }
        let marker = piece.marker && !self.markers_lie;
        if slice && piece.marker {
            self.marked = Some(received.ticks);
        }
        self.hand_on(received, &NalPiece { data: piece.data, marker }, out);
    }

    /// Whether it is a whole PPS with another identifier than the depacketizer's, which would take it for a change of its own.
    fn is_further_pps(&mut self, nal: &[u8]) -> bool {
        if nal.first().is_none_or(|header| header & 0x1f != NAL_PPS) {
            return false;
        }
        let id = pps_id(nal);
        id.is_some() && *self.first_pps.get_or_insert(id.unwrap_or(0)) != id.unwrap_or(0)
    }

    fn keep_aside(&mut self, pps: &[u8]) {
        /// Encoders send two or three.
        const MOST: usize = 8;
        let id = pps_id(pps);
        self.further.retain(|known| pps_id(known) != id);
        if self.further.len() < MOST && pps.len() < MOST_OF_PPS {
            self.further.push(Bytes::copy_from_slice(pps));
        }
    }

    /// Whether it is a whole SPS or PPS that is new and that retina cannot parse.
    fn is_senseless_set(&self, nal: &[u8]) -> bool {
        let kind = nal.first().map_or(0, |header| header & 0x1f);
        let Some(known) = self.known.as_ref().filter(|_| matches!(kind, NAL_SPS | NAL_PPS)) else {
            return false;
        };
        let ParameterSets { sps, pps } = &known.sets;
        if nal.windows(3).any(|three| three == [0, 0, 1]) {
            return false;
        }
        let (sps, pps) = if kind == NAL_SPS { (nal, &pps[..]) } else { (&sps[..], nal) };
        let same = sps == &known.sets.sps[..] && pps == &known.sets.pps[..];
        !same && retina::codec::h264::parameters_from_sps_and_pps(sps, pps, Framing::FourByteLength).is_err()
    }

    fn hand_on(&mut self, received: &Received, piece: &NalPiece<'_>, out: &mut Vec<Depacketized>) {
        let Some(clock_rate) = NonZeroU32::new(CLOCK_RATE) else { return };
        let Some(timestamp) = Timestamp::new(received.ticks, clock_rate, 0) else { return };
        let meta = PacketMeta {
            ctx: PacketContext::dummy(),
            stream_id: 0,
            timestamp,
            sequence_number: received.packet.sequence,
            ssrc: received.packet.ssrc,
            mark: piece.marker,
            // Only whether: how many is counted here, since its sum has 16 bits.
            loss: u16::from(std::mem::take(&mut self.gap)),
        };
        self.pull(received.arrival, out);
        let pushed = self.buffer.push(&mut self.depacketizer, meta, piece.data);
        self.begun = (self.begun.0 + piece.data.len(), self.begun.1 + 1);
        self.pull(received.arrival, out);
        if let Err(why) = pushed {
            self.spoiled = Some(received.ticks);
            broken(out, true, &why);
        }
        if self.begun.0 > LONGEST || self.begun.1 > MOST_PACKETS {
            self.start_over();
            broken(out, true, "a picture does not end");
        }
    }

    fn pull(&mut self, arrival: MediaTime, out: &mut Vec<Depacketized>) {
        while let Some(item) = self.depacketizer.pull() {
            match item {
                Ok(CodecItem::VideoFrame(frame)) => {
                    self.begun = (0, 0);
                    if frame.has_new_parameters() || self.known.is_none() {
                        self.learn();
                    }
                    let ticks = frame.timestamp().elapsed();
                    let spoiled = self.spoiled.take_if(|spoiled| *spoiled == ticks).is_some();
                    out.push(if spoiled {
                        Depacketized::Nothing
                    } else {
                        self.picture(ticks, arrival, &frame.into_data().into())
                    });
                }
                Ok(_) => {}
                Err(_) => broken(out, true, "the time changes in the middle of a NAL unit"),
            }
        }
    }

    fn picture(&mut self, ticks: i64, arrival: MediaTime, data: &Bytes) -> Depacketized {
        let Some(picture) = sample::clean(data) else { return Depacketized::Nothing };
        let Some(known) = &self.known else { return Depacketized::Nothing };
        let lost = std::mem::take(&mut self.lost).min(u32::from(u16::MAX)) as u16;
        let mut data = picture.data;
        if picture.idr && !self.further.is_empty() {
            let mut with = BytesMut::with_capacity(data.len() + self.further.len() * 16);
            self.further.iter().for_each(|pps| push_sample_nal(&mut with, pps));
            with.extend_from_slice(&data);
            data = with.freeze();
        }
        Depacketized::Unit(ArrivedUnit {
            rtp: RtpInstant { ticks, clock_rate: CLOCK_RATE },
            arrival,
            data,
            sync: picture.idr,
            lost,
            format: Arc::clone(&known.format),
        })
    }

    /// Copies the depacketizer's parameter sets to `known`.
    fn learn(&mut self) {
        let Some(ParametersRef::Video(parameters)) = self.depacketizer.parameters() else { return };
        let VideoParametersCodec::H264 { sps, pps } = parameters.codec_params() else { return };
        let sets = ParameterSets { sps: Bytes::clone(sps), pps: Bytes::clone(pps) };
        self.known = Some(Known {
            format: Arc::new(TrackFormat::H264(sets.clone())),
            sets,
            codec: parameters.rfc6381_codec().to_owned(),
            size: parameters.pixel_dimensions(),
        });
    }

    /// Forgets the access unit that has begun, but not the parameter sets.
    fn start_over(&mut self) {
        self.begun = (0, 0);
        self.spoiled = None;
        if let Ok(new) = depacketizer(self.known.as_ref().map(|known| &known.sets)) {
            self.depacketizer = new;
            self.buffer = DepacketizeBuf::new(64 * 1024);
        }
    }
}

fn broken(out: &mut Vec<Depacketized>, missing: bool, why: &str) {
    const LONGEST: usize = 160;
    let line = why.lines().next().unwrap_or_default();
    out.push(Depacketized::Broken {
        missing,
        why: line.chars().take(LONGEST).filter(|c| !c.is_control()).collect(),
    });
}

fn depacketizer(sets: Option<&ParameterSets>) -> Result<Depacketizer, String> {
    let fmtp = sets.map(|ParameterSets { sps, pps }| {
        format!("sprop-parameter-sets={},{}", STANDARD.encode(sps), STANDARD.encode(pps))
    });
    let mut depacketizer = Depacketizer::new("video", "h264", CLOCK_RATE, None, fmtp.as_deref())?;
    depacketizer.set_frame_format(FrameFormat::MP4);
    Ok(depacketizer)
}

/// The parameter sets of `sprop-parameter-sets` (RFC 6184 §8.1), if they can be parsed: the first of each kind, and
/// the other PPS.
fn described(media: &Media) -> Option<(ParameterSets, Vec<Bytes>)> {
    let (mut sps, mut pps) = (None, Vec::new());
    for text in media.parameter("sprop-parameter-sets")?.trim_matches('"').split(',').take(32) {
        let text = text.trim().trim_end_matches('=');
        let Ok(nal) = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text) else { continue };
        // Some encoders leave the start code of a byte stream before it, or zeros after it.
        let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let start = nal.iter().position(|byte| *byte > 1).unwrap_or(end);
        let nal = Bytes::copy_from_slice(nal.get(start..end).unwrap_or_default());
        match nal.first().map(|header| header & 0x9f) {
            Some(NAL_SPS) => sps = sps.or(Some(nal)),
            Some(NAL_PPS) => pps.push(nal),
            _ => {}
        }
    }
    let mut pps = pps.into_iter();
    let sets = ParameterSets { sps: sps?, pps: pps.next()? };
    let further = pps.filter(|other| pps_id(other).is_some() && pps_id(other) != pps_id(&sets.pps)).collect();
    let parsed =
        retina::codec::h264::parameters_from_sps_and_pps(&sets.sps, &sets.pps, Framing::FourByteLength);
    parsed.is_ok().then_some((sets, further))
}

/// `pic_parameter_set_id` (ITU-T H.264 §7.3.2.2), ue(v) up to 255.
fn pps_id(pps: &[u8]) -> Option<u32> {
    let bits = pps.get(1..)?.iter().chain(std::iter::repeat(&0)).take(4);
    let bits = bits.fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    let zeros = bits.leading_zeros();
    (zeros <= 8).then(|| (bits >> (31 - 2 * zeros)) - 1).filter(|id| *id <= 255)
}

/// The NAL units of an aggregate (RFC 6184 §5.7.1).
fn aggregate(payload: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    const WRONG: &str = "an aggregate of NAL units is cut";
    let (mut rest, mut nals) = (payload.get(1..).unwrap_or_default(), Vec::new());
    while !rest.is_empty() {
        let (&[high, low], tail) = rest.split_first_chunk::<2>().ok_or(WRONG)?;
        let (nal, after) =
            tail.split_at_checked(usize::from(u16::from_be_bytes([high, low]))).ok_or(WRONG)?;
        if nal.first().is_some_and(|header| header & 0x80 != 0 || !(1..=23).contains(&(header & 0x1f))) {
            return Err("an aggregate holds something that is not a NAL unit");
        }
        // An empty NAL unit is padding.
        nals.extend((!nal.is_empty()).then_some(nal));
        rest = after;
    }
    Ok(nals)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use amphi_protocol::rtsp::client::{RtpPacket, SessionDescription};

    const SDP: &str = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1;\
        sprop-parameter-sets=Z2QADKyyAoM/PgIgAAADACAAAAMDweKFSQ==,aOvDyyLA\n";
    const SPS: &str = "Z2QADKyyAoM/PgIgAAADACAAAAMDweKFSQ==";
    const SLICE: [u8; 4] = [0x41, 0x88, 1, 2];
    const IDR: [u8; 4] = [0x65, 0x88, 1, 2];

    fn payload(sdp: &str) -> H264Payload {
        H264Payload::new(&SessionDescription::parse(sdp.as_bytes()).media[0]).unwrap()
    }

    fn packet(ticks: i64, marker: bool, lost: u32, payload: &[u8]) -> Received {
        let packet = RtpPacket {
            payload_type: 96,
            marker,
            sequence: 0,
            timestamp: ticks as u32,
            ssrc: 0,
            payload: Bytes::copy_from_slice(payload),
        };
        Received { packet, ticks, arrival: MediaTime::from_millis(0), lost }
    }

    /// `time:bytes[+lost]` of each picture, `!` where one is missing, `?` for other packets left out, `-` for nothing.
    fn made(h264: &mut H264Payload, packets: &[Received]) -> String {
        let mut out = Vec::new();
        for packet in packets {
            h264.push(packet, &mut out);
        }
        let word = |made: &Depacketized| match made {
            Depacketized::Unit(unit) if unit.lost > 0 => {
                format!("{}:{}+{}", unit.rtp.ticks, unit.data.len(), unit.lost)
            }
            Depacketized::Unit(unit) => format!("{}:{}", unit.rtp.ticks, unit.data.len()),
            Depacketized::Broken { missing: true, .. } => "!".to_owned(),
            Depacketized::Broken { .. } => "?".to_owned(),
            Depacketized::Nothing => "-".to_owned(),
        };
        out.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_two_packets_that_made_the_library_panic_do_not() {
        let packets = [
            packet(0, true, 0, &IDR),
            packet(1, false, 0, &SLICE),
            packet(2, false, 0, &[0x9f, 0]),
            packet(2, false, 0, &[0x09, 0xf0]),
            packet(3, true, 0, &SLICE),
        ];
        assert_eq!(made(&mut payload(SDP), &packets), "0:8 ! 1:8 - 3:8");
        let packets = [
            packet(0, false, 0, &IDR),
            packet(1, false, 0, &[FU_A | 0x40, 0x01, 5]),
            packet(1, false, 0, &SLICE),
            packet(2, false, 0, &SLICE),
        ];
        assert_eq!(
            made(&mut payload(SDP), &packets),
            "0:8 ! -",
            "a picture ends, and the next one is refused"
        );
    }

    #[test]
    fn senseless_units_cost_no_picture() {
        let packets = [
            packet(0, false, 0, &[0x1f, 1]),
            packet(0, false, 0, &[0x67, 1, 2, 3]),
            packet(0, false, 0, &[]),
            packet(0, true, 0, &IDR),
            packet(1, false, 0, &[0x60]),
            packet(1, true, 0, &SLICE),
        ];
        assert_eq!(made(&mut payload(SDP), &packets), "? ? ? 0:8 ? 1:8");
    }

    #[test]
    fn what_is_lost_is_counted_once() {
        let packets = [
            packet(0, true, 0, &IDR),
            packet(1, false, 0, &SLICE),
            packet(1, true, 70_000, &SLICE),
            packet(2, true, 3, &SLICE),
            packet(3, true, 0, &SLICE),
        ];
        assert_eq!(made(&mut payload(SDP), &packets), "0:8 2:8+65535 3:8");
        // The packet that reports the loss is itself left out, in the middle of a slice.
        let packets = [
            packet(0, true, 0, &IDR),
            packet(1, false, 0, &[0x5c, 0x81, 0x88, 1]),
            packet(1, false, 2, &[0x1f]),
            packet(1, true, 0, &[0x5c, 0x41, 2]),
            packet(2, true, 0, &SLICE),
        ];
        assert_eq!(made(&mut payload(SDP), &packets), "0:8 ? 2:8+2");
    }

    #[test]
    fn further_pps_stand_in_front_of_pictures_to_start_from() {
        let second = [0x68, 0x5a, 0xf0, 0xf2, 0xc8, 0xb0];
        assert_eq!((pps_id(&STANDARD.decode("aOvDyyLA").unwrap()), pps_id(&second)), (Some(0), Some(1)));
        assert_eq!((pps_id(&[0x68]), pps_id(&[0x68, 0, 0x80, 0x80])), (None, None));
        let first = STANDARD.decode("aOvDyyLA").unwrap();
        let sets = |ticks| [packet(ticks, false, 0, &first), packet(ticks, false, 0, &second)];
        let pictures = [packet(0, true, 0, &IDR), packet(1, true, 0, &SLICE), packet(2, true, 0, &IDR)];
        let mut packets = sets(0).to_vec();
        packets.extend(pictures[..2].to_vec());
        packets.extend(sets(2));
        packets.extend(pictures[2..].to_vec());
        let mut h264 = payload(SDP);
        let format = Arc::clone(&h264.known().unwrap().format);
        assert_eq!(made(&mut h264, &packets), "0:18 1:8 2:18", "in band");
        assert_eq!(h264.known().unwrap().format, format);
        let described = SDP.replace("aOvDyyLA", &format!("aOvDyyLA,{}", STANDARD.encode(second)));
        assert_eq!(made(&mut payload(&described), &pictures), "0:18 1:8 2:18", "described");
    }

    #[test]
    fn aggregates_are_taken_apart() {
        let mut aggregate = vec![STAP_A, 0, 2, 0x09, 0xf0, 0, 0, 0, 4];
        aggregate.extend_from_slice(&IDR);
        assert_eq!(made(&mut payload(SDP), &[packet(0, true, 0, &aggregate)]), "0:8");
        for cut in [&[STAP_A, 0][..], &[STAP_A, 0, 9, 1], &[STAP_A, 0, 1, 0x9c]] {
            assert_eq!(made(&mut payload(SDP), &[packet(0, true, 0, cut)]), "!");
        }
    }

    #[test]
    fn markers_behind_every_slice_are_seen_through() {
        let two = |ticks| [packet(ticks, true, 0, &SLICE), packet(ticks, true, 0, &SLICE)];
        let packets: Vec<_> = (0..4).flat_map(two).collect();
        assert_eq!(made(&mut payload(SDP), &packets), "0:8 0:8 1:16 2:16");
    }

    #[test]
    fn without_a_description_parameter_sets_in_band_do() {
        for sdp in [
            "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
            "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/1\na=fmtp:96 sprop-parameter-sets=!!,,Z2Q=;x\n",
        ] {
            let mut h264 = payload(sdp);
            let sps = STANDARD.decode(SPS).unwrap();
            let pps = STANDARD.decode("aOvDyyLA").unwrap();
            let packets = [
                packet(0, true, 0, &IDR),
                packet(1, true, 0, &sps),
                packet(1, true, 0, &pps),
                packet(1, true, 0, &IDR),
            ];
            assert_eq!(made(&mut h264, &packets), "- 1:8");
            assert_eq!(h264.known().unwrap().size, (320, 180));
        }
    }

    #[test]
    fn a_picture_without_an_end_is_given_up() {
        let mut h264 = payload(SDP);
        let start = packet(0, false, 0, &[0x7c, 0x85, 1, 2]);
        let mut middle = vec![0x55; 60_000];
        middle[..2].copy_from_slice(&[0x7c, 0x05]);
        let more: Vec<_> = (0..80).map(|_| packet(0, false, 0, &middle)).collect();
        assert_eq!(made(&mut h264, &[start]), "");
        assert!(made(&mut h264, &more).starts_with('!'));
        assert_eq!(made(&mut h264, &[packet(9, true, 0, &IDR)]).split(' ').next_back(), Some("9:8"));
    }

    fn nal() -> impl Strategy<Value = Vec<u8>> {
        let head = prop_oneof![
            Just(0x65_u8),
            Just(0x41),
            Just(0x67),
            Just(0x68),
            Just(0x06),
            Just(0x7c),
            Just(0x78),
            Just(0x09),
            any::<u8>(),
        ];
        let body = prop::collection::vec(
            prop_oneof![3 => Just(0_u8), 2 => Just(1), 1 => Just(0x85), 1 => Just(0x45), 2 => any::<u8>()],
            0..24,
        );
        (head, body).prop_map(|(head, body)| [vec![head], body].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_packets_make_it_panic(
            packets in prop::collection::vec((0..3_i64, any::<bool>(), prop::bool::weighted(0.1), nal()), 0..40),
            described: bool,
        ) {
            let mut h264 = payload(if described { SDP } else { "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n" });
            let mut time = 0;
            let packets: Vec<_> = packets.iter().map(|(step, marker, lost, nal)| {
                time += step;
                packet(time, *marker, u32::from(*lost) * 70_000, nal)
            }).collect();
            let _ = made(&mut h264, &packets);
        }
    }
}
