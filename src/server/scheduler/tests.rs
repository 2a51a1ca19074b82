//! The scheduler at work: a whole week on a clock that is moved by hand, with an Opencast that fails at times.

use std::path::Path;
use std::sync::Mutex;

use tokio::task::JoinHandle as Task;

use super::*;
use amphi_config::{Channel, Rule, Source};
use amphi_control::matrix::{self, ChannelLayout, FileStore, Layout};
use amphi_media::clock::ManualClock;
use amphi_simulator::opencast::{Mishap, Opencast, OpencastLecture, OpencastOptions, Version};

const MINUTE: Duration = Duration::from_secs(60);
const CHANNELS: [&str; 2] = ["Live_PAES", "Live_L2"];
const HALLS: [&str; 3] = ["Amphi_A", "Amphi_B", "Amphi_C"];

/// Monday, 23 November 2026, in Paris (UTC+1), or the days after it.
pub(super) fn at(day: i64, hour: i64, minute: i64) -> MediaTime {
    let monday: jiff::Timestamp = "2026-11-22T23:00:00Z".parse().expect("a time");
    MediaTime::from_millis(monday.as_millisecond() + ((day * 24 + hour) * 60 + minute) * 60_000)
}

fn lecture(id: u32, series: &str, agent: &str, starts: MediaTime, ends: MediaTime) -> OpencastLecture {
    OpencastLecture {
        id: id.to_string(),
        title: format!("UE{id}"),
        series_id: series.to_owned(),
        agent: agent.to_owned(),
        presenter: "Pr. Martin".to_owned(),
        starts,
        ends,
    }
}

/// Four lectures a day from Monday to Friday, one of them over midnight.
fn week() -> Vec<OpencastLecture> {
    let day = |day: i64| {
        let id = 1000 + 10 * day as u32;
        [
            lecture(id, "PAES", "Amphi_A", at(day, 8, 30), at(day, 10, 30)),
            lecture(id + 1, "PAES", "Amphi_B", at(day, 13, 0), at(day, 15, 0)),
            lecture(id + 2, "L2", "Amphi_C", at(day, 9, 0), at(day, 12, 0)),
            lecture(id + 3, "L2", "Amphi_C", at(day, 22, 30), at(day + 1, 0, 30)),
        ]
    };
    (0..5).flat_map(day).collect()
}

async fn opencast(version: Version, clock: &Arc<ManualClock>) -> Opencast {
    let title = |series: &str| (series.to_owned(), format!("{series}_2026_S1"));
    let options = OpencastOptions {
        version,
        credentials: Some(("capture".to_owned(), "chalk".to_owned())),
        series: ["PAES", "L2"].map(title).into_iter().collect(),
        lectures: week(),
    };
    Opencast::start(options, Arc::clone(clock) as _).await.expect("a port")
}

fn config(url: &str, state: &Path) -> Config {
    let mut config = Config::default();
    config.server.state_dir = state.to_owned();
    config.channels = CHANNELS.map(|name| Channel { name: name.to_owned(), ..Channel::default() }).to_vec();
    config.sources = HALLS.map(|hall| Source { name: format!("PS-{hall}"), ..Source::default() }).to_vec();
    config.schedule = Schedule {
        url: Secret::new(url),
        username: "capture".to_owned(),
        password: Secret::new("chalk"),
        agents: HALLS.map(str::to_owned).to_vec(),
        poll_s: 600,
        timeout_s: 1,
        timezone: "Europe/Paris".to_owned(),
        rules: vec![Rule {
            series: r"^([A-Z0-9]+)_\d{4}_S[12]".to_owned(),
            channel: "Live_$1".to_owned(),
            ..Rule::default()
        }],
        ..Schedule::default()
    };
    config
}

struct Site {
    scheduler: Scheduler,
    matrix: MatrixHandle,
    plan: watch::Receiver<Arc<Plan>>,
    orders: watch::Sender<Arc<Config>>,
    clock: Arc<ManualClock>,
    signs: Arc<Mutex<SignsOfLife>>,
    audit: AuditLog,
    _owner: Task<()>,
}

