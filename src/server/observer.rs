//! The observer: reads twice a second what sources, ladders and channels count, and publishes their vitals for the
//! console. Counters become rates over the last seconds here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::inventory::Inventory;
use super::ladders::{LadderState, Ladders};
use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use super::thumbnails::ThumbnailCache;
use crate::delivery::Delivery;
use amphi_admin::attendance::{Attendance, ViewerCounts, Viewers};
use amphi_admin::insight::{ChannelVitals, Insight, RungVitals, SourceVitals, Vitals};
use amphi_media::clock::Clocks;
use amphi_media::{ChannelName, MediaTime, SourceName};
use amphi_source::SourceGauges;

/// The time between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// Looks over which a rate is computed: 3 s, which is a few pictures and at least one IDR picture.
const LOOKS: usize = 6;
/// Viewers are counted at every so many looks.
const COUNT_EVERY: u64 = 10;
/// Lost packets are noted at every so many looks.
const NOTE_EVERY: u64 = 20;
/// Such notes in a minute.
const NOTES: usize = 6;
/// The lowest level that is shown, in decibels of full scale.
const NOTHING_DBFS: f64 = -96.0;

/// Starts the task; returns what it publishes, and a test of whether a console is open.
pub(super) fn spawn(
    shared: &ServerContext,
    cache: &ThumbnailCache,
    stage: &mut Stage,
) -> (Insight, impl Fn() -> bool + Send + Sync + use<>) {
    let (vitals, vitals_watch) = watch::channel(Arc::default());
    let (viewers, viewers_watch) = watch::channel(Arc::default());
    let insight =
        Insight { vitals: vitals_watch, viewers: viewers_watch, thumbnails: Arc::new(cache.clone()) };
    let watched = {
        let vitals = vitals.clone();
        // One receiver is the admin port's own, each other one is an event stream's.
        move || vitals.receiver_count() > 1
    };
    let observer = Observer {
        inventory: shared.inventory.clone(),
        ladders: shared.ladders.clone(),
        delivery: shared.delivery.clone(),
        cache: cache.clone(),
        vitals,
        viewers,
        seen: ObserverState::default(),
        clocks: shared.clocks.clone(),
    };
    let end = stage.end.clone();
    stage.supervise(TaskSpec::new("observer"), observer, move |it| Box::pin(it.run(end.clone())));
    (insight, watched)
}

struct Observer {
    inventory: watch::Receiver<Arc<Inventory>>,
    ladders: Ladders,
    delivery: Delivery,
    cache: ThumbnailCache,
    vitals: watch::Sender<Arc<Vitals>>,
    viewers: watch::Sender<Arc<Viewers>>,
    seen: ObserverState,
    clocks: Clocks,
}

/// What was seen until now. A run that panics leaves it to the next one.
#[derive(Default)]
struct ObserverState {
    looks: u64,
    memories: BTreeMap<SourceName, Memory>,
    attendance: Attendance,
}

/// What is remembered of a source.
#[derive(Debug, Default)]
struct Memory {
    /// Time, pictures and bytes at the last looks.
    looks: VecDeque<(MediaTime, u64, u64)>,
    /// Packets lost, as of the last notes.
    lost: VecDeque<u64>,
}

