//! Publishing to another server, without I/O.
//!
//! Contract. Connect to [`Target::host`] and [`Target::port`], with TLS where [`Target::tls`] says so. Send what
//! [`Publisher::take_output`] holds, at once and after every call; give every byte of the server to
//! [`Publisher::handle`]. When [`Publisher::is_publishing`] turns true, send [`Publisher::opening`] once and
//! then messages of [`super::cell`], beginning with a sync one, each through [`Publisher::address`].
//! [`Publisher::close`] says good-bye. After an error close the connection.
//!
//! A stream's name at a foreign server is its key. No text of this module shows it, nor what the server
//! says about it: wherever it occurs in a server's words it is masked.
//!
//! What does *not* belong here: sockets, TLS, time limits, trying again.

mod target;

use bytes::{Bytes, BytesMut};
use rml_amf0::Amf0Value;
use rml_rtmp::messages::{RtmpMessage, UserControlEventType};

pub use target::{Target, TargetError};

use super::amf::Value;
use super::control::{self, Receipt, put_command, set_chunk_size};
use super::flv::Metadata;
use super::guard::{ChunkPosition, Guard, GuardError};
use super::handshake::{Handshake, NoHandshake};
use super::share;
use super::wire::{CHUNK_SIZE, INITIAL_CHUNK_SIZE};
use amphi_media::RungTracks;

/// A server that only pings could make the answers grow.
const OUTPUT_MAX: usize = 64 << 10;
/// How much of a server's words is repeated.
const WORDS_MAX: usize = 300;

/// The transactions that we wait for; the others are not needed for anything.
mod transaction {
    pub(super) const CONNECT: f64 = 1.0;
    pub(super) const RELEASE: f64 = 2.0;
    pub(super) const FC_PUBLISH: f64 = 3.0;
    pub(super) const CREATE: f64 = 4.0;
    pub(super) const PUBLISH: f64 = 5.0;
    pub(super) const CLOSE: f64 = 6.0;
}

/// Why publishing failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It does not speak RTMP.
    #[error("the server's RTMP handshake failed")]
    Handshake,
    /// It sends what cannot be read.
    #[error("the server cannot be understood: {fault}, {position}")]
    Guard {
        /// What is wrong with it.
        fault: GuardError,
        /// Where.
        position: ChunkPosition,
    },
    /// It said no, or stopped us.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// It asks without reading the answers.
    #[error("the server asks without reading the answers")]
    Flood,
}

impl From<NoHandshake> for PublishError {
    fn from(NoHandshake: NoHandshake) -> Self {
        Self::Handshake
    }
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
    pub fn new(target: Target) -> Result<Self, PublishError> {
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

    /// Reads all of `input`.
    pub fn handle(&mut self, mut input: &[u8]) -> Result<(), PublishError> {
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
                Err(fault) => return Err(PublishError::Guard { fault, position: self.guard.position() }),
            }
            if self.output.len() > OUTPUT_MAX {
                return Err(PublishError::Flood);
            }
        }
    }

    /// What has to be sent to the server.
    pub fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    /// The server waits for pictures and sound.
    pub const fn is_publishing(&self) -> bool {
        self.publishing
    }

    /// What comes before the first picture and sound.
    pub fn opening(&self, tracks: &RungTracks, timestamp_ms: u32) -> Bytes {
        let metadata = Metadata::of(tracks).for_server();
        share::opening_with(&metadata, tracks, timestamp_ms, self.stream_id.unwrap_or(share::STREAM_ID))
    }

    /// A shared message as this server wants it: the same bytes, unless it numbers its streams otherwise.
    pub fn address(&self, message: &Bytes) -> Bytes {
        share::addressed(message, self.stream_id.unwrap_or(share::STREAM_ID))
    }

    /// Ends publishing.
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
        // The chunk size is ours to set only once the server listens: some begin to with `connect`.
        let object = [Value::Object(&object)];
        put_command(&mut self.output, INITIAL_CHUNK_SIZE, 0, "connect", transaction::CONNECT, &object);
        set_chunk_size(&mut self.output);
    }

    fn command(&mut self, name: &str, transaction: f64, values: &[Value<'_>]) {
        put_command(&mut self.output, CHUNK_SIZE, 0, name, transaction, values);
    }

    fn message(&mut self, body: RtmpMessage) -> Result<(), PublishError> {
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

    fn answer(&mut self, name: &str, to: f64, arguments: &[Amf0Value]) -> Result<(), PublishError> {
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
            ("close", _) => return Err(PublishError::Refused("it closes the connection".to_owned())),
            _ => {}
        }
        Ok(())
    }

    /// What the server keeps of an earlier publisher is let go, and the stream is made.
    fn create_stream(&mut self) {
        let name = self.target.stream().to_owned();
        let arguments = [Value::Null, Value::Text(&name)];
        self.command("releaseStream", transaction::RELEASE, &arguments);
        self.command("FCPublish", transaction::FC_PUBLISH, &arguments);
        self.command("createStream", transaction::CREATE, &[Value::Null]);
    }

    fn publish(&mut self, arguments: &[Amf0Value]) -> Result<(), PublishError> {
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

    fn refused(&self, arguments: &[Amf0Value]) -> PublishError {
        self.target.refused(arguments)
    }
}

impl Target {
    /// In the server's words, on one line, without the key.
    pub(super) fn refused(&self, arguments: &[Amf0Value]) -> PublishError {
        let words: Vec<_> =
            ["code", "description"].into_iter().filter_map(|name| text_of(arguments, name)).collect();
        let words = if words.is_empty() { "it does not say why".to_owned() } else { words.join(": ") };
        let words = self.mask(&words);
        PublishError::Refused(words.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect())
    }
}

/// A text in the first object of `arguments`.
pub(super) fn text_of<'a>(arguments: &'a [Amf0Value], name: &str) -> Option<&'a str> {
    let properties = arguments.iter().find_map(|value| match value {
        Amf0Value::Object(properties) => Some(properties),
        _ => None,
    });
    match properties?.get(name)? {
        Amf0Value::Utf8String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
