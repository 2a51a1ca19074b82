//! Names in all their forms. (What each protocol makes of them: the tests of the door.)

use proptest::prelude::*;

use super::*;

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
        assert_eq!(parse(path), Ok(Address { app: "hs-a".into(), grant: None, stream }), "{path}");
    }
    for (path, error) in [
        ("", AddressError::Form),
        ("/", AddressError::Name),
        ("/a/", AddressError::Name),
        ("/a/b/c", AddressError::Form),
        ("/a/..", AddressError::Name),
        ("/a/rtp:b", AddressError::Form),
        ("/a/smil:b", AddressError::Form),
        ("/a/mp4:_definst_", AddressError::Name),
        ("/a/x/mp4:b", AddressError::Form),
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
        ("/vod/mp4:le%C3%A7on/%C3%A9t%C3%A9", Some(file("le\u{e7}on/\u{e9}t\u{e9}.mp4"))),
        ("/vod/mp4:lec%CC%A7on/e%CC%81t%C3%A9", Some(file("le\u{e7}on/\u{e9}t\u{e9}.mp4"))),
        ("/%76od/_definst_/mp4:a/b", Some(file("a/b.mp4"))),
        ("/vod/flv:a/b", Some(file("a/b.mp4"))),
        ("/vod/a%20b.mp4", Some(file("a b.mp4"))),
        ("/vod/_definst_x/a.mp4", Some(file("_definst_x/a.mp4"))),
        ("/vod/smil:a.smil", Some(smil("a.smil"))),
        ("/vod/smil:a", Some(smil("a.smil"))),
        ("/vod/mp4:a.smil", Some(smil("a.smil"))),
        ("/vod/%2561", Some(file("%61.mp4"))),
        ("/vod/mp4:_definst_/a.mp4", Some(file("_definst_/a.mp4"))),
        ("/vod/_definst_/_definst_/a/_definst_/b.mp4", Some(file("a/_definst_/b.mp4"))),
        ("/vod/a/b/mp4:c/d", Some(file("a/b/c/d.mp4"))),
        ("/vod/_definst_/a/smil%3Ab", Some(smil("a/b.smil"))),
        ("/vod/mp4:a/mp4:b:c.mp4", Some(file("a/mp4:b:c.mp4"))),
    ] {
        assert_eq!(parse(path), Ok(Address { app: "vod".into(), grant: None, stream }), "{path}");
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
        ("/vod/a/rtp:b.mp4", AddressError::Form),
        ("/vod/a/mp4:/b.mp4", AddressError::Outside),
        ("/vod/../mp4:b.mp4", AddressError::Outside),
    ] {
        assert_eq!(parse(path), Err(error), "{path}");
    }
}

/// The same text with these of its bytes escaped, in either case; slashes stay.
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
    fn no_path_panics_and_no_name_walks(
        path in "(/([a-zé_.:%\\\\]|%[0-9a-f]{2}|smil:|ngrp:|_all|_definst_){0,8}){0,4}|/?vod(/.{0,12}){0,4}",
    ) {
        let Ok(Address { app, grant: _, stream }) = parse(&path) else { return Ok(()) };
        let name = match &stream {
            None => return Ok(()),
            Some(StreamRef::Name(name) | StreamRef::Group(name)) => &**name,
            Some(StreamRef::Recording(vod::RecordingStream::File(path) | vod::RecordingStream::Smil(path))) => path,
        };
        for part in name.split('/').chain([&*app]) {
            prop_assert!(!matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']), "{path:?}: {part:?}");
        }
        // Written and read again, it is the same.
        let again = Address { app, grant: None, stream: stream.clone() };
        let text = again.to_string();
        let escaped = escaped(&text, &[false]);
        prop_assert_eq!(super::parse(&escaped, is_mount), Ok(again), "{}", text);
    }
}
