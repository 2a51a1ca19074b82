//! The waiting loop: a small clip, coded once by the ladder's own encoders, cut into cells that fit any
//! place of the grid without copying a byte.
//!
//! The loop is a whole number of cells long. Cell *k* of the grid shows loop cell *k mod N*. The sound lies
//! in one allocation; a cell takes the run of frames that starts in it, counted from where the loop
//! began on the lattice, so sound follows its picture within one frame for ever.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tracing::warn;

use amphi_container::clip::Clip;
use amphi_media::{
    AAC_FRAME_SAMPLES, CellIndex, CodedCell, Grid, MediaTime, Picture, PictureSize, RungTracks, Runs,
    SampleEntry, Slot, SourceFrame, TrackCell, TrackFormat, VIDEO_TIMESCALE,
};

use super::LadderError;
use super::audio;
use super::card_text::{CardText, Words};
use super::decoding::DecoderChoice;
use super::lattice::Filled;
use super::meter::LadderMeter;
use super::pictures::PictureDecoder;
use super::repeats::repeats;
use super::rung::{CellEncoder, SharedPicture};
use super::spec::{LadderSpec, PictureRung};

/// Seconds after which clips are cut: a waiting loop is kept coded in memory, about 9 MB a minute.
const LONGEST_S: u32 = 120;

/// A coded waiting loop. Its cells share their bytes with it; share the loop itself in an `Arc`.
#[derive(Debug)]
pub struct WaitingLoop {
    grid: Grid,
    cells: i64,
    tracks: Vec<RungTracks>,
    /// For each picture rung the cells of the loop, with `start` counted from the loop's start.
    pictures: Vec<Vec<TrackCell>>,
    /// For each picture rung, the samples that repeat a picture (see `held`).
    repeats: Vec<Vec<Bytes>>,
    silence: Bytes,
    sound: Bytes,
    sound_samples: Vec<SampleEntry>,
    /// Where each sound frame begins in `sound`, and the end.
    sound_offsets: Vec<usize>,
}

impl WaitingLoop {
    /// Codes `clip`, or a grey card with silence where there is none, with `words` on it. Takes CPU for about a
    /// tenth of the clip's duration.
    pub fn encode(clip: Option<&Clip>, spec: &LadderSpec, words: &Words) -> Result<Self, LadderError> {
        let tracks = spec.tracks()?;
        let longest = i64::from(LONGEST_S * 1000 / spec.grid.duration_ms()).max(1);
        let wanted = clip.map_or(1, |clip| loop_cells(clip, spec.grid)).max(1);
        let cells = wanted.min(longest);
        if wanted > cells {
            warn!("the waiting video is cut at {LONGEST_S} s");
        }
        let mut rungs = spec
            .pictures
            .iter()
            .map(|rung| LoopRung::new(rung, spec.grid, cells))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(clip) = clip {
            encode_pictures(clip, words, &mut rungs)?;
        } else {
            let card = signed(grey_card(spec), words);
            for rung in &mut rungs {
                rung.held = Some(card.clone());
            }
        }
        let pictures = rungs.into_iter().map(LoopRung::finish).collect::<Result<_, _>>()?;
        let frames = encode_sound(clip, spec, cells)?;
        let mut sound = BytesMut::with_capacity(frames.iter().map(Bytes::len).sum());
        let mut sound_offsets = vec![0];
        for frame in &frames {
            sound.extend_from_slice(frame);
            sound_offsets.push(sound.len());
        }
        let sound_samples = frames
            .iter()
            .map(|frame| SampleEntry { size: frame.len() as u32, duration: AAC_FRAME_SAMPLES, sync: true })
            .collect();
        Ok(Self {
            grid: spec.grid,
            cells,
            tracks,
            pictures,
            repeats: spec.pictures.iter().map(|rung| repeats(rung, spec.grid)).collect::<Result<_, _>>()?,
            silence: audio::silence(spec.audio)?,
            sound: sound.freeze(),
            sound_samples,
            sound_offsets,
        })
    }

    /// The tracks of every rung, live or waiting.
    pub fn tracks(&self) -> &[RungTracks] {
        &self.tracks
    }

