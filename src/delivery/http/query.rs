//! What the query of a request for a recording asks for. Keys of viewers stand in the query, too: they make no other answer.

use http::request::Parts;

use amphi_vod::Trim;

/// All that an answer depends on, as a text.
pub(super) fn asked_for(request: &Parts) -> String {
    if request.uri.query().is_none_or(str::is_empty) {
        return String::new();
    }
    let (trim, ms, width) = (trim(request), poster_ms(request), poster_width(request));
    format!("{trim:?} {ms} {width} {:?}", series(request))
}

fn value(request: &Parts, name: &str) -> Option<String> {
    let query = request.uri.query().unwrap_or_default();
    let mut fields = url::form_urlencoded::parse(query.as_bytes());
    fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn number(request: &Parts, name: &str) -> Option<f64> {
    value(request, name)?.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The time of a picture, `t=` in seconds; in milliseconds.
pub(super) fn poster_ms(request: &Parts) -> u64 {
    (number(request, "t").unwrap_or(0.0).clamp(0.0, 1e6) * 1000.0) as u64
}

/// The width of a picture, `width=` in pixels.
pub(super) fn poster_width(request: &Parts) -> u32 {
    number(request, "width").unwrap_or(640.0).clamp(16.0, 1920.0) as u32
}

/// The identifier of a series.
pub(super) fn series(request: &Parts) -> Option<String> {
    value(request, "series")
}

/// The part of a recording that the query asks for, in milliseconds.
pub(super) fn trim(request: &Parts) -> Trim {
    let fields = url::form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
    let mut trim = Trim::default();
    for (name, value) in fields {
        let Ok(ms) = value.parse::<f64>() else { continue };
        let ms = ms.clamp(0.0, 1e9) as u64;
        match name.to_ascii_lowercase().trim_start_matches("wowza") {
            "playstart" => trim.start_ms = ms,
            "playduration" if ms > 0 => trim.duration_ms = Some(ms),
            _ => {}
        }
    }
    trim
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_another_answer_is_told_apart_and_a_key_is_not() {
        let asked = |query: &str| {
            let request =
                http::Request::get(format!("/vod/a/poster.jpg{query}")).body(()).expect("a request");
            asked_for(&request.into_parts().0)
        };
        assert_eq!(asked("?token=a&t=10"), asked("?t=10&token=b"));
        assert_eq!(asked("?token=a"), asked("?policy=x"));
        let all = [
            "?t=10",
            "?t=90",
            "?width=100",
            "?series=x",
            "?wowzaPlayStart=60000",
            "?%70laystart=7",
            "?playduration=1",
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                assert_ne!(asked(one), asked(other));
            }
        }
    }
}
