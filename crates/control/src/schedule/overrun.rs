//! The overrun guard: a lecture that goes on after its planned end stays on its channel while somebody still speaks or
//! something moves, for so long and no longer.
//!
//! Contract: hand every round of wishes, at least once a second, to [`Overrun::adjust`], with what the sources show at
//! this moment; obey what comes back. How long a lecture may stay at most was settled by the timetable: for the channel's
//! limit after the planned end (lead-out counted), and not into what is planned next on the channel or in the hall. One
//! that was cancelled or moved is not among the wishes and goes at once. A lecture
//! * is prolonged shortly before its planned end, so that the matrix never lets go in between;
//! * is over once there was neither speech nor movement for half a minute, and does not come back;
//! * is over too if the server is started again in the meantime: nobody has heard anything by then.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::desk::{MayOverrun, Wish};
use super::words::hour;
use crate::matrix::Scheduled;
use amphi_media::{ChannelName, EventId, MediaTime, SourceName};

/// How long before its planned end a lecture is prolonged.
const AHEAD: Duration = Duration::from_secs(3);
/// For so long nothing may be heard and nothing move: longer than a question takes to be understood.
const CALM: Duration = Duration::from_secs(30);

/// When a source was last seen alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignsOfLife {
    /// Somebody spoke.
    pub speech: Option<MediaTime>,
    /// Something moved in the picture.
    pub movement: Option<MediaTime>,
}

impl SignsOfLife {
    /// Why a lecture is not over; `None` if it is.
    fn why(&self, now: MediaTime) -> Option<&'static str> {
        let of_late = |time: Option<MediaTime>| time.is_some_and(|time| now < time + CALM);
        match (of_late(self.speech), of_late(self.movement)) {
            (true, _) => Some("the lecturer still speaks"),
            (false, true) => Some("something still moves in the picture"),
            (false, false) => None,
        }
    }
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Overrun {
    /// The lecture that has gone quiet after its planned end, by channel.
    over: BTreeMap<ChannelName, EventId>,
}

impl Overrun {
    /// The wishes, with those prolonged that may be. `signs`: when a source was last seen alive. Explanations tell the time
    /// in `zone`.
    pub fn adjust(
        &mut self,
        wishes: Vec<Wish>,
        signs: impl Fn(&SourceName) -> SignsOfLife,
        zone: &TimeZone,
        now: MediaTime,
    ) -> Vec<Wish> {
        let adjusted = |mut wish: Wish| {
            match wish.overrun.take() {
                Some(overrun) => wish.scheduled = self.of(&wish, &overrun, &signs, zone, now),
                None => {
                    self.over.remove(&wish.channel);
                }
            }
            wish
        };
        wishes.into_iter().map(adjusted).collect()
    }

