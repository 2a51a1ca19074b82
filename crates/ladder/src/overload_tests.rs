//! A machine that cannot follow: the clock runs faster than it can code.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::pressure::MOST;
use super::*;
use amphi_container::clip::{Clip, ClipTrack};
use amphi_media::clock::Clock;
use amphi_media::feed::FeedWriter;
use amphi_media::{AudioFormat, AudioTrack, Grid, MediaTime, PictureSize, SourceFrame};

/// A clock that runs so many times as fast as real time.
#[derive(Debug)]
struct FastClock(Mutex<(Instant, MediaTime, u32)>);

impl FastClock {
    fn at(now: MediaTime) -> Self {
        Self(Mutex::new((Instant::now(), now, 1)))
    }

    fn set_speed(&self, speed: u32) {
        let now = self.now();
        *self.0.lock().expect("nobody panics") = (Instant::now(), now, speed);
    }
}

impl Clock for FastClock {
    fn now(&self) -> MediaTime {
        let (since, then, speed) = *self.0.lock().expect("nobody panics");
        then + since.elapsed() * speed
    }
}

fn spec() -> LadderSpec {
    let rung = |name: &str, width, height, bitrate_bps| PictureRung {
        name: name.to_owned(),
        size: PictureSize { width, height },
        fps: 15,
        bitrate_bps,
    };
    LadderSpec {
        name: "lecture".to_owned(),
        grid: Grid::new(2000),
        decoder: DecoderChoice::default(),
        patience: Duration::from_millis(500),
        pictures: vec![rung("720p", 1280, 720, 750_000), rung("480p", 854, 480, 400_000)],
        audio_only: Vec::new(),
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    }
}

/// Sends the clip again and again, each frame when it is due by `clock`.
fn send(clip: &Clip, feed: &FeedWriter, clock: &FastClock, end: &AtomicBool) {
    let begun = clock.now();
    let mut tracks: Vec<(&ClipTrack, usize, i64)> =
        clip.video.iter().chain(&clip.audio).map(|it| (it, 0, 0)).collect();
    while !end.load(Ordering::Relaxed) {
        for (track, index, ticks) in &mut tracks {
            let due = begun.offset_nanos(MediaTime::from_ticks(*ticks, track.timescale).as_nanos());
            if due > clock.now() {
                continue;
            }
            let sample = &track.samples[*index];
            let (data, format) = (sample.data.clone(), Arc::clone(&track.format));
            feed.publish(&SourceFrame { pts: due, data, sync: sample.sync, format });
            *index = (*index + 1) % track.samples.len();
            *ticks += i64::from(sample.duration);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "wants both cores for half a minute: tests/run"]
fn the_last_rung_gives_way_and_comes_back_and_cells_go_on() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/hall_a.mp4");
    let clip = Clip::parse(&std::fs::read(path).expect("a fixture").into()).expect("sound");
    let clock = Arc::new(FastClock::at(MediaTime::from_millis(1_795_000_000_000)));
    let (feed, end, spec) = (FeedWriter::default(), AtomicBool::new(false), spec());
    let tracks = spec.tracks().expect("usual rungs");
    let shared: Arc<dyn Clock> = Arc::<FastClock>::clone(&clock);
    let ladder =
        LiveLadder::start("hall", &spec, &tracks, feed.subscribe(), shared, |_| {}).expect("a ladder");
    let meter = Arc::clone(ladder.meter());
    let levels = || [0, 1].map(|index| meter.rungs[index].thinning.get());
    std::thread::scope(|scope| {
        scope.spawn(|| send(&clip, &feed, &clock, &end));
        eventually("cells", || meter.cells.get() > 1);
        assert_eq!(levels(), [0, 0]);
        // Faster and faster, until it is too fast for this machine.
        let mut speed = 2;
        while levels() == [0, 0] && speed < 200 {
            speed += speed / 2;
            clock.set_speed(speed);
            for _ in 0..50 {
                std::thread::sleep(Duration::from_millis(20));
                let [first, last] = levels();
                assert!(first == 0 || last == u64::from(MOST), "the last one first: {first}, {last}");
            }
        }
        println!("too fast at {speed} times real time: {:?}", levels());
        assert_ne!(levels()[1], 0);
        // Slow enough again.
        clock.set_speed((speed / 8).max(1));
        let cells = meter.cells.get();
        eventually("all is coded again", || levels() == [0, 0]);
        eventually("cells go on", || meter.cells.get() > cells + 3);
        assert_eq!((meter.audio_errors.get(), ladder.has_ended()), (0, false), "sound is not concerned");
        end.store(true, Ordering::Relaxed);
    });
    drop(feed);
    ladder.join();
}

#[test]
fn a_ladder_whose_parameter_sets_differ_from_the_waiting_loops_does_not_start() {
    let spec = spec();
    let mut other = spec.clone();
    other.pictures[1].size = PictureSize { width: 640, height: 360 };
    let tracks = other.tracks().expect("usual rungs");
    let clock: Arc<dyn Clock> = Arc::new(FastClock::at(MediaTime::from_millis(0)));
    let feed = FeedWriter::default();
    let refused =
        LiveLadder::start("hall", &spec, &tracks, feed.subscribe(), clock, |_| {}).expect_err("it is loud");
    let said = "rung 480p: the live encoder's parameter sets differ from the waiting loop's";
    assert_eq!(refused.to_string(), said);
}
