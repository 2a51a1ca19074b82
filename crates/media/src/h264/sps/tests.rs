//! Sets that x264 wrote, sets with absurd sizes, and damaged ones.

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn described(sps: &str) -> VideoDescription {
    describe(&hex(sps)).expect("an SPS")
}

// All made by x264: `ffmpeg -f lavfi -i testsrc2=s=640x360:r=25 -c:v libx264 OPTIONS -bsf:v filter_units=pass_types=7`.
const PLAIN: &str = "6764001eacb405017fcb80880000030008000003019078b175";
const MBAFF: &str = "6764001eace80a063f3e0220000003002000000643e28554";
const FULL: &str = "6764001eacb405017fcb80b640000003004000000c83c58ba8";
const I444: &str = "67f4001e919680a02ff89c0440000003004000000c83c58ba8";
const I422: &str = "677a001ebcb405017fc4e022000003000200000300641e2c5d40";
const TEN: &str = "676e001ea6cb405017fcb808800000030080000019078b1750";
const PAL: &str = "6764001eacb405a0937fe0080005a2000003000200000300641e2c5d40";
const BIG: &str = "6764003eacd94010000806ffc004000244000003000400000300c83c20106580";
const FAKE_INTERLACED: &str = "677a0028bcd940780447cb80880000030008000003019078c18cb0";
const GREY: &str = "67640028f36501e0089f89c05b20000003002000000641e30632c0";
const BT601: &str = "67640028acd940780227e5ffc000c0011a810102a0000003002000000641e30632c0";
const BASELINE: &str = "6742c028d900780227e5c044000003000400000300c83c60c920";

#[test]
fn what_x264_writes_is_described() {
    for (sps, words) in [
        (PLAIN, "High 3, 640x360, 25 per second"),
        (MBAFF, "High 3, 640x360, 25 per second, interlaced"),
        (FULL, "High 3, 640x360, 25 per second, full range"),
        (I444, "High 4:4:4 Predictive 3, 640x360, 25 per second, 4:4:4"),
        (I422, "High 4:2:2 3, 640x360, 25 per second, 4:2:2"),
        (TEN, "High 10 3, 640x360, 25 per second, 10 bit"),
        (PAL, "High 3, 720x576, 25 per second, samples 64:45"),
        (BIG, "High 6.2, 4096x4096, 25 per second, samples 16:9"),
        (FAKE_INTERLACED, "High 4:2:2 4, 1920x1080, 25 per second, interlaced, 4:2:2"),
        (GREY, "High 4, 1920x1080, 25 per second, 4:0:0, full range"),
        (BT601, "High 4, 1920x1080, 25 per second, samples 3:4"),
        (BASELINE, "Constrained Baseline 4, 1920x1080, 25 per second"),
    ] {
        assert_eq!(described(sps).to_string(), words);
    }
    assert_eq!(described(BT601).matrix, 5);
    assert_eq!(described(PLAIN).matrix, UNSPECIFIED);
    assert!(described(MBAFF).mbaff && !described(FAKE_INTERLACED).mbaff);
}

#[test]
fn what_cannot_be_decoded_is_said_with_what_to_do() {
    for (sps, words) in [
        (TEN, "10-bit H.264 (High 10); 8 bits"),
        (I444, "4:4:4 H.264 (High 4:4:4 Predictive); 4:2:0 is needed"),
        (I422, "4:2:2 H.264 (High 4:2:2)"),
        (MBAFF, "interlaced H.264 (High, MBAFF)"),
        (BIG, "pictures of 4096x4096; up to 4096x2304"),
    ] {
        let limits = described(sps).limits().expect("a limit");
        assert!(limits.starts_with("the source sends ") && limits.contains(words), "{limits}");
        assert!(limits.contains(": "), "what to do: {limits}");
    }
    for sps in [PLAIN, FULL, PAL, GREY, BT601, BASELINE] {
        assert_eq!(described(sps).limits(), None);
    }
    assert_eq!(described(PLAIN).oddities(), None);
    assert_eq!(described(GREY).oddities().as_deref(), Some("monochrome"));
}

#[derive(Default)]
struct Writer(Vec<bool>);

impl Writer {
    fn fixed(&mut self, bits: u32, value: u64) -> &mut Self {
        self.0.extend((0..bits).rev().map(|bit| value >> bit & 1 == 1));
        self
    }
    fn unsigned(&mut self, value: u32) -> &mut Self {
        let value = u64::from(value) + 1;
        let length = u64::BITS - value.leading_zeros();
        self.fixed(length - 1, 0).fixed(length, value)
    }
    fn nal(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| (0..8).fold(0, |byte, n| byte << 1 | u8::from(bits.get(n) == Some(&true)));
        let bytes: Vec<u8> = [&self.0[..], &[true]].concat().chunks(8).map(byte).collect();
        super::super::bits::nal(0x67, &bytes)
    }
}

/// A Baseline set with so many macroblocks and this cropping.
fn baseline(width: u32, height: u32, crop: Option<[u32; 4]>) -> Vec<u8> {
    let mut bits = Writer::default();
    bits.fixed(24, 0x42_00_1e).unsigned(0).unsigned(0).unsigned(2).unsigned(1).fixed(1, 0);
    bits.unsigned(width - 1).unsigned(height - 1).fixed(2, 0b11).fixed(1, u64::from(crop.is_some()));
    crop.into_iter().flatten().for_each(|side| {
        bits.unsigned(side);
    });
    bits.fixed(1, 0).nal()
}

#[test]
fn sizes_beyond_measure_and_without_measure() {
    let large = describe(&baseline(1024, 1024, None)).unwrap();
    assert_eq!((large.width, large.height), (16_384, 16_384));
    assert!(large.limits().unwrap().contains("16384x16384"));
    assert_eq!(describe(&baseline(60_000, 60_000, None)), None);
    let cropped = describe(&baseline(2, 2, Some([1, 2, 3, 4]))).unwrap();
    assert_eq!((cropped.width, cropped.height, cropped.offset), (26, 18, (2, 6)));
    assert_eq!(describe(&baseline(1, 1, Some([4, 4, 0, 0]))), None, "nothing is shown");
    assert_eq!(describe(&baseline(1, 1, Some([u32::MAX - 1; 4]))), None);
    assert_eq!(describe(&[]), None);
    assert_eq!(describe(&[0x67]), None);
    assert_eq!(describe(&[0x68, 0x42, 0, 30]), None, "a PPS");
}

#[test]
fn a_damaged_vui_costs_the_vui() {
    let mut sps = hex(PAL);
    sps.truncate(12);
    let cut = describe(&sps).expect("its size");
    assert_eq!((cut.width, cut.height, cut.fps), (720, 576, None));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        for first in [0x67, 0x27] {
            if let Some(description) = describe(&[&[first][..], &bytes].concat()) {
                let _ = (description.to_string(), description.limits(), description.oddities());
                prop_assert!(description.width > 0 && description.height > 0);
            }
        }
    }

    #[test]
    fn flipped_bits_make_other_pictures_or_none(flips in prop::collection::vec(0_usize..200, 1..5)) {
        for sps in [PLAIN, MBAFF, FULL, I444, PAL, GREY] {
            let mut sps = hex(sps);
            for flip in &flips {
                let at = flip / 8 % (sps.len() - 1) + 1;
                sps[at] ^= 1 << (flip % 8);
            }
            if let Some(description) = describe(&sps) {
                let _ = (description.to_string(), description.limits());
            }
        }
    }
}
