//! H.264 access units to pictures.

use std::os::raw::{c_int, c_ulonglong, c_void};

use openh264_sys2::source::APILoader;
use openh264_sys2::{
    API, DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER, DECODER_OPTION_TRACE_LEVEL, ERROR_CON_DISABLE,
    ISVCDecoder, ISVCDecoderVtbl, SBufferInfo, SDecodingParam, VIDEO_BITSTREAM_AVC, WELS_LOG_QUIET,
};

use crate::media::{MediaTime, Picture, PictureSize};

use super::{CodecError, check};

/// Larger pictures are refused: level 5.2 and more memory than a lecture needs.
const LARGEST: PictureSize = PictureSize { width: 4096, height: 2304 };

/// A picture somewhere else: three planes with their strides.
#[derive(Clone, Copy, Debug)]
pub struct PictureView<'a> {
    /// Size in luma samples.
    pub size: PictureSize,
    /// Y, U, V; each holds at least `stride * (rows - 1) + width` bytes.
    pub planes: [&'a [u8]; 3],
    /// Bytes from one row to the next.
    pub strides: [usize; 3],
}

impl<'a> From<&'a Picture> for PictureView<'a> {
    fn from(picture: &'a Picture) -> Self {
        let size = picture.size();
        let chroma = size.chroma().width as usize;
        Self { size, planes: picture.planes(), strides: [size.width as usize, chroma, chroma] }
    }
}

impl PictureView<'_> {
    /// Copies the picture into `out`, which has the same size; rows that do not fit are left.
    pub fn copy_to(&self, out: &mut Picture) {
        let sizes = [out.plane_size(0), out.plane_size(1), out.plane_size(2)];
        for (index, plane) in out.planes_mut().into_iter().enumerate() {
            let width = sizes[index].width as usize;
            let rows = self.planes[index].chunks(self.strides[index].max(1));
            for (to, from) in plane.chunks_exact_mut(width).zip(rows) {
                if let Some(from) = from.get(..width) {
                    to.copy_from_slice(from);
                }
            }
        }
    }
}

/// An access unit was not decoded. The decoder lives on; pictures return with the next IDR picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bits do not make a picture.
    #[error("the access unit cannot be decoded (OpenH264 state {state:#x})")]
    Damaged {
        /// OpenH264's `DECODING_STATE` flags.
        state: i32,
    },
    /// The picture has a size that we do not handle.
    #[error("pictures of {0} are not handled (even sizes up to 4096x2304 are)")]
    Size(PictureSize),
}

/// An OpenH264 decoder without error concealment: damage gives no picture instead of a smeared one.
pub struct Decoder {
    raw: *mut ISVCDecoder,
}

// SAFETY: the decoder keeps no thread-local state and makes no threads of its own; it may move between threads,
// and `&mut self` keeps calls apart.
unsafe impl Send for Decoder {}

/// Presentation times travel through the library as unsigned numbers that it copies and compares.
fn to_stamp(pts: MediaTime) -> c_ulonglong {
    pts.as_nanos() as c_ulonglong
}

fn from_stamp(stamp: c_ulonglong) -> MediaTime {
    MediaTime::from_nanos(stamp as i64)
}

