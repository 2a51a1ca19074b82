//! One RTMP connection to this server, without I/O.
//!
//! Contract. Pass bytes of the peer, in order, to [`RtmpSession::handle`]. It takes from the front of the slice until
//! something has happened that the caller must know, and returns that [`RtmpEvent`], or `None` when the slice is used
//! up. Call it again with the rest. After each call send what [`RtmpSession::take_output`] returns, before reading
//! more from the peer: a peer that sends requests without reading the answers is an error.
//!
//! [`RtmpEvent::Connect`], [`RtmpEvent::Publish`], [`RtmpEvent::Play`] and [`RtmpEvent::Seek`] are requests: answer them with
//! [`RtmpSession::accept`] or [`RtmpSession::reject`] before the next call. After a rejected request, except a seek, the connection
//! is of no more use: send the output and close it. The order is
//! ```text
//!  handshake ─▶ Connect ─▶ Publish ─▶ (Metadata | Video | Audio)* ─▶ Close ─┐
//!                   │  ◀────────────────────────────────────────────────────┤
//!                   └────▶ Play ───▶ (Pause | Seek)* ─────────────▶ Close ──┘
//! ```
//! A fault in one message of a publisher affects only that message: it is left out and counted
//! ([`RtmpSession::left_out`]). A publisher may end one stream and begin another on the same connection. After an error there
//! may still be an answer to send, which gives the reason.
//!
//! After a play request was accepted and its output sent, [`super::opening`] and messages of [`super::cell`]
//! go straight to the socket. [`RtmpSession::finish`] tells a player that nothing more will come. A recording is accepted with
//! [`RtmpSession::accept_recorded`] and ended with [`RtmpSession::finish_recorded`], after which the player may still seek.
//!
//! `rml_rtmp` provides the handshake and reads messages, after the [`Guard`] has checked them. Its own session ignores tcUrl,
//! query, pause and seek, and leaves releaseStream, FCPublish and _checkbw unanswered; hence this one.
//!
//! What does *not* belong here: access rules, time limits, where frames come from.

mod event;
mod reply;

use bytes::{Bytes, BytesMut};
use rml_amf0::Amf0Value;
use rml_rtmp::messages::{RtmpMessage, UserControlEventType};

pub use event::RtmpEvent;

use super::aggregate::Aggregate;
use super::control::{self, Receipt};
use super::flv::Metadata;
use super::guard::{ChunkPosition, Guard, GuardError, Message, SkippedMessages};
use super::handshake::{Handshake, NoHandshake};
use super::name::{AppName, NameError};
use super::wire::message_type;

/// Most bytes of answers that may wait. A reply has a few hundred bytes, and real peers send one request at a time.
const OUTPUT_MAX: usize = 64 << 10;

