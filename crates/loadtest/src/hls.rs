//! A player of HLS (RFC 8216).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use url::Url;

use super::VariantChoice;
use super::connection::HttpConnection;
use super::fault::ExchangeError;
use super::followed::{FollowedPlaylist, same_place};
use super::fragment::{BodyCheck, Continuity};
use super::library::{PlayableVariant, Read, path};
use super::screen::{AGAIN, Screen};
use amphi_container::hls::MediaSegment;
use amphi_media::MediaTime;

/// A live player begins so many segments before the end (§6.3.3).
const BEHIND: u64 = 3;
/// How much media a player of a recording fetches ahead.
const AHEAD: Duration = Duration::from_secs(30);
/// An adaptive player's first estimate of the rate, as in hls.js, in bits per second.
const FIRST_GUESS: f64 = 500e3;
/// The share of the measured rate that a variant may have.
const CAUTION: f64 = 0.8;
/// The weight of the newest measurement.
const NEWEST: f64 = 0.3;

/// One player of HLS.
pub(super) struct Viewing<'a> {
    screen: &'a mut Screen,
    connection: HttpConnection,
    text: Vec<u8>,
    /// Duration of the media that was added to the buffer.
    shown: Duration,
    rate_bps: f64,
}

impl<'a> Viewing<'a> {
    pub(super) fn new(screen: &'a mut Screen, source: Option<SocketAddr>) -> Self {
        let connection = HttpConnection::new(&screen.test.target, source, &screen.test.tls);
        Self { screen, connection, text: Vec::new(), shown: Duration::ZERO, rate_bps: FIRST_GUESS }
    }

    pub(super) async fn view(&mut self) {
        let url = self.screen.test.target.url.clone();
        let read = self.insist(&url).await;
        let Read::Multivariant(variants) = &*read else {
            let main = self.rendition(url, read).await;
            return self.play(main, None, &[], 0).await;
        };
        let index = self.choose(variants, 0, true);
        let Some(variant) = variants.get(index) else {
            return self.screen.error("playlist", ExchangeError::Content("no variant"));
        };
        let read = self.insist(&variant.url).await;
        let main = self.rendition(variant.url.clone(), read).await;
        let audio = match &variant.audio {
            Some(url) => {
                let read = self.insist(url).await;
                Some(self.rendition(url.clone(), read).await)
            }
            None => None,
        };
        self.play(main, audio, variants, index).await;
    }

    async fn play(
        &mut self,
        main: FollowedPlaylist,
        audio: Option<FollowedPlaylist>,
        variants: &[PlayableVariant],
        index: usize,
    ) {
        if main.is_ended() {
            self.recording(main, audio, variants, index).await;
        } else {
            self.live(main, audio, variants, index).await;
        }
    }

    /// The index of the variant to play next, `now` being the present one. `first`: there is none yet.
    fn choose(&self, variants: &[PlayableVariant], now: usize, first: bool) -> usize {
        match self.screen.test.variant {
            VariantChoice::First => 0,
            VariantChoice::Random if first => fastrand::usize(..variants.len().max(1)),
            VariantChoice::Random => now,
            VariantChoice::Index(index) => index.min(variants.len().saturating_sub(1)),
            VariantChoice::Adaptive => {
                let all = || variants.iter().enumerate();
                let fitting = all().filter(|(_, it)| it.bandwidth_bps as f64 <= self.rate_bps * CAUTION);
                let best = fitting.max_by_key(|(_, it)| it.bandwidth_bps);
                let least = || all().min_by_key(|(_, it)| it.bandwidth_bps);
                best.or_else(least).map_or(0, |(index, _)| index)
            }
        }
    }

    /// Changes to another variant if the measured rate asks for it.
    async fn adapt(&mut self, main: &mut FollowedPlaylist, variants: &[PlayableVariant], index: &mut usize) {
        let wanted = self.choose(variants, *index, false);
        let Some(variant) = variants.get(wanted).filter(|_| wanted != *index) else { return };
        let Some(read) = self.playlist(&variant.url).await else { return };
        let mut other = self.rendition(variant.url.clone(), read).await;
        let tracks = other.continuity.tracks().to_vec();
        std::mem::swap(&mut other.continuity, &mut main.continuity);
        other.continuity.change(tracks);
        // All variants have the same numbers (§6.2.4), except that one may not have the newest segment yet.
        (other.next, other.received) = (main.next, main.received);
        *main = other;
        *index = wanted;
        self.screen.test.tally.switches.fetch_add(1, Ordering::Relaxed);
    }

