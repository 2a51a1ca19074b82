//! The encoder: raw pictures in, length-prefixed H.264 samples out.
//!
//! High profile, CABAC, one slice, one reference, no B pictures, no scene detection: decode order is
//! presentation order, and an IDR picture comes exactly where it is asked for (and first of all). Call
//! [`Encoder::encode`] once per slot, in order. An encoder that has returned an error is spent: every later
//! call says so, and a new one takes its place.

#![expect(unsafe_code, reason = "OpenH264 is a C++ library; see the SAFETY comments")]

use bytes::{Bytes, BytesMut};
use openh264_sys2 as sys;
use sys::API as _;

use super::level::smallest_level;
use super::rate::BitBudget;
use amphi_media::h264::{NAL_AUD, NAL_IDR, NAL_PPS, NAL_SPS, annex_b_nals, nal_type, push_sample_nal};
use amphi_media::{ParameterSets, Picture, PictureSize, Slot};

/// The target of an IDR picture, in percent of an average picture. Measured at 750 kbit/s 720p15 against
/// the default of 400: +2.3 to +5.8 dB on slides, +3 dB on a camera, same bitrate, same CPU.
const IDR_BITRATE_PERCENT: i32 = 2000;
/// QP bounds. Below 12 static slides would spend bits that nobody sees; above 42 text is unreadable.
const QP: std::ops::RangeInclusive<i32> = 12..=42;
/// Pictures with so many lines are large. Skipping blocks that seem to stand still saves a third of a large picture's CPU,
/// but costs a small one half a decibel on a camera. So small ones are coded without it, and with a simpler search.
const LARGE: u32 = 720;
/// `VF_UNDEF`: video_format 5, unspecified (ITU-T H.264 table E-2).
const VIDEO_FORMAT_UNSPECIFIED: u8 = 5;

/// What a stream is to be. Equal settings give byte-equal parameter sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Coded and shown size; both sides even and at least 16.
    pub size: PictureSize,
    /// Pictures per second, 1 to 60.
    pub fps: u32,
    /// Target bit rate in bits per second.
    pub bitrate_bps: u32,
}

/// Why no picture was coded. All but `Settings` and `PictureSize` are faults of OpenH264 or of us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The settings cannot be coded (operator's configuration).
    #[error("no H.264 level allows {} at {} pictures/s and {} bit/s", .0.size, .0.fps, .0.bitrate_bps)]
    Settings(EncoderSettings),
    /// OpenH264 returned an error.
    #[error("OpenH264 failed in {call} with code {code}")]
    Library {
        /// The function of OpenH264 that failed.
        call: &'static str,
        /// What it returned; -1 if there is no such function.
        code: i64,
    },
    /// The picture is not of the encoder's size.
    #[error("a {picture} picture was given to a {encoder} encoder")]
    PictureSize {
        /// The size of the picture that was given.
        picture: PictureSize,
        /// The size that the encoder was made for.
        encoder: PictureSize,
    },
    /// There were no or several coded pictures where there must be one.
    #[error("OpenH264 made {0} coded slices of one picture instead of one")]
    NotOnePicture(usize),
    /// The parameter sets in band are not those announced.
    #[error("OpenH264 changed its parameter sets in mid-stream")]
    ParameterSetsChanged,
    /// An earlier call failed, and the encoder cannot be used any more.
    #[error("the encoder failed before and must be replaced")]
    Spent,
}

/// What [`Encoder::encode`] appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Bytes that were appended to the output.
    pub size: u32,
    /// Whether it is an IDR picture, that is, a sync sample.
    pub sync: bool,
}

/// The encoder of one H.264 stream.
#[derive(Debug)]
pub struct Encoder {
    raw: *mut sys::ISVCEncoder,
    vtable: sys::ISVCEncoderVtbl,
    settings: EncoderSettings,
    parameter_sets: ParameterSets,
    budget: BitBudget,
    spent: bool,
}

// SAFETY: the library object has no thread affinity (one thread, no callbacks), and `&Encoder` calls nothing
// of it, so it may move between threads.
unsafe impl Send for Encoder {}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `raw` came from WelsCreateSVCEncoder and is destroyed once; it uninitializes itself.
        unsafe { sys::DynamicAPI::from_source().WelsDestroySVCEncoder(self.raw) }
    }
}

