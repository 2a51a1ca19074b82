//! A conversation with an encoder: the first byte says what is wished, then come parts of what it sends, each at its own time,
//! and what the caller does in between.

#![no_main]

use std::time::Duration;

use amphi_protocol::rtsp::client::{Client, Credentials, Happening, RequestedTransport, ServerAddress};
use libfuzzer_sys::fuzz_target;

fn wish(kind: u8, medium: usize) -> RequestedTransport {
    let even = 2 * medium as u8;
    match kind & 3 {
        0 | 3 => RequestedTransport::Interleaved(even),
        1 => RequestedTransport::Udp { rtp: 6000 + u16::from(even), rtcp: 6001 + u16::from(even) },
        _ => RequestedTransport::Multicast,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let Ok(url) = "rtsp://hall/x".parse() else { return };
    let known = Credentials { username: "a \"b\"".to_owned(), password: "c".to_owned() };
    let home = ServerAddress { url, credentials: (first & 4 == 0).then_some(known) };
    let mut client = Client::new(&home, "fuzz", 1);
    let mut now = Duration::ZERO;
    while let [what, high, low, tail @ ..] = rest {
        let length = usize::from(*high) << 8 | usize::from(*low);
        let (part, after) = tail.split_at(length.min(tail.len()));
        rest = after;
        now += Duration::from_secs(u64::from(what >> 4));
        match what & 15 {
            1 => client.tick(now),
            2 => client.tear_down(),
            3 => client.control(0, part),
            4 => client.forget(),
            _ => client.feed().extend_from_slice(part),
        }
        // Reading goes on after each of the caller's turns.
        loop {
            if client.handle(now).is_err() {
                return;
            }
            let Some(happening) = client.poll() else { break };
            match happening {
                Happening::Described(it) => {
                    let media = it.media.len().min(3);
                    client.set_up(&(0..media).map(|n| (n, wish(first, n))).collect::<Vec<_>>());
                }
                Happening::SetUp(routes) => {
                    assert!(routes.len() <= 3);
                    client.play();
                }
                Happening::Packet { stream, .. } => assert!(stream < 3),
                Happening::Moved(location) => drop(home.moved(&home, &location)),
                Happening::Playing(_) | Happening::Note(_) | Happening::Over => {}
            }
        }
        assert!(client.output().len() < 1 << 20);
        client.output().clear();
        assert!(!client.is_over() || client.deadline().is_none_or(|deadline| deadline >= now));
    }
});
