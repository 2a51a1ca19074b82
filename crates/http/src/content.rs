//! Answers with content, by the request's method and conditions.

use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

use super::{Body, ETag, Requested, empty, requested_range};
use amphi_media::Segment;

/// The header fields of some content.
#[derive(Clone, Debug)]
pub struct ContentMetadata<'a> {
    /// Value of `Content-Type`: the media type.
    pub content_type: HeaderValue,
    /// Value of `Cache-Control`: how long it may be cached.
    pub cache_control: HeaderValue,
    /// Value of `ETag`; `None` for content that is not revalidated.
    pub etag: Option<&'a ETag>,
}

/// Answers `request` with `bytes`: 304 if the client has them already (RFC 9110 §13.1.2), 206 or 416 if it wants a part
/// (GET only, §14.2), 200 otherwise. HEAD gets the header of the whole and no content (§9.3.2).
pub fn content(request: &Parts, bytes: &Segment, description: ContentMetadata<'_>) -> Response<Body> {
    if description.etag.is_some_and(|etag| etag.is_known_to(&request.headers)) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        describe(&mut response, &description);
        return response;
    }
    let whole = bytes.len();
    let requested = if request.method == Method::GET {
        requested_range(&request.headers, whole)
    } else {
        Requested::Whole
    };
    let mut response = Response::new(Body::empty());
    let (length, body) = match requested {
        Requested::Whole if request.method == Method::HEAD => (whole, Body::empty()),
        Requested::Whole => (whole, Body::from(bytes.pieces())),
        Requested::Part(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let field = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
            content_range(&mut response, field);
            (range.len(), Body::from(bytes.range(range)))
        }
        Requested::Unsatisfiable => {
            let mut response = empty(StatusCode::RANGE_NOT_SATISFIABLE);
            content_range(&mut response, format!("bytes */{whole}"));
            return response;
        }
    };
    *response.body_mut() = body;
    describe(&mut response, &description);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, description.content_type);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

/// The fields that 200 and 304 have in common (RFC 9110 §15.4.5).
fn describe(response: &mut Response<Body>, description: &ContentMetadata<'_>) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, description.cache_control.clone());
    if let Some(etag) = description.etag {
        headers.insert(ETAG, etag.value().clone());
    }
}

fn content_range(response: &mut Response<Body>, field: String) {
    if let Ok(value) = HeaderValue::try_from(field) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use http_body_util::BodyExt;

    use super::*;

    async fn ask(method: &str, headers: &[(&str, &str)]) -> (StatusCode, http::HeaderMap, Bytes) {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).expect("a valid request").into_parts().0;
        let bytes = Segment {
            head: Bytes::from_static(b"head"),
            video: Some(Bytes::from_static(b"picture")),
            audio: Some(Bytes::from_static(b"sound")),
        };
        let etag = ETag::of(b"x");
        let description = ContentMetadata {
            content_type: HeaderValue::from_static("video/mp4"),
            cache_control: HeaderValue::from_static("max-age=1"),
            etag: Some(&etag),
        };
        let response = content(&parts, &bytes, description);
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body.collect().await.expect("infallible").to_bytes())
    }

    #[tokio::test]
    async fn get_and_head_differ_in_the_body_alone() {
        let (status, headers, body) = ask("GET", &[]).await;
        assert_eq!((status, &body[..]), (StatusCode::OK, &b"headpicturesound"[..]));
        assert_eq!(headers[CONTENT_LENGTH], "16");
        let (status, head, body) = ask("HEAD", &[("range", "bytes=0-1")]).await;
        assert_eq!((status, head, body.len()), (StatusCode::OK, headers, 0));
    }

    #[tokio::test]
    async fn a_part_crosses_pieces() {
        let (status, headers, body) = ask("GET", &[("range", "bytes=2-12")]).await;
        assert_eq!((status, &body[..]), (StatusCode::PARTIAL_CONTENT, &b"adpictureso"[..]));
        assert_eq!(headers[CONTENT_RANGE], "bytes 2-12/16");
        assert_eq!(headers[CONTENT_LENGTH], "11");
    }

    #[tokio::test]
    async fn a_part_behind_the_end_is_refused() {
        let (status, headers, body) = ask("GET", &[("range", "bytes=16-")]).await;
        assert_eq!((status, body.len()), (StatusCode::RANGE_NOT_SATISFIABLE, 0));
        assert_eq!(headers[CONTENT_RANGE], "bytes */16");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
    }

    #[tokio::test]
    async fn known_content_is_not_sent_again() {
        let etag = ETag::of(b"x").value().to_str().expect("ASCII").to_owned();
        let (status, headers, body) = ask("GET", &[("if-none-match", &etag)]).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(
            (&headers[ETAG], &headers[CACHE_CONTROL]),
            (&etag.parse().expect("ASCII"), &"max-age=1".parse().expect("ASCII"))
        );
        assert!(!headers.contains_key(CONTENT_LENGTH));
    }
}
