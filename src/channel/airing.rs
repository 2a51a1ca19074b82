//! The airing: a channel's samples for players that do not wait for whole cells (sans-IO).
//!
//! The splicer decides about cell *k* when it has ended. Players of RTMP would be a cell late with that, so for
//! them the same question is asked at the cell's start, and answered once:
//!
//! * cell *k* is **live** if the connected source's cell *k - 1* came whole and in order, the beginning of *k* is there
//!   within `patience` of the cell's start, and the source was not lost less than `hold` ago. Its batches go on as
//!   they come.
//! * Otherwise it is a **waiting** cell, whose samples go out when their time has come.
//!
//! What was begun is finished: if batches cease to come, have a hole, or the ladder ends, the rest of the cell is **frozen**
//! (the picture stands, sound is silent), sample by sample by the clock, and all at once if the cell is not whole
//! `deadline` after its end. The ladder itself holds the picture of a source that fails; this is for a ladder
//! that fails, or is stopped because the channel was switched in mid-cell.
//!
//! Contract. Tell it what happens: [`Airing::connect`], [`Airing::batch`] for each batch of the connected source, and of the
//! one on air before it until it has gone, [`Airing::gone`] when a ladder has ended. Call [`Airing::poll`] until it
//! returns `None`, then again at [`Airing::wake_at`] or after the next event. The steps it gives make up, for each track,
//! every sample of every cell exactly once and in order. If the caller is late by more than four cells, those are left
//! out. It may differ from the splicer by one cell when a source comes back, since it cannot know a cell's end at its
//! start.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use amphi_media::{
    AAC_FRAME_SAMPLES, CellBatch, CellIndex, Grid, MediaTime, Runs, Slot, Timescale, VIDEO_TIMESCALE,
};

/// By how many cells the caller may be late before cells are left out.
const SLEPT_OVER: i64 = 4;
/// Batches that may wait for their cell: some seconds' worth. Beyond that the oldest is dropped.
const PENDING_LIMIT: usize = 256;

/// Fixed properties of a channel.
#[derive(Clone, Debug)]
pub struct AiringOptions {
    /// The grid of cells.
    pub grid: Grid,
    /// Pictures per second of each picture rung.
    pub fps: Vec<u32>,
    /// Sound samples per second.
    pub sample_rate: u32,
    /// How long after a cell's start its live beginning may come.
    pub patience: Duration,
    /// How long after its end a live cell may be unfinished.
    pub deadline: Duration,
    /// Least time from the loss of a source to its return.
    pub hold: Duration,
}

/// What goes out next.
#[derive(Clone, Debug)]
pub struct AiringStep {
    /// The cell that the samples are of.
    pub k: CellIndex,
    /// The samples, and where they come from.
    pub what: SampleOrigin,
    /// The cell begins with it: the first picture of every rung is an IDR picture.
    pub begins: bool,
    /// Its sound is the first after sound of another origin.
    pub joins: bool,
}

/// Where samples come from.
#[derive(Clone, Debug)]
pub enum SampleOrigin {
    /// The connected source.
    Live(Arc<CellBatch>),
    /// The waiting cell: these of its samples.
    Waiting(Runs),
    /// The last picture again, and silence.
    Frozen {
        /// In the places of these samples.
        runs: Runs,
        /// Pictures since the last IDR picture, for each picture rung.
        since_sync: Vec<usize>,
    },
}

/// Decides what RTMP players of one channel get, sample by sample; the contract is in the module's text.
#[derive(Debug)]
pub struct Airing {
    options: AiringOptions,
    connected: Option<String>,
    /// The open cell, or the one to be begun next.
    k: CellIndex,
    open: Option<Open>,
    aired: Progress,
    since_sync: Vec<usize>,
    pending: VecDeque<(Arc<str>, Arc<CellBatch>)>,
    /// The connected source's newest cell, as far as it came in order.
    arriving: Option<(CellIndex, Progress)>,
    /// The connected source's last whole cells, from the first to the last without one missing.
    whole: Option<(CellIndex, CellIndex)>,
    /// The source that filled the cell before; `None` = the waiting loop.
    before: Option<String>,
    /// The first cell in which the connected source was missed.
    lost_at: Option<CellIndex>,
}

