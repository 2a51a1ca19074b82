//! The overrun guard: a lecture that goes on after its planned end stays on its channel while somebody still speaks or
//! something moves, up to a limit.
//!
//! Contract: pass the plans of [`super::Planner::channel_plans`] through [`Overrun::adjust`] at least once a second, with what
//! the sources show at this moment, and act on the result. The timetable has decided how long a lecture may stay at most: for
//! the channel's limit after the planned end (lead-out included), and not into what is planned next on the channel or in the
//! hall. A lecture that was cancelled or moved is not among the plans and ends at once. A lecture
//! * is prolonged shortly before its planned end, so that there is no gap in the matrix;
//! * is over once there was neither speech nor movement for half a minute, and does not come back;
//! * is over, too, if the server restarts in the meantime: then there are no signs of life yet.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::planner::{ChannelPlan, MayOverrun};
use super::words::hour;
use crate::matrix::Scheduled;
use amphi_media::{ChannelName, EventId, MediaTime, SourceName};

/// How long before its planned end a lecture is prolonged.
const AHEAD: Duration = Duration::from_secs(3);
/// How long there may be neither speech nor movement: longer than the pause after a question.
const CALM: Duration = Duration::from_secs(30);

/// When there was last speech and movement in a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignsOfLife {
    /// When somebody last spoke.
    pub speech: Option<MediaTime>,
    /// When something last moved in the picture.
    pub movement: Option<MediaTime>,
}

impl SignsOfLife {
    /// Why a lecture is not over, as a clause of a sentence; `None` if it is over.
    fn why(&self, now: MediaTime) -> Option<&'static str> {
        let of_late = |time: Option<MediaTime>| time.is_some_and(|time| now < time + CALM);
        match (of_late(self.speech), of_late(self.movement)) {
            (true, _) => Some("the lecturer still speaks"),
            (false, true) => Some("something still moves in the picture"),
            (false, false) => None,
        }
    }
}

/// The overrun guard of all channels.
#[derive(Clone, Debug, Default)]
pub struct Overrun {
    /// By channel, the lecture that has ended after its planned end.
    over: BTreeMap<ChannelName, EventId>,
}

impl Overrun {
    /// The plans, with lectures prolonged that go on. `signs` gives the last speech and movement of a source by its name.
    /// Explanations have the time of `zone`.
    pub fn adjust(
        &mut self,
        channel_plans: Vec<ChannelPlan>,
        signs: impl Fn(&SourceName) -> SignsOfLife,
        zone: &TimeZone,
        now: MediaTime,
    ) -> Vec<ChannelPlan> {
        let adjusted = |mut channel_plan: ChannelPlan| {
            match channel_plan.overrun.take() {
                Some(overrun) => channel_plan.scheduled = self.of(&channel_plan, &overrun, &signs, zone, now),
                None => {
                    self.over.remove(&channel_plan.channel);
                }
            }
            channel_plan
        };
        channel_plans.into_iter().map(adjusted).collect()
    }

