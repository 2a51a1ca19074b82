//! What is tested: an URL, and whose server it is.

use std::net::{IpAddr, SocketAddr};

use url::Url;

/// Why an URL is not tested: the user's fault.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not an URL.
    #[error("{url:?} is not an URL: {source}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        source: url::ParseError,
    },
    /// A scheme that is not spoken.
    #[error("{scheme}: is not tested yet; http: is")]
    Scheme {
        /// As given.
        scheme: String,
    },
    /// A name that leads nowhere.
    #[error("{host}: {source}")]
    Host {
        /// As given.
        host: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Somebody else's, for all we know.
    #[error("{address} is a public address; --i-own-this-server says that its owner wants to be tested")]
    Public {
        /// As resolved.
        address: IpAddr,
    },
}

/// A playlist and the server that has it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The multivariant or media playlist.
    pub url: Url,
    /// Where the server listens.
    pub address: SocketAddr,
}

impl Target {
    /// Reads and resolves `url`. Public addresses are refused unless `owned`.
    pub async fn resolve(url: &str, owned: bool) -> Result<Self, TargetError> {
        let parsed = Url::parse(url).map_err(|source| TargetError::Url { url: url.to_owned(), source })?;
        if parsed.scheme() != "http" {
            return Err(TargetError::Scheme { scheme: parsed.scheme().to_owned() });
        }
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let port = parsed.port_or_known_default().unwrap_or(80);
        let failed = |source| TargetError::Host { host: host.clone(), source };
        let name = (host.trim_matches(['[', ']']), port);
        let mut found = tokio::net::lookup_host(name).await.map_err(failed)?;
        let nothing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no address");
        let address = found.next().ok_or_else(|| failed(nothing()))?;
        if is_public(address.ip()) && !owned {
            return Err(TargetError::Public { address: address.ip() });
        }
        Ok(Self { url: parsed, address })
    }

    /// `Host` of requests.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// Neither loopback nor private nor link-local (RFC 1918, 4193, 3927, 4291).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !(address.is_loopback() || address.is_private() || address.is_link_local()),
        IpAddr::V6(address) => {
            !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local())
        }
    }
}
