//! Reads LATM that was written bit by bit.

use proptest::prelude::*;

use super::*;
use amphi_media::AudioFormat;

const STEREO: AudioSpecificConfig = AudioSpecificConfig::lc(AudioFormat { sample_rate: 48_000, channels: 2 });

/// Writes bits, most significant first.
#[derive(Default)]
struct Writer(Vec<bool>);

impl Writer {
    fn put(&mut self, width: u32, value: u32) -> &mut Self {
        self.0.extend((0..width).rev().map(|bit| (value >> bit) & 1 == 1));
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            self.put(8, u32::from(byte));
        }
        self
    }

    fn done(&self) -> Vec<u8> {
        let byte =
            |bits: &[bool]| (0..8).fold(0, |byte, i| (byte << 1) | u8::from(bits.get(i) == Some(&true)));
        self.0.chunks(8).map(byte).collect()
    }
}

/// StreamMuxConfig version 0 with one stream and two bytes of AudioSpecificConfig.
fn config_v0(out: &mut Writer, subframes: u32, asc: &[u8]) {
    out.put(1, 0).put(1, 1).put(6, subframes - 1).put(4, 0).put(3, 0).bytes(asc);
    out.put(3, 0).put(8, 255).put(1, 0).put(1, 0);
}

fn units_of(given: Result<Option<(u32, Vec<Bytes>)>, LatmFault>) -> Vec<Bytes> {
    given.expect("good LATM").map(|(_, units)| units).unwrap_or_default()
}

#[test]
fn the_rfcs_own_configurations_are_read() {
    // RFC 6416 §7.4: AAC-LC, and HE-AAC with SBR signalled.
    for (hex, rate, object_type) in [("400024203fc0", 44_100, 2), ("40005623101fe0", 24_000, 5)] {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a number");
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let latm = Latm::new(Some(&bytes), false).expect("a good configuration");
        let asc = latm.asc().expect("it is configured");
        assert_eq!((asc.sample_rate, asc.channels, asc.object_type), (rate, 2, object_type));
    }
}

#[test]
fn an_element_is_put_together_from_its_packets() {
    let mut config = Writer::default();
    config_v0(&mut config, 1, &STEREO.to_bytes());
    let mut latm = Latm::new(Some(&config.done()), false).expect("a good configuration");
    assert_eq!(latm.asc(), Some(&STEREO));
    let unit: Vec<u8> = (0..600).map(|i| i as u8).collect();
    let mut element = Writer::default();
    element.put(8, 255).put(8, 255).put(8, 90).bytes(&unit);
    let element = element.done();
    assert_eq!(latm.push(&element[..400], false, 7, false), Ok(None));
    assert_eq!(latm.push(&element[400..], true, 7, false), Ok(Some((7, vec![unit.clone().into()]))));
    // A loss in the middle spoils this element and no other.
    assert_eq!(latm.push(&element[..200], false, 8, false), Ok(None));
    assert_eq!(latm.push(&element[400..500], false, 8, true), Err(LatmFault::Lost));
    assert_eq!(latm.push(&element[500..], true, 8, false), Ok(None));
    assert_eq!(latm.push(&element, true, 9, false), Ok(Some((9, vec![unit.into()]))));
}

#[test]
fn a_marker_that_is_never_set_is_replaced_by_the_next_timestamp() {
    let mut config = Writer::default();
    config_v0(&mut config, 1, &STEREO.to_bytes());
    let mut latm = Latm::new(Some(&config.done()), false).expect("a good configuration");
    assert_eq!(latm.push(&[2, 7, 8], false, 100, false), Ok(None));
    assert_eq!(latm.push(&[3, 1, 2, 3], false, 200, false), Ok(Some((100, vec![vec![7, 8].into()]))));
    assert_eq!(latm.push(&[1, 9], false, 300, false), Ok(Some((200, vec![vec![1, 2, 3].into()]))));
}

#[test]
fn configurations_in_band_come_before_units_and_may_change() {
    let mut latm = Latm::new(None, true).expect("it comes in band");
    assert_eq!(latm.asc(), None);
    // useSameStreamMux before the first configuration.
    assert_eq!(latm.push(&[0x80, 0x80, 0], true, 1, false), Err(LatmFault::NotConfigured));
    let mono = AudioSpecificConfig::lc(AudioFormat { sample_rate: 24_000, channels: 1 });
    for asc in [STEREO, mono] {
        let mut element = Writer::default();
        config_v0(element.put(1, 0), 2, &asc.to_bytes());
        element.put(8, 3).bytes(&[1, 2, 3]).put(8, 1).bytes(&[4]);
        let units = units_of(latm.push(&element.done(), true, 2, false));
        assert_eq!(units, [vec![1, 2, 3], vec![4]]);
        assert_eq!(latm.asc(), Some(&asc));
        let mut same = Writer::default();
        same.put(1, 1).put(8, 1).bytes(&[5]).put(8, 2).bytes(&[6, 7]);
        assert_eq!(units_of(latm.push(&same.done(), true, 3, false)), [vec![5], vec![6, 7]]);
    }
}

