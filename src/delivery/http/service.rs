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
use super::carry::Carry;
use super::document_cache::DocumentCache;
use super::fault::unserved;
use super::page_cache::PageCache;
use super::route::{ChannelPath, HttpRoute, MountPath};
use super::transport::{AcmeProofs, TlsPolicy, TlsTelling};
use super::{PageSettings, Portal, pages, portal, recorded, route};
use crate::delivery::address::{self, Address, AddressError};
use crate::delivery::door::{
    AccessAction, AccessDenied, AccessRequest, Door, OpenDoor, Protocol, RequestFields, Resolved, ask_settled,
};
use crate::delivery::unserved::Unserved;
use crate::delivery::{AnswerCounts, AnswerKind, Audience, Registry};
use amphi_access::{Admission, Refusal, VisitStep};
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

    /// The answer to a player's page; `None` if somebody has to be asked before.
    fn watch(&self, request: &Parts, watched: &str) -> Option<Answer> {
        let address = address::parse(watched, |app| self.registry.has_mount(app));
        let Ok(address) = address else { return Some(self.pages.watch(request, Err(Unserved::Channel))) };
        let what = self.registry.resolve(&address);
        let admitted = if pages::is_watched(&address, what) {
            self.ask(ShownRequest::of(request), &address, what, VisitStep::Entry)
        } else {
            Err(Unserved::Channel)
        };
        let base = match admitted {
            Err(Unserved::Denied(AccessDenied::Play(Refusal::Undecided))) => return None,
            Ok(Admission::Granted(grant)) => Ok((address.path_behind(Some(&grant)), true)),
            // What carries this page carries what it names.
            Ok(Admission::Carried) => Ok((address.path_behind(address.grant.as_deref()), true)),
            Ok(Admission::Open | Admission::Shown) => Ok((address.path_behind(None), false)),
            Err(fault) => Err(fault),
        };
        Some(self.pages.watch(request, base))
    }

    /// The same when those who decide have been asked.
    async fn watch_settled(&self, request: &Parts, watched: &str) -> Answer {
        if let Ok(address) = address::parse(watched, |app| self.registry.has_mount(app)) {
            let (what, scope) = (self.registry.resolve(&address), address.scope());
            let asked = ShownRequest::of(request);
            let settled = self.door.settle(&self.caller(asked, &address, what, VisitStep::Entry, &scope));
            settled.await;
        }
        let unavailable = Unserved::Denied(AccessDenied::Play(Refusal::Unavailable));
        self.watch(request, watched).unwrap_or_else(|| self.pages.watch(request, Err(unavailable)))
    }

    /// What is answered without the door: methods that there are not, the list of channels, what the portal polls.
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
        let asked = ShownRequest::of(request);
        let what = self.registry.resolve(&path.address);
        let scope = path.address.scope();
        let caller = self.caller(asked, &path.address, what, path.step(), &scope);
        let carry = match ask_settled(&*self.door, &caller).await {
            Ok(admission) => Carry::new(admission, asked.path, &path.address, false),
            Err(denied) => return unserved(Unserved::Denied(denied)),
        };
        let answer = match self.registry.mounted(&path.address.app) {
            Some(mount) => recorded::answer(request, &mount.asked_by(asker), &self.made, &path, &carry).await,
            None => unserved(Unserved::Channel),
        };
        carry.answer(answer)
    }

    /// Whether the door lets a viewer have that, and how it is carried on.
    pub(super) fn ask(
        &self,
        asked: ShownRequest<'_>,
        address: &Address<'_>,
        what: Resolved<'_>,
        step: VisitStep,
    ) -> Result<Admission, Unserved> {
        let scope = address.scope();
        self.door.ask(&self.caller(asked, address, what, step, &scope)).map_err(Unserved::Denied)
    }

    fn caller<'a>(
        &self,
        asked: ShownRequest<'a>,
        address: &'a Address<'a>,
        what: Resolved<'a>,
        step: VisitStep,
        scope: &'a str,
    ) -> AccessRequest<'a> {
        let ShownRequest { path, query, fields } = asked;
        let (protocol, wish) = (Protocol::Http, AccessAction::Play(what));
        let grant = address.grant.as_deref();
        let (peer, is_secure) = (self.peer, self.transport.is_secure);
        AccessRequest { protocol, wish, peer, is_secure, path, query, fields, step, scope, grant }
    }

    /// Asks the door about what a path names, and finds it.
    fn look_up(&self, asked: ShownRequest<'_>, path: &ChannelPath<'_>) -> LookUp {
        let channel = self.registry.get(&path.address.app);
        let narrowed = match &channel {
            Some(channel) => answer::narrow(channel, path),
            None => Err(Unserved::Channel),
        };
        let resolved = match &narrowed {
            Ok(narrowed) => Resolved::Channel { channel: &path.address.app, rungs: narrowed.rungs },
            Err(_) => Resolved::Nothing(&path.address),
        };
        let carry = match self.ask(asked, &path.address, resolved, path.file.step()) {
            Ok(admission) => Carry::new(admission, asked.path, &path.address, true),
            Err(Unserved::Denied(AccessDenied::Play(Refusal::Undecided))) => return LookUp::Undecided,
            Err(fault) => return LookUp::Done(Err(fault), Carry::Plain),
        };
        match (narrowed, channel.as_ref().and_then(|channel| channel.window.as_ref())) {
            (Err(fault), _) => LookUp::Done(Err(fault), carry),
            (Ok(narrowed), Some(window)) => LookUp::Done(answer::find(window, narrowed, &path.file), carry),
            (Ok(narrowed), None) => LookUp::Starting(narrowed.rungs.rung().map(str::to_owned), carry),
        }
    }

    /// The same when those who decide have been asked.
    async fn look_up_settled(&self, asked: ShownRequest<'_>, path: &ChannelPath<'_>) -> LookUp {
        let scope = path.address.scope();
        let what = self.registry.resolve(&path.address);
        let settled = self.door.settle(&self.caller(asked, &path.address, what, path.file.step(), &scope));
        settled.await;
        self.look_up(asked, path)
    }

    /// What was found, when it is there.
    async fn looked_up(&self, parts: &Parts, path: ChannelPath<'static>, mut look_up: LookUp) -> Answer {
        if matches!(look_up, LookUp::Undecided) {
            look_up = self.look_up_settled(ShownRequest::of(parts), &path).await;
        }
        let (found, carry) = match look_up {
            LookUp::Done(found, carry) => (found, carry),
            LookUp::Starting(rung, carry) => (self.look_up_started(&path, rung).await, carry),
            LookUp::Undecided => {
                (Err(Unserved::Denied(AccessDenied::Play(Refusal::Unavailable))), Carry::Plain)
            }
        };
        self.found(parts, &path, found, &carry)
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

    fn found(
        &self,
        request: &Parts,
        path: &ChannelPath<'_>,
        found: Result<FoundFile, Unserved>,
        carry: &Carry,
    ) -> Answer {
        let answer = match found {
            Ok(found) => carry.answer(carry.file(found).answer(request)),
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
    Done(Result<FoundFile, Unserved>, Carry),
    /// The channel is being started. The door was asked about the rung of that name, or about all.
    Starting(Option<String>, Carry),
    /// The door has to ask others.
    Undecided,
}

/// What of a request the door looks at.
#[derive(Clone, Copy)]
pub(super) struct ShownRequest<'a> {
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) fields: &'a dyn RequestFields,
}