/// What fills the open cell.
#[derive(Debug)]
enum Open {
    Live(OpenSource),
    Waiting,
}

#[derive(Debug)]
struct OpenSource {
    source: String,
    /// Its ladder has ended: what has come of it is all there is.
    gone: bool,
    /// A batch is missing: the rest of the cell is frozen.
    broken: bool,
}

/// How many samples of each track of a cell there are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Progress {
    video: Vec<usize>,
    audio: usize,
}

impl Airing {
    /// A channel whose first cell is `first`, with nothing connected.
    pub fn new(options: AiringOptions, first: CellIndex) -> Self {
        let rungs = options.fps.len();
        Self {
            options,
            connected: None,
            k: first,
            open: None,
            aired: Progress::none(rungs),
            since_sync: vec![0; rungs],
            pending: VecDeque::new(),
            arriving: None,
            whole: None,
            before: None,
            lost_at: None,
        }
    }

    /// Connects a source, or none. A live cell that was begun goes on.
    pub fn connect(&mut self, source: Option<&str>) {
        if self.connected.as_deref() != source {
            self.connected = source.map(str::to_owned);
            (self.arriving, self.whole) = (None, None);
            // Damping is for sources that flap, not for operators who switch.
            self.lost_at = None;
            let on_air = self.on_air().map(str::to_owned);
            self.pending.retain(|(source, _)| Some(&**source) == on_air.as_deref());
        }
    }

    /// The source whose live cell is open.
    pub fn on_air(&self) -> Option<&str> {
        match &self.open {
            Some(Open::Live(on_air)) => Some(&on_air.source),
            _ => None,
        }
    }

    /// Some samples of `source`, in order.
    pub fn batch(&mut self, source: &Arc<str>, batch: Arc<CellBatch>) {
        let connected = self.connected.as_deref() == Some(source);
        if connected {
            self.arrived(&batch);
        }
        if connected || self.on_air() == Some(source) {
            self.pending.push_back((Arc::clone(source), batch));
            if self.pending.len() > PENDING_LIMIT {
                self.pending.pop_front();
            }
        }
    }

    /// The ladder of `source` has ended: no batch will follow those that came.
    pub fn gone(&mut self, source: &str) {
        if self.connected.as_deref() == Some(source) {
            (self.arriving, self.whole) = (None, None);
        }
        if let Some(Open::Live(on_air)) = &mut self.open {
            on_air.gone |= on_air.source == source;
        }
    }

    /// What goes out now, if anything is due.
    pub fn poll(&mut self, now: MediaTime) -> Option<AiringStep> {
        let current = self.options.grid.cell_at(now);
        loop {
            if self.open.is_some() && self.aired == self.options.whole(self.k) {
                self.close();
            }
            if self.open.is_none() && current.0 - self.k.0 > SLEPT_OVER {
                (self.k, self.before) = (current, None);
            }
            if self.open.is_none() && !self.begin(now) {
                return None;
            }
            let step = match self.open {
                Some(Open::Live(_)) => self.live(now),
                _ => self.waiting(now),
            };
            if step.is_some() || self.aired != self.options.whole(self.k) {
                return step;
            }
        }
    }

    /// When the next step is due at the latest.
    pub fn wake_at(&self) -> MediaTime {
        let grid = self.options.grid;
        match &self.open {
            None if self.hopes() => grid.start(self.k) + self.options.patience,
            None => grid.start(self.k),
            Some(Open::Live(OpenSource { broken: false, .. })) => grid.end(self.k) + self.options.deadline,
            // By the slots of the first rung; what sound is left after the last one goes out with the next cell.
            Some(_) => match (self.aired.video.first(), self.options.fps.first()) {
                (Some(&aired), Some(&fps)) if aired < grid.slots_per_cell(fps) as usize => {
                    Slot(grid.first_slot(self.k, fps).0 + aired as i64).time(fps)
                }
                (Some(_), _) => grid.end(self.k),
                (None, _) => self.options.audio_time(self.k, self.aired.audio).min(grid.end(self.k)),
            },
        }
    }

