//! Delivery: what viewers may ask for. HLS today.
//!
//! * [`route`] reads a path (a core);
//! * [`Registry`] knows the channels;
//! * [`answer`] joins the two into a response.
//!
//! What does not belong here: how segments come to be, and sockets.

mod answer;
mod registry;
mod route;

pub use answer::{Delivery, answer};
pub use registry::{ChannelEntry, Registry};
pub use route::{Asset, Route, RouteError, Selection, route};
