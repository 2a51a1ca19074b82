//! The slow path: threads of their own for connections that have left the fast path.
//!
//! Answers of recordings are large, and hundreds may be wanted at once. On the threads of the fast path every one of them
//! would delay all live viewers of that thread; here they delay each other, and the scheduler of the system lets a live
//! viewer's thread, which has slept, go first.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use amphi_runtime::socket::Socket;

/// Where connections go on that have left the fast path. The threads end, and with them what they still do, when the last
/// clone is dropped.
#[derive(Clone, Debug, Default)]
pub struct SlowPath(Option<Arc<Threads>>);

/// `None` only while it is dropped.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl SlowPath {
    /// A slow path of so many threads. [`SlowPath::default`] has none: connections stay on the thread that they are on.
    pub fn new(threads: usize) -> io::Result<Self> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(threads).thread_name("deliver slow").enable_all().build()?;
        Ok(Self(Some(Arc::new(Threads(Some(runtime))))))
    }

    /// Goes on with a connection there, until `work` has ended or the caller is dropped.
    pub(super) async fn run<F>(&self, stream: Socket, work: impl FnOnce(Socket) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let Some(runtime) = self.0.as_deref().and_then(|threads| threads.0.as_ref()) else {
            return work(stream).await;
        };
        // A socket is registered with the runtime that waits for it.
        let stream = match stream.detach() {
            Ok(stream) => stream,
            Err(error) => {
                return tracing::debug!(%error, "a connection went away on its way to the slow path");
            }
        };
        let moved = async move {
            match stream.attach() {
                Ok(stream) => work(stream).await,
                Err(error) => tracing::debug!(%error, "a connection went away on its way to the slow path"),
            }
        };
        // A panic has been logged and counted by its hook; it ends this connection alone.
        let _ = AbortOnDropHandle::new(runtime.spawn(moved.in_current_span())).await;
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// The name of the thread that serves a connection on `slow`.
    async fn served_on(slow: SlowPath) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let mut peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (stream, _) = listener.accept().await.expect("a connection");
        slow.run(stream.into(), async |mut stream: Socket| {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            stream.write_all(name.as_bytes()).await.expect("it is there");
        })
        .await;
        let mut name = String::new();
        peer.read_to_string(&mut name).await.expect("it closes");
        name
    }

    #[tokio::test]
    async fn a_connection_goes_on_on_a_thread_of_the_slow_path() {
        assert_eq!(served_on(SlowPath::new(1).expect("threads")).await, "deliver slow");
        assert_ne!(served_on(SlowPath::default()).await, "deliver slow");
    }

    #[tokio::test]
    async fn a_panic_ends_its_connection_alone() {
        let slow = SlowPath::new(1).expect("threads");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let mut peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (stream, _) = listener.accept().await.expect("a connection");
        slow.run(stream.into(), async |_| panic!("on purpose")).await;
        assert_eq!(peer.read(&mut [0]).await.expect("closed"), 0);
        assert_eq!(served_on(slow).await, "deliver slow");
    }
}
