//! AMF0: a check before `rml_amf0` reads, and a writer with a fixed order of properties.
//!
//! `rml_amf0` reads recursively without a limit: 20 000 nested arrays in one message of 100 KB overflow the
//! stack and abort the process. It also fills a string that ends too early with zero bytes. Bytes that pass
//! [`count_values`] are read completely, at most [`MAX_DEPTH`] calls deep. The writer of `rml_amf0` keeps objects in
//! a `HashMap`, so equal replies would differ in their bytes. The one here does not, and it can write the ECMA array
//! that players expect for `onMetaData`.
//!
//! What does *not* belong here: what the values mean.

mod marker;
mod writer;

use bytes::Buf;

pub(super) use writer::{Value, encode};

/// How deep objects and arrays may be nested. Real connects and metadata need two.
pub(super) const MAX_DEPTH: usize = 8;

/// The value null: its marker is all of it.
pub(super) const NULL: u8 = marker::NULL;

/// Why AMF0 values cannot be read. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmfFault {
    /// Objects or arrays are nested too deep, usually on purpose.
    #[error("its AMF0 values are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// The message ends inside a value.
    #[error("it ends inside an AMF0 value")]
    Truncated,
    /// A value has a marker that `rml_amf0` does not read: a date, reference, typed object or AMF3.
    #[error("its AMF0 value of type {0} is not supported")]
    Unsupported(u8),
    /// A string is not UTF-8, or a property has no name.
    #[error("its AMF0 strings are malformed")]
    Text,
}

/// What is wrong with AMF0 values, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}, at byte {at}")]
pub struct AmfError {
    /// What is wrong.
    pub fault: AmfFault,
    /// The byte at which the value begins that has it, or the part of a value; counted from 0 in what was read.
    pub at: usize,
}

/// Counts the values in `bytes`, all of which must be complete.
pub(super) fn count_values(bytes: &[u8]) -> Result<usize, AmfError> {
    let (mut count, mut rest) = (0, bytes);
    while !rest.is_empty() {
        skip_value(&mut rest, 0)
            .map_err(|Faulty { fault, left }| AmfError { fault, at: bytes.len().saturating_sub(left) })?;
        count += 1;
    }
    Ok(count)
}

/// A fault, and how many bytes are left from where it begins.
struct Faulty {
    fault: AmfFault,
    left: usize,
}

fn skip_value(bytes: &mut &[u8], depth: usize) -> Result<(), Faulty> {
    let left = bytes.len();
    match take(bytes, 1)?[0] {
        marker::NUMBER => take(bytes, 8).map(drop),
        marker::BOOLEAN => take(bytes, 1).map(drop),
        marker::STRING => skip_text(bytes).map(drop),
        marker::NULL | marker::UNDEFINED => Ok(()),
        marker::OBJECT => skip_properties(bytes, deeper(depth, left)?),
        marker::ECMA_ARRAY => {
            // The count is only a hint; the array ends as an object does (AMF0 §2.10).
            take(bytes, 4)?;
            skip_properties(bytes, deeper(depth, left)?)
        }
        marker::STRICT_ARRAY => {
            let depth = deeper(depth, left)?;
            let count = take(bytes, 4)?.get_u32();
            (0..count).try_for_each(|_| skip_value(bytes, depth))
        }
        other => Err(Faulty { fault: AmfFault::Unsupported(other), left }),
    }
}

const fn deeper(depth: usize, left: usize) -> Result<usize, Faulty> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(Faulty { fault: AmfFault::TooDeep, left }) }
}

fn skip_properties(bytes: &mut &[u8], depth: usize) -> Result<(), Faulty> {
    while skip_text(bytes)? > 0 {
        skip_value(bytes, depth)?;
    }
    let left = bytes.len();
    if take(bytes, 1)?[0] == marker::OBJECT_END {
        Ok(())
    } else {
        Err(Faulty { fault: AmfFault::Text, left })
    }
}

fn skip_text(bytes: &mut &[u8]) -> Result<usize, Faulty> {
    let length = usize::from(take(bytes, 2)?.get_u16());
    let left = bytes.len();
    std::str::from_utf8(take(bytes, length)?).map_err(|_| Faulty { fault: AmfFault::Text, left })?;
    Ok(length)
}

/// Takes exactly `count` bytes from the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], Faulty> {
    let left = bytes.len();
    let (front, rest) = bytes.split_at_checked(count).ok_or(Faulty { fault: AmfFault::Truncated, left })?;
    *bytes = rest;
    Ok(front)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use rml_amf0::Amf0Value;

    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut bytes = [marker::STRICT_ARRAY, 0, 0, 0, 1].repeat(levels);
        bytes.push(marker::NULL);
        bytes
    }

    fn fails(fault: AmfFault, at: usize) -> Result<usize, AmfError> {
        Err(AmfError { fault, at })
    }

    #[test]
    fn what_we_write_is_read_by_rml_amf0() {
        let text = "x".repeat(300);
        let inner = [("b", Value::Boolean(true)), ("t", Value::Text(&text))];
        let values = [
            Value::Text("onStatus"),
            Value::Number(-2.5),
            Value::Null,
            Value::Undefined,
            Value::Object(&[("inner", Value::EcmaArray(&inner))]),
        ];
        let bytes = encode(&values);
        assert_eq!(count_values(&bytes), Ok(5));
        let read = rml_amf0::deserialize(&mut Cursor::new(&bytes[..])).expect("AMF0");
        let inner = [("b", Amf0Value::Boolean(true)), ("t", Amf0Value::Utf8String(text.clone()))];
        let object = |properties: &[(&str, Amf0Value)]| {
            Amf0Value::Object(properties.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
        };
        let expected = [
            Amf0Value::Utf8String("onStatus".to_owned()),
            Amf0Value::Number(-2.5),
            Amf0Value::Null,
            Amf0Value::Undefined,
            object(&[("inner", object(&inner))]),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn eight_levels_pass_and_nine_do_not() {
        assert_eq!(count_values(&nested(8)), Ok(1));
        // The ninth begins after eight markers with their counts.
        assert_eq!(count_values(&nested(9)), fails(AmfFault::TooDeep, 40));
        assert_eq!(count_values(&nested(20_000)), fails(AmfFault::TooDeep, 40));
    }

    #[test]
    fn strings_and_arrays_that_lie_are_found() {
        assert_eq!(count_values(&[2, 0, 9, b'a']), fails(AmfFault::Truncated, 3));
        assert_eq!(count_values(&[5, 5, 2, 0, 1, 0xff]), fails(AmfFault::Text, 5));
        assert_eq!(count_values(&[10, 0xff, 0xff, 0xff, 0xff, 5, 5]), fails(AmfFault::Truncated, 7));
        assert_eq!(count_values(&[3, 0, 0, 5]), fails(AmfFault::Text, 3));
        assert_eq!(count_values(&[5, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]), fails(AmfFault::Unsupported(11), 1));
        let error = AmfError { fault: AmfFault::Truncated, at: 7 };
        assert_eq!(error.to_string(), "it ends inside an AMF0 value, at byte 7");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Bytes from a small set of markers and lengths, so that many of them are well-formed.
        #[test]
        fn what_passes_the_check_is_read_whole(
            bytes in prop::collection::vec(prop::sample::select(vec![0_u8, 0, 1, 2, 3, 5, 6, 8, 9, 10, b'a', 0xff]), 0..40)
        ) {
            if let Ok(count) = count_values(&bytes) {
                let read = rml_amf0::deserialize(&mut Cursor::new(&bytes)).map(|values| values.len());
                prop_assert_eq!(read.ok(), Some(count));
            }
        }
    }
}
