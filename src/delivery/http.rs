//! HTTP viewers of channels and recordings: HLS (RFC 8216), DASH (ISO/IEC 23009-1), files, and the pages that play them.
//!
//! * [`route`] reads a path, [`service`] answers it: at once if the answer is ready, later if a file or a channel is waited for;
//! * `answer` finds the file of a channel, `fast_path` writes it as bytes, `page_cache` keeps segments as pages of the kernel;
//! * `recorded` answers for a mount: media as it is in the file, and what `document` and `document_cache` compute once for all;
//! * [`PageSettings`] and [`Portal`] are what browsers and other sites open.
//!
//! What does *not* belong here: connections and their limits (`crate::http`), playlists and segments (`store`, `vod`).

mod answer;
mod carry;
mod disposition;
mod document;
mod document_cache;
mod fast_path;
mod fault;
mod page_cache;
mod pages;
pub mod portal;
mod query;
mod recorded;
pub mod route;
mod service;
mod transport;

pub use pages::{PageSettings, Showing};
pub use portal::Portal;
pub use service::Delivery;
pub use transport::{AcmeProofs, TlsPolicy};

#[cfg(test)]
mod costly_tests;
#[cfg(test)]
mod fast_path_tests;
#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod tests;
