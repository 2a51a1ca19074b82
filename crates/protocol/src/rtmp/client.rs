//! Publishing to another server, without I/O.
//!
//! Contract. Connect to [`Target::host`] and [`Target::port`], with TLS if [`Target::tls`] says so. Send what
//! [`Publisher::take_output`] returns, at once and after every call; pass every byte from the server to
//! [`Publisher::handle`]. When [`Publisher::is_publishing`] turns true, send [`Publisher::opening`] once and
//! then messages of [`super::cell`], beginning with a sync one, each through [`Publisher::address`].
//! [`Publisher::close`] ends publishing. After an error close the connection.
//!
//! The stream name on another server is a secret key. No text of this module contains it; where it occurs in a message
//! of the server, it is masked.
//!
//! What does *not* belong here: sockets, TLS, time limits, retries.

mod fault;
mod target;

use bytes::{Bytes, BytesMut};
use rml_amf0::Amf0Value;
use rml_rtmp::messages::{RtmpMessage, UserControlEventType};

pub use fault::ServerFault;
pub(super) use fault::text_of;
pub use target::{Target, TargetError};

use super::amf::Value;
use super::control::{self, Receipt, put_command, set_chunk_size};
use super::flv::Metadata;
use super::guard::{Guard, GuardError};
use super::handshake::Handshake;
use super::share;
use super::wire::{CHUNK_SIZE, INITIAL_CHUNK_SIZE};
use amphi_media::RungTracks;

/// Most bytes that may wait to be sent: a server that only sends pings must not fill the memory.
const OUTPUT_MAX: usize = 64 << 10;

/// Numbers of our transactions (RTMP 1.0 §7.2). Only some of their answers matter.
mod transaction {
    pub(super) const CONNECT: f64 = 1.0;
    pub(super) const RELEASE: f64 = 2.0;
    pub(super) const FC_PUBLISH: f64 = 3.0;
    pub(super) const CREATE: f64 = 4.0;
    pub(super) const PUBLISH: f64 = 5.0;
    pub(super) const CLOSE: f64 = 6.0;
}

/// A connection to a server that we publish to.
pub struct Publisher {
    target: Target,
    handshake: Handshake,
    guard: Guard,
    output: BytesMut,
    receipt: Receipt,
    stream_id: Option<u32>,
    publishing: bool,
}

impl Publisher {
    /// Begins the handshake.
    pub fn new(target: Target) -> Result<Self, ServerFault> {
        let mut output = BytesMut::new();
        let handshake = Handshake::of_client(&mut output)?;
        Ok(Self {
            target,
            handshake,
            guard: Guard::default(),
            output,
            receipt: Receipt::default(),
            stream_id: None,
            publishing: false,
        })
    }

