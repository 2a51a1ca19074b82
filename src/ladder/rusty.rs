//! The other decoder: `rusty_h264`, in Rust, at half of OpenH264's CPU, and exact with B pictures where OpenH264 is not.
//!
//! It gives pictures in decode order; [`RustyDecoder`] puts them into presentation order by their picture order count.
//! It notices neither a missing picture nor every damage, so whoever loses an access unit must call
//! [`RustyDecoder::lost`]: until the next IDR picture there is then no picture, as after an error.
//!
//! What it does not know (field coding, I_PCM behind CABAC) it says as [`RustyError::Unsupported`], as does a `guard` in
//! front of it of what it does not decode exactly or within bounds: another decoder must be taken. So it must after
//! [`RustyError::Panicked`]; a panic inside ends nothing here.

mod guard;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusty_h264_decoder::{DecodeError, Decoder};

use self::guard::{Admitted, Guard};
use super::openh264::PictureView;
use crate::media::{MediaTime, Picture, PictureSize};

/// Pictures that may wait for one that is shown before them: more than any stream of level 5.1 at 720 lines needs.
const MAX_HELD: usize = 4;
/// From one frame to the next in picture order count, as nearly every encoder counts (ITU-T H.264 §8.2.1).
const TWO_FIELDS: i32 = 2;

/// Why an access unit gave no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RustyError {
    /// The bits cannot be decoded; nothing comes until the next IDR picture.
    #[error("access unit at {pts} not decoded: {error}")]
    Bitstream {
        /// Its presentation time.
        pts: MediaTime,
        /// What the decoder says.
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

/// One H.264 stream being decoded.
pub struct RustyDecoder {
    decoder: Decoder,
    guard: Guard,
    waiting: bool,
    order: Order<Picture>,
}

impl std::fmt::Debug for RustyDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RustyDecoder").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Default for RustyDecoder {
    fn default() -> Self {
        Self { decoder: Decoder::new(), guard: Guard::default(), waiting: true, order: Order::default() }
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
        let Admitted { idr, slices } = self.guard.admit(access_unit).map_err(RustyError::Unsupported)?;
        if self.waiting && !idr {
            return Err(RustyError::Waiting(pts));
        }
        if self.waiting {
            // Half a picture left over by damage would spoil this one.
            self.decoder = Decoder::new();
        }
        self.waiting = false;
        // Unwind safety: a decoder that has panicked is thrown away with all that it knew.
        let frame = match catch_unwind(AssertUnwindSafe(|| self.decoder.decode(access_unit))) {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None)) if slices == 0 => return Ok(()),
            // Some of its slices are missing.
            Ok(Ok(None)) => {
                self.lost();
                return Err(RustyError::Bitstream { pts, error: DecodeError::Truncated });
            }
            Ok(Err(DecodeError::Unsupported(what))) => {
                self.lost();
                return Err(RustyError::Unsupported(what));
            }
            Ok(Err(error)) => {
                self.lost();
                return Err(RustyError::Bitstream { pts, error });
            }
            Err(_) => {
                *self = Self { order: std::mem::take(&mut self.order), ..Self::default() };
                return Err(RustyError::Panicked(pts));
            }
        };
        let (width, height) = (frame.width, frame.height);
        if width % 2 != 0 || height % 2 != 0 || width < 2 || height < 2 {
            return Err(RustyError::Unsupported("an odd size"));
        }
        let size = PictureSize { width: width as u32, height: height as u32 };
        let strides = [width, width / 2, width / 2];
        let view = PictureView { size, planes: [&frame.y, &frame.u, &frame.v], strides };
        if idr {
            self.flush(shown);
        }
        let poc = self.decoder.last_poc();
        if !idr && self.order.is_late(poc) {
            return Ok(());
        }
        if self.order.is_next(poc, idr) {
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

/// Decode order to presentation order, without waiting where nothing can come before.
#[derive(Debug)]
struct Order<P> {
    held: BTreeMap<i32, (MediaTime, P)>,
    /// The count of the picture shown last.
    last: i32,
    /// From one frame to the next.
    step: i32,
}

impl<P> Default for Order<P> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), last: 0, step: TWO_FIELDS }
    }
}

