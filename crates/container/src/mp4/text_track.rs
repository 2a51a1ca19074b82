//! Text tracks: subtitles and chapter titles within an mp4 file (3GPP TS 26.245, ISO/IEC 14496-30, QuickTime File Format).
//! Sans-IO.

use amphi_media::charset;

use super::super::isobmff::{BoxFault, BoxRef};
use super::left_out::{LeftOut, TrackKind};
use super::samples::{Extent, Sample, SampleBudget, SampleTable};
use super::tables;
use super::ticks::{FAR, rescale};
use super::track::{TrackHeader, edit};

/// Most samples of a text track that are read; a long day of speech has fewer.
const SAMPLES_MAX: u32 = 200_000;
/// Most bytes of a text track that are read.
const BYTES_MAX: u64 = 4 << 20;
/// The same where each sample is a whole document.
const DOCUMENT_BYTES_MAX: u64 = 16 << 20;
/// Most bytes of what a sample description says.
const HEADER_MAX: usize = 64 << 10;
/// The latest time to which the times without texts reach: 31 days.
const GAP_SECONDS_MAX: i64 = 31 * 86_400;
/// Most samples without a text in one gap: 31 days in 1.6 MHz.
const GAP_SAMPLES_MAX: u32 = 1000;
/// Most text tracks of one file.
const TRACKS_MAX: usize = 64;

/// A track of subtitles or of chapter titles.
#[derive(Clone, Debug)]
pub struct TextTrack {
    /// `track_ID` in the file.
    pub id: u32,
    /// Ticks per second of its times.
    pub timescale: u32,
    /// Language code of three letters (ISO 639-2/T); `und` if unknown.
    pub language: String,
    /// The name that the file gives it, if any.
    pub name: Option<String>,
    /// How its samples are coded.
    pub coding: TextCoding,
    /// One sample for each text, and for each time without one.
    pub samples: SampleTable,
    /// Media time at presentation time zero, in ticks.
    pub origin: i64,
    /// Decode time of the first sample, if samples are in fragments.
    pub(crate) first_decode_time: i64,
}

/// How the samples of a text track are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextCoding {
    /// `tx3g`: timed text (3GPP TS 26.245 §5).
    TimedText,
    /// `text`: QuickTime's, in the encoding of a Macintosh where it is not Unicode.
    QuickTime,
    /// `wvtt`: WebVTT in boxes (ISO/IEC 14496-30 §7).
    Wvtt {
        /// What a WebVTT file has before its first cue.
        header: String,
    },
    /// `stpp`: a TTML document in each sample (ISO/IEC 14496-30 §6).
    Stpp,
}

impl TextTrack {
    /// Reads the subtitles of a `moov`: all text tracks but those with the `track_ID`s of `chapters`. What is not read of
    /// them is said in `left_out`.
    pub(super) fn read_all(
        moov: &BoxRef<'_>,
        chapters: &[u32],
        context: &mut TextContext<'_>,
        left_out: &mut Vec<LeftOut>,
    ) -> Vec<Self> {
        let mut tracks = Vec::new();
        for trak in moov.children(0).flatten().filter(|child| child.kind == *b"trak") {
            let Ok(Some(entry)) = entry_of(&trak) else { continue };
            let track_id = TrackHeader::read(&trak).map_or(0, |header| header.id);
            if chapters.contains(&track_id) {
                continue;
            }
            let mut leave = |reason| left_out.push(LeftOut { track_id, kind: TrackKind::Text, reason });
            match Self::read(&trak, context) {
                Ok(Some(track)) if tracks.len() < TRACKS_MAX => tracks.push(track),
                Ok(Some(_)) => leave(format!("more than {TRACKS_MAX} tracks of subtitles")),
                Ok(None) => leave(unread(entry.kind)),
                Err(fault) => leave(fault.to_string()),
            }
        }
        tracks
    }

    /// Reads the `trak`; `None` if its coding is not read.
    pub(super) fn read(trak: &BoxRef<'_>, context: &mut TextContext<'_>) -> Result<Option<Self>, BoxFault> {
        let TrackHeader { id, timescale, language } = TrackHeader::read(trak)?;
        let Some(coding) = entry_of(trak)?.as_ref().and_then(TextCoding::read) else { return Ok(None) };
        let stbl = trak.need(*b"mdia")?.need(*b"minf")?.need(*b"stbl")?;
        // A track whose samples are in fragments, or that has none, may have no tables at all.
        let samples = match stbl.child(*b"stsz")?.or(stbl.child(*b"stz2")?) {
            Some(_) => tables::read(&stbl, context.file_len, context.budget)?,
            None => SampleTable::default(),
        };
        let origin = edit(trak, context.movie_timescale, timescale)?.0;
        Ok(Some(Self {
            id,
            timescale,
            language,
            name: name(trak),
            coding,
            samples,
            origin,
            first_decode_time: 0,
        }))
    }

    /// A track fragment begins, whose first sample has this decode time.
    pub(super) fn begin_fragment(&mut self, decode_time: Option<u64>) {
        let Some(time) = decode_time else { return };
        let time = i64::try_from(time).unwrap_or(FAR).min(FAR);
        let end = i64::try_from(self.samples.end()).unwrap_or(FAR);
        if self.samples.count() == 0 {
            // Media time counts from the first sample.
            self.origin = (self.origin - time).clamp(-FAR, FAR);
            self.first_decode_time = time;
        } else {
            // Nothing is shown in between. A sample lasts no longer than 32 bits can say.
            let longest = GAP_SECONDS_MAX * i64::from(self.timescale);
            let mut gap = (time - self.first_decode_time).min(longest) - end;
            for _ in 0..GAP_SAMPLES_MAX {
                let duration = u32::try_from(gap).unwrap_or(u32::MAX);
                if gap <= 0 {
                    break;
                }
                self.samples.push(Sample { offset: 0, size: 0, duration, composition: 0, sync: true });
                gap -= i64::from(duration);
            }
        }
    }

