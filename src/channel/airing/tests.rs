//! The airing on a clock that is moved by hand.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use amphi_media::{CodedCell, SampleEntry, TrackCell};

const GRID: Grid = Grid::new(2000);
const FIRST: CellIndex = CellIndex(900_000_000);
const FPS: u32 = 15;
const RATE: u32 = 48_000;
const SLOTS: usize = 30;
/// Batches of a simulated cell.
const BATCHES: usize = 10;

fn options() -> AiringOptions {
    AiringOptions {
        grid: GRID,
        fps: vec![FPS, FPS],
        sample_rate: RATE,
        patience: Duration::from_millis(500),
        deadline: Duration::from_secs(1),
        hold: Duration::from_secs(4),
    }
}

fn airing() -> Airing {
    Airing::new(options(), FIRST)
}

/// Milliseconds after the start of the first cell.
fn at(ms: i64) -> MediaTime {
    GRID.start(FIRST).offset_nanos(ms * 1_000_000)
}

fn track(start: i64, count: usize, duration: u32, sync: bool) -> TrackCell {
    let samples = (0..count).map(|n| SampleEntry { size: 0, duration, sync: sync || n == 0 }).collect();
    TrackCell { start, data: Bytes::new(), samples }
}

fn cell(k: CellIndex) -> CodedCell {
    let duration = VIDEO_TIMESCALE.0 / FPS;
    let picture = track(GRID.first_slot(k, FPS).0 * i64::from(duration), SLOTS, duration, false);
    let frames = GRID.audio_frames(k, RATE);
    let sound = track(frames.start * 1024, (frames.end - frames.start) as usize, AAC_FRAME_SAMPLES, true);
    CodedCell { k, video: vec![picture.clone(), picture], audio: sound }
}

/// Batch `n` of a cell's [`BATCHES`]: the second rung is a picture behind the first, and the sound is cut elsewhere.
fn part(k: CellIndex, n: usize) -> Arc<CellBatch> {
    let whole = cell(k);
    let cut = |n: usize, of: usize| if n == BATCHES { of } else { n * of / BATCHES };
    let behind = |n: usize| if n == 0 || n == BATCHES { cut(n, SLOTS) } else { cut(n, SLOTS) - 1 };
    let sounds = whole.audio.samples.len();
    let runs = Runs {
        video: vec![cut(n, SLOTS)..cut(n + 1, SLOTS), behind(n)..behind(n + 1)],
        audio: cut(n, sounds)..cut(n + 1, sounds),
    };
    Arc::new(CellBatch { samples: whole.run(&runs), first: n == 0 })
}

fn steps(airing: &mut Airing, now: MediaTime) -> Vec<AiringStep> {
    std::iter::from_fn(|| airing.poll(now)).collect()
}

fn deliver(airing: &mut Airing, source: &str, k: i64, parts: std::ops::Range<usize>) {
    for n in parts {
        airing.batch(&Arc::from(source), part(CellIndex(FIRST.0 + k), n));
    }
}

fn kinds(steps: &[AiringStep]) -> Vec<(i64, char)> {
    let kind = |step: &AiringStep| match step.what {
        SampleOrigin::Live(_) => 'l',
        SampleOrigin::Waiting(_) => 'w',
        SampleOrigin::Frozen { .. } => 'h',
    };
    let mut kinds: Vec<_> = steps.iter().map(|step| (step.k.0 - FIRST.0, kind(step))).collect();
    kinds.dedup();
    kinds
}

#[test]
fn an_idle_channel_airs_samples_when_their_time_has_come() {
    let mut airing = airing();
    assert!(airing.poll(at(-1)).is_none());
    assert_eq!(airing.wake_at(), at(0));
    let first = airing.poll(at(0)).expect("the first picture");
    assert!(first.begins && !first.joins);
    let SampleOrigin::Waiting(runs) = first.what else { panic!("waiting") };
    assert_eq!(runs.video, [0..1, 0..1]);
    assert!(airing.poll(at(66)).is_none_or(|step| !step.begins));
    let mut pictures = 1;
    let mut now = at(66);
    while now < at(2000) {
        now = airing.wake_at();
        for step in steps(&mut airing, now) {
            let SampleOrigin::Waiting(runs) = step.what else { panic!("waiting") };
            pictures += runs.video[0].len();
        }
    }
    assert_eq!(pictures, SLOTS + 1, "the next cell begins as this one ends");
}

