//! Decides which source to check now, because a lecture starts soon, and reports the results as conditions.
//!
//! Contract: [`Preflight::due`] returns the next check to make, [`Preflight::checked`] takes its result, and
//! [`Preflight::conditions`] returns what should be alarms. An event that is moved, cancelled or sent to another hall needs a
//! new check, and the old result is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::check::Check;
use crate::agenda::{Plan, PlannedEvent};
use crate::alarm::{AlarmKind, Condition};
use amphi_media::{EventId, MediaTime, SourceName};

/// The time between two checks of a hall that was not ready.
const AGAIN: Duration = Duration::from_secs(60);

/// A check to make, for one lecture: its identifier, start and source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Job {
    event: EventId,
    starts: MediaTime,
    source: SourceName,
}

impl Job {
    /// The name of the source to check.
    pub const fn source(&self) -> &SourceName {
        &self.source
    }

    fn of(event: &PlannedEvent) -> Option<Self> {
        let source = event.source.clone().filter(|_| event.channel.is_some())?;
        event.connect_from?;
        Some(Self { event: event.id.clone(), starts: event.starts, source })
    }
}

/// The checks before lectures; the module's text has the contract.
#[derive(Debug)]
pub struct Preflight {
    ahead: Duration,
    results: BTreeMap<Job, Check>,
}

impl Preflight {
    /// Sources are checked from `ahead` before each lecture on; zero = never.
    pub const fn new(ahead: Duration) -> Self {
        Self { ahead, results: BTreeMap::new() }
    }

    /// Changes `ahead`. Results are kept.
    pub const fn change(&mut self, ahead: Duration) {
        self.ahead = ahead;
    }

    /// The check to make now, for the next lecture first.
    pub fn due(&mut self, plan: &Plan, now: MediaTime) -> Option<Job> {
        let mut near: Vec<Job> = self.near(plan, now).filter_map(Job::of).collect();
        near.sort_by_key(|job| job.starts);
        self.results.retain(|job, _| near.contains(job));
        near.into_iter().find(|job| match self.results.get(job) {
            None => true,
            Some(check) => check.fault.is_some() && (check.at + AGAIN <= now || now < check.at),
        })
    }

    /// Records the result of a check.
    pub fn checked(&mut self, job: Job, check: Check) {
        self.results.insert(job, check);
    }

    /// The faults in the halls of lectures that start soon, with the hours in `zone`.
    pub fn conditions(&self, plan: &Plan, now: MediaTime, zone: &TimeZone) -> Vec<Condition> {
        let condition = |event: &PlannedEvent| {
            let job = Job::of(event)?;
            let check = self.results.get(&job)?;
            let fault = check.fault.as_ref()?;
            let hour = event.starts.timestamp().to_zoned(zone.clone()).strftime("%H:%M");
            let (title, source) = (&event.title, &job.source);
            Some(Condition {
                kind: AlarmKind::Check,
                source: Some(job.source.clone()),
                channel: event.channel.clone(),
                about: Some(event.id.to_string()),
                sentence: format!("'{title}' begins at {hour} and its hall is not ready: {source}: {fault}"),
                since: None,
            })
        };
        self.near(plan, now).filter_map(condition).collect()
    }

