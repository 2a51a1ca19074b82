//! A player of a channel: metadata, decoder configurations and the open cell at once, then batches as they are aired. A player
//! that has had everything is served by a fan-out group; one that lags goes on with the oldest cell that is kept.

use std::sync::Arc;

use bytes::Bytes;

use super::connection::{RtmpConnection, RtmpEnd};
use crate::delivery::air::{AirReader, RtmpPlayer};
use crate::delivery::{AnswerCounts, AnswerKind, ViewerGuard};
use amphi_protocol::rtmp::{RtmpEvent, opening};

impl RtmpConnection {
    /// Plays a channel's rung until the channel or the player ends. `viewer` counts the player meanwhile.
    pub(super) async fn play(
        &mut self,
        counts: &Arc<AnswerCounts>,
        viewer: Option<ViewerGuard>,
        mut air: AirReader,
        rung: usize,
    ) -> Result<(), RtmpEnd> {
        self.expect_little();
        let player = Arc::new(RtmpPlayer::new(Arc::clone(&self.stream), viewer));
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut opened = false;
        let mut paused = false;
        loop {
            let first = tokio::select! {
                // The peer first: for a player that lags there is always something to send.
                biased;
                event = self.event() => {
                    match event? {
                        None => return Ok(()),
                        Some(RtmpEvent::Pause { paused: now, .. }) => paused = now,
                        Some(RtmpEvent::Seek { .. }) => self.session.reject("a live stream has no other position to seek to"),
                        Some(RtmpEvent::Close) => return self.flush().await,
                        Some(_) => {}
                    }
                    self.flush().await?;
                    continue;
                }
                first = air.messages(rung, &mut pieces) => first,
            };
            let Some(first) = first else {
                self.session.finish();
                return self.flush().await;
            };
            if paused {
                pieces.clear();
                // After a gap a player needs an IDR picture.
                air.rest();
                continue;
            }
            if !std::mem::replace(&mut opened, true) {
                let opening = air.tracks().get(rung).map(|tracks| opening(tracks, air.timestamp_ms(first)));
                pieces.splice(0..0, opening);
            }
            let len = pieces.iter().map(Bytes::len).sum();
            self.write(&mut pieces).await?;
            counts.count(AnswerKind::RtmpCell, len);
            player.sent(len);
            if let Some(place) = air.join_group(rung, &player, counts) {
                let heard = tokio::select! {
                    () = place.lagging() => Ok(true),
                    heard = self.heard() => heard,
                };
                let left = place.leave()?;
                heard?;
                if !left.is_empty() {
                    pieces.push(left);
                    self.write(&mut pieces).await?;
                }
            }
        }
    }
}
