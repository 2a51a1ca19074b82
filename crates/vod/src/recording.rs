//! One file with its index: what all its viewers share.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::cut::{Cut, Trim, alone, beside, cuts, trimmed};
use super::fault::VodFault;
use super::names::{FileNames, TrackSelection, digest};
use super::open_file::OpenFile;
use super::playlist::{self, StatedSound};
use super::silence;
use super::stamp::Stamp;
use super::transcode::{self, SoundSource};
use super::{Layout, Track};
use amphi_container::fmp4::LAYOUT_VERSION;
use amphi_container::fmp4::layout::{TrackPart, init_of};
use amphi_container::hls::BitRates;
use amphi_container::isobmff::BoxFault;
use amphi_container::mp4::{DolbySound, Extent, Movie};
use amphi_media::h264;

/// Most samples of one segment: ten minutes of sound without a picture.
const SAMPLES_MAX: u32 = 30_000;

/// Longest segment of pictures in nanoseconds beside which sound is filled with silence: frames of silence count in
/// [`SAMPLES_MAX`].
const LONGEST_FILLED: i64 = 240_000_000_000;

/// Most bytes of one segment's samples: with what lies between them and its head, `data_offset` stays below 2^31 (ISO/IEC 14496-12
/// §8.8.8).
const BYTES_MAX: u64 = 2_000_000_000;

/// A file that is open, with its index.
#[derive(Debug)]
pub struct Recording {
    /// The file's path from the mount's root.
    pub path: String,
    /// Key and tag in the names of its playlists and segments.
    pub names: FileNames,
    /// Its state when it was indexed.
    pub stamp: Stamp,
    /// Its index: the tracks and their samples.
    pub movie: Movie,
    /// The segments of its leading track.
    pub cuts: Vec<Cut>,
    /// Bit rates of picture and first sound track over its segments.
    pub rates: BitRates,
    pub(super) file: Arc<OpenFile>,
    segment_ms: u32,
    /// For each sound track what it is made of, if it is coded here.
    sources: Vec<Option<Arc<SoundSource>>>,
}

impl Recording {
    pub(super) fn new(
        path: String,
        stamp: Stamp,
        file: Arc<OpenFile>,
        mut movie: Movie,
        segment_ms: u32,
    ) -> Self {
        let is_filled = !has_long_segments(&movie, segment_ms);
        let sources = transcode::sources(&mut movie, is_filled);
        if is_filled {
            silence::put_before(&mut movie, &sources);
        }
        movie.hold_pictures(segment_ms);
        if is_filled {
            silence::put_after(&mut movie, &sources);
        }
        let cuts = movie.lead().map(|lead| cuts(lead, segment_ms)).unwrap_or_default();
        let rates = playlist::rates(&movie, &cuts, TrackSelection::Both);
        let tag = digest(&format!("{LAYOUT_VERSION} {} {segment_ms}", stamp.text()));
        let names = FileNames { key: digest(&path), tag };
        Self { path, names, stamp, movie, cuts, rates, file, segment_ms, sources }
    }

    /// A recording of a file that no test looks at.
    #[cfg(test)]
    pub(super) fn for_tests(movie: Movie) -> Self {
        let stamp = Stamp { len: 1, modified: std::time::SystemTime::UNIX_EPOCH };
        let file = OpenFile::new(tempfile::tempfile().expect("a file"), &Arc::default());
        Self::new("a.mp4".to_owned(), stamp, Arc::new(file), movie, 4000)
    }

    /// Why nothing of it can be played, if so.
    pub(super) fn nothing_left(&self) -> Option<VodFault> {
        let reasons: Vec<String> = self.movie.left_out.iter().take(8).map(ToString::to_string).collect();
        let fault = format!("no track can be played: {}", reasons.join("; ")).into();
        let fault = BoxFault { kind: *b"moov", at: 0, fault };
        self.movie.lead().is_none().then(|| VodFault::Index { path: self.path.clone(), fault })
    }

