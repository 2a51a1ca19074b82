//! The server's side of an RTSP 1.0 connection (RFC 2326), which has one session (sans-IO).
//!
//! Contract. Pass every request from [`Requests`](super::Requests) to [`RtspSession::handle`]. Requests that need no
//! decision are answered at once. The others are returned as an [`RtspEvent`]; call exactly one of the answers before
//! the next request: [`described`](Session::described), [`set_up`](Session::set_up), [`playing`](Session::playing),
//! [`paused`](Session::paused), or [`refuse`](Session::refuse). (An event without an answer is
//! answered with 500 when the next request comes.) Bytes to send gather in [`RtspSession::output`]; the answer to PLAY
//! must be sent before the first packet. At [`RtspSession::ends_at`] the peer has been silent for too long. Requests count as signs
//! of life; report others with [`RtspSession::heard`].
//!
//! Tolerated deviations: requests in a session without a `Session` header, because a connection has only one session; SETUP
//! without DESCRIBE; PLAY, PAUSE and TEARDOWN with the URL of one stream, which mean all of them; PLAY while playing.
//!
//! What does *not* belong here: sockets, media, pace, the list of streams.

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

/// How long a session may be silent, unless the caller sets another time (RFC 2326 §12.37).
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection may be silent before the first SETUP.
const OPENING: Duration = Duration::from_secs(20);
/// Most streams of a session.
const STREAMS_MAX: usize = 8;
const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

/// What the URL of a request names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestTarget {
    /// Path of the presentation as the client wrote it: percent-encoded, with its dot segments, without one slash at its end.
    pub path: String,
    /// The part of the URL after `?`, if there is one.
    pub query: Option<String>,
}

/// What the peer wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RtspEvent {
    /// Describe the presentation; answered by [`RtspSession::described`].
    Describe(RequestTarget),
    /// Set up one of its streams, perhaps again; answered by [`RtspSession::set_up`].
    SetUp {
        /// The presentation that the stream belongs to.
        target: RequestTarget,
        /// Number of the stream, from 0.
        track: usize,
        /// How its packets are transported.
        transport: Transport,
    },
    /// Play all streams that are set up; answered by [`RtspSession::playing`].
    Play(Span),
    /// Pause all streams; answered by [`RtspSession::paused`].
    Pause,
    /// The session has ended. It has been answered already.
    TearDown,
}

