//! `GET /api/v1/openapi.json`: the document of this port's routes (OpenAPI 3.1), generated from the code.
//!
//! Each route has its part beside its handler (`#[utoipa::path]`) and is registered with it, so no route is missing. Here
//! is what they share: authentication, and the error answers (RFC 9457).

use std::collections::BTreeMap;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi};

use super::cookie::COOKIE_NAME;
use super::problem::ProblemBody;

/// The document, ready to be sent.
#[derive(Clone)]
pub(super) struct Served(Bytes);

impl Served {
    pub(super) fn new(document: &Document) -> Self {
        Self(document.to_json().unwrap_or_default().into())
    }
}

/// The document without the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Amphi",
        description = "Channels, sources, and which source is on which channel. Every change is answered with the \
                       channel as it is then; every error is a problem document (RFC 9457). Times are RFC 3339."
    ),
    components(schemas(ProblemBody<'static>)),
    modifiers(&Security),
)]
pub(super) struct Base;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE_NAME)));
        components.add_security_scheme("session", cookie);
        let nothing: [&str; 0] = [];
        document.security =
            Some(["token", "session"].map(|name| SecurityRequirement::new(name, nothing)).into());
    }
}

/// The OpenAPI document of this port.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "document", responses(
    (status = 200, description = "The OpenAPI document of this port", body = serde_json::Value), GuardResponses,
))]
pub(super) async fn document(Extension(Served(bytes)): Extension<Served>) -> Response {
    ([(CONTENT_TYPE, "application/json")], bytes).into_response()
}

type Responses = BTreeMap<String, RefOr<utoipa::openapi::Response>>;

fn problems(all: &[(u16, &str)]) -> Responses {
    let problem = |(status, description): &(u16, &str)| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new().description(*description);
        (status.to_string(), response.content("application/problem+json", content).build().into())
    };
    all.iter().map(problem).collect()
}

/// The guard's refusals.
pub(super) struct GuardResponses;

impl IntoResponses for GuardResponses {
    fn responses() -> Responses {
        problems(&[
            (401, "The caller has not authenticated: `WWW-Authenticate` says how"),
            (403, "The caller may not do this"),
            (429, "Too many wrong credentials came from this address: `Retry-After` says how long to wait"),
        ])
    }
}

/// For routes with a name in the path.
pub(super) struct NoSuchName;

impl IntoResponses for NoSuchName {
    fn responses() -> Responses {
        problems(&[(400, "The path or the query cannot be read"), (404, "There is nothing of that name")])
    }
}

/// For routes with a query.
pub(super) struct BadQuery;

impl IntoResponses for BadQuery {
    fn responses() -> Responses {
        problems(&[(400, "The query cannot be read")])
    }
}

/// For what cannot be done twice at the same time.
pub(super) struct Busy;

impl IntoResponses for Busy {
    fn responses() -> Responses {
        problems(&[(409, "It is being done already"), (503, "The server is shutting down")])
    }
}

/// For what has a bound.
pub(super) struct Crowded;

impl IntoResponses for Crowded {
    fn responses() -> Responses {
        problems(&[(
            503,
            "As many are open, or being made, as allowed: `Retry-After` says when to try again",
        )])
    }
}

/// While the server is not ready.
pub(super) struct NotReady;

impl IntoResponses for NotReady {
    fn responses() -> Responses {
        problems(&[(503, "The server is not ready")])
    }
}

/// For routes with a JSON body.
pub(super) struct BadBody;

impl IntoResponses for BadBody {
    fn responses() -> Responses {
        problems(&[
            (400, "The body is not JSON, or the path cannot be read"),
            (408, "The body did not arrive in time"),
            (413, "The body is too long"),
            (415, "The body's Content-Type is not application/json"),
            (422, "The body is JSON of the wrong shape, or with wrong values"),
            (503, "The server is shutting down"),
        ])
    }
}

/// For changes without a body.
pub(super) struct EndingResponses;

impl IntoResponses for EndingResponses {
    fn responses() -> Responses {
        problems(&[(503, "The server is shutting down")])
    }
}

/// Why a reload is refused.
pub(super) struct NotTaken;

impl IntoResponses for NotTaken {
    fn responses() -> Responses {
        problems(&[
            (400, "The body cannot be read"),
            (
                409,
                "It would end what viewers are watching: `detail` lists it, and `{\"confirm\": true}` does it anyway",
            ),
            (413, "The body is too long"),
            (422, "The file has faults; the old configuration stays in effect"),
            (500, "The new configuration was applied only in part"),
            (503, "There is no configuration file, or the server is shutting down"),
        ])
    }
}
