//! One name in all its spellings, as each protocol's parser reads it.

use std::sync::Mutex;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::delivery::http::route::{self, HttpRoute};
use crate::delivery::{AccessAction, AccessDenied, AccessRequest, Door, Protocol};
use amphi_protocol::rtmp::AppName;

fn is_mount(app: &str) -> bool {
    app == "vod"
}

/// As over RTSP.
fn parse(path: &str) -> Result<Address<'_>, AddressError> {
    super::parse(path.strip_prefix('/').ok_or(AddressError::Form)?, is_mount)
}

fn file(path: &str) -> StreamRef<'static> {
    StreamRef::Recording(vod::RecordingStream::File(path.to_owned()))
}

fn smil(path: &str) -> StreamRef<'static> {
    StreamRef::Recording(vod::RecordingStream::Smil(path.to_owned()))
}

#[test]
fn every_form_of_an_rtsp_url() {
    let vl1 = || Some(StreamRef::Name("vl1_720p".into()));
    for (path, stream) in [
        ("/hs-a", None),
        ("/hs-a/_definst_", None),
        ("/hs-a/vl1_720p", vl1()),
        ("/hs-a/_definst_/vl1_720p", vl1()),
        ("/hs-a/mp4:vl1_720p", vl1()),
        ("/hs%2Da/_definst_/mp4%3Avl1_720p", vl1()),
        ("/hs-a/ngrp:vl1_all", Some(StreamRef::Group("vl1".into()))),
        ("/hs-a/_definst_x", Some(StreamRef::Name("_definst_x".into()))),
    ] {
        assert_eq!(parse(path), Ok(Address { app: "hs-a".into(), stream }), "{path}");
    }
    for (path, error) in [
        ("", AddressError::Form),
        ("/", AddressError::Name),
        ("/a/", AddressError::Name),
        ("/a/b/c", AddressError::Form),
        ("/a/..", AddressError::Name),
        ("/a/rtp:b", AddressError::Form),
        ("/a/smil:b", AddressError::Form),
        ("/a/%", AddressError::Escape),
    ] {
        assert_eq!(parse(path), Err(error), "{path}");
    }
}

#[test]
fn recordings_in_every_form() {
    for (path, stream) in [
        ("/vod", None),
        ("/vod/_definst_", None),
        ("/vod/mp4:a/b.mp4", Some(file("a/b.mp4"))),
        ("/%76od/_definst_/mp4:a/b", Some(file("a/b.mp4"))),
        ("/vod/flv:a/b", Some(file("a/b.mp4"))),
        ("/vod/a%20b.mp4", Some(file("a b.mp4"))),
        ("/vod/_definst_x/a.mp4", Some(file("_definst_x/a.mp4"))),
        ("/vod/smil:a.smil", Some(smil("a.smil"))),
        ("/vod/smil:a", Some(smil("a.smil"))),
        ("/vod/mp4:a.smil", Some(smil("a.smil"))),
        ("/vod/%2561", Some(file("%61.mp4"))),
    ] {
        assert_eq!(parse(path), Ok(Address { app: "vod".into(), stream }), "{path}");
    }
    for (path, error) in [
        ("/vod/mp4:a%2Fb.mp4", AddressError::Name),
        ("/vod/mp4:a%5cb.mp4", AddressError::Name),
        ("/vod/mp4:a%00.mp4", AddressError::Name),
        ("/vod/mp4:%ff.mp4", AddressError::Name),
        ("/vod/mp4:%zz.mp4", AddressError::Escape),
        ("/vod/mp4:../a.mp4", AddressError::Outside),
        ("/vod/mp4:a/%2e%2e/b.mp4", AddressError::Outside),
        ("/vod/mp4:a//b.mp4", AddressError::Outside),
        ("/vod/mp4:/a.mp4", AddressError::Outside),
        ("/vod/", AddressError::Outside),
        ("/vod/ngrp:a_all", AddressError::Form),
        ("/vod/rtp:a.mp4", AddressError::Form),
    ] {
        assert_eq!(parse(path), Err(error), "{path}");
    }
}

