//! Requests to responses.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, RANGE, RETRY_AFTER,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, response};

use crate::http::{Parts, Requested, requested};
use crate::media::Segment;
use crate::meter::Counter;
use crate::store::{Rendition, Snapshot, Text};

use super::registry::{ChannelEntry, Registry};
use super::route::{Asset, Route, Selection, route};

/// Segments and initialization sections: their names are never given to other bytes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Live media playlists: a cache asks again, with the entity tag, before every use. The least cell is half a second
/// and `max-age` counts whole seconds, so nothing longer would stay under half a cell.
const LIVE: &str = "no-cache";
/// Multivariant playlists change when a bandwidth is measured anew.
const SECONDS: &str = "public, max-age=2";
const NO_STORE: &str = "no-store";

const PLAYLIST: &str = "application/vnd.apple.mpegurl";
const EXPOSED: &str = "Content-Length, Content-Range, Date, ETag, Retry-After";
const CROSS_DOMAIN: &str = "<?xml version=\"1.0\"?>\n<cross-domain-policy><allow-access-from domain=\"*\"/>\
    </cross-domain-policy>\n";

/// What delivery knows and counts.
#[derive(Debug, Default)]
pub struct Delivery {
    /// The channels.
    pub registry: Registry,
    /// Requests answered.
    pub requests: Counter,
    /// Requests refused: 4xx and 5xx.
    pub refused: Counter,
    /// Body bytes handed out.
    pub bytes: Counter,
}

/// Something to send, before ranges and conditions.
struct Found {
    body: [Bytes; 3],
    kind: &'static str,
    cache: &'static str,
    etag: Option<HeaderValue>,
    ranges: bool,
}

/// Why there is nothing to send.
enum Nothing {
    NotFound,
    /// The channel exists and has not shown its first cell yet.
    WarmingUp,
}

/// Answers one request for media or playlists.
pub fn answer<B>(delivery: &Delivery, request: &Request<B>) -> Response<Parts> {
    delivery.requests.increment();
    let response = match *request.method() {
        Method::GET | Method::HEAD => {
            let head = request.method() == Method::HEAD;
            match find(&delivery.registry, request.uri().path()) {
                Ok(found) => send(found, request.headers(), head),
                Err(nothing) => refuse(&nothing),
            }
        }
        Method::OPTIONS => preflight(),
        _ => finish(
            response(StatusCode::METHOD_NOT_ALLOWED, NO_STORE).header(ALLOW, "GET, HEAD, OPTIONS"),
            Parts::default(),
        ),
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        delivery.refused.increment();
    }
    delivery.bytes.add(response.body().len());
    response
}

fn find(registry: &Registry, path: &str) -> Result<Found, Nothing> {
    if path == "/crossdomain.xml" {
        let body = [Bytes::from_static(CROSS_DOMAIN.as_bytes()), Bytes::new(), Bytes::new()];
        return Ok(Found { body, kind: "text/xml", cache: SECONDS, etag: None, ranges: false });
    }
    let Route { app, stream, asset } = route(path).map_err(|_| Nothing::NotFound)?;
    let channel = registry.get(&app).ok_or(Nothing::NotFound)?;
    let single = match &stream {
        None => None,
        Some(stream) => choose_stream(&channel, stream)?,
    };
    let snapshot = channel.shelf.now().ok_or(Nothing::WarmingUp)?;
    match asset {
        Asset::Multivariant => match single {
            None => Ok(text(&snapshot.multivariant, SECONDS)),
            Some(rung) => Ok(text(&rendition(&snapshot, &rung)?.single, SECONDS)),
        },
        Asset::Media(selection) => {
            let selection = single.map_or(selection, Selection::Rung);
            Ok(text(&select(&snapshot, &selection)?.playlist, LIVE))
        }
        Asset::Init(name) => {
            let by_name = snapshot.renditions.iter().find(|rendition| rendition.init_name == name);
            let rendition = by_name.ok_or(Nothing::NotFound)?;
            Ok(media(rendition, [rendition.init.clone(), Bytes::new(), Bytes::new()]))
        }
        Asset::Segment { rung, k } => {
            let rendition = rendition(&snapshot, &rung)?;
            let segment: Arc<Segment> = snapshot.segment(rendition, k).ok_or(Nothing::NotFound)?;
            Ok(media(rendition, segment.parts().clone()))
        }
    }
}

