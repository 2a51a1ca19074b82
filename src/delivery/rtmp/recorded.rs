//! A player of a recording: sent in time with its clock and ahead of it by the buffer that the player asks for; held
//! and sought through. Only H.264 and AAC: what else is in a file has no place in RTMP's old form.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::connection::{Connection, Ended};
use crate::delivery::held::{HELD, Held};
use crate::delivery::unserved::Unserved;
use crate::delivery::{Counts, Kind};
use crate::media::Track;
use crate::rtmp::{Description, Event, StreamName, recorded_audio, recorded_opening, recorded_video};
use crate::vod::{Batch, Mount, Reel, Stream, with_extension};

/// How far ahead of its clock a player is sent media: what it asks for, within this. ffmpeg asks for 3 s.
const LEAD_MS: std::ops::RangeInclusive<u32> = 1000..=20_000;
const LEAD_MS_UNSAID: u32 = 3000;
/// Media sent at once.
const STEP: Duration = Duration::from_millis(500);

/// A recording to be played, and where from.
pub(super) struct Recorded {
    mount: Mount,
    reel: Reel,
    description: Description,
}

impl Recorded {
    /// Opens what `stream` names; of several renditions the first.
    pub(super) async fn open(
        mount: Mount,
        stream: &StreamName,
        start_ms: u32,
    ) -> Result<Self, Cow<'static, str>> {
        let path = &stream.path;
        let is_smil = stream.prefix == "smil" || path.to_ascii_lowercase().ends_with(".smil");
        let stream = match &*stream.prefix {
            "smil" if !path.to_ascii_lowercase().ends_with(".smil") => Stream::Smil(format!("{path}.smil")),
            _ if is_smil => Stream::Smil(path.clone()),
            "" | "mp4" | "flv" | "m4a" => Stream::File(with_extension(path)),
            _ => return Err("this kind of stream is not recorded".into()),
        };
        // In the words that a viewer over HTTP gets: nothing of the storage.
        let opened = mount.open(&stream).await;
        let presentation = opened.map_err(|fault| Unserved::new(path, mount.asker(), &fault).rtmp())?;
        let rendition = presentation.renditions.into_iter().next().ok_or("there is no such recording")?;
        let mut reel = Reel::new(rendition.recording);
        let description = describe(&reel).ok_or("the recording is not in H.264 and AAC, which RTMP needs")?;
        if start_ms > 0 {
            reel.seek(start_ms.into());
        }
        Ok(Self { mount, reel, description })
    }

    /// Reads the next samples and makes messages of them.
    async fn messages(&self, batch: &Batch) -> Result<Vec<Bytes>, Ended> {
        let (first, rest) = self.mount.read(self.reel.recording(), &batch.layout).await?;
        let bytes = match rest {
            None => first,
            Some(mut rest) => {
                let mut whole = BytesMut::from(&first[..]);
                while let Some(part) = rest.next().await {
                    whole.extend_from_slice(&part?);
                }
                whole.freeze()
            }
        };
        let mut messages = Vec::with_capacity(batch.samples.len());
        for sample in &batch.samples {
            let Some(media) = bytes.get(sample.place.clone()) else { continue };
            let at = timestamp_ms(sample.decode);
            let message = match sample.track {
                Track::Video => {
                    recorded_video(at, sample.sync, milliseconds(sample.composition) as i32, media)
                }
                Track::Audio => recorded_audio(at, media),
            };
            messages.extend(message);
        }
        Ok(messages)
    }
}

/// What the recording says of itself; `None` where RTMP cannot carry it.
fn describe(reel: &Reel) -> Option<Description> {
    let configuration = |track: Option<&crate::vod::Track>| match track {
        None => Some(None),
        Some(track) => track.coding.decoder_configuration().map(Some),
    };
    let movie = &reel.recording().movie;
    let size = movie.picture_size().map(|(width, height)| (u32::from(width), u32::from(height)));
    let duration_s = movie.duration_nanos() as f64 / 1e9;
    let (picture, sound) = (configuration(reel.video())?, configuration(reel.audio())?);
    Some(Description { size, duration_s, picture, sound })
}

fn milliseconds(nanos: i64) -> i64 {
    (nanos + 500_000).div_euclid(1_000_000)
}

