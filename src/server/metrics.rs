//! `GET /metrics`: what the server measures of its sources, ladders and viewers, and of itself, for Prometheus.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::ladders::LadderState;
use super::shared::ServerContext;
use crate::delivery::{AnswerKind, ViewerProtocol};
use crate::store::Snapshot;
use amphi_control::alarm::Alarm;
use amphi_control::push::PushState;
use amphi_http::{Credential, Places};
use amphi_media::meter::Histogram;
use amphi_media::{ChannelName, Grid};
use amphi_runtime::log;
use amphi_runtime::tasks::{TaskState, TaskView};
use amphi_source::SourceGauges;
use amphi_vod::Mount;

/// Reads everything when it is scraped.
struct Measures {
    shared: ServerContext,
    /// Places for viewers and publishers.
    places: Places,
    /// How many file descriptors the process may have.
    descriptors: Option<u64>,
    alarms: watch::Receiver<Arc<Vec<Alarm>>>,
    runtime: tokio::runtime::Handle,
}

/// The registry of all metrics; `descriptors` is how many the process may have.
pub(super) fn registry(
    shared: &ServerContext,
    places: &Places,
    descriptors: Option<u64>,
    alarms: &watch::Receiver<Arc<Vec<Alarm>>>,
) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Measures {
        shared: shared.clone(),
        places: places.clone(),
        descriptors,
        alarms: alarms.clone(),
        runtime: tokio::runtime::Handle::current(),
    }));
    registry
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measures").finish_non_exhaustive()
    }
}

type Series<'a, V> = Vec<(Vec<(&'static str, &'a str)>, V)>;

impl Collector for Measures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.of_sources(&mut encoder)?;
        self.of_ladders(&mut encoder)?;
        self.of_mounts(&mut encoder)?;
        self.of_the_workshop(&mut encoder)?;
        self.of_pushes(&mut encoder)?;
        self.of_delivery(&mut encoder)?;
        self.of_channels(&mut encoder)?;
        self.of_clocks(&mut encoder)?;
        self.of_credentials(&mut encoder)?;
        self.of_access(&mut encoder)?;
        self.of_alarms(&mut encoder)?;
        self.of_tasks(&mut encoder)?;
        self.of_the_process(&mut encoder)
    }
}