    /// The waiting cell for place `k` of the grid.
    pub fn cell(&self, k: CellIndex) -> CodedCell {
        let loop_start = CellIndex(k.0 - k.0.rem_euclid(self.cells));
        let index = (k.0 - loop_start.0) as usize;
        let ticks = self.grid.start(loop_start).to_ticks(VIDEO_TIMESCALE);
        let video = self
            .pictures
            .iter()
            .filter_map(|cells| cells.get(index))
            .map(|cell| TrackCell { start: cell.start + ticks, ..cell.clone() })
            .collect();
        CodedCell { k, video, audio: self.sound_cell(k, loop_start) }
    }

    /// `cell`, live or waiting, as it must follow a cell of another origin: its sound fades in, and the sound before
    /// fades out.
    pub fn joined(&self, cell: &CodedCell) -> CodedCell {
        CodedCell { audio: audio::joined(&cell.audio, &self.silence), ..cell.clone() }
    }

    /// What stands in the places `runs` of cell `k` when its encoders are gone: silence, and in each rung its last picture
    /// again. `since_sync`: how many pictures ago each rung's last IDR picture came.
    pub fn frozen(&self, k: CellIndex, runs: &Runs, since_sync: &[usize]) -> CodedCell {
        let rungs = self.tracks.iter().filter_map(|track| track.video.as_ref()).zip(&self.repeats);
        let video = rungs.zip(&runs.video).zip(since_sync).map(|(((track, repeats), run), &since)| {
            let duration = VIDEO_TIMESCALE.0 / track.fps;
            let first = self.grid.first_slot(k, track.fps).0 + run.start as i64;
            let samples = repeats.iter().skip(since).take(run.len());
            track_of(first * i64::from(duration), duration, false, samples)
        });
        let rate = self.tracks.first().map_or(48_000, |track| track.audio.format.sample_rate);
        let first = self.grid.first_audio_frame(k, rate) + runs.audio.start as i64;
        let silence = std::iter::repeat_n(&self.silence, runs.audio.len());
        let start = first * i64::from(AAC_FRAME_SAMPLES);
        CodedCell { k, video: video.collect(), audio: track_of(start, AAC_FRAME_SAMPLES, true, silence) }
    }

    fn sound_cell(&self, k: CellIndex, loop_start: CellIndex) -> TrackCell {
        let rate = self.tracks.first().map_or(48_000, |track| track.audio.format.sample_rate);
        let frames = self.grid.audio_frames(k, rate);
        let origin = self.grid.first_audio_frame(loop_start, rate);
        let last = self.sound_samples.len();
        let from = ((frames.start - origin) as usize).min(last);
        let to = ((frames.end - origin) as usize).min(last);
        TrackCell {
            start: frames.start * i64::from(AAC_FRAME_SAMPLES),
            data: self.sound.slice(self.sound_offsets[from]..self.sound_offsets[to]),
            samples: self.sound_samples[from..to].into(),
        }
    }
}

/// Samples of equal duration as a track.
fn track_of<'a>(
    start: i64,
    duration: u32,
    sync: bool,
    samples: impl Iterator<Item = &'a Bytes> + Clone,
) -> TrackCell {
    let mut data = BytesMut::with_capacity(samples.clone().map(Bytes::len).sum());
    let entry = |sample: &Bytes| SampleEntry { size: sample.len() as u32, duration, sync };
    let entries = samples.clone().map(entry).collect();
    samples.for_each(|sample| data.extend_from_slice(sample));
    TrackCell { start, data: data.freeze(), samples: entries }
}

/// Whole cells in the clip's picture track; 0 if it is shorter than a cell.
fn loop_cells(clip: &Clip, grid: Grid) -> i64 {
    let millis = clip.video.as_ref().map_or(0, |video| {
        let ticks: u64 = video.samples.iter().map(|sample| u64::from(sample.duration)).sum();
        ticks * 1000 / u64::from(video.timescale.0.max(1))
    });
    // A clip that is a few pictures short of a whole cell counts as whole: its last picture is held.
    (millis as i64 + 250) / i64::from(grid.duration_ms())
}

fn grey_card(spec: &LadderSpec) -> SharedPicture {
    const GREY: u8 = 64;
    let size = spec.pictures.first().map_or(PictureSize { width: 16, height: 16 }, |rung| rung.size);
    let mut picture = Picture::black(size);
    picture.planes_mut()[0].fill(GREY);
    SharedPicture { picture: Arc::new(picture), slide: 0 }
}

fn signed(mut shown: SharedPicture, words: &Words) -> SharedPicture {
    if let Some(sign) = CardText::new(words, shown.picture.size()) {
        sign.paint(Arc::make_mut(&mut shown.picture));
    }
    shown
}

