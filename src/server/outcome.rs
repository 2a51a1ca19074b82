//! Whether viewers get what they should: the watchman's look at the end of the flow.
//!
//! One cause is one alarm. [`Outcomes`] finds sources of which nothing comes out; [`not_on_air`] finds channels that do not
//! show what they should, unless another condition of the same source says why; [`stale`] finds rungs without new segments,
//! whatever the cause: then the server is not ready either.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::inventory::Inventory;
use super::ladders::{LadderKey, LadderState};
use crate::delivery::Registry;
use crate::store::RenditionSnapshot;
use amphi_control::alarm::{AlarmKind, Condition, Outcome, OutcomeCounts, OutcomeFaults};
use amphi_control::matrix::{ChannelView, MatrixHandle, MatrixView, SourceOutcome, SourceState};
use amphi_media::{CellIndex, ChannelName, MediaTime, SourceName};

/// How old the newest segment may be, in cells, on top of the time that a live cell is waited for.
const OLD: u32 = 2;

/// What comes out of every ladder, compared with what goes in.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    ladders: BTreeMap<LadderKey, Outcome>,
    /// What the matrix was told at the last look.
    told: BTreeMap<SourceName, OutcomeFaults>,
    /// Channels that were stale at the last look.
    stale: BTreeSet<ChannelName>,
}

impl Outcomes {
    /// The sentences of channels that were stale at the last look already, so not of one that has just been started.
    pub(super) fn lasting(&mut self, stale: &[(ChannelName, String)]) -> Vec<String> {
        let lasting = stale.iter().filter(|(channel, _)| self.stale.contains(channel));
        let lasting = lasting.map(|(_, sentence)| sentence.clone()).collect();
        self.stale = stale.iter().map(|(channel, _)| channel.clone()).collect();
        lasting
    }

    /// One look at all sources; tells the matrix what has changed.
    pub(super) fn look(
        &mut self,
        ladders: &BTreeMap<LadderKey, LadderState>,
        inventory: &Inventory,
        matrix: &MatrixHandle,
        now: MediaTime,
    ) -> Vec<Condition> {
        let view = matrix.view();
        let mut faults = BTreeMap::<SourceName, OutcomeFaults>::new();
        self.ladders.retain(|key, _| matches!(ladders.get(key), Some(LadderState::Runs(_))));
        for (key, state) in ladders {
            let LadderState::Runs(meter) = state else { continue };
            let Some(gauges) = inventory.sources.get(&key.source).map(|entry| &entry.gauges) else {
                continue;
            };
            if !delivers(&view, &key.source) {
                self.ladders.remove(key);
                continue;
            }
            let reading = OutcomeCounts {
                pictures_in: gauges.pictures.get(),
                pictures_out: meter.pictures.get(),
                picture_errors: meter.decode_errors.get(),
                sounds_in: gauges.sounds.get(),
                sound_errors: meter.audio_errors.get(),
                picture_note: gauges.picture_fault.get().or_else(|| meter.picture_fault.get()),
                sound_note: gauges.sound_fault.get().or_else(|| meter.sound_fault.get()),
            };
            let found = self.ladders.entry(key.clone()).or_default().look(&reading, now);
            let known = faults.remove(&key.source).unwrap_or_default();
            faults.insert(key.source.clone(), known.or(found));
        }
        faults.retain(|_, faults| !faults.is_empty());
        for name in view.sources.iter().map(|source| &source.name) {
            let found = faults.get(name);
            // Repeated at each look: after a source has reconnected, the matrix takes it for live again.
            if found.is_some() || self.told.contains_key(name) {
                let OutcomeFaults { picture, sound } = found.cloned().unwrap_or_default();
                matrix.source_outcome(name, SourceOutcome { picture, sound });
            }
        }
        self.told.clone_from(&faults);
        faults.into_iter().flat_map(|(source, faults)| conditions(&source, faults)).collect()
    }
}

/// Whether a source is connected and sends.
fn delivers(view: &MatrixView, source: &SourceName) -> bool {
    let state = view.source(source).map(|source| source.status.state);
    matches!(state, Some(SourceState::Live | SourceState::Undecodable))
}

fn conditions(source: &SourceName, faults: OutcomeFaults) -> impl Iterator<Item = Condition> + use<> {
    let told = [
        (AlarmKind::Undecodable, faults.picture, "sends pictures that cannot be shown"),
        (AlarmKind::UndecodableSound, faults.sound, "sends sound that cannot be heard"),
    ];
    let source = source.clone();
    told.into_iter().filter_map(move |(kind, why, what)| {
        let sentence = format!("{source} {what}: {}", why?);
        let source = Some(source.clone());
        Some(Condition { kind, source, channel: None, about: None, sentence, since: None })
    })
}

/// A condition for each channel that should show a source and does not, unless something in `found` says why.
pub(super) fn not_on_air<'a>(
    view: &'a MatrixView,
    found: &'a [Condition],
) -> impl Iterator<Item = Condition> + 'a {
    let explained = |channel: &ChannelView, source: &SourceName| {
        found.iter().any(|it| {
            let here = it.channel.as_ref().is_none_or(|it| *it == channel.name);
            it.source.as_ref() == Some(source) && here && explains(it.kind)
        })
    };
    view.channels.iter().filter_map(move |channel| {
        let source = channel.desired.source.as_ref()?;
        if channel.on_air.source.as_ref() == Some(source) || explained(channel, source) {
            return None;
        }
        let (name, why) = (&channel.name, &channel.on_air.reason);
        Some(Condition {
            kind: AlarmKind::NotOnAir,
            source: Some(source.clone()),
            channel: Some(name.clone()),
            about: None,
            sentence: format!("{name} does not show {source}, as it should: {why}"),
            since: None,
        })
    })
}

