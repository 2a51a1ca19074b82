//! AAC in RTP (RFC 3640): AU headers, several access units in a packet, one in several.
//!
//! Tolerated: missing sizes (those of the mode are taken, §3.3.5 and §3.3.6), a missing configuration (AAC-LC as `rtpmap`
//! says).

use std::sync::Arc;

use super::{Depacketized, FramesInParts, Sound, unhex};
use amphi_media::{AudioFormat, AudioSpecificConfig, TrackFormat};
use amphi_protocol::rtsp::client::{Media, Received};

/// Most bytes of an access unit: 6144 bits for each of 48 channels are fewer.
const LONGEST: usize = 64 * 1024;
/// Most access units of a packet.
const MOST_UNITS: usize = 256;
/// Ticks per second: the time of a packet's last unit must be a number, whatever the sample rate.
const FASTEST_CLOCK: u32 = 10_000_000;

#[derive(Debug)]
pub(crate) struct AacPayload {
    format: Arc<TrackFormat>,
    clock_rate: u32,
    /// Duration of an access unit in ticks of the RTP clock.
    duration: i64,
    layout: AuHeaderLayout,
    lost: u32,
    /// An access unit of which only parts have come: its ticks, its size, its bytes so far.
    parts: Option<(i64, usize, Vec<u8>)>,
}

/// How many bits the fields of an AU header have (§3.2.1.1, §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AuHeaderLayout {
    size: u32,
    index: u32,
    index_delta: u32,
    /// The size of every access unit in bytes, if headers do not say it.
    constant: Option<usize>,
}

impl AacPayload {
    /// Sound as `media` describes it, or what is wrong with the description.
    pub(crate) fn new(media: &Media) -> Result<Self, String> {
        let config = config(media)?;
        if config.sample_rate == 0 {
            return Err("AAC without a sample rate".to_owned());
        }
        let clock_rate = if media.clock_rate == 0 { config.sample_rate } else { media.clock_rate };
        if clock_rate > FASTEST_CLOCK {
            return Err(format!("AAC with a clock of {clock_rate} Hz"));
        }
        let samples = i64::from(config.frame_samples());
        let rate = i64::from(config.sample_rate.max(1));
        Ok(Self {
            format: Arc::new(TrackFormat::Aac(config)),
            clock_rate,
            duration: samples * i64::from(clock_rate) / rate,
            layout: AuHeaderLayout::of(media)?,
            lost: 0,
            parts: None,
        })
    }

    pub(super) fn format(&self) -> Arc<TrackFormat> {
        Arc::clone(&self.format)
    }

    pub(super) const fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// A part of an access unit of `size` bytes (§3.2.3.1).
    fn part(
        &mut self,
        received: &Received,
        size: usize,
        data: &[u8],
        out: &mut Vec<Depacketized>,
    ) -> Result<(), &'static str> {
        if size > LONGEST {
            return Err("an AAC frame is too long");
        }
        let same = self.parts.take_if(|(ticks, whole, _)| *ticks == received.ticks && *whole == size);
        let mut parts = same.map_or_else(Vec::new, |(_, _, parts)| parts);
        parts.extend_from_slice(data);
        if parts.len() > size {
            return Err("the parts of an AAC frame are longer than it");
        }
        if parts.len() == size {
            self.frame(received, received.ticks, &parts, out);
        } else if received.packet.marker {
            return Err("an AAC frame ends before all its parts came");
        } else {
            self.parts = Some((received.ticks, size, parts));
        }
        Ok(())
    }

    fn frame(&mut self, received: &Received, ticks: i64, data: &[u8], out: &mut Vec<Depacketized>) {
        if data.is_empty() {
            return;
        }
        let lost = std::mem::take(&mut self.lost);
        let sound = Sound { ticks, clock_rate: self.clock_rate, arrival: received.arrival, lost, data };
        out.push(sound.unit(&self.format));
    }
}

impl FramesInParts for AacPayload {
    fn lost(&mut self) -> &mut u32 {
        &mut self.lost
    }

    fn forget_parts(&mut self) {
        self.parts = None;
    }

    fn read(&mut self, received: &Received, out: &mut Vec<Depacketized>) -> Result<(), &'static str> {
        let payload = &received.packet.payload[..];
        if payload.is_empty() {
            return Err("an AAC packet is empty");
        }
        let Some(units) = self.layout.units(payload)? else {
            self.frame(received, received.ticks, payload, out);
            return Ok(());
        };
        let (headers, mut rest) = units;
        if let [(size, _)] = headers[..]
            && size > rest.len()
        {
            return self.part(received, size, rest, out);
        }
        self.parts = None;
        for (size, index) in headers {
            let (data, after) =
                rest.split_at_checked(size).ok_or("an AAC packet is shorter than its frames")?;
            rest = after;
            self.frame(received, received.ticks + index * self.duration, data, out);
        }
        Ok(())
    }
}

