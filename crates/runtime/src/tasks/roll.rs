//! The list of tasks: which are running, which have failed, how often each was restarted and why (sans-IO; time is an
//! argument).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use amphi_media::MediaTime;

/// How long a failure is reported by [`Roll::fallen`] after the restart.
const REMEMBERED: Duration = Duration::from_secs(300);
/// The most characters of a reason that are kept.
const REASON_CHARS: usize = 500;

/// Whether a task is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// All tasks of this name are running.
    Running,
    /// It has failed and will be restarted.
    Restarting,
}

/// A task as REST shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskView {
    /// Its name, which several tasks may share.
    #[schema(value_type = String)]
    #[serde(serialize_with = "text")]
    pub name: Arc<str>,
    /// Whether it is running.
    pub state: TaskState,
    /// Viewers are affected at once when it is down.
    pub needed: bool,
    /// How often it was restarted since start.
    pub restarts: u64,
    /// When it was last restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_restart_at: Option<MediaTime>,
    /// Why it last failed: a panic's message and place, or a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reason: Option<String>,
}

fn text<S: serde::Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

/// A task that has failed: it panicked, or ended without being asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFall {
    /// The name of the task.
    pub task: Arc<str>,
    /// When it failed, by the machine's clock.
    pub at: MediaTime,
    /// A sentence for an alarm: which task, why, and whether it runs again.
    pub sentence: String,
}

/// A moment by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The machine's clock, which may be stepped: for showing.
    pub(super) wall: MediaTime,
    /// The monotonic clock: for durations.
    pub(super) steady: Instant,
}

impl Moment {
    fn since(self, before: Self) -> Duration {
        self.steady.saturating_duration_since(before.steady)
    }
}

/// The list, by name. `D` is what ends a task in tests (`Door`).
#[derive(Debug)]
pub(super) struct Roll<D>(BTreeMap<Arc<str>, RollEntry<D>>);

#[derive(Debug)]
struct RollEntry<D> {
    needed: bool,
    /// Tasks of this name that are running.
    running: usize,
    /// Tasks of this name that have failed and are not restarted yet.
    down: usize,
    restarts: u64,
    last_restart_at: Option<MediaTime>,
    fell_at: Option<Moment>,
    reason: Option<String>,
    door: D,
}

impl<D> Default for Roll<D> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<D: Clone + Default> Roll<D> {
    /// One more task of this name is running. The `bool`: it replaces one that had failed.
    pub(super) fn begin(&mut self, name: &Arc<str>, needed: bool, now: Moment) -> (D, bool) {
        let fresh = || RollEntry {
            needed,
            running: 0,
            down: 0,
            restarts: 0,
            last_restart_at: None,
            fell_at: None,
            reason: None,
            door: D::default(),
        };
        let entry = self.0.entry(Arc::clone(name)).or_insert_with(fresh);
        let came_back = entry.down > 0;
        if came_back {
            entry.back(now);
        } else {
            entry.running += 1;
        }
        (entry.door.clone(), came_back)
    }

    /// One has ended as it should.
    pub(super) fn end(&mut self, name: &str) {
        let Some(entry) = self.0.get_mut(name) else { return };
        // A task that is dropped during its pause is counted as down.
        let one = if entry.running > 0 { &mut entry.running } else { &mut entry.down };
        *one = one.saturating_sub(1);
        if entry.running + entry.down == 0 && entry.fell_at.is_none() {
            self.0.remove(name);
        }
    }

    pub(super) fn fell(&mut self, name: &str, why: &str, now: Moment) {
        let Some(entry) = self.0.get_mut(name) else { return };
        entry.running = entry.running.saturating_sub(1);
        entry.down += 1;
        entry.fell_at = Some(now);
        entry.reason = Some(why.chars().take(REASON_CHARS).collect());
    }

    pub(super) fn back(&mut self, name: &str, now: Moment) {
        if let Some(entry) = self.0.get_mut(name) {
            entry.back(now);
        }
    }

    /// Failed tasks whose names begin with `prefix` will not be restarted.
    pub(super) fn give_up(&mut self, prefix: &str) {
        for (_, entry) in self.0.iter_mut().filter(|(name, _)| name.starts_with(prefix)) {
            entry.down = 0;
        }
    }

    pub(super) fn door(&self, name: &str) -> Option<D> {
        self.0.get(name).filter(|entry| entry.running > 0).map(|entry| entry.door.clone())
    }

    pub(super) fn all(&self) -> Vec<TaskView> {
        let there = self.0.iter().filter(|(_, entry)| entry.running + entry.down > 0);
        let view = |(name, entry): (&Arc<str>, &RollEntry<D>)| TaskView {
            name: Arc::clone(name),
            state: if entry.down > 0 { TaskState::Restarting } else { TaskState::Running },
            needed: entry.needed,
            restarts: entry.restarts,
            last_restart_at: entry.last_restart_at,
            last_reason: entry.reason.clone(),
        };
        there.map(view).collect()
    }

