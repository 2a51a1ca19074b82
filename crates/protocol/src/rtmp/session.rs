//! One RTMP connection to this server, without I/O.
//!
//! Contract. Give bytes of the peer, in order, to [`Session::handle`]: it takes from the front of the slice until
//! something has happened that others must know, and returns that [`Event`], or `None` when the slice is used
//! up. Call again with what is left. After each call send what [`Session::take_output`] holds, before reading
//! more from the peer: a peer that asks without reading the answers is an error.
//!
//! [`Event::Connect`], [`Event::Publish`], [`Event::Play`] and [`Event::Seek`] ask: answer them with
//! [`Session::accept`] or [`Session::reject`] before the next call. After a rejected request the connection is
//! of no more use, except after a rejected seek: send the output and close. The order is
//! ```text
//!  handshake ─▶ Connect ─▶ Publish ─▶ (Metadata | Video | Audio)* ─▶ Close ─┐
//!                   │  ◀────────────────────────────────────────────────────┤
//!                   └────▶ Play ───▶ (Pause | Seek)* ─────────────▶ Close ──┘
//! ```
//! What is wrong with one message of a publisher concerns that message alone: it is left out and counted
//! ([`Session::left_out`]). A publisher may end one stream and begin another on the same connection. An error may leave
//! an answer to be sent: the reason.
//!
//! After a play request was accepted and its output sent, [`super::opening`] and messages of [`super::cell`]
//! go straight to the socket. [`Session::finish`] tells a player that nothing more comes. A recording is accepted with
//! [`Session::accept_recorded`] and ends with [`Session::finish_recorded`], behind which a player may still seek.
//!
//! `rml_rtmp` brings the handshake and reads messages, behind the [`Guard`]. Its own session knows no tcUrl,
//! query, pause or seek and leaves releaseStream, FCPublish and _checkbw unanswered, hence this one.
//!
//! What does *not* belong here: who may do what, time limits, where frames come from.

mod event;
mod reply;

use bytes::{Bytes, BytesMut};
use rml_amf0::Amf0Value;
use rml_rtmp::messages::{RtmpMessage, UserControlEventType};

pub use event::Event;

use super::aggregate::Aggregate;
use super::control::{self, Receipt};
use super::flv::Metadata;
use super::guard::{Guard, GuardError, LeftOut, Message};
use super::handshake::{Handshake, NoHandshake};
use super::name::{AppName, NameError};
use super::wire::message_type;

/// Answers that may wait: a reply has a few hundred bytes, and real peers ask one thing at a time.
const OUTPUT_MAX: usize = 64 << 10;

