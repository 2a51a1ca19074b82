//! The live ladder of one source: decode once, encode once per rung, on named threads.
//!
//! ```text
//!  feed ─▶ decoding thread ─ pictures ─▶ rung threads (lattice, letterbox, encoder) ─┐
//!              │   └ sound ─▶ audio lane                          pictures, cells      │
//!              └──────────────────────◀── batches, assembler ◀────────────────────────-┘
//!                                             └─▶ batches, whole cells
//! ```
//! All queues are bounded. A rung that cannot keep pace loses pictures (its lattice repeats), never memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{debug, error, info, info_span};

use amphi_media::clock::{Clock, MachineClock};
use amphi_media::feed::{FeedItem, FeedReader};
use amphi_media::{CellBatch, CodedCell, MediaTime, ParameterSets, RungTracks, SourceFrame, TrackFormat};
use amphi_runtime::tasks::{Task, Tasks};

use super::LadderError;
use super::assembler::Assembler;
use super::batches::Batches;
use super::damage::Damage;
use super::meter::LadderMeter;
use super::pictures::PictureDecoder;
use super::rung::{Arrival, CellEncoder, CodedPicture, RungNews, RungParts, RungThread, SharedPicture};
use super::sound::SoundLane;
use super::spec::LadderSpec;
use super::vitals::SourceObserver;

/// Pictures that may wait for a rung before it loses some: one second and a half at 15 per second.
const PICTURE_QUEUE: usize = 24;
/// Coded pictures that may wait for the decoding thread: four seconds of two rungs at 30 per second.
const NEWS_QUEUE: usize = 256;
/// How long the decoding thread waits for its feed before it takes the rungs' coded pictures.
const TICK: Duration = Duration::from_millis(10);

/// What a ladder gives to its sink.
#[derive(Clone, Debug)]
pub enum LadderNews {
    /// Some samples of a cell that is being filled, as soon as they are coded.
    Batch(Arc<CellBatch>),
    /// A whole cell. Its samples are those of its batches.
    Cell(Arc<CodedCell>),
}

/// A running ladder. Dropping it stops its threads without waiting for them.
#[derive(Debug)]
pub struct LiveLadder {
    stop: Arc<AtomicBool>,
    /// Whether a thread has panicked.
    broken: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    meter: Arc<LadderMeter>,
}

impl LiveLadder {
    /// Starts the threads. `tracks` are those of the waiting loop: every rung's parameter sets must equal
    /// them byte for byte, or a cell of this ladder could not follow a waiting cell.
    pub fn start(
        name: &str,
        spec: &LadderSpec,
        tracks: &[RungTracks],
        input: FeedReader,
        clock: Arc<dyn Clock>,
        sink: impl FnMut(LadderNews) + Send + 'static,
    ) -> Result<Self, LadderError> {
        Self::start_among(&Tasks::new(Arc::new(MachineClock)), name, spec, tracks, input, clock, sink)
    }

    /// Like [`LiveLadder::start`], with its threads on the list of `tasks`. A panic in one ends the ladder.
    pub fn start_among(
        tasks: &Tasks,
        name: &str,
        spec: &LadderSpec,
        tracks: &[RungTracks],
        input: FeedReader,
        clock: Arc<dyn Clock>,
        sink: impl FnMut(LadderNews) + Send + 'static,
    ) -> Result<Self, LadderError> {
        let (news_sender, news) = sync_channel(NEWS_QUEUE);
        let stop = Arc::new(AtomicBool::new(false));
        let meter = Arc::new(LadderMeter::new(spec.pictures.iter().map(|rung| rung.name.clone())));
        let broken = Arc::default();
        let mut ladder =
            Self { stop: Arc::clone(&stop), broken, threads: Vec::new(), meter: Arc::clone(&meter) };
        let task = |part: &str| tasks.begin(format!("ladder {name} {} {part}", spec.name), false);
        let mut rungs = Vec::new();
        for (index, rung) in spec.pictures.iter().enumerate() {
            let encoder = CellEncoder::new(rung, spec.grid)?;
            assert_equal_parameter_sets(&rung.name, tracks, encoder.encoder().parameter_sets())?;
            let (sender, arrivals) = sync_channel(PICTURE_QUEUE);
            let thread = RungThread::new(RungParts {
                spec,
                index,
                encoder,
                arrivals,
                news: news_sender.clone(),
                clock: Arc::clone(&clock),
                meter: Arc::clone(&meter),
            });
            ladder.spawn(format!("{} {name}", rung.name), task(&rung.name), move |task| thread.run(task))?;
            rungs.push(sender);
        }
        let decoding = DecodingThread {
            name: name.to_owned(),
            clock,
            rungs,
            news,
            decoder: PictureDecoder::new(spec.decoder, Arc::clone(&meter))?,
            pictures: Vec::new(),
            sound: SoundLane::new(spec)?,
            batches: Batches::new(spec.grid, spec.pictures.iter().map(|rung| rung.fps)),
            assembler: Assembler::new(spec.pictures.len()),
            vitals: SourceObserver::new(Arc::clone(&meter)),
            damage: Damage::default(),
            meter,
            sink,
        };
        ladder.spawn(format!("ladder {name}"), task("decoding"), move |task| {
            decoding.run(&input, &stop, task);
        })?;
        info!(source = name, ladder = spec.name, "ladder started");
        Ok(ladder)
    }

