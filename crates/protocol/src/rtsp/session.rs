//! The server's side of an RTSP 1.0 connection (RFC 2326), which carries one session (sans-IO).
//!
//! Contract. Every request that [`Requests`](super::Requests) cuts off goes to [`Session::handle`]. What needs no
//! decision is answered at once; what does comes back as an [`Event`], and exactly one of the answers follows before
//! the next request: [`described`](Session::described), [`set_up`](Session::set_up), [`playing`](Session::playing),
//! [`paused`](Session::paused), or [`refuse`](Session::refuse) to any of them. (An event that is left unanswered is
//! answered with 500 when the next request comes.) Bytes for the peer gather in [`Session::output`]; the answer to PLAY
//! must leave before the first packet. At [`Session::ends_at`] the peer has been silent for too long; requests are signs
//! of life, and what else is one the caller says with [`Session::heard`].
//!
//! Tolerated deviations: requests of a session without `Session`, because a connection has one session only; SETUP
//! without DESCRIBE; PLAY, PAUSE and TEARDOWN under the URL of one stream mean all of them; PLAY while playing.
//!
//! What does *not* belong here: sockets, media, pace, which streams there are.

use std::io;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtsp_types::headers::{
    ACCEPT, ALLOW, AUTHORIZATION, CONTENT_BASE, CONTENT_TYPE, CSEQ, PUBLIC, RANGE, REQUIRE, RETRY_AFTER,
    RTP_INFO, SESSION, TRANSPORT, UNSUPPORTED, WWW_AUTHENTICATE,
};
use rtsp_types::{HeaderName, HeaderValue, Method, Request, Response, ResponseBuilder, StatusCode, Version};

use super::Digest;
use super::message::IncomingRequest;
use super::span::Span;
use super::transport::{Offer, Transport, accept};

/// What clients are told, and what holds, unless the caller wants something else.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Before something is set up.
const OPENING: Duration = Duration::from_secs(20);
/// Streams of a session.
const STREAMS_MAX: usize = 8;
const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

/// What a request's URL names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The presentation's path as the client wrote it: percent-encoded, with its dot segments, without one slash at its end.
    pub path: String,
    /// Behind the `?`.
    pub query: Option<String>,
}

/// What the peer wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Describe the presentation: [`Session::described`].
    Describe(Target),
    /// Set up one of its streams, anew if it was set up before: [`Session::set_up`].
    SetUp {
        /// The presentation.
        target: Target,
        /// Which of its streams.
        track: usize,
        /// How it travels.
        transport: Transport,
    },
    /// Play all that is set up: [`Session::playing`].
    Play(Span),
    /// Pause: [`Session::paused`].
    Pause,
    /// The session has ended. It is answered already; nothing follows.
    TearDown,
}

/// Where a stream comes in, for `RTP-Info` (§12.33).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which stream.
    pub track: usize,
    /// The number of its first packet, if it is known.
    pub sequence: Option<u16>,
    /// The RTP time of the moment at which playing begins, in ticks of this stream's clock: one moment for all streams.
    pub timestamp: u32,
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The URL leads nowhere.
    NotFound,
    /// Not for this peer.
    Forbidden,
    /// It will be there soon.
    NotReady,
    /// It cannot be carried in RTP.
    Media,
    /// There is nothing at that time.
    Range,
    /// The server's own fault.
    Internal,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Asked {
    cseq: String,
    /// The URL without query and slash at its end.
    url: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Describe,
    SetUp { path: String, track: usize, transport: Transport },
    Play,
    Pause,
}

/// A stream that was set up.
#[derive(Debug)]
struct SetUp {
    track: usize,
    transport: Transport,
    /// As the client names it.
    url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Playing,
}

/// See the module's text.
#[derive(Debug)]
pub struct Session {
    id: String,
    timeout: Duration,
    digest: Option<Digest>,
    state: State,
    /// The presentation of which streams are set up.
    path: String,
    streams: Vec<SetUp>,
    asked: Option<Asked>,
    heard: Instant,
    out: BytesMut,
}

