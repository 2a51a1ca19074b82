//! `[[ladder]]` and its rungs: what the encoders accept, and what fits the grid.

use super::super::{Audio, Config, Ladder, Rung, Segment};
use super::names::{Names, subject};
use super::{Checker, Place};

/// Sampling rates of AAC-LC that our encoder takes (ISO/IEC 14496-3 §1.6.3.4).
const AAC_RATES: [u32; 12] =
    [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000];

/// ISO/IEC 14496-3 §4.5.3.2: at most 6144 bits for a frame of 1024 samples and a channel.
const AAC_BITS_PER_SAMPLE: u64 = 6;

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    let mut names = Names::of("ladder");
    for (index, ladder) in config.ladders.iter().enumerate() {
        let table = Place::top("ladder").item(index);
        names.check(checker, &table.key("name"), &ladder.name);
        let subject = subject("ladder", &ladder.name, index);
        audio(checker, &table.key("audio"), &subject, &ladder.audio);
        rungs(checker, &table, &subject, ladder, &config.segment);
        let known = !checker.document.is_nameless("channel") && !checker.document.is_nameless("ladder");
        if known && !config.channels.iter().any(|channel| channel.ladder == ladder.name) {
            checker.warning(&table.key("name"), format!("{subject} is not used by any channel"));
        }
    }
}

fn audio(checker: &mut Checker<'_>, table: &Place, subject: &str, audio: &Audio) {
    let Audio { bitrate, sample_rate, channels } = *audio;
    if !AAC_RATES.contains(&sample_rate) {
        let rates = AAC_RATES.map(|rate| rate.to_string()).join(", ");
        let message = format!("{subject}: sample_rate: AAC has no rate of {sample_rate}; it has {rates}");
        checker.fault(&table.key("sample_rate"), message);
    }
    if !(1..=2).contains(&channels) {
        checker.fault(&table.key("channels"), format!("{subject}: channels: {channels} is not 1 or 2"));
    }
    let most = AAC_BITS_PER_SAMPLE * u64::from(sample_rate) * u64::from(channels);
    if bitrate == 0 {
        checker.fault(&table.key("bitrate"), format!("{subject}: audio bitrate must be above 0"));
    } else if u64::from(bitrate) > most && most > 0 {
        let message = format!(
            "{subject}: audio bitrate: {bitrate} bit/s is above {most}, the most that AAC-LC allows for \
             {channels} channel(s) at {sample_rate} Hz"
        );
        checker.fault(&table.key("bitrate"), message);
    }
}

fn rungs(checker: &mut Checker<'_>, table: &Place, ladder: &str, config: &Ladder, segment: &Segment) {
    if config.rungs.is_empty() {
        checker.fault(&table.key("rung"), format!("{ladder} has no rung"));
    }
    let mut names = Names::of("rung");
    for (index, rung) in config.rungs.iter().enumerate() {
        let place = table.key("rung").item(index);
        names.check(checker, &place.key("name"), &rung.name);
        let subject = format!("{ladder}: {}", subject("rung", &rung.name, index));
        if rung.audio_only {
            audio_rung(checker, &place, &subject, rung);
        } else {
            picture_rung(checker, &place, &subject, rung, segment);
        }
    }
}

fn audio_rung(checker: &mut Checker<'_>, place: &Place, subject: &str, rung: &Rung) {
    for (key, value) in
        [("width", rung.width), ("height", rung.height), ("fps", rung.fps), ("bitrate", rung.bitrate)]
    {
        if value != 0 {
            let message = format!("{subject}: {key} is for video, and an audio_only rung has none");
            checker.fault(&place.key(key), message);
        }
    }
}

fn picture_rung(checker: &mut Checker<'_>, place: &Place, subject: &str, rung: &Rung, segment: &Segment) {
    let missing: Vec<_> =
        [("width", rung.width), ("height", rung.height), ("fps", rung.fps), ("bitrate", rung.bitrate)]
            .into_iter()
            .filter(|&(_, value)| value == 0)
            .map(|(key, _)| key)
            .collect();
    // Where `audio_only` is misspelt, an audio-only rung may be meant.
    let certain = !checker.document.is_spoiled(&place.key("audio_only"));
    if let Some(first) = missing.first().filter(|_| certain) {
        let missing = missing.join(", ");
        let message = format!("{subject} needs {missing} above 0 (or audio_only = true)");
        checker.fault(&place.key(first), message);
    }
    for (key, value, most) in [("width", rung.width, 3840), ("height", rung.height, 2160)] {
        if value != 0 && (!(16..=most).contains(&value) || value % 2 != 0) {
            let message = format!("{subject}: {key}: {value} is not an even number from 16 to {most}");
            checker.fault(&place.key(key), message);
        }
    }
    if rung.fps != 0 {
        frame_rate(checker, &place.key("fps"), subject, rung.fps, segment.duration_ms);
    }
}

fn frame_rate(checker: &mut Checker<'_>, place: &Place, subject: &str, fps: u32, duration_ms: u32) {
    if 90_000 % fps != 0 {
        let message = format!(
            "{subject}: fps: a picture at {fps} pictures/s does not last a whole number of ticks of 90 kHz"
        );
        checker.fault(place, message);
    }
    if u64::from(duration_ms) * u64::from(fps) % 1000 != 0 {
        let message = format!(
            "{subject}: fps: {fps} pictures/s do not fill a segment of {duration_ms} ms with a whole number of \
             pictures"
        );
        checker.fault(place, message);
    }
    if fps > 120 {
        checker.fault(place, format!("{subject}: fps: {fps} is above 120"));
    }
}
