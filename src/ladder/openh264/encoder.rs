//! Pictures to H.264 samples.

use std::os::raw::{c_int, c_longlong, c_void};

use bytes::{Bytes, BytesMut};
use openh264_sys2::source::APILoader;
use openh264_sys2::{
    API, CAMERA_VIDEO_REAL_TIME, CONSTANT_ID, ELevelIdc, ENCODER_OPTION_TRACE_LEVEL, ISVCEncoder,
    ISVCEncoderVtbl, MEDIUM_COMPLEXITY, PRO_HIGH, RC_BITRATE_MODE, SEncParamExt, SFrameBSInfo,
    SM_SINGLE_SLICE, SSourcePicture, WELS_LOG_QUIET, videoFormatI420,
};

use crate::media::{ParameterSets, Picture, PictureSize, h264};

use super::{CodecError, check};

/// What a rung asks of its encoder. Equal settings give byte-equal parameter sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Coded size.
    pub size: PictureSize,
    /// Pictures per second.
    pub fps: u32,
    /// Target bits per second.
    pub bitrate_bps: u32,
}

/// One coded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Bytes appended to the caller's buffer.
    pub size: u32,
    /// It is an IDR picture.
    pub sync: bool,
}

/// An OpenH264 encoder: High profile, CABAC, no B pictures, IDR pictures only where asked for.
///
/// Measured on lecture clips at 750 kbit/s against the library's defaults: CABAC +0.7 dB; 20 pictures' worth of
/// bits for an IDR picture (`iIdrBitrateRatio` 2000 instead of 400) +2 to +6 dB on slides, since a slide is sharp
/// from its first picture on.
pub struct Encoder {
    raw: *mut ISVCEncoder,
    settings: EncoderSettings,
    parameter_sets: ParameterSets,
}

// SAFETY: the encoder keeps no thread-local state and makes no threads of its own (iMultipleThreadIdc = 1);
// it may move between threads, and `&mut self` keeps calls apart.
unsafe impl Send for Encoder {}

/// `ForceIntraFrame` as the C++ header declares it: the bindings lack the layer, which would be garbage.
type ForceIntraFrame = unsafe extern "C" fn(*mut ISVCEncoder, bool, c_int) -> c_int;
const ALL_LAYERS: c_int = -1;