    /// Memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        let sources: usize = self.sources.iter().flatten().map(|source| source.memory()).sum();
        self.movie.memory() + sources + self.cuts.capacity() * size_of::<Cut>() + size_of::<Self>()
    }

    /// What sound track number `index` is made of, if it is coded here.
    pub(super) fn sound_source(&self, index: usize) -> Option<&Arc<SoundSource>> {
        self.sources.get(index)?.as_ref()
    }

    /// Sound track number `index` as it is in the file, if some players decode it though it is coded here.
    pub(super) fn sound_in_file(&self, index: usize) -> Option<(&Track, DolbySound)> {
        self.sound_source(index)?.in_file()
    }

    /// Its sound tracks as all players can have them.
    pub(super) fn sounds(&self) -> Vec<StatedSound<'_>> {
        let tracks = self.movie.audio.iter().enumerate();
        let sounds = tracks.map(|(index, track)| StatedSound {
            kind: TrackSelection::Sound(index),
            track,
            channels: playlist::channels_of(track),
        });
        sounds.collect()
    }

    /// The same, but as they are in the file where some players can have them so; `None` if there is none of these.
    pub(super) fn sounds_in_file(&self) -> Option<Vec<StatedSound<'_>>> {
        let mut sounds = self.sounds();
        let mut is_any = false;
        for (index, sound) in sounds.iter_mut().enumerate() {
            let Some((track, dolby)) = self.sound_in_file(index) else { continue };
            let kind = TrackSelection::InFile(index);
            *sound = StatedSound { kind, track, channels: Some(dolby.channels()) };
            is_any = true;
        }
        is_any.then_some(sounds)
    }

    /// The track of a selection of sound alone.
    fn sound_track(&self, kind: TrackSelection) -> Option<&Track> {
        match kind {
            TrackSelection::Sound(index) => self.movie.audio.get(index),
            TrackSelection::InFile(index) => self.sound_in_file(index).map(|(track, _)| track),
            TrackSelection::Both | TrackSelection::Picture => None,
        }
    }

    /// The number of the sound track that is track number `place` of `kind`, if it is coded here.
    pub(super) fn sound_source_of(&self, kind: TrackSelection, place: usize) -> Option<usize> {
        let index = match kind {
            TrackSelection::Sound(index) => index,
            // The picture first, then the first sound.
            TrackSelection::Both if place == usize::from(self.movie.video.is_some()) => 0,
            TrackSelection::Both | TrackSelection::Picture | TrackSelection::InFile(_) => return None,
        };
        self.sound_source(index).map(|_| index)
    }

    /// Whether segments of `kind` hold sound that is coded here.
    pub(super) fn is_transcoded(&self, kind: TrackSelection) -> bool {
        (0..2).any(|place| self.sound_source_of(kind, place).is_some())
    }

    /// The tracks of `kind`, the leading one first; `None` if there are none.
    pub fn tracks(&self, kind: TrackSelection) -> Option<Vec<&Track>> {
        let tracks: Vec<&Track> = match kind {
            TrackSelection::Both => self.movie.video.iter().chain(self.movie.audio.first()).collect(),
            TrackSelection::Picture => self.movie.video.iter().collect(),
            TrackSelection::Sound(_) | TrackSelection::InFile(_) => {
                self.sound_track(kind).into_iter().collect()
            }
        };
        (!tracks.is_empty()).then_some(tracks)
    }

    /// The segments of `kind` in a part; `None` if there is no such track.
    pub fn cuts_of(&self, kind: TrackSelection, trim: Trim) -> Option<Vec<Cut>> {
        match kind {
            TrackSelection::Sound(_) | TrackSelection::InFile(_) => {
                let track = self.sound_track(kind)?;
                let Some(video) = &self.movie.video else {
                    return Some(trimmed(track, &cuts(track, self.segment_ms), trim));
                };
                // Cut where the picture is, so that the segments of both go together.
                let pieces = trimmed(video, &self.cuts, trim).into_iter().map(|cut| {
                    let (from, to) = beside(video, cut.from, cut.to, track);
                    let end = if to == track.end { track.shown_until() } else { track.shown_at(to) };
                    Cut { from, to, start: track.shown_at(from).max(0), end }
                });
                Some(pieces.filter(|cut| cut.from < cut.to).collect())
            }
            TrackSelection::Both => Some(trimmed(self.movie.lead()?, &self.cuts, trim)),
            TrackSelection::Picture => {
                let lead = self.movie.lead()?;
                Some(trimmed(lead, &self.cuts, trim).into_iter().map(|cut| alone(lead, cut)).collect())
            }
        }
    }

    /// From where to where a part is really played, in nanoseconds of presentation time.
    pub fn span(&self, trim: Trim) -> Range<i64> {
        if trim.is_whole() {
            return 0..self.movie.duration_nanos();
        }
        let cuts = self.cuts_of(TrackSelection::Both, trim).unwrap_or_default();
        match (self.movie.lead(), cuts.first(), cuts.last()) {
            (Some(lead), Some(first), Some(last)) => {
                let is_end = last.to >= lead.end;
                let end = if is_end { self.movie.duration_nanos() } else { lead.nanos(last.end) };
                lead.nanos(first.start)..end
            }
            _ => 0..0,
        }
    }

    /// Peak and average bit rate of the tracks of `kind`.
    pub fn rates_of(&self, kind: TrackSelection) -> BitRates {
        if kind == TrackSelection::Both { self.rates } else { playlist::rates(&self.movie, &self.cuts, kind) }
    }

    /// Peak and average bit rate of the picture with any of these sounds (RFC 8216 §4.3.4.2).
    pub(super) fn rates_with(&self, sounds: &[StatedSound<'_>]) -> BitRates {
        let with =
            |sound: &StatedSound<'_>| playlist::rates_of(&self.movie, &self.cuts, true, Some(sound.track));
        sounds.iter().map(with).fold(BitRates::default(), |most, it| BitRates {
            peak_bps: most.peak_bps.max(it.peak_bps),
            average_bps: most.average_bps.max(it.average_bps),
        })
    }

    /// The text of the media playlist of `kind`; `None` if there is no such track.
    pub fn media_playlist(&self, kind: TrackSelection, trim: Trim) -> Option<String> {
        let tracks = self.tracks(kind)?;
        let track = tracks.first()?;
        Some(playlist::media(&self.movie, &self.names, (kind, track), &self.cuts_of(kind, trim)?).to_string())
    }

    /// The text of the I-frame playlist; `None` without a picture.
    pub fn i_frame_playlist(&self, trim: Trim) -> Option<String> {
        Some(playlist::i_frames_only(&self.movie, &self.names, trim)?.to_string())
    }

    /// The initialization section of `kind`; `None` if there is no such track.
    pub fn init(&self, kind: TrackSelection) -> Option<Bytes> {
        Some(init_of(&self.tracks(kind)?))
    }

    /// The whole file, as it was when it was indexed.
    pub fn whole(&self) -> Layout {
        Layout { head: Bytes::new(), extents: vec![Extent { offset: 0, len: self.stamp.len }] }
    }

    /// The sync sample whose picture is nearest to `ms` milliseconds of presentation time.
    pub fn sync_near(&self, ms: u64) -> Option<u32> {
        let video = self.movie.video.as_ref()?;
        let at = video.ticks(i64::try_from(ms).ok()?.checked_mul(1_000_000)?);
        let places = video.samples.syncs_before(at.saturating_add(video.origin).saturating_add(1));
        let near = places.saturating_sub(1)..places.saturating_add(1);
        let syncs = near.filter_map(|place| video.samples.sync(place)).filter(|sync| *sync < video.end);
        syncs.min_by_key(|&sync| video.shown_at(sync).abs_diff(at))
    }

    /// Where sample number `index` of the picture is in the file.
    pub fn sample(&self, index: u32) -> Layout {
        let video = self.movie.video.as_ref();
        let extents = video.map(|video| video.samples.extents(index, index + 1)).unwrap_or_default();
        Layout { head: Bytes::new(), extents }
    }

    /// The bytes of a sync sample as an access unit in Annex B with its parameter sets. `None` for other codecs than H.264.
    pub fn access_unit(&self, sample: &[u8]) -> Option<Vec<u8>> {
        let mut out = self.movie.video.as_ref()?.coding.annex_b_sets()?;
        let mut unit = Vec::new();
        h264::to_annex_b(sample, None, &mut unit);
        out.append(&mut unit);
        Some(out)
    }

    /// The segment of `kind` that begins at the presentation time `start`, in ticks of its leading track.
    #[cfg(test)]
    pub(super) fn segment_at(&self, kind: TrackSelection, start: i64) -> Result<Layout, VodFault> {
        let (from, to) = self.cut_at(kind, start).ok_or(VodFault::Gone)?;
        self.segment(kind, from, to)
    }

    /// The samples of that segment: those of [`Self::cuts_of`] the whole recording, without computing all of these.
    pub(super) fn cut_at(&self, kind: TrackSelection, start: i64) -> Option<(u32, u32)> {
        let piece: &dyn Fn(&Cut) -> (u32, u32, i64) = match kind {
            // Without a picture the first sound track leads.
            TrackSelection::Sound(0) if self.movie.video.is_none() => {
                &|cut: &Cut| (cut.from, cut.to, cut.start)
            }
            TrackSelection::Sound(_) | TrackSelection::InFile(_) => {
                let track = self.sound_track(kind)?;
                let Some(video) = &self.movie.video else {
                    let cuts = cuts(track, self.segment_ms);
                    let place = cuts.binary_search_by_key(&start, |cut| cut.start).ok()?;
                    return cuts.get(place).map(|cut| (cut.from, cut.to));
                };
                &|cut: &Cut| {
                    let (from, to) = beside(video, cut.from, cut.to, track);
                    (from, to, track.shown_at(from).max(0))
                }
            }
            TrackSelection::Picture => {
                let lead = self.movie.lead()?;
                &|cut: &Cut| (cut.from, cut.to, alone(lead, *cut).start)
            }
            TrackSelection::Both => &|cut: &Cut| (cut.from, cut.to, cut.start),
        };
        let first = self.cuts.partition_point(|cut| piece(cut).2 < start);
        let mut found = self.cuts.get(first..)?.iter().map(piece).take_while(|it| it.2 == start);
        found.find(|(from, to, _)| from < to).map(|(from, to, _)| (from, to))
    }

    /// The segment of the samples `from..to` of the leading track of `kind`; it must begin with a sync sample. Sound that is
    /// coded here is not in it.
    #[cfg(test)]
    pub(super) fn segment(&self, kind: TrackSelection, from: u32, to: u32) -> Result<Layout, VodFault> {
        Ok(amphi_container::fmp4::layout::layout(&self.parts(kind, from, to)?, from))
    }

    /// The samples of that segment, track by track.
    pub(super) fn parts(
        &self,
        kind: TrackSelection,
        from: u32,
        to: u32,
    ) -> Result<Vec<TrackPart<'_>>, VodFault> {
        let tracks = self.tracks(kind).ok_or(VodFault::Gone)?;
        let (lead, rest) = tracks.split_first().ok_or(VodFault::Gone)?;
        let is_sound = from >= lead.begin && from < to && to <= lead.end && lead.samples.is_sync(from);
        if !is_sound || to - from > SAMPLES_MAX {
            return Err(VodFault::Gone);
        }
        let mut parts = vec![TrackPart { track: lead, from, to }];
        for track in rest {
            let (from, to) = beside(lead, from, to, track);
            if to.saturating_sub(from) > 10 * SAMPLES_MAX {
                return Err(VodFault::Gone);
            }
            if from < to {
                parts.push(TrackPart { track, from, to });
            }
        }
        let bytes: u64 = parts.iter().map(|part| part.track.samples.bytes(part.from, part.to)).sum();
        if bytes > BYTES_MAX { Err(VodFault::Gone) } else { Ok(parts) }
    }
}

/// Whether so much sound may stand beside some segment of pictures that it would be refused, if it were filled.
fn has_long_segments(movie: &Movie, segment_ms: u32) -> bool {
    let is_long = |video: &Track| {
        cuts(video, segment_ms).iter().any(|cut| video.nanos(cut.end - cut.start) > LONGEST_FILLED)
    };
    movie.video.as_ref().is_some_and(is_long)
}
