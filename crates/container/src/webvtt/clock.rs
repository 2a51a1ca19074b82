//! Times of cues as WebVTT and SRT write them, and as people write them by hand. Sans-IO.

use super::bare;

/// Latest time that is read, in milliseconds: 34 years.
const LATEST_MS: u64 = 1 << 40;
/// What stands between the times of a cue: as both formats have it, then as it is mistyped or put right by a word processor.
const ARROWS: [&str; 6] = ["-->", "-- >", "->", "\u{2013}>", "\u{2014}>", "\u{2192}"];

/// The line with the times of a cue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimingLine<'a> {
    pub start_ms: u64,
    /// `None` if it is missing or no time.
    pub end_ms: Option<u64>,
    /// What stands behind them.
    pub settings: &'a str,
}

/// What a line says about times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimingFound<'a> {
    Times(TimingLine<'a>),
    /// Somebody meant times.
    Damaged,
    /// Text, which may have an arrow in it.
    Nothing,
}

/// Reads a line with times, with WebVTT's arrow.
pub(super) fn timing(line: &str) -> TimingFound<'_> {
    line.split_once("-->").map_or(TimingFound::Nothing, |(start, rest)| times(start, rest))
}

/// The same with any arrow.
pub(super) fn loose_timing(line: &str) -> TimingFound<'_> {
    let sides = ARROWS.iter().find_map(|arrow| line.split_once(arrow));
    sides.map_or(TimingFound::Nothing, |(start, rest)| times(start, rest))
}

fn times<'a>(start: &str, rest: &'a str) -> TimingFound<'a> {
    let rest = bare(rest);
    let (end_ms, settings) = end_of(rest);
    let Some(start_ms) = time_ms(start) else {
        let is_meant =
            end_ms.is_some() && bare(start).starts_with(|first: char| first.is_ascii_digit() || first == '-');
        return if is_meant { TimingFound::Damaged } else { TimingFound::Nothing };
    };
    // "10:30 --> Paris" is text.
    let is_meant = rest.is_empty() || rest.starts_with(|first: char| first.is_ascii_digit());
    if end_ms.is_none() && !is_meant {
        return TimingFound::Nothing;
    }
    TimingFound::Times(TimingLine { start_ms, end_ms, settings })
}

/// The end, and the settings behind it.
fn end_of(rest: &str) -> (Option<u64>, &str) {
    let is_of_time = |letter: char| letter.is_ascii_digit() || matches!(letter, ':' | '.' | ',' | ' ');
    let end = rest.find(|letter| !is_of_time(letter)).unwrap_or(rest.len());
    let (time, settings) = rest.split_at(end);
    // What touches the time belongs to it, and then it is none.
    let is_apart = settings.is_empty() || time.ends_with(' ') || settings.starts_with(char::is_whitespace);
    match time_ms(time).filter(|_| is_apart) {
        Some(ms) => (Some(ms), bare(settings)),
        None => (None, ""),
    }
}

/// Reads `[hours:]minutes:seconds[.fraction]`, fields of any number of digits, with a comma, a dot or a colon before the
/// fraction, and with blanks anywhere.
pub(super) fn time_ms(text: &str) -> Option<u64> {
    let text: String = bare(text).chars().filter(|letter| !letter.is_whitespace()).collect();
    let (clock, fraction) = text.split_once(['.', ',']).unwrap_or((&text, ""));
    let mut fields: Vec<&str> = clock.split(':').collect();
    let mut fraction = fraction;
    if fields.len() == 4 && fraction.is_empty() {
        fraction = fields.pop()?;
    }
    if !(2..=3).contains(&fields.len()) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut seconds = 0_u64;
    for field in fields {
        let is_number = (1..=9).contains(&field.len()) && field.bytes().all(|byte| byte.is_ascii_digit());
        let value: u64 = is_number.then(|| field.parse().ok()).flatten()?;
        seconds = seconds.checked_mul(60)?.checked_add(value)?;
    }
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    seconds.checked_mul(1000)?.checked_add(fraction.parse().ok()?).filter(|ms| *ms < LATEST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        for (text, ms) in [
            ("00:00:01,000", 1000),
            ("00:00:01.5", 1500),
            ("0:0:1,25", 1250),
            ("1:2:3", 3_723_000),
            ("01:02.003", 62_003),
            ("100:00:00,001", 360_000_001),
            ("00:00:01,123456", 1123),
            ("00:00:01:250", 1250),
            (" 00:00:01, 000\u{feff}", 1000),
            ("00: 00:59,999", 59_999),
        ] {
            assert_eq!(time_ms(text), Some(ms), "{text}");
        }
        for text in
            ["", "1", "00:00:xx,000", "-00:00:01,000", "1:2:3:4:5", "a:b", "00:00:01,0x", "99999999999:00:00"]
        {
            assert_eq!(time_ms(text), None, "{text}");
        }
    }

    #[test]
    fn lines_with_times_and_lines_with_arrows() {
        let found = |line| match loose_timing(line) {
            TimingFound::Times(times) => Some((times.start_ms, times.end_ms, times.settings)),
            _ => None,
        };
        for line in [
            "00:01,000 --> 00:02,000",
            "00:01.000-->00:02.000",
            "00:01,000 -> 00:02,000 ",
            "00:01,000 \u{2013}> 00:02,000",
        ] {
            assert_eq!(found(line), Some((1000, Some(2000), "")), "{line}");
        }
        assert_eq!(
            found("00:01.000 --> 00:02.000 line:0 align:start"),
            Some((1000, Some(2000), "line:0 align:start"))
        );
        assert_eq!(found("00:01,000 --> 00:02,000\tX1:1 X2:2"), Some((1000, Some(2000), "X1:1 X2:2")));
        assert_eq!(found("00:01,000 -->"), Some((1000, None, "")));
        assert_eq!(found("00:01,000 --> 00:00:0x,000"), Some((1000, None, "")));
        for line in ["a --> b", "10:30 --> Paris", "1 --> 2", "x = a->b", "no arrow"] {
            assert_eq!(loose_timing(line), TimingFound::Nothing, "{line}");
        }
        assert_eq!(timing("00:00:xx,000 --> 00:00:03,000"), TimingFound::Damaged);
        assert_eq!(timing("-00:00:01.000 --> 00:00:03.000"), TimingFound::Damaged);
    }
}
