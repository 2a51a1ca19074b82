//! Where frames stand: jitter, skew, holes, jumps, changes of format, bounds.

use proptest::prelude::*;

use super::*;

const LC_48: AudioFormat = STEREO_48.format;
const MONO_44: AudioFormat = AudioFormat { sample_rate: 44_100, channels: 1 };

/// A unit of 48 kHz stereo at `pts` whose bytes are its number: the pass-through does not look inside.
fn numbered(number: usize, pts: MediaTime) -> SourceFrame {
    let data = Bytes::copy_from_slice(&(number as u32).to_be_bytes());
    SourceFrame { pts, ..unit(LC_48, pts, 0, &data) }
}

fn number(frame: &Bytes) -> Option<usize> {
    Some(u32::from_be_bytes(frame[..].try_into().ok()?) as usize)
}

/// Nanoseconds from the start to unit `i` of a stream whose clock is slow by `ppm`.
fn due(i: usize, sample_rate: u32, ppm: f64) -> f64 {
    (i * FRAME) as f64 / f64::from(sample_rate) * 1e9 * (1.0 + ppm / 1e6)
}

fn assert_whole(cell: &TrackCell, range: &Range<i64>) {
    assert_eq!(cell.start, range.start * 1024);
    assert_eq!(cell.samples.len() as i64, range.end - range.start);
    assert!(cell.samples.iter().all(|sample| sample.duration == 1024 && sample.sync && sample.size > 0));
    assert_eq!(cell.samples.iter().map(|sample| sample.size as usize).sum::<usize>(), cell.data.len());
}

/// Passes `count` numbered units with jitter and skew, taking cells as they are complete. Returns the
/// greatest distance of a unit from its true time, in frames, after the first second.
fn pass_through(count: usize, ppm: f64, seed: u64) -> (f64, AudioCounts) {
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format").blind();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut taken = None;
    let (mut worst, mut before) = (0.0_f64, None);
    for i in 0..count {
        let jitter = (random.f64() - 0.5) * 40e6;
        let pts = MediaTime::from_nanos(NOON + (due(i, 48_000, ppm) + jitter) as i64);
        lane.push(&numbered(i, pts)).expect("a good unit");
        let covered = lane.covered_until().expect("a unit was pushed");
        let start = *taken.get_or_insert(covered - 1);
        if covered - start < 94 {
            continue;
        }
        let cell = lane.take(start..covered);
        assert_whole(&cell, &(start..covered));
        taken = Some(covered);
        for (n, frame) in (start..).zip(cell.sample_bytes()) {
            let Some(i) = number(&frame) else { continue };
            assert!(before <= Some(i), "unit {i} comes after {before:?}");
            before = Some(i);
            let lattice = MediaTime::from_ticks(n * 1024, Timescale(48_000)).as_nanos() - NOON;
            let error = (due(i, 48_000, ppm) - lattice as f64) / due(1, 48_000, 0.0);
            if i > 47 {
                worst = worst.max(error.abs());
            }
        }
    }
    (worst, lane.counts())
}

#[test]
fn a_day_of_skew_never_moves_sound_by_more_than_a_frame_and_a_half() {
    let (worst, counts) = pass_through(24 * 3600 * 47, 200.0, 4);
    assert!(worst < 1.5, "{worst} frames");
    // 200 ppm over a day are 17.3 s: 810 frames.
    assert!(counts.repeated.abs_diff(counts.dropped).abs_diff(810) < 30, "{counts:?}");
    assert_eq!((counts.silent, counts.late, counts.anchored), (0, 0, 1));
}

#[test]
fn jitter_and_skew_are_followed_by_repeating_and_dropping() {
    for (ppm, seed) in [(300.0, 1), (-300.0, 2), (0.0, 3)] {
        let (worst, counts) = pass_through(5 * 60 * 47, ppm, seed);
        assert!(worst < 1.5, "{ppm} ppm: {worst} frames");
        // 300 ppm over five minutes are 90 ms: four frames.
        assert!(counts.repeated <= 5 && counts.dropped <= 5, "{ppm} ppm: {counts:?}");
        assert_eq!((counts.silent, counts.late, counts.anchored), (0, 0, 1));
    }
}

