//! One RTSP connection: set up, read, torn down. A thin shell over [`amphi_protocol::rtsp::client`].
//!
//! # Contract
//! [`SourceSession::open`] ends within [`OPEN_WITHIN`]; then [`SourceSession::next`] until it fails or enough was seen;
//! then [`SourceSession::close`], which attempts TEARDOWN and ends within a second. `next` may be cancelled.
//! Dropping a session attempts TEARDOWN in the background, so it must happen inside the runtime.
//!
//! Redirects are followed, while it opens and later ([`ServerAddress::moved`] has the rule). Receiver reports go out every five
//! seconds. Silence is not noticed here, but by the caller (`silence`).

use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::address::SourceAddress;
use super::fault::{self, SourceFault};
use super::intake::ArrivedUnit;
use super::payload::Depacketized;
use super::timeline::RtpInstant;
use super::tracks::{self, TrackChoice};
use super::wire::{Came, SourceTransport};
use amphi_config::Transport;
use amphi_control::matrix::SourceMedia;
use amphi_media::clock::Clock;
use amphi_media::{MediaTime, Track};
use amphi_protocol::rtsp::client::{
    Arrived, Client, Failure, Happening, MOST_REDIRECTS, Receiver, RequestedTransport, Route, ServerAddress,
    SessionDescription, receiver_report,
};

/// The longest time from the first packet to the answer to PLAY, redirects included.
pub(super) const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// The time between two receiver reports (RFC 3550 §6.2).
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// The port where a URL names none (RFC 2326 §3.2).
const RTSP_PORT: u16 = 554;
/// The port of RTSP inside TLS (RFC 7826 §22.14.2 registers it for `rtsps`).
const RTSPS_PORT: u16 = 322;
/// A session that is being opened where the server redirected us to.
type Moving = dyn Future<Output = Result<SourceSession, SourceFault>> + Send;
const USER_AGENT: &str = concat!("Amphi/", env!("CARGO_PKG_VERSION"));

/// An open connection that plays.
pub(super) struct SourceSession {
    wire: SourceTransport,
    began: Instant,
    place: ServerAddress,
    /// Where it began, and what stays the same if it is redirected.
    home: Home,
    choice: TrackChoice,
    receivers: Vec<SourceStream>,
    ready: VecDeque<SessionEvent>,
    /// Returned when all events before it have been.
    fault: Option<SourceFault>,
    /// The server has redirected us; the session at the new place is being opened.
    moving: Option<Pin<Box<Moving>>>,
    /// Our SSRC in receiver reports.
    ssrc: u32,
    cname: String,
    next_report: Duration,
}

/// What stays the same wherever we are redirected to.
#[derive(Clone)]
struct Home {
    place: ServerAddress,
    transport: Transport,
    clock: Arc<dyn Clock>,
    ca_file: PathBuf,
    moves: u32,
}

struct SourceStream {
    track: Track,
    receiver: Receiver,
    clock_rate: u32,
}

/// What comes on a connection.
#[derive(Debug)]
pub(super) enum SessionEvent {
    /// An access unit of picture or sound.
    Unit(ArrivedUnit),
    /// A sender report: NTP time (32.32 bits) `ntp` was `rtp` on `track`.
    Report { track: Track, rtp: RtpInstant, ntp: u64 },
    /// A packet could not be understood.
    Broken {
        /// The packet's track.
        track: Track,
        /// Whether something of the picture may be missing.
        missing: bool,
        /// What is wrong with it.
        why: String,
        /// The sequence number (RFC 3550 §5.1) of the packet that told it, where it has one.
        sequence: Option<u16>,
    },
    /// An access unit that is of no use: without a slice, or before the parameter sets.
    Nothing,
}

/// Why a session does not open at this place.
enum Otherwise {
    Fault(SourceFault),
    Moved(String),
}

impl From<SourceFault> for Otherwise {
    fn from(fault: SourceFault) -> Self {
        Self::Fault(fault)
    }
}

