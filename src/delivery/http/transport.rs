//! What viewers are told of TLS: to keep to it, to come back inside it; and proofs for an authority that a name is ours.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, HOST, HeaderName, LOCATION, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::answer::Answer;
use crate::delivery::AnswerKind;
use amphi_http::{Body, append_field, empty};
use amphi_media::Lock;

/// Where an authority looks for a proof (RFC 8555 §8.3).
const PROOF_PATH: &str = "/.well-known/acme-challenge/";

/// What viewers are told of TLS; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsPolicy {
    /// So many seconds browsers are to keep to HTTPS (RFC 6797 §6.1.1); 0 = they are told nothing.
    pub hsts_s: u32,
    /// The port of HTTPS that viewers of plain HTTP are sent to.
    pub redirect_to: Option<u16>,
}

/// How one connection's requests come, and what is told because of that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TlsTelling {
    pub(super) policy: TlsPolicy,
    pub(super) is_secure: bool,
}

/// Files for an authority that asks for them. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct AcmeProofs(Arc<Lock<HashMap<String, String>>>);

impl AcmeProofs {
    /// Shows `proof` under the name `token`.
    pub fn show(&self, token: &str, proof: &str) {
        self.0.lock().insert(token.to_owned(), proof.to_owned());
    }

    /// Shows it no more.
    pub fn hide(&self, token: &str) {
        self.0.lock().remove(token);
    }

    /// The answer to a request for a proof that there is.
    pub(super) fn answer(&self, request: &Parts) -> Option<Answer> {
        let token = request.uri.path().strip_prefix(PROOF_PATH)?;
        let proof = self.0.lock().get(token).cloned()?;
        let mut response = Response::new(Body::from(bytes::Bytes::from(proof)));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some((AnswerKind::Other, response))
    }
}

impl TlsTelling {
    /// Whether viewers at `peer` are sent elsewhere. Not from loopback: health probes come from there, and the viewers of a
    /// proxy on this machine, which has seen to TLS itself.
    pub(super) fn redirects(&self, peer: Option<SocketAddr>) -> Option<u16> {
        let is_near = peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback());
        self.policy.redirect_to.filter(|_| !self.is_secure && !is_near)
    }

    /// The redirect, for who is sent elsewhere and says which host it wanted (RFC 9110 §15.4.9).
    pub(super) fn redirect(&self, peer: Option<SocketAddr>, request: &Parts) -> Option<Answer> {
        let port = self.redirects(peer)?;
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return None;
        }
        let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host: Authority = match host {
            Some(host) => host.parse().ok()?,
            None => request.uri.authority()?.clone(),
        };
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        let location = format!("https://{}{port}{path}", host.host());
        let mut response = empty(StatusCode::PERMANENT_REDIRECT);
        response.headers_mut().insert(LOCATION, HeaderValue::try_from(location).ok()?);
        // It ends with the setting.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some((AnswerKind::Other, response))
    }

    fn field(&self) -> Option<(HeaderName, HeaderValue)> {
        let Self { policy: TlsPolicy { hsts_s, .. }, is_secure } = self;
        if !is_secure || *hsts_s == 0 {
            return None;
        }
        let value = HeaderValue::try_from(format!("max-age={hsts_s}")).ok()?;
        Some((STRICT_TRANSPORT_SECURITY, value))
    }

    /// Adds what all answers have inside TLS (RFC 6797 §7.2: only there).
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        if let Some((name, value)) = self.field() {
            headers.insert(name, value);
        }
    }

    /// As [`TlsTelling::add_to`], to a head that is bytes.
    pub(super) fn append_to(&self, head: &mut Vec<u8>) {
        if let Some((name, value)) = self.field() {
            append_field(head, name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(method: Method, uri: &str, host: Option<&str>) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn viewers_of_plain_http_are_sent_to_the_same_place_inside_tls() {
        let transport =
            TlsTelling { policy: TlsPolicy { redirect_to: Some(443), hsts_s: 0 }, is_secure: false };
        let peer = Some(SocketAddr::from(([192, 0, 2, 1], 5)));
        let to = |transport: TlsTelling, peer, request: &Parts| {
            let (_, response) = transport.redirect(peer, request)?;
            assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
            Some(response.headers()[LOCATION].to_str().expect("ASCII").to_owned())
        };
        let get = request(Method::GET, "/Live/live/playlist.m3u8?t=1", Some("live.example.org:8080"));
        let there = "https://live.example.org/Live/live/playlist.m3u8?t=1";
        assert_eq!(to(transport, peer, &get).as_deref(), Some(there));
        let other = TlsTelling { policy: TlsPolicy { redirect_to: Some(8443), hsts_s: 0 }, ..transport };
        let v6 = request(Method::HEAD, "/", Some("[2001:db8::1]"));
        assert_eq!(to(other, peer, &v6).as_deref(), Some("https://[2001:db8::1]:8443/"));
        for (transport, peer, request) in [
            (TlsTelling { is_secure: true, ..transport }, peer, &get),
            (transport, Some(SocketAddr::from(([127, 0, 0, 1], 5))), &get),
            (transport, peer, &request(Method::POST, "/", Some("a"))),
            (transport, peer, &request(Method::GET, "/", None)),
            (transport, peer, &request(Method::GET, "/", Some("a b"))),
            (TlsTelling::default(), peer, &get),
        ] {
            assert_eq!(to(transport, peer, request), None);
        }
    }

    #[test]
    fn browsers_are_told_to_keep_to_tls_inside_tls_alone() {
        let policy = TlsPolicy { hsts_s: 60, redirect_to: None };
        for (is_secure, policy, told) in
            [(true, policy, 1), (false, policy, 0), (true, TlsPolicy::default(), 0)]
        {
            let (mut headers, mut head) = (HeaderMap::new(), Vec::new());
            let transport = TlsTelling { policy, is_secure };
            transport.add_to(&mut headers);
            transport.append_to(&mut head);
            assert_eq!((headers.len(), head.is_empty()), (told, told == 0));
        }
    }
}