    /// Follows live playlists: reloads after the target duration, or after half of it if nothing was new (§6.3.4).
    async fn live(
        &mut self,
        mut main: FollowedPlaylist,
        mut audio: Option<FollowedPlaylist>,
        variants: &[PlayableVariant],
        mut index: usize,
    ) {
        for rendition in std::iter::once(&mut main).chain(&mut audio) {
            let first = rendition.media().map_or(0, |media| media.media_sequence);
            rendition.next = rendition.end().saturating_sub(BEHIND).max(first);
        }
        loop {
            let asked = Instant::now();
            let mut is_new = false;
            while let Some(listed) = main.listed() {
                is_new = true;
                self.segment(&mut main, &listed).await;
                if let Some(audio) = &mut audio {
                    self.catch_up(audio, main.received).await;
                }
                self.show(&main, audio.as_ref());
            }
            if let Some(audio) = &mut audio {
                self.catch_up(audio, main.received).await;
            }
            self.show(&main, audio.as_ref());
            self.adapt(&mut main, variants, &mut index).await;
            let target = main.media().map_or(AGAIN, |media| Duration::from_secs(media.target_duration_s));
            sleep_until(asked + if is_new { target } else { target / 2 }).await;
            self.refresh(&mut main).await;
            if let Some(audio) = &mut audio {
                self.refresh(audio).await;
            }
            if main.is_ended() && main.listed().is_none() {
                // The broadcast is over. What is in the buffer is played; that it runs dry then is no stall.
                return self.screen.begin_again();
            }
        }
    }

    /// Reloads the playlist of `rendition`.
    async fn refresh(&mut self, rendition: &mut FollowedPlaylist) {
        let Some(read) = self.playlist(&rendition.url).await else { return };
        let Read::Media(newer) = &*read else { return };
        if rendition.media().is_some_and(|known| newer.media_sequence < known.media_sequence) {
            self.screen.error("playlist", ExchangeError::Content("the sequence went back"));
            return;
        }
        if rendition.next < newer.media_sequence {
            self.screen.error("playlist", ExchangeError::Content("segments were missed"));
            rendition.continuity.forget();
            rendition.next = newer.media_sequence;
        }
        rendition.read = read;
    }

    /// Fetches sound up to the duration `until`, as far as it is listed.
    async fn catch_up(&mut self, audio: &mut FollowedPlaylist, until: Duration) {
        while audio.received < until {
            let Some(listed) = audio.listed() else { return };
            self.segment(audio, &listed).await;
        }
    }

    /// Adds media to the buffer that has come in both picture and sound.
    fn show(&mut self, main: &FollowedPlaylist, audio: Option<&FollowedPlaylist>) {
        let both = audio.map_or(main.received, |audio| audio.received.min(main.received));
        if both > self.shown {
            self.screen.arrived(both.saturating_sub(self.shown));
            self.shown = both;
        }
    }

