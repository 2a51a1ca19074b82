//! The rehearser: looks at halls before lectures and at night, one after the other, without disturbing what is on air.
//!
//! A source that is on air, or kept open, is looked at through the frames that it sends anyway. Any other is connected for
//! the look by the same supervised task that would connect it for a channel, so an encoder never sees a second connection.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, info_span, warn};

use super::holds::Holds;
use super::inventory::Inventory;
use super::settings::zone;
use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use amphi_admin::Rehearsals;
use amphi_config::Config;
use amphi_control::agenda::Plan;
use amphi_control::alarm::Condition;
use amphi_control::matrix::{SourceState, SourceStatus};
use amphi_control::rehearsal::{
    Archive, Check, Facts, Preflight, Rehearsal, RehearsalState, Signs, Tally, next_rehearsal, time_of_day,
};
use amphi_ladder::Inspector;
use amphi_media::clock::{Clock, Clocks};
use amphi_media::feed::{FeedItem, FeedReader};
use amphi_media::{MediaTime, SourceName};

/// How long a source may take to answer and send its first IDR picture.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a source's frames are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// The time between two looks at the plan.
const EVERY: Duration = Duration::from_secs(1);

/// What the rehearser reads of the configuration.
#[derive(Clone, Debug)]
struct RehearsalSettings {
    ahead: Duration,
    at: Option<Time>,
    zone: TimeZone,
}

impl RehearsalSettings {
    fn new(config: &Config) -> Self {
        Self {
            ahead: Duration::from_secs(u64::from(config.schedule.check_s)),
            // `amphi_config` has checked that it is a time.
            at: time_of_day(&config.schedule.rehearsal).ok().flatten(),
            zone: zone(config),
        }
    }
}

/// How the rehearser is asked, and where it reports.
struct RehearsalChannels {
    archive: Archive,
    /// What may become an alarm.
    conditions: watch::Sender<Arc<Vec<Condition>>>,
    /// The last rehearsal, or the one that runs.
    report: watch::Sender<Arc<Rehearsal>>,
    /// Orders to rehearse now, each the name of the operator who gave it.
    orders: mpsc::Receiver<String>,
}

/// Starts the task; returns how it is asked, and what it finds wrong. Reads a file before it returns.
pub(super) fn spawn(
    shared: &ServerContext,
    stage: &mut Stage,
) -> (Rehearsals, watch::Receiver<Arc<Vec<Condition>>>) {
    let archive = Archive::new(&shared.config.borrow().server.state_dir);
    let (report, seen) = watch::channel(Arc::new(archive.load()));
    let (conditions, found) = watch::channel(Arc::default());
    let (sender, orders) = mpsc::channel(1);
    let rehearser = Rehearser {
        inventory: shared.inventory.clone(),
        plan: shared.plan.clone(),
        configs: shared.config.clone(),
        holds: shared.holds.clone(),
        doors: RehearsalChannels { archive, conditions, report, orders },
        clocks: shared.clocks.clone(),
    };
    let end = stage.end.clone();
    stage.supervise(TaskSpec::new("rehearser"), rehearser, move |it| Box::pin(it.run(end.clone())));
    (Rehearsals { report: seen, orders: sender }, found)
}

struct Rehearser {
    inventory: watch::Receiver<Arc<Inventory>>,
    plan: watch::Receiver<Arc<Plan>>,
    /// The configuration in force, and each after it.
    configs: watch::Receiver<Arc<Config>>,
    holds: Holds,
    doors: RehearsalChannels,
    clocks: Clocks,
}

