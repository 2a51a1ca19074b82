//! What viewers ask for: channels and recordings as HLS (RFC 8216) and DASH (ISO/IEC 23009-1) over HTTP, over RTMP and RTSP.
//!
//! Each protocol turns what it was asked into an [`Address`](address::Address) (sans-IO), finds what it names in the
//! [`Registry`] of channels and mounts ([`Resolved`]), and asks the [`Door`] about that.
//!
//! Over HTTP ([`route`]) [`Delivery`] answers from a channel's newest [`Snapshot`](crate::store::Snapshot). Nothing is
//! rendered, copied or waited for in such a request: an answer shares the bytes of the window. Recordings are read from their
//! [`Mount`](amphi_vod::Mount) when they are asked for.
//!
//! [`PageSettings`] are what browsers open: the list of channels, players.
//!
//! [`RtmpPort`] serves RTMP players from the [`Air`], those that keep up in groups, and from mounts, and takes what publishers
//! send. [`RtspPort`] serves RTSP players from the [`Air`] and from mounts.
//!
//! [`PushTask`] pushes a channel to another server.
//!
//! How long an answer may be kept, by kind:
//!
//! | kind | `Cache-Control` | why |
//! |---|---|---|
//! | segment, initialization section | `public, max-age=31536000, immutable` | the name never means other bytes: *k* comes from the wall clock, the other name from a hash |
//! | media playlist, manifest | `public, max-age=N, must-revalidate`, N whole seconds under half a cell | it changes every cell; for cells of 2 s N is 0: caches keep it and validate it with its `ETag` |
//! | multivariant playlist, manifest of a recording | `public, max-age=2` | their figures change slowly |
//! | media playlist, subtitles, chapters and list of recordings | `public, max-age=10` | they change when a file does |
//! | picture of a recording | `public, max-age=3600` | it takes decoding |
//! | a whole file | `no-cache` | it is validated with its `ETag` and its date |
//! | a page and its parts | `no-cache` | they are validated with their `ETag` |
//! | everything else | `no-store` | a channel that is not there yet may be there in a second |
//!
//! What does *not* belong here: making playlists or segments (`store`, `container`), sockets (`http`), REST
//! (`admin`).

pub mod address;
mod air;
mod audience;
mod counts;
mod door;
mod http;
mod idle_timer;
mod pieces;
mod poster;
mod push;
mod recorded_feed;
mod registry;
mod rtmp;
mod rtsp;
mod unserved;

pub use air::{Air, AirReader, AirTiming, air};
pub use audience::{Audience, ChannelAudience, RungViewers, ViewerGuard, ViewerProtocol, ViewersByProtocol};
pub use counts::{AnswerCounts, AnswerKind};
pub use door::{
    AccessAction, AccessDenied, AccessRequest, Door, OpenDoor, Protocol, RequestFields, Resolved, Selection,
};
pub use http::{AcmeProofs, Delivery, PageSettings, Portal, Showing, TlsPolicy, portal, route};
pub use poster::{PosterError, poster, thumbnail};
pub use push::PushTask;
pub use registry::{PublishedChannel, Registry};
pub use rtmp::{PublishedStream, Publishing, RtmpPort};
pub use rtsp::RtspPort;
