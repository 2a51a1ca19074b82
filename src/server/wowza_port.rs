//! What the router of Wowza's REST is made with.

use std::sync::Arc;
use std::time::Instant;

use super::settings::names;
use super::shared::ServerContext;
use super::viewers::viewers;
use crate::delivery::{self, Delivery};
use amphi_admin::wowza::{Outgoing, WowzaState};
use amphi_config as config;

/// The state of the router, from the configuration and from what runs.
pub(super) fn state(shared: &ServerContext, delivery: &Delivery) -> WowzaState {
    let config = shared.config.borrow();
    let config::WowzaRest { username, password } = &config.wowza_rest;
    let credentials = (!username.is_empty()).then(|| (username.clone(), password.clone()));
    let (clock, begun) = (Arc::clone(&shared.clocks.wall), Instant::now());
    let (inventory, delivery) = (shared.inventory.clone(), delivery.clone());
    WowzaState {
        matrix: shared.matrix.clone(),
        credentials,
        started: clock.now(),
        now: Arc::new(move || clock.now()),
        running: Arc::new(move || begun.elapsed()),
        received: Arc::new(move |source| {
            let inventory = Arc::clone(&inventory.borrow());
            inventory.sources.get(source).map_or(0, |entry| entry.gauges.bytes.get())
        }),
        outgoing: Arc::new(move |channel| {
            let delivery::ViewersByProtocol { hls, dash, rtmp, rtsp, bytes } = viewers(&delivery, channel);
            Outgoing { hls, dash, rtmp, rtsp, bytes }
        }),
        audit: shared.audit.clone(),
        attempts: shared.attempts.clone(),
        names: names(&config),
    }
}
