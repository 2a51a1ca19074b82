//! The scheduler: fetches the calendar, keeps it, and gives the matrix the timetable's commands, each at its time.
//!
//! The calendar is fetched by a task of its own, so that an Opencast that hangs holds up nothing: the last good plan is
//! followed meanwhile. A command is given again only if it differs from the last one, or if the matrix refused that. The
//! overrun guard decides how long a lecture stays beyond its planned end. What begins, stays and ends is recorded in the
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
    CalendarClient, CalendarFile, ChannelPlan, FeedAnswer, FeedFault, Overrun, Planner, PollError,
    PollResult, Settings, SignsOfLife, StoredCalendar,
};
use amphi_media::clock::WallClock;
use amphi_media::meter::Note;
use amphi_media::retry::Retry;
use amphi_media::{ChannelName, EventId, MediaTime, SourceName};

/// The longest sleep, because the machine's clock may be stepped meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// The longest pause between two tries to save the plan.
const RARELY: Duration = Duration::from_secs(60);
/// The longest text of an alarm about what was left out of the calendar, in characters.
const NOTES_CHARS: usize = 600;

/// Says when speech and movement were last found in a source.
pub(super) type SignsReader = Arc<dyn Fn(&SourceName) -> SignsOfLife + Send + Sync>;

/// What the scheduler works with besides the calendar.
pub(super) struct SchedulerHandles {
    pub(super) matrix: MatrixHandle,
    pub(super) signs: SignsReader,
    pub(super) audit: AuditLog,
    pub(super) clock: Arc<dyn WallClock>,
}

/// Starts the task. Returns a note that says why the plan could not be saved, until it is. The first plan is published before
/// this returns.
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

pub(super) struct Scheduler {
    planner: Planner,
    overrun: Overrun,
    signs: SignsReader,
    audit: AuditLog,
    /// `None` while it fetches, and without a calendar.
    client: Option<CalendarClient>,
    asking: Option<JoinHandle<(CalendarClient, PollResult)>>,
    schedule: Schedule,
    calendar_file: CalendarFile,
    matrix: MatrixHandle,
    plan: watch::Sender<Arc<Plan>>,
    orders: watch::Receiver<Arc<Config>>,
    told: BTreeMap<ChannelName, ChannelPlan>,
    /// What the audit log knows of each channel.
    recorded: BTreeMap<ChannelName, Scheduled>,
    clock: Arc<dyn WallClock>,
    /// When saving is tried again.
    retry: Retry,
    unsaved: Arc<Note>,
}

