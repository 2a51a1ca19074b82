//! Decides which source is on which channel: matrix, calendar, alarms, audit and rehearsal.
//!
//! Most of it is sans-IO cores; time is an argument. Their shells are small: the task that owns the matrix, the writer of
//! the audit log, the client of the calendar.
//!
//! **What does not belong here:** sources, channels and coding, and acting on what is decided: the server does that.
//!
//! **Where to start.** [`matrix`] decides what each channel shows, by a person, the schedule or the configuration.
//! [`schedule`] makes a plan from a calendar. [`alarm`] decides which faults operators are told of; a new alarm is a new
//! `AlarmKind` in `alarm.rs`.
//!
//! # Example
//! A source that the configuration does not have cannot be connected:
//! ```
//! use amphi_control::matrix::{ChannelLayout, Command, Layout, Matrix};
//! use amphi_media::MediaTime;
//!
//! let now = MediaTime::from_millis(0);
//! let hall = ChannelLayout { name: "Amphi_D".into(), ..ChannelLayout::default() };
//! let mut matrix = Matrix::new(Layout { channels: vec![hall], sources: vec![] }, now);
//! let connect = Command::Connect { channel: "Amphi_D".into(), source: "camera".into(), until: None };
//! assert!(matrix.apply(connect, now).is_err());
//! ```

pub mod admission;
pub mod agenda;
pub mod alarm;
pub mod audit;
pub mod matrix;
pub mod push;
pub mod rehearsal;
pub mod schedule;
pub mod state_file;
