//! What a player shows and counts, and what all players share.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::buffer::Buffer;
use super::fault::ExchangeError;
use super::fragment::BodyUse;
use super::library::MediaLibrary;
use super::tally::LoadTally;
use super::{LoadTarget, VariantChoice};

/// The wait after a bad reply or a lost connection.
pub(super) const AGAIN: Duration = Duration::from_millis(500);
pub(super) struct Test {
    pub(super) target: Arc<LoadTarget>,
    pub(super) tally: LoadTally,
    pub(super) library: MediaLibrary,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) variant: VariantChoice,
    pub(super) seek_every: Duration,
    pub(super) body_use: BodyUse,
    pub(super) is_unpaced: bool,
}

pub(super) struct Screen {
    pub(super) test: Arc<Test>,
    pub(super) begun: Instant,
    pub(super) buffer: Buffer,
    started: bool,
    stalled: bool,
}

impl Screen {
    /// A screen of a player that starts now.
    pub(super) fn new(test: Arc<Test>, buffer: Buffer) -> Self {
        Self { test, begun: Instant::now(), buffer, started: false, stalled: false }
    }

    /// Media of `duration` can be shown from now on.
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

    /// After a seek: the next media counts as a start.
    pub(super) fn begin_again(&mut self) {
        (self.buffer, self.begun, self.started) = (Buffer::default(), Instant::now(), false);
    }

    pub(super) fn error(&self, what: &'static str, error: ExchangeError) {
        self.test.tally.error(what, error);
    }

    pub(super) fn bytes(&self, bytes: u64) {
        self.test.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn stall(&mut self, stalled: Duration) {
        if !std::mem::replace(&mut self.stalled, true) {
            self.test.tally.stalled_players.fetch_add(1, Ordering::Relaxed);
        }
        self.test.tally.stall(stalled);
    }
}
