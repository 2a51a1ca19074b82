//! The viewers of a channel at this moment.

use crate::delivery::{Crowd, Delivery};
use crate::store::ShelfReader;

/// The number of viewers by protocol; none before the first cell.
pub(super) fn crowd(delivery: &Delivery, channel: &str) -> Crowd {
    let shelf = delivery.registry().get(channel).and_then(|known| known.shelf.clone());
    let Some(snapshot) = shelf.as_ref().and_then(ShelfReader::snapshot) else {
        return Crowd::default();
    };
    let variants = snapshot.renditions.iter().filter(|it| it.rung.is_variant());
    let names = variants.map(|it| (it.rung.name(), it.rung.picture().is_some()));
    delivery.audience().crowd(channel, snapshot.last, names)
}
