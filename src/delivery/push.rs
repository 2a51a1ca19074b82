//! Pushing a channel's rung to another RTMP server.
//!
//! # States
//! ```text
//! Idle ──wanted──▶ Connecting ──NetStream.Publish.Start──▶ Publishing
//!   ▲                 │ ▲                                      │
//!   │               fault│ delay over                        fault
//!   │                 ▼ │                                      ▼
//!   └──unwanted─── BackingOff ◀────────────────────────────────┘
//! ```
//! The delays are those of sources. A push that is not wanted any more goes on for [`LINGER`], so that a source that is
//! lost for a moment, or a break between two lectures, does not end a broadcast on the other side. It ends with FCUnpublish
//! and deleteStream.
//!
//! Each connection begins with the newest cell, so with an IDR picture, at RTMP's time zero; messages are sent at the pace
//! of the clock. There is no queue for a server that takes too little: the air keeps four cells, and the push goes on with
//! the oldest of them. A server that takes nothing for ten seconds is disconnected.
//!
//! What does *not* belong here: messages of RTMP (`rtmp::client`), how pushes are shown (`push`).

mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Registry;
use super::air::AirReader;
use amphi_config::When;
use amphi_control::matrix::MatrixView;
use amphi_control::push::{PushBoard, PushState, PushStatus};
use amphi_media::clock::WallClock;
use amphi_media::retry::{BackOff, Urgency};
use amphi_media::{ChannelName, RungName};
use amphi_protocol::rtmp::Target;
use wire::{PushConnection, PushFault};

/// How long a push goes on after it was last wanted.
const LINGER: Duration = Duration::from_secs(15);
/// How long connecting may take, up to `NetStream.Publish.Start`.
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// How long the orderly end of a connection may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// No sample is due later than this: a cell comes when it has ended, and lasts ten seconds at most.
const AHEAD: Duration = Duration::from_secs(20);
/// Messages that are due within so long go out in one write.
const STEP: Duration = Duration::from_millis(100);

/// Everything that one push needs. A clone can go on after a run that has panicked.
#[derive(Clone)]
pub struct PushTask {
    /// Its name in REST, metrics and alarms.
    pub name: String,
    /// The name of the channel that is pushed.
    pub channel: ChannelName,
    /// The name of the rung; empty for the best one.
    pub rung: RungName,
    /// The URL that it publishes to.
    pub target: Target,
    /// Certificate authorities in PEM that TLS servers may be known by; empty for those that browsers trust.
    pub ca_file: PathBuf,
    /// When it is wanted: always, while a source is on air, or while a source is wanted on the channel.
    pub when: When,
    /// Where the channel is looked up.
    pub registry: Arc<Registry>,
    /// What is on air and what is wanted, for `when`.
    pub matrix: watch::Receiver<Arc<MatrixView>>,
    /// Where it reports its state.
    pub board: PushBoard,
    /// The machine's clock, for the time since which its state holds.
    pub clock: Arc<dyn WallClock>,
    /// Ends [`PushTask::run`] within about a second.
    pub shutdown: CancellationToken,
}

/// Why a connection ended.
enum PushEnd {
    Shutdown,
    Unwanted,
    Fault(PushFault),
}

