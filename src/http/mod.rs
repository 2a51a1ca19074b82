//! HTTP joints: shared bytes as bodies, ranges, the serving loop.
//!
//! What does not belong here: which path means what.

mod body;
mod range;
mod serve;

pub use body::Parts;
pub use range::{ByteRange, Requested, requested};
pub use serve::{Limits, listen, serve};
