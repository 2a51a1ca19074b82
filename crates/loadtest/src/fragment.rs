//! Checks media segments: boxes, sequence numbers, times. Sans-IO.
//!
//! A [`BodyCheck`] follows a segment's boxes (ISO/IEC 14496-12 §4.2) through bytes that come in pieces. Of fragments it reads
//! their times; the samples themselves need not be looked at ([`BodyCheck::dull`]). Segments of MPEG transport
//! streams and of packed audio are recognized by their first byte. [`BodyUse`] says whether less or more is read.

use amphi_container::isobmff::{BoxFault, BoxRef, Boxes};
use amphi_container::mp4::{
    FragmentSink, FragmentStart, Sample, SampleBudget, TrackExtends, TrackHeader, read_fragment,
};

use super::fault::ExchangeError;

/// Most bytes of a `moof` or `moov` box.
const INDEX_MAX: usize = 4 << 20;
/// Most samples of one fragment.
const SAMPLES_MAX: u32 = 1_000_000;
/// Most tracks of one presentation.
const TRACKS_MAX: usize = 64;
/// Bytes of a transport packet (ISO/IEC 13818-1 §2.4.3.2).
const PACKET: usize = 188;
const SYNC: u8 = 0x47;

/// The time that one track covers in a segment, in its timescale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrackSpan {
    pub(super) track: u32,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What was read of a whole segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SegmentFacts {
    /// The sequence number of the first fragment (`mfhd`, ISO/IEC 14496-12 §8.8.5).
    pub(super) sequence: Option<u32>,
    pub(super) spans: Vec<TrackSpan>,
}

/// A track of an initialization section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownTrack {
    pub(super) id: u32,
    pub(super) timescale: u32,
    /// What holds for samples where a fragment does not say otherwise (`trex`, ISO/IEC 14496-12 §8.8.3).
    pub(super) defaults: TrackExtends,
}

/// What a player does with the bytes of a media segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyUse {
    /// Heads and indexes are read and checked; the kernel throws the samples away, over HTTP/1.1 without TLS.
    #[default]
    Check,
    /// Every byte is copied to the player, as in a real one, and checked.
    Read,
    /// The kernel throws all of it away, over HTTP/1.1 without TLS. Nothing but the status and the length is checked.
    Discard,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Unknown,
    Boxes,
    Transport,
    Packed,
}

/// Follows the body of one reply.
#[derive(Debug, Default)]
pub(super) struct BodyCheck {
    body_use: BodyUse,
    form: Form,
    header: Vec<u8>,
    /// Bytes of the present box that are still to come.
    left: u64,
    /// The present box so far, if it is an index (`moof` or `moov`).
    index: Option<Vec<u8>>,
    bytes: u64,
    seen: SeenBoxes,
    tracks: Vec<KnownTrack>,
    facts: SegmentFacts,
}

#[derive(Clone, Copy, Debug, Default)]
struct SeenBoxes {
    ftyp: bool,
    moov: bool,
    moof: bool,
    mdat: bool,
}

impl BodyCheck {
    /// A check for a segment of these tracks.
    pub(super) fn of(tracks: &[KnownTrack], body_use: BodyUse) -> Self {
        Self { tracks: tracks.to_vec(), body_use, ..Self::default() }
    }

    /// What is done with the bytes.
    pub(super) fn body_use(&self) -> BodyUse {
        self.body_use
    }

    /// Forgets the body so far, but not the tracks.
    pub(super) fn begin_again(&mut self) {
        *self = Self::of(&std::mem::take(&mut self.tracks), self.body_use);
    }