/// One rung of the loop, on a lattice of its own that begins at the epoch.
struct LoopRung {
    encoder: CellEncoder,
    fps: u32,
    slots_per_cell: i64,
    /// The slot to fill next, and the first one that is not wanted.
    next: i64,
    end: i64,
    held: Option<SharedPicture>,
    cells: Vec<TrackCell>,
}

impl LoopRung {
    fn new(rung: &PictureRung, grid: Grid, cells: i64) -> Result<Self, LadderError> {
        let slots_per_cell = i64::from(grid.slots_per_cell(rung.fps));
        Ok(Self {
            encoder: CellEncoder::new(rung, grid)?,
            fps: rung.fps,
            slots_per_cell,
            next: 0,
            end: cells * slots_per_cell,
            held: None,
            cells: Vec::with_capacity(cells as usize),
        })
    }

    /// `shown` appears at `pts`: until then the picture before it stands.
    fn show(&mut self, pts: MediaTime, shown: &SharedPicture) -> Result<(), LadderError> {
        let slot = Slot::nearest(pts, self.fps).0;
        if self.held.is_some() {
            self.fill_until(slot)?;
        }
        self.held = Some(shown.clone());
        Ok(())
    }

    fn fill_until(&mut self, slot: i64) -> Result<(), LadderError> {
        let picture = self.held.clone().ok_or(LadderError::NoPicture)?;
        while self.next < slot.min(self.end) {
            let filled = Filled {
                slot: Slot(self.next),
                picture: picture.clone(),
                repeated: false,
                begins_cell: self.next % self.slots_per_cell == 0,
            };
            self.cells.extend(self.encoder.code(&filled)?.and_then(|coded| coded.cell));
            self.next += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<TrackCell>, LadderError> {
        self.fill_until(self.end)?;
        Ok(self.cells)
    }
}

/// Decodes the clip and gives every picture to every rung, one at a time.
fn encode_pictures(clip: &Clip, words: &Words, rungs: &mut [LoopRung]) -> Result<(), LadderError> {
    let video = clip.video.as_ref().ok_or(LadderError::NoPicture)?;
    let mut decoder = PictureDecoder::new(DecoderChoice::default(), Arc::new(LadderMeter::default()))?;
    let mut shown = Vec::new();
    let mut sign: Option<(PictureSize, Option<CardText>)> = None;
    let mut show = |shown: &mut Vec<(MediaTime, SharedPicture)>| {
        for (pts, mut picture) in shown.drain(..) {
            let size = picture.picture.size();
            if sign.as_ref().is_none_or(|(laid_out, _)| *laid_out != size) {
                sign = Some((size, CardText::new(words, size)));
            }
            if let Some((_, Some(sign))) = &sign {
                sign.paint(Arc::make_mut(&mut picture.picture));
            }
            rungs.iter_mut().try_for_each(|rung| rung.show(pts, &picture))?;
        }
        Ok::<_, LadderError>(())
    };
    let last = i64::from(LONGEST_S) * i64::from(video.timescale.0);
    for sample in video.samples.iter().take_while(|sample| sample.dts <= last) {
        let frame = SourceFrame {
            pts: MediaTime::from_ticks(sample.pts, video.timescale),
            data: sample.data.clone(),
            sync: sample.sync,
            format: Arc::clone(&video.format),
        };
        decoder.decode(&frame, &mut shown);
        show(&mut shown)?;
    }
    decoder.flush(&mut shown);
    show(&mut shown)
}

/// The sound of one loop: as many frames as can start in it, wherever on the lattice it begins.
fn encode_sound(clip: Option<&Clip>, spec: &LadderSpec, cells: i64) -> Result<Vec<Bytes>, LadderError> {
    let samples =
        cells as u64 * u64::from(spec.grid.duration_ms()) * u64::from(spec.audio.format.sample_rate);
    let wanted = samples.div_ceil(1000 * u64::from(AAC_FRAME_SAMPLES)) as usize + 1;
    let silence = || Ok(vec![audio::silence(spec.audio)?; wanted]);
    let Some(track) = clip.and_then(|clip| clip.audio.as_ref()) else { return silence() };
    let TrackFormat::Aac(config) = &*track.format else { return silence() };
    // The encoder's priming lies before the clip's beginning.
    let units: Vec<Bytes> =
        track.samples.iter().filter(|sample| sample.pts >= 0).map(|sample| sample.data.clone()).collect();
    Ok(audio::loop_frames(spec.audio, *config, &units, wanted)?)
}
