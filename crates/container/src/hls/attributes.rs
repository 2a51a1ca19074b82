//! Attribute lists (RFC 8216 §4.2).

use std::fmt::{self, Display, Formatter, Write};

/// The value of the attribute `name` in an attribute list, without quotes.
pub(super) fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim() == name {
            return Some(value);
        }
        rest = next.strip_prefix(',')?;
    }
}

/// The same, copied.
pub(super) fn text(list: &str, name: &str) -> Option<String> {
    attribute(list, name).map(str::to_owned)
}

/// The value of an attribute that is a number.
pub(super) fn number<T: std::str::FromStr>(list: &str, name: &str) -> Option<T> {
    attribute(list, name)?.parse().ok()
}

/// Writes `,name=value` if there is a value. It cannot be the first attribute of its list.
pub(super) fn optional(out: &mut Formatter<'_>, name: &str, value: Option<impl Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(out, ",{name}={value}"))
}

/// A quoted string. Characters that must not stand in one (§4.2) are left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_char('"')?;
        self.0.split(['"', '\r', '\n']).try_for_each(|part| out.write_str(part))?;
        out.write_char('"')
    }
}
