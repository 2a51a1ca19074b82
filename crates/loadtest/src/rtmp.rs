//! A player of RTMP: the shell around [`Viewer`].

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::fault::{ExchangeError, PATIENCE, broken};
use super::screen::{AGAIN, Screen};
use super::socket::connect;
use amphi_protocol::rtmp::{ServerFault, Target, Viewer, ViewerEvent};

/// Most bytes that are read at once.
const READ: usize = 16 << 10;
/// A step of a stream's time, in milliseconds, from which on media is missing.
const GAP_MS: u32 = 500;
/// CodecID of AVC (FLV 10.1 §E.4.3.1); the second byte of such a message is 0 for parameter sets, 1 for a picture.
const AVC: u8 = 7;
const KEYFRAME: u8 = 1;
/// At first a server sends at once what it has kept; after so long pictures come as they are made.
const SETTLED: Duration = Duration::from_secs(3);

impl From<ServerFault> for ExchangeError {
    fn from(error: ServerFault) -> Self {
        match error {
            ServerFault::Refused(words) => Self::Refused(words),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// Plays for ever; connects again after an error.
pub(super) async fn view(screen: &mut Screen, source: Option<SocketAddr>) {
    loop {
        if let Err(error) = connection(screen, source).await {
            screen.error("RTMP", error);
        }
        sleep(AGAIN).await;
    }
}

async fn connection(screen: &mut Screen, source: Option<SocketAddr>) -> Result<(), ExchangeError> {
    let target = &screen.test.target;
    let stream =
        Target::parse(target.url.as_str()).map_err(|error| ExchangeError::Refused(error.to_string()))?;
    let mut viewer = Viewer::new(stream)?;
    let mut socket = connect(target.address, source).await?;
    let mut order = MessageOrder::default();
    let begun = Instant::now();
    // Ten thousand players may wait at a time: none keeps a buffer while it waits.
    let mut buffer = Vec::new();
    loop {
        let output = viewer.take_output();
        if !output.is_empty() {
            socket.write_all(&output).await.map_err(|error| broken(&error))?;
        }
        timeout(PATIENCE, socket.readable())
            .await
            .map_err(|_| ExchangeError::Silence)?
            .map_err(|error| broken(&error))?;
        buffer.reserve(READ);
        let read = socket.read_buf(&mut buffer).await.map_err(|error| broken(&error))?;
        if read == 0 {
            return Err(ExchangeError::Connection("closed".to_owned()));
        }
        screen.bytes(read as u64);
        let now = Instant::now();
        let mut input = &buffer[..];
        while let Some(seen) = viewer.handle(&mut input)? {
            if seen == ViewerEvent::Ended {
                return Err(ExchangeError::Content("the stream has ended"));
            }
            if let ViewerEvent::Video { timestamp_ms, .. } = seen
                && now.saturating_duration_since(begun) > SETTLED
            {
                screen.test.tally.came(now, timestamp_ms);
            }
            if let Some(advance) = order.take(&seen)? {
                screen.arrived(advance);
            }
        }
        buffer = Vec::new();
    }
}

/// Checks that messages come in the order that a player needs. Sans-IO.
#[derive(Debug, Default)]
struct MessageOrder {
    configured: bool,
    /// Times of the newest picture and sound.
    video: Option<u32>,
    audio: Option<u32>,
    /// Time up to which media was counted.
    shown: Option<u32>,
}

impl MessageOrder {
    /// By how much the media that has come in picture and sound has grown, if it has.
    fn take(&mut self, seen: &ViewerEvent) -> Result<Option<Duration>, ExchangeError> {
        let (newest, timestamp_ms) = match seen {
            ViewerEvent::Video { timestamp_ms, data } => {
                let (Some(&head), Some(&kind)) = (data.first(), data.get(1)) else {
                    return Err(ExchangeError::Content("a picture message without a head"));
                };
                if head & 0x0f == AVC {
                    match kind {
                        0 => {
                            self.configured = true;
                            return Ok(None);
                        }
                        1 if !self.configured => {
                            return Err(ExchangeError::Content("a picture before its parameter sets"));
                        }
                        1 if self.video.is_none() && head >> 4 != KEYFRAME => {
                            return Err(ExchangeError::Content("the first picture is no key frame"));
                        }
                        1 => {}
                        _ => return Ok(None),
                    }
                }
                (&mut self.video, *timestamp_ms)
            }
            // An AAC configuration has no time (§E.4.2.1).
            ViewerEvent::Audio { data, .. } if data.get(1) == Some(&0) => return Ok(None),
            ViewerEvent::Audio { timestamp_ms, .. } => (&mut self.audio, *timestamp_ms),
            ViewerEvent::Started | ViewerEvent::Ended => return Ok(None),
        };
        if let Some(before) = newest.replace(timestamp_ms) {
            let step = timestamp_ms.wrapping_sub(before);
            if step > u32::MAX / 2 {
                return Err(ExchangeError::Content("time goes back"));
            }
            if step > GAP_MS {
                return Err(ExchangeError::Content("over half a second is missing"));
            }
        }
        // The time up to which both have come, or the only one that there is.
        let there = match (self.video, self.audio) {
            (Some(video), Some(audio)) if video.wrapping_sub(audio) < u32::MAX / 2 => audio,
            (Some(video), _) => video,
            (None, Some(audio)) => audio,
            (None, None) => return Ok(None),
        };
        let Some(shown) = self.shown else {
            self.shown = Some(there);
            return Ok(Some(Duration::ZERO));
        };
        let advance = there.wrapping_sub(shown);
        if advance == 0 || advance > u32::MAX / 2 {
            return Ok(None);
        }
        self.shown = Some(there);
        Ok(Some(Duration::from_millis(advance.into())))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn video(timestamp_ms: u32, head: u8, kind: u8) -> ViewerEvent {
        ViewerEvent::Video { timestamp_ms, data: Bytes::copy_from_slice(&[head, kind, 0, 0, 0]) }
    }

    fn audio(timestamp_ms: u32) -> ViewerEvent {
        ViewerEvent::Audio { timestamp_ms, data: Bytes::from_static(&[0xaf, 1, 0]) }
    }

    #[test]
    fn media_grows_as_picture_and_sound_come() {
        let mut order = MessageOrder::default();
        assert_eq!(order.take(&video(0, 0x17, 0)), Ok(None));
        assert_eq!(order.take(&video(1000, 0x17, 1)), Ok(Some(Duration::ZERO)));
        assert_eq!(order.take(&audio(1010)), Ok(None));
        assert_eq!(order.take(&video(1066, 0x27, 1)), Ok(Some(Duration::from_millis(10))));
        assert_eq!(order.take(&audio(1076)), Ok(Some(Duration::from_millis(56))));
    }

    #[test]
    fn disorder_is_named() {
        let broken = |messages: &[ViewerEvent]| {
            let mut order = MessageOrder::default();
            messages.iter().find_map(|seen| order.take(seen).err()).map(|error| error.to_string())
        };
        let first = video(0, 0x17, 0);
        let key = video(1000, 0x17, 1);
        for (messages, fault) in [
            (vec![key.clone()], "a picture before its parameter sets"),
            (vec![first.clone(), video(0, 0x27, 1)], "the first picture is no key frame"),
            (vec![first.clone(), key.clone(), video(999, 0x27, 1)], "time goes back"),
            (vec![first, key, video(1600, 0x27, 1)], "over half a second is missing"),
        ] {
            assert_eq!(broken(&messages).as_deref(), Some(fault));
        }
    }
}
