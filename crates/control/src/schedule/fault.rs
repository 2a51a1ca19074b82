//! Why a calendar could not be had, and whose fault that is. No sentence carries an URL, a user or a password.

use std::fmt;

/// A request for the calendar that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FeedFault {
    /// The capture agent asked for; empty = all of them.
    pub agent: String,
    /// What happened.
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

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// The network, or the server that is not there.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The server is too slow.
    #[error("did not come within {0} s")]
    TimedOut(u64),
    /// The answer ended before its end.
    #[error("came in part only: {0}")]
    Broken(String),
    /// The server sends us elsewhere, most often to its login page: our credentials, or its configuration.
    #[error("is not given to us, we are sent to another page (status {0}): are user and password right?")]
    Redirect(u16),
    /// The server does not know us: our credentials.
    #[error("is refused (status {0}): user or password are wrong")]
    Refused(u16),
    /// The server asks who we are, and the configuration does not say.
    #[error("is refused (status {0}): user and password are needed")]
    Anonymous(u16),
    /// The server asks in a way that we do not speak.
    #[error("is refused, and the server asks for a proof that we do not know: {0}")]
    Challenge(String),
    /// The server forgets every nonce at once.
    #[error("is refused: its server calls every nonce of Digest stale, also the one that it has just given")]
    Stale,
    /// The password would be read by others.
    #[error("is not asked for: its server wants the password in clear over http (Basic); use https")]
    InClear,
    /// The server answers with an error of its own.
    #[error("is answered with status {0}{hint}", hint = hint(*.0, *.1))]
    Status(u16, bool),
    /// The server says that nothing has changed, unasked.
    #[error("is answered with \"not modified\", which was not asked for")]
    NotModified,
    /// The server sends something else, most often a page for people.
    #[error("is not one: it is {0}")]
    ContentType(String),
    /// More than we are ready to hold.
    #[error("is larger than {0} MB")]
    TooLarge(u64),
    /// The text is no calendar, or one that breaks off.
    #[error("makes no sense: {0}")]
    Nonsense(String),
    /// The file.
    #[error("cannot be read: {0}")]
    File(String),
}

/// Opencast 2.x fails without `agentid`.
const fn hint(status: u16, all_agents: bool) -> &'static str {
    if all_agents && status >= 400 { "; Opencast 2.x needs schedule.agents" } else { "" }
}
