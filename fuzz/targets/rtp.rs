//! Packets of a hall through ordering, depacketizers and intake. The first byte tells the codec of the sound, and whether
//! it is UDP. Each packet begins with two bytes for its length and kind.

#![no_main]

use amphi_source::{Hailed, rehearse};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const VIDEO: &str = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n\
    a=fmtp:96 sprop-parameter-sets=Z2QADKyyAoM/PgIgAAADACAAAAMDweKFSQ==,aOvDyyLA\nm=audio 0 RTP/AVP ";
const SOUNDS: [&str; 5] = [
    "97\na=rtpmap:97 MPEG4-GENERIC/48000/2\na=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190",
    "97\na=rtpmap:97 MP4A-LATM/48000/2\na=fmtp:97 cpresent=0;config=400023203fc0",
    "97\na=rtpmap:97 MP4A-LATM/48000/2\na=fmtp:97 cpresent=1",
    "14",
    "8",
];

fuzz_target!(|data: &[u8]| {
    let Some((&head, mut rest)) = data.split_first() else { return };
    // The last kind is one of its own words.
    let sound = match SOUNDS.get(usize::from(head & 0x7f) % (SOUNDS.len() + 1)) {
        Some(sound) => (*sound).to_owned(),
        None => {
            let length = rest.split_off_first().map_or(0, |length| usize::from(*length).min(rest.len()));
            let words = rest.split_off(..length).unwrap_or_default();
            String::from_utf8_lossy(words).into_owned()
        }
    };
    let packets = std::iter::from_fn(|| {
        let (&[length, kind], tail) = rest.split_first_chunk::<2>()?;
        let (data, after) = tail.split_at_checked(usize::from(length)).unwrap_or((tail, &[]));
        rest = after;
        Some(Hailed { audio: kind & 1 != 0, rtcp: kind & 2 != 0, data: Bytes::copy_from_slice(data) })
    });
    rehearse(format!("{VIDEO}{sound}\n").as_bytes(), head & 0x80 != 0, packets);
});
