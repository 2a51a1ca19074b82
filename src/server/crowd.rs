//! Who watches a channel at this moment.

use crate::delivery::{Crowd, Delivery};
use crate::store::ShelfReader;

/// By what they speak.
pub(super) fn crowd(delivery: &Delivery, channel: &str) -> Crowd {
    let shelf = delivery.registry().get(channel).and_then(|known| known.shelf.clone());
    let Some(snapshot) = shelf.as_ref().and_then(ShelfReader::snapshot) else {
        return Crowd::default();
    };
    let variants = snapshot.renditions.iter().filter(|it| it.rung.is_variant());
    let names = variants.map(|it| (it.rung.name(), it.rung.picture().is_some()));
    delivery.audience().of(channel).crowd(snapshot.last, names)
}