    fn of(
        &mut self,
        wish: &Wish,
        overrun: &MayOverrun,
        signs: &impl Fn(&SourceName) -> SignsOfLife,
        zone: &TimeZone,
        now: MediaTime,
    ) -> Option<Scheduled> {
        let planned = wish.scheduled.clone();
        let is_over = self.over.get(&wish.channel) == Some(&overrun.event);
        if is_over || now < overrun.planned - AHEAD || overrun.latest <= now {
            return planned;
        }
        let MayOverrun { event, source, reason, latest, .. } = overrun;
        let Some(why) = signs(source).why(now) else {
            if overrun.planned <= now {
                self.over.insert(wish.channel.clone(), event.clone());
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

    use super::super::desk::Desk;
    use super::super::event::{Event, Harvest, Part, Reading};
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

    fn desk(events: Vec<Event>) -> Desk {
        let now = at(0, 7, 0);
        let mut desk = Desk::new(settings(), None, now);
        take(&mut desk, events, now);
        desk
    }

    fn take(desk: &mut Desk, events: Vec<Event>, now: MediaTime) {
        let reading = Reading { events, notes: Vec::new() };
        let part = Part { agent: String::new(), outcome: Ok(Some(reading)) };
        desk.take(Harvest { parts: vec![part], format: None }, now);
    }

    fn morning() -> Event {
        lecture("1", "PAES", "Amphi_A", at(0, 8, 30), at(0, 10, 30))
    }

    /// What Live_PAES is told: source, until.
    fn paes(guard: &mut Overrun, desk: &Desk, signs: SignsOfLife, now: MediaTime) -> Option<Scheduled> {
        let zone = desk.settings().zone().clone();
        guard.adjust(desk.wishes(now), |_| signs, &zone, now).remove(0).scheduled
    }

    fn speech(now: MediaTime) -> SignsOfLife {
        SignsOfLife { speech: Some(now), movement: None }
    }

    #[test]
    fn a_lecture_stays_while_somebody_speaks_and_the_reason_says_so() {
        let (mut guard, desk) = (Overrun::default(), desk(vec![morning()]));
        let until = |it: Option<Scheduled>| it.map(|it| it.until);
        let (end, most) = (at(0, 10, 30), at(0, 10, 45));
        let before = end - 4 * SECOND;
        assert_eq!(until(paes(&mut guard, &desk, speech(before), before)), Some(end));
        let before = end - 3 * SECOND;
        let told = paes(&mut guard, &desk, speech(before), before).expect("on air");
        assert_eq!(
            told.reason,
            "event 1 'UE 1' 08:30–10:30, and longer since the lecturer still speaks; ends at the latest at 10:45"
        );
        assert_eq!((told.source.as_str(), told.until), ("PS-Amphi_A", most));
        let before = end - SECOND;
        assert_eq!(until(paes(&mut guard, &desk, QUIET, before)), Some(end), "silence: the plan holds");
        let moving = SignsOfLife { speech: Some(end - CALM), movement: Some(end) };
        let told = paes(&mut guard, &desk, moving, end).expect("on air");
        assert!(told.reason.contains("since something still moves in the picture"), "{}", told.reason);
        let last = most - SECOND;
        assert_eq!(until(paes(&mut guard, &desk, speech(last), last)), Some(most));
        assert_eq!(paes(&mut guard, &desk, speech(most), most), None, "no longer than the limit");
    }

    #[test]
    fn half_a_minute_of_silence_ends_it_for_good() {
        let (mut guard, desk) = (Overrun::default(), desk(vec![morning()]));
        let last = at(0, 10, 35);
        for now in [last, last + CALM - SECOND] {
            assert!(paes(&mut guard, &desk, speech(last), now).is_some());
        }
        assert_eq!(paes(&mut guard, &desk, speech(last), last + CALM), None);
        let later = last + 2 * CALM;
        assert_eq!(paes(&mut guard, &desk, speech(later), later), None, "it does not come back");
    }

    #[test]
    fn it_gives_way_to_what_is_planned_next_on_the_channel_and_in_the_hall() {
        let next = lecture("2", "PAES", "Amphi_B", at(0, 10, 40), at(0, 11, 0));
        let elsewhere = lecture("3", "L2", "Amphi_A", at(0, 10, 35), at(0, 11, 0));
        let desk_ = desk(vec![morning(), next.clone()]);
        let mut guard = Overrun::default();
        let told = |guard: &mut Overrun, desk: &Desk, now| {
            paes(guard, desk, speech(now), now).map(|it| (it.source, it.until))
        };
        let hall = |hall: &str, until| Some((format!("PS-{hall}").into(), until));
        assert_eq!(told(&mut guard, &desk_, at(0, 10, 31)), hall("Amphi_A", at(0, 10, 40)));
        assert_eq!(told(&mut guard, &desk_, at(0, 10, 40)), hall("Amphi_B", at(0, 11, 0)));
        assert_eq!(told(&mut guard, &desk_, at(0, 11, 1)), hall("Amphi_B", at(0, 11, 15)));
        let mut guard = Overrun::default();
        let desk_ = desk(vec![morning(), next, elsewhere]);
        assert_eq!(told(&mut guard, &desk_, at(0, 10, 31)), hall("Amphi_A", at(0, 10, 35)));
        assert_eq!(told(&mut guard, &desk_, at(0, 10, 35)), None, "the hall is needed on the other channel");
    }

    #[test]
    fn what_was_cancelled_goes_at_once_and_a_channel_without_limit_is_left_alone() {
        let mut desk = desk(vec![morning(), lecture("2", "L2", "Amphi_B", at(0, 8, 30), at(0, 10, 30))]);
        let mut guard = Overrun::default();
        let now = at(0, 10, 30);
        let zone = desk.settings().zone().clone();
        let on = guard.adjust(desk.wishes(now), |_| speech(now), &zone, now);
        assert!(on[0].scheduled.is_some() && on[1].scheduled.is_none());
        // Gone before its end.
        take(&mut desk, Vec::new(), at(0, 10, 29));
        assert_eq!(paes(&mut guard, &desk, speech(now), now), None);
    }

    fn some_events() -> impl Strategy<Value = Vec<Event>> {
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
            let desk = desk(events);
            let zone = desk.settings().zone().clone();
            let seen: Cell<[Option<MediaTime>; 2]> = Cell::default();
            for (minute, alive) in alive.iter().enumerate() {
                let now = at(0, 8, minute as i64);
                let of_late = seen.get();
                seen.set([0, 1].map(|hall: usize| if alive[hall] { Some(now) } else { of_late[hall] }));
                let signs = |source: &SourceName| speech_of(seen.get()[usize::from(source == "PS-Amphi_B")]);
                let wishes = desk.wishes(now);
                let told = guard.adjust(wishes.clone(), signs, &zone, now);
                for (wish, told) in wishes.iter().zip(&told) {
                    match (&wish.scheduled, &told.scheduled) {
                        // The plan's source is never replaced or taken away, only prolonged.
                        (Some(planned), Some(told)) => prop_assert_eq!(&planned.source, &told.source),
                        (Some(_), None) => prop_assert!(false, "taken away"),
                        (None, Some(told)) => {
                            prop_assert_eq!(wish.channel.as_str(), "Live_PAES");
                            let event = desk.plan(now).events.into_iter()
                                .filter(|event| event.channel.as_deref() == Some("Live_PAES"))
                                .find(|event| event.connect_until.is_some_and(|until| until <= now) && event.may_last_until == Some(told.until));
                            let event = event.expect("it ran");
                            prop_assert!(now < told.until && told.until <= event.ends + 900 * SECOND, "not for ever");
                            prop_assert_eq!(signs(&told.source).speech, Some(now));
                        }
                        (None, None) => {}
                    }
                }
                let on: Vec<_> = told.iter().filter_map(|wish| wish.scheduled.as_ref()).collect();
                prop_assert!(on.len() < 2 || on[0].source != on[1].source, "one hall on two channels");
            }
        }
    }

    fn speech_of(speech: Option<MediaTime>) -> SignsOfLife {
        SignsOfLife { speech, movement: None }
    }
}