#[test]
fn version_1_has_lengths_and_other_data_is_left_out() {
    let asc = [0x13, 0x10, 0x56, 0xe5, 0x98];
    let mut config = Writer::default();
    config.put(1, 1).put(1, 0).put(2, 0).put(8, 0xff).put(1, 1).put(6, 0).put(4, 0).put(3, 0);
    config.put(2, 0).put(8, 40).bytes(&asc).put(3, 0).put(8, 255);
    config.put(1, 1).put(2, 0).put(8, 12).put(1, 1).put(8, 0x55);
    let mut latm = Latm::new(Some(&config.done()), false).expect("a good configuration");
    let parsed = AudioSpecificConfig::parse(&asc).expect("a good configuration");
    assert_eq!((latm.asc(), parsed.object_type), (Some(&parsed), 5));
    let mut element = Writer::default();
    element.put(8, 2).bytes(&[1, 2]).put(12, 0xfff);
    // Two elements in one packet.
    let twice = [element.done(), element.done()].concat();
    assert_eq!(units_of(latm.push(&twice, true, 0, false)), [vec![1, 2], vec![1, 2]]);
}

#[test]
fn streams_of_others_are_left_out_and_chunks_joined() {
    let mut config = Writer::default();
    // Two layers of one program with different framing; the second always has 21 bytes.
    config.put(1, 0).put(1, 0).put(6, 0).put(4, 0).put(3, 1).bytes(&STEREO.to_bytes());
    config.put(3, 0).put(8, 255).put(1, 1).put(3, 1).put(9, 1).put(1, 0).put(1, 0);
    let mut latm = Latm::new(Some(&config.done()), false).expect("a good configuration");
    let mut element = Writer::default();
    element.put(4, 2).put(4, 0).put(8, 2).put(1, 0).put(4, 1).put(4, 0).put(8, 1).put(1, 1);
    element.bytes(&[1, 2]).bytes(&[9; 21]).bytes(&[3]);
    assert_eq!(units_of(latm.push(&element.done(), true, 0, false)), [vec![1, 2, 3]]);
}

#[test]
fn what_cannot_be_used_is_said() {
    assert_eq!(Latm::new(None, false).err(), Some(LatmFault::NoConfiguration));
    assert_eq!(Latm::new(Some(&[]), false).err(), Some(LatmFault::Truncated));
    assert!(matches!(Latm::new(Some(&[0xc0, 0, 0]), false), Err(LatmFault::Unsupported(_))));
    assert!(Latm::new(Some(&[0xc0, 0, 0]), true).is_ok());
    let mut config = Writer::default();
    config_v0(&mut config, 1, &STEREO.to_bytes());
    let mut latm = Latm::new(Some(&config.done()), false).expect("a good configuration");
    assert_eq!(latm.push(&[200, 1, 2], true, 0, false), Err(LatmFault::Truncated));
    for _ in 0..64 {
        assert_eq!(latm.push(&[255; 1000], false, 1, false), Ok(None));
    }
    assert_eq!(latm.push(&[255; 1000], false, 1, false), Ok(None));
    assert_eq!(latm.push(&[255; 1000], false, 1, false), Err(LatmFault::TooLong));
    assert_eq!(latm.push(&[1, 2], true, 1, false), Ok(None));
    assert_eq!(units_of(latm.push(&[1, 2], true, 2, false)), [vec![2]]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        config in prop::option::of(prop::collection::vec(any::<u8>(), 0..24)),
        in_band in any::<bool>(),
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..80), any::<bool>(), 0..3_u32, any::<bool>()), 0..12),
    ) {
        if let Ok(mut latm) = Latm::new(config.as_deref(), in_band) {
            for (payload, marker, timestamp, lost) in packets {
                let _ = latm.push(&payload, marker, timestamp, lost);
            }
        }
    }

    #[test]
    fn units_come_out_as_they_went_in(
        units in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..700), 1..5), cut in 1..300_usize
    ) {
        let mut element = Writer::default();
        config_v0(element.put(1, 0), units.len() as u32, &STEREO.to_bytes());
        for unit in &units {
            let mut left = unit.len();
            while left >= 255 {
                element.put(8, 255);
                left -= 255;
            }
            element.put(8, left as u32).bytes(unit);
        }
        let (mut latm, bytes) = (Latm::new(None, true).expect("in band"), element.done());
        let packets: Vec<_> = bytes.chunks(cut).collect();
        let mut out = Vec::new();
        for (i, packet) in packets.iter().enumerate() {
            out.extend(units_of(latm.push(packet, i + 1 == packets.len(), 5, false)));
        }
        prop_assert_eq!(out, units);
    }
}