    fn near<'a>(&self, plan: &'a Plan, now: MediaTime) -> impl Iterator<Item = &'a PlannedEvent> + use<'a> {
        let ahead = self.ahead;
        let is_near = move |event: &&PlannedEvent| event.starts - ahead <= now && now < event.starts;
        plan.events.iter().filter(is_near)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::Facts;
    use super::*;

    /// 12:06:40 in Paris.
    const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    fn at(second: i64) -> MediaTime {
        START.offset_nanos(second * 1_000_000_000)
    }

    fn event(id: &str, source: &str, second: i64) -> PlannedEvent {
        PlannedEvent {
            id: id.into(),
            title: format!("UE{id}"),
            channel: Some("Live".into()),
            source: Some(source.into()),
            starts: at(second),
            ends: at(second + 5400),
            connect_from: Some(at(second - 180)),
            connect_until: Some(at(second + 6000)),
            ..PlannedEvent::default()
        }
    }

    fn plan(events: Vec<PlannedEvent>) -> Plan {
        Plan { events, ..Plan::default() }
    }

    fn result(source: &str, fault: Option<&str>, second: i64) -> Check {
        let (source, fault) = (source.into(), fault.map(str::to_owned));
        Check { source, at: at(second), fault, waits_for_publisher: false, facts: Facts::default() }
    }

    #[test]
    fn a_fault_is_told_with_title_and_hour_and_looked_at_again_until_the_start() {
        let plan = plan(vec![event("2", "b", 1000), event("1", "a", 980)]);
        let mut preflight = Preflight::new(Duration::from_secs(600));
        assert_eq!(preflight.due(&plan, at(379)), None);
        let job = preflight.due(&plan, at(400)).expect("both are near");
        assert_eq!(job.source(), "a", "the nearest first");
        preflight.checked(job.clone(), result("a", Some("no sound comes"), 405));
        let other = preflight.due(&plan, at(406)).expect("the other");
        preflight.checked(other, result("b", None, 410));
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let told = preflight.conditions(&plan, at(411), &zone);
        let [condition] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(condition.sentence, "'UE1' begins at 12:23 and its hall is not ready: a: no sound comes");
        assert_eq!((condition.kind, condition.about.as_deref()), (AlarmKind::Check, Some("1")));
        assert_eq!(preflight.due(&plan, at(464)), None);
        assert_eq!(preflight.due(&plan, at(465)), Some(job.clone()));
        preflight.checked(job, result("a", None, 470));
        assert!(preflight.conditions(&plan, at(471), &zone).is_empty());
        assert_eq!(preflight.due(&plan, at(900)), None, "fit is fit");
    }

    #[test]
    fn an_event_that_moves_to_another_hall_is_another_look() {
        let mut preflight = Preflight::new(Duration::from_secs(600));
        let before = plan(vec![event("1", "a", 500)]);
        let job = preflight.due(&before, START).expect("near");
        preflight.checked(job, result("a", Some("it refuses us"), 1));
        let after = plan(vec![event("1", "b", 500)]);
        assert!(preflight.conditions(&after, at(2), &TimeZone::UTC).is_empty());
        assert_eq!(preflight.due(&after, at(2)).expect("another look").source(), "b");
        assert_eq!(preflight.due(&plan(Vec::new()), at(3)), None, "cancelled");
        assert!(preflight.results.is_empty(), "and forgotten");
    }

    #[test]
    fn without_time_ahead_nothing_is_looked_at() {
        let mut preflight = Preflight::new(Duration::ZERO);
        let plan = plan(vec![event("1", "a", 100)]);
        assert!((0..200).all(|second| preflight.due(&plan, at(second)).is_none()));
    }

    proptest! {
        /// For any plan: every lecture with a hall is checked before it starts, no check is made outside of
        /// its time, and conditions are always about a lecture that starts soon.
        #[test]
        fn every_lecture_is_looked_at_in_time(
            starts in proptest::collection::vec((0..4_usize, 0..20_i64), 1..12), faulty: [bool; 4],
        ) {
            let names = ["a", "b", "c", "d"];
            let events: Vec<_> = starts.iter().enumerate()
                .map(|(id, &(hall, slot))| event(&id.to_string(), names[hall], 1000 + slot * 900))
                .collect();
            let plan = plan(events.clone());
            let mut preflight = Preflight::new(Duration::from_secs(600));
            let mut looked = BTreeMap::<EventId, i64>::new();
            for step in 0..2400 {
                // A check takes a while.
                let now = step * 10;
                if let Some(job) = preflight.due(&plan, at(now)) {
                    prop_assert!(job.starts > at(now) && job.starts - Duration::from_secs(600) <= at(now));
                    looked.entry(job.event.clone()).or_insert(now);
                    let hall = names.iter().position(|name| *name == job.source).expect("a hall");
                    let check = result(job.source(), faulty[hall].then_some("no sound comes"), now);
                    preflight.checked(job, check);
                }
                for condition in preflight.conditions(&plan, at(now), &TimeZone::UTC) {
                    let about = condition.about.expect("an event");
                    let event = events.iter().find(|event| event.id == about).expect("it is planned");
                    prop_assert!(at(now) < event.starts && event.source == condition.source);
                }
            }
            for event in &events {
                prop_assert!(looked.contains_key(&event.id), "{} was not looked at", event.id);
            }
        }
    }
}
