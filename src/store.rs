//! What viewers can fetch of a channel: a sliding window of segments per rung, and its playlists.
//!
//! A [`WindowWriter`] takes one cell of every rung at a time, in order of *k*, and publishes one immutable
//! [`Snapshot`] for all rungs together; a [`WindowReader`] hands out the newest. Playlists are rendered here,
//! once per cell, not once per viewer. Segments share their bytes with the cells that they were made of, so
//! that a waiting cell costs a channel its head alone.
//!
//! Contract of the window ([`PublishedWindow`], sans-IO):
//! * *k* grows. A cell that is not newer than the last one is refused: `EXT-X-MEDIA-SEQUENCE` never goes back
//!   (RFC 8216 §6.2.1).
//! * A cell that is missing cannot be listed, and a list with a hole would misnumber what follows. So a *k*
//!   that skips cells drops everything before it, and the playlist goes on from there.
//! * A segment stays for as long as RFC 8216 §6.2.2 demands after it has left the playlist: its own duration
//!   and that of the longest playlist that listed it.
//!
//! What does *not* belong here: boxes and the text of playlists (`container`), URLs of channels and HTTP (`delivery`),
//! the choice of cells (`channel`).

mod bitrate;
mod playlists;
mod publishing;
mod rung;
mod snapshot;
mod window;

pub use publishing::{WindowReader, WindowWriter, published_window};
pub use rung::PublishedRung;
pub use snapshot::{Playlist, RenditionSnapshot, Snapshot};
pub use window::{PublishedWindow, PushError, Pushed};

#[cfg(test)]
mod tests;
