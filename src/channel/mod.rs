//! The channel: what viewers open, and what it shows in each cell (sans-IO).
//!
//! What does not belong here: how cells are made, wrapped or kept; who decides which source is wanted.

mod splicer;

pub use splicer::{Choice, Decision, Splicer, SplicerOptions, Why};
