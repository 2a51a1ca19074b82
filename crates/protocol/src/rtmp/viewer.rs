//! Playing from another server, without I/O.
//!
//! Contract. Connect to [`Target::host`] and [`Target::port`]. Send what [`Viewer::take_output`] returns, at once and
//! after every call. Pass every byte from the server in order to [`Viewer::handle`] until it returns `None`. After an error
//! close the connection.
//!
//! What does *not* belong here: sockets, time limits, what to do with the media.

use bytes::{Bytes, BytesMut};
use rml_amf0::Amf0Value;
use rml_rtmp::messages::{RtmpMessage, UserControlEventType};

use super::amf::Value;
use super::client::{ServerFault, Target, text_of};
use super::control::{self, Receipt, put_command, set_chunk_size};
use super::guard::{Guard, GuardError};
use super::handshake::Handshake;
use super::wire::{CHUNK_SIZE, INITIAL_CHUNK_SIZE};

/// Most bytes that may wait to be sent: a server that only sends pings must not fill the memory.
const OUTPUT_MAX: usize = 64 << 10;
/// Start argument of `play`: the live stream, or a recording if there is no live one of that name (RTMP 1.0 §7.2.2.1).
const LIVE_OR_RECORDED: f64 = -2.0;

/// Numbers of our transactions (RTMP 1.0 §7.2).
mod transaction {
    pub(super) const CONNECT: f64 = 1.0;
    pub(super) const CREATE: f64 = 2.0;
    pub(super) const PLAY: f64 = 3.0;
}

/// What happens on a connection that plays.
#[derive(Clone, Debug, PartialEq)]
pub enum ViewerEvent {
    /// The server has accepted the play request.
    Started,
    /// A picture message, for [`super::Unpacker::video`].
    Video {
        /// Milliseconds since a beginning that the server chose.
        timestamp_ms: u32,
        /// The body of an FLV tag.
        data: Bytes,
    },
    /// A sound message, for [`super::Unpacker::audio`].
    Audio {
        /// Milliseconds since a beginning that the server chose.
        timestamp_ms: u32,
        /// The body of an FLV tag.
        data: Bytes,
    },
    /// The stream has ended.
    Ended,
}

/// A connection to a server that we play from.
pub struct Viewer {
    target: Target,
    handshake: Handshake,
    guard: Guard,
    output: BytesMut,
    receipt: Receipt,
}

impl Viewer {
    /// Begins the handshake.
    pub fn new(target: Target) -> Result<Self, ServerFault> {
        let mut output = BytesMut::new();
        let handshake = Handshake::of_client(&mut output)?;
        let mut guard = Guard::default();
        guard.let_media_in(true);
        Ok(Self { target, handshake, guard, output, receipt: Receipt::default() })
    }

    /// Reads from the front of `input` until something happens; `None` when it is used up.
    pub fn handle(&mut self, input: &mut &[u8]) -> Result<Option<ViewerEvent>, ServerFault> {
        if !self.handshake.is_done() {
            if !self.handshake.take(input, &mut self.output)? {
                return Ok(None);
            }
            self.connect();
        }
        loop {
            let before = input.len();
            let message = self.guard.next_message(input);
            self.receipt.count(before - input.len(), &mut self.output);
            let message = match message {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(None),
                Err(GuardError::ShortCommand(_)) => continue,
                Err(fault) => return Err(ServerFault::Guard { fault, position: self.guard.position() }),
            };
            let timestamp_ms = message.timestamp_ms;
            let seen = match message.body {
                RtmpMessage::VideoData { data } => Some(ViewerEvent::Video { timestamp_ms, data }),
                RtmpMessage::AudioData { data } => Some(ViewerEvent::Audio { timestamp_ms, data }),
                other => self.about_the_connection(other)?,
            };
            if seen.is_some() {
                return Ok(seen);
            }
            if self.output.len() > OUTPUT_MAX {
                return Err(ServerFault::Flood);
            }
        }
    }

    /// Bytes that have to be sent to the server; empty if there are none.
    pub fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    fn connect(&mut self) {
        let (app, tc_url) = (self.target.app().to_owned(), self.target.tc_url());
        let object = [
            ("app", Value::Text(&app)),
            ("flashVer", Value::Text("LNX 9,0,124,2")),
            ("tcUrl", Value::Text(&tc_url)),
            ("fpad", Value::Boolean(false)),
            ("capabilities", Value::Number(15.0)),
            ("audioCodecs", Value::Number(3191.0)),
            ("videoCodecs", Value::Number(252.0)),
            ("videoFunction", Value::Number(1.0)),
        ];
        // As for publishers: set the chunk size only after `connect`.
        let object = [Value::Object(&object)];
        put_command(&mut self.output, INITIAL_CHUNK_SIZE, 0, "connect", transaction::CONNECT, &object);
        set_chunk_size(&mut self.output);
    }