impl Encoder {
    /// Makes an encoder and asks it for its parameter sets.
    pub fn new(settings: EncoderSettings) -> Result<Self, CodecError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is a valid place for the library to store a pointer to the new encoder.
        check("WelsCreateSVCEncoder", unsafe { APILoader::new().WelsCreateSVCEncoder(&raw mut raw) })?;
        if raw.is_null() {
            return Err(CodecError { call: "WelsCreateSVCEncoder", code: -1 });
        }
        let empty = ParameterSets { sps: Bytes::new(), pps: Bytes::new() };
        let mut encoder = Self { raw, settings, parameter_sets: empty };
        encoder.initialize()?;
        encoder.parameter_sets = encoder.ask_parameter_sets()?;
        Ok(encoder)
    }

    /// SPS and PPS of every picture.
    pub const fn parameter_sets(&self) -> &ParameterSets {
        &self.parameter_sets
    }

    /// Codes `picture` as number `number` of the stream and appends it to `out` as one sample: NAL units with
    /// 4-byte lengths, parameter sets left out (ISO/IEC 14496-15 §5.3).
    pub fn encode(
        &mut self,
        picture: &Picture,
        number: i64,
        idr: bool,
        out: &mut BytesMut,
    ) -> Result<Encoded, CodecError> {
        if picture.size() != self.settings.size {
            return Err(CodecError { call: "EncodeFrame (picture of another size)", code: -1 });
        }
        if idr {
            self.force_idr()?;
        }
        let size = picture.size();
        let chroma = size.chroma();
        let [y, u, v] = picture.planes().map(|plane| plane.as_ptr().cast_mut());
        let source = SSourcePicture {
            iColorFormat: videoFormatI420,
            iStride: [size.width as c_int, chroma.width as c_int, chroma.width as c_int, 0],
            pData: [y, u, v, std::ptr::null_mut()],
            iPicWidth: size.width as c_int,
            iPicHeight: size.height as c_int,
            uiTimeStamp: (number * 1000 / i64::from(self.settings.fps)) as c_longlong,
            ..SSourcePicture::default()
        };
        let mut info = SFrameBSInfo::default();
        let encode = self.vtable().EncodeFrame.ok_or(missing("EncodeFrame"))?;
        // SAFETY: the planes of `picture` are as long as size and strides say, and outlive the call, which only
        // reads them; `info` is a valid place for the answer.
        check("EncodeFrame", unsafe { encode(self.raw, &raw const source, &raw mut info) })?;
        let before = out.len();
        let mut sync = false;
        // SAFETY: `info` was filled by a successful call on this encoder, which has not been called since.
        for nal in unsafe { nals(&info) } {
            match h264::nal_type(nal) {
                h264::NAL_SPS | h264::NAL_PPS | h264::NAL_AUD => continue,
                kind => sync |= kind == h264::NAL_IDR,
            }
            h264::push_sample_nal(out, nal);
        }
        let size = (out.len() - before) as u32;
        // With frame skipping off the rate control has no right to skip; a hole would break the lattice.
        if size == 0 {
            return Err(CodecError { call: "EncodeFrame (picture skipped)", code: info.eFrameType.into() });
        }
        Ok(Encoded { size, sync })
    }

    fn initialize(&mut self) -> Result<(), CodecError> {
        let mut quiet = WELS_LOG_QUIET as c_int;
        let set_option = self.vtable().SetOption.ok_or(missing("SetOption"))?;
        // SAFETY: ENCODER_OPTION_TRACE_LEVEL takes a pointer to an int, which lives through the call.
        check("SetOption", unsafe {
            set_option(self.raw, ENCODER_OPTION_TRACE_LEVEL, (&raw mut quiet).cast::<c_void>())
        })?;
        let mut params = SEncParamExt::default();
        let defaults = self.vtable().GetDefaultParams.ok_or(missing("GetDefaultParams"))?;
        // SAFETY: `params` is a valid place for the answer.
        check("GetDefaultParams", unsafe { defaults(self.raw, &raw mut params) })?;
        configure(&mut params, &self.settings);
        let initialize = self.vtable().InitializeExt.ok_or(missing("InitializeExt"))?;
        // SAFETY: `params` was filled by GetDefaultParams and is only read.
        check("InitializeExt", unsafe { initialize(self.raw, &raw const params) })
    }

    fn ask_parameter_sets(&self) -> Result<ParameterSets, CodecError> {
        let mut info = SFrameBSInfo::default();
        let ask = self.vtable().EncodeParameterSets.ok_or(missing("EncodeParameterSets"))?;
        // SAFETY: `info` is a valid place for the answer.
        check("EncodeParameterSets", unsafe { ask(self.raw, &raw mut info) })?;
        let find = |kind| {
            // SAFETY: `info` was filled by a successful call on this encoder, which has not been called since.
            let nal = unsafe { nals(&info) }.into_iter().find(|nal| h264::nal_type(nal) == kind);
            nal.map(Bytes::copy_from_slice).ok_or(missing("EncodeParameterSets"))
        };
        Ok(ParameterSets { sps: find(h264::NAL_SPS)?, pps: find(h264::NAL_PPS)? })
    }

    fn force_idr(&mut self) -> Result<(), CodecError> {
        let force = self.vtable().ForceIntraFrame.ok_or(missing("ForceIntraFrame"))?;
        // SAFETY: both types describe the same function; the library's declaration is
        // `virtual int ForceIntraFrame(bool bIDR, int iLayerId = -1)`, which the target type spells out.
        let force = unsafe {
            std::mem::transmute::<unsafe extern "C" fn(*mut ISVCEncoder, bool) -> c_int, ForceIntraFrame>(
                force,
            )
        };
        // SAFETY: `raw` is a live, initialized encoder.
        check("ForceIntraFrame", unsafe { force(self.raw, true, ALL_LAYERS) })
    }

    fn vtable(&self) -> &ISVCEncoderVtbl {
        // SAFETY: `raw` came from WelsCreateSVCEncoder, was checked for null and lives as long as `self`; its
        // first word points to a static table of functions.
        unsafe { &**self.raw }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `raw` is a live encoder and is not used again; uninitializing one that was never
        // initialized is allowed.
        unsafe {
            if let Some(uninitialize) = self.vtable().Uninitialize {
                uninitialize(self.raw);
            }
            APILoader::new().WelsDestroySVCEncoder(self.raw);
        }
    }
}

