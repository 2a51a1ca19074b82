//! The overrun guard: a lecture that goes on after its planned end stays on its channel while there is still speech or
//! movement, for so long and no longer.
//!
//! Contract: hand every round of wishes, at least once a second, to [`Overrun::adjust`], with what the sources show at
//! this moment; obey what comes back. Off for channels without a limit. A channel stays only
//! * if its lecture ended by the clock: one that was cancelled or moved goes at once;
//! * while the source shows speech or movement: once it does not, the lecture is over and does not come back;
//! * at most for its limit after the planned end (lead-out counted);
//! * unless the schedule wants something else on the channel, or the source on another channel.
//!
//! The matrix is told shortly before the planned end, so that it never lets go in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::desk::Wish;
use crate::matrix::Scheduled;
use crate::media::MediaTime;

/// How long before its planned end a lecture is prolonged.
const AHEAD: Duration = Duration::from_secs(3);

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Overrun {
    limits: BTreeMap<String, Duration>,
    /// What was last on each channel by the plan.
    last: BTreeMap<String, Scheduled>,
}

impl Overrun {
    /// `limits` by channel; zero = off.
    pub fn new(limits: impl IntoIterator<Item = (String, Duration)>) -> Self {
        let limits = limits.into_iter().filter(|(_, limit)| !limit.is_zero()).collect();
        Self { limits, last: BTreeMap::new() }
    }

    /// Other limits from now on; who stays at present stays by the new ones.
    pub fn change(&mut self, limits: impl IntoIterator<Item = (String, Duration)>) {
        self.limits = Self::new(limits).limits;
    }

    /// The wishes, with those prolonged that may be. `active`: a source shows speech or movement.
    pub fn adjust(&mut self, wishes: Vec<Wish>, active: impl Fn(&str) -> bool, now: MediaTime) -> Vec<Wish> {
        if self.limits.is_empty() {
            return wishes;
        }
        let planned: BTreeMap<String, BTreeSet<String>> = {
            let mut planned = BTreeMap::<String, BTreeSet<String>>::new();
            for wish in &wishes {
                if let Some(scheduled) = &wish.scheduled {
                    planned.entry(scheduled.source.clone()).or_default().insert(wish.channel.clone());
                }
            }
            planned
        };
        let elsewhere = |source: &str, channel: &str| {
            planned.get(source).is_some_and(|channels| channels.iter().any(|it| it != channel))
        };
        let adjust = |wish: Wish| {
            let scheduled = self.of_channel(&wish, &active, &elsewhere, now);
            Wish { scheduled, ..wish }
        };
        wishes.into_iter().map(adjust).collect()
    }

