//! Checks the sources in the halls before they are needed.
//!
//! * Before a lecture ([`Preflight`]): some minutes ahead its source is checked, and a fault is an alarm with the
//!   lecture's title and hour while there is time to walk to the hall. A faulty source is checked again until the start.
//! * At night ([`next_rehearsal`]): all sources are checked, one after the other; the [`Rehearsal`] lists the results.
//!
//! A check ([`Tally`], [`Check`]) takes some seconds: the source must answer, send pictures that can be decoded, and sound.
//! Size, rate and codecs are reported; so are a black picture and silence, which are no faults in an empty hall.
//!
//! All of these are cores: time is an argument. [`Archive`] keeps the last rehearsal on disk. What does *not* belong here:
//! pulling sources and decoding (the server does that), alarms about what is on air.

mod archive;
mod check;
mod night;
mod preflight;
mod tally;

pub use archive::Archive;
pub use check::{Check, Facts, Rehearsal, RehearsalState};
pub use night::{NightError, next_rehearsal, time_of_day};
pub use preflight::{Job, Preflight};
pub use tally::{Signs, Tally};
