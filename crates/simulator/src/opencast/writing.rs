//! Calendars as Opencast writes them.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::OpencastLecture;
use amphi_media::MediaTime;

/// iCalendar with CRLF, folded at 75 bytes (RFC 5545 §3.1) or, as in 2.x, not at all.
pub(super) fn ical(
    lectures: &[OpencastLecture],
    series: &BTreeMap<String, String>,
    now: MediaTime,
    fold: bool,
) -> String {
    let mut lines = vec![
        "BEGIN:VCALENDAR".to_owned(),
        "PRODID:Opencast Matterhorn Calendar File 0.5".to_owned(),
        "VERSION:2.0".to_owned(),
        "CALSCALE:GREGORIAN".to_owned(),
    ];
    for lecture in lectures {
        event(lecture, series, now, &mut lines);
    }
    lines.push("END:VCALENDAR".to_owned());
    let mut text = String::new();
    for line in lines {
        if fold {
            folded(&line, &mut text);
        } else {
            text += &line;
        }
        text += "\r\n";
    }
    text
}

fn event(
    lecture: &OpencastLecture,
    series: &BTreeMap<String, String>,
    now: MediaTime,
    lines: &mut Vec<String>,
) {
    let OpencastLecture { id, title, series_id, agent, presenter, starts, ends } = lecture;
    lines.push("BEGIN:VEVENT".to_owned());
    lines.push(format!("DTSTAMP:{}", stamp(now)));
    lines.push(format!("DTSTART:{}", stamp(*starts)));
    lines.push(format!("DTEND:{}", stamp(*ends)));
    lines.push(format!("SUMMARY:{}", escaped(title)));
    lines.push(format!("UID:{id}"));
    if !presenter.is_empty() {
        let address = presenter.replace(' ', "%20");
        lines.push(format!("ORGANIZER;CN={presenter}:mailto:{address}@matterhorn.opencast"));
    }
    lines.push(format!("LOCATION:{}", escaped(agent)));
    let mut episode =
        vec![("creator", presenter.as_str()), ("identifier", id), ("spatial", agent), ("title", title)];
    if !series_id.is_empty() {
        lines.push(format!("RELATED-TO:{series_id}"));
        episode.push(("isPartOf", series_id));
    }
    attach(lines, "application/xml", "episode.xml", &dublin_core(&episode));
    if let Some(name) = series.get(series_id) {
        let text = dublin_core(&[("title", name), ("identifier", series_id), ("publisher", "UPMC")]);
        attach(lines, "application/xml", "series.xml", &text);
    }
    let properties = format!("#Capture Agent specific data\nevent.title={title}\nevent.location={agent}\n");
    attach(lines, "application/text", "org.opencastproject.capture.agent.properties", &properties);
    lines.push("END:VEVENT".to_owned());
}

fn attach(lines: &mut Vec<String>, kind: &str, name: &str, text: &str) {
    let coded = STANDARD.encode(text);
    lines.push(format!("ATTACH;FMTTYPE={kind};VALUE=BINARY;ENCODING=BASE64;X-APPLE-FILENAME={name}:{coded}"));
}

/// A catalogue of Dublin Core in XML with these terms.
pub(super) fn dublin_core(terms: &[(&str, &str)]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><dublincore \
                    xmlns=\"http://www.opencastproject.org/xsd/1.0/dublincore/\" \
                    xmlns:dcterms=\"http://purl.org/dc/terms/\">"
        .to_owned();
    for (name, value) in terms.iter().filter(|(_, value)| !value.is_empty()) {
        let value = value.replace('&', "&amp;").replace('<', "&lt;");
        // Writing to a String cannot fail.
        let _ = write!(text, "<dcterms:{name}>{value}</dcterms:{name}>");
    }
    text + "</dublincore>"
}

/// `calendar.json`, its times in RFC 3339 or in milliseconds.
pub(super) fn json(lectures: &[OpencastLecture], stamps: bool) -> String {
    let time = |time: MediaTime| {
        if stamps { json!(time.as_millis()) } else { json!(time.timestamp().to_string()) }
    };
    let entry = |lecture: &OpencastLecture| {
        let OpencastLecture { id, title, series_id, agent, presenter, starts, ends } = lecture;
        let terms =
            [("title", title.as_str()), ("creator", presenter), ("isPartOf", series_id), ("identifier", id)];
        json!({
            "data": {
                "eventId": id, "agentId": agent, "startDate": time(*starts), "endDate": time(*ends),
                "presenters": [presenter], "workflowProperties": {}, "agentConfig": { "event.title": title },
            },
            "episode-dublincore": dublin_core(&terms),
        })
    };
    serde_json::Value::from(lectures.iter().map(entry).collect::<Vec<_>>()).to_string()
}

fn stamp(time: MediaTime) -> String {
    time.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Escapes a value of type TEXT (RFC 5545 §3.3.11).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,").replace('\n', "\\n")
}

fn folded(line: &str, text: &mut String) {
    let mut width = 0;
    for char in line.chars() {
        if width + char.len_utf8() > 75 {
            *text += "\r\n ";
            width = 1;
        }
        text.push(char);
        width += char.len_utf8();
    }
}