    fn of_channel(
        &mut self,
        wish: &Wish,
        active: &impl Fn(&str) -> bool,
        elsewhere: &impl Fn(&str, &str) -> bool,
        now: MediaTime,
    ) -> Option<Scheduled> {
        let channel = &wish.channel;
        let Some(&limit) = self.limits.get(channel) else { return wish.scheduled.clone() };
        let ending = match &wish.scheduled {
            Some(scheduled) => {
                self.last.insert(channel.clone(), scheduled.clone());
                scheduled.until - AHEAD <= now
            }
            // Gone before its end: it was cancelled or moved.
            None => self.last.get(channel).is_some_and(|last| last.until <= now),
        };
        let Some(last) = self.last.get(channel).filter(|_| ending) else {
            if wish.scheduled.is_none() {
                self.last.remove(channel);
            }
            return wish.scheduled.clone();
        };
        let most = last.until + limit;
        if now < most && active(&last.source) && !elsewhere(&last.source, channel) {
            let reason = format!("{}; it goes on after its planned end", last.reason);
            return Some(Scheduled { source: last.source.clone(), reason, until: most });
        }
        if wish.scheduled.is_none() {
            self.last.remove(channel);
        }
        wish.scheduled.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    fn at(second: u64) -> MediaTime {
        START + Duration::from_secs(second)
    }

    fn scheduled(source: &str, until: u64) -> Scheduled {
        Scheduled { source: source.to_owned(), reason: "event 1".to_owned(), until: at(until) }
    }

    fn wish(channel: &str, scheduled: Option<Scheduled>) -> Wish {
        Wish { channel: channel.to_owned(), scheduled, notice: None }
    }

    fn guard() -> Overrun {
        Overrun::new([("a".to_owned(), Duration::from_secs(300)), ("b".to_owned(), Duration::ZERO)])
    }

    /// What is on channel `a` when the plan says this.
    fn on_a(
        guard: &mut Overrun,
        plan: Option<Scheduled>,
        active: bool,
        second: u64,
    ) -> Option<(String, u64)> {
        let adjusted = guard.adjust(vec![wish("a", plan)], |_| active, at(second));
        let until = |it: &Scheduled| it.until.saturating_since(START).as_secs();
        adjusted[0].scheduled.as_ref().map(|it| (it.source.clone(), until(it)))
    }

    #[test]
    fn a_lecture_stays_while_somebody_speaks_and_then_goes_for_good() {
        let mut guard = guard();
        let plan = Some(scheduled("hall", 100));
        let hall = |until| Some(("hall".to_owned(), until));
        assert_eq!(on_a(&mut guard, plan.clone(), true, 96), hall(100));
        assert_eq!(on_a(&mut guard, plan.clone(), true, 97), hall(400), "before the matrix lets go");
        assert_eq!(on_a(&mut guard, plan, false, 98), hall(100), "silence: the plan holds");
        assert_eq!(on_a(&mut guard, None, true, 100), hall(400));
        assert_eq!(on_a(&mut guard, None, true, 399), hall(400));
        assert_eq!(on_a(&mut guard, None, true, 400), None, "no longer than the limit");
        assert_eq!(on_a(&mut guard, None, true, 401), None);

        assert_eq!(on_a(&mut guard, Some(scheduled("hall", 500)), true, 450), hall(500));
        assert_eq!(on_a(&mut guard, None, true, 510), hall(800));
        assert_eq!(on_a(&mut guard, None, false, 511), None);
        assert_eq!(on_a(&mut guard, None, true, 512), None, "it does not come back");
    }

    #[test]
    fn it_gives_way_to_the_next_event_and_to_another_channel() {
        let mut guard = guard();
        on_a(&mut guard, Some(scheduled("hall", 100)), true, 50);
        let next = Some(scheduled("other", 1000));
        assert_eq!(on_a(&mut guard, next, true, 100), Some(("other".to_owned(), 1000)));

        let mut guard = self::guard();
        on_a(&mut guard, Some(scheduled("hall", 100)), true, 50);
        let both = vec![wish("a", None), wish("b", Some(scheduled("hall", 1000)))];
        let adjusted = guard.adjust(both.clone(), |_| true, at(100));
        assert_eq!(adjusted, both, "the hall is needed on the other channel");
    }

    #[test]
    fn what_was_cancelled_goes_at_once_and_a_channel_without_limit_is_left_alone() {
        let mut guard = guard();
        on_a(&mut guard, Some(scheduled("hall", 100)), true, 50);
        assert_eq!(on_a(&mut guard, None, true, 60), None);
        assert_eq!(on_a(&mut guard, None, true, 100), None);
        let on_b = |plan, second| vec![(wish("b", plan), second)];
        for (wish, second) in [on_b(Some(scheduled("hall", 100)), 99), on_b(None, 101)].concat() {
            assert_eq!(guard.adjust(vec![wish.clone()], |_| true, at(second)), [wish]);
        }
    }

    /// At each second: what the plan wants on both channels, and which halls are active.
    fn day() -> impl Strategy<Value = Vec<([Option<(usize, u64)>; 2], [bool; 2])>> {
        let slot = proptest::option::weighted(0.6, (0..2_usize, 1..40_u64));
        let step = ([slot.clone(), slot], any::<[bool; 2]>());
        proptest::collection::vec(step, 1..60)
    }

    proptest! {
        #[test]
        fn whatever_the_day_is_like(day in day()) {
            const SOURCES: [&str; 2] = ["x", "y"];
            let limits = [("a".to_owned(), Duration::from_secs(20)), ("b".to_owned(), Duration::from_secs(5))];
            let mut guard = Overrun::new(limits.clone());
            // What the plan wanted last on each channel, and until when.
            let mut last: [Option<(usize, u64)>; 2] = [None, None];
            let mut second = 0;
            for (plans, active) in day {
                second += 1;
                let channels = ["a", "b"];
                let wishes: Vec<_> = (0..2)
                    .map(|at| wish(channels[at], plans[at].map(|(source, length)| scheduled(SOURCES[source], second + length))))
                    .collect();
                let is_active = |source: &str| active[usize::from(source == "y")];
                let adjusted = guard.adjust(wishes.clone(), is_active, at(second));
                prop_assert_eq!(adjusted.len(), 2);
                for index in 0..2 {
                    let (planned, shown) = (&wishes[index].scheduled, &adjusted[index].scheduled);
                    let limit = limits[index].1.as_secs();
                    match (planned, shown) {
                        // The plan's source is never replaced or taken away, only prolonged.
                        (Some(planned), Some(shown)) => {
                            prop_assert_eq!(&planned.source, &shown.source);
                            prop_assert!(shown.until == planned.until || is_active(&planned.source));
                            prop_assert!(shown.until <= planned.until + Duration::from_secs(limit));
                        }
                        (Some(_), None) => prop_assert!(false, "taken away"),
                        (None, Some(shown)) => {
                            let (source, until) = last[index].expect("something ran");
                            prop_assert_eq!(shown.source.as_str(), SOURCES[source]);
                            prop_assert!(until <= second && second < until + limit, "only by the clock, and not for ever");
                            prop_assert!(is_active(&shown.source));
                            let other = adjusted[1 - index].scheduled.as_ref().filter(|_| wishes[1 - index].scheduled.is_some());
                            prop_assert!(other.is_none_or(|other| other.source != shown.source), "one hall on two channels");
                        }
                        (None, None) => {}
                    }
                    if let Some((source, length)) = plans[index] {
                        last[index] = Some((source, second + length));
                    }
                }
            }
        }
    }
}
