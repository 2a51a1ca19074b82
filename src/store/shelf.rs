//! One channel's sliding window.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::media::{CellIndex, Grid, RungTracks, Segment};

use super::playlist::{self, Entry};

/// Cells kept beyond the window, for players that are late by some.
const GRACE: usize = 6;

/// A rendered text and its entity tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// UTF-8.
    pub body: Bytes,
    /// A strong entity tag with its quotes (RFC 9110 §8.8.3).
    pub etag: String,
}

/// One rung as viewers see it.
#[derive(Clone, Debug)]
pub struct Rendition {
    /// Its tracks.
    pub tracks: RungTracks,
    /// The initialization section, and the name under which playlists point to it.
    pub init: Bytes,
    /// Changes when the section does.
    pub init_name: String,
    /// The media playlist.
    pub playlist: Text,
    /// A multivariant playlist with this rung alone.
    pub single: Text,
    /// Highest and mean bits per second of real segments.
    pub peak_bps: u64,
    /// See `peak_bps`.
    pub average_bps: u64,
    segments: VecDeque<Arc<Segment>>,
}

/// Everything of one channel that belongs together.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The newest cell.
    pub last: CellIndex,
    /// The multivariant playlist.
    pub multivariant: Text,
    /// Renditions in the ladder's order, sound alone last.
    pub renditions: Vec<Rendition>,
    /// The cell of the oldest segment kept.
    oldest: CellIndex,
}

impl Snapshot {
    /// The rendition of this name.
    pub fn rendition(&self, name: &str) -> Option<&Rendition> {
        self.renditions.iter().find(|rendition| rendition.tracks.name == name)
    }

    /// A segment that is still, or already, there.
    pub fn segment(&self, rendition: &Rendition, k: CellIndex) -> Option<Arc<Segment>> {
        let index = usize::try_from(k.0.checked_sub(self.oldest.0)?).ok()?;
        rendition.segments.get(index).cloned()
    }
}

/// A cell was not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// Sequence numbers must not go back (RFC 8216 §6.2.2).
    #[error("cell {k} does not come after cell {last}")]
    Backward {
        /// The cell.
        k: CellIndex,
        /// The newest one on the shelf.
        last: CellIndex,
    },
    /// A rung is missing.
    #[error("{given} segments for {rungs} rungs")]
    Rungs {
        /// Segments given.
        given: usize,
        /// Rungs of the shelf.
        rungs: usize,
    },
}

/// The writing end.
#[derive(Debug)]
pub struct ShelfWriter {
    grid: Grid,
    window: usize,
    sender: watch::Sender<Option<Arc<Snapshot>>>,
    empty: Vec<Rendition>,
}

/// The reading end; cheap to clone.
#[derive(Clone, Debug)]
pub struct ShelfReader {
    receiver: watch::Receiver<Option<Arc<Snapshot>>>,
}

impl ShelfReader {
    /// What is there now; `None` until the first cell.
    pub fn now(&self) -> Option<Arc<Snapshot>> {
        self.receiver.borrow().clone()
    }

    /// For those who wait for the next cell.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.receiver.clone()
    }
}

/// An empty shelf whose playlists list `window` segments. Its rungs are named by [`ShelfWriter::furnish`].
pub fn shelf(grid: Grid, window: usize) -> (ShelfWriter, ShelfReader) {
    let (sender, receiver) = watch::channel(None);
    (ShelfWriter { grid, window, sender, empty: Vec::new() }, ShelfReader { receiver })
}

impl ShelfWriter {
    /// Names the rungs, each with its initialization section, once their encoders are known.
    pub fn furnish(&mut self, rungs: impl IntoIterator<Item = (RungTracks, Bytes)>) {
        let rendition = |(tracks, init): (RungTracks, Bytes)| Rendition {
            init_name: format!("init_{}_{}.mp4", tracks.name, fingerprint(&init)),
            tracks,
            init,
            playlist: Text::default(),
            single: Text::default(),
            peak_bps: 0,
            average_bps: 0,
            segments: VecDeque::with_capacity(self.window + GRACE),
        };
        self.empty = rungs.into_iter().map(rendition).collect();
    }

