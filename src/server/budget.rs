//! File descriptors: how many there are, what they are for, and how many viewers that leaves. Sans-IO.
//!
//! What the server itself needs comes first: state, log, calendar, control ports, sources, recordings. Viewers and
//! publishers get the rest, so that whatever they do the admin port answers and state is saved. A player of RTSP over UDP
//! takes five, a connection and two pairs of ports; the pairs are taken from the same places as connections.

use amphi_config::Config;
use amphi_http::CONTROL_CONNECTIONS;
use amphi_vod::OPEN_MAX;

/// For state, audit log, log, calendar, webhooks, resolver, the runtime, and what libraries open for a moment.
const OWN: u64 = 64;
/// Listening sockets and connections of admin, Wowza's REST and its counts.
const CONTROL: u64 = 5 + 3 * CONTROL_CONNECTIONS as u64;
/// A source over UDP has a connection and two pairs; while it reconnects it has the old and the new connection.
const SOURCE: u64 = 6;
/// A connection of a push, and the one after it.
const PUSH: u64 = 2;
/// For a mount: its directory, and what its threads read at a time. Recordings that it keeps open come on top.
const MOUNT: u64 = 65;
/// Recordings that a mount may keep open however few descriptors there are.
const OPEN_MIN: u64 = 16;
/// Segments in pages of the kernel, each with a descriptor.
const PAGES: u64 = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// Descriptors that the process may have; `None` = no limit.
    pub(super) limit: Option<u64>,
    /// What the server itself may need.
    pub(super) reserve: u64,
    /// Recordings that each mount may keep open for the next viewer.
    pub(super) open_max: u64,
    /// Segments in pages of the kernel.
    pub(super) pages: u64,
    /// Places for viewers and publishers.
    pub(super) places: u64,
    /// The reserve if every mount keeps as many recordings open as it can.
    full: u64,
    /// `server.connections` of the configuration.
    wanted: u64,
}

impl Budget {
    /// Divides `limit` descriptors.
    pub(super) fn new(limit: Option<u64>, config: &Config) -> Self {
        let wanted = u64::from(config.server.connections);
        let count = |len: usize| len as u64;
        let mounts = count(config.vods.len());
        let needed = OWN
            + CONTROL
            + SOURCE * count(config.sources.len())
            + PUSH * count(config.pushes.len())
            + MOUNT * mounts;
        let full = needed + OPEN_MAX * mounts;
        let Some(all) = limit else {
            return Self {
                limit,
                reserve: full,
                open_max: OPEN_MAX,
                pages: PAGES,
                places: wanted,
                full,
                wanted,
            };
        };
        // A recording kept open only saves reading its index again, so they get a quarter at most.
        let quarter = all.saturating_sub(needed) / 4;
        let open_max = quarter.checked_div(mounts).unwrap_or(OPEN_MAX).clamp(OPEN_MIN, OPEN_MAX);
        let reserve = needed + open_max * mounts;
        // Pages save CPU, but places are viewers, so pages give way first.
        let left = all.saturating_sub(reserve);
        let pages = PAGES.min(left / 8).max(left.saturating_sub(wanted).min(PAGES));
        // A few viewers can always watch.
        let places = wanted.min(left.saturating_sub(pages)).max(10);
        Self { limit, reserve, open_max, pages, places, full, wanted }
    }

    /// What to do about a limit that is too low.
    pub(super) fn advice(&self) -> Option<String> {
        let limit = self.limit.filter(|_| self.places < self.wanted)?;
        let Self { full, places, wanted, .. } = self;
        let needed = full + wanted + PAGES.min(wanted / 7 + 1);
        Some(format!(
            "the system gives this server {limit} descriptors: {places} connections of viewers and publishers are served at \
             a time, not server.connections = {wanted}; set LimitNOFILE={needed} in the unit file, or the hard limit of \
             `ulimit -n`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(connections: u32) -> Config {
        let mut config = Config::default();
        config.server.connections = connections;
        config
    }

    #[test]
    fn enough_is_enough_and_nothing_is_said() {
        for limit in [None, Some(65_536), Some(1 << 20)] {
            let budget = Budget::new(limit, &config(20_000));
            assert_eq!((budget.places, budget.pages, budget.advice()), (20_000, PAGES, None), "{limit:?}");
        }
    }

    #[test]
    fn too_few_are_said_with_what_to_set() {
        let budget = Budget::new(Some(4096), &config(20_000));
        assert!(budget.places > 2000 && budget.places + budget.pages + budget.reserve <= 4096, "{budget:?}");
        let advice = budget.advice().expect("too few");
        assert!(advice.contains("4096 descriptors") && advice.contains("LimitNOFILE="), "{advice}");
        let set = advice.split("LimitNOFILE=").nth(1).and_then(|rest| rest.split(' ').next());
        let set: u64 = set.and_then(|text| text.parse().ok()).expect("a number");
        assert_eq!(Budget::new(Some(set), &config(20_000)).advice(), None, "what is advised helps");
        assert_eq!(Budget::new(Some(100), &config(20_000)).places, 10, "somebody can always watch");
    }

    #[test]
    fn what_the_configuration_names_is_counted() {
        let mut config = config(20_000);
        let before = Budget::new(None, &config).reserve;
        config.sources = vec![amphi_config::Source::default(); 30];
        assert_eq!(Budget::new(None, &config).reserve, before + 180);
        config.vods = vec![amphi_config::Vod::default(); 2];
        assert_eq!(Budget::new(None, &config).reserve, before + 180 + 2 * (MOUNT + OPEN_MAX));
    }

    #[test]
    fn mounts_keep_fewer_recordings_open_where_there_is_little_room() {
        let mut config = config(500);
        config.vods = vec![amphi_config::Vod::default(); 4];
        let open_max = |limit| Budget::new(Some(limit), &config).open_max;
        assert_eq!([open_max(100), open_max(65_536)], [OPEN_MIN, OPEN_MAX]);
        let between = open_max(4096);
        assert!(between > OPEN_MIN && between < OPEN_MAX, "{between}");
    }

    proptest! {
        #[test]
        fn no_more_is_given_than_there_is(
            limit in 1200_u64..2_000_000,
            connections in 10_u32..100_000,
            mounts in 0_usize..6,
        ) {
            let mut config = config(connections);
            config.vods = vec![amphi_config::Vod::default(); mounts];
            let budget = Budget::new(Some(limit), &config);
            prop_assert!(budget.reserve + budget.pages + budget.places <= limit, "{:?}", budget);
            prop_assert!(budget.places <= u64::from(connections));
            prop_assert_eq!(budget.places < u64::from(connections), budget.advice().is_some());
            if let Some(advice) = budget.advice() {
                let set = advice.split("LimitNOFILE=").nth(1).and_then(|rest| rest.split(' ').next());
                let set = set.and_then(|text| text.parse().ok());
                prop_assert_eq!(Budget::new(set, &config).advice(), None, "what is advised helps");
            }
        }
    }
}
