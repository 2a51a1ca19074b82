//! The scheduler: asks for the calendar, keeps it, and tells the matrix what the timetable says, each word at its instant.
//!
//! Asking for the calendar is a task of its own, so that an Opencast that hangs holds up nothing: the matrix is told from
//! the last good plan. What was told is remembered and told again only where it differs; what the matrix refused is tried
//! again. Beyond its planned end a lecture stays as the overrun guard says. What begins, stays and ends is recorded in the
//! audit log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use amphi_config::{Config, Schedule, Secret};
use amphi_control::agenda::{Conflict, ConflictKind, Plan};
use amphi_control::alarm::{AlarmKind, Condition};
use amphi_control::audit::{Action, AuditLog, Entry};
use amphi_control::matrix::{Applied, MatrixError, MatrixHandle, Scheduled};
use amphi_control::schedule::{
    Cabinet, Client, Desk, FeedFault, Harvest, Kept, Overrun, Part, Settings, SignsOfLife, Trouble, Wish,
};
use amphi_media::clock::WallClock;
use amphi_media::meter::Note;
use amphi_media::retry::Retry;
use amphi_media::{ChannelName, EventId, MediaTime, SourceName};

/// The longest sleep: the clock may move against the runtime's.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How rarely what could not be saved is tried again at last.
const RARELY: Duration = Duration::from_secs(60);
/// Characters of an alarm about what was left out of the calendar.
const NOTES_CHARS: usize = 600;

/// Says when a source was last seen alive.
pub(super) type Signs = Arc<dyn Fn(&SourceName) -> SignsOfLife + Send + Sync>;

/// What the scheduler works with beside the calendar.
pub(super) struct SchedulerHandles {
    pub(super) matrix: MatrixHandle,
    pub(super) signs: Signs,
    pub(super) audit: AuditLog,
    pub(super) clock: Arc<dyn WallClock>,
}

/// The task that asks for the calendar and obeys it; why the calendar could not be kept, in words, until it is. The plan
/// is told before this returns.
pub(super) fn spawn(
    shared: &ServerContext,
    plan: watch::Sender<Arc<Plan>>,
    stage: &mut Stage,
) -> anyhow::Result<Arc<Note>> {
    let (ladders, clocks) = (shared.ladders.clone(), shared.clocks.clone());
    let desktop = SchedulerHandles {
        matrix: shared.matrix.clone(),
        signs: Arc::new(move |source| ladders.signs_of_life(source, &clocks)),
        audit: shared.audit.clone(),
        clock: Arc::clone(&shared.clocks.wall),
    };
    let scheduler = Scheduler::new(shared.config.clone(), desktop, plan)?;
    let (unsaved, end) = (Arc::clone(&scheduler.unsaved), stage.end.clone());
    stage.supervise(TaskSpec::new("calendar"), scheduler, move |it| Box::pin(it.run(end.clone())));
    Ok(unsaved)
}

/// See the module's text.
pub(super) struct Scheduler {
    desk: Desk,
    overrun: Overrun,
    signs: Signs,
    audit: AuditLog,
    /// `None` while it is asking, and without a calendar.
    client: Option<Client>,
    asking: Option<JoinHandle<(Client, Harvest)>>,
    schedule: Schedule,
    cabinet: Cabinet,
    matrix: MatrixHandle,
    plan: watch::Sender<Arc<Plan>>,
    orders: watch::Receiver<Arc<Config>>,
    told: BTreeMap<ChannelName, Wish>,
    /// What the audit log knows of each channel.
    recorded: BTreeMap<ChannelName, Scheduled>,
    clock: Arc<dyn WallClock>,
    /// When what could not be kept is tried again.
    retry: Retry,
    unsaved: Arc<Note>,
}

