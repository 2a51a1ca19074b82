//! Requests in, answers out.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::Either;
use http::header::{CONTENT_LENGTH, RANGE, SERVER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};

use super::answer::{self, Answer, Found};
use super::fault::Fault;
use super::made::Made;
use super::route::{ChannelPath, Route, Stream};
use super::vault::Vault;
use super::{Pages, Portal, portal, recorded, route};
use crate::delivery::door::{Caller, Door, OpenDoor, Protocol, Wish};
use crate::delivery::{Audience, Counts, Kind, Registry};
use crate::http::{Body, asker, cors, method_refusal};
use crate::vod::Mount;
use crate::workshop::Workshop;

/// How long a request waits for a channel that is being started.
const WARM_UP: Duration = Duration::from_secs(4);

/// Answers viewers. A tower service; clones share everything but their door and peer.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub(super) registry: Arc<Registry>,
    pub(super) counts: Arc<Counts>,
    audience: Arc<Audience>,
    pub(super) vault: Arc<Vault>,
    pub(super) made: Made,
    workshop: Workshop,
    pages: Pages,
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
            vault: Arc::default(),
            made: Made::default(),
            workshop: Workshop::default(),
            pages: Pages::default(),
            portal: Portal::default(),
            door: Arc::new(OpenDoor),
            peer: None,
        }
    }
}

impl Delivery {
    /// For nobody yet, with these pages.
    pub fn new(pages: Pages) -> Self {
        Self { pages, ..Self::default() }
    }

    /// The same with at most so many segments in pages of the kernel, each of which takes a descriptor.
    #[must_use]
    pub fn with_pages(self, most: usize) -> Self {
        Self { vault: Arc::new(Vault::new(most)), ..self }
    }

    /// The same behind another door.
    #[must_use]
    pub fn behind(&self, door: Arc<dyn Door>) -> Self {
        Self { door, ..self.clone() }
    }

    /// The same for the requests of one connection.
    #[must_use]
    pub fn for_peer(&self, peer: SocketAddr) -> Self {
        Self { peer: Some(peer), ..self.clone() }
    }

    /// What was answered so far.
    pub const fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Who watches.
    pub const fn audience(&self) -> &Arc<Audience> {
        &self.audience
    }

    /// Where answers are computed that cost something.
    pub const fn workshop(&self) -> &Workshop {
        &self.workshop
    }

    /// What the portal polls.
    pub const fn portal(&self) -> &Portal {
        &self.portal
    }

    /// The channels that it answers for.
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The answer to a request for a channel; its content is not read.
    pub fn answer(&self, request: &Parts) -> Response<Body> {
        let begun = Instant::now();
        self.finish(begun, request, self.dispatch(request))
    }

