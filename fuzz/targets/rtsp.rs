//! Requests and interleaved packets from a byte stream in two parts.

#![no_main]

use amphi_protocol::rtsp::Requests;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut requests = Requests::default();
    let (early, later) = data.split_at(data.len() / 2);
    for part in [early, later] {
        requests.feed().extend_from_slice(part);
        while let Ok(Some(_)) = requests.take() {}
    }
});
