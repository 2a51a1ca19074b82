//! Bit rates and times as SMIL files have them: by the standard, and in words.

/// Bits per second: a number, or one with a unit, as in `500k`, `1.5M` or `500 kbit/s`. A kilobit has 1000 bits.
pub(super) fn rate_bps(text: &str) -> Option<u64> {
    let text: String =
        text.chars().filter(|char| !char.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let end =
        text.find(|char: char| !char.is_ascii_digit() && !matches!(char, '.' | ',')).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let (factor, unit) = [("k", 1e3), ("m", 1e6), ("g", 1e9)]
        .into_iter()
        .find_map(|(letter, factor)| Some((factor, unit.strip_prefix(letter)?)))
        .unwrap_or((1.0, unit));
    if !["", "b", "bps", "b/s", "bit", "bits", "bit/s", "bits/s", "bit/sec", "bits/sec", "bitps"]
        .contains(&unit)
    {
        return None;
    }
    // A comma is a decimal one where a unit makes the number small, and else between thousands.
    let number = if factor > 1.0 { number.replace(',', ".") } else { number.replace(',', "") };
    let bps = number.parse::<f64>().ok()? * factor;
    (0.0..1e12).contains(&bps).then_some(bps.round() as u64)
}

/// Whether a time says that there is none (SMIL 3.0, `dur`).
pub(super) fn is_open(text: &str) -> bool {
    ["indefinite", "media"].iter().any(|open| text.eq_ignore_ascii_case(open))
}

/// Milliseconds of a clock value (SMIL 3.0, clock values): a number with or without a unit, or two or three fields with colons. Of
/// a list of values the first counts.
pub(super) fn clock_ms(text: &str) -> Option<u64> {
    let first = text.split(';').next().unwrap_or_default().trim();
    let text = first.strip_prefix('+').unwrap_or(first).trim().to_ascii_lowercase().replace(',', ".");
    let end = text.find(|char: char| char.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let fields: Vec<&str> = number.trim().split(':').collect();
    let unit_ms = match unit {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1000.0,
        "ms" | "msec" | "millisecond" | "milliseconds" => 1.0,
        "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000.0,
        _ => return None,
    };
    if fields.len() > 3 || fields.len() > 1 && !matches!(unit, "" | "s" | "sec") {
        return None;
    }
    let mut seconds = 0.0;
    for field in fields {
        if field.is_empty() || !field.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return None;
        }
        seconds = seconds * 60.0 + field.parse::<f64>().ok()?;
    }
    let ms = seconds * unit_ms;
    (0.0..1e12).contains(&ms).then_some(ms.round() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_have_units_or_none() {
        for (text, bps) in [
            ("500000", 500_000),
            ("0", 0),
            ("374532.6", 374_533),
            ("500k", 500_000),
            ("500K", 500_000),
            ("1.5M", 1_500_000),
            ("1,5 Mbit/s", 1_500_000),
            ("500 kbps", 500_000),
            ("500 Kb/s", 500_000),
            ("800000 bits/s", 800_000),
            ("1 200 000", 1_200_000),
            ("1,200,000 bps", 1_200_000),
            (" 64kbit ", 64_000),
        ] {
            assert_eq!(rate_bps(text), Some(bps), "{text}");
        }
        for text in ["", "fast", "k", "-5", "5 apples", "1e300", "NaN", "inf", "1.2.3", "999999999G"] {
            assert_eq!(rate_bps(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_clock_values() {
        for (text, ms) in [
            ("30", 30_000),
            ("30.0", 30_000),
            ("10s", 10_000),
            ("1500ms", 1500),
            ("2min", 120_000),
            ("1.5h", 5_400_000),
            ("00:01:30.5", 90_500),
            ("01:30", 90_000),
            ("100:00:00", 360_000_000),
            ("+5s", 5000),
            ("10,5 s", 10_500),
            ("10 seconds", 10_000),
            ("2 Minutes", 120_000),
            ("0s; 10s", 0),
        ] {
            assert_eq!(clock_ms(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "soon",
            "-5s",
            "clip.end+1s",
            "00:00:10:12",
            "1:2min",
            "5 apples",
            ":",
            "1e9999",
            "99999999999h",
        ] {
            assert_eq!(clock_ms(text), None, "{text}");
        }
        assert!(is_open("Indefinite") && is_open("media") && !is_open("10s"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,12}|[0-9:.,]{0,6} ?[a-zA-Z/]{0,6}") {
            let _ = (rate_bps(&text), clock_ms(&text), is_open(&text));
        }
    }
}
