//! Time expressions of TTML, and the parameters that they need (TTML2 §12.3, §6.2). Sans-IO.

use roxmltree::Node;

/// Parameters of a document that say what frames and ticks are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimeParameters {
    frame_rate: f64,
    sub_frame_rate: f64,
    tick_rate: f64,
    /// The time that is zero, in milliseconds (EBU Tech 3350, `ebuttm:documentStartOfProgramme`).
    start_ms: f64,
}

impl TimeParameters {
    /// Reads those of the element `tt`. Namespaces differ between versions of TTML, so only local names are compared.
    pub(super) fn of(root: &Node<'_, '_>) -> Self {
        let attribute =
            |name: &str| root.attributes().find(|it| it.name() == name).map(|it| it.value().trim());
        let positive =
            |name: &str| attribute(name)?.parse::<f64>().ok().filter(|value| (0.001..1e9).contains(value));
        let multiplier = attribute("frameRateMultiplier").and_then(|text| {
            let (above, below) = text.split_once([' ', ':'])?;
            let (above, below): (f64, f64) = (above.trim().parse().ok()?, below.trim().parse().ok()?);
            Some(above / below).filter(|ratio| (0.001..1000.0).contains(ratio))
        });
        let stated_rate = positive("frameRate");
        let frame_rate = stated_rate.unwrap_or(30.0) * multiplier.unwrap_or(1.0);
        let sub_frame_rate = positive("subFrameRate").unwrap_or(1.0);
        // §6.2.10: without a tick rate, a tick is a (sub-)frame if there is a frame rate, else a second.
        let tick_rate = positive("tickRate").unwrap_or(if stated_rate.is_some() {
            frame_rate * sub_frame_rate
        } else {
            1.0
        });
        let mut parameters = Self { frame_rate, sub_frame_rate, tick_rate, start_ms: 0.0 };
        if attribute("timeBase") == Some("smpte") {
            let start = root.descendants().find(|node| node.tag_name().name() == "documentStartOfProgramme");
            let start = start.and_then(|node| parameters.ms(node.text()?));
            parameters.start_ms = start.unwrap_or(0) as f64;
        }
        parameters
    }

    /// Milliseconds of a duration; `None` if it is none.
    pub(super) fn duration_ms(&self, text: &str) -> Option<u64> {
        Self { start_ms: 0.0, ..*self }.ms(text)
    }

    /// Milliseconds of a time; `None` if it is none.
    pub(super) fn ms(&self, text: &str) -> Option<u64> {
        let text = text.trim();
        let seconds =
            if text.contains(':') { self.clock(text)? - self.start_ms / 1000.0 } else { self.offset(text)? };
        let ms = (seconds.max(0.0) * 1000.0).round();
        (ms < 1e12).then_some(ms as u64)
    }

    /// `hh:mm:ss`, with a fraction or with frames and sub-frames behind it. Drop-frame timecodes have a semicolon.
    fn clock(&self, text: &str) -> Option<f64> {
        let fields: Vec<&str> = text.split([':', ';']).collect();
        let [hours, minutes, seconds, frames @ ..] = &fields[..] else { return None };
        let mut value = number(hours)? * 3600.0 + number(minutes)? * 60.0 + number(seconds)?;
        match frames {
            [] => {}
            [frames] => {
                let (frames, sub_frames) = frames.split_once('.').unwrap_or((frames, "0"));
                value += (number(frames)? + number(sub_frames)? / self.sub_frame_rate) / self.frame_rate;
            }
            _ => return None,
        }
        Some(value)
    }

    /// A number with its metric.
    fn offset(&self, text: &str) -> Option<f64> {
        let metrics = [
            ("ms", 0.001),
            ("h", 3600.0),
            ("m", 60.0),
            ("s", 1.0),
            ("f", 1.0 / self.frame_rate),
            ("t", 1.0 / self.tick_rate),
        ];
        let metric =
            metrics.iter().find_map(|(metric, seconds)| Some((text.strip_suffix(metric)?, *seconds)));
        // A number alone is a second in SMIL, and is written by some.
        let (value, seconds) = metric.unwrap_or((text, 1.0));
        Some(number(value)? * seconds)
    }
}

/// A number of digits, with a comma or a dot in it.
fn number(text: &str) -> Option<f64> {
    let text = text.trim().replace(',', ".");
    let is_number =
        !text.is_empty() && text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;

    fn ms(attributes: &str, text: &str) -> Option<u64> {
        let document = format!("<tt xmlns:ttp='http://www.w3.org/ns/ttml#parameter' {attributes}/>");
        let document = Document::parse(&document).expect("XML");
        TimeParameters::of(&document.root_element()).ms(text)
    }

    #[test]
    fn every_form_of_time() {
        for (attributes, text, expected) in [
            ("", "00:00:01", Some(1000)),
            ("", "00:00:01.250", Some(1250)),
            ("", "101:00:00.5", Some(363_600_500)),
            ("", "00:00:01:15", Some(1500)),
            ("ttp:frameRate='25'", "00:00:01:05", Some(1200)),
            ("ttp:frameRate='25' ttp:subFrameRate='2'", "00:00:01:05.1", Some(1220)),
            ("ttp:frameRate='30' ttp:frameRateMultiplier='1000 1001'", "30f", Some(1001)),
            ("ttp:frameRate='30' ttp:frameRateMultiplier='1000:1001'", "30f", Some(1001)),
            ("ttp:tickRate='10000000'", "15000000t", Some(1500)),
            ("ttp:frameRate='25'", "50t", Some(2000)),
            ("", "3t", Some(3000)),
            ("", "1.5h", Some(5_400_000)),
            ("", "2m", Some(120_000)),
            ("", "1.25s", Some(1250)),
            ("", "12ms", Some(12)),
            ("", "7", Some(7000)),
            ("", "00:01", None),
            ("", "soon", None),
            ("", "-1s", None),
            ("", "", None),
            ("ttp:frameRate='0' ttp:tickRate='x'", "30f", Some(1000)),
        ] {
            assert_eq!(ms(attributes, text), expected, "{attributes} {text}");
        }
    }

    #[test]
    fn a_programme_that_starts_at_ten() {
        let text = "<tt xmlns:ttp='p' ttp:timeBase='smpte' ttp:frameRate='25'><head><metadata><documentStartOfProgramme>10:00:00:00</documentStartOfProgramme></metadata></head></tt>";
        let document = Document::parse(text).expect("XML");
        let parameters = TimeParameters::of(&document.root_element());
        assert_eq!(
            (parameters.ms("10:00:02:00"), parameters.duration_ms("00:00:02:00")),
            (Some(2000), Some(2000))
        );
    }
}