impl Site {
    fn new(config: Config, clock: &Arc<ManualClock>) -> Self {
        let channels = config
            .channels
            .iter()
            .map(|channel| ChannelLayout { name: channel.name.as_str().into(), ..ChannelLayout::default() });
        let sources = config.sources.iter().map(|source| source.name.as_str().into()).collect();
        let layout = Layout { channels: channels.collect(), sources };
        let store = FileStore::new(&config.server.state_dir);
        let (matrix, owner) = matrix::spawn(layout, store, Arc::clone(clock) as _);
        let (orders, seen) = watch::channel(Arc::new(config));
        let signs = Arc::new(Mutex::new(SignsOfLife::default()));
        let audit = AuditLog::in_memory();
        let desktop = SchedulerHandles {
            matrix: matrix.clone(),
            signs: Arc::new({
                let signs = Arc::clone(&signs);
                move |_| *signs.lock().expect("unpoisoned")
            }),
            audit: audit.clone(),
            clock: Arc::clone(clock) as _,
        };
        let (tell, plan) = watch::channel(Arc::default());
        let scheduler = Scheduler::new(seen, desktop, tell).expect("a good configuration");
        Self { signs, audit, scheduler, matrix, plan, orders, clock: Arc::clone(clock), _owner: owner }
    }

    /// One round of the scheduler's work, up to the answer that it waits for.
    async fn work(&mut self) {
        self.scheduler.ask_if_due();
        if let Some(asking) = self.scheduler.asking.take() {
            let (client, result) = asking.await.expect("no panic");
            self.scheduler.client = Some(client);
            self.scheduler.take(result).await;
        }
        self.scheduler.obey().await;
    }

    fn desired(&self, channel: &str) -> (Option<String>, String) {
        let desired = self.matrix.view().channel(channel).expect("it is there").desired.clone();
        (desired.source.map(String::from), desired.reason)
    }
}

/// What a channel should show: lectures of this week are far enough apart.
fn expected(planned: &[OpencastLecture], channel: &str, now: MediaTime) -> Option<(String, String)> {
    let series = channel.strip_prefix("Live_")?;
    let on = planned.iter().find(|lecture| {
        lecture.series_id == series && lecture.starts - 3 * MINUTE <= now && now < lecture.ends + 10 * MINUTE
    })?;
    Some((format!("PS-{}", on.agent), format!("event {} '{}' ", on.id, on.title)))
}

/// When Opencast fails: from, until, how.
fn bad_hours() -> Vec<(MediaTime, MediaTime, Mishap)> {
    vec![
        (at(0, 8, 40), at(0, 10, 0), Mishap::Html),
        (at(0, 12, 0), at(0, 14, 0), Mishap::HtmlAsCalendar),
        (at(0, 15, 0), at(0, 15, 20), Mishap::Hang),
        (at(0, 22, 0), at(0, 23, 0), Mishap::HalfBody),
        // Down all Tuesday, and the day still runs.
        (at(0, 23, 50), at(2, 0, 0), Mishap::Error),
        (at(2, 8, 0), at(2, 8, 40), Mishap::HalfCalendar),
        (at(2, 12, 0), at(2, 14, 0), Mishap::Redirect),
        (at(2, 22, 0), at(3, 1, 0), Mishap::NotModified),
        (at(3, 8, 0), at(3, 8, 20), Mishap::HangHalfway),
        (at(3, 12, 0), at(3, 15, 10), Mishap::Drop),
    ]
}

async fn play_a_week(version: Version) {
    let clock = Arc::new(ManualClock::at(at(-1, 12, 0)));
    let opencast = opencast(version, &clock).await;
    let state = tempfile::tempdir().expect("a directory");
    let mut configured = config(&opencast.url(), state.path());
    if version != Version::V2_2 {
        configured.schedule.agents.clear();
    }
    let mut site = Site::new(configured.clone(), &clock);
    let mut planned = week();
    let changes = |now: MediaTime, planned: &mut Vec<OpencastLecture>| {
        if now == at(2, 9, 20) {
            opencast.delete("1020");
            planned.retain(|lecture| lecture.id != "1020");
        }
        if now == at(3, 11, 0) {
            let moved = lecture(1031, "PAES", "Amphi_C", at(3, 16, 0), at(3, 17, 0));
            opencast.plan(moved.clone());
            planned.retain(|lecture| lecture.id != moved.id);
            planned.push(moved);
        }
        if now == at(4, 16, 0) {
            let new = lecture(2000, "L2", "Amphi_A", at(4, 16, 0), at(4, 17, 0));
            opencast.plan(new.clone());
            planned.push(new);
        }
    };
    let (mut live, mut minutes) = (0, 0);
    while clock.now() < at(7, 0, 0) {
        let now = clock.now();
        let mishap = bad_hours().into_iter().find(|(from, until, _)| *from <= now && now < *until);
        opencast.set_mishap(mishap.map(|(.., mishap)| mishap));
        changes(now, &mut planned);
        if now == at(1, 9, 0) {
            // A restart in the middle of a lecture, while Opencast is down.
            site = Site::new(configured.clone(), &clock);
        }
        site.work().await;
        for channel in CHANNELS {
            let (source, reason) = site.desired(channel);
            match expected(&planned, channel, now) {
                Some((wanted, why)) => {
                    assert_eq!(source.as_deref(), Some(wanted.as_str()), "{version:?} {channel} at {now}");
                    assert!(reason.starts_with(&why), "{reason}");
                    live += 1;
                }
                None => assert_eq!(source, None, "{version:?} {channel} at {now}"),
            }
        }
        if minutes % 10 == 0 {
            assert_eq!(site.plan.borrow().feed.ok, mishap.is_none(), "{mishap:?} at {now}");
        }
        clock.advance(MINUTE);
        minutes += 1;
    }
    assert_eq!(minutes, 7 * 24 * 60 + 12 * 60);
    assert!(live > 40 * 60, "{live} minutes on air");
    assert!(site.plan.borrow().conflicts.is_empty());
    opencast.stop().await;
}