/// Whether a condition keeps its source off the air.
const fn explains(kind: AlarmKind) -> bool {
    use AlarmKind as K;
    matches!(kind, K::Offline | K::Stalled | K::Refused | K::ParameterSets | K::Undecodable)
}

/// The channels that have no segment, or rungs whose newest segment is too old, each with a sentence that says so.
pub(super) fn stale(
    registry: &Registry,
    inventory: &Inventory,
    now: MediaTime,
) -> Vec<(ChannelName, String)> {
    let mut found = Vec::new();
    let snapshots = registry.snapshots();
    for (name, channel) in &inventory.channels {
        let Some((_, grid, snapshot)) = snapshots.iter().find(|(known, ..)| known == name) else {
            found.push((name.clone(), format!("{name} has no segment")));
            continue;
        };
        let patience = channel.spec.patience * 2 + grid.duration() * OLD;
        let variants = snapshot.renditions.iter().filter(|rendition| rendition.rung.is_variant());
        let ages = variants.map(|rendition| {
            let newest = newest(rendition, snapshot.last);
            (rendition.rung.name(), now.saturating_since(grid.start(newest.next())))
        });
        found.extend(old(name, ages, patience).map(|sentence| (name.clone(), sentence)));
    }
    found
}

/// A sentence with the rungs whose newest segments are older than `patience`; the age is that of the youngest of these.
fn old<'a>(
    channel: &ChannelName,
    ages: impl Iterator<Item = (&'a str, Duration)>,
    patience: Duration,
) -> Option<String> {
    let (rungs, ages): (Vec<_>, Vec<_>) = ages.filter(|(_, age)| *age > patience).unzip();
    let age = ages.into_iter().min()?.as_secs();
    Some(format!("{channel} has had no new segment for {age} s: {}", rungs.join(", ")))
}

fn newest(rendition: &RenditionSnapshot, last: CellIndex) -> CellIndex {
    let mut k = last;
    // A bound on the search; a window is shorter.
    for _ in 0..64 {
        if rendition.segment(k).is_some() {
            return k;
        }
        k = CellIndex(k.0 - 1);
    }
    k
}

pub(super) fn stale_conditions(stale: &[(ChannelName, String)]) -> impl Iterator<Item = Condition> + '_ {
    stale.iter().map(|(channel, sentence)| Condition {
        kind: AlarmKind::Stale,
        source: None,
        channel: Some(channel.clone()),
        about: None,
        sentence: sentence.clone(),
        since: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_control::matrix::{By, Desired, OnAir};

    const NOON: MediaTime = MediaTime::from_nanos(1_795_000_000_000_000_000);

    fn channel(name: &str, desired: Option<&str>, shown: Option<&str>) -> ChannelView {
        let (source, reason) = (desired.map(Into::into), String::new());
        ChannelView {
            name: name.into(),
            streams: Vec::new(),
            desired: Desired { source, by: By::Manual, reason, since: NOON, until: None },
            on_air: OnAir { source: shown.map(Into::into), reason: "x is idle".to_owned(), since: NOON },
            explanation: String::new(),
            manual: None,
            scheduled: None,
            configured: None,
            notice: None,
        }
    }

    fn told(view: &MatrixView, found: &[Condition]) -> Vec<String> {
        not_on_air(view, found).map(|condition| condition.sentence).collect()
    }

    #[test]
    fn a_rung_that_stands_still_is_told_with_its_own_age() {
        let told = |ages: &[(&str, u64)]| {
            let ages = ages.iter().map(|(rung, s)| (*rung, Duration::from_secs(*s)));
            old(&"L".into(), ages, Duration::from_secs(8))
        };
        assert_eq!(told(&[("720p", 2), ("480p", 8)]), None);
        let said = told(&[("720p", 31), ("480p", 0)]);
        assert_eq!(said.as_deref(), Some("L has had no new segment for 31 s: 720p"));
        let said = told(&[("720p", 31), ("480p", 20)]);
        assert_eq!(said.as_deref(), Some("L has had no new segment for 20 s: 720p, 480p"));
    }

    #[test]
    fn a_channel_that_does_not_show_what_it_should_is_told_once() {
        let channels = vec![
            channel("A", Some("x"), None),
            channel("B", Some("x"), Some("x")),
            channel("C", None, None),
            channel("D", Some("y"), Some("x")),
        ];
        let view = MatrixView { channels, sources: Vec::new() };
        let sentences =
            ["A does not show x, as it should: x is idle", "D does not show y, as it should: x is idle"];
        assert_eq!(told(&view, &[]), sentences);
        let faults = OutcomeFaults { picture: Some("10 bits".to_owned()), sound: None };
        let found: Vec<_> = conditions(&"x".into(), faults).collect();
        assert_eq!(found[0].sentence, "x sends pictures that cannot be shown: 10 bits");
        assert_eq!(told(&view, &found), sentences[1..]);
        let faults = OutcomeFaults { picture: None, sound: Some("AC-3".to_owned()) };
        let found: Vec<_> = conditions(&"x".into(), faults).collect();
        assert_eq!(found[0].kind, AlarmKind::UndecodableSound);
        assert_eq!(told(&view, &found), sentences, "sound keeps no picture off the air");
    }
}
