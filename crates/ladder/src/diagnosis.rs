//! Why no picture comes out of access units that come in, in words for operators. Sans-IO.
//!
//! # Contract
//! Call [`Diagnosis::renew`] with each new SPS, and [`Diagnosis::admits`] before an access unit is decoded: one that it
//! refuses must not be decoded. Then call [`Diagnosis::picture`] if a picture came out, and [`Diagnosis::verdict`] with
//! what became of the access unit: it gives the reason as long as nothing comes out. [`Diagnosis::is_over`] says once
//! that the reason no longer holds.
//!
//! What cannot be decoded at all is reported at once and never given to a decoder, so that a source cannot make it spend
//! memory or time. Everything else is reported after [`PATIENCE_MS`] of media without a picture.

use std::fmt;

use amphi_media::MediaTime;
use amphi_media::h264::{VideoDescription, describe, sample_nals};

/// Milliseconds of media without a picture before the reason is reported; a GOP of two seconds is usual.
const PATIENCE_MS: i64 = 2_000;
/// The same while a recovery goes on, or where decoding succeeds and gives nothing.
const RECOVERY_MS: i64 = 10_000;
/// The largest access unit: a picture of level 5.1 has at most 13 MB, uncompressed.
const MAX_BYTES: usize = 16 << 20;
/// The most NAL units in an access unit: `guard` allows 512 slices.
const MAX_NALS: usize = 2048;
/// Access units that a new SPS should last for.
const STEADY: u32 = 8;
/// SPS in a row that lasted for less before access units are refused.
const MAX_CHANGES: u32 = 16;

const NO_ENTRY: &str = "no IDR picture and no recovery point comes, without which decoding cannot begin: switch open GOP or \
                        intra refresh off in the encoder, or set a key frame interval of 2 s";
const CHANGES: &str = "the source changes its parameter sets with nearly every picture; they should change only when the \
                       encoder is reconfigured: the encoder, or a device after it, is broken";
const NO_SET: &str =
    "the source's parameter set (SPS) cannot be read: the encoder, or a device after it, is broken";
const OVERSIZED: &str =
    "the source sends access units that are far too large (over 16 MB, or over 2048 NAL units)";

/// What became of an access unit.
#[derive(Debug)]
pub(super) enum UnitOutcome<E> {
    /// It did not come; the one who lost it counts that.
    Lost,
    /// [`Diagnosis::admits`] said no.
    Refused,
    /// Decoding cannot begin with it.
    BeforeEntry,
    /// It was decoded, and pictures are held back until a recovery is complete.
    Recovering,
    Decoded,
    /// The decoder refused it, with its error.
    Failed(E),
}

#[derive(Debug, Default)]
pub(super) struct Diagnosis {
    source: Option<VideoDescription>,
    /// Why it cannot be decoded at all.
    limits: Option<String>,
    /// Access units since the SPS.
    stood: u32,
    /// SPS in a row that did not last for [`STEADY`] access units.
    changes: u32,
    /// The access unit that came last was refused.
    oversized: bool,
    /// When the first access unit without a picture came.
    since: Option<MediaTime>,
    /// A picture has come since a reason was given.
    over: bool,
    said: bool,
}

impl Diagnosis {
    /// Begins anew with another SPS.
    pub(super) fn renew(&mut self, sps: &[u8]) {
        let hasty = (self.source.is_some() || self.limits.is_some()) && self.stood < STEADY;
        self.changes = if hasty { self.changes.saturating_add(1) } else { 0 };
        self.source = describe(sps);
        self.limits = match &self.source {
            Some(source) => source.limits(),
            None => Some(NO_SET.to_owned()),
        };
        (self.stood, self.since, self.said, self.over) = (0, None, false, false);
    }

    /// What the SPS says; `None` if it cannot be read.
    pub(super) const fn source(&self) -> Option<&VideoDescription> {
        self.source.as_ref()
    }