#[tokio::test]
async fn a_week_with_opencast_2_2_is_right_at_every_minute() {
    play_a_week(Version::V2_2).await;
}

#[tokio::test]
async fn a_week_with_a_current_opencast_is_right_at_every_minute() {
    play_a_week(Version::Current).await;
}

#[tokio::test]
async fn changed_rules_are_taken_over_and_so_is_another_calendar() {
    let clock = Arc::new(ManualClock::at(at(0, 9, 0)));
    let opencast = opencast(Version::V2_2, &clock).await;
    let state = tempfile::tempdir().expect("a directory");
    let mut configured = config(&opencast.url(), state.path());
    let mut site = Site::new(configured.clone(), &clock);
    site.work().await;
    assert_eq!(site.desired("Live_PAES").0.as_deref(), Some("PS-Amphi_A"));
    let notice =
        site.matrix.view().channel("Live_PAES").expect("it is there").notice.clone().expect("announced");
    assert_eq!((notice.title.as_str(), notice.place.as_str()), ("UE1000", "Amphi A"));

    configured.schedule.rules[0].series = "^(L2)".to_owned();
    site.orders.send_replace(Arc::new(configured.clone()));
    site.scheduler.take_orders();
    site.scheduler.obey().await;
    assert_eq!(
        (site.desired("Live_PAES").0, site.desired("Live_L2").0.as_deref()),
        (None, Some("PS-Amphi_C"))
    );
    let lost = site.plan.borrow().conflicts.len();
    assert_eq!(lost, 10, "the lectures of PAES go nowhere");
    let found = conditions(&site.plan.borrow(), site.clock.now());
    assert_eq!(found.len(), 1, "one rule is missing: {found:?}");
    assert!(
        found[0].sentence.ends_with("(and 9 more like it)")
            && found[0].sentence.contains("Mon 23 Nov 2026 08:30"),
        "{found:?}"
    );

    let file = state.path().join("other.ics");
    std::fs::write(&file, "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n").expect("written");
    configured.schedule.url = Secret::new(file.to_str().expect("UTF-8"));
    site.orders.send_replace(Arc::new(configured));
    site.scheduler.take_orders();
    site.work().await;
    assert_eq!((site.desired("Live_L2").0, site.plan.borrow().events.len()), (None, 0));
    opencast.stop().await;
}

#[tokio::test]
async fn a_person_stands_above_the_schedule_and_a_hanging_opencast_holds_up_nothing() {
    let clock = Arc::new(ManualClock::at(at(0, 8, 0)));
    let opencast = opencast(Version::V2_2, &clock).await;
    let state = tempfile::tempdir().expect("a directory");
    let mut site = Site::new(config(&opencast.url(), state.path()), &clock);
    site.work().await;
    opencast.set_mishap(Some(Mishap::Hang));
    clock.advance(27 * MINUTE);
    // The task itself: its request hangs, and the matrix gets its commands nevertheless.
    let (matrix, end) = (site.matrix.clone(), CancellationToken::new());
    let (mut scheduler, asked_to) = (site.scheduler, end.clone());
    let running = tokio::spawn(async move { scheduler.run(asked_to).await });
    let mut views = matrix.watch();
    let live = |view: &Arc<matrix::MatrixView>| view.wanted("PS-Amphi_A");
    views.wait_for(live).await.expect("the matrix lives");
    matrix.connect(&"Live_PAES".into(), &"PS-Amphi_B".into(), None).await.expect("both are known");
    assert_eq!(
        matrix.view().channel("Live_PAES").expect("there").desired.source.as_deref(),
        Some("PS-Amphi_B")
    );
    matrix.clear_override(&"Live_PAES".into()).await.expect("known");
    assert!(matrix.view().wanted("PS-Amphi_A"));
    end.cancel();
    running.await.expect("it ends");
    opencast.stop().await;
}

