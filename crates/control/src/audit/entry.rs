//! One line of the audit log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use amphi_media::{ChannelName, MediaTime, SourceName};

/// The most characters of a text that a caller chose; longer ones are cut.
const TEXT_CHARS: usize = 300;

/// The kind of act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Put a source on a channel.
    Connect,
    /// Put the waiting loop on a channel.
    Disconnect,
    /// Gave a channel back to the schedule or the configuration.
    ClearOverride,
    /// A manual override ended at its time.
    OverrideExpired,
    /// Let a lecture stay beyond its planned end.
    Prolong,
    /// Put a notice on a waiting picture.
    Notice,
    /// Removed the notice from a waiting picture.
    ClearNotice,
    /// Asked for a source's reset over Wowza's REST.
    Reset,
    /// Asked over Wowza's REST for something that this server does not have.
    Unsupported,
    /// Signed in to the console, with a token or as a person.
    OpenSession,
    /// Signed out of the console.
    EndSession,
    /// Started a rehearsal of all halls.
    Rehearsal,
    /// Applied a changed configuration, or refused it.
    Reload,
    /// Let an access key open nothing any more.
    RevokeKey,
    /// Let a revoked access key open again.
    RestoreKey,
    /// Let a viewers' grant open nothing any more.
    RevokeGrant,
}

/// One act, done or refused: a line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// When it happened.
    pub at: MediaTime,
    /// Who did it: `operator` or `viewer` (a token), `operator:<name>` or `viewer:<name>` (a person), `local` (no token is asked for), `wowza` or `wowza:<user>`, `schedule`
    /// (the calendar), `expiry` (the clock), `configuration` (its file has changed, or a signal came).
    pub who: String,
    /// What the person's provider calls them; names may change, this does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What was done.
    pub what: Action,
    /// The channel concerned, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub channel: Option<ChannelName>,
    /// The source concerned, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// When the act ends by itself, as an override may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<MediaTime>,
    /// More, in a plain sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why it was refused; absent if it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Entry {
    /// `who` did `what`; the methods below add the rest.
    pub fn new(at: MediaTime, who: impl Into<String>, what: Action) -> Self {
        Self {
            at,
            who: who.into(),
            subject: None,
            from: None,
            what,
            channel: None,
            source: None,
            until: None,
            detail: None,
            refused: None,
        }
    }

    /// Sets `subject`; long ones are cut.
    #[must_use]
    pub fn subject(self, subject: Option<String>) -> Self {
        Self { subject: subject.map(|it| shortened(&it)), ..self }
    }

    /// Sets `from`, the address that the request came from.
    #[must_use]
    pub fn address(self, address: Option<String>) -> Self {
        Self { from: address, ..self }
    }

    /// Sets the channel concerned; long names are cut.
    #[must_use]
    pub fn on(self, channel: &ChannelName) -> Self {
        Self { channel: Some(shortened(channel).into()), ..self }
    }

    /// Sets the source concerned; long names are cut.
    #[must_use]
    pub fn with(self, source: Option<&SourceName>) -> Self {
        Self { source: source.map(|source| shortened(source).into()), ..self }
    }

    /// Sets when the act ends by itself.
    #[must_use]
    pub fn until(self, until: Option<MediaTime>) -> Self {
        Self { until, ..self }
    }

    /// Sets the detail; long ones are cut.
    #[must_use]
    pub fn saying(self, detail: &str) -> Self {
        Self { detail: Some(shortened(detail)), ..self }
    }

    /// Sets `refused` to the error, if `result` is one.
    #[must_use]
    pub fn result<T, E: ToString>(self, result: &Result<T, E>) -> Self {
        Self { refused: result.as_ref().err().map(|error| shortened(&error.to_string())), ..self }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
