//! What a player asks for, whatever the protocol and the spelling: one decoded [`Address`]. Sans-IO.
//!
//! Contract: a protocol cuts off its own part (HTTP the file at the end of a path, RTSP `trackID=`, each one slash at the
//! end) and hands the rest, as the client wrote it, to [`parse`]; RTMP puts a slash between application and stream. The result
//! is looked up by name in the `registry`, and the [`Door`](super::Door) is asked about what was found: two spellings of
//! one thing cannot get two answers.
//!
//! ```text
//! <app>[/~<grant>][/_definst_][/[<prefix>:]<name>]     %XX is read as what it stands for, once (RFC 3986 §2.4)
//! ```
//! | in the name | of a channel | of a mount |
//! |---|---|---|
//! | `mp4:` `flv:` `mp3:` `m4a:` | say nothing | a media file |
//! | `smil:` | refused | a SMIL file, `.smil` is added where it is missing |
//! | `ngrp:<stream>_all` | all rungs of the stream | refused |
//! | no prefix | a stream | a SMIL file if it ends with `.smil`, else a media file |
//! | extension | part of the name | `.mp4` is added unless there is a known one |
//! | `<stream>.stream` | the stream: Wowza's name for one that a stream file has started | part of the name |
//! | `<stream>_<rung>` | the rung | part of the name |
//! | `/` | refused | folders |
//!
//! A part directly behind the application that has the form of a grant ([`amphi_access::Grants`]) is one.
//!
//! A prefix may stand before a later part of a path, where RTMP clients have cut off folders: `<folder>/<prefix>:<name>`.
//!
//! Names of files are put into normalization form C (Unicode Standard Annex 15), so both forms are one name.
//!
//! Names of channels, mounts and streams have letters, digits, `_`, `.` and `-`; those of files any characters but `/`, `\`
//! and NUL; one with a colon needs a prefix before it. No part of a name is empty or consists of dots alone, and an encoded
//! slash is refused.
//!
//! What does *not* belong here: which names there are (`registry`, `vod`), files of HLS and DASH (`http::route`).

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::str::Split;

use amphi_access::{GRANT_BYTES, GRANT_SIGN};
use amphi_media::NAME_BYTES_MAX;
use amphi_media::percent::{self, PercentError};
use amphi_vod as vod;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Wowza's default application instance: it means nothing here, so no stream is called so.
const DEFAULT_INSTANCE: &str = "_definst_";
/// The prefixes that are known, and what they mean.
const PREFIXES: [(&str, Prefix); 6] = [
    ("mp4", Prefix::Media),
    ("flv", Prefix::Media),
    ("mp3", Prefix::Media),
    ("m4a", Prefix::Media),
    ("smil", Prefix::Smil),
    ("ngrp", Prefix::Group),
];
/// How the name of a group ends.
const GROUP_END: &str = "_all";
/// What Wowza appends to the name of a stream that a stream file has started.
const STREAM_FILE: &str = ".stream";
const SMIL: &str = ".smil";

/// What a prefix says of the name after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    Media,
    Smil,
    Group,
}

/// What is asked for, decoded. `Display` writes it in one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// The name of a channel or a mount.
    pub app: Cow<'a, str>,
    /// The grant in it, with its sign; nobody has looked at whether it is right.
    pub grant: Option<Cow<'a, str>>,
    /// The stream or recording in it; `None` for the channel or the mount itself.
    pub stream: Option<StreamRef<'a>>,
}

/// The part of a channel or a mount that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamRef<'a> {
    /// A channel's stream by its name, which may end with a rung's.
    Name(Cow<'a, str>),
    /// All rungs of that stream of a channel: `ngrp:<name>_all`.
    Group(Cow<'a, str>),
    /// A recording of a mount.
    Recording(vod::RecordingStream),
}

/// Why a path is no address: a fault of the player, or of an old link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// `%` without two hexadecimal digits.
    #[error("the path has a % that is not followed by two hexadecimal digits")]
    Escape,
    /// A name that cannot exist.
    #[error("the path has a name that is empty or has characters that names cannot have")]
    Name,
    /// A part of a file's name that is empty or leads upward, or a name longer than 1023 bytes.
    #[error("the path has a name that may lead out of its folder")]
    Outside,
    /// None of the forms above.
    #[error("the path has none of the forms that are served here")]
    Form,
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, grant: _, stream } = self;
        match stream {
            None => write!(f, "{app}"),
            Some(StreamRef::Name(name)) => write!(f, "{app}/{name}"),
            Some(StreamRef::Group(name)) => write!(f, "{app}/ngrp:{name}{GROUP_END}"),
            Some(StreamRef::Recording(vod::RecordingStream::File(path))) => write!(f, "{app}/mp4:{path}"),
            Some(StreamRef::Recording(vod::RecordingStream::Smil(path))) => write!(f, "{app}/smil:{path}"),
        }
    }
}

