//! Thumbnails of sources and channels: made when they are asked for, in the workshop, one at a time.
//!
//! A source that is being decoded is shown by its ladder's newest picture. One that is not is shown as it was last
//! seen. While a console is open, the [`ThumbnailTask`] looks at idle halls again: one hall at a time, each at most
//! once in `console.glance_s`, and none that has refused the connection within the last hour. A source that is connected but
//! not decoded is looked at through the frames that it sends, without a second connection. A channel is shown by the
//! smallest rung of its newest cell, which is what its viewers see.
//!
//! Bounds: one JPEG per source and channel, some 6 KB each, renewed at most every two seconds; and the last decoded
//! picture of each source, 1.4 MB at 720p.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, info_span};

use super::inventory::{Inventory, SourceEntry};
use super::ladders::{LadderState, Ladders};
use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use crate::delivery::{PosterError, Registry, poster, thumbnail};
use amphi_admin::insight::{self, Thumbnail};
use amphi_control::matrix::{MatrixHandle, SourceState};
use amphi_media::clock::Clock;
use amphi_media::feed::{FeedItem, FeedReader};
use amphi_media::retry::Urgency;
use amphi_media::{
    ChannelName, CodedCell, Grid, Lock, MediaTime, Picture, RungTracks, SourceName, TrackFormat, h264,
};
use amphi_runtime::workshop::{Refused, Workshop};
use amphi_source::{SourceFault, glance};

/// The width in pixels: twice what a phone shows.
const WIDTH: u32 = 320;
/// How long a thumbnail is used before it is made anew.
const FRESH: Duration = Duration::from_secs(2);
/// The time between two looks for an idle hall.
const EVERY: Duration = Duration::from_secs(2);
/// After a request for a thumbnail, idle halls are looked at for so long.
const INTEREST: Duration = Duration::from_secs(30);
/// How long a source that has refused the connection is left alone: more tries may lock its account.
const REFUSED: Duration = Duration::from_secs(3600);
/// How long a feed is read for an IDR picture.
const READ: Duration = Duration::from_secs(11);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Source(SourceName),
    Channel(ChannelName),
}

impl Subject {
    fn span(&self) -> Span {
        match self {
            Self::Source(name) => info_span!(parent: None, "source", name = %name),
            Self::Channel(name) => info_span!(parent: None, "channel", name = %name),
        }
    }
}

/// A decoded picture, and when it came.
type SeenPicture = (MediaTime, Arc<Picture>);

/// The thumbnails that are kept. Clones share everything.
#[derive(Clone)]
pub(super) struct ThumbnailCache {
    ladders: Ladders,
    registry: Arc<Registry>,
    grid: Grid,
    workshop: Workshop,
    cached: Arc<Lock<BTreeMap<Subject, Thumbnail>>>,
    /// The newest picture of every source whose time was published, so that it can be shown after its ladder has ended.
    seen: Arc<Lock<BTreeMap<SourceName, SeenPicture>>>,
    asked: Arc<Lock<Option<Instant>>>,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for ThumbnailCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThumbnailCache").finish_non_exhaustive()
    }
}

impl ThumbnailCache {
    pub(super) fn new(shared: &ServerContext) -> Self {
        let ServerContext { ladders, grid, delivery, .. } = shared.clone();
        let (registry, workshop) = (Arc::clone(delivery.registry()), delivery.workshop().clone());
        let (cached, seen, asked) = (Arc::default(), Arc::default(), Arc::default());
        Self { ladders, registry, grid, workshop, cached, seen, asked, places: Arc::new(Semaphore::new(1)) }
    }

    /// The media time of the picture that a source's thumbnail would show.
    pub(super) fn source_at(&self, source: &SourceName) -> Option<MediaTime> {
        let seen = self.newest(source).map(|(at, _)| at);
        seen.max(self.cached(&Subject::Source(source.clone())).map(|it| it.at))
    }

    /// The newest picture that a ladder of this source has decoded.
    fn newest(&self, source: &SourceName) -> Option<SeenPicture> {
        let newest =
            self.meters(source).filter_map(|meter| meter.latest_picture.look()).max_by_key(|(at, _)| *at);
        let mut seen = self.seen.lock();
        if let Some(newest) = newest {
            seen.insert(source.clone(), newest);
        }
        seen.get(source).cloned()
    }

    /// The media time of the picture that a channel's thumbnail would show.
    pub(super) fn channel_at(&self, channel: &str) -> Option<MediaTime> {
        let channel = self.registry.get(channel)?;
        channel.air.as_ref()?.newest().map(|cell| self.grid.start(cell.k))
    }

    /// Forgets sources and channels that are not in the inventory any more.
    pub(super) fn keep(&self, inventory: &Inventory) {
        self.seen.lock().retain(|name, _| inventory.sources.contains_key(name));
        self.cached.lock().retain(|subject, _| match subject {
            Subject::Source(name) => inventory.sources.contains_key(name),
            Subject::Channel(name) => inventory.channels.contains_key(name),
        });
    }

