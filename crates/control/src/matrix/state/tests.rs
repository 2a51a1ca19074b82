//! The core compared with a model that only remembers what each voice asked for last.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);
const CHANNELS: [&str; 2] = ["configured", "empty"];
const SOURCES: [&str; 3] = ["x", "y", "z"];

fn matrix() -> Matrix {
    Matrix::new(layout(), START)
}

fn layout() -> Layout {
    let channel = |name: &str, source: Option<&str>| ChannelLayout {
        name: name.into(),
        streams: vec!["live".to_owned()],
        source: source.map(SourceName::from),
    };
    Layout {
        channels: vec![channel("configured", Some("x")), channel("empty", None)],
        sources: SOURCES.map(SourceName::from).to_vec(),
    }
}

fn after(millis: u64) -> MediaTime {
    START + Duration::from_millis(millis)
}

fn connect(channel: &str, source: &str, until: Option<MediaTime>) -> Command {
    Command::Connect { channel: channel.into(), source: source.into(), until }
}

fn desired(matrix: &Matrix, channel: &str) -> Desired {
    matrix.view().channel(channel).expect("it is there").desired.clone()
}

#[test]
fn the_manual_word_stands_above_the_schedule_above_the_configuration() {
    let mut matrix = matrix();
    assert_eq!(desired(&matrix, "configured").by, By::Configuration);
    assert_eq!(desired(&matrix, "empty").by, By::None);
    let scheduled = Scheduled { source: "y".into(), reason: "Algebra II".to_owned(), until: after(90) };
    let command = Command::Schedule { channel: "configured".into(), scheduled: Some(scheduled) };
    matrix.apply(command, after(1)).expect("it is known");
    let now = desired(&matrix, "configured");
    assert_eq!((now.source.as_deref(), now.by, now.reason.as_str()), (Some("y"), By::Schedule, "Algebra II"));
    assert!(matrix.view().wanted("y") && !matrix.view().wanted("x"));

    matrix.apply(connect("configured", "z", Some(after(50))), after(2)).expect("both are known");
    let now = desired(&matrix, "configured");
    assert_eq!((now.source.as_deref(), now.by, now.since), (Some("z"), By::Manual, after(2)));
    assert_eq!(matrix.next_expiry(), Some(after(50)));
    matrix.tick(after(49));
    assert_eq!(desired(&matrix, "configured").by, By::Manual);
    matrix.tick(after(50));
    assert_eq!(
        (desired(&matrix, "configured").by, desired(&matrix, "configured").since),
        (By::Schedule, after(50))
    );

    matrix.apply(Command::Disconnect { channel: "configured".into() }, after(60)).expect("it is known");
    let now = desired(&matrix, "configured");
    assert_eq!((now.source, now.by, now.until), (None, By::Manual, None));
    matrix.apply(Command::ClearOverride { channel: "configured".into() }, after(90)).expect("it is known");
    assert_eq!(desired(&matrix, "configured").by, By::Configuration, "the schedule's entry has ended too");
    assert_eq!(matrix.next_expiry(), None);
}

#[test]
fn the_same_word_again_moves_its_end_and_not_its_beginning() {
    let mut matrix = matrix();
    matrix.apply(connect("empty", "y", Some(after(50))), after(1)).expect("both are known");
    matrix.apply(connect("empty", "y", Some(after(80))), after(2)).expect("both are known");
    let now = desired(&matrix, "empty");
    assert_eq!((now.since, now.until), (after(1), Some(after(80))));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut matrix = matrix();
    let before = matrix.view();
    for (command, error) in [
        (connect("no", "x", None), MatrixError::UnknownChannel("no".into())),
        (connect("empty", "no", None), MatrixError::UnknownSource("no".into())),
        (connect("empty", "x", Some(START)), MatrixError::Past { until: START, now: START }),
        (Command::Disconnect { channel: "no".into() }, MatrixError::UnknownChannel("no".into())),
        (Command::ClearOverride { channel: "no".into() }, MatrixError::UnknownChannel("no".into())),
    ] {
        assert_eq!(matrix.apply(command, START), Err(error));
    }
    let scheduled = Some(Scheduled { source: "no".into(), reason: String::new(), until: after(1) });
    let command = Command::Schedule { channel: "empty".into(), scheduled };
    assert_eq!(matrix.apply(command, START), Err(MatrixError::UnknownSource("no".into())));
    assert_eq!(matrix.view(), before);
}

