//! Writes AMF0. The properties of an object keep their order.

use bytes::{BufMut, BytesMut};

use super::marker;

/// A value to write.
#[derive(Clone, Copy)]
pub(in crate::rtmp) enum Value<'a> {
    Number(f64),
    Boolean(bool),
    Text(&'a str),
    Null,
    Undefined,
    Object(&'a [(&'a str, Value<'a>)]),
    EcmaArray(&'a [(&'a str, Value<'a>)]),
}

/// Writes `values` one after the other.
pub(in crate::rtmp) fn encode(values: &[Value<'_>]) -> BytesMut {
    let mut out = BytesMut::with_capacity(256);
    for value in values {
        put(&mut out, value);
    }
    out
}

fn put(out: &mut BytesMut, value: &Value<'_>) {
    match *value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(number);
        }
        Value::Boolean(truth) => out.put_slice(&[marker::BOOLEAN, u8::from(truth)]),
        Value::Text(text) => put_text(out, text),
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
        Value::Object(properties) => {
            out.put_u8(marker::OBJECT);
            put_properties(out, properties);
        }
        Value::EcmaArray(properties) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(properties.len() as u32);
            put_properties(out, properties);
        }
    }
}

fn put_text(out: &mut BytesMut, text: &str) {
    if let Ok(length) = u16::try_from(text.len()) {
        out.put_u8(marker::STRING);
        out.put_u16(length);
    } else {
        out.put_u8(marker::LONG_STRING);
        out.put_u32(text.len() as u32);
    }
    out.put_slice(text.as_bytes());
}

/// Names are constants of ours: short and never empty.
fn put_properties(out: &mut BytesMut, properties: &[(&str, Value<'_>)]) {
    for (name, value) in properties {
        out.put_u16(name.len() as u16);
        out.put_slice(name.as_bytes());
        put(out, value);
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}
