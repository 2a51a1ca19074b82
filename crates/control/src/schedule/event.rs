//! A lecture as the calendar tells it, and what one look at the calendar brings.

use serde::{Deserialize, Serialize};

use super::fault::FeedFault;
use crate::agenda::FeedFormat;
use amphi_media::{EventId, MediaTime};

/// A lecture in the calendar. Two that are equal are the same to everybody: when the calendar was written
/// (`DTSTAMP`) is no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// `UID`, with the `RECURRENCE-ID` of an exception behind it.
    pub id: EventId,
    /// `SUMMARY`.
    pub title: String,
    /// The series' title.
    pub series: Option<String>,
    /// The series' identifier.
    pub series_id: Option<String>,
    /// The capture agent (`LOCATION`).
    pub agent: String,
    /// Who speaks.
    pub presenters: Vec<String>,
    /// When it starts.
    #[serde(with = "whole")]
    pub starts: MediaTime,
    /// When it ends; may be before the start in a calendar that is wrong.
    #[serde(with = "whole")]
    pub ends: MediaTime,
}

/// Times to the nanosecond, unlike [`MediaTime`]'s own form, so that what is read back from a file is what was meant.
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

/// What was read out of one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The lectures.
    pub events: Vec<Event>,
    /// What was left out and why, one sentence each.
    pub notes: Vec<String>,
}

impl Reading {
    /// Notes that are kept of one text.
    const NOTES: usize = 20;
    /// Characters that are kept of each.
    const NOTE_CHARS: usize = 1000;

    /// Adds a note; the last place says that there are more.
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

/// What one look at the calendar has brought: a part for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harvest {
    /// By agent, in the order in which they were asked for.
    pub parts: Vec<Part>,
    /// What it speaks, if anything was understood.
    pub format: Option<FeedFormat>,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The capture agent asked for; empty = all of them.
    pub agent: String,
    /// `Ok(None)`: nothing has changed.
    pub outcome: Result<Option<Reading>, FeedFault>,
}
