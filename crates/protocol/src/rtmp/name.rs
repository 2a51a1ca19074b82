//! Names in RTMP: the application `rtmp://host/<app>[/_definst_]`, and the stream `[<prefix>:]<path>[?query]`.
//!
//! Clients split a URL into application and stream at different slashes. A played name is put together again as the client
//! wrote it, for the one place that reads such paths for every protocol. A published name is read here: what of the
//! application is neither its first segment nor Wowza's default instance is put before the stream's path, and every segment
//! consists of `[A-Za-z0-9_.-]`.

use std::borrow::Cow;
use std::fmt;

use subtle::{Choice, ConstantTimeEq};

use amphi_media::{NAME_BYTES_MAX, percent};

/// Wowza's default instance of an application. It has no meaning here.
const DEFAULT_INSTANCE: &str = "_definst_";

/// The name of a stream that a client publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamName {
    /// Wowza's prefix without its colon (`mp4`, `smil`, `ngrp`), or empty.
    pub prefix: String,
    /// One or more segments of `[A-Za-z0-9_.-]`, joined by `/`.
    pub path: String,
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, path } = self;
        if prefix.is_empty() { write!(f, "{path}") } else { write!(f, "{prefix}:{path}") }
    }
}

/// The parameters after a `?`. They may hold keys and tokens, so `Debug` does not show them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Query(String);

impl Query {
    /// The first parameter called `name`, decoded.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        url::form_urlencoded::parse(self.0.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text as the client wrote it, for hashes over it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// These parameters and one more.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let more = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        Self(if self.0.is_empty() { more } else { format!("{}&{more}", self.0) })
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"…\"" })
    }
}

/// Whether `query` contains `key`: in the parameter `key`, or as the password of a user with the name of `source`. A wrong key
/// takes as long as the right one.
pub fn shows_key(query: &str, source: &str, key: &str) -> bool {
    let (mut shown, mut user, mut password) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "key" => &mut shown,
            "user" | "username" => &mut user,
            "pass" | "password" => &mut password,
            _ => continue,
        };
        place.get_or_insert(value);
    }
    let same =
        |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().as_bytes().ct_eq(key.as_bytes());
    let named = Choice::from(u8::from(user.as_deref() == Some(source)));
    !key.is_empty() && bool::from(same(&shown) | (same(&password) & named))
}

/// Why a name is refused. The client is at fault. The name is not repeated: it may contain a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty or has only slashes.
    #[error("the name is empty")]
    Empty,
    /// It is longer than [`NAME_BYTES_MAX`].
    #[error("the name is longer than {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// It has a character that no name here has, or an empty segment, `.` or `..`.
    #[error("the name has other characters than letters, digits, '_', '.' and '-'")]
    Characters,
}

/// The application that `connect` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppName {
    /// Its name, without the instance.
    pub app: String,
    /// All of it as the client wrote it, without parameters and without a slash at either end.
    path: String,
    pub(super) query: Query,
}

