//! A player of a recording. Media is sent at the pace of the player's clock, ahead of it by the buffer that the player asks
//! for; it may pause and seek. Only H.264 and AAC are sent: RTMP without its extensions carries nothing else that is in files. Of
//! a recording with one track that it cannot carry, the other is sent alone.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::connection::{RtmpConnection, RtmpEnd};
use crate::delivery::idle_timer::{HELD, IdleTimer};
use crate::delivery::recorded_feed::{LoadedBatch, RecordedFeed, say_what_is_left_out};
use crate::delivery::unserved::Unserved;
use crate::delivery::{AnswerCounts, AnswerKind as Counted};
use amphi_media::MediaTime;
use amphi_protocol::rtmp::{self, RecordingDescription, RtmpEvent, recorded_opening, recorded_video};
use amphi_vod::{
    FrameRendition, Mount, RecordedSample, RecordingStream, SampleCursor, TrackSelection, VodFault,
};

/// How far ahead of its clock a player is sent media: what it asks for with SetBufferLength (Adobe RTMP 1.0 §7.1.7), within
/// these bounds. ffmpeg asks for 3 s.
const LEAD_MS: std::ops::RangeInclusive<u32> = 1000..=20_000;
const LEAD_MS_UNSAID: u32 = 3000;
/// How much media is sent at once.
const STEP: Duration = Duration::from_millis(500);

/// A recording to be played, and where from.
pub(super) struct Recorded {
    feed: RecordedFeed,
    description: RecordingDescription,
}

impl Recorded {
    /// Opens the recording that `stream` names, at `start_ms`. The error is told to the player.
    pub(super) async fn open(
        mount: Mount,
        stream: &RecordingStream,
        start_ms: u32,
    ) -> Result<Self, Cow<'static, str>> {
        // As over HTTP, the reason says nothing about the storage.
        let opened = mount.open(stream).await;
        let presentation =
            opened.map_err(|fault| Unserved::new(stream.path(), mount.asker(), &fault).rtmp())?;
        let rendition = presentation.for_frames().ok_or_else(|| Unserved::Missing.rtmp())?;
        let (kinds, description) =
            describe(&rendition).ok_or("the recording is not in H.264 or AAC, which RTMP needs")?;
        say_what_is_left_out("RTMP", &mount, &rendition, &kinds);
        let mut recorded = Self {
            feed: RecordedFeed::new(Arc::new(mount), SampleCursor::new(rendition, &kinds)),
            description,
        };
        if start_ms > 0 {
            recorded.seek(start_ms);
        }
        Ok(recorded)
    }

    /// Goes to `ms` on the player's clock. That clock is later than decode time by the delay between decoding and showing.
    fn seek(&mut self, ms: u32) {
        let delay = self.feed.cursor().delay();
        self.feed.seek(MediaTime::from_millis(ms.into()) - delay);
    }

    /// The time stamp of a message.
    fn timestamp_ms(&self, decode: MediaTime) -> u32 {
        timestamp_ms(decode + self.feed.cursor().delay())
    }

    fn messages(&self, batch: &LoadedBatch) -> Vec<Bytes> {
        let message = |(sample, media): (&RecordedSample, &[u8])| {
            let at = self.timestamp_ms(sample.decode);
            if sample.kind != TrackSelection::Picture {
                return rtmp::audio(at, media);
            }
            let composition = MediaTime::from_nanos(sample.shown.nanos_since(sample.decode));
            recorded_video(at, sample.sync, milliseconds(composition) as i32, media)
        };
        batch.samples().flat_map(message).collect()
    }
}

/// The tracks of a recording that RTMP can carry, with their metadata and decoder configurations; `None` if it can carry none.
fn describe(rendition: &FrameRendition) -> Option<(Vec<TrackSelection>, RecordingDescription)> {
    let (mut picture, mut sound) = (None, None);
    let mut kinds = rendition.kinds().to_vec();
    kinds.retain(|&kind| {
        let track = if kind == TrackSelection::Picture { &mut picture } else { &mut sound };
        *track = rendition.track(kind).and_then(|track| track.coding.decoder_configuration());
        track.is_some()
    });
    if kinds.is_empty() {
        return None;
    }
    let size = rendition.recording().movie.picture_size().filter(|_| picture.is_some());
    let size = size.map(|(width, height)| (u32::from(width), u32::from(height)));
    let duration_s = rendition.duration().as_secs_f64();
    Some((kinds, RecordingDescription { size, duration_s, picture, sound }))
}

/// Whole milliseconds, rounded to the nearest.
fn milliseconds(at: MediaTime) -> i64 {
    at.offset_nanos(500_000).as_millis()
}

fn timestamp_ms(at: MediaTime) -> u32 {
    milliseconds(at).max(0) as u32
}

/// When samples are sent.
struct SendSchedule {
    /// The player's clock: it showed `position` at `since`.
    since: Instant,
    position: MediaTime,
    lead: Duration,
}

impl SendSchedule {
    fn begin(feed: &RecordedFeed, buffer_ms: Option<u32>) -> Self {
        let lead = buffer_ms.unwrap_or(LEAD_MS_UNSAID).clamp(*LEAD_MS.start(), *LEAD_MS.end());
        let lead = Duration::from_millis(lead.into());
        Self { since: Instant::now(), position: feed.next_at().unwrap_or_default(), lead }
    }

    /// Samples decoded before this time may be sent now.
    fn until(&self) -> MediaTime {
        self.position + (self.since.elapsed() + self.lead + STEP)
    }

    /// When a sample that is decoded `at` may be sent.
    fn due(&self, at: MediaTime) -> Instant {
        self.since + at.saturating_since(self.position).saturating_sub(self.lead)
    }
}

