//! The file descriptors that the system gives to this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

use super::budget::Budget;
use amphi_config::Config;

/// Raises the soft limit of descriptors to the hard one, and divides them.
pub(super) fn divide(config: &Config) -> Budget {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let budget = Budget::new(if raised.is_ok() { maximum } else { current }, config);
    let Budget { limit, reserve, open_max, pages, places, .. } = budget;
    info!(?limit, reserve, open_max, pages, places, "descriptors");
    if let Some(advice) = budget.advice() {
        warn!("{advice}");
    }
    budget
}

/// How many recordings each mount of this configuration may keep open.
pub(super) fn open_max(config: &Config) -> u64 {
    Budget::new(getrlimit(Resource::Nofile).current, config).open_max
}
