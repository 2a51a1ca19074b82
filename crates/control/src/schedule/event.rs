//! A lecture as it is in the calendar, and the results of one poll of the calendar.

use serde::{Deserialize, Serialize};

use super::fault::FeedFault;
use crate::agenda::FeedFormat;
use amphi_media::{EventId, MediaTime};

/// A lecture in the calendar. `DTSTAMP`, when the calendar was written, is left out, so that an unchanged lecture
/// compares equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarEvent {
    /// `UID`; of an event that recurs followed by `/` and the start of this date (UTC).
    pub id: EventId,
    /// `SUMMARY`, or the title in the metadata.
    pub title: String,
    /// The title of its series.
    pub series: Option<String>,
    /// The identifier of its series.
    pub series_id: Option<String>,
    /// The capture agent (`LOCATION`); empty if there is none.
    pub agent: String,
    /// The names of the presenters.
    pub presenters: Vec<String>,
    /// When the lecture starts.
    #[serde(with = "whole")]
    pub starts: MediaTime,
    /// When the lecture ends; before the start in a calendar with an error.
    #[serde(with = "whole")]
    pub ends: MediaTime,
}

/// Characters that are kept of an event's texts.
const TEXT: usize = 500;
/// The most presenters of an event.
const PRESENTERS: usize = 50;

/// Cuts a text: a recurring event repeats its texts for each date.
pub(super) fn clipped(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

impl CalendarEvent {
    /// With texts, wherever they are from, that are no longer than they may be.
    pub(super) fn clipped(mut self) -> Self {
        let clip = |text: &mut String| *text = clipped(text);
        self.presenters.truncate(PRESENTERS);
        let given = self.series.iter_mut().chain(&mut self.series_id).chain(&mut self.presenters);
        given.chain([&mut self.title, &mut self.agent]).for_each(clip);
        self
    }
}

/// Writes times to the nanosecond, unlike [`MediaTime`]'s own format, so that they are the same when read back.
mod whole {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use amphi_media::MediaTime;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(time: &MediaTime, serializer: S) -> Result<S::Ok, S::Error> {
        time.timestamp().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MediaTime, D::Error> {
        Timestamp::deserialize(deserializer).map(MediaTime::from)
    }
}

/// The content of one calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The lectures, in no particular order.
    pub events: Vec<CalendarEvent>,
    /// What was left out and why, one sentence each; at most 20.
    pub notes: Vec<String>,
}

impl Reading {
    /// The most notes of one calendar.
    const NOTES: usize = 20;
    /// The most characters of a note.
    const NOTE_CHARS: usize = 1000;

    /// Adds a note. The last place says that there are more.
    pub(super) fn note(&mut self, mut sentence: String) {
        if let Some((end, _)) = sentence.char_indices().nth(Self::NOTE_CHARS) {
            sentence.truncate(end);
        }
        match self.notes.len() {
            len if len + 1 < Self::NOTES => self.notes.push(sentence),
            len if len < Self::NOTES => self.notes.push("and more".to_owned()),
            _ => {}
        }
    }
}

/// The result of one poll of the calendar: a part for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollResult {
    /// The answers, in the order of the agents in the configuration.
    pub parts: Vec<FeedAnswer>,
    /// The format of the calendar, if any answer could be read.
    pub format: Option<FeedFormat>,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedAnswer {
    /// The capture agent asked for; empty = all of them.
    pub agent: String,
    /// The calendar, or why it could not be fetched or read. `Ok(None)`: nothing has changed.
    pub outcome: Result<Option<Reading>, FeedFault>,
}
