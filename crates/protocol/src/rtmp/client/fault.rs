//! What goes wrong with a server that we publish to or play from, and the words in which it refuses.

use rml_amf0::Amf0Value;

use super::super::guard::GuardError;
use super::super::handshake::NoHandshake;

/// Why a server can be neither published to nor played from. The server's fault, or that of whoever gave the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerFault {
    /// It does not speak RTMP.
    #[error("the server's RTMP handshake failed")]
    Handshake,
    /// It sends what cannot be read.
    #[error("the server cannot be understood: {0}")]
    Guard(#[from] GuardError),
    /// It said no, or stopped us.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// It asks without reading the answers.
    #[error("the server asks without reading the answers")]
    Flood,
}

impl From<NoHandshake> for ServerFault {
    fn from(NoHandshake: NoHandshake) -> Self {
        Self::Handshake
    }
}

/// A text in the first object of `arguments`.
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
