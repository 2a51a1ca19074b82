//! Every kind of sound that sources send: heard in the right place, at the right level, in the right channel.

use std::io::Write as _;
use std::process::{Command, Stdio};

use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, EncoderParams, Transport};

use super::*;
use amphi_media::{G711Law, Mp3Header};

/// A tone of a channel of `tones_51.adts` is 0.4 of full scale.
const TONE: f64 = 0.4;

/// A stream in one piece: its format, its units, samples per channel in each unit, and their rate.
struct Stream {
    format: TrackFormat,
    units: Vec<Bytes>,
    samples: usize,
    rate: u32,
}

impl Stream {
    fn frame(&self, start: MediaTime, i: usize, format: &Arc<TrackFormat>) -> SourceFrame {
        let late = MediaTime::from_ticks((i * self.samples) as i64, Timescale(self.rate)).as_nanos();
        let data = self.units[i].clone();
        SourceFrame { pts: start.offset_nanos(late), data, sync: true, format: Arc::clone(format) }
    }

    /// Pushes all of it, as heard from `start` on.
    fn push(&self, lane: &mut AudioLane, start: MediaTime) {
        let format = Arc::new(self.format.clone());
        for i in 0..self.units.len() {
            lane.push(&self.frame(start, i, &format)).expect("a good unit");
        }
    }

    /// What comes out of a lane from noon on, left and right.
    fn through_a_lane(&self) -> [Vec<f64>; 2] {
        let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
        let first = frame_at(MediaTime::from_nanos(NOON), 48_000);
        let start = MediaTime::from_ticks(first * 1024, Timescale(48_000));
        self.push(&mut lane, start);
        let end = lane.covered_until().expect("units were pushed");
        let frames: Vec<_> = lane.take(first..end).sample_bytes().collect();
        let pcm = heard(&TrackFormat::Aac(AudioSpecificConfig::lc(STEREO_48.format)), 2, &frames);
        [0, 1].map(|channel| pcm.iter().skip(channel).step_by(2).map(|&sample| f64::from(sample)).collect())
    }
}

/// HE-AAC of `sound`, a function of the sample number, at 48 kHz: with the encoder's delay in samples.
fn he(
    kind: AudioObjectType,
    channels: u8,
    transport: Transport,
    sound: impl Fn(usize) -> f64,
) -> (Stream, usize) {
    let encoder = fdk_aac::enc::Encoder::new(EncoderParams {
        bit_rate: BitRate::Cbr(32_000 * u32::from(channels)),
        sample_rate: 48_000,
        transport,
        channels: if channels == 1 { ChannelMode::Mono } else { ChannelMode::Stereo },
        audio_object_type: kind,
    })
    .expect("a usual format");
    let info = encoder.info().expect("an encoder");
    let config =
        AudioSpecificConfig::parse(&info.confBuf[..info.confSize as usize]).expect("its own configuration");
    let (mut units, mut out) = (Vec::new(), vec![0; 8192]);
    for block in 0..60 {
        let samples = (0..2048).flat_map(|i| {
            let sample = (sound(block * 2048 + i) * 32_000.0) as i16;
            std::iter::repeat_n(sample, usize::from(channels))
        });
        let samples: Vec<i16> = samples.collect();
        let mut rest = &samples[..];
        while !rest.is_empty() {
            let done = encoder.encode(rest, &mut out).expect("good samples");
            rest = &rest[done.input_consumed..];
            if done.output_size > 0 {
                units.push(Bytes::copy_from_slice(&out[..done.output_size]));
            }
        }
    }
    (Stream { format: TrackFormat::Aac(config), units, samples: 2048, rate: 48_000 }, info.nDelay as usize)
}

fn fixture(name: &str) -> Bytes {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/sound/");
    std::fs::read(format!("{path}{name}")).expect("a fixture").into()
}

fn mp3(name: &str) -> Stream {
    let mut rest = fixture(name);
    let Mp3Header { sample_rate, channels, samples, .. } = Mp3Header::read(&rest).expect("MP3");
    let mut units = Vec::new();
    while let Some(header) = Mp3Header::read(&rest) {
        units.push(rest.split_to(header.size.min(rest.len())));
    }
    let format = TrackFormat::Mp3 { sample_rate, channels };
    Stream { format, units, samples: samples as usize, rate: sample_rate }
}