    /// Plays a recording from a random segment on, and seeks to another now and then.
    async fn recording(
        &mut self,
        mut main: FollowedPlaylist,
        mut audio: Option<FollowedPlaylist>,
        variants: &[PlayableVariant],
        mut index: usize,
    ) {
        let first = main.media().map_or(0, |media| media.media_sequence);
        if first == main.end() {
            return self.screen.error("playlist", ExchangeError::Content("no segments"));
        }
        if self.screen.test.is_unpaced {
            return self.unpaced(main, audio, first).await;
        }
        loop {
            main.next = fastrand::u64(first..main.end());
            if let Some(audio) = &mut audio {
                audio.next = same_place(&main, audio);
            }
            for rendition in std::iter::once(&mut main).chain(&mut audio) {
                rendition.continuity.forget();
                rendition.received = Duration::ZERO;
            }
            self.shown = Duration::ZERO;
            self.screen.begin_again();
            let until = self.screen.begun + self.screen.test.seek_every.mul_f64(0.5 + fastrand::f64());
            while let Some(listed) = main.listed() {
                let ahead = self.screen.buffer.ahead(self.screen.begun.elapsed());
                sleep_until((Instant::now() + ahead.saturating_sub(AHEAD)).min(until)).await;
                if Instant::now() >= until {
                    break;
                }
                self.segment(&mut main, &listed).await;
                if let Some(audio) = &mut audio {
                    self.catch_up(audio, main.received).await;
                }
                self.show(&main, audio.as_ref());
                self.adapt(&mut main, variants, &mut index).await;
            }
            // At the end, or before a seek: that the buffer runs dry now is no stall.
            self.screen.begin_again();
            sleep_until(until).await;
            self.screen.test.tally.seeks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Fetches the segments of a recording as fast as they come, from a random one on and in a circle.
    async fn unpaced(&mut self, mut main: FollowedPlaylist, mut audio: Option<FollowedPlaylist>, first: u64) {
        let mut from = fastrand::u64(first..main.end());
        loop {
            main.next = from;
            if let Some(audio) = &mut audio {
                audio.next = same_place(&main, audio);
            }
            for rendition in std::iter::once(&mut main).chain(&mut audio) {
                rendition.continuity.forget();
            }
            while let Some(listed) = main.listed() {
                let before = main.received;
                self.segment(&mut main, &listed).await;
                if let Some(audio) = &mut audio {
                    self.catch_up(audio, main.received).await;
                }
                self.show(&main, audio.as_ref());
                if main.received == before {
                    sleep(AGAIN).await;
                }
            }
            from = first;
        }
    }

    /// Begins to follow a playlist that has just been read; fetches its initialization section.
    async fn rendition(&mut self, url: Url, read: Arc<Read>) -> FollowedPlaylist {
        let mut rendition = FollowedPlaylist {
            url,
            read,
            next: 0,
            init: None,
            continuity: Continuity::default(),
            received: Duration::ZERO,
        };
        self.initialize(&mut rendition).await;
        rendition
    }

    /// Fetches the initialization section if the playlist names another one now.
    async fn initialize(&mut self, rendition: &mut FollowedPlaylist) {
        let wanted = rendition.media().and_then(|media| media.map.clone());
        if wanted == rendition.init {
            return;
        }
        if let Some(path) = &wanted {
            let mut check = BodyCheck::default();
            let reply = self.connection.get(path, &mut check).await;
            match reply.and_then(|bytes| {
                self.screen.bytes(bytes);
                check.finish_init()
            }) {
                Ok(tracks) => rendition.continuity = Continuity::of(tracks),
                Err(error) => return self.screen.error("initialization section", error),
            }
        }
        rendition.init = wanted;
    }

    /// Fetches a playlist, again and again until it is there.
    async fn insist(&mut self, url: &Url) -> Arc<Read> {
        loop {
            match self.playlist(url).await {
                Some(read) => return read,
                None => sleep(AGAIN).await,
            }
        }
    }

    async fn playlist(&mut self, url: &Url) -> Option<Arc<Read>> {
        let asked = Instant::now();
        self.text.clear();
        let reply = self.connection.get(path(url), &mut self.text).await;
        let took = asked.elapsed();
        let read = reply.and_then(|bytes| {
            self.screen.bytes(bytes);
            self.screen.test.library.read(url, &self.text)
        });
        match read {
            Ok(read) => {
                let tally = &self.screen.test.tally;
                tally.playlists.add(took);
                if let Read::Media(media) = &*read
                    && let Some(ends) = media.segments.last().filter(|_| !media.is_ended).and_then(end_of)
                {
                    tally.staleness.add(since(ends));
                }
                Some(read)
            }
            Err(error) => {
                self.screen.error("playlist", error);
                None
            }
        }
    }

    async fn segment(&mut self, rendition: &mut FollowedPlaylist, listed: &MediaSegment) {
        rendition.next += 1;
        self.initialize(rendition).await;
        if listed.is_discontinuous {
            rendition.continuity.forget();
        }
        let asked = Instant::now();
        let mut check = BodyCheck::of(rendition.continuity.tracks(), self.screen.test.body_use);
        let reply = self.connection.get(&listed.uri, &mut check).await;
        let took = asked.elapsed();
        let facts = reply.and_then(|bytes| {
            self.screen.bytes(bytes);
            let measured = bytes as f64 * 8.0 / took.as_secs_f64().max(1e-6);
            self.rate_bps += NEWEST * (measured - self.rate_bps);
            check.finish_segment()
        });
        match facts {
            Ok(facts) => {
                let tally = &self.screen.test.tally;
                tally.segments.add(took);
                if let Some(ends) = end_of(listed).filter(|_| !rendition.is_ended()) {
                    tally.lateness.add(since(ends));
                }
                if let Err(error) = rendition.continuity.follow(&facts) {
                    self.screen.error("segment", error);
                }
                rendition.received += listed.duration;
            }
            Err(error) => {
                rendition.continuity.forget();
                self.screen.error("segment", error);
            }
        }
    }
}

/// When the segment ended by EXT-X-PROGRAM-DATE-TIME (§4.3.2.6); `None` without it.
fn end_of(segment: &MediaSegment) -> Option<MediaTime> {
    segment.program_date_time.map(|start| start + segment.duration)
}

/// The time from `moment` to now, by the machine's clock.
fn since(moment: MediaTime) -> Duration {
    MediaTime::from(jiff::Timestamp::now()).saturating_since(moment)
}