impl<'a> ShownRequest<'a> {
    fn of(request: &'a Parts) -> Self {
        let query = request.uri.query().unwrap_or_default();
        Self { path: request.uri.path(), query, fields: &request.headers }
    }
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
        if let Some(watched) = parts.uri.path().strip_prefix("/watch/") {
            if let Some(answer) = self.watch(&parts, watched) {
                return at_once(answer);
            }
            let delivery = self.clone();
            return Either::Right(Box::pin(async move {
                let watched = parts.uri.path().strip_prefix("/watch/").unwrap_or_default();
                let answer = delivery.watch_settled(&parts, watched).await;
                Ok(delivery.finish(begun, &parts, answer))
            }));
        }
        match self.route(parts.uri.path()) {
            Ok(HttpRoute::Mount(path)) => {
                let delivery = self.clone();
                Either::Right(Box::pin(async move {
                    let answer = delivery.recorded(&parts, path).await;
                    Ok(delivery.finish(begun, &parts, answer))
                }))
            }
            Ok(HttpRoute::Channel(path)) => match self.look_up(ShownRequest::of(&parts), &path) {
                LookUp::Done(found, carry) => at_once(self.found(&parts, &path, found, &carry)),
                later => {
                    let (delivery, path) = (self.clone(), path.into_owned());
                    Either::Right(Box::pin(async move {
                        let answer = delivery.looked_up(&parts, path, later).await;
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
