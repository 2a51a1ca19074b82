//! The shell that fetches the calendar: over HTTP, or from a file.
//!
//! Peculiarities of Opencast (2.2 to current):
//! * without `X-Requested-Auth: Digest` it answers with a redirect to a login page that is HTML with status 200. The header
//!   is always sent, no redirect is followed, and what is not `text/calendar` (or JSON, where that is allowed) is refused;
//! * its `ETag` does not change when a lecture is deleted, so no request has a condition unless the configuration
//!   trusts it, and an answer 304 that was not asked for is a fault;
//! * newer versions have `calendar.json` beside iCalendar. iCalendar is preferred, because the title of the series is in
//!   it; if it is not there (404, 405, 406, 410), `calendar.json` beside it is tried. The titles of series are then fetched
//!   one by one, each at most once an hour.
//!
//! Everything has a bound: the time of an answer, its size, the number of series fetched. User and password are never
//! part of a message.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, WWW_AUTHENTICATE};
use jiff::tz::TimeZone;
use url::Url;

use super::challenge::Prover;
use super::event::{FeedAnswer, PollResult, Reading, clipped};
use super::fault::{FeedFault, PollError};
use super::ical::{self, Window};
use super::{calendar_json, dublin};
use crate::agenda::FeedFormat;
use amphi_config::{CalendarFormat, Schedule};
use amphi_media::charset::{self, WINDOWS_1252};
use amphi_media::{MediaTime, percent};

/// The most bytes of a calendar; 500 lectures with their metadata have 1.1 MB.
const LARGEST: u64 = 64 << 20;
/// How long 304 is believed before the whole calendar is fetched again.
const TRUST: Duration = Duration::from_secs(24 * 3600);
/// The most series fetched in one poll.
const SERIES_AT_ONCE: usize = 50;
/// How long a series' title is kept before it is fetched again.
const SERIES_LIFE: Duration = Duration::from_secs(3600);

/// Fetches one calendar.
pub struct CalendarClient {
    place: CalendarPlace,
    zone: TimeZone,
    timeout: Duration,
    /// One request for each; at least one, empty = all of them.
    agents: Vec<String>,
    /// The time for which dates of recurring events are computed.
    window: Window,
    configured: CalendarFormat,
    /// The format that was last read successfully.
    spoken: Option<FeedFormat>,
    /// By agent; `None` unless the configuration trusts them.
    etags: Option<BTreeMap<String, String>>,
    /// When `etags` was last cleared.
    trusting_since: MediaTime,
    /// By identifier: when the title was fetched, and the title.
    series: BTreeMap<String, (Instant, Option<String>)>,
}

enum CalendarPlace {
    File(PathBuf),
    Http { client: reqwest::Client, url: Url, prover: Prover },
}

