//! Which source is on which channel, and who said so.
mod status;

pub use status::{OnAir, SourceMedia, SourceState, SourceStatus};
