//! Responses as real clients compute and write them.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> MediaTime {
    MediaTime::from_millis((1_795_000_000 + second) * 1000)
}

const TARGET: &str = "/v2/x?a=b,c";

fn authenticator() -> Authenticator {
    Authenticator::new("Wowza", "admin".to_owned(), "chalk")
}

fn nonce_of(challenge: &Verdict) -> String {
    let Verdict::Challenge { values, .. } = challenge else { panic!("a challenge") };
    digest_fields(&values[0]).expect("Digest").get("nonce").expect("a nonce").to_owned()
}

fn is_stale(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Challenge { values, wrong: false } if values.iter().all(|it| it.ends_with("stale=true")))
}

fn is_wrong(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Challenge { values, wrong: true } if !values[0].contains("stale"))
}

/// A client's response to a nonce (RFC 7616 §3.4.1).
struct Proof<'a> {
    algorithm: Algorithm,
    password: &'a str,
    uri: &'a str,
    nc: &'a str,
}

const PROOF: Proof<'_> = Proof { algorithm: Algorithm::Md5, password: "chalk", uri: TARGET, nc: "00000001" };

impl Proof<'_> {
    fn of(&self, nonce: &str) -> String {
        let Self { algorithm, password, uri, nc } = self;
        let secret = algorithm.hex(&format!("admin:Wowza:{password}"));
        let request = algorithm.hex(&format!("PUT:{uri}"));
        let response = algorithm.hex(&format!("{secret}:{nonce}:{nc}:abc:auth:{request}"));
        format!(
            "Digest username=\"admin\", realm=\"Wowza\", nonce=\"{nonce}\", uri=\"{uri}\", cnonce=\"abc\", nc={nc}, \
             qop=auth, response=\"{response}\", algorithm={}",
            algorithm.name()
        )
    }
}

#[test]
fn who_knows_the_password_passes_and_old_nonces_are_renewed() {
    let authenticator = authenticator();
    for algorithm in Algorithm::ALL {
        let nonce = nonce_of(&authenticator.judge("PUT", TARGET, None, at(0)));
        let good = Proof { algorithm, ..PROOF }.of(&nonce);
        assert!(is_wrong(&authenticator.judge("GET", TARGET, Some(&good), at(1))), "another method");
        assert!(is_stale(&authenticator.judge("PUT", TARGET, Some(&good), at(301))));
        assert_eq!(authenticator.judge("PUT", TARGET, Some(&good), at(299)), Verdict::Good);
        let wrong = Proof { algorithm, password: "cheese", ..PROOF }.of(&nonce);
        assert!(is_wrong(&authenticator.judge("PUT", TARGET, Some(&wrong), at(1))));
    }
    let foreign = PROOF.of(&nonce_of(&self::authenticator().judge("PUT", TARGET, None, at(0))));
    assert!(is_stale(&authenticator.judge("PUT", TARGET, Some(&foreign), at(1))), "not our nonce");
}

#[test]
fn both_algorithms_are_offered_with_one_nonce() {
    let Verdict::Challenge { values, wrong } = authenticator().judge("GET", TARGET, None, at(0)) else {
        panic!("a challenge")
    };
    assert!(!wrong, "nothing was shown");
    let fields: Vec<_> = values.iter().map(|value| digest_fields(value).expect("Digest")).collect();
    assert_eq!(
        fields.iter().map(|it| it.get("algorithm")).collect::<Vec<_>>(),
        [Some("MD5"), Some("SHA-256")]
    );
    assert_eq!(fields[0].get("nonce"), fields[1].get("nonce"));
}

#[test]
fn a_proof_is_good_for_its_target_alone() {
    let authenticator = authenticator();
    for (uri, asked, passes) in [
        (TARGET, TARGET, true),
        ("http://wowza.example.org:8087/v2/x?a=b,c", TARGET, true),
        ("/behind/a/proxy/v2/x?a=b,c", TARGET, true),
        (TARGET, "/v2/x", false),
        (TARGET, "/v2/x?a=b,d", false),
        (TARGET, "/v2/y?a=b,c", false),
        ("/v2/x", TARGET, false),
        ("/v2/a?next=/v2/x?a=b,c", TARGET, false),
        ("/v2/y/v2x?a=b,c", TARGET, false),
        ("", TARGET, false),
        ("*", TARGET, false),
        ("/", "/v2/x", false),
    ] {
        let nonce = nonce_of(&authenticator.judge("PUT", TARGET, None, at(0)));
        let shown = Proof { uri, ..PROOF }.of(&nonce);
        let verdict = authenticator.judge("PUT", asked, Some(&shown), at(1));
        assert_eq!(verdict == Verdict::Good, passes, "{uri} shown for {asked}: {verdict:?}");
        assert!(passes || is_wrong(&verdict), "{uri}");
    }
}

#[test]
fn what_was_said_once_is_not_good_again() {
    let authenticator = authenticator();
    let nonce = nonce_of(&authenticator.judge("PUT", TARGET, None, at(0)));
    let try_count =
        |nc: &str| authenticator.judge("PUT", TARGET, Some(&Proof { nc, ..PROOF }.of(&nonce)), at(1));
    assert_eq!(try_count("00000001"), Verdict::Good);
    assert!(is_stale(&try_count("00000001")), "a replay");
    // Several connections share a nonce, and their requests do not arrive in order.
    for nc in ["00000003", "00000005", "00000002", "00000004"] {
        assert_eq!(try_count(nc), Verdict::Good, "{nc}");
        assert!(is_stale(&try_count(nc)), "{nc} again");
    }
    assert_eq!(try_count("00000100"), Verdict::Good);
    assert!(is_stale(&try_count("00000006")), "too far behind");
    for nc in ["00000000", "1", "0000000g", "+0000101", "000000101"] {
        assert!(is_stale(&try_count(nc)), "{nc} is no count");
    }
}

