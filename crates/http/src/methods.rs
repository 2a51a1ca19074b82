//! The methods that media answers.

use http::header::ALLOW;
use http::{Method, Response, StatusCode};

use super::refusal::problem;
use super::{Body, cors};

/// The answer that a method gets before anybody looks at the path: none for GET and HEAD, 204 for OPTIONS,
/// 405 for all others.
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