#[test]
fn kept_overrides_that_cannot_hold_are_left_out() {
    let kept = |channel: &str, source: Option<&str>, until| Override {
        channel: channel.into(),
        source: source.map(SourceName::from),
        since: START,
        until,
    };
    let mut matrix = matrix();
    let left_out = matrix.restore(
        vec![
            kept("gone", Some("x"), None),
            kept("empty", Some("gone"), None),
            kept("empty", Some("x"), Some(after(5))),
            kept("configured", None, Some(after(6))),
        ],
        after(5),
    );
    assert_eq!(
        left_out,
        [
            "the override of channel \"gone\" is dropped: no channel is called \"gone\"",
            "the override of channel \"empty\" is dropped: no source is called \"gone\"",
            "the override of channel \"empty\" is dropped: it has expired",
        ]
    );
    assert_eq!(matrix.overrides(), [kept("configured", None, Some(after(6)))]);
    assert_eq!(desired(&matrix, "configured").since, START);
}

#[test]
fn the_view_is_the_documented_json() {
    let mut matrix = matrix();
    matrix.apply(connect("empty", "y", Some(after(1000))), START).expect("both are known");
    let json = serde_json::to_string_pretty(&matrix.view()).expect("it is JSON");
    insta::assert_snapshot!(json);
}

/// A step of the model, with the milliseconds that pass before it.
#[derive(Clone, Debug)]
enum Step {
    Tick,
    Tell(usize, Voice),
}

#[derive(Clone, Debug)]
enum Voice {
    Connect(usize, Option<u64>),
    Disconnect,
    Clear,
    Schedule(Option<(usize, u64)>),
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let source = 0..SOURCES.len();
    let voice = prop_oneof![
        3 => (source.clone(), proptest::option::of(0..40_u64)).prop_map(|(source, length)| Voice::Connect(source, length)),
        1 => Just(Voice::Disconnect),
        1 => Just(Voice::Clear),
        2 => proptest::option::of((source, 0..40_u64)).prop_map(Voice::Schedule),
    ];
    let step = prop_oneof![
        1 => Just(Step::Tick),
        3 => (0..CHANNELS.len(), voice).prop_map(|(channel, voice)| Step::Tell(channel, voice)),
    ];
    (0..20_u64, step)
}

/// What each voice asked for last on one channel: a source and an end.
#[derive(Clone, Debug, Default)]
struct Model {
    manual: Option<(Option<usize>, Option<u64>)>,
    scheduled: Option<(usize, u64)>,
}

