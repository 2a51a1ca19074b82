//! The `Range` header in normal play time (NPT, RFC 2326 §3.6, §12.29).

use rtsp_types::headers::{NptRange, NptTime, Range};

const SECOND: u64 = 1_000_000_000;

/// A point of a presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Npt {
    /// The live point, `now`.
    Now,
    /// Nanoseconds from the beginning of the recording.
    Nanos(u64),
}

/// The range that PLAY asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Where to start; `None` means the current position.
    pub from: Option<Npt>,
    /// Where to end, in nanoseconds from the beginning; `None` means the end.
    pub to: Option<u64>,
}

impl Span {
    /// Reads the value of the header; `None` if it is not a range in normal play time.
    pub(super) fn parse(value: &str) -> Option<Self> {
        // `;time=` after the range would say when to begin (§12.29). It is ignored.
        let range = value.split(';').next()?.trim();
        let Range::Npt(range) = range.parse().ok()? else { return None };
        let to = |time| match point(time) {
            Npt::Now => None,
            Npt::Nanos(nanos) => Some(nanos),
        };
        Some(match range {
            NptRange::Empty => Self::default(),
            NptRange::From(from) => Self { from: Some(point(from)), to: None },
            NptRange::FromTo(from, until) => Self { from: Some(point(from)), to: to(until) },
            NptRange::To(until) => Self { from: None, to: to(until) },
        })
    }

    /// The value of the header for an answer.
    pub(super) fn text(self) -> String {
        let from = match self.from {
            None | Some(Npt::Now) => "now".to_owned(),
            Some(Npt::Nanos(nanos)) => seconds(nanos),
        };
        format!("npt={from}-{}", self.to.map(seconds).unwrap_or_default())
    }
}

fn point(time: NptTime) -> Npt {
    let nanos = |seconds: u64, rest: Option<u32>| {
        Npt::Nanos(seconds.saturating_mul(SECOND).saturating_add(u64::from(rest.unwrap_or(0))))
    };
    match time {
        NptTime::Now => Npt::Now,
        NptTime::Seconds(seconds, rest) => nanos(seconds, rest),
        NptTime::Hms(hours, minutes, seconds, rest) => {
            let whole =
                hours.saturating_mul(3600).saturating_add(u64::from(minutes) * 60 + u64::from(seconds));
            nanos(whole, rest)
        }
    }
}

/// Seconds with three decimals, rounded down so that the time has been reached already.
pub(super) fn seconds(nanos: u64) -> String {
    format!("{}.{:03}", nanos / SECOND, nanos % SECOND / 1_000_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_as_clients_write_them() {
        let span = |from, to| Some(Span { from, to });
        for (text, expected) in [
            ("npt=0.000-", span(Some(Npt::Nanos(0)), None)),
            ("npt=12.5-20", span(Some(Npt::Nanos(12_500_000_000)), Some(20_000_000_000))),
            ("npt=01:02:03.25-", span(Some(Npt::Nanos(3_723_250_000_000)), None)),
            ("npt=now-", span(Some(Npt::Now), None)),
            ("npt=-7", span(None, Some(7_000_000_000))),
            ("npt=3-;time=19970123T143720Z", span(Some(Npt::Nanos(3_000_000_000)), None)),
            ("clock=19961108T143720.25Z-", None),
            ("smpte=10:12:33:20-", None),
            ("npt=-", None),
            ("npt=x-", None),
            ("", None),
        ] {
            assert_eq!(Span::parse(text), expected, "{text}");
        }
        assert_eq!(
            Span { from: Some(Npt::Nanos(1_500_999_999)), to: Some(60 * SECOND) }.text(),
            "npt=1.500-60.000"
        );
        assert_eq!(Span { from: Some(Npt::Now), to: None }.text(), "npt=now-");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(npt|=|-|now|:|\\.|;|[0-9]{1,21}|.){0,9}") {
            let _ = Span::parse(&text).map(Span::text);
        }
    }
}
