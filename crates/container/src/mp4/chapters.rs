//! QuickTime chapters (QuickTime File Format, "Chapter Lists"): a text track that another track names by `tref`/`chap`.
//! Sans-IO.

use bytes::Bytes;

use super::super::isobmff::{BoxFault, BoxReader, BoxRef};
use super::super::webvtt::Cue;
use super::samples::{Extent, SampleBudget, SampleTable};
use super::tables;
use super::ticks::rescale;

/// Largest number of chapters that are read of one recording.
const CHAPTERS_MAX: u32 = 1000;
/// Bytes of a title that are read; a longer one is left out.
const TITLE_MAX: u32 = 4096;

/// The text track with the chapter titles.
#[derive(Clone, Debug)]
pub struct ChapterTrack {
    /// Ticks per second of its times.
    pub timescale: u32,
    /// One sample for each title.
    pub samples: SampleTable,
    /// Media time at presentation time zero, in ticks.
    pub origin: i64,
}

/// The `track_ID`s of the chapter tracks that `trak` refers to, eight at most.
pub(super) fn named_by(trak: &BoxRef<'_>) -> Result<Vec<u32>, BoxFault> {
    let Some(chap) = trak.child(*b"tref")?.map(|tref| tref.child(*b"chap")).transpose()?.flatten() else {
        return Ok(Vec::new());
    };
    let mut numbers = BoxReader(chap.body);
    Ok(std::iter::from_fn(|| numbers.u32()).take(8).collect())
}

impl ChapterTrack {
    /// Reads the `trak`; `None` if it is not a text track.
    pub(super) fn read(
        trak: &BoxRef<'_>,
        timescale: u32,
        file_len: u64,
        budget: &mut SampleBudget,
    ) -> Result<Option<Self>, BoxFault> {
        let stbl = trak.need(*b"mdia")?.need(*b"minf")?.need(*b"stbl")?;
        let is_text = match stbl.need(*b"stsd")?.children(8).next().transpose()? {
            Some(entry) => matches!(&entry.kind, b"text" | b"tx3g"),
            None => false,
        };
        if !is_text {
            return Ok(None);
        }
        Ok(Some(Self { timescale, samples: tables::read(&stbl, file_len, budget)?, origin: 0 }))
    }

    /// Where in the file the titles are, in order.
    pub fn extents(&self) -> Vec<Extent> {
        let count = self.samples.count().min(CHAPTERS_MAX);
        let whole =
            (0..count).filter_map(|index| Some((index, *self.samples.extents(index, index + 1).first()?)));
        whole.map(|(index, extent)| Extent { len: u64::from(self.len(index)), ..extent }).collect()
    }

    /// How many bytes of a sample are read.
    fn len(&self, index: u32) -> u32 {
        self.samples.size(index).min(TITLE_MAX)
    }

    /// The chapters as cues, from the bytes at [`Self::extents`].
    pub fn cues(&self, titles: &Bytes) -> Vec<Cue> {
        let ms = |ticks: i64| rescale(ticks - self.origin, self.timescale, 1000).max(0) as u64;
        let mut rest = BoxReader(titles);
        let mut cues = Vec::new();
        for index in 0..self.samples.count().min(CHAPTERS_MAX) {
            let Some(sample) = rest.bytes(self.len(index) as usize) else { break };
            let start = self.samples.media_time(index);
            let end = start + i64::from(self.samples.duration(index));
            let Some(text) = title(sample).filter(|text| !text.is_empty() && end > self.origin) else {
                continue;
            };
            cues.push(Cue { start_ms: ms(start), end_ms: ms(end), settings: String::new(), text });
        }
        cues
    }
}

/// A text sample: its length, then UTF-8, or UTF-16 after a byte order mark.
fn title(sample: &[u8]) -> Option<String> {
    let mut fields = BoxReader(sample);
    let length = fields.u16()?;
    let text = fields.bytes(usize::from(length))?;
    let wide = |bytes: [u8; 2]| {
        if text.starts_with(&[0xfe, 0xff]) { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    };
    Some(match text {
        [0xfe, 0xff, rest @ ..] | [0xff, 0xfe, rest @ ..] => {
            let (units, _) = rest.as_chunks::<2>();
            String::from_utf16_lossy(&units.iter().map(|unit| wide(*unit)).collect::<Vec<_>>())
        }
        other => String::from_utf8_lossy(other).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_in_both_codings() {
        assert_eq!(title(b"\0\x05Bases\0\0\0\x0cencd\0\0\x01\0").as_deref(), Some("Bases"));
        assert_eq!(title(b"\0\x06\xfe\xff\0A\0\xe9").as_deref(), Some("Aé"));
        assert_eq!(title(b"\0\x06\xff\xfeA\0\xe9\0").as_deref(), Some("Aé"));
        assert_eq!(title(b"\0\x09short"), None);
        assert_eq!(title(b""), None);
    }
}
