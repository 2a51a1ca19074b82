//! The viewers of a channel at this moment.

use crate::delivery::{Delivery, ViewersByProtocol};
use crate::store::WindowReader;

/// The number of viewers by protocol; none before the first cell.
pub(super) fn viewers(delivery: &Delivery, channel: &str) -> ViewersByProtocol {
    let window = delivery.registry().get(channel).and_then(|known| known.window.clone());
    let Some(snapshot) = window.as_ref().and_then(WindowReader::snapshot) else {
        return ViewersByProtocol::default();
    };
    let variants = snapshot.renditions.iter().filter(|it| it.rung.is_variant());
    let names = variants.map(|it| (it.rung.name(), it.rung.picture().is_some()));
    delivery.audience().of(channel).by_protocol(snapshot.last, names)
}
