//! One RTSP connection: answers requests, sends what is due.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::time::{Instant, sleep, sleep_until};

use super::RtspPort;
use super::feed::{PlayFeed, RecordedRows, RecordedTrack};
use super::outbox::Outbox;
use super::playable::{Playable, clock_rate};
use super::stream::{self, RtspStream};
use crate::delivery::door::{HeldRight, lapsed};
use crate::delivery::idle_timer::IdleTimer;
use crate::delivery::{AccessDenied, AnswerKind, ViewerGuard, ViewerProtocol};
use amphi_media::MediaTime;
use amphi_protocol::rtsp::{
    Incoming, MessageError, Npt, Pacer, Refusal, RequestTarget, Requests, RtspEvent, RtspSession, Span,
    Start, Transport,
};
use amphi_runtime::socket::Socket;
use amphi_vod::SampleCursor;

/// How much media is sent at once: the task of a player wakes up so often, and the network sees no bursts.
const TICK: Duration = Duration::from_millis(20);
/// How many bytes are sent in one tick, even if the task was late.
const TICK_BYTES: usize = 64 << 10;
/// Between two sender reports (RFC 3550 §6.2 recommends at least 5 s).
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// A player whose connection takes nothing for so long is disconnected.
const STUCK: Duration = Duration::from_secs(10);
/// How long PLAY waits for the first cell of a channel.
const FIRST_CELL: Duration = Duration::from_secs(5);
/// Bytes that may wait in the system's send buffer: two seconds of the best rung. What does not fit is dropped here, in whole
/// cells, rather than sent late from there.
const UNSENT: u32 = 256 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum RtspEnd {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{fault}, at byte {position} of the connection")]
    Message { fault: MessageError, position: u64 },
    #[error("the player's right is no more: {0}")]
    Lapsed(AccessDenied),
    #[error("nothing was heard of the peer for too long")]
    Silent,
    #[error("the peer took nothing for {} s", STUCK.as_secs())]
    Stuck,
}

pub(super) struct RtspConnection {
    socket: Socket,
    local: SocketAddr,
    peer: SocketAddr,
    port: RtspPort,
    requests: Requests,
    session: RtspSession,
    /// The presentation that was described or set up last.
    playable: Option<(RequestTarget, Playable)>,
    /// The right that it was described or set up by.
    right: Option<HeldRight>,
    /// How many streams the presentation has.
    tracks: usize,
    /// The streams that are set up.
    streams: Vec<RtspStream>,
    feed: PlayFeed,
    /// Counts a player of a channel as a viewer.
    viewer: Option<ViewerGuard>,
    pacer: Pacer,
    outbox: Outbox,
    /// When the peer last took something, or had nothing to take.
    taken: Instant,
    report_at: MediaTime,
    /// The peer has had no sender report since its first packets; some players ignore earlier ones.
    unsynchronized: bool,
    held: IdleTimer,
    /// Nothing more is read; what is in the outbox is still written.
    closing: bool,
}

enum ConnectionEvent {
    Read(usize),
    Wrote(usize),
    Heard,
    Time,
    Over,
    Lapsed(AccessDenied),
}

impl RtspConnection {
    pub(super) fn new(socket: Socket, port: RtspPort) -> io::Result<Self> {
        socket.tcp().set_nodelay(true)?;
        SockRef::from(socket.tcp()).set_tcp_notsent_lowat(UNSENT)?;
        // A listener for both families names IPv4 peers as IPv6 ones.
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (local, peer) = (socket.local_addr()?, socket.peer_addr()?);
        Ok(Self {
            socket,
            local: plain(local),
            // Other peers keep their address as it is: a link-local one has a zone.
            peer: if peer.ip().to_canonical() == peer.ip() { peer } else { plain(peer) },
            session: RtspSession::new(fastrand::u64(..), Instant::now().into_std()),
            report_at: port.clock.now(),
            port,
            requests: Requests::default(),
            playable: None,
            right: None,
            tracks: 0,
            streams: Vec::new(),
            feed: PlayFeed::Over,
            viewer: None,
            pacer: Pacer::default(),
            unsynchronized: false,
            outbox: Outbox::default(),
            taken: Instant::now(),
            held: IdleTimer::default(),
            closing: false,
        })
    }

