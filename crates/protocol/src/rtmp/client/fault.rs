//! What goes wrong with a server that we publish to or play from, and the words in which it refuses.

use rml_amf0::Amf0Value;

use super::super::guard::{ChunkPosition, GuardError};
use super::super::handshake::NoHandshake;

/// Why publishing or playing failed. The server is at fault, unless it refuses a wrong URL or key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerFault {
    /// The server does not speak RTMP.
    #[error("the server's RTMP handshake failed")]
    Handshake,
    /// The server sends what cannot be read.
    #[error("the server cannot be understood: {fault}, {position}")]
    Guard {
        /// What is wrong with it.
        fault: GuardError,
        /// Where in what it has sent.
        position: ChunkPosition,
    },
    /// The server has refused a request or has ended the stream. The text is its message.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// The server sends requests without reading the answers.
    #[error("the server asks without reading the answers")]
    Flood,
}

impl From<NoHandshake> for ServerFault {
    fn from(NoHandshake: NoHandshake) -> Self {
        Self::Handshake
    }
}

/// The text property `name` of the first object in `arguments`.
pub(in crate::rtmp) fn text_of<'a>(arguments: &'a [Amf0Value], name: &str) -> Option<&'a str> {
    let properties = arguments.iter().find_map(|value| match value {
        Amf0Value::Object(properties) => Some(properties),
        _ => None,
    });
    match properties?.get(name)? {
        Amf0Value::Utf8String(text) => Some(text),
        _ => None,
    }
}