fn configure(params: &mut SEncParamExt, settings: &EncoderSettings) {
    let bitrate = settings.bitrate_bps as c_int;
    params.iUsageType = CAMERA_VIDEO_REAL_TIME;
    params.iPicWidth = settings.size.width as c_int;
    params.iPicHeight = settings.size.height as c_int;
    params.iTargetBitrate = bitrate;
    params.iRCMode = RC_BITRATE_MODE;
    params.fMaxFrameRate = settings.fps as f32;
    params.iTemporalLayerNum = 1;
    params.iSpatialLayerNum = 1;
    params.iComplexityMode = MEDIUM_COMPLEXITY;
    // IDR pictures stand where the grid and the slides want them, nowhere else.
    params.uiIntraPeriod = 0;
    params.eSpsPpsIdStrategy = CONSTANT_ID;
    params.iEntropyCodingModeFlag = 1;
    params.bEnableFrameSkip = false;
    params.iMaxQp = 42;
    params.iMinQp = 12;
    params.iMultipleThreadIdc = 1;
    params.bEnableSceneChangeDetect = false;
    params.bEnableLongTermReference = false;
    params.iIdrBitrateRatio = 2000;
    let layer = &mut params.sSpatialLayers[0];
    layer.iVideoWidth = params.iPicWidth;
    layer.iVideoHeight = params.iPicHeight;
    layer.fFrameRate = params.fMaxFrameRate;
    layer.iSpatialBitrate = bitrate;
    layer.uiProfileIdc = PRO_HIGH;
    layer.uiLevelIdc = level(settings);
    layer.sSliceArgument.uiSliceMode = SM_SINGLE_SLICE;
}

/// The smallest level of ITU-T H.264 table A-1 that holds the pictures: fixed here, because the library would
/// choose by circumstances.
fn level(settings: &EncoderSettings) -> ELevelIdc {
    /// level_idc, macroblocks per second, macroblocks per picture, High profile bits per second / 1000.
    const TABLE: [(ELevelIdc, u32, u32, u32); 11] = [
        (21, 19_800, 792, 5_000),
        (22, 20_250, 1_620, 5_000),
        (30, 40_500, 1_620, 12_500),
        (31, 108_000, 3_600, 17_500),
        (32, 216_000, 5_120, 25_000),
        (40, 245_760, 8_192, 25_000),
        (41, 245_760, 8_192, 62_500),
        (42, 522_240, 8_704, 62_500),
        (50, 589_824, 22_080, 168_750),
        (51, 983_040, 36_864, 300_000),
        (52, 2_073_600, 36_864, 300_000),
    ];
    let macroblocks = settings.size.width.div_ceil(16) * settings.size.height.div_ceil(16);
    let kbps = settings.bitrate_bps / 1000;
    TABLE
        .iter()
        .find(|(_, per_second, per_picture, rate)| {
            macroblocks * settings.fps <= *per_second && macroblocks <= *per_picture && kbps <= *rate
        })
        .map_or(52, |row| row.0)
}

const fn missing(call: &'static str) -> CodecError {
    CodecError { call, code: -1 }
}

/// The NAL units that `info` points to, without start codes.
///
/// SAFETY: `info` must be as the encoder filled it, and the encoder must not be called while the slices live.
unsafe fn nals(info: &SFrameBSInfo) -> Vec<&[u8]> {
    const START_CODE: usize = 4;
    let mut nals = Vec::with_capacity(4);
    let layers = usize::try_from(info.iLayerNum).unwrap_or(0);
    for layer in info.sLayerInfo.iter().take(layers) {
        let mut at = 0;
        for index in 0..usize::try_from(layer.iNalCount).unwrap_or(0) {
            // SAFETY: pNalLengthInByte holds iNalCount lengths, and pBsBuf as many bytes as their sum.
            let nal = unsafe {
                let length = usize::try_from(*layer.pNalLengthInByte.add(index)).unwrap_or(0);
                let nal = std::slice::from_raw_parts(layer.pBsBuf.add(at), length);
                at += length;
                nal
            };
            nals.extend(nal.get(START_CODE..));
        }
    }
    nals
}