    fn meters(&self, source: &SourceName) -> impl Iterator<Item = Arc<amphi_ladder::LadderMeter>> {
        let ladders = self.ladders.all().into_iter().filter(move |(key, _)| key.source == *source);
        ladders.filter_map(|(_, state)| match state {
            LadderState::Runs(meter) => Some(meter),
            LadderState::Fails(_) => None,
        })
    }

    fn cached(&self, subject: &Subject) -> Option<Thumbnail> {
        self.cached.lock().get(subject).cloned()
    }

    fn ask(&self) {
        *self.asked.lock() = Some(Instant::now());
    }

    /// Whether a thumbnail was asked for within [`INTEREST`].
    fn was_asked(&self) -> bool {
        let asked = *self.asked.lock();
        asked.is_some_and(|at| at.elapsed() < INTEREST)
    }

    /// The picture of `subject` at `at`, made by `make` unless there is one that is fresh enough.
    async fn picture(
        &self,
        subject: Subject,
        at: MediaTime,
        make: impl FnOnce() -> Result<Vec<u8>, PosterError> + Send + 'static,
    ) -> Result<Option<Thumbnail>, Refused> {
        let fresh = |kept: &Thumbnail| at.saturating_since(kept.at) < FRESH;
        if let Some(kept) = self.cached(&subject).filter(fresh) {
            return Ok(Some(kept));
        }
        let Ok(_place) = self.places.acquire().await else { return Ok(None) };
        // It may have been made while this request waited.
        if let Some(kept) = self.cached(&subject).filter(fresh) {
            return Ok(Some(kept));
        }
        let made = self.workshop.run(None, make).instrument(subject.span());
        let fault = match made.await {
            Ok(Ok(jpeg)) => {
                let made = Thumbnail { at, jpeg: Bytes::from(jpeg) };
                self.cached.lock().insert(subject, made.clone());
                return Ok(Some(made));
            }
            Ok(Err(error)) => {
                debug!(?subject, %error, "no thumbnail");
                None
            }
            Err(refused) => {
                debug!(?subject, %refused, "no thumbnail");
                Some(refused)
            }
        };
        // An older one is better than none.
        self.cached(&subject).map_or_else(|| fault.map_or(Ok(None), Err), |kept| Ok(Some(kept)))
    }

    async fn source(&self, source: &SourceName) -> Result<Option<Thumbnail>, Refused> {
        self.ask();
        let subject = Subject::Source(source.clone());
        let Some((at, picture)) = self.newest(source) else { return Ok(self.cached(&subject)) };
        self.picture(subject, at, move || thumbnail(&picture, WIDTH)).await
    }

    async fn channel(&self, name: &ChannelName) -> Result<Option<Thumbnail>, Refused> {
        let Some((at, unit)) = self.on_air(name) else { return Ok(None) };
        self.picture(Subject::Channel(name.clone()), at, move || poster(&unit, WIDTH)).await
    }

    /// The first picture of a channel's newest cell, as an access unit, with its media time.
    fn on_air(&self, name: &ChannelName) -> Option<(MediaTime, Vec<u8>)> {
        let channel = self.registry.get(name)?;
        let air = channel.air.as_ref()?;
        let cell = air.newest()?;
        Some((self.grid.start(cell.k), first_picture(air.tracks(), &cell)?))
    }
}

/// The first picture of a cell's smallest rung, as an access unit (ITU-T H.264 Annex B).
fn first_picture(tracks: &[RungTracks], cell: &CodedCell) -> Option<Vec<u8>> {
    let smallest = tracks.iter().rev().find(|rung| rung.video.is_some())?;
    let (video, index) = (smallest.video.as_ref()?, smallest.video_index?);
    let sample = cell.video.get(index)?.sample_bytes().next()?;
    let mut unit = Vec::new();
    h264::to_annex_b(&sample, Some(&video.parameter_sets), &mut unit);
    Some(unit)
}

impl insight::Thumbnails for ThumbnailCache {
    fn of_source<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Option<Thumbnail>, Refused>> {
        Box::pin(async move { self.source(&source.into()).await })
    }

    fn of_channel<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, Result<Option<Thumbnail>, Refused>> {
        Box::pin(async move { self.channel(&channel.into()).await })
    }
}