    /// Serves until the peer leaves, tears down, falls silent or violates the protocol.
    pub(super) async fn run(mut self) -> Result<(), RtspEnd> {
        loop {
            let wake = self.play().await;
            if self.closing && self.outbox.is_empty() {
                return Ok(tokio::time::timeout(STUCK, self.socket.flushed())
                    .await
                    .map_err(|_| RtspEnd::Stuck)??);
            }
            let mut patience = Instant::from_std(self.session.ends_at());
            if !self.outbox.is_empty() {
                patience = patience.min(self.taken + STUCK);
            }
            match self.step(wake, patience).await? {
                ConnectionEvent::Read(0) => return Ok(()),
                ConnectionEvent::Read(_) => self.answer_all().await?,
                ConnectionEvent::Wrote(count) => {
                    self.outbox.advance(count);
                    self.taken = Instant::now();
                    if self.session.is_playing() {
                        self.session.heard(self.taken.into_std());
                    }
                }
                ConnectionEvent::Heard => self.session.heard(Instant::now().into_std()),
                ConnectionEvent::Time => {}
                ConnectionEvent::Over if self.outbox.is_empty() => return Err(RtspEnd::Silent),
                ConnectionEvent::Over if Instant::now() >= self.taken + STUCK => return Err(RtspEnd::Stuck),
                ConnectionEvent::Over => return Err(RtspEnd::Silent),
                ConnectionEvent::Lapsed(why) => return Err(RtspEnd::Lapsed(why)),
            }
        }
    }

