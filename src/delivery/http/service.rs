//! The tower service that answers HTTP viewers.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::Either;
use http::header::{CONTENT_LENGTH, RANGE, SERVER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};

use super::answer::{self, Answer, FoundFile};
use super::document_cache::DocumentCache;
use super::fault::unserved;
use super::page_cache::PageCache;
use super::route::{ChannelPath, HttpRoute, MountPath};
use super::{PageSettings, Portal, portal, recorded, route};
use crate::delivery::address::{Address, AddressError};
use crate::delivery::door::{AccessAction, AccessRequest, Door, OpenDoor, Protocol};
use crate::delivery::unserved::Unserved;
use crate::delivery::{AnswerCounts, AnswerKind, Audience, Registry};
use amphi_http::{Body, asker, cors, method_refusal};
use amphi_runtime::workshop::Workshop;

/// Answers HTTP viewers of channels, recordings and pages. A tower service; clones share everything but their door and peer.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub(super) registry: Arc<Registry>,
    pub(super) counts: Arc<AnswerCounts>,
    audience: Arc<Audience>,
    pub(super) page_cache: Arc<PageCache>,
    pub(super) made: DocumentCache,
    workshop: Workshop,
    pages: PageSettings,
    portal: Portal,
    door: Arc<dyn Door>,
    peer: Option<SocketAddr>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            registry: Arc::default(),
            counts: Arc::default(),
            audience: Arc::default(),
            page_cache: Arc::default(),
            made: DocumentCache::default(),
            workshop: Workshop::default(),
            pages: PageSettings::default(),
            portal: Portal::default(),
            door: Arc::new(OpenDoor),
            peer: None,
        }
    }
}

impl Delivery {
    /// A service without channels and mounts, which lets everybody in, with these pages.
    pub fn new(pages: PageSettings) -> Self {
        Self { pages, ..Self::default() }
    }

    /// The same with at most `most` segments in pages of the kernel, each of which takes a file descriptor.
    #[must_use]
    pub fn with_pages(self, most: usize) -> Self {
        Self { page_cache: Arc::new(PageCache::new(most)), ..self }
    }

    /// The same, asking another door.
    #[must_use]
    pub fn behind(&self, door: Arc<dyn Door>) -> Self {
        Self { door, ..self.clone() }
    }

    /// The same for the requests of one connection.
    #[must_use]
    pub fn for_peer(&self, peer: SocketAddr) -> Self {
        Self { peer: Some(peer), ..self.clone() }
    }

    /// Counts of the answers, for metrics; other protocols add theirs.
    pub const fn counts(&self) -> &Arc<AnswerCounts> {
        &self.counts
    }

    /// Counts of viewers; other protocols add theirs.
    pub const fn audience(&self) -> &Arc<Audience> {
        &self.audience
    }

    /// The threads that compute costly answers.
    pub const fn workshop(&self) -> &Workshop {
        &self.workshop
    }

    /// The document that the portal polls.
    pub const fn portal(&self) -> &Portal {
        &self.portal
    }

    /// The channels and mounts that it answers for.
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The answer to a request for a channel or a page; the request's content is not read.
    pub fn answer(&self, request: &Parts) -> Response<Body> {
        let begun = Instant::now();
        self.finish(begun, request, self.dispatch(request, self.route(request.uri.path())))
    }

