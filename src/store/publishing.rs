//! The shell around the window: one writer, any number of readers.

use std::sync::Arc;

use tokio::sync::watch;

use super::{PublishedRung, PublishedWindow, PushError, Snapshot};
use amphi_media::{CellIndex, Grid, Segment};

/// The published window of a channel with `listed` segments per playlist and these rungs, best first.
pub fn published_window(
    grid: Grid,
    listed: usize,
    rungs: Vec<PublishedRung>,
) -> (WindowWriter, WindowReader) {
    let rungs: Arc<[Arc<PublishedRung>]> = rungs.into_iter().map(Arc::new).collect();
    let (sender, snapshots) = watch::channel(None);
    let window = PublishedWindow::new(grid, listed, rungs.iter().cloned());
    (WindowWriter { window, sender }, WindowReader { grid, rungs, snapshots })
}

/// The end that the channel's task writes to.
#[derive(Debug)]
pub struct WindowWriter {
    window: PublishedWindow,
    sender: watch::Sender<Option<Arc<Snapshot>>>,
}

impl WindowWriter {
    /// The rungs, best first.
    pub fn rungs(&self) -> impl Iterator<Item = &PublishedRung> {
        self.window.rungs()
    }

    /// Publishes cell `k` of all rungs at once: one segment per rung, in the rungs' order. Fails as
    /// [`PublishedWindow::push`] does.
    pub fn push(&mut self, k: CellIndex, segments: Vec<Segment>) -> Result<(), PushError> {
        let pushed = self.window.push(k, segments)?;
        if pushed.missing > 0 {
            tracing::warn!(%k, missing = pushed.missing, "cells are missing; the playlist starts anew at this one");
        }
        self.sender.send_replace(Some(pushed.snapshot));
        Ok(())
    }
}

/// The end that viewers are served from.
#[derive(Clone, Debug)]
pub struct WindowReader {
    grid: Grid,
    rungs: Arc<[Arc<PublishedRung>]>,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
}

impl WindowReader {
    /// The newest snapshot; `None` before the first cell.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshots.borrow().clone()
    }

    /// Waits for a snapshot newer than the one that this reader saw last. `None` once the writer is gone.
    pub async fn next(&mut self) -> Option<Arc<Snapshot>> {
        self.snapshots.changed().await.ok()?;
        self.snapshots.borrow_and_update().clone()
    }

    /// The rungs, best first. They are known before the first cell.
    pub fn rungs(&self) -> &[Arc<PublishedRung>] {
        &self.rungs
    }

    /// The grid that the cells are counted on.
    pub const fn grid(&self) -> Grid {
        self.grid
    }
}
