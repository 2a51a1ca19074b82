//! A mount: a directory whose recordings are served. The shell around this crate's cores.

mod captions;
mod files;
mod kept_texts;
mod sent;
mod transcoded;
mod versions;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use amphi_media::Lock;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::BoxStream;
use moka::future::Cache;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{Instrument, Span, info_span, warn};

use super::Layout;
use super::buffers::{self, Buffers};
use super::cut::Trim;
use super::fault::VodFault;
use super::listing::Listed;
use super::names::{FileNames, TrackSelection};
use super::open_file::OpenFile;
use super::presentation::{Presentation, Rendition};
use super::reading::{Index, IndexSearch};
use super::recording::Recording;
use super::report::{RecordingReport, RecordingReports};
use super::smil::{FILM_EXTENSIONS, Smil, SmilRendition, TextStream};
use super::stamp::Stamp;
use amphi_container::mp4::Extent;
use amphi_container::webvtt::TimedText;
use amphi_media::charset::{Encoding, WINDOWS_1252};
use amphi_runtime::workshop::Workshop;
use amphi_sound::CodedFrames;
use files::{KnownListed, composed, list, open_file, read_smil, stamp_of};
use kept_texts::KeptTexts;

/// How long the state of a file is taken to be unchanged.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long the list of all recordings is kept.
const LIST_AGAIN: Duration = Duration::from_secs(30);
/// The longest time for one piece of work on the storage, waiting for a thread included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Threads that the storage of one mount can hold at most: a share of the pool's 512.
pub(super) const THREADS: usize = 64;
/// Memory for indexes: about 250 hours of recordings.
const INDEX_MEMORY: u64 = 512 << 20;
/// Most recordings of one mount that are kept open for the next viewer: each takes a file descriptor. Those that somebody
/// watches stay open in addition.
pub const OPEN_MAX: u64 = 512;
/// Memory for segments' heads and places of samples: enough for what a lecture hall watches at once.
const LAYOUT_MEMORY: u64 = 16 << 20;
/// Memory for sound that was coded: 45 minutes at 96 kbit/s.
const CODED_MEMORY: u64 = 32 << 20;
/// Memory for the cues of subtitles.
const CUES_MEMORY: u64 = 32 << 20;
/// Most bytes of a key frame that is decoded for a poster: more than any camera sends.
const PICTURE_MAX: u64 = 32 << 20;
/// Most names whose state is remembered.
const STAMPS: u64 = 100_000;
/// Most names whose version is remembered, and for how long: longer than any lecture, with its breaks.
const OFFERED_MAX: u64 = 20_000;
const OFFERED_FOR: Duration = Duration::from_secs(12 * 3600);
/// Bytes read at once: few enough to be sent while they are still in the processor's cache.
const PART: u64 = buffers::LEN as u64;

/// What a mount serves, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSettings {
    /// The directory beneath which files are opened.
    pub root: PathBuf,
    /// About how long segments are, in milliseconds.
    pub segment_ms: u32,
    /// Whether whole files may be fetched.
    pub download: bool,
    /// Whether pictures (`poster.jpg`) may be fetched.
    pub poster: bool,
    /// Whether the list of recordings may be fetched.
    pub index: bool,
    /// The encoding of text files that do not say theirs and are not UTF-8.
    pub text_encoding: &'static Encoding,
}

impl Default for MountSettings {
    fn default() -> Self {
        Self {
            root: PathBuf::new(),
            segment_ms: 6000,
            download: true,
            poster: true,
            index: false,
            text_encoding: WINDOWS_1252,
        }
    }
}

/// What the stream part of a URL names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordingStream {
    /// A SMIL file, from the mount's root.
    Smil(String),
    /// One media file, from the mount's root.
    File(String),
}

impl RecordingStream {
    /// The file's path, from the mount's root.
    pub fn path(&self) -> &str {
        match self {
            Self::Smil(path) | Self::File(path) => path,
        }
    }
}

/// All recordings of a mount at a moment.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The recordings in order of their titles.
    pub recordings: Arc<Vec<Listed>>,
    /// Paths of SMIL files that cannot be read, and so are not among them.
    pub unreadable: Arc<Vec<String>>,
    /// Counts the listings that were made, so that a new one is noticed.
    pub look: u64,
}

