//! Sources: one supervised task for each, from RTSP to frames in media time.
//!
//! * [`SourceTask`] keeps a source connected while it is wanted and reports its state,
//! * `session` is one RTSP connection over the sockets of `wire`, `payload` makes access units of its packets, `intake`
//!   frames of these,
//! * [`timeline`] maps RTP time to the wall clock,
//! * [`probe()`] looks at a source for a few seconds and says what it sends,
//! * [`glance()`] takes one picture of a source that is not connected,
//! * [`Inlet`] lets one publisher at a time in, for sources that publish to us.
//!
//! What does not belong here: decoding, channels, and which source is on which channel.
//!
//! **Where to start.** `supervisor.rs` keeps a source connected, `session.rs` is one connection, [`timeline`] is where RTP
//! time becomes media time. Quirks of devices are named where they are tolerated.
//!
//! # Example
//! ```
//! let timeline = amphi_source::timeline::Timeline::new(25);
//! assert!(!timeline.is_settled(), "no packet has come yet");
//! ```

mod address;
mod described;
mod fault;
mod gauges;
mod glance;
#[cfg(test)]
mod gstreamer_tests;
#[cfg(test)]
mod hall_tests;
mod intake;
mod payload;
mod presence;
pub mod probe;
mod publication;
mod rehearse;
mod sample;
mod session;
mod silence;
mod supervisor;
#[cfg(test)]
mod tests;
pub mod timeline;
mod tracks;
mod wire;

pub use fault::SourceFault;
pub use gauges::SourceGauges;
pub use glance::glance;
pub use probe::{AudioReport, ProbeReport, VideoReport, probe};
pub use publication::{Current, Inlet, Publication};
#[doc(hidden)]
pub use rehearse::{Hailed, rehearse};
pub use supervisor::SourceTask;
