//! The decoder `rusty_h264`: in Rust, at half of OpenH264's CPU, and exact with B pictures where OpenH264 is not.
//!
//! It gives pictures in decode order; [`RustyDecoder`] puts them into presentation order by their picture order count.
//! It does not notice a missing picture, nor every damage. So the caller must report a lost access unit with
//! [`RustyDecoder::lost`]: until the next IDR picture no picture comes out, as after an error.
//!
//! Where no IDR picture comes it begins at a recovery point (ITU-T H.264 §D.2.8): an access unit after its parameter sets
//! that is not an IDR picture. What it refers to is made up, as across a gap in frame numbers (§8.2.5.2), and nothing is
//! shown until the recovery is complete. Pictures that are decoded after that one but shown before it are left out.
//!
//! Coding that it does not support (fields, I_PCM with CABAC) is [`RustyError::Unsupported`]. So is what it does not
//! decode exactly or within bounds, which a `guard` keeps from it. Another decoder must then be taken, and so it must
//! after [`RustyError::Panicked`]: a panic inside the decoder is caught here.

mod guard;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusty_h264_decoder::{DecodeError, Decoder};

use self::guard::{Admitted, ParameterSetGuard};
use super::openh264::PictureView;
use amphi_media::h264::{self, EntryPoint, VideoDescription};
use amphi_media::{MediaTime, Picture, PictureSize, SampleAspect};

/// Pictures that may wait for one that is shown before them; with one more, the first is shown without further waiting.
const MAX_HELD: usize = 4;
/// Pictures after a recovery point that may be shown before it: as many as a stream may hold back (§A.3.1).
const MAX_LEADING: u32 = 16;
/// From one frame to the next in picture order count, as nearly every encoder counts (ITU-T H.264 §8.2.1).
const TWO_FIELDS: i32 = 2;

/// Why an access unit gave no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RustyError {
    /// The bits cannot be decoded; nothing comes until the next IDR picture.
    #[error("access unit at {pts} not decoded: {error}")]
    Bitstream {
        /// Presentation time of the access unit.
        pts: MediaTime,
        /// What the decoder says is wrong.
        error: DecodeError,
    },
    /// It follows one that was lost or could not be decoded.
    #[error("access unit at {0} waits for an IDR picture")]
    Waiting(MediaTime),
    /// The stream is coded in a way that this decoder does not know.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The decoder panicked: its fault, on a stream that may be damaged.
    #[error("the decoder panicked over the access unit at {0}")]
    Panicked(MediaTime),
}

/// The decoder of one H.264 stream.
pub struct RustyDecoder {
    decoder: Decoder,
    guard: ParameterSetGuard,
    waiting: bool,
    /// Slices that begin in mid-row are decoded too, although not exactly.
    inexact: bool,
    recovery: Option<Recovery>,
    order: ReorderBuffer<Picture>,
}

/// A recovery from its recovery point until it is complete.
#[derive(Debug)]
struct Recovery {
    sps: Box<VideoDescription>,
    /// `frame_num` of the picture before.
    last: u32,
    /// Frames still to come.
    left: u32,
}

impl Recovery {
    /// Counts one more picture; `true` if the recovery is complete with it.
    fn is_complete_with(&mut self, access_unit: &[u8]) -> bool {
        let number = h264::frame_num(access_unit, &self.sps).unwrap_or(self.last);
        let frames = number.wrapping_sub(self.last) % self.sps.frame_nums();
        self.last = number;
        self.left = self.left.saturating_sub(frames);
        self.left == 0
    }
}

impl std::fmt::Debug for RustyDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RustyDecoder").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Default for RustyDecoder {
    fn default() -> Self {
        Self {
            decoder: Decoder::new(),
            guard: ParameterSetGuard::default(),
            waiting: true,
            inexact: false,
            recovery: None,
            order: ReorderBuffer::default(),
        }
    }
}

