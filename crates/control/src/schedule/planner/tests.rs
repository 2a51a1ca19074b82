//! The planner: what it keeps of calendars, what it forgets, and what it tells the matrix.

use super::super::fault::{FeedFault, PollError};
use super::super::tests::{at, config, lecture, settings};
use super::super::{FeedAnswer, Reading};
use super::*;

fn planner() -> Planner {
    Planner::new(settings(), None, at(0, 7, 0))
}

fn result(events: &[CalendarEvent]) -> PollResult {
    let reading = Reading { events: events.to_vec(), notes: Vec::new() };
    PollResult {
        parts: vec![FeedAnswer { agent: String::new(), outcome: Ok(Some(reading)) }],
        format: Some(FeedFormat::Ical),
    }
}

fn failed() -> PollResult {
    let fault = FeedFault { agent: String::new(), error: PollError::Status(500, false) };
    PollResult { parts: vec![FeedAnswer { agent: String::new(), outcome: Err(fault) }], format: None }
}

fn on(planner: &Planner, now: MediaTime) -> Option<String> {
    planner.channel_plans(now).remove(0).scheduled.map(|scheduled| scheduled.source.into())
}

fn biophysics() -> CalendarEvent {
    CalendarEvent {
        title: "UE3 Biophysique".to_owned(),
        ..lecture("1042", "PAES", "Amphi_A", at(0, 8, 30), at(0, 10, 30))
    }
}

#[test]
fn the_matrix_is_told_source_reason_end_and_what_is_next() {
    let mut planner = planner();
    planner.take(result(&[biophysics()]), at(0, 7, 0));
    let channel_plan = |now| planner.channel_plans(now).remove(0);
    assert_eq!(channel_plan(at(0, 8, 26)).scheduled, None);
    let scheduled = channel_plan(at(0, 8, 27)).scheduled.expect("live");
    assert_eq!(scheduled.reason, "event 1042 'UE3 Biophysique' 08:30–10:30");
    assert_eq!((scheduled.source.as_str(), scheduled.until), ("PS-Amphi_A", at(0, 10, 40)));
    let notice = channel_plan(at(0, 8, 0)).notice.expect("announced");
    assert_eq!(
        (notice.title.as_str(), notice.place.as_str(), notice.starts),
        ("UE3 Biophysique", "Amphi A", Some(at(0, 8, 30)))
    );
    assert_eq!(channel_plan(at(-1, 8, 29)).notice, None, "more than a day ahead");
    assert_eq!(channel_plan(at(0, 10, 30)).notice, None, "over");
    let mut instants = vec![at(-2, 0, 0)];
    while let Some(next) = planner.next_change(instants[instants.len() - 1]) {
        instants.push(next);
    }
    assert_eq!(instants[1..], [at(-1, 8, 30), at(0, 8, 27), at(0, 10, 30), at(0, 10, 40)]);
}

#[test]
fn a_deleted_lecture_is_gone_and_one_that_is_over_is_remembered() {
    let mut planner = planner();
    assert!(planner.take(result(&[biophysics()]), at(0, 7, 0)), "it has to be kept");
    assert!(!planner.take(result(&[biophysics()]), at(0, 7, 3)), "nothing new");
    assert!(planner.take(result(&[]), at(0, 9, 0)), "deleted in its middle");
    assert_eq!((on(&planner, at(0, 9, 0)), planner.plan(at(0, 9, 0)).events.len()), (None, 0));

    planner.take(result(&[biophysics()]), at(0, 9, 3));
    planner.take(result(&[]), at(0, 10, 33));
    assert_eq!(on(&planner, at(0, 10, 33)).as_deref(), Some("PS-Amphi_A"), "its lead-out is kept");
    assert_eq!(on(&planner, at(0, 10, 40)), None);
    assert_eq!(planner.plan(at(1, 10, 29)).events.len(), 1, "the day can be shown");
    planner.take(result(&[]), at(1, 10, 31));
    assert!(planner.kept().parts[""].events.is_empty(), "forgotten a day later");
}