impl<P> Order<P> {
    /// One that should have been shown before has been: this encoder counts frames by ones.
    const fn is_late(&mut self, poc: i32) -> bool {
        let late = poc < self.last;
        if late {
            self.step = 1;
        }
        late
    }

    /// Nothing comes before this picture.
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

    /// The first picture held.
    fn first(&mut self) -> Option<(MediaTime, P)> {
        let (poc, picture) = self.held.pop_first()?;
        self.last = poc;
        Some(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::h264::{NAL_AUD, annex_b_nals, nal_type};

    /// Feeds picture order counts in decode order, as the decoder does; gives them as they are shown.
    fn order(counts: &[i32]) -> Vec<i32> {
        let (mut order, mut shown) = (Order::default(), Vec::new());
        for &poc in counts {
            let idr = poc == 0;
            if idr {
                shown.extend(std::iter::from_fn(|| order.first()).map(|(_, poc)| poc));
            }
            if !idr && order.is_late(poc) {
                continue;
            }
            if order.is_next(poc, idr) {
                order.passed(poc);
                shown.push(poc);
            } else {
                order.hold(poc, MediaTime::from_millis(0), poc);
            }
            shown.extend(std::iter::from_fn(|| order.ready()).map(|(_, poc)| poc));
        }
        shown
    }

    #[test]
    fn pictures_without_b_are_shown_at_once() {
        assert_eq!(order(&[0, 2, 4, 6, 0, 2]), [0, 2, 4, 6, 0, 2]);
        assert_eq!(order(&[0, 1, 2, 3]), [0, 1, 2, 3]);
    }

    #[test]
    fn b_pictures_come_before_what_was_decoded_before_them() {
        assert_eq!(order(&[0, 8, 4, 2, 6, 16, 12, 10, 14, 0, 2]), [0, 2, 4, 6, 8, 10, 12, 14, 16, 0, 2]);
    }

    #[test]
    fn a_hole_holds_no_picture_for_ever() {
        assert_eq!(order(&[0, 4, 6, 8, 10, 12, 14]), [0, 4, 6, 8, 10, 12, 14]);
    }

    #[test]
    fn who_counts_frames_by_ones_loses_one_picture_and_no_more() {
        assert_eq!(order(&[0, 2, 1, 4, 3, 6, 5]), [0, 2, 3, 4, 5, 6]);
    }

    #[test]
    #[ignore = "needs ffmpeg"]
    fn b_pictures_are_exact_and_in_order() {
        let run = |arguments: &str| {
            let output = std::process::Command::new("ffmpeg")
                .args(arguments.split_whitespace())
                .output()
                .expect("ffmpeg");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        for options in ["b-pyramid=none", "b-pyramid=normal:ref=4", "b-pyramid=none:open-gop=1", "bframes=0"]
        {
            let stream = run(&format!(
                "-v error -f lavfi -i testsrc2=size=426x240:rate=15:duration=6 -c:v libx264 -threads 1 -profile:v high \
                 -g 30 -bf 3 -b:v 800k -x264-params {options} -bsf:v h264_metadata=aud=insert -f h264 -"
            ));
            let file = tempfile::NamedTempFile::with_suffix(".h264").expect("a file");
            std::fs::write(file.path(), &stream).expect("written");
            let raw = run(&format!("-v error -i {} -pix_fmt yuv420p -f rawvideo -", file.path().display()));
            let mut units: Vec<Vec<u8>> = Vec::new();
            for nal in annex_b_nals(&stream) {
                if nal_type(nal) == NAL_AUD {
                    units.push(Vec::new());
                }
                units.last_mut().expect("a delimiter").extend([&[0, 0, 0, 1], nal].concat());
            }
            let (mut decoder, mut shown) = (RustyDecoder::default(), Vec::new());
            let mut show =
                |_: MediaTime, view: PictureView<'_>| shown.extend(view.to_picture().planes().concat());
            for unit in &units {
                decoder.decode(unit, MediaTime::from_millis(0), &mut show).expect("decoded");
            }
            decoder.flush(&mut show);
            assert_eq!(shown.len(), raw.len(), "{options}: every picture");
            assert!(shown == raw, "{options}: to the last sample");
        }
    }
}
