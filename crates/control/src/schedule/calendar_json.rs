//! `calendar.json` of Opencast 11.4 and newer: `[{"data": {…}, "episode-dublincore": "<xml>"}]`.
//!
//! Contract: as [`super::ical`]: a text that is not such a list is an error; a single wrong event is left out with a note.
//! Times are RFC 3339 or, with `timestamp=true`, milliseconds. The title of the series is not in it: the client asks for
//! it by the series' identifier.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::dublin;
use super::event::{CalendarEvent, Reading};
use amphi_media::charset::{self, WINDOWS_1252};
use amphi_media::{EventId, MediaTime};

#[derive(Debug, Deserialize)]
struct JsonEntry {
    data: Data,
    #[serde(rename = "episode-dublincore", default)]
    episode: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    event_id: EventId,
    #[serde(default)]
    agent_id: Option<String>,
    start_date: JsonTime,
    end_date: JsonTime,
    #[serde(default)]
    presenters: Option<Vec<String>>,
    #[serde(default)]
    agent_config: Option<serde_json::Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum JsonTime {
    Millis(i64),
    Text(String),
}

impl JsonTime {
    fn resolve(&self) -> Result<MediaTime, String> {
        let time = match self {
            Self::Millis(millis) => Timestamp::from_millisecond(*millis),
            Self::Text(text) => text.parse(),
        };
        time.map(MediaTime::from).map_err(|_| format!("{self:?} is no time"))
    }
}

/// Reads a calendar as it was sent. JSON has no `charset` (RFC 8259 §8.1, §11), so what a server declares is not asked for.
pub fn parse_octets(octets: &[u8]) -> Result<Reading, String> {
    parse(&charset::decode(octets, None, WINDOWS_1252).0)
}

/// Reads a calendar. The error says why the text is not one.
pub fn parse(text: &str) -> Result<Reading, String> {
    let entries: Vec<Value> = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| format!("it is no list in JSON: line {} column {}", error.line(), error.column()))?;
    let mut reading = Reading::default();
    for entry in entries {
        let name = entry["data"]["eventId"].as_str().unwrap_or("without a name").to_owned();
        let read = serde_json::from_value(entry).map_err(|error| error.to_string());
        match read.and_then(event) {
            Ok(event) => reading.events.push(event),
            Err(why) => reading.note(format!("event {name} is left out: {why}")),
        }
    }
    Ok(reading)
}

fn event(JsonEntry { data, episode }: JsonEntry) -> Result<CalendarEvent, String> {
    let episode = episode.as_deref().and_then(dublin::read).unwrap_or_default();
    let configured = |key: &str| {
        let value = data.agent_config.as_ref()?.get(key)?.as_str()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let event = CalendarEvent {
        title: episode.title.or_else(|| configured("event.title")).unwrap_or_default(),
        series: None,
        series_id: episode.is_part_of.or_else(|| configured("event.series")),
        agent: data
            .agent_id
            .clone()
            .filter(|agent| !agent.is_empty())
            .or(episode.spatial)
            .unwrap_or_default(),
        presenters: data.presenters.clone().filter(|names| !names.is_empty()).unwrap_or(episode.creators),
        starts: data.start_date.resolve()?,
        ends: data.end_date.resolve()?,
        id: data.event_id,
    };
    Ok(event.clipped())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_time_are_read_and_a_wrong_event_leaves_the_others() {
        let text = r#"[
            {"data": {"eventId": "a", "agentId": "Amphi_D", "startDate": "2026-11-23T07:30:00Z",
                      "endDate": "2026-11-23T09:30:00Z", "presenters": ["Pr. Martin"], "new": 1,
                      "agentConfig": {"event.title": "not asked", "event.series": "s1"}},
             "episode-dublincore": "<d xmlns:t='http://purl.org/dc/terms/'><t:title>UE3</t:title></d>"},
            {"data": {"eventId": "b", "startDate": "soon", "endDate": 2}},
            {"data": {"eventId": "c", "agentId": "Amphi_E", "startDate": 1795000000000, "endDate": 1795003600000}},
            7]"#;
        let reading = parse(text).expect("a list");
        let [a, c] = reading.events.as_slice() else { panic!("{reading:?}") };
        assert_eq!(
            (a.title.as_str(), a.series_id.as_deref(), a.agent.as_str()),
            ("UE3", Some("s1"), "Amphi_D")
        );
        assert_eq!(a.starts.to_string(), "2026-11-23T07:30:00.000Z");
        assert_eq!(
            (a.presenters.as_slice(), c.starts.as_millis()),
            (&["Pr. Martin".to_owned()][..], 1_795_000_000_000)
        );
        assert_eq!(reading.notes.len(), 2, "{:?}", reading.notes);
        assert!(reading.notes[0].starts_with("event b is left out"), "{:?}", reading.notes);
        let long =
            text.replace("Pr. Martin", &"M".repeat(600)).replace(">UE3<", &format!(">{}<", "U".repeat(600)));
        let event = parse(&long).expect("a list").events.remove(0);
        assert_eq!((event.title, event.presenters), ("U".repeat(500), vec!["M".repeat(500)]));
        for wrong in ["", "<html>", "{}", "[{\"data\":"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn json_is_utf_8_unless_it_cannot_be() {
        let text = r#"[{"data": {"eventId": "a", "agentId": "Amphi_É", "startDate": 1, "endDate": 2}}]"#;
        let agent = |octets: &[u8]| parse_octets(octets).expect("a list").events.remove(0).agent;
        assert_eq!(agent(text.as_bytes()), "Amphi_É");
        let latin: Vec<u8> =
            text.chars().map(|char| u8::try_from(char).expect("a letter of Latin-1")).collect();
        assert_eq!(agent(&latin), "Amphi_É");
    }
}
