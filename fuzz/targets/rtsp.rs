//! A player of RTSP: requests and interleaved packets from a byte stream in two parts, and a session that answers them. The
//! first byte says whether a password is asked for, and whether it gets what it wants.

#![no_main]

use std::time::{Duration, Instant};

use amphi_protocol::rtsp::{Digest, Incoming, Npt, Refusal, Requests, RtspEvent, RtspSession, Span, Start};
use libfuzzer_sys::fuzz_target;

const REFUSALS: [Refusal; 6] = [
    Refusal::NotFound,
    Refusal::Forbidden,
    Refusal::NotReady,
    Refusal::Media,
    Refusal::Range,
    Refusal::Internal,
];

fn answer(session: &mut RtspSession, event: RtspEvent) {
    match event {
        RtspEvent::Describe(target) => session.described(&target.path),
        RtspEvent::SetUp { track, .. } => session.set_up(track as u32, (7000, 7001)),
        RtspEvent::Play(span) => {
            let from = span.from.or(Some(Npt::Now));
            let start = |track| Start { track, sequence: Some(7).filter(|_| track == 0), timestamp: 9 };
            session.playing(Span { from, ..span }, &[0, 1, 2].map(start));
        }
        RtspEvent::Pause => session.paused(),
        RtspEvent::TearDown => session.finished(),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    let now = Instant::now();
    let mut session = RtspSession::new(1, now);
    session.set_timeout(Duration::from_secs(30));
    session.set_digest((first & 1 == 1).then(|| Digest::new("x", "1", "u", "p")));
    let mut requests = Requests::default();
    let (early, later) = data.split_at(data.len() / 2);
    for part in [early, later] {
        requests.feed().extend_from_slice(part);
        loop {
            match requests.take() {
                Ok(Some(Incoming::Request(request))) => {
                    let Some(event) = session.handle(&request, now) else { continue };
                    match REFUSALS.get(usize::from(first >> 1)) {
                        Some(refusal) => session.refuse(*refusal),
                        None => answer(&mut session, event),
                    }
                }
                Ok(Some(Incoming::Packet { .. })) => session.heard(now),
                Ok(None) => break,
                Err(_) => {
                    assert!(requests.position() <= data.len() as u64);
                    return;
                }
            }
            assert!(session.ends_at() >= now && session.cname().len() < 100);
            session.output().clear();
        }
    }
});
