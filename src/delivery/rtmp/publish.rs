//! A publisher: its messages become frames of a source.
//!
//! A fault in one message concerns that message alone: it is counted, logged once for each kind with the source's name, and
//! the message is skipped. A publisher that is disconnected is told why.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connection::{PATIENCE, RtmpConnection, RtmpEnd};
use amphi_media::Track;
use amphi_protocol::rtmp::{ChunkPosition, FlvError, Frame, RtmpEvent, SkippedMessages, Unpacker};

/// How often the publisher's state is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Kinds of faults that are logged for one publisher; all are counted.
const SAID_MAX: usize = 16;

/// Opens sources for publishers that the door has let in.
pub trait Publishing: Send + Sync {
    /// Opens the source called `name` for one publisher. The error is told to the publisher.
    fn open(&self, name: &str) -> Result<Box<dyn PublishedStream>, &'static str>;

    /// Whether there is a source called `name` that is published to. Tells the source from the key in a path.
    fn knows(&self, _name: &str) -> bool {
        false
    }

    /// Called when a publisher of the source called `name` was refused, with the reason.
    fn refused(&self, _name: &str, _why: &str) {}
}

/// Where a publisher's frames go. Dropped when it leaves.
pub trait PublishedStream: Send {
    /// Takes the next frame: an access unit, or a frame of sound.
    fn frame(&mut self, frame: Frame);

    /// Cancelled when another publisher has taken over: this one must leave.
    fn taken_over(&self) -> CancellationToken;

    /// Called for each message that gave no frame: the publisher is alive.
    fn heard(&mut self) {}

    /// Called when a message of `track` was skipped, with the reason. `harmless`: nothing is missing in picture or sound.
    fn passed_over(&mut self, _track: Track, _why: &str, _harmless: bool) {}

    /// Called when a picture is missing: what follows cannot be decoded before the next IDR picture.
    fn lost(&mut self) {}

    /// Called once a second, to notice that nothing comes.
    fn look(&mut self) {}

    /// Called when the publisher leaves, with the reason.
    fn left(&mut self, _why: &str) {}
}

/// How a publication ended well.
pub(super) enum After {
    /// Its connection was closed.
    Gone,
    /// Its connection may publish again.
    Onward,
}

/// What has been logged about a publisher.
struct PublisherMetadata<'a> {
    source: &'a str,
    faults: Vec<FlvError>,
    left_out: SkippedMessages,
}

impl RtmpConnection {
    /// Takes frames until the publisher leaves, sends nothing for too long, another takes over, or the server ends.
    pub(super) async fn publish(
        &mut self,
        into: &mut dyn PublishedStream,
        source: &str,
        shutdown: &CancellationToken,
    ) -> Result<After, RtmpEnd> {
        let mut unpacker = Unpacker::default();
        let mut said = PublisherMetadata { source, faults: Vec::new(), left_out: SkippedMessages::default() };
        let taken_over = into.taken_over();
        let mut heard = Instant::now();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                event = self.event() => event,
                () = taken_over.cancelled() => Err(RtmpEnd::TakenOver),
                () = shutdown.cancelled() => Err(RtmpEnd::ServerEnds),
                _ = looks.tick() => {
                    into.look();
                    if heard.elapsed() < PATIENCE { continue }                    Err(RtmpEnd::SilentPublisher)
                }
            };
            said.left_out(self.session.left_out(), into);
            let frame = match event {
                Err(why) => {
                    self.session.end_publishing(&why.to_string());
                    return Err(why);
                }
                Ok(None) => return Ok(After::Gone),
                Ok(Some(RtmpEvent::Video { timestamp_ms, data })) => unpacker.video(timestamp_ms, data),
                Ok(Some(RtmpEvent::Audio { timestamp_ms, data })) => unpacker.audio(timestamp_ms, data),
                Ok(Some(RtmpEvent::Close)) => {
                    self.flush().await?;
                    return Ok(After::Onward);
                }
                Ok(Some(_)) => continue,
            };
            heard = Instant::now();
            match frame {
                Ok(None) => into.heard(),
                Ok(Some(frame)) => into.frame(frame),
                Err(wrong) => {
                    into.heard();
                    said.passed_over(wrong, self.session.position(), into);
                }
            }
        }
    }
}

impl PublisherMetadata<'_> {
    fn passed_over(&mut self, wrong: FlvError, position: ChunkPosition, into: &mut dyn PublishedStream) {
        into.passed_over(wrong.track(), &wrong.to_string(), wrong.is_harmless());
        if wrong.loses_a_picture() {
            into.lost();
        }
        if self.faults.len() < SAID_MAX && !self.faults.contains(&wrong) {
            warn!(source = self.source, after = position.messages, "messages are skipped: {wrong}");
            self.faults.push(wrong);
        }
    }

    /// Messages that were dropped before their track was known.
    fn left_out(&mut self, now: SkippedMessages, into: &mut dyn PublishedStream) {
        if now == SkippedMessages::default() {
            return;
        }
        let SkippedMessages { too_long, interrupted, unreadable, pictures } = now;
        let before = &mut self.left_out;
        for (count, total, what) in [
            (too_long, &mut before.too_long, "longer than any of its kind may be"),
            (interrupted, &mut before.interrupted, "begun and never ended"),
            (unreadable, &mut before.unreadable, "not in the form of its type"),
        ] {
            for _ in 0..count {
                into.passed_over(Track::Video, what, true);
            }
            if count > 0 && *total == 0 {
                info!(source = self.source, "a message is skipped: {what}");
            }
            *total = total.saturating_add(count);
        }
        if pictures > 0 {
            into.lost();
        }
    }
}
