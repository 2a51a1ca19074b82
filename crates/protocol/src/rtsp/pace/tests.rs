//! The pace, with a clock that is moved by hand.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::rtsp::packets::{Coded, PacketsBuilder, Unit};
use crate::rtsp::rtp::Packetizer;

const T: MediaTime = MediaTime::from_millis(1_800_000_000_000);
const ALL: usize = usize::MAX;

fn ms(millis: i64) -> i64 {
    millis * 1_000_000
}

/// A row of 20 packets of 100 bytes, one every 100 ms, that begins at so many seconds.
fn row(seconds: i64) -> Arc<Packets> {
    let mut builder = PacketsBuilder::default();
    let mut packetizer = Packetizer::new(96, 1, 0);
    for n in 0..20 {
        let at = T.offset_nanos(ms(seconds * 1000 + n * 100));
        let coded = Coded::Aac(&[0; 96]);
        builder.unit(&mut packetizer, Unit { track: 0, at, spread: Duration::ZERO, timestamp: 0, coded });
    }
    Arc::new(builder.finish())
}

/// Media times of the packets that are due, in milliseconds from `T`.
fn due(pacer: &mut Pacer, now: MediaTime) -> Vec<i64> {
    let mut all = Vec::new();
    while let Some(Due { row, range }) = pacer.due(now, Duration::ZERO, ALL) {
        all.extend(row.all()[range].iter().map(|packet| packet.at.nanos_since(T) / ms(1)));
    }
    all
}

#[test]
fn packets_leave_when_they_are_due() {
    let mut pacer = Pacer::default();
    // Cell 0 is sent 3.5 s late.
    let now = T.offset_nanos(ms(3500));
    pacer.start(T, now);
    assert!(pacer.wants_more() && pacer.is_empty() && pacer.wake_at().is_none());
    pacer.push(row(0), now);
    pacer.push(row(2), now);
    assert!(!pacer.wants_more());
    assert_eq!(pacer.wake_at(), Some(now));
    assert_eq!(due(&mut pacer, now), [0]);
    assert_eq!(due(&mut pacer, now), [0; 0]);
    assert_eq!(pacer.wake_at(), Some(now.offset_nanos(ms(100))));
    assert_eq!(due(&mut pacer, now.offset_nanos(ms(250))), [100, 200]);
    assert_eq!(pacer.media_time(now.offset_nanos(ms(250))), T.offset_nanos(ms(250)));
    let ahead = pacer.due(now.offset_nanos(ms(250)), Duration::from_millis(150), ALL).expect("due soon");
    assert_eq!(ahead.range, 3..5);
    // Across the boundary: one row, then the next.
    assert_eq!(due(&mut pacer, now.offset_nanos(ms(2150))).last(), Some(&2100));
    assert!(pacer.wants_more());
}

#[test]
fn no_more_bytes_than_may_be_leave_at_once() {
    let mut pacer = Pacer::default();
    pacer.start(T, T);
    pacer.push(row(0), T);
    let now = T.offset_nanos(ms(1950));
    let first = pacer.due(now, Duration::ZERO, 450).expect("due");
    assert_eq!(first.range, 0..5);
    assert_eq!(pacer.wake_at(), Some(T.offset_nanos(ms(500))), "and the rest is still due");
}

#[test]
fn a_late_player_goes_on_with_the_next_row_that_has_begun() {
    let mut pacer = Pacer::default();
    pacer.start(T, T);
    pacer.push(row(0), T);
    assert_eq!(due(&mut pacer, T), [0]);
    pacer.push(row(2), T);
    // Late by 1.4 s, but the next row has not begun.
    assert!(!pacer.drop_late(T.offset_nanos(ms(1500))));
    assert!(pacer.drop_late(T.offset_nanos(ms(2000))));
    assert_eq!(pacer.next_at(), Some(T.offset_nanos(ms(2000))));
    assert!(!pacer.drop_late(T.offset_nanos(ms(9000))), "there is nothing behind");
    assert_eq!(pacer.media_time(T.offset_nanos(ms(2000))), T.offset_nanos(ms(2000)), "the pace is kept");
}

#[test]
fn where_every_packet_counts_a_late_player_gets_it_later() {
    let mut pacer = Pacer::default();
    pacer.start(T, T);
    pacer.push(row(0), T);
    assert_eq!(due(&mut pacer, T), [0]);
    let now = T.offset_nanos(ms(5100));
    pacer.wait_for(now);
    assert_eq!(due(&mut pacer, now), [100]);
    assert_eq!(due(&mut pacer, now.offset_nanos(ms(100))), [200]);
    // A pause does the same.
    let later = now.offset_nanos(ms(60_000));
    pacer.resume(later);
    assert_eq!(due(&mut pacer, later), [300]);
}

#[test]
fn media_that_comes_late_makes_no_burst() {
    let mut pacer = Pacer::default();
    pacer.start(T, T);
    pacer.push(row(0), T);
    assert_eq!(due(&mut pacer, T.offset_nanos(ms(1900))).len(), 20);
    // The next row comes 0.8 s too late.
    let now = T.offset_nanos(ms(2800));
    pacer.push(row(2), now);
    assert_eq!(due(&mut pacer, now), [2000]);
    assert_eq!(due(&mut pacer, now.offset_nanos(ms(100))), [2100]);
    // Empty rows are ignored.
    pacer.push(Arc::new(Packets::default()), now);
    assert!(pacer.wants_more());
}

#[test]
fn nothing_is_due_where_nothing_plays() {
    let mut pacer = Pacer::default();
    assert!(pacer.due(T, Duration::from_secs(9), ALL).is_none());
    pacer.resume(T);
    pacer.wait_for(T);
    assert!(!pacer.drop_late(T) && pacer.wake_at().is_none());
    assert_eq!(Packets::default().framed(0..3), Bytes::new());
}

proptest! {
    #[test]
    fn whatever_the_steps_every_packet_leaves_once_in_order_and_never_early(
        steps in prop::collection::vec(0..400_i64, 1..200), most in 1..3000_usize,
    ) {
        let mut pacer = Pacer::default();
        let (mut now, mut next_row, mut seen) = (T, 0, Vec::new());
        pacer.start(T, T);
        for step in steps {
            while pacer.wants_more() { pacer.push(row(next_row), now); next_row += 2; }
            while let Some(Due { row, range }) = pacer.due(now, Duration::ZERO, most) {
                for packet in &row.all()[range] {
                    prop_assert!(packet.at <= pacer.media_time(now));
                    seen.push(packet.at.nanos_since(T) / ms(100));
                }
                if pacer.wants_more() { break; }
            }
            now = now.offset_nanos(ms(step));
        }
        prop_assert!(seen.iter().enumerate().all(|(index, at)| index as i64 == *at));
    }
}
