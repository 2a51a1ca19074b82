//! RTMP players that have had everything, served in groups.
//!
//! Waking a task for every player costs a quarter of the write itself. So a player that has had all messages takes a place in
//! a group: one task, woken once, writes what is new to every socket of its group. A player whose socket does not take all at
//! once leaves the group with the rest to write, and is served by its own connection until it has caught up.
//!
//! A write costs nearly the same for one picture and for two, so a group writes when [`MERGED`] of media has gathered.
//! The groups do not write at the same picture: players would wait for all that the machine then has to do at once. There are
//! few groups, and they yield after every few players, so a new player does not wait for all the others.
//!
//! There is a lock for each player, held while its socket is written to. Its connection takes the lock to join and to leave.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tracing::Instrument;

use super::batch::{Batch, BatchReader, Cursor, RecentBatches, first_from};
use crate::delivery::{AnswerCounts, AnswerKind, ViewerGuard, pieces};
use amphi_media::{Lock, RungTracks};
use amphi_runtime::socket::Socket;
use amphi_runtime::tasks::Tasks;

/// Media that is written at once. A picture waits less than this for the next one.
const MERGED: Duration = Duration::from_millis(80);
/// Players that are served before the group yields: some tenths of a millisecond.
const TURN: usize = 32;
/// Players for whom one group is enough.
const FEW: usize = 64;
/// Groups of one rung for each core.
const GROUPS: usize = 2;

/// The groups of a channel that have players.
#[derive(Debug, Default)]
pub(super) struct FanoutGroups {
    all: Lock<Vec<Arc<FanoutGroup>>>,
    /// Places given so far; the number of the next one.
    joined: AtomicU64,
    /// The channel that groups are named after, and the list of tasks that they are on.
    list: Option<(String, Tasks)>,
}

#[derive(Debug)]
struct FanoutGroup {
    rung: usize,
    /// Players that have joined since it last wrote.
    joining: Lock<Vec<Member>>,
    /// Its places, including those left since it last wrote.
    members: AtomicUsize,
    /// When it writes next: after so much media has been aired.
    due: Lock<Duration>,
}

/// A player that may be served by a group.
#[derive(Debug)]
pub(in crate::delivery) struct RtmpPlayer {
    socket: Arc<Socket>,
    viewer: Option<ViewerGuard>,
    state: Lock<ServedBy>,
    lags: Notify,
}

/// A place in a group. A player that leaves and joins again gets another number, and perhaps another group: a place is served
/// while its number is the player's.
#[derive(Debug)]
struct Member {
    player: Arc<RtmpPlayer>,
    number: u64,
}

/// Who serves a player.
#[derive(Debug)]
enum ServedBy {
    Connection,
    /// A group, at the place with this number.
    Group(u64, Cursor),
    /// Nobody: the group has dropped it, with what is left to write.
    Lagging(Cursor, io::Result<Bytes>),
}

/// A player's membership of a group, until it is left or dropped.
pub(in crate::delivery) struct Membership<'a> {
    player: &'a RtmpPlayer,
    /// Where the cursor is put back when the player leaves.
    cursor: &'a mut Cursor,
}

struct FanoutTask {
    group: Arc<FanoutGroup>,
    groups: Arc<FanoutGroups>,
    kept: watch::Receiver<RecentBatches>,
    tracks: Arc<[RungTracks]>,
    counts: Arc<AnswerCounts>,
    members: Vec<Member>,
    /// The number of the batch after the last one written.
    next: u64,
}