impl Scheduler {
    /// A scheduler that knows the last good calendar already. `orders` are the configuration in force, and each after it
    /// once the matrix has its layout. Reads a file before it returns.
    pub(super) fn new(
        orders: watch::Receiver<Arc<Config>>,
        SchedulerHandles { matrix, signs, audit, clock }: SchedulerHandles,
        plan: watch::Sender<Arc<Plan>>,
    ) -> anyhow::Result<Self> {
        let config = Arc::clone(&orders.borrow());
        let settings = Settings::new(&config)?;
        let client = Client::new(&config.schedule, settings.zone())?;
        let cabinet = Cabinet::new(&config.server.state_dir);
        let url = &config.schedule.url;
        let kept = if url.is_empty() { None } else { cabinet.load(url) };
        let now = clock.now();
        let desk = Desk::new(settings, kept, now);
        plan.send_replace(Arc::new(desk.plan(now)));
        let schedule = config.schedule.clone();
        Ok(Self {
            desk,
            overrun: Overrun::default(),
            signs,
            audit,
            client,
            asking: None,
            schedule,
            cabinet,
            matrix,
            plan,
            orders,
            told: BTreeMap::new(),
            recorded: BTreeMap::new(),
            clock,
            retry: Retry::new(LONGEST_SLEEP, RARELY),
            unsaved: Arc::default(),
        })
    }

