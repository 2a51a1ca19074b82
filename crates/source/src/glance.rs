//! One picture of a source that no channel wants at the moment: for the thumbnail of an idle hall.
//!
//! Opens a connection of its own and ends it with the first IDR picture. The caller does this rarely and with
//! idle sources only, and drops the future when the source is wanted: a session that is dropped
//! sends TEARDOWN in the background.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::address::SourceAddress;
use super::fault::SourceFault;
use super::session::{SessionEvent, SourceSession};
use amphi_config::Transport;
use amphi_media::clock::Clock;
use amphi_media::{Track, TrackFormat, h264};

/// How long to wait after PLAY for an IDR picture: encoders send one every 1 to 10 s.
const WITHIN: Duration = Duration::from_secs(11);

/// The first IDR picture of the source at `url`: an access unit in Annex B that begins with its parameter sets.
pub async fn glance(
    url: &str,
    ca_file: &Path,
    transport: Transport,
    clock: Arc<dyn Clock>,
) -> Result<Vec<u8>, SourceFault> {
    let address = SourceAddress::parse(url)?.trusting(ca_file);
    let mut session = SourceSession::open(&address, transport, clock).await?;
    let picture = tokio::time::timeout(WITHIN, first_picture(&mut session)).await;
    session.close().await;
    picture.unwrap_or(Err(SourceFault::NoSyncFrame(WITHIN.as_secs())))
}

async fn first_picture(session: &mut SourceSession) -> Result<Vec<u8>, SourceFault> {
    loop {
        match session.next().await? {
            SessionEvent::Unit(unit)
                if unit.track() == Track::Video && unit.lost == 0 && h264::is_idr(&unit.data) =>
            {
                let TrackFormat::H264(parameter_sets) = &*unit.format else { continue };
                let mut picture = Vec::new();
                h264::to_annex_b(&unit.data, Some(parameter_sets), &mut picture);
                return Ok(picture);
            }
            _ => {}
        }
    }
}