    fn of(
        &mut self,
        channel_plan: &ChannelPlan,
        overrun: &MayOverrun,
        signs: &impl Fn(&SourceName) -> SignsOfLife,
        zone: &TimeZone,
        now: MediaTime,
    ) -> Option<Scheduled> {
        let planned = channel_plan.scheduled.clone();
        let is_over = self.over.get(&channel_plan.channel) == Some(&overrun.event);
        if is_over || now < overrun.planned - AHEAD || overrun.latest <= now {
            return planned;
        }
        let MayOverrun { event, source, reason, latest, .. } = overrun;
        let Some(why) = signs(source).why(now) else {
            if overrun.planned <= now {
                self.over.insert(channel_plan.channel.clone(), event.clone());
            }
            return planned;
        };
        let latest_hour = hour(*latest, zone);
        let reason = format!("{reason}, and longer since {why}; ends at the latest at {latest_hour}");
        Some(Scheduled { source: source.clone(), reason, until: *latest })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::super::event::{CalendarEvent, FeedAnswer, PollResult, Reading};
    use super::super::planner::Planner;
    use super::super::settings::Settings;
    use super::super::tests::{at, config, lecture};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const QUIET: SignsOfLife = SignsOfLife { speech: None, movement: None };

    /// Live_PAES may overrun by a quarter of an hour, Live_L2 never; no lead-out.
    fn settings() -> Settings {
        let mut config = config();
        config.channels[0].overrun_max_s = 900;
        config.schedule.lead_out_s = 0;
        config.schedule.lead_in_s = 0;
        Settings::new(&config).expect("good")
    }

    fn planner(events: Vec<CalendarEvent>) -> Planner {
        let now = at(0, 7, 0);
        let mut planner = Planner::new(settings(), None, now);
        take(&mut planner, events, now);
        planner
    }

    fn take(planner: &mut Planner, events: Vec<CalendarEvent>, now: MediaTime) {
        let reading = Reading { events, notes: Vec::new() };
        let part = FeedAnswer { agent: String::new(), outcome: Ok(Some(reading)) };
        planner.take(PollResult { parts: vec![part], format: None }, now);
    }

    fn morning() -> CalendarEvent {
        lecture("1", "PAES", "Amphi_A", at(0, 8, 30), at(0, 10, 30))
    }

    /// The source of Live_PAES, and until when.
    fn paes(guard: &mut Overrun, planner: &Planner, signs: SignsOfLife, now: MediaTime) -> Option<Scheduled> {
        let zone = planner.settings().zone().clone();
        guard.adjust(planner.channel_plans(now), |_| signs, &zone, now).remove(0).scheduled
    }

    fn speech(now: MediaTime) -> SignsOfLife {
        SignsOfLife { speech: Some(now), movement: None }
    }

    #[test]
    fn a_lecture_stays_while_somebody_speaks_and_the_reason_says_so() {
        let (mut guard, planner) = (Overrun::default(), planner(vec![morning()]));
        let until = |it: Option<Scheduled>| it.map(|it| it.until);
        let (end, most) = (at(0, 10, 30), at(0, 10, 45));
        let before = end - 4 * SECOND;
        assert_eq!(until(paes(&mut guard, &planner, speech(before), before)), Some(end));
        let before = end - 3 * SECOND;
        let told = paes(&mut guard, &planner, speech(before), before).expect("on air");
        assert_eq!(
            told.reason,
            "event 1 'UE 1' 08:30–10:30, and longer since the lecturer still speaks; ends at the latest at 10:45"
        );
        assert_eq!((told.source.as_str(), told.until), ("PS-Amphi_A", most));
        let before = end - SECOND;
        assert_eq!(until(paes(&mut guard, &planner, QUIET, before)), Some(end), "silence: the plan holds");
        let moving = SignsOfLife { speech: Some(end - CALM), movement: Some(end) };
        let told = paes(&mut guard, &planner, moving, end).expect("on air");
        assert!(told.reason.contains("since something still moves in the picture"), "{}", told.reason);
        let last = most - SECOND;
        assert_eq!(until(paes(&mut guard, &planner, speech(last), last)), Some(most));
        assert_eq!(paes(&mut guard, &planner, speech(most), most), None, "no longer than the limit");
    }

    #[test]
    fn half_a_minute_of_silence_ends_it_for_good() {
        let (mut guard, planner) = (Overrun::default(), planner(vec![morning()]));
        let last = at(0, 10, 35);
        for now in [last, last + CALM - SECOND] {
            assert!(paes(&mut guard, &planner, speech(last), now).is_some());
        }
        assert_eq!(paes(&mut guard, &planner, speech(last), last + CALM), None);
        let later = last + 2 * CALM;
        assert_eq!(paes(&mut guard, &planner, speech(later), later), None, "it does not come back");
    }

    #[test]
    fn it_gives_way_to_what_is_planned_next_on_the_channel_and_in_the_hall() {
        let next = lecture("2", "PAES", "Amphi_B", at(0, 10, 40), at(0, 11, 0));
        let elsewhere = lecture("3", "L2", "Amphi_A", at(0, 10, 35), at(0, 11, 0));
        let planner_ = planner(vec![morning(), next.clone()]);
        let mut guard = Overrun::default();
        let told = |guard: &mut Overrun, planner: &Planner, now| {
            paes(guard, planner, speech(now), now).map(|it| (it.source, it.until))
        };
        let hall = |hall: &str, until| Some((format!("PS-{hall}").into(), until));
        assert_eq!(told(&mut guard, &planner_, at(0, 10, 31)), hall("Amphi_A", at(0, 10, 40)));
        assert_eq!(told(&mut guard, &planner_, at(0, 10, 40)), hall("Amphi_B", at(0, 11, 0)));
        assert_eq!(told(&mut guard, &planner_, at(0, 11, 1)), hall("Amphi_B", at(0, 11, 15)));
        let mut guard = Overrun::default();
        let planner_ = planner(vec![morning(), next, elsewhere]);
        assert_eq!(told(&mut guard, &planner_, at(0, 10, 31)), hall("Amphi_A", at(0, 10, 35)));
        assert_eq!(
            told(&mut guard, &planner_, at(0, 10, 35)),
            None,
            "the hall is needed on the other channel"
        );
    }

    #[test]
    fn what_was_cancelled_goes_at_once_and_a_channel_without_limit_is_left_alone() {
        let mut planner =
            planner(vec![morning(), lecture("2", "L2", "Amphi_B", at(0, 8, 30), at(0, 10, 30))]);
        let mut guard = Overrun::default();
        let now = at(0, 10, 30);
        let zone = planner.settings().zone().clone();
        let on = guard.adjust(planner.channel_plans(now), |_| speech(now), &zone, now);
        assert!(on[0].scheduled.is_some() && on[1].scheduled.is_none());
        // Removed from the calendar before its end.
        take(&mut planner, Vec::new(), at(0, 10, 29));
        assert_eq!(paes(&mut guard, &planner, speech(now), now), None);
    }

    fn some_events() -> impl Strategy<Value = Vec<CalendarEvent>> {
        let one = (0..2_usize, 0..2_usize, 0..120_i64, 1..40_i64);
        proptest::collection::vec(one, 1..6).prop_map(|all| {
            let event = |(n, (series, hall, start, length)): (usize, (usize, usize, i64, i64))| {
                let (series, hall) = (["PAES", "L2"][series], ["Amphi_A", "Amphi_B"][hall]);
                lecture(&n.to_string(), series, hall, at(0, 8, start), at(0, 8, start + length))
            };
            all.into_iter().enumerate().map(event).collect()
        })
    }

    proptest! {
        #[test]
        fn whatever_the_day_is_like(events in some_events(), alive in proptest::collection::vec(any::<[bool; 2]>(), 180)) {
            let mut guard = Overrun::default();
            let planner = planner(events);
            let zone = planner.settings().zone().clone();
            let seen: Cell<[Option<MediaTime>; 2]> = Cell::default();
            for (minute, alive) in alive.iter().enumerate() {
                let now = at(0, 8, minute as i64);
                let of_late = seen.get();
                seen.set([0, 1].map(|hall: usize| if alive[hall] { Some(now) } else { of_late[hall] }));
                let signs = |source: &SourceName| speech_of(seen.get()[usize::from(source == "PS-Amphi_B")]);
                let channel_plans = planner.channel_plans(now);
                let told = guard.adjust(channel_plans.clone(), signs, &zone, now);
                for (channel_plan, told) in channel_plans.iter().zip(&told) {
                    match (&channel_plan.scheduled, &told.scheduled) {
                        // The plan's source is never replaced or taken away, only prolonged.
                        (Some(planned), Some(told)) => prop_assert_eq!(&planned.source, &told.source),
                        (Some(_), None) => prop_assert!(false, "taken away"),
                        (None, Some(told)) => {
                            prop_assert_eq!(channel_plan.channel.as_str(), "Live_PAES");
                            let event = planner.plan(now).events.into_iter()
                                .filter(|event| event.channel.as_deref() == Some("Live_PAES"))
                                .find(|event| event.connect_until.is_some_and(|until| until <= now) && event.may_last_until == Some(told.until));
                            let event = event.expect("it ran");
                            prop_assert!(now < told.until && told.until <= event.ends + 900 * SECOND, "not for ever");
                            prop_assert_eq!(signs(&told.source).speech, Some(now));
                        }
                        (None, None) => {}
                    }
                }
                let on: Vec<_> = told.iter().filter_map(|channel_plan| channel_plan.scheduled.as_ref()).collect();
                prop_assert!(on.len() < 2 || on[0].source != on[1].source, "one hall on two channels");
            }
        }
    }

    fn speech_of(speech: Option<MediaTime>) -> SignsOfLife {
        SignsOfLife { speech, movement: None }
    }
}
