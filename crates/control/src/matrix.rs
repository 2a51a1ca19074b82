//! The matrix: which source is on which channel, since when, and who decided so.
//!
//! [`Matrix`] is the core: for each channel it holds what three voices ask for, and decides which of them counts. A
//! *manual* override (connect this source, or show the waiting loop; perhaps until a given time) goes before
//! the *schedule*, which goes before the source that the *configuration* connects. It also
//! keeps what sources and channels report of themselves, so that one [`MatrixView`] shows everything.
//!
//! [`Owner`] is the one task that owns it. All others hold a [`MatrixHandle`]: commands
//! go in through a bounded queue and are answered, views come out through a `watch`. Overrides survive a
//! restart through a [`Store`].
//!
//! Not here: acting on the matrix. The code that pulls sources and fills channels watches the view.

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