    /// Notes what came of the connected source, and whether it is a whole cell.
    fn arrived(&mut self, batch: &CellBatch) {
        let k = batch.samples.k;
        if batch.first {
            self.arriving = Some((k, Progress::none(self.options.fps.len())));
        }
        let Some((arriving, progress)) = &mut self.arriving else { return };
        if *arriving != k || !progress.take(&self.options, batch) {
            self.arriving = None;
        } else if *progress == self.options.whole(k) {
            let from = self.whole.filter(|(_, last)| last.next() == k).map_or(k, |(from, _)| from);
            self.whole = Some((from, k));
        }
    }

    /// Whether the connected source was lost too recently to return to it.
    fn is_damped(&self) -> bool {
        let grid = self.options.grid;
        let returns = self.before.is_none() || self.before != self.connected;
        let lost = self.lost_at.is_some_and(|lost| grid.start(self.k) < grid.start(lost) + self.options.hold);
        returns && lost
    }

    /// Whether the live beginning of the next cell may yet come.
    fn hopes(&self) -> bool {
        let before = self.k.previous();
        let arriving = self.arriving.as_ref().is_some_and(|(k, _)| *k == before);
        self.connected.is_some() && !self.is_damped() && (arriving || self.was_whole(before))
    }

    /// Whether cell `k` of the connected source came whole and in order.
    fn was_whole(&self, k: CellIndex) -> bool {
        self.whole.is_some_and(|(from, to)| (from..=to).contains(&k))
    }

    /// Opens the next cell, once it is known whether it is live or waiting.
    fn begin(&mut self, now: MediaTime) -> bool {
        let k = self.k;
        self.pending.retain(|(_, batch)| batch.samples.k >= k);
        let beginning = self.pending.iter().any(|(source, batch)| {
            batch.samples.k == k && batch.first && self.connected.as_deref() == Some(source)
        });
        let open = if beginning && self.was_whole(k.previous()) && !self.is_damped() {
            let source = self.connected.clone().unwrap_or_default();
            Open::Live(OpenSource { source, gone: false, broken: false })
        } else {
            let start = self.options.grid.start(k);
            if now < start || self.hopes() && now < start + self.options.patience {
                return false;
            }
            if self.before.is_some() {
                self.lost_at = (self.before == self.connected).then_some(k);
            }
            Open::Waiting
        };
        self.open = Some(open);
        true
    }

    fn close(&mut self) {
        self.before = self.on_air().map(str::to_owned);
        self.open = None;
        self.aired = Progress::none(self.options.fps.len());
        self.k = self.k.next();
    }

    fn waiting(&mut self, now: MediaTime) -> Option<AiringStep> {
        let runs = self.due(now);
        self.step(&runs.clone(), SampleOrigin::Waiting(runs))
    }

    fn live(&mut self, now: MediaTime) -> Option<AiringStep> {
        let Some(Open::Live(OpenSource { source, gone, broken })) = &mut self.open else { return None };
        let mut later = false;
        while let Some(at) = self.pending.iter().position(|(from, _)| **from == **source) {
            later = self.pending.get(at).is_some_and(|(_, batch)| batch.samples.k > self.k);
            if later {
                break;
            }
            let Some((_, batch)) = self.pending.remove(at) else { break };
            if *broken || batch.samples.k < self.k {
                continue;
            }
            let (begins, silent) = (self.aired.is_none(), self.aired.audio == 0);
            if !self.aired.take(&self.options, &batch) {
                *broken = true;
                continue;
            }
            let joins = silent && self.aired.audio > 0 && self.before.as_ref() != Some(source);
            for (since, track) in self.since_sync.iter_mut().zip(&batch.samples.video) {
                *since = track
                    .samples
                    .iter()
                    .fold(*since, |since, sample| if sample.sync { 0 } else { since + 1 });
            }
            return Some(AiringStep { k: self.k, what: SampleOrigin::Live(batch), begins, joins });
        }
        // Its ladder has given the cell up, or ended, or is stuck.
        let late = now >= self.options.grid.end(self.k) + self.options.deadline;
        *broken |= late || later || *gone;
        if !*broken {
            return None;
        }
        let runs = if late || later { self.rest() } else { self.due(now) };
        let since_sync = self.since_sync.clone();
        for (since, run) in self.since_sync.iter_mut().zip(&runs.video) {
            *since += run.len();
        }
        self.step(&runs.clone(), SampleOrigin::Frozen { runs, since_sync })
    }

