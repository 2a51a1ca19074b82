//! The task that makes what the portal polls (`/api/public/now.json`) from the matrix, the plan and the recordings.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::shared::{ServerContext, listing};
use super::stage::{Stage, TaskSpec};
use crate::delivery::{Delivery, portal};
use amphi_control::agenda::Plan;
use amphi_control::matrix::{MatrixHandle, MatrixView};
use amphi_media::clock::WallClock;
use amphi_media::percent;
use amphi_vod::Listed;

/// The time between two looks at the matrix, the plan and the clock.
const EVERY: Duration = Duration::from_secs(1);
/// The time between two looks at the recordings, to spare the NAS.
const LIST_EVERY: Duration = Duration::from_secs(60);

pub(super) fn spawn(shared: &ServerContext, stage: &mut Stage) {
    let press = PortalFeed {
        matrix: shared.matrix.clone(),
        plan: shared.plan.clone(),
        delivery: shared.delivery.clone(),
        clock: Arc::clone(&shared.clocks.wall),
        public_url: shared.config.borrow().pages.public_url.clone(),
        is_listed: listing(shared.config.clone()),
    };
    let end = stage.end.clone();
    stage.supervise(TaskSpec::new("portal"), press, move |it| Box::pin(it.run(end.clone())));
}

struct PortalFeed {
    matrix: MatrixHandle,
    plan: watch::Receiver<Arc<Plan>>,
    delivery: Delivery,
    clock: Arc<dyn WallClock>,
    /// `pages.public_url`; empty = links are relative.
    public_url: String,
    /// Whether the portal is told of a name.
    is_listed: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl PortalFeed {
    /// Works until `end`.
    async fn run(&self, end: CancellationToken) {
        let work = async {
            let mut recordings = Vec::new();
            let mut listed_at: Option<Instant> = None;
            loop {
                let plan = Arc::clone(&self.plan.borrow());
                let mut view = MatrixView::clone(&self.matrix.view());
                view.channels.retain(|channel| (self.is_listed)(&channel.name));
                let text = portal::document(&view, &plan, &recordings, self.clock.now(), &self.public_url);
                self.delivery.portal().show(text);
                if listed_at.is_none_or(|at| at.elapsed() >= LIST_EVERY) {
                    recordings = self.recordings().await;
                    listed_at = Some(Instant::now());
                }
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = end.cancelled() => {}
            () = work => {}
        }
    }

    /// The recordings of every mount that may be listed, with the mount's name.
    async fn recordings(&self) -> Vec<(String, Arc<Vec<Listed>>)> {
        let mut mounts = self.delivery.registry().mounts();
        mounts.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut all = Vec::new();
        for (name, mount) in mounts.into_iter().filter(|(_, mount)| mount.settings().index) {
            match mount.list().await {
                Ok(list) => {
                    let is_listed = |it: &&Listed| {
                        let path = percent::decode_lossy(&it.path);
                        (self.is_listed)(&format!("{name}/{}", path.trim_start_matches("smil:")))
                    };
                    let listed: Vec<Listed> = list.iter().filter(is_listed).cloned().collect();
                    let list = if listed.len() == list.len() { list } else { Arc::new(listed) };
                    all.push((name, list));
                }
                Err(error) => debug!(mount = name, %error, "recordings cannot be listed"),
            }
        }
        all
    }
}