    /// Puts cell `k` of every rung on the shelf. After a gap in *k* the older cells are cleared away, so that a
    /// playlist never claims that its segments follow one another when they do not.
    pub fn push(&mut self, k: CellIndex, segments: Vec<Segment>) -> Result<(), StoreError> {
        if segments.len() != self.empty.len() {
            return Err(StoreError::Rungs { given: segments.len(), rungs: self.empty.len() });
        }
        let before = self.sender.borrow().clone();
        if let Some(last) = before.as_ref().map(|before| before.last).filter(|last| k <= *last) {
            return Err(StoreError::Backward { k, last });
        }
        let follows = before.as_ref().is_some_and(|before| before.last.next() == k);
        let mut renditions = match &before {
            Some(before) => before.renditions.clone(),
            None => self.empty.clone(),
        };
        for (rendition, segment) in renditions.iter_mut().zip(segments) {
            if !follows {
                rendition.segments.clear();
            }
            rendition.segments.push_back(Arc::new(segment));
            while rendition.segments.len() > self.window + GRACE {
                rendition.segments.pop_front();
            }
            self.measure(rendition);
        }
        let count = renditions.first().map_or(0, |rendition| rendition.segments.len());
        let oldest = CellIndex(k.0 + 1 - count as i64);
        self.render(&mut renditions, oldest, count);
        let entries: Vec<_> = renditions.iter().map(entry).collect();
        let body = playlist::multivariant(&entries);
        let multivariant = match before {
            Some(before) if before.multivariant.body == body => before.multivariant.clone(),
            _ => text(body),
        };
        self.sender.send_replace(Some(Arc::new(Snapshot { last: k, multivariant, renditions, oldest })));
        Ok(())
    }

    /// BANDWIDTH must not be too low (RFC 8216 §4.3.4.2), nor change under a player's feet without need: the peak
    /// is the highest ever seen, in steps of 1 %.
    fn measure(&self, rendition: &mut Rendition) {
        let bits = |segment: &Arc<Segment>| segment.len() as u64 * 8000 / u64::from(self.grid.duration_ms());
        let peak = rendition.segments.back().map_or(0, bits);
        if peak > rendition.peak_bps {
            rendition.peak_bps = peak + peak / 100;
        }
        let sum: u64 = rendition.segments.iter().map(bits).sum();
        let average = sum / rendition.segments.len().max(1) as u64;
        // Ten per cent either way is not worth another multivariant playlist.
        if average.abs_diff(rendition.average_bps) * 10 > rendition.average_bps {
            rendition.average_bps = average.min(rendition.peak_bps);
        }
    }

    fn render(&self, renditions: &mut [Rendition], oldest: CellIndex, count: usize) {
        let first = CellIndex(oldest.0 + count.saturating_sub(self.window) as i64);
        let listed = count.min(self.window);
        for rendition in renditions.iter_mut() {
            let name = &rendition.tracks.name;
            let body = playlist::media(name, &rendition.init_name, self.grid, first, listed);
            // Two servers with the same cells on the shelf give the same playlist.
            let etag = format!("\"{}-{first}-{listed}\"", rendition.init_name);
            rendition.playlist = Text { body, etag };
            rendition.single = text(playlist::multivariant(&[entry(rendition)]));
        }
        // Old hls.js takes variants of equal bandwidth for one.
        for index in 1..renditions.len() {
            while renditions[..index].iter().any(|other| other.peak_bps == renditions[index].peak_bps) {
                renditions[index].peak_bps += 1;
            }
        }
    }
}

fn entry(rendition: &Rendition) -> Entry<'_> {
    Entry { tracks: &rendition.tracks, peak_bps: rendition.peak_bps, average_bps: rendition.average_bps }
}

fn text(body: Bytes) -> Text {
    let etag = format!("\"{}\"", fingerprint(&body));
    Text { body, etag }
}

/// Eight hexadecimal digits of SHA-256.
fn fingerprint(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(bytes);
    digest.first_chunk().map_or_else(String::new, |start| format!("{:08x}", u32::from_be_bytes(*start)))
}

#[cfg(test)]
mod tests {
    use hls_m3u8::{MasterPlaylist, MediaPlaylist};
    use proptest::prelude::*;

    use super::*;
    use crate::media::{AudioFormat, AudioTrack, ParameterSets, PictureSize, VideoTrack};

    const WINDOW: usize = 4;
    const FIRST: i64 = 900_000_000;