impl Model {
    fn expected(&self, now: u64, configured: Option<&'static str>) -> (Option<&'static str>, By) {
        let manual = self.manual.filter(|(_, until)| until.is_none_or(|until| now < until));
        let scheduled = self.scheduled.filter(|&(_, until)| now < until);
        match (manual, scheduled, configured) {
            (Some((source, _)), ..) => (source.map(|source| SOURCES[source]), By::Manual),
            (None, Some((source, _)), _) => (Some(SOURCES[source]), By::Schedule),
            (None, None, Some(source)) => (Some(source), By::Configuration),
            (None, None, None) => (None, By::None),
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_commands_keeps_the_order_of_voices(steps in proptest::collection::vec(step(), 1..60)) {
        let mut matrix = matrix();
        let mut models = [Model::default(), Model::default()];
        let mut now = 0;
        for (pause, step) in steps {
            now += pause;
            match step {
                Step::Tick => matrix.tick(after(now)),
                Step::Tell(index, voice) => {
                    let channel = CHANNELS[index].to_owned();
                    let model = &mut models[index];
                    let in_future = |length: Option<u64>| length.is_none_or(|length| length > 0);
                    let (command, good) = match voice {
                        Voice::Connect(source, length) => {
                            let until = length.map(|length| now + length);
                            if in_future(length) {
                                model.manual = Some((Some(source), until));
                            }
                            (connect(&channel, SOURCES[source], until.map(after)), in_future(length))
                        }
                        Voice::Disconnect => {
                            model.manual = Some((None, None));
                            (Command::Disconnect { channel: channel.into() }, true)
                        }
                        Voice::Clear => {
                            model.manual = None;
                            (Command::ClearOverride { channel: channel.into() }, true)
                        }
                        Voice::Schedule(entry) => {
                            let entry = entry.map(|(source, length)| (source, now + length));
                            model.scheduled = entry;
                            let scheduled = entry.map(|(source, until)| Scheduled {
                                source: SOURCES[source].into(),
                                reason: String::new(),
                                until: after(until),
                            });
                            (Command::Schedule { channel: channel.into(), scheduled }, true)
                        }
                    };
                    prop_assert_eq!(matrix.apply(command, after(now)).is_ok(), good);
                }
            }
            let view = matrix.view();
            for (model, (channel, configured)) in models.iter().zip(CHANNELS.into_iter().zip([Some("x"), None])) {
                let desired = &view.channel(channel).expect("it is there").desired;
                let (source, by) = model.expected(now, configured);
                prop_assert_eq!((desired.source.as_deref(), desired.by), (source, by));
                prop_assert!(desired.since <= after(now));
                prop_assert!(desired.until.is_none_or(|until| until > after(now)));
            }
            for source in SOURCES {
                let on_some = view.channels.iter().any(|channel| channel.desired.source.as_deref() == Some(source));
                prop_assert_eq!(view.wanted(source), on_some);
            }
            prop_assert!(matrix.next_expiry().is_none_or(|at| at > after(now)));

            // The saved overrides make another matrix with the same manual overrides.
            let mut restored = super::tests::matrix();
            prop_assert_eq!(restored.restore(matrix.overrides(), after(now)), Vec::<String>::new());
            prop_assert_eq!(restored.overrides(), matrix.overrides());
            for channel in view.channels.iter().filter(|channel| channel.desired.by == By::Manual) {
                prop_assert_eq!(&desired(&restored, &channel.name), &channel.desired);
            }
        }
    }
}

#[test]
fn another_layout_keeps_what_was_said_of_those_who_stay() {
    let mut matrix = Matrix::new(layout(), START);
    matrix.apply(connect("empty", "y", None), after(1)).expect("both are known");
    matrix.apply(connect("configured", "z", None), after(1)).expect("both are known");
    let mut next = layout();
    next.sources.retain(|source| source != "z");
    next.sources.push("new".into());
    next.channels.push(ChannelLayout { name: "added".into(), ..ChannelLayout::default() });
    matrix.relayout(next, after(5));
    let view = matrix.view();
    let desired = |name: &str| view.channel(name).expect("it stays").desired.clone();
    assert_eq!((desired("empty").source.as_deref(), desired("empty").since), (Some("y"), after(1)));
    assert_eq!(desired("configured").by, By::Configuration, "its override's source is gone");
    assert!(view.channel("added").is_some() && view.source("new").is_some() && view.source("z").is_none());
}

#[test]
fn the_schedule_announces_where_nobody_has_put_a_notice() {
    let mut matrix = matrix();
    let words = |title: &str| Some(Notice { title: title.to_owned(), ..Notice::default() });
    let shown = |matrix: &Matrix| matrix.view().channel("empty").expect("it is there").notice.clone();
    let announce = |notice| Command::Announce { channel: "empty".into(), notice };
    let notice = |notice| Command::Notice { channel: "empty".into(), notice };
    matrix.apply(announce(words("UE3")), START).expect("good words");
    assert_eq!(shown(&matrix), words("UE3"));
    matrix.apply(notice(words("by hand")), START).expect("good words");
    matrix.apply(announce(words("UE4")), START).expect("good words");
    assert_eq!(shown(&matrix), words("by hand"));
    matrix.relayout(layout(), START);
    matrix.apply(notice(None), START).expect("known");
    assert_eq!(shown(&matrix), words("UE4"));
    assert_eq!(matrix.apply(announce(words("a\nb")), START), Err(MatrixError::Notice));
    matrix.apply(announce(None), START).expect("known");
    assert_eq!(shown(&matrix), None);
}

#[test]
fn live_means_that_pictures_come_out() {
    let layout = Layout {
        channels: vec![ChannelLayout { name: "a".into(), source: Some("s".into()), ..Default::default() }],
        sources: vec!["s".into()],
    };
    let now = MediaTime::from_millis(1_795_000_000_000);
    let later = now + std::time::Duration::from_secs(5);
    let mut matrix = Matrix::new(layout, now);
    let bad = SourceOutcome { picture: Some("10 bits".to_owned()), sound: None };
    matrix.source_outcome(&"s".into(), bad.clone(), now);
    assert_eq!(matrix.view().source("s").expect("known").status.state, SourceState::Idle, "it is not live");
    let live = SourceStatus { state: SourceState::Live, ..SourceStatus::idle(now) };
    matrix.source_status(&"s".into(), live.clone());
    matrix.source_outcome(&"s".into(), bad.clone(), later);
    matrix.source_outcome(&"s".into(), bad, later + std::time::Duration::from_secs(9));
    let view = matrix.view();
    let status = &view.source("s").expect("known").status;
    assert_eq!(
        (status.state, &status.reason[..], status.since),
        (SourceState::Undecodable, "10 bits", later)
    );
    let channel = view.channel("a").expect("known");
    assert!(channel.on_air.reason.contains("10 bits") && channel.explanation.contains("10 bits"));
    let deaf = SourceOutcome { picture: None, sound: Some("AC-3".to_owned()) };
    matrix.source_outcome(&"s".into(), deaf, later);
    let status = matrix.view().source("s").expect("known").status.clone();
    assert_eq!((status.state, &status.reason[..]), (SourceState::Live, "no sound: AC-3"));
    matrix.source_status(&"s".into(), SourceStatus::idle(later));
    matrix.source_status(&"s".into(), live.clone());
    assert_eq!(matrix.view().source("s").expect("known").status, live, "another connection");
}
