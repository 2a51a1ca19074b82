//! The decoder: access units in, pictures out, in presentation order and with their own times.
//!
//! Call [`Decoder::decode`] with each access unit in decode order. Pictures come out late: one access unit
//! later in a Main or High stream without B pictures, up to five with them; [`Decoder::flush`] hands out
//! what is left at the end. Error concealment is off: after damage there is an error for every access unit
//! and no picture until the next IDR picture, and every picture that comes out is whole. After an error,
//! go on with the next access unit.
//!
//! Colour range, matrix and the shape of samples are passed through untouched. Interlaced coding is refused by OpenH264.

#![expect(unsafe_code, reason = "OpenH264 is a C++ library; see the SAFETY comments")]

use openh264_sys2 as sys;
use sys::API as _;

use super::encoder::CodecError;
use super::view::PictureView;
use amphi_media::h264::LARGEST;
use amphi_media::{MediaTime, PictureSize, SampleAspect};

/// The largest picture that is handed on. Level 5.1 allows this much; lecture halls send less.
const MAX_SIZE: PictureSize = LARGEST;
/// Pictures that OpenH264 may hold back (its reorder list).
const MAX_HELD: usize = 16;

/// Why an access unit gave no (or not every) picture. The source or the way from it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing to decode, or more than OpenH264 can count.
    #[error("an access unit of {0} bytes cannot be decoded")]
    Length(usize),
    /// The bits cannot be decoded, or what they refer to is missing.
    #[error("access unit at {pts} not decoded: {} (OpenH264 state {state:#x})", reason(*.state))]
    Bitstream {
        /// Presentation time of the access unit.
        pts: MediaTime,
        /// Bits of OpenH264's `DECODING_STATE`.
        state: i32,
    },
    /// The picture is too large, or has an odd side.
    #[error("a {width}x{height} picture is refused; even sizes up to {MAX_SIZE} are taken")]
    Size {
        /// Luma samples per row, as decoded.
        width: i32,
        /// Rows of luma, as decoded.
        height: i32,
    },
}

/// One H.264 stream being decoded.
#[derive(Debug)]
pub struct Decoder {
    raw: *mut sys::ISVCDecoder,
    decode_frame: DecodeFrame,
    flush_frame: FlushFrame,
}

type DecodeFrame = unsafe extern "C" fn(
    *mut sys::ISVCDecoder,
    *const u8,
    i32,
    *mut *mut u8,
    *mut sys::SBufferInfo,
) -> sys::DECODING_STATE;
type FlushFrame =
    unsafe extern "C" fn(*mut sys::ISVCDecoder, *mut *mut u8, *mut sys::SBufferInfo) -> sys::DECODING_STATE;

// SAFETY: the library object has no thread affinity (decoder threads are never switched on), and `&Decoder`
// calls nothing of it, so it may move between threads.
unsafe impl Send for Decoder {}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: `raw` came from WelsCreateDecoder and is destroyed once; it uninitializes itself.
        unsafe { sys::DynamicAPI::from_source().WelsDestroyDecoder(self.raw) }
    }
}

