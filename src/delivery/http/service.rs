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
use super::transport::{AcmeProofs, TlsPolicy, TlsTelling};
use super::{PageSettings, Portal, portal, recorded, route};
use crate::delivery::address::AddressError;
use crate::delivery::door::{AccessAction, AccessRequest, Door, OpenDoor, Protocol, Resolved};
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
    pub(super) peer: Option<SocketAddr>,
    pub(super) transport: TlsTelling,
    proofs: AcmeProofs,
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
            transport: TlsTelling::default(),
            proofs: AcmeProofs::default(),
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

    /// The same, telling viewers that of TLS, and showing these proofs to an authority.
    #[must_use]
    pub fn telling(&self, policy: TlsPolicy, proofs: AcmeProofs) -> Self {
        Self { transport: TlsTelling { policy, is_secure: false }, proofs, ..self.clone() }
    }

    /// The same for a connection inside TLS.
    #[must_use]
    pub fn secured(self) -> Self {
        Self { transport: TlsTelling { is_secure: true, ..self.transport }, ..self }
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

    /// What a path names. A path is read once for each request.
    fn route<'a>(&self, path: &'a str) -> Result<HttpRoute<'a>, AddressError> {
        route::parse(path, |app| self.registry.has_mount(app))
    }

    /// Adds what all answers have, and counts the answer.
    fn finish(&self, begun: Instant, request: &Parts, (kind, mut response): Answer) -> Response<Body> {
        let headers = response.headers_mut();
        cors::allow(headers);
        headers.insert(SERVER, HeaderValue::from_static("Amphi"));
        self.transport.add_to(headers);
        if request.method == Method::HEAD {
            // Removed here, because hyper would send the content over HTTP/2 (RFC 9110 §9.3.2).
            let body = std::mem::take(response.body_mut());
            response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| body.remaining().into());
        }
        self.counts.count(kind, response.body().remaining());
        response.map(|body| body.timed(begun, self.counts.latency(kind)))
    }

    /// What is answered without the door: methods that there are not, pages, what the portal polls.
    fn open_to_all(&self, request: &Parts) -> Option<Answer> {
        if let Some(refusal) = refused_method(request) {
            return Some(refusal);
        }
        let elsewhere = self.proofs.answer(request).or_else(|| self.transport.redirect(self.peer, request));
        if elsewhere.is_some() {
            return elsewhere;
        }
        let page = self.pages.answer(request, &self.registry);
        page.or_else(|| (request.uri.path() == portal::PATH).then(|| self.portal.answer(request)))
    }

    /// The answer to a request beneath a mount.
    async fn recorded(&self, request: &Parts, path: Result<MountPath, AddressError>) -> Answer {
        let asker = self.peer.and_then(|peer| asker(peer.ip()));
        let path = match path {
            Ok(path) => path,
            Err(error) => return recorded::lost(request, asker, error),
        };
        if let Err(fault) = self.ask(query(request), self.registry.resolve(&path.address)) {
            return unserved(fault);
        }
        match self.registry.mounted(&path.address.app) {
            Some(mount) => recorded::answer(request, &mount.asked_by(asker), &self.made, &path).await,
            None => unserved(Unserved::Channel),
        }
    }

    /// Whether the door lets a viewer have that.
    pub(super) fn ask(&self, query: &str, what: Resolved<'_>) -> Result<(), Unserved> {
        let wish = AccessAction::Play(what);
        let caller = AccessRequest { protocol: Protocol::Http, wish, peer: self.peer, query };
        self.door.ask(&caller).map_err(Unserved::Denied)
    }

    /// Asks the door about what a path names, and finds it.
    fn look_up(&self, query: &str, path: &ChannelPath<'_>) -> LookUp {
        let channel = self.registry.get(&path.address.app);
        let narrowed = match &channel {
            Some(channel) => answer::narrow(channel, path),
            None => Err(Unserved::Channel),
        };
        let resolved = match &narrowed {
            Ok(narrowed) => Resolved::Channel { channel: &path.address.app, rungs: narrowed.rungs },
            Err(_) => Resolved::Nothing(&path.address),
        };
        let asked = self.ask(query, resolved).and(narrowed);
        match (asked, channel.as_ref().and_then(|channel| channel.window.as_ref())) {
            (Err(fault), _) => LookUp::Done(Err(fault)),
            (Ok(narrowed), Some(window)) => LookUp::Done(answer::find(window, narrowed, &path.file)),
            (Ok(narrowed), None) => LookUp::Starting(narrowed.rungs.rung().map(str::to_owned)),
        }
    }

    /// Waits for a channel that is being started, and finds what a path names. The door has let the viewer have that rung, or
    /// all of them.
    async fn look_up_started(
        &self,
        path: &ChannelPath<'_>,
        rung: Option<String>,
    ) -> Result<FoundFile, Unserved> {
        let channel = self.registry.started(&path.address.app).await?;
        let window = channel.window.as_ref().ok_or(Unserved::NotReady)?;
        let narrowed = answer::narrow(&channel, path)?;
        if rung.is_some() && narrowed.rungs.rung() != rung.as_deref() {
            return Err(Unserved::Rung);
        }
        answer::find(window, narrowed, &path.file)
    }

    fn found(&self, request: &Parts, path: &ChannelPath<'_>, found: Result<FoundFile, Unserved>) -> Answer {
        let answer = match found {
            Ok(found) => found.answer(request),
            Err(fault) => return unserved(fault),
        };
        if request.method == Method::GET {
            self.fetched(path, is_from_the_start(request), answer.1.body().remaining());
        }
        answer
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

/// What the door and the registry said of a path into a channel.
enum LookUp {
    Done(Result<FoundFile, Unserved>),
    /// The channel is being started. The door was asked about the rung of that name, or about all.
    Starting(Option<String>),
}

/// The answer to a path that leads into no channel.
fn elsewhere(request: &Parts, route: &Result<HttpRoute<'_>, AddressError>) -> Answer {
    match route {
        Ok(HttpRoute::CrossDomain) => (AnswerKind::Other, answer::cross_domain(request)),
        // Read where one can wait.
        Ok(HttpRoute::Mount(_) | HttpRoute::Channel(_)) => unserved(Unserved::NotReady),
        Err(error) => unserved(Unserved::Path(*error)),
    }
}

fn query(request: &Parts) -> &str {
    request.uri.query().unwrap_or_default()
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
        let at_once = |answer: Answer| Either::Left(ready(Ok(self.finish(begun, &parts, answer))));
        if let Some(answer) = self.open_to_all(&parts) {
            return at_once(answer);
        }
        match self.route(parts.uri.path()) {
            Ok(HttpRoute::Mount(path)) => {
                let delivery = self.clone();
                Either::Right(Box::pin(async move {
                    let answer = delivery.recorded(&parts, path).await;
                    Ok(delivery.finish(begun, &parts, answer))
                }))
            }
            Ok(HttpRoute::Channel(path)) => match self.look_up(query(&parts), &path) {
                LookUp::Done(found) => at_once(self.found(&parts, &path, found)),
                LookUp::Starting(rung) => {
                    let (delivery, path) = (self.clone(), path.into_owned());
                    Either::Right(Box::pin(async move {
                        let found = delivery.look_up_started(&path, rung).await;
                        let answer = delivery.found(&parts, &path, found);
                        Ok(delivery.finish(Instant::now(), &parts, answer))
                    }))
                }
            },
            route => at_once(elsewhere(&parts, &route)),
        }
    }
}

/// An answer that waits for its channel, or for a file.
type Later = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;
