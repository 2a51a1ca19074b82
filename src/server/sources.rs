//! Starts a source's tasks: the one that pulls it, or the inlet for its publisher, and the one that reports its state to
//! the matrix.

use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info_span;

use super::inventory::{GuardedInlet, SourceEntry};
use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use amphi_config as config;
use amphi_control::matrix::{MatrixHandle, SourceStatus};
use amphi_media::SourceName;
use amphi_media::feed::FeedWriter;
use amphi_source::{Current, Inlet, SourceGauges, SourceTask};

/// Starts the tasks of a source, and returns its entry in the inventory.
pub(super) fn start(
    source: &config::Source,
    lattice_fps: u32,
    zone: &TimeZone,
    shared: &ServerContext,
    stage: &mut Stage,
) -> SourceEntry {
    let (wanted, wanted_watch) = watch::channel(source.keep_open);
    let (status, status_watch) = watch::channel(SourceStatus::idle(shared.clocks.wall.now()));
    let feed = FeedWriter::default();
    let gauges = Arc::new(SourceGauges::default());
    let span = info_span!(parent: None, "source", name = %source.name);
    let inlet = if source.url.is_empty() {
        let inlet = Inlet {
            lattice_fps,
            feed: feed.clone(),
            status,
            gauges: Arc::clone(&gauges),
            clocks: shared.clocks.clone(),
            zone: zone.clone(),
            second: source.on_second_publisher,
            publisher: Current::default(),
        };
        inlet.wait();
        Some(GuardedInlet { inlet: Arc::new(inlet), key: source.publish_key.clone() })
    } else {
        let task = SourceTask {
            source: source.clone(),
            lattice_fps,
            wanted: wanted_watch,
            feed: feed.clone(),
            status,
            gauges: Arc::clone(&gauges),
            clocks: shared.clocks.clone(),
            shutdown: stage.end.clone(),
        };
        let job = TaskSpec::of("source", &source.name, span.clone());
        stage.supervise_mending(job, task, |it| Box::pin(it.clone().run()), |it, why| it.fell(why));
        None
    };
    let (name, matrix, end) = (SourceName::from(&source.name), shared.matrix.clone(), stage.end.clone());
    stage.supervise(TaskSpec::of("report", &name.clone(), span), status_watch.clone(), move |status| {
        Box::pin(report(name.clone(), status, matrix.clone(), end.clone()))
    });
    SourceEntry {
        feed,
        keep_open: source.keep_open,
        wanted,
        status: status_watch,
        gauges,
        url: source.url.clone(),
        ca_file: source.ca_file.clone(),
        transport: source.transport,
        inlet,
    }
}

async fn report(
    name: SourceName,
    status: &mut watch::Receiver<SourceStatus>,
    matrix: MatrixHandle,
    end: CancellationToken,
) {
    loop {
        // The state is reported even if it is known: a panic may have come between.
        let now = status.borrow_and_update().clone();
        matrix.source_status(&name, now);
        tokio::select! {
            () = end.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
    }
}
