//! Fields of the head of an answer, as bytes (RFC 9112 §5).

/// Appends a field.
pub fn append_field(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    head.extend_from_slice(name);
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}
