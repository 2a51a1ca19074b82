//! One rung: lattice, letterbox, encoder, and the cell being filled. Each rung has a named thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tracing::{error, warn};

use amphi_media::clock::Clock;
use amphi_media::{CellIndex, Grid, MediaTime, Picture, SampleEntry, Slot, TrackCell, VIDEO_TIMESCALE};

use amphi_runtime::tasks::Task;

use super::lattice::{Filled, Lattice};
use super::meter::LadderMeter;
use super::openh264::{CodecError, Encoder};
use super::pressure::Pressure;
use super::scale::{ScaleError, Scaler};
use super::spec::{LadderSpec, PictureRung};

/// A decoded picture that all rungs share.
#[derive(Clone, Debug)]
pub(super) struct SharedPicture {
    pub(super) picture: Arc<Picture>,
    /// Which slide it shows: a new number asks for an IDR picture.
    pub(super) slide: u64,
}

/// What the decoding thread tells a rung.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) now: MediaTime,
    /// The picture and its time; `None` when an access unit came that gave none.
    pub(super) picture: Option<(MediaTime, SharedPicture)>,
}

/// What a rung tells the decoding thread.
#[derive(Debug)]
pub(super) struct RungNews {
    pub(super) rung: usize,
    pub(super) coded: CodedPicture,
}

#[derive(Debug)]
pub(super) struct CodedPicture {
    pub(super) k: CellIndex,
    /// The picture as a cell with one sample.
    pub(super) picture: TrackCell,
    /// The whole cell, if this picture was its last.
    pub(super) cell: Option<TrackCell>,
}

/// Fits pictures into one rung's size and codes them, slot by slot, into cells.
pub(super) struct CellEncoder {
    grid: Grid,
    fps: u32,
    encoder: Encoder,
    scaler: Scaler,
    canvas: Picture,
    /// The picture that `canvas` shows.
    fitted: Option<Arc<Picture>>,
    slide: u64,
    open: Option<OpenCell>,
    /// Bytes of the last cell, from which the next one's allocation is estimated.
    expected_len: usize,
}

/// Why a picture was not coded.
#[derive(Debug, thiserror::Error)]
pub enum RungError {
    /// It could not be fitted into the rung.
    #[error(transparent)]
    Scale(#[from] ScaleError),
    /// The encoder failed; a new one has taken its place.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

#[derive(Debug)]
struct OpenCell {
    first: Slot,
    data: BytesMut,
    samples: Vec<SampleEntry>,
}

impl CellEncoder {
    pub(super) fn new(rung: &PictureRung, grid: Grid) -> Result<Self, CodecError> {
        Ok(Self {
            grid,
            fps: rung.fps,
            encoder: Encoder::new(rung.encoder_settings())?,
            scaler: Scaler::new(rung.size),
            canvas: Picture::black(rung.size),
            fitted: None,
            slide: 0,
            open: None,
            expected_len: (u64::from(rung.bitrate_bps) * u64::from(grid.duration_ms()) / 8000) as usize,
        })
    }

    pub(super) const fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Codes one slot; `None` if its cell is lost already. An error costs the open cell and nothing more.
    pub(super) fn code(&mut self, filled: &Filled<SharedPicture>) -> Result<Option<CodedPicture>, RungError> {
        let SharedPicture { picture, slide } = &filled.picture;
        if filled.begins_cell {
            let slots = self.grid.slots_per_cell(self.fps) as usize;
            self.open = Some(OpenCell {
                first: filled.slot,
                data: BytesMut::with_capacity(self.expected_len * 5 / 4),
                samples: Vec::with_capacity(slots),
            });
        }
        // Put back only when all went well.
        let Some(mut open) = self.open.take() else { return Ok(None) };
        let idr = filled.begins_cell || self.slide != *slide;
        self.slide = *slide;
        let source: &Picture = if picture.size() == self.canvas.size() && picture.sar().is_square() {
            picture
        } else {
            let same = self.fitted.as_ref().is_some_and(|fitted| Arc::ptr_eq(fitted, picture));
            if !same {
                self.scaler.fit((&**picture).into(), &mut self.canvas)?;
                self.fitted = Some(Arc::clone(picture));
            }
            &self.canvas
        };
        let before = open.data.len();
        let coded = match self.encoder.encode(source, filled.slot, idr, &mut open.data) {
            Ok(coded) => coded,
            Err(error) => {
                // An encoder that failed once is of no further use.
                self.encoder = Encoder::new(self.encoder.settings())?;
                return Err(error.into());
            }
        };
        let duration = VIDEO_TIMESCALE.0 / self.fps;
        let entry = SampleEntry { size: coded.size, duration, sync: coded.sync };
        open.samples.push(entry);
        let picture = TrackCell {
            start: filled.slot.0 * i64::from(duration),
            data: Bytes::copy_from_slice(open.data.get(before..).unwrap_or_default()),
            samples: Arc::new([entry]),
        };
        let k = self.grid.cell_of_slot(filled.slot, self.fps);
        let cell = if open.samples.len() == self.grid.slots_per_cell(self.fps) as usize {
            Some(self.finished(open))
        } else {
            self.open = Some(open);
            None
        };
        Ok(Some(CodedPicture { k, picture, cell }))
    }

    fn finished(&mut self, open: OpenCell) -> TrackCell {
        self.expected_len = open.data.len();
        TrackCell {
            start: open.first.0 * i64::from(VIDEO_TIMESCALE.0 / self.fps),
            data: open.data.freeze(),
            samples: open.samples.into(),
        }
    }
}

/// The thread of one live rung.
pub(super) struct RungThread {
    index: usize,
    name: String,
    lattice: Lattice<SharedPicture>,
    encoder: CellEncoder,
    arrivals: Receiver<Arrival>,
    news: SyncSender<RungNews>,
    clock: Arc<dyn Clock>,
    meter: Arc<LadderMeter>,
    pressure: Pressure,
    /// The picture in the slot that was coded last.
    coded: Option<SharedPicture>,
}

/// What [`RungThread::new`] takes.
pub(super) struct RungParts<'a> {
    pub(super) spec: &'a LadderSpec,
    pub(super) index: usize,
    pub(super) encoder: CellEncoder,
    pub(super) arrivals: Receiver<Arrival>,
    pub(super) news: SyncSender<RungNews>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) meter: Arc<LadderMeter>,
}

