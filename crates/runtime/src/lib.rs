//! What every long-lived task needs: supervision, the log, threads for costly work, sockets.
//!
//! **What does not belong here:** anything that knows of halls, channels or viewers.
//!
//! **Where to start.** [`tasks`] restarts a task that has ended by itself; [`log`] is written by a thread of its own;
//! [`workshop`] has threads for work that would block a task for too long; [`udp`] binds pairs of ports; [`socket`] is a
//! connection of TCP, in the clear or inside TLS.
//!
//! # Example
//! ```
//! assert!(amphi_runtime::log::filter("amphi=info,amphi::source=debug").is_ok());
//! assert!(amphi_runtime::log::filter("amphi=loud").is_err());
//! ```

pub mod log;
pub mod socket;
pub mod tasks;
pub mod udp;
pub mod workshop;