impl RustyDecoder {
    /// Decodes one whole access unit, as [`super::openh264::Decoder::decode`] does.
    pub fn decode(
        &mut self,
        access_unit: &[u8],
        pts: MediaTime,
        shown: &mut dyn FnMut(MediaTime, PictureView<'_>),
    ) -> Result<(), RustyError> {
        let Admitted { idr, slices, sets, inexact } =
            self.guard.admit(access_unit).map_err(RustyError::Unsupported)?;
        let recovers = self.waiting && !idr && sets;
        self.inexact |= recovers;
        if inexact && !self.inexact {
            return Err(RustyError::Unsupported("a slice begins in mid-row"));
        }
        if self.waiting && !idr && !sets {
            return Err(RustyError::Waiting(pts));
        }
        if self.waiting || (idr && self.recovery.is_some()) {
            // Half a picture left over by damage would spoil this one.
            self.decoder = Decoder::new();
            self.recovery = None;
        }
        let start = if recovers { Some(self.recover(access_unit, pts)?) } else { None };
        let bytes = start.as_ref().map_or(access_unit, EntryPoint::unit);
        self.waiting = false;
        let frame = match guarded(|| self.decoder.decode(bytes)) {
            Some(Ok(Some(frame))) => frame,
            Some(Ok(None)) if slices == 0 => return Ok(()),
            // Some of its slices are missing.
            Some(Ok(None)) => {
                self.lost();
                return Err(RustyError::Bitstream { pts, error: DecodeError::Truncated });
            }
            Some(Err(DecodeError::Unsupported(what))) => {
                self.lost();
                return Err(RustyError::Unsupported(what));
            }
            Some(Err(error)) => {
                self.lost();
                return Err(RustyError::Bitstream { pts, error });
            }
            None => {
                *self =
                    Self { order: std::mem::take(&mut self.order), inexact: self.inexact, ..Self::default() };
                return Err(RustyError::Panicked(pts));
            }
        };
        let begins = match &mut self.recovery {
            Some(recovery) => {
                if !recovery.is_complete_with(access_unit) {
                    return Ok(());
                }
                self.recovery = None;
                self.flush(shown);
                self.order.begin(self.decoder.last_poc());
                true
            }
            None => idr,
        };
        let (width, height) = (frame.width, frame.height);
        if width % 2 != 0 || height % 2 != 0 || width < 2 || height < 2 {
            return Err(RustyError::Unsupported("an odd size"));
        }
        let size = PictureSize { width: width as u32, height: height as u32 };
        let strides = [width, width / 2, width / 2];
        let view =
            PictureView { size, planes: [&frame.y, &frame.u, &frame.v], strides, sar: SampleAspect::SQUARE };
        if idr {
            self.flush(shown);
            self.order.leading = None;
        }
        let poc = self.decoder.last_poc();
        if !begins && (self.order.is_leading(poc) || self.order.is_late(poc)) {
            return Ok(());
        }
        if self.order.is_next(poc, begins) {
            self.order.passed(poc);
            shown(pts, view);
        } else {
            self.order.hold(poc, pts, view.to_picture());
        }
        while let Some((pts, picture)) = self.order.ready() {
            shown(pts, (&picture).into());
        }
        Ok(())
    }

    /// Makes the new decoder ready for a picture that refers to what never came.
    fn recover(&mut self, access_unit: &[u8], pts: MediaTime) -> Result<EntryPoint, RustyError> {
        let start = EntryPoint::of(access_unit)
            .ok_or(RustyError::Bitstream { pts, error: DecodeError::MissingParameterSet })?;
        if let Some(before) = start.before() {
            // It is of use if it can be decoded, and nothing is lost if not.
            if !matches!(guarded(|| self.decoder.decode(&before)), Some(Ok(_))) {
                self.decoder = Decoder::new();
            }
        }
        let sps = Box::new(start.sps.clone());
        self.recovery = Some(Recovery { sps, last: start.frame_num, left: start.frames });
        Ok(start)
    }

    /// It has begun at a recovery point, and what is decoded cannot be shown yet.
    pub const fn is_recovering(&self) -> bool {
        self.recovery.is_some()
    }

    /// An access unit was lost on the way: what refers to it must not be shown.
    pub const fn lost(&mut self) {
        self.waiting = true;
    }

    /// Shows the pictures still held back.
    pub fn flush(&mut self, shown: &mut dyn FnMut(MediaTime, PictureView<'_>)) {
        while let Some((pts, picture)) = self.order.first() {
            shown(pts, (&picture).into());
        }
    }
}

/// Runs `decode`; `None` after a panic. Unwind safety: a decoder that has panicked is thrown away with all its state.
fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decode)).ok()
}

/// Puts pictures from decode order into presentation order, without waiting where nothing can come before.
#[derive(Debug)]
struct ReorderBuffer<P> {
    held: BTreeMap<i32, (MediaTime, P)>,
    /// The picture order count of the picture shown last.
    last: i32,
    /// From one frame to the next.
    step: i32,
    /// The picture order count of the recovery point that it began with, and how many pictures may still be shown before it.
    leading: Option<(i32, u32)>,
}

impl<P> Default for ReorderBuffer<P> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), last: 0, step: TWO_FIELDS, leading: None }
    }
}

impl<P> ReorderBuffer<P> {
    /// It begins with a recovery point.
    const fn begin(&mut self, poc: i32) {
        self.leading = Some((poc, MAX_LEADING));
    }

    /// Whether a picture is shown before the recovery point, and so refers to what never came.
    const fn is_leading(&mut self, poc: i32) -> bool {
        let Some((first, left)) = &mut self.leading else { return false };
        let leading = poc < *first && *left > 0;
        *left = left.saturating_sub(1);
        leading
    }

    /// Whether a picture comes after its turn, which means that this encoder counts frames by ones.
    const fn is_late(&mut self, poc: i32) -> bool {
        let late = poc < self.last;
        if late {
            self.step = 1;
        }
        late
    }

    /// Whether no other picture is to be shown before this one.
    fn is_next(&self, poc: i32, idr: bool) -> bool {
        self.held.is_empty() && (idr || poc <= self.last.saturating_add(self.step))
    }

    const fn passed(&mut self, poc: i32) {
        self.last = poc;
    }

    fn hold(&mut self, poc: i32, pts: MediaTime, picture: P) {
        self.held.insert(poc, (pts, picture));
    }

    /// The next picture whose turn has come.
    fn ready(&mut self) -> Option<(MediaTime, P)> {
        let (&poc, _) = self.held.first_key_value()?;
        let due = poc <= self.last.saturating_add(self.step) || self.held.len() > MAX_HELD;
        if due { self.first() } else { None }
    }

    fn first(&mut self) -> Option<(MediaTime, P)> {
        let (poc, picture) = self.held.pop_first()?;
        self.last = poc;
        Some(picture)
    }
}

#[cfg(test)]
mod tests;
