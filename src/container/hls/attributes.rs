//! Attribute lists (RFC 8216 §4.2).

/// The value of the attribute `name`, without quotes.
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

/// The same, as a value of its own.
pub(super) fn text(list: &str, name: &str) -> Option<String> {
    attribute(list, name).map(str::to_owned)
}

/// An attribute that is a number.
pub(super) fn number<T: std::str::FromStr>(list: &str, name: &str) -> Option<T> {
    attribute(list, name)?.parse().ok()
}
