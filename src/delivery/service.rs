//! Requests in, answers out.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, SERVER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};

use super::answer::{self, Answer};
use super::fault::Fault;
use super::route::{ChannelPath, Route};
use super::{Counts, Kind, Registry, route};
use crate::http::{Body, cors, method_refusal};

/// Answers viewers. A tower service; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    registry: Arc<Registry>,
    counts: Arc<Counts>,
}

impl Delivery {
    /// What was answered so far.
    pub const fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// The channels that it answers for.
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The answer to a request; its content is not read.
    pub fn answer(&self, request: &Parts) -> Response<Body> {
        let (kind, mut response) = self.dispatch(request);
        let headers = response.headers_mut();
        cors::allow(headers);
        headers.insert(SERVER, HeaderValue::from_static("Amphi"));
        if request.method == Method::HEAD {
            // Said here, because hyper would send the content on HTTP/2 (RFC 9110 §9.3.2).
            let body = std::mem::take(response.body_mut());
            response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| body.remaining().into());
        }
        self.counts.count(kind, response.body().remaining());
        response
    }

    fn dispatch(&self, request: &Parts) -> Answer {
        if let Some(refusal) = method_refusal(&request.method) {
            let kind = if refusal.status().is_success() { Kind::Other } else { Kind::Refused };
            return (kind, refusal);
        }
        match route::parse(request.uri.path()) {
            Ok(Route::CrossDomain) => (Kind::Other, answer::cross_domain(request)),
            Ok(Route::Channel(path)) => self.channel(request, &path).unwrap_or_else(Fault::answer),
            Err(error) => Fault::Path(error).answer(),
        }
    }

    fn channel(&self, request: &Parts, path: &ChannelPath) -> Result<Answer, Fault> {
        let channel = self.registry.get(&path.app).ok_or(Fault::Channel)?;
        let shelf = channel.shelf.as_ref().ok_or(Fault::NotReady)?;
        let selection = channel.select(shelf, path.stream.as_ref()).ok_or(Fault::Stream)?;
        answer::file(request, shelf, selection, &path.file)
    }
}

impl<B> tower::Service<Request<B>> for Delivery {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, _) = request.into_parts();
        ready(Ok(self.answer(&parts)))
    }
}