    async fn step(&mut self, wake: Option<Duration>, patience: Instant) -> io::Result<ConnectionEvent> {
        let Self { socket, requests, outbox, streams, feed, pacer, session, closing, right, .. } = self;
        let slices = outbox.slices();
        let is_udp = streams.iter().any(RtspStream::is_udp);
        let wants_more = session.is_playing() && pacer.wants_more() && !feed.is_over();
        tokio::select! {
            read = socket.read_buf(requests.feed()), if !*closing && !outbox.is_full() => Ok(ConnectionEvent::Read(read?)),
            written = socket.write_vectored(&slices), if !slices.is_empty() => match written? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                count => Ok(ConnectionEvent::Wrote(count)),
            },
            () = feed.more(), if wants_more => Ok(ConnectionEvent::Time),
            () = stream::heard(streams), if is_udp => Ok(ConnectionEvent::Heard),
            () = sleep(wake.unwrap_or_default()), if wake.is_some() => Ok(ConnectionEvent::Time),
            why = lapsed(right.as_mut()) => Ok(ConnectionEvent::Lapsed(why)),
            () = sleep_until(patience) => Ok(ConnectionEvent::Over),
        }
    }

    async fn answer_all(&mut self) -> Result<(), RtspEnd> {
        while let Some(incoming) = self.requests.take().map_err(|fault| {
            let position = self.requests.position();
            RtspEnd::Message { fault, position }
        })? {
            let now = Instant::now().into_std();
            match incoming {
                Incoming::Packet { .. } => self.session.heard(now),
                Incoming::Request(request) => {
                    if let Some(event) = self.session.handle(&request, now) {
                        self.answer(event).await;
                    }
                    self.say();
                }
            }
        }
        Ok(())
    }

    /// Appends the session's answers to the outbox.
    fn say(&mut self) {
        if self.outbox.is_empty() {
            self.taken = Instant::now();
        }
        self.outbox.push(self.session.output().split().freeze());
    }

    async fn answer(&mut self, event: RtspEvent) {
        let answered = match event {
            RtspEvent::Describe(target) => self.describe(target).await,
            RtspEvent::SetUp { target, track, transport } => self.set_up(target, track, transport).await,
            RtspEvent::Play(span) => self.start(span).await,
            RtspEvent::Pause => {
                if self.is_live() {
                    self.feed = PlayFeed::Over;
                    self.viewer = None;
                }
                self.session.paused();
                Ok(())
            }
            RtspEvent::TearDown => {
                self.closing = true;
                Ok(())
            }
        };
        if let Err(refusal) = answered {
            self.port.counts.count(
                if refusal == Refusal::NotReady { AnswerKind::NotReady } else { AnswerKind::Refused },
                0,
            );
            self.session.refuse(refusal);
        }
    }

    async fn describe(&mut self, target: RequestTarget) -> Result<(), Refusal> {
        let (playable, right) = self.port.find(&target, self.peer).await?;
        self.session.described(&playable.describe());
        // Another DESCRIBE does not change what is set up.
        if self.streams.is_empty() {
            self.playable = Some((target, playable));
            self.right = right;
        }
        Ok(())
    }

    async fn set_up(
        &mut self,
        target: RequestTarget,
        track: usize,
        transport: Transport,
    ) -> Result<(), Refusal> {
        if self.socket.is_secure() && matches!(transport, Transport::Udp { .. }) {
            // Who asks inside TLS is not answered in the clear.
            return Err(Refusal::Transport);
        }
        if self.playable.as_ref().is_none_or(|(known, _)| known.path != target.path) {
            let (playable, right) = self.port.find(&target, self.peer).await?;
            self.playable = Some((target, playable));
            self.right = right;
        }
        let Some((_, playable)) = &self.playable else { return Err(Refusal::Internal) };
        let formats = playable.formats();
        self.tracks = formats.len();
        let rate = clock_rate(formats.get(track).ok_or(Refusal::NotFound)?);
        let ssrc = playable.ssrc(track as u8).unwrap_or_else(|| fastrand::u32(..));
        let opened =
            RtspStream::open((track, rate, ssrc), transport, self.local.ip(), self.peer, &self.port.places)
                .await;
        let (stream, ports) = opened.map_err(|error| {
            if amphi_runtime::log::may_say("ports", Some(self.peer.ip())) {
                tracing::warn!(peer = %self.peer, %error, "no UDP ports for an RTSP player");
            }
            Refusal::NotReady
        })?;
        self.streams.retain(|stream| stream.track != track);
        self.streams.push(stream);
        self.feed = PlayFeed::Over;
        self.pacer = Pacer::default();
        self.session.set_up(ssrc, ports);
        Ok(())
    }

    fn is_live(&self) -> bool {
        matches!(self.playable, Some((_, Playable::Live { .. })))
    }

    /// Begins, resumes, or seeks (RFC 2326 §10.5).
    async fn start(&mut self, span: Span) -> Result<(), Refusal> {
        match self.playable.as_ref().map(|(_, playable)| playable.clone()) {
            None => Err(Refusal::Internal),
            Some(Playable::Live { .. }) if self.session.is_playing() => {
                self.session.playing(Span { from: Some(Npt::Now), to: None }, &[]);
                Ok(())
            }
            Some(Playable::Live { channel, mut air, rung }) => {
                let begin = air.begin(self.port.clock.now());
                let aired = tokio::time::timeout(FIRST_CELL, begin).await.map_err(|_| Refusal::NotReady)?;
                let aired = aired.ok_or(Refusal::NotFound)?;
                let (at, row) = (air.cell_start(&aired), air.packets(&aired, rung));
                self.anchor(at);
                let start = |stream: &RtspStream| Start {
                    track: stream.track,
                    sequence: row.sequence_of(stream.track as u8),
                    timestamp: stream.timestamp(at),
                };
                let starts: Vec<_> = self.streams.iter().map(start).collect();
                self.pacer.push(row, self.port.clock.now());
                let viewer = |name: &str| self.port.audience.of(&channel).enter(name, ViewerProtocol::Rtsp);
                self.viewer = air.tracks().get(rung).map(|tracks| viewer(&tracks.name));
                self.feed = PlayFeed::Live { air, rung };
                self.session.playing(Span { from: Some(Npt::Now), to: None }, &starts);
                Ok(())
            }
            Some(Playable::Recorded { .. }) if span.from.is_none() && !self.is_at_the_end() => {
                self.go_on();
                Ok(())
            }
            Some(Playable::Recorded { mount, rendition, tracks }) => {
                let time = |nanos: u64| MediaTime::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
                let from = match span.from {
                    Some(Npt::Nanos(nanos)) => time(nanos),
                    Some(Npt::Now) | None => MediaTime::default(),
                };
                let now = self.port.clock.now();
                let mut streams = Vec::new();
                let mut starts = Vec::new();
                for stream in &self.streams {
                    let (kind, format) = tracks.get(stream.track).cloned().ok_or(Refusal::Internal)?;
                    let sequence = stream.next_sequence();
                    streams.push(RecordedTrack::new(stream.track, kind, format, stream.ssrc, sequence));
                    let timestamp = stream.timestamp(now);
                    starts.push(Start { track: stream.track, sequence: Some(sequence), timestamp });
                }
                let kinds: Vec<_> = streams.iter().map(RecordedTrack::kind).collect();
                let mut cursor = SampleCursor::new(rendition, &kinds);
                cursor.end_at(span.to.map_or(cursor.until(), time));
                if from >= cursor.until() {
                    return Err(Refusal::Range);
                }
                cursor.seek(from);
                let nanos = |at: MediaTime| u64::try_from(at.as_nanos()).unwrap_or(0);
                let span =
                    Span { from: Some(Npt::Nanos(nanos(cursor.start()))), to: Some(nanos(cursor.until())) };
                let rows = RecordedRows::new(mount, cursor, streams, now).ok_or(Refusal::Range)?;
                self.anchor(now);
                self.feed = PlayFeed::Recorded(Box::new(rows));
                self.session.playing(span, &starts);
                Ok(())
            }
        }
    }

    /// Whether nothing of a recording is left, or nothing of it was played yet.
    fn is_at_the_end(&self) -> bool {
        self.feed.is_over() && self.pacer.is_empty()
    }

    /// Resumes after a pause.
    fn go_on(&mut self) {
        let now = self.port.clock.now();
        if !self.session.is_playing() {
            self.pacer.resume(now);
            self.report_at = now;
        }
        let at = self.pacer.next_at().unwrap_or_else(|| self.pacer.media_time(now));
        let start = |stream: &RtspStream| Start {
            track: stream.track,
            sequence: None,
            timestamp: stream.timestamp(at),
        };
        let starts: Vec<_> = self.streams.iter().map(start).collect();
        self.session.playing(Span::default(), &starts);
    }

    /// Starts the pacer so that the media time `at` is sent now.
    fn anchor(&mut self, at: MediaTime) {
        let now = self.port.clock.now();
        self.pacer.start(at, now);
        self.report_at = now;
        self.unsynchronized = true;
        self.streams.iter_mut().for_each(RtspStream::begin);
    }

    /// Sends what is due; returns after how long something else is. `None` while the peer has to take something first, or
    /// nothing plays.
    async fn play(&mut self) -> Option<Duration> {
        let stands = !self.session.is_playing();
        self.held.look(!stands, Instant::now());
        if stands {
            return self.stand().await;
        }
        self.refill();
        if !self.outbox.is_empty() {
            return None;
        }
        let now = self.port.clock.now();
        if now >= self.report_at && !self.pacer.is_empty() {
            self.report_at = now + REPORT_EVERY;
            self.report(now, false).await;
        }
        let mut room = TICK_BYTES;
        // Players take the first packet of each stream for the moment of its media time, until a report corrects them: a
        // stream that begins early would be shifted where it is heard.
        let ahead = if self.unsynchronized { Duration::ZERO } else { TICK };
        while let Some(due) = self.pacer.due(now, ahead, room) {
            let sent = stream::send(&mut self.streams, &due, self.tracks, &mut self.outbox).await;
            self.port.counts.count_bytes(sent);
            if let Some(viewer) = &self.viewer {
                viewer.sent(sent);
            }
            if due.range.end == due.row.all().len() {
                self.port.counts.count(AnswerKind::RtspCell, 0);
                self.refill();
            }
            room = room.saturating_sub(sent);
            if room == 0 {
                break;
            }
        }
        if self.unsynchronized && self.streams.iter().all(RtspStream::has_begun) {
            self.unsynchronized = false;
            self.report(now, false).await;
        }
        if !self.outbox.is_empty() {
            self.taken = Instant::now();
        }
        if self.feed.is_over() && self.pacer.is_empty() {
            self.report(now, true).await;
            self.session.finished();
            // A channel that has ended does not come back in this session.
            self.closing = self.is_live();
            return None;
        }
        let due = self.pacer.wake_at()?.saturating_since(now);
        // If the tick was full, the rest leaves a tick later, not at once.
        Some(if room == 0 { due.max(TICK) } else { due })
    }

    /// How long the player may go on standing. After that it gets an RTCP BYE (RFC 3550 §6.6), which is all that a server can
    /// send unasked in RTSP 1.0, and is disconnected.
    async fn stand(&mut self) -> Option<Duration> {
        let left = self.held.until()?.saturating_duration_since(Instant::now());
        if !left.is_zero() || self.closing {
            return (!self.closing).then_some(left);
        }
        tracing::debug!(peer = %self.peer, "an RTSP player that has played nothing for too long is disconnected");
        self.report(self.port.clock.now(), true).await;
        self.closing = true;
        None
    }

    /// Takes the packets that are there, and leaves out what is too late.
    fn refill(&mut self) {
        loop {
            let now = self.port.clock.now();
            while self.pacer.wants_more() {
                let Some(row) = self.feed.ready() else { break };
                self.pacer.push(row, now);
            }
            if self.feed.is_recorded() {
                return self.pacer.wait_for(now);
            }
            if !self.pacer.drop_late(now) {
                return;
            }
        }
    }

    async fn report(&mut self, now: MediaTime, last: bool) {
        let at = self.pacer.media_time(now);
        for stream in &self.streams {
            stream.report(at, self.session.cname(), last, &mut self.outbox).await;
        }
    }
}