impl Observer {
    /// Works until `end`.
    async fn run(&mut self, end: CancellationToken) {
        loop {
            let look = self.seen.looks;
            self.seen.looks += 1;
            let inventory = Arc::clone(&self.inventory.borrow());
            let mut memories = std::mem::take(&mut self.seen.memories);
            let vitals = self.look(&inventory, look, &mut memories);
            self.seen.memories = memories;
            if look.is_multiple_of(COUNT_EVERY) {
                self.seen.memories.retain(|name, _| inventory.sources.contains_key(name));
                self.cache.keep(&inventory);
                self.delivery.audience().keep(|channel| inventory.channels.contains_key(channel));
                self.seen.attendance.observe(&count(&vitals), self.clocks.wall.now());
                self.viewers.send_replace(Arc::new(self.seen.attendance.view()));
            }
            self.vitals.send_replace(Arc::new(vitals));
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    fn look(&self, inventory: &Inventory, look: u64, memories: &mut BTreeMap<SourceName, Memory>) -> Vitals {
        let now = self.clocks.media.now();
        let mut levels = self.levels();
        let source = |(name, entry): (&SourceName, &super::inventory::SourceEntry)| {
            let memory = memories.entry(name.clone()).or_default();
            let (peak_dbfs, rms_dbfs) = levels.remove(name).unwrap_or_default();
            let picture_at = self.cache.source_at(name).map(|at| self.clocks.to_wall(at));
            SourceVitals {
                name: name.clone(),
                peak_dbfs,
                rms_dbfs,
                picture_at,
                ..memory.look(&entry.gauges, now, look)
            }
        };
        let sources = inventory.sources.iter().map(source).collect();
        let channels = inventory.channels.keys().map(|name| self.channel(name)).collect();
        Vitals { sources, channels }
    }

    /// Peak and power of the sound, by source.
    fn levels(&self) -> BTreeMap<SourceName, (Option<f64>, Option<f64>)> {
        let mut levels = BTreeMap::new();
        for (key, state) in self.ladders.all() {
            let LadderState::Runs(meter) = state else { continue };
            let Some(peak) = meter.loudest_millibel.take() else { continue };
            let rms = dbfs(meter.rms_millibel.get());
            levels.insert(key.source, (Some(dbfs(peak)), Some(rms)));
        }
        levels
    }

    fn channel(&self, name: &ChannelName) -> ChannelVitals {
        let picture_at = self.cache.channel_at(name).map(|at| self.clocks.to_wall(at));
        let known = self.delivery.registry().get(name);
        let snapshot =
            known.and_then(|known| known.window.as_ref().and_then(crate::store::WindowReader::snapshot));
        let Some(snapshot) = snapshot else {
            return ChannelVitals { name: name.clone(), picture_at, ..ChannelVitals::default() };
        };
        let variants: Vec<_> = snapshot.renditions.iter().filter(|it| it.rung.is_variant()).collect();
        let names = variants.iter().map(|it| (it.rung.name(), it.rung.picture().is_some()));
        let viewers = self.delivery.audience().of(name).viewers(snapshot.last, names);
        let rung = |(variant, counted): (&&crate::store::RenditionSnapshot, crate::delivery::RungViewers)| {
            RungVitals { name: counted.rung, bitrate_bps: variant.average_bps, viewers: counted.viewers }
        };
        let rungs: Vec<_> = variants.iter().zip(viewers).map(rung).collect();
        let viewers = rungs.iter().map(|rung| rung.viewers).sum();
        ChannelVitals { name: name.clone(), viewers, rungs, picture_at }
    }
}

impl Memory {
    fn look(&mut self, gauges: &SourceGauges, now: MediaTime, look: u64) -> SourceVitals {
        let (pictures, bytes, lost) = (gauges.pictures.get(), gauges.bytes.get(), gauges.lost.get());
        // A source that a reload has changed counts from zero.
        let is_anew = |(_, pictures_then, bytes_then): &(MediaTime, u64, u64)| {
            pictures < *pictures_then || bytes < *bytes_then
        };
        if self.looks.back().is_some_and(is_anew) || self.lost.back().is_some_and(|then| lost < *then) {
            *self = Self::default();
        }
        let (then, pictures_then, bytes_then) = *self.looks.front().unwrap_or(&(now, pictures, bytes));
        let seconds = now.saturating_since(then).as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        self.looks.push_back((now, pictures, bytes));
        while self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        let lost_then = *self.lost.front().unwrap_or(&lost);
        if self.lost.is_empty() || look.is_multiple_of(NOTE_EVERY) {
            self.lost.push_back(lost);
            while self.lost.len() > NOTES {
                self.lost.pop_front();
            }
        }
        SourceVitals {
            fps: tenths(per_second(pictures.saturating_sub(pictures_then))),
            bitrate_bps: (per_second(bytes.saturating_sub(bytes_then)) * 8.0) as u64,
            lost_packets: lost,
            lost_last_minute: lost.saturating_sub(lost_then),
            skew_ppm: tenths(gauges.skew_ppm()),
            av_offset_ms: tenths(gauges.av_offset_ms()),
            ..SourceVitals::default()
        }
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Decibels of full scale, from hundredths of a decibel below it.
fn dbfs(millibel: u64) -> f64 {
    tenths(millibel as f64 / -100.0).max(NOTHING_DBFS)
}

fn count(vitals: &Vitals) -> ViewerCounts {
    let rungs = |channel: &ChannelVitals| {
        channel.rungs.iter().map(|rung| (rung.name.clone(), rung.viewers)).collect::<Vec<_>>()
    };
    vitals.channels.iter().map(|channel| (channel.name.clone(), rungs(channel))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_rates_and_losses_are_forgotten_after_a_minute() {
        let (gauges, mut memory) = (SourceGauges::default(), Memory::default());
        let mut told = Vec::new();
        for look in 0..200 {
            if look == 50 {
                gauges.lost.add(7);
            }
            for _ in 0..8 {
                gauges.pictures.increment();
                gauges.bytes.add(500);
            }
            told.push(memory.look(&gauges, MediaTime::from_millis(look as i64 * 500), look));
        }
        assert!((told[0].fps, told[0].bitrate_bps) == (0.0, 0));
        assert!((told[20].fps, told[20].bitrate_bps) == (16.0, 64_000), "{:?}", told[20]);
        let lost: Vec<u64> = told.iter().map(|vitals| vitals.lost_last_minute).collect();
        assert_eq!([lost[49], lost[50], lost[150], lost[190]], [0, 7, 7, 0]);
        assert_eq!(told[199].lost_packets, 7);
    }

    #[test]
    fn a_source_that_a_reload_has_changed_counts_anew() {
        let (gauges, mut memory) = (SourceGauges::default(), Memory::default());
        gauges.pictures.add(1000);
        gauges.bytes.add(1_000_000);
        gauges.lost.add(9);
        memory.look(&gauges, MediaTime::from_millis(0), 0);
        let fresh = SourceGauges::default();
        let told = memory.look(&fresh, MediaTime::from_millis(500), 1);
        assert!((told.fps, told.bitrate_bps, told.lost_last_minute) == (0.0, 0, 0), "{told:?}");
        fresh.pictures.add(8);
        fresh.lost.add(2);
        let told = memory.look(&fresh, MediaTime::from_millis(1000), 2);
        assert!((told.fps, told.lost_last_minute) == (16.0, 2), "{told:?}");
    }

    #[test]
    fn levels_are_negative_decibels() {
        let tenths = [0, 602, 9600, 99_999].map(|millibel| (dbfs(millibel) * 10.0) as i64);
        assert_eq!(tenths, [0, -60, -960, -960]);
    }
}
