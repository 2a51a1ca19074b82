//! What every part of the server works with: handles that share what they stand for.

use std::sync::Arc;

use tokio::sync::watch;

use crate::agenda::Plan;
use crate::clock::Clocks;
use crate::delivery::Delivery;
use crate::matrix::MatrixHandle;
use crate::media::Grid;
use crate::push::PushBoard;
use crate::tasks::Tasks;

/// What starting something takes.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) grid: Grid,
    pub(super) window: usize,
    pub(super) matrix: MatrixHandle,
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) clocks: Clocks,
    pub(super) delivery: Delivery,
    pub(super) pushes: PushBoard,
    pub(super) tasks: Tasks,
}