/// Opens recordings and reads them. Clones share everything but the asker.
#[derive(Clone, Debug)]
pub struct Mount {
    settings: Arc<MountSettings>,
    /// No other mount of this process has it.
    serial: u64,
    /// Where answers are computed; `asker` has a share of its places.
    workshop: Workshop,
    asker: Option<IpAddr>,
    open: Arc<AtomicUsize>,
    cues: Cache<(String, Stamp), Arc<TimedText>>,
    kept: KeptTexts,
    layouts: Cache<String, Arc<Layout>>,
    /// Sound that was coded, block by block.
    coded: Cache<String, Arc<CodedFrames>>,
    /// Why files in their present state have no index.
    damaged: Cache<(String, Stamp), VodFault>,
    looks: Arc<AtomicU64>,
    threads: Arc<Semaphore>,
    stamps: Cache<String, Stamp>,
    recordings: Cache<(String, Stamp), Arc<Recording>>,
    smils: Cache<(String, Stamp), Arc<Smil>>,
    last_good: Cache<String, Arc<Smil>>,
    sidecars: Cache<String, Arc<Vec<TextStream>>>,
    listing: Cache<(), Listing>,
    listed: Arc<KnownListed>,
    /// Where the versions are that names beneath a stream mean.
    offered: Cache<(RecordingStream, FileNames), (String, Stamp)>,
    reports: Arc<Lock<RecordingReports>>,
    /// Files that have been looked at by [`Mount::look`].
    looked: Cache<(String, Stamp), ()>,
    buffers: Buffers,
    /// When a recording was last opened or read.
    asked: Arc<Lock<Option<Instant>>>,
}

impl Mount {
    /// A mount with empty caches. Its directory need not be there yet.
    pub fn new(settings: MountSettings) -> Self {
        Self::keeping_open(settings, OPEN_MAX)
    }

    /// The same, but it keeps so many recordings open for the next viewer, [`OPEN_MAX`] at most.
    pub fn keeping_open(settings: MountSettings, open_max: u64) -> Self {
        static MOUNTS: AtomicU64 = AtomicU64::new(0);
        // A small recording counts at least for its share of file descriptors.
        let share = (INDEX_MEMORY / open_max.clamp(1, OPEN_MAX)) as u32;
        let weigh = move |_: &(String, Stamp), recording: &Arc<Recording>| {
            u32::try_from(recording.memory()).unwrap_or(u32::MAX).max(share)
        };
        let weigh_cues =
            |_: &(String, Stamp), cues: &Arc<TimedText>| u32::try_from(cues.memory()).unwrap_or(u32::MAX);
        let weigh_coded = |name: &String, coded: &Arc<CodedFrames>| {
            u32::try_from(name.len() + coded.bytes.len() + 4 * coded.ends.capacity()).unwrap_or(u32::MAX)
        };
        let weigh_layout = |name: &String, layout: &Arc<Layout>| {
            u32::try_from(name.len() + layout.memory()).unwrap_or(u32::MAX)
        };
        Self {
            settings: Arc::new(settings),
            serial: MOUNTS.fetch_add(1, Ordering::Relaxed),
            workshop: Workshop::default(),
            asker: None,
            open: Arc::default(),
            cues: Cache::builder().weigher(weigh_cues).max_capacity(CUES_MEMORY).build(),
            kept: KeptTexts::default(),
            coded: Cache::builder().weigher(weigh_coded).max_capacity(CODED_MEMORY).build(),
            layouts: Cache::builder().weigher(weigh_layout).max_capacity(LAYOUT_MEMORY).build(),
            damaged: Cache::builder().max_capacity(10_000).time_to_live(LOOK_AGAIN * 5).build(),
            looks: Arc::default(),
            threads: Arc::new(Semaphore::new(THREADS)),
            stamps: Cache::builder().max_capacity(STAMPS).time_to_live(LOOK_AGAIN).build(),
            recordings: Cache::builder()
                .weigher(weigh)
                .max_capacity(INDEX_MEMORY)
                .time_to_idle(Duration::from_secs(3600))
                .build(),
            smils: Cache::new(10_000),
            last_good: Cache::new(10_000),
            sidecars: Cache::builder().max_capacity(10_000).time_to_live(LOOK_AGAIN * 5).build(),
            listing: Cache::builder().max_capacity(1).time_to_live(LIST_AGAIN).build(),
            listed: Arc::default(),
            offered: Cache::builder().max_capacity(OFFERED_MAX).time_to_live(OFFERED_FOR).build(),
            reports: Arc::default(),
            looked: Cache::new(STAMPS),
            buffers: Buffers::default(),
            asked: Arc::default(),
        }
    }

