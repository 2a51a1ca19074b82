//! Writes boxes: into a buffer of a size known before, or nested, with sizes filled in afterwards.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of a box header: size and type.
pub const BOX_HEADER: usize = 8;
/// Bytes of a full box header: size, type, version and flags.
pub const FULL_BOX_HEADER: usize = 12;

/// Writes boxes into one allocation of exactly the right size.
pub struct BoxWriter {
    out: BytesMut,
    planned: usize,
}

impl BoxWriter {
    /// A writer for exactly `planned` bytes.
    pub fn new(planned: usize) -> Self {
        Self { out: BytesMut::with_capacity(planned), planned }
    }

    /// Writes the header of a box of `size` bytes, header included. A size that does not fit in 32 bits is written as 0,
    /// "up to the end of the file", which is true for the `mdat` at the end of a segment.
    pub fn header(&mut self, kind: [u8; 4], size: usize) {
        self.out.put_u32(u32::try_from(size).unwrap_or(0));
        self.out.put_slice(&kind);
    }

    /// Writes the header of a full box; `flags` are the low 24 bits.
    pub fn full_header(&mut self, kind: [u8; 4], size: usize, version: u8, flags: u32) {
        self.header(kind, size);
        self.out.put_u32(u32::from(version) << 24 | flags & 0x00ff_ffff);
    }

    /// Writes 32 bits, big-endian as all numbers in boxes.
    pub fn u32(&mut self, value: u32) {
        self.out.put_u32(value);
    }

    /// Writes 64 bits, big-endian.
    pub fn u64(&mut self, value: u64) {
        self.out.put_u64(value);
    }

    /// The bytes written. Debug builds check that there are as many as planned.
    pub fn finish(self) -> Bytes {
        debug_assert_eq!(self.out.len(), self.planned, "a box was planned with another size");
        self.out.freeze()
    }
}

/// Appends a box, whose content `fill` writes.
pub fn put_box(out: &mut Vec<u8>, kind: [u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(&kind);
    fill(out);
    let size = (out.len() - start) as u32;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&size.to_be_bytes());
    }
}

/// Appends a full box, whose content `fill` writes; `flags` are the low 24 bits.
pub fn put_full_box(
    out: &mut Vec<u8>,
    kind: [u8; 4],
    version: u8,
    flags: u32,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    put_box(out, kind, |out| {
        out.put_u32(u32::from(version) << 24 | flags & 0x00ff_ffff);
        fill(out);
    });
}