    /// What a path names. A path is read once for each request.
    pub(super) fn route<'a>(&self, path: &'a str) -> Result<HttpRoute<'a>, AddressError> {
        route::parse(path, |app| self.registry.has_mount(app))
    }

    /// Adds what all answers have, and counts the answer.
    fn finish(&self, begun: Instant, request: &Parts, (kind, mut response): Answer) -> Response<Body> {
        let headers = response.headers_mut();
        cors::allow(headers);
        headers.insert(SERVER, HeaderValue::from_static("Amphi"));
        if request.method == Method::HEAD {
            // Removed here, because hyper would send the content over HTTP/2 (RFC 9110 §9.3.2).
            let body = std::mem::take(response.body_mut());
            response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| body.remaining().into());
        }
        self.counts.count(kind, response.body().remaining());
        response.map(|body| body.timed(begun, self.counts.latency(kind)))
    }

    fn dispatch(&self, request: &Parts, route: Result<HttpRoute<'_>, AddressError>) -> Answer {
        if let Some(refusal) = refused_method(request) {
            return refusal;
        }
        if let Some(answer) = self.pages.answer(request, &self.registry) {
            return answer;
        }
        if request.uri.path() == portal::PATH {
            return self.portal.answer(request);
        }
        match route {
            Ok(HttpRoute::CrossDomain) => (AnswerKind::Other, answer::cross_domain(request)),
            Ok(HttpRoute::Channel(path)) => self.channel(request, &path).unwrap_or_else(unserved),
            // Mounts are answered in `call`, which can wait.
            Ok(HttpRoute::Mount(_)) => unserved(Unserved::NotReady),
            Err(error) => unserved(Unserved::Path(error)),
        }
    }

    /// The answer to a request beneath a mount.
    async fn recorded(&self, request: &Parts, path: Result<MountPath, AddressError>) -> Answer {
        if let Some(refusal) = refused_method(request) {
            return refusal;
        }
        let asker = self.peer.and_then(|peer| asker(peer.ip()));
        let path = match path {
            Ok(path) => path,
            Err(error) => return recorded::lost(request, asker, error),
        };
        if let Err(fault) = self.ask(request.uri.query().unwrap_or_default(), &path.address) {
            return unserved(fault);
        }
        match self.registry.mounted(&path.address.app) {
            Some(mount) => recorded::answer(request, &mount.asked_by(asker), &self.made, &path).await,
            None => unserved(Unserved::Channel),
        }
    }

    fn ask(&self, query: &str, address: &Address<'_>) -> Result<(), Unserved> {
        let caller = AccessRequest {
            protocol: Protocol::Http,
            wish: AccessAction::Play(address),
            peer: self.peer,
            query,
        };
        self.door.ask(&caller).map_err(Unserved::Denied)
    }

    fn channel(&self, request: &Parts, path: &ChannelPath<'_>) -> Result<Answer, Unserved> {
        let found = self.find(request.uri.query().unwrap_or_default(), path)?;
        let answer = found.answer(request);
        if request.method == Method::GET {
            self.fetched(path, is_from_the_start(request), answer.1.body().remaining());
        }
        Ok(answer)
    }

    /// What a path names, if the door lets the viewer in.
    pub(super) fn find(&self, query: &str, path: &ChannelPath<'_>) -> Result<FoundFile, Unserved> {
        let ChannelPath { address, file } = path;
        self.ask(query, address)?;
        let channel = self.registry.get(&address.app).ok_or(Unserved::Channel)?;
        let window = channel.window.as_ref().ok_or(Unserved::NotReady)?;
        let selection = channel.select(window, address.stream.as_ref()).ok_or(Unserved::Stream)?;
        answer::find(window, selection, file)
    }

    /// Counts the bytes of a segment that a viewer is sent, and the viewer if the answer `begins` the segment.
    pub(super) fn fetched(&self, path: &ChannelPath<'_>, begins: bool, bytes: usize) {
        if let route::ChannelFile::Segment { rung, k } = &path.file {
            let audience = self.audience.of(&path.address.app);
            if begins {
                audience.fetched(rung, *k);
            }
            audience.sent(rung, bytes);
        }
    }
}

fn refused_method(request: &Parts) -> Option<Answer> {
    let refusal = method_refusal(&request.method)?;
    Some((if refusal.status().is_success() { AnswerKind::Other } else { AnswerKind::Refused }, refusal))
}

/// A player that fetches a segment in parts is one viewer.
fn is_from_the_start(request: &Parts) -> bool {
    request.headers.get(RANGE).is_none_or(|range| range.as_bytes().starts_with(b"bytes=0-"))
}

impl<B> tower::Service<Request<B>> for Delivery {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, Later>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let begun = Instant::now();
        let (parts, _) = request.into_parts();
        match self.route(parts.uri.path()) {
            Ok(HttpRoute::Mount(path)) => {
                let delivery = self.clone();
                Either::Right(Box::pin(async move {
                    let answer = delivery.recorded(&parts, path).await;
                    Ok(delivery.finish(begun, &parts, answer))
                }))
            }
            Ok(HttpRoute::Channel(path)) if self.registry.is_starting(&path.address.app) => {
                let (delivery, path) = (self.clone(), path.into_owned());
                Either::Right(Box::pin(async move {
                    // If it is not in time, the answer is 503 with Retry-After.
                    let _ = delivery.registry.started(&path.address.app).await;
                    let answer = delivery.dispatch(&parts, Ok(HttpRoute::Channel(path)));
                    Ok(delivery.finish(Instant::now(), &parts, answer))
                }))
            }
            route => Either::Left(ready(Ok(self.finish(begun, &parts, self.dispatch(&parts, route))))),
        }
    }
}

/// An answer that waits for its channel, or for a file.
type Later = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;
