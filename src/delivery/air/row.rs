//! RTMP players who have all there is, served in rows.
//!
//! Waking a task for every player costs a quarter of the write itself. So a player who has had all messages takes a place in
//! a row: one task, woken once, writes what is new to every socket of its row. Who does not take all at once falls out of
//! it with what is left, and is served by its own connection until it has caught up.
//!
//! What a write costs is nearly the same for one picture and for two, so a row goes on when [`MERGED`] of media has gathered.
//! Not all rows at the same picture: what a machine has to do at once is what its players wait for. And there are few
//! of them, which let others work after every few players: whoever comes does not wait for all who are there.
//!
//! A row has a lock for each player, held while its socket is written to; its connection takes it to come and to leave.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tracing::Instrument;

use super::batch::{Batch, BatchReader, Cursor, Kept, first_from};
use crate::delivery::{Counts, Kind, Seat, pieces};
use crate::media::RungTracks;
use crate::tasks::Tasks;

/// Media that is written at once. A picture waits less than this for the next one.
const MERGED: Duration = Duration::from_millis(80);
/// Players that are served in one go, before others come to their turn: some tenths of a millisecond.
const TURN: usize = 32;
/// Players for whom one row is enough.
const FEW: usize = 64;
/// Rows for each core, of one rung.
const ROWS: usize = 2;

/// The rows of a channel that have players.
#[derive(Debug, Default)]
pub(super) struct Rows {
    all: Mutex<Vec<Arc<Row>>>,
    /// Places taken so far.
    tickets: AtomicU64,
    /// What the rows are called, and where they are listed.
    list: Option<(String, Tasks)>,
}

#[derive(Debug)]
struct Row {
    rung: usize,
    /// Players who have come since it last went on.
    coming: Mutex<Vec<Ticket>>,
    /// Its places, those included who have left since then.
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

/// What a row has of a player. Whoever leaves and comes again has another number, and perhaps another row: a place is served
/// while its number is the player's.
#[derive(Debug)]
struct Ticket {
    player: Arc<Player>,
    number: u64,
}

/// Who serves a player.
#[derive(Debug)]
enum State {
    /// Its connection.
    Away,
    /// A row, at the place with this number.
    Placed(u64, Cursor),
    /// Nobody: the row has let it go, with what is left to write.
    Fallen(Cursor, io::Result<Bytes>),
}

/// A player's place in a row, until it is left or dropped.
pub(in crate::delivery) struct Place<'a> {
    player: &'a Player,
    /// What the player's cursor goes back to.
    cursor: &'a mut Cursor,
}

/// What a row's task works with.
struct Attendant {
    row: Arc<Row>,
    rows: Arc<Rows>,
    kept: watch::Receiver<Kept>,
    tracks: Arc<[RungTracks]>,
    counts: Arc<Counts>,
    places: Vec<Ticket>,
    /// The batch behind the last one written.
    next: u64,
}

impl Rows {
    /// A place for a player who has had all there is, in the row that has the fewest. `None` for others: what one player
    /// lacks is not gathered by a row.
    pub(super) fn take_place<'a>(
        self: &Arc<Self>,
        tracks: &Arc<[RungTracks]>,
        rung: usize,
        reader: &'a mut BatchReader,
        player: &'a Arc<Player>,
        counts: &Arc<Counts>,
    ) -> Option<Place<'a>> {
        let next = reader.cursor.next()?;
        if reader.kept.borrow().back().is_some_and(|newest| newest.number() >= next) {
            return None;
        }
        let number = self.tickets.fetch_add(1, Ordering::Relaxed);
        *player.state() = State::Placed(number, reader.cursor);
        let mut rows = lock(&self.all);
        let of_rung = || rows.iter().filter(|row| row.rung == rung);
        let taken = |row: &&Arc<Row>| row.taken.load(Ordering::Relaxed);
        let is_enough = of_rung().count() >= most_rows();
        let shortest = of_rung().min_by_key(taken).filter(|row| is_enough || taken(row) < FEW).cloned();
        let row = shortest.unwrap_or_else(|| {
            // Half a round apart from the row before.
            let aired = reader.kept.borrow().back().map_or(Duration::ZERO, |batch| batch.until());
            let due = rows.last().map_or(aired + MERGED, |row| lock(&row.due).saturating_sub(MERGED / 2));
            let (coming, taken) = (Mutex::default(), AtomicUsize::new(0));
            let row = Arc::new(Row { rung, coming, taken, due: Mutex::new(due) });
            rows.push(Arc::clone(&row));
            let attendant = Attendant {
                row: Arc::clone(&row),
                rows: Arc::clone(self),
                kept: reader.kept.clone(),
                tracks: Arc::clone(tracks),
                counts: Arc::clone(counts),
                places: Vec::new(),
                next,
            };
            self.spawn(attendant, tracks.get(rung).map_or("", |tracks| tracks.name.as_str()));
            row
        });
        row.taken.fetch_add(1, Ordering::Relaxed);
        lock(&row.coming).push(Ticket { player: Arc::clone(player), number });
        drop(rows);
        Some(Place { player, cursor: &mut reader.cursor })
    }
}

impl Rows {
    /// None yet; each will be on the list of `tasks`.
    pub(super) fn listed(channel: &str, tasks: &Tasks) -> Self {
        Self { list: Some((channel.to_owned(), tasks.clone())), ..Self::default() }
    }

