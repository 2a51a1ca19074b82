//! The URLs of a presentation and of its media (RFC 2326 appendix C.1.1), and redirects (RFC 2326 §11.3).
//!
//! The base is the first of `Content-Base`, `Content-Location` and the request's URL (RFC 2326 §C.1.1). `a=control` is
//! appended after a slash, not resolved by RFC 3986, because encoders mean it so, even after a query.
//!
//! Redirects may lead to `rtsp` URLs only. Credentials are kept only if the host is the one that they were configured for. The
//! URL in `Location` may bring its own.

use url::Url;

use super::auth::Credentials;
use super::message::Headers;
use amphi_media::percent;

/// How many redirects are followed in a row.
pub const MOST_REDIRECTS: u32 = 5;
const LONGEST: usize = 2048;

/// The URL that relative ones are resolved against.
pub(super) fn base(request: &Url, headers: &Headers) -> Url {
    ["Content-Base", "Content-Location"]
        .iter()
        .filter_map(|name| headers.get(name))
        .filter(|text| !text.is_empty() && text.len() <= LONGEST)
        .find_map(|text| parse(text).or_else(|| request.join(text).ok().filter(is_rtsp)))
        .map_or_else(|| request.clone(), |url| without_credentials(&url))
}

/// The URL of a medium, or of the whole presentation.
pub(super) fn control(base: &Url, control: Option<&str>) -> Url {
    let Some(control) = control.map(str::trim).filter(|control| !matches!(*control, "" | "*")) else {
        return base.clone();
    };
    if control.len() > LONGEST {
        return base.clone();
    }
    if let Some(absolute) = parse(control) {
        return without_credentials(&absolute);
    }
    // Exactly one slash between them, unless a query follows.
    let (start, end) = (base.as_str().trim_end_matches('/'), control.trim_start_matches('/'));
    let text = if control.starts_with('?') { format!("{start}{end}") } else { format!("{start}/{end}") };
    Url::parse(&text).unwrap_or_else(|_| base.clone())
}

/// Where a presentation is, and the credentials for it.
#[derive(Clone)]
pub struct ServerAddress {
    /// Its `rtsp` URL, without credentials.
    pub url: Url,
    /// The credentials to answer challenges with.
    pub credentials: Option<Credentials>,
}

impl ServerAddress {
    /// The place that `location`, a redirect from here, leads to. The credentials belong to the host of `home`. Fails with the end
    /// of the sentence "the encoder redirects ...".
    pub fn moved(&self, home: &Self, location: &str) -> Result<Self, &'static str> {
        let location = location.trim();
        if location.is_empty() || location.len() > LONGEST {
            return Err("without saying where to");
        }
        let url = parse(location).or_else(|| self.url.join(location).ok()).ok_or("to an invalid URL")?;
        if !is_rtsp(&url) || url.host_str().is_none_or(str::is_empty) {
            return Err("to something that is no rtsp:// URL");
        }
        if home.url.scheme() == "rtsps" && url.scheme() != "rtsps" {
            return Err("from rtsps:// to rtsp://, where everything would be in the clear");
        }
        let own = (!url.username().is_empty()).then(|| Credentials {
            username: percent::decode_lossy(url.username()),
            password: percent::decode_lossy(url.password().unwrap_or_default()),
        });
        let same_host = host(&url) == host(&home.url);
        let credentials = own.or_else(|| home.credentials.clone().filter(|_| same_host));
        Ok(Self { url: without_credentials(&url), credentials })
    }
}

fn host(url: &Url) -> Option<String> {
    url.host_str().map(str::to_ascii_lowercase)
}

fn parse(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(is_rtsp)
}

fn is_rtsp(url: &Url) -> bool {
    matches!(url.scheme(), "rtsp" | "rtsps")
}

fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    // Fails for URLs that cannot have any.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn controls_are_appended() {
        for (base, said, wanted) in [
            ("rtsp://h/extron1", Some("trackID=0"), "rtsp://h/extron1/trackID=0"),
            ("rtsp://h/extron1/", Some("trackID=0"), "rtsp://h/extron1/trackID=0"),
            ("rtsp://h/extron1/", Some("/trackID=0"), "rtsp://h/extron1/trackID=0"),
            ("rtsp://h/extron1", Some("/trackID=0"), "rtsp://h/extron1/trackID=0"),
            ("rtsp://h/cam?channel=1", Some("trackID=0"), "rtsp://h/cam?channel=1/trackID=0"),
            ("rtsp://h/cam", Some("?track=0&x=1"), "rtsp://h/cam?track=0&x=1"),
            ("rtsp://h/cam/", Some("rtsp://u:p@h:8554/other/1?x"), "rtsp://h:8554/other/1?x"),
            ("rtsp://h/cam/", Some("*"), "rtsp://h/cam/"),
            ("rtsp://h/cam/", Some(" "), "rtsp://h/cam/"),
            ("rtsp://h/cam/", None, "rtsp://h/cam/"),
        ] {
            assert_eq!(control(&url(base), said).as_str(), wanted, "{base} {said:?}");
        }
    }

    #[test]
    fn redirects_keep_credentials_at_their_host() {
        let home = ServerAddress {
            url: url("rtsp://hall1:554/a/b"),
            credentials: Some(Credentials { username: "u".into(), password: "secret".into() }),
        };
        for (location, wanted, keeps) in [
            ("rtsp://hall1:8554/c", "rtsp://hall1:8554/c", true),
            ("rtsp://HALL1/c", "rtsp://HALL1/c", true),
            ("/c?x=1", "rtsp://hall1:554/c?x=1", true),
            ("c", "rtsp://hall1:554/a/c", true),
            ("rtsp://hall2/c", "rtsp://hall2/c", false),
            ("rtsp://me:mine@hall2/c", "rtsp://hall2/c", true),
            ("rtsps://hall1/c", "rtsps://hall1/c", true),
        ] {
            let moved = home.moved(&home, location).ok().unwrap();
            assert_eq!((moved.url.as_str(), moved.credentials.is_some()), (wanted, keeps), "{location}");
        }
        for location in ["http://hall1/c", "file:///etc/passwd", "", "rtsp:///c"] {
            assert!(home.moved(&home, location).is_err(), "{location}");
        }
        // What began inside TLS stays there.
        let home = ServerAddress { url: url("rtsps://hall1/a"), ..home };
        assert!(home.moved(&home, "rtsps://hall2/c").is_ok() && home.moved(&home, "/c").is_ok());
        assert!(home.moved(&home, "rtsp://hall1/c").is_err());
    }
}
