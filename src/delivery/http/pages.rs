//! The public pages: `/` lists the channels, `/watch/<channel>` and `/watch/<vod>/<path>` are players, made to be framed.
//!
//! Static files in the binary. They fetch what they show: playlists, and `/assets/channels.json`. A page's own URL
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
//! Every link is relative, so a proxy may strip a path: `https://host/anything/` works. A page's text has `{{root}}`
//! in place of the relative path to the server's root; scripts find the root from their own URL.
//!
//! `pages.embed_from` says whose pages may frame a player (CSP `frame-ancestors`). The policy allows only scripts of this
//! server. hls.js plays where the browser has Media Source Extensions, the browser's own HLS elsewhere.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use tokio::sync::watch;

use super::answer::Answer;
use super::fault::BEARER;
use crate::delivery::address::Address;
use crate::delivery::registry::Registry;
use crate::delivery::unserved::Unserved;
use crate::delivery::{AnswerKind, Resolved};
use amphi_control::agenda::{Plan, PlannedEvent};
use amphi_control::matrix::{ChannelView, MatrixView};
use amphi_http::{Body, ContentMetadata, ETag, content};
use amphi_media::clock::WallClock;
use amphi_media::{ChannelName, MediaTime, Segment};

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const LIST: &str = include_str!("pages/assets/list.html");
const WATCH: &str = include_str!("pages/assets/watch.html");
const LOST: &str = include_str!("pages/assets/lost.html");
const DENIED: &str = include_str!("pages/assets/denied.html");

/// Name beneath `/assets/`, media type, text.
const PARTS: [(&str, &str, &str); 7] = [
    ("pages.css", "text/css; charset=utf-8", include_str!("pages/assets/pages.css")),
    ("icon.svg", "image/svg+xml", include_str!("pages/assets/icon.svg")),
    ("list.js", JAVASCRIPT, include_str!("pages/assets/list.js")),
    ("watch.js", JAVASCRIPT, include_str!("pages/assets/watch.js")),
    ("player.js", JAVASCRIPT, include_str!("pages/assets/player.js")),
    ("words.js", JAVASCRIPT, include_str!("pages/assets/words.js")),
    ("hls.light.min.mjs", JAVASCRIPT, include_str!("pages/assets/hls.light.min.mjs")),
];

const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// The title of the site, who may frame it, and what its list shows.
#[derive(Clone, Debug)]
pub struct PageSettings {
    title: Arc<str>,
    policy: HeaderValue,
    showing: Option<Showing>,
}

/// What is on, and what is planned.
#[derive(Clone)]
pub struct Showing {
    /// The matrix, for what is on air.
    pub matrix: watch::Receiver<Arc<MatrixView>>,
    /// The schedule's plan, for lectures now and next.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// The machine's clock, by which lectures begin and end.
    pub clock: Arc<dyn WallClock>,
    /// Whether lists say a channel's name, or that of a recording.
    pub is_listed: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl std::fmt::Debug for Showing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Showing").finish_non_exhaustive()
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ListedChannel {
    name: ChannelName,
    /// A source is on air.
    live: bool,
    /// The lecture of this moment, as planned.
    now: Option<PublicLecture>,
    /// The one after it.
    next: Option<PublicLecture>,
}

/// What the public may know of a planned event.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct PublicLecture {
    title: String,
    starts: MediaTime,
    ends: MediaTime,
}

impl From<&PlannedEvent> for PublicLecture {
    fn from(event: &PlannedEvent) -> Self {
        Self { title: event.title.clone(), starts: event.starts, ends: event.ends }
    }
}

impl ListedChannel {
    fn new(channel: &ChannelView, plan: &Plan, now: MediaTime) -> Self {
        let shown = || plan.of(&channel.name).filter(|event| event.connect_from.is_some());
        Self {
            name: channel.name.clone(),
            live: channel.on_air.source.is_some(),
            now: shown().find(|event| event.starts <= now && now < event.ends).map(PublicLecture::from),
            next: shown().find(|event| now < event.starts).map(PublicLecture::from),
        }
    }
}

impl Default for PageSettings {
    fn default() -> Self {
        Self::new("Amphi", &["*".to_owned()])
    }
}