impl Encoder {
    /// An encoder for `settings`, with its parameter sets.
    pub fn new(settings: EncoderSettings) -> Result<Self, CodecError> {
        let parameters = parameters(settings).ok_or(CodecError::Settings(settings))?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the out pointer is valid for the call.
        let code = unsafe { sys::DynamicAPI::from_source().WelsCreateSVCEncoder(&raw mut raw) };
        if code != 0 || raw.is_null() {
            return Err(CodecError::Library { call: "WelsCreateSVCEncoder", code: code.into() });
        }
        // SAFETY: `raw` is not null, so it points to an object whose first word is its vtable.
        let vtable = unsafe { **raw };
        let none = ParameterSets { sps: Bytes::new(), pps: Bytes::new() };
        let budget = BitBudget::new(settings.bitrate_bps, settings.fps);
        let mut encoder = Self { raw, vtable, settings, parameter_sets: none, budget, spent: false };
        encoder.initialize(&parameters)?;
        encoder.parameter_sets = encoder.read_parameter_sets()?;
        Ok(encoder)
    }

    /// The settings it was made with.
    pub const fn settings(&self) -> EncoderSettings {
        self.settings
    }

    /// SPS and PPS, which hold for the whole stream.
    pub const fn parameter_sets(&self) -> &ParameterSets {
        &self.parameter_sets
    }

    /// Codes `picture` and appends it to `out` as one sample: NAL units with 4-byte lengths, parameter sets
    /// and delimiters left out (ISO/IEC 14496-15 §5.3). It becomes an IDR picture if `idr` says so or if it
    /// is the encoder's first. On error `out` is as it was.
    pub fn encode(
        &mut self,
        picture: &Picture,
        slot: Slot,
        idr: bool,
        out: &mut BytesMut,
    ) -> Result<Encoded, CodecError> {
        if picture.size() != self.settings.size {
            return Err(CodecError::PictureSize { picture: picture.size(), encoder: self.settings.size });
        }
        if self.spent {
            return Err(CodecError::Spent);
        }
        let before = out.len();
        let encoded = self.encode_into(picture, slot, idr, out);
        if encoded.is_err() {
            // OpenH264 frees its context on some errors and does not remember that it did.
            self.spent = true;
            out.truncate(before);
        }
        encoded
    }

    fn encode_into(
        &mut self,
        picture: &Picture,
        slot: Slot,
        idr: bool,
        out: &mut BytesMut,
    ) -> Result<Encoded, CodecError> {
        if idr {
            self.set_bitrate()?;
            self.force_idr()?;
        }
        let info = self.encode_frame(picture, slot)?;
        let before = out.len();
        let (mut slices, mut sync) = (0, false);
        for nal in layers(&info).flat_map(annex_b_nals) {
            match nal_type(nal) {
                NAL_SPS if nal == &self.parameter_sets.sps[..] => {}
                NAL_PPS if nal == &self.parameter_sets.pps[..] => {}
                NAL_SPS | NAL_PPS => return Err(CodecError::ParameterSetsChanged),
                NAL_AUD => {}
                kind => {
                    slices += usize::from((1..=NAL_IDR).contains(&kind));
                    sync |= kind == NAL_IDR;
                    push_sample_nal(out, nal);
                }
            }
        }
        // Frame skipping is off, so a picture without a slice is a fault, never a saving.
        if slices != 1 {
            return Err(CodecError::NotOnePicture(slices));
        }
        let size = out.len() - before;
        self.budget.spend(size);
        Ok(Encoded { size: size as u32, sync })
    }

    fn initialize(&mut self, parameters: &sys::SEncParamExt) -> Result<(), CodecError> {
        let mut quiet = sys::WELS_LOG_QUIET;
        let set_option = entry(self.vtable.SetOption, "SetOption")?;
        let option = std::ptr::from_mut(&mut quiet).cast();
        // Before InitializeExt, which otherwise complains on stderr that frame skipping is off.
        // SAFETY: `raw` is a live encoder; the option is an int that outlives the call.
        let code = unsafe { set_option(self.raw, sys::ENCODER_OPTION_TRACE_LEVEL, option) };
        check("SetOption(TRACE_LEVEL)", code)?;
        let initialize = entry(self.vtable.InitializeExt, "InitializeExt")?;
        // SAFETY: `raw` is a live encoder; the parameters are copied before the call returns.
        check("InitializeExt", unsafe { initialize(self.raw, parameters) })
    }

