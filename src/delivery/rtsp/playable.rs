//! What an RTSP URL names: a presentation (RFC 2326 §1.3).

use std::net::SocketAddr;
use std::sync::Arc;

use super::RtspPort;
use crate::delivery::address;
use crate::delivery::air::AirReader;
use crate::delivery::door::{HeldRight, ask_settled};
use crate::delivery::recorded_feed::say_what_is_left_out;
use crate::delivery::unserved::Unserved;
use crate::delivery::{AccessAction, AccessRequest, Protocol, Resolved, Selection};
use amphi_access::VisitStep;
use amphi_http::asker;
use amphi_media::{AudioSpecificConfig, ChannelName, RungTracks, Timescale, TrackFormat};
use amphi_protocol::rtsp::{Refusal, RequestTarget, describe};
use amphi_vod::{FrameRendition, Mount, RecordingStream, TrackSelection};

#[derive(Clone, Debug)]
pub(super) enum Playable {
    /// The rung of a channel, by its index.
    Live { channel: ChannelName, air: AirReader, rung: usize },
    /// A file, or a part of one.
    Recorded { mount: Arc<Mount>, rendition: FrameRendition, tracks: Vec<(TrackSelection, TrackFormat)> },
}

impl RtspPort {
    /// Finds what `target` names, if the door lets the peer in.
    pub(super) async fn find(
        &self,
        target: &RequestTarget,
        peer: SocketAddr,
    ) -> Result<(Playable, Option<HeldRight>), Refusal> {
        let path = target.path.strip_prefix('/').ok_or(Refusal::NotFound)?;
        let address = address::parse(path, |app| self.registry.has_mount(app));
        let address = address.map_err(|error| Unserved::Path(error).rtsp())?;
        let query = target.query.as_deref().unwrap_or_default();
        let resolved = self.registry.resolve(&address);
        let scope = address.scope();
        let caller = AccessRequest {
            protocol: Protocol::Rtsp,
            wish: AccessAction::Play(resolved),
            peer: Some(peer),
            is_secure: false,
            path: &target.path,
            query,
            fields: &(),
            step: VisitStep::Entry,
            scope: &scope,
            grant: address.grant.as_deref(),
        };
        let admission = ask_settled(&*self.door, &caller).await;
        let admission = admission.map_err(|denied| Unserved::Denied(denied).rtsp())?;
        let right = HeldRight::new(&self.door, &caller, admission);
        let playable = match resolved {
            Resolved::Recording { mount, stream } => {
                let mount = self.registry.mounted(mount).ok_or(Unserved::Missing.rtsp())?;
                recording(mount.asked_by(asker(peer.ip())), stream, &address::without_grant(&target.path))
                    .await?
            }
            Resolved::Channel { channel, rungs } => {
                self.channel(channel, rungs).await.map_err(Unserved::rtsp)?
            }
            Resolved::Index(_) | Resolved::Nothing(_) => return Err(Refusal::NotFound),
        };
        Ok((playable, right))
    }

    async fn channel(&self, name: &str, rungs: Selection<'_>) -> Result<Playable, Unserved> {
        let channel = self.registry.started(name).await?;
        let (Some(_), Some(air)) = (&channel.window, &channel.air) else { return Err(Unserved::NotReady) };
        let rung = channel.best_of(rungs).ok_or(Unserved::Stream)?;
        Ok(Playable::Live { channel: ChannelName::from(name), air: air.clone(), rung })
    }
}

async fn recording(mount: Mount, stream: &RecordingStream, path: &str) -> Result<Playable, Refusal> {
    let presentation =
        mount.open(stream).await.map_err(|fault| Unserved::new(path, mount.asker(), &fault).rtsp())?;
    let rendition = presentation.for_frames().ok_or(Unserved::Missing.rtsp())?;
    let tracks = rendition.formats();
    if tracks.is_empty() {
        return Err(Unserved::Broken.rtsp());
    }
    let kinds: Vec<TrackSelection> = tracks.iter().map(|(kind, _)| *kind).collect();
    say_what_is_left_out("RTSP", &mount, &rendition, &kinds);
    Ok(Playable::Recorded { mount: Arc::new(mount), rendition, tracks })
}

impl Playable {
    /// The formats of its streams; the index is the stream's number in `trackID=`.
    pub(super) fn formats(&self) -> Vec<TrackFormat> {
        match self {
            Self::Live { air, rung, .. } => air.tracks().get(*rung).map(formats_of).unwrap_or_default(),
            Self::Recorded { tracks, .. } => tracks.iter().map(|(_, format)| format.clone()).collect(),
        }
    }

    /// Its description in SDP (RFC 8866).
    pub(super) fn describe(&self) -> String {
        let formats = self.formats();
        let formats: Vec<&TrackFormat> = formats.iter().collect();
        match self {
            Self::Live { .. } => describe("Amphi", None, &formats),
            Self::Recorded { rendition, .. } => describe("Amphi", Some(rendition.duration()), &formats),
        }
    }

    /// The SSRC that all players of a stream share; `None` where each has its own.
    pub(super) fn ssrc(&self, track: u8) -> Option<u32> {
        match self {
            Self::Live { air, rung, .. } => Some(air.ssrc(*rung, track)),
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
