//! The one place where credentials that are shown are counted, and guesses slowed down: tokens, passwords, publish keys.
//! The rules are those of the core, `guesses`; here are the clock, the log and the counters.

use std::net::IpAddr;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use amphi_media::Lock;

use super::guesses::{Guesses, Over};
use amphi_media::meter::Counter;

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A token of the admin port, or one that shall become a session.
    Token,
    /// The user and password of Wowza's interface.
    Password,
    /// A source's publish key.
    PublishKey,
}

impl Credential {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Token, Self::Password, Self::PublishKey];

    /// As metrics call the door at which it is shown.
    pub const fn door(self) -> &'static str {
        match self {
            Self::Token => "admin",
            Self::Password => "wowza",
            Self::PublishKey => "publish",
        }
    }
}

/// Counts what is shown. Clones count together. Each kind of credential is slowed by itself: a publisher with an old key
/// keeps nobody at its address from the admin port.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<[Kind; 3]>);

#[derive(Debug, Default)]
struct Kind {
    guesses: Lock<Guesses>,
    rejected: Counter,
}

impl Kind {
    fn lock(&self) -> MutexGuard<'_, Guesses> {
        self.guesses.lock()
    }
}

impl Attempts {
    fn kind(&self, what: Credential) -> &Kind {
        let [token, password, key] = &*self.0;
        match what {
            Credential::Token => token,
            Credential::Password => password,
            Credential::PublishKey => key,
        }
    }

    /// May credentials from this address be judged now? The error says when they may. Nobody known waits for nothing.
    pub fn may_try(&self, what: Credential, address: Option<IpAddr>) -> Result<(), Duration> {
        self.sweep_one(what);
        let Some(address) = address else { return Ok(()) };
        self.kind(what).lock().wait(address, Instant::now()).map_or(Ok(()), Err)
    }

    /// They were wrong.
    pub fn rejected(&self, what: Credential, address: Option<IpAddr>) {
        let kind = self.kind(what);
        kind.rejected.increment();
        let Some(address) = address else { return };
        if kind.lock().failed(address, Instant::now()) {
            let door = what.door();
            tracing::warn!(%address, door, "wrong credentials again and again: this address has to wait from now on");
        }
    }

    /// Forgets who has been calm, and says so.
    pub fn sweep(&self) {
        for what in Credential::ALL {
            self.sweep_one(what);
        }
    }

    fn sweep_one(&self, what: Credential) {
        let over = self.kind(what).lock().sweep(Instant::now());
        for over in over {
            said(what, over);
        }
    }

    /// Rejected since start.
    pub fn count(&self, what: Credential) -> u64 {
        self.kind(what).rejected.get()
    }

    /// Addresses that wait, or had to of late.
    pub fn slowed(&self, what: Credential) -> usize {
        self.kind(what).lock().slowed()
    }
}

fn said(what: Credential, Over { address, failures }: Over) {
    tracing::info!(%address, door = what.door(), failures, "no more wrong credentials from this address");
}

/// Whole seconds for `Retry-After` (RFC 9110 §10.2.3), at least one.
pub fn retry_after(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_and_slowed_by_itself() {
        let attempts = Attempts::default();
        let who = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..20 {
            attempts.rejected(Credential::PublishKey, who);
        }
        assert!(attempts.may_try(Credential::PublishKey, who).is_err());
        assert_eq!(attempts.may_try(Credential::Token, who), Ok(()));
        assert_eq!(attempts.may_try(Credential::PublishKey, None), Ok(()));
        let counts = Credential::ALL.map(|what| (attempts.count(what), attempts.slowed(what)));
        assert_eq!(counts, [(0, 0), (0, 0), (20, 1)]);
    }

    #[test]
    fn a_wait_is_said_in_whole_seconds() {
        for (ms, seconds) in [(1, 1), (1000, 1), (1001, 2), (10_000, 10)] {
            assert_eq!(retry_after(Duration::from_millis(ms)), seconds, "{ms}");
        }
    }
}
