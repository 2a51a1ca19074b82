//! The audit log: who did what to the matrix, when, and from where.
//!
//! Every part that lets people or programs act on the server has an [`AuditLog`] and records an [`Entry`] for each act, done
//! or refused; what the schedule does is recorded too. The latest entries are in memory, all of them in `state_dir` as
//! JSON lines, bounded to two files of [`FILE_BYTES`].
//!
//! Recording never waits and never fails: entries go through a queue to the task that writes. If it is full (because a disk
//! hangs), the newest entry is kept in memory only, and the log says so.
//!
//! What does *not* belong here: deciding who may act, alarms, what viewers fetch.

mod entry;
mod file;
mod log;

pub use entry::{Action, Entry};
pub use file::FILE_BYTES;
pub use log::{AuditLog, AuditWriter, KEPT, prepare};