    fn read_parameter_sets(&mut self) -> Result<ParameterSets, CodecError> {
        let mut info = sys::SFrameBSInfo::default();
        let call = entry(self.vtable.EncodeParameterSets, "EncodeParameterSets")?;
        // SAFETY: `raw` is an initialized encoder; `info` is written by the call.
        check("EncodeParameterSets", unsafe { call(self.raw, &raw mut info) })?;
        let find = |kind| {
            let mut nals = layers(&info).flat_map(annex_b_nals);
            nals.find(|nal| nal_type(nal) == kind).map(Bytes::copy_from_slice)
        };
        match (find(NAL_SPS), find(NAL_PPS)) {
            (Some(sps), Some(pps)) => Ok(ParameterSets { sps, pps }),
            _ => Err(CodecError::ParameterSetsChanged),
        }
    }

    fn set_bitrate(&mut self) -> Result<(), CodecError> {
        let told = i32::try_from(self.budget.told_bps()).unwrap_or(i32::MAX);
        let mut info = sys::SBitrateInfo { iLayer: sys::SPATIAL_LAYER_0, iBitrate: told };
        let set_option = entry(self.vtable.SetOption, "SetOption")?;
        let option = std::ptr::from_mut(&mut info).cast();
        // SAFETY: `raw` is an initialized encoder; the option is a bitrate that outlives the call.
        check("SetOption(BITRATE)", unsafe { set_option(self.raw, sys::ENCODER_OPTION_BITRATE, option) })
    }

    fn force_idr(&mut self) -> Result<(), CodecError> {
        type WithLayer = unsafe extern "C" fn(*mut sys::ISVCEncoder, bool, i32) -> i32;
        let call = entry(self.vtable.ForceIntraFrame, "ForceIntraFrame")?;
        // SAFETY: the C++ method is `ForceIntraFrame(bool bIDR, int iLayerId = -1)`; the generated binding
        // leaves out the last argument, which would then be whatever its register holds.
        let call = unsafe { std::mem::transmute::<unsafe extern "C" fn(_, _) -> _, WithLayer>(call) };
        // SAFETY: `raw` is an initialized encoder; -1 means all layers.
        check("ForceIntraFrame", unsafe { call(self.raw, true, -1) })
    }

    /// One call of EncodeFrame. The pointers in the result hold until the next call.
    fn encode_frame(&mut self, picture: &Picture, slot: Slot) -> Result<sys::SFrameBSInfo, CodecError> {
        let PictureSize { width, height } = self.settings.size;
        let (luma, chroma) = (width as i32, (width / 2) as i32);
        let [y, u, v] = picture.planes().map(|plane| plane.as_ptr().cast_mut());
        let source = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            iStride: [luma, chroma, chroma, 0],
            pData: [y, u, v, std::ptr::null_mut()],
            iPicWidth: luma,
            iPicHeight: height as i32,
            uiTimeStamp: slot.time(self.settings.fps).as_millis(),
            ..Default::default()
        };
        let mut info = sys::SFrameBSInfo::default();
        let call = entry(self.vtable.EncodeFrame, "EncodeFrame")?;
        // SAFETY: `raw` is an initialized encoder that has not failed; the planes are as long as size and
        // strides say (checked: the picture is of the encoder's size, which is even), live through the call
        // and are only read: OpenH264 copies them into pictures of its own first.
        check("EncodeFrame", unsafe { call(self.raw, &raw const source, &raw mut info) })?;
        Ok(info)
    }
}

