//! Stops what takes long to stop, on threads of its own, and waits for it at the end.

use std::panic::AssertUnwindSafe;

use tokio::task::JoinSet;
use tracing::{Span, error};

#[derive(Debug, Default)]
pub(super) struct Stopping(JoinSet<()>);

impl Stopping {
    /// Runs `stop`, which may block and logs in `span`.
    pub(super) fn begin(&mut self, span: Span, stop: impl FnOnce() + Send + 'static) {
        self.0.spawn_blocking(move || {
            span.in_scope(|| {
                // The panic itself has been logged already.
                if std::panic::catch_unwind(AssertUnwindSafe(stop)).is_err() {
                    error!("could not be stopped in order");
                }
            });
        });
    }

    /// Forgets what has stopped.
    pub(super) fn reap(&mut self) {
        while self.0.try_join_next().is_some() {}
    }

    /// Waits until all have stopped.
    pub(super) async fn ended(&mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_was_begun_is_waited_for_a_panic_in_it_too() {
        let (mut stopping, stopped) = (Stopping::default(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..3 {
            let stopped = Arc::clone(&stopped);
            stopping.begin(Span::none(), move || {
                std::thread::sleep(Duration::from_millis(50));
                stopped.fetch_add(1, Ordering::Relaxed);
            });
        }
        stopping.begin(Span::none(), || panic!("a fault of ours"));
        stopping.reap();
        stopping.ended().await;
        assert_eq!(stopped.load(Ordering::Relaxed), 3);
    }
}
