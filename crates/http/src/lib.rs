//! The HTTP server that all our ports share, and helpers for answering requests (RFC 9110, 9112, 9113).
//!
//! * [`serve_with_peer`] (or [`accept_each`] and [`serve_stream`], where a port speaks more than HTTP) runs a tower service on a
//!   [`listen`]ing socket: HTTP/1.1 with keep-alive and HTTP/2 with prior knowledge, with bounds on connections, idle time
//!   and shutdown.
//! * [`serve_fast_path`] writes answers that are ready ([`FastPath`]), and those to other plain GETs, without the general server,
//!   and leaves the rest to it.
//! * [`Body`] sends shared pieces of bytes without a copy, and [`FileRanges`] from their file; [`content`] answers with such
//!   pieces as the request's method, `If-None-Match` and `Range` ask.
//! * [`Inbound`] is a request's body, which must arrive in time.
//! * [`Attempts`] slows down those who guess credentials; [`is_local`] and [`is_of_page`] refuse requests of other sites'
//!   pages.
//! * [`Authenticator`] is Digest authentication for one user.
//! * [`cors`] lets pages of other origins read answers; [`problem`] and [`empty`] are answers for errors.
//!
//! What does *not* belong here: routes, names, playlists, anything that knows what is served.
//!
//! **Where to start.** `serve.rs` for the general server, `fast_path.rs` for the short path that answers nearly every viewer,
//! `content.rs` for the headers and status of an answer made of bytes.
//!
//! # Example
//! ```
//! use amphi_http::{Requested, requested_range};
//! use http::{HeaderMap, HeaderValue, header::RANGE};
//!
//! let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=-500"))]);
//! assert_eq!(requested_range(&headers, 1000), Requested::Part(500..1000));
//! ```

mod attempts;
mod body;
mod conditions;
mod content;
pub mod cors;
mod date;
mod digest;
mod etag;
mod fast_path;
mod file_ranges;
mod guesses;
mod head;
mod host;
mod inbound;
mod limits;
mod listen;
mod memory_file;
mod methods;
mod outbound;
mod outstanding;
mod pace;
mod peer;
mod places;
mod plain_path;
mod plain_request;
mod range;
mod refusal;
mod rewound;
mod sending;
mod serve;
mod slow_path;
mod watch;

pub use attempts::{Attempts, Credential, retry_after};
pub use body::{Body, Timed};
pub use conditions::{Conditions, Validators};
pub use content::{ContentMetadata, content};
pub use digest::{Authenticator, Verdict};
pub use etag::ETag;
pub use fast_path::{Content, FastPath, ReadyAnswer, would_ask};
pub use file_ranges::{FileRanges, SentFile};
pub use head::append_field;
pub use host::{LOCAL_RULE, is_local, is_of_page};
pub use inbound::{Inbound, TooSlow};
pub use limits::{CONTROL_CONNECTIONS, Limits};
pub use listen::{ListenError, listen};
pub use memory_file::MemoryFile;
pub use methods::method_refusal;
pub use peer::Peer;
pub use places::{Extra, Places, asker};
pub use plain_request::Asked;
pub use range::{Requested, requested_part, requested_range};
pub use refusal::{empty, problem};
pub use serve::{Port, accept_each, secured, serve_fast_path, serve_stream, serve_with_peer};
pub use slow_path::SlowPath;
