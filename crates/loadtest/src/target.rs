//! What is tested: a URL, and whether its server may be tested.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::Options;
use super::fragment::BodyUse;

/// Why a URL is not tested: the user's fault.
#[derive(Debug, thiserror::Error)]
pub enum LoadTargetError {
    /// The argument is not a URL.
    #[error("{url:?} is not a URL: {source}")]
    Url {
        /// The argument as it was given.
        url: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// The URL's scheme is not supported.
    #[error("{scheme}: is not tested; http:, https:, h2c:, rtmp: and rtsp: are")]
    Scheme {
        /// The scheme as it was given.
        scheme: String,
    },
    /// The URL does not name an RTMP stream.
    #[error(transparent)]
    Rtmp(#[from] amphi_protocol::rtmp::TargetError),
    /// The host's name cannot be resolved.
    #[error("{host}: {source}")]
    Host {
        /// The host as it was given.
        host: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// An option that is for segments, and a stream that has none.
    #[error("{option} is for HTTP: a stream of RTMP or RTSP has no segments")]
    Stream {
        /// The option as it is spelt on the command line.
        option: &'static str,
    },
    /// The address is public, so the server may be somebody else's.
    #[error("{address} is a public address; --i-own-this-server says that its owner wants to be tested")]
    Public {
        /// The address that the host resolves to.
        address: IpAddr,
    },
}

/// The protocol that players use, from the URL's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetProtocol {
    /// `http:`, HTTP/1.1.
    Http,
    /// `https:`, HTTP/2 or HTTP/1.1 as the server prefers (RFC 7301).
    Https,
    /// `h2c:`, HTTP/2 without TLS with prior knowledge (RFC 9113 §3.3).
    Http2,
    /// `rtmp:`, RTMP without TLS over TCP.
    Rtmp,
    /// `rtsp:`, with packets interleaved in the connection.
    Rtsp,
}

/// A playlist or stream, and the server that has it.
#[derive(Clone, Debug)]
pub struct LoadTarget {
    /// The playlist or stream. `h2c:` is written `http:` here.
    pub url: Url,
    /// The server's address and port.
    pub address: SocketAddr,
    /// The protocol that players use.
    pub protocol: TargetProtocol,
}

impl LoadTarget {
    /// Parses and resolves `url`. Public addresses are refused unless `owned`.
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

    /// Refuses options that do not fit the protocol.
    pub fn fits(&self, options: &Options) -> Result<(), LoadTargetError> {
        let option = match options.body_use {
            _ if options.is_unpaced => "--unpaced",
            BodyUse::Check => return Ok(()),
            BodyUse::Read => "--read",
            BodyUse::Discard => "--discard",
        };
        match self.protocol {
            TargetProtocol::Http | TargetProtocol::Https | TargetProtocol::Http2 => Ok(()),
            TargetProtocol::Rtmp | TargetProtocol::Rtsp => Err(LoadTargetError::Stream { option }),
        }
    }

    /// The value of `Host` in requests (RFC 9112 §3.2).
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// Whether an address is neither loopback nor private nor link-local (RFC 1918, 4193, 3927, 4291).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !(address.is_loopback() || address.is_private() || address.is_link_local()),
        IpAddr::V6(address) => {
            !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local())
        }
    }
}
