//! H.264 headers: parameter sets, SEI, slice headers, and starting at a recovery point.

#![no_main]

use amphi_media::h264;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(source) = h264::describe(data) {
        assert!(source.width > 0 && source.height > 0);
        let _ = (source.to_string(), source.limits(), source.oddities());
        let _ = amphi_ladder::colour::Conversion::of(&source);
        let _ = h264::frame_num(data, &source);
    }
    let _ = (h264::recovery_point(data), h264::is_entry(data), h264::is_intra(data), h264::is_idr(data));
    if let Some(start) = h264::EntryPoint::of(data) {
        // What is made for a decoder is no longer than the input, apart from emulation prevention bytes.
        let longest = 2 * data.len() + 64;
        assert!(start.unit().len() <= longest);
        assert!(start.before().is_none_or(|before| before.len() <= 2 * longest));
    }
});
