//! From access units to pictures that all rungs share: decoder, pool of pictures, slide numbers.

use std::sync::Arc;

use tracing::{debug, warn};

use amphi_media::{
    MediaTime, ParameterSets, Picture, PictureSize, SampleAspect, SourceFrame, TrackFormat, h264,
};

use super::colour::Conversion;
use super::decoding::{DecoderChoice, Decoding, Undecoded};
use super::diagnosis::{Diagnosis, UnitOutcome};
use super::meter::LadderMeter;
use super::openh264::{CodecError, PictureView};
use super::rung::SharedPicture;
use super::scene::SlideDetector;

/// Pictures kept for reuse: as many as the rungs' queues can hold, and a few more.
const POOL: usize = 32;
/// Of these, those that nobody uses. Without this limit a rung that was late once would keep 40 MB for ever.
const SPARE: usize = 4;

/// Decodes one source's pictures, for ever: an access unit that cannot be decoded is counted and forgotten.
pub(super) struct PictureDecoder {
    choice: DecoderChoice,
    decoder: Decoding,
    /// The parameter sets that the decoder was made for.
    parameter_sets: Option<ParameterSets>,
    /// Whether a sync sample has come since then.
    synced: bool,
    diagnosis: Diagnosis,
    annex_b: Vec<u8>,
    pool: PicturePool,
    meter: Arc<LadderMeter>,
}

/// Where decoded pictures are copied to, and get the number of their slide.
struct PicturePool {
    pool: Vec<Arc<Picture>>,
    slides: SlideDetector,
    slide: u64,
    /// From the source's colours to the ladder's, if they differ.
    conversion: Option<Conversion>,
    sar: SampleAspect,
    meter: Arc<LadderMeter>,
}

impl PictureDecoder {
    pub(super) fn new(choice: DecoderChoice, meter: Arc<LadderMeter>) -> Result<Self, CodecError> {
        let pool = PicturePool::new(Arc::clone(&meter));
        Ok(Self {
            choice,
            decoder: Decoding::new(choice)?,
            parameter_sets: None,
            synced: false,
            diagnosis: Diagnosis::default(),
            annex_b: Vec::new(),
            pool,
            meter,
        })
    }

    /// Decodes `frame`; pictures that come out, in presentation order, go to `out`.
    pub(super) fn decode(&mut self, frame: &SourceFrame, out: &mut Vec<(MediaTime, SharedPicture)>) {
        let TrackFormat::H264(parameter_sets) = &*frame.format else { return };
        let known = out.len();
        if self.parameter_sets.as_ref() != Some(parameter_sets) {
            self.renew(parameter_sets, out);
        }
        let unit = self.decode_unit(frame, parameter_sets, out);
        if out.len() > known {
            self.diagnosis.picture();
        }
        match self.diagnosis.verdict(frame.pts, unit) {
            Some(fault) => self.meter.picture_fault.set(&fault),
            None if self.diagnosis.is_over() => self.meter.picture_fault.clear(),
            None => {}
        }
    }

    fn decode_unit(
        &mut self,
        frame: &SourceFrame,
        parameter_sets: &ParameterSets,
        out: &mut Vec<(MediaTime, SharedPicture)>,
    ) -> UnitOutcome<Undecoded> {
        if frame.data.is_empty() {
            self.decoder.lost();
            return UnitOutcome::Lost;
        }
        self.synced |= frame.sync;
        if !self.diagnosis.admits(&frame.data) {
            self.decoder.lost();
            self.meter.decode_errors.increment();
            return UnitOutcome::Refused;
        }
        if !self.synced {
            return UnitOutcome::BeforeEntry;
        }
        h264::to_annex_b(&frame.data, frame.sync.then_some(parameter_sets), &mut self.annex_b);
        let Self { decoder, pool, .. } = self;
        let result = decoder.decode(&self.annex_b, frame.sync, frame.pts, &mut |pts, view| {
            out.push((pts, pool.copy(view)));
        });
        match result {
            Ok(()) if self.decoder.is_recovering() => UnitOutcome::Recovering,
            Ok(()) => UnitOutcome::Decoded,
            Err(error) => {
                self.meter.decode_errors.increment();
                debug!(pts = %frame.pts, %error, "access unit not decoded");
                UnitOutcome::Failed(error)
            }
        }
    }