#[test]
fn a_moved_lecture_is_where_it_was_moved_to() {
    let mut planner = planner();
    planner.take(result(&[biophysics()]), at(0, 7, 0));
    let moved = CalendarEvent {
        agent: "Amphi_B".to_owned(),
        starts: at(0, 14, 0),
        ends: at(0, 15, 0),
        ..biophysics()
    };
    planner.take(result(std::slice::from_ref(&moved)), at(0, 8, 40));
    assert_eq!(
        (on(&planner, at(0, 8, 40)), on(&planner, at(0, 14, 0)).as_deref()),
        (None, Some("PS-Amphi_B"))
    );
    // An event moves from one agent's calendar to another's between the two requests: the later answer counts.
    let part = |agent: &str, events: Vec<CalendarEvent>| FeedAnswer {
        agent: agent.to_owned(),
        outcome: Ok(Some(Reading { events, notes: Vec::new() })),
    };
    let mut planner = self::planner();
    let first = vec![part("Amphi_A", vec![biophysics()]), part("Amphi_B", Vec::new())];
    planner.take(PollResult { parts: first, format: None }, at(0, 7, 0));
    let lost = FeedFault { agent: "Amphi_A".to_owned(), error: PollError::TimedOut(20) };
    let second =
        vec![FeedAnswer { agent: "Amphi_A".to_owned(), outcome: Err(lost) }, part("Amphi_B", vec![moved])];
    planner.take(PollResult { parts: second, format: None }, at(0, 7, 3));
    let plan = planner.plan(at(0, 7, 3));
    assert_eq!((plan.events.len(), plan.events[0].agent.as_str()), (1, "Amphi_B"));
    assert_eq!(plan.feed.fault.as_deref(), Some("the calendar of Amphi_A did not arrive within 20 s"));
}

#[test]
fn with_the_calendar_down_all_day_the_day_still_runs() {
    let mut planner = planner();
    planner.take(result(&[biophysics()]), at(0, 7, 0));
    let mut now = at(0, 7, 3);
    while now < at(1, 0, 0) {
        assert!(planner.poll_due(now));
        planner.polled(now);
        assert!(!planner.take(failed(), now), "nothing new to keep");
        let live = at(0, 8, 27) <= now && now < at(0, 10, 40);
        assert_eq!(on(&planner, now).is_some(), live, "{now}");
        now = now + Duration::from_secs(180);
    }
    let feed = planner.plan(now).feed;
    assert_eq!((feed.ok, feed.fault_since, feed.last_good), (false, Some(at(0, 7, 3)), Some(at(0, 7, 0))));
    assert!(feed.fault.expect("said").contains("status 500"));
    planner.take(result(&[]), now);
    let feed = planner.plan(now).feed;
    assert_eq!((feed.ok, feed.fault, feed.fault_since, feed.last_good), (true, None, None, Some(now)));
}

#[test]
fn a_restart_goes_on_with_what_was_kept() {
    let mut planner = planner();
    planner.take(result(&[biophysics()]), at(0, 7, 0));
    let text = serde_json::to_string(planner.kept()).expect("written");
    let kept: StoredCalendar = serde_json::from_str(&text).expect("read");
    assert_eq!(kept, *planner.kept());
    let again = Planner::new(settings(), Some(kept), at(0, 9, 0));
    assert_eq!(on(&again, at(0, 9, 0)).as_deref(), Some("PS-Amphi_A"));
    assert_eq!(again.plan(at(0, 9, 0)).feed.last_good, Some(at(0, 7, 0)));
    assert!(again.poll_due(at(0, 9, 0)), "and asks at once");
}

#[test]
fn other_rules_apply_to_what_is_known() {
    let mut planner = planner();
    planner.take(result(&[biophysics()]), at(0, 7, 0));
    let mut other = config();
    other.schedule.rules[0].channel = "Live_L2".to_owned();
    other.schedule.notice_ahead_s = 0;
    planner.change(Settings::new(&other).expect("good"), None, at(0, 9, 0));
    let channel_plans = planner.channel_plans(at(0, 9, 0));
    assert_eq!((channel_plans[0].scheduled.is_some(), channel_plans[1].scheduled.is_some()), (false, true));
    assert_eq!(channel_plans[1].notice, None);
    planner.change(Settings::new(&other).expect("good"), Some(StoredCalendar::default()), at(0, 9, 0));
    assert!(
        planner.channel_plans(at(0, 9, 0)).iter().all(|channel_plan| channel_plan.scheduled.is_none()),
        "another calendar"
    );
}

#[test]
fn words_that_do_not_fit_are_made_to() {
    let mut planner = planner();
    let title = format!("a\nb{}", "ü".repeat(300));
    planner.take(result(&[CalendarEvent { title, ..biophysics() }]), at(0, 7, 0));
    let notice = planner.channel_plans(at(0, 8, 0)).remove(0).notice.expect("announced");
    assert!(notice.title.starts_with("a bü") && notice.title.chars().count() == NOTICE_CHARS);
}
