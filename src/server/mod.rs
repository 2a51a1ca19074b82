//! The server: everything joined, supervised, and ended in order.
//!
//! Order of ending, within five seconds: listeners stop accepting, sources say TEARDOWN, channels stop, ladders'
//! threads are joined, connections are drained, the matrix writes its state.

mod channel_task;
mod conductor;
mod demo;
mod page;
mod signals;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::{self, AdminState};
use crate::clip::Clip;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::delivery::{self, Registry};
use crate::feed::Publisher;
use crate::http;
use crate::ladder::{self, LadderSpec, WaitingLoop};
use crate::matrix::{self, MatrixHandle, SourceStatus};
use crate::media::Grid;
use crate::source;
use crate::store;

use channel_task::{ChannelTask, Connection};
use conductor::{ChannelEntry, Conductor, SourceEntry};

pub use demo::{DemoOptions, demo};

/// Serves `config` until a signal comes.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let server = Server::start(config, Arc::new(SystemClock::default()), |_, _| Router::new()).await?;
    signals::asked_to_end().await?;
    server.end().await;
    Ok(())
}

/// Where the server listens, once it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// RTMP, HTTP and RTSP; today HTTP.
    pub media: Option<SocketAddr>,
    /// Plain HTTP.
    pub http: Option<SocketAddr>,
    /// REST and pages.
    pub admin: Option<SocketAddr>,
}

/// A running server.
pub struct Server {
    addresses: Addresses,
    /// Cancelled first: no new connections.
    accepting: CancellationToken,
    /// Then these, in this order.
    stages: Vec<Stage>,
    matrix: MatrixHandle,
}

/// Tasks that end together.
struct Stage {
    name: &'static str,
    end: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Stage {
    fn new(name: &'static str) -> Self {
        Self { name, end: CancellationToken::new(), tasks: Vec::new() }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    async fn end(self, patience: Duration) {
        self.end.cancel();
        let all = async {
            for task in self.tasks {
                if let Err(error) = task.await {
                    error!(stage = self.name, %error, "a task did not end well");
                }
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            warn!(stage = self.name, "not ended in time; left behind");
        }
    }
}

impl Server {
    /// Starts everything: waiting loops are coded while the listeners already answer 503.
    pub async fn start(
        config: Config,
        clock: Arc<dyn Clock>,
        pages: impl FnOnce(&Addresses, &[String]) -> Router,
    ) -> anyhow::Result<Self> {
        let grid = Grid::new(config.segment.duration_ms);
        let mut control = Stage::new("control");
        let matrix = matrix::start(&config, Arc::clone(&clock), control.end.clone(), &mut control.tasks)
            .context("the matrix cannot be started")?;

        let (registry, shelves) = shelves(&config, grid);
        let (ready_sender, ready) = watch::channel(false);
        let mut listeners = Stage::new("listeners");
        let addresses = listen(&config, &registry, &matrix, ready, pages, &mut listeners).await?;

        let mut pulling = Stage::new("sources");
        let sources = start_sources(&config, &matrix, &clock, &mut pulling);

        let loops = encode_waiting_loops(&config, grid).await?;
        let mut stages = Stage::new("channels");
        let channels = start_channels(&config, grid, loops, shelves, &matrix, &clock, &mut stages);
        let mut conducting = Stage::new("ladders");
        let conductor = Conductor { sources, channels, matrix: matrix.clone(), clock };
        let end = conducting.end.clone();
        conducting.spawn(conductor.run(end));
        ready_sender.send_replace(true);
        info!(channels = config.channels.len(), sources = config.sources.len(), "ready");
        // The watch must outlive the listeners, or they would think that the server is not ready.
        control.spawn({
            let end = control.end.clone();
            async move {
                end.cancelled().await;
                drop(ready_sender);
            }
        });
        Ok(Self { addresses, stages: vec![listeners, pulling, stages, conducting, control] })
    }

    /// Where it listens.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Ends everything in order.
    pub async fn end(self) {
        for stage in self.stages {
            let name = stage.name;
            stage.end(STAGE_PATIENCE).await;
            info!(stage = name, "ended");
        }
    }
}