impl PushTask {
    /// Pushes while it is wanted, until `shutdown`.
    pub async fn run(mut self) {
        let mut status = PushStatus {
            name: self.name.clone(),
            channel: self.channel.clone(),
            state: PushState::Idle,
            reason: String::new(),
            since: self.clock.now(),
            connects: 0,
            bytes: 0,
        };
        // After a panic it goes on counting.
        if let Some(before) = self.board.all().into_iter().find(|it| it.name == self.name) {
            (status.connects, status.bytes) = (before.connects, before.bytes);
            status.reason = before.reason;
        }
        self.board.tell(status.clone());
        let mut back_off = BackOff::default();
        loop {
            if !is_wanted(&self.matrix.borrow(), &self.channel, self.when) {
                self.report(&mut status, PushState::Idle, "");
                tokio::select! {
                    () = self.shutdown.cancelled() => return self.board.forget(&self.name),
                    () = wanted(&mut self.matrix, &self.channel, self.when) => {}
                }
            }
            let mut publishing_since = None;
            let ending = self.push(&mut status, &mut publishing_since).await;
            back_off.flowed(publishing_since.map_or(Duration::ZERO, |since: Instant| since.elapsed()));
            match ending {
                PushEnd::Shutdown => return self.board.forget(&self.name),
                PushEnd::Unwanted => {}
                PushEnd::Fault(fault) => {
                    let delay = back_off.delay(Urgency::Soon, fastrand::f64());
                    let again_in_ms = delay.as_millis() as u64;
                    tracing::warn!(push = self.name, again_in_ms, "{fault}");
                    self.report(&mut status, PushState::BackingOff, &fault.to_string());
                    tokio::select! {
                        () = self.shutdown.cancelled() => return self.board.forget(&self.name),
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            }
        }
    }

    /// Reports that a run has panicked.
    pub fn fell(&self, why: &str) {
        let mut all = self.board.all().into_iter();
        if let Some(mut status) = all.find(|it| it.name == self.name) {
            self.report(&mut status, PushState::BackingOff, &format!("internal error: {why}"));
        }
    }

    /// One connection, from connecting to its end.
    async fn push(&mut self, status: &mut PushStatus, publishing_since: &mut Option<Instant>) -> PushEnd {
        // The last fault is shown until the server takes media.
        let reason = status.reason.clone();
        self.report(status, PushState::Connecting, &reason);
        let Some((air, rung)) = self.find() else {
            return PushEnd::Fault(PushFault::Starting);
        };
        let opening = PushConnection::open(self.target.clone(), &self.ca_file);
        let opened = tokio::select! {
            () = self.shutdown.cancelled() => return PushEnd::Shutdown,
            opened = timeout(OPEN_WITHIN, opening) => opened.unwrap_or(Err(PushFault::NoAnswer)),
        };
        let mut wire = match opened {
            Ok(wire) => wire,
            Err(fault) => return PushEnd::Fault(fault),
        };
        *publishing_since = Some(Instant::now());
        status.connects += 1;
        self.report(status, PushState::Publishing, "");
        let ending = self.send(&mut wire, air, rung, status).await;
        // The result does not matter: the connection ends either way.
        let _ = timeout(CLOSE_WITHIN, wire.close()).await;
        ending
    }

    /// The channel's air, and the index of the rung.
    fn find(&self) -> Option<(AirReader, usize)> {
        let air = self.registry.get(&self.channel)?.air.clone()?;
        let named = |name: &str| air.tracks().iter().position(|tracks| tracks.name == name);
        let rung = if self.rung.is_empty() { 0 } else { named(&self.rung)? };
        Some((air, rung))
    }

    /// Sends cells until something ends it.
    async fn send(
        &mut self,
        wire: &mut PushConnection,
        mut air: AirReader,
        rung: usize,
        status: &mut PushStatus,
    ) -> PushEnd {
        let Some(tracks) = air.tracks().get(rung).cloned() else {
            return PushEnd::Fault(PushFault::Starting);
        };
        let (channel, when) = (self.channel.clone(), self.when);
        let mut matrix = self.matrix.clone();
        let unwanted = lingering(&mut matrix, &channel, when);
        tokio::pin!(unwanted);
        let mut pace: Option<(Instant, amphi_media::MediaTime)> = None;
        loop {
            let cells = tokio::select! {
                () = self.shutdown.cancelled() => return PushEnd::Shutdown,
                () = &mut unwanted => return PushEnd::Unwanted,
                fault = wire.listen() => return PushEnd::Fault(fault),
                cells = air.cells() => cells,
            };
            // The channel is being restarted, perhaps with other parameter sets.
            let Some(cells) = cells else { return PushEnd::Fault(PushFault::Starting) };
            for aired in cells {
                let first = pace.map_or_else(|| air.media_start(&aired), |(_, first)| first);
                let messages = match air.messages_from(&aired, rung, first) {
                    Ok(messages) => messages,
                    Err(error) => return PushEnd::Fault(PushFault::TooLong(error)),
                };
                if pace.is_none() && !messages.is_empty() {
                    pace = Some((Instant::now(), first));
                    if let Err(fault) = wire.begin(&tracks).await {
                        return PushEnd::Fault(fault);
                    }
                }
                let Some((since, first)) = pace else { continue };
                let mut rest = &messages[..];
                while let Some(next) = rest.first() {
                    let due = since + next.at.saturating_since(first);
                    // The machine has slept: do not wait for the time that is missing.
                    if due > Instant::now() + AHEAD {
                        return PushEnd::Fault(PushFault::Starting);
                    }
                    tokio::select! {
                        () = self.shutdown.cancelled() => return PushEnd::Shutdown,
                        () = &mut unwanted => return PushEnd::Unwanted,
                        fault = wire.listen() => return PushEnd::Fault(fault),
                        () = sleep_until(due) => {}
                    }
                    let until = Instant::now().max(due) + STEP;
                    let now =
                        rest.iter().take_while(|it| since + it.at.saturating_since(first) < until).count();
                    let (batch, later) = rest.split_at(now.max(1));
                    rest = later;
                    match wire.send(batch.iter().map(|message| &message.bytes)).await {
                        Ok(bytes) => status.bytes += bytes,
                        Err(fault) => return PushEnd::Fault(fault),
                    }
                }
                self.board.tell(status.clone());
            }
        }
    }

    fn report(&self, status: &mut PushStatus, state: PushState, reason: &str) {
        if status.state != state {
            tracing::info!(push = self.name, channel = self.channel.as_str(), ?state, reason, "push");
            status.state = state;
            status.since = self.clock.now();
        }
        reason.clone_into(&mut status.reason);
        self.board.tell(status.clone());
    }
}

/// Whether a channel is to be pushed.
fn is_wanted(view: &MatrixView, channel: &str, when: When) -> bool {
    let channel = view.channel(channel);
    match when {
        When::Always => true,
        When::Live => channel.is_some_and(|channel| channel.on_air.source.is_some()),
        When::Schedule => channel.is_some_and(|channel| channel.desired.source.is_some()),
    }
}

/// Ends when the channel is to be pushed; never, if the matrix has ended.
async fn wanted(matrix: &mut watch::Receiver<Arc<MatrixView>>, channel: &str, when: When) {
    if matrix.wait_for(|view| is_wanted(view, channel, when)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Ends when the channel has not been wanted for [`LINGER`].
async fn lingering(matrix: &mut watch::Receiver<Arc<MatrixView>>, channel: &str, when: When) {
    loop {
        if matrix.wait_for(|view| !is_wanted(view, channel, when)).await.is_err() {
            return std::future::pending().await;
        }
        if timeout(LINGER, wanted(matrix, channel, when)).await.is_err() {
            return;
        }
    }
}