    /// Reads all of `input`, which are bytes from the server in order.
    pub fn handle(&mut self, mut input: &[u8]) -> Result<(), ServerFault> {
        if !self.handshake.is_done() {
            if !self.handshake.take(&mut input, &mut self.output)? {
                return Ok(());
            }
            self.connect();
        }
        self.receipt.count(input.len(), &mut self.output);
        loop {
            match self.guard.next_message(&mut input) {
                Ok(Some(message)) => self.message(message.body)?,
                Ok(None) => return Ok(()),
                // ffmpeg as a server answers FCPublish with a name alone.
                Err(GuardError::ShortCommand(_)) => {}
                Err(fault) => return Err(ServerFault::Guard { fault, position: self.guard.position() }),
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

    /// Whether the server has accepted the stream and expects pictures and sound.
    pub const fn is_publishing(&self) -> bool {
        self.publishing
    }

    /// Metadata and configurations, which are sent before the first picture and sound.
    pub fn opening(&self, tracks: &RungTracks, timestamp_ms: u32) -> Bytes {
        let metadata = Metadata::of(tracks).for_server();
        share::opening_with(&metadata, tracks, timestamp_ms, self.stream_id.unwrap_or(share::STREAM_ID))
    }

    /// Adapts a shared message to this server: the bytes are the same unless the message stream has another number.
    pub fn address(&self, message: &Bytes) -> Bytes {
        share::addressed(message, self.stream_id.unwrap_or(share::STREAM_ID))
    }

    /// Ends publishing politely. Send the output before closing the connection.
    pub fn close(&mut self) {
        let Some(stream_id) = self.stream_id.take() else { return };
        self.publishing = false;
        let name = self.target.stream().to_owned();
        self.command("FCUnpublish", transaction::CLOSE, &[Value::Null, Value::Text(&name)]);
        let stream = [Value::Null, Value::Number(f64::from(stream_id))];
        self.command("deleteStream", transaction::CLOSE, &stream);
    }

    fn connect(&mut self) {
        let (app, tc_url) = (self.target.app().to_owned(), self.target.tc_url());
        let object = [
            ("app", Value::Text(&app)),
            ("type", Value::Text("nonprivate")),
            ("flashVer", Value::Text("FMLE/3.0 (compatible; amphi)")),
            ("tcUrl", Value::Text(&tc_url)),
        ];
        // Set the chunk size only after `connect`: some servers do not obey it earlier.
        let object = [Value::Object(&object)];
        put_command(&mut self.output, INITIAL_CHUNK_SIZE, 0, "connect", transaction::CONNECT, &object);
        set_chunk_size(&mut self.output);
    }

    fn command(&mut self, name: &str, transaction: f64, values: &[Value<'_>]) {
        put_command(&mut self.output, CHUNK_SIZE, 0, name, transaction, values);
    }

    fn message(&mut self, body: RtmpMessage) -> Result<(), ServerFault> {
        match body {
            RtmpMessage::Amf0Command { command_name, transaction_id, additional_arguments, .. } => {
                self.answer(&command_name, transaction_id, &additional_arguments)?;
            }
            RtmpMessage::WindowAcknowledgement { size } => self.receipt.set_window(size),
            RtmpMessage::UserControl {
                event_type: UserControlEventType::PingRequest,
                timestamp: Some(timestamp),
                ..
            } => control::pong(&mut self.output, timestamp.value),
            _ => {}
        }
        Ok(())
    }

    fn answer(&mut self, name: &str, to: f64, arguments: &[Amf0Value]) -> Result<(), ServerFault> {
        match (name, to) {
            ("_result", transaction::CONNECT) => self.create_stream(),
            ("_result", transaction::CREATE) => self.publish(arguments)?,
            ("_error", transaction::CONNECT | transaction::CREATE | transaction::PUBLISH) => {
                return Err(self.refused(arguments));
            }
            ("onStatus", _) => match (text_of(arguments, "level"), text_of(arguments, "code")) {
                (_, Some("NetStream.Publish.Start")) => self.publishing = self.stream_id.is_some(),
                (Some("error"), _) => return Err(self.refused(arguments)),
                _ => {}
            },
            ("close", _) => return Err(ServerFault::Refused("it closes the connection".to_owned())),
            _ => {}
        }
        Ok(())
    }

    /// Makes the server give up what it keeps of an earlier publisher, and creates the stream.
    fn create_stream(&mut self) {
        let name = self.target.stream().to_owned();
        let arguments = [Value::Null, Value::Text(&name)];
        self.command("releaseStream", transaction::RELEASE, &arguments);
        self.command("FCPublish", transaction::FC_PUBLISH, &arguments);
        self.command("createStream", transaction::CREATE, &[Value::Null]);
    }

    fn publish(&mut self, arguments: &[Amf0Value]) -> Result<(), ServerFault> {
        let Some(Amf0Value::Number(stream_id)) = arguments.first() else {
            return Err(self.refused(arguments));
        };
        let stream_id = *stream_id as u32;
        self.stream_id = Some(stream_id);
        let name = self.target.stream().to_owned();
        let arguments = [Value::Null, Value::Text(&name), Value::Text("live")];
        put_command(&mut self.output, CHUNK_SIZE, stream_id, "publish", transaction::PUBLISH, &arguments);
        Ok(())
    }

    fn refused(&self, arguments: &[Amf0Value]) -> ServerFault {
        self.target.refused(arguments)
    }
}

#[cfg(test)]
mod tests;
