//! The ladders of this moment. The conductor writes them; the watchman, the metrics and others read them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amphi_media::Lock;

use amphi_control::schedule::SignsOfLife;
use amphi_ladder::LadderMeter;
use amphi_media::clock::Clocks;
use amphi_media::meter::Gauge;
use amphi_media::{MediaTime, SourceName};

/// Names a ladder that runs: channels that show the same source through the same ladder with the same patience share one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LadderKey {
    pub(super) source: SourceName,
    pub(super) ladder: String,
    pub(super) patience: Duration,
}

/// All ladders that run or cannot start. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Ladders(Arc<Lock<BTreeMap<LadderKey, LadderState>>>);

#[derive(Clone, Debug)]
pub(super) enum LadderState {
    Runs(Arc<LadderMeter>),
    /// It cannot start, for this reason.
    Fails(String),
}

impl Ladders {
    pub(super) fn set(&self, key: &LadderKey, state: LadderState) {
        self.0.lock().insert(key.clone(), state);
    }

    pub(super) fn keep(&self, keep: impl Fn(&LadderKey) -> bool) {
        self.0.lock().retain(|key, _| keep(key));
    }

    pub(super) fn all(&self) -> BTreeMap<LadderKey, LadderState> {
        self.0.lock().clone()
    }

    /// When any ladder of a source last found speech and movement in it, by the machine's clock.
    pub(super) fn signs_of_life(&self, source: &SourceName, clocks: &Clocks) -> SignsOfLife {
        let mut signs = SignsOfLife::default();
        let time = |gauge: &Gauge| {
            let media = Some(gauge.get()).filter(|ms| *ms != 0).map(|ms| MediaTime::from_millis(ms as i64));
            media.map(|media| clocks.to_wall(media))
        };
        for (key, state) in self.0.lock().iter() {
            if let LadderState::Runs(meter) = state
                && key.source == *source
            {
                signs.speech = signs.speech.max(time(&meter.spoken_at_ms));
                signs.movement = signs.movement.max(time(&meter.moved_at_ms));
            }
        }
        signs
    }
}