impl Measures {
    fn of_sources(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let inventory = Arc::clone(&self.shared.inventory.borrow());
        let sources =
            || inventory.sources.iter().map(|(name, entry)| (vec![("source", name.as_str())], &entry.gauges));
        let each = |value: fn(&SourceGauges) -> u64| -> Series<'_, u64> {
            sources().map(|(labels, gauges)| (labels, value(gauges))).collect()
        };
        counters(encoder, "amphi_source_pictures", "Pictures received", each(|it| it.pictures.get()))?;
        counters(encoder, "amphi_source_bytes", "Bytes of access units received", each(|it| it.bytes.get()))?;
        counters(encoder, "amphi_source_lost_packets", "RTP packets lost", each(|it| it.lost.get()))?;
        counters(
            encoder,
            "amphi_source_broken_packets",
            "Packets not understood",
            each(|it| it.broken.get()),
        )?;
        let help = "Messages of publishers that could not be used";
        counters(encoder, "amphi_source_passed_over", help, each(|it| it.passed_over.get()))?;
        let skews = sources().map(|(labels, gauges)| (labels, gauges.skew_ppm()));
        gauges(encoder, "amphi_source_skew_ppm", "How fast the source's clock runs", skews.collect())?;
        let offsets = sources().map(|(labels, gauges)| (labels, gauges.av_offset_ms()));
        gauges(encoder, "amphi_source_av_offset_ms", "How late the sound still is", offsets.collect())
    }

    fn of_pushes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let pushes = self.shared.pushes.all();
        let labelled = || pushes.iter().map(|it| (vec![("push", &*it.name), ("channel", &*it.channel)], it));
        let up =
            labelled().map(|(labels, it)| (labels, f64::from(u8::from(it.state == PushState::Publishing))));
        gauges(encoder, "amphi_push_up", "1 while the server takes media", up.collect())?;
        let connects = labelled().map(|(labels, it)| (labels, it.connects)).collect();
        counters(encoder, "amphi_push_connects", "Times that the server began to take media", connects)?;
        let bytes = labelled().map(|(labels, it)| (labels, it.bytes)).collect();
        counters(encoder, "amphi_push_bytes", "Bytes of media sent", bytes)
    }

    fn of_mounts(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mounts = self.shared.delivery.registry().mounts();
        let each = |value: fn(&Mount) -> u64| -> Series<'_, f64> {
            mounts.iter().map(|(name, mount)| (vec![("mount", name.as_str())], value(mount) as f64)).collect()
        };
        gauges(encoder, "amphi_vod_indexes", "Recordings whose index is kept", each(Mount::indexes))?;
        gauges(encoder, "amphi_vod_index_bytes", "Memory that indexes take", each(Mount::index_bytes))?;
        let open = each(|mount| mount.open_files() as u64);
        gauges(encoder, "amphi_vod_open_files", "Recordings whose file is open", open)
    }

    fn of_the_workshop(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let load = self.shared.delivery.workshop().load();
        let one = |value: usize| vec![(Vec::new(), value as f64)];
        gauges(encoder, "amphi_workshop_waiting", "Costly answers that wait", one(load.waiting))?;
        gauges(encoder, "amphi_workshop_running", "Costly answers being computed", one(load.running))?;
        let all = |value| vec![(Vec::new(), value)];
        counters(encoder, "amphi_workshop_done", "Costly answers computed", all(load.done))?;
        counters(encoder, "amphi_workshop_refused", "Costly answers refused", all(load.refused))?;
        counters(encoder, "amphi_workshop_panics", "Costly answers that panicked", all(load.panicked))
    }

    fn of_ladders(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let ladders = self.shared.ladders.all();
        let running: Vec<_> = ladders
            .iter()
            .filter_map(|(key, state)| match state {
                LadderState::Runs(meter) => {
                    Some((vec![("source", key.source.as_str()), ("ladder", key.ladder.as_str())], meter))
                }
                LadderState::Fails(_) => None,
            })
            .collect();
        let cells = running.iter().map(|(labels, meter)| (labels.clone(), meter.cells.get()));
        counters(encoder, "amphi_ladder_cells", "Whole cells coded", cells.collect())?;
        let errors = running.iter().map(|(labels, meter)| (labels.clone(), meter.decode_errors.get()));
        counters(encoder, "amphi_ladder_decode_errors", "Access units not decoded", errors.collect())?;
        let decoded = running.iter().map(|(labels, meter)| (labels.clone(), meter.pictures.get()));
        counters(encoder, "amphi_ladder_pictures", "Pictures decoded", decoded.collect())?;
        let errors = running.iter().map(|(labels, meter)| (labels.clone(), meter.audio_errors.get()));
        counters(encoder, "amphi_ladder_audio_errors", "Sound frames not used", errors.collect())?;
        let late = running.iter().map(|(labels, meter)| (labels.clone(), meter.late_pictures.get()));
        counters(
            encoder,
            "amphi_ladder_late_pictures",
            "Pictures that found a rung's queue full",
            late.collect(),
        )?;
        let peaks =
            running.iter().map(|(labels, meter)| (labels.clone(), meter.peak_millibel.get() as f64 / -100.0));
        gauges(encoder, "amphi_ladder_peak_dbfs", "Last peak of the sound", peaks.collect())?;
        let rungs = || {
            running.iter().flat_map(|(labels, meter)| {
                meter.rungs.iter().map(|rung| {
                    let rung_label = ("rung", rung.name.as_str());
                    (labels.iter().copied().chain([rung_label]).collect::<Vec<_>>(), rung)
                })
            })
        };
        let busy = rungs().map(|(labels, rung)| (labels, rung.busy_nanos.get() / 1_000_000));
        counters(
            encoder,
            "amphi_rung_busy_milliseconds",
            "Time spent on scaling and coding",
            busy.collect(),
        )?;
        let thinning = rungs().map(|(labels, rung)| (labels, rung.thinning.get() as f64));
        gauges(encoder, "amphi_rung_thinning", "One picture in 2^n is coded", thinning.collect())
    }

    fn of_delivery(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let answers = AnswerKind::ALL
            .map(|kind| (vec![("kind", kind.name())], self.shared.delivery.counts().answers(kind)));
        counters(encoder, "amphi_delivery_answers", "Answers to viewers", answers.into())?;
        let bytes = vec![(Vec::new(), self.shared.delivery.counts().bytes())];
        counters(encoder, "amphi_delivery_bytes", "Bytes of content answered", bytes)?;
        let taken = vec![(Vec::new(), self.places.taken() as f64)];
        gauges(encoder, "amphi_connections", "Connections of viewers and publishers", taken)?;
        let starved = vec![(Vec::new(), self.places.starved())];
        let help = "Connections that could not be accepted for want of descriptors or memory";
        counters(encoder, "amphi_accept_failures", help, starved)?;
        let refused = vec![(Vec::new(), self.places.refused())];
        let help = "Connections refused because their address had too many";
        counters(encoder, "amphi_connections_refused", help, refused)?;
        let help = "From a request to the moment at which its answer's last byte was handed to the socket";
        let mut family =
            encoder.encode_descriptor("amphi_delivery_seconds", help, None, MetricType::Histogram)?;
        for kind in AnswerKind::ALL {
            let mut buckets: Vec<(f64, u64)> = Histogram::default().buckets().collect();
            let mut sum_s = 0.0;
            for latencies in self.shared.delivery.counts().latencies(kind) {
                sum_s += latencies.sum_s();
                for (all, (_, count)) in buckets.iter_mut().zip(latencies.buckets()) {
                    all.1 += count;
                }
            }
            let count = buckets.iter().map(|(_, count)| count).sum();
            let labels = [("kind", kind.name())];
            let mut series = family.encode_family(&labels)?;
            series.encode_histogram::<[(&str, &str); 0]>(sum_s, count, &buckets, None)?;
        }
        Ok(())
    }

    /// Viewers by channel, rung and protocol, and the age of the newest segment.
    fn of_channels(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let channels = self.shared.delivery.registry().snapshots();
        let now = self.shared.clocks.media.now();
        let age = |(name, grid, snapshot): &(ChannelName, Grid, Arc<Snapshot>)| {
            let age = now.saturating_since(grid.start(snapshot.last.next()));
            (name.clone(), age.as_secs_f64())
        };
        let ages: Vec<_> = channels.iter().map(age).collect();
        let ages = ages.iter().map(|(name, age)| (vec![("channel", name.as_str())], *age));
        let help = "From the end of the newest segment's own time to now";
        gauges(encoder, "amphi_segment_age_seconds", help, ages.collect())?;
        let help = "Viewers; over HTTP those who fetch the segments of a cell";
        let mut family = encoder.encode_descriptor("amphi_viewers", help, None, MetricType::Gauge)?;
        for (name, _, snapshot) in &channels {
            let variants = snapshot.renditions.iter().filter(|it| it.rung.is_variant());
            let names = variants.map(|it| (it.rung.name(), it.rung.picture().is_some()));
            for rung in self.shared.delivery.audience().of(name).viewers(snapshot.last, names) {
                let fetching = rung.viewers - rung.connected.iter().sum::<u64>();
                let connected =
                    ViewerProtocol::ALL.iter().zip(rung.connected).map(|(by, count)| (by.name(), count));
                for (protocol, count) in std::iter::once(("http", fetching)).chain(connected) {
                    let labels =
                        [("channel", name.as_str()), ("rung", rung.rung.as_str()), ("protocol", protocol)];
                    ConstGauge::new(count as f64).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }

    /// The difference of the two clocks.
    fn of_clocks(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "The machine's clock minus media time";
        let offset = self.shared.clocks.offset_nanos() as f64 * 1e-9;
        let gauge = encoder.encode_descriptor("amphi_clock_offset_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(offset).encode(gauge)
    }

    fn of_credentials(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.shared.attempts.sweep();
        let label = |what: Credential| vec![("door", what.door())];
        let rejected = Credential::ALL.map(|what| (label(what), self.shared.attempts.count(what)));
        counters(encoder, "amphi_rejected_credentials", "Wrong tokens, passwords, keys", rejected.into())?;
        let slowed = Credential::ALL.map(|what| (label(what), self.shared.attempts.slowed(what) as f64));
        gauges(
            encoder,
            "amphi_slowed_addresses",
            "Addresses that must wait after wrong credentials",
            slowed.into(),
        )
    }

    /// Viewers that were not let in, and grants.
    fn of_access(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let refused = self.shared.access.refused().map(|(why, count)| (vec![("reason", why)], count));
        counters(
            encoder,
            "amphi_access_refused",
            "Requests of viewers that were not let in",
            refused.collect(),
        )?;
        let granted = vec![(Vec::new(), self.shared.access.granted.get())];
        counters(encoder, "amphi_access_grants", "Grants that were handed out", granted)
    }

    fn of_alarms(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let alarms = Arc::clone(&self.alarms.borrow());
        let mut by_kind: BTreeMap<String, f64> = BTreeMap::new();
        for alarm in alarms.iter() {
            // The label is the name that REST gives the kind.
            let kind = serde_json::to_value(alarm.kind).ok();
            let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or("other");
            *by_kind.entry(kind.to_owned()).or_default() += 1.0;
        }
        let series = by_kind.iter().map(|(kind, count)| (vec![("kind", kind.as_str())], *count));
        gauges(encoder, "amphi_alarms", "Alarms of this moment", series.collect())
    }

    /// Tasks that were restarted, panics, and lines that the log has lost.
    fn of_tasks(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let restarts = self.shared.tasks.restarts();
        let series = restarts.iter().map(|(task, count)| (vec![("task", &**task)], *count)).collect();
        let help = "Times that a task or thread was restarted";
        counters(encoder, "amphi_task_restarts", help, series)?;
        let all = self.shared.tasks.all();
        let up = |task: &TaskView| f64::from(u8::from(task.state == TaskState::Running));
        let up = all.iter().map(|task| (vec![("task", &*task.name)], up(task))).collect();
        gauges(encoder, "amphi_task_up", "1 while the task runs", up)?;
        counters(
            encoder,
            "amphi_panics",
            "Panics, each a bug of the server",
            vec![(Vec::new(), log::panics())],
        )?;
        let help = "Lines of the log that could not be written, or were not read";
        counters(encoder, "amphi_log_dropped", help, vec![(Vec::new(), log::dropped())])
    }

    fn of_the_process(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let tasks = self.runtime.metrics().num_alive_tasks() as f64;
        gauges(encoder, "amphi_tasks", "Tasks alive", vec![(Vec::new(), tasks)])?;
        // Linux only; elsewhere the series are absent.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        if let Some(threads) = field("Threads:") {
            gauges(encoder, "amphi_threads", "Threads alive", vec![(Vec::new(), threads)])?;
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            let count = vec![(Vec::new(), files.count() as f64)];
            gauges(encoder, "amphi_open_files", "Files and sockets open", count)?;
        }
        if let Some(limit) = self.descriptors {
            let limit = vec![(Vec::new(), limit as f64)];
            gauges(encoder, "amphi_open_files_limit", "Files and sockets that may be open", limit)?;
        }
        if let Some(cpu) = cpu_s() {
            let help = "CPU time used since start";
            let mut family =
                encoder.encode_descriptor("amphi_cpu_seconds", help, None, MetricType::Counter)?;
            ConstCounter::new(cpu).encode(family.encode_family::<[(&str, &str); 0]>(&[])?)?;
        }
        if let Some(resident) = field("VmRSS:") {
            let bytes = resident * 1024.0;
            gauges(encoder, "amphi_resident_bytes", "Resident memory", vec![(Vec::new(), bytes)])?;
        }
        Ok(())
    }
}

/// User and system time of this process in seconds (proc(5), fields 14 and 15); Linux counts hundredths.
fn cpu_s() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = |text: &str| text.parse::<f64>().ok();
    Some((ticks(fields.next()?)? + ticks(fields.next()?)?) / 100.0)
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: Series<'_, u64>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in series {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: Series<'_, f64>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
