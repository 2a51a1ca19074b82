//! What all players have in common: who they are, and when they stood still.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::buffer::Buffer;
use super::fault::ExchangeError;
use super::hls::Viewing;
use super::library::Library;
use super::tally::Tally;
use super::target::Protocol;
use super::{Choice, Target, rtmp, rtsp};

/// After a reply that is no good, or a connection that was lost.
pub(super) const AGAIN: Duration = Duration::from_millis(500);
/// What a player of frames has in its buffer before it begins: RTMP and RTSP come as they are made.
const LEAD: Duration = Duration::from_secs(1);

/// What all players share.
pub(super) struct Test {
    pub(super) target: Arc<Target>,
    pub(super) tally: Tally,
    pub(super) library: Library,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) variant: Choice,
    pub(super) seek_every: Duration,
}

/// One of them.
pub(super) struct Player {
    pub(super) test: Arc<Test>,
    pub(super) source: Option<SocketAddr>,
    pub(super) end: Instant,
}

/// What a player sees.
pub(super) struct Screen {
    pub(super) test: Arc<Test>,
    pub(super) begun: Instant,
    pub(super) buffer: Buffer,
    started: bool,
    stalled: bool,
}

impl Player {
    /// Plays until the end.
    pub(super) async fn run(self) {
        let test = Arc::clone(&self.test);
        let lead = match test.target.protocol {
            Protocol::Rtmp | Protocol::Rtsp => LEAD,
            Protocol::Http | Protocol::Https | Protocol::Http2 => Duration::ZERO,
        };
        let buffer = Buffer::with_lead(lead);
        let mut screen = Screen { test, begun: Instant::now(), buffer, started: false, stalled: false };
        self.test.tally.players.fetch_add(1, Ordering::Relaxed);
        let viewing = async {
            match self.test.target.protocol {
                Protocol::Rtmp => rtmp::view(&mut screen, self.source).await,
                Protocol::Rtsp => rtsp::view(&mut screen, self.source).await,
                _ => Viewing::new(&mut screen, self.source).view().await,
            }
        };
        // What is under way at the end is left.
        let _ = timeout_at(self.end, viewing).await;
        let missing = screen.buffer.missing(screen.begun.elapsed());
        if missing > Duration::from_millis(500) {
            screen.stall(missing);
        }
        self.test.tally.players.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Screen {
    /// Media of `duration` is there.
    pub(super) fn arrived(&mut self, duration: Duration) {
        let now = self.begun.elapsed();
        if let Some(stalled) = self.buffer.add(now, duration) {
            self.stall(stalled);
        }
        if !std::mem::replace(&mut self.started, true) {
            self.test.tally.starts.add(now);
        }
        self.test.tally.media_ms.fetch_add(duration.as_millis() as u64, Ordering::Relaxed);
    }

    /// Another place of a recording: what comes is a start.
    pub(super) fn begin_again(&mut self) {
        (self.buffer, self.begun, self.started) = (Buffer::default(), Instant::now(), false);
    }

    pub(super) fn error(&self, what: &'static str, error: ExchangeError) {
        self.test.tally.error(what, error);
    }

    pub(super) fn bytes(&self, bytes: u64) {
        self.test.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn stall(&mut self, stalled: Duration) {
        if !std::mem::replace(&mut self.stalled, true) {
            self.test.tally.stalled_players.fetch_add(1, Ordering::Relaxed);
        }
        self.test.tally.stall(stalled);
    }
}
