//! Decides which conditions are alarms. The contract is in the module above.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Alarm, AlarmKind, Condition, Thresholds};
use amphi_media::{ChannelName, MediaTime, SourceName};

/// How long a condition must be absent before its alarm ends.
const CALM: Duration = Duration::from_secs(5);

/// An alarm that an observation has raised or cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An alarm began.
    Raised(Alarm),
    /// An alarm ended.
    Cleared(Alarm),
}

impl Change {
    /// The alarm that began or ended.
    pub const fn alarm_mut(&mut self) -> &mut Alarm {
        match self {
            Self::Raised(alarm) | Self::Cleared(alarm) => alarm,
        }
    }
}

type AlarmKey = (AlarmKind, Option<SourceName>, Option<ChannelName>, Option<String>);

#[derive(Debug)]
struct BoardEntry {
    since: MediaTime,
    last: MediaTime,
    sentence: String,
    raised: bool,
}

/// The conditions that hold, or held within the last seconds, and which of them are alarms.
#[derive(Debug, Default)]
pub struct Board {
    thresholds: Thresholds,
    entries: BTreeMap<AlarmKey, BoardEntry>,
}

impl Board {
    /// A board without conditions.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, entries: BTreeMap::new() }
    }

    /// Takes all conditions that hold at `now`; returns the alarms that begin or end.
    pub fn observe(&mut self, conditions: Vec<Condition>, now: MediaTime) -> Vec<Change> {
        for Condition { kind, source, channel, about, sentence, since } in conditions {
            let since = since.unwrap_or(now).min(now);
            let fresh = || BoardEntry { since, last: now, sentence: String::new(), raised: false };
            let entry = self.entries.entry((kind, source, channel, about)).or_insert_with(fresh);
            entry.last = now;
            entry.sentence = sentence;
        }
        let mut changes = Vec::new();
        for (key, entry) in &mut self.entries {
            let patience = Duration::from_secs(self.thresholds.of(key.0).into());
            if !entry.raised && entry.last == now && now.saturating_since(entry.since) >= patience {
                entry.raised = true;
                changes.push(Change::Raised(alarm(key, entry)));
            }
        }
        self.entries.retain(|key, entry| {
            let over = now.saturating_since(entry.last) >= CALM;
            if over && entry.raised {
                changes.push(Change::Cleared(alarm(key, entry)));
            }
            !over
        });
        changes
    }

    /// The present alarms, sorted by kind.
    pub fn alarms(&self) -> Vec<Alarm> {
        self.entries.iter().filter(|(_, entry)| entry.raised).map(|(key, entry)| alarm(key, entry)).collect()
    }
}

fn alarm((kind, source, channel, about): &AlarmKey, entry: &BoardEntry) -> Alarm {
    Alarm {
        kind: *kind,
        source: source.clone(),
        channel: channel.clone(),
        about: about.clone(),
        since: entry.since,
        sentence: entry.sentence.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> MediaTime {
        MediaTime::from_millis((1_800_000_000 + second) * 1000)
    }

    fn silent(source: &str) -> Condition {
        Condition {
            kind: AlarmKind::Silent,
            source: Some(source.into()),
            channel: None,
            about: None,
            sentence: format!("{source} is silent"),
            since: None,
        }
    }

    fn raised(changes: &[Change]) -> usize {
        changes.iter().filter(|change| matches!(change, Change::Raised(_))).count()
    }

    #[test]
    fn a_condition_that_lasts_is_an_alarm_once_and_with_its_beginning() {
        let mut board = Board::default();
        let changes: Vec<_> = (0..200).map(|s| board.observe(vec![silent("a")], at(s))).collect();
        assert_eq!(changes.iter().position(|changes| !changes.is_empty()), Some(60));
        assert_eq!(changes.iter().map(|changes| raised(changes)).sum::<usize>(), 1);
        assert_eq!(board.alarms()[0].since, at(0));
    }

    #[test]
    fn a_short_calm_does_not_end_it_and_a_long_one_does() {
        let mut board = Board::default();
        for s in 0..=60 {
            board.observe(vec![silent("a")], at(s));
        }
        assert!(board.observe(vec![], at(64)).is_empty());
        assert!(board.observe(vec![silent("a")], at(65)).is_empty());
        let changes = board.observe(vec![], at(70));
        assert!(matches!(&changes[..], [Change::Cleared(alarm)] if alarm.source.as_deref() == Some("a")));
        assert!(board.alarms().is_empty());
    }

    #[test]
    fn sources_are_told_apart_and_a_known_beginning_counts() {
        let mut board = Board::default();
        let long = Condition { since: Some(at(-100)), ..silent("b") };
        assert_eq!(raised(&board.observe(vec![silent("a"), long], at(0))), 1);
        assert_eq!(board.alarms().len(), 1);
    }
}