impl SourceSession {
    /// Connects and sends DESCRIBE, SETUP for picture and sound, and PLAY.
    pub(super) async fn open(
        address: &SourceAddress,
        transport: Transport,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceFault> {
        let home =
            Home { place: address.place(), transport, clock, ca_file: address.ca_file.clone(), moves: 0 };
        Self::open_at(home.place.clone(), home).await
    }

    async fn open_at(place: ServerAddress, home: Home) -> Result<Self, SourceFault> {
        let no_answer = SourceFault::NoAnswer(OPEN_WITHIN.as_secs());
        tokio::time::timeout(OPEN_WITHIN, Self::follow(place, home)).await.unwrap_or(Err(no_answer))
    }

    /// Opens a session at `place`, or where that redirects to.
    async fn follow(mut place: ServerAddress, mut home: Home) -> Result<Self, SourceFault> {
        loop {
            let location = match Opening::new(&place, &home).await?.run().await {
                Ok(session) => return Ok(session),
                Err(Otherwise::Fault(fault)) => return Err(fault),
                Err(Otherwise::Moved(location)) => location,
            };
            place = home.follow(&place, &location)?;
        }
    }

    /// The next event. A failure is final.
    pub(super) async fn next(&mut self) -> Result<SessionEvent, SourceFault> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(moving) = &mut self.moving {
                let moved = moving.await?;
                *self = moved;
                continue;
            }
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            self.step().await;
        }
    }

    /// Waits for the next bytes, datagram or deadline and handles it.
    async fn step(&mut self) {
        let receivers = self.receivers.iter().filter_map(|stream| stream.receiver.deadline());
        let deadline = receivers.chain(self.wire.client.deadline()).chain([self.next_report]).min();
        match self.wire.wait(deadline.map(|deadline| self.began + deadline)).await {
            Err(error) => self.fault = Some(fault::from_io(&error)),
            Ok(Came::Bytes(false)) => self.fault = Some(SourceFault::Closed),
            Ok(Came::Bytes(true)) => {
                if let Err(failure) = self.wire.client.handle(self.began.elapsed()) {
                    self.fault = Some(fault::from_conversation(failure, self.home.transport));
                }
                self.happened();
            }
            Ok(Came::Datagram { stream, rtcp, data }) => self.packet(stream, rtcp, &data),
            Ok(Came::Nothing) => {}
        }
        self.tick();
        self.drain();
    }

    fn happened(&mut self) {
        while let Some(happening) = self.wire.client.poll() {
            match happening {
                Happening::Packet { stream, rtcp, data } => self.packet(stream, rtcp, &data),
                Happening::Note(what) => tracing::info!("{what}"),
                Happening::Over => self.fault = self.fault.take().or(Some(SourceFault::Closed)),
                Happening::Moved(location) => match self.home.follow(&self.place, &location) {
                    Ok(place) => {
                        tracing::info!("the encoder redirects us in mid-stream");
                        let why = "the encoder redirected us in mid-stream".to_owned();
                        self.ready.push_back(SessionEvent::Broken {
                            track: Track::Video,
                            missing: true,
                            why,
                            sequence: None,
                        });
                        self.moving = Some(Box::pin(Self::open_at(place, self.home.clone())));
                    }
                    Err(fault) => self.fault = Some(fault),
                },
                Happening::Described(_) | Happening::SetUp(_) | Happening::Playing(_) => {}
            }
        }
    }

    fn packet(&mut self, stream: usize, rtcp: bool, data: &Bytes) {
        let now = self.began.elapsed();
        let Some(stream) = self.receivers.get_mut(stream) else { return };
        if rtcp {
            stream.receiver.control(data, now);
        } else {
            stream.receiver.packet(data, now, self.home.clock.now());
        }
    }

    fn tick(&mut self) {
        let now = self.began.elapsed();
        self.wire.client.tick(now);
        for stream in &mut self.receivers {
            stream.receiver.tick(now);
            // If only the sound has left (BYE, RFC 3550 §6.6), the session goes on.
            if stream.track == Track::Video && stream.receiver.has_left() {
                self.fault.get_or_insert(SourceFault::Closed);
            }
        }
        if now >= self.next_report {
            self.next_report = now + REPORT_EVERY;
            let udp = self.wire.is_udp();
            for (index, stream) in self.receivers.iter_mut().enumerate() {
                let report = receiver_report(self.ssrc, stream.receiver.block(now), &self.cname);
                if udp {
                    self.wire.report(index, &report);
                } else {
                    self.wire.client.control(index, &report);
                }
            }
        }
    }

    /// Gives what the receivers have to the payloads.
    fn drain(&mut self) {
        let mut made = Vec::new();
        for stream in &mut self.receivers {
            let track = stream.track;
            while let Some(arrived) = stream.receiver.poll() {
                let sequence = match &arrived {
                    Arrived::Packet(received) => Some(received.packet.sequence),
                    _ => None,
                };
                match (arrived, track) {
                    (Arrived::Packet(received), Track::Video) => {
                        self.choice.video.1.push(&received, &mut made);
                    }
                    (Arrived::Packet(received), Track::Audio) => {
                        if let Some((_, audio)) = &mut self.choice.audio {
                            audio.push(&received, &mut made);
                        }
                    }
                    (Arrived::Report { ticks, ntp }, track) => {
                        let rtp = RtpInstant { ticks, clock_rate: stream.clock_rate };
                        self.ready.push_back(SessionEvent::Report { track, rtp, ntp });
                    }
                    // Often of another payload type or source; what is missing of ours shows in the sequence numbers.
                    (Arrived::Broken(why), track) => {
                        self.ready.push_back(SessionEvent::Broken {
                            track,
                            missing: false,
                            why: why.to_owned(),
                            sequence,
                        });
                    }
                }
                self.ready.extend(made.drain(..).map(|made| SessionEvent::of(track, made, sequence)));
            }
        }
    }

    /// Ends the connection with TEARDOWN; waits for the answer for a second at most.
    pub(super) async fn close(self) {
        self.wire.close().await;
    }

    /// The earliest moment that a receiver waits for.
    #[cfg(test)]
    pub(super) fn awaited(&self) -> Option<Duration> {
        self.receivers.iter().filter_map(|stream| stream.receiver.deadline()).min()
    }

    /// What the tracks are, as far as known.
    pub(super) fn media(&self) -> SourceMedia {
        let audio = self.choice.audio.as_ref().and_then(|(_, audio)| audio.format());
        tracks::media(&self.choice.video.1, audio.as_deref())
    }

    /// If no track of sound can be used: what is offered instead, or what is wrong with it.
    pub(super) fn unheard(&self) -> Option<&str> {
        let offered = self.choice.skipped.iter().find_map(|track| track.strip_prefix("audio ("));
        offered.filter(|_| self.choice.audio.is_none()).map(|why| why.trim_end_matches(')'))
    }

    /// Tracks that the source offers and that are not used, each with the reason.
    pub(super) fn skipped(&self) -> &[String] {
        &self.choice.skipped
    }
}

