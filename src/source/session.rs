//! One RTSP connection: set up, read, torn down. A thin shell over retina.
//!
//! # Contract
//! [`Session::open`] ends within [`OPEN_WITHIN`]; then [`Session::next`] until it fails or enough was seen;
//! then [`Session::close`], which attempts TEARDOWN and ends within a second. `next` may be cancelled.
//! Dropping a session attempts TEARDOWN in the background, so it must happen inside the runtime.
//!
//! Silence is not noticed here: the reader holds the watch.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use retina::PacketContext;
use retina::client::{
    Demuxed, InitialSequenceNumberPolicy, InitialTimestampPolicy, PlayOptions, SessionGroup, SessionOptions,
    SetupOptions, TcpTransportOptions, Transport as RetinaTransport, UdpTransportOptions,
};
use retina::codec::{AudioFrame, CodecItem, FrameFormat, VideoFrame};
use retina::rtcp::ReceivedCompoundPacket;

use super::address::Address;
use super::fault::{self, SourceFault};
use super::intake::Unit;
use super::sample;
use super::timeline::RtpInstant;
use super::tracks::{self, Choice, Offer};
use crate::clock::Clock;
use crate::config::Transport;
use crate::matrix::SourceMedia;
use crate::media::{MediaTime, Track, TrackFormat};

/// From the first packet to the answer to PLAY.
pub(super) const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// A peer that is frozen does not answer TEARDOWN either.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// Errors in a row that are forgiven, as long as media comes between them.
const FORGIVEN: u32 = 5;
/// Between two reads while a keepalive is overdue. The library then reports an error whenever nothing is
/// there to be read, instead of waiting.
const OVERDUE_PAUSE: Duration = Duration::from_millis(5);

/// An open connection that plays.
pub(super) struct Session {
    demuxed: Pin<Box<Demuxed>>,
    group: Arc<SessionGroup>,
    choice: Choice,
    video_format: Option<Arc<TrackFormat>>,
    audio_format: Option<Arc<TrackFormat>>,
    clock: Arc<dyn Clock>,
    errors_in_row: u32,
    keepalive_overdue: bool,
}

/// What a connection has to tell.
#[derive(Debug)]
pub(super) enum Event {
    /// An access unit.
    Unit(Unit),
    /// A sender report: NTP time (32.32 bits) `ntp` was `rtp` on `track`.
    Report { track: Track, rtp: RtpInstant, ntp: u64 },
    /// A packet could not be understood; something of the picture may be missing.
    Broken(String),
    /// An access unit without use: without a slice, or before the parameter sets.
    Nothing,
}

