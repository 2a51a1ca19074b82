//! AudioSpecificConfigs of every kind, and a ladder's sound with access units in the format they describe.

#![no_main]

use std::sync::Arc;

use amphi_ladder::audio::AudioLane;
use amphi_media::{
    AudioFormat, AudioSpecificConfig, AudioTrack, Bits, G711Law, MediaTime, SourceFrame, TrackFormat,
};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const TARGET: AudioTrack =
    AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 };

fn format(kind: u8, config: &[u8]) -> Option<TrackFormat> {
    let channels = kind >> 6;
    // As descriptions say them.
    let rates = [8000, 44_100, 96_000, 7350, 1, u32::MAX, 11_025, 16_000];
    let sample_rate = rates[usize::from(kind >> 2 & 7)];
    let law = if kind & 0x20 == 0 { G711Law::Mu } else { G711Law::A };
    Some(match kind & 3 {
        0 => TrackFormat::Mp3 { sample_rate, channels },
        1 => TrackFormat::G711 { law, sample_rate, channels },
        _ => {
            // As LATM brings it, and as a description does.
            let config = match kind & 1 {
                1 => AudioSpecificConfig::read_unbounded(&mut Bits::new(config)).ok()?,
                _ => AudioSpecificConfig::parse(config).ok()?,
            };
            assert!(!config.name().is_empty());
            assert_eq!(AudioSpecificConfig::parse(&config.to_bytes()), Ok(config));
            TrackFormat::Aac(config)
        }
    })
}

fuzz_target!(|data: &[u8]| {
    let [kind, length, rest @ ..] = data else { return };
    let (config, mut rest) = rest.split_at(usize::from(length & 63).min(rest.len()));
    let Some(format) = format(*kind, config).map(Arc::new) else { return };
    let Ok(mut lane) = AudioLane::new(TARGET) else { return };
    let (mut pts, mut next) = (MediaTime::from_millis(1_795_000_000_000), None);
    while let [step, high, low, tail @ ..] = rest {
        let length = usize::from(*high & 15) << 8 | usize::from(*low);
        let (unit, after) = tail.split_at(length.min(tail.len()));
        pts = pts.offset_nanos(i64::from(*step as i8) * 4_000_000);
        let data = Bytes::copy_from_slice(unit);
        let _ = lane.push(&SourceFrame { pts, data, sync: true, format: Arc::clone(&format) });
        if let Some(covered) = lane.covered_until() {
            let from = (*next.get_or_insert(covered)).min(covered).max(covered - 100);
            let cell = lane.take(from..covered);
            assert_eq!(cell.samples.len() as i64, covered - from);
            next = Some(covered);
        }
        rest = after;
    }
});