    /// How long nobody has opened or read a recording; `None` if nobody ever has.
    pub fn idle_for(&self) -> Option<Duration> {
        self.asked.lock().map(|at| at.elapsed())
    }

    fn ask(&self) {
        *self.asked.lock() = Some(Instant::now());
    }

    /// The same mount, but its answers are computed in `workshop`.
    #[must_use]
    pub fn in_workshop(self, workshop: Workshop) -> Self {
        Self { workshop, ..self }
    }

    /// The same mount for the requests of one asker (a viewer's IP address), who has a share of the workshop's places.
    #[must_use]
    pub fn asked_by(self, asker: Option<IpAddr>) -> Self {
        Self { asker, ..self }
    }

    /// The asker whose requests this is for.
    pub const fn asker(&self) -> Option<IpAddr> {
        self.asker
    }

    /// A number that no other mount has had.
    pub const fn serial(&self) -> u64 {
        self.serial
    }

    /// How many recordings' files are open: the kept ones, [`OPEN_MAX`] at most, and those that are being watched.
    pub fn open_files(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The settings that it was made with.
    pub fn settings(&self) -> &MountSettings {
        &self.settings
    }

    /// How many recordings' indexes are kept.
    pub fn indexes(&self) -> u64 {
        self.recordings.entry_count()
    }

    /// Memory that indexes take, in bytes.
    pub fn index_bytes(&self) -> u64 {
        self.recordings.weighted_size()
    }

    /// The renditions of `stream`. Those of a SMIL file that are missing, unfinished or damaged are left
    /// out, as long as one remains.
    pub async fn open(&self, stream: &RecordingStream) -> Result<Presentation, VodFault> {
        self.ask();
        let presentation = self.opened(stream).await?;
        self.offer(stream, &presentation).await;
        Ok(presentation)
    }

    async fn opened(&self, stream: &RecordingStream) -> Result<Presentation, VodFault> {
        match stream {
            RecordingStream::File(path) => {
                let recording = self.recording(path).await?;
                let rendition = Rendition { recording, trim: Trim::default(), kind: TrackSelection::Both };
                Ok(Presentation { renditions: vec![rendition], smil: None })
            }
            RecordingStream::Smil(path) => {
                let smil = self.smil(path).await?;
                let opened =
                    join_all(smil.renditions.iter().map(|rendition| self.beside(path, rendition))).await;
                let mut first = VodFault::NotFound;
                let mut renditions = Vec::new();
                for (opened, rendition) in opened.into_iter().zip(&smil.renditions) {
                    match opened {
                        Ok(recording) => {
                            // A playlist may ask for tracks that the file does not have.
                            let is_there = recording.tracks(rendition.kind).is_some();
                            let kind = if is_there { rendition.kind } else { TrackSelection::Both };
                            renditions.push(Rendition { recording, trim: rendition.trim, kind });
                        }
                        Err(fault) => {
                            if fault != VodFault::NotFound {
                                if amphi_runtime::log::may_say("rendition", self.asker) {
                                    warn!(smil = path, %fault, "a rendition is left out");
                                }
                                first = fault;
                            }
                        }
                    }
                }
                if renditions.is_empty() {
                    Err(first)
                } else {
                    Ok(Presentation { renditions, smil: Some(smil) })
                }
            }
        }
    }

    async fn beside(&self, smil: &str, rendition: &SmilRendition) -> Result<Arc<Recording>, VodFault> {
        let mut last = VodFault::NotFound;
        for path in candidates(smil, rendition) {
            match self.recording(&path).await {
                Err(VodFault::NotFound) => {}
                Err(fault) => last = fault,
                Ok(recording) => return Ok(recording),
            }
        }
        Err(last)
    }

    /// The file at `path` with its index; the index is built once, however many ask for it.
    pub async fn recording(&self, path: &str) -> Result<Arc<Recording>, VodFault> {
        let stamp = self.stamp(path).await?;
        let key = (path.to_owned(), stamp);
        if let Some(fault) = self.damaged.get(&key).await {
            return Err(fault);
        }
        match self.recordings.try_get_with(key.clone(), self.index(path)).await {
            Ok(recording) => {
                if recording.stamp != stamp {
                    // It was replaced between the look and the opening; its names mean what was opened.
                    let place = (path.to_owned(), recording.stamp);
                    self.recordings.insert(place, Arc::clone(&recording)).await;
                    self.recordings.invalidate(&key).await;
                }
                Ok(recording)
            }
            Err(fault) => {
                if fault.is_of_the_file() {
                    // Anybody may ask for another file as if it were a film; what SMIL files name is looked at anyway.
                    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
                    if FILM_EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)) {
                        self.report_fault(path, stamp, &fault);
                    }
                    self.damaged.insert(key, VodFault::clone(&fault)).await;
                }
                Err(VodFault::clone(&fault))
            }
        }
    }

    /// Opens a file and builds its index, in a span with its name.
    async fn index(&self, path: &str) -> Result<Arc<Recording>, VodFault> {
        let span = info_span!("recording", name = %path);
        Box::pin(self.read_index(path)).instrument(span).await
    }

    /// Reads on threads that may wait, and parses in the workshop.
    async fn read_index(&self, path: &str) -> Result<Arc<Recording>, VodFault> {
        let (owned, settings, open) = (path.to_owned(), Arc::clone(&self.settings), Arc::clone(&self.open));
        let opened = self.on_thread(move || {
            let (file, stamp) = open_file(&settings, &owned)?;
            Ok((Arc::new(OpenFile::new(file, &open)), stamp))
        });
        let (file, stamp) = opened.await?;
        let (mut search, mut index) = (IndexSearch::default(), Index::default());
        loop {
            let (owned, read) = (path.to_owned(), Arc::clone(&file));
            let gathered;
            (search, gathered) = self
                .on_thread(move || {
                    let gathered = search.gather(&read, stamp.len, &owned)?;
                    Ok((search, gathered))
                })
                .await?;
            let owned = path.to_owned();
            let more;
            (index, more) = self
                .work(move || {
                    let more = index.take(gathered, stamp.len, &owned)?;
                    Ok((index, more))
                })
                .await?;
            if !more {
                break;
            }
        }
        file.indexed(search.digest());
        let (owned, read) = (path.to_owned(), Arc::clone(&file));
        self.on_thread(move || is_one_version(&read, stamp, &owned)).await?;
        let (owned, segment_ms) = (path.to_owned(), self.settings.segment_ms);
        let recording = self
            .work(move || {
                let movie = index.finish(&owned)?;
                let recording = Recording::new(owned, stamp, file, movie, segment_ms);
                if let Some(fault) = recording.nothing_left() {
                    return Err(fault);
                }
                Ok(Arc::new(recording))
            })
            .await?;
        self.say_transcoded(&recording).await;
        self.report(path, stamp, RecordingReport::of_movie(path, &recording.movie));
        Ok(recording)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, VodFault> + Send + 'static,
    ) -> Result<T, VodFault> {
        self.compute(work).await?
    }

    /// Computes an answer in the workshop, on account of the asker whom this mount is for.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, VodFault> {
        Ok(self.workshop.run(self.asker, work).await?)
    }

    async fn stamp(&self, path: &str) -> Result<Stamp, VodFault> {
        let look = async {
            let (owned, settings) = (path.to_owned(), Arc::clone(&self.settings));
            self.on_thread(move || stamp_of(&settings, &owned)).await
        };
        let stamp = self.stamps.try_get_with(path.to_owned(), look).await;
        stamp.map_err(|fault| {
            if *fault == VodFault::NotFound {
                self.reports.lock().forget(path);
            }
            VodFault::clone(&fault)
        })
    }

    async fn smil(&self, path: &str) -> Result<Arc<Smil>, VodFault> {
        let stamp = self.stamp(path).await?;
        let read = async {
            let (owned, settings) = (path.to_owned(), Arc::clone(&self.settings));
            let span = info_span!("recording", name = %path);
            self.on_thread(move || read_smil(&settings, &owned)).instrument(span).await.map(Arc::new)
        };
        match self.smils.try_get_with((path.to_owned(), stamp), read).await {
            Ok(smil) => {
                self.reports.lock().note(path, stamp, RecordingReport::of_smil(path, &smil));
                self.last_good.insert(path.to_owned(), Arc::clone(&smil)).await;
                Ok(smil)
            }
            Err(fault) => {
                let last_good = self.last_good.get(path).await;
                if let (VodFault::Smil { .. }, Some(smil)) = (&*fault, last_good) {
                    self.reports.lock().note(path, stamp, Some(RecordingReport::of_last_good(path, &fault)));
                    if amphi_runtime::log::may_say("last good", self.asker) {
                        warn!(smil = path, %fault, "answered from the last good reading");
                    }
                    return Ok(smil);
                }
                if fault.is_of_the_file() {
                    self.report_fault(path, stamp, &fault);
                }
                Err(VodFault::clone(&fault))
            }
        }
    }

    /// All recordings that SMIL files name, in order of their titles.
    pub async fn list(&self) -> Result<Arc<Vec<Listed>>, VodFault> {
        self.listing().await.map(|listing| listing.recordings)
    }

    /// The same with the number of the listing.
    pub async fn listing(&self) -> Result<Listing, VodFault> {
        let look = async {
            let (settings, known) = (Arc::clone(&self.settings), Arc::clone(&self.listed));
            let (mut recordings, unreadable) = self.on_thread(move || list(&settings, &known)).await?;
            let reports = self.reports.lock();
            for listed in &mut recordings {
                listed.left_out = reports.of(&listed.files);
            }
            drop(reports);
            let (recordings, unreadable) = (Arc::new(recordings), Arc::new(unreadable));
            Ok(Listing { recordings, unreadable, look: self.looks.fetch_add(1, Ordering::Relaxed) })
        };
        self.listing.try_get_with((), look).await.map_err(|fault| VodFault::clone(&fault))
    }

    /// The segment of the samples `from..to` of the leading track of `kind`. Where its samples are is computed once for those
    /// who watch together. It takes 0.1 ms at most for six seconds, so it is done on the caller's thread.
    pub async fn segment(
        &self,
        recording: &Arc<Recording>,
        kind: TrackSelection,
        from: u32,
        to: u32,
    ) -> Result<Arc<Layout>, VodFault> {
        let name = recording.names.segment(kind, from, to);
        self.laid_out(recording, kind, name, || Some((from, to))).await
    }

    /// The segment of `kind` that begins at the presentation time `start`, in ticks of its leading track.
    pub async fn segment_at(
        &self,
        recording: &Arc<Recording>,
        kind: TrackSelection,
        start: i64,
    ) -> Result<Arc<Layout>, VodFault> {
        if recording.is_transcoded(kind) {
            let (from, to) = recording.cut_at(kind, start).ok_or(VodFault::Gone)?;
            return self.segment(recording, kind, from, to).await;
        }
        let name = format!("{:?} {kind:?} {start}", recording.names);
        self.laid_out(recording, kind, name, || recording.cut_at(kind, start)).await
    }

    /// Reads what a layout names: one part at once, the rest as a stream. So an error before the first byte can still become
    /// a status.
    pub async fn read(
        &self,
        recording: &Arc<Recording>,
        layout: &Layout,
    ) -> Result<(Bytes, Option<BoxStream<'static, std::io::Result<Bytes>>>), VodFault> {
        self.ask();
        let mut parts = parts(&layout.extents).into_iter();
        let Some(first) = parts.next() else { return Ok((Bytes::new(), None)) };
        let bytes = self.read_part(recording, first).await?;
        if parts.len() == 0 {
            return Ok((bytes, None));
        }
        Ok((bytes, Some(self.stream_parts(recording, parts))))
    }

    /// The bytes of picture number `index`, in one piece; at most 32 MiB.
    pub async fn read_sample(&self, recording: &Arc<Recording>, index: u32) -> Result<Bytes, VodFault> {
        let layout = recording.sample(index);
        let len = layout.total_len();
        if len > PICTURE_MAX {
            let path = &recording.path;
            return Err(VodFault::Picture(format!("{path}: a key frame of {len} bytes is not decoded")));
        }
        self.read_part(recording, layout.extents).await
    }

    /// Makes each file's state be checked again at the next request.
    #[cfg(test)]
    pub(super) fn forget_stamps(&self) {
        self.stamps.invalidate_all();
        self.sidecars.invalidate_all();
        self.listing.invalidate_all();
    }

    /// Does blocking work on a thread of the pool. A storage that hangs holds the mount's share of threads and no more.
    pub(super) async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, VodFault> + Send + 'static,
    ) -> Result<T, VodFault> {
        let threads = Arc::clone(&self.threads);
        let job = async {
            let place = threads.acquire_owned().await.map_err(|_| VodFault::Slow)?;
            let span = Span::current();
            let thread = tokio::task::spawn_blocking(move || {
                let done = span.in_scope(work);
                drop(place);
                done
            });
            thread.await.map_err(|_| VodFault::Slow)?
        };
        timeout(PATIENCE, job).await.map_err(|_| VodFault::Slow)?
    }
}

