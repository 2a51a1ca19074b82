//! What every long-lived task needs: supervision, the log, a place for costly work, UDP sockets.
//!
//! **What does not belong here:** anything that knows of halls, channels or viewers.
//!
//! **Where to start.** [`tasks`] begins a task again that has ended by itself; [`log`] is written by a thread of its own;
//! [`workshop`] has the threads for what costs more than a task may; [`udp`] binds pairs of ports.
//!
//! # Example
//! ```
//! assert!(amphi_runtime::log::filter("amphi=info,amphi::source=debug").is_ok());
//! assert!(amphi_runtime::log::filter("amphi=loud").is_err());
//! ```

pub mod log;
pub mod tasks;
pub mod udp;
pub mod workshop;