    /// Works until `end`.
    pub(super) async fn run(&mut self, end: CancellationToken) {
        loop {
            self.ask_if_due();
            self.obey().await;
            if self.retry.wait(Instant::now()).is_some_and(|wait| wait.is_zero()) {
                self.keep().await;
            }
            let rest = self.rest();
            let asked = async {
                match &mut self.asking {
                    Some(asking) => asking.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = end.cancelled() => break,
                changed = self.orders.changed() => match changed {
                    Ok(()) => self.take_orders(),
                    Err(_) => break,
                },
                answer = asked => {
                    self.asking = None;
                    match answer {
                        Ok((client, harvest)) => {
                            self.client = Some(client);
                            self.take(harvest).await;
                        }
                        Err(error) => {
                            error!(%error, "the calendar's task has failed");
                            self.engage();
                            if let Ok(panic) = error.try_into_panic() {
                                // It is this task's, which began it.
                                std::panic::resume_unwind(panic);
                            }
                        }
                    }
                },
                () = tokio::time::sleep(rest) => {}
            }
        }
        if let Some(asking) = self.asking.take() {
            asking.abort();
        }
    }

    fn rest(&self) -> Duration {
        let now = self.clock.now();
        let next = self.desk.next_change(now).map_or(LONGEST_SLEEP, |at| at.saturating_since(now));
        next.min(LONGEST_SLEEP)
    }

    /// Sends for the calendar, unless that was done and is not answered yet.
    fn ask_if_due(&mut self) {
        let now = self.clock.now();
        if self.asking.is_some() || !self.desk.poll_due(now) {
            return;
        }
        let Some(mut client) = self.client.take() else { return };
        self.desk.polled(now);
        self.asking = Some(tokio::spawn(async move {
            let harvest = client.fetch(now).await;
            (client, harvest)
        }));
    }

    /// Takes what came, keeps it, shows it.
    async fn take(&mut self, harvest: Harvest) {
        let now = self.clock.now();
        let before = self.plan.borrow().feed.clone();
        if self.desk.take(harvest, now) {
            self.keep().await;
        }
        let plan = self.desk.plan(now);
        match (&before.fault, &plan.feed.fault) {
            (None, Some(fault)) => warn!("{fault}; the last good plan is used"),
            (Some(_), None) => info!("the calendar is there again"),
            _ if before.last_good.is_none() && plan.feed.last_good.is_some() => {
                info!(events = plan.events.len(), conflicts = plan.conflicts.len(), "calendar read");
            }
            _ => debug!(events = plan.events.len(), "calendar asked for"),
        }
        self.plan.send_replace(Arc::new(plan));
    }

    async fn keep(&mut self) {
        let (cabinet, url, kept) =
            (self.cabinet.clone(), self.schedule.url.clone(), self.desk.kept().clone());
        let saved = tokio::task::spawn_blocking(move || cabinet.save(&url, &kept)).await;
        match saved.unwrap_or_else(|panic| Err(panic.into())) {
            Ok(()) => {
                if self.retry.worked() {
                    self.unsaved.clear();
                    info!("the schedule is saved again");
                }
            }
            Err(error) => {
                if self.retry.wait(Instant::now()).is_none() {
                    error!(%error, "the schedule could not be saved; trying again until it is");
                }
                self.retry.failed(Instant::now());
                self.unsaved.set(&format!("the plan could not be saved, a restart would lose it: {error}"));
            }
        }
    }

    /// Tells the matrix what differs from what it was told.
    async fn obey(&mut self) {
        let now = self.clock.now();
        let zone = self.desk.settings().zone().clone();
        let wishes = self.overrun.adjust(self.desk.wishes(now), &*self.signs, &zone, now);
        self.recorded.retain(|channel, _| wishes.iter().any(|wish| wish.channel == *channel));
        for wish in wishes {
            let before = self.told.get(&wish.channel).cloned();
            if before.as_ref() == Some(&wish) {
                continue;
            }
            let mut done = true;
            if before.as_ref().is_none_or(|before| before.scheduled != wish.scheduled) {
                let answer = self.matrix.set_scheduled(&wish.channel, wish.scheduled.clone()).await;
                done &= taken(&answer);
                if answer.is_ok() {
                    self.record(&wish, now);
                }
            }
            if before.as_ref().is_none_or(|before| before.notice != wish.notice) {
                done &= taken(&self.matrix.announce(&wish.channel, wish.notice.clone()).await);
            }
            if done {
                self.told.insert(wish.channel.clone(), wish);
            }
        }
    }

    /// Notes in the audit log what the schedule has begun, prolonged or ended.
    fn record(&mut self, wish: &Wish, now: MediaTime) {
        let before = self.recorded.get(&wish.channel);
        if let Some((what, scheduled)) = transition(before, wish.scheduled.as_ref()) {
            let entry = Entry::new(now, "schedule", what).on(&wish.channel).with(Some(&scheduled.source));
            let until = Some(scheduled.until).filter(|_| what != Action::Disconnect);
            self.audit.record(entry.until(until).saying(&scheduled.reason));
        }
        match &wish.scheduled {
            Some(scheduled) => self.recorded.insert(wish.channel.clone(), scheduled.clone()),
            None => self.recorded.remove(&wish.channel),
        };
    }

    /// Another configuration is in force.
    fn take_orders(&mut self) {
        let config = Arc::clone(&self.orders.borrow_and_update());
        let now = self.clock.now();
        // Channels and sources may have come, gone and come again: everything is told anew.
        self.told.clear();
        let settings = match Settings::new(&config) {
            Ok(settings) => settings,
            Err(error) => return error!(%error, "the new [schedule] is not taken over"),
        };
        let same_calendar = config.schedule.url == self.schedule.url;
        let kept = (!same_calendar).then(|| self.known_of(&config.schedule.url));
        if config.schedule != self.schedule {
            info!("[schedule] has changed");
        }
        self.schedule = config.schedule.clone();
        self.desk.change(settings, kept, now);
        self.engage();
        self.plan.send_replace(Arc::new(self.desk.plan(now)));
    }

    fn known_of(&self, url: &Secret) -> Kept {
        if url.is_empty() { Kept::default() } else { self.cabinet.load(url).unwrap_or_default() }
    }

    /// A client for the configuration in force; who is asking by an older one is called back.
    fn engage(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.abort();
        }
        // Never the client of the configuration before: what it brings is another calendar.
        self.client = None;
        match Client::new(&self.schedule, self.desk.settings().zone()) {
            Ok(client) => self.client = client,
            Err(error) => {
                error!(%error, "the calendar cannot be asked for");
                let fault = FeedFault { agent: String::new(), trouble: Trouble::File(error.to_string()) };
                let part = Part { agent: String::new(), outcome: Err(fault) };
                self.desk.take(Harvest { parts: vec![part], format: None }, self.clock.now());
            }
        }
    }
}

