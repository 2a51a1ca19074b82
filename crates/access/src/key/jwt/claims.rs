//! What a JWT says: until when, from whom, for whom, and what it opens.
//!
//! | claim | made by | opens |
//! |---|---|---|
//! | `oc: {"e:<id>": ["read"]}` | Opencast, Tobira | recordings in whose path a folder is called `<id>` |
//! | `mediamtx_permissions: [{"action": …, "path": …}]` | for MediaMTX | `read`: what has that path; `playback`: recordings alone. `~` is followed by a regular expression; empty: all |
//! | `amphi: ["Live_*", "vod/2026"]` | for us | what the patterns cover |
//!
//! With several of them, what any of them opens. Claims of other forms open nothing. A claim named twice is malformed.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use quick_cache::sync::Cache;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Number, Value};

use crate::{Pattern, Refusal, Subject};

/// How much of each kind one token may open: more is malformed.
const MOST_RIGHTS: usize = 64;
/// The longest regular expression, in bytes.
const REGEX_BYTES_MAX: usize = 256;
/// The largest regular expression, compiled, in bytes; as much again for what it remembers while matching.
const COMPILED_BYTES_MAX: usize = 64 * 1024;
/// How many regular expressions are kept compiled: all of a site's tokens share a few.
const KEPT_EXPRESSIONS: usize = 64;

/// What a token says.
#[derive(Debug)]
pub(super) struct Claims {
    /// `nbf`
    pub(super) from: Option<Timestamp>,
    /// `exp`
    pub(super) until: Timestamp,
    /// What it opens; `None` if it does not say.
    rights: Option<Rights>,
}

#[derive(Debug, Default)]
struct Rights {
    /// Identifiers of Opencast's events.
    events: Vec<String>,
    permissions: Vec<Permission>,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Permission {
    is_playback: bool,
    path: PermittedPath,
}

#[derive(Debug)]
enum PermittedPath {
    Any,
    Exact(String),
    Like(Arc<Regex>),
}

/// The claims that are read (RFC 7519 §4.1, and ours).
#[derive(Deserialize)]
struct Payload {
    exp: Option<Number>,
    nbf: Option<Number>,
    iss: Option<Value>,
    aud: Option<Value>,
    oc: Option<Value>,
    mediamtx_permissions: Option<Value>,
    amphi: Option<Value>,
}

impl Claims {
    /// Reads a payload whose signature is right.
    pub(super) fn read(payload: &[u8], issuers: &[String], audiences: &[String]) -> Result<Self, Refusal> {
        let payload: Payload = serde_json::from_slice(payload).map_err(|_| Refusal::Malformed)?;
        let is_for = |allowed: &[String], claim: Option<&Value>| {
            allowed.is_empty() || texts(claim).any(|text| allowed.iter().any(|it| it == text))
        };
        if !is_for(issuers, payload.iss.as_ref()) || !is_for(audiences, payload.aud.as_ref()) {
            return Err(Refusal::OtherSubject);
        }
        let until = payload.exp.as_ref().ok_or(Refusal::Malformed).and_then(time)?;
        let from = payload.nbf.as_ref().map(time).transpose()?;
        let says = [&payload.oc, &payload.mediamtx_permissions, &payload.amphi].iter().any(|it| it.is_some());
        let rights = Rights {
            events: payload.oc.as_ref().map(events).unwrap_or_default(),
            permissions: payload
                .mediamtx_permissions
                .as_ref()
                .map(permissions)
                .transpose()?
                .unwrap_or_default(),
            patterns: texts(payload.amphi.as_ref()).map(Pattern::new).collect(),
        };
        if [rights.events.len(), rights.permissions.len(), rights.patterns.len()]
            .iter()
            .any(|it| *it > MOST_RIGHTS)
        {
            return Err(Refusal::Malformed);
        }
        Ok(Self { from, until, rights: says.then_some(rights) })
    }

    /// Whether they open the subject; `silent` does it for those that say nothing.
    pub(super) fn open(&self, subject: Subject<'_>, silent: bool) -> bool {
        let Some(rights) = &self.rights else { return silent };
        rights.patterns.iter().any(|pattern| pattern.covers(subject))
            || rights.permissions.iter().any(|permission| permission.opens(subject))
            || folders(subject).any(|folder| rights.events.iter().any(|event| event == folder))
    }
}

impl Permission {
    fn opens(&self, subject: Subject<'_>) -> bool {
        let is_recording = subject.0.contains('/');
        (is_recording || !self.is_playback)
            && match &self.path {
                PermittedPath::Any => true,
                PermittedPath::Exact(path) => path == subject.0,
                PermittedPath::Like(expression) => expression.is_match(subject.0),
            }
    }
}

/// The folders of a recording: what stands between the mount and the file.
fn folders(subject: Subject<'_>) -> impl Iterator<Item = &str> {
    let inner = subject.0.split_once('/').and_then(|(_, path)| path.rsplit_once('/'));
    inner.into_iter().flat_map(|(folders, _)| folders.split('/'))
}

/// A text, or the texts of a list.
fn texts(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match claim {
        Some(Value::String(text)) => (Some(text.as_str()), &[][..]),
        Some(Value::Array(all)) => (None, all.as_slice()),
        _ => (None, &[][..]),
    };
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

/// The events that may be read.
fn events(oc: &Value) -> Vec<String> {
    let items = oc.as_object().into_iter().flatten();
    let may_read = items.filter(|(_, actions)| texts(Some(actions)).any(|action| action == "read"));
    may_read
        .filter_map(|(item, _)| item.strip_prefix("e:"))
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect()
}

fn permissions(claim: &Value) -> Result<Vec<Permission>, Refusal> {
    let all = claim.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.len() > MOST_RIGHTS {
        return Err(Refusal::Malformed);
    }
    let text = |item: &Value, name: &str| item.get(name).map_or(Some(""), Value::as_str).map(str::to_owned);
    let mut found = Vec::new();
    for item in all {
        let is_playback = match text(item, "action").as_deref() {
            Some("read") => false,
            Some("playback") => true,
            _ => continue,
        };
        let Some(path) = text(item, "path") else { continue };
        let path = match path.strip_prefix('~') {
            _ if path.is_empty() => PermittedPath::Any,
            None => PermittedPath::Exact(path),
            Some(expression) => PermittedPath::Like(compiled(expression)?),
        };
        found.push(Permission { is_playback, path });
    }
    Ok(found)
}

/// A regular expression, compiled once for all tokens that have it.
fn compiled(expression: &str) -> Result<Arc<Regex>, Refusal> {
    static KEPT: LazyLock<Cache<String, Arc<Regex>>> = LazyLock::new(|| Cache::new(KEPT_EXPRESSIONS));
    if expression.len() > REGEX_BYTES_MAX {
        return Err(Refusal::Malformed);
    }
    KEPT.get_or_insert_with(expression, || {
        let mut builder = RegexBuilder::new(expression);
        let bounded = builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX);
        bounded.build().map(Arc::new).map_err(|_| Refusal::Malformed)
    })
}

/// A NumericDate (RFC 7519 §2): seconds since 1970, perhaps with a fraction, which is cut off.
fn time(date: &Number) -> Result<Timestamp, Refusal> {
    let seconds = date.as_i64().or_else(|| date.as_f64().map(|seconds| seconds as i64));
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or(Refusal::Malformed)
}