    fn spawn(&self, attendant: Attendant, rung: &str) {
        let Some((channel, tasks)) = &self.list else {
            tokio::spawn(attendant.run());
            return;
        };
        let task = tasks.begin(format!("rtmp row {channel} {rung}"), false);
        let span = tracing::info_span!(parent: None, "channel", name = %channel);
        let work = async move {
            // Its players go back to their connections, and from there into another row.
            if let Err(why) = task.attempt(attendant.run()).await {
                task.gives_back(&why);
            }
        };
        tokio::spawn(work.instrument(span));
    }
}

impl Attendant {
    /// Goes on until nobody is left, or the channel ends.
    async fn run(mut self) {
        while self.kept.changed().await.is_ok() {
            self.go_on().await;
            if self.places.is_empty() && self.is_over() {
                return;
            }
        }
    }

    /// Ends the row if nobody has come.
    fn is_over(&self) -> bool {
        let mut rows = lock(&self.rows.all);
        let is_over = lock(&self.row.coming).is_empty();
        if is_over {
            rows.retain(|row| !Arc::ptr_eq(row, &self.row));
        }
        is_over
    }

    /// Writes what is new, if it is enough.
    async fn go_on(&mut self) {
        let Some(batches) = self.due() else { return };
        let mut round = Round { batches, tracks: &self.tracks, rung: self.row.rung, gathered: None };
        let mut at = 0;
        while let Some(one) = self.places.get(at).map(|place| Arc::clone(&place.player)) {
            let (mut written, mut bytes) = (0, 0);
            for _ in 0..TURN {
                let Some(place) = self.places.get(at) else { break };
                let (sent, stays) = place.serve(&mut round);
                (written, bytes) = (written + u64::from(sent > 0), bytes + sent);
                if stays {
                    at += 1;
                } else {
                    self.places.swap_remove(at);
                    self.row.taken.fetch_sub(1, Ordering::Relaxed);
                }
            }
            self.counts.count_many(Kind::RtmpCell, written, bytes);
            // All of them watch the same: one counts for all.
            one.sent(bytes);
            tokio::task::yield_now().await;
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
        for place in &*coming {
            if let State::Placed(_, cursor) = &*place.player.state() {
                from = cursor.next().map_or(from, |next| next.min(from));
            }
        }
        self.places.append(&mut coming);
        Some(kept.range(first_from(&kept, from)..).cloned().collect())
    }
}

/// However the row has ended, also by a fault of ours: nobody waits at a place that no one serves.
impl Drop for Attendant {
    fn drop(&mut self) {
        lock(&self.rows.all).retain(|row| !Arc::ptr_eq(row, &self.row));
        self.places.append(&mut lock(&self.row.coming));
        self.places.iter().for_each(Ticket::give_back);
    }
}

/// What a row's players are to get.
struct Round<'a> {
    batches: Vec<Arc<Batch>>,
    tracks: &'a [RungTracks],
    rung: usize,
    /// Nearly all of a row are at the same place: what is to be written is gathered once.
    gathered: Option<Gathered>,
}

/// What is to be written to players at one place.
struct Gathered {
    from: Cursor,
    to: Cursor,
    /// In one piece: to gather them for each socket costs more than to copy them once.
    messages: Bytes,
}

impl Round<'_> {
    fn gather(&mut self, from: Cursor) -> &Gathered {
        let known = self.gathered.take().filter(|known| known.from == from);
        self.gathered.insert(known.unwrap_or_else(|| {
            let (mut to, mut pieces) = (from, Vec::new());
            to.pass(&self.batches, self.tracks, self.rung, &mut pieces);
            let messages = if pieces.len() == 1 { pieces.pop() } else { None };
            Gathered { from, to, messages: messages.unwrap_or_else(|| pieces.concat().into()) }
        }))
    }
}

impl Ticket {
    /// Sends the player what is new: says how many bytes, and whether it stays at this place.
    fn serve(&self, round: &mut Round<'_>) -> (usize, bool) {
        let Self { player, number } = self;
        let mut state = player.state();
        let State::Placed(current, cursor) = &mut *state else { return (0, false) };
        if current != number {
            return (0, false);
        }
        let Gathered { to, messages, .. } = round.gather(*cursor);
        let sent = if messages.is_empty() { Ok(0) } else { pieces::send_now(&player.socket, messages) };
        let takes_all = matches!(sent, Ok(sent) if sent == messages.len());
        if takes_all {
            *cursor = *to;
        } else {
            *state = State::Fallen(*to, sent.map(|sent| messages.slice(sent..)));
            player.fell.notify_one();
        }
        (messages.len(), takes_all)
    }

    /// The row has ended.
    fn give_back(&self) {
        let Self { player, number } = self;
        let mut state = player.state();
        if let State::Placed(current, cursor) = *state
            && current == *number
        {
            *state = State::Fallen(cursor, Ok(Bytes::new()));
            player.fell.notify_one();
        }
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

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Place<'_> {
    /// Waits until the row has let the player go. May be cancelled.
    pub(in crate::delivery) async fn lost(&self) {
        // It may have been told of a place that it had before.
        while matches!(&*self.player.state(), State::Placed(..)) {
            self.player.fell.notified().await;
        }
    }

    /// Leaves the row: nothing is written by it from now on. Gives what it has left to write.
    pub(in crate::delivery) fn leave(mut self) -> io::Result<Bytes> {
        self.go()
    }

    fn go(&mut self) -> io::Result<Bytes> {
        match std::mem::replace(&mut *self.player.state(), State::Away) {
            State::Placed(_, cursor) => {
                *self.cursor = cursor;
                Ok(Bytes::new())
            }
            State::Fallen(cursor, left) => {
                *self.cursor = cursor;
                left
            }
            State::Away => Ok(Bytes::new()),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Whoever drops a place does not play on.
        let _ = self.go();
    }
}

fn most_rows() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get));
    *CORES * ROWS
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