/// OpenH264's parameters for `settings`; `None` where they cannot be coded.
fn parameters(settings: EncoderSettings) -> Option<sys::SEncParamExt> {
    let EncoderSettings { size: PictureSize { width, height }, fps, bitrate_bps } = settings;
    let codable = width >= 16 && height >= 16 && width % 2 == 0 && height % 2 == 0 && fps > 0 && fps <= 60;
    let is_large = height >= LARGE;
    let level = smallest_level(settings.size, fps, bitrate_bps).filter(|_| codable && bitrate_bps >= fps)?;
    let (width, height, bitrate) = (width as i32, height as i32, bitrate_bps as i32);
    let mut parameters = sys::SEncParamExt {
        // Screen content mode was no better on a transcode and costs 1.6-2.4 times the CPU.
        iUsageType: sys::CAMERA_VIDEO_REAL_TIME,
        iPicWidth: width,
        iPicHeight: height,
        iTargetBitrate: bitrate,
        iRCMode: sys::RC_BITRATE_MODE,
        fMaxFrameRate: fps as f32,
        iTemporalLayerNum: 1,
        iSpatialLayerNum: 1,
        // High is the same as Medium. Low costs 0.5 dB on slides in 720 lines, none worth the name in 480.
        iComplexityMode: if is_large { sys::MEDIUM_COMPLEXITY } else { sys::LOW_COMPLEXITY },
        // No IDR pictures of its own: the ladder asks for each one.
        uiIntraPeriod: 0,
        bEnableSceneChangeDetect: false,
        iNumRefFrame: 1,
        // Live and waiting must name the same parameter sets for ever.
        eSpsPpsIdStrategy: sys::CONSTANT_ID,
        iEntropyCodingModeFlag: 1,
        // A skipped picture would be a hole in the lattice (and 16 dB on the pictures around it).
        bEnableFrameSkip: false,
        iMaxBitrate: sys::UNSPECIFIED_BIT_RATE as i32,
        iMinQp: *QP.start(),
        iMaxQp: *QP.end(),
        iMultipleThreadIdc: 1,
        bEnableFrameCroppingFlag: true,
        bEnableBackgroundDetection: is_large,
        bFixRCOverShoot: true,
        iIdrBitrateRatio: IDR_BITRATE_PERCENT,
        ..Default::default()
    };
    let layer = &mut parameters.sSpatialLayers[0];
    layer.iVideoWidth = width;
    layer.iVideoHeight = height;
    layer.fFrameRate = fps as f32;
    layer.iSpatialBitrate = bitrate;
    layer.uiProfileIdc = sys::PRO_HIGH;
    layer.uiLevelIdc = level;
    layer.sSliceArgument.uiSliceMode = sys::SM_SINGLE_SLICE;
    // BT.709, limited range (ITU-T H.264 §E.2.1): without it players take the 480-line rung for BT.601 and
    // colours jump when they change rungs.
    layer.bVideoSignalTypePresent = true;
    layer.uiVideoFormat = VIDEO_FORMAT_UNSPECIFIED;
    layer.bColorDescriptionPresent = true;
    layer.uiColorPrimaries = sys::CP_BT709 as u8;
    layer.uiTransferCharacteristics = sys::TRC_BT709 as u8;
    layer.uiColorMatrix = sys::CM_BT709 as u8;
    Some(parameters)
}

/// The Annex B bytes of each layer that the last call wrote.
fn layers(info: &sys::SFrameBSInfo) -> impl Iterator<Item = &[u8]> {
    let count = usize::try_from(info.iLayerNum).unwrap_or(0);
    info.sLayerInfo.iter().take(count).filter_map(|layer| {
        let nals = usize::try_from(layer.iNalCount).ok()?;
        if nals == 0 || layer.pBsBuf.is_null() || layer.pNalLengthInByte.is_null() {
            return None;
        }
        // SAFETY: OpenH264 gives iNalCount lengths and, back to back at pBsBuf, as many bytes as they add up
        // to. Both live in the encoder until its next call; callers read `info` before that.
        unsafe {
            let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, nals);
            let length = lengths.iter().map(|&length| usize::try_from(length).unwrap_or(0)).sum();
            Some(std::slice::from_raw_parts(layer.pBsBuf, length))
        }
    })
}

fn entry<F>(function: Option<F>, call: &'static str) -> Result<F, CodecError> {
    function.ok_or(CodecError::Library { call, code: -1 })
}

fn check(call: &'static str, code: i32) -> Result<(), CodecError> {
    if code == 0 { Ok(()) } else { Err(CodecError::Library { call, code: code.into() }) }
}
