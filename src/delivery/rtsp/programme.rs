//! What an RTSP URL names.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::RtspPort;
use crate::delivery::air::AirReader;
use crate::delivery::registry::Selection;
use crate::delivery::unserved::Unserved;
use crate::delivery::{Caller, Protocol, Wish, recorded, route};
use crate::http::asker;
use crate::media::{AudioSpecificConfig, RungTracks, Timescale, TrackFormat};
use crate::rtsp::{Refusal, Target, describe};
use crate::vod::{Kind, Mount, Recording};

/// How long a request waits for a channel that is being started.
const WARM_UP: Duration = Duration::from_secs(4);

/// Something that is played.
#[derive(Clone, Debug)]
pub(super) enum Programme {
    /// A rung of a channel.
    Live { air: AirReader, rung: usize },
    /// A file.
    Recorded { mount: Box<Mount>, recording: Arc<Recording>, tracks: Vec<(Kind, TrackFormat)> },
}

impl RtspPort {
    /// Finds what `target` names, or says why there is nothing.
    pub(super) async fn find(&self, target: &Target, peer: SocketAddr) -> Result<Programme, Refusal> {
        let path = target.path.trim_start_matches('/');
        let (app, stream) = path.split_once('/').unwrap_or((path, ""));
        let stream = stream.trim_start_matches("_definst_").trim_start_matches('/');
        let query = target.query.as_deref().unwrap_or_default();
        let (protocol, wish) = (Protocol::Rtsp, Wish::Play);
        let caller = Caller { protocol, wish, peer: Some(peer), app, stream, query };
        self.door.ask(&caller).map_err(|_| Refusal::Forbidden)?;
        match self.registry.mounted(app) {
            Some(mount) => recording(mount.asked_by(asker(peer.ip())), &target.path).await,
            None => self.channel(&target.path).await,
        }
    }

    async fn channel(&self, path: &str) -> Result<Programme, Refusal> {
        let (app, stream) = route::parse_play(path).map_err(|_| Refusal::NotFound)?;
        let mut changes = self.registry.watch();
        let find = async {
            loop {
                let channel = self.registry.get(&app).ok_or(Refusal::NotFound)?;
                if let (Some(shelf), Some(air)) = (&channel.shelf, &channel.air) {
                    let rung = match channel.select(shelf, stream.as_ref()).ok_or(Refusal::NotFound)? {
                        Selection::All => 0,
                        Selection::Rung(index) => index,
                    };
                    return Ok(Programme::Live { air: air.clone(), rung });
                }
                changes.changed().await.map_err(|_| Refusal::NotReady)?;
            }
        };
        tokio::time::timeout(WARM_UP, find).await.unwrap_or(Err(Refusal::NotReady))
    }
}

async fn recording(mount: Mount, path: &str) -> Result<Programme, Refusal> {
    let stream = recorded::parse_play(path).ok_or(Refusal::NotFound)?;
    let presentation =
        mount.open(&stream).await.map_err(|fault| Unserved::new(path, mount.asker(), &fault).rtsp())?;
    let best = presentation.renditions.into_iter().max_by_key(|rendition| rendition.recording.rates.1);
    let recording = best.ok_or(Refusal::NotFound)?.recording;
    let tracks = recording.formats();
    if tracks.is_empty() {
        return Err(Refusal::Media);
    }
    Ok(Programme::Recorded { mount: Box::new(mount), recording, tracks })
}

impl Programme {
    /// How its streams are coded; their places are their numbers.
    pub(super) fn formats(&self) -> Vec<TrackFormat> {
        match self {
            Self::Live { air, rung } => air.tracks().get(*rung).map(formats_of).unwrap_or_default(),
            Self::Recorded { tracks, .. } => tracks.iter().map(|(_, format)| format.clone()).collect(),
        }
    }

    /// Its description.
    pub(super) fn describe(&self) -> String {
        let formats = self.formats();
        let formats: Vec<&TrackFormat> = formats.iter().collect();
        match self {
            Self::Live { .. } => describe("Amphi", None, &formats),
            Self::Recorded { recording, .. } => {
                let nanos = u64::try_from(recording.movie.duration_nanos()).unwrap_or(0);
                describe("Amphi", Some(Duration::from_nanos(nanos)), &formats)
            }
        }
    }

    /// The synchronization source that all players of a stream share; `None` where each has its own.
    pub(super) fn ssrc(&self, track: u8) -> Option<u32> {
        match self {
            Self::Live { air, rung } => Some(air.ssrc(*rung, track)),
            Self::Recorded { .. } => None,
        }
    }
}

fn formats_of(tracks: &RungTracks) -> Vec<TrackFormat> {
    let video = tracks.video.iter().map(|video| TrackFormat::H264(video.parameter_sets.clone()));
    video.chain([TrackFormat::Aac(AudioSpecificConfig::lc(tracks.audio.format))]).collect()
}

/// Ticks per second of a stream's RTP clock (RFC 6184 §8.2.1, RFC 3640 §4.1).
pub(super) const fn clock_rate(format: &TrackFormat) -> Timescale {
    format.timescale()
}
