//! The painter: keeps one channel's waiting loop up to date with its notice and the time of day.
//!
//! Without a notice the loop is the one coded at start, and nothing is done. With one, the loop is coded again when
//! the notice changes and at the turn of each minute, at most once a minute, on a thread of its own; the channel
//! takes the new loop from its next waiting cell on. With the same ladder and the same encoders the parameter sets are the
//! same; a loop in which they differ is not shown.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Span, error, info};

use super::waiting::code_file;
use amphi_control::agenda::Plan;
use amphi_control::matrix::{MatrixHandle, Notice};
use amphi_ladder::card_text::Words;
use amphi_ladder::{LadderSpec, WaitingLoop};
use amphi_media::clock::WallClock;
use amphi_media::{ChannelName, MediaTime};

/// The least time between two codings.
const SELDOM: Duration = Duration::from_secs(60);
/// The pause after a change of the matrix, and the least time to the next look while a notice waits to be painted.
const SOON: Duration = Duration::from_millis(500);
/// The longest sleep, because the machine's clock may be stepped meanwhile.
const LONGEST: Duration = Duration::from_secs(5);

pub(super) struct Painter {
    pub(super) channel: ChannelName,
    pub(super) video: PathBuf,
    pub(super) spec: Arc<LadderSpec>,
    /// The loop without a notice.
    pub(super) plain: Arc<WaitingLoop>,
    pub(super) shown: watch::Sender<Arc<WaitingLoop>>,
    pub(super) matrix: MatrixHandle,
    /// The plan, for the site's time zone.
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    /// What the loop shows, and since when.
    pub(super) painted: Option<(Words, Instant)>,
    pub(super) clock: Arc<dyn WallClock>,
}

impl Painter {
    /// Works until `end`.
    pub(super) async fn run(&mut self, end: CancellationToken) {
        let mut views = self.matrix.watch();
        let mut painted_at = self.painted.as_ref().map(|(_, at)| *at);
        loop {
            let notice = views.borrow_and_update().channel(&self.channel).and_then(|it| it.notice.clone());
            let now = self.clock.now();
            let wanted = notice.as_ref().map(|notice| words(notice, now, &self.zone()));
            let rest = painted_at.map_or(Duration::ZERO, |at| SELDOM.saturating_sub(at.elapsed()));
            let mut wait = None;
            let painted = self.painted.as_ref().map(|(words, _)| words);
            match wanted {
                None if painted.is_some() => {
                    self.shown.send_replace(Arc::clone(&self.plain));
                    self.painted = None;
                }
                None => {}
                Some(words) if painted != Some(&words) && rest.is_zero() => {
                    self.paint(words.clone()).await;
                    painted_at = Some(Instant::now());
                    self.painted = Some((words, Instant::now()));
                    wait = Some(until_next_minute(now).min(LONGEST));
                }
                Some(_) => wait = Some(until_next_minute(now).min(rest.max(SOON)).min(LONGEST)),
            }
            let idle = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = end.cancelled() => return,
                changed = views.changed() => if changed.is_err() { return } else { tokio::time::sleep(SOON).await },
                () = idle => {}
            }
        }
    }

    /// The site's time zone, or this machine's if it is not known.
    fn zone(&self) -> TimeZone {
        TimeZone::get(&self.plan.borrow().timezone).unwrap_or_else(|_| TimeZone::system())
    }

    async fn paint(&self, words: Words) {
        let (channel, video, spec) = (self.channel.clone(), self.video.clone(), Arc::clone(&self.spec));
        let span = Span::current();
        let code = move || span.in_scope(|| code_file(&channel, &video, &spec, &words));
        let coded = tokio::task::spawn_blocking(code).await;
        match coded {
            Ok(Ok(coded)) if coded.tracks() == self.plain.tracks() => {
                info!(channel = self.channel.as_str(), "waiting loop coded with its notice");
                self.shown.send_replace(Arc::new(coded));
            }
            Ok(Ok(_)) => {
                error!(channel = self.channel.as_str(), "the notice changes the parameter sets: not shown");
            }
            Ok(Err(error)) => error!(channel = self.channel.as_str(), %error, "the notice is not shown"),
            Err(error) => error!(channel = self.channel.as_str(), %error, "the notice is not shown"),
        }
    }
}

fn until_next_minute(now: MediaTime) -> Duration {
    const MINUTE: i64 = 60_000_000_000;
    Duration::from_nanos((MINUTE - now.as_nanos().rem_euclid(MINUTE)) as u64)
}

/// The words on the sign at `now`, in local time. A start on another day is shown with day and month.
fn words(notice: &Notice, now: MediaTime, zone: &TimeZone) -> Words {
    let clock = |time: MediaTime| time.timestamp().to_zoned(zone.clone()).strftime("%H:%M").to_string();
    let day = |time: MediaTime| time.timestamp().to_zoned(zone.clone()).date();
    let starts = notice.starts.map(|starts| {
        if day(starts) == day(now) {
            clock(starts)
        } else {
            format!("{} {}", day(starts).strftime("%d/%m"), clock(starts))
        }
    });
    let parts = [Some(notice.place.clone()).filter(|place| !place.is_empty()), starts];
    let line = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    Words { title: notice.title.clone(), line, corner: clock(now) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_tells_title_place_start_and_the_time_of_day() {
        let at = |text: &str| {
            let time: jiff::Timestamp = text.parse().expect("a time");
            MediaTime::from_millis(time.as_millisecond())
        };
        let notice = Notice {
            title: "UE3 Biophysique".to_owned(),
            place: "Amphi A".to_owned(),
            starts: Some(at("2026-11-23T09:30:00Z")),
        };
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let words = words(&notice, at("2026-11-23T09:24:59Z"), &zone);
        assert_eq!((words.line.as_str(), words.corner.as_str()), ("Amphi A · 10:30", "10:24"));
        let tomorrow = Notice { starts: Some(at("2026-11-23T23:30:00Z")), ..notice };
        assert_eq!(super::words(&tomorrow, at("2026-11-23T09:24:59Z"), &zone).line, "Amphi A · 24/11 00:30");
        assert_eq!(until_next_minute(at("2026-11-23T09:24:59Z")), Duration::from_secs(1));
    }
}
