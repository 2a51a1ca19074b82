//! A simulated Opencast: the part of its calendar that capture agents see, over real HTTP on loopback.
//!
//! It behaves like 2.2 or like a current version, pitfalls included: Digest only for clients that ask for it with
//! `X-Requested-Auth`, else a redirect to a login page that is HTML with status 200; an `ETag` that does not change when a
//! lecture is deleted; events that leave the calendar an hour after their end; an empty calendar for an unknown agent. A
//! [`Mishap`] makes it misbehave. What does *not* belong here: anything that the server itself needs.

mod answers;
mod connection;
mod request;
mod writing;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use amphi_http::{Authenticator, Verdict};
use amphi_media::clock::WallClock;
use amphi_media::{Lock, MediaTime};

/// The version of Opencast that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 2.2: only Digest, `agentid` needed, lines that are not folded, no `calendar.json`.
    V2_2,
    /// A current one: Digest or Basic, folded lines, and `calendar.json`.
    Current,
    /// A current one without iCalendar: only `calendar.json`.
    JsonOnly,
}

/// How the simulated Opencast misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// A page for people, with status 200.
    Html,
    /// A page for people that claims to be a calendar.
    HtmlAsCalendar,
    /// A page with status 500.
    Error,
    /// A redirect to the login page, with or without credentials.
    Redirect,
    /// Status 304, whether or not the request was conditional.
    NotModified,
    /// No answer at all.
    Hang,
    /// The connection ends in the middle of the body.
    HalfBody,
    /// Half of the body, with a `Content-Length` that fits.
    HalfCalendar,
    /// Half of the body; then the connection stays open.
    HangHalfway,
    /// The connection is closed without an answer.
    Drop,
}

/// A lecture in the simulated Opencast's database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpencastLecture {
    /// The event's identifier: a small number in 2.x, a UUID later.
    pub id: String,
    /// The title of the event.
    pub title: String,
    /// The series' identifier; empty for none.
    pub series_id: String,
    /// The name of the capture agent.
    pub agent: String,
    /// The name of the lecturer.
    pub presenter: String,
    /// When the lecture starts.
    pub starts: MediaTime,
    /// When the lecture ends.
    pub ends: MediaTime,
}

/// What a simulated Opencast has, and who may read it.
#[derive(Clone, Debug)]
pub struct OpencastOptions {
    /// The version whose behaviour is simulated.
    pub version: Version,
    /// User and password; `None`: open to all.
    pub credentials: Option<(String, String)>,
    /// Titles of series by their identifiers.
    pub series: BTreeMap<String, String>,
    /// The lectures that are planned at the start.
    pub lectures: Vec<OpencastLecture>,
}

/// A running simulated Opencast.
#[derive(Debug)]
pub struct Opencast {
    address: SocketAddr,
    office: Arc<Office>,
    end: CancellationToken,
    tasks: TaskTracker,
}

/// Everything that connections share.
struct Office {
    version: Version,
    authenticator: Option<Authenticator>,
    /// `user:password`, for Basic.
    basic: Option<String>,
    series: BTreeMap<String, String>,
    state: Lock<OpencastState>,
    clock: Arc<dyn WallClock>,
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Office").field("version", &self.version).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct OpencastState {
    lectures: Vec<(OpencastLecture, MediaTime)>,
    mishap: Option<Mishap>,
    /// Requests of the calendar that were let in.
    asked: u64,
}

impl Opencast {
    /// Starts to listen on a loopback port that the system chooses.
    pub async fn start(options: OpencastOptions, clock: Arc<dyn WallClock>) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let OpencastOptions { version, credentials, series, lectures } = options;
        let now = clock.now();
        let basic = credentials.as_ref().map(|(user, password)| format!("{user}:{password}"));
        let authenticator =
            credentials.map(|(user, password)| Authenticator::new("Opencast", user, &password));
        let lectures = lectures.into_iter().map(|lecture| (lecture, now)).collect();
        let state = Lock::new(OpencastState { lectures, ..OpencastState::default() });
        let office = Arc::new(Office { version, authenticator, basic, series, state, clock });
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(listener, Arc::clone(&office), end.clone(), tasks.clone()));
        Ok(Self { address, office, end, tasks })
    }

    /// The URL of its calendar, without credentials.
    pub fn url(&self) -> String {
        format!("http://{}/recordings/calendars", self.address)
    }

    /// Plans a lecture, or replaces the one with the same identifier.
    pub fn plan(&self, lecture: OpencastLecture) {
        let now = self.office.clock.now();
        let mut state = self.office.state();
        state.lectures.retain(|(known, _)| known.id != lecture.id);
        state.lectures.push((lecture, now));
    }

    /// Deletes a lecture. The `ETag` does not change, unless this was the newest change.
    pub fn delete(&self, id: &str) {
        self.office.state().lectures.retain(|(lecture, _)| lecture.id != id);
    }

    /// Makes it misbehave from now on; `None`: behave again.
    pub fn set_mishap(&self, mishap: Option<Mishap>) {
        self.office.state().mishap = mishap;
    }

    /// How often its calendar was asked for with valid credentials.
    pub fn asked(&self) -> u64 {
        self.office.state().asked
    }

    /// Ends every connection and closes the port.
    pub async fn stop(&self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Office {
    fn state(&self) -> MutexGuard<'_, OpencastState> {
        self.state.lock()
    }

    /// Whether a request is let in, or with which challenge it is refused.
    fn admit(&self, target: &str, authorization: Option<&str>) -> Verdict {
        let Some(authenticator) = &self.authenticator else { return Verdict::Good };
        if self.version != Version::V2_2 && self.is_basic(authorization) {
            return Verdict::Good;
        }
        authenticator.judge("GET", target, authorization, self.clock.now())
    }

    fn is_basic(&self, authorization: Option<&str>) -> bool {
        use base64::Engine as _;
        let coded = self.basic.as_ref().map(|basic| base64::engine::general_purpose::STANDARD.encode(basic));
        let shown = authorization.and_then(|value| value.strip_prefix("Basic "));
        shown.is_some() && shown == coded.as_deref()
    }
}

async fn accept(listener: TcpListener, office: Arc<Office>, end: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = end.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (office, end) = (Arc::clone(&office), end.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = end.cancelled() => {}
                _ = connection::serve(stream, &office) => {}
            }
        });
    }
}