impl Session {
    /// Connects, describes, sets up picture and sound, plays.
    pub(super) async fn open(
        address: &Address,
        transport: Transport,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceFault> {
        let opening = Self::open_unlimited(address, transport, clock);
        let no_answer = SourceFault::NoAnswer(OPEN_WITHIN.as_secs());
        tokio::time::timeout(OPEN_WITHIN, opening).await.unwrap_or(Err(no_answer))
    }

    async fn open_unlimited(
        address: &Address,
        transport: Transport,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceFault> {
        let refuse =
            |error: retina::Error| fault::from_setup(&error, address.credentials.is_some(), transport);
        // A group per connection, so that closing waits for this TEARDOWN and no older one.
        let group = Arc::new(SessionGroup::default());
        let options = SessionOptions::default()
            .creds(address.credentials.clone())
            .session_group(Arc::clone(&group))
            .user_agent(concat!("Amphi/", env!("CARGO_PKG_VERSION")).to_owned());
        let mut session =
            retina::client::Session::describe(address.url.clone(), options).await.map_err(refuse)?;
        let choice = tracks::choose(session.streams().iter().map(Offer::of))?;
        for index in [Some(choice.video), choice.audio].into_iter().flatten() {
            let transport = match transport {
                Transport::Tcp => RetinaTransport::Tcp(TcpTransportOptions::default()),
                Transport::Udp => RetinaTransport::Udp(UdpTransportOptions::default()),
            };
            let options = SetupOptions::default().transport(transport).frame_format(FrameFormat::MP4);
            session.setup(index, options).await.map_err(refuse)?;
        }
        // RTP-Info is often missing or wrong: its times serve if both are there, its sequence numbers never
        // (GStreamer's are one off, others are 0 or random, and over TCP that would end the session).
        let play = PlayOptions::default()
            .initial_timestamp(InitialTimestampPolicy::Permissive)
            .initial_seq(InitialSequenceNumberPolicy::Ignore);
        let demuxed = session.play(play).await.and_then(retina::client::Session::demuxed).map_err(refuse)?;
        let streams = demuxed.streams();
        let video_format = streams.get(choice.video).and_then(tracks::format);
        let audio_format = choice.audio.and_then(|index| streams.get(index)).and_then(tracks::format);
        Ok(Self {
            demuxed: Box::pin(demuxed),
            group,
            choice,
            video_format,
            audio_format,
            clock,
            errors_in_row: 0,
            keepalive_overdue: false,
        })
    }

    /// The next event. A failure is final.
    pub(super) async fn next(&mut self) -> Result<Event, SourceFault> {
        loop {
            match self.demuxed.next().await {
                Some(Ok(item)) => {
                    self.errors_in_row = 0;
                    return Ok(self.event(item));
                }
                None => return Err(SourceFault::Closed),
                Some(Err(error)) => {
                    let line = fault::first_line(&error);
                    if line.contains("failed to respond to keepalive") {
                        // Encoders exist that never answer one; the silence watch knows better.
                        if !std::mem::replace(&mut self.keepalive_overdue, true) {
                            tracing::info!(
                                "the encoder does not answer keepalives; going on while media flows"
                            );
                        }
                        tokio::time::sleep(OVERDUE_PAUSE).await;
                        continue;
                    }
                    self.errors_in_row += 1;
                    if self.errors_in_row > FORGIVEN {
                        return Err(fault::from_stream(&error));
                    }
                    return Ok(Event::Broken(line));
                }
            }
        }
    }

    /// Ends the connection: TEARDOWN, for a second at most.
    pub(super) async fn close(self) {
        let Self { demuxed, group, .. } = self;
        drop(demuxed);
        // Its outcome changes nothing for us: the connection is gone either way.
        let _ = tokio::time::timeout(CLOSE_WITHIN, group.await_teardown()).await;
    }

    /// What the tracks are, as far as it is known.
    pub(super) fn media(&self) -> SourceMedia {
        let streams = self.demuxed.streams();
        let audio = self.choice.audio.and_then(|index| streams.get(index));
        tracks::media(streams.get(self.choice.video), audio)
    }

    /// Tracks that the source offers and we do not use.
    pub(super) fn skipped(&self) -> &[String] {
        &self.choice.skipped
    }

    fn event(&mut self, item: CodecItem) -> Event {
        let unit = match item {
            CodecItem::VideoFrame(frame) => self.picture(frame),
            CodecItem::AudioFrame(frame) => self.sound(&frame),
            CodecItem::Rtcp(packet) => return self.report(&packet).unwrap_or(Event::Nothing),
            _ => None,
        };
        unit.map_or(Event::Nothing, Event::Unit)
    }

    fn picture(&mut self, frame: VideoFrame) -> Option<Unit> {
        if frame.has_new_parameters() || self.video_format.is_none() {
            self.video_format = self.demuxed.streams().get(self.choice.video).and_then(tracks::format);
        }
        let (rtp, lost) = (instant(frame.timestamp()), frame.loss());
        let arrival = self.arrival(frame.end_ctx());
        let picture = sample::clean(&frame.into_data().into())?;
        let format = self.video_format.clone()?;
        Some(Unit { rtp, arrival, data: picture.data, sync: picture.idr, lost, format })
    }

    fn sound(&self, frame: &AudioFrame) -> Option<Unit> {
        Some(Unit {
            rtp: instant(frame.timestamp()),
            arrival: self.arrival(frame.ctx()),
            data: Bytes::copy_from_slice(frame.data()),
            sync: true,
            lost: frame.loss(),
            format: self.audio_format.clone()?,
        })
    }

    fn report(&self, packet: &ReceivedCompoundPacket) -> Option<Event> {
        let track = match packet.stream_id() {
            id if id == self.choice.video => Track::Video,
            id if Some(id) == self.choice.audio => Track::Audio,
            _ => return None,
        };
        let rtp = instant(packet.rtp_timestamp()?);
        let report = packet.pkts().next()?.as_sender_report().ok()??;
        Some(Event::Report { track, rtp, ntp: report.ntp_timestamp().0 })
    }

    /// When a packet was read from its socket, on our clock.
    fn arrival(&self, packet: &PacketContext) -> MediaTime {
        self.clock.now() - packet.received().elapsed()
    }
}

fn instant(timestamp: retina::Timestamp) -> RtpInstant {
    RtpInstant { ticks: timestamp.elapsed(), clock_rate: timestamp.clock_rate().get() }
}
