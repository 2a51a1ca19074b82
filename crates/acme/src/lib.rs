//! Certificates from an authority that speaks ACME (RFC 8555): account, order, proof, renewal.
//!
//! * [`Renewer`] gets a certificate, shows it, and gets the next one when a third of its time is left;
//! * `plan` decides when (sans-IO), `order` asks the authority, `folder` keeps what must survive a restart, `client` sends requests.
//!
//! **What does not belong here:** the ports that a proof is shown on: they take it from a [`ProofBoard`].
//!
//! **Where to start.** `renewer.rs`.
//!
//! # Example
//! ```
//! let key = amphi_acme::external_key("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");
//! assert_eq!(key.map(|key| key.len()), Some(48));
//! ```

mod client;
mod folder;
mod order;
mod plan;
mod renewer;

pub use order::{AcmeFault, AcmeSettings, ExternalAccount, ProofBoard, ProofKind, external_key};
pub use renewer::Renewer;
