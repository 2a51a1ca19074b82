//! One connection to a server (RFC 2326 §10): DESCRIBE, SETUP for each medium, PLAY, keepalives, TEARDOWN.
//!
//! # Contract
//! ```text
//! new ─▶ Described ─ set_up() ─▶ SetUp ─ play() ─▶ Playing ─ Packet, Note ... ─ tear_down() ─▶ Over
//!          └────────── Moved: connect there, with another Client ──────┘└─ Moved, Over
//! ```
//! Put bytes from the server into [`Client::feed`]. Then call [`Client::handle`], whose errors are final, and [`Client::poll`]
//! until `None`; repeat both until nothing more happens. Send what is in [`Client::output`]. At [`Client::deadline`] call
//! [`Client::tick`].
//!
//! Only one request is under way at a time, so each response belongs to it. CSeq is compared only while playing, to
//! ignore late responses. The time limit for opening a connection is up to the caller.

use core::time::Duration;
use std::collections::VecDeque;
use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use url::Url;

use super::auth::{AuthVerdict, Authentication};
use super::keepalive::Keepalive;
use super::message::{Messages, Nonsense, Request, Response, ServerMessage};
use super::place::{self, ServerAddress};
use super::sdp::SessionDescription;
use super::transport::{self, Described, RequestedTransport, Route};
use crate::rtsp::interleaved;

/// Most bytes that may wait to be sent; a peer that does not read gets no more responses.
const MOST_OUTPUT: usize = 64 * 1024;
/// Longest session identifier in bytes.
const LONGEST_SESSION: usize = 256;