#[test]
fn a_cell_goes_live_at_its_start_once_the_one_before_came_whole() {
    let mut airing = airing();
    airing.connect(Some("a"));
    deliver(&mut airing, "a", 0, 0..5);
    assert_eq!(
        kinds(&steps(&mut airing, at(1000))),
        [(0, 'w')],
        "the first cell could not be known to be good"
    );
    deliver(&mut airing, "a", 0, 5..BATCHES);
    assert_eq!(kinds(&steps(&mut airing, at(2100))), [(0, 'w')], "the second one is awaited");
    deliver(&mut airing, "a", 1, 0..1);
    let live = steps(&mut airing, at(2100));
    assert_eq!(kinds(&live), [(1, 'l')]);
    assert!(live[0].begins && live[0].joins);
    for n in 1..BATCHES {
        deliver(&mut airing, "a", 1, n..n + 1);
        let live = steps(&mut airing, at(2100 + 200 * n as i64));
        assert!(live.len() == 1 && !live[0].begins && !live[0].joins, "a batch goes on as it comes");
    }
    deliver(&mut airing, "a", 2, 0..1);
    let live = steps(&mut airing, at(4100));
    assert!(live[0].begins && !live[0].joins && live.len() == 1);
}

fn on_air_in_cell_1() -> Airing {
    let mut airing = airing();
    airing.connect(Some("a"));
    deliver(&mut airing, "a", 0, 0..BATCHES);
    steps(&mut airing, at(2010));
    deliver(&mut airing, "a", 1, 0..3);
    assert_eq!(kinds(&steps(&mut airing, at(2600))), [(1, 'l')]);
    airing
}

#[test]
fn a_ladder_that_ends_in_mid_cell_leaves_a_held_cell_and_the_source_is_damped() {
    let mut airing = on_air_in_cell_1();
    airing.gone("a");
    let held = steps(&mut airing, at(3000));
    assert_eq!(kinds(&held), [(1, 'h')]);
    let SampleOrigin::Frozen { runs, since_sync } = &held[0].what else { panic!("held") };
    assert_eq!(runs.video, [9..16, 8..16], "until now, by the clock");
    assert_eq!(since_sync, &[8, 7]);
    assert_eq!(kinds(&steps(&mut airing, at(4000))), [(1, 'h'), (2, 'w')]);
    for k in 2..5 {
        deliver(&mut airing, "a", k, 0..BATCHES);
    }
    assert_eq!(
        kinds(&steps(&mut airing, at(8000))),
        [(2, 'w'), (3, 'w'), (4, 'l')],
        "lost in 2, held for 4 s"
    );
}

#[test]
fn a_ladder_that_is_stuck_costs_a_held_cell() {
    let mut airing = on_air_in_cell_1();
    assert!(airing.poll(at(4999)).is_none(), "it finishes what it has begun");
    assert_eq!(airing.wake_at(), at(5000));
    assert_eq!(kinds(&steps(&mut airing, at(5000))), [(1, 'h'), (2, 'w')]);
    deliver(&mut airing, "a", 1, 3..BATCHES);
    assert_eq!(kinds(&steps(&mut airing, at(5100))), [(2, 'w')], "too late");
}

#[test]
fn a_hole_is_held_over_and_what_comes_after_it_is_not_shown() {
    let mut airing = on_air_in_cell_1();
    deliver(&mut airing, "a", 1, 4..BATCHES);
    assert_eq!(kinds(&steps(&mut airing, at(3900))), [(1, 'h')]);
    assert_eq!(kinds(&steps(&mut airing, at(4000))), [(1, 'h'), (2, 'w')]);
}

#[test]
fn a_switch_in_mid_cell_lets_the_cell_go_on() {
    let mut airing = on_air_in_cell_1();
    airing.connect(Some("b"));
    deliver(&mut airing, "b", 1, 0..BATCHES);
    deliver(&mut airing, "b", 2, 0..1);
    deliver(&mut airing, "a", 1, 3..BATCHES);
    let steps = steps(&mut airing, at(4010));
    assert_eq!(kinds(&steps), [(1, 'l'), (2, 'l')]);
    assert!(steps.last().is_some_and(|step| step.joins && step.begins), "from one source to the other");
}