    /// Whether the access unit in `data` may be decoded.
    pub(super) fn admits(&mut self, data: &[u8]) -> bool {
        self.stood = self.stood.saturating_add(1);
        if self.stood >= STEADY {
            self.changes = 0;
        }
        self.oversized = data.len() > MAX_BYTES || sample_nals(data).nth(MAX_NALS).is_some();
        self.limits.is_none() && self.changes < MAX_CHANGES && !self.oversized
    }

    /// A picture came out of the decoder.
    pub(super) const fn picture(&mut self) {
        self.since = None;
        self.over |= self.said;
        self.said = false;
    }

    /// Pictures have come again since a reason was given; says so once.
    pub(super) const fn is_over(&mut self) -> bool {
        std::mem::replace(&mut self.over, false)
    }

    /// The reason why no picture comes out; `None` while pictures come or it is too early to say.
    pub(super) fn verdict<E: fmt::Display>(
        &mut self,
        pts: MediaTime,
        unit: UnitOutcome<E>,
    ) -> Option<String> {
        let immediately = matches!(unit, UnitOutcome::Refused);
        if matches!(unit, UnitOutcome::Decoded) && self.since.is_none() && !self.said {
            // Nothing is wrong yet: a decoder may hold pictures back.
            self.since = Some(pts);
            return None;
        }
        let since = *self.since.get_or_insert(pts);
        let waited = pts.nanos_since(since) / 1_000_000;
        let patience = match unit {
            UnitOutcome::Recovering | UnitOutcome::Decoded => RECOVERY_MS,
            _ => PATIENCE_MS,
        };
        if !immediately && waited < patience {
            return None;
        }
        let reason = match unit {
            UnitOutcome::Lost => return None,
            UnitOutcome::Refused => match &self.limits {
                Some(limits) => limits.clone(),
                None if self.oversized => OVERSIZED.into(),
                None => CHANGES.into(),
            },
            UnitOutcome::BeforeEntry => NO_ENTRY.into(),
            UnitOutcome::Recovering => {
                "the source's recovery points are never complete: switch intra refresh off in the encoder"
                    .into()
            }
            UnitOutcome::Decoded => "access units are decoded and no picture comes out".into(),
            UnitOutcome::Failed(error) => failed(self.source.as_ref(), &error),
        };
        self.said = true;
        Some(reason)
    }
}