impl Decoder {
    /// Makes a decoder.
    pub fn new() -> Result<Self, CodecError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is a valid place for the library to store a pointer to the new decoder.
        check("WelsCreateDecoder", unsafe { APILoader::new().WelsCreateDecoder(&raw mut raw) })?;
        if raw.is_null() {
            return Err(CodecError { call: "WelsCreateDecoder", code: -1 });
        }
        let decoder = Self { raw };
        let missing = CodecError { call: "decoder table", code: -1 };
        let mut quiet = WELS_LOG_QUIET as c_int;
        let set_option = decoder.vtable().SetOption.ok_or(missing)?;
        // SAFETY: DECODER_OPTION_TRACE_LEVEL takes a pointer to an int, which lives through the call.
        check("SetOption", unsafe {
            set_option(decoder.raw, DECODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast::<c_void>())
        })?;
        let mut params = SDecodingParam { eEcActiveIdc: ERROR_CON_DISABLE, ..SDecodingParam::default() };
        params.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
        let initialize = decoder.vtable().Initialize.ok_or(missing)?;
        // SAFETY: `params` is only read during the call.
        check("Initialize", unsafe { initialize(decoder.raw, &raw const params) })?;
        Ok(decoder)
    }

    /// Decodes one whole Annex B access unit shown at `pts`. Pictures come out in presentation order, each
    /// with its own time; with B pictures they come a few access units later.
    pub fn decode(
        &mut self,
        access_unit: &[u8],
        pts: MediaTime,
        shown: &mut dyn FnMut(MediaTime, PictureView<'_>),
    ) -> Result<(), DecodeError> {
        let Some(decode) = self.vtable().DecodeFrameNoDelay else {
            return Err(DecodeError::Damaged { state: -1 });
        };
        let length = c_int::try_from(access_unit.len()).map_err(|_| DecodeError::Damaged { state: -1 })?;
        let mut planes = [std::ptr::null_mut(); 3];
        let mut info = SBufferInfo { uiInBsTimeStamp: to_stamp(pts), ..SBufferInfo::default() };
        // SAFETY: the access unit is only read, `length` is its length; `planes` and `info` are valid places for the
        // answer.
        let state =
            unsafe { decode(self.raw, access_unit.as_ptr(), length, planes.as_mut_ptr(), &raw mut info) };
        // SAFETY: `info` and `planes` were just filled by this decoder.
        let given = unsafe { give(&planes, &info, shown) };
        if state == 0 { given } else { Err(DecodeError::Damaged { state }) }
    }

    /// Gives out the pictures that are held back for reordering, as at the end of a stream.
    pub fn flush(&mut self, shown: &mut dyn FnMut(MediaTime, PictureView<'_>)) {
        let (Some(get_option), Some(flush)) = (self.vtable().GetOption, self.vtable().FlushFrame) else {
            return;
        };
        let mut held: c_int = 0;
        // SAFETY: this option is answered through a pointer to an int, which lives through the call.
        let asked = unsafe {
            get_option(
                self.raw,
                DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER,
                (&raw mut held).cast::<c_void>(),
            )
        };
        if asked != 0 {
            return;
        }
        for _ in 0..held {
            let mut planes = [std::ptr::null_mut(); 3];
            let mut info = SBufferInfo::default();
            // SAFETY: `planes` and `info` are valid places for the answer.
            unsafe { flush(self.raw, planes.as_mut_ptr(), &raw mut info) };
            // SAFETY: they were just filled by this decoder. A picture of a wrong size is left out, as above.
            let _ = unsafe { give(&planes, &info, shown) };
        }
    }

    fn vtable(&self) -> &ISVCDecoderVtbl {
        // SAFETY: `raw` came from WelsCreateDecoder, was checked for null and lives as long as `self`; its first
        // word points to a static table of functions.
        unsafe { &**self.raw }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: `raw` is a live decoder and is not used again.
        unsafe {
            if let Some(uninitialize) = self.vtable().Uninitialize {
                uninitialize(self.raw);
            }
            APILoader::new().WelsDestroyDecoder(self.raw);
        }
    }
}

/// Hands a finished picture to `shown`.
///
/// SAFETY: `planes` and `info` must be as the decoder filled them, and it must not be called while `shown` runs.
unsafe fn give(
    planes: &[*mut u8; 3],
    info: &SBufferInfo,
    shown: &mut dyn FnMut(MediaTime, PictureView<'_>),
) -> Result<(), DecodeError> {
    if info.iBufferStatus != 1 || planes.iter().any(|plane| plane.is_null()) {
        return Ok(());
    }
    // SAFETY: with iBufferStatus 1 the union holds the system-memory buffer's description.
    let buffer = unsafe { info.UsrData.sSystemBuffer };
    let size = PictureSize {
        width: u32::try_from(buffer.iWidth).unwrap_or(0),
        height: u32::try_from(buffer.iHeight).unwrap_or(0),
    };
    let [luma_stride, chroma_stride] = buffer.iStride.map(|stride| usize::try_from(stride).unwrap_or(0));
    let even =
        size.width.is_multiple_of(2) && size.height.is_multiple_of(2) && size.width > 0 && size.height > 0;
    let fits = size.width <= LARGEST.width && size.height <= LARGEST.height;
    if !even || !fits || luma_stride < size.width as usize || chroma_stride < size.chroma().width as usize {
        return Err(DecodeError::Size(size));
    }
    let strides = [luma_stride, chroma_stride, chroma_stride];
    let sizes = [size, size.chroma(), size.chroma()];
    let view = |index: usize| {
        let length = strides[index] * (sizes[index].height as usize - 1) + sizes[index].width as usize;
        // SAFETY: a plane of the decoder has `height` rows `stride` bytes apart, the last one at least `width`
        // bytes long, and stays valid until the next call.
        unsafe { std::slice::from_raw_parts(planes[index], length) }
    };
    shown(
        from_stamp(info.uiOutYuvTimeStamp),
        PictureView { size, planes: [view(0), view(1), view(2)], strides },
    );
    Ok(())
}
