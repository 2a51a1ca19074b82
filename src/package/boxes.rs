//! Boxes by hand: a buffer that knows its size beforehand (ISO/IEC 14496-12 §4.2).

use bytes::{BufMut, Bytes, BytesMut};

/// Size and type.
pub(super) const BOX_HEADER: usize = 8;
/// Size, type, version and flags.
pub(super) const FULL_BOX_HEADER: usize = 12;

/// Writes boxes into one allocation.
pub(super) struct BoxWriter {
    out: BytesMut,
    planned: usize,
}

impl BoxWriter {
    /// For exactly `planned` bytes.
    pub(super) fn new(planned: usize) -> Self {
        Self { out: BytesMut::with_capacity(planned), planned }
    }

    /// The header of a box of `size` bytes, header included. A size that 32 bits cannot say is written as
    /// 0, "to the end of the file", which is true for the `mdat` that ends a segment.
    pub(super) fn header(&mut self, kind: [u8; 4], size: usize) {
        self.out.put_u32(u32::try_from(size).unwrap_or(0));
        self.out.put_slice(&kind);
    }

    /// The header of a full box; `flags` are the low 24 bits.
    pub(super) fn full_header(&mut self, kind: [u8; 4], size: usize, version: u8, flags: u32) {
        self.header(kind, size);
        self.out.put_u32(u32::from(version) << 24 | flags & 0x00ff_ffff);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.out.put_u32(value);
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.out.put_u64(value);
    }

    /// What was written.
    pub(super) fn finish(self) -> Bytes {
        debug_assert_eq!(self.out.len(), self.planned, "a box was planned with another size");
        self.out.freeze()
    }
}
