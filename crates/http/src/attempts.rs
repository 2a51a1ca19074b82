//! Counts wrong credentials (tokens, passwords, publish keys) and slows down guessing, for all ports.
//! The rules are in the core, `guesses`; here are the clock, the log and the counters.

use std::net::IpAddr;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use amphi_media::Lock;

use super::guesses::{Guesses, Over};
use amphi_media::meter::Counter;

/// The kinds of credentials, each counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A bearer token of the admin port, also at the console's sign-in.
    Token,
    /// The user and password of Wowza's interface.
    Password,
    /// A source's publish key.
    PublishKey,
}

impl Credential {
    /// All kinds, in the order of the metrics.
    pub const ALL: [Self; 3] = [Self::Token, Self::Password, Self::PublishKey];

    /// The value of the label `door` in metrics: the port that asks for it.
    pub const fn door(self) -> &'static str {
        match self {
            Self::Token => "admin",
            Self::Password => "wowza",
            Self::PublishKey => "publish",
        }
    }
}

/// Counts wrong credentials by kind and address. Clones share the counts. Each kind is slowed by itself: a publisher with an
/// old key keeps nobody at its address from the admin port.
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

    /// Whether credentials from this address may be checked now. The error says how long the address has to wait. `None`, an
    /// unknown address, never waits.
    pub fn may_try(&self, what: Credential, address: Option<IpAddr>) -> Result<(), Duration> {
        self.sweep_one(what);
        let Some(address) = address else { return Ok(()) };
        self.kind(what).lock().wait(address, Instant::now()).map_or(Ok(()), Err)
    }

    /// Counts wrong credentials, and makes the address wait after too many.
    pub fn rejected(&self, what: Credential, address: Option<IpAddr>) {
        let kind = self.kind(what);
        kind.rejected.increment();
        let Some(address) = address else { return };
        if kind.lock().failed(address, Instant::now()) {
            let door = what.door();
            tracing::warn!(%address, door, "too many wrong credentials: this address has to wait from now on");
        }
    }

    /// Forgets addresses that have stopped guessing, and logs that. Call it now and then.
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

    /// How many credentials of this kind were wrong since start.
    pub fn count(&self, what: Credential) -> u64 {
        self.kind(what).rejected.get()
    }

    /// How many addresses have to wait, or had to within the last 15 minutes.
    pub fn slowed(&self, what: Credential) -> usize {
        self.kind(what).lock().slowed()
    }
}

fn said(what: Credential, Over { address, failures }: Over) {
    tracing::info!(%address, door = what.door(), failures, "no more wrong credentials from this address");
}

/// `wait` in whole seconds, rounded up, for `Retry-After` (RFC 9110 §10.2.3).
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
