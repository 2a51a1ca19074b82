//! The server: everything joined, supervised, and ended in order.
//!
//! Order of ending, within five seconds: listeners stop accepting, their connections are drained, and the tasks that only
//! observe stop; the schedule stops; pushes unpublish; sources send TEARDOWN; channels stop; the threads of ladders are
//! joined, also of those that were being stopped already; the matrix and the audit log write what they have. A task that
//! takes too long is not waited for.

mod access;
mod admin_port;
mod ask;
mod budget;
mod certificates;
mod channel_task;
mod channels;
mod clock_watch;
mod conductor;
mod connection;
mod control;
mod demo;
mod demo_day;
mod descriptors;
mod faults;
mod halls;
mod holds;
mod inventory;
mod ladders;
mod listeners;
mod media_port;
mod metrics;
mod mounts;
mod observer;
mod outcome;
mod painter;
mod portal;
mod pushes;
mod recordings;
mod rehearser;
mod reload;
mod run;
mod running;
mod scheduler;
mod settings;
mod shared;
mod sign;
mod signals;
mod simulate;
#[cfg(test)]
mod skew_tests;
mod sources;
mod stage;
mod start;
mod stopping;
mod thumbnails;
mod viewers;
mod waiting;
mod watchman;
mod webhook;
mod wowza_port;

pub use ask::{ReloadOutcome, reload};
pub use demo::{DemoOptions, demo};
pub use listeners::Addresses;
pub use run::run;
pub use sign::{SignOptions, sign};
pub use simulate::{SimulateOptions, simulate};
pub use start::Server;