#[test]
fn a_transcoded_stream_follows_jitter_and_skew_within_ten_milliseconds() {
    for (ppm, seed) in [(300.0, 4), (-300.0, 5)] {
        // A click every second, each at its true time.
        let units = coded(MONO_44, 90 * 44, |i| if i % 44_100 < 200 { 0.9 } else { 0.0 });
        let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
        let mut random = fastrand::Rng::with_seed(seed);
        let start = MediaTime::from_nanos(NOON);
        let first = frame_at(start, 48_000);
        let mut frames = Vec::new();
        for (i, data) in units.iter().enumerate() {
            let jitter = (random.f64() - 0.5) * 40e6;
            let pts = start.offset_nanos((due(i, 44_100, ppm) + jitter) as i64);
            lane.push(&SourceFrame { pts, ..unit(MONO_44, start, i, data) }).expect("a good unit");
            let from = first + frames.len() as i64;
            let until = lane.covered_until().expect("a unit was pushed").max(from);
            let cell = lane.take(from..until);
            assert_whole(&cell, &(from..until));
            frames.extend(cell.sample_bytes());
        }
        let samples = decoded(LC_48, &frames);
        let begin = MediaTime::from_ticks(first * 1024, Timescale(48_000)).nanos_since(start) as f64 / 1e9;
        for second in 15..85 {
            let due = (f64::from(second) + 100.0 / 44_100.0) * (1.0 + ppm / 1e6) - begin;
            let from = ((due - 0.1) * 48_000.0) as usize;
            let window = &samples[from..from + 9600];
            let energy: f64 = window.iter().map(|s| s * s).sum();
            let moment: f64 = window.iter().enumerate().map(|(i, s)| i as f64 * s * s).sum();
            let error = (from as f64 + moment / energy) / 48_000.0 - due;
            assert!(error.abs() < 0.010, "{ppm} ppm, second {second}: {error} s");
        }
        assert_eq!(lane.counts().silent, 0);
    }
}

#[test]
fn lost_units_leave_their_places() {
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format").blind();
    let start =
        MediaTime::from_ticks(frame_at(MediaTime::from_nanos(NOON), 48_000) * 1024, Timescale(48_000));
    let first = frame_at(start, 48_000);
    let lost = |i| (200..210).contains(&i) || i == 250;
    for i in (0..300).filter(|&i| !lost(i)) {
        lane.push(&numbered(i, start.offset_nanos(due(i, 48_000, 0.0) as i64))).expect("a good unit");
    }
    let silence = silence(STEREO_48).expect("a usual format");
    assert_eq!(lane.covered_until(), Some(first + 300));
    for (i, frame) in lane.take(first..first + 300).sample_bytes().enumerate() {
        match i {
            200..210 => assert_eq!(frame, silence),
            250 => assert_eq!(number(&frame), Some(249), "one lost unit is replaced by the one before"),
            _ => assert_eq!(number(&frame), Some(i)),
        }
    }
    assert_eq!((lane.counts().silent, lane.counts().repeated), (10, 1));
}

