//! The schedule: makes a plan from a calendar, and from the plan, at each moment, what the matrix should show.
//!
//! ```text
//!  Opencast, .ics ─ CalendarClient ─▶ PollResult ─▶ Planner ─ settled by the timetable ─▶ Plan (shown), ChannelPlan (told to the matrix)
//! ```
//! * [`ical`] and [`calendar_json`] read calendars into [`CalendarEvent`]s; [`dublin`] reads the metadata in them.
//! * The timetable ([`settle`]) decides which event is on which channel from when to when, and finds conflicts.
//! * The [`Planner`] keeps the last good calendar and answers: what is planned, what the matrix should be told now,
//!   when that changes, when to poll the calendar next. All of these are cores: time is an argument.
//! * [`Overrun`] lets a lecture stay beyond its planned end while somebody speaks or something moves.
//! * The [`CalendarClient`] fetches the calendar, [`CalendarFile`] keeps it on disk. They are the shells.
//! * [`simulate`] plays a calendar without waiting, from change to change.
//!
//! What does *not* belong here: the matrix itself, alarms, and the task that connects all of these (the server's).

mod calendar_file;
pub mod calendar_json;
mod challenge;
mod client;
mod conflicts;
pub mod dublin;
mod event;
mod fault;
pub mod ical;
mod overrun;
mod planner;
mod routed;
mod routing;
mod settings;
pub mod simulate;
mod timetable;
mod words;

pub use calendar_file::CalendarFile;
pub use client::{CalendarClient, ClientError};
pub use event::{CalendarEvent, FeedAnswer, PollResult, Reading};
pub use fault::{FeedFault, PollError};
pub use overrun::{Overrun, SignsOfLife};
pub use planner::{ChannelPlan, MayOverrun, Planner, StoredCalendar, StoredPart};
pub use settings::{Settings, SettingsError, zone};
pub use timetable::{Settled, settle};

#[cfg(test)]
mod tests;