/// A door that records what it was asked.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<String>>);

impl Door for Asked {
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<(), AccessDenied> {
        let AccessAction::Play(address) = caller.wish else {
            return Err(AccessDenied("nobody publishes here"));
        };
        self.0.lock().expect("one at a time").push(address.to_string());
        if address.app == "vod" { Err(AccessDenied("the token is missing")) } else { Ok(()) }
    }
}

/// The door's answer to a player that spells a name so, and the address that it was asked about; `None` if the name is refused before.
type Answer = Option<(Result<(), AccessDenied>, String, Address<'static>)>;

fn at_the_door(protocol: Protocol, address: Result<Address<'_>, AddressError>) -> Answer {
    let (door, address) = (Asked::default(), address.ok()?);
    let said =
        door.ask(&AccessRequest { protocol, wish: AccessAction::Play(&address), peer: None, query: "" });
    let asked = door.0.lock().expect("nobody else").pop()?;
    Some((said, asked, address.into_owned()))
}

/// Over HTTP, RTSP, and RTMP, cut after the application and before the last part.
fn answers(spelled: &str) -> Vec<(&'static str, Answer)> {
    let over_http = match route::parse(&format!("/{spelled}/playlist.m3u8"), is_mount) {
        Ok(HttpRoute::Channel(path)) => Ok(path.address.into_owned()),
        Ok(HttpRoute::Mount(path)) => path.map(|path| path.address),
        Ok(HttpRoute::CrossDomain) => Err(AddressError::Form),
        Err(error) => Err(error),
    };
    let over_rtmp = |cut: Option<(&str, &str)>| {
        let (app, stream) = cut?;
        let app = AppName::parse(app).ok()?;
        let (stream, _) = app.played(stream).ok()?;
        at_the_door(Protocol::Rtmp, Address::of_rtmp(&app.app, &stream.to_string(), is_mount))
    };
    let mut all = vec![
        ("HTTP", at_the_door(Protocol::Http, over_http)),
        ("RTSP", at_the_door(Protocol::Rtsp, super::parse(spelled, is_mount))),
    ];
    if spelled.contains('/') {
        all.push(("RTMP", over_rtmp(spelled.split_once('/'))));
    }
    // A slash at the end of an application is ignored, and its folders are plain.
    let is_plain = |app: &str| app.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.-/".contains(&it));
    let late = spelled.rsplit_once('/').filter(|(app, _)| is_plain(app) && !app.ends_with('/'));
    if let Some(cut) = late.filter(|(app, _)| app.contains('/')) {
        all.push(("RTMP, cut late", over_rtmp(Some(cut))));
    }
    all
}

/// The same text with these of its bytes percent-encoded, in upper or lower case; slashes stay.
fn escaped(text: &str, which: &[bool]) -> String {
    let byte = |(at, byte): (usize, u8)| match which.get(at % which.len().max(1)) {
        Some(true) if byte != b'/' && at % 2 == 0 => format!("%{byte:02X}"),
        Some(true) if byte != b'/' => format!("%{byte:02x}"),
        _ if byte.is_ascii() && byte != b'%' && byte != b'?' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().enumerate().map(byte).collect()
}

proptest! {
    #[test]
    fn a_recording_has_one_address_in_every_spelling_and_protocol(
        folders in prop::collection::vec("[a-zA-Z0-9 é%~_.-]{0,6}[a-z]", 0..3), name in "[a-zA-Z0-9 é%_-]{1,8}",
        extension in any::<bool>(), instance in any::<bool>(), prefix in select(vec!["", "mp4:", "flv:", "mp3:", "m4a:"]),
        escapes in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let path = folders.iter().map(String::as_str).chain([&*name]).collect::<Vec<_>>().join("/");
        prop_assume!(!path.starts_with("_definst_/"));
        let instance = if instance { "_definst_/" } else { "" };
        let extension = if extension { ".mp4" } else { "" };
        let spelled = escaped(&format!("vod/{instance}{prefix}{path}{extension}"), &escapes);
        let expected = Address { app: "vod".into(), stream: Some(file(&format!("{path}.mp4"))) };
        let asked = format!("vod/mp4:{path}.mp4");
        for (protocol, answer) in answers(&spelled) {
            let expected = (Err(AccessDenied("the token is missing")), asked.clone(), expected.clone());
            prop_assert_eq!(answer, Some(expected), "{} over {}", spelled, protocol);
        }
        // A name that is escaped twice is that of another file.
        for (protocol, answer) in answers(&spelled.replace('%', "%25")) {
            let same = answer.is_some_and(|(_, _, address)| address == expected);
            prop_assert!(!same || !spelled.contains('%'), "{spelled} over {protocol}");
        }
    }

    #[test]
    fn a_stream_has_one_address_in_every_spelling_and_protocol(
        name in "[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,8}", group in any::<bool>(), instance in any::<bool>(),
        prefix in select(vec!["", "mp4:", "flv:", "mp3:", "m4a:"]), escapes in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        prop_assume!(name != "_definst_");
        let text = if group { format!("ngrp:{name}_all") } else { format!("{prefix}{name}") };
        let instance = if instance { "_definst_/" } else { "" };
        let spelled = escaped(&format!("hs-a/{instance}{text}"), &escapes);
        let stream = if group { StreamRef::Group((&*name).into()) } else { StreamRef::Name((&*name).into()) };
        let expected = Address { app: "hs-a".into(), stream: Some(stream) }.into_owned();
        for (protocol, answer) in answers(&spelled) {
            let address = answer.map(|(said, _, address)| (said, address));
            prop_assert_eq!(address, Some((Ok(()), expected.clone())), "{} over {}", spelled, protocol);
        }
    }

    #[test]
    fn what_cannot_be_named_is_refused_by_all_before_the_door(
        app in select(vec!["vod", "hs-a"]), prefix in select(vec!["", "mp4:", "_definst_/", "_definst_/mp4:"]),
        bad in select(vec![
            "..", ".", "a/../b", "%2e%2e/b", "a//b", "a%2fb", "a%2F..%2Fb", "a%00", "%ff", "%", "%4", "%zz", "a%5cb",
            "a/%2e/b",
        ]),
        after in select(vec!["", ".mp4"]),
    ) {
        let after = if bad.ends_with('.') { "" } else { after };
        let spelled = format!("{app}/{prefix}{bad}{after}");
        for (protocol, answer) in answers(&spelled) {
            prop_assert_eq!(answer, None, "{} over {}", spelled, protocol);
        }
    }

    #[test]
    fn a_name_without_end_is_refused_by_all(app in select(vec!["vod", "hs-a"]), len in 1100..9000_usize) {
        for text in ["a".repeat(len), "a/".repeat(len / 2) + "b"] {
            for (protocol, answer) in answers(&format!("{app}/{text}")) {
                prop_assert_eq!(answer, None, "over {}", protocol);
            }
        }
    }

    #[test]
    fn no_path_panics_and_no_name_walks(
        path in "(/([a-zé_.:%\\\\]|%[0-9a-f]{2}|smil:|ngrp:|_all|_definst_){0,8}){0,4}|/?vod(/.{0,12}){0,4}",
    ) {
        let Ok(Address { app, stream }) = parse(&path) else { return Ok(()) };
        let name = match &stream {
            None => return Ok(()),
            Some(StreamRef::Name(name) | StreamRef::Group(name)) => &**name,
            Some(StreamRef::Recording(vod::RecordingStream::File(path) | vod::RecordingStream::Smil(path))) => path,
        };
        for part in name.split('/').chain([&*app]) {
            prop_assert!(!matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']), "{path:?}: {part:?}");
        }
        // Written and read again, it is the same.
        let again = Address { app, stream: stream.clone() };
        let text = again.to_string();
        let escaped = escaped(&text, &[false]);
        prop_assert_eq!(super::parse(&escaped, is_mount), Ok(again), "{}", text);
    }
}
