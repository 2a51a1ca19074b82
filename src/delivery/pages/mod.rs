//! The public pages: `/` lists the channels, `/watch/<channel>` and `/watch/<vod>/<path>` are players, made to be framed.
//!
//! Static files in the binary; what they show they fetch: playlists, and `/assets/channels.json`. A page's own address
//! says what it plays. Query parameters that it knows:
//!
//! | | |
//! |---|---|
//! | `course`, `unit`, `id`, `title` | words of its title, shown as text |
//! | `lang=fr` or `en` | the language; else the browser's |
//! | `muted=1`, `autoplay=0` | how it starts |
//! | `t=90` | where a recording starts, in seconds |
//! | `audio=1` | sound alone |
//!
//! `pages.embed_from` says whose pages may frame a player (CSP `frame-ancestors`). The policy allows no script but
//! ours. hls.js plays where there is Media Source Extensions, the browser's own HLS elsewhere.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::Kind;
use super::answer::Answer;
use super::registry::Registry;
use super::route::decode;
use crate::http::{Body, Description, ETag, content};
use crate::media::Segment;

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const LIST: &str = include_str!("assets/list.html");
const WATCH: &str = include_str!("assets/watch.html");
const LOST: &str = include_str!("assets/lost.html");

/// Name beneath `/assets/`, media type, text.
const PARTS: [(&str, &str, &str); 7] = [
    ("pages.css", "text/css; charset=utf-8", include_str!("assets/pages.css")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ("list.js", JAVASCRIPT, include_str!("assets/list.js")),
    ("watch.js", JAVASCRIPT, include_str!("assets/watch.js")),
    ("player.js", JAVASCRIPT, include_str!("assets/player.js")),
    ("words.js", JAVASCRIPT, include_str!("assets/words.js")),
    ("hls.light.min.mjs", JAVASCRIPT, include_str!("assets/hls.light.min.mjs")),
];

const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// What the pages are made with.
#[derive(Clone, Debug)]
pub struct Pages {
    title: Arc<str>,
    policy: HeaderValue,
}

impl Default for Pages {
    fn default() -> Self {
        Self::new("Amphi", &["*".to_owned()])
    }
}

impl Pages {
    /// Pages of the site `title`, whose players may be framed by pages of `embed_from`: origins, or `*`.
    pub fn new(title: &str, embed_from: &[String]) -> Self {
        let ancestors = if embed_from.is_empty() { "'none'".to_owned() } else { embed_from.join(" ") };
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
        );
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { title: title.into(), policy }
    }

    /// The answer to a GET or HEAD of a page or a part of one; `None` where the path is none of these.
    pub(super) fn answer(&self, request: &Parts, registry: &Registry) -> Option<Answer> {
        let path = request.uri.path();
        if path == "/" {
            return Some(self.page(request, LIST, StatusCode::OK));
        }
        if let Some(name) = path.strip_prefix("/assets/") {
            return self.part(request, registry, name);
        }
        let watched = path.strip_prefix("/watch/")?;
        let (text, status) =
            if is_there(watched, registry) { (WATCH, StatusCode::OK) } else { (LOST, StatusCode::NOT_FOUND) };
        Some(self.page(request, text, status))
    }

    fn page(&self, request: &Parts, text: &'static str, status: StatusCode) -> Answer {
        let mut response = file(request, HTML, Bytes::from_static(text.as_bytes()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if status != StatusCode::OK {
            *response.status_mut() = status;
        }
        (if status.is_success() { Kind::Other } else { Kind::Refused }, response)
    }

    fn part(&self, request: &Parts, registry: &Registry, name: &str) -> Option<Answer> {
        if name == "channels.json" {
            #[derive(Serialize)]
            struct Listed<'a> {
                title: &'a str,
                channels: Vec<String>,
            }
            let listed = Listed { title: &self.title, channels: registry.names() };
            let text = serde_json::to_string(&listed).unwrap_or_default();
            return Some((Kind::Other, file(request, "application/json", Bytes::from(text))));
        }
        let (_, kind, text) = PARTS.iter().find(|(known, ..)| *known == name)?;
        Some((Kind::Other, file(request, kind, Bytes::from_static(text.as_bytes()))))
    }
}

/// What `/watch/` is followed by leads to a channel, or into a mount.
fn is_there(watched: &str, registry: &Registry) -> bool {
    let Some((name, rest)) = watched.split_once('/') else {
        return decode(watched).is_ok_and(|name| registry.get(&name).is_some());
    };
    decode(name).is_ok_and(|name| registry.mounted(&name).is_some()) && !rest.is_empty()
}

fn file(request: &Parts, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let etag = ETag::of(&bytes);
    let description = Description {
        content_type: HeaderValue::from_static(kind),
        cache_control: NO_CACHE,
        etag: Some(&etag),
    };
    let mut response = content(request, &Segment::from(bytes), description);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_what_the_configuration_says() {
        let of = |origins: &[&str]| {
            let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
            Pages::new("x", &origins).policy.to_str().expect("ASCII").to_owned()
        };
        assert!(of(&["*"]).ends_with("; frame-ancestors *"));
        assert!(of(&[]).ends_with("; frame-ancestors 'none'"));
        let two = of(&["https://a.example", "https://b.example"]);
        assert!(two.ends_with("; frame-ancestors https://a.example https://b.example"));
    }

    #[test]
    fn no_page_makes_markup_of_text() {
        for (path, _, text) in PARTS.into_iter().chain([("", "", LIST), ("", "", WATCH), ("", "", LOST)]) {
            if path.starts_with("hls.") {
                continue;
            }
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=",
                "onclick",
                "https:",
            ] {
                assert!(!text.contains(word), "{path}: {word}");
            }
        }
    }
}
