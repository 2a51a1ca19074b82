//! The session's cookie, and the path at which sessions are opened.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

use super::sessions::LIFE;

/// The path at which sessions are opened. The token is in the body, so the guard lets the request pass without one.
pub(super) const PATH: &str = "/api/v1/session";
pub(super) const COOKIE_NAME: &str = "amphi_session";

/// The cookie that binds a sign-in at the OpenID provider to the browser that has begun it.
pub(super) const SIGN_IN_NAME: &str = "amphi_sign_in";

/// The value of the session's cookie in the request (RFC 6265 §5.4).
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    named(headers, COOKIE_NAME)
}

/// `Set-Cookie` of an open session. The page that is shown after a sign-in is no answer to another site, but loads the
/// data itself, so the cookie can be strict.
pub(super) fn session_cookie(value: &str, is_secure: bool) -> String {
    let (seconds, secure) = (LIFE.as_secs(), secure(is_secure));
    format!("{COOKIE_NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// `Set-Cookie` for a sign-in of so many seconds; 0 removes it. `Lax`: the provider's page sends the browser back.
pub(super) fn sign_in_cookie(value: &str, seconds: u64, is_secure: bool) -> String {
    let secure = secure(is_secure);
    format!("{SIGN_IN_NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

const fn secure(is_secure: bool) -> &'static str {
    if is_secure { "; Secure" } else { "" }
}

/// The value of this cookie.
pub(super) fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    let mut pairs = fields.flat_map(|field| field.split(';')).map(str::trim);
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        for (field, value) in [
            ("amphi_session=abc", Some("abc")),
            ("a=b; amphi_session=abc; c=d", Some("abc")),
            ("xamphi_session=abc", None),
            ("amphi_session_id=abc", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(field))]);
            assert_eq!(cookie(&headers), value, "{field}");
        }
    }
}
