//! Sessions over their life, and over restarts.

use super::*;
use amphi_config::Secret;

const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

impl Sessions {
    fn opened(&self, role: Role, now: MediaTime) -> (String, MediaTime) {
        self.open(role, None, Maker::OperatorToken, now).expect("random bytes")
    }
}

#[test]
fn a_session_is_good_for_its_life_and_until_it_is_ended() {
    let sessions = Sessions::in_memory();
    let (value, until) = sessions.opened(Role::Viewer, START);
    assert_eq!(value.len(), 43);
    let found = sessions.find(&value, START).expect("it is open");
    assert_eq!((found.role, found.until), (Role::Viewer, until));
    assert_eq!(sessions.find(&value, until), None);
    assert!(sessions.find(&value, START - Duration::from_secs(3600)).is_some());
    assert_eq!(sessions.find(&value, START - Duration::from_secs(90_000)), None, "stepped back by a day");
    assert_eq!(sessions.find(&value[1..], START), None);
    sessions.end(&value);
    assert_eq!(sessions.find(&value, START), None);
}

#[test]
fn there_are_never_more_than_the_most() {
    let sessions = Sessions::in_memory();
    let open = |second: u64| sessions.opened(Role::Operator, START + Duration::from_secs(second)).0;
    let values: Vec<_> = (0..MOST as u64 + 3).map(open).collect();
    assert_eq!(sessions.lock().len(), MOST);
    let found = |value: &String| sessions.find(value, START + LIFE / 2).is_some();
    assert_eq!(values.iter().position(found), Some(3), "the first to end has ended");
    assert!(values[3..].iter().all(found));
}

#[test]
fn a_crowd_of_viewers_pushes_no_operator_out() {
    let sessions = Sessions::in_memory();
    let (operator, _) = sessions.opened(Role::Operator, START);
    let later = START + Duration::from_secs(1);
    for _ in 0..3 * MOST {
        sessions.opened(Role::Viewer, later);
    }
    assert_eq!(sessions.lock().len(), MOST + 1);
    assert!(sessions.find(&operator, later).is_some());
}

#[test]
fn whoever_waits_for_its_end_is_told_however_it_ends() {
    let sessions = Sessions::in_memory();
    let open = |role, second| {
        let (value, _) = sessions.opened(role, START + Duration::from_secs(second));
        let ended = sessions.ended(&value).expect("it is open");
        (value, ended)
    };
    let (value, by_hand) = open(Role::Operator, 0);
    let (_, by_time) = open(Role::Operator, 0);
    let (_, by_crowd) = open(Role::Viewer, 1);
    assert!(![&by_hand, &by_time, &by_crowd].iter().any(|it| it.is_cancelled()));
    sessions.end(&value);
    assert!(by_hand.is_cancelled() && !by_time.is_cancelled());
    for _ in 0..MOST {
        open(Role::Viewer, 2);
    }
    assert!(by_crowd.is_cancelled() && !by_time.is_cancelled());
    open(Role::Viewer, LIFE.as_secs());
    assert!(by_time.is_cancelled());
    assert!(sessions.ended("x").is_none());
}

fn tokens(operator: &str, viewer: &str) -> Tokens {
    Tokens { operator: Secret::new(operator), viewer: Secret::new(viewer) }
}

fn provider() -> OpenIdConnect {
    OpenIdConnect {
        issuer: "https://a".to_owned(),
        client_id: "amphi".to_owned(),
        ..OpenIdConnect::default()
    }
}

async fn kept(keeper: &mut SessionKeeper) {
    let end = CancellationToken::new();
    end.cancel();
    keeper.run(end).await;
}

#[tokio::test]
async fn sessions_outlive_a_restart_and_the_file_has_no_cookie_and_no_token() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().expect("a directory");
    let start = |tokens: &Tokens, oidc: &OpenIdConnect, now| prepare(home.path(), tokens, oidc, now);
    let (both, oidc) = (tokens("chalk-token", "sponge-token"), provider());
    let (sessions, mut keeper) = start(&both, &oidc, START);
    kept(&mut keeper).await;
    assert!(!home.path().join("sessions.json").exists(), "nothing has happened");
    let person = Person::new("Ada", "7");
    let open = |role, person, maker| sessions.open(role, person, maker, START).expect("random bytes").0;
    let ada = open(Role::Operator, person.clone(), Maker::OpenId);
    let operator = open(Role::Operator, None, Maker::OperatorToken);
    let viewer = open(Role::Viewer, None, Maker::ViewerToken);
    let over = open(Role::Viewer, None, Maker::ViewerToken);
    sessions.end(&over);
    kept(&mut keeper).await;
    let path = home.path().join("sessions.json");
    let text = std::fs::read_to_string(&path).expect("it is there");
    for secret in [&*ada, &*operator, &*viewer, "chalk-token", "sponge-token"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);

    let (again, _) = start(&both, &oidc, START);
    let found = again.find(&ada, START).expect("it is open");
    assert_eq!((found.role, found.person, found.maker), (Role::Operator, person, Maker::OpenId));
    assert!(again.find(&operator, START).is_some() && again.find(&viewer, START).is_some());
    assert_eq!(again.find(&over, START), None);

    let of = |sessions: &Sessions| [&ada, &operator, &viewer].map(|it| sessions.find(it, START).is_some());
    let changed = OpenIdConnect { operator: vec!["a=b".to_owned()], ..provider() };
    for (tokens, oidc, expected) in [
        (tokens("other", "sponge-token"), &oidc, [true, false, true]),
        (tokens("chalk-token", ""), &oidc, [true, true, false]),
        (tokens("sponge-token", "chalk-token"), &oidc, [true, false, false]),
        (both.clone(), &changed, [false, true, true]),
        (both.clone(), &OpenIdConnect::default(), [false, true, true]),
    ] {
        assert_eq!(of(&start(&tokens, oidc, START).0), expected, "{oidc:?}");
    }
    assert_eq!(of(&start(&both, &oidc, START + LIFE).0), [false; 3]);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_a_full_disk_is_said() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("sessions.json");
    for text in [
        "",
        "[]",
        "{\"version\":2,\"salt\":\"\",\"sessions\":[]}",
        "{\"version\":1,\"salt\":\"x\",\"sessions\":[]}",
    ] {
        std::fs::write(&path, text).expect("written");
        let (sessions, _) = prepare(home.path(), &tokens("a", "b"), &provider(), START);
        assert!(sessions.lock().is_empty() && !path.exists(), "{text}");
    }
    let place = home.path().join("state");
    std::fs::write(&place, "a file where the directory should be").expect("written");
    let (sessions, mut keeper) = prepare(&place, &tokens("a", "b"), &provider(), START);
    let (value, _) = sessions.opened(Role::Operator, START);
    kept(&mut keeper).await;
    assert!(sessions.unsaved().get().is_some());
    std::fs::remove_file(&place).expect("removed");
    kept(&mut keeper).await;
    assert!(sessions.unsaved().get().is_none());
    let (again, _) = prepare(&place, &tokens("a", "b"), &provider(), START);
    assert!(again.find(&value, START).is_some());
}
