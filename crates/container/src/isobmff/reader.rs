//! Reads boxes: views of bytes that know their position in the file.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

/// What is wrong with a box. The file is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("box {} at byte {at}: {fault}", FourCc(*.kind))]
pub struct BoxFault {
    /// Type of the box.
    pub kind: [u8; 4],
    /// Position of its first byte in the file.
    pub at: u64,
    /// What is wrong, as an end of the sentence "box X: ...".
    pub fault: Cow<'static, str>,
}

/// A box type as people read it.
struct FourCc([u8; 4]);

impl Display for FourCc {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| write!(out, "{}", byte.escape_ascii()))
    }
}

/// The header of a box in a file: enough to go on to the next box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Type of the box.
    pub kind: [u8; 4],
    /// Size of the header in bytes: 8 or 16.
    pub header: u64,
    /// Size of the whole box in bytes; `None` if it ends with the file.
    pub size: Option<u64>,
}

/// Reads a header from the first 16 bytes of the box that begins at `at`. There may be fewer bytes at the end of the file.
pub fn file_header(bytes: &[u8], at: u64) -> Result<FileHeader, BoxFault> {
    let fault = |fault| BoxFault { kind: *b"????", at, fault: Cow::Borrowed(fault) };
    let mut reader = BoxReader(bytes);
    let (Some(size), Some(kind)) = (reader.u32(), reader.array::<4>()) else {
        return Err(fault("the file ends inside the header"));
    };
    let fault = |fault| BoxFault { kind, at, fault: Cow::Borrowed(fault) };
    let (header, size) = match size {
        0 => (8, None),
        1 => (16, Some(reader.u64().ok_or(fault("the file ends inside the header"))?)),
        size => (8, Some(u64::from(size))),
    };
    if size.is_some_and(|size| size < header) {
        return Err(fault("it says a size smaller than its own header"));
    }
    Ok(FileHeader { kind, header, size })
}

/// A box whose bytes are in memory.
#[derive(Clone, Copy, Debug)]
pub struct BoxRef<'a> {
    /// Type of the box.
    pub kind: [u8; 4],
    /// Position of its first byte in the file.
    pub at: u64,
    /// All its bytes, with the header.
    pub whole: &'a [u8],
    /// Its content, without the header.
    pub body: &'a [u8],
}

/// The content of a full box: version, flags and the rest (§4.2).
#[derive(Clone, Copy, Debug)]
pub struct FullBox<'a> {
    /// The version, which often tells 32-bit from 64-bit fields.
    pub version: u8,
    /// The flags, 24 bits.
    pub flags: u32,
    /// The bytes after version and flags.
    pub rest: BoxReader<'a>,
}

impl<'a> BoxRef<'a> {
    /// Makes a fault of this box.
    pub const fn fault(&self, fault: &'static str) -> BoxFault {
        BoxFault { kind: self.kind, at: self.at, fault: Cow::Borrowed(fault) }
    }

    /// The boxes in its content, after the first `skip` bytes.
    pub fn children(&self, skip: usize) -> Boxes<'a> {
        let header = self.whole.len() - self.body.len();
        Boxes::new(self.body.get(skip..).unwrap_or_default(), self.at + (header + skip) as u64)
    }

    /// The first box of type `kind` in its content, if there is one.
    pub fn child(&self, kind: [u8; 4]) -> Result<Option<BoxRef<'a>>, BoxFault> {
        self.children(0).find(|child| child.as_ref().map_or(true, |child| child.kind == kind)).transpose()
    }

    /// As [`child`](Self::child), but its absence is a fault.
    pub fn need(&self, kind: [u8; 4]) -> Result<BoxRef<'a>, BoxFault> {
        self.child(kind)?.ok_or(BoxFault {
            kind,
            at: self.at,
            fault: Cow::Borrowed("it is missing in the box at this byte"),
        })
    }

    /// Reads its version and flags.
    pub fn full(&self) -> Result<FullBox<'a>, BoxFault> {
        let mut rest = BoxReader(self.body);
        let word = rest.u32().ok_or(self.fault("it is too short for version and flags"))?;
        Ok(FullBox { version: (word >> 24) as u8, flags: word & 0x00ff_ffff, rest })
    }
}

