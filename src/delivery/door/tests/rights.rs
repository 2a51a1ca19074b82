//! Nothing of what a rule covers is given to somebody without a right: in no spelling, over no protocol, by no method.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::select;

use super::players::{K, Server};
use super::{escaped, run};
use amphi_access::{
    AccessControl, Credentials, GrantGroup, Grants, KeyCheck, PathRule, Pattern, Refusal, Rules, Subject,
    WayIn,
};

/// Nobody has it.
struct NoKey;

impl KeyCheck for NoKey {
    fn check(&self, _: Subject<'_>, _: &Credentials<'_>, _: jiff::Timestamp) -> Result<(), Refusal> {
        Err(Refusal::Missing)
    }
}

fn grants() -> Grants {
    Grants::new(b"secret", 300)
}

/// All of it is behind a key.
fn closed() -> AccessControl {
    let rule =
        |path| PathRule { pattern: Pattern::new(path), ways: vec![WayIn::parse("key:none").expect("a way")] };
    AccessControl {
        rules: Rules(vec![rule("hs-*"), rule("vod")]),
        networks: BTreeMap::new(),
        keys: [("none".to_owned(), Box::new(NoKey) as Box<dyn KeyCheck>)].into(),
        grants: grants(),
        goes_on: SignedDuration::from_hours(12),
    }
}

fn minted(scope: &str) -> String {
    let now = jiff::Timestamp::from_second(1_795_000_000).expect("a time");
    grants().mint(scope, GrantGroup::of("key:none"), now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_a_byte_without_a_right(
        thing in select(vec![
            "hs-a", "hs-a/vl1", "hs-a/vl1.stream", "hs-a/_definst_/vl1_480p", "hs-a/ngrp:vl1_all", "hs-a/mp4:vl1",
            "vod/a.mp4", "vod/mp4:a", "vod/_definst_/mp4:a.mp4", "vod/flv:a", "vod",
        ]),
        grant in select(vec![
            "", "~1795000800-36af-a029e671333f6550d07fd054", "other", "old", "~", "~x", "~1795000800-36af-",
        ]),
        file in select(vec![
            "playlist.m3u8", "manifest.mpd", "manifest_mpm4sav_mvlist.mpd", "chunklist.m3u8", "chunklist_480p.m3u8",
            "chunklist_w7_b1.m3u8", "media_480p_897500000.m4s", "media_480p.v_897500000.m4s", "init_480p_0.mp4",
            "poster.jpg", "chapters.json", "download", "index.json", "",
        ]),
        escapes in prop::collection::vec(any::<bool>(), 1..9),
        method in select(vec!["GET", "HEAD", "POST", "PUT", "OPTIONS"]),
        fields in select(vec![
            "", "Range: bytes=0-\r\n", "If-None-Match: *\r\n", "X-Forwarded-For: 192.0.2.1\r\n",
            "Authorization: Bearer x\r\n", "Cookie: jwt=x\r\n",
        ]),
        query in select(vec!["", "?token=1.aa", "?policy=a&keyId=b&signature=c", "?wowzatokenhash=a", "?jwt=a.b.c"]),
    ) {
        let grant = match grant {
            "other" => minted("hs-b"),
            "old" => Grants::new(b"another secret", 300).mint("hs-a", GrantGroup::of("key:none"), jiff::Timestamp::UNIX_EPOCH),
            grant => grant.to_owned(),
        };
        let (app, stream) = thing.split_once('/').unwrap_or((thing, ""));
        let parts: Vec<&str> = [app, &grant, stream].into_iter().filter(|part| !part.is_empty()).collect();
        let spelled = escaped(&parts.join("/"), &escapes);
        run(async {
            let server = Server::new("a.mp4");
            server.rule(closed());
            let request = format!("{method} /{spelled}/{file}{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let (status, body) = server.send(&request).await;
            let is_preflight = method == "OPTIONS" && status == 204;
            prop_assert!(is_preflight || status >= 400, "{}: {}", request, status);
            prop_assert!(!body.contains("EXTM3U") && !body.contains("<MPD") && !body.contains("ftyp"), "{}", body);
            for (way, _, is_played) in server.all_ways(&spelled).await {
                prop_assert!(!is_played, "{} over {}", spelled, way);
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_grant_opens_its_own_thing_in_every_spelling(
        (spelled, scope) in select(vec![
            ("hs-a/~/vl1", "hs-a"), ("hs-a/~", "hs-a"), ("hs-a/~/ngrp:vl1_all", "hs-a"), ("hs-a/~/_definst_/vl1_480p", "hs-a"),
            ("vod/~/mp4:a.mp4", "vod/mp4:a.mp4"), ("vod/~/a", "vod/mp4:a.mp4"), ("vod/~/_definst_/flv:a", "vod/mp4:a.mp4"),
        ]),
        escapes in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let (right, wrong) = (minted(scope), minted("vod/mp4:b.mp4"));
        let with = |grant: &str| escaped(&spelled.replace('~', grant), &escapes);
        run(async {
            let server = Server::new("a.mp4");
            server.rule(closed());
            for (way, _, is_played) in server.all_ways(&with(&right)).await {
                // RTMP cuts the address where it likes, also before the grant.
                prop_assert!(is_played, "{} over {}", with(&right), way);
            }
            for (way, _, is_played) in server.all_ways(&with(&wrong)).await {
                prop_assert!(!is_played, "{} over {}", with(&wrong), way);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn what_lies_behind_a_grant_is_served_by_the_lane() {
    let server = Server::new("a.mp4");
    server.rule(closed());
    let grant = minted("hs-a");
    for file in ["playlist.m3u8", "chunklist_480p.m3u8", &format!("media_480p_{K}.m4s")] {
        let (status, body) = server.http(&format!("hs-a/{grant}/vl1/{file}"), "").await;
        assert_eq!(status, 200, "{file}: {body}");
        assert_eq!(server.http(&format!("hs-a/vl1/{file}"), "").await.0, 401, "{file}");
    }
}
