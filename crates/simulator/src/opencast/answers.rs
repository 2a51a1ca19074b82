//! What is answered to a request: login page, challenge, calendar, series.

use std::time::Duration;

use super::request::OpencastRequest;
use super::writing::{dublin_core, ical, json};
use super::{Office, OpencastLecture, Version};
use amphi_http::Verdict;
use amphi_media::MediaTime;

/// Events stay in the calendar for so long after their end.
const LINGER: Duration = Duration::from_secs(3600);

#[derive(Default)]
pub(super) struct OpencastAnswer {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl OpencastAnswer {
    pub(super) fn page(status: u16, body: String) -> Self {
        Self { status, kind: "text/html;charset=utf-8".to_owned(), headers: Vec::new(), body }
    }

    pub(super) fn login() -> Self {
        let location = ("Location", "/admin-ng/login.html".to_owned());
        Self { status: 302, headers: vec![location], ..Self::default() }
    }

    pub(super) fn head(&self, length: usize) -> String {
        let mut lines =
            vec![format!("HTTP/1.1 {} As-Simulated", self.status), "Connection: close".to_owned()];
        if self.status != 304 {
            lines.push(format!("Content-Length: {length}"));
        }
        if !self.kind.is_empty() {
            lines.push(format!("Content-Type: {}", self.kind));
        }
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.join("\r\n") + "\r\n\r\n"
    }
}

pub(super) fn answer(request: &OpencastRequest, office: &Office) -> OpencastAnswer {
    if request.path == "/admin-ng/login.html" {
        return OpencastAnswer::page(
            200,
            "<html><body><form>Username, password</form></body></html>".to_owned(),
        );
    }
    let authorization = request.header("authorization");
    if let Verdict::Challenge { values, .. } = office.admit(&request.target(), authorization) {
        // A client that does not ask for Digest is taken for a browser.
        let asks = request.header("x-requested-auth").is_some_and(|it| it.eq_ignore_ascii_case("digest"));
        if !asks && authorization.is_none() {
            return OpencastAnswer::login();
        }
        // Opencast supports only MD5 (RFC 7616 §3.3).
        let headers = values.into_iter().take(1).map(|challenge| ("WWW-Authenticate", challenge)).collect();
        return OpencastAnswer { headers, ..OpencastAnswer::page(401, String::new()) };
    }
    let has = |version| office.version == version;
    match request.path.as_str() {
        "/recordings/calendars" if !has(Version::JsonOnly) => calendar(request, office),
        "/recordings/calendar.json" if !has(Version::V2_2) => {
            office.state().asked += 1;
            let lectures = chosen(request.parameter("agentid").as_deref(), office);
            let lectures: Vec<OpencastLecture> = lectures.into_iter().map(|(lecture, _)| lecture).collect();
            let stamps = request.parameter("timestamp").as_deref() == Some("true");
            OpencastAnswer {
                status: 200,
                kind: "application/json".to_owned(),
                headers: Vec::new(),
                body: json(&lectures, stamps),
            }
        }
        path => match path.strip_prefix("/series/").and_then(|rest| rest.strip_suffix(".xml")) {
            Some(id) => match office.series.get(id) {
                Some(title) => {
                    let body = dublin_core(&[("title", title), ("identifier", id)]);
                    OpencastAnswer { status: 200, kind: "text/xml".to_owned(), headers: Vec::new(), body }
                }
                None => OpencastAnswer::page(404, String::new()),
            },
            None => OpencastAnswer::page(404, String::new()),
        },
    }
}

fn calendar(request: &OpencastRequest, office: &Office) -> OpencastAnswer {
    let agent = request.parameter("agentid");
    if office.version == Version::V2_2 && agent.is_none() {
        return OpencastAnswer::page(500, "<html><body>Agent ID must be set</body></html>".to_owned());
    }
    office.state().asked += 1;
    let lectures = chosen(agent.as_deref(), office);
    // The newest change among those that are left, so a deletion does not change it.
    let newest = lectures.iter().map(|(_, modified)| modified.as_millis()).max().unwrap_or(0);
    let etag = format!("mod{newest}");
    if request.header("if-none-match") == Some(&etag) {
        return OpencastAnswer { status: 304, headers: vec![("ETag", etag)], ..OpencastAnswer::default() };
    }
    let fold = office.version != Version::V2_2;
    let all: Vec<OpencastLecture> = lectures.into_iter().map(|(lecture, _)| lecture).collect();
    let body = ical(&all, &office.series, office.clock.now(), fold);
    let kind = "text/calendar; charset=UTF-8".to_owned();
    OpencastAnswer { status: 200, kind, headers: vec![("ETag", etag)], body }
}

/// The lectures of an agent, or of all, that are still in the calendar.
fn chosen(agent: Option<&str>, office: &Office) -> Vec<(OpencastLecture, MediaTime)> {
    let now = office.clock.now();
    let is_in = |lecture: &OpencastLecture| {
        agent.is_none_or(|agent| agent == lecture.agent) && now < lecture.ends + LINGER
    };
    office.state().lectures.iter().filter(|(lecture, _)| is_in(lecture)).cloned().collect()
}