impl SessionEvent {
    fn of(track: Track, made: Depacketized, sequence: Option<u16>) -> Self {
        match made {
            Depacketized::Unit(unit) => Self::Unit(unit),
            Depacketized::Broken { missing, why } => Self::Broken { track, missing, why, sequence },
            Depacketized::Nothing => Self::Nothing,
        }
    }
}

impl Home {
    /// Where `location` leads from `place`.
    fn follow(&mut self, place: &ServerAddress, location: &str) -> Result<ServerAddress, SourceFault> {
        self.moves += 1;
        if self.moves > MOST_REDIRECTS {
            return Err(SourceFault::Redirect("again and again"));
        }
        place.moved(&self.place, location).map_err(SourceFault::Redirect)
    }
}

/// A session that is being opened.
struct Opening<'a> {
    wire: SourceTransport,
    began: Instant,
    place: &'a ServerAddress,
    home: &'a Home,
    choice: Option<TrackChoice>,
    receivers: Vec<SourceStream>,
    ssrc: u32,
    cname: String,
    /// Packets that came before the answer to PLAY.
    early: Vec<(usize, bool, Bytes, MediaTime)>,
}

impl<'a> Opening<'a> {
    async fn new(place: &'a ServerAddress, home: &'a Home) -> Result<Self, SourceFault> {
        let client = Client::new(place, USER_AGENT, fastrand::u64(..));
        let host = place.url.host_str().unwrap_or_default();
        let wire = if place.url.scheme() == "rtsps" {
            let port = place.url.port().unwrap_or(RTSPS_PORT);
            SourceTransport::connect_tls(host, port, &home.ca_file, client).await?
        } else {
            let port = place.url.port().unwrap_or(RTSP_PORT);
            let wire = SourceTransport::connect(host, port, client).await;
            wire.map_err(|error| SourceFault::Connect(error.to_string()))?
        };
        Ok(Self {
            wire,
            began: Instant::now(),
            place,
            home,
            choice: None,
            receivers: Vec::new(),
            ssrc: fastrand::u32(..),
            cname: format!("amphi-{:08x}", fastrand::u32(..)),
            early: Vec::new(),
        })
    }