/// AAC in ADTS (ISO/IEC 14496-3 §1.A.2.2.1), with headers without CRC.
fn adts(name: &str) -> Stream {
    let mut rest = fixture(name);
    let (mut units, mut config) = (Vec::new(), 0);
    while let &[0xff, _, third, fourth, fifth, sixth, ..] = &rest[..] {
        config = (u16::from((third >> 6) + 1) << 11)
            | (u16::from((third >> 2) & 15) << 7)
            | (u16::from(((third & 1) << 2) | (fourth >> 6)) << 3);
        let size = (usize::from(fourth & 3) << 11) | (usize::from(fifth) << 3) | usize::from(sixth >> 5);
        units.push(rest.split_to(size).split_off(7));
    }
    let config = AudioSpecificConfig::parse(&config.to_be_bytes()).expect("a good header");
    Stream { format: TrackFormat::Aac(config), units, samples: 1024, rate: config.sample_rate }
}

fn g711(law: G711Law, sound: impl Fn(usize) -> f64) -> Stream {
    let value = |byte: u8| {
        let mut decoder = AudioDecoder::new(&TrackFormat::G711 { law, sample_rate: 8000, channels: 1 })
            .expect("a usual format");
        decoder.decode(&[byte]).expect("a byte");
        f64::from(decoder.pcm()[0])
    };
    let values: Vec<f64> = (0..=255).map(value).collect();
    let nearest = |sample: f64| {
        let distance = |&byte: &u8| ((values[usize::from(byte)] - sample).abs() * 1e6) as i64;
        (0..=255).min_by_key(distance).unwrap_or(0)
    };
    let unit = |unit: usize| (0..160).map(|i| nearest(sound(unit * 160 + i))).collect();
    let format = TrackFormat::G711 { law, sample_rate: 8000, channels: 1 };
    Stream { format, units: (0..100).map(unit).collect(), samples: 160, rate: 8000 }
}

fn centre(samples: &[f64], rate: u32) -> f64 {
    let energy: f64 = samples.iter().map(|sample| sample * sample).sum();
    let moment: f64 = samples.iter().enumerate().map(|(i, sample)| i as f64 * sample * sample).sum();
    moment / energy / f64::from(rate)
}

/// 50 ms of a tone, 1 s from the beginning.
fn beep(rate: u32) -> impl Fn(usize) -> f64 {
    let tone = tone(1000.0, rate);
    let (from, to) = (rate as usize, rate as usize * 21 / 20);
    move |i| if (from..to).contains(&i) { tone(i) } else { 0.0 }
}

#[test]
fn he_aac_of_both_versions_is_heard_with_its_treble() {
    for (kind, channels) in [
        (AudioObjectType::Mpeg4HeAac, 1),
        (AudioObjectType::Mpeg4HeAac, 2),
        (AudioObjectType::Mpeg4HeAacV2, 2),
    ] {
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Vec<f64> = (0..130_000).map(|_| random.f64() - 0.5).collect();
        let (stream, _) =
            he(kind, channels, Transport::Raw, |i| 0.5 * tone(1000.0, 48_000)(i) + 0.5 * noise[i]);
        for channel in stream.through_a_lane() {
            let samples = &channel[24_000..72_000];
            let level = amplitude(samples, 1000.0, 48_000);
            assert!((level / 0.244 - 1.0).abs() < 0.15, "{kind:?}, {channels} channels: {level}");
            // The core has half the rate, and so nothing above 12 kHz.
            let treble: f64 =
                (122..140).map(|hundred| amplitude(samples, f64::from(hundred) * 100.0, 48_000)).sum();
            println!("{kind:?}, {channels} channels: treble {treble}");
            assert!(treble > 0.002, "{kind:?}, {channels} channels: {treble}");
        }
    }
}

#[test]
fn a_beep_in_he_aac_is_heard_when_players_hear_it() {
    for (kind, channels) in [
        (AudioObjectType::Mpeg4HeAac, 1),
        (AudioObjectType::Mpeg4HeAac, 2),
        (AudioObjectType::Mpeg4HeAacV2, 2),
    ] {
        let (stream, delay) = he(kind, channels, Transport::Raw, beep(48_000));
        let heard = centre(&stream.through_a_lane()[0], 48_000);
        // Unit i of the encoder is heard `delay` samples later than it was spoken, by a decoder that keeps nothing back.
        let error = heard - (1.025 + delay as f64 / 48_000.0);
        println!("{kind:?}, {channels} channels, delay {delay}: {error}");
        assert!(error.abs() < 0.005, "{kind:?}, {channels} channels, delay {delay}: {error} s");
    }
}

