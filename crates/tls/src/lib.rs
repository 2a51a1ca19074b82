//! Certificates, and what is done with them. No sockets: those are `amphi_runtime::socket`.
//!
//! * [`Identity`] is a certificate chain with its key, checked against each other, and until when it is valid;
//! * [`CertificateStore`] tells which one a peer gets, by the name that it asks for (SNI, RFC 6066 §3), and may be changed while
//!   connections stand;
//! * [`PairKeeper`] decides what becomes of a pair of files that has changed;
//! * [`server_config`] is how we speak TLS as a server, [`client_config`] whom we trust as a client.
//!
//! **What does not belong here:** sockets, handshakes, the watching of files, ACME.
//!
//! **Where to start.** `identity.rs`, then `store.rs`.
//!
//! # Example
//! ```
//! use amphi_tls::{Identity, PairFault};
//!
//! let fault = Identity::from_pem(b"no certificate", b"no key").unwrap_err();
//! assert!(matches!(fault, PairFault::NoCertificate));
//! ```

mod identity;
mod keeper;
mod settings;
mod store;
mod trust;

pub use identity::{Identity, PairFault, Validity, WARN_DAYS};
pub use keeper::{Offered, PairKeeper};
pub use settings::server_config;
pub use store::{ACME_ALPN, CertificateStore};
pub use trust::{TrustError, client_config};

#[cfg(test)]
mod testing;
