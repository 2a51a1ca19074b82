//! The matrix: which source is on which channel, since when, and who said so.
//!
//! [`Matrix`] is the core: it holds what three voices ask for each channel and decides whose word counts. A
//! *manual* override (connect this source, or show the waiting loop; perhaps until a given time) stands above
//! the *schedule*, which stands above the source that the *configuration* connects from the start. Beside
//! that it keeps what sources and channels report of themselves, so that one [`MatrixView`] tells all.
//!
//! [`Owner`] is the one task that owns it. Everybody else holds a [`MatrixHandle`]: commands
//! go in through a bounded queue and are answered, views come out through a `watch`. Overrides outlive a
//! restart through a [`Store`].
//!
//! Not here: acting on the matrix. Whoever pulls sources or fills channels watches the view and obeys.

mod command;
mod mail;
mod owner;
mod state;
mod status;
mod store;
mod view;

pub use self::command::{Applied, Command, MatrixError, NOTICE_CHARS, Notice, Scheduled};
#[cfg(any(test, feature = "testing"))]
pub use self::owner::spawn;
pub use self::owner::{MatrixHandle, OnExpiry, Owner, prepare};
pub use self::state::{ChannelLayout, Layout, Matrix};
pub use self::status::{OnAir, SourceMedia, SourceOutcome, SourceState, SourceStatus};
pub use self::store::{FileStore, Override, Store};
pub use self::view::{By, ChannelView, Desired, MatrixView, SourceView, Voice};
