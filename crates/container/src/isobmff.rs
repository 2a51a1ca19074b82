//! Boxes (ISO/IEC 14496-12 §4.2), written by hand for speed, and read so that a fault names its box and its position in
//! the file.
//!
//! Sans-IO. What does *not* belong here: what boxes mean ([`mp4`](super::mp4), [`fmp4`](super::fmp4)).

mod reader;
mod writer;

pub use reader::{BoxFault, BoxReader, BoxRef, Boxes, FileHeader, FullBox, file_header};
pub use writer::{BOX_HEADER, BoxWriter, FULL_BOX_HEADER, put_box, put_full_box};