impl FanoutGroups {
    /// A place for a player that has had everything, in the group with the fewest players. `None` for a player that lacks
    /// something: a group does not gather messages for one player.
    pub(super) fn join<'a>(
        self: &Arc<Self>,
        tracks: &Arc<[RungTracks]>,
        rung: usize,
        reader: &'a mut BatchReader,
        player: &'a Arc<RtmpPlayer>,
        counts: &Arc<AnswerCounts>,
    ) -> Option<Membership<'a>> {
        let next = reader.cursor.next()?;
        if reader.kept.borrow().back().is_some_and(|newest| newest.number() >= next) {
            return None;
        }
        let number = self.joined.fetch_add(1, Ordering::Relaxed);
        *player.state() = ServedBy::Group(number, reader.cursor);
        let mut groups = self.all.lock();
        let of_rung = || groups.iter().filter(|group| group.rung == rung);
        let taken = |group: &&Arc<FanoutGroup>| group.members.load(Ordering::Relaxed);
        let is_enough = of_rung().count() >= most_groups();
        let smallest = of_rung().min_by_key(taken).filter(|group| is_enough || taken(group) < FEW).cloned();
        let group = smallest.unwrap_or_else(|| {
            // It writes half of `MERGED` before the group before it.
            let aired = reader.kept.borrow().back().map_or(Duration::ZERO, |batch| batch.until());
            let due =
                groups.last().map_or(aired + MERGED, |group| group.due.lock().saturating_sub(MERGED / 2));
            let (joining, taken) = (Lock::default(), AtomicUsize::new(0));
            let group = Arc::new(FanoutGroup { rung, joining, members: taken, due: Lock::new(due) });
            groups.push(Arc::clone(&group));
            let task = FanoutTask {
                group: Arc::clone(&group),
                groups: Arc::clone(self),
                kept: reader.kept.clone(),
                tracks: Arc::clone(tracks),
                counts: Arc::clone(counts),
                members: Vec::new(),
                next,
            };
            self.spawn(task, tracks.get(rung).map_or("", |tracks| tracks.name.as_str()));
            group
        });
        group.members.fetch_add(1, Ordering::Relaxed);
        group.joining.lock().push(Member { player: Arc::clone(player), number });
        drop(groups);
        Some(Membership { player, cursor: &mut reader.cursor })
    }
}

impl FanoutGroups {
    /// No groups yet; each will be on the list of `tasks`.
    pub(super) fn listed(channel: &str, tasks: &Tasks) -> Self {
        Self { list: Some((channel.to_owned(), tasks.clone())), ..Self::default() }
    }

    fn spawn(&self, serving: FanoutTask, rung: &str) {
        let Some((channel, tasks)) = &self.list else {
            tokio::spawn(serving.run());
            return;
        };
        let task = tasks.begin(format!("rtmp fan-out {channel} {rung}"), false);
        let span = tracing::info_span!(parent: None, "channel", name = %channel);
        let work = async move {
            // After a panic its players go back to their connections, and from there into another group.
            if let Err(why) = task.attempt(serving.run()).await {
                task.gives_back(&why);
            }
        };
        tokio::spawn(work.instrument(span));
    }
}

impl FanoutTask {
    /// Writes until nobody is left, or the channel ends.
    async fn run(mut self) {
        while self.kept.changed().await.is_ok() {
            self.go_on().await;
            if self.members.is_empty() && self.is_over() {
                return;
            }
        }
    }

    /// Ends the group if nobody has joined.
    fn is_over(&self) -> bool {
        let mut groups = self.groups.all.lock();
        let is_over = self.group.joining.lock().is_empty();
        if is_over {
            groups.retain(|group| !Arc::ptr_eq(group, &self.group));
        }
        is_over
    }

    /// Writes what is new, if enough has gathered.
    async fn go_on(&mut self) {
        let Some(batches) = self.due() else { return };
        let mut round = Round { batches, tracks: &self.tracks, rung: self.group.rung, gathered: None };
        let mut at = 0;
        while let Some(one) = self.members.get(at).map(|place| Arc::clone(&place.player)) {
            let (mut written, mut bytes) = (0, 0);
            for _ in 0..TURN {
                let Some(place) = self.members.get(at) else { break };
                let (sent, stays) = place.serve(&mut round);
                (written, bytes) = (written + u64::from(sent > 0), bytes + sent);
                if stays {
                    at += 1;
                } else {
                    self.members.swap_remove(at);
                    self.group.members.fetch_sub(1, Ordering::Relaxed);
                }
            }
            self.counts.count_many(AnswerKind::RtmpCell, written, bytes);
            // All of them watch the same rung, so one counts the bytes of all.
            one.sent(bytes);
            tokio::task::yield_now().await;
        }
    }

    /// The batches that some player of the group has not had, if enough media has gathered.
    fn due(&mut self) -> Option<Vec<Arc<Batch>>> {
        let kept = self.kept.borrow_and_update();
        let newest = kept.back()?;
        {
            let mut due = self.group.due.lock();
            if newest.until() < *due {
                return None;
            }
            *due = newest.until() + MERGED;
        }
        let mut from = std::mem::replace(&mut self.next, newest.number() + 1);
        let mut joining = self.group.joining.lock();
        for place in &*joining {
            if let ServedBy::Group(_, cursor) = &*place.player.state() {
                from = cursor.next().map_or(from, |next| next.min(from));
            }
        }
        self.members.append(&mut joining);
        Some(kept.range(first_from(&kept, from)..).cloned().collect())
    }
}

