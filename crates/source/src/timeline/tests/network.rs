//! Networks and servers that delay, reorder, stall and burst.

use proptest::prelude::*;

use super::*;

/// One track, with an extra delay per picture: RTP ticks, arrival, pts.
fn pictures_delayed(order: &[i64], extra: impl Fn(i64) -> i64, count: i64) -> Vec<(i64, i64, i64)> {
    let encoder = Encoder::video();
    let mut timeline = Timeline::new(FPS);
    let mut seen = Vec::new();
    let mut arrival = 0;
    for n in 0..count {
        let group = n / order.len() as i64 * order.len() as i64;
        let rtp = encoder.rtp(group + order[(n - group) as usize]);
        arrival = arrival.max(encoder.arrival(n) + extra(n));
        let pts = timeline.map(Track::Video, rtp, MediaTime::from_nanos(arrival));
        if timeline.is_settled() {
            seen.push((rtp.ticks, arrival, pts.as_nanos()));
        }
    }
    assert!(seen.len() as i64 > count - 12);
    assert_eq!(timeline.jumps(), 0);
    seen
}

#[test]
fn bursts_of_jitter_do_not_move_pictures() {
    // Every tenth second the network holds pictures back by up to 800 ms, then they come at once.
    let seen =
        pictures_delayed(&[0], |n| (n * 7919 % 13) * MS + if n / 15 % 10 == 9 { 800 * MS } else { 0 }, 9000);
    for pair in seen.windows(2) {
        assert_eq!(slot(pair[1].2) - slot(pair[0].2), 1);
        assert!(pair[0].2 - pair[0].1 < NEAR, "in the future");
    }
}

#[test]
fn a_stall_that_catches_up_does_not_re_anchor() {
    // The server sends nothing for three seconds, then everything that it held back.
    let seen = pictures_delayed(&[0], |n| if (300..345).contains(&n) { (345 - n) * 66 * MS } else { 0 }, 900);
    for pair in seen.windows(2) {
        assert_eq!(slot(pair[1].2) - slot(pair[0].2), 1);
    }
}

#[test]
fn reordered_pictures_keep_their_order() {
    // P2 b0 b1 P5 b3 b4: decode order as RTP times.
    let mut pictures = pictures_delayed(&[2, 0, 1], |n| n % 5 * MS, 20_000);
    assert!(pictures.iter().all(|(_, arrival, pts)| pts - arrival < NEAR), "in the future");
    assert!(pictures.iter().all(|(_, arrival, pts)| arrival - pts < NEAR + 5 * 67 * MS), "too late");
    pictures.sort_by_key(|(ticks, _, _)| *ticks);
    for pair in pictures.windows(2).skip(3) {
        assert_eq!(slot(pair[1].2) - slot(pair[0].2), (pair[1].0 - pair[0].0) / 6000);
    }
}

#[test]
fn a_server_that_sends_its_last_group_first_is_followed_to_the_live_edge() {
    let encoder = Encoder::video();
    let mut timeline = Timeline::new(FPS);
    for n in 0..300 {
        let arrival = encoder.arrival(n).max(encoder.arrival(28));
        timeline.observe(Track::Video, encoder.rtp(n), MediaTime::from_nanos(arrival));
        if timeline.is_settled() {
            let pts = timeline.place(Track::Video, encoder.rtp(n)).as_nanos();
            assert!((pts - arrival).abs() < NEAR, "{}", pts - arrival);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_a_peer_sends_makes_it_panic(
        frames in prop::collection::vec((any::<bool>(), any::<i64>(), any::<u32>(), 0..3_000_000_000_i64, any::<u64>()), 1..200)
    ) {
        let mut timeline = Timeline::new(FPS);
        let mut arrival = START;
        for (video, ticks, clock_rate, wait, ntp) in frames {
            let track = if video { Track::Video } else { Track::Audio };
            let rtp = RtpInstant { ticks, clock_rate };
            arrival += wait;
            timeline.map(track, rtp, MediaTime::from_nanos(arrival));
            timeline.sender_report(track, rtp, ntp);
            let _ = (timeline.skew(), timeline.av_offset());
        }
    }

    #[test]
    fn whatever_the_network_does_the_mapping_slews(
        jitter in prop::collection::vec(0..400 * MS, 50..600), ppm in -200.0..200.0_f64
    ) {
        let encoder = Encoder { ppm, ..Encoder::video() };
        let mut timeline = Timeline::new(FPS);
        let (mut arrival, mut before) = (0, None);
        for (n, jitter) in jitter.into_iter().enumerate() {
            let rtp = encoder.rtp(n as i64);
            let waited = encoder.arrival(n as i64) + jitter - arrival;
            arrival += waited.max(0);
            let pts = timeline.map(Track::Video, rtp, MediaTime::from_nanos(arrival)).as_nanos();
            if let Some(before) = before.replace(pts).filter(|_| timeline.is_settled()) {
                let off = (pts - before - 66_666_667).abs();
                prop_assert!(off <= 2 * waited.max(0) / 1000 + 2 || n < 20, "moved by {off}");
            }
        }
    }
}
