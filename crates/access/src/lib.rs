//! Who may watch: rules, networks, keys, and the grants that viewers carry from the entry to everything that it names.
//! Sans-IO; time is an argument.
//!
//! Contract: a protocol hands over what a caller shows, as it came ([`Credentials`]), and what it asks for, decoded and
//! found ([`Subject`]). The same subject has the same name in all protocols and spellings, so no spelling opens what another
//! one keeps shut.
//!
//! **What does not belong here:** how a subject is found (`delivery::address`), how a refusal is worded in a protocol,
//! connections to key servers and hooks.
//!
//! **Where to start.** [`AccessControl::admit`] is the whole decision.
//!
//! # Example
//! ```
//! use amphi_access::{Pattern, Subject};
//!
//! assert!(Pattern::new("vod/engage-player/*").covers(Subject("vod/engage-player/4f1c/anatomy.smil")));
//! ```

mod control;
mod credentials;
mod grant;
pub mod key;
mod network;
mod refusal;
mod rules;
pub mod secrets;
pub mod sign;
mod subject;

pub use control::{AccessControl, Admission, KeyCheck, Revocations, Visit, VisitStep};
pub use credentials::Credentials;
pub use grant::{GRANT_BYTES, GRANT_SIGN, Grant, GrantGroup, Grants};
pub use key::{Key, Pass};
pub use network::{Network, NetworkError, viewer_address};
pub use refusal::Refusal;
pub use rules::{Need, Passed, PathRule, Rules, WayIn, WayInError};
pub use subject::{Pattern, Subject};