/// However the group ends, also by a panic: no player is left at a place that nobody serves.
impl Drop for FanoutTask {
    fn drop(&mut self) {
        self.groups.all.lock().retain(|group| !Arc::ptr_eq(group, &self.group));
        self.members.append(&mut self.group.joining.lock());
        self.members.iter().for_each(Member::give_back);
    }
}

/// What the players of a group get in one go.
struct Round<'a> {
    batches: Vec<Arc<Batch>>,
    tracks: &'a [RungTracks],
    rung: usize,
    /// Nearly all players of a group have the same cursor, so what is to be written is gathered once.
    gathered: Option<MergedMessages>,
}

/// What is to be written to players with the cursor `from`.
struct MergedMessages {
    from: Cursor,
    to: Cursor,
    /// In one piece: a vectored write to each socket costs more than copying them once.
    messages: Bytes,
}

impl Round<'_> {
    fn gather(&mut self, from: Cursor) -> &MergedMessages {
        let known = self.gathered.take().filter(|known| known.from == from);
        self.gathered.insert(known.unwrap_or_else(|| {
            let (mut to, mut pieces) = (from, Vec::new());
            to.pass(&self.batches, self.tracks, self.rung, &mut pieces);
            let messages = if pieces.len() == 1 { pieces.pop() } else { None };
            MergedMessages { from, to, messages: messages.unwrap_or_else(|| pieces.concat().into()) }
        }))
    }
}

impl Member {
    /// Sends the player what is new. Returns how many bytes, and whether it stays at this place.
    fn serve(&self, round: &mut Round<'_>) -> (usize, bool) {
        let Self { player, number } = self;
        let mut state = player.state();
        let ServedBy::Group(current, cursor) = &mut *state else { return (0, false) };
        if current != number {
            return (0, false);
        }
        let MergedMessages { to, messages, .. } = round.gather(*cursor);
        let sent = if messages.is_empty() { Ok(0) } else { pieces::send_now(&player.socket, messages) };
        let takes_all = matches!(sent, Ok(sent) if sent == messages.len());
        if takes_all {
            *cursor = *to;
        } else {
            *state = ServedBy::Lagging(*to, sent.map(|sent| messages.slice(sent..)));
            player.lags.notify_one();
        }
        (messages.len(), takes_all)
    }

    /// Gives the player back to its connection, because the group has ended.
    fn give_back(&self) {
        let Self { player, number } = self;
        let mut state = player.state();
        if let ServedBy::Group(current, cursor) = *state
            && current == *number
        {
            *state = ServedBy::Lagging(cursor, Ok(Bytes::new()));
            player.lags.notify_one();
        }
    }
}

impl RtmpPlayer {
    /// A player at `socket`, counted as `viewer`.
    pub(in crate::delivery) fn new(socket: Arc<Socket>, viewer: Option<ViewerGuard>) -> Self {
        Self { socket, viewer, state: Lock::new(ServedBy::Connection), lags: Notify::new() }
    }

    /// Counts bytes that its connection has sent to it.
    pub(in crate::delivery) fn sent(&self, bytes: usize) {
        if let Some(viewer) = &self.viewer {
            viewer.sent(bytes);
        }
    }

    fn state(&self) -> MutexGuard<'_, ServedBy> {
        self.state.lock()
    }
}

impl Membership<'_> {
    /// Waits until the group has dropped the player. May be cancelled.
    pub(in crate::delivery) async fn lagging(&self) {
        // A notification may be left over from an earlier place.
        while matches!(&*self.player.state(), ServedBy::Group(..)) {
            self.player.lags.notified().await;
        }
    }

    /// Leaves the group, which writes nothing from now on. Returns what is left to write, or the error of the group's last
    /// write.
    pub(in crate::delivery) fn leave(mut self) -> io::Result<Bytes> {
        self.go()
    }

    fn go(&mut self) -> io::Result<Bytes> {
        match std::mem::replace(&mut *self.player.state(), ServedBy::Connection) {
            ServedBy::Group(_, cursor) => {
                *self.cursor = cursor;
                Ok(Bytes::new())
            }
            ServedBy::Lagging(cursor, left) => {
                *self.cursor = cursor;
                left
            }
            ServedBy::Connection => Ok(Bytes::new()),
        }
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        // A dropped membership means that the player has gone; what is left does not matter.
        let _ = self.go();
    }
}

fn most_groups() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get));
    *CORES * GROUPS
}

#[cfg(test)]
mod tests;
