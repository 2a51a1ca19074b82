//! The fast path against hyper: a request that the fast path would answer must be the same request for hyper.

#![no_main]

use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex};

use amphi_http::would_ask;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

/// Path, query and `If-None-Match`.
type Seen = (String, String, Option<Vec<u8>>);

/// The first request that hyper reads. Panics if it has something that the fast path would have overlooked.
async fn hypers(data: &[u8]) -> Option<Seen> {
    let (mut ours, theirs) = tokio::io::duplex(1 << 17);
    ours.write_all(data).await.expect("there is room");
    ours.shutdown().await.expect("it is open");
    let first: Arc<Mutex<Option<Seen>>> = Arc::default();
    let keep = Arc::clone(&first);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut first = keep.lock().expect("unpoisoned");
        if first.is_none() {
            assert_eq!((request.method().as_str(), request.version()), ("GET", Version::HTTP_11));
            assert!(request.body().is_end_stream(), "it has a body");
            let all = |name: &str| -> Vec<Vec<u8>> {
                request.headers().get_all(name).iter().map(|it| it.as_bytes().to_vec()).collect()
            };
            assert_eq!(all("host").len(), 1, "one Host");
            for other in
                ["range", "upgrade", "expect", "transfer-encoding", "content-length", "if-match", "te"]
            {
                assert!(all(other).is_empty(), "{other}");
            }
            let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
            *first = Some((path.to_owned(), query.to_owned(), all("if-none-match").pop()));
        }
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    // Anything may follow the first request.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(theirs), service).await;
    first.lock().expect("unpoisoned").take()
}

fuzz_target!(|data: &[u8]| {
    let asked = would_ask(data, |asked| {
        (asked.path.to_owned(), asked.query.to_owned(), asked.if_none_match.map(<[u8]>::to_vec))
    });
    // Paths of channels have only these bytes. For others the fast path finds no channel and leaves them to hyper.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%:,+()".contains(&byte);
    let Some(asked) = asked.filter(|(path, ..)| path.bytes().all(is_name)) else { return };
    assert_eq!(RUNTIME.block_on(hypers(data)), Some(asked));
});