/// Refuses an index that was read while the file was overwritten. Blocks.
fn is_one_version(file: &OpenFile, stamp: Stamp, path: &str) -> Result<(), VodFault> {
    if file.is_as_it_was(stamp).map_err(|error| VodFault::io(path, &error))? {
        return Ok(());
    }
    file.check(stamp, path).map_err(|fault| match fault {
        VodFault::Overwritten { path } => {
            VodFault::Unfinished { path, fault: "it is being written: it is not finished".to_owned() }
        }
        other => other,
    })
}

/// Where the file of a rendition may be: from the root, as Wowza has it; then beside the playlist.
fn candidates(smil: &str, rendition: &SmilRendition) -> Vec<String> {
    let named = [Some(&rendition.path), rendition.path_of_url.as_ref()].into_iter().flatten();
    let folder = smil.rsplit_once('/').map(|(folder, _)| folder);
    named
        .map(|path| composed(path))
        .flat_map(|path| {
            let beside = folder.map(|folder| format!("{folder}/{path}"));
            std::iter::once(path.into_owned()).chain(beside)
        })
        .collect()
}

/// Divides extents into parts of at most [`PART`] bytes.
fn parts(extents: &[Extent]) -> Vec<Vec<Extent>> {
    let total: u64 = extents.iter().map(|extent| extent.len).sum();
    if total <= PART {
        return if extents.is_empty() { Vec::new() } else { vec![extents.to_vec()] };
    }
    let mut parts = vec![Vec::new()];
    let mut room = PART;
    for extent in extents {
        let mut rest = *extent;
        while rest.len > 0 {
            if room == 0 {
                parts.push(Vec::new());
                room = PART;
            }
            let len = rest.len.min(room);
            if let Some(part) = parts.last_mut() {
                part.push(Extent { offset: rest.offset, len });
            }
            room -= len;
            rest = Extent { offset: rest.offset + len, len: rest.len - len };
        }
    }
    parts
}

#[cfg(test)]
mod version_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_of_it_in_order() {
        for lens in [&[100][..], &[PART * 3, 5], &[PART / 2, PART / 2, PART / 2, 7], &[]] {
            let mut at = 0;
            let extents: Vec<Extent> = lens
                .iter()
                .map(|&len| {
                    at += len + 10;
                    Extent { offset: at - len, len }
                })
                .collect();
            let parts = parts(&extents);
            assert!(parts.iter().all(|part| part.iter().map(|extent| extent.len).sum::<u64>() <= PART));
            let mut joined: Vec<Extent> = Vec::new();
            for extent in parts.into_iter().flatten() {
                match joined.last_mut() {
                    Some(last) if last.offset + last.len == extent.offset => last.len += extent.len,
                    _ => joined.push(extent),
                }
            }
            assert_eq!(joined, extents);
        }
    }
}
