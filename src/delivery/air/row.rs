//! RTMP players who have all there is, served in rows.
//!
//! Waking a task for every player and picture costs half as much again as the write itself. So a player who has had all
//! messages takes a place in a row: one task, woken once, writes what is new to every socket of its row. Who does not take all
//! at once falls out of it with what is left, and is served by its own connection until it has caught up.
//!
//! What a write costs is nearly the same for one picture and for two, so a row goes on when [`MERGED`] of media has gathered.
//! Not all rows at the same picture: what a machine has to do at once is what its players wait for.
//!
//! A row has a lock for each player, held while its socket is written to; its connection takes it only to leave.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use super::batch::{Batch, BatchReader, Cursor, Kept, first_from};
use crate::delivery::{Counts, Kind, Seat, pieces};
use crate::media::RungTracks;

/// Media that is written at once. A picture waits less than this for the next one.
const MERGED: Duration = Duration::from_millis(80);
/// Players in a row: a millisecond's work.
const PLACES: usize = 128;

/// The rows of a channel that have players.
#[derive(Debug, Default)]
pub(super) struct Rows(Mutex<Vec<Arc<Row>>>);

#[derive(Debug)]
struct Row {
    rung: usize,
    /// Players who have come since it last went on.
    coming: Mutex<Vec<Arc<Player>>>,
    /// Its players, those included who have left since then.
    taken: AtomicUsize,
    /// When it goes on: the media that has been aired then.
    due: Mutex<Duration>,
}

/// A player that may be served by a row.
#[derive(Debug)]
pub(in crate::delivery) struct Player {
    socket: Arc<TcpStream>,
    seat: Option<Seat>,
    state: Mutex<State>,
    fell: Notify,
}

/// Who serves a player.
#[derive(Debug)]
enum State {
    /// Its connection.
    Away,
    /// A row.
    Placed(Cursor),
    /// Nobody: the row has let it go, with what is left to write.
    Fallen(Cursor, io::Result<Vec<Bytes>>),
}

/// A player's place in a row, until it is left or dropped.
pub(in crate::delivery) struct Place<'a> {
    player: &'a Player,
    /// What the player's cursor goes back to.
    cursor: &'a mut Cursor,
}

/// What a row's task works with.
struct Round {
    row: Arc<Row>,
    rows: Arc<Rows>,
    kept: watch::Receiver<Kept>,
    tracks: Arc<[RungTracks]>,
    counts: Arc<Counts>,
    players: Vec<Arc<Player>>,
    /// The batch behind the last one written.
    next: u64,
}

impl Rows {
    /// A place for a player, in the first row that has one, or in a new row.
    pub(super) fn take_place<'a>(
        self: &Arc<Self>,
        tracks: &Arc<[RungTracks]>,
        rung: usize,
        reader: &'a mut BatchReader,
        player: &'a Arc<Player>,
        counts: &Arc<Counts>,
    ) -> Option<Place<'a>> {
        let next = reader.cursor.next()?;
        *player.state() = State::Placed(reader.cursor);
        let mut rows = lock(&self.0);
        let has_room = |row: &&Arc<Row>| row.rung == rung && row.taken.load(Ordering::Relaxed) < PLACES;
        let row = if let Some(row) = rows.iter().find(has_room) {
            Arc::clone(row)
        } else {
            // Half a round apart from the row before.
            let aired = reader.kept.borrow().back().map_or(Duration::ZERO, |batch| batch.until());
            let due = rows.last().map_or(aired + MERGED, |row| lock(&row.due).saturating_sub(MERGED / 2));
            let (coming, taken) = (Mutex::default(), AtomicUsize::new(0));
            let row = Arc::new(Row { rung, coming, taken, due: Mutex::new(due) });
            rows.push(Arc::clone(&row));
            let round = Round {
                row: Arc::clone(&row),
                rows: Arc::clone(self),
                kept: reader.kept.clone(),
                tracks: Arc::clone(tracks),
                counts: Arc::clone(counts),
                players: Vec::with_capacity(PLACES),
                next,
            };
            tokio::spawn(round.run());
            row
        };
        row.taken.fetch_add(1, Ordering::Relaxed);
        lock(&row.coming).push(Arc::clone(player));
        drop(rows);
        Some(Place { player, cursor: &mut reader.cursor })
    }
}

impl Round {
    /// Goes on until nobody is left, or the channel ends.
    async fn run(mut self) {
        while self.kept.changed().await.is_ok() {
            self.go_on();
            if self.players.is_empty() && self.is_over() {
                return;
            }
        }
        lock(&self.rows.0).retain(|row| !Arc::ptr_eq(row, &self.row));
        self.players.append(&mut lock(&self.row.coming));
        for player in &self.players {
            player.let_go();
        }
    }

