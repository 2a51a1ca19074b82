//! Where to publish: `rtmp[s]://host[:port]/app[/…]/stream[?query]`; the stream with its query is the secret key.

use std::fmt;

use rml_amf0::Amf0Value;
use url::Url;

use super::fault::{ServerFault, text_of};

/// IANA's port for RTMP, and the usual one for RTMPS.
const PORT: u16 = 1935;
const TLS_PORT: u16 = 443;
const MASK: &str = "…";
/// How many characters of a server's message are repeated.
const WORDS_MAX: usize = 300;

/// The parts of an RTMP URL. `Debug` shows neither stream nor query.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    tls: bool,
    app: String,
    stream: String,
    /// All texts that must not be shown, the longest first.
    secrets: Vec<String>,
}

/// What is wrong with a URL to publish to. The operator is at fault. The URL is not repeated, since it holds a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is not a URL, or has no host.
    #[error("this is not a URL of the form rtmp://host/app/stream")]
    Form,
    /// It has another scheme than `rtmp` or `rtmps`.
    #[error("the URL must begin with rtmp:// or rtmps://")]
    Scheme,
    /// It lacks an application or a stream.
    #[error("the URL must name an application and a stream: rtmp://host/app/stream")]
    Path,
    /// It has `user:password@`.
    #[error("a user and password in the URL are not supported; servers take a key in the stream's name")]
    Credentials,
}

impl Target {
    /// Parses a URL; spaces around it are ignored.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let url = Url::parse(text.trim()).map_err(|_| TargetError::Form)?;
        let tls = match url.scheme() {
            "rtmp" => false,
            "rtmps" => true,
            _ => return Err(TargetError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Credentials);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(TargetError::Form)?.to_owned();
        let path = url.path().trim_start_matches('/');
        let (app, name) = path.rsplit_once('/').ok_or(TargetError::Path)?;
        if app.is_empty() || name.is_empty() {
            return Err(TargetError::Path);
        }
        let query = url.query().unwrap_or_default();
        let stream = if query.is_empty() { name.to_owned() } else { format!("{name}?{query}") };
        let port = url.port().unwrap_or(if tls { TLS_PORT } else { PORT });
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let mut secrets: Vec<String> =
            [&stream[..], name, query].into_iter().chain(values).map(str::to_owned).collect();
        let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
        secrets.extend(decoded);
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(Self { host, port, tls, app: app.to_owned(), stream, secrets })
    }

    /// Name or address of the host; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port: the one in the URL, or 1935, or 443 with TLS.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether RTMP is spoken inside TLS (`rtmps`).
    pub const fn tls(&self) -> bool {
        self.tls
    }

    pub(in crate::rtmp) fn app(&self) -> &str {
        &self.app
    }

    /// The stream's name with its query. It is secret.
    pub(in crate::rtmp) fn stream(&self) -> &str {
        &self.stream
    }

    /// The URL of the application, for the tcUrl of `connect` (RTMP 1.0 §7.2.1.1).
    pub(in crate::rtmp) fn tc_url(&self) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        format!("{scheme}://{}:{}/{}", self.host, self.port, self.app)
    }

    /// In the server's words, on one line, with every occurrence of the key masked.
    pub(in crate::rtmp) fn refused(&self, arguments: &[Amf0Value]) -> ServerFault {
        let words: Vec<_> =
            ["code", "description"].into_iter().filter_map(|name| text_of(arguments, name)).collect();
        let words = if words.is_empty() { "it does not say why".to_owned() } else { words.join(": ") };
        let words = self.mask(&words);
        ServerFault::Refused(words.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect())
    }

    /// `words` without the key.
    fn mask(&self, words: &str) -> String {
        self.secrets.iter().fold(words.to_owned(), |words, secret| words.replace(secret, MASK))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{MASK}", self.tc_url())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let target = Target::parse("rtmp://a.rtmp.example.org/live2/abcd-key?token=x%2By").expect("an URL");
        assert_eq!((target.host(), target.port(), target.tls()), ("a.rtmp.example.org", 1935, false));
        assert_eq!((target.app(), target.stream()), ("live2", "abcd-key?token=x%2By"));
        assert_eq!(format!("{target:?}"), "rtmp://a.rtmp.example.org:1935/live2/…");
        let target = Target::parse("rtmps://[::1]/app/inst/name").expect("an URL");
        assert_eq!((target.host(), target.port(), target.tls()), ("[::1]", 443, true));
        assert_eq!((target.app(), target.stream()), ("app/inst", "name"));
    }

    #[test]
    fn faults_are_named() {
        for (text, expected) in [
            ("live/key", TargetError::Form),
            ("rtmp:///app/key", TargetError::Form),
            ("rtsp://host/app/key", TargetError::Scheme),
            ("rtmp://host/key", TargetError::Path),
            ("rtmp://host/app/", TargetError::Path),
            ("rtmp://user:pw@host/app/key", TargetError::Credentials),
        ] {
            assert_eq!(Target::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn every_form_of_the_key_is_masked() {
        let target = Target::parse("rtmp://host/app/abcd-key?token=x%2By").expect("an URL");
        for words in ["abcd-key?token=x%2By", "abcd-key", "x%2By", "x+y", "token=x%2By"] {
            let masked = target.mask(&format!("stream {words} is taken"));
            assert_eq!(masked, "stream … is taken", "{words}");
        }
    }
}
