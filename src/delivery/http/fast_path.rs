//! A channel's ready answers for the fast path: the answers of [`answer`](super::answer), as bytes.
//!
//! Only whole answers (200), 304 and refusals of the door to GETs. A test compares every one of them with what the ordinary way
//! gives. The door is asked about what lies ready alone, and what is for one viewer is left to the ordinary way. A path is read once; what is left to the
//! ordinary way is read anew there, as all its bytes are, so pages, mounts and what there is not are left as soon as the first
//! name of their path is known. A mount is never called like a channel: `config` sees to that.

use std::sync::LazyLock;
use std::time::Instant;

use http::header::SERVER;
use http::{HeaderMap, HeaderValue};

use super::Delivery;
use super::answer::{self, FoundFile};
use super::fault::unserved;
use super::route;
use super::service::ShownRequest;
use crate::delivery::unserved::Unserved;
use crate::delivery::{AccessDenied, AnswerKind, Resolved};
use amphi_access::{Admission, Refusal};
use amphi_http::{Asked, Content, FastPath, ReadyAnswer, Timed, append_field, cors};

/// First names of paths that are pages.
const PAGES: [&str; 3] = ["assets", "watch", "api"];

/// Fields that all answers have.
static COMMON: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut headers = HeaderMap::new();
    cors::allow(&mut headers);
    headers.insert(SERVER, HeaderValue::from_static("Amphi"));
    let mut fields = Vec::new();
    for (name, value) in &headers {
        append_field(&mut fields, name.as_str().as_bytes(), value.as_bytes());
    }
    fields
});

impl FastPath for Delivery {
    fn ready(&self, asked: &Asked<'_>, head: &mut Vec<u8>) -> Option<ReadyAnswer> {
        if self.transport.redirects(self.peer).is_some() {
            return None;
        }
        let begun = Instant::now();
        let mut channel = None;
        let path = route::parse_in_channel(asked.path, |app| {
            channel = if PAGES.contains(&app) { None } else { self.registry.get(app) };
            channel.is_some()
        })?;
        let channel = channel?;
        let narrowed = answer::narrow(&channel, &path).ok()?;
        let found = answer::find(channel.window.as_ref()?, narrowed, &path.file).ok()?;
        let resolved = Resolved::Channel { channel: &path.address.app, rungs: narrowed.rungs };
        let shown = ShownRequest { path: asked.path, query: asked.query, fields: asked };
        match self.ask(shown, &path.address, resolved, path.file.step()) {
            Ok(Admission::Open | Admission::Carried) => {}
            // The answer is for this viewer alone, or somebody has to be asked.
            Ok(Admission::Shown | Admission::Granted(_))
            | Err(Unserved::Denied(AccessDenied::Play(Refusal::Undecided))) => return None,
            Err(refused) => return Some(self.refused(refused, begun, head)),
        }
        let tag = found.etag.as_ref().zip(asked.if_none_match);
        let is_known = tag.is_some_and(|(etag, field)| etag.is_in(field));
        self.fetched(&path, true, if is_known { 0 } else { found.bytes.len() });
        write_head(head, &found, is_known);
        self.transport.append_to(head);
        // Inside TLS every byte is copied: from the segment's own memory, in one piece with its head.
        let has_pages = found.kind == AnswerKind::Segment && !self.transport.is_secure;
        let pages = if has_pages { self.page_cache.pages(&found.bytes, begun) } else { None };
        let (content, len) = match pages {
            _ if is_known => (Content::Pieces(Default::default()), 0),
            Some(pages) => (Content::Pages(pages), found.bytes.len()),
            None => (Content::Pieces(found.bytes.pieces()), found.bytes.len()),
        };
        self.counts.count(found.kind, len);
        let timed = Timed::new(begun, self.counts.latency(found.kind));
        Some(ReadyAnswer { content, timed })
    }
}

impl Delivery {
    /// Tells who is not let in why.
    fn refused(&self, refused: Unserved, begun: Instant, head: &mut Vec<u8>) -> ReadyAnswer {
        let (kind, response) = unserved(refused);
        let (parts, body) = response.into_parts();
        head.extend_from_slice(format!("HTTP/1.1 {}\r\n", parts.status).as_bytes());
        for (name, value) in &parts.headers {
            append_field(head, name.as_str().as_bytes(), value.as_bytes());
        }
        head.extend_from_slice(&COMMON);
        self.transport.append_to(head);
        self.counts.count(kind, body.remaining());
        let timed = Timed::new(begun, self.counts.latency(kind));
        ReadyAnswer { content: Content::Pieces(body.into_ready()), timed }
    }
}

fn write_head(head: &mut Vec<u8>, found: &FoundFile, is_known: bool) {
    if is_known {
        head.extend_from_slice(b"HTTP/1.1 304 Not Modified\r\n");
    } else {
        head.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        append_field(head, b"content-type", found.content_type.as_bytes());
        append_field(head, b"content-length", HeaderValue::from(found.bytes.len()).as_bytes());
        append_field(head, b"accept-ranges", b"bytes");
    }
    append_field(head, b"cache-control", found.cache_control.as_bytes());
    if let Some(etag) = &found.etag {
        append_field(head, b"etag", etag.value().as_bytes());
    }
    head.extend_from_slice(&COMMON);
}