/// Starts the task that looks at idle halls; `watched` says whether a console is open.
pub(super) fn spawn(
    shared: &ServerContext,
    cache: ThumbnailCache,
    watched: impl Fn() -> bool + Send + Sync + 'static,
    stage: &mut Stage,
) {
    let glancer = ThumbnailTask {
        cache,
        matrix: shared.matrix.clone(),
        inventory: shared.inventory.clone(),
        watched: Arc::new(watched),
        every: Duration::from_secs(u64::from(shared.config.borrow().console.glance_s)),
        rest: BTreeMap::new(),
        clock: Arc::clone(&shared.clocks.media),
    };
    let end = stage.end.clone();
    stage.supervise(TaskSpec::new("thumbnails"), glancer, move |it| Box::pin(it.run(end.clone())));
}

/// Looks at idle halls while a console is open.
struct ThumbnailTask {
    cache: ThumbnailCache,
    matrix: MatrixHandle,
    inventory: watch::Receiver<Arc<Inventory>>,
    /// Whether a console is open.
    watched: Arc<dyn Fn() -> bool + Send + Sync>,
    /// The least time between two looks at one hall; zero = never.
    every: Duration,
    /// Until when a source is left alone.
    rest: BTreeMap<SourceName, Instant>,
    clock: Arc<dyn Clock>,
}

impl ThumbnailTask {
    /// Works until `end`.
    async fn run(&mut self, end: CancellationToken) {
        if self.every.is_zero() {
            return end.cancelled().await;
        }
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if !(self.watched)() && !self.cache.was_asked() {
                continue;
            }
            let inventory = Arc::clone(&self.inventory.borrow());
            self.rest.retain(|name, _| inventory.sources.contains_key(name));
            let Some((name, entry)) = self.next(&inventory) else { continue };
            let refused = tokio::select! {
                () = end.cancelled() => return,
                refused = self.glance(name, entry).instrument(info_span!(parent: None, "source", name = %name)) => refused,
            };
            let pause = if refused { REFUSED.max(self.every) } else { self.every };
            self.rest.insert(name.clone(), Instant::now() + pause);
        }
    }

    /// An idle or undecoded source that need not be left alone and was not seen for long.
    fn next<'a>(&self, inventory: &'a Inventory) -> Option<(&'a SourceName, &'a SourceEntry)> {
        let now = self.clock.now();
        inventory.sources.iter().find(|(name, entry)| {
            let state = entry.status.borrow().state;
            let rests = self.rest.get(*name).is_some_and(|until| Instant::now() < *until);
            let seen = self.cache.source_at(name).map(|at| now.saturating_since(at));
            let can_be_seen = match state {
                SourceState::Idle => entry.inlet.is_none(),
                SourceState::Live => self.cache.meters(name).next().is_none(),
                _ => false,
            };
            let is_old = seen.is_none_or(|since| since >= self.every);
            can_be_seen && !rests && is_old && !self.matrix.view().wanted(name)
        })
    }

    /// Takes one picture; gives up as soon as a channel wants the source. Returns whether the source refused the connection.
    async fn glance(&self, name: &SourceName, entry: &SourceEntry) -> bool {
        let mut wanted = entry.wanted.subscribe();
        let keep_open = entry.keep_open;
        let is_wanted = async move {
            if keep_open || wanted.wait_for(|wanted| *wanted).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let picture = tokio::select! {
            picture = self.picture(entry) => picture,
            () = is_wanted => return false,
        };
        match picture {
            Ok(unit) => {
                let (subject, at) = (Subject::Source(name.clone()), self.clock.now());
                // If the workshop is full, it is made another time.
                drop(self.cache.picture(subject, at, move || poster(&unit, WIDTH)).await);
                false
            }
            Err(fault) => {
                debug!(source = name.as_str(), %fault, "an idle hall could not be looked at");
                fault.retry() == Urgency::Refused
            }
        }
    }

    async fn picture(&self, entry: &SourceEntry) -> Result<Vec<u8>, SourceFault> {
        if entry.status.borrow().state == SourceState::Live {
            let reader = entry.feed.subscribe();
            let span = Span::current();
            let looking = move || span.in_scope(|| passing_picture(&reader));
            let read = tokio::task::spawn_blocking(looking).await;
            return read.ok().flatten().ok_or(SourceFault::NoSyncFrame(READ.as_secs()));
        }
        glance(entry.url.reveal(), &entry.ca_file, entry.transport, Arc::clone(&self.clock)).await
    }
}

/// The next IDR picture of a feed, with its parameter sets. Blocks.
fn passing_picture(reader: &FeedReader) -> Option<Vec<u8>> {
    let until = std::time::Instant::now() + READ;
    while std::time::Instant::now() < until {
        let frame = match reader.next(Duration::from_millis(200)) {
            FeedItem::Frame(frame) => frame,
            FeedItem::Nothing => continue,
            FeedItem::Ended => return None,
        };
        if let TrackFormat::H264(parameter_sets) = &*frame.format
            && h264::is_idr(&frame.data)
        {
            let mut unit = Vec::new();
            h264::to_annex_b(&frame.data, Some(parameter_sets), &mut unit);
            return Some(unit);
        }
    }
    None
}