#[test]
fn without_a_count_a_nonce_is_good_once() {
    let authenticator = authenticator();
    let nonce = nonce_of(&authenticator.judge("PUT", TARGET, None, at(0)));
    let md5 = |text: &str| Algorithm::Md5.hex(text);
    let response = md5(&format!("{}:{nonce}:{}", md5("admin:Wowza:chalk"), md5(&format!("PUT:{TARGET}"))));
    let shown = format!(
        "Digest username=\"admin\", realm=\"Wowza\", nonce=\"{nonce}\", uri=\"{TARGET}\", response=\"{response}\""
    );
    assert_eq!(authenticator.judge("PUT", TARGET, Some(&shown), at(1)), Verdict::Good);
    assert!(is_stale(&authenticator.judge("PUT", TARGET, Some(&shown), at(1))));
}

#[test]
fn the_table_of_nonces_is_bounded_and_none_comes_back() {
    let authenticator = authenticator();
    let first = nonce_of(&authenticator.judge("PUT", TARGET, None, at(0)));
    assert_eq!(authenticator.judge("PUT", TARGET, Some(&PROOF.of(&first)), at(0)), Verdict::Good);
    for _ in 0..NONCES {
        let nonce = nonce_of(&authenticator.judge("PUT", TARGET, None, at(0)));
        assert_eq!(authenticator.judge("PUT", TARGET, Some(&PROOF.of(&nonce)), at(0)), Verdict::Good);
    }
    assert_eq!(authenticator.used.lock().nonces.len(), NONCES);
    for nc in ["00000001", "00000002"] {
        let shown = Proof { nc, ..PROOF }.of(&first);
        assert!(is_stale(&authenticator.judge("PUT", TARGET, Some(&shown), at(1))), "{nc}");
    }
}

/// `Authorization` fields as real clients write them: order, quotes and blanks differ.
#[test]
fn the_shapes_of_known_clients_are_read() {
    let authenticator = authenticator();
    let md5 = |text: &str| Algorithm::Md5.hex(text);
    for shape in [
        // curl 7.88, --digest -u admin:chalk
        "Digest username=\"admin\",realm=\"Wowza\",nonce=\"NONCE\",uri=\"URI\",cnonce=\"CNONCE\",nc=00000001,algorithm=MD5,qop=auth,response=\"RESPONSE\"",
        // curl 8
        "Digest username=\"admin\", realm=\"Wowza\", nonce=\"NONCE\", uri=\"URI\", cnonce=\"CNONCE\", nc=00000001, qop=auth, response=\"RESPONSE\", algorithm=MD5",
        // python-requests 2.28
        "Digest username=\"admin\", realm=\"Wowza\", nonce=\"NONCE\", uri=\"URI\", response=\"RESPONSE\", algorithm=\"MD5\", qop=\"auth\", nc=00000001, cnonce=\"CNONCE\"",
        // Apache HttpClient 4
        "Digest username=\"admin\", realm=\"Wowza\", nonce=\"NONCE\", uri=\"URI\", response=\"RESPONSE\", qop=auth, nc=00000001, cnonce=\"CNONCE\", algorithm=MD5",
    ] {
        let nonce = nonce_of(&authenticator.judge("PUT", TARGET, None, at(0)));
        let cnonce = "MDEyMzQ1Njc4OQ==";
        let (secret, request) = (md5("admin:Wowza:chalk"), md5(&format!("PUT:{TARGET}")));
        let response = md5(&format!("{secret}:{nonce}:00000001:{cnonce}:auth:{request}"));
        let shown = shape.replace("RESPONSE", &response).replace("URI", TARGET);
        let shown = shown.replace("CNONCE", cnonce).replace("NONCE", &nonce);
        assert_eq!(authenticator.judge("PUT", TARGET, Some(&shown), at(1)), Verdict::Good, "{shown}");
    }
}

proptest! {
    #[test]
    fn nothing_shown_passes_by_chance(shown in "(Digest )?[a-z=\", :0-9]{0,80}") {
        let verdict = authenticator().judge("GET", TARGET, Some(&shown), at(0));
        prop_assert!(matches!(verdict, Verdict::Challenge { .. }), "{verdict:?}");
    }

    #[test]
    fn no_count_is_taken_twice(counts in prop::collection::vec(0..200_u32, 0..100)) {
        let mut used = Used::default();
        let mut taken = std::collections::BTreeSet::new();
        for count in counts {
            if used.take(1, count) {
                prop_assert!(taken.insert(count), "{count} was taken twice");
            }
        }
    }
}

#[test]
fn a_clock_that_is_stepped_back_ends_no_new_nonce() {
    let authenticator = authenticator();
    let pass = |now| {
        let nonce = nonce_of(&authenticator.judge("PUT", TARGET, None, now));
        authenticator.judge("PUT", TARGET, Some(&PROOF.of(&nonce)), now)
    };
    for _ in 0..NONCES + 100 {
        assert_eq!(pass(at(0)), Verdict::Good);
    }
    assert_eq!(pass(at(-3600)), Verdict::Good);
}