#[test]
fn sbr_that_nobody_signals_is_found() {
    let (stream, _) = he(AudioObjectType::Mpeg4HeAac, 2, Transport::Raw, tone(1000.0, 48_000));
    let core = AudioSpecificConfig::lc(AudioFormat { sample_rate: 24_000, channels: 2 });
    let stream = Stream { format: TrackFormat::Aac(core), ..stream };
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
    let (start, format) = (MediaTime::from_nanos(NOON), Arc::new(stream.format.clone()));
    let faults = (0..60).filter(|&i| lane.push(&stream.frame(start, i, &format)).is_err()).count();
    assert!(faults < 5, "{faults}");
    let first = frame_at(start, 48_000) + 30;
    let samples = decoded(STEREO_48.format, &lane.take(first..first + 60).sample_bytes().collect::<Vec<_>>());
    let level = amplitude(&samples[4800..52_800], 1000.0, 48_000);
    assert!((level / 0.488 - 1.0).abs() < 0.1, "{level}");
}

#[test]
fn five_channels_are_mixed_to_two_and_the_sixth_is_left_out() {
    let stream = adts("tones_51.adts");
    assert_eq!(stream.format.describe(), "AAC-LC, 48 kHz, 5.1");
    let [left, right] = stream.through_a_lane();
    let level = |samples: &[f64], hertz: f64| amplitude(&samples[4800..19_200], hertz, 48_000) / TONE;
    // Against what the channels themselves have in ffmpeg's decoder. Surround and front alike are scaled a little.
    let (a, b) = (level(&left, 400.0) / 1.086, level(&right, 600.0) / 0.978);
    println!("front {a} {b}");
    assert!((a / b - 1.0).abs() < 0.05 && (0.3..=1.0).contains(&a), "{a} {b}");
    for (side, own, other, surround) in [(&left, 1000.0, 1400.0, 1.111), (&right, 1400.0, 1000.0, 1.042)] {
        for (hertz, itself) in [(800.0, 1.063), (own, surround)] {
            let part = level(side, hertz) / itself / a;
            assert!((part / 0.707 - 1.0).abs() < 0.08, "{hertz} Hz: {part}");
        }
        assert!(
            level(side, other) < 0.02 && level(side, 60.0) < 0.02,
            "{} {}",
            level(side, other),
            level(side, 60.0)
        );
    }
    assert!(level(&left, 600.0) < 0.02 && level(&right, 400.0) < 0.02);
}

#[test]
fn a_beep_in_mp3_is_heard_when_players_hear_it() {
    // Where ffmpeg 5.1 hears it: at 0.325 s, and 1105 samples of the encoder.
    for (name, at, loudness) in [("beep_44100.mp3", 0.3500, 0.337), ("beep_24000.mp3", 0.3710, 0.5)] {
        for channel in mp3(name).through_a_lane() {
            let error = centre(&channel, 48_000) - at;
            println!("{name}: {error}");
            assert!(error.abs() < 0.003, "{name}: {error} s");
            let loud = &channel[(at * 48_000.0) as usize - 720..][..1440];
            let level = amplitude(loud, 1000.0, 48_000);
            assert!((level / loudness - 1.0).abs() < 0.1, "{name}: {level}");
        }
    }
}

#[test]
fn a_beep_in_g711_is_heard_when_it_was_made() {
    for law in [G711Law::Mu, G711Law::A] {
        let stream = g711(law, beep(8000));
        for channel in stream.through_a_lane() {
            let error = centre(&channel, 48_000) - 1.025;
            assert!(error.abs() < 0.002, "{law:?}: {error} s");
            let level = amplitude(&channel[48_480..50_400], 1000.0, 48_000);
            assert!((level / 0.5 - 1.0).abs() < 0.05, "{law:?}: {level}");
        }
    }
}

#[test]
fn kinds_may_change_from_one_unit_to_the_next() {
    let lc = Stream {
        format: TrackFormat::Aac(AudioSpecificConfig::lc(STEREO_48.format)),
        units: coded(STEREO_48.format, 60, tone(440.0, 48_000)),
        samples: 1024,
        rate: 48_000,
    };
    let he = he(AudioObjectType::Mpeg4HeAac, 2, Transport::Raw, tone(440.0, 48_000)).0;
    let streams = [&lc, &he, &mp3("beep_44100.mp3"), &g711(G711Law::A, tone(440.0, 8000)), &lc];
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
    let mut at = MediaTime::from_nanos(NOON);
    let first = frame_at(at, 48_000) + 1;
    for stream in streams {
        stream.push(&mut lane, at);
        let samples = (stream.units.len() * stream.samples) as i64;
        at = at.offset_nanos(MediaTime::from_ticks(samples, Timescale(stream.rate)).as_nanos());
    }
    let end = lane.covered_until().expect("units were pushed");
    let frames: Vec<_> = lane.take(first..end).sample_bytes().collect();
    assert_eq!(decoded(STEREO_48.format, &frames).len(), frames.len() * FRAME);
    assert_eq!((lane.counts().anchored, lane.counts().undecodable), (5, 0));
    // A decoder's and the resampler's ends: a frame or three for each change.
    assert!(lane.counts().silent <= 12, "{:?}", lane.counts());
    assert!((frame_at(at, 48_000) - end).abs() <= 2);
}