impl AppName {
    /// Parses `<app>[/<more>][?query]`, percent-decoded (RFC 3986 §2.1). What stands behind the
    /// name may be a part of what is played, so it may have any characters that names of files have.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (path, query) = split_query(text);
        let path = without_outer_slashes(path);
        let unescaped = unescaped(path)?;
        let segments = checked_segments(&unescaped, |segment| !segment.contains(['\\', '\0']))?;
        let app = segments.first().copied().unwrap_or_default();
        if app.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        if !is_plain(app) {
            return Err(NameError::Characters);
        }
        Ok(Self { app: app.to_owned(), path: path.to_owned(), query })
    }

    /// What of the application goes in front of what is published; empty as a rule.
    fn folder(&self) -> Result<String, NameError> {
        let path = unescaped(&self.path)?;
        let mut segments = checked_segments(&path, is_plain)?;
        segments.remove(0);
        segments.retain(|segment| *segment != DEFAULT_INSTANCE);
        Ok(segments.join("/"))
    }

    /// Takes what tcUrl has besides the application: parameters, if the application came without any, and a user name
    /// and a password.
    pub(super) fn take_url(&mut self, tc_url: &str) {
        if let Some((_, query)) = tc_url.split_once('?')
            && self.query.is_empty()
        {
            self.query = Query(query.to_owned());
        }
        let Ok(url) = url::Url::parse(tc_url) else { return };
        if let Some(password) = url.password() {
            let [user, password] = [url.username(), password].map(percent::decode_lossy);
            self.query = self.query.with("user", &user).with("pass", &password);
        }
    }

    /// The stream that a publisher names: as in [`AppName::stream`]; or `<source>/<key>`, with any characters in the key; or
    /// empty, if the application has named it already.
    pub(super) fn published(&self, text: &str) -> Result<(StreamName, Query), NameError> {
        match self.stream(text) {
            Err(NameError::Characters) => {
                let (path, query) = split_query(text);
                let (source, key) = path.trim_matches('/').split_once('/').ok_or(NameError::Characters)?;
                let (name, _) = self.stream(source)?;
                Ok((name, query.with("key", key)))
            }
            Err(NameError::Empty) => {
                let (path, (_, query)) = (self.folder()?, split_query(text));
                if path.is_empty() {
                    return Err(NameError::Empty);
                }
                Ok((StreamName { prefix: String::new(), path }, query))
            }
            named => named,
        }
    }

    /// What a player asks for: `<application>/<stream>` as the client wrote them, and the parameters after the stream. A slash
    /// where the client has split is part of neither; the rest is judged by whoever reads the path.
    pub fn played(&self, text: &str) -> (String, Query) {
        let (stream, query) = split_query(text);
        let (app, stream) = (&self.path, without_outer_slashes(stream));
        (if stream.is_empty() { app.clone() } else { format!("{app}/{stream}") }, query)
    }

    /// The stream that `text` names in this application.
    pub(super) fn stream(&self, text: &str) -> Result<(StreamName, Query), NameError> {
        let (path, query) = split_query(text);
        Ok((self.named(path)?, query))
    }

    fn named(&self, path: &str) -> Result<StreamName, NameError> {
        let path = path.trim_start_matches('/');
        let path =
            path.strip_prefix(DEFAULT_INSTANCE).and_then(|path| path.strip_prefix('/')).unwrap_or(path);
        let (prefix, path) = match path.split_once(':') {
            Some((prefix, path)) if prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) => (prefix, path),
            Some(_) => return Err(NameError::Characters),
            None => ("", path),
        };
        let path = path.trim_matches('/');
        if path.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let (folder, mut segments) = (self.folder()?, checked_segments(path, is_plain)?);
        if segments.len() > 1 {
            segments.retain(|segment| *segment != DEFAULT_INSTANCE);
        }
        if !folder.is_empty() {
            segments.insert(0, &folder);
        }
        Ok(StreamName { prefix: prefix.to_owned(), path: segments.join("/") })
    }
}

fn split_query(text: &str) -> (&str, Query) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    (path, Query(query.to_owned()))
}

/// Without one slash at either end, where a client has split.
fn without_outer_slashes(path: &str) -> &str {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path)
}

/// Decodes `path` segment by segment, so that an encoded slash does not make a new segment.
fn unescaped(path: &str) -> Result<Cow<'_, str>, NameError> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let segments = path.split('/').map(|segment| match percent::decode(segment) {
        Ok(decoded) if !decoded.contains('/') => Ok(decoded),
        _ => Err(NameError::Characters),
    });
    Ok(Cow::Owned(segments.collect::<Result<Vec<_>, _>>()?.join("/")))
}

