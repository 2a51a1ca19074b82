//! Who sends a request, for answers that depend on it.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::Request;
use tower::Service;

/// The other end of the connection that a request came on; among its extensions where a port is served with
/// [`serve_with_peer`](super::serve_with_peer). Behind a proxy it is the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A service of one connection, whose requests carry its [`Peer`].
#[derive(Clone, Debug)]
pub(super) struct WithPeer<S> {
    pub(super) inner: S,
    pub(super) peer: Peer,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for WithPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}
