//! The store: what a channel's viewers can fetch right now.
//!
//! A [`ShelfWriter`] puts one cell of all rungs on its channel's shelf at a time; readers take an immutable
//! [`Snapshot`] in which playlist and segments belong together. A playlist is rendered once per cell.
//! What does not belong here: what a cell shows, how its bytes are made, HTTP.

mod playlist;
mod shelf;

pub use shelf::{Rendition, ShelfReader, ShelfWriter, Snapshot, StoreError, Text, shelf};
