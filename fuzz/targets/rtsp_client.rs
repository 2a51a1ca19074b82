//! Responses of an encoder, in two parts. The conversation goes on as far as they allow.

#![no_main]

use std::time::Duration;

use amphi_protocol::rtsp::client::{Client, Credentials, Happening, ServerAddress, RequestedTransport};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(url) = "rtsp://hall/x".parse() else { return };
    let credentials = Some(Credentials { username: "a b".to_owned(), password: "c".to_owned() });
    let home = ServerAddress { url, credentials };
    let mut client = Client::new(&home, "fuzz", 1);
    let (early, later) = data.split_at(data.len() / 2);
    for (part, second) in [early, later].into_iter().zip(0..) {
        client.feed().extend_from_slice(part);
        if client.handle(Duration::from_secs(second)).is_err() {
            return;
        }
        while let Some(happening) = client.poll() {
            match happening {
                Happening::Described(it) => {
                    let wishes: Vec<_> = (0..it.media.len().min(3)).map(|n| (n, RequestedTransport::Interleaved(2 * n as u8))).collect();
                    client.set_up(&wishes);
                }
                Happening::SetUp(_) => client.play(),
                Happening::Moved(location) => drop(home.moved(&home, &location)),
                _ => {}
            }
        }
        client.tick(Duration::from_secs(100 + second));
        client.output().clear();
    }
});
