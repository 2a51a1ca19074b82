//! Numbers of viewers of the last hours, per minute: a ring for each rung of each channel. Sans-IO.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use utoipa::ToSchema;

use amphi_media::{ChannelName, MediaTime, RungName};

const STEP_MS: i64 = 60_000;
/// Places of a ring: six hours.
const PLACES: usize = 360;

/// The numbers of viewers at one moment: by channel, its rungs in their order with their viewers.
pub type ViewerCounts = BTreeMap<ChannelName, Vec<(RungName, u64)>>;

/// The rings of all channels and rungs.
#[derive(Debug, Default)]
pub struct Attendance {
    channels: BTreeMap<ChannelName, Vec<(RungName, VecDeque<u64>)>>,
    minute: i64,
}

/// The numbers of viewers of the last hours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Viewers {
    /// The length of one place of `history`, in seconds.
    pub step_s: u32,
    /// The end of the last place of every `history`.
    pub until: Option<MediaTime>,
    /// All channels, sorted by name.
    pub channels: Vec<ChannelViewers>,
}

/// The numbers of viewers of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChannelViewers {
    /// The channel's name.
    #[schema(value_type = String)]
    pub name: ChannelName,
    /// Its rungs, best first.
    pub rungs: Vec<RungHistory>,
}

/// The numbers of viewers of one rung.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RungHistory {
    /// The rung's name.
    #[schema(value_type = String)]
    pub name: RungName,
    /// The highest number in each minute, oldest first; the last one is the present minute.
    pub history: Vec<u64>,
}

impl Attendance {
    /// Adds a count at `now`. Channels and rungs that are not in it are forgotten.
    pub fn observe(&mut self, count: &ViewerCounts, now: MediaTime) {
        let minute = now.as_millis().div_euclid(STEP_MS);
        let passed = if self.minute == 0 { 0 } else { (minute - self.minute).clamp(0, PLACES as i64) };
        self.minute = minute;
        let mut before = std::mem::take(&mut self.channels);
        for (channel, rungs) in count {
            let mut known = before.remove(channel).unwrap_or_default();
            let ring = |(rung, viewers): &(RungName, u64)| {
                let kept = known.iter_mut().find(|(name, _)| name == rung);
                let mut ring = kept.map(|(_, ring)| std::mem::take(ring)).unwrap_or_default();
                let new = if ring.is_empty() { 1 } else { passed };
                ring.extend((0..new).map(|_| 0));
                while ring.len() > PLACES {
                    ring.pop_front();
                }
                if let Some(last) = ring.back_mut() {
                    *last = (*last).max(*viewers);
                }
                (rung.clone(), ring)
            };
            let rings = rungs.iter().map(ring).collect();
            self.channels.insert(channel.clone(), rings);
        }
    }

    /// The numbers of viewers, for REST.
    pub fn view(&self) -> Viewers {
        let rung = |(name, ring): &(RungName, VecDeque<u64>)| RungHistory {
            name: name.clone(),
            history: ring.iter().copied().collect(),
        };
        let channel = |(name, rungs): (&ChannelName, &Vec<_>)| ChannelViewers {
            name: name.clone(),
            rungs: rungs.iter().map(rung).collect(),
        };
        Viewers {
            step_s: (STEP_MS / 1000) as u32,
            until: Some(MediaTime::from_millis((self.minute + 1) * STEP_MS)),
            channels: self.channels.iter().map(channel).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(viewers: u64) -> ViewerCounts {
        ViewerCounts::from([("L".into(), vec![("720p".into(), viewers)])])
    }

    fn history(attendance: &Attendance) -> Vec<u64> {
        attendance.view().channels[0].rungs[0].history.clone()
    }

    #[test]
    fn each_minute_has_its_most_and_a_ring_ends() {
        let mut attendance = Attendance::default();
        let at = |s: i64| MediaTime::from_millis(1_795_000_020_000 + s * 1000);
        for (second, viewers) in [(0, 3), (20, 8), (50, 5), (60, 4), (200, 7)] {
            attendance.observe(&count(viewers), at(second));
        }
        assert_eq!(history(&attendance), [8, 4, 0, 7]);
        attendance.observe(&count(1), at(100_000));
        assert_eq!(history(&attendance).len(), PLACES);
        assert_eq!(history(&attendance).iter().sum::<u64>(), 1, "the hours without a look are empty");
        // A step of the clock backwards adds no places.
        attendance.observe(&count(2), at(90_000));
        assert_eq!(history(&attendance).last(), Some(&2));
        attendance.observe(&ViewerCounts::new(), at(100_000));
        assert_eq!(attendance.view().channels, []);
    }
}