/// Units of AAC-LC in ADTS.
fn with_headers(units: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::new();
    for unit in units {
        let size = unit.len() + 7;
        out.extend([
            0xff,
            0xf1,
            0x4c,
            0x80 | (size >> 11) as u8,
            (size >> 3) as u8,
            ((size & 7) << 5) as u8 | 0x1f,
            0xfc,
        ]);
        out.extend_from_slice(unit);
    }
    out
}

/// What ffmpeg says of a stream, and what it decodes it to: 48 kHz, one channel.
fn ffmpeg(input: &[u8], form: &str) -> (String, Vec<f64>) {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-f", form, "-i", "-", "-f", "s16le", "-ac", "1", "-ar", "48000", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg");
    let (mut stdin, input) = (child.stdin.take().expect("a pipe"), input.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("ffmpeg ends");
    let _ = writer.join();
    let samples = output.stdout.as_chunks::<2>().0.iter();
    let samples = samples.map(|&bytes| f64::from(i16::from_le_bytes(bytes)) / 32_768.0).collect();
    (String::from_utf8_lossy(&output.stderr).into_owned(), samples)
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn ffmpeg_hears_a_beep_in_he_aac_when_we_do() {
    for (kind, channels) in [(AudioObjectType::Mpeg4HeAac, 1), (AudioObjectType::Mpeg4HeAac, 2)] {
        let (stream, _) = he(kind, channels, Transport::Raw, beep(48_000));
        let (adts, _) = he(kind, channels, Transport::Adts, beep(48_000));
        let ours = centre(&stream.through_a_lane()[0], 48_000);
        let (said, samples) = ffmpeg(&adts.units.concat(), "aac");
        let theirs = centre(&samples, 48_000);
        println!("{kind:?}, {channels} channels: ours {ours}, theirs {theirs}");
        assert_eq!(said, "");
        assert!((ours - theirs).abs() < 0.005, "{kind:?}, {channels} channels: {ours} {theirs}");
    }
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn what_passes_the_check_is_decoded_by_ffmpeg() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut noise = fastrand::Rng::with_seed(12);
    let noise: Vec<f64> = (0..300_000).map(|_| noise.f64() - 0.5).collect();
    let good = coded(STEREO_48.format, 200, |i| {
        let beat = if i % 9000 < 400 { 1.0 } else { 0.1 };
        beat * noise[i] + 0.4 * tone(440.0, 48_000)(i)
    });
    let config = AudioSpecificConfig::lc(STEREO_48.format);
    let mut decoder = AudioDecoder::new(&TrackFormat::Aac(config)).expect("AAC-LC");
    let mut witness = super::super::witness::Witness::new(config);
    let (mut passed, mut tried) = (Vec::new(), 0);
    while tried < 20_000 {
        let whole = &good[random.usize(..good.len())];
        let mut unit = whole.to_vec();
        for _ in 0..random.usize(1..8) {
            let bit = random.usize(..unit.len() * 8);
            unit[bit / 8] ^= 0x80 >> (bit % 8);
        }
        tried += 1;
        if unit[..] != whole[..] && decoder.decode(&unit).is_ok() && witness.objects(&unit).is_none() {
            passed.push(Bytes::from(unit));
        }
        decoder.decode(whole).expect("a good unit");
        assert_eq!(witness.objects(whole), None);
    }
    let mixed: Vec<Bytes> = passed.iter().flat_map(|unit| [good[7].clone(), unit.clone()]).collect();
    let (said, samples) = ffmpeg(&with_headers(&mixed), "aac");
    let refused = said.lines().filter(|line| line.contains("Error while decoding")).count();
    println!(
        "of {tried} damaged units {} pass, ffmpeg refuses {refused} of them, and decodes {} samples\n{}",
        passed.len(),
        samples.len(),
        said.lines().take(60).collect::<Vec<_>>().join("\n")
    );
    assert_eq!(refused, 0);
}