    /// From DESCRIBE to the answer to PLAY.
    async fn run(mut self) -> Result<SourceSession, Otherwise> {
        loop {
            self.handle().map_err(|failure| self.fault(failure))?;
            let mut happened = false;
            while let Some(happening) = self.wire.client.poll() {
                happened = true;
                match happening {
                    Happening::Described(description) => self.described(&description).await?,
                    Happening::SetUp(routes) => self.set_up(&routes)?,
                    Happening::Playing(starts) => return Ok(self.plays(&starts)?),
                    Happening::Packet { stream, rtcp, data } => self.early(stream, rtcp, data),
                    Happening::Moved(location) => return Err(Otherwise::Moved(location)),
                    Happening::Over => return Err(Otherwise::Fault(SourceFault::Closed)),
                    Happening::Note(_) => {}
                }
            }
            if happened {
                continue;
            }
            let came = self.wire.wait(None).await.map_err(|error| fault::from_io(&error))?;
            match came {
                Came::Bytes(true) | Came::Nothing => {}
                Came::Bytes(false) => return Err(Otherwise::Fault(SourceFault::Closed)),
                Came::Datagram { stream, rtcp, data } => self.early(stream, rtcp, data),
            }
        }
    }

    fn handle(&mut self) -> Result<(), Failure> {
        self.wire.client.handle(self.began.elapsed())
    }

    fn fault(&self, failure: Failure) -> SourceFault {
        fault::from_conversation(failure, self.home.transport)
    }

    /// Some encoders send before they answer PLAY.
    fn early(&mut self, stream: usize, rtcp: bool, data: Bytes) {
        const MOST: usize = 2000;
        if self.early.len() < MOST {
            self.early.push((stream, rtcp, data, self.home.clock.now()));
        }
    }

    async fn described(&mut self, description: &SessionDescription) -> Result<(), SourceFault> {
        let choice = tracks::choose(description)?;
        let audio = choice.audio.as_ref().map(|(index, _)| (*index, Track::Audio));
        let mut wishes = Vec::new();
        for (number, (index, track)) in
            [Some((choice.video.0, Track::Video)), audio].into_iter().flatten().enumerate()
        {
            let wish = match self.home.transport {
                Transport::Tcp => RequestedTransport::Interleaved(2 * number as u8),
                Transport::Udp => {
                    let bound = self.wire.bind().await;
                    let (rtp, rtcp) =
                        bound.map_err(|error| SourceFault::Connect(format!("no UDP ports: {error}")))?;
                    RequestedTransport::Udp { rtp, rtcp }
                }
                Transport::Multicast => RequestedTransport::Multicast,
            };
            wishes.push((index, wish));
            let Some(media) = description.media.get(index) else { continue };
            let udp = self.home.transport != Transport::Tcp;
            let clock_rate = match track {
                Track::Video => 90_000,
                Track::Audio => {
                    choice.audio.as_ref().map_or(media.clock_rate, |(_, audio)| audio.clock_rate())
                }
            };
            self.receivers.push(SourceStream {
                track,
                receiver: Receiver::new(media.payload_type, clock_rate, udp),
                clock_rate,
            });
        }
        self.choice = Some(choice);
        self.wire.client.set_up(&wishes);
        Ok(())
    }

    fn set_up(&mut self, routes: &[Route]) -> Result<(), SourceFault> {
        let hello = receiver_report(self.ssrc, None, &self.cname);
        let routed = self.wire.route(routes, &hello);
        routed.map_err(|error| SourceFault::Connect(format!("no multicast: {error}")))?;
        self.wire.client.play();
        Ok(())
    }

    fn plays(mut self, starts: &[Option<u32>]) -> Result<SourceSession, SourceFault> {
        // RTP-Info is often missing or wrong: its times serve if all are there, its sequence numbers never (GStreamer's
        // are one off, others are 0 or random).
        if starts.len() == self.receivers.len() && starts.iter().all(Option::is_some) {
            for (stream, start) in self.receivers.iter_mut().zip(starts.iter().flatten()) {
                stream.receiver.start(*start);
            }
        }
        let choice = self.choice.take().ok_or(SourceFault::NoVideo)?;
        let now = self.began.elapsed();
        for (stream, rtcp, data, arrival) in self.early {
            let Some(stream) = self.receivers.get_mut(stream) else { continue };
            if rtcp {
                stream.receiver.control(&data, now);
            } else {
                stream.receiver.packet(&data, now, arrival);
            }
        }
        Ok(SourceSession {
            wire: self.wire,
            began: self.began,
            place: self.place.clone(),
            home: self.home.clone(),
            choice,
            receivers: self.receivers,
            ready: VecDeque::new(),
            fault: None,
            moving: None,
            ssrc: self.ssrc,
            cname: self.cname,
            next_report: now + REPORT_EVERY / 2,
        })
    }
}