/// The configuration is wrong, or TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `schedule.url` is not a URL.
    #[error("schedule.url is not a URL: {0}")]
    Url(#[from] url::ParseError),
    /// The file of certificate authorities cannot be read, or has none.
    #[error("schedule.ca_file: {0}")]
    CaFile(#[from] std::io::Error),
    /// That file has no certificate that can be used.
    #[error("schedule.ca_file: {0}")]
    Trust(#[from] amphi_tls::TrustError),
    /// The HTTP client cannot be built.
    #[error("no HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

impl std::fmt::Debug for CalendarClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("agents", &self.agents).finish_non_exhaustive()
    }
}

struct CalendarAnswer {
    status: StatusCode,
    content_type: String,
    etag: Option<String>,
    body: Vec<u8>,
}

impl CalendarClient {
    /// A client for `[schedule]`; `None` if no calendar is configured. Reads `ca_file`.
    pub fn new(schedule: &Schedule, zone: &TimeZone) -> Result<Option<Self>, ClientError> {
        if schedule.url.is_empty() {
            return Ok(None);
        }
        let place = match schedule.file() {
            Some(file) => CalendarPlace::File(file.to_owned()),
            None => Self::http(schedule)?,
        };
        let mut agents = schedule.agents.clone();
        if agents.is_empty() || matches!(place, CalendarPlace::File(_)) {
            agents = vec![String::new()];
        }
        Ok(Some(Self {
            place,
            zone: zone.clone(),
            timeout: Duration::from_secs(schedule.timeout_s.max(1).into()),
            agents,
            window: (MediaTime::default(), MediaTime::default()),
            configured: schedule.format,
            spoken: None,
            etags: schedule.trust_etag.then(BTreeMap::new),
            trusting_since: MediaTime::default(),
            series: BTreeMap::new(),
        }))
    }

    fn http(schedule: &Schedule) -> Result<CalendarPlace, ClientError> {
        let mut url = Url::parse(schedule.url.reveal())?;
        let (mut user, mut password) = (schedule.username.clone(), schedule.password.clone());
        if user.is_empty() && !url.username().is_empty() {
            user = percent::decode_lossy(url.username());
            password = amphi_config::Secret::new(percent::decode_lossy(url.password().unwrap_or_default()));
        }
        // These fail only for a URL without a host, which has no user either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let pem = if schedule.ca_file.as_os_str().is_empty() {
            None
        } else {
            Some(std::fs::read(&schedule.ca_file)?)
        };
        builder = builder.use_preconfigured_tls((*amphi_tls::client_config(pem.as_deref())?).clone());
        let in_clear = url.scheme() == "http" && !is_here(&url);
        let client = builder.build()?;
        Ok(CalendarPlace::Http { client, url, prover: Prover::new(user, password, in_clear) })
    }

    /// Fetches the calendar, at `now`. Faults are in the parts of the result.
    pub async fn fetch(&mut self, now: MediaTime) -> PollResult {
        self.window = ical::around(now);
        if self.trusting_since + TRUST <= now {
            // Even if nothing has changed, the window has moved, and later dates of recurring events are in it.
            self.trusting_since = now;
            if let Some(etags) = &mut self.etags {
                etags.clear();
            }
        }
        let mut parts = Vec::new();
        for agent in self.agents.clone() {
            let outcome = self.part(&agent).await;
            parts.push(FeedAnswer {
                outcome: outcome.map_err(|error| FeedFault { agent: agent.clone(), error }),
                agent,
            });
        }
        if self.spoken == Some(FeedFormat::Json) {
            self.name_series(&mut parts).await;
        }
        PollResult { parts, format: self.spoken }
    }

    async fn part(&mut self, agent: &str) -> Result<Option<Reading>, PollError> {
        if let CalendarPlace::File(path) = &self.place {
            let bytes = read_file(path.clone(), self.timeout).await?;
            let json = matches!(self.configured, CalendarFormat::Json)
                || self.configured == CalendarFormat::Auto && bytes.trim_ascii_start().starts_with(b"[");
            let format = if json { FeedFormat::Json } else { FeedFormat::Ical };
            return self.understand(bytes, None, format).await.map(Some);
        }
        let json_first = self.configured == CalendarFormat::Json
            || self.configured == CalendarFormat::Auto && self.spoken == Some(FeedFormat::Json);
        let order = match (self.configured, json_first) {
            (CalendarFormat::Auto, true) => [Some(FeedFormat::Json), Some(FeedFormat::Ical)],
            (CalendarFormat::Auto, false) => [Some(FeedFormat::Ical), Some(FeedFormat::Json)],
            (CalendarFormat::Json, _) => [Some(FeedFormat::Json), None],
            (CalendarFormat::Ical, _) => [Some(FeedFormat::Ical), None],
        };
        let mut first_error = None;
        for format in order.into_iter().flatten() {
            let Some(url) = self.address(agent, format) else { continue };
            match self.ask(agent, &url, format).await {
                Err(PollError::Status(status, _)) if [404, 405, 406, 410].contains(&status) => {
                    first_error.get_or_insert(PollError::Status(status, agent.is_empty()));
                }
                outcome => return outcome,
            }
        }
        Err(first_error.unwrap_or(PollError::Status(404, agent.is_empty())))
    }

    /// The URL of a format; `None` if the configured URL is not Opencast's and has no other format.
    fn address(&self, agent: &str, format: FeedFormat) -> Option<Url> {
        let CalendarPlace::Http { url, .. } = &self.place else { return None };
        let mut url = url.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        let path = match (format, path.strip_suffix("/calendars"), path.strip_suffix("/calendar.json")) {
            (FeedFormat::Json, Some(root), _) => format!("{root}/calendar.json"),
            (FeedFormat::Ical, _, Some(root)) if self.configured == CalendarFormat::Ical => {
                format!("{root}/calendars")
            }
            (FeedFormat::Ical, _, Some(_)) => return None,
            (FeedFormat::Json, None, None) if self.configured == CalendarFormat::Auto => return None,
            _ => path,
        };
        url.set_path(&path);
        if !agent.is_empty() {
            url.query_pairs_mut().append_pair("agentid", agent);
        }
        Some(url)
    }

    async fn ask(
        &mut self,
        agent: &str,
        url: &Url,
        format: FeedFormat,
    ) -> Result<Option<Reading>, PollError> {
        let condition = self.etags.as_ref().and_then(|etags| etags.get(agent)).cloned();
        let accept = match format {
            FeedFormat::Ical => "text/calendar",
            FeedFormat::Json => "application/json",
        };
        let answer = self.get(url, accept, condition.as_deref()).await?;
        match answer.status.as_u16() {
            200 => {}
            304 if condition.is_some() => return Ok(None),
            304 => return Err(PollError::NotModified),
            status @ (403 | 407) => return Err(PollError::Refused(status)),
            status if answer.status.is_redirection() => return Err(PollError::Redirect(status)),
            status => return Err(PollError::Status(status, agent.is_empty())),
        }
        let kind = answer.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // With the format `auto`, a URL that is not Opencast's may answer in either.
        let spoken = match (kind.as_str(), self.configured) {
            ("text/calendar", CalendarFormat::Ical | CalendarFormat::Auto) => FeedFormat::Ical,
            ("application/json", CalendarFormat::Json | CalendarFormat::Auto) => FeedFormat::Json,
            _ => return Err(PollError::ContentType(described(&kind))),
        };
        let charset = charset_of(&answer.content_type);
        let mut reading = self.understand(answer.body, charset, spoken).await?;
        if !agent.is_empty() && reading.events.is_empty() && answer.etag.as_deref() == Some("mod0") {
            reading.note(format!(
                "the calendar of {agent} is empty: either nothing is planned, or no agent has that name"
            ));
        }
        if let (Some(etags), Some(etag)) = (&mut self.etags, answer.etag) {
            etags.insert(agent.to_owned(), etag);
        }
        Ok(Some(reading))
    }

    /// Parses a calendar on a blocking thread: expanding rules of recurring events can take long.
    async fn understand(
        &mut self,
        body: impl AsRef<[u8]> + Send + 'static,
        charset: Option<String>,
        format: FeedFormat,
    ) -> Result<Reading, PollError> {
        let (zone, window) = (self.zone.clone(), self.window);
        let read = tokio::task::spawn_blocking(move || match format {
            FeedFormat::Ical => ical::parse(body.as_ref(), charset.as_deref(), &zone, window),
            FeedFormat::Json => calendar_json::parse_octets(body.as_ref()),
        });
        let read = read.await.map_err(|panic| PollError::Nonsense(format!("reading it failed: {panic}")))?;
        let reading = read.map_err(PollError::Nonsense)?;
        self.spoken = Some(format);
        Ok(reading)
    }

    /// Adds the titles of series to events that have only the identifier. A title that cannot be fetched stays empty.
    async fn name_series(&mut self, parts: &mut [FeedAnswer]) {
        let readings = parts.iter_mut().filter_map(|part| part.outcome.as_mut().ok()?.as_mut());
        let mut events: Vec<_> = readings.flat_map(|reading| &mut reading.events).collect();
        let wanted = |id: &String, known: &BTreeMap<String, (Instant, Option<String>)>| {
            known.get(id).is_none_or(|(asked, title)| title.is_none() || asked.elapsed() > SERIES_LIFE)
        };
        let mut ids: Vec<String> = events.iter().filter_map(|event| event.series_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in
            ids.into_iter().filter(|id| wanted(id, &self.series)).take(SERIES_AT_ONCE).collect::<Vec<_>>()
        {
            let before = self.series.get(&id).and_then(|(_, title)| title.clone());
            let title = self.series_title(&id).await.or(before);
            self.series.insert(id, (Instant::now(), title));
        }
        for event in &mut events {
            let known = event.series_id.as_ref().and_then(|id| self.series.get(id));
            event.series = known.and_then(|(_, title)| title.clone());
        }
    }

    async fn series_title(&mut self, id: &str) -> Option<String> {
        let CalendarPlace::Http { url, .. } = &self.place else { return None };
        let mut url = url.clone();
        let root =
            url.path().split("/recordings/").next().unwrap_or_default().trim_end_matches('/').to_owned();
        url.set_path(&root);
        url.set_query(None);
        url.path_segments_mut().ok()?.push("series").push(&format!("{id}.xml"));
        let answer = self.get(&url, "text/xml, application/xml", None).await.ok()?;
        (answer.status == StatusCode::OK).then_some(())?;
        dublin::read(&charset::decode_xml(&answer.body, WINDOWS_1252))?.title.as_deref().map(clipped)
    }

    /// One request, repeated with credentials if the server asks for them.
    async fn get(
        &mut self,
        url: &Url,
        accept: &str,
        condition: Option<&str>,
    ) -> Result<CalendarAnswer, PollError> {
        let timeout = self.timeout;
        let CalendarPlace::Http { client, prover, .. } = &mut self.place else {
            return Err(PollError::File("it is not a URL".to_owned()));
        };
        prover.begin();
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let asking = async {
            loop {
                let mut request =
                    client.get(url.clone()).header("X-Requested-Auth", "Digest").header(ACCEPT, accept);
                if let Some(proof) = prover.authorization(&target) {
                    request = request.header(AUTHORIZATION, proof);
                }
                if let Some(etag) = condition {
                    request = request.header(IF_NONE_MATCH, etag);
                }
                let response = request.send().await.map_err(unreachable)?;
                if response.status() != StatusCode::UNAUTHORIZED {
                    return take(response).await;
                }
                let values = response.headers().get_all(WWW_AUTHENTICATE).iter();
                let challenges: Vec<String> =
                    values.filter_map(|it| Some(it.to_str().ok()?.to_owned())).collect();
                prover.challenged(&challenges)?;
            }
        };
        let late = |_| PollError::TimedOut(timeout.as_secs());
        tokio::time::timeout(timeout, asking).await.map_err(late)?
    }
}

/// The `charset` parameter of a media type (RFC 9110 §8.3.2).
fn charset_of(content_type: &str) -> Option<String> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charsets.next().map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

/// Whether the host is this machine, so that nothing is sent over a network.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

async fn take(mut response: reqwest::Response) -> Result<CalendarAnswer, PollError> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (content_type, etag, status) = (header(CONTENT_TYPE), header(ETAG), response.status());
    let too_large = PollError::TooLarge(LARGEST >> 20);
    if response.content_length().is_some_and(|length| length > LARGEST) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if (body.len() + chunk.len()) as u64 > LARGEST {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(CalendarAnswer { status, content_type: content_type.unwrap_or_default(), etag, body })
}

async fn read_file(path: PathBuf, timeout: Duration) -> Result<Vec<u8>, PollError> {
    let reading = tokio::task::spawn_blocking(move || {
        // Checked first: opening a named pipe would wait for its writer.
        let metadata = std::fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("not a file"));
        }
        if metadata.len() > LARGEST {
            return Err(std::io::Error::other("too large"));
        }
        std::fs::read(&path)
    });
    // A NAS that hangs must not hold up the rest.
    let read =
        tokio::time::timeout(timeout, reading).await.map_err(|_| PollError::TimedOut(timeout.as_secs()))?;
    let bytes = read.map_err(|error| PollError::File(error.to_string()))?;
    bytes.map_err(|error| PollError::File(error.to_string()))
}

fn unreachable(error: reqwest::Error) -> PollError {
    PollError::Unreachable(causes(error))
}

fn broken(error: reqwest::Error) -> PollError {
    PollError::Broken(causes(error))
}

/// The last cause of an error, without the URL, which may hold a password.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut last: &dyn std::error::Error = &error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// A media type for a message. It comes from the server, so it is shortened, and control characters are removed.
fn described(kind: &str) -> String {
    let short: String = kind.chars().filter(|char| !char.is_control()).take(40).collect();
    match short.as_str() {
        "" => "without a media type".to_owned(),
        "text/html" => "a web page (text/html)".to_owned(),
        _ => short,
    }
}
