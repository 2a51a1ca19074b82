//! Whom we trust as a client: the authorities of the system, or those of a file.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Nobody would be trusted: a fault of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The PEM has no certificate, or one that cannot be read.
    #[error("no certificate of an authority in PEM, or one that cannot be read")]
    Pem,
    /// rustls refuses the settings.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Settings that trust the authorities in `pem`; without them those of the system, where an administrator adds the site's own
/// (`update-ca-certificates`), and where the system has none, those that browsers trust. Reads the system's files.
pub fn client_config(pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, TrustError> {
    let roots = match pem {
        Some(pem) => of_pem(pem)?,
        None => of_system(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn of_pem(pem: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|_| TrustError::Pem)?).map_err(|_| TrustError::Pem)?;
    }
    if roots.is_empty() { Err(TrustError::Pem) } else { Ok(roots) }
}

fn of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Files that cannot be read are the system's affair; what is left may be enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::made;

    #[test]
    fn a_file_without_an_authority_is_no_trust_in_everybody() {
        assert!(client_config(Some(b"")).is_err() && client_config(Some(b"nothing")).is_err());
        let (chain, _) = made(&["ca.example.org"]);
        assert!(client_config(Some(chain.as_bytes())).is_ok());
    }

    #[test]
    fn somebody_is_trusted_without_a_file() {
        assert!(!of_system().is_empty());
        assert!(client_config(None).is_ok());
    }
}