impl PageSettings {
    /// Pages of the site `title`, whose players may be framed by pages of `embed_from`: origins, or `*`.
    pub fn new(title: &str, embed_from: &[String]) -> Self {
        let ancestors = if embed_from.is_empty() { "'none'".to_owned() } else { embed_from.join(" ") };
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
        );
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { title: title.into(), policy, showing: None }
    }

    /// Lets the list say what is on.
    #[must_use]
    pub fn showing(self, showing: Showing) -> Self {
        Self { showing: Some(showing), ..self }
    }

    /// Every channel, in the order of the matrix, or by name if there is none.
    fn listed(&self, registry: &Registry) -> Vec<ListedChannel> {
        let Some(Showing { matrix, plan, clock, is_listed }) = &self.showing else {
            let plain = |name| ListedChannel { name, live: false, now: None, next: None };
            return registry.names().into_iter().map(plain).collect();
        };
        let (view, plan, now) = (Arc::clone(&matrix.borrow()), Arc::clone(&plan.borrow()), clock.now());
        let listed = view.channels.iter().filter(|channel| is_listed(&channel.name));
        listed.map(|channel| ListedChannel::new(channel, &plan, now)).collect()
    }

    /// The answer to a GET or HEAD of the list or a part of a page; `None` where the path is none of these.
    pub(super) fn answer(&self, request: &Parts, registry: &Registry) -> Option<Answer> {
        let path = request.uri.path();
        if path == "/" {
            return Some(self.page(request, LIST, StatusCode::OK, ""));
        }
        self.part(request, registry, path.strip_prefix("/assets/")?)
    }

    /// The answer to a GET or HEAD of a player's page, beneath `/watch/`. `base` is where what it plays is, beneath the root, with
    /// the grant that the page carries on if it `is_granted`; else why it is not shown.
    pub(super) fn watch(&self, request: &Parts, base: Result<(String, bool), Unserved>) -> Answer {
        match base {
            Ok((base, is_granted)) => {
                let (kind, mut response) = self.page(request, WATCH, StatusCode::OK, &base);
                if is_granted {
                    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                }
                (kind, response)
            }
            Err(Unserved::Denied(denied)) => {
                let (kind, mut response) = self.page(request, DENIED, Unserved::Denied(denied).http(), "");
                if response.status() == StatusCode::UNAUTHORIZED {
                    response.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
                }
                (kind, response)
            }
            Err(_) => self.page(request, LOST, StatusCode::NOT_FOUND, ""),
        }
    }

    fn page(&self, request: &Parts, text: &'static str, status: StatusCode, base: &str) -> Answer {
        let text = text.replace("{{root}}", &up(request.uri.path())).replace("{{base}}", base);
        let mut response = file(request, HTML, Bytes::from(text));
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if status != StatusCode::OK {
            *response.status_mut() = status;
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        (if status.is_success() { AnswerKind::Other } else { AnswerKind::Refused }, response)
    }

    fn part(&self, request: &Parts, registry: &Registry, name: &str) -> Option<Answer> {
        if name == "channels.json" {
            #[derive(Serialize)]
            struct List<'a> {
                title: &'a str,
                channels: Vec<ListedChannel>,
            }
            let list = List { title: &self.title, channels: self.listed(registry) };
            let text = serde_json::to_string(&list).unwrap_or_default();
            return Some((AnswerKind::Other, file(request, "application/json", Bytes::from(text))));
        }
        let (_, kind, text) = PARTS.iter().find(|(known, ..)| *known == name)?;
        Some((AnswerKind::Other, file(request, kind, Bytes::from_static(text.as_bytes()))))
    }
}

/// The relative path from the page at `path` to the server's root, as browsers resolve it (RFC 3986 §5.2.4).
fn up(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        slashes => "../".repeat(slashes - 1),
    }
}

/// Whether a page beneath `/watch/` plays that.
pub(super) const fn is_watched(address: &Address<'_>, what: Resolved<'_>) -> bool {
    match what {
        Resolved::Channel { .. } => address.stream.is_none(),
        Resolved::Recording { .. } => true,
        Resolved::Index(_) | Resolved::Nothing(_) => false,
    }
}

