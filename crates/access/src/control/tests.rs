//! Decisions over time, with a hand-moved clock.

use super::super::rules::{PathRule, WayIn};
use super::super::subject::Pattern;
use super::*;

/// Opens what the query names.
struct Named;

impl KeyCheck for Named {
    fn check(&self, subject: Subject<'_>, shown: &Credentials<'_>, _: Timestamp) -> Result<(), Refusal> {
        match shown.query {
            "" => Err(Refusal::Missing),
            query if query == subject.0 => Ok(()),
            _ => Err(Refusal::OtherSubject),
        }
    }
}

fn control() -> AccessControl {
    let rule = |pattern: &str, ways: &[&str]| PathRule {
        pattern: Pattern::new(pattern),
        ways: ways.iter().map(|way| WayIn::parse(way).expect("a way")).collect(),
    };
    AccessControl {
        rules: Rules(vec![
            rule("Live_*", &["network:campus", "key:moodle"]),
            rule("vod/secret/*", &["key:moodle"]),
            rule("films/*/secret/*", &["key:moodle"]),
            rule("both", &["network:campus + key:moodle"]),
        ]),
        networks: [("campus".to_owned(), Network::new(["192.0.2.0/24"]).expect("a network"))].into(),
        keys: [("moodle".to_owned(), Box::new(Named) as Box<dyn KeyCheck>)].into(),
        grants: Grants::new(b"secret", 300),
        goes_on: SignedDuration::from_hours(12),
    }
}

const BEGIN: i64 = 1_795_000_200;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// A visit of `Live_A` from outside at a second after [`BEGIN`].
fn visit(query: &'static str, grant: Option<&'static str>, step: VisitStep, second: i64) -> Visit<'static> {
    let shown = Credentials {
        scheme: "http",
        authority: "live.example.org",
        path: "/Live_A/live/playlist.m3u8",
        query,
        authorization: None,
        cookie: None,
        address: "203.0.113.7".parse().expect("an address"),
    };
    let now = at(BEGIN + second);
    Visit { subject: Subject("Live_A"), scope: "Live_A", shown, grant, step, lecture_ended: None, now }
}

fn admit(visit: &Visit<'_>) -> Result<Admission, Refusal> {
    control().admit(visit, &Revocations::default())
}