#[tokio::test]
async fn a_lecture_that_goes_on_stays_until_it_is_quiet_and_the_audit_log_knows() {
    let clock = Arc::new(ManualClock::at(at(0, 8, 0)));
    let opencast = opencast(Version::V2_2, &clock).await;
    let state = tempfile::tempdir().expect("a directory");
    let mut config = config(&opencast.url(), state.path());
    config.channels[0].overrun_max_s = 900;
    let mut site = Site::new(config.clone(), &clock);
    let speak = |site: &Site| site.signs.lock().expect("unpoisoned").speech = Some(site.clock.now());
    let mut until = Vec::new();
    while clock.now() < at(0, 12, 10) {
        // The lecturer of Amphi A should end at 10:30 (with lead-out 10:40) and speaks until 10:50.
        if clock.now() <= at(0, 10, 50) {
            speak(&site);
        }
        if clock.now() == at(0, 10, 45) {
            // A reload in between is not a change by the schedule.
            site.orders.send_replace(Arc::new(config.clone()));
            site.scheduler.take_orders();
        }
        site.work().await;
        if site.desired("Live_PAES").0.is_some() {
            until.push(clock.now());
        }
        if clock.now() == at(0, 10, 44) {
            let (_, reason) = site.desired("Live_PAES");
            assert_eq!(
                reason,
                "event 1000 'UE1000' 08:30–10:30, and longer since the lecturer still speaks; ends at the latest at \
                 10:55"
            );
        }
        clock.advance(MINUTE);
    }
    assert_eq!((until.first(), until.last()), (Some(&at(0, 8, 27)), Some(&at(0, 10, 50))));
    let entries = site.audit.latest(100);
    let told: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| (entry.at, entry.what, entry.channel.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        told,
        [
            (at(0, 8, 27), Action::Connect, "Live_PAES"),
            (at(0, 8, 57), Action::Connect, "Live_L2"),
            (at(0, 10, 40), Action::Prolong, "Live_PAES"),
            (at(0, 10, 51), Action::Disconnect, "Live_PAES"),
        ]
    );
    assert!(entries.iter().all(|entry| entry.who == "schedule" && entry.source.is_some()));
    opencast.stop().await;
}

#[test]
fn conflicts_are_alarms_a_week_before_they_happen_and_the_calendar_when_it_fails() {
    let conflict = |from: MediaTime, ids: [&str; 2]| Conflict {
        kind: ConflictKind::ChannelTwice,
        channel: Some("Live_PAES".into()),
        source: None,
        events: ids.map(EventId::from).to_vec(),
        from,
        until: from + 60 * MINUTE,
        sentence: format!("two at once at {from}"),
    };
    let mut plan = Plan { warn_ahead: 7 * 24 * 60 * MINUTE, ..Plan::default() };
    plan.conflicts = vec![conflict(at(0, 9, 0), ["1", "2"]), conflict(at(2, 9, 0), ["3", "4"])];
    let count = |now| conditions(&plan, now).len();
    assert_eq!((count(at(-8, 9, 0)), count(at(-7, 9, 0)), count(at(-5, 9, 0))), (0, 1, 2));
    assert_eq!((count(at(0, 9, 59)), count(at(0, 10, 0)), count(at(2, 10, 0))), (2, 1, 0));
    let about: Vec<_> = conditions(&plan, at(0, 8, 0)).into_iter().map(|it| it.about).collect();
    assert_ne!(about[0], about[1], "two alarms of one channel");
    plan.conflicts.clear();
    plan.feed.fault = Some("the calendar is answered with status 500".to_owned());
    plan.feed.fault_since = Some(at(0, 8, 0));
    plan.feed.notes = vec!["event 7 is left out".to_owned()];
    let found = conditions(&plan, at(0, 9, 0));
    assert_eq!((found.len(), found[0].kind, found[0].since), (2, AlarmKind::Calendar, Some(at(0, 8, 0))));
}