    /// Gives out what the decoder still holds back.
    pub(super) fn flush(&mut self, out: &mut Vec<(MediaTime, SharedPicture)>) {
        let Self { decoder, pool, .. } = self;
        decoder.flush(&mut |pts, view| out.push((pts, pool.copy(view))));
    }

    /// The source's parameter sets changed. A decoder would lose pictures that it holds back, so it gives them out first,
    /// and a new one takes over.
    fn renew(&mut self, parameter_sets: &ParameterSets, out: &mut Vec<(MediaTime, SharedPicture)>) {
        self.diagnosis.renew(&parameter_sets.sps);
        self.meter.picture_fault.clear();
        self.synced = false;
        let source = self.diagnosis.source();
        let (conversion, sar) =
            (source.and_then(Conversion::of), source.map_or(SampleAspect::SQUARE, |s| s.sar));
        if self.parameter_sets.is_some() {
            self.flush(out);
            match Decoding::new(self.choice) {
                Ok(decoder) => self.decoder = decoder,
                Err(error) => warn!(%error, "a new decoder cannot be made; the old one goes on"),
            }
        }
        (self.pool.conversion, self.pool.sar) = (conversion, sar);
        self.parameter_sets = Some(parameter_sets.clone());
    }
}

impl PicturePool {
    fn new(meter: Arc<LadderMeter>) -> Self {
        Self {
            pool: Vec::with_capacity(POOL),
            slides: SlideDetector::new(),
            slide: 0,
            conversion: None,
            sar: SampleAspect::SQUARE,
            meter,
        }
    }

    /// Copies a picture out of the decoder, in the ladder's colours.
    fn copy(&mut self, view: PictureView<'_>) -> SharedPicture {
        let mut picture = self.vacant(view.size);
        if let Some(canvas) = Arc::get_mut(&mut picture) {
            match &self.conversion {
                Some(conversion) => conversion.convert(view, canvas),
                None => view.copy_to(canvas),
            }
            canvas.set_sar(self.sar);
        }
        self.meter.pictures.increment();
        if self.slides.changed(&picture) {
            self.slide += 1;
            self.meter.slides.increment();
        }
        if self.pool.len() < POOL {
            self.pool.push(Arc::clone(&picture));
        }
        SharedPicture { picture, slide: self.slide }
    }

