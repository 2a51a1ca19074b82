//! How we speak TLS as a server: versions 1.3 and 1.2 with ECDHE and AEAD only (RFC 8446, RFC 9325 §4.2), sessions are resumed by
//! tickets, HTTP/2 by ALPN.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;

use super::store::{ACME_ALPN, CertificateStore};

/// Settings of ports that show what is in `store`. Who offers no protocol (RTMPS, RTSPS) gets none.
pub fn server_config(store: CertificateStore) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(store));
    config.alpn_protocols = [b"h2", &b"http/1.1"[..], ACME_ALPN].map(<[u8]>::to_vec).into();
    // Tickets need no memory here, whoever comes.
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}
