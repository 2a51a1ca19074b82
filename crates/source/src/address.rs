//! A source's URL, taken apart: where to connect, and with which credentials.

use std::path::{Path, PathBuf};

use url::Url;

use super::fault::SourceFault;
use amphi_media::percent;
use amphi_protocol::rtsp::client::{Credentials, ServerAddress};

/// An RTSP URL without its credentials, and these. Has no `Debug`, since it holds a password.
#[derive(Clone)]
pub(super) struct SourceAddress {
    pub(super) url: Url,
    pub(super) credentials: Option<Credentials>,
    /// A PEM file of the authorities to trust for rtsps; empty = the system's.
    pub(super) ca_file: PathBuf,
}

impl SourceAddress {
    /// Reads `rtsp[s]://[user[:password]@]host[:port]/path`; user and password are percent-encoded
    /// (RFC 3986 §3.2.1).
    pub(super) fn parse(text: &str) -> Result<Self, SourceFault> {
        let mut url = Url::parse(text).map_err(|_| SourceFault::Url("it is not a URL"))?;
        if !matches!(url.scheme(), "rtsp" | "rtsps") {
            return Err(SourceFault::Url("it must begin with rtsp:// or rtsps://"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(SourceFault::Url("it names no host"));
        }
        let credentials = (!url.username().is_empty() || url.password().is_some()).then(|| Credentials {
            username: percent::decode_lossy(url.username()),
            password: percent::decode_lossy(url.password().unwrap_or_default()),
        });
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| SourceFault::Url("it cannot carry a user name"))?;
        Ok(Self { url, credentials, ca_file: PathBuf::new() })
    }

    /// The same, trusting the authorities in a file.
    pub(super) fn trusting(self, ca_file: &Path) -> Self {
        Self { ca_file: ca_file.to_owned(), ..self }
    }

    /// Where the RTSP client connects first.
    pub(super) fn place(&self) -> ServerAddress {
        ServerAddress { url: self.url.clone(), credentials: self.credentials.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_and_decoded() {
        let address =
            SourceAddress::parse("rtsp://admin:p%40ss%2fw%C3%B6rd%@192.0.2.7:8554/extron1?x=1").ok().unwrap();
        assert_eq!(address.url.as_str(), "rtsp://192.0.2.7:8554/extron1?x=1");
        let credentials = address.credentials.unwrap();
        assert_eq!((&*credentials.username, &*credentials.password), ("admin", "p@ss/wörd%"));
    }

    #[test]
    fn an_url_without_credentials_has_none() {
        assert!(SourceAddress::parse("rtsp://[::1]/extron1").ok().unwrap().credentials.is_none());
    }

    #[test]
    fn other_urls_are_refused_without_being_repeated() {
        for url in ["http://u:secret@h/", "u:secret@h", "rtsp:///secret", ""] {
            let fault = SourceAddress::parse(url).err().unwrap();
            assert!(!fault.to_string().contains("secret"), "{fault}");
        }
    }
}
