//! `GET /api/v1/openapi.json`: the document of this port's routes (OpenAPI 3.1), generated from the code.
//!
//! Each route says its own part beside its handler (`#[utoipa::path]`) and is registered with it, so no route can be
//! without. Here is what they share: who may ask, and the problems (RFC 9457) that are answered.

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

/// What the document has besides routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Amphi",
        description = "Channels, sources, and which is on which. Every change answers the channel as it is then; \
                       every error is a problem in the sense of RFC 9457. Times are RFC 3339."
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

/// This document.
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

/// What the guard answers instead of the route.
pub(super) struct GuardResponses;

impl IntoResponses for GuardResponses {
    fn responses() -> Responses {
        problems(&[
            (401, "The caller has not shown who it is: `WWW-Authenticate` says what is asked for"),
            (403, "The caller may not do this"),
            (
                429,
                "Too many wrong credentials came from this address: `Retry-After` says when they are judged again",
            ),
        ])
    }
}

/// What a name in the path may lead to.
pub(super) struct NoSuchName;

impl IntoResponses for NoSuchName {
    fn responses() -> Responses {
        problems(&[(400, "The path or the query cannot be read"), (404, "There is nothing of that name")])
    }
}

/// What is wrong with a query.
pub(super) struct BadQuery;

impl IntoResponses for BadQuery {
    fn responses() -> Responses {
        problems(&[(400, "The query cannot be read")])
    }
}

/// What cannot be done twice at once.
pub(super) struct Busy;

impl IntoResponses for Busy {
    fn responses() -> Responses {
        problems(&[(409, "It is being done"), (503, "The server is ending")])
    }
}

/// What has a bound.
pub(super) struct Crowded;

impl IntoResponses for Crowded {
    fn responses() -> Responses {
        problems(&[(
            503,
            "As many are open, or being made, as may be: `Retry-After` says when to come again",
        )])
    }
}

/// Before the server is ready.
pub(super) struct NotReady;

impl IntoResponses for NotReady {
    fn responses() -> Responses {
        problems(&[(503, "Not yet")])
    }
}

/// What is wrong with a body.
pub(super) struct BadBody;

impl IntoResponses for BadBody {
    fn responses() -> Responses {
        problems(&[
            (400, "The body is no JSON, or the path cannot be read"),
            (408, "The body did not come in time"),
            (413, "The body is too long"),
            (415, "The body does not say that it is JSON"),
            (422, "The body is JSON, and not what is wanted"),
            (503, "The server is ending"),
        ])
    }
}

/// What a change without a body may meet.
pub(super) struct EndingResponses;

impl IntoResponses for EndingResponses {
    fn responses() -> Responses {
        problems(&[(503, "The server is ending")])
    }
}

/// Why a configuration is not taken over.
pub(super) struct NotTaken;

impl IntoResponses for NotTaken {
    fn responses() -> Responses {
        problems(&[
            (400, "The body cannot be read"),
            (409, "It would end what people watch: `detail` says what, and `{\"confirm\": true}` does it"),
            (413, "The body is too long"),
            (422, "The file has faults; the old configuration stays"),
            (500, "It was taken over in part"),
            (503, "There is no file, or the server is ending"),
        ])
    }
}
