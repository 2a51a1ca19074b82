//! Players with real sockets: what they get from a group, and how they drop out of it.

use std::time::Duration;

use proptest::prelude::*;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::super::batch::tests::{batch_of, tracks};
use super::super::batch::{BatchWriter, batches};
use super::*;
use amphi_media::MediaTime;

const PATIENCE: Duration = Duration::from_secs(20);

/// Both ends of a connection; the peer reads from the second.
async fn connection() -> (Arc<Socket>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listening");
    let (socket, _) = listener.accept().await.expect("a peer");
    // So small that a few batches fill it.
    SockRef::from(&socket).set_send_buffer_size(16_384).expect("allowed");
    SockRef::from(&peer).set_recv_buffer_size(16_384).expect("allowed");
    (Arc::new(socket.into()), peer)
}

struct Channel {
    batches: BatchWriter,
    reader: BatchReader,
    tracks: Arc<[RungTracks]>,
    groups: Arc<FanoutGroups>,
    counts: Arc<AnswerCounts>,
    next: i64,
}

impl Channel {
    fn new() -> Self {
        let (batches, reader) = batches(MediaTime::from_nanos(0));
        let (groups, counts) = (Arc::default(), Arc::default());
        let mut channel = Self { batches, reader, tracks: tracks().into(), groups, counts, next: 0 };
        channel.air(1);
        channel
    }

    /// The next batch, of frames with so many bytes.
    fn air(&mut self, size: usize) {
        self.batches.push(&self.tracks, batch_of(self.next, size), self.next % 1000 == 0);
        self.next += 1;
    }

    async fn player(&self) -> (Viewer, TcpStream) {
        let (socket, peer) = connection().await;
        let (player, reader) = (Arc::new(RtmpPlayer::new(Arc::clone(&socket), None)), self.reader.clone());
        (Viewer { socket, player, reader, left: Vec::new() }, peer)
    }

    fn place<'a>(&self, viewer: &'a mut Viewer) -> Membership<'a> {
        let place = self.groups.join(&self.tracks, 0, &mut viewer.reader, &viewer.player, &self.counts);
        place.expect("it has had a batch")
    }

    /// What a player gets that has come before the first batch.
    async fn all(&self) -> Vec<u8> {
        let (mut reader, mut pieces) = (self.reader.clone(), Vec::new());
        reader.messages(&self.tracks, 0, &mut pieces).await.expect("it is aired");
        pieces.concat()
    }
}

struct Viewer {
    socket: Arc<Socket>,
    player: Arc<RtmpPlayer>,
    reader: BatchReader,
    left: Vec<Bytes>,
}

impl Viewer {
    /// Writes what there is, as its connection does.
    async fn catch_up(&mut self, tracks: &[RungTracks]) {
        let _ = self.reader.messages(tracks, 0, &mut self.left).await;
        pieces::write_shared(&self.socket, &mut self.left, PATIENCE).await.expect("the peer reads");
    }
}

/// Lets all other tasks work.
async fn rest() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn read(peer: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let all = tokio::time::timeout(Duration::from_secs(20), peer.read_exact(&mut bytes)).await;
    all.expect("it comes").expect("the connection stands");
    bytes
}

/// Reads at most so much of what is there.
fn take(peer: &TcpStream, most: usize, into: &mut Vec<u8>) {
    let mut buffer = vec![0; most];
    let count = peer.try_read(&mut buffer).unwrap_or(0);
    into.extend_from_slice(&buffer[..count]);
}

#[tokio::test]
async fn a_row_goes_on_when_enough_has_gathered() {
    let mut channel = Channel::new();
    let (mut viewer, mut peer) = channel.player().await;
    viewer.catch_up(&channel.tracks).await;
    let had = channel.all().await.len();
    read(&mut peer, had).await;
    let place = channel.place(&mut viewer);
    rest().await;
    channel.air(9);
    rest().await;
    assert!(peer.try_read(&mut [0; 1]).is_err(), "43 ms");
    channel.air(9);
    let all = channel.all().await;
    assert_eq!(read(&mut peer, all.len() - had).await, all[had..], "86 ms");
    assert!(place.leave().expect("all is well").is_empty());
    assert_eq!(channel.counts.answers(AnswerKind::RtmpCell), 1);
    assert_eq!(channel.counts.bytes(), (all.len() - had) as u64);
}

