//! A publisher: its messages become frames of a source.

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Ended, PATIENCE};
use crate::rtmp::{Event, Frame, Unpacker};

/// Opens sources for publishers that the door has let in.
pub trait Publishing: Send + Sync {
    /// Opens the source called `name` for one publisher, or says why not.
    fn open(&self, name: &str) -> Result<Box<dyn PublishedStream>, &'static str>;
}

/// Where a publisher's frames go. Dropped when it leaves.
pub trait PublishedStream: Send {
    /// The next access unit.
    fn frame(&mut self, frame: Frame);

    /// Cancelled when another publisher has taken over: this one must leave.
    fn taken_over(&self) -> CancellationToken;
}

impl Connection {
    /// Takes frames until the publisher leaves, sends none for too long, or another takes over.
    pub(super) async fn publish(&mut self, mut into: Box<dyn PublishedStream>) -> Result<(), Ended> {
        let mut unpacker = Unpacker::default();
        let taken_over = into.taken_over();
        let mut heard = Instant::now();
        loop {
            let event = tokio::select! {
                event = self.event() => event?,
                () = taken_over.cancelled() => {
                    self.session.end_publishing("another publisher has taken over");
                    self.flush().await?;
                    return Err(Ended::TakenOver);
                }
                () = sleep_until(heard + PATIENCE) => return Err(Ended::Silent),
            };
            let frame = match event {
                None => return Ok(()),
                Some(Event::Video { timestamp_ms, data }) => unpacker.video(timestamp_ms, data)?,
                Some(Event::Audio { timestamp_ms, data }) => unpacker.audio(timestamp_ms, data)?,
                Some(Event::Close) => return self.flush().await,
                Some(_) => None,
            };
            if let Some(frame) = frame {
                heard = Instant::now();
                into.frame(frame);
            }
        }
    }
}
