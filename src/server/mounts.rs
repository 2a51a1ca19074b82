//! Serves the mounts of recordings that the configuration names.

use tracing::info;

use crate::delivery::Delivery;
use amphi_config as config;
use amphi_media::charset;
use amphi_vod::{Mount, MountSettings};

/// Serves the recordings of these mounts, each of which keeps up to `open_max` open. A mount whose settings have not changed
/// goes on.
pub(super) fn mount(vods: &[config::Vod], open_max: u64, delivery: &Delivery) {
    let registry = delivery.registry();
    for vod in vods {
        let settings = MountSettings {
            root: vod.root.clone(),
            segment_ms: vod.segment_ms,
            download: vod.download,
            poster: vod.poster,
            index: vod.index,
            text_encoding: charset::Encoding::for_label(vod.text_encoding.as_bytes())
                .unwrap_or(charset::WINDOWS_1252),
        };
        if registry.mounted(&vod.name).is_none_or(|mount| *mount.settings() != settings) {
            info!(mount = vod.name, root = %vod.root.display(), "recordings are served");
            let mount = Mount::keeping_open(settings, open_max);
            registry.mount(&vod.name, mount.in_workshop(delivery.workshop().clone()));
        }
    }
}