    /// The next sample of the fragment.
    pub(super) fn push(&mut self, sample: Sample) {
        self.samples.push(Sample { sync: true, ..sample });
    }

    /// Moves presentation time zero by `nanos`.
    pub(super) fn move_zero(&mut self, nanos: i64) {
        let ticks = rescale(nanos, 1_000_000_000, self.timescale);
        self.origin = self.origin.saturating_add(ticks).clamp(-FAR, FAR);
    }

    /// How many samples are read: fewer than there are if they are too many or too large.
    pub(super) fn readable(&self) -> u32 {
        let most = if self.coding == TextCoding::Stpp { DOCUMENT_BYTES_MAX } else { BYTES_MAX };
        let mut bytes = 0;
        let is_within = |index: &u32| {
            bytes += u64::from(self.samples.size(*index));
            bytes <= most
        };
        (0..self.samples.count().min(SAMPLES_MAX)).take_while(is_within).count() as u32
    }

    /// Where in the file its samples are, in order.
    pub fn extents(&self) -> Vec<Extent> {
        self.samples.extents(0, self.readable())
    }

    /// Memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.samples.memory()
    }
}

/// What is needed to read a text track besides its `trak`.
pub(super) struct TextContext<'a> {
    pub(super) movie_timescale: u32,
    pub(super) file_len: u64,
    pub(super) budget: &'a mut SampleBudget,
}

impl TextCoding {
    /// How samples with this sample description are coded; `None` if they are not read.
    fn read(entry: &BoxRef<'_>) -> Option<Self> {
        match &entry.kind {
            b"tx3g" => Some(Self::TimedText),
            b"text" => Some(Self::QuickTime),
            b"stpp" => Some(Self::Stpp),
            b"wvtt" => {
                let header = entry.children(8).flatten().find(|child| child.kind == *b"vttC");
                let header =
                    header.map(|vtt| vtt.body.get(..vtt.body.len().min(HEADER_MAX)).unwrap_or_default());
                Some(Self::Wvtt { header: String::from_utf8_lossy(header.unwrap_or_default()).into_owned() })
            }
            _ => None,
        }
    }
}

/// The sample description of a track that holds text, by its handler or by its coding; `None` for other tracks.
fn entry_of<'a>(trak: &BoxRef<'a>) -> Result<Option<BoxRef<'a>>, BoxFault> {
    let mdia = trak.need(*b"mdia")?;
    // pre_defined, then handler_type (ISO/IEC 14496-12 §8.4.3).
    let handler = mdia.child(*b"hdlr")?.and_then(|hdlr| hdlr.body.get(8..12));
    let stsd = mdia.need(*b"minf")?.need(*b"stbl")?.need(*b"stsd")?;
    let Some(entry) = stsd.children(8).next().transpose()? else { return Ok(None) };
    let is_known = matches!(&entry.kind, b"tx3g" | b"wvtt" | b"stpp" | b"sbtt" | b"stxt" | b"c608" | b"c708");
    let is_text = matches!(handler, Some(b"text" | b"sbtl" | b"subt" | b"clcp"));
    Ok((is_known || is_text).then_some(entry))
}

/// Why a track of this coding is left out.
fn unread(coding: [u8; 4]) -> String {
    let words = match &coding {
        b"c608" => "CEA-608 captions",
        b"c708" => "CEA-708 captions",
        b"mp4s" => "subtitles as pictures",
        _ => "subtitles of this coding",
    };
    format!("{words} ({}) are not read", coding.escape_ascii())
}

/// The name that the file gives the track: `name` in `udta`, or that of the handler unless it is only the software's.
fn name(trak: &BoxRef<'_>) -> Option<String> {
    let udta = trak.child(*b"udta").ok().flatten();
    let named = udta.and_then(|udta| udta.child(*b"name").ok().flatten()).and_then(|name| words(name.body));
    let hdlr = || trak.child(*b"mdia").ok().flatten()?.child(*b"hdlr").ok().flatten();
    // version and flags, pre_defined, handler_type, three reserved words (ISO/IEC 14496-12 §8.4.3).
    let handler = || words(hdlr()?.body.get(24..)?);
    let is_of_software = |name: &String| {
        let name = name.to_ascii_lowercase();
        ["handler", "gpac", "core media", "iso media", "apple"].iter().any(|word| name.contains(word))
    };
    named.or_else(|| handler().filter(|name| !is_of_software(name)))
}

/// A name of at most 100 characters without control characters. QuickTime has its length before it.
fn words(bytes: &[u8]) -> Option<String> {
    let bytes = match bytes {
        [length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        bytes => bytes,
    };
    let (text, _) = charset::decode(bytes, None, charset::WINDOWS_1252);
    let text: String = text.chars().filter(|letter| !letter.is_control()).take(100).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::text_track;

    #[test]
    fn long_gaps_are_times_without_texts() {
        for (time, end) in [(3000, 3000), (5_000_000_000, 2_678_400_000), (u64::MAX, 2_678_400_000)] {
            let mut track = text_track(TextCoding::TimedText, &[10]);
            track.begin_fragment(Some(time));
            assert_eq!((track.samples.count(), track.samples.end()), (2, end));
        }
        let mut track = TextTrack { timescale: 10_000_000, ..text_track(TextCoding::TimedText, &[10]) };
        track.begin_fragment(Some(36_000_000_000));
        assert_eq!((track.samples.count(), track.samples.end()), (10, 36_000_000_000));
        track.begin_fragment(Some(1000));
        assert_eq!(track.samples.count(), 10, "it goes back");
    }
}