    /// What all answers have.
    fn finish(&self, begun: Instant, request: &Parts, (kind, mut response): Answer) -> Response<Body> {
        let headers = response.headers_mut();
        cors::allow(headers);
        headers.insert(SERVER, HeaderValue::from_static("Amphi"));
        if request.method == Method::HEAD {
            // Said here, because hyper would send the content on HTTP/2 (RFC 9110 §9.3.2).
            let body = std::mem::take(response.body_mut());
            response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| body.remaining().into());
        }
        self.counts.count(kind, response.body().remaining());
        response.map(|body| body.timed(begun, self.counts.latency(kind)))
    }

    fn dispatch(&self, request: &Parts) -> Answer {
        if let Some(refusal) = method_refusal(&request.method) {
            let kind = if refusal.status().is_success() { Kind::Other } else { Kind::Refused };
            return (kind, refusal);
        }
        if let Some(answer) = self.pages.answer(request, &self.registry) {
            return answer;
        }
        if request.uri.path() == portal::PATH {
            return self.portal.answer(request);
        }
        match route::parse(request.uri.path()) {
            Ok(Route::CrossDomain) => (Kind::Other, answer::cross_domain(request)),
            Ok(Route::Channel(path)) => self.channel(request, &path).unwrap_or_else(Fault::answer),
            Err(error) => Fault::Path(error).answer(),
        }
    }

    fn ask(&self, query: &str, app: &str, stream: &str) -> Result<(), Fault> {
        let Self { peer, .. } = *self;
        let caller = Caller { protocol: Protocol::Http, wish: Wish::Play, peer, app, stream, query };
        self.door.ask(&caller).map_err(Fault::Refused)
    }

    fn channel(&self, request: &Parts, path: &ChannelPath<'_>) -> Result<Answer, Fault> {
        let found = self.find(request.uri.query().unwrap_or_default(), path)?;
        let answer = found.answer(request);
        if request.method == Method::GET {
            self.fetched(path, is_from_the_start(request), answer.1.body().remaining());
        }
        Ok(answer)
    }

    /// What a path names, for whom the door lets in.
    pub(super) fn find(&self, query: &str, path: &ChannelPath<'_>) -> Result<Found, Fault> {
        let stream = path.stream.as_ref().map_or("", |(Stream::Name(name) | Stream::Group(name))| name);
        self.ask(query, &path.app, stream)?;
        let channel = self.registry.get(&path.app).ok_or(Fault::Channel)?;
        let shelf = channel.shelf.as_ref().ok_or(Fault::NotReady)?;
        let selection = channel.select(shelf, path.stream.as_ref()).ok_or(Fault::Stream)?;
        answer::find(shelf, selection, &path.file)
    }

    /// Counts what a viewer is sent of what a path names, and the viewer, who `begins` with it.
    pub(super) fn fetched(&self, path: &ChannelPath<'_>, begins: bool, bytes: usize) {
        if let route::File::Segment { rung, k } = &path.file {
            if begins {
                self.audience.fetched(&path.app, rung, *k);
            }
            self.audience.sent(&path.app, rung, bytes);
        }
    }
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
        let (parts, _) = request.into_parts();
        if let Some(mount) = self.mount_of(&parts) {
            let delivery = self.clone();
            return Either::Right(Box::pin(async move {
                let begun = Instant::now();
                let (app, stream) = recorded::asked(parts.uri.path());
                let query = parts.uri.query().unwrap_or_default();
                let answer = match (method_refusal(&parts.method), delivery.ask(query, &app, &stream)) {
                    (Some(_), _) => delivery.dispatch(&parts),
                    (None, Err(fault)) => fault.answer(),
                    (None, Ok(())) => recorded::answer(&parts, &mount, &delivery.made).await,
                };
                Ok(delivery.finish(begun, &parts, answer))
            }));
        }
        if self.is_warming_up(&parts) {
            let delivery = self.clone();
            return Either::Right(Box::pin(async move {
                delivery.warm_up(&parts).await;
                Ok(delivery.answer(&parts))
            }));
        }
        Either::Left(ready(Ok(self.answer(&parts))))
    }
}

/// An answer that waits for its channel, or for a file.
type Later = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Delivery {
    /// The mount that the path begins with.
    fn mount_of(&self, request: &Parts) -> Option<Mount> {
        let name = request.uri.path().strip_prefix('/')?.split('/').next()?;
        let asker = self.peer.and_then(|peer| asker(peer.ip()));
        self.registry.mounted(name).map(|mount| mount.asked_by(asker))
    }

    /// The channel asked for exists, but its waiting loop is still being coded.
    fn is_warming_up(&self, request: &Parts) -> bool {
        let Ok(Route::Channel(path)) = route::parse(request.uri.path()) else { return false };
        self.registry.get(&path.app).is_some_and(|channel| channel.shelf.is_none())
    }

    /// Waits until the channel is there, but not for long: players that ask a server which has just started again
    /// would take a quick refusal for the end of the stream.
    async fn warm_up(&self, request: &Parts) {
        let mut changes = self.registry.watch();
        let wait = async { while self.is_warming_up(request) && changes.changed().await.is_ok() {} };
        // Not in time: the answer is 503 with Retry-After.
        let _ = tokio::time::timeout(WARM_UP, wait).await;
    }
}
