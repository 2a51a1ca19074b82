//! A publisher: its messages become frames of a source.
//!
//! What is wrong with one message concerns that message: it is counted, said once for each kind with the source's name, and
//! passed over. Whoever is sent away is told why.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connection::{PATIENCE, RtmpConnection, RtmpEnd};
use amphi_media::Track;
use amphi_protocol::rtmp::{ChunkPosition, Event, FlvError, Frame, LeftOut, Unpacker};

/// Between two looks at how a publisher fares.
const LOOK: Duration = Duration::from_secs(1);
/// Kinds of faults that are said of one publisher; all are counted.
const SAID_MAX: usize = 16;

/// Opens sources for publishers that the door has let in.
pub trait Publishing: Send + Sync {
    /// Opens the source called `name` for one publisher, or says why not.
    fn open(&self, name: &str) -> Result<Box<dyn PublishedStream>, &'static str>;

    /// Whether publishers may name a source so: of a path's segments the one that is a source is looked for.
    fn knows(&self, _name: &str) -> bool {
        false
    }

    /// A publisher was not let in to the source called `name`.
    fn refused(&self, _name: &str, _why: &str) {}
}

/// Where a publisher's frames go. Dropped when it leaves.
pub trait PublishedStream: Send {
    /// The next access unit.
    fn frame(&mut self, frame: Frame);

    /// Cancelled when another publisher has taken over: this one must leave.
    fn taken_over(&self) -> CancellationToken;

    /// A message came, of whatever use.
    fn heard(&mut self) {}

    /// A message of `track` was passed over. `harmless`: nothing that is shown or heard is concerned.
    fn passed_over(&mut self, _track: Track, _why: &str, _harmless: bool) {}

    /// A picture is missing.
    fn lost(&mut self) {}

    /// A second has passed.
    fn look(&mut self) {}

    /// The publisher leaves, and why.
    fn left(&mut self, _why: &str) {}
}

/// How a publication ended well.
pub(super) enum After {
    /// With its connection.
    Gone,
    /// Its connection may go on with another one.
    Onward,
}

/// What was said of a publisher.
struct PublisherMetadata<'a> {
    source: &'a str,
    faults: Vec<FlvError>,
    left_out: LeftOut,
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
        let mut said = PublisherMetadata { source, faults: Vec::new(), left_out: LeftOut::default() };
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
                Ok(Some(Event::Video { timestamp_ms, data })) => unpacker.video(timestamp_ms, data),
                Ok(Some(Event::Audio { timestamp_ms, data })) => unpacker.audio(timestamp_ms, data),
                Ok(Some(Event::Close)) => {
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
            warn!(source = self.source, after = position.messages, "messages are passed over: {wrong}");
            self.faults.push(wrong);
        }
    }

    /// Messages that did not come as far as their track.
    fn left_out(&mut self, now: LeftOut, into: &mut dyn PublishedStream) {
        if now == LeftOut::default() {
            return;
        }
        let LeftOut { too_long, interrupted, unreadable, pictures } = now;
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
                info!(source = self.source, "a message is passed over: {what}");
            }
            *total = total.saturating_add(count);
        }
        if pictures > 0 {
            into.lost();
        }
    }
}