impl Decoder {
    /// A decoder that waits for an IDR picture with its parameter sets.
    pub fn new() -> Result<Self, CodecError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the out pointer is valid for the call.
        let code = unsafe { sys::DynamicAPI::from_source().WelsCreateDecoder(&raw mut raw) };
        if code != 0 || raw.is_null() {
            return Err(CodecError::Library { call: "WelsCreateDecoder", code });
        }
        // SAFETY: `raw` is not null, so it points to an object whose first word is its vtable.
        let vtable = unsafe { **raw };
        let (Some(decode_frame), Some(flush_frame), Some(initialize), Some(set_option)) =
            (vtable.DecodeFrame2, vtable.FlushFrame, vtable.Initialize, vtable.SetOption)
        else {
            // SAFETY: as in Drop; `raw` is not used again.
            unsafe { sys::DynamicAPI::from_source().WelsDestroyDecoder(raw) };
            return Err(CodecError::Library { call: "WelsCreateDecoder", code: -1 });
        };
        let decoder = Self { raw, decode_frame, flush_frame };
        let mut quiet = sys::WELS_LOG_QUIET;
        // SAFETY: `raw` is a live decoder; the option is an int that outlives the call.
        let code = unsafe {
            set_option(raw, sys::DECODER_OPTION_TRACE_LEVEL, std::ptr::from_mut(&mut quiet).cast())
        };
        if code != 0 {
            return Err(CodecError::Library { call: "SetOption(TRACE_LEVEL)", code });
        }
        let mut parameters =
            sys::SDecodingParam { eEcActiveIdc: sys::ERROR_CON_DISABLE, ..Default::default() };
        parameters.sVideoProperty.size = size_of::<sys::SVideoProperty>() as u32;
        parameters.sVideoProperty.eVideoBsType = sys::VIDEO_BITSTREAM_AVC;
        // SAFETY: `raw` is a live decoder; the parameters are copied before the call returns.
        let code = unsafe { initialize(raw, &raw const parameters) };
        if code != 0 {
            return Err(CodecError::Library { call: "Initialize", code });
        }
        Ok(decoder)
    }

    /// Decodes one whole access unit: Annex B, parameter sets in band before the first IDR picture and
    /// wherever they change. `shown` is called for each picture that comes out, in presentation order, with
    /// the `pts` of its own access unit.
    ///
    /// # Errors
    /// See [`DecodeError`]; pictures that came out before the error have been shown.
    pub fn decode(
        &mut self,
        access_unit: &[u8],
        pts: MediaTime,
        shown: &mut dyn FnMut(MediaTime, PictureView<'_>),
    ) -> Result<(), DecodeError> {
        let length = i32::try_from(access_unit.len()).unwrap_or(0);
        if length == 0 {
            return Err(DecodeError::Length(access_unit.len()));
        }
        // An access unit is known to be whole only when the next one begins, or when a call without bytes
        // says so; the second call is what DecodeFrameNoDelay does, but that forgets the first call's picture.
        let (mut state, mut refused) = (0, Ok(()));
        for (bytes, length) in [(access_unit.as_ptr(), length), (std::ptr::null(), 0)] {
            let mut planes = [std::ptr::null_mut(); 3];
            let mut info =
                sys::SBufferInfo { uiInBsTimeStamp: pts.as_nanos().cast_unsigned(), ..Default::default() };
            // SAFETY: `raw` is an initialized decoder; `bytes` is null or holds `length` bytes through the
            // call; the out parameters have the shapes that OpenH264 expects.
            state |=
                unsafe { (self.decode_frame)(self.raw, bytes, length, planes.as_mut_ptr(), &raw mut info) };
            refused = refused.and(show(&info, shown));
        }
        if state == 0 { refused } else { Err(DecodeError::Bitstream { pts, state }) }
    }

    /// Shows the pictures still held back. Decoding goes on at the next IDR picture.
    ///
    /// # Errors
    /// [`DecodeError::Size`] if a picture is refused.
    pub fn flush(&mut self, shown: &mut dyn FnMut(MediaTime, PictureView<'_>)) -> Result<(), DecodeError> {
        let mut refused = Ok(());
        for _ in 0..MAX_HELD {
            let mut planes = [std::ptr::null_mut(); 3];
            let mut info = sys::SBufferInfo::default();
            // SAFETY: `raw` is an initialized decoder; the out parameters have the shapes it expects.
            unsafe { (self.flush_frame)(self.raw, planes.as_mut_ptr(), &raw mut info) };
            if info.iBufferStatus != 1 {
                break;
            }
            refused = refused.and(show(&info, shown));
        }
        refused
    }
}

/// Shows the picture that `info` describes, if any. Must be called before the decoder is called again.
fn show(
    info: &sys::SBufferInfo,
    shown: &mut dyn FnMut(MediaTime, PictureView<'_>),
) -> Result<(), DecodeError> {
    if info.iBufferStatus != 1 || info.pDst.iter().any(|plane| plane.is_null()) {
        return Ok(());
    }
    // SAFETY: plain integers, and the union has no other member.
    let buffer = unsafe { info.UsrData.sSystemBuffer };
    let refused = DecodeError::Size { width: buffer.iWidth, height: buffer.iHeight };
    let side = |length: i32, max: u32| {
        u32::try_from(length).ok().filter(|length| (2..=max).contains(length) && length % 2 == 0)
    };
    let (Some(width), Some(height)) =
        (side(buffer.iWidth, MAX_SIZE.width), side(buffer.iHeight, MAX_SIZE.height))
    else {
        return Err(refused);
    };
    let size = PictureSize { width, height };
    let [luma, chroma] = buffer.iStride.map(|stride| usize::try_from(stride).unwrap_or(0));
    if luma < width as usize || chroma < size.chroma().width as usize {
        return Err(refused);
    }
    let rows = [height, size.chroma().height, size.chroma().height].map(|rows| rows as usize);
    let strides = [luma, chroma, chroma];
    let planes = std::array::from_fn(|index| {
        // SAFETY: OpenH264 allocates every plane with 32 (chroma: 16) samples of padding on all sides, so
        // `stride` bytes can be read from the start of each shown row, the last one too. The bytes live in
        // the decoder and are not written before its next call, which the borrow does not outlive.
        unsafe { std::slice::from_raw_parts(info.pDst[index].cast_const(), strides[index] * rows[index]) }
    });
    let pts = MediaTime::from_nanos(info.uiOutYuvTimeStamp.cast_signed());
    shown(pts, PictureView { size, planes, strides, sar: SampleAspect::SQUARE });
    Ok(())
}

/// The first known bit of a `DECODING_STATE`, in words.
fn reason(state: i32) -> &'static str {
    const REASONS: [(sys::DECODING_STATE, &str); 6] = [
        (sys::dsOutOfMemory, "out of memory, or an access unit that is far too large"),
        (
            sys::dsNoParamSets,
            "waiting for an IDR picture with parameter sets, or coding that is not supported",
        ),
        (sys::dsRefLost, "a picture it refers to is missing"),
        (sys::dsRefListNullPtrs, "a picture it refers to is missing"),
        (sys::dsBitstreamError, "the bits are damaged"),
        (sys::dsFramePending, "the picture is not whole"),
    ];
    REASONS.iter().find(|(bit, _)| state & bit != 0).map_or("unknown reason", |(_, reason)| reason)
}