    fn about_the_connection(&mut self, body: RtmpMessage) -> Result<Option<ViewerEvent>, ServerFault> {
        match body {
            RtmpMessage::Amf0Command { command_name, transaction_id, additional_arguments, .. } => {
                return self.answer(&command_name, transaction_id, &additional_arguments);
            }
            RtmpMessage::WindowAcknowledgement { size } => self.receipt.set_window(size),
            RtmpMessage::UserControl {
                event_type: UserControlEventType::PingRequest,
                timestamp: Some(timestamp),
                ..
            } => control::pong(&mut self.output, timestamp.value),
            _ => {}
        }
        Ok(None)
    }

    fn answer(
        &mut self,
        name: &str,
        to: f64,
        arguments: &[Amf0Value],
    ) -> Result<Option<ViewerEvent>, ServerFault> {
        match (name, to) {
            ("_result", transaction::CONNECT) => {
                put_command(
                    &mut self.output,
                    CHUNK_SIZE,
                    0,
                    "createStream",
                    transaction::CREATE,
                    &[Value::Null],
                );
            }
            ("_result", transaction::CREATE) => self.play(arguments)?,
            ("_error", transaction::CONNECT | transaction::CREATE | transaction::PLAY) => {
                return Err(self.refused(arguments));
            }
            ("onStatus", _) => match (text_of(arguments, "level"), text_of(arguments, "code")) {
                (_, Some("NetStream.Play.Start")) => return Ok(Some(ViewerEvent::Started)),
                (_, Some("NetStream.Play.Stop" | "NetStream.Play.UnpublishNotify")) => {
                    return Ok(Some(ViewerEvent::Ended));
                }
                (Some("error"), _) => return Err(self.refused(arguments)),
                _ => {}
            },
            ("close", _) => return Err(ServerFault::Refused("it closes the connection".to_owned())),
            _ => {}
        }
        Ok(None)
    }

    fn play(&mut self, arguments: &[Amf0Value]) -> Result<(), ServerFault> {
        let Some(Amf0Value::Number(stream_id)) = arguments.first() else {
            return Err(self.refused(arguments));
        };
        let stream_id = *stream_id as u32;
        let name = self.target.stream().to_owned();
        let arguments = [Value::Null, Value::Text(&name), Value::Number(LIVE_OR_RECORDED)];
        put_command(&mut self.output, CHUNK_SIZE, stream_id, "play", transaction::PLAY, &arguments);
        Ok(())
    }

    fn refused(&self, arguments: &[Amf0Value]) -> ServerFault {
        self.target.refused(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::{RtmpEvent, RtmpSession};

    /// Lets both ends talk until neither has anything to send.
    fn talk(
        viewer: &mut Viewer,
        session: &mut RtmpSession,
        refuse: Option<&str>,
    ) -> Result<Vec<ViewerEvent>, ServerFault> {
        let mut seen = Vec::new();
        loop {
            let output = viewer.take_output();
            let mut input = &output[..];
            while let Some(event) = session.handle(&mut input).expect("in order") {
                match refuse {
                    Some(reason) if matches!(event, RtmpEvent::Play { .. }) => session.reject(reason),
                    _ => session.accept(),
                }
            }
            let answer = session.take_output();
            if answer.is_empty() && output.is_empty() {
                return Ok(seen);
            }
            let mut input = &answer[..];
            while let Some(one) = viewer.handle(&mut input)? {
                seen.push(one);
            }
        }
    }

    fn viewer() -> Viewer {
        Viewer::new(Target::parse("rtmp://host/app/stream").expect("an URL")).expect("random numbers")
    }

    #[test]
    fn it_plays_from_our_own_server() {
        let (mut viewer, mut session) = (viewer(), RtmpSession::default());
        assert_eq!(talk(&mut viewer, &mut session, None), Ok(vec![ViewerEvent::Started]));
        let sound = crate::rtmp::audio(20, &[1, 2, 3]).expect("short");
        let mut input = &sound[..];
        let seen = viewer.handle(&mut input).expect("in order").expect("a message");
        assert!(matches!(seen, ViewerEvent::Audio { timestamp_ms: 20, .. }), "{seen:?}");
        session.finish();
        assert_eq!(talk(&mut viewer, &mut session, None), Ok(vec![ViewerEvent::Ended]));
    }

    #[test]
    fn a_refusal_is_told() {
        let error =
            talk(&mut viewer(), &mut RtmpSession::default(), Some("no such thing")).expect_err("refused");
        assert!(matches!(error, ServerFault::Refused(_)), "{error}");
    }
}