    /// What it counts and observes, shared with its threads.
    pub fn meter(&self) -> &Arc<LadderMeter> {
        &self.meter
    }

    /// Whether a thread has ended by itself. Only a panic makes it do so; the ladder must then be started anew.
    pub fn has_ended(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Asks the threads to end, and waits for them.
    pub fn join(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..).rev() {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                error!(thread = name, "a ladder's thread panicked");
            }
        }
    }

    fn spawn(
        &mut self,
        name: String,
        task: Task,
        body: impl FnOnce(&Task) + Send + 'static,
    ) -> Result<(), LadderError> {
        let broken = Arc::clone(&self.broken);
        let span = info_span!(parent: None, "ladder", name = %name);
        // Set before the task is told of its end: whoever sees that end finds the ladder broken.
        let body = move |task: &Task| {
            let _breaks = Breaks(broken);
            body(task);
        };
        let thread = std::thread::Builder::new().name(name);
        let thread = thread.spawn(move || span.in_scope(|| task.thread(body)));
        let thread = thread.map_err(LadderError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Marks the ladder as broken if a panic drops it.
struct Breaks(Arc<AtomicBool>);

impl Drop for Breaks {
    fn drop(&mut self) {
        self.0.fetch_or(std::thread::panicking(), Ordering::Relaxed);
    }
}

impl Drop for LiveLadder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn assert_equal_parameter_sets(
    rung: &str,
    tracks: &[RungTracks],
    live: &ParameterSets,
) -> Result<(), LadderError> {
    let waiting = tracks.iter().find(|track| track.name == rung).and_then(|track| track.video.as_ref());
    match waiting {
        Some(waiting) if waiting.parameter_sets == *live => Ok(()),
        _ => Err(LadderError::ParameterSets { rung: rung.to_owned() }),
    }
}

struct DecodingThread<S> {
    name: String,
    clock: Arc<dyn Clock>,
    rungs: Vec<SyncSender<Arrival>>,
    news: Receiver<RungNews>,
    decoder: PictureDecoder,
    /// Room for the pictures of one access unit.
    pictures: Vec<(MediaTime, SharedPicture)>,
    sound: SoundLane,
    batches: Batches,
    assembler: Assembler,
    meter: Arc<LadderMeter>,
    vitals: SourceObserver,
    damage: Damage,
    sink: S,
}

impl<S: FnMut(LadderNews)> DecodingThread<S> {
    fn run(mut self, input: &FeedReader, stop: &AtomicBool, task: &Task) {
        while !stop.load(Ordering::Relaxed) {
            task.pass();
            match input.next(TICK) {
                FeedItem::Frame(frame) => self.frame(&frame),
                FeedItem::Nothing => {}
                FeedItem::Ended => break,
            }
            while let Ok(RungNews { rung, coded: CodedPicture { k, picture, cell } }) = self.news.try_recv() {
                self.batches.picture(k, rung, &picture, self.clock.now());
                if let Some(cell) = cell {
                    self.assembler.picture(k, rung, cell);
                }
            }
            self.give_out();
        }
        debug!(source = self.name, "ladder ends");
    }

    fn frame(&mut self, frame: &SourceFrame) {
        let now = self.clock.now();
        match &*frame.format {
            TrackFormat::H264(_) => {
                let mut pictures = std::mem::take(&mut self.pictures);
                self.decoder.decode(frame, &mut pictures);
                if pictures.is_empty() {
                    self.tell(now, None);
                }
                for picture in pictures.drain(..) {
                    self.vitals.see(&picture.1.picture, now);
                    self.sound.see(picture.0);
                    self.tell(now, Some(&picture));
                }
                self.pictures = pictures;
            }
            TrackFormat::Aac(_) | TrackFormat::Mp3 { .. } | TrackFormat::G711 { .. } => {
                let pushed = self.sound.push(frame, now);
                let heard = match (self.sound.level(), &pushed) {
                    (Some(level), _) => Some(Ok(level)),
                    (None, Err(error)) => Some(Err(error)),
                    (None, Ok(())) => None,
                };
                if let Some(heard) = heard {
                    self.vitals.hear(heard, &frame.format, now);
                }
                if let Err(error) = pushed {
                    self.meter.audio_errors.increment();
                    self.damage.tell(&self.name, &error, now);
                }
            }
        }
    }

    /// Tells every rung of a picture, or that an access unit came and gave none.
    fn tell(&self, now: MediaTime, picture: Option<&(MediaTime, SharedPicture)>) {
        for rung in &self.rungs {
            if let Err(TrySendError::Full(_)) = rung.try_send(Arrival { now, picture: picture.cloned() }) {
                self.meter.late_pictures.increment();
            }
        }
    }

    /// Gives out new samples of cells under construction, and whole cells.
    fn give_out(&mut self) {
        let Self { sound, batches, assembler, .. } = self;
        let now = self.clock.now();
        while let Some(batch) = batches.next(now, |k, whole| sound.take(k, whole, now)) {
            (self.sink)(LadderNews::Batch(Arc::new(batch)));
        }
        // Sound is taken with the batches; a cell that they have given up does not wait for it.
        while let Some((k, video)) = assembler.whole(|k| sound.is_whole(k) || !batches.is_open(k)) {
            let audio = sound.cell(k);
            self.meter.cells.increment();
            (self.sink)(LadderNews::Cell(Arc::new(CodedCell { k, video, audio })));
        }
    }
}