impl Session {
    /// A connection that begins. `id` is chosen by the caller, at random.
    pub fn new(id: u64, now: Instant) -> Self {
        Self {
            id: format!("{id:016X}"),
            timeout: TIMEOUT,
            digest: None,
            state: State::Ready,
            path: String::new(),
            streams: Vec::new(),
            asked: None,
            heard: now,
            out: BytesMut::new(),
        }
    }

    /// From now on a session without a sign of life for so long ends; clients are told whole seconds.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// From now on only who knows this password is heard.
    pub fn set_digest(&mut self, digest: Option<Digest>) {
        self.digest = digest;
    }

    /// Bytes for the peer.
    pub const fn output(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// PLAY was answered, and neither PAUSE nor the end came since.
    pub fn is_playing(&self) -> bool {
        self.state == State::Playing
    }

    /// When the peer has been silent for too long.
    pub fn ends_at(&self) -> Instant {
        self.heard + if self.streams.is_empty() { OPENING } else { self.timeout }
    }

    /// A sign of life: a receiver report, or media that was taken.
    pub fn heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// What the streams of the session have in common in RTCP (RFC 3550 §6.5.1).
    pub fn cname(&self) -> &str {
        &self.id
    }

    /// Takes the next request.
    pub fn handle(&mut self, request: &IncomingRequest, now: Instant) -> Option<Event> {
        self.refuse(Refusal::Internal);
        self.heard(now);
        let cseq = match header(request, &CSEQ) {
            // Repeated as it is; so nothing else passes.
            Some(cseq) if cseq.len() <= 20 && cseq.bytes().all(|byte| byte.is_ascii_digit()) => {
                cseq.to_owned()
            }
            _ => {
                self.send(Response::builder(Version::V1_0, StatusCode::BadRequest), "");
                return None;
            }
        };
        match self.consider(request, &cseq) {
            Ok(event) => event,
            Err(refused) => {
                self.send(refused, "");
                None
            }
        }
    }

    /// What a request asks for, or why not; what needs no decision is answered.
    fn consider(&mut self, request: &IncomingRequest, cseq: &str) -> Result<Option<Event>, ResponseBuilder> {
        let fail = |status| respond(status, cseq);
        if request.version() != Version::V1_0 {
            return Err(fail(StatusCode::RTSPVersionNotSupported));
        }
        if let Some(option) = header(request, &REQUIRE) {
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+, ".contains(&byte);
            let told = if option.bytes().all(is_token) { option } else { "?" };
            return Err(fail(StatusCode::OptionNotSupported).header(UNSUPPORTED, told));
        }
        let method = request.method();
        if let Some(digest) = self.digest.as_ref().filter(|_| *method != Method::Options) {
            let name: &str = method.into();
            if !digest.allows(name, header(request, &AUTHORIZATION)) {
                return Err(fail(StatusCode::Unauthorized).header(WWW_AUTHENTICATE, digest.challenge()));
            }
        }
        self.check_session(request).map_err(fail)?;
        let (target, track, url) = target(request);
        let asked = |what| Some(Asked { cseq: cseq.to_owned(), url: url.clone(), what });
        match method {
            Method::Options => {
                self.send(fail(StatusCode::Ok).header(PUBLIC, METHODS), "");
                Ok(None)
            }
            Method::Describe => {
                let sdp = |accepted: &str| accepted.contains("application/sdp") || accepted.contains('*');
                if header(request, &ACCEPT).is_some_and(|accepted| !sdp(accepted)) {
                    return Err(fail(StatusCode::NotAcceptable));
                }
                self.asked = asked(What::Describe);
                Ok(Some(Event::Describe(target)))
            }
            Method::Setup => {
                let track = track.unwrap_or(0);
                let transport = self.choose(request, &target.path, track).map_err(fail)?;
                self.asked = asked(What::SetUp { path: target.path.clone(), track, transport });
                Ok(Some(Event::SetUp { target, track, transport }))
            }
            Method::Play if !self.streams.is_empty() => {
                let range =
                    header(request, &RANGE).map(|value| Span::parse(value).ok_or(StatusCode::InvalidRange));
                let span = range.transpose().map_err(fail)?.unwrap_or_default();
                self.asked = asked(What::Play);
                Ok(Some(Event::Play(span)))
            }
            Method::Pause if self.is_playing() => {
                self.asked = asked(What::Pause);
                Ok(Some(Event::Pause))
            }
            // Paused already (§A.2).
            Method::Pause if !self.streams.is_empty() => {
                self.well(cseq);
                Ok(None)
            }
            Method::Play | Method::Pause => Err(fail(StatusCode::MethodNotValidInThisState)
                .header(ALLOW, "OPTIONS, DESCRIBE, SETUP, TEARDOWN")),
            Method::GetParameter | Method::SetParameter if request.body().is_empty() => {
                self.well(cseq);
                Ok(None)
            }
            Method::GetParameter | Method::SetParameter => Err(fail(StatusCode::ParameterNotUnderstood)),
            Method::Teardown => {
                self.well(cseq);
                self.state = State::Ready;
                self.streams.clear();
                Ok(Some(Event::TearDown))
            }
            _ => Err(fail(StatusCode::MethodNotAllowed).header(ALLOW, METHODS)),
        }
    }

    /// 200 without more.
    fn well(&mut self, cseq: &str) {
        let response = self.in_session(respond(StatusCode::Ok, cseq));
        self.send(response, "");
    }

    fn check_session(&self, request: &Request<Vec<u8>>) -> Result<(), StatusCode> {
        let named = header(request, &SESSION).map(|value| value.split(';').next().unwrap_or(value).trim());
        let is_ours = |name: &str| !self.streams.is_empty() && name == self.id;
        if named.is_none_or(is_ours) { Ok(()) } else { Err(StatusCode::SessionNotFound) }
    }

    /// How the stream of a SETUP will travel.
    fn choose(&self, request: &Request<Vec<u8>>, path: &str, track: usize) -> Result<Transport, StatusCode> {
        if self.is_playing() {
            return Err(StatusCode::MethodNotValidInThisState);
        }
        if !self.streams.is_empty() && path != self.path {
            return Err(StatusCode::AggregateOperationNotAllowed);
        }
        if track >= STREAMS_MAX {
            return Err(StatusCode::NotFound);
        }
        match header(request, &TRANSPORT).and_then(accept).ok_or(StatusCode::UnsupportedTransport)? {
            Offer::Udp(rtp, rtcp) => Ok(Transport::Udp { rtp, rtcp }),
            Offer::Interleaved(wished) => {
                let is_free = |channel: u8| {
                    self.streams.iter().filter(|stream| stream.track != track).all(|stream| {
                        match stream.transport {
                            Transport::Interleaved { rtp, rtcp } => channel != rtp && channel != rtcp,
                            Transport::Udp { .. } => true,
                        }
                    })
                };
                let wished = wished.filter(|&(rtp, rtcp)| is_free(rtp) && is_free(rtcp));
                let mut pairs = (0..u8::MAX).step_by(2).map(|rtp| (rtp, rtp + 1));
                let free = || pairs.find(|&(rtp, rtcp)| is_free(rtp) && is_free(rtcp));
                let (rtp, rtcp) = wished.or_else(free).ok_or(StatusCode::UnsupportedTransport)?;
                Ok(Transport::Interleaved { rtp, rtcp })
            }
        }
    }

    /// Answers DESCRIBE.
    pub fn described(&mut self, description: &str) {
        let Some(Asked { cseq, url, .. }) = self.asked.take() else { return };
        let response = respond(StatusCode::Ok, &cseq)
            .header(CONTENT_TYPE, "application/sdp")
            .header(CONTENT_BASE, format!("{url}/"));
        self.send(response, description);
    }

    /// Answers SETUP. `server_ports` are ours where the stream travels over UDP.
    pub fn set_up(&mut self, ssrc: u32, server_ports: (u16, u16)) {
        let (cseq, url, path, track, transport) = match self.asked.take() {
            Some(Asked { cseq, url, what: What::SetUp { path, track, transport } }) => {
                (cseq, url, path, track, transport)
            }
            // Something else was asked, and still waits for its answer.
            other => {
                self.asked = other;
                return;
            }
        };
        self.path = path;
        self.streams.retain(|stream| stream.track != track);
        self.streams.push(SetUp { track, transport, url });
        let response = respond(StatusCode::Ok, &cseq).header(TRANSPORT, transport.answer(ssrc, server_ports));
        let response = self.in_session(response);
        self.send(response, "");
    }

    /// Answers PLAY: what is played, and where each stream comes in.
    pub fn playing(&mut self, span: Span, starts: &[Start]) {
        let Some(Asked { cseq, .. }) = self.asked.take() else { return };
        self.state = State::Playing;
        let info = starts.iter().filter_map(|start| {
            let url = &self.streams.iter().find(|stream| stream.track == start.track)?.url;
            let sequence = start.sequence.map(|sequence| format!(";seq={sequence}")).unwrap_or_default();
            Some(format!("url={url}{sequence};rtptime={}", start.timestamp))
        });
        let info = info.collect::<Vec<_>>().join(",");
        let mut response = respond(StatusCode::Ok, &cseq).header(RANGE, span.text());
        if !info.is_empty() {
            response = response.header(RTP_INFO, info);
        }
        let response = self.in_session(response);
        self.send(response, "");
    }

    /// Answers PAUSE.
    pub fn paused(&mut self) {
        let Some(Asked { cseq, .. }) = self.asked.take() else { return };
        self.state = State::Ready;
        let response = self.in_session(respond(StatusCode::Ok, &cseq));
        self.send(response, "");
    }

    /// All has been played; another PLAY may follow.
    pub const fn finished(&mut self) {
        self.state = State::Ready;
    }

    /// Answers whatever was asked with a refusal.
    pub fn refuse(&mut self, why: Refusal) {
        let Some(Asked { cseq, .. }) = self.asked.take() else { return };
        let response = match why {
            Refusal::NotFound => respond(StatusCode::NotFound, &cseq),
            Refusal::Forbidden => respond(StatusCode::Forbidden, &cseq),
            Refusal::NotReady => respond(StatusCode::ServiceUnavailable, &cseq).header(RETRY_AFTER, "1"),
            Refusal::Media => respond(StatusCode::UnsupportedMediaType, &cseq),
            Refusal::Range => respond(StatusCode::InvalidRange, &cseq),
            Refusal::Internal => respond(StatusCode::InternalServerError, &cseq),
        };
        self.send(response, "");
    }

    fn in_session(&self, response: ResponseBuilder) -> ResponseBuilder {
        if self.streams.is_empty() {
            return response;
        }
        response.header(SESSION, format!("{};timeout={}", self.id, self.timeout.as_secs()))
    }

    fn send(&mut self, response: ResponseBuilder, body: &str) {
        // Writing into memory does not fail.
        let _ = response.build(body.as_bytes()).write(&mut Writer(&mut self.out));
    }
}

fn respond(status: StatusCode, cseq: &str) -> ResponseBuilder {
    Response::builder(Version::V1_0, status).header(CSEQ, cseq)
}

fn header<'a>(request: &'a Request<Vec<u8>>, name: &HeaderName) -> Option<&'a str> {
    request.header(name).map(HeaderValue::as_str)
}

/// The presentation, the stream in it (`…/trackID=<n>`), and the URL as RTP-Info repeats it.
fn target(request: &IncomingRequest) -> (Target, Option<usize>, String) {
    let Some(url) = request.request_uri() else { return (Target::default(), None, String::new()) };
    let mut plain = url.clone();
    plain.set_query(None);
    plain.set_fragment(None);
    let (path, query) = request.path_and_query();
    // One slash at the end is Content-Base's.
    let path = path.strip_suffix('/').unwrap_or(path);
    let (path, track) = match path.rsplit_once("/trackID=") {
        Some((path, digits)) => (path, digits.parse().ok().or(Some(usize::MAX))),
        None => (path, None),
    };
    let target = Target { path: path.to_owned(), query: query.map(str::to_owned) };
    (target, track, plain.as_str().trim_end_matches('/').to_owned())
}

/// Lets a message write itself into the output.
struct Writer<'a>(&'a mut BytesMut);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
