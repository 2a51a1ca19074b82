//! One player.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use url::Url;

use super::buffer::Buffer;
use super::connection::{Connection, ExchangeError, Want};
use super::playlist::{self, Listed, Media, Playlist};
use super::tally::Tally;
use super::{Choice, Target};

/// A live player begins so many segments before the end (RFC 8216 §6.3.3).
const BEHIND: usize = 3;
/// Media that a player of a recording fetches ahead.
const AHEAD: Duration = Duration::from_secs(30);
/// Boxes of an initialization section, and of a segment.
const INIT: &[[u8; 4]] = &[*b"ftyp", *b"moov"];
const SEGMENT: &[[u8; 4]] = &[*b"moof", *b"mdat"];
/// After a reply that is no good.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) struct Player {
    pub(super) target: Arc<Target>,
    pub(super) tally: Arc<Tally>,
    pub(super) source: Option<SocketAddr>,
    pub(super) variant: Choice,
    pub(super) seek_every: Duration,
    pub(super) end: Instant,
}

/// What a player does between two playlists.
struct Viewing<'a> {
    player: &'a Player,
    connection: Connection,
    begun: Instant,
    buffer: Buffer,
    stalled: bool,
}

impl Player {
    /// Plays until the end.
    pub(super) async fn run(self) {
        self.tally.players.fetch_add(1, Ordering::Relaxed);
        let connection = Connection::new(self.target.address, self.source, self.target.host());
        let mut viewing = Viewing {
            player: &self,
            connection,
            begun: Instant::now(),
            buffer: Buffer::default(),
            stalled: false,
        };
        // What is under way at the end is left.
        let _ = timeout_at(self.end, viewing.view()).await;
        let missing = viewing.buffer.missing(viewing.begun.elapsed());
        if missing > Duration::from_millis(500) {
            viewing.stall(missing);
        }
        self.tally.players.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Viewing<'_> {
    async fn view(&mut self) {
        let mut url = self.player.target.url.clone();
        let media = loop {
            match self.playlist(&url).await {
                Some(Playlist::Media(media)) => break media,
                Some(Playlist::Multivariant(variants)) => {
                    let index = match self.player.variant {
                        Choice::First => 0,
                        Choice::Random => fastrand::usize(..variants.len().max(1)),
                        Choice::Index(index) => index.min(variants.len().saturating_sub(1)),
                    };
                    match variants.get(index).and_then(|uri| url.join(uri).ok()) {
                        Some(chosen) => url = chosen,
                        None => self.player.tally.error("playlist", ExchangeError::Content("no variant")),
                    }
                }
                None => sleep(AGAIN).await,
            }
        };
        if let Some(init) = media.init.as_ref().and_then(|uri| url.join(uri).ok()) {
            self.fetch("initialization section", &init, INIT).await;
        }
        if media.is_ended { self.recording(&url, &media).await } else { self.live(&url, media).await }
    }

    /// Follows a live playlist: asks again after the target duration, or half of it where nothing was new (§6.3.4).
    async fn live(&mut self, url: &Url, mut media: Media) {
        let mut next = media.sequence + media.segments.len().saturating_sub(BEHIND) as u64;
        loop {
            let asked = Instant::now();
            let mut is_new = false;
            if next < media.sequence {
                self.player.tally.error("playlist", ExchangeError::Content("segments went by unseen"));
                next = media.sequence;
            }
            let skip = (next - media.sequence) as usize;
            for listed in media.segments.iter().skip(skip) {
                is_new = true;
                next += 1;
                self.segment(url, listed).await;
            }
            let wait = if is_new { media.target } else { media.target / 2 };
            sleep_until(asked + wait).await;
            match self.playlist(url).await {
                Some(Playlist::Media(newer)) if newer.sequence >= media.sequence => media = newer,
                Some(_) => {
                    self.player.tally.error("playlist", ExchangeError::Content("the sequence went back"));
                }
                None => {}
            }
        }
    }

    /// Plays a recording from a random place, and seeks to another now and then.
    async fn recording(&mut self, url: &Url, media: &Media) {
        if media.segments.is_empty() {
            self.player.tally.error("playlist", ExchangeError::Content("no segments"));
            return;
        }
        loop {
            let place = fastrand::usize(..media.segments.len());
            self.buffer = Buffer::default();
            self.begun = Instant::now();
            let until = self.begun + self.player.seek_every.mul_f64(0.5 + fastrand::f64());
            for listed in media.segments.iter().skip(place) {
                let ahead = self.buffer.ahead(self.begun.elapsed());
                sleep(ahead.saturating_sub(AHEAD)).await;
                if Instant::now() >= until {
                    break;
                }
                self.segment(url, listed).await;
            }
            // Its end, or another place: what runs dry now is no stall.
            self.buffer = Buffer::default();
            sleep_until(until).await;
            self.player.tally.seeks.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn playlist(&mut self, url: &Url) -> Option<Playlist> {
        let asked = Instant::now();
        let mut text = String::new();
        let reply = self.connection.get(path(url), Want::Text(&mut text)).await;
        let parsed = reply.and_then(|bytes| {
            self.player.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
            playlist::parse(&text).ok_or(ExchangeError::Content("not a playlist"))
        });
        match parsed {
            Ok(parsed) => {
                self.player.tally.playlists.add(asked.elapsed());
                Some(parsed)
            }
            Err(error) => {
                self.player.tally.error("playlist", error);
                None
            }
        }
    }

    async fn segment(&mut self, url: &Url, listed: &Listed) {
        let Ok(url) = url.join(&listed.uri) else { return };
        let is_first = self.buffer.ahead(self.begun.elapsed()).is_zero();
        let asked = Instant::now();
        if !self.fetch("segment", &url, SEGMENT).await {
            return;
        }
        self.player.tally.segments.add(asked.elapsed());
        let now = self.begun.elapsed();
        if let Some(stalled) = self.buffer.add(now, listed.duration) {
            self.stall(stalled);
        } else if is_first {
            self.player.tally.starts.add(now);
        }
        if let Some(late) =
            listed.ends.and_then(|ends| SystemTime::now().duration_since(UNIX_EPOCH + ends).ok())
        {
            self.player.tally.lateness.add(late);
        }
    }

    async fn fetch(&mut self, what: &'static str, url: &Url, kinds: &'static [[u8; 4]]) -> bool {
        match self.connection.get(path(url), Want::Boxes(kinds)).await {
            Ok(bytes) => {
                self.player.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
                true
            }
            Err(error) => {
                self.player.tally.error(what, error);
                false
            }
        }
    }

    fn stall(&mut self, stalled: Duration) {
        if !std::mem::replace(&mut self.stalled, true) {
            self.player.tally.stalled_players.fetch_add(1, Ordering::Relaxed);
        }
        self.player.tally.stall(stalled);
    }
}

/// As a request names it.
fn path(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}
