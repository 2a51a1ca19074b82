//! What an HTTP hook is asked, in the form that MediaMTX asks in (`authHTTPAddress`), and what its answer means. The request
//! itself, its time limit and the cache are the shell's.
//!
//! ```json
//! {"ip":"192.0.2.7","user":"","password":"","token":"…","action":"read","path":"Live_PAES","protocol":"hls","id":null,"query":"…","userAgent":"…"}
//! ```

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use serde::{Serialize, Serializer};

use super::shown;
use crate::{Credentials, Refusal, Subject};

/// The longest text of a caller that is passed on, in bytes; what is longer is refused, not cut.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HookAction {
    /// Watch a channel.
    Read,
    /// Watch a recording.
    Playback,
    /// Bring a channel's picture and sound.
    Publish,
}

/// A question to a hook. `Debug` shows neither token, password nor query.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookQuestion<'a> {
    #[serde(serialize_with = "display")]
    ip: core::net::IpAddr,
    user: String,
    password: String,
    token: String,
    action: HookAction,
    path: &'a str,
    protocol: &'a str,
    /// MediaMTX's identifier of a session: `null` before there is one.
    id: Option<&'a str>,
    query: &'a str,
    user_agent: &'a str,
}

impl<'a> HookQuestion<'a> {
    /// A question. `protocol` is `hls`, `dash`, `http`, `rtmp` or `rtsp`. Name and password are those of Basic, the token
    /// that of Bearer, else the parameter `token` or `jwt`.
    pub fn new(
        action: HookAction,
        subject: Subject<'a>,
        shown: &Credentials<'a>,
        protocol: &'a str,
        user_agent: &'a str,
    ) -> Result<Self, Refusal> {
        let texts = [shown.query, user_agent, shown.authorization.unwrap_or_default()];
        if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(Refusal::Malformed);
        }
        let (user, password) = basic(shown).unwrap_or_default();
        let token = match shown::bearer(shown) {
            Some(token) => token.to_owned(),
            None => match shown::only(shown.query, "token")? {
                Some(token) => token.into_owned(),
                None => shown::only(shown.query, "jwt")?.unwrap_or_default().into_owned(),
            },
        };
        Ok(Self {
            ip: shown.address.to_canonical(),
            user,
            password,
            token,
            action,
            path: subject.0,
            protocol,
            id: None,
            query: shown.query,
            user_agent,
        })
    }

    /// The body of the request, `application/json`.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What an answer is kept under: a hash of all that is asked, since the hook may decide by any of it.
    pub fn cache_key(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&self.body());
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        key
    }
}

impl fmt::Debug for HookQuestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, path, protocol, .. } = self;
        let mut shown = f.debug_struct("HookQuestion");
        shown.field("action", action).field("path", path).field("protocol", protocol).finish_non_exhaustive()
    }
}

/// What the hook's status means: 2xx lets in, 401 and 403 do not; anything else is no answer, nor is none at all.
pub fn answer(status: u16) -> Result<(), Refusal> {
    match status {
        200..=299 => Ok(()),
        401 | 403 => Err(Refusal::Hook),
        _ => Err(Refusal::Unavailable),
    }
}

/// Name and password (RFC 7617 §2).
fn basic(shown: &Credentials<'_>) -> Option<(String, String)> {
    let (scheme, encoded) = shown.authorization?.trim().split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn display<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(query: &'a str, authorization: Option<&'a str>) -> Credentials<'a> {
        let address = "::ffff:192.0.2.7".parse().expect("an address");
        Credentials {
            scheme: "https",
            authority: "h",
            path: "/Live",
            query,
            authorization,
            cookie: None,
            address,
        }
    }

    fn ask<'a>(query: &'a str, authorization: Option<&'a str>) -> HookQuestion<'a> {
        let shown = shown(query, authorization);
        HookQuestion::new(HookAction::Read, Subject("Live"), &shown, "hls", "VLC").expect("it can be asked")
    }

    #[test]
    fn the_body_is_mediamtxs() {
        let body = String::from_utf8(ask("a=1&token=t%20t", None).body()).expect("text");
        assert_eq!(
            body,
            r#"{"ip":"192.0.2.7","user":"","password":"","token":"t t","action":"read","path":"Live","protocol":"hls","id":null,"query":"a=1&token=t%20t","userAgent":"VLC"}"#
        );
        // Of "ann:a:b".
        let body = String::from_utf8(ask("", Some("Basic YW5uOmE6Yg==")).body()).expect("text");
        assert!(body.contains(r#""user":"ann","password":"a:b","token":"""#), "{body}");
        assert!(
            String::from_utf8(ask("token=t", Some("bearer x")).body())
                .expect("text")
                .contains(r#""token":"x""#)
        );
        assert!(!format!("{:?}", ask("token=hush", None)).contains("hush"));
    }

    #[test]
    fn answers_are_kept_by_all_that_was_asked() {
        assert_eq!(ask("a", None).cache_key(), ask("a", None).cache_key());
        assert_ne!(ask("a", None).cache_key(), ask("b", None).cache_key());
        assert_ne!(ask("a", None).cache_key(), ask("a", Some("Bearer a")).cache_key());
    }

    #[test]
    fn a_status_is_an_answer_or_none() {
        assert_eq!([200, 204, 299].map(answer), [Ok(()); 3]);
        assert_eq!([401, 403].map(answer), [Err(Refusal::Hook); 2]);
        assert_eq!([0, 199, 302, 400, 404, 500].map(answer), [Err(Refusal::Unavailable); 6]);
    }

    #[test]
    fn what_cannot_be_passed_on_whole_is_refused() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for query in [&*long, "token=a&token=b"] {
            let asked = HookQuestion::new(HookAction::Read, Subject("Live"), &shown(query, None), "hls", "");
            assert_eq!(asked.err(), Some(Refusal::Malformed));
        }
    }
}
