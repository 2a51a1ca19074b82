//! `[tls]`: certificates, ACME, and what browsers are told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// `[tls]`: for `server.https_listen`, TLS on the media port, and `server.admin_tls`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The pairs of files; the first is shown to who asks for no name that one is for.
    #[serde(rename = "certificate")]
    pub certificates: Vec<Certificate>,
    /// An authority that certificates are fetched from.
    pub acme: Acme,
    /// How long browsers keep to HTTPS (RFC 6797 §6.1.1); 0 = they are told nothing.
    pub hsts_s: u32,
    /// Plain HTTP redirects viewers to HTTPS.
    pub redirect: bool,
}

/// `[[tls.certificate]]`: a pair of PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Certificate {
    /// The server's certificate, followed by its intermediates.
    pub chain: PathBuf,
    /// Its private key, without a passphrase.
    pub key: PathBuf,
}

/// How we prove to an authority that a name is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum AcmeChallenge {
    /// In a TLS handshake on port 443 (RFC 8737).
    #[default]
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// By a file over plain HTTP on port 80 (RFC 8555 §8.3).
    #[serde(rename = "http-01")]
    Http01,
}

/// `[tls.acme]`: an authority that speaks ACME (RFC 8555).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acme {
    /// The `https://` URL of its directory; empty = off.
    pub directory: String,
    /// The hosts that the certificate is for.
    pub domains: Vec<String>,
    /// Where the authority may write to, e.g. `mailto:av@example.org`.
    pub contact: Vec<String>,
    /// The identifier of an external account (RFC 8555 §7.3.4); empty = none.
    pub eab_key_id: String,
    /// Its key, in base64url.
    pub eab_hmac_key: Secret,
    /// A file whose first line is that key.
    pub eab_hmac_key_file: PathBuf,
    /// The proof.
    pub challenge: AcmeChallenge,
    /// A PEM file of the certificate authorities to trust for the directory; empty = the system's.
    pub ca_file: PathBuf,
}

impl Tls {
    /// Whether certificates come from an authority.
    pub fn has_acme(&self) -> bool {
        !self.acme.directory.is_empty()
    }

    /// Whether there is any certificate, or will be.
    pub fn is_on(&self) -> bool {
        !self.certificates.is_empty() || self.has_acme()
    }
}