    /// A picture of this size that nobody uses any more, or a new one.
    fn vacant(&mut self, size: PictureSize) -> Arc<Picture> {
        let mut spare = 0;
        self.pool.retain(|picture| {
            let vacant = Arc::strong_count(picture) == 1;
            spare += usize::from(vacant);
            picture.size() == size && (!vacant || spare <= SPARE)
        });
        let vacant = self.pool.iter().position(|picture| Arc::strong_count(picture) == 1);
        match vacant {
            Some(index) => self.pool.swap_remove(index),
            None => Arc::new(Picture::black(size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use amphi_media::h264::{NAL_AUD, NAL_PPS, NAL_SPS, annex_b_nals, is_entry, nal_type, push_sample_nal};

    /// The frames of a fixture, 15 a second, as a source hands them on.
    fn frames(name: &str) -> Vec<SourceFrame> {
        let path = format!("{}/../../fixtures/{name}.h264", env!("CARGO_MANIFEST_DIR"));
        let stream = std::fs::read(path).expect("a fixture");
        let of = |kind: u8| annex_b_nals(&stream).find(|nal| nal_type(nal) == kind).expect("a set").to_vec();
        let sets = ParameterSets { sps: of(NAL_SPS).into(), pps: of(NAL_PPS).into() };
        let format = Arc::new(TrackFormat::H264(sets));
        let mut units: Vec<(bytes::BytesMut, bool)> = Vec::new();
        for nal in annex_b_nals(&stream) {
            match nal_type(nal) {
                NAL_AUD => units.push(<_>::default()),
                NAL_SPS | NAL_PPS => {}
                _ => {
                    let (unit, sync) = units.last_mut().expect("a delimiter");
                    *sync |= is_entry(nal);
                    push_sample_nal(unit, nal);
                }
            }
        }
        let frame = |(n, (data, sync)): (i64, (bytes::BytesMut, bool))| SourceFrame {
            pts: MediaTime::from_millis(1_795_000_000_000 + n * 1000 / 15),
            data: data.freeze(),
            sync,
            format: Arc::clone(&format),
        };
        (0..).zip(units).map(frame).collect()
    }

    /// How many pictures come of `frames`, and what the meter says at the end.
    fn run(choice: DecoderChoice, frames: &[SourceFrame]) -> (usize, Option<Arc<str>>) {
        let meter = Arc::new(LadderMeter::default());
        let mut decoder = PictureDecoder::new(choice, Arc::clone(&meter)).expect("a decoder");
        let mut out = Vec::new();
        for frame in frames {
            decoder.decode(frame, &mut out);
        }
        decoder.flush(&mut out);
        (out.len(), meter.picture_fault.get())
    }

    #[test]
    fn whoever_comes_late_sees_the_hall_after_a_recovery_point() {
        for (name, fewest) in [("open_gop", 55), ("intra_refresh", 45), ("refresh_in_mid_row", 45)] {
            let frames = frames(name);
            let (pictures, fault) = run(DecoderChoice::Rusty, &frames[3..]);
            assert!(pictures >= fewest, "{name}: {pictures}");
            assert_eq!(fault, None, "{name}");
            assert_eq!(run(DecoderChoice::Rusty, &frames).0, frames.len(), "{name}: from its IDR picture on");
        }
    }

    #[test]
    fn who_cannot_begin_there_says_so() {
        let (pictures, fault) = run(DecoderChoice::OpenH264, &frames("intra_refresh")[3..]);
        assert_eq!(pictures, 0);
        assert!(fault.expect("a reason").contains("cannot be decoded"));
        let mut none = frames("intra_refresh").split_off(3);
        for frame in &mut none {
            frame.sync = false;
        }
        let (pictures, fault) = run(DecoderChoice::Rusty, &none);
        assert_eq!(pictures, 0);
        assert!(fault.expect("a reason").contains("no recovery point"));
    }

    #[test]
    fn what_no_decoder_knows_is_said_at_once_and_another_set_takes_it_back() {
        let meter = Arc::new(LadderMeter::default());
        let mut decoder = PictureDecoder::new(DecoderChoice::Rusty, Arc::clone(&meter)).expect("a decoder");
        let plain = frames("open_gop");
        let TrackFormat::H264(sets) = &*plain[0].format else { panic!("H.264") };
        let ten = [0x67, 0x6e, 0, 0x1e, 0xa6, 0xcb, 0x40, 0x50, 0x17, 0xfc, 0xb8, 0x08, 0x80, 0x80];
        let other = ParameterSets { sps: ten.to_vec().into(), ..sets.clone() };
        let mut out = Vec::new();
        decoder.decode(
            &SourceFrame { format: Arc::new(TrackFormat::H264(other)), ..plain[0].clone() },
            &mut out,
        );
        assert!(meter.picture_fault.get().expect("a reason").contains("10-bit"));
        decoder.decode(&plain[0], &mut out);
        assert_eq!((out.len(), meter.picture_fault.get()), (1, None));
    }

    #[test]
    fn parameter_sets_that_change_with_every_picture_do_not_stop_it_for_ever() {
        let plain = frames("open_gop");
        let TrackFormat::H264(sets) = &*plain[0].format else { panic!("H.264") };
        let churn = (0..200_u8).map(|n| {
            let pps = [&sets.pps[..], &[1 + n % 200]].concat().into();
            SourceFrame {
                format: Arc::new(TrackFormat::H264(ParameterSets { pps, ..sets.clone() })),
                ..plain[0].clone()
            }
        });
        let all: Vec<_> = churn.chain(plain.iter().cloned()).collect();
        let (pictures, _) = run(DecoderChoice::Rusty, &all[..200]);
        assert!(pictures <= 20, "{pictures}");
        let (pictures, fault) = run(DecoderChoice::Rusty, &all);
        assert!(pictures > 40, "{pictures}");
        assert_eq!(fault, None);
    }

    #[test]
    fn a_jam_keeps_its_pictures_only_while_it_lasts() {
        let meter = Arc::new(LadderMeter::default());
        let mut pool = PicturePool::new(meter);
        let picture = Picture::black(PictureSize { width: 64, height: 32 });
        let jam: Vec<SharedPicture> = (0..2 * POOL).map(|_| pool.copy((&picture).into())).collect();
        assert_eq!(pool.pool.len(), POOL);
        drop(jam);
        for _ in 0..10 {
            pool.copy((&picture).into());
            assert!(pool.pool.len() <= SPARE, "{}", pool.pool.len());
        }
        pool.copy((&Picture::black(PictureSize { width: 32, height: 32 })).into());
        assert_eq!(pool.pool.len(), 1, "another size");
    }
}
