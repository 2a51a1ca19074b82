//! The watchman: looks at sources, ladders and channels once a second and says what is wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::conductor::LadderKey;
use super::estate::Inventory;
use super::webhook::Webhooks;
use crate::alarm::{Alarm, AlarmKind, Board, Change, Condition};
use crate::clock::Clock;
use crate::ladder::LadderMeter;
use crate::matrix::{MatrixHandle, MatrixView, SourceState, SourceView};
use crate::source::SourceGauges;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A clock that runs so much too fast or too slow is broken: quartz keeps within 100.
const SKEW_PPM: f64 = 150.0;

/// The ladders of this moment, by source and ladder name. The conductor writes, watchman and metrics read.
#[derive(Clone, Debug, Default)]
pub(super) struct Ladders(Arc<Mutex<BTreeMap<LadderKey, LadderState>>>);

/// A ladder as others see it.
#[derive(Clone, Debug)]
pub(super) enum LadderState {
    /// It runs.
    Runs(Arc<LadderMeter>),
    /// It does not start, and why.
    Fails(String),
}

impl Ladders {
    pub(super) fn set(&self, key: &LadderKey, state: LadderState) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), state);
    }

    pub(super) fn keep(&self, keep: impl Fn(&LadderKey) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| keep(key));
    }

    pub(super) fn all(&self) -> BTreeMap<LadderKey, LadderState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// See the module's text.
pub(super) struct Watchman {
    pub(super) matrix: MatrixHandle,
    pub(super) inventory: watch::Receiver<Arc<Inventory>>,
    pub(super) ladders: Ladders,
    pub(super) board: Board,
    pub(super) webhooks: Webhooks,
    pub(super) alarms: watch::Sender<Arc<Vec<Alarm>>>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Watchman {
    /// Works until `end`.
    pub(super) async fn run(mut self, end: CancellationToken) {
        let mut lost = BTreeMap::new();
        loop {
            let conditions = self.conditions(&mut lost);
            let changes = self.board.observe(conditions, self.clock.now());
            for change in &changes {
                self.webhooks.tell(change);
                match change {
                    Change::Raised(alarm) => {
                        warn!(kind = ?alarm.kind, since = %alarm.since, "alarm: {}", alarm.sentence);
                    }
                    Change::Cleared(alarm) => info!(kind = ?alarm.kind, "alarm over: {}", alarm.sentence),
                }
            }
            if !changes.is_empty() {
                self.alarms.send_replace(Arc::new(self.board.alarms()));
            }
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// `lost`: packets lost until the last look, by source.
    fn conditions(&self, lost: &mut BTreeMap<String, u64>) -> Vec<Condition> {
        let view = self.matrix.view();
        let inventory = Arc::clone(&self.inventory.borrow());
        let mut found = Vec::new();
        for source in view.sources.iter().filter(|source| source.wanted) {
            found.extend(of_source(source, &view));
            if let Some(gauges) = inventory.sources.get(&source.name).map(|entry| &entry.gauges) {
                let before = lost.insert(source.name.clone(), gauges.lost.get());
                let count = gauges.lost.get() - before.unwrap_or_else(|| gauges.lost.get());
                found.extend(of_gauges(&source.name, gauges, count));
            }
        }
        for (key, state) in self.ladders.all() {
            found.extend(of_ladder(&key.source, &key.ladder, &state));
        }
        found
    }
}

fn condition(kind: AlarmKind, source: &str, sentence: String) -> Condition {
    Condition { kind, source: Some(source.to_owned()), channel: None, sentence, since: None }
}

/// The channels that should show a source, in words.
fn wanted_by(source: &str, view: &MatrixView) -> String {
    let channels = view.channels.iter().filter(|it| it.desired.source.as_deref() == Some(source));
    channels.map(|channel| channel.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn of_source(source: &SourceView, view: &MatrixView) -> Option<Condition> {
    let (name, reason) = (&source.name, &source.status.reason);
    let channels = wanted_by(name, view);
    let (kind, what) = match source.status.state {
        SourceState::Idle | SourceState::Live => return None,
        SourceState::Connecting | SourceState::BackingOff => (AlarmKind::Offline, "cannot be had"),
        SourceState::Stalled => (AlarmKind::Stalled, "is connected and sends nothing"),
        SourceState::Refused => (AlarmKind::Refused, "refuses us"),
    };
    let colon = if reason.is_empty() { "" } else { ": " };
    Some(condition(kind, name, format!("{name}, wanted by {channels}, {what}{colon}{reason}")))
}

fn of_gauges(name: &str, gauges: &SourceGauges, lost: u64) -> impl Iterator<Item = Condition> {
    let skew = gauges.skew_ppm();
    let skewed = (skew.abs() > SKEW_PPM).then(|| {
        condition(AlarmKind::Skew, name, format!("{name}'s clock is off by {skew:+.0} parts per million"))
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

fn of_ladder(source: &str, ladder: &str, state: &LadderState) -> Vec<Condition> {
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
        let sentence = format!("the machine cannot follow {source}: {}", thinned.join(", "));
        found.push(condition(AlarmKind::Overload, source, sentence));
    }
    found
}
