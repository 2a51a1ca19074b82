//! Why a calendar could not be fetched or read, and whose fault that is. No message contains a URL, a user or a password.

use std::fmt;

/// A request for the calendar that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FeedFault {
    /// The capture agent asked for; empty = all of them.
    pub agent: String,
    /// Why the request failed.
    pub error: PollError,
}

impl fmt::Display for FeedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.agent.is_empty() {
            write!(f, "the calendar {}", self.error)
        } else {
            write!(f, "the calendar of {} {}", self.agent, self.error)
        }
    }
}

/// Why a request failed, as the predicate of a sentence whose subject is the calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// The network or the server is down.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The server is too slow.
    #[error("did not arrive within {0} s")]
    TimedOut(u64),
    /// The answer is incomplete.
    #[error("arrived only in part: {0}")]
    Broken(String),
    /// The server redirects us, most often to its login page: wrong credentials, or its configuration.
    #[error(
        "cannot be fetched: its server redirects to another page (status {0}); are user and password right?"
    )]
    Redirect(u16),
    /// The server rejects our credentials: the configuration is wrong.
    #[error("is refused (status {0}): user or password are wrong")]
    Refused(u16),
    /// The server asks for credentials, and the configuration has none.
    #[error("is refused (status {0}): user and password are needed")]
    Anonymous(u16),
    /// The server asks for an authentication scheme or algorithm that we do not have.
    #[error("is refused: its server asks for an authentication that is not supported: {0}")]
    Challenge(String),
    /// The server rejects every nonce as stale (RFC 7616 §3.3).
    #[error("is refused: its server calls every nonce of Digest stale, also the one that it has just given")]
    Stale,
    /// The password would be sent unencrypted.
    #[error("is not fetched: its server wants the password in clear over http (Basic); use https")]
    InClear,
    /// The server answers with an error of its own.
    #[error("is answered with status {0}{hint}", hint = hint(*.0, *.1))]
    Status(u16, bool),
    /// The server answers 304 to a request without a condition (RFC 9110 §15.4.5).
    #[error("is answered with \"not modified\", which was not asked for")]
    NotModified,
    /// The answer has another media type, most often that of a web page.
    #[error("is neither iCalendar nor JSON: it is {0}")]
    ContentType(String),
    /// The answer is larger than we accept, in MB.
    #[error("is larger than {0} MB")]
    TooLarge(u64),
    /// The text is not a calendar, or is cut off.
    #[error("is malformed: {0}")]
    Nonsense(String),
    /// The calendar is a file that cannot be read.
    #[error("cannot be read: {0}")]
    File(String),
}

/// Opencast 2.x fails on requests without `agentid`.
const fn hint(status: u16, all_agents: bool) -> &'static str {
    if all_agents && status >= 400 { "; Opencast 2.x needs schedule.agents" } else { "" }
}