/// The reason for operators where every access unit fails.
fn failed(source: Option<&VideoDescription>, error: &dyn fmt::Display) -> String {
    match source {
        Some(source) if source.interlaced => format!(
            "the source sends interlaced H.264 ({}) that cannot be decoded; progressive pictures are needed: set the encoder \
             to progressive, or let it deinterlace ({error})",
            source.profile()
        ),
        Some(source) => match source.oddities() {
            Some(oddities) => format!(
                "the source's pictures cannot be decoded ({oddities}); 8-bit 4:2:0 in Main or High profile is needed: {error}"
            ),
            None => format!("the source's pictures cannot be decoded: {error}"),
        },
        None => NO_SET.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 25] = [
        0x67, 0x64, 0, 0x1e, 0xac, 0xb4, 5, 1, 0x7f, 0xcb, 0x80, 0x88, 0, 0, 3, 0, 8, 0, 0, 3, 1, 0x90, 0x78,
        0xb1, 0x75,
    ];
    /// High 10, 640x360.
    const TEN: [u8; 14] = [0x67, 0x6e, 0, 0x1e, 0xa6, 0xcb, 0x40, 0x50, 0x17, 0xfc, 0xb8, 0x08, 0x80, 0x80];

    fn at(ms: i64) -> MediaTime {
        MediaTime::from_millis(1_795_000_000_000 + ms)
    }

    fn said(diagnosis: &mut Diagnosis, ms: i64, unit: UnitOutcome<&str>) -> Option<String> {
        let _ = diagnosis.admits(&[]);
        diagnosis.verdict(at(ms), unit)
    }

    #[test]
    fn what_can_never_be_decoded_is_said_at_once_and_kept_from_the_decoder() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.renew(&TEN);
        assert!(!diagnosis.admits(&[0, 0, 0, 1, 0x65]));
        let reason = diagnosis.verdict(at(0), UnitOutcome::<&str>::Refused).expect("a reason");
        assert!(reason.contains("10-bit"), "{reason}");
        diagnosis.renew(&PLAIN);
        assert!(diagnosis.admits(&[0, 0, 0, 1, 0x65]));
        assert_eq!(said(&mut diagnosis, 40, UnitOutcome::Decoded), None);
        diagnosis.renew(&[0x67, 1]);
        assert!(!diagnosis.admits(&[0, 0, 0, 1, 0x65]));
        assert_eq!(said(&mut diagnosis, 80, UnitOutcome::Refused).as_deref(), Some(NO_SET));
    }

    #[test]
    fn what_fails_is_said_after_two_seconds_and_taken_back_with_a_picture() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.renew(&PLAIN);
        for ms in (0..2000).step_by(40) {
            assert_eq!(said(&mut diagnosis, ms, UnitOutcome::Failed("I_PCM")), None);
        }
        let reason = said(&mut diagnosis, 2000, UnitOutcome::Failed("I_PCM"));
        assert_eq!(reason.as_deref(), Some("the source's pictures cannot be decoded: I_PCM"));
        assert_eq!(said(&mut diagnosis, 2040, UnitOutcome::Lost), None);
        diagnosis.picture();
        assert!(diagnosis.is_over() && !diagnosis.is_over());
        assert_eq!(
            said(&mut diagnosis, 4000, UnitOutcome::Failed("I_PCM")),
            None,
            "from the last picture on"
        );
    }

    #[test]
    fn one_without_an_entry_is_told_what_to_set() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.renew(&PLAIN);
        assert_eq!(said(&mut diagnosis, 0, UnitOutcome::BeforeEntry), None);
        assert_eq!(said(&mut diagnosis, 2500, UnitOutcome::BeforeEntry).as_deref(), Some(NO_ENTRY));
        let mut diagnosis = Diagnosis::default();
        diagnosis.renew(&PLAIN);
        for ms in (0..10_000).step_by(40) {
            assert_eq!(said(&mut diagnosis, ms, UnitOutcome::Recovering), None, "a recovery takes its time");
        }
        assert!(said(&mut diagnosis, 10_000, UnitOutcome::Recovering).is_some());
    }

    #[test]
    fn parameter_sets_that_change_with_every_picture_are_not_followed_for_ever() {
        let mut diagnosis = Diagnosis::default();
        let mut admitted = 0;
        for n in 0..100 {
            let mut sps = PLAIN;
            sps[24] = n;
            diagnosis.renew(&sps);
            admitted += usize::from(diagnosis.admits(&[]));
        }
        assert!(admitted <= MAX_CHANGES as usize, "{admitted}");
        assert_eq!(said(&mut diagnosis, 0, UnitOutcome::Refused).as_deref(), Some(CHANGES));
        let steady = (0..20).filter(|_| diagnosis.admits(&[])).count();
        assert!(steady > 10, "one that stands is used again");
        for n in 0..100 {
            diagnosis.renew(if n % 2 == 0 { &TEN } else { &PLAIN });
            let admitted = (0..30).filter(|_| diagnosis.admits(&[])).count();
            assert_eq!(admitted > 0, n % 2 == 1, "an encoder that is set anew");
        }
    }

    #[test]
    fn access_units_beyond_measure_are_not_decoded() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.renew(&PLAIN);
        assert!(!diagnosis.admits(&[0; 4 * 3000]));
        assert!(!diagnosis.admits(&vec![255; MAX_BYTES + 1]));
        assert_eq!(diagnosis.verdict(at(0), UnitOutcome::<&str>::Refused).as_deref(), Some(OVERSIZED));
        assert!(diagnosis.admits(&[0; 4 * 300]));
    }
}