/// The grant that the entry hands out at [`BEGIN`].
fn granted() -> &'static str {
    match admit(&visit("Live_A", None, VisitStep::Entry, 0)) {
        Ok(Admission::Granted(grant)) => grant.leak(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_entry_hands_out_a_grant_and_the_rest_takes_it() {
    let grant = granted();
    assert_eq!(admit(&visit("", Some(grant), VisitStep::Onward, 1)), Ok(Admission::Carried));
    assert_eq!(admit(&visit("", Some(grant), VisitStep::Entry, 599)), Ok(Admission::Carried));
    assert_eq!(admit(&visit("", None, VisitStep::Onward, 1)), Err(Refusal::Missing));
    assert_eq!(admit(&visit("Live_B", None, VisitStep::Entry, 1)), Err(Refusal::OtherSubject));
    // A key on every request, without a grant.
    assert_eq!(admit(&visit("Live_A", None, VisitStep::Onward, 1)), Ok(Admission::Shown));
    let other =
        Visit { scope: "Live_B", subject: Subject("Live_B"), ..visit("", Some(grant), VisitStep::Onward, 1) };
    assert_eq!(admit(&other), Err(Refusal::Signature));
    let open = Visit { scope: "vod/x", subject: Subject("vod/x"), ..visit("", None, VisitStep::Entry, 1) };
    assert_eq!(admit(&open), Ok(Admission::Open));
}

#[test]
fn the_campus_has_a_grant_of_its_own() {
    let mut from_campus = visit("", None, VisitStep::Entry, 0);
    from_campus.shown.address = "192.0.2.9".parse().expect("an address");
    let Ok(Admission::Granted(grant)) = admit(&from_campus) else { panic!("it is on the campus") };
    assert_ne!(grant, granted());
}

#[test]
fn who_plays_goes_on_until_the_end_of_the_lecture() {
    let onward = |second, ended: Option<i64>| {
        let lecture_ended = ended.map(|second| at(BEGIN + second));
        admit(&Visit { lecture_ended, ..visit("", Some(granted()), VisitStep::Onward, second) })
    };
    // A player that has lost its connection begins anew at the entry.
    let entry = |second| admit(&visit("", Some(granted()), VisitStep::Entry, second));
    assert_eq!(entry(601), Ok(Admission::Carried));
    assert_eq!(entry(601 + 12 * 3600), Err(Refusal::Expired));
    assert_eq!(onward(601, None), Ok(Admission::Carried));
    assert_eq!(onward(5000, Some(-100)), Ok(Admission::Carried), "an earlier lecture");
    assert_eq!(onward(5000, Some(4900)), Ok(Admission::Carried), "the last cells");
    assert_eq!(onward(5100, Some(4900)), Err(Refusal::Expired));
    assert_eq!(onward(400, Some(200)), Ok(Admission::Carried), "the grant itself has not ended");
    assert_eq!(onward(5000, Some(299)), Ok(Admission::Carried), "who came after it waits for the next");
    assert_eq!(onward(5000, Some(301)), Err(Refusal::Expired));
    assert_eq!(onward(600 + 12 * 3600, None), Ok(Admission::Carried));
    assert_eq!(onward(601 + 12 * 3600, None), Err(Refusal::Expired));
    // A right that is shown again opens it anew.
    let renewed = admit(&visit("Live_A", Some(granted()), VisitStep::Entry, 700 + 12 * 3600));
    assert!(matches!(renewed, Ok(Admission::Granted(grant)) if grant != granted()));
}

#[test]
fn what_is_revoked_opens_nothing_more() {
    let grant = granted();
    let mut revoked = Revocations::default();
    revoked.revoke(grant, at(BEGIN + 50_000), at(BEGIN));
    let onward = visit("", Some(grant), VisitStep::Onward, 1);
    assert_eq!(control().admit(&onward, &revoked), Err(Refusal::Revoked));
    // Who comes by right afterwards gets another one.
    let again = control().admit(&visit("Live_A", None, VisitStep::Entry, 2), &revoked);
    assert!(matches!(&again, Ok(Admission::Granted(other)) if other != grant), "{again:?}");
    let key = Revocations { keys: ["moodle".to_owned()].into(), ..Revocations::default() };
    // A key that was needed beside something else, too.
    let mut both =
        Visit { subject: Subject("both"), scope: "both", ..visit("both", None, VisitStep::Entry, 0) };
    both.shown.address = "192.0.2.9".parse().expect("an address");
    let Ok(Admission::Granted(of_both)) = admit(&both) else { panic!("it has both") };
    let onward = Visit { grant: Some(&of_both), step: VisitStep::Onward, ..both };
    assert_eq!(admit(&onward), Ok(Admission::Carried));
    assert_eq!(control().admit(&onward, &key), Err(Refusal::Revoked));
    let onward = visit("", Some(grant), VisitStep::Onward, 1);
    assert_eq!(control().admit(&onward, &key), Err(Refusal::Revoked));
    assert_eq!(control().admit(&visit("Live_A", None, VisitStep::Entry, 1), &key), Err(Refusal::Revoked));
    revoked.revoke("~other", at(BEGIN + 99_999), at(BEGIN + 60_000));
    assert!(!revoked.grants.contains_key(grant), "it has ended by itself");
}

#[test]
fn a_list_says_names_to_those_alone_who_may_have_all() {
    let list = Visit { scope: "vod", subject: Subject("vod"), ..visit("", None, VisitStep::Onward, 0) };
    assert_eq!(control().admit_to_all(&list, &Revocations::default()), Err(Refusal::Missing));
    let films = Visit { scope: "films", subject: Subject("films"), ..list };
    assert_eq!(control().admit_to_all(&films, &Revocations::default()), Err(Refusal::Missing));
    let other = Visit { scope: "x", subject: Subject("x"), ..list };
    assert_eq!(control().admit_to_all(&other, &Revocations::default()), Ok(Admission::Open));
}

#[test]
fn a_way_that_is_closed_ends_who_came_by_it() {
    let onward = visit("", Some(granted()), VisitStep::Onward, 1);
    let mut now = control();
    now.rules.0[0].ways.truncate(1);
    assert_eq!(now.admit(&onward, &Revocations::default()), Err(Refusal::Revoked));
    now.rules.0[0].ways.clear();
    assert_eq!(now.admit(&onward, &Revocations::default()), Err(Refusal::Revoked));
}
