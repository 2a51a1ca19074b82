//! A player of a channel: an opening and the newest cell at once, then each cell as it is aired, in one write of shared
//! messages. Who lags goes on with the oldest cell that is kept.

use bytes::Bytes;

use super::connection::{Connection, Ended};
use crate::delivery::air::AirReader;
use crate::delivery::{Counts, Kind, Seat};
use crate::rtmp::{Event, opening};

impl Connection {
    /// Plays a channel's rung to the end of either. The viewer's `seat` is left then.
    pub(super) async fn play(
        &mut self,
        counts: &Counts,
        seat: Option<Seat>,
        mut air: AirReader,
        rung: usize,
    ) -> Result<(), Ended> {
        self.expect_little();
        let mut opened = false;
        let mut paused = false;
        loop {
            let cells = tokio::select! {
                cells = air.cells() => cells,
                event = self.event() => {
                    match event? {
                        None => return Ok(()),
                        Some(Event::Pause { paused: now, .. }) => paused = now,
                        Some(Event::Seek { .. }) => self.session.reject("a live stream cannot be sought in"),
                        Some(Event::Close) => return self.flush().await,
                        Some(_) => {}
                    }
                    self.flush().await?;
                    continue;
                }
            };
            let Some(cells) = cells else {
                self.session.finish();
                return self.flush().await;
            };
            for aired in cells.iter().filter(|_| !paused) {
                let messages = air.messages(aired, rung);
                let Some(first) = messages.first() else { continue };
                let mut pieces: Vec<Bytes> = Vec::with_capacity(messages.len() + 1);
                if !opened {
                    opened = true;
                    let tracks = air.tracks().get(rung);
                    pieces.extend(tracks.map(|tracks| opening(tracks, air.timestamp_ms(first.at))));
                }
                pieces.extend(messages.iter().map(|message| message.bytes.clone()));
                let len = pieces.iter().map(Bytes::len).sum();
                self.write(pieces).await?;
                counts.count(Kind::RtmpCell, len);
                if let Some(seat) = &seat {
                    seat.sent(len);
                }
            }
        }
    }
}
