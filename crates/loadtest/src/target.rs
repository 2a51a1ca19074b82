//! What is tested: an URL, and whose server it is.

use std::net::{IpAddr, SocketAddr};

use url::Url;

/// Why an URL is not tested: the user's fault.
#[derive(Debug, thiserror::Error)]
pub enum LoadTargetError {
    /// Not an URL.
    #[error("{url:?} is not an URL: {source}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        source: url::ParseError,
    },
    /// A scheme that is not spoken.
    #[error("{scheme}: is not tested; http:, https:, h2c:, rtmp: and rtsp: are")]
    Scheme {
        /// As given.
        scheme: String,
    },
    /// Nothing that could be played over RTMP.
    #[error(transparent)]
    Rtmp(#[from] amphi_protocol::rtmp::TargetError),
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

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetProtocol {
    /// `http:`, HTTP/1.1.
    Http,
    /// `https:`, HTTP/2 or HTTP/1.1 as the server prefers (RFC 7301).
    Https,
    /// `h2c:`, HTTP/2 without TLS with prior knowledge (RFC 9113 §3.3).
    Http2,
    /// `rtmp:`.
    Rtmp,
    /// `rtsp:`, packets interleaved in the connection.
    Rtsp,
}

/// A playlist or stream and the server that has it.
#[derive(Clone, Debug)]
pub struct LoadTarget {
    /// The playlist or stream. `h2c:` is written `http:` here.
    pub url: Url,
    /// Where the server listens.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub protocol: TargetProtocol,
}

impl LoadTarget {
    /// Reads and resolves `url`. Public addresses are refused unless `owned`.
    pub async fn resolve(url: &str, owned: bool) -> Result<Self, LoadTargetError> {
        let plain = url.strip_prefix("h2c://").map(|rest| format!("http://{rest}"));
        let parsed = Url::parse(plain.as_deref().unwrap_or(url));
        let parsed = parsed.map_err(|source| LoadTargetError::Url { url: url.to_owned(), source })?;
        let (protocol, port) = match parsed.scheme() {
            "http" if plain.is_some() => (TargetProtocol::Http2, 80),
            "http" => (TargetProtocol::Http, 80),
            "https" => (TargetProtocol::Https, 443),
            "rtmp" => {
                amphi_protocol::rtmp::Target::parse(url)?;
                (TargetProtocol::Rtmp, 1935)
            }
            "rtsp" => (TargetProtocol::Rtsp, 554),
            other => return Err(LoadTargetError::Scheme { scheme: other.to_owned() }),
        };
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let port = parsed.port().unwrap_or(port);
        let failed = |source| LoadTargetError::Host { host: host.clone(), source };
        let name = (host.trim_matches(['[', ']']), port);
        let mut found = tokio::net::lookup_host(name).await.map_err(failed)?;
        let nothing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no address");
        let address = found.next().ok_or_else(|| failed(nothing()))?;
        if is_public(address.ip()) && !owned {
            return Err(LoadTargetError::Public { address: address.ip() });
        }
        Ok(Self { url: parsed, address, protocol })
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