/// Why a connection ends. Everything but [`SessionError::Unanswered`] is the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The peer does not speak RTMP version 3.
    #[error("the peer's RTMP handshake failed")]
    Handshake,
    /// Its chunks or messages cannot be read.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// It sent a command before `connect`.
    #[error("the peer sent an RTMP command before it connected to an application")]
    Unconnected,
    /// It sent a command that is not allowed now, or not a second time.
    #[error("the peer sent the RTMP command {0} out of order")]
    Order(&'static str),
    /// It sent a command without the arguments that it needs.
    #[error("the peer sent the RTMP command {0} without its arguments")]
    Arguments(&'static str),
    /// Its name of an application or stream is not allowed.
    #[error("the peer asked for a name that cannot exist: {0}")]
    Name(#[from] NameError),
    /// It sends requests without reading the answers.
    #[error("the peer asks without reading the answers")]
    Flood,
    /// A fault of this server: the caller did not answer a request.
    #[error("a request was not answered before more was read")]
    Unanswered,
}

impl From<NoHandshake> for SessionError {
    fn from(NoHandshake: NoHandshake) -> Self {
        Self::Handshake
    }
}

/// One connection to this server.
pub struct RtmpSession {
    handshake: Handshake,
    guard: Guard,
    output: BytesMut,
    app: Option<AppName>,
    phase: Phase,
    question: Option<Question>,
    receipt: Receipt,
    buffer_ms: Option<u32>,
    /// The part of an aggregate message that has not been returned as events yet.
    aggregate: Option<Aggregate>,
}

/// What the connection is used for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Publishing,
    Playing,
}

/// A request that waits for an answer.
#[derive(Clone, Copy, Debug)]
enum Question {
    Connect { transaction: f64 },
    Publish,
    Play,
    Seek,
}

impl Default for RtmpSession {
    fn default() -> Self {
        Self {
            handshake: Handshake::of_server(),
            guard: Guard::default(),
            output: BytesMut::new(),
            app: None,
            phase: Phase::Idle,
            question: None,
            receipt: Receipt::default(),
            buffer_ms: None,
            aggregate: None,
        }
    }
}

impl RtmpSession {
    /// Reads until something happens; `None` when `input` is used up.
    pub fn handle(&mut self, input: &mut &[u8]) -> Result<Option<RtmpEvent>, SessionError> {
        if self.question.is_some() {
            return Err(SessionError::Unanswered);
        }
        if !self.handshake.take(input, &mut self.output)? {
            return Ok(None);
        }
        loop {
            if let Some(event) = self.inner() {
                return Ok(Some(event));
            }
            let before = input.len();
            let message = self.guard.next_message(input)?;
            self.receipt.count(before - input.len(), &mut self.output);
            let Some(message) = message else { return Ok(None) };
            let event = self.message(message)?;
            if self.output.len() > OUTPUT_MAX {
                return Err(SessionError::Flood);
            }
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// The next picture or sound inside an aggregate message.
    fn inner(&mut self) -> Option<RtmpEvent> {
        let aggregate = self.aggregate.as_mut()?;
        let media = aggregate.find_map(|inner| match inner.type_id {
            message_type::VIDEO => {
                Some(RtmpEvent::Video { timestamp_ms: inner.timestamp_ms, data: inner.data })
            }
            message_type::AUDIO => {
                Some(RtmpEvent::Audio { timestamp_ms: inner.timestamp_ms, data: inner.data })
            }
            _ => None,
        });
        if media.is_none() {
            self.aggregate = None;
        }
        media
    }

    /// Whether there are more events in what was read: call [`RtmpSession::handle`] again before reading more from the peer.
    pub const fn has_more(&self) -> bool {
        self.aggregate.is_some()
    }

    /// How far the peer's chunk stream has been read: after an error, where it was found.
    pub const fn position(&self) -> ChunkPosition {
        self.guard.position()
    }

    /// How many messages of the peer were left out since the last call.
    pub fn left_out(&mut self) -> SkippedMessages {
        self.guard.left_out()
    }

    /// Bytes that have to be sent to the peer; empty if there are none.
    pub fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    /// Whether the handshake is over; a time limit for it ends then.
    pub const fn has_shaken_hands(&self) -> bool {
        self.handshake.is_done()
    }

    /// How much media the player wants in advance, in milliseconds, if it has said so (SetBufferLength, RTMP 1.0 §7.1.7).
    pub const fn buffer_ms(&self) -> Option<u32> {
        self.buffer_ms
    }

    /// Accepts a request to play a recording, or to seek in it.
    pub fn accept_recorded(&mut self) {
        if matches!(self.question, Some(Question::Play | Question::Seek)) {
            reply::is_recorded(&mut self.output);
        }
        self.accept();
    }

    /// Accepts the request that waits.
    pub fn accept(&mut self) {
        match self.question.take() {
            Some(Question::Connect { transaction }) => reply::connected(&mut self.output, transaction),
            Some(Question::Publish) => {
                self.phase = Phase::Publishing;
                self.guard.let_media_in(true);
                reply::publish_started(&mut self.output);
            }
            Some(Question::Play) => {
                self.phase = Phase::Playing;
                reply::play_started(&mut self.output);
            }
            Some(Question::Seek) => reply::sought(&mut self.output),
            None => {}
        }
    }

    /// Refuses a publisher that has no right to publish; other requests as [`RtmpSession::reject`]. The peer is shown `reason`.
    pub fn deny(&mut self, reason: &str) {
        if matches!(self.question, Some(Question::Publish)) {
            self.question = None;
            return reply::status(&mut self.output, "error", "NetStream.Publish.Denied", reason);
        }
        self.reject(reason);
    }

    /// Refuses the request that waits. The peer is shown `reason`.
    pub fn reject(&mut self, reason: &str) {
        let code = match self.question.take() {
            Some(Question::Connect { transaction }) => {
                return reply::not_connected(&mut self.output, transaction, reason);
            }
            Some(Question::Publish) => "NetStream.Publish.BadName",
            Some(Question::Play) => "NetStream.Play.StreamNotFound",
            Some(Question::Seek) => "NetStream.Seek.Failed",
            None => return,
        };
        reply::status(&mut self.output, "error", code, reason);
    }

    /// Tells a player that the stream has ended.
    pub fn finish(&mut self) {
        if self.phase == Phase::Playing {
            self.phase = Phase::Idle;
            reply::play_finished(&mut self.output);
        }
    }

    /// Tells a player that a recording has been sent to its end. It may still seek.
    pub fn finish_recorded(&mut self, duration_s: f64) {
        if self.phase == Phase::Playing {
            reply::play_complete(&mut self.output, duration_s);
            reply::play_finished(&mut self.output);
        }
    }

    /// Tells a player of a recording that it is cut off, and why.
    pub fn end_recorded(&mut self, reason: &str) {
        if self.phase == Phase::Playing {
            reply::status(&mut self.output, "error", "NetStream.Play.Failed", reason);
        }
    }

    /// Tells a publisher that it is cut off, and why.
    pub fn end_publishing(&mut self, reason: &str) {
        if self.phase == Phase::Publishing {
            self.aggregate = None;
            self.phase = Phase::Idle;
            self.guard.let_media_in(false);
            reply::status(&mut self.output, "error", "NetStream.Publish.Failed", reason);
        }
    }

    fn message(&mut self, message: Message) -> Result<Option<RtmpEvent>, SessionError> {
        let timestamp_ms = message.timestamp_ms;
        Ok(match message.body {
            RtmpMessage::Unknown { type_id: message_type::AGGREGATE, data } => {
                self.aggregate = Some(Aggregate::new(timestamp_ms, data));
                None
            }
            RtmpMessage::VideoData { data } => Some(RtmpEvent::Video { timestamp_ms, data }),
            RtmpMessage::AudioData { data } => Some(RtmpEvent::Audio { timestamp_ms, data }),
            RtmpMessage::Amf0Data { values } if self.phase == Phase::Publishing => {
                Metadata::from_values(&values).map(RtmpEvent::Metadata)
            }
            RtmpMessage::Amf0Command {
                command_name,
                transaction_id,
                command_object,
                additional_arguments,
            } => {
                let command = CommandMessage {
                    transaction: transaction_id,
                    object: command_object,
                    arguments: additional_arguments,
                };
                self.command(&command_name, command)?
            }
            RtmpMessage::WindowAcknowledgement { size } => {
                self.receipt.set_window(size);
                None
            }
            RtmpMessage::UserControl {
                event_type: UserControlEventType::PingRequest,
                timestamp: Some(timestamp),
                ..
            } => {
                control::pong(&mut self.output, timestamp.value);
                None
            }
            RtmpMessage::UserControl {
                event_type: UserControlEventType::SetBufferLength,
                buffer_length: Some(length),
                ..
            } => {
                self.buffer_ms = Some(length);
                None
            }
            _ => None,
        })
    }

    /// Unknown commands are not answered: ffmpeg gives up on an error to a request that it does not track.
    fn command(&mut self, name: &str, command: CommandMessage) -> Result<Option<RtmpEvent>, SessionError> {
        match name {
            "connect" => return self.connect(command).map(Some),
            _ if self.app.is_none() => return Err(SessionError::Unconnected),
            "createStream" => reply::stream_created(&mut self.output, command.transaction),
            // Flash ends publishing with it.
            "publish" if matches!(command.arguments.first(), Some(Amf0Value::Boolean(false))) => {
                return Ok(self.close());
            }
            "publish" if self.phase == Phase::Publishing => {
                let reason = "this connection publishes already";
                reply::status(&mut self.output, "error", "NetStream.Publish.BadName", reason);
            }
            "publish" => return self.publish(&command).map(Some),
            "play" => return self.play(&command).map(Some),
            "pause" => return Ok(self.pause(&command)),
            "seek" => return Ok(self.seek(&command)),
            "closeStream" | "deleteStream" | "FCUnpublish" => return Ok(self.close()),
            "getStreamLength" => reply::number(&mut self.output, command.transaction, 0.0),
            "releaseStream" | "FCPublish" | "_checkbw" => {
                reply::nothing(&mut self.output, command.transaction);
            }
            "FCSubscribe" => reply::subscribed(&mut self.output),
            _ => {}
        }
        Ok(None)
    }

    fn connect(&mut self, command: CommandMessage) -> Result<RtmpEvent, SessionError> {
        if self.app.is_some() {
            return Err(SessionError::Order("connect"));
        }
        let Amf0Value::Object(mut properties) = command.object else {
            return Err(SessionError::Arguments("connect"));
        };
        let mut text = |name| match properties.remove(name) {
            Some(Amf0Value::Utf8String(text)) => text,
            _ => String::new(),
        };
        let mut tc_url = text("tcUrl");
        let app = match AppName::parse(&text("app")) {
            Ok(mut app) => {
                app.take_url(&tc_url);
                app
            }
            Err(why) => {
                reply::not_connected(&mut self.output, command.transaction, &why.to_string());
                return Err(why.into());
            }
        };
        tc_url.truncate(tc_url.find('?').unwrap_or(tc_url.len()));
        forget_user(&mut tc_url);
        let event = RtmpEvent::Connect { app: app.app.clone(), tc_url, query: app.query.clone() };
        self.app = Some(app);
        self.question = Some(Question::Connect { transaction: command.transaction });
        Ok(event)
    }

    fn publish(&mut self, command: &CommandMessage) -> Result<RtmpEvent, SessionError> {
        let named = self.named("publish", command);
        let (stream, query) = match named.and_then(|(app, text)| Ok(app.published(text)?)) {
            Ok(named) => named,
            Err(why) => {
                reply::status(&mut self.output, "error", "NetStream.Publish.BadName", &why.to_string());
                return Err(why);
            }
        };
        self.question = Some(Question::Publish);
        Ok(RtmpEvent::Publish { stream, query })
    }

    fn play(&mut self, command: &CommandMessage) -> Result<RtmpEvent, SessionError> {
        let (app, text) = self.named("play", command)?;
        let (path, query) = app.played(text);
        self.question = Some(Question::Play);
        // The specification says seconds, but every client sends milliseconds; negative values mean live.
        let start_ms = command.number(1).filter(|start| *start >= 0.0).map(|start| start as u32);
        Ok(RtmpEvent::Play { path, query, start_ms })
    }

    /// The application, and the name in it that the command `name` is about.
    fn named<'a>(
        &'a self,
        name: &'static str,
        command: &'a CommandMessage,
    ) -> Result<(&'a AppName, &'a str), SessionError> {
        match (&self.app, self.phase) {
            (Some(app), Phase::Idle) => Ok((app, command.text(0).ok_or(SessionError::Arguments(name))?)),
            _ => Err(SessionError::Order(name)),
        }
    }

    fn pause(&mut self, command: &CommandMessage) -> Option<RtmpEvent> {
        let (true, Some(Amf0Value::Boolean(paused))) =
            (self.phase == Phase::Playing, command.arguments.first())
        else {
            return None;
        };
        reply::paused(&mut self.output, *paused);
        Some(RtmpEvent::Pause { paused: *paused, position_ms: command.number(1).unwrap_or(0.0) as u32 })
    }

    fn seek(&mut self, command: &CommandMessage) -> Option<RtmpEvent> {
        let position_ms = command.number(0).filter(|_| self.phase == Phase::Playing)? as u32;
        self.question = Some(Question::Seek);
        Some(RtmpEvent::Seek { position_ms })
    }

    fn close(&mut self) -> Option<RtmpEvent> {
        let used = self.phase != Phase::Idle;
        if self.phase == Phase::Publishing {
            reply::unpublished(&mut self.output);
        }
        self.aggregate = None;
        self.phase = Phase::Idle;
        self.guard.let_media_in(false);
        used.then_some(RtmpEvent::Close)
    }
}

/// A command without its name.
struct CommandMessage {
    transaction: f64,
    object: Amf0Value,
    arguments: Vec<Amf0Value>,
}

impl CommandMessage {
    fn text(&self, index: usize) -> Option<&str> {
        match self.arguments.get(index) {
            Some(Amf0Value::Utf8String(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self, index: usize) -> Option<f64> {
        match self.arguments.get(index) {
            Some(Amf0Value::Number(number)) => Some(*number),
            _ => None,
        }
    }
}

/// Takes user and password out of a URL: they stand before the last `@` of its authority (RFC 3986 §3.2.1).
fn forget_user(url: &mut String) {
    let Some(start) = url.find("://").map(|at| at + 3) else { return };
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| start + at);
    if let Some(user) = url.get(start..end).and_then(|authority| authority.rfind('@')) {
        url.replace_range(start..=start + user, "");
    }
}

#[cfg(test)]
mod tests;
