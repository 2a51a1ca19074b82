//! One player, from its start to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::buffer::Buffer;
use super::hls::Viewing;
use super::screen::{Screen, Test};
use super::target::TargetProtocol;
use super::{rtmp, rtsp};

/// What a player of RTMP or RTSP buffers before it begins to show: frames come as they are made.
const LEAD: Duration = Duration::from_secs(1);

pub(super) struct Player {
    pub(super) test: Arc<Test>,
    pub(super) source: Option<SocketAddr>,
    pub(super) end: Instant,
}

impl Player {
    /// Plays until `end`.
    pub(super) async fn run(self) {
        let test = Arc::clone(&self.test);
        let lead = match test.target.protocol {
            TargetProtocol::Rtmp | TargetProtocol::Rtsp => LEAD,
            TargetProtocol::Http | TargetProtocol::Https | TargetProtocol::Http2 => Duration::ZERO,
        };
        let mut screen = Screen::new(test, Buffer::with_lead(lead));
        self.test.tally.players.fetch_add(1, Ordering::Relaxed);
        let viewing = async {
            match self.test.target.protocol {
                TargetProtocol::Rtmp => rtmp::view(&mut screen, self.source).await,
                TargetProtocol::Rtsp => rtsp::view(&mut screen, self.source).await,
                _ => Viewing::new(&mut screen, self.source).view().await,
            }
        };
        // Requests that are under way at the end are given up.
        let _ = timeout_at(self.end, viewing).await;
        let missing = screen.buffer.missing(screen.begun.elapsed());
        if missing > Duration::from_millis(500) {
            screen.stall(missing);
        }
        self.test.tally.players.fetch_sub(1, Ordering::Relaxed);
    }
}