/// What has become of a channel, and what there is to say of it; `None` where nothing has that anybody would ask for.
fn transition<'a>(
    before: Option<&'a Scheduled>,
    after: Option<&'a Scheduled>,
) -> Option<(Action, &'a Scheduled)> {
    let Some(after) = after else { return before.map(|before| (Action::Disconnect, before)) };
    let what = match before.filter(|before| before.source == after.source) {
        // The guard adds to a lecture's reason. What it adds may change, and may be taken back before the planned end.
        Some(before) if before.until == after.until => return None,
        Some(before)
            if before.reason.len() > after.reason.len() && before.reason.starts_with(&after.reason) =>
        {
            return None;
        }
        Some(before) if before.until < after.until && after.reason.starts_with(&before.reason) => {
            Action::Prolong
        }
        _ => Action::Connect,
    };
    Some((what, after))
}

fn taken(answer: &Result<Applied, MatrixError>) -> bool {
    if let Err(error) = answer {
        debug!(%error, "the matrix does not take what the schedule says");
    }
    answer.is_ok()
}

/// What is wrong with the calendar and the plan at `now`, as conditions of alarms.
pub(super) fn conditions(plan: &Plan, now: MediaTime) -> Vec<Condition> {
    let feed = &plan.feed;
    let condition = |kind, about: Option<String>, sentence, since| Condition {
        kind,
        source: None,
        channel: None,
        about,
        sentence,
        since,
    };
    let mut found = Vec::new();
    if let Some(fault) = &feed.fault {
        let used = match feed.last_good {
            Some(last_good) => format!("the plan of {last_good} is used"),
            None => "nothing is known of any lecture".to_owned(),
        };
        found.push(condition(AlarmKind::Calendar, None, format!("{fault}; {used}"), feed.fault_since));
    }
    if !feed.notes.is_empty() {
        let sentence: String = feed.notes.join("; ").chars().take(NOTES_CHARS).collect();
        found.push(condition(AlarmKind::Calendar, Some("notes".to_owned()), sentence, None));
    }
    let ahead = |conflict: &&Conflict| now < conflict.until && conflict.from - plan.warn_ahead <= now;
    let mut alike = BTreeMap::<(ConflictKind, String), Vec<&Conflict>>::new();
    for conflict in plan.conflicts.iter().filter(ahead) {
        alike.entry((conflict.kind, subject(conflict, plan))).or_default().push(conflict);
    }
    for ((kind, subject), conflicts) in alike {
        let Some(first) = conflicts.first() else { continue };
        let sentence = match conflicts.len() {
            1 => first.sentence.clone(),
            more => format!("{} (and {} more like it)", first.sentence, more - 1),
        };
        let about = Some(format!("{kind:?} {subject}"));
        found.push(Condition {
            source: first.source.clone(),
            channel: first.channel.clone(),
            ..condition(AlarmKind::Plan, about, sentence, None)
        });
    }
    found
}

/// What conflicts have in common that one measure mends: a missing rule, a missing source. Others stand for themselves.
fn subject(conflict: &Conflict, plan: &Plan) -> String {
    let event = || {
        let id = conflict.events.first();
        plan.events.iter().find(|event| Some(&event.id) == id)
    };
    match conflict.kind {
        ConflictKind::NoRule => event().and_then(|event| event.series.clone()),
        ConflictKind::UnknownSource => conflict.source.as_ref().map(ToString::to_string),
        ConflictKind::UnknownChannel => conflict.channel.as_ref().map(ToString::to_string),
        ConflictKind::ChannelTwice
        | ConflictKind::SourceTwice
        | ConflictKind::NoSeries
        | ConflictKind::NoLength => None,
    }
    .unwrap_or_else(|| conflict.events.iter().map(EventId::as_str).collect::<Vec<_>>().join("+"))
}

#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod tests;