fn file(request: &Parts, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let etag = ETag::of(&bytes);
    let description = ContentMetadata {
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
    use amphi_control::matrix::{ChannelLayout, Layout, Matrix, OnAir};

    #[test]
    fn framing_is_what_the_configuration_says() {
        let of = |origins: &[&str]| {
            let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
            PageSettings::new("x", &origins).policy.to_str().expect("ASCII").to_owned()
        };
        assert!(of(&["*"]).ends_with("; frame-ancestors *"));
        assert!(of(&[]).ends_with("; frame-ancestors 'none'"));
        let two = of(&["https://a.example", "https://b.example"]);
        assert!(two.ends_with("; frame-ancestors https://a.example https://b.example"));
    }

    #[test]
    fn the_list_says_what_is_on_and_what_comes() {
        let at = |minute: i64| MediaTime::from_millis(1_795_000_000_000 + minute * 60_000);
        let event = |title: &str, from, until| PlannedEvent {
            title: title.to_owned(),
            channel: Some("L".into()),
            starts: at(from),
            ends: at(until),
            connect_from: Some(at(from - 3)),
            ..PlannedEvent::default()
        };
        let lost = PlannedEvent { connect_from: None, ..event("refused", 0, 300) };
        let plan = Plan { events: vec![lost, event("a", 0, 90), event("b", 100, 190)], ..Plan::default() };
        let layout = ChannelLayout { name: "L".into(), ..ChannelLayout::default() };
        let mut matrix = Matrix::new(Layout { channels: vec![layout], sources: Vec::new() }, at(-9));
        let on_air = OnAir { source: Some("hall".into()), reason: String::new(), since: at(0) };
        matrix.on_air(&"L".into(), on_air);
        let view = matrix.view();
        let channel = view.channel("L").expect("it is there");
        let titles = |minute| {
            let listed = ListedChannel::new(channel, &plan, at(minute));
            assert!(listed.live);
            [listed.now, listed.next].map(|lecture| lecture.map(|it| it.title).unwrap_or_default())
        };
        assert_eq!(
            [-1, 0, 89, 90, 100, 190].map(titles),
            [["", "a"], ["a", "b"], ["a", "b"], ["", "b"], ["b", ""], ["", ""]]
        );
    }

    #[test]
    fn every_link_of_a_page_leads_to_the_root_whatever_stands_before_it() {
        for (path, text) in [
            ("/", LIST),
            ("/watch/C1", WATCH),
            ("/watch/C1?muted=1", WATCH),
            ("/watch/vod/smil:a.smil", WATCH),
            ("/watch/vod/a/b/c%2Fd.mp4", WATCH),
            ("/watch/C1/", LOST),
            ("/watch/", LOST),
            ("/watch/C1", DENIED),
        ] {
            let request = http::Request::get(path).body(()).expect("a request").into_parts().0;
            let text = text.replace("{{root}}", &up(request.uri.path()));
            for prefix in ["", "/video", "/a/b"] {
                let page = url::Url::parse(&format!("https://host{prefix}{path}")).expect("an address");
                let links = text.match_indices("href=\"").chain(text.match_indices("src=\""));
                let mut count = 0;
                for (at, word) in links {
                    let link = text[at + word.len()..].split('"').next().expect("a link");
                    assert!(!link.starts_with('/') && !link.contains("{{"), "{path}: {link}");
                    let meant = page.join(link).expect("an address");
                    let beneath = meant.path().strip_prefix(prefix).expect("beneath the prefix");
                    let known = |(name, ..): &(&str, &str, &str)| beneath == format!("/assets/{name}");
                    assert!(beneath == "/" || PARTS.iter().any(known), "{path}: {meant}");
                    count += 1;
                }
                assert!(count > 2);
            }
        }
    }

    #[test]
    fn no_script_or_style_asks_the_root_of_a_host() {
        for (name, _, text) in PARTS.into_iter().filter(|(name, ..)| !name.starts_with("hls.")) {
            for quote in ['"', '\'', '`', '('] {
                for place in ["/assets", "/watch", "/api", "/$"] {
                    assert!(!text.contains(&format!("{quote}{place}")), "{name}: {quote}{place}");
                }
            }
        }
    }

    #[test]
    fn no_page_makes_markup_of_text() {
        for (path, _, text) in
            PARTS.into_iter().chain([("", "", LIST), ("", "", WATCH), ("", "", LOST), ("", "", DENIED)])
        {
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
                "onclick=\"",
                "https:",
            ] {
                assert!(!text.contains(word), "{path}: {word}");
            }
        }
    }
}
