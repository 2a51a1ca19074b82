//! Requests that hyper is not needed for: GETs over HTTP/1.1 without a body.

use std::fmt;

/// The most bytes of a request's header; a longer one is left to hyper.
pub(super) const HEADER_BYTES: usize = 8 * 1024;
/// The most fields of a request's header; hyper takes more.
const FIELDS: usize = 48;

/// The parts of a GET that the fast path looks at.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The path as it was sent, percent-encoding included.
    pub path: &'a str,
    /// The query, without the `?`; empty if there is none.
    pub query: &'a str,
    /// The value of `If-None-Match`, if there is one such field.
    pub if_none_match: Option<&'a [u8]>,
    /// All fields of the header.
    pub fields: &'a [httparse::Header<'a>],
}

impl<'a> Asked<'a> {
    /// The values of the fields of this name, in their order; empty where one is no text.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| str::from_utf8(field.value).unwrap_or_default())
    }
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What the bytes read so far are.
pub(super) enum NextRequest<T> {
    /// The beginning of a request.
    Partial,
    /// Something for others.
    Other,
    /// A request of this many bytes, and what was made of it.
    Whole(usize, T),
}

/// Reads a request, of which `take` makes something unless it is for others.
pub(super) fn next_request<'b, T>(
    bytes: &'b [u8],
    take: impl FnOnce(&httparse::Request<'_, 'b>) -> Option<T>,
) -> NextRequest<T> {
    const GET: &[u8] = b"GET /";
    if !GET.iter().zip(bytes).all(|(expected, byte)| expected == byte) {
        return NextRequest::Other;
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => {
            take(&request).map_or(NextRequest::Other, |made| NextRequest::Whole(used, made))
        }
        Ok(httparse::Status::Partial) => NextRequest::Partial,
        Err(_) => NextRequest::Other,
    }
}

/// The request without its conditions, if it is one that hyper is not needed for.
pub(super) fn plain<'a>(request: &'a httparse::Request<'_, '_>) -> Option<Asked<'a>> {
    // Fields that only hyper handles: bodies, other protocols.
    const OTHERS: [&str; 6] =
        ["content-length", "transfer-encoding", "expect", "upgrade", "http2-settings", "te"];
    if request.version != Some(1) {
        return None;
    }
    let target = request.path?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
    if !query.bytes().all(is_plain) {
        return None;
    }
    let mut hosts = 0;
    for field in request.headers.iter() {
        let name = field.name;
        if OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other)) {
            return None;
        }
        if name.eq_ignore_ascii_case("host") {
            // Any other Host is left to hyper and `host::fault` (RFC 9112 §3.2).
            let is_colon = |byte: &u8| *byte == b':';
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:".contains(byte);
            if !field.value.iter().all(is_plain)
                || !field.value.first().is_some_and(u8::is_ascii_alphanumeric)
                || field.value.iter().position(is_colon) != field.value.iter().rposition(is_colon)
            {
                return None;
            }
            hosts += 1;
        }
        if name.eq_ignore_ascii_case("connection") && !field.value.eq_ignore_ascii_case(b"keep-alive") {
            return None;
        }
    }
    (hosts == 1).then_some(Asked { path, query, if_none_match: None, fields: request.headers })
}