impl Scheduler {
    /// A scheduler that starts with the last good calendar. `orders` are the configuration in force, and each one after it
    /// once the matrix has its layout. Reads a file before it returns.
    pub(super) fn new(
        orders: watch::Receiver<Arc<Config>>,
        SchedulerHandles { matrix, signs, audit, clock }: SchedulerHandles,
        plan: watch::Sender<Arc<Plan>>,
    ) -> anyhow::Result<Self> {
        let config = Arc::clone(&orders.borrow());
        let settings = Settings::new(&config)?;
        let client = CalendarClient::new(&config.schedule, settings.zone())?;
        let calendar_file = CalendarFile::new(&config.server.state_dir);
        let url = &config.schedule.url;
        let kept = if url.is_empty() { None } else { calendar_file.load(url) };
        let now = clock.now();
        let planner = Planner::new(settings, kept, now);
        plan.send_replace(Arc::new(planner.plan(now)));
        let schedule = config.schedule.clone();
        Ok(Self {
            planner,
            overrun: Overrun::default(),
            signs,
            audit,
            client,
            asking: None,
            schedule,
            calendar_file,
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
                        Ok((client, result)) => {
                            self.client = Some(client);
                            self.take(result).await;
                        }
                        Err(error) => {
                            error!(%error, "the calendar's task has failed");
                            self.engage();
                            if let Ok(panic) = error.try_into_panic() {
                                // The panic counts as this task's, which spawned the other.
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
        let next = self.planner.next_change(now).map_or(LONGEST_SLEEP, |at| at.saturating_since(now));
        next.min(LONGEST_SLEEP)
    }

    /// Starts to fetch the calendar if that is due and not under way.
    fn ask_if_due(&mut self) {
        let now = self.clock.now();
        if self.asking.is_some() || !self.planner.poll_due(now) {
            return;
        }
        let Some(mut client) = self.client.take() else { return };
        self.planner.polled(now);
        self.asking = Some(tokio::spawn(async move {
            let result = client.fetch(now).await;
            (client, result)
        }));
    }

    /// Takes the calendar that came, saves it, and publishes the plan.
    async fn take(&mut self, result: PollResult) {
        let now = self.clock.now();
        let before = self.plan.borrow().feed.clone();
        if self.planner.take(result, now) {
            self.keep().await;
        }
        let plan = self.planner.plan(now);
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
        let (calendar_file, url, kept) =
            (self.calendar_file.clone(), self.schedule.url.clone(), self.planner.kept().clone());
        let saved = tokio::task::spawn_blocking(move || calendar_file.save(&url, &kept)).await;
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

    /// Gives the matrix the commands that differ from the last ones.
    async fn obey(&mut self) {
        let now = self.clock.now();
        let zone = self.planner.settings().zone().clone();
        let channel_plans = self.overrun.adjust(self.planner.channel_plans(now), &*self.signs, &zone, now);
        self.recorded
            .retain(|channel, _| channel_plans.iter().any(|channel_plan| channel_plan.channel == *channel));
        for channel_plan in channel_plans {
            let before = self.told.get(&channel_plan.channel).cloned();
            if before.as_ref() == Some(&channel_plan) {
                continue;
            }
            let mut done = true;
            if before.as_ref().is_none_or(|before| before.scheduled != channel_plan.scheduled) {
                let answer =
                    self.matrix.set_scheduled(&channel_plan.channel, channel_plan.scheduled.clone()).await;
                done &= taken(&answer);
                if answer.is_ok() {
                    self.record(&channel_plan, now);
                }
            }
            if before.as_ref().is_none_or(|before| before.notice != channel_plan.notice) {
                done &=
                    taken(&self.matrix.announce(&channel_plan.channel, channel_plan.notice.clone()).await);
            }
            if done {
                self.told.insert(channel_plan.channel.clone(), channel_plan);
            }
        }
    }

    /// Notes in the audit log what the schedule has begun, prolonged or ended.
    fn record(&mut self, channel_plan: &ChannelPlan, now: MediaTime) {
        let before = self.recorded.get(&channel_plan.channel);
        if let Some((what, scheduled)) = transition(before, channel_plan.scheduled.as_ref()) {
            let entry =
                Entry::new(now, "schedule", what).on(&channel_plan.channel).with(Some(&scheduled.source));
            let until = Some(scheduled.until).filter(|_| what != Action::Disconnect);
            self.audit.record(entry.until(until).saying(&scheduled.reason));
        }
        match &channel_plan.scheduled {
            Some(scheduled) => self.recorded.insert(channel_plan.channel.clone(), scheduled.clone()),
            None => self.recorded.remove(&channel_plan.channel),
        };
    }

    /// Takes a new configuration.
    fn take_orders(&mut self) {
        let config = Arc::clone(&self.orders.borrow_and_update());
        let now = self.clock.now();
        // Channels and sources may have been removed and added again, so all commands are given again.
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
        self.planner.change(settings, kept, now);
        self.engage();
        self.plan.send_replace(Arc::new(self.planner.plan(now)));
    }

    fn known_of(&self, url: &Secret) -> StoredCalendar {
        if url.is_empty() {
            StoredCalendar::default()
        } else {
            self.calendar_file.load(url).unwrap_or_default()
        }
    }

    /// Makes a client for the configuration in force; a fetch by an older one is aborted.
    fn engage(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.abort();
        }
        // The client of the configuration before would bring another calendar.
        self.client = None;
        match CalendarClient::new(&self.schedule, self.planner.settings().zone()) {
            Ok(client) => self.client = client,
            Err(error) => {
                error!(%error, "the calendar cannot be asked for");
                let fault = FeedFault { agent: String::new(), error: PollError::File(error.to_string()) };
                let part = FeedAnswer { agent: String::new(), outcome: Err(fault) };
                self.planner.take(PollResult { parts: vec![part], format: None }, self.clock.now());
            }
        }
    }
}

/// What the audit log records of a channel: the action, and the command that it is about; `None` if nothing has changed that matters.
fn transition<'a>(
    before: Option<&'a Scheduled>,
    after: Option<&'a Scheduled>,
) -> Option<(Action, &'a Scheduled)> {
    let Some(after) = after else { return before.map(|before| (Action::Disconnect, before)) };
    let what = match before.filter(|before| before.source == after.source) {
        // The overrun guard adds to a lecture's reason. What it adds may change, and may be removed before the planned end.
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

/// What is wrong with the calendar and the plan at `now`, as conditions.
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

/// What conflicts have in common that one change would mend: a missing rule, a missing source. Other conflicts are not grouped.
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