    /// Samples of the open cell whose time has come.
    fn due(&self, now: MediaTime) -> Runs {
        let mut runs = self.rest();
        for (run, &fps) in runs.video.iter_mut().zip(&self.options.fps) {
            let first = self.options.grid.first_slot(self.k, fps).0;
            let future = run.clone().find(|&n| Slot(first + n as i64).time(fps) > now);
            run.end = future.unwrap_or(run.end);
        }
        let future = runs.audio.clone().find(|&n| self.options.audio_time(self.k, n) > now);
        runs.audio.end = future.unwrap_or(runs.audio.end);
        runs
    }

    /// Samples of the open cell that are not aired yet.
    fn rest(&self) -> Runs {
        let whole = self.options.whole(self.k);
        let video = self.aired.video.iter().zip(whole.video).map(|(&from, to)| from..to).collect();
        Runs { video, audio: self.aired.audio..whole.audio }
    }

    fn step(&mut self, runs: &Runs, what: SampleOrigin) -> Option<AiringStep> {
        if runs.is_empty() {
            return None;
        }
        let begins = self.aired.is_none();
        let origin = self.on_air().map(str::to_owned);
        let joins = runs.audio.start == 0 && !runs.audio.is_empty() && self.before != origin;
        self.aired =
            Progress { video: runs.video.iter().map(|run| run.end).collect(), audio: runs.audio.end };
        Some(AiringStep { k: self.k, what, begins, joins })
    }
}

impl AiringOptions {
    /// The samples of a whole cell.
    fn whole(&self, k: CellIndex) -> Progress {
        let video = self.fps.iter().map(|&fps| self.grid.slots_per_cell(fps) as usize).collect();
        Progress { video, audio: self.grid.audio_frames(k, self.sample_rate).count() }
    }

    /// When frame `n` of a cell's sound begins.
    fn audio_time(&self, k: CellIndex, n: usize) -> MediaTime {
        let frame = self.grid.first_audio_frame(k, self.sample_rate) + n as i64;
        MediaTime::from_ticks(frame * i64::from(AAC_FRAME_SAMPLES), Timescale(self.sample_rate))
    }
}

impl Progress {
    fn none(rungs: usize) -> Self {
        Self { video: vec![0; rungs], audio: 0 }
    }

    fn is_none(&self) -> bool {
        self.audio == 0 && self.video.iter().all(|&count| count == 0)
    }

    /// Adds a batch if every track of it continues where this one ends; says whether it did.
    fn take(&mut self, options: &AiringOptions, batch: &CellBatch) -> bool {
        let (k, cell) = (batch.samples.k, &batch.samples);
        let mut after = self.clone();
        let pictures = cell.video.iter().zip(&options.fps).zip(&mut after.video);
        for ((track, &fps), count) in pictures {
            let first = options.grid.first_slot(k, fps).0;
            let start = (first + *count as i64) * i64::from(VIDEO_TIMESCALE.0 / fps);
            if !track.samples.is_empty() && track.start != start {
                return false;
            }
            *count += track.samples.len();
        }
        let first = options.grid.first_audio_frame(k, options.sample_rate);
        let start = (first + after.audio as i64) * i64::from(AAC_FRAME_SAMPLES);
        if !cell.audio.samples.is_empty() && cell.audio.start != start {
            return false;
        }
        after.audio += cell.audio.samples.len();
        let whole = options.whole(k);
        let fits = after.audio <= whole.audio
            && after.video.iter().zip(&whole.video).all(|(count, most)| count <= most);
        if fits && cell.video.len() == options.fps.len() {
            *self = after;
        }
        fits && cell.video.len() == options.fps.len()
    }
}

#[cfg(test)]
mod tests;