    /// Takes the next bytes of the body.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        if self.body_use == BodyUse::Discard {
            self.bytes += bytes.len() as u64;
            return Ok(());
        }
        if self.form == Form::Unknown {
            self.form = match bytes.first() {
                None => return Ok(()),
                Some(&SYNC) => Form::Transport,
                // An ID3 tag or an ADTS frame (RFC 8216 §3.4).
                Some(b'I' | 0xff) => Form::Packed,
                Some(_) => Form::Boxes,
            };
        }
        match self.form {
            Form::Transport => self.packets(bytes),
            Form::Packed | Form::Unknown => {
                self.bytes += bytes.len() as u64;
                Ok(())
            }
            Form::Boxes => self.boxes(bytes),
        }
    }

    /// So many of the next bytes need not be looked at.
    pub(super) fn dull(&self) -> u64 {
        match self.body_use {
            BodyUse::Check if self.form == Form::Boxes && self.index.is_none() => self.left,
            BodyUse::Check | BodyUse::Read => 0,
            BodyUse::Discard => u64::MAX,
        }
    }

    /// So many of those bytes have been thrown away.
    pub(super) fn skip(&mut self, count: u64) {
        self.left = self.left.saturating_sub(count);
        self.bytes += count;
    }

    fn packets(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        let until_next = (PACKET as u64 - self.bytes % PACKET as u64) as usize % PACKET;
        let mut heads = bytes.iter().skip(until_next).step_by(PACKET);
        self.bytes += bytes.len() as u64;
        if heads.all(|&head| head == SYNC) {
            Ok(())
        } else {
            Err(ExchangeError::Content("a transport stream without its sync bytes"))
        }
    }

    fn boxes(&mut self, mut bytes: &[u8]) -> Result<(), ExchangeError> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.left > 0 {
                let now;
                let count = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                (now, bytes) = bytes.split_at(count);
                self.left -= count as u64;
                if let Some(index) = &mut self.index {
                    index.extend_from_slice(now);
                    if self.left == 0 {
                        let index = self.index.take().unwrap_or_default();
                        self.read(&index)
                            .map_err(|_| ExchangeError::Content("an index that cannot be read"))?;
                    }
                }
                continue;
            }
            let (part, rest) = bytes.split_at((8 - self.header.len()).min(bytes.len()));
            self.header.extend_from_slice(part);
            bytes = rest;
            if let Some([a, b, c, d, kind @ ..]) = self.header.first_chunk::<8>() {
                let size = u32::from_be_bytes([*a, *b, *c, *d]);
                self.left =
                    u64::from(size).checked_sub(8).ok_or(ExchangeError::Content("a box without a size"))?;
                match kind {
                    b"ftyp" => self.seen.ftyp = true,
                    b"mdat" => self.seen.mdat = true,
                    _ => {}
                }
                if matches!(kind, b"moof" | b"moov") {
                    if self.left > INDEX_MAX as u64 {
                        return Err(ExchangeError::Content("an index of over 4 MB"));
                    }
                    self.index = Some(self.header.clone());
                }
                self.header.clear();
            }
        }
        Ok(())
    }

    /// The whole body was an initialization section: its tracks.
    pub(super) fn finish_init(self) -> Result<Vec<KnownTrack>, ExchangeError> {
        self.is_whole()?;
        if self.seen.ftyp && self.seen.moov {
            Ok(self.tracks)
        } else {
            Err(ExchangeError::Content("an initialization section without ftyp or moov box"))
        }
    }

    /// The whole body was a media segment.
    pub(super) fn finish_segment(self) -> Result<SegmentFacts, ExchangeError> {
        self.is_whole()?;
        match self.form {
            Form::Boxes if !(self.seen.moof && self.seen.mdat) => {
                Err(ExchangeError::Content("a segment without moof or mdat box"))
            }
            Form::Unknown if self.bytes == 0 => Err(ExchangeError::Content("an empty segment")),
            _ => Ok(self.facts),
        }
    }

    fn is_whole(&self) -> Result<(), ExchangeError> {
        match self.form {
            Form::Boxes if self.left > 0 || !self.header.is_empty() => {
                Err(ExchangeError::Content("a segment ends inside a box"))
            }
            Form::Transport if !self.bytes.is_multiple_of(PACKET as u64) => {
                Err(ExchangeError::Content("a segment ends inside a transport packet"))
            }
            _ => Ok(()),
        }
    }

    fn read(&mut self, index: &[u8]) -> Result<(), BoxFault> {
        for found in Boxes::new(index, 0) {
            let found = found?;
            match &found.kind {
                b"moov" => {
                    self.seen.moov = true;
                    self.tracks = tracks(&found)?;
                }
                b"moof" => {
                    self.seen.moof = true;
                    self.fragment(&found)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fragment(&mut self, moof: &BoxRef<'_>) -> Result<(), BoxFault> {
        let defaults: Vec<TrackExtends> = self.tracks.iter().map(|track| track.defaults).collect();
        let mut spans = Spans { all: &mut self.facts.spans, now: 0 };
        let mut budget = SampleBudget::new(SAMPLES_MAX);
        let sequence = read_fragment(moof, &defaults, u64::MAX, &mut budget, &mut spans)?;
        self.facts.sequence = self.facts.sequence.or(sequence);
        Ok(())
    }
}

/// Collects the times that the tracks of a fragment cover.
struct Spans<'a> {
    all: &'a mut Vec<TrackSpan>,
    /// Index of the present track's span.
    now: usize,
}

impl FragmentSink for Spans<'_> {
    fn begin(&mut self, FragmentStart { track_id: track, decode_time, .. }: FragmentStart) {
        let start = decode_time.unwrap_or(0);
        self.now = self.all.iter().position(|known| known.track == track).unwrap_or(self.all.len());
        match self.all.get_mut(self.now) {
            Some(known) => known.end = start,
            None => self.all.push(TrackSpan { track, start, end: start }),
        }
    }

    fn sample(&mut self, sample: Sample) {
        if let Some(span) = self.all.get_mut(self.now) {
            span.end = span.end.saturating_add(sample.duration.into());
        }
    }
}

fn tracks(moov: &BoxRef<'_>) -> Result<Vec<KnownTrack>, BoxFault> {
    let defaults = TrackExtends::read_all(moov, TRACKS_MAX)?.unwrap_or_default();
    let mut found = Vec::new();
    for trak in moov.children(0) {
        let trak = trak?;
        if trak.kind == *b"trak" && found.len() < TRACKS_MAX {
            let TrackHeader { id, timescale, .. } = TrackHeader::read(&trak)?;
            let defaults = defaults.iter().find(|it| it.track_id == id).copied().unwrap_or_default();
            found.push(KnownTrack { id, timescale, defaults });
        }
    }
    Ok(found)
}

/// Checks that each segment begins where the one before it ended.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    tracks: Vec<KnownTrack>,
    ends: Vec<(u32, u64)>,
    sequence: Option<u32>,
}