fn timestamp_ms(nanos: i64) -> u32 {
    milliseconds(nanos).max(0) as u32
}

/// When what is sent.
struct Pace {
    /// The player's clock: it showed `position` (in nanoseconds) at `since`.
    since: Instant,
    position: i64,
    lead: Duration,
}

impl Pace {
    fn begin(reel: &Reel, buffer_ms: Option<u32>) -> Self {
        let lead = buffer_ms.unwrap_or(LEAD_MS_UNSAID).clamp(*LEAD_MS.start(), *LEAD_MS.end());
        let lead = Duration::from_millis(lead.into());
        Self { since: Instant::now(), position: reel.next_at().unwrap_or(0), lead }
    }

    /// What is decoded before this may be sent now.
    fn until(&self) -> i64 {
        let ahead = self.since.elapsed() + self.lead + STEP;
        self.position.saturating_add(ahead.as_nanos() as i64)
    }

    /// When a sample that is decoded `at` may be sent.
    fn due(&self, at: i64) -> Instant {
        let after = Duration::from_nanos(at.saturating_sub(self.position).max(0) as u64);
        self.since + after.saturating_sub(self.lead)
    }
}

impl Connection {
    /// Plays a recording until the player leaves.
    pub(super) async fn play_recorded(
        &mut self,
        counts: &Counts,
        mut recorded: Recorded,
    ) -> Result<(), Ended> {
        self.expect_little();
        let mut pace = Pace::begin(&recorded.reel, self.session.buffer_ms());
        let mut paused = false;
        let mut opened = false;
        let mut ended = false;
        let mut held = Held::default();
        loop {
            let next = recorded.reel.next_at().filter(|_| !paused && !ended);
            let now = Instant::now();
            held.look(next.is_some(), now);
            let wake = next.map_or(held.until().unwrap_or(now + HELD), |at| pace.due(at));
            let event = tokio::select! {
                event = self.event() => event?,
                () = sleep_until(wake) => {
                    if next.is_none() {
                        self.session.end_recorded("the recording was held for too long; play it again");
                        self.flush().await?;
                        return Err(Ended::Held);
                    }
                    let Some(batch) = recorded.reel.take(pace.until()) else { continue };
                    let mut pieces = Vec::new();
                    if !std::mem::replace(&mut opened, true) {
                        let first = batch.samples.first().map_or(0, |sample| timestamp_ms(sample.decode));
                        pieces.push(recorded_opening(&recorded.description, first));
                    }
                    pieces.extend(recorded.messages(&batch).await?);
                    let len = pieces.iter().map(Bytes::len).sum();
                    self.write(&mut pieces).await?;
                    counts.count(Kind::RtmpRecorded, len);
                    if recorded.reel.next_at().is_none() {
                        ended = true;
                        self.session.finish_recorded(recorded.description.duration_s);
                        self.flush().await?;
                    }
                    continue;
                }
            };
            match event {
                None => return Ok(()),
                Some(Event::Close) => return self.flush().await,
                Some(Event::Pause { paused: now, .. }) => {
                    if paused && !now {
                        pace = Pace::begin(&recorded.reel, self.session.buffer_ms());
                    }
                    paused = now;
                }
                Some(Event::Seek { position_ms }) => {
                    recorded.reel.seek(position_ms.into());
                    self.session.accept_recorded();
                    pace = Pace::begin(&recorded.reel, self.session.buffer_ms());
                    (opened, ended) = (false, false);
                }
                Some(_) => {}
            }
            self.flush().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_due_a_lead_before_its_time_and_not_before() {
        let since = Instant::now();
        let pace = Pace { since, position: 5_000_000_000, lead: Duration::from_secs(3) };
        assert_eq!(pace.due(5_000_000_000), since);
        assert_eq!(pace.due(4_000_000_000), since);
        assert_eq!(pace.due(8_000_000_000), since);
        assert_eq!(pace.due(9_500_000_000), since + Duration::from_millis(1500));
        assert!(pace.until() >= 8_500_000_000);
    }

    #[test]
    fn times_are_rounded_to_milliseconds() {
        assert_eq!([0, 499_999, 500_000, -500_001].map(milliseconds), [0, 0, 1, -1]);
        assert_eq!(timestamp_ms(-7_000_000), 0);
    }
}
