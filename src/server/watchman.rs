//! The watchman: looks at sources, ladders and channels once a second, and raises and clears alarms.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::clock_watch::ClockWatch;
use super::ladders::LadderState;
use super::outcome::{self, Outcomes};
use super::recordings;
use super::scheduler;
use super::settings::thresholds;
use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use super::webhook::Webhooks;
use amphi_control::alarm::{Alarm, AlarmKind, Board, Change, Condition};
use amphi_control::matrix::{MatrixView, SourceState, SourceView};
use amphi_control::push::{PushState, PushStatus};
use amphi_media::SourceName;
use amphi_media::meter::Note;
use amphi_runtime::tasks::{MISSED_AFTER, TaskFall};

/// The time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A source's clock that is off by more is broken, in parts per million; quartz keeps within 100.
const SKEW_PPM: f64 = 150.0;
/// Alarms are published again when their start times have moved by more than this, in nanoseconds.
const RETOLD: i64 = 1_000_000_000;

/// Conditions that other tasks have found.
pub(super) struct WatchInputs {
    /// From the rehearser, before lectures.
    pub(super) checks: watch::Receiver<Arc<Vec<Condition>>>,
    /// From the reloader, about the configuration's file.
    pub(super) configuration: watch::Receiver<Option<Condition>>,
    /// About files that cannot be saved and ports that cannot accept.
    pub(super) notes: Vec<(AlarmKind, &'static str, Arc<Note>)>,
}

/// What the watchman publishes.
#[derive(Clone)]
pub(super) struct WatchOutputs {
    pub(super) alarms: watch::Receiver<Arc<Vec<Alarm>>>,
    /// Why the server is not ready although it runs, in sentences.
    pub(super) doubts: watch::Receiver<Arc<Vec<String>>>,
}

/// Starts the task, and one for each webhook.
pub(super) fn spawn(
    shared: &ServerContext,
    found: WatchInputs,
    stage: &mut Stage,
) -> anyhow::Result<WatchOutputs> {
    let alarm = shared.config.borrow().alarm.clone();
    let (alarms, alarms_watch) = watch::channel(Arc::default());
    let (doubts, doubts_watch) = watch::channel(Arc::default());
    let watchman = Watchman {
        shared: shared.clone(),
        board: Board::new(thresholds(&alarm)),
        found,
        webhooks: Webhooks::start(&alarm.webhooks, stage)?,
        alarms,
        doubts,
        lost: BTreeMap::new(),
        outcomes: Outcomes::default(),
        told: 0,
        clock_watch: ClockWatch::new(),
    };
    let end = stage.end.clone();
    stage.supervise(TaskSpec::new("watchman"), watchman, move |it| Box::pin(it.run(end.clone())));
    Ok(WatchOutputs { alarms: alarms_watch, doubts: doubts_watch })
}

struct Watchman {
    shared: ServerContext,
    board: Board,
    found: WatchInputs,
    webhooks: Webhooks,
    alarms: watch::Sender<Arc<Vec<Alarm>>>,
    doubts: watch::Sender<Arc<Vec<String>>>,
    /// Packets lost until the last look, by source.
    lost: BTreeMap<SourceName, u64>,
    outcomes: Outcomes,
    /// The offset of the clocks with which the alarms were published last.
    told: i64,
    clock_watch: ClockWatch,
}

impl Watchman {
    /// Works until `end`.
    async fn run(&mut self, end: CancellationToken) {
        loop {
            let mut conditions = self.conditions();
            conditions.extend(self.found.checks.borrow().iter().cloned());
            conditions.extend(of_notes(&self.found.notes));
            conditions.extend(self.clock_watch.look(&self.shared.clocks));
            conditions.extend(self.found.configuration.borrow().clone());
            // How long a condition lasts is counted in media time; its start is published in the machine's time.
            let offset = self.shared.clocks.offset_nanos();
            for condition in &mut conditions {
                condition.since = condition.since.map(|since| since.offset_nanos(-offset));
            }
            let mut changes = self.board.observe(conditions, self.shared.clocks.media.now());
            for change in &mut changes {
                by_machine(change.alarm_mut(), offset);
            }
            for change in &changes {
                self.webhooks.tell(change);
                match change {
                    Change::Raised(alarm) => {
                        warn!(kind = ?alarm.kind, since = %alarm.since, "alarm: {}", alarm.sentence);
                    }
                    Change::Cleared(alarm) => info!(kind = ?alarm.kind, "alarm over: {}", alarm.sentence),
                }
            }
            if !changes.is_empty() || (offset - self.told).abs() > RETOLD {
                self.told = offset;
                let mut alarms = self.board.alarms();
                for alarm in &mut alarms {
                    by_machine(alarm, offset);
                }
                self.alarms.send_replace(Arc::new(alarms));
            }
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Publishes why the server is not ready: tasks that are missing, and `lasting`.
    fn doubt(&self, lasting: Vec<String>) {
        let missing = self.shared.tasks.missing(MISSED_AFTER);
        let doubts: Vec<_> = missing.into_iter().map(|it| it.sentence).chain(lasting).collect();
        self.doubts.send_if_modified(|told| {
            let differs = **told != doubts;
            if differs {
                *told = Arc::new(doubts);
            }
            differs
        });
    }

    /// All conditions of this moment, with start times by the machine's clock.
    fn conditions(&mut self) -> Vec<Condition> {
        let now = self.shared.clocks.media.now();
        let lost = &mut self.lost;
        let view = self.shared.matrix.view();
        let inventory = Arc::clone(&self.shared.inventory.borrow());
        lost.retain(|name, _| inventory.sources.contains_key(name));
        let mut found = Vec::new();
        for source in view.sources.iter().filter(|source| source.wanted) {
            let gauges = inventory.sources.get(&source.name).map(|entry| &entry.gauges);
            let stalled = gauges.is_some_and(|gauges| gauges.stalled.get() > 0);
            found.extend(of_source(source, stalled, &view));
            if let Some(gauges) = gauges {
                let before = lost.insert(source.name.clone(), gauges.lost.get());
                // A source that a reload has changed counts from zero.
                let count = before.map_or(0, |before| gauges.lost.get().saturating_sub(before));
                found.extend(of_packets(&source.name, gauges.skew_ppm(), count));
            }
        }
        let ladders = self.shared.ladders.all();
        for (key, state) in &ladders {
            // Ladders count in media time.
            let by_wall =
                |it: Condition| Condition { since: it.since.map(|at| self.shared.clocks.to_wall(at)), ..it };
            found.extend(of_ladder(&key.source, &key.ladder, state).into_iter().map(by_wall));
        }
        found.extend(self.outcomes.look(&ladders, &inventory, &self.shared.matrix, now));
        let stale = outcome::stale(self.shared.delivery.registry(), &inventory, now);
        let lasting = self.outcomes.lasting(&stale);
        self.doubt(lasting);
        let pushes = self.shared.pushes.all();
        let of_plan = scheduler::conditions(&self.shared.plan.borrow(), self.shared.clocks.wall.now());
        let mut all: Vec<_> = found.iter().flat_map(|condition| of_channels(condition, &view)).collect();
        let off_air: Vec<_> = outcome::not_on_air(&view, &all).collect();
        let stale = outcome::stale_conditions(&stale);
        all.extend(off_air.into_iter().chain(stale).chain(of_plan).chain(of_pushes(&pushes)));
        all.extend(self.shared.tasks.fallen().into_iter().map(of_task));
        all.extend(recordings::conditions(self.shared.delivery.registry()));
        all
    }
}

/// A condition for a task that has panicked of late.
fn of_task(TaskFall { task, at, sentence }: TaskFall) -> Condition {
    let about = Some(task.to_string());
    Condition { kind: AlarmKind::Task, source: None, channel: None, about, sentence, since: Some(at) }
}

/// Turns the start of an alarm from media time into the machine's time.
fn by_machine(alarm: &mut Alarm, offset: i64) {
    alarm.since = alarm.since.offset_nanos(offset);
}

/// A condition for each note that is set.
fn of_notes(notes: &[(AlarmKind, &'static str, Arc<Note>)]) -> impl Iterator<Item = Condition> {
    notes.iter().filter_map(|(kind, about, note)| {
        let sentence = note.get()?.to_string();
        let about = Some((*about).to_owned());
        Some(Condition { kind: *kind, source: None, channel: None, about, sentence, since: None })
    })
}

/// A condition for each push that should reach its server and does not.
fn of_pushes(pushes: &[PushStatus]) -> impl Iterator<Item = Condition> {
    let is_down = |push: &&PushStatus| matches!(push.state, PushState::Connecting | PushState::BackingOff);
    pushes.iter().filter(is_down).map(|PushStatus { name, channel, reason, .. }| {
        let colon = if reason.is_empty() { "" } else { ": " };
        Condition {
            kind: AlarmKind::Push,
            source: None,
            channel: Some(channel.clone()),
            about: Some(name.clone()),
            sentence: format!("{channel} is not pushed, {name} does not reach its server{colon}{reason}"),
            since: None,
        }
    })
}

fn condition(kind: AlarmKind, source: &SourceName, sentence: String) -> Condition {
    Condition { kind, source: Some(source.clone()), channel: None, about: None, sentence, since: None }
}

/// A copy of a source's condition for each channel that should show the source.
fn of_channels(condition: &Condition, view: &MatrixView) -> Vec<Condition> {
    let wanting = view.channels.iter().filter(|it| it.desired.source == condition.source);
    wanting.map(|channel| Condition { channel: Some(channel.name.clone()), ..condition.clone() }).collect()
}

/// The channels that should show a source, in words.
fn wanted_by(source: &SourceName, view: &MatrixView) -> String {
    let channels = view.channels.iter().filter(|it| it.desired.source.as_ref() == Some(source));
    channels.map(|channel| channel.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// What is wrong with a source. `stalled`: its last connection was given up because nothing came.
fn of_source(source: &SourceView, stalled: bool, view: &MatrixView) -> Option<Condition> {
    let (name, reason) = (&source.name, &source.status.reason);
    let channels = wanted_by(name, view);
    let (kind, what) = match source.status.state {
        // A source that cannot be decoded has conditions of its own, see `outcome`.
        SourceState::Idle | SourceState::Live | SourceState::Undecodable => return None,
        SourceState::Connecting | SourceState::BackingOff if stalled => (AlarmKind::Stalled, "sends nothing"),
        SourceState::Connecting | SourceState::BackingOff => (AlarmKind::Offline, "cannot be reached"),
        SourceState::Stalled => (AlarmKind::Stalled, "sends nothing"),
        SourceState::Refused => (AlarmKind::Refused, "refuses us"),
    };
    let colon = if reason.is_empty() { "" } else { ": " };
    Some(condition(kind, name, format!("{name}, wanted by {channels}, {what}{colon}{reason}")))
}

/// By the skew of the source's clock, and how many of its packets were lost.
fn of_packets(name: &SourceName, skew_ppm: f64, lost: u64) -> impl Iterator<Item = Condition> {
    let skewed = (skew_ppm.abs() > SKEW_PPM).then(|| {
        condition(AlarmKind::Skew, name, format!("{name}'s clock is off by {skew_ppm:+.0} parts per million"))
    });
    let losing = (lost > 0).then(|| {
        condition(
            AlarmKind::Loss,
            name,
            format!("packets of {name} are lost on the way; RTP over TCP would help"),
        )
    });
    skewed.into_iter().chain(losing)
}

fn of_ladder(source: &SourceName, ladder: &str, state: &LadderState) -> Vec<Condition> {
    let meter = match state {
        LadderState::Runs(meter) => meter,
        LadderState::Fails(why) => {
            let sentence = format!("{source} cannot be shown, its ladder {ladder} does not start: {why}");
            return vec![condition(AlarmKind::ParameterSets, source, sentence)];
        }
    };
    let signs = [
        (AlarmKind::Black, &meter.black, "shows a black picture"),
        (AlarmKind::Frozen, &meter.still, "shows a picture in which nothing at all moves"),
        (AlarmKind::Silent, &meter.silent, "is silent: is the microphone on?"),
        (AlarmKind::Clipped, &meter.clipped, "is too loud: its sound is clipped"),
    ];
    let mut found: Vec<_> = signs
        .into_iter()
        .filter_map(|(kind, since, what)| {
            let since = Some(since.get()?);
            Some(Condition { since, ..condition(kind, source, format!("{source} {what}")) })
        })
        .collect();
    let thinned = meter.rungs.iter().filter(|rung| rung.thinning.get() > 0);
    let thinned: Vec<_> = thinned
        .map(|rung| format!("{} codes one picture in {}", rung.name, 1_u64 << rung.thinning.get()))
        .collect();
    if !thinned.is_empty() {
        let sentence = format!("the machine cannot keep up with {source}: {}", thinned.join(", "));
        found.push(condition(AlarmKind::Overload, source, sentence));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_control::alarm::Thresholds;
    use amphi_control::matrix::{By, ChannelView, Desired, OnAir, SourceStatus};
    use amphi_ladder::LadderMeter;
    use amphi_media::clock::ManualClock;
    use amphi_media::{ChannelName, MediaTime};

    const NOON: MediaTime = MediaTime::from_nanos(1_795_000_000_000_000_000);

    fn source(state: SourceState, reason: &str) -> SourceView {
        let status = SourceStatus { state, reason: reason.to_owned(), ..SourceStatus::idle(NOON) };
        SourceView { name: "hall".into(), wanted: true, status }
    }

    /// Two channels that should show the hall, and one that should not.
    fn view() -> MatrixView {
        let channel = |name: &str, source: Option<&str>| ChannelView {
            name: name.into(),
            streams: Vec::new(),
            desired: Desired {
                source: source.map(Into::into),
                by: By::Manual,
                reason: String::new(),
                since: NOON,
                until: None,
            },
            on_air: OnAir { source: None, reason: String::new(), since: NOON },
            explanation: String::new(),
            manual: None,
            scheduled: None,
            configured: None,
            notice: None,
        };
        let channels = vec![channel("PAES", Some("hall")), channel("L2", Some("hall")), channel("L3", None)];
        MatrixView { channels, sources: Vec::new() }
    }

    fn sentences(conditions: impl IntoIterator<Item = Condition>) -> Vec<(AlarmKind, String)> {
        conditions.into_iter().map(|it| (it.kind, it.sentence)).collect()
    }

    #[test]
    fn what_is_wrong_with_a_source_is_said_in_a_sentence() {
        for (state, stalled, reason, expected) in [
            (SourceState::Idle, false, "", None),
            (SourceState::Live, true, "", None),
            (
                SourceState::BackingOff,
                false,
                "no connection: refused",
                Some((
                    AlarmKind::Offline,
                    "hall, wanted by PAES, L2, cannot be reached: no connection: refused",
                )),
            ),
            (
                SourceState::Connecting,
                false,
                "",
                Some((AlarmKind::Offline, "hall, wanted by PAES, L2, cannot be reached")),
            ),
            (
                SourceState::Stalled,
                false,
                "nothing came for 4 s",
                Some((AlarmKind::Stalled, "hall, wanted by PAES, L2, sends nothing: nothing came for 4 s")),
            ),
            (
                SourceState::BackingOff,
                true,
                "the encoder did not answer within 10 s",
                Some((
                    AlarmKind::Stalled,
                    "hall, wanted by PAES, L2, sends nothing: the encoder did not answer within 10 s",
                )),
            ),
            (
                SourceState::Refused,
                false,
                "401",
                Some((AlarmKind::Refused, "hall, wanted by PAES, L2, refuses us: 401")),
            ),
        ] {
            let found = sentences(of_source(&source(state, reason), stalled, &view()));
            let expected: Vec<_> = expected.into_iter().map(|(kind, said)| (kind, said.to_owned())).collect();
            assert_eq!(found, expected, "{state:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_pictures_sound_and_machine_is_said_with_its_beginning() {
        let meter = Arc::new(LadderMeter::new(["720p", "480p"].map(str::to_owned)));
        let runs = LadderState::Runs(Arc::clone(&meter));
        assert_eq!(of_ladder(&"hall".into(), "lecture", &runs), []);
        for since in [&meter.black, &meter.still, &meter.silent, &meter.clipped] {
            since.observe(true, NOON);
        }
        meter.rungs[1].thinning.set(2);
        let found = of_ladder(&"hall".into(), "lecture", &runs);
        assert!(found.iter().take(4).all(|condition| condition.since == Some(NOON)), "{found:?}");
        assert_eq!(
            sentences(found),
            [
                (AlarmKind::Black, "hall shows a black picture"),
                (AlarmKind::Frozen, "hall shows a picture in which nothing at all moves"),
                (AlarmKind::Silent, "hall is silent: is the microphone on?"),
                (AlarmKind::Clipped, "hall is too loud: its sound is clipped"),
                (AlarmKind::Overload, "the machine cannot keep up with hall: 480p codes one picture in 4"),
            ]
            .map(|(kind, said)| (kind, said.to_owned()))
        );
        let fails = LadderState::Fails("rung 720p: the parameter sets differ".to_owned());
        let said =
            "hall cannot be shown, its ladder lecture does not start: rung 720p: the parameter sets differ";
        assert_eq!(
            sentences(of_ladder(&"hall".into(), "lecture", &fails)),
            [(AlarmKind::ParameterSets, said.to_owned())]
        );

        assert_eq!(of_packets(&"hall".into(), 0.0, 0).count(), 0);
        let said = "packets of hall are lost on the way; RTP over TCP would help";
        assert_eq!(sentences(of_packets(&"hall".into(), 0.0, 3)), [(AlarmKind::Loss, said.to_owned())]);
        let said = "hall's clock is off by -180 parts per million";
        assert_eq!(sentences(of_packets(&"hall".into(), -180.0, 0)), [(AlarmKind::Skew, said.to_owned())]);
    }

    #[test]
    fn an_alarm_names_the_channel_that_should_show_the_source() {
        let clock = ManualClock::at(NOON);
        let mut board = Board::new(Thresholds::default());
        let offline = condition(AlarmKind::Offline, &"hall".into(), "hall cannot be reached".to_owned());
        for _ in 0..7 {
            board.observe(of_channels(&offline, &view()), clock.now());
            clock.advance(EVERY);
        }
        let told: Vec<_> =
            board.alarms().into_iter().map(|alarm| (alarm.channel, alarm.source, alarm.since)).collect();
        let one = |channel: &str| (Some(ChannelName::from(channel)), Some(SourceName::from("hall")), NOON);
        assert_eq!(told, [one("L2"), one("PAES")]);
        let json = serde_json::to_value(&board.alarms()[0]).expect("JSON");
        assert_eq!(json["kind"], "offline");
        assert_eq!((&json["channel"], &json["sentence"]), (&"L2".into(), &"hall cannot be reached".into()));
    }
}