impl Continuity {
    /// A check for segments of these tracks.
    pub(super) fn of(tracks: Vec<KnownTrack>) -> Self {
        Self { tracks, ..Self::default() }
    }

    pub(super) fn tracks(&self) -> &[KnownTrack] {
        &self.tracks
    }

    /// Changes to another rung, whose times go on where these ended.
    pub(super) fn change(&mut self, tracks: Vec<KnownTrack>) {
        self.tracks = tracks;
        self.sequence = None;
    }

    /// The next segment may begin anywhere.
    pub(super) fn forget(&mut self) {
        self.ends.clear();
        self.sequence = None;
    }

    /// Takes a segment; the error says what is wrong with its times or its number.
    pub(super) fn follow(&mut self, facts: &SegmentFacts) -> Result<(), ExchangeError> {
        let mut fault = None;
        for span in &facts.spans {
            let timescale =
                self.tracks.iter().find(|track| track.id == span.track).map_or(0, |it| it.timescale);
            match self.ends.iter_mut().find(|(track, _)| *track == span.track) {
                Some((_, end)) => {
                    // A fiftieth of a second is allowed, since packagers round.
                    if span.start.abs_diff(*end) > u64::from(timescale / 50) {
                        fault = Some("a segment does not begin where the one before it ended");
                    }
                    *end = span.end;
                }
                None => self.ends.push((span.track, span.end)),
            }
        }
        if let Some(sequence) = facts.sequence
            && self.sequence.replace(sequence).is_some_and(|before| sequence <= before)
        {
            fault = Some("a fragment's sequence number does not grow");
        }
        fault.map_or(Ok(()), |fault| Err(ExchangeError::Content(fault)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_container::isobmff::{put_box, put_full_box};

    fn segment(sequence: u32, start: u64, samples: &[u32]) -> Vec<u8> {
        let mut out = Vec::new();
        put_box(&mut out, *b"moof", |out| {
            put_full_box(out, *b"mfhd", 0, 0, |out| out.extend(sequence.to_be_bytes()));
            put_box(out, *b"traf", |out| {
                put_full_box(out, *b"tfhd", 0, 0x2_0008, |out| {
                    out.extend([0, 0, 0, 1, 0, 0, 0, 40]);
                });
                put_full_box(out, *b"tfdt", 1, 0, |out| out.extend(start.to_be_bytes()));
                let flags = if samples.is_empty() { 1 } else { 0x301 };
                put_full_box(out, *b"trun", 0, flags, |out| {
                    let count = if samples.is_empty() { 3 } else { samples.len() as u32 };
                    out.extend(count.to_be_bytes());
                    out.extend([0; 4]);
                    for sample in samples {
                        out.extend(sample.to_be_bytes());
                        out.extend([0; 4]);
                    }
                });
            });
        });
        put_box(&mut out, *b"mdat", |out| out.extend([7; 100]));
        out
    }

    fn facts(bytes: &[u8], cut: usize) -> Result<SegmentFacts, ExchangeError> {
        let mut check = BodyCheck::default();
        check.take(&bytes[..cut])?;
        // What need not be looked at may be left out.
        let dull = (check.dull() as usize).min(bytes.len() - cut);
        check.skip(dull as u64);
        check.take(&bytes[cut + dull..])?;
        check.finish_segment()
    }

    #[test]
    fn segments_are_read_through_any_pieces() {
        let bytes = segment(7, 1000, &[]);
        let spans = vec![TrackSpan { track: 1, start: 1000, end: 1120 }];
        for cut in 0..=bytes.len() {
            assert_eq!(
                facts(&bytes, cut),
                Ok(SegmentFacts { sequence: Some(7), spans: spans.clone() }),
                "{cut}"
            );
        }
        assert!(facts(&bytes[..bytes.len() - 1], 9).is_err());
        assert!(facts(b"\0\0\0\x07bad!", 2).is_err());
        assert!(facts(b"\0\0\0\x08mdat", 2).is_err());
        assert!(facts(b"", 0).is_err());
    }

    #[test]
    fn transport_streams_are_known_by_their_sync_bytes() {
        let mut bytes = vec![0; 188 * 5];
        bytes.iter_mut().step_by(188).for_each(|byte| *byte = SYNC);
        for cut in 1..bytes.len() {
            assert_eq!(facts(&bytes, cut), Ok(SegmentFacts::default()), "{cut}");
        }
        assert!(facts(&bytes[..200], 3).is_err());
        bytes[188] = 0;
        assert!(facts(&bytes, 3).is_err());
    }

    #[test]
    fn a_gap_a_step_back_and_a_repeat_are_noticed() {
        let track = KnownTrack { id: 1, timescale: 1000, defaults: TrackExtends::default() };
        let read = |bytes: &[u8]| facts(bytes, 10).expect("sound");
        let mut continuity = Continuity::of(vec![track]);
        continuity.follow(&read(&segment(1, 0, &[10, 20]))).expect("the first");
        continuity.follow(&read(&segment(2, 30, &[10, 20]))).expect("it goes on");
        let gap = continuity.follow(&read(&segment(3, 90, &[10])));
        assert!(gap.is_err(), "30 of 1000 are missing");
        assert!(continuity.follow(&read(&segment(3, 100, &[10]))).is_err(), "the number again");
        continuity.forget();
        continuity.follow(&read(&segment(1, 5, &[10]))).expect("a seek");
    }
}