impl Address<'_> {
    /// What a grant is made for: a channel as a whole; a mount, or a recording of it as it stands in a path behind the grant.
    pub fn scope(&self) -> Cow<'_, str> {
        match &self.stream {
            Some(StreamRef::Recording(_)) => {
                format!("{}/{}", self.app, self.stream_path().unwrap_or_default()).into()
            }
            _ => Cow::Borrowed(&self.app),
        }
    }

    /// The path of what it names beneath the root, in one spelling, behind that grant.
    pub fn path_behind(&self, grant: Option<&str>) -> String {
        let parts =
            [Some(&*self.app), grant, self.stream_path().as_deref()].map(|part| part.map(str::to_owned));
        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
    }

    /// The stream as it stands in a path behind the grant, in one spelling; `None` for the channel or the mount itself. What is
    /// not unreserved is escaped (RFC 3986 §2.3).
    pub fn stream_path(&self) -> Option<String> {
        let (prefix, path, end) = match self.stream.as_ref()? {
            StreamRef::Name(name) => ("", &**name, ""),
            StreamRef::Group(name) => ("ngrp:", &**name, GROUP_END),
            StreamRef::Recording(vod::RecordingStream::File(path)) => ("mp4:", path.as_str(), ""),
            StreamRef::Recording(vod::RecordingStream::Smil(path)) => ("smil:", path.as_str(), ""),
        };
        let mut text = String::from(prefix);
        for byte in path.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        Some(text + end)
    }

    /// A copy that does not borrow from the path.
    pub fn into_owned(self) -> Address<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let stream = self.stream.map(|stream| match stream {
            StreamRef::Name(name) => StreamRef::Name(own(name)),
            StreamRef::Group(name) => StreamRef::Group(own(name)),
            StreamRef::Recording(stream) => StreamRef::Recording(stream),
        });
        Address { app: own(self.app), grant: self.grant.map(own), stream }
    }
}

/// Reads `<app>[/_definst_][/[<prefix>:]<name>]`, percent-encoded; `is_mount` says whether an application is a mount.
pub fn parse(path: &str, is_mount: impl FnOnce(&str) -> bool) -> Result<Address<'_>, AddressError> {
    let (app, mut parts) = application(path)?;
    let is_mount = is_mount(&app);
    let grant = grant(&mut parts);
    Ok(Address { stream: stream_of(parts.map(decode), is_mount)?, grant, app })
}

/// Reads the same if the application is a channel, says `is_channel`; any other is read no further.
pub(super) fn parse_in_channel(path: &str, is_channel: impl FnOnce(&str) -> bool) -> Option<Address<'_>> {
    let (app, mut parts) = application(path).ok()?;
    if !is_channel(&app) {
        return None;
    }
    let grant = grant(&mut parts);
    let stream = stream_of(parts.map(decode), false).ok()?;
    Some(Address { app, grant, stream })
}

/// The application at the front of a path, and the parts after it as they were written.
fn application(path: &str) -> Result<(Cow<'_, str>, Split<'_, char>), AddressError> {
    let mut parts = path.split('/');
    let app = parts.next().ok_or(AddressError::Form)?;
    Ok((plain(decode(app)?)?, parts))
}

/// Takes the grant, if the next part has the form of one.
fn grant<'a>(parts: &mut Split<'a, char>) -> Option<Cow<'a, str>> {
    let next = decode(parts.clone().next()?).ok()?;
    let is_grant = next.len() == GRANT_BYTES && next.starts_with(GRANT_SIGN);
    is_grant.then(|| {
        parts.next();
        next
    })
}

/// A path for the log: as it came, without a grant.
pub fn without_grant(path: &str) -> Cow<'_, str> {
    let is_grant = |part: &&str| decode(part).is_ok_and(|part| part.starts_with(GRANT_SIGN));
    let Some(grant) = path.trim_start_matches('/').split('/').nth(1).filter(is_grant) else {
        return path.into();
    };
    path.replacen(&format!("/{grant}"), "", 1).into()
}

/// Decodes `%XX` (RFC 3986 §2.1).
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, AddressError> {
    percent::decode(text).map_err(|error| match error {
        PercentError::Triplet => AddressError::Escape,
        PercentError::Utf8 => AddressError::Name,
    })
}

/// A name of a channel, a mount, a stream or a live file.
pub(super) fn plain(text: Cow<'_, str>) -> Result<Cow<'_, str>, AddressError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let is_dots = text.bytes().all(|byte| byte == b'.');
    if is_plain && !is_dots && text.len() <= NAME_BYTES_MAX { Ok(text) } else { Err(AddressError::Name) }
}