/// The access units of a packet: each one's size, and its place in units of a frame's duration.
type AuHeaders = Vec<(usize, i64)>;

impl AuHeaderLayout {
    fn of(media: &Media) -> Result<Self, String> {
        let number = |name: &str| media.parameter(name).and_then(|value| value.trim().parse::<u32>().ok());
        for (name, what) in [
            ("CTSDeltaLength", "time stamps of its own"),
            ("DTSDeltaLength", "time stamps of its own"),
            ("RandomAccessIndication", "random access points"),
            ("StreamStateIndication", "stream states"),
            ("AuxiliaryDataSizeLength", "auxiliary data"),
        ] {
            if number(name).is_some_and(|bits| bits > 0) {
                return Err(format!("AAC with {what} in each packet ({name}), which is not read"));
            }
        }
        let mode = media.parameter("mode").unwrap_or_default().to_ascii_lowercase();
        let (size, index) = if mode == "aac-lbr" { (6, 2) } else { (13, 3) };
        let constant = number("constantSize").filter(|size| *size > 0).map(|size| size as usize);
        let implied = |bits| if constant.is_some() { 0 } else { bits };
        let layout = Self {
            size: number("sizeLength").unwrap_or(implied(size)),
            index: number("indexLength").unwrap_or(implied(index)),
            index_delta: number("indexDeltaLength").unwrap_or(implied(index)),
            constant,
        };
        if layout.size > 16 || layout.index > 16 || layout.index_delta > 16 {
            return Err("AAC whose packets have headers that are too long".to_owned());
        }
        Ok(layout)
    }

    /// The access units' sizes and places, and the bytes after the headers. `None`: the payload is one access unit.
    fn units<'a>(&self, payload: &'a [u8]) -> Result<Option<(AuHeaders, &'a [u8])>, &'static str> {
        if self.size == 0 && self.index == 0 {
            let Some(constant) = self.constant else { return Ok(None) };
            let count = (payload.len() / constant).min(MOST_UNITS);
            return Ok(Some(((0..count as i64).map(|index| (constant, index)).collect(), payload)));
        }
        let (&[high, low], rest) =
            payload.split_first_chunk::<2>().ok_or("an AAC packet ends in its headers")?;
        let bits = usize::from(u16::from_be_bytes([high, low]));
        let (headers, rest) =
            rest.split_at_checked(bits.div_ceil(8)).ok_or("an AAC packet ends in its headers")?;
        let mut reader = AuBits { bytes: headers, at: 0, end: bits };
        let (mut units, mut place) = (Vec::new(), 0_i64);
        while reader.left() >= self.header_bits(units.is_empty()) && self.header_bits(units.is_empty()) > 0 {
            if units.len() == MOST_UNITS {
                return Err("an AAC packet has too many frames");
            }
            let size = reader.take(self.size) as usize;
            let first = units.is_empty();
            let step = i64::from(reader.take(if first { self.index } else { self.index_delta }));
            // The first one's index may be a serial number (§3.2.1.1) and does not count; the others' count from the one before.
            place = if first { 0 } else { place + step + 1 };
            units.push((self.constant.filter(|_| self.size == 0).unwrap_or(size), place));
        }
        if units.is_empty() { Err("an AAC packet has no frame") } else { Ok(Some((units, rest))) }
    }

    const fn header_bits(&self, first: bool) -> usize {
        (self.size + if first { self.index } else { self.index_delta }) as usize
    }
}

