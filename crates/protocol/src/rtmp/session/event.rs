//! What a peer does that others must know.

use bytes::Bytes;

use crate::rtmp::{Metadata, Query, StreamName};

/// Something that happened on a connection. Those that ask are answered by `accept` or `reject`.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Asks: may I use this application?
    Connect {
        /// The application's name, without instance.
        app: String,
        /// The URL that the client was given, as it says, without query, user name and password.
        tc_url: String,
        /// Parameters behind the application, or behind that URL; a user name and password of it are among them as `user`
        /// and `pass`.
        query: Query,
    },
    /// Asks: may I publish?
    Publish {
        /// The name to publish under.
        stream: StreamName,
        /// Parameters behind it: the key.
        query: Query,
    },
    /// Asks: may I play?
    Play {
        /// What: `<application>/<stream>`, percent-encoded as the client wrote it.
        path: String,
        /// Parameters behind it.
        query: Query,
        /// Where in a recording to begin, in milliseconds; `None` at the live edge.
        start_ms: Option<u32>,
    },
    /// The player wants to hold or go on. It has been told that it does.
    Pause {
        /// Hold.
        paused: bool,
        /// Where it stands, in milliseconds.
        position_ms: u32,
    },
    /// Asks: may I go there? Once accepted, send an opening and go on from a sync sample there.
    Seek {
        /// Where to, in milliseconds.
        position_ms: u32,
    },
    /// A picture message of a publisher: for [`crate::rtmp::Unpacker::video`].
    Video {
        /// Its time.
        timestamp_ms: u32,
        /// An FLV tag's body.
        data: Bytes,
    },
    /// A sound message of a publisher: for [`crate::rtmp::Unpacker::audio`].
    Audio {
        /// Its time.
        timestamp_ms: u32,
        /// An FLV tag's body.
        data: Bytes,
    },
    /// What a publisher says of its stream.
    Metadata(Metadata),
    /// Publishing or playing has ended; the connection may go on with another stream.
    Close,
}
