//! Which host a request is addressed to, and which site's page sends it.
//!
//! * HTTP/1.1 requires exactly one valid `Host` (RFC 9112 §3.2); HTTP/2 has `:authority`, which a `Host` must not
//!   contradict (RFC 9113 §8.3.1).
//! * A port without credentials listens on loopback, but a browser on this machine also sends requests of other sites' pages
//!   there. Two things give them away. Where another site's name was made to point here (DNS rebinding), the request has
//!   that name as its `Host`. Otherwise `Origin` and `Sec-Fetch-Site` say that it comes from another site. Browsers send
//!   these by themselves; other programs need not send any of them.

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Request, Uri, Version};

/// The message for requests that [`is_local`] refuses.
pub const LOCAL_RULE: &str = "without credentials this port answers only under a loopback name, such as localhost, and \
                              to no page of another site; to use it under another name, configure credentials";

/// Why the host of a request is not valid (400).
pub(super) fn fault<B>(request: &Request<B>) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next().is_some());
    if more {
        return Some("more than one Host\n");
    }
    let Some(host) = host else {
        return (request.version() == Version::HTTP_11).then_some("HTTP/1.1 requires a Host\n");
    };
    // Empty where the target has no authority (RFC 9112 §3.2).
    let named = host.as_bytes();
    let authority = Authority::try_from(named).ok().filter(|_| !named.contains(&b'@'));
    if authority.is_none() && !named.is_empty() {
        return Some("the Host is not valid\n");
    }
    let is_other = request.version() == Version::HTTP_2 && request.uri().authority() != authority.as_ref();
    is_other.then_some("Host and :authority differ\n")
}

/// Whether the request is addressed to a loopback name or one of `names`, and comes from this port's own page or from a
/// program that is no browser.
pub fn is_local(uri: &Uri, headers: &HeaderMap, names: &[Authority]) -> bool {
    let mut addressed = headers.get_all(HOST).iter().map(|host| Authority::try_from(host.as_bytes()).ok());
    let target = uri.authority().cloned().map(Some);
    let is_ours = |named: Option<Authority>| named.is_some_and(|it| is_loopback(&it) || is_named(&it, names));
    let all_ours = addressed.by_ref().chain(target).all(is_ours);
    all_ours && (!headers.contains_key(ORIGIN) || is_origin_host(uri, headers)) && !is_cross_site(headers)
}

fn is_named(authority: &Authority, names: &[Authority]) -> bool {
    names.iter().any(|name| name.host().eq_ignore_ascii_case(authority.host())) && !has_user(authority)
}

/// Whether another site's page made the browser send this (Fetch Metadata §2.3). Following a link (`navigate`) is allowed.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|it| it == value);
    is("sec-fetch-site", "cross-site") && !is("sec-fetch-mode", "navigate")
}

/// Whether the browser says that the request comes from a page of this port, by `Sec-Fetch-Site` (Fetch Metadata §2.3), or
/// by `Origin` (RFC 6454 §7) in older browsers.
pub fn is_of_page(uri: &Uri, headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => is_origin_host(uri, headers),
    }
}

/// Whether there is exactly one `Origin` and it names the request's host.
fn is_origin_host(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else { return false };
    let origin = Uri::try_from(origin.as_bytes()).ok().and_then(|uri| uri.authority().cloned());
    origin.is_some() && origin == host(uri, headers)
}

/// The host and port: of HTTP/2 in `:authority`, of HTTP/1.1 in `Host`.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok()),
    }
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.eq_ignore_ascii_case("localhost")
        || host.parse::<core::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    is_loopback && !has_user(authority)
}

fn has_user(authority: &Authority) -> bool {
    authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().version(version).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request")
    }

    #[test]
    fn one_host_is_demanded_and_it_must_make_sense() {
        for (version, uri, hosts, good) in [
            (Version::HTTP_11, "/", &["localhost:8089"][..], true),
            (Version::HTTP_11, "/", &["[::1]:80"], true),
            (Version::HTTP_11, "/", &[""], true),
            (Version::HTTP_11, "/", &[], false),
            (Version::HTTP_11, "/", &["a", "a"], false),
            (Version::HTTP_11, "/", &["a b"], false),
            (Version::HTTP_11, "/", &["a/b"], false),
            (Version::HTTP_11, "/", &["user@a"], false),
            (Version::HTTP_11, "http://b/", &["a"], true),
            (Version::HTTP_10, "/", &[], true),
            (Version::HTTP_10, "/", &["a", "b"], false),
            (Version::HTTP_2, "http://a/", &[], true),
            (Version::HTTP_2, "http://a/", &["a"], true),
            (Version::HTTP_2, "http://a/", &["b"], false),
        ] {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            let fault = fault(&request(version, uri, &headers));
            assert_eq!(fault.is_none(), good, "{version:?} {uri} {hosts:?}: {fault:?}");
        }
    }

    fn local(uri: &str, headers: &[(&str, &str)]) -> bool {
        let request = request(Version::HTTP_11, uri, headers);
        is_local(request.uri(), request.headers(), &["live.example.org".parse().expect("a name")])
    }

    #[test]
    fn loopback_names_are_local_and_what_looks_like_them_is_not() {
        for host in [
            "localhost",
            "localhost:8089",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8089",
            "[::ffff:127.0.0.1]",
            "live.example.org",
            "live.example.org:443",
        ] {
            assert!(local("/", &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil.example@localhost",
            "xlive.example.org",
            "192.0.2.1",
            "[::2]",
            "0.0.0.0",
            "a b",
            "127.1",
            "2130706433",
        ] {
            assert!(!local("/", &[("host", host)]), "{host}");
        }
        assert!(local("/", &[]), "a program of old");
        assert!(!local("http://evil.example/", &[("host", "localhost")]));
        assert!(!local("http://localhost/", &[("host", "evil.example")]));
        assert!(!local("/", &[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn pages_of_other_places_are_told_by_their_origin() {
        let host = ("host", "localhost:8089");
        assert!(local("/", &[host, ("origin", "http://localhost:8089")]));
        for origin in [
            "null",
            "http://evil.example",
            "http://localhost",
            "http://localhost:1",
            "http://127.0.0.1:8089",
            "file://",
            "",
            "localhost:8089x",
        ] {
            assert!(!local("/", &[host, ("origin", origin)]), "{origin}");
        }
        let twice = [host, ("origin", "http://localhost:8089"), ("origin", "http://evil.example")];
        assert!(!local("/", &twice));
        assert!(!local("/", &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]));
        assert!(
            local("/", &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]),
            "a link"
        );
        assert!(local("/", &[host, ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]));
    }
}
