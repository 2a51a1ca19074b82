//! Looking at halls before anybody needs them.
//!
//! * Before a lecture ([`Preflight`]): some minutes ahead its source is looked at, and a fault is an alarm with the
//!   lecture's title and hour while there is time to walk to the hall. What was faulty is looked at again until the start.
//! * At night ([`next_rehearsal`]): all sources, one after the other, and a [`Rehearsal`] that tells how they were.
//!
//! A look ([`Tally`], [`Check`]) lasts some seconds: the source must answer, send pictures that can be decoded, and sound.
//! Size, rate, codecs are facts; so are a black picture and silence, for nobody is in the hall yet.
//!
//! All of these are cores: time is an argument. [`Archive`] keeps the last rehearsal on disk. What does *not* belong here:
//! pulling sources and decoding (the server joins those), alarms of what is on air.

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