#[derive(Clone, Debug)]
enum Event {
    Connect(Option<&'static str>),
    Deliver(&'static str, usize),
    Lose(&'static str),
    Jump(&'static str),
    Gone(&'static str),
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let name = || prop::sample::select(vec!["a", "b"]);
    prop_oneof![
        1 => prop::option::of(name()).prop_map(Event::Connect),
        8 => (name(), 1..15_usize).prop_map(|(name, count)| Event::Deliver(name, count)),
        1 => name().prop_map(Event::Lose),
        1 => name().prop_map(Event::Jump),
        1 => name().prop_map(Event::Gone),
        6 => (0..2500_i64).prop_map(Event::Wait),
        4 => (0..200_i64).prop_map(Event::Wait),
        1 => Just(Event::Wait(30_000)),
    ]
}

/// Checks that what is aired is one stream without gaps.
struct Listener {
    /// The next sample of each track, counted from the epoch; `None` before the first.
    next: Option<[i64; 3]>,
    k: CellIndex,
    live: bool,
    ended: bool,
}

impl Listener {
    fn hear(&mut self, step: &AiringStep) {
        let k = step.k;
        assert!(step.begins == self.ended, "a cell begins where one has ended, and only there");
        if step.begins {
            assert!(self.next.is_none() || k > self.k);
            if k != self.k.next() || self.next.is_none() {
                // Cells were left out: a gap, never a step back.
                let first = GRID.first_slot(k, FPS).0;
                self.next = Some([first, first, GRID.first_audio_frame(k, RATE)]);
            }
            (self.k, self.live) = (k, matches!(step.what, SampleOrigin::Live(_)));
        }
        assert_eq!(k, self.k);
        let first = [GRID.first_slot(k, FPS).0, GRID.first_slot(k, FPS).0, GRID.first_audio_frame(k, RATE)];
        let runs = match &step.what {
            SampleOrigin::Live(batch) => {
                assert!(self.live, "what is waiting stays waiting");
                assert_eq!(batch.samples.k, k);
                let [one, two] = [0, 1].map(|rung| &batch.samples.video[rung]);
                let ticks = i64::from(VIDEO_TIMESCALE.0 / FPS);
                let place = |track: &TrackCell, ticks: i64, next: i64| {
                    let start = if track.samples.is_empty() { next } else { track.start / ticks };
                    start..start + track.samples.len() as i64
                };
                let next = self.next.expect("begun");
                [
                    place(one, ticks, next[0]),
                    place(two, ticks, next[1]),
                    place(&batch.samples.audio, 1024, next[2]),
                ]
            }
            SampleOrigin::Waiting(runs) => {
                assert!(!self.live, "what was begun live is never finished with the waiting loop");
                absolute(runs, first)
            }
            SampleOrigin::Frozen { runs, .. } => {
                assert!(self.live);
                absolute(runs, first)
            }
        };
        let next = self.next.as_mut().expect("begun");
        assert!(runs.iter().any(|run| !run.is_empty()), "a step has something to say");
        for (next, run) in next.iter_mut().zip(&runs) {
            assert_eq!(run.start, *next, "no sample twice, none left out");
            *next = run.end;
        }
        let end = k.next();
        self.ended = *next
            == [GRID.first_slot(end, FPS).0, GRID.first_slot(end, FPS).0, GRID.first_audio_frame(end, RATE)];
    }
}

fn absolute(runs: &Runs, first: [i64; 3]) -> [std::ops::Range<i64>; 3] {
    let [one, two, sound] = [&runs.video[0], &runs.video[1], &runs.audio];
    let at = |run: &std::ops::Range<usize>, first: i64| first + run.start as i64..first + run.end as i64;
    [at(one, first[0]), at(two, first[1]), at(sound, first[2])]
}

proptest! {
    #[test]
    fn one_stream_without_gap_or_step_back_whatever_happens(events in prop::collection::vec(event(), 0..250)) {
        let mut airing = airing();
        let mut listener = Listener { next: None, k: FIRST.previous(), live: false, ended: true };
        let mut now = 0;
        let mut scripts = [("a", FIRST, 0), ("b", FIRST, 0)];
        for event in events {
            match event {
                Event::Connect(name) => airing.connect(name),
                Event::Deliver(name, count) => {
                    let script = scripts.iter_mut().find(|script| script.0 == name).expect("known");
                    for _ in 0..count {
                        // A ladder is never ahead of its time.
                        if GRID.start(script.1) > at(now) { break; }
                        airing.batch(&Arc::from(name), part(script.1, script.2));
                        script.2 += 1;
                        if script.2 == BATCHES { (script.1, script.2) = (script.1.next(), 0); }
                    }
                }
                Event::Lose(name) => {
                    let script = scripts.iter_mut().find(|script| script.0 == name).expect("known");
                    script.2 = (script.2 + 1) % BATCHES;
                }
                Event::Jump(name) => {
                    let script = scripts.iter_mut().find(|script| script.0 == name).expect("known");
                    (script.1, script.2) = (GRID.cell_at(at(now)).next(), 0);
                }
                Event::Gone(name) => airing.gone(name),
                Event::Wait(ms) => now += ms,
            }
            while let Some(step) = airing.poll(at(now)) {
                listener.hear(&step);
            }
            prop_assert!(airing.wake_at() > at(now), "nothing more is due now");
            let behind = GRID.cell_at(at(now)).0 - listener.k.0;
            prop_assert!(listener.next.is_none() || behind <= 2, "never more than a cell and a deadline behind");
        }
    }
}
