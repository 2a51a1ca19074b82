//! What a peer does that the caller must know.

use bytes::Bytes;

use crate::rtmp::{Metadata, Query, StreamName};

/// Something that happened on a connection. Requests among them are answered with `accept` or `reject`.
#[derive(Clone, Debug, PartialEq)]
pub enum RtmpEvent {
    /// Request: the peer wants to use an application.
    Connect {
        /// Name of the application, without the instance.
        app: String,
        /// The URL that the client was given, as it reports it, without query, user name and password.
        tc_url: String,
        /// Parameters after the application, or after that URL. A user name and password in the URL are among them as
        /// `user` and `pass`.
        query: Query,
    },
    /// Request: the peer wants to publish.
    Publish {
        /// Name of the stream to publish.
        stream: StreamName,
        /// Parameters after the name, such as the key.
        query: Query,
    },
    /// Request: the peer wants to play.
    Play {
        /// `<application>/<stream>`, percent-encoded as the client wrote it.
        path: String,
        /// Parameters after it, such as a token.
        query: Query,
        /// Where in a recording to begin, in milliseconds; `None` for the live edge.
        start_ms: Option<u32>,
    },
    /// The player has paused or gone on. It has been answered already.
    Pause {
        /// Whether it pauses.
        paused: bool,
        /// Its position in milliseconds.
        position_ms: u32,
    },
    /// Request: seek. After accepting, send an opening and go on from a sync sample there.
    Seek {
        /// The position to seek to, in milliseconds.
        position_ms: u32,
    },
    /// A picture message of a publisher, for [`crate::rtmp::Unpacker::video`].
    Video {
        /// Milliseconds since a beginning that the publisher chose.
        timestamp_ms: u32,
        /// The body of an FLV tag.
        data: Bytes,
    },
    /// A sound message of a publisher, for [`crate::rtmp::Unpacker::audio`].
    Audio {
        /// Milliseconds since a beginning that the publisher chose.
        timestamp_ms: u32,
        /// The body of an FLV tag.
        data: Bytes,
    },
    /// A publisher's description of its stream (`onMetaData`).
    Metadata(Metadata),
    /// Publishing or playing has ended; the connection may go on with another stream.
    Close,
}
