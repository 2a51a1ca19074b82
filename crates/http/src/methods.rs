//! The methods that media URLs answer.

use http::header::ALLOW;
use http::{Method, Response, StatusCode};

use super::refusal::problem;
use super::{Body, cors};

/// The answer that a method gets whatever the path is: none for GET and HEAD, 204 for OPTIONS (a CORS preflight), 405 with
/// `Allow` for all others (RFC 9110 §15.5.6).
pub fn method_refusal(method: &Method) -> Option<Response<Body>> {
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => Some(cors::preflight()),
        _ => {
            let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "media is read with GET and HEAD");
            response.headers_mut().insert(ALLOW, cors::METHODS);
            Some(response)
        }
    }
}