    fn rungs() -> Vec<(RungTracks, Bytes)> {
        let audio =
            AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 };
        let sets = ParameterSets { sps: Bytes::from_static(b"\x67\x64\x0c\x1f"), pps: Bytes::new() };
        let video = |width, height| VideoTrack {
            size: PictureSize { width, height },
            fps: 15,
            parameter_sets: sets.clone(),
        };
        let rung = |name: &str, video: Option<VideoTrack>| RungTracks {
            name: name.to_owned(),
            video_index: video.as_ref().map(|_| 0),
            video,
            audio,
        };
        let tracks =
            [rung("720p", Some(video(1280, 720))), rung("480p", Some(video(854, 480))), rung("160p", None)];
        tracks.into_iter().map(|tracks| (tracks.clone(), Bytes::from(tracks.name))).collect()
    }

    fn segments(len: usize) -> Vec<Segment> {
        vec![Segment::new(Bytes::from_static(b"head"), vec![0; len].into(), Bytes::new()); 3]
    }

    fn furnished() -> (ShelfWriter, ShelfReader) {
        let (mut writer, reader) = shelf(Grid::new(2000), WINDOW);
        writer.furnish(rungs());
        (writer, reader)
    }

    fn body(text: &Text) -> &str {
        std::str::from_utf8(&text.body).expect("playlists are text")
    }

    #[test]
    fn a_media_playlist_is_as_players_expect_it() {
        let (mut writer, reader) = furnished();
        for k in FIRST..FIRST + 2 {
            writer.push(CellIndex(k), segments(1000)).expect("in order");
        }
        let snapshot = reader.now().expect("two cells");
        let expected = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:900000000\n\
            #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"init_720p_35d02ff1.mp4\"\n\
            #EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:00.000Z\n#EXTINF:2.000,\nmedia_720p_900000000.m4s\n\
            #EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:02.000Z\n#EXTINF:2.000,\nmedia_720p_900000001.m4s\n";
        let playlist = body(&snapshot.renditions[0].playlist);
        let init = playlist.split('"').nth(1).expect("a MAP");
        assert_eq!(playlist, expected.replace("init_720p_35d02ff1.mp4", init));
    }

    #[test]
    fn the_multivariant_playlist_says_all_that_players_need() {
        let (mut writer, reader) = furnished();
        writer.push(CellIndex(FIRST), segments(200_000)).expect("in order");
        let snapshot = reader.now().expect("a cell");
        let playlist = MasterPlaylist::try_from(body(&snapshot.multivariant)).expect("strictly valid");
        let bandwidths: Vec<_> = playlist.variant_streams.iter().map(|variant| variant.bandwidth()).collect();
        assert_eq!(bandwidths.len(), 3);
        assert!(bandwidths[0] != bandwidths[1] && bandwidths[1] != bandwidths[2]);
        assert!(bandwidths.iter().all(|&bandwidth| bandwidth >= 800_016));
        let text = body(&snapshot.multivariant);
        for needed in ["avc1.640C1F,mp4a.40.2", "RESOLUTION=854x480", "FRAME-RATE=15", "CODECS=\"mp4a.40.2\""]
        {
            assert!(text.contains(needed), "{needed} in {text}");
        }
        assert!(text.trim_end().ends_with("chunklist_160p.m3u8"), "sound alone comes last: {text}");
    }

    #[test]
    fn numbers_never_go_back_and_a_gap_clears_the_shelf() {
        let (mut writer, reader) = furnished();
        writer.push(CellIndex(FIRST), segments(10)).expect("in order");
        let back = StoreError::Backward { k: CellIndex(FIRST), last: CellIndex(FIRST) };
        assert_eq!(writer.push(CellIndex(FIRST), segments(10)), Err(back));
        writer.push(CellIndex(FIRST + 5), segments(10)).expect("later");
        let snapshot = reader.now().expect("a cell");
        assert!(snapshot.segment(&snapshot.renditions[0], CellIndex(FIRST)).is_none());
        assert!(body(&snapshot.renditions[0].playlist).contains("MEDIA-SEQUENCE:900000005"));
    }

    proptest! {
        #[test]
        fn every_listed_segment_is_there_and_playlists_are_valid(
            lens in prop::collection::vec(0..300_000_usize, 1..30),
        ) {
            let (mut writer, reader) = furnished();
            for (index, len) in lens.iter().enumerate() {
                writer.push(CellIndex(FIRST + index as i64), segments(*len)).expect("in order");
                let snapshot = reader.now().expect("a cell");
                for rendition in &snapshot.renditions {
                    let playlist = MediaPlaylist::try_from(body(&rendition.playlist)).expect("strictly valid");
                    let count = (index + 1).min(WINDOW);
                    prop_assert_eq!(playlist.segments.iter().count(), count);
                    prop_assert_eq!(playlist.media_sequence, FIRST as usize + index + 1 - count);
                    for k in playlist.media_sequence..=FIRST as usize + index {
                        prop_assert!(snapshot.segment(rendition, CellIndex(k as i64)).is_some());
                    }
                    prop_assert!(snapshot.segment(rendition, CellIndex(FIRST + index as i64 + 1)).is_none());
                    prop_assert!(rendition.peak_bps >= *len as u64 * 4);
                }
            }
        }
    }
}