impl Rehearser {
    /// Works until `end`.
    async fn run(&mut self, end: CancellationToken) {
        // A run that has panicked has left its rehearsal unfinished.
        self.doors.report.send_if_modified(|report| {
            let is_unfinished = report.state == RehearsalState::Running;
            if is_unfinished {
                Arc::make_mut(report).end(self.clocks.wall.now());
            }
            is_unfinished
        });
        tokio::select! {
            () = end.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&mut self) {
        let mut habits = RehearsalSettings::new(&self.configs.borrow_and_update());
        let mut preflight = Preflight::new(habits.ahead);
        let mut night = self.next_night(&habits);
        self.announce(night);
        loop {
            // If the clock was stepped back, the next night is earlier than was planned.
            night = night.into_iter().chain(self.next_night(&habits)).min();
            let due = night.is_some_and(|at| at <= self.clocks.wall.now());
            if self.configs.has_changed().unwrap_or(false) {
                habits = RehearsalSettings::new(&self.configs.borrow_and_update());
                preflight.change(habits.ahead);
                // A rehearsal that became due while a hall was looked at is not put off to tomorrow.
                if !due {
                    night = self.next_night(&habits);
                    self.announce(night);
                }
            }
            self.before_lectures(&mut preflight).await;
            let now = self.clocks.wall.now();
            if night.is_some_and(|at| at <= now) {
                night = self.next_night(&habits);
                self.rehearse("night", night, &mut preflight).await;
            }
            tokio::select! {
                order = self.doors.orders.recv() => match order {
                    Some(by) => self.rehearse(&by, night, &mut preflight).await,
                    // Nobody can order a rehearsal any more; those of the night go on.
                    None => tokio::time::sleep(EVERY).await,
                },
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    fn next_night(&self, habits: &RehearsalSettings) -> Option<MediaTime> {
        next_rehearsal(self.clocks.wall.now(), habits.at?, &habits.zone)
    }

    /// Publishes when the next night's rehearsal is.
    fn announce(&self, night: Option<MediaTime>) {
        let mut last = Rehearsal::clone(&self.doors.report.borrow());
        last.next = night;
        self.doors.report.send_replace(Arc::new(last));
    }

    /// Looks at every source that is due before its lecture.
    async fn before_lectures(&self, preflight: &mut Preflight) {
        loop {
            let plan = Arc::clone(&self.plan.borrow());
            let due = preflight.due(&plan, self.clocks.wall.now());
            self.tell(preflight, &plan);
            let Some(job) = due else { return };
            let mut check = self.look(job.source()).await;
            if check.waits_for_publisher {
                check.fault = Some("nobody publishes to it".to_owned());
            }
            if let Some(fault) = &check.fault {
                warn!(source = job.source().as_str(), fault, "not ready for its lecture");
            } else {
                info!(source = job.source().as_str(), fps = check.facts.fps, "ready for its lecture");
            }
            preflight.checked(job, check);
            self.tell(preflight, &plan);
        }
    }

    fn tell(&self, preflight: &Preflight, plan: &Plan) {
        let zone = zone(&self.configs.borrow());
        let conditions = preflight.conditions(plan, self.clocks.wall.now(), &zone);
        self.doors.conditions.send_if_modified(|told| {
            let differs = **told != conditions;
            if differs {
                *told = Arc::new(conditions);
            }
            differs
        });
    }

    /// Looks at all halls, one after the other; those with a lecture soon go first.
    async fn rehearse(&self, by: &str, next: Option<MediaTime>, preflight: &mut Preflight) {
        let mut rehearsal = Rehearsal::begin(self.clocks.wall.now(), by);
        rehearsal.next = next;
        self.doors.report.send_replace(Arc::new(rehearsal.clone()));
        info!(by, "rehearsal of all halls");
        let sources: Vec<SourceName> = self.inventory.borrow().sources.keys().cloned().collect();
        for source in sources {
            self.before_lectures(preflight).await;
            let check = self.look(&source).await;
            if let Some(fault) = &check.fault {
                warn!(source = source.as_str(), fault, "rehearsal: not ready for a lecture");
            }
            rehearsal.push(check);
            self.doors.report.send_replace(Arc::new(rehearsal.clone()));
        }
        rehearsal.end(self.clocks.wall.now());
        info!(halls = rehearsal.checks.len(), faults = rehearsal.faults, "rehearsal over");
        self.doors.report.send_replace(Arc::new(rehearsal.clone()));
        let archive = self.doors.archive.clone();
        let saved = tokio::task::spawn_blocking(move || archive.save(&rehearsal)).await;
        if let Err(error) = saved.unwrap_or_else(|panic| Err(panic.into())) {
            error!(%error, "the rehearsal could not be saved");
        }
    }

    async fn look(&self, source: &SourceName) -> Check {
        let entry = self.inventory.borrow().sources.get(source).cloned();
        let now = || self.clocks.wall.now();
        let Some(entry) = entry else {
            let gone = Some("there is no source of this name".to_owned());
            return Tally::default().judge(source, None, Signs::default(), gone, now());
        };
        let mut status = entry.status.clone();
        if entry.inlet.is_some() && status.borrow().state != SourceState::Live {
            let (source, at) = (source.clone(), now());
            return Check { source, at, fault: None, waits_for_publisher: true, facts: Facts::default() };
        }
        let hold = self.holds.hold(source);
        let answers = async { status.wait_for(|it| it.state == SourceState::Live).await.is_ok() };
        let live = tokio::time::timeout(ANSWER, answers).await.unwrap_or(false);
        if !live {
            let trouble = trouble(&status.borrow());
            return Tally::default().judge(source, None, Signs::default(), Some(trouble), now());
        }
        let reader = entry.feed.subscribe();
        let clock = Arc::clone(&self.clocks.media);
        let span = info_span!(parent: None, "source", name = %source);
        let listening = move || span.in_scope(|| listen(&reader, &*clock));
        let listened = tokio::task::spawn_blocking(listening).await;
        drop(hold);
        let status = status.borrow().clone();
        match listened {
            Ok(Ok((tally, signs))) => {
                let left = status.state != SourceState::Live && status.state != SourceState::Idle;
                let trouble = left.then(|| trouble(&status));
                tally.judge(source, status.media.as_ref(), signs, trouble, now())
            }
            Ok(Err(why)) => Tally::default().judge(source, None, Signs::default(), Some(why), now()),
            Err(error) => {
                let why = format!("the look at it failed: {error}");
                Tally::default().judge(source, None, Signs::default(), Some(why), now())
            }
        }
    }
}

/// Why a source cannot be looked at, in words.
fn trouble(status: &SourceStatus) -> String {
    let what = match status.state {
        SourceState::Refused => "it refuses us",
        SourceState::Stalled => "it is connected and sends nothing",
        SourceState::Undecodable => "no picture comes out of what it sends",
        SourceState::Idle | SourceState::Connecting | SourceState::BackingOff | SourceState::Live => {
            "it cannot be reached"
        }
    };
    if status.reason.is_empty() { what.to_owned() } else { format!("{what}: {}", status.reason) }
}

/// Looks at the frames of a source for [`LOOK`]. Blocks.
fn listen(reader: &FeedReader, clock: &dyn Clock) -> Result<(Tally, Signs), String> {
    let mut inspector =
        Inspector::new().map_err(|error| format!("the decoder of this server does not start: {error}"))?;
    let mut tally = Tally::default();
    let end = std::time::Instant::now() + LOOK;
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            break;
        }
        match reader.next(left) {
            FeedItem::Frame(frame) => {
                tally.frame(&frame);
                inspector.look(&frame, clock.now());
            }
            FeedItem::Nothing => {}
            FeedItem::Ended => break,
        }
    }
    let meter = inspector.meter();
    let heard = meter.peak_millibel.get();
    let signs = Signs {
        decoded: meter.pictures.get() > 0,
        black: meter.black.get().is_some(),
        still: meter.still.get().is_some(),
        silent: meter.silent.get().is_some(),
        peak_dbfs: (heard > 0).then(|| heard as f64 / -100.0),
    };
    Ok((tally, signs))
}