/// Why a connection ends. Everything but [`SessionError::Unanswered`] is the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Not RTMP version 3.
    #[error("the peer's RTMP handshake failed")]
    Handshake,
    /// Chunks or messages that cannot be read.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A command before `connect`.
    #[error("the peer sent an RTMP command before it connected to an application")]
    Unconnected,
    /// A command that cannot come now, or twice.
    #[error("the peer sent the RTMP command {0} out of order")]
    Order(&'static str),
    /// A command without what it needs.
    #[error("the peer sent the RTMP command {0} without its arguments")]
    Arguments(&'static str),
    /// The name of an application or stream.
    #[error("the peer asked for something that can not exist: {0}")]
    Name(#[from] NameError),
    /// Requests without end.
    #[error("the peer asks without reading the answers")]
    Flood,
    /// Ours.
    #[error("a request was not answered before more was read")]
    Unanswered,
}

impl From<NoHandshake> for SessionError {
    fn from(NoHandshake: NoHandshake) -> Self {
        Self::Handshake
    }
}

/// One connection.
pub struct Session {
    handshake: Handshake,
    guard: Guard,
    output: BytesMut,
    app: Option<AppName>,
    phase: Phase,
    question: Option<Question>,
    receipt: Receipt,
    buffer_ms: Option<u32>,
    /// What of an aggregate message was not told of yet.
    aggregate: Option<Aggregate>,
}

/// What the connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Publishing,
    Playing,
}

/// What waits for an answer.
#[derive(Clone, Copy, Debug)]
enum Question {
    Connect { transaction: f64 },
    Publish,
    Play,
    Seek,
}

impl Default for Session {
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

impl Session {
    /// Reads on until something happens; `None` when `input` is used up.
    pub fn handle(&mut self, input: &mut &[u8]) -> Result<Option<Event>, SessionError> {
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

    /// The next picture or sound of an aggregate message.
    fn inner(&mut self) -> Option<Event> {
        let aggregate = self.aggregate.as_mut()?;
        let media = aggregate.find_map(|inner| match inner.type_id {
            message_type::VIDEO => Some(Event::Video { timestamp_ms: inner.timestamp_ms, data: inner.data }),
            message_type::AUDIO => Some(Event::Audio { timestamp_ms: inner.timestamp_ms, data: inner.data }),
            _ => None,
        });
        if media.is_none() {
            self.aggregate = None;
        }
        media
    }

    /// There is more to tell of what was read: call [`Session::handle`] again before more is.
    pub const fn has_more(&self) -> bool {
        self.aggregate.is_some()
    }

    /// Messages of the peer that were left out since the last call.
    pub fn left_out(&mut self) -> LeftOut {
        self.guard.left_out()
    }

    /// What has to be sent to the peer.
    pub fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    /// The handshake is done: a time limit for it ends here.
    pub const fn has_shaken_hands(&self) -> bool {
        self.handshake.is_done()
    }

    /// The media that the player wants to have in advance, in milliseconds, if it has said so.
    pub const fn buffer_ms(&self) -> Option<u32> {
        self.buffer_ms
    }

    /// Says yes to a player who asked for a recording, or to go somewhere in it.
    pub fn accept_recorded(&mut self) {
        if matches!(self.question, Some(Question::Play | Question::Seek)) {
            reply::is_recorded(&mut self.output);
        }
        self.accept();
    }

    /// Says yes to the event that asked.
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

    /// Says no to a publisher who may not publish; to others as [`Session::reject`]. `reason` is shown to the peer.
    pub fn deny(&mut self, reason: &str) {
        if matches!(self.question, Some(Question::Publish)) {
            self.question = None;
            return reply::status(&mut self.output, "error", "NetStream.Publish.Denied", reason);
        }
        self.reject(reason);
    }

    /// Says no to the event that asked. `reason` is shown to the peer.
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

    /// Tells a player that a recording has been sent to its end.
    pub fn finish_recorded(&mut self, duration_s: f64) {
        if self.phase == Phase::Playing {
            reply::play_complete(&mut self.output, duration_s);
            reply::play_finished(&mut self.output);
        }
    }

    /// Tells a player of a recording that it must end.
    pub fn end_recorded(&mut self, reason: &str) {
        if self.phase == Phase::Playing {
            reply::status(&mut self.output, "error", "NetStream.Play.Failed", reason);
        }
    }

    /// Tells a publisher that it must end.
    pub fn end_publishing(&mut self, reason: &str) {
        if self.phase == Phase::Publishing {
            self.aggregate = None;
            self.phase = Phase::Idle;
            self.guard.let_media_in(false);
            reply::status(&mut self.output, "error", "NetStream.Publish.Failed", reason);
        }
    }

    fn message(&mut self, message: Message) -> Result<Option<Event>, SessionError> {
        let timestamp_ms = message.timestamp_ms;
        Ok(match message.body {
            RtmpMessage::Unknown { type_id: message_type::AGGREGATE, data } => {
                self.aggregate = Some(Aggregate::new(timestamp_ms, data));
                None
            }
            RtmpMessage::VideoData { data } => Some(Event::Video { timestamp_ms, data }),
            RtmpMessage::AudioData { data } => Some(Event::Audio { timestamp_ms, data }),
            RtmpMessage::Amf0Data { values } if self.phase == Phase::Publishing => {
                Metadata::from_values(&values).map(Event::Metadata)
            }
            RtmpMessage::Amf0Command {
                command_name,
                transaction_id,
                command_object,
                additional_arguments,
            } => {
                let command = Command {
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

    /// Unknown commands stay unanswered: ffmpeg gives up on an error to a question it did not track.
    fn command(&mut self, name: &str, command: Command) -> Result<Option<Event>, SessionError> {
        match name {
            "connect" => return self.connect(command).map(Some),
            _ if self.app.is_none() => return Err(SessionError::Unconnected),
            "createStream" => reply::stream_created(&mut self.output, command.transaction),
            // Flash ends publishing so.
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

    fn connect(&mut self, command: Command) -> Result<Event, SessionError> {
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
        if let (Some(start), Some(end)) = (tc_url.find("://"), tc_url.rfind('@')) {
            tc_url.replace_range((start + 3)..=end.max(start + 2), "");
        }
        let event = Event::Connect { app: app.app.clone(), tc_url, query: app.query.clone() };
        self.app = Some(app);
        self.question = Some(Question::Connect { transaction: command.transaction });
        Ok(event)
    }

    fn publish(&mut self, command: &Command) -> Result<Event, SessionError> {
        let named = self.named("publish", command);
        let (stream, query) = match named.and_then(|(app, text)| Ok(app.published(text)?)) {
            Ok(named) => named,
            Err(why) => {
                reply::status(&mut self.output, "error", "NetStream.Publish.BadName", &why.to_string());
                return Err(why);
            }
        };
        self.question = Some(Question::Publish);
        Ok(Event::Publish { stream, query })
    }

    fn play(&mut self, command: &Command) -> Result<Event, SessionError> {
        let (app, text) = self.named("play", command)?;
        let (path, query) = app.played(text);
        self.question = Some(Question::Play);
        // The specification says seconds, but everybody sends milliseconds; negative values mean live.
        let start_ms = command.number(1).filter(|start| *start >= 0.0).map(|start| start as u32);
        Ok(Event::Play { path, query, start_ms })
    }

    /// The application, and the name in it that the command `name` is about.
    fn named<'a>(
        &'a self,
        name: &'static str,
        command: &'a Command,
    ) -> Result<(&'a AppName, &'a str), SessionError> {
        match (&self.app, self.phase) {
            (Some(app), Phase::Idle) => Ok((app, command.text(0).ok_or(SessionError::Arguments(name))?)),
            _ => Err(SessionError::Order(name)),
        }
    }

    fn pause(&mut self, command: &Command) -> Option<Event> {
        let (true, Some(Amf0Value::Boolean(paused))) =
            (self.phase == Phase::Playing, command.arguments.first())
        else {
            return None;
        };
        reply::paused(&mut self.output, *paused);
        Some(Event::Pause { paused: *paused, position_ms: command.number(1).unwrap_or(0.0) as u32 })
    }

    fn seek(&mut self, command: &Command) -> Option<Event> {
        let position_ms = command.number(0).filter(|_| self.phase == Phase::Playing)? as u32;
        self.question = Some(Question::Seek);
        Some(Event::Seek { position_ms })
    }

    fn close(&mut self) -> Option<Event> {
        let used = self.phase != Phase::Idle;
        if self.phase == Phase::Publishing {
            reply::unpublished(&mut self.output);
        }
        self.aggregate = None;
        self.phase = Phase::Idle;
        self.guard.let_media_in(false);
        used.then_some(Event::Close)
    }
}

/// A command behind its name.
struct Command {
    transaction: f64,
    object: Amf0Value,
    arguments: Vec<Amf0Value>,
}

impl Command {
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

#[cfg(test)]
mod tests;