impl RtmpConnection {
    /// Plays a recording until the player leaves.
    pub(super) async fn play_recorded(
        &mut self,
        counts: &AnswerCounts,
        mut recorded: Recorded,
    ) -> Result<(), RtmpEnd> {
        self.expect_little();
        let mut pace = SendSchedule::begin(&recorded.feed, self.session.buffer_ms());
        let mut paused = false;
        let mut opened = false;
        let mut ended = false;
        let mut held = IdleTimer::default();
        loop {
            let next = recorded.feed.next_at().filter(|_| !paused && !ended);
            let now = Instant::now();
            held.look(next.is_some(), now);
            let due = next.map(|at| pace.due(at));
            let event = tokio::select! {
                event = self.event() => event?,
                () = sleep_until(held.until().unwrap_or(now + HELD)), if due.is_none() => {
                    self.session.end_recorded("the recording was held for too long; play it again");
                    self.flush().await?;
                    return Err(RtmpEnd::Held);
                }
                batch = batch_at(&mut recorded.feed, &pace, due.unwrap_or(now)), if due.is_some() => {
                    // Nothing where all that is left is too long to be sent.
                    if let Some(batch) = batch? {
                        let mut pieces = Vec::new();
                        if !std::mem::replace(&mut opened, true) {
                            let first = next.map_or(0, |decode| recorded.timestamp_ms(decode));
                            pieces.push(recorded_opening(&recorded.description, first));
                        }
                        pieces.extend(recorded.messages(&batch));
                        let len = pieces.iter().map(Bytes::len).sum();
                        self.write(&mut pieces).await?;
                        counts.count(Counted::RtmpRecorded, len);
                    }
                    if recorded.feed.next_at().is_none() {
                        ended = true;
                        self.session.finish_recorded(recorded.description.duration_s);
                        self.flush().await?;
                    }
                    continue;
                }
            };
            match event {
                None => return Ok(()),
                Some(RtmpEvent::Close) => return self.flush().await,
                Some(RtmpEvent::Pause { paused: now, .. }) => {
                    if paused && !now {
                        pace = SendSchedule::begin(&recorded.feed, self.session.buffer_ms());
                    }
                    paused = now;
                }
                Some(RtmpEvent::Seek { position_ms }) => {
                    recorded.seek(position_ms);
                    self.session.accept_recorded();
                    pace = SendSchedule::begin(&recorded.feed, self.session.buffer_ms());
                    (opened, ended) = (false, false);
                }
                Some(_) => {}
            }
            self.flush().await?;
        }
    }
}

/// Waits until `due`, then reads what may be sent. May be cancelled.
async fn batch_at(
    feed: &mut RecordedFeed,
    pace: &SendSchedule,
    due: Instant,
) -> Result<Option<LoadedBatch>, VodFault> {
    sleep_until(due).await;
    feed.next(pace.until()).await
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use amphi_vod::MountSettings;

    fn at(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    #[test]
    fn media_is_due_a_lead_before_its_time_and_not_before() {
        let since = Instant::now();
        let pace = SendSchedule { since, position: at(5000), lead: Duration::from_secs(3) };
        assert_eq!(pace.due(at(5000)), since);
        assert_eq!(pace.due(at(4000)), since);
        assert_eq!(pace.due(at(8000)), since);
        assert_eq!(pace.due(at(9500)), since + Duration::from_millis(1500));
        assert!(pace.until() >= at(8500));
    }

    /// The first of these bytes in `file` from `from` on.
    fn place(file: &[u8], from: usize, what: [u8; 4]) -> usize {
        from + file[from..].windows(4).position(|it| it == what).expect("it is there")
    }

    /// What is played of `hall_a.mp4` if its sound is said to be Opus, and its picture to be coded as `entry` says.
    async fn with_opus(entry: [u8; 4]) -> FrameRendition {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hall_a.mp4");
        let mut file = std::fs::read(fixture).expect("a fixture");
        let moov = place(&file, 0, *b"moov");
        let picture = place(&file, moov, *b"avc1");
        file[picture..picture + 4].copy_from_slice(&entry);
        let sound = place(&file, moov, *b"mp4a");
        file[sound..sound + 4].copy_from_slice(b"Opus");
        let esds = place(&file, sound, *b"esds");
        file[esds..esds + 15].copy_from_slice(b"dOps\0\x02\x01\x38\0\0\xbb\x80\0\0\0");
        let root = tempfile::tempdir().expect("a directory");
        std::fs::write(root.path().join("opus.mp4"), file).expect("written");
        let settings =
            MountSettings { root: root.path().to_owned(), index: false, ..MountSettings::default() };
        let stream = RecordingStream::File("opus.mp4".to_owned());
        let presentation = Mount::new(settings).open(&stream).await.expect("it is played");
        presentation.for_frames().expect("something is played")
    }

    #[tokio::test]
    async fn what_rtmp_cannot_carry_is_left_out_and_the_rest_is_played() {
        let rendition = with_opus(*b"avc1").await;
        assert_eq!(rendition.kinds().len(), 2);
        let (kinds, description) = describe(&rendition).expect("the picture");
        assert_eq!(kinds, [TrackSelection::Picture]);
        assert!(description.picture.is_some() && description.sound.is_none() && description.size.is_some());
        assert!(describe(&with_opus(*b"none").await).is_none(), "nothing is left");
    }

    #[test]
    fn times_are_rounded_to_milliseconds() {
        assert_eq!(
            [0, 499_999, 500_000, -500_001].map(MediaTime::from_nanos).map(milliseconds),
            [0, 0, 1, -1]
        );
        assert_eq!(timestamp_ms(at(-7)), 0);
    }
}
