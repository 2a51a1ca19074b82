//! The `Range` header (RFC 9110 §14.1.2), for one range of bytes.

/// Bytes `from..to` of a representation; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub from: usize,
    /// The byte after the last one.
    pub to: usize,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// Everything: no range, several ranges, or one that is not well-formed and therefore ignored.
    Whole,
    /// 206.
    Part(ByteRange),
    /// 416.
    Unsatisfiable,
}

/// Reads the header's value for a representation of `len` bytes.
pub fn requested(header: Option<&str>, len: usize) -> Requested {
    let Some(set) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Requested::Whole;
    };
    let Some((first, last)) = set.split_once('-') else { return Requested::Whole };
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let (from, to) = match (first.trim(), last.trim()) {
        ("", "") => return Requested::Whole,
        ("", suffix) => match number(suffix) {
            Some(suffix) => (len.saturating_sub(suffix), len),
            None => return Requested::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => (first, len),
            None => return Requested::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(len)),
            _ => return Requested::Whole,
        },
    };
    if from < to { Requested::Part(ByteRange { from, to }) } else { Requested::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let part = |from, to| Requested::Part(ByteRange { from, to });
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=10-", part(10, 100)),
            ("bytes=-10", part(90, 100)),
            ("bytes=-1000", part(0, 100)),
            ("bytes=90-1000", part(90, 100)),
            ("bytes=100-", Requested::Unsatisfiable),
            ("bytes=-0", Requested::Unsatisfiable),
            ("bytes=5-2", Requested::Whole),
            ("bytes=0-1,3-4", Requested::Whole),
            ("items=0-1", Requested::Whole),
        ] {
            assert_eq!(requested(Some(header), 100), expected, "{header}");
        }
        assert_eq!(requested(None, 100), Requested::Whole);
    }

    proptest! {
        #[test]
        fn a_part_is_always_inside(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", len in 0..1000_usize) {
            if let Requested::Part(range) = requested(Some(&header), len) {
                prop_assert!(range.from < range.to && range.to <= len);
            }
        }
    }
}