/// Stream and rung, wherever `name` may be read as `<stream>_<rung>`; the longest stream first.
pub(super) fn before_rung(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let cut = move |(at, _): (usize, &str)| Some((name.get(..at)?, name.get(at + 1..)?));
    name.rmatch_indices('_').filter_map(cut).filter(|(_, rung)| !rung.is_empty())
}

/// The stream in `<stream>.stream`.
pub(super) fn before_stream_file(name: &str) -> Option<&str> {
    name.strip_suffix(STREAM_FILE)
}

type Part<'a> = Result<Cow<'a, str>, AddressError>;

/// What follows the application.
fn stream_of<'a>(
    mut parts: impl Iterator<Item = Part<'a>>,
    is_mount: bool,
) -> Result<Option<StreamRef<'a>>, AddressError> {
    let mut first = parts.next().transpose()?;
    while first.as_deref() == Some(DEFAULT_INSTANCE) {
        first = parts.next().transpose()?;
    }
    let Some(first) = first else { return Ok(None) };
    if is_mount {
        return recording(first, parts).map(StreamRef::Recording).map(Some);
    }
    match parts.next().transpose()? {
        None => stream_of_channel(first).map(Some),
        Some(_) => Err(AddressError::Form),
    }
}

/// `[<prefix>:]<rest>`; `None` for a prefix that we do not know.
fn prefixed(text: &str) -> Option<(Option<Prefix>, &str)> {
    let Some((word, rest)) = text.split_once(':') else { return Some((None, text)) };
    let (_, prefix) = PREFIXES.iter().find(|(known, _)| *known == word)?;
    Some((Some(*prefix), rest))
}

fn stream_of_channel(text: Cow<'_, str>) -> Result<StreamRef<'_>, AddressError> {
    match prefixed(&text).ok_or(AddressError::Form)? {
        (None, _) => plain(text).map(StreamRef::Name),
        (Some(Prefix::Media), DEFAULT_INSTANCE) => Err(AddressError::Name),
        (Some(Prefix::Media), _) => {
            plain(within(text, |text| prefixed(text).map(|(_, rest)| rest))).map(StreamRef::Name)
        }
        (Some(Prefix::Group), group) if group.ends_with(GROUP_END) => {
            plain(within(text, |text| prefixed(text)?.1.strip_suffix(GROUP_END))).map(StreamRef::Group)
        }
        (Some(Prefix::Group | Prefix::Smil), _) => Err(AddressError::Form),
    }
}

fn recording<'a>(
    first: Cow<'a, str>,
    rest: impl Iterator<Item = Part<'a>>,
) -> Result<vod::RecordingStream, AddressError> {
    let mut path = String::new();
    for (index, part) in std::iter::once(Ok(first)).chain(rest).enumerate() {
        let part = part?;
        if part.contains(['/', '\\', '\0']) {
            return Err(AddressError::Name);
        }
        if index > 0 {
            path.push('/');
        }
        path.push_str(&part);
    }
    let prefix = prefix_of(&mut path)?;
    if !is_nfc(&path) {
        // One value for all spellings of a name; the mount finds the file in whatever form it is on disk.
        path = path.nfc().collect();
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(AddressError::Outside);
    }
    let is_smil = path.to_ascii_lowercase().ends_with(SMIL);
    let stream = match prefix {
        Some(Prefix::Smil | Prefix::Media) | None if is_smil => vod::RecordingStream::Smil(path),
        Some(Prefix::Smil) => vod::RecordingStream::Smil(path + SMIL),
        Some(Prefix::Media) | None => vod::RecordingStream::File(vod::with_extension(&path)),
        Some(Prefix::Group) => return Err(AddressError::Form),
    };
    if stream.path().len() > NAME_BYTES_MAX { Err(AddressError::Outside) } else { Ok(stream) }
}

/// Takes the prefix out of a recording's path; it stands before a part of it.
fn prefix_of(path: &mut String) -> Result<Option<Prefix>, AddressError> {
    let Some((before, _)) = path.split_once(':') else { return Ok(None) };
    let (begin, end) = (before.rfind('/').map_or(0, |slash| slash + 1), before.len());
    let prefix = path.get(begin..).and_then(prefixed).and_then(|(prefix, _)| prefix);
    path.replace_range(begin..=end, "");
    prefix.map(Some).ok_or(AddressError::Form)
}

/// A part of a text, borrowed if the text is; empty if there is no such part.
fn within(text: Cow<'_, str>, choose: impl FnOnce(&str) -> Option<&str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(choose(text).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(choose(&text).unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests;