/// An iterator over boxes that follow each other.
#[derive(Clone, Debug)]
pub struct Boxes<'a> {
    rest: &'a [u8],
    at: u64,
    /// What is wrong with a box that reaches beyond them.
    beyond: &'static str,
}

impl<'a> Boxes<'a> {
    /// The boxes in `bytes`, the first of which is at position `at` in the file.
    pub const fn new(bytes: &'a [u8], at: u64) -> Self {
        Self { rest: bytes, at, beyond: "it reaches beyond the end of the box around it" }
    }

    /// The boxes of a whole file.
    pub const fn of_file(file: &'a [u8]) -> Self {
        Self { rest: file, at: 0, beyond: "it reaches beyond the end of the file: the file is truncated" }
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<BoxRef<'a>, BoxFault>;

    /// Fewer than eight bytes are padding or QuickTime's terminator, and count as the end.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.len() < 8 {
            return None;
        }
        let at = self.at;
        let header = match file_header(self.rest, at) {
            Ok(header) => header,
            Err(fault) => {
                self.rest = &[];
                return Some(Err(fault));
            }
        };
        let size = header.size.map_or(self.rest.len(), |size| usize::try_from(size).unwrap_or(usize::MAX));
        let Some((whole, rest)) = self.rest.split_at_checked(size) else {
            self.rest = &[];
            return Some(Err(BoxFault { kind: header.kind, at, fault: Cow::Borrowed(self.beyond) }));
        };
        self.rest = rest;
        self.at += size as u64;
        let body = whole.get(header.header as usize..).unwrap_or_default();
        Some(Ok(BoxRef { kind: header.kind, at, whole, body }))
    }
}

/// Takes big-endian numbers from the front of some bytes. Every method returns `None` if there are too few.
#[derive(Clone, Copy, Debug)]
pub struct BoxReader<'a>(pub &'a [u8]);

impl<'a> BoxReader<'a> {
    /// Takes the next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// Takes 8 bits.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Takes 16 bits.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes 64 bits if `long`, otherwise 32.
    pub fn word(&mut self, long: bool) -> Option<u64> {
        if long { self.u64() } else { self.u32().map(u64::from) }
    }

    /// Takes the next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Skips `count` bytes.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.bytes(count).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{put_box, put_full_box};
    use super::*;

    #[test]
    fn what_was_written_is_read_with_its_place() {
        let mut out = Vec::new();
        put_box(&mut out, *b"moov", |out| {
            put_full_box(out, *b"mvhd", 1, 7, |out| out.extend([1, 2, 3, 4]));
            put_box(out, *b"trak", |_| {});
        });
        let moov = Boxes::new(&out, 100).next().expect("a box").expect("sound");
        assert_eq!((moov.kind, moov.at), (*b"moov", 100));
        let mut mvhd = moov.need(*b"mvhd").expect("there").full().expect("full");
        assert_eq!(
            (mvhd.version, mvhd.flags, mvhd.rest.u32(), mvhd.rest.u8()),
            (1, 7, Some(0x0102_0304), None)
        );
        assert_eq!(moov.need(*b"trak").expect("there").at, 124);
        let missing = moov.need(*b"mdia").expect_err("not there").to_string();
        assert_eq!(missing, "box mdia at byte 100: it is missing in the box at this byte");
    }

    #[test]
    fn sizes_that_lie_are_named() {
        for (bytes, said) in [
            (&[0, 0, 0, 9, b's', b't', b't', b's'][..], "it reaches beyond the end of the box around it"),
            (&[0, 0, 0, 7, b's', b't', b't', b's'], "it says a size smaller than its own header"),
            (&[0, 0, 0, 1, b's', b't', b't', b's', 0], "the file ends inside the header"),
        ] {
            let fault = Boxes::new(bytes, 5).next().expect("something").expect_err("a lie");
            assert_eq!(fault.to_string(), format!("box stts at byte 5: {said}"));
        }
    }

    proptest! {
        #[test]
        fn walking_ends(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let sum: usize = Boxes::new(&bytes, 0).filter_map(Result::ok).map(|found| found.whole.len()).sum();
            prop_assert!(sum <= bytes.len());
        }
    }
}