/// Where a stream starts, for `RTP-Info` (RFC 2326 §12.33).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Number of the stream, from 0.
    pub track: usize,
    /// Sequence number of its first packet, if known.
    pub sequence: Option<u16>,
    /// RTP time of the point at which playing starts, in ticks of this stream's clock; the point is the same for all streams.
    pub timestamp: u32,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 404: there is no such presentation or stream.
    NotFound,
    /// 403: this peer may not have it.
    Forbidden,
    /// 503 with `Retry-After`: it will be there soon.
    NotReady,
    /// 415: it cannot be carried in RTP.
    Media,
    /// 461: not over this transport.
    Transport,
    /// 457: there is nothing at that time.
    Range,
    /// 500: the server is at fault.
    Internal,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct PendingRequest {
    cseq: String,
    /// The URL without query, and without a slash at its end.
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

/// A stream that is set up.
#[derive(Debug)]
struct SetUp {
    track: usize,
    transport: Transport,
    /// Its URL, as the client wrote it.
    url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Playing,
}

/// One connection with its session; see the module's text.
#[derive(Debug)]
pub struct RtspSession {
    id: String,
    timeout: Duration,
    digest: Option<Digest>,
    state: State,
    /// Path of the presentation whose streams are set up.
    path: String,
    streams: Vec<SetUp>,
    asked: Option<PendingRequest>,
    heard: Instant,
    out: BytesMut,
}

impl RtspSession {
    /// A new connection. The caller chooses `id` at random.
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

    /// Sets how long a session may be without a sign of life. Clients are told whole seconds.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Sets the user and password that requests must prove from now on; `None` demands none.
    pub fn set_digest(&mut self, digest: Option<Digest>) {
        self.digest = digest;
    }

    /// The buffer of bytes to send. The caller removes what it has sent.
    pub const fn output(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Whether it plays: PLAY has been answered, and no PAUSE, TEARDOWN or end came since.
    pub fn is_playing(&self) -> bool {
        self.state == State::Playing
    }

    /// When the peer will have been silent for too long.
    pub fn ends_at(&self) -> Instant {
        self.heard + if self.streams.is_empty() { OPENING } else { self.timeout }
    }

    /// Records a sign of life, such as a receiver report or media that was sent.
    pub fn heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// The CNAME that all streams of the session share (RFC 3550 §6.5.1).
    pub fn cname(&self) -> &str {
        &self.id
    }

    /// Takes the next request. Returns an event if it needs a decision.
    pub fn handle(&mut self, request: &IncomingRequest, now: Instant) -> Option<RtspEvent> {
        self.refuse(Refusal::Internal);
        self.heard(now);
        let cseq = match header(request, &CSEQ) {
            // It is repeated as it is, so only digits are accepted.
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

    /// The event of a request, or the response that refuses it. Answers requests that need no decision.
    fn consider(
        &mut self,
        request: &IncomingRequest,
        cseq: &str,
    ) -> Result<Option<RtspEvent>, ResponseBuilder> {
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
        let asked = |what| Some(PendingRequest { cseq: cseq.to_owned(), url: url.clone(), what });
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
                Ok(Some(RtspEvent::Describe(target)))
            }
            Method::Setup => {
                let track = track.unwrap_or(0);
                let transport = self.choose(request, &target.path, track).map_err(fail)?;
                self.asked = asked(What::SetUp { path: target.path.clone(), track, transport });
                Ok(Some(RtspEvent::SetUp { target, track, transport }))
            }
            Method::Play if !self.streams.is_empty() => {
                let range =
                    header(request, &RANGE).map(|value| Span::parse(value).ok_or(StatusCode::InvalidRange));
                let span = range.transpose().map_err(fail)?.unwrap_or_default();
                self.asked = asked(What::Play);
                Ok(Some(RtspEvent::Play(span)))
            }
            Method::Pause if self.is_playing() => {
                self.asked = asked(What::Pause);
                Ok(Some(RtspEvent::Pause))
            }
            // It is paused already (RFC 2326 §A.2).
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
                Ok(Some(RtspEvent::TearDown))
            }
            _ => Err(fail(StatusCode::MethodNotAllowed).header(ALLOW, METHODS)),
        }
    }

    /// Sends 200 without more.
    fn well(&mut self, cseq: &str) {
        let response = self.in_session(respond(StatusCode::Ok, cseq));
        self.send(response, "");
    }

    fn check_session(&self, request: &Request<Vec<u8>>) -> Result<(), StatusCode> {
        let named = header(request, &SESSION).map(|value| value.split(';').next().unwrap_or(value).trim());
        let is_ours = |name: &str| !self.streams.is_empty() && name == self.id;
        if named.is_none_or(is_ours) { Ok(()) } else { Err(StatusCode::SessionNotFound) }
    }

    /// The transport for the stream of a SETUP.
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

    /// Answers DESCRIBE with a description in SDP.
    pub fn described(&mut self, description: &str) {
        let Some(PendingRequest { cseq, url, .. }) = self.asked.take() else { return };
        let response = respond(StatusCode::Ok, &cseq)
            .header(CONTENT_TYPE, "application/sdp")
            .header(CONTENT_BASE, format!("{url}/"));
        self.send(response, description);
    }

    /// Answers SETUP. `server_ports` are our ports for RTP and RTCP if the stream goes over UDP.
    pub fn set_up(&mut self, ssrc: u32, server_ports: (u16, u16)) {
        let (cseq, url, path, track, transport) = match self.asked.take() {
            Some(PendingRequest { cseq, url, what: What::SetUp { path, track, transport } }) => {
                (cseq, url, path, track, transport)
            }
            // Another request waits for its answer; keep it.
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

    /// Answers PLAY with the range that is played, and where each stream starts.
    pub fn playing(&mut self, span: Span, starts: &[Start]) {
        let Some(PendingRequest { cseq, .. }) = self.asked.take() else { return };
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

    /// Answers PAUSE with success.
    pub fn paused(&mut self) {
        let Some(PendingRequest { cseq, .. }) = self.asked.take() else { return };
        self.state = State::Ready;
        let response = self.in_session(respond(StatusCode::Ok, &cseq));
        self.send(response, "");
    }

    /// Everything has been played; another PLAY may follow.
    pub const fn finished(&mut self) {
        self.state = State::Ready;
    }

    /// Refuses the request that waits, if there is one.
    pub fn refuse(&mut self, why: Refusal) {
        let Some(PendingRequest { cseq, .. }) = self.asked.take() else { return };
        let response = match why {
            Refusal::NotFound => respond(StatusCode::NotFound, &cseq),
            Refusal::Forbidden => respond(StatusCode::Forbidden, &cseq),
            Refusal::NotReady => respond(StatusCode::ServiceUnavailable, &cseq).header(RETRY_AFTER, "1"),
            Refusal::Media => respond(StatusCode::UnsupportedMediaType, &cseq),
            Refusal::Transport => respond(StatusCode::UnsupportedTransport, &cseq),
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

/// The presentation, the stream in it (`…/trackID=<n>`), and the URL for `RTP-Info`.
fn target(request: &IncomingRequest) -> (RequestTarget, Option<usize>, String) {
    let Some(url) = request.request_uri() else { return (RequestTarget::default(), None, String::new()) };
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
    let target = RequestTarget { path: path.to_owned(), query: query.map(str::to_owned) };
    (target, track, plain.as_str().trim_end_matches('/').to_owned())
}

/// Lets a response write itself into the output.
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
