//! The audit log: who did what to the matrix, when, and from where.
//!
//! Everybody who lets somebody act on the server has an [`AuditLog`] and records an [`Entry`] for each act, done or
//! refused; what the schedule does is recorded too. The latest entries are in memory, all of them in `state_dir` as
//! JSON lines, bounded to two files of [`FILE_BYTES`].
//!
//! Recording never waits and never fails: a queue of entries leads to the task that writes. Where it is full (a disk
//! that hangs), the newest entry stays in memory alone, and the log says so.
//!
//! What does *not* belong here: deciding who may act, alarms, what viewers fetch.

mod entry;
mod file;
mod log;

pub use entry::{Action, Entry};
pub use file::FILE_BYTES;
pub use log::{AuditLog, AuditWriter, KEPT, prepare};