/// The longest wait for an arrival; between runs nothing else ends it.
const IDLE_WAIT: Duration = Duration::from_secs(1);

impl RungThread {
    pub(super) fn new(parts: RungParts<'_>) -> Self {
        let RungParts { spec, index, encoder, arrivals, news, clock, meter } = parts;
        let rung = &spec.pictures[index];
        Self {
            index,
            name: rung.name.clone(),
            lattice: Lattice::new(spec.grid, rung.fps, spec.patience),
            encoder,
            arrivals,
            news,
            clock,
            meter,
            pressure: Pressure::new(index, spec.pictures.len()),
            coded: None,
        }
    }

    /// Works until the decoding thread drops its end.
    pub(super) fn run(mut self, task: &Task) {
        loop {
            task.pass();
            let now = self.clock.now();
            let wait = self.lattice.wake_at().map_or(IDLE_WAIT, |at| at.saturating_since(now).min(IDLE_WAIT));
            match self.arrivals.recv_timeout(wait) {
                Ok(arrival) => self.arrived(arrival),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Some(filled) = self.lattice.poll(self.clock.now()) {
                if !self.fill(filled) {
                    return;
                }
                while let Ok(arrival) = self.arrivals.try_recv() {
                    self.arrived(arrival);
                }
            }
        }
    }

    fn arrived(&mut self, arrival: Arrival) {
        let now = self.clock.now();
        let waited = now.saturating_since(arrival.now);
        self.pressure.observe(waited, self.meter.others(self.index, now), now);
        if let Some(meter) = self.meter.rungs.get(self.index) {
            meter.thinning.set(self.pressure.level().into());
            if self.pressure.is_too_long(waited) {
                meter.waited_at_ms.set(now.as_millis().max(0) as u64);
            }
        }
        match arrival.picture {
            Some((pts, shown)) => self.lattice.push(pts, shown, arrival.now),
            None => self.lattice.flow(arrival.now),
        }
    }

    /// Under pressure some slots repeat the picture coded last.
    fn thinned(&self, filled: Filled<SharedPicture>) -> Filled<SharedPicture> {
        match &self.coded {
            Some(coded) if !filled.begins_cell && self.pressure.leaves_out(filled.slot) => {
                Filled { picture: coded.clone(), repeated: true, ..filled }
            }
            _ => filled,
        }
    }

    /// Codes a slot; `false` when the decoding thread is gone.
    fn fill(&mut self, filled: Filled<SharedPicture>) -> bool {
        let filled = self.thinned(filled);
        let begun = Instant::now();
        let coded = self.encoder.code(&filled);
        if let Some(meter) = self.meter.rungs.get(self.index) {
            meter.coded.increment();
            meter.busy_nanos.add(begun.elapsed().as_nanos() as u64);
        }
        self.coded = Some(filled.picture);
        match coded {
            Ok(None) => true,
            Ok(Some(coded)) => match self.news.try_send(RungNews { rung: self.index, coded }) {
                Ok(()) => true,
                Err(std::sync::mpsc::TrySendError::Full(RungNews { coded, .. })) => {
                    warn!(rung = self.name, k = %coded.k, "coded picture dropped: the decoding thread does not keep up");
                    true
                }
                Err(std::sync::mpsc::TrySendError::Disconnected(_)) => false,
            },
            Err(error) => {
                error!(rung = self.name, %error, "picture not coded; its cell is lost");
                true
            }
        }
    }
}
