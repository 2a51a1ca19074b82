//! Type markers (AMF0 §2.1).

pub(in crate::rtmp) const NUMBER: u8 = 0;
pub(in crate::rtmp) const BOOLEAN: u8 = 1;
pub(in crate::rtmp) const STRING: u8 = 2;
pub(in crate::rtmp) const OBJECT: u8 = 3;
pub(in crate::rtmp) const NULL: u8 = 5;
pub(in crate::rtmp) const UNDEFINED: u8 = 6;
pub(in crate::rtmp) const ECMA_ARRAY: u8 = 8;
pub(in crate::rtmp) const OBJECT_END: u8 = 9;
pub(in crate::rtmp) const STRICT_ARRAY: u8 = 10;
pub(in crate::rtmp) const LONG_STRING: u8 = 12;