    /// Ends the row if nobody has come.
    fn is_over(&self) -> bool {
        let mut rows = lock(&self.rows.0);
        let is_over = lock(&self.row.coming).is_empty();
        if is_over {
            rows.retain(|row| !Arc::ptr_eq(row, &self.row));
        }
        is_over
    }

    /// Writes what is new, if it is enough.
    fn go_on(&mut self) {
        let Some(batches) = self.due() else { return };
        let Self { row, tracks, players, .. } = self;
        let before = players.len();
        // All of them watch the same: one counts for all.
        let first = players.first().map(Arc::clone);
        // Nearly all of a row are at the same place: what is to be written is gathered once.
        let mut gathered: Option<Gathered> = None;
        let (mut written, mut bytes) = (0, 0);
        players.retain(|player| {
            let mut state = player.state();
            let State::Placed(cursor) = &mut *state else { return false };
            if gathered.as_ref().is_none_or(|new| new.from != *cursor) {
                gathered = Some(Gathered::new(*cursor, &batches, tracks, row.rung));
            }
            let Some(new) = &gathered else { return true };
            (written, bytes) = (written + 1, bytes + new.len);
            match pieces::write_once(&player.socket, &new.pieces) {
                Ok(left) if left.is_empty() => {
                    *cursor = new.to;
                    true
                }
                left => {
                    *state = State::Fallen(new.to, left);
                    player.fell.notify_one();
                    false
                }
            }
        });
        row.taken.fetch_sub(before - players.len(), Ordering::Relaxed);
        self.counts.count_many(Kind::RtmpCell, written, bytes);
        if let Some(seat) = first.as_ref().and_then(|player| player.seat.as_ref()) {
            seat.sent(bytes);
        }
    }

    /// The batches that somebody in the row has not had, if they are enough.
    fn due(&mut self) -> Option<Vec<Arc<Batch>>> {
        let kept = self.kept.borrow_and_update();
        let newest = kept.back()?;
        {
            let mut due = lock(&self.row.due);
            if newest.until() < *due {
                return None;
            }
            *due = newest.until() + MERGED;
        }
        let mut from = std::mem::replace(&mut self.next, newest.number() + 1);
        let mut coming = lock(&self.row.coming);
        for player in &*coming {
            if let State::Placed(cursor) = &*player.state() {
                from = cursor.next().map_or(from, |next| next.min(from));
            }
        }
        self.players.append(&mut coming);
        Some(kept.range(first_from(&kept, from)..).cloned().collect())
    }
}

/// What is to be written to players at one place.
struct Gathered {
    from: Cursor,
    to: Cursor,
    pieces: Vec<Bytes>,
    len: usize,
}

impl Gathered {
    fn new(from: Cursor, batches: &[Arc<Batch>], tracks: &[RungTracks], rung: usize) -> Self {
        let (mut to, mut pieces) = (from, Vec::new());
        to.pass(batches, tracks, rung, &mut pieces);
        let len = pieces.iter().map(Bytes::len).sum();
        Self { from, to, pieces, len }
    }
}

impl Player {
    /// A player at `socket`, counted by its `seat`.
    pub(in crate::delivery) fn new(socket: Arc<TcpStream>, seat: Option<Seat>) -> Self {
        Self { socket, seat, state: Mutex::new(State::Away), fell: Notify::new() }
    }

    /// So many bytes were sent to it by its connection.
    pub(in crate::delivery) fn sent(&self, bytes: usize) {
        if let Some(seat) = &self.seat {
            seat.sent(bytes);
        }
    }

    /// The channel has ended.
    fn let_go(&self) {
        let mut state = self.state();
        if let State::Placed(cursor) = *state {
            *state = State::Fallen(cursor, Ok(Vec::new()));
            self.fell.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Place<'_> {
    /// Waits until the row has let the player go. May be cancelled.
    pub(in crate::delivery) async fn lost(&self) {
        // It may have been told of a place that it had before.
        while matches!(&*self.player.state(), State::Placed(_)) {
            self.player.fell.notified().await;
        }
    }

    /// Leaves the row: nothing is written by it from now on. Gives what it has left to write.
    pub(in crate::delivery) fn leave(mut self) -> io::Result<Vec<Bytes>> {
        self.go()
    }

    fn go(&mut self) -> io::Result<Vec<Bytes>> {
        match std::mem::replace(&mut *self.player.state(), State::Away) {
            State::Placed(cursor) => {
                *self.cursor = cursor;
                Ok(Vec::new())
            }
            State::Fallen(cursor, left) => {
                *self.cursor = cursor;
                left
            }
            State::Away => Ok(Vec::new()),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Whoever drops a place does not play on.
        let _ = self.go();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
