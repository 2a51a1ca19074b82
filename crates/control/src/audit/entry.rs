//! One line of the audit log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use amphi_media::MediaTime;

/// Characters of a text that a caller chose: a name that does not exist may be of any length.
const TEXT_CHARS: usize = 300;

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Put a source on a channel.
    Connect,
    /// Put the waiting loop on a channel.
    Disconnect,
    /// Gave a channel back to the schedule or the configuration.
    ClearOverride,
    /// A manual override came to its end.
    OverrideExpired,
    /// Let a lecture stay beyond its planned end.
    Prolong,
    /// Put words on a waiting picture.
    Notice,
    /// Took them away.
    ClearNotice,
    /// Asked for a source's reset over Wowza's REST.
    Reset,
    /// Asked for something that there is not, over Wowza's REST.
    Unsupported,
    /// Opened a session with a token.
    OpenSession,
    /// Ended it.
    EndSession,
    /// Started a rehearsal of all halls.
    Rehearsal,
    /// A changed configuration was taken over, or not.
    Reload,
}

/// One thing that was done, or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// When.
    pub at: MediaTime,
    /// Who: `operator` or `viewer` (a token), `local` (no token is asked for), `wowza` or `wowza:<user>`, `schedule`
    /// (the calendar), `expiry` (the clock), `configuration` (its file has changed, or a signal came).
    pub who: String,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What.
    pub what: Action,
    /// The channel concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The source concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it is to end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<MediaTime>,
    /// What else there is to say, in a plain sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why it was not done; absent where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Entry {
    /// Somebody did something.
    pub fn new(at: MediaTime, who: impl Into<String>, what: Action) -> Self {
        Self {
            at,
            who: who.into(),
            from: None,
            what,
            channel: None,
            source: None,
            until: None,
            detail: None,
            refused: None,
        }
    }

    /// From this address.
    #[must_use]
    pub fn address(self, address: Option<String>) -> Self {
        Self { from: address, ..self }
    }

    /// To this channel.
    #[must_use]
    pub fn on(self, channel: &str) -> Self {
        Self { channel: Some(shortened(channel)), ..self }
    }

    /// With this source.
    #[must_use]
    pub fn with(self, source: Option<&str>) -> Self {
        Self { source: source.map(shortened), ..self }
    }

    /// Until then.
    #[must_use]
    pub fn until(self, until: Option<MediaTime>) -> Self {
        Self { until, ..self }
    }

    /// A sentence more.
    #[must_use]
    pub fn saying(self, detail: &str) -> Self {
        Self { detail: Some(shortened(detail)), ..self }
    }

    /// What came of it: an error is why it was refused.
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
