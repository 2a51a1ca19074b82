//! Which subject a URL's path stands for, where a signature binds a path: the same recording has a path for its playlist, its
//! manifest, its page and its file, and one right opens them all.
//!
//! A path stands for the subject as it is, or without its last part. The latter only where what is left still names the
//! subject, which the number of its parts tells: of `/vod/a.smil/playlist.m3u8` that is `vod/a.smil`, but of the file
//! `/vod/a.mp4` it would be `vod`, which names all of the mount. The page `/watch/vod/a.smil` also stands for `vod/a.smil`.

use std::borrow::Cow;

use amphi_media::percent;

use crate::Subject;

/// Wowza's default application instance, which stands after the application and means nothing.
const DEFAULT_INSTANCE: &str = "_definst_";
/// What stands before a subject in the path of its page.
const PAGE: &str = "watch/";

/// What a path may be called in a signature: as it is, and without its last part; without slashes around.
pub(super) fn readings<'a>(path: &'a str, subject: Subject<'_>) -> Vec<&'a str> {
    let whole = trimmed(path);
    let mut found = vec![whole];
    if let Some(of_page) = whole.strip_prefix(PAGE)
        && is_in_app(of_page, subject)
    {
        found.push(of_page);
        return found;
    }
    // A slash at the end ends the name of a folder, and is no empty file in it.
    if path.ends_with('/') {
        return found;
    }
    if let Some((folder, _)) = whole.rsplit_once('/')
        && denotes(folder, subject)
    {
        found.push(folder);
    }
    found
}

/// Whether a path is in the subject's channel or mount.
fn is_in_app(path: &str, subject: Subject<'_>) -> bool {
    path.split('/').next().is_some_and(|app| decoded(app) == subject.app())
}

/// Without slashes around.
pub(super) fn trimmed(path: &str) -> &str {
    path.trim_start_matches('/').trim_end_matches('/')
}

/// Whether a path without its last part may be the subject's: a channel's application, perhaps with a stream's name; a
/// recording's path with all its folders.
fn denotes(path: &str, subject: Subject<'_>) -> bool {
    let wanted = subject.0.split('/').count();
    let parts = without_instance(path).split('/').count();
    is_in_app(path, subject) && if wanted == 1 { (1..=2).contains(&parts) } else { parts == wanted }
}

/// A path without `_definst_` after the application.
pub(super) fn without_instance(path: &str) -> Cow<'_, str> {
    let Some((app, mut rest)) = path.split_once('/') else { return Cow::Borrowed(path) };
    let whole = rest;
    loop {
        rest = match rest.split_once('/') {
            Some((DEFAULT_INSTANCE, after)) => after,
            None if rest == DEFAULT_INSTANCE => return Cow::Borrowed(app),
            _ => break,
        };
    }
    if rest.len() == whole.len() { Cow::Borrowed(path) } else { Cow::Owned(format!("{app}/{rest}")) }
}

/// A path as it stands for itself: what `%XX` stands for (RFC 3986 §2.4), or as it is where that is nothing.
pub(super) fn decoded(path: &str) -> Cow<'_, str> {
    percent::decode(path).unwrap_or(Cow::Borrowed(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_left_out_only_where_the_rest_names_the_subject() {
        for (path, subject, wanted) in [
            ("/Live/playlist.m3u8", "Live", &["Live/playlist.m3u8", "Live"][..]),
            ("/Live/cam/playlist.m3u8", "Live", &["Live/cam/playlist.m3u8", "Live/cam"]),
            ("/Live/_definst_/cam/x.mpd", "Live", &["Live/_definst_/cam/x.mpd", "Live/_definst_/cam"]),
            ("/Live/cam", "Live", &["Live/cam", "Live"]),
            ("/Live/", "Live", &["Live"]),
            ("/vod/a.smil/playlist.m3u8", "vod/a.smil", &["vod/a.smil/playlist.m3u8", "vod/a.smil"]),
            ("/vod/a.mp4", "vod/a.mp4", &["vod/a.mp4"]),
            ("/vod/x/a.mp4", "vod/x/a.mp4", &["vod/x/a.mp4"]),
            ("/vod/x/a.mp4/", "vod/x/a.mp4", &["vod/x/a.mp4"]),
            ("/vod", "vod", &["vod"]),
            ("/watch/vod/a.smil", "vod/a.smil", &["watch/vod/a.smil", "vod/a.smil"]),
            ("/watch/vod/x/a.smil", "vod/x/a.smil", &["watch/vod/x/a.smil", "vod/x/a.smil"]),
            ("/watch/vod", "vod/a.smil", &["watch/vod", "vod"]),
            ("/watch/Live", "Live", &["watch/Live", "Live"]),
            ("/other/vod/a.smil", "vod/a.smil", &["other/vod/a.smil"]),
        ] {
            assert_eq!(readings(path, Subject(subject)), wanted, "{path}");
        }
    }

    #[test]
    fn the_instance_says_nothing_after_the_application() {
        for (path, wanted) in [
            ("vod/_definst_/a/b", "vod/a/b"),
            ("vod/_definst_/_definst_/a", "vod/a"),
            ("vod/_definst_", "vod"),
            ("vod/a/_definst_/b", "vod/a/_definst_/b"),
            ("_definst_/a", "_definst_/a"),
            ("vod", "vod"),
        ] {
            assert_eq!(without_instance(path), wanted, "{path}");
        }
    }
}
