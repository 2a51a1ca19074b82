//! Files that lie, for tests of whoever reads them.

use super::isobmff::{BoxRef, put_box};

/// The box with the content of those in it as `edit` leaves it; sizes follow. What is no box is left out.
pub fn rewritten(found: &BoxRef<'_>, edit: &mut impl FnMut(&[u8; 4], &mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    if matches!(&found.kind, b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"edts") {
        for child in found.children(0).flatten() {
            body.extend(rewritten(&child, edit));
        }
    } else {
        body.extend(found.body);
    }
    edit(&found.kind, &mut body);
    let mut out = Vec::new();
    put_box(&mut out, found.kind, |out| out.extend(body));
    out
}

/// Writes `value` over four bytes of `body`.
pub fn put(body: &mut [u8], at: usize, value: u32) {
    body[at..at + 4].copy_from_slice(&value.to_be_bytes());
}
