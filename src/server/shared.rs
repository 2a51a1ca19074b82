//! What every part of the server works with. Clones share everything.

use std::sync::Arc;

use tokio::sync::watch;

use super::access::counts::AccessCounts;
use super::holds::Holds;
use super::inventory::Inventory;
use super::ladders::Ladders;
use crate::delivery::{Delivery, PageSettings, Showing};
use amphi_config::Config;
use amphi_control::agenda::Plan;
use amphi_control::audit::AuditLog;
use amphi_control::matrix::MatrixHandle;
use amphi_control::push::PushBoard;
use amphi_http::Attempts;
use amphi_media::Grid;
use amphi_media::clock::Clocks;
use amphi_runtime::tasks::Tasks;

#[derive(Clone)]
pub(super) struct ServerContext {
    pub(super) grid: Grid,
    pub(super) window: usize,
    pub(super) matrix: MatrixHandle,
    pub(super) audit: AuditLog,
    /// The configuration in force, and each one after it once the matrix has its layout.
    pub(super) config: watch::Receiver<Arc<Config>>,
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) inventory: watch::Receiver<Arc<Inventory>>,
    pub(super) ladders: Ladders,
    pub(super) holds: Holds,
    pub(super) pushes: PushBoard,
    pub(super) delivery: Delivery,
    pub(super) attempts: Attempts,
    pub(super) access: Arc<AccessCounts>,
    pub(super) clocks: Clocks,
    pub(super) tasks: Tasks,
}

/// Whether lists say a name: what is not open to everybody is in none, unless the configuration wants it.
pub(super) fn listing(config: watch::Receiver<Arc<Config>>) -> Arc<dyn Fn(&str) -> bool + Send + Sync> {
    Arc::new(move |name| {
        let access = &config.borrow().access;
        access.list_all || access.is_open(name)
    })
}

/// The senders of what the context's receivers watch, each for the part that owns it.
pub(super) struct Tellers {
    pub(super) config: watch::Sender<Arc<Config>>,
    pub(super) plan: watch::Sender<Arc<Plan>>,
    pub(super) inventory: watch::Sender<Arc<Inventory>>,
}

impl ServerContext {
    /// The context of a server with this configuration, which keeps at most `pages` segments in pages of the kernel.
    pub(super) fn new(
        config: &Config,
        (matrix, audit): (MatrixHandle, AuditLog),
        clocks: Clocks,
        tasks: Tasks,
        pages: usize,
    ) -> (Self, Tellers) {
        let (tell_config, config_watch) = watch::channel(Arc::new(config.clone()));
        let (tell_plan, plan) = watch::channel(Arc::default());
        let (tell_inventory, inventory) = watch::channel(Arc::default());
        let showing = Showing {
            matrix: matrix.watch(),
            plan: plan.clone(),
            clock: Arc::clone(&clocks.wall),
            is_listed: listing(config_watch.clone()),
        };
        let viewers = PageSettings::new(&config.pages.title, &config.pages.embed_from).showing(showing);
        let shared = Self {
            grid: Grid::new(config.segment.duration_ms),
            window: config.segment.window,
            matrix,
            audit,
            config: config_watch,
            plan,
            inventory,
            ladders: Ladders::default(),
            holds: Holds::default(),
            pushes: PushBoard::default(),
            delivery: Delivery::new(viewers).with_pages(pages),
            attempts: Attempts::default(),
            access: Arc::default(),
            clocks,
            tasks,
        };
        (shared, Tellers { config: tell_config, plan: tell_plan, inventory: tell_inventory })
    }
}