    pub(super) fn restarts(&self) -> Vec<(Arc<str>, u64)> {
        self.0.iter().map(|(name, entry)| (Arc::clone(name), entry.restarts)).collect()
    }

    pub(super) fn missing(&self, patience: Duration, now: Moment) -> Vec<TaskFall> {
        let is_missing = |entry: &RollEntry<D>| {
            let since = entry.fell_at.filter(|_| entry.needed && entry.down > 0);
            since.is_some_and(|since| now.since(since) >= patience)
        };
        self.0.iter().filter(|(_, entry)| is_missing(entry)).filter_map(fall).collect()
    }

    pub(super) fn fallen(&self, now: Moment) -> Vec<TaskFall> {
        let is_fresh = |entry: &RollEntry<D>| {
            entry.down > 0 || entry.fell_at.is_some_and(|at| now.since(at) < REMEMBERED)
        };
        self.0.iter().filter(|(_, entry)| is_fresh(entry)).filter_map(fall).collect()
    }
}

impl<D> RollEntry<D> {
    fn back(&mut self, now: Moment) {
        self.down = self.down.saturating_sub(1);
        self.running += 1;
        self.restarts += 1;
        self.last_restart_at = Some(now.wall);
    }
}

fn fall<D>((name, entry): (&Arc<str>, &RollEntry<D>)) -> Option<TaskFall> {
    let at = entry.fell_at?.wall;
    let why = entry.reason.as_deref().unwrap_or_default();
    let then = if entry.down > 0 { "it is being started again" } else { "it was started again" };
    let sentence = format!("the task {name} has ended: {why}; {then}");
    Some(TaskFall { task: Arc::clone(name), at, sentence })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        let (wall, steady) = (MediaTime::from_millis(1_800_000_000_000), *START);
        let second = Duration::from_secs(second);
        Moment { wall: wall + second, steady: steady + second }
    }

    #[test]
    fn a_fall_is_shown_counted_and_remembered_for_some_minutes() {
        let (mut roll, name) = (Roll::<()>::default(), Arc::from("channel Live"));
        roll.begin(&name, true, at(0));
        assert_eq!(roll.all()[0].state, TaskState::Running);
        roll.fell(&name, "an index", at(10));
        assert_eq!((roll.all()[0].state, roll.all()[0].restarts), (TaskState::Restarting, 0));
        assert!(roll.missing(Duration::from_secs(3), at(12)).is_empty());
        let missing = roll.missing(Duration::from_secs(3), at(13));
        assert!(missing[0].sentence.contains("channel Live") && missing[0].sentence.contains("an index"));
        roll.back(&name, at(14));
        let view = roll.all().remove(0);
        assert_eq!(
            (view.state, view.restarts, view.last_restart_at),
            (TaskState::Running, 1, Some(at(14).wall))
        );
        assert!(roll.missing(Duration::ZERO, at(100)).is_empty());
        assert!(roll.fallen(at(309))[0].sentence.ends_with("it was started again"));
        assert!(roll.fallen(at(310)).is_empty());
        roll.end(&name);
        assert!(roll.all().is_empty(), "it is no more");
        assert_eq!(roll.restarts(), [(name, 1)], "what was counted stays");
    }

    #[test]
    fn a_machine_clock_that_is_stepped_changes_no_duration() {
        let (mut roll, name) = (Roll::<()>::default(), Arc::from("channel Live"));
        roll.begin(&name, true, at(0));
        roll.fell(&name, "x", at(10));
        let stepped = |seconds: u64, wall: u64| Moment { wall: at(wall).wall, ..at(seconds) };
        assert!(roll.missing(Duration::from_secs(3), stepped(11, 5000)).is_empty(), "forward");
        assert_eq!(roll.missing(Duration::from_secs(3), stepped(13, 0))[0].at, at(10).wall, "back");
        roll.back(&name, at(14));
        assert!(roll.fallen(stepped(310, 0)).is_empty());
    }

    #[test]
    fn a_thread_that_lies_comes_back_under_its_name_or_is_given_up() {
        let (mut roll, name) = (Roll::<()>::default(), Arc::from("ladder a 720p"));
        assert!(!roll.begin(&name, false, at(0)).1);
        roll.fell(&name, "x", at(1));
        assert!(roll.begin(&name, false, at(2)).1, "it has come back");
        assert_eq!((roll.all().len(), roll.all()[0].restarts), (1, 1));
        roll.fell(&name, "x", at(3));
        roll.give_up("ladder b");
        assert_eq!(roll.all().len(), 1);
        roll.give_up("ladder a");
        assert!(roll.all().is_empty());
    }

    #[test]
    fn two_of_one_name_share_a_place() {
        let (mut roll, name) = (Roll::<()>::default(), Arc::from("row"));
        roll.begin(&name, false, at(0));
        roll.begin(&name, false, at(0));
        roll.end(&name);
        assert_eq!(roll.all().len(), 1);
        roll.end(&name);
        assert!(roll.0.is_empty(), "nothing is kept of who never fell");
    }
}
