//! Decides which packets are sent when (sans-IO).
//!
//! Contract. [`Pacer::start`] says which media time is sent now. [`Pacer::push`] appends rows of packets as they become
//! known, as long as [`Pacer::wants_more`]. [`Pacer::due`] returns packets to send; call it again at
//! [`Pacer::wake_at`]. Packets are sent when they are due, and a cell is never sent in one burst.
//!
//! Overflow. Nothing piles up here: packets are shared, and at most two rows of them are held. A player that is late by
//! more than [`LATE`] goes on with the next row, which begins with a sync sample ([`Pacer::drop_late`]); or, if no packet may
//! be left out, with the same packets at later times ([`Pacer::wait_for`]). If the *media* comes late, the rest is sent later by
//! the same time, and no faster.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::packets::Packets;
use amphi_media::MediaTime;

/// A player that is behind by more than this is late.
pub const LATE: Duration = Duration::from_secs(1);
/// Most rows that are held.
const ROWS: usize = 2;
/// Nanoseconds that media may come late without moving the rest.
const TOLERANCE: i64 = 20_000_000;

/// The pace of one player; see the module's text.
#[derive(Debug, Default)]
pub struct Pacer {
    /// Wall clock minus the media time that is sent, in nanoseconds.
    offset: i64,
    rows: VecDeque<Arc<Packets>>,
    /// How many packets of the first row have been sent.
    sent: usize,
}

/// Packets that are to be sent now.
#[derive(Clone, Debug)]
pub struct Due {
    /// The row that they belong to.
    pub row: Arc<Packets>,
    /// Their indexes in the row.
    pub range: Range<usize>,
}

impl Pacer {
    /// Forgets everything. From now on `at` is the media time that is sent at `now`.
    pub fn start(&mut self, at: MediaTime, now: MediaTime) {
        *self = Self { offset: now.nanos_since(at), ..Self::default() };
    }

    /// Goes on at `now` from the packet where it stopped, after a pause.
    pub fn resume(&mut self, now: MediaTime) {
        if let Some(at) = self.next_at() {
            self.offset = now.nanos_since(at);
        }
    }

    /// Whether there is room for another row.
    pub fn wants_more(&self) -> bool {
        self.rows.len() < ROWS
    }

    /// Whether everything that was pushed has been sent.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends a row. If there was none and it comes late, everything from here on is sent later.
    pub fn push(&mut self, row: Arc<Packets>, now: MediaTime) {
        let Some(start) = row.start() else { return };
        let late = now.nanos_since(start) - self.offset;
        if self.rows.is_empty() && late > TOLERANCE {
            self.offset += late;
        }
        self.rows.push_back(row);
    }

    /// The media time that is sent at `now`.
    pub fn media_time(&self, now: MediaTime) -> MediaTime {
        now.offset_nanos(self.offset.saturating_neg())
    }

    /// The media time of the next packet, if there is one.
    pub fn next_at(&self) -> Option<MediaTime> {
        self.rows.front()?.all().get(self.sent).map(|packet| packet.at)
    }

    /// When the next packet is due, if there is one.
    pub fn wake_at(&self) -> Option<MediaTime> {
        Some(self.next_at()?.offset_nanos(self.offset))
    }

    /// Packets of one row that are due by `now + ahead`, until they exceed `most` bytes of payload. They count as
    /// sent.
    pub fn due(&mut self, now: MediaTime, ahead: Duration, most: usize) -> Option<Due> {
        let until = self.media_time(now) + ahead;
        let row = Arc::clone(self.rows.front()?);
        let from = self.sent;
        let mut bytes = 0;
        for packet in row.all().iter().skip(from) {
            if packet.at > until || bytes > most {
                break;
            }
            bytes += packet.payload_len() as usize;
            self.sent += 1;
        }
        let range = from..self.sent;
        if self.sent >= row.all().len() {
            self.rows.pop_front();
            self.sent = 0;
        }
        (!range.is_empty()).then_some(Due { row, range })
    }

    /// If packets are late, goes on with the next row if it has begun. Returns whether packets were left out.
    pub fn drop_late(&mut self, now: MediaTime) -> bool {
        let begun = |pacer: &Self| {
            let next = pacer.rows.get(1).and_then(|row| row.start());
            next.is_some_and(|start| start <= pacer.media_time(now))
        };
        let is_late = self.lateness(now) > LATE;
        if is_late && begun(self) {
            self.rows.pop_front();
            self.sent = 0;
            return true;
        }
        false
    }

    /// If packets are late, sends them from now on, and all others later by the same time.
    pub fn wait_for(&mut self, now: MediaTime) {
        let late = self.lateness(now);
        if late > LATE {
            self.offset += late.as_nanos() as i64;
        }
    }

    fn lateness(&self, now: MediaTime) -> Duration {
        self.wake_at().map_or(Duration::ZERO, |due| now.saturating_since(due))
    }
}

#[cfg(test)]
mod tests;