/// Something that the caller must know.
#[derive(Debug)]
pub enum Happening {
    /// The description has come: choose media for [`Client::set_up`].
    Described(SessionDescription),
    /// All media are set up. This is how each is transported, in the order of [`Client::set_up`].
    SetUp(Vec<Route>),
    /// It plays. The RTP times at which the media start, from `RTP-Info`.
    Playing(Vec<Option<u32>>),
    /// A packet came interleaved on this connection.
    Packet {
        /// The medium, as an index into the list given to [`Client::set_up`].
        stream: usize,
        /// It is an RTCP packet; otherwise RTP.
        rtcp: bool,
        /// The packet without its frame.
        data: Bytes,
    },
    /// The server redirects to this value of `Location`.
    Moved(String),
    /// A remark for the log.
    Note(&'static str),
    /// The session has ended.
    Over,
}

/// Why a conversation failed. The server is at fault, or the credentials in the configuration are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The bytes are not RTSP, or exceed a bound.
    Nonsense {
        /// Why.
        what: Nonsense,
        /// After so many bytes of the connection.
        position: u64,
    },
    /// 401, and there are no credentials.
    CredentialsMissing,
    /// 401 or 403 in spite of the credentials.
    CredentialsRefused(u16),
    /// 401 with schemes that are not supported; the text lists them.
    Scheme(String),
    /// 461: the server does not support the transport.
    Transport,
    /// Any other status that is not success.
    Status {
        /// Method of the request.
        method: &'static str,
        /// Status code of the response.
        status: u16,
        /// Reason phrase of the response.
        reason: String,
    },
    /// A response lacks something, or contradicts the request.
    Senseless(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConversationStage {
    Describing,
    Described,
    /// SETUP of the medium with this index is under way.
    SettingUp(usize),
    SetUp,
    Starting,
    Playing,
    Closing,
    Over,
}

struct SentRequest {
    number: u32,
    method: &'static str,
    url: String,
    /// Header lines of this request only.
    lines: String,
}

struct Medium {
    url: Url,
    wish: RequestedTransport,
    described: Described,
    route: Option<Route>,
}

/// One connection to a server; see the module's contract.
pub struct Client {
    url: Url,
    /// URL of requests about the whole presentation.
    aggregate: Url,
    base: Url,
    user_agent: String,
    proof: Authentication,
    messages: Messages,
    output: BytesMut,
    happenings: VecDeque<Happening>,
    stage: ConversationStage,
    asked: Option<SentRequest>,
    number: u32,
    session: Option<String>,
    description: SessionDescription,
    media: Vec<Medium>,
    /// Channel, medium, whether it is for RTCP.
    channels: Vec<(u8, usize, bool)>,
    keepalive: Keepalive,
    due: Option<Duration>,
    noted: bool,
    range: bool,
}

impl Client {
    /// A conversation about `place`, with DESCRIBE ready to be sent. `seed` must be a number that others cannot guess.
    pub fn new(place: &ServerAddress, user_agent: &str, seed: u64) -> Self {
        let mut client = Self {
            url: place.url.clone(),
            aggregate: place.url.clone(),
            base: place.url.clone(),
            user_agent: user_agent.to_owned(),
            proof: Authentication::new(place.credentials.clone(), seed),
            messages: Messages::default(),
            output: BytesMut::new(),
            happenings: VecDeque::new(),
            stage: ConversationStage::Describing,
            asked: None,
            number: 0,
            session: None,
            description: SessionDescription::default(),
            media: Vec::new(),
            channels: Vec::new(),
            keepalive: Keepalive::default(),
            due: None,
            noted: false,
            range: true,
        };
        let url = client.url.to_string();
        client.ask("DESCRIBE", url, "Accept: application/sdp\r\n".to_owned());
        client
    }

    /// Sends an RTCP packet for a medium that comes interleaved.
    pub fn control(&mut self, stream: usize, packet: &[u8]) {
        let Some(Route::Interleaved { rtcp, .. }) = self.media.get(stream).and_then(|medium| medium.route)
        else {
            return;
        };
        if self.output.len() < MOST_OUTPUT {
            interleaved(rtcp, packet, &mut self.output);
        }
    }

    /// The buffer that bytes from the server are appended to.
    pub const fn feed(&mut self) -> &mut BytesMut {
        self.messages.feed()
    }

    /// The buffer of bytes to send. The caller removes what it has sent.
    pub const fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// The next thing that has happened.
    pub fn poll(&mut self) -> Option<Happening> {
        self.happenings.pop_front()
    }

    /// Reads what has been fed. Reads nothing while it is the caller's turn to call `set_up` or `play`.
    pub fn handle(&mut self, now: Duration) -> Result<(), Failure> {
        while !matches!(
            self.stage,
            ConversationStage::Described | ConversationStage::SetUp | ConversationStage::Over
        ) {
            let incoming = self.messages.take();
            let incoming = incoming.map_err(|what| {
                let position = self.messages.position();
                Failure::Nonsense { what, position }
            });
            match incoming? {
                None => break,
                Some(ServerMessage::Packet { channel, data }) => {
                    let known = self.channels.iter().find(|(known, ..)| *known == channel);
                    if let Some(&(_, stream, rtcp)) = known {
                        self.happenings.push_back(Happening::Packet { stream, rtcp, data });
                    }
                }
                Some(ServerMessage::Request(request)) => self.requested(&request),
                Some(ServerMessage::Response(response)) => self.answered(&response, now)?,
            }
        }
        Ok(())
    }

    /// Sets up these media of the description, given by index. Call it after [`Happening::Described`].
    pub fn set_up(&mut self, media: &[(usize, RequestedTransport)]) {
        let wished = media.iter().filter_map(|&(index, wish)| {
            let medium = self.description.media.get(index)?;
            let url = place::control(&self.base, medium.control.as_deref());
            Some(Medium { url, wish, described: (medium.group, medium.port), route: None })
        });
        self.media = wished.collect();
        self.set_up_next(0);
    }

    /// Starts playing. Call it after [`Happening::SetUp`].
    pub fn play(&mut self) {
        if self.stage != ConversationStage::SetUp {
            return;
        }
        self.stage = ConversationStage::Starting;
        let lines = if self.range { "Range: npt=0.000-\r\n" } else { "" };
        self.ask("PLAY", self.aggregate.to_string(), lines.to_owned());
    }

    /// Sends TEARDOWN; [`Happening::Over`] follows when the server has responded.
    pub fn tear_down(&mut self) {
        if matches!(self.stage, ConversationStage::Closing | ConversationStage::Over) {
            return;
        }
        if self.session.is_none() && self.media.is_empty() {
            return self.over();
        }
        self.stage = ConversationStage::Closing;
        self.due = None;
        self.proof.begin();
        self.ask("TEARDOWN", self.aggregate.to_string(), String::new());
    }

    /// Whether it has ended, so that nothing more will happen.
    pub fn is_over(&self) -> bool {
        self.stage == ConversationStage::Over
    }

    /// Ends it without sending anything.
    pub const fn forget(&mut self) {
        self.stage = ConversationStage::Over;
    }

    /// When to call [`Self::tick`], on the same clock as the `now` of [`Self::handle`].
    pub const fn deadline(&self) -> Option<Duration> {
        self.due
    }

    /// Sends a keepalive if one is due.
    pub fn tick(&mut self, now: Duration) {
        if self.stage != ConversationStage::Playing || self.due.is_none_or(|due| due > now) {
            return;
        }
        if self.asked.is_some() {
            self.keepalive.unanswered();
            self.note("the encoder does not answer keepalives; the stream goes on while media comes");
        }
        self.proof.begin();
        self.keep_alive();
        self.due = Some(now + self.keepalive.every());
    }

    fn keep_alive(&mut self) {
        self.ask(self.keepalive.kind(), self.aggregate.to_string(), String::new());
    }

    /// Reports a remark, once per connection.
    fn note(&mut self, what: &'static str) {
        if !std::mem::replace(&mut self.noted, true) {
            self.happenings.push_back(Happening::Note(what));
        }
    }

    fn over(&mut self) {
        self.stage = ConversationStage::Over;
        self.due = None;
        self.happenings.push_back(Happening::Over);
    }

    /// Writes a request and remembers it.
    fn ask(&mut self, method: &'static str, url: String, lines: String) {
        self.number += 1;
        // Writing to a BytesMut fails only if memory is exhausted.
        let (number, user_agent) = (self.number, &self.user_agent);
        let _ = write!(
            self.output,
            "{method} {url} RTSP/1.0\r\nCSeq: {number}\r\nUser-Agent: {user_agent}\r\n{lines}"
        );
        if let Some(session) = &self.session {
            let _ = write!(self.output, "Session: {session}\r\n");
        }
        if let Some(answer) = self.proof.answer(method, &url) {
            let _ = write!(self.output, "Authorization: {answer}\r\n");
        }
        self.output.extend_from_slice(b"\r\n");
        self.asked = Some(SentRequest { number, method, url, lines });
    }

    fn set_up_next(&mut self, index: usize) {
        let Some(medium) = self.media.get(index) else {
            self.stage = ConversationStage::SetUp;
            let routes = self.media.iter().filter_map(|medium| medium.route).collect();
            return self.happenings.push_back(Happening::SetUp(routes));
        };
        self.stage = ConversationStage::SettingUp(index);
        let (url, lines) = (medium.url.to_string(), format!("Transport: {}\r\n", medium.wish.header()));
        self.proof.begin();
        self.ask("SETUP", url, lines);
    }

    fn answered(&mut self, response: &Response, now: Duration) -> Result<(), Failure> {
        let number = response.headers.get("CSeq").and_then(|number| number.parse::<u32>().ok());
        let running = matches!(self.stage, ConversationStage::Playing | ConversationStage::Closing);
        let Some(asked) = self.asked.take_if(|asked| !(running && number.is_some_and(|n| n < asked.number)))
        else {
            return Ok(());
        };
        if let Some(methods) = response.headers.get("Public") {
            self.keepalive.public(methods);
        }
        let status = response.status;
        if status < 200 {
            // A provisional response: the server needs more time (RFC 2326 §11.1).
            self.asked = Some(asked);
            return Ok(());
        }
        if status == 401 {
            return self.challenged(response, asked);
        }
        if status < 300 {
            self.proof.informed(&response.headers);
        }
        match self.stage {
            ConversationStage::Playing => {
                if status < 300 {
                    self.keepalive.taken();
                } else {
                    self.keepalive_refused();
                }
                return Ok(());
            }
            ConversationStage::Closing => {
                self.over();
                return Ok(());
            }
            _ => {}
        }
        if matches!(status, 300..=303 | 305..=399)
            && let Some(location) = response.headers.get("Location")
        {
            self.happenings.push_back(Happening::Moved(location.to_owned()));
            self.stage = ConversationStage::Over;
            return Ok(());
        }
        match (status, self.stage) {
            (200..300, _) => self.succeeded(response, now),
            // "Invalid Range" (RFC 2326 §11.3.8): ask again without a range.
            (457, ConversationStage::Starting) if self.range => {
                self.range = false;
                self.stage = ConversationStage::SetUp;
                self.play();
                Ok(())
            }
            (403, _) => Err(Failure::CredentialsRefused(403)),
            (461, _) => Err(Failure::Transport),
            _ => Err(Failure::Status { method: asked.method, status, reason: response.reason.clone() }),
        }
    }

    fn challenged(&mut self, response: &Response, asked: SentRequest) -> Result<(), Failure> {
        match self.proof.challenged(&response.headers) {
            AuthVerdict::Again => {
                self.ask(asked.method, asked.url, asked.lines);
                Ok(())
            }
            // The session ends with the connection.
            _ if self.stage == ConversationStage::Closing => {
                self.over();
                Ok(())
            }
            // The stream goes on as long as the server sends it.
            _ if self.stage == ConversationStage::Playing => {
                self.keepalive_refused();
                Ok(())
            }
            AuthVerdict::Missing => Err(Failure::CredentialsMissing),
            AuthVerdict::Refused => Err(Failure::CredentialsRefused(401)),
            AuthVerdict::Unknown(schemes) => Err(Failure::Scheme(schemes)),
        }
    }

    fn keepalive_refused(&mut self) {
        if self.keepalive.refused() {
            self.proof.begin();
            self.keep_alive();
        } else {
            self.note("the encoder refuses every kind of keepalive; the stream goes on while media comes");
        }
    }

    fn succeeded(&mut self, response: &Response, now: Duration) -> Result<(), Failure> {
        self.proof.begin();
        if let Some(session) = response.headers.get("Session") {
            let (id, parameters) = session.split_once(';').unwrap_or((session, ""));
            let id = id.trim();
            if !id.is_empty() && id.len() <= LONGEST_SESSION {
                self.session = Some(id.to_owned());
            }
            self.keepalive.session(parameters);
        }
        match self.stage {
            ConversationStage::Describing => {
                if response.body.is_empty() {
                    return Err(Failure::Senseless("answers DESCRIBE without a description"));
                }
                self.base = place::base(&self.url, &response.headers);
                self.description = SessionDescription::parse(&response.body);
                self.aggregate = place::control(&self.base, self.description.control.as_deref());
                self.stage = ConversationStage::Described;
                self.happenings.push_back(Happening::Described(self.description.clone()));
            }
            ConversationStage::SettingUp(index) => {
                let Some(medium) = self.media.get_mut(index) else { return Ok(()) };
                let header = response.headers.get("Transport");
                let route =
                    transport::route(medium.wish, header, medium.described).map_err(Failure::Senseless)?;
                medium.route = Some(route);
                let wish = medium.wish;
                self.expect(index, wish, route);
                self.set_up_next(index + 1);
            }
            ConversationStage::Starting => {
                self.stage = ConversationStage::Playing;
                self.due = Some(now + self.keepalive.every());
                let starts = starts(response.headers.get("RTP-Info"), &self.media);
                self.happenings.push_back(Happening::Playing(starts));
            }
            _ => {}
        }
        Ok(())
    }

    /// Registers the channels of a medium: those of the response, and those that were asked for unless another medium has them.
    fn expect(&mut self, index: usize, wish: RequestedTransport, route: Route) {
        let Route::Interleaved { rtp, rtcp } = route else { return };
        let asked = match wish {
            RequestedTransport::Interleaved(channel) => Some((channel, channel.saturating_add(1))),
            _ => None,
        };
        for (rtp, rtcp) in [Some((rtp, rtcp)), asked].into_iter().flatten() {
            for (channel, is_rtcp) in [(rtp, false), (rtcp, true)] {
                if !self.channels.iter().any(|(known, ..)| *known == channel) {
                    self.channels.push((channel, index, is_rtcp));
                    self.messages.expect(channel);
                }
            }
        }
    }

    /// Responds to a request of the server (RFC 2326 §10, table 2). The stream goes on.
    fn requested(&mut self, request: &Request) {
        let known = "OPTIONS, GET_PARAMETER, SET_PARAMETER, ANNOUNCE, REDIRECT, TEARDOWN";
        let status = match request.method.as_str() {
            "OPTIONS" | "GET_PARAMETER" | "SET_PARAMETER" | "ANNOUNCE" | "REDIRECT" | "TEARDOWN" => "200 OK",
            _ => "501 Not Implemented",
        };
        if self.output.len() < MOST_OUTPUT {
            let _ = write!(self.output, "RTSP/1.0 {status}\r\n");
            for name in ["CSeq", "Session"] {
                if let Some(value) = request.headers.get(name).filter(|value| value.len() <= LONGEST_SESSION)
                {
                    let _ = write!(self.output, "{name}: {value}\r\n");
                }
            }
            let _ = write!(self.output, "Public: {known}\r\n\r\n");
        }
        match (request.method.as_str(), request.headers.get("Location")) {
            ("REDIRECT", Some(location)) => self.happenings.push_back(Happening::Moved(location.to_owned())),
            ("REDIRECT" | "TEARDOWN", _) => self.over(),
            _ => {}
        }
    }
}

/// The RTP times in `RTP-Info` (RFC 2326 §12.33) for each medium: matched by URL, or by position in the list.
fn starts(header: Option<&str>, media: &[Medium]) -> Vec<Option<u32>> {
    let entries: Vec<(String, Option<u32>)> = header
        .unwrap_or_default()
        .split(',')
        .take(64)
        .map(|entry| {
            let value = |name: &str| {
                entry.split(';').find_map(|part| {
                    let (known, value) = part.split_once('=')?;
                    known.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
                })
            };
            (value("url").unwrap_or_default(), value("rtptime").and_then(|time| time.parse().ok()))
        })
        .collect();
    let find = |(index, medium): (usize, &Medium)| {
        let own = medium.url.as_str();
        let named = entries
            .iter()
            .find(|(url, _)| !url.is_empty() && (own == url || own.ends_with(&format!("/{url}"))));
        named
            .or_else(|| entries.get(index).filter(|_| entries.len() == media.len()))
            .and_then(|(_, time)| *time)
    };
    media.iter().enumerate().map(find).collect()
}