#[tokio::test]
async fn who_does_not_take_all_falls_out_with_what_is_left() {
    let mut channel = Channel::new();
    let (mut slow, mut slow_peer) = channel.player().await;
    let (mut quick, mut quick_peer) = channel.player().await;
    slow.catch_up(&channel.tracks).await;
    quick.catch_up(&channel.tracks).await;
    let quick_place = channel.place(&mut quick);
    let place = channel.place(&mut slow);
    let reading = tokio::spawn(async move {
        let mut bytes = Vec::new();
        quick_peer.read_to_end(&mut bytes).await.expect("the connection stands");
        bytes
    });
    // A player that reads takes each at once.
    for _ in 0..400 {
        channel.air(300);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    place.lagging().await;
    let left = place.leave().expect("it is slow and no more");
    assert!(!left.is_empty());
    slow.left.push(left);
    let all = channel.all().await;
    let count = all.len();
    let taking = tokio::spawn(async move { read(&mut slow_peer, count).await });
    slow.catch_up(&channel.tracks).await;
    assert!(taking.await.expect("it reads") == all);
    assert!(quick_place.leave().expect("it reads").is_empty());
    drop((quick, channel));
    assert!(reading.await.expect("it reads") == all);
}

#[tokio::test]
async fn who_lags_gets_no_place() {
    let mut channel = Channel::new();
    let (mut viewer, _peer) = channel.player().await;
    viewer.catch_up(&channel.tracks).await;
    channel.air(9);
    let Viewer { player, reader, .. } = &mut viewer;
    assert!(channel.groups.join(&channel.tracks, 0, reader, player, &channel.counts).is_none());
    assert!(matches!(&*player.state(), ServedBy::Connection) && channel.groups.all.lock().is_empty());
    viewer.catch_up(&channel.tracks).await;
    assert!(channel.place(&mut viewer).leave().expect("all is well").is_empty());
}

#[tokio::test]
async fn a_row_that_breaks_lets_all_go() {
    let channel = Channel::new();
    let (mut viewer, _peer) = channel.player().await;
    viewer.catch_up(&channel.tracks).await;
    let kept = viewer.reader.kept.clone();
    let (player, place) = (Arc::clone(&viewer.player), channel.place(&mut viewer));
    let group = channel.groups.all.lock().first().map(Arc::clone).expect("its group");
    // As when the task that serves it panics.
    drop(FanoutTask {
        group,
        groups: Arc::clone(&channel.groups),
        kept,
        tracks: Arc::clone(&channel.tracks),
        counts: Arc::clone(&channel.counts),
        members: Vec::new(),
        next: 1,
    });
    tokio::time::timeout(PATIENCE, place.lagging()).await.expect("it is let go");
    assert!(matches!(&*player.state(), ServedBy::Lagging(..)) && channel.groups.all.lock().is_empty());
}

#[tokio::test]
async fn who_leaves_and_comes_again_is_served_at_one_place() {
    let mut channel = Channel::new();
    let (mut viewer, mut peer) = channel.player().await;
    viewer.catch_up(&channel.tracks).await;
    let places = |channel: &Channel| -> usize {
        channel.groups.all.lock().iter().map(|group| group.members.load(Ordering::Relaxed)).sum()
    };
    for _ in 0..5 {
        let place = channel.place(&mut viewer);
        rest().await;
        assert!(place.leave().expect("all is well").is_empty());
    }
    let place = channel.place(&mut viewer);
    assert_eq!(places(&channel), 6);
    for _ in 0..4 {
        channel.air(9);
        rest().await;
    }
    assert_eq!(places(&channel), 1, "what was left is forgotten when the group goes on");
    let all = channel.all().await;
    assert!(read(&mut peer, all.len()).await == all);
    assert_eq!(channel.counts.answers(AnswerKind::RtmpCell), 2);
    drop(place);
}

#[tokio::test]
async fn rows_are_as_many_as_are_needed_and_go_on_by_turns() {
    let mut channel = Channel::new();
    let mut viewers = Vec::new();
    for _ in 0..=FEW {
        let (mut viewer, peer) = channel.player().await;
        viewer.catch_up(&channel.tracks).await;
        viewers.push((viewer, peer));
    }
    let mut places: Vec<_> = viewers.iter_mut().map(|(viewer, _)| channel.place(viewer)).collect();
    let due = |channel: &Channel| {
        channel.groups.all.lock().iter().map(|group| *group.due.lock()).collect::<Vec<_>>()
    };
    assert_eq!(due(&channel).len(), 2);
    assert_eq!(due(&channel)[0], due(&channel)[1] + MERGED / 2);
    places.truncate(1);
    for _ in 0..4 {
        channel.air(1);
        rest().await;
    }
    assert_eq!(due(&channel).len(), 1, "an empty group ends");
    let place = places.pop().expect("one is left");
    drop(channel.batches);
    tokio::time::timeout(Duration::from_secs(20), place.lagging()).await.expect("the channel has ended");
    assert!(place.leave().expect("all is well").is_empty());
    assert!(channel.groups.all.lock().is_empty());
}

#[derive(Clone, Debug)]
enum VisitStep {
    Air(usize),
    Read(usize),
    Leave,
}

fn steps() -> impl Strategy<Value = Vec<VisitStep>> {
    let step = prop_oneof![
        4 => (1..4000_usize).prop_map(VisitStep::Air),
        3 => (1..9000_usize).prop_map(VisitStep::Read),
        1 => Just(VisitStep::Leave),
    ];
    prop::collection::vec(step, 1..120)
}

/// One player lives through `steps`, and then reads to the end.
async fn live_through(steps: &[VisitStep]) -> (Vec<u8>, Vec<u8>) {
    let mut channel = Channel::new();
    let (mut viewer, mut peer) = channel.player().await;
    viewer.catch_up(&channel.tracks).await;
    let mut read = Vec::new();
    let mut rest_of_steps = steps.iter();
    let mut over = false;
    while !over {
        let place = channel.place(&mut viewer);
        loop {
            rest().await;
            match rest_of_steps.next() {
                None => over = true,
                Some(VisitStep::Air(size)) => {
                    channel.air(*size);
                    continue;
                }
                Some(VisitStep::Read(most)) => {
                    take(&peer, *most, &mut read);
                    if matches!(&*place.player.state(), ServedBy::Group(..)) {
                        continue;
                    }
                }
                Some(VisitStep::Leave) => {}
            }
            break;
        }
        let left = place.leave().expect("the peer is there");
        viewer.left.push(left);
        channel.air(1);
        let catching_up = viewer.catch_up(&channel.tracks);
        let reading = async {
            loop {
                peer.readable().await.expect("the connection stands");
                take(&peer, 65_536, &mut read);
            }
        };
        tokio::select! {
            () = catching_up => {}
            never = reading => never,
        }
    }
    let all = channel.all().await;
    drop((viewer, channel));
    peer.read_to_end(&mut read).await.expect("the connection stands");
    (read, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn however_a_player_reads_comes_and_goes_it_gets_every_byte_once(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (read, all) = runtime.block_on(live_through(&steps));
        prop_assert!(read == all, "{} bytes of {}", read.len(), all.len());
    }
}
