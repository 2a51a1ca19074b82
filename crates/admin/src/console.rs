//! The console: a page at the admin port that shows the matrix and controls it.
//!
//! Its files are in the binary, load nothing from other hosts and need no token: the data comes from
//! `/api/v1`, which is guarded. The Content-Security-Policy allows only our own scripts and styles; names and titles are put
//! into the page as text, never as markup. All its links are relative, so a proxy may serve it beneath a path.
//!
//! Not here: the player. It is the public page `/watch/<channel>`, which the console shows in a frame.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The files of the page: path, media type, text.
const PARTS: [(&str, &str, &str); 14] = [
    ("/console/style.css", "text/css; charset=utf-8", include_str!("console/assets/style.css")),
    ("/console/icon.svg", "image/svg+xml", include_str!("console/assets/icon.svg")),
    ("/console/main.js", JAVASCRIPT, include_str!("console/assets/main.js")),
    ("/console/dom.js", JAVASCRIPT, include_str!("console/assets/dom.js")),
    ("/console/words.js", JAVASCRIPT, include_str!("console/assets/words.js")),
    ("/console/orders.js", JAVASCRIPT, include_str!("console/assets/orders.js")),
    ("/console/matrix.js", JAVASCRIPT, include_str!("console/assets/matrix.js")),
    ("/console/channels.js", JAVASCRIPT, include_str!("console/assets/channels.js")),
    ("/console/day.js", JAVASCRIPT, include_str!("console/assets/day.js")),
    ("/console/viewers.js", JAVASCRIPT, include_str!("console/assets/viewers.js")),
    ("/console/halls.js", JAVASCRIPT, include_str!("console/assets/halls.js")),
    ("/console/alarms.js", JAVASCRIPT, include_str!("console/assets/alarms.js")),
    ("/console/audit.js", JAVASCRIPT, include_str!("console/assets/audit.js")),
    ("/console/demo.js", JAVASCRIPT, include_str!("console/assets/demo.js")),
];
const INDEX: &str = include_str!("console/assets/index.html");

/// What the page needs to know about the server.
#[derive(Clone, Debug, Default)]
pub struct ConsoleSettings {
    /// The name of the site.
    pub title: String,
    /// The base URL of viewers' pages; empty = the host that the console is opened under, with `http_port`.
    pub public_url: String,
    /// The port of viewers' pages; `None` if plain HTTP is off.
    pub http_port: Option<u16>,
    /// Whether the REST interface asks who somebody is.
    pub needs_token: bool,
    /// Whether a token can be shown.
    pub takes_token: bool,
    /// Whether people can sign in at an OpenID provider.
    pub signs_in: bool,
    /// The text of the button for that; empty = the page's own.
    pub sign_in_label: String,
    /// Whether the server is the demo, whose halls can be made to fail.
    pub demo: bool,
}

/// The routes of the page and its files.
pub fn router(settings: ConsoleSettings) -> Router {
    let mut router = Router::new().route("/", get(index)).route("/console.json", get(described));
    for (path, kind, text) in PARTS {
        router = router.route(path, get(async move || part(kind, text)));
    }
    router.with_state(settings)
}

async fn index(State(settings): State<ConsoleSettings>, headers: HeaderMap) -> Response {
    let pages = settings.pages(&headers);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        if pages.is_empty() { "'none'" } else { origin(&pages) }
    );
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let more: [(HeaderName, HeaderValue); 3] = [
        (CONTENT_SECURITY_POLICY, policy),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (more, part("text/html; charset=utf-8", INDEX)).into_response()
}

async fn described(State(settings): State<ConsoleSettings>, headers: HeaderMap) -> Response {
    #[derive(Serialize)]
    struct ConsoleFacts<'a> {
        version: &'static str,
        title: &'a str,
        pages: String,
        needs_token: bool,
        takes_token: bool,
        signs_in: bool,
        sign_in_label: &'a str,
        demo: bool,
    }
    let described = ConsoleFacts {
        version: env!("CARGO_PKG_VERSION"),
        title: &settings.title,
        pages: settings.pages(&headers),
        needs_token: settings.needs_token,
        takes_token: settings.takes_token,
        signs_in: settings.signs_in,
        sign_in_label: &settings.sign_in_label,
        demo: settings.demo,
    };
    ([(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], Json(described)).into_response()
}

fn part(kind: &'static str, text: &'static str) -> Response {
    // Small, and rarely loaded: always revalidated, so that files of two versions are never mixed.
    let fields = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (fields, text).into_response()
}

/// A URL without its path: a CSP source with a path would match only that page (CSP 3 §6.7.2.8).
fn origin(pages: &str) -> &str {
    let host = pages.find("://").map_or(0, |at| at + 3);
    let end = pages.get(host..).and_then(|rest| rest.find('/')).map_or(pages.len(), |at| host + at);
    pages.get(..end).unwrap_or(pages)
}

impl ConsoleSettings {
    /// The base URL of viewers' pages, for a console that was opened under this `Host`; empty if there is none.
    fn pages(&self, headers: &HeaderMap) -> String {
        if !self.public_url.is_empty() {
            return self.public_url.trim_end_matches('/').to_owned();
        }
        let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
        // The host is written into a policy: it must not end it or add another host.
        let is_plain =
            |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
        match (host, self.http_port) {
            (Some(host), Some(port)) if is_plain(host.host()) => format!("http://{}:{port}", host.host()),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_pages_are_on_the_host_that_the_console_was_opened_under() {
        let settings = ConsoleSettings { http_port: Some(8080), ..ConsoleSettings::default() };
        let of =
            |host: &str| settings.pages(&HeaderMap::from_iter([(HOST, host.parse().expect("a header"))]));
        assert_eq!(of("amphi.example.org:8088"), "http://amphi.example.org:8080");
        assert_eq!(of("[::1]:8088"), "http://[::1]:8080");
        for odd in ["a;script-src *", "a b", "*", "x,y"] {
            assert_eq!(of(odd), "", "{odd}");
        }
        let public =
            ConsoleSettings { public_url: "https://live.example.org/".to_owned(), ..settings.clone() };
        assert_eq!(public.pages(&HeaderMap::new()), "https://live.example.org");
        let beneath =
            ConsoleSettings { public_url: "https://live.example.org/video/".to_owned(), ..settings.clone() };
        let pages = beneath.pages(&HeaderMap::new());
        assert_eq!((&*pages, origin(&pages)), ("https://live.example.org/video", "https://live.example.org"));
        assert_eq!(origin("http://[::1]:8080"), "http://[::1]:8080");
    }

    #[test]
    fn no_part_asks_the_root_of_a_host() {
        for (path, _, text) in PARTS.into_iter().chain([("/", "", INDEX)]) {
            for quote in ['"', '\'', '`', '('] {
                for place in ["/api", "/console", "/demo", "/$"] {
                    assert!(!text.contains(&format!("{quote}{place}")), "{path}: {quote}{place}");
                }
            }
        }
    }

    #[test]
    fn no_part_asks_other_hosts_or_makes_markup_of_text() {
        for (path, _, text) in PARTS.into_iter().chain([("/", "", INDEX)]) {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=",
                "onclick=\"",
            ] {
                assert!(!text.contains(word), "{path}: {word}");
            }
            let foreign = text.match_indices("http").map(|(at, _)| &text[at..]).find(|rest| {
                (rest.starts_with("http://") || rest.starts_with("https://"))
                    && !rest.starts_with("http://www.w3.org/")
            });
            assert_eq!(foreign, None, "{path}");
        }
    }
}
