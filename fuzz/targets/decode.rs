//! Access units of a broken encoder, in the decoders of a ladder. The first byte of each tells its kind: a new pair of
//! parameter sets, a picture to begin with, another picture, or a lost one.

#![no_main]

use std::sync::Arc;

use amphi_ladder::Inspector;
use amphi_media::{MediaTime, ParameterSets, SourceFrame, TrackFormat};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fn part<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let Some(([high, low], tail)) = rest.split_first_chunk::<2>() else { return std::mem::take(rest) };
    let (part, after) = tail.split_at((usize::from(*high) << 8 | usize::from(*low)).min(tail.len()));
    *rest = after;
    part
}

fuzz_target!(|data: &[u8]| {
    let Ok(mut inspector) = Inspector::new() else { return };
    let mut rest = data;
    let mut format = None;
    let mut ms = 0;
    while let [kind, tail @ ..] = rest {
        rest = tail;
        ms += 40;
        if kind & 3 == 0 {
            let (sps, pps) = (Bytes::copy_from_slice(part(&mut rest)), Bytes::copy_from_slice(part(&mut rest)));
            format = Some(Arc::new(TrackFormat::H264(ParameterSets { sps, pps })));
            continue;
        }
        let unit = if kind & 3 == 3 { &[][..] } else { part(&mut rest) };
        let Some(format) = &format else { continue };
        let pts = MediaTime::from_millis(1_795_000_000_000 + ms);
        let data = Bytes::copy_from_slice(unit);
        inspector.look(&SourceFrame { pts, data, sync: kind & 3 == 1, format: Arc::clone(format) }, pts);
    }
});
