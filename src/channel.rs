//! The channel: what viewers open, and what it shows in each cell (sans-IO). The [`Splicer`] decides about whole cells, the
//! [`Airing`] about cells that have just begun.
//!
//! What does not belong here: how cells are made, written or kept; which source is wanted (`matrix`).

mod airing;
mod splicer;

pub use airing::{Airing, AiringOptions, AiringStep, SampleOrigin};
pub use splicer::{CellChoice, Decision, Splicer, SplicerOptions, Why};
