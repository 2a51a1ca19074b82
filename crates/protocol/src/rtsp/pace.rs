//! When which packets leave (sans-IO): a player's place in what is played.
//!
//! Contract. [`Pacer::start`] says which moment of the media is sent now; [`Pacer::push`] appends packets as they
//! become known, as long as [`Pacer::wants_more`]; [`Pacer::due`] gives what is to be sent, and is asked again at
//! [`Pacer::wake_at`]. Packets leave when they are due and never in one burst of a cell.
//!
//! Overflow. Nothing piles up here: packets are shared, and at most two rows of them are held. A player that is late by
//! more than [`LATE`] goes on with the row behind, which begins with a sync sample ([`Pacer::drop_late`]), or with the
//! same packets later where every one counts ([`Pacer::wait_for`]). Where the *media* is late, the rest is sent later by
//! as much, and no faster.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::packets::Packets;
use amphi_media::MediaTime;

/// Later than this is late.
pub const LATE: Duration = Duration::from_secs(1);
/// Rows that wait.
const ROWS: usize = 2;
/// Media that comes later than this moves what follows.
const TOLERANCE: i64 = 20_000_000;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Pacer {
    /// The wall clock less the media time that is sent, in nanoseconds.
    offset: i64,
    rows: VecDeque<Arc<Packets>>,
    /// Packets of the first row that are sent.
    sent: usize,
}

/// Packets that are due.
#[derive(Clone, Debug)]
pub struct Due {
    /// The row.
    pub row: Arc<Packets>,
    /// Which of its packets.
    pub range: Range<usize>,
}

impl Pacer {
    /// Forgets everything; `at` of the media is sent `now`.
    pub fn start(&mut self, at: MediaTime, now: MediaTime) {
        *self = Self { offset: now.nanos_since(at), ..Self::default() };
    }

    /// Goes on where it stands, now: after a pause.
    pub fn resume(&mut self, now: MediaTime) {
        if let Some(at) = self.next_at() {
            self.offset = now.nanos_since(at);
        }
    }

    /// There is room for another row.
    pub fn wants_more(&self) -> bool {
        self.rows.len() < ROWS
    }

    /// All that was pushed is sent.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends a row.
    pub fn push(&mut self, row: Arc<Packets>, now: MediaTime) {
        let Some(start) = row.start() else { return };
        let late = now.nanos_since(start) - self.offset;
        if self.rows.is_empty() && late > TOLERANCE {
            self.offset += late;
        }
        self.rows.push_back(row);
    }

    /// The media time that is sent now.
    pub fn media_time(&self, now: MediaTime) -> MediaTime {
        now.offset_nanos(self.offset.saturating_neg())
    }

    /// The media time of the next packet.
    pub fn next_at(&self) -> Option<MediaTime> {
        self.rows.front()?.all().get(self.sent).map(|packet| packet.at)
    }

    /// When the next packet is due.
    pub fn wake_at(&self) -> Option<MediaTime> {
        Some(self.next_at()?.offset_nanos(self.offset))
    }

    /// The packets of one row that are due by `now` or at most `ahead` later, up to `most` bytes of them; they count as
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

    /// Goes on with the newest row that has begun, if what is to be sent is late. True where something was left out.
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

    /// Sends what is late from now on, and the rest as much later.
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