fn is_plain(segment: &str) -> bool {
    segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// The segments of `path`, at least one. Slashes at both ends are tolerated, because some clients leave them.
fn checked_segments(path: &str, is_good: impl Fn(&str) -> bool) -> Result<Vec<&str>, NameError> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Err(NameError::Empty);
    }
    let good = |segment: &str| !matches!(segment, "" | "." | "..") && is_good(segment);
    let segments: Vec<_> = path.split('/').collect();
    if segments.iter().all(|segment| good(segment)) { Ok(segments) } else { Err(NameError::Characters) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(app: &str, stream: &str) -> (String, String, String) {
        let app = AppName::parse(app).expect("an application");
        let (stream, _) = app.stream(stream).expect("a stream");
        (app.app, stream.prefix, stream.path)
    }

    #[test]
    fn every_way_to_cut_the_url_names_the_same() {
        for (app, stream, expected) in [
            ("live", "hall", ("live", "", "hall")),
            ("live/", "hall", ("live", "", "hall")),
            ("live/_definst_", "hall", ("live", "", "hall")),
            ("live", "_definst_/hall", ("live", "", "hall")),
            ("live/_definst_", "mp4:hall_720p", ("live", "mp4", "hall_720p")),
            ("vod", "mp4:2024/lecture.mp4", ("vod", "mp4", "2024/lecture.mp4")),
            ("vod/2024", "mp4:lecture.mp4", ("vod", "mp4", "2024/lecture.mp4")),
            ("vod/_definst_/2024", "smil:a.smil", ("vod", "smil", "2024/a.smil")),
            ("live", "ngrp:hall_all", ("live", "ngrp", "hall_all")),
        ] {
            let (a, p, s) = expected;
            assert_eq!(names(app, stream), (a.to_owned(), p.to_owned(), s.to_owned()), "{app} {stream}");
        }
    }

    #[test]
    fn what_is_played_is_put_together_as_it_was_written() {
        for (app, stream, path, query) in [
            ("live", "hall", "live/hall", ""),
            ("live/", "/hall?a=1", "live/hall", "a=1"),
            ("live/hall", "", "live/hall", ""),
            ("live/_definst_", "_definst_/mp4:hall", "live/_definst_/_definst_/mp4:hall", ""),
            ("vod/H%C3%B6rsaal 1/é", "mp4:a%20b//", "vod/H%C3%B6rsaal 1/é/mp4:a%20b/", ""),
            ("%76od", "../%zz", "%76od/../%zz", ""),
        ] {
            let app = AppName::parse(app).expect("an application");
            let (played, behind) = app.played(stream);
            assert_eq!((&played[..], behind.reveal()), (path, query));
        }
        let app = AppName::parse("publish/a b").expect("an application");
        assert_eq!(app.published("hall"), Err(NameError::Characters));
    }

    #[test]
    fn queries_are_found_and_never_shown() {
        let app = AppName::parse("publish?a=1").expect("an application");
        assert_eq!(app.query.get("a").as_deref(), Some("1"));
        let (name, query) = app.stream("multicam?key=a%2Bsecret&key=b").expect("a stream");
        assert_eq!(query.get("key").as_deref(), Some("a+secret"));
        assert_eq!(query.get("token"), None);
        assert!(!format!("{name:?} {query:?} {app:?}").contains("secret"));
    }

    #[test]
    fn a_key_is_shown_alone_or_as_a_password() {
        for good in
            ["key=a%2Bb", "x=1&key=a%2Bb", "user=hall&pass=a%2Bb", "username=hall&password=a%2Bb&key="]
        {
            assert!(shows_key(good, "hall", "a+b"), "{good}");
        }
        for bad in
            ["", "key=", "key=b", "key=b&key=a%2Bb", "user=other&pass=a%2Bb", "pass=a%2Bb", "Key=a%2Bb"]
        {
            assert!(!shows_key(bad, "hall", "a+b"), "{bad}");
        }
        assert!(!shows_key("key=", "hall", "") && !shows_key("", "hall", ""), "no key is no key");
    }

    #[test]
    fn what_a_publisher_shows_is_found_wherever_it_stands() {
        let published = |app: &str, text: &str| {
            let app = AppName::parse(app).expect("an application");
            let (name, query) = app.published(text).expect("a name");
            (name.path, query.get("key").map(std::borrow::Cow::into_owned))
        };
        let found = |path: &str, key: Option<&str>| (path.to_owned(), key.map(str::to_owned));
        assert_eq!(published("publish", "hall?key=a%2Bb"), found("hall", Some("a+b")));
        assert_eq!(published("publish", "hall/chalk"), found("hall/chalk", None));
        assert_eq!(published("publish/hall", "chalk"), found("hall/chalk", None));
        assert_eq!(published("publish", "hall/a+b/c=="), found("hall", Some("a+b/c==")));
        assert_eq!(published("publish/hall", "?key=x"), found("hall", Some("x")));
        let mut app = AppName::parse("publish").expect("an application");
        app.take_url("rtmp://hall:a%40b+c@host/publish?x=1");
        assert_eq!(app.query.get("x").as_deref(), Some("1"));
        assert_eq!(app.query.get("user").as_deref(), Some("hall"));
        assert_eq!(app.query.get("pass").as_deref(), Some("a@b+c"));
        let mut app = AppName::parse("publish").expect("an application");
        app.take_url("rtmp://hall:a&b=c%3D@host/publish");
        assert_eq!(app.query.get("pass").as_deref(), Some("a&b=c="));
        let mut app = AppName::parse("publish?key=1").expect("an application");
        app.take_url("rtmp://host/publish?key=2");
        assert_eq!(app.query.reveal(), "key=1");
        app.take_url("no url");
        assert_eq!(app.published("../x"), Err(NameError::Characters));
        assert_eq!(app.published(""), Err(NameError::Empty));
    }

    #[test]
    fn what_is_no_name() {
        for text in ["", "/", "?key=x"] {
            assert_eq!(AppName::parse(text), Err(NameError::Empty), "{text}");
        }
        for text in ["..", "a/../b", "a//b", "a b", "é", "a\0", "<script>"] {
            assert_eq!(AppName::parse(text), Err(NameError::Characters), "{text}");
        }
        let app = AppName::parse("live").expect("an application");
        assert_eq!(app.stream("mp4:"), Err(NameError::Empty));
        assert_eq!(app.stream("C:\\x"), Err(NameError::Characters));
        assert_eq!(app.stream(&"a".repeat(NAME_BYTES_MAX + 1)), Err(NameError::TooLong));
    }

    proptest! {
        #[test]
        fn whatever_passes_is_plain(app in "[a-z/._?: -]{0,12}", stream in "[a-z0-9/._?:é-]{0,20}") {
            if let Ok(app) = AppName::parse(&app) && let Ok((stream, _)) = app.stream(&stream).or(app.published(&stream)) {
                for segment in stream.path.split('/').chain([&app.app[..]]) {
                    prop_assert!(!segment.is_empty() && segment != ".." && segment != ".");
                }
            }
        }
    }
}