/// Reads bits. Beyond the end there are zeros; the reader asks before how many bits are left.
struct AuBits<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl AuBits<'_> {
    const fn left(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    fn take(&mut self, bits: u32) -> u32 {
        let mut value = 0;
        for _ in 0..bits {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        value
    }
}

/// The configuration that `media` carries, or what is wrong with it.
fn config(media: &Media) -> Result<AudioSpecificConfig, String> {
    let said = media.parameter("config").map(|config| config.trim_matches('"')).unwrap_or_default();
    if said.is_empty() {
        // AAC-LC with the rate and channels of `rtpmap` is the best guess.
        let format = AudioFormat { sample_rate: media.clock_rate, channels: media.channels.unwrap_or(1) };
        return Ok(AudioSpecificConfig::lc(format));
    }
    let bytes = unhex(said).ok_or_else(|| "AAC with a broken config: not hexadecimal".to_owned())?;
    AudioSpecificConfig::parse(&bytes).map_err(|why| format!("AAC with a broken config: {why}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use amphi_media::MediaTime;
    use amphi_protocol::rtsp::client::{RtpPacket, SessionDescription};

    fn media(fmtp: &str) -> Media {
        let text = format!("m=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/48000/2\na=fmtp:97 {fmtp}");
        SessionDescription::parse(text.as_bytes()).media.remove(0)
    }

    fn payload(fmtp: &str) -> AacPayload {
        AacPayload::new(&media(fmtp)).unwrap()
    }

    fn packet(ticks: i64, marker: bool, lost: u32, payload: &[u8]) -> Received {
        let packet = RtpPacket {
            payload_type: 97,
            marker,
            sequence: 0,
            timestamp: ticks as u32,
            ssrc: 0,
            payload: Bytes::copy_from_slice(payload),
        };
        Received { packet, ticks, arrival: MediaTime::from_millis(0), lost }
    }

    fn made(aac: &mut AacPayload, packets: &[Received]) -> Vec<(i64, Vec<u8>, u16)> {
        let mut out = Vec::new();
        for packet in packets {
            aac.push(packet, &mut out);
        }
        out.into_iter()
            .map(|made| match made {
                Depacketized::Unit(unit) => (unit.rtp.ticks, unit.data.to_vec(), unit.lost),
                Depacketized::Broken { .. } | Depacketized::Nothing => (-1, Vec::new(), 0),
            })
            .collect()
    }

    const HBR: &str = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190";

    #[test]
    fn frames_come_one_by_one() {
        let packets = [
            packet(0, true, 0, &[0, 16, 0, 2 << 3, 1, 2]),
            packet(1024, true, 1, &[0, 32, 0, 2 << 3, 0, 1 << 3, 3, 4, 5]),
            packet(3072, false, 0, &[0, 16, 0, 3 << 3, 6, 7]),
            packet(3072, true, 0, &[0, 16, 0, 3 << 3, 8]),
            packet(4096, true, 0, &[0, 16, 0, 9 << 3, 8]),
            packet(5120, true, 0, &[0, 17]),
            packet(6144, true, 0, &[0, 16, 0, 1 << 3, 9]),
        ];
        let broken = (-1, Vec::new(), 0);
        let wanted = [
            (0, vec![1, 2], 0),
            (1024, vec![3, 4], 1),
            (2048, vec![5], 0),
            (3072, vec![6, 7, 8], 0),
            broken.clone(),
            broken,
            (6144, vec![9], 0),
        ];
        assert_eq!(made(&mut payload(HBR), &packets), wanted);
        assert_eq!(made(&mut payload("config=1190"), &packets), wanted, "the mode's sizes");
        let lbr = [packet(0, true, 0, &[0, 8, 2 << 2, 1, 2])];
        assert_eq!(made(&mut payload("mode=AAC-lbr;config=1190"), &lbr), [(0, vec![1, 2], 0)]);
    }

    #[test]
    fn configurations_are_read_or_their_fault_is_told() {
        assert_eq!(config(&media("config=\"1190\"")).unwrap().sample_rate, 48_000);
        assert_eq!(config(&media("mode=AAC-hbr")).unwrap().channels, 2, "as rtpmap says");
        for broken in ["config=119", "config=xyz!", "config=17"] {
            assert!(config(&media(broken)).unwrap_err().contains("broken config"), "{broken}");
        }
        let odd = media("config=1190;CTSDeltaLength=16");
        assert!(AacPayload::new(&odd).unwrap_err().contains("CTSDeltaLength"));
    }

    #[test]
    fn a_clock_beyond_all_measure_is_refused() {
        // One sample a second, and units as far apart as headers can say.
        let odd = |clock: u32| {
            let fmtp = "sizelength=0;indexlength=16;indexdeltalength=16;constantsize=1;config=1780000090";
            Media { clock_rate: clock, ..media(fmtp) }
        };
        assert!(AacPayload::new(&odd(u32::MAX)).unwrap_err().contains("clock"));
        let mut payload = AacPayload::new(&odd(FASTEST_CLOCK)).unwrap();
        let mut bytes = (256_u16 * 16).to_be_bytes().to_vec();
        bytes.resize(2 + 512 + 256, 0xff);
        assert_eq!(made(&mut payload, &[packet(1 << 48, true, 0, &bytes)]).len(), 256);
    }

    proptest! {
        #[test]
        fn no_packets_make_it_panic(
            packets in prop::collection::vec((0..3_i64, any::<bool>(), prop::collection::vec(any::<u8>(), 0..30)), 0..30),
            size in 0..17_u32, index in 0..17_u32, constant in 0..20_u32,
        ) {
            let fmtp = format!("config=1190;sizelength={size};indexlength={index};indexdeltalength={index};constantsize={constant}");
            let packets: Vec<_> = packets.iter().map(|(t, m, bytes)| packet(*t, *m, 0, bytes)).collect();
            let _ = made(&mut payload(&fmtp), &packets);
        }
    }
}