#[test]
fn units_sent_twice_are_dropped() {
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format").blind();
    let start = MediaTime::from_nanos(NOON);
    let first = frame_at(start, 48_000);
    let order = (0..200).chain(180..300);
    for i in order {
        lane.push(&numbered(i, start.offset_nanos(due(i, 48_000, 0.0) as i64))).expect("a good unit");
    }
    assert_eq!(lane.counts().dropped, 20);
    let frames: Vec<_> = lane.take(first..first + 310).sample_bytes().filter_map(|f| number(&f)).collect();
    assert_eq!(frames, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_jump_begins_anew_at_the_right_place_both_ways() {
    for format in [LC_48, MONO_44] {
        let units = coded(format, 50, tone(440.0, format.sample_rate));
        let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
        let noon = MediaTime::from_nanos(NOON);
        for (part, at_s) in [0, 20, 5].into_iter().enumerate() {
            let start = noon.offset_nanos(at_s * 1_000_000_000);
            for (i, data) in units.iter().enumerate() {
                lane.push(&unit(format, start, i, data)).expect("a good unit");
            }
            assert_eq!(lane.counts().anchored, part as u64 + 1);
            let end = start.offset_nanos(due(50, format.sample_rate, 0.0) as i64);
            let behind = frame_at(end, 48_000) - lane.covered_until().expect("units were pushed");
            assert!((-1..=4).contains(&behind), "{format:?}: {behind} frames behind");
        }
        // The part at 20 s was dropped by the step back; those at 0 s and 5 s are here.
        let frames = frame_at(noon, 48_000)..frame_at(noon.offset_nanos(25_000_000_000), 48_000);
        let cell = lane.take(frames.clone());
        assert_whole(&cell, &frames);
        let loud: Vec<_> = decoded(LC_48, &cell.sample_bytes().collect::<Vec<_>>())
            .chunks(48_000)
            .map(|second| amplitude(second, 440.0, 48_000) > 0.1)
            .collect();
        assert_eq!(
            loud.iter().filter(|&&loud| loud).count(),
            2 + usize::from(loud[1]) + usize::from(loud[6])
        );
        assert!(loud[0] && loud[5] && !loud[3] && !loud[20], "{format:?}: {loud:?}");
    }
}

#[test]
fn a_change_of_format_keeps_the_lattice() {
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
    let start = MediaTime::from_nanos(NOON);
    let first = frame_at(start, 48_000) + 1;
    let mut at = start;
    for format in [LC_48, MONO_44, LC_48, AudioFormat { sample_rate: 32_000, channels: 2 }, MONO_44] {
        for (i, data) in coded(format, 60, tone(440.0, format.sample_rate)).iter().enumerate() {
            lane.push(&unit(format, at, i, data)).expect("a good unit");
        }
        at = at.offset_nanos(due(60, format.sample_rate, 0.0) as i64);
    }
    let end = lane.covered_until().expect("units were pushed");
    let cell = lane.take(first..end);
    assert_whole(&cell, &(first..end));
    assert_eq!(lane.counts().anchored, 5);
    assert_eq!(lane.counts().silent, 0, "{:?}", lane.counts());
    let samples = decoded(LC_48, &cell.sample_bytes().collect::<Vec<_>>());
    let quiet = samples.chunks(FRAME).filter(|frame| amplitude(frame, 440.0, 48_000) < 0.2).count();
    assert!(quiet <= 8, "{quiet} of {} frames are broken by four changes", samples.len() / FRAME);
}

#[test]
fn unusable_sound_is_an_error_and_silence_until_it_changes() {
    let mut slow = AudioSpecificConfig::lc(LC_48);
    slow.sample_rate = 4000;
    let units = coded(LC_48, 4, tone(440.0, 48_000));
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
    let start =
        MediaTime::from_ticks(frame_at(MediaTime::from_nanos(NOON), 48_000) * 1024, Timescale(48_000));
    let bad = SourceFrame { format: Arc::new(TrackFormat::Aac(slow)), ..unit(LC_48, start, 0, &units[0]) };
    for _ in 0..2 {
        assert!(matches!(lane.push(&bad), Err(AudioError::Source { .. })));
    }
    assert_eq!((lane.counts().undecodable, lane.covered_until()), (2, None));
    assert_eq!(lane.push(&unit(LC_48, start, 0, &units[0])), Ok(()));
    assert!(lane.level().is_some());
    let first = frame_at(start, 48_000);
    assert_eq!(lane.covered_until(), Some(first + 1));
    for (i, size) in [(1, 0), (2, 1537)] {
        let bad = unit(LC_48, start, i, &Bytes::from(vec![0x21; size]));
        assert_eq!(lane.push(&bad), Err(AudioError::Size { pts: bad.pts, size }));
        assert_eq!(lane.level(), None);
    }
    assert_eq!(lane.push(&unit(LC_48, start, 3, &units[3])), Ok(()));
    let silence = silence(STEREO_48).expect("a usual format");
    let frames: Vec<_> = lane.take(first..first + 4).sample_bytes().collect();
    assert_eq!(frames, [units[0].clone(), silence.clone(), silence, units[3].clone()]);
}

#[test]
fn a_damaged_unit_is_silence_and_its_neighbours_pass() {
    let units = coded(STEREO_48.format, 300, |i| tone(440.0, 48_000)(i) + 0.2 * tone(3000.0, 48_000)(i));
    let mono = coded(MONO_44, 4, tone(440.0, 44_100));
    let mut random = fastrand::Rng::with_seed(8);
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
    let start =
        MediaTime::from_ticks(frame_at(MediaTime::from_nanos(NOON), 48_000) * 1024, Timescale(48_000));
    let first = frame_at(start, 48_000);
    for (i, good) in units.iter().enumerate() {
        let data: Bytes = match i % 30 {
            5 => vec![0xff; good.len()].into(),
            8 => good.slice(..good.len() / 2),
            9 => (0..good.len()).map(|_| random.u8(..)).collect(),
            12 => mono[3].clone(),
            15 => [good, &[0; 40][..]].concat().into(),
            _ => good.clone(),
        };
        assert_eq!(lane.push(&unit(STEREO_48.format, start, i, &data)).is_ok(), data == *good, "unit {i}");
    }
    let silence = silence(STEREO_48).expect("a usual format");
    let frames: Vec<_> = lane.take(first..first + 300).sample_bytes().collect();
    for (i, frame) in frames.iter().enumerate() {
        let meant = if matches!(i % 30, 5 | 8 | 9 | 12 | 15) { &silence } else { &units[i] };
        assert_eq!(frame, meant, "frame {i}");
    }
    assert_eq!((lane.counts().undecodable, lane.counts().repeated, lane.counts().anchored), (50, 0, 1));
    // A strict decoder decodes all of it.
    assert_eq!(decoded(STEREO_48.format, &frames).len(), 300 * FRAME);
}

#[test]
fn a_target_that_cannot_be_encoded_is_refused() {
    assert!(matches!(
        AudioLane::new(track(48_000, 6, 96_000)),
        Err(AudioError::Coding(CodingError::Target { .. }))
    ));
    assert!(matches!(
        AudioLane::new(track(47_999, 2, 96_000)),
        Err(AudioError::Coding(CodingError::Target { .. }))
    ));
}

#[test]
fn a_reader_that_never_takes_costs_ten_seconds_at_most() {
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format").blind();
    let start = MediaTime::from_nanos(NOON);
    for i in 0..1000 {
        lane.push(&numbered(i, start.offset_nanos(due(i, 48_000, 0.0) as i64))).expect("a good unit");
    }
    assert_eq!(lane.counts().overflowed, 1000 - 470);
    let end = lane.covered_until().expect("units were pushed");
    let kept: Vec<_> = lane.take(end - 1000..end).sample_bytes().filter_map(|frame| number(&frame)).collect();
    assert_eq!(kept, (530..1000).collect::<Vec<_>>());
}

#[test]
fn what_was_taken_never_comes_again() {
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format").blind();
    let start = MediaTime::from_nanos(NOON);
    let first = frame_at(start, 48_000);
    lane.take(first..first + 100);
    for i in 0..150 {
        lane.push(&numbered(i, start.offset_nanos(due(i, 48_000, 0.0) as i64))).expect("a good unit");
    }
    let again = lane.take(first..first + 100);
    assert!(again.sample_bytes().all(|frame| number(&frame).is_none()));
    assert!(lane.counts().late >= 99);
    assert_eq!(lane.take(first + 101..first + 149).sample_bytes().filter_map(|f| number(&f)).count(), 48);
}

/// One thing that may happen to a lane.
#[derive(Clone, Debug)]
enum Event {
    /// Units of the format with this index, with jitter in nanoseconds.
    Units { format: usize, count: usize, jitter: i64 },
    /// The time stamps go on elsewhere.
    Move { nanos: i64 },
    /// Bytes that are not AAC.
    Garbage { format: usize, bytes: Vec<u8> },
    /// A unit with one byte changed.
    Broken { format: usize, at: usize, xor: u8 },
    /// A cell is due.
    Take { frames: i64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3_usize, 1..60_usize, 0..20_000_000_i64)
            .prop_map(|(format, count, jitter)| Event::Units { format, count, jitter }),
        2 => (-3_000_000_000..3_000_000_000_i64).prop_map(|nanos| Event::Move { nanos }),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>()].prop_map(|nanos| Event::Move { nanos }),
        2 => (0..3_usize, prop::collection::vec(any::<u8>(), 0..1600))
            .prop_map(|(format, bytes)| Event::Garbage { format, bytes }),
        4 => (0..3_usize, any::<usize>(), 1..=255_u8)
            .prop_map(|(format, at, xor)| Event::Broken { format, at, xor }),
        4 => (0..200_i64).prop_map(|frames| Event::Take { frames }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cells_are_whole_whatever_the_source_does(events in prop::collection::vec(event(), 1..40)) {
        const FORMATS: [AudioFormat; 3] =
            [LC_48, MONO_44, AudioFormat { sample_rate: 24_000, channels: 2 }];
        let units = FORMATS.map(|format| coded(format, 4, tone(700.0, format.sample_rate)));
        let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
        let mut now = MediaTime::from_nanos(NOON);
        let mut next = frame_at(now, 48_000);
        for event in events {
            match event {
                Event::Units { format, count, jitter } => for i in 0..count {
                    let signed = if i % 2 == 0 { jitter } else { -jitter };
                    let frame = unit(FORMATS[format], now.offset_nanos(signed), 0, &units[format][i % 4]);
                    prop_assert_eq!(lane.push(&frame), Ok(()));
                    now = now.offset_nanos(due(1, FORMATS[format].sample_rate, 0.0) as i64);
                },
                Event::Move { nanos } => now = now.offset_nanos(nanos),
                Event::Garbage { format, bytes } => {
                    let _ = lane.push(&unit(FORMATS[format], now, 0, &Bytes::from(bytes)));
                }
                Event::Broken { format, at, xor } => {
                    let mut bytes = units[format][at % 4].to_vec();
                    let at = at % bytes.len();
                    bytes[at] ^= xor;
                    let _ = lane.push(&unit(FORMATS[format], now, 0, &Bytes::from(bytes)));
                }
                Event::Take { frames } => {
                    let range = next..next + frames;
                    assert_whole(&lane.take(range.clone()), &range);
                    next = range.end;
                }
            }
            prop_assert!(lane.history.len() <= 470);
        }
    }
}
