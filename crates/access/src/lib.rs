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
//! **Where to start.** [`Credentials`] is what comes in, [`Refusal`] what goes out when it does not open a [`Subject`].
//!
//! # Example
//! ```
//! use amphi_access::{Pattern, Subject};
//!
//! assert!(Pattern::new("vod/engage-player/*").covers(Subject("vod/engage-player/4f1c/anatomy.smil")));
//! ```

mod credentials;
pub mod key;
mod refusal;
pub mod secrets;
pub mod sign;
mod subject;

pub use credentials::Credentials;
pub use key::{Key, Pass};
pub use refusal::Refusal;
pub use subject::{Pattern, Subject};