/// The rung that the stream's name singles out: `live_720p`; none for `live`.
fn choose_stream(channel: &ChannelEntry, given: &str) -> Result<Option<String>, Nothing> {
    let known = |name: &str| {
        let bare = name.strip_suffix(".stream").unwrap_or(name);
        channel.streams.iter().any(|stream| stream == name || stream == bare)
    };
    if known(given) {
        return Ok(None);
    }
    let rung = channel.rungs.iter().find(|rung| {
        let stream = given.strip_suffix(rung.as_str()).and_then(|rest| rest.strip_suffix('_'));
        stream.is_some_and(known)
    });
    rung.map(|rung| Some(rung.clone())).ok_or(Nothing::NotFound)
}

fn rendition<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Rendition, Nothing> {
    snapshot.rendition(name).ok_or(Nothing::NotFound)
}

fn select<'a>(snapshot: &'a Snapshot, selection: &Selection) -> Result<&'a Rendition, Nothing> {
    let chosen = match selection {
        Selection::Rung(name) => return rendition(snapshot, name),
        Selection::Best => snapshot.renditions.first(),
        Selection::Nearest(bps) => {
            snapshot.renditions.iter().min_by_key(|rendition| rendition.peak_bps.abs_diff(*bps))
        }
    };
    chosen.ok_or(Nothing::NotFound)
}

fn text(text: &Text, cache: &'static str) -> Found {
    let body = [text.body.clone(), Bytes::new(), Bytes::new()];
    Found { body, kind: PLAYLIST, cache, etag: HeaderValue::from_str(&text.etag).ok(), ranges: false }
}

fn media(rendition: &Rendition, body: [Bytes; 3]) -> Found {
    let kind = if rendition.tracks.video.is_some() { "video/mp4" } else { "audio/mp4" };
    Found { body, kind, cache: IMMUTABLE, etag: None, ranges: true }
}

fn send(found: Found, headers: &HeaderMap, head: bool) -> Response<Parts> {
    let mut builder = response(StatusCode::OK, found.cache).header(CONTENT_TYPE, found.kind);
    if let Some(etag) = &found.etag {
        builder = builder.header(ETAG, etag);
        if headers.get(IF_NONE_MATCH).is_some_and(|given| matches(given, etag)) {
            return finish(builder.status(StatusCode::NOT_MODIFIED), Parts::default());
        }
    }
    let whole: usize = found.body.iter().map(Bytes::len).sum();
    let mut body = found.body;
    let mut len = whole;
    if found.ranges {
        builder = builder.header(ACCEPT_RANGES, "bytes");
        match requested(headers.get(RANGE).and_then(|value| value.to_str().ok()), whole) {
            Requested::Whole => {}
            Requested::Part(range) => {
                let [first, second, third] = body;
                body = Segment::new(first, second, third).range(range.from, range.to);
                len = range.to - range.from;
                let range = format!("bytes {}-{}/{whole}", range.from, range.to - 1);
                builder = builder.status(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, range);
            }
            Requested::Unsatisfiable => {
                let builder = response(StatusCode::RANGE_NOT_SATISFIABLE, NO_STORE)
                    .header(CONTENT_RANGE, format!("bytes */{whole}"));
                return finish(builder, Parts::default());
            }
        }
    }
    builder = builder.header(CONTENT_LENGTH, len);
    finish(builder, if head { Parts::default() } else { body.into() })
}

/// Weak comparison over a list (RFC 9110 §13.1.2).
fn matches(given: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(given), Ok(etag)) = (given.to_str(), etag.to_str()) else { return false };
    given.trim() == "*" || given.split(',').any(|one| one.trim().trim_start_matches("W/") == etag)
}

/// A missing file is 404 with an empty body, as Wowza answers. A channel that warms up is 503: players try again,
/// while most give up for good after 404.
fn refuse(nothing: &Nothing) -> Response<Parts> {
    let builder = match nothing {
        Nothing::NotFound => response(StatusCode::NOT_FOUND, NO_STORE),
        Nothing::WarmingUp => response(StatusCode::SERVICE_UNAVAILABLE, NO_STORE).header(RETRY_AFTER, "1"),
    };
    finish(builder, Parts::default())
}

fn preflight() -> Response<Parts> {
    let builder = response(StatusCode::NO_CONTENT, NO_STORE)
        .header(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS")
        .header(ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-None-Match, Content-Type, Authorization")
        .header(ACCESS_CONTROL_MAX_AGE, "86400");
    finish(builder, Parts::default())
}

fn response(status: StatusCode, cache: &'static str) -> response::Builder {
    Response::builder()
        .status(status)
        .header(CACHE_CONTROL, cache)
        .header(ACCESS_CONTROL_ALLOW_ORIGIN, "*")
        .header(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED)
}

fn finish(builder: response::Builder, body: Parts) -> Response<Parts> {
    // All header values are our own and valid; if one ever were not, the viewer gets an empty 200 to retry.
    builder.body(body).unwrap_or_default()
}
