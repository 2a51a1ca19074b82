//! Which players get which batches, and when; messages that are shared; the clock of players that stay for weeks.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use amphi_media::{AudioFormat, AudioTrack, CellIndex, SampleEntry};

pub(in crate::delivery::air) fn tracks() -> Vec<RungTracks> {
    let format = AudioFormat { sample_rate: 48_000, channels: 2 };
    let audio = AudioTrack { format, bitrate_bps: 96_000 };
    vec![RungTracks { name: "160p".to_owned(), video: None, video_index: None, audio }]
}

/// The `n`th batch: two frames of sound, 43 ms.
fn batch(n: i64) -> CodedCell {
    batch_of(n, 1)
}

/// The same, of frames with so many bytes.
pub(in crate::delivery::air) fn batch_of(n: i64, size: usize) -> CodedCell {
    let entry = SampleEntry { size: size as u32, duration: 1024, sync: true };
    let data = vec![n as u8; 2 * size].into();
    let audio = TrackCell { start: n * 2048, data, samples: Arc::new([entry, entry]) };
    CodedCell { k: CellIndex(n), video: Vec::new(), audio }
}

/// What a player has at once: the numbers of the batches.
fn at_once(reader: &mut BatchReader) -> Option<Vec<u8>> {
    let (tracks, mut out) = (tracks(), Vec::new());
    let at = {
        let messages = pin!(reader.messages(&tracks, 0, &mut out));
        match messages.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(at) => at,
            Poll::Pending => return Some(Vec::new()),
        }
    };
    at.map(|_| out.iter().map(|bytes| bytes[bytes.len() - 1]).collect())
}

fn air(of: std::ops::Range<i64>, cell: i64, into: &mut BatchWriter) {
    for n in of {
        into.push(&tracks(), batch(n), n % cell == 0);
    }
}

#[test]
fn who_comes_gets_the_running_cell_and_then_what_is_new() {
    let (mut batches, mut reader) = batches(MediaTime::from_nanos(0));
    assert_eq!(at_once(&mut reader), Some(vec![]));
    air(0..5, 3, &mut batches);
    assert_eq!(at_once(&mut reader), Some(vec![3, 4]));
    air(5..7, 3, &mut batches);
    assert_eq!(at_once(&mut reader), Some(vec![5, 6]));
    drop(batches);
    assert_eq!(at_once(&mut reader), None);
}

#[test]
fn who_is_slow_goes_on_with_the_beginning_of_a_cell() {
    let (mut batches, mut reader) = batches(MediaTime::from_nanos(0));
    air(0..1, 10, &mut batches);
    assert_eq!(at_once(&mut reader), Some(vec![0]));
    air(1..100, 10, &mut batches);
    let new = at_once(&mut reader).expect("batches");
    assert_eq!((new.first(), new.last()), (Some(&60), Some(&99)), "four cells are kept");
}

#[test]
fn who_rests_goes_on_with_a_cell_and_not_before() {
    let (mut batches, mut reader) = batches(MediaTime::from_nanos(0));
    air(0..2, 10, &mut batches);
    assert_eq!(at_once(&mut reader), Some(vec![0, 1]));
    reader.cursor.rest();
    air(2..9, 10, &mut batches);
    assert_eq!(at_once(&mut reader), Some(vec![]));
    air(9..12, 10, &mut batches);
    assert_eq!(at_once(&mut reader), Some(vec![10, 11]));
}

#[tokio::test]
async fn messages_of_a_batch_are_one_piece_that_all_players_share() {
    let (mut batches, reader) = batches(MediaTime::from_nanos(0));
    air(0..1, 10, &mut batches);
    let apart = rtmp::cell(&tracks()[0], &batch(0), Timebase::starting(MediaTime::from_nanos(0)));
    let apart = apart.expect("messages");
    let mut pieces = Vec::new();
    for mut player in [reader.clone(), reader] {
        player.messages(&tracks(), 0, &mut pieces).await.expect("a batch");
    }
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[0], [&apart[0].bytes[..], &apart[1].bytes].concat());
    assert_eq!(pieces[0].as_ptr(), pieces[1].as_ptr());
}

/// A message's time, in a full header: it may be in the extended timestamp.
fn time(message: &[u8]) -> u32 {
    match u32::from_be_bytes([0, message[1], message[2], message[3]]) {
        0xff_ffff => u32::from_be_bytes([message[12], message[13], message[14], message[15]]),
        time => time,
    }
}

#[tokio::test]
async fn the_clock_begins_anew_each_day_for_those_who_come() {
    let (mut batches, reader) = batches(MediaTime::from_nanos(0));
    // 2048 ticks are 42.7 ms.
    let day = |days: i64| days * 24 * 3600 * 48_000 / 2048 + 1;
    let tracks = tracks();
    let mut players = vec![reader.clone()];
    for (days, times) in
        [(0, vec![43]), (1, vec![86_400_043, 43]), (20, vec![1_728_000_043, 1_641_600_043, 43])]
    {
        batches.push(&tracks, batch(day(days)), true);
        let mut seen = Vec::new();
        for player in &mut players {
            let mut out = Vec::new();
            player.messages(&tracks, 0, &mut out).await.expect("a batch");
            seen.push(time(out.last().expect("a message")));
        }
        assert_eq!(seen, times, "day {days}");
        players.push(reader.clone());
    }
}
