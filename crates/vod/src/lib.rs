//! Recorded lectures: any mp4 file or SMIL playlist beneath a mount's root, as HLS and DASH, without stored copies.
//!
//! ```text
//!  SMIL text ─▶ Smil ─▶ paths ─▶ moov ─▶ Movie (tracks, samples) ─▶ cuts ─▶ playlists
//!                                                        └─▶ layout of a segment ─▶ ranges of the file, sent from there or read
//! ```
//! Cores (sans-IO): [`Smil`], [`cuts`], names, the content of playlists and manifests, the [`SampleCursor`] of protocols
//! that send frames. Shell: the
//! [`Mount`] opens files beneath its root only (`cap-std`), on a bounded number of threads of the blocking pool,
//! keeps indexes in a bounded cache, builds an index once however many ask for it, and lets nobody wait for ever. What it
//! reads is parsed in the [`Workshop`](amphi_runtime::workshop::Workshop): indexes, cues, and the answers made of them.
//!
//! Whether a file has changed is checked again after two seconds, since NFS sends no events. While a SMIL file is
//! being written, requests are answered from its last good reading.
//!
//! **Versions.** A file with another length or time of writing is another version, with other names. Viewers who have begun
//! go on with the version that they began, whether its file, or the SMIL file, has been replaced or removed since: its
//! descriptor stays open. That is bounded: no more than [`OPEN_MAX`] recordings of a mount stay open, each for an hour
//! after it was last asked for, and a version is not served under its names for longer than half a day after the file has
//! changed. A file that was only touched is the same under its old names and its new ones. One that is *overwritten in place*
//! cannot be kept: after each read it is checked that the file is still as it was indexed, and whoever began the old version
//! is told that it is gone ([`VodFault::Overwritten`]); bytes of two versions are never mixed. What is compared then is the
//! index and samples of bytes in between, so it takes a new file of the same length and with the same index to be missed. Bytes
//! that are sent from the file are compared before and after; those that are on their way when it is overwritten, and not cut
//! off first as most programs do, may be either's, and the answer that they belong to is broken off if it is not at its end.
//!
//! **Files that still grow**: one without an index, or whose index names samples beyond its end, is not served yet
//! ([`VodFault::Unfinished`]); one in fragments is served up to its last whole fragment, and not before its first one.
//!
//! **What is not played** of a file does not refuse the rest: it is told track by track ([`RecordingReport`]). **Sound that
//! browsers do not decode** is offered as AAC and coded when it is asked for, a block of frames at a time, with
//! [`amphi_sound`]. AC-3 and E-AC-3, which some players decode, are offered as they are in the file too, if they need no
//! silence: the same track a second time ([`TrackSelection::InFile`]), so its segments are ranges of the file. **Subtitles**
//! are named by their own file and its state: a new language changes nothing under an old name.
//!
//! **Names** of files may be written in any normalization form of Unicode (NFC as most systems do, NFD as macOS did): paths are
//! in NFC here, and a file is found under either form.
//!
//! What does *not* belong here: how mp4 files, subtitles, playlists and manifests are read and written ([`amphi_container`]),
//! decoders and encoders of sound ([`amphi_sound`]), URLs and HTTP (`delivery`), live channels.
//!
//! **Where to start.** `mount.rs` answers requests; `presentation.rs` is one recording with its renditions; `cut.rs` says
//! where segments begin. `mount/versions.rs` says which version a name means, `captions.rs` and `mount/captions.rs` which
//! subtitles there are, `transcode.rs` which sound is coded anew, `report.rs` what is told to operators. The boxes themselves are
//! written and read in `amphi-container`.
//!
//! # Example
//! ```
//! let text = r#"<smil><body><switch><video src="mp4:lecture_720p.mp4"/></switch></body></smil>"#;
//! let smil = amphi_vod::Smil::parse(text)?;
//! assert_eq!(smil.renditions[0].path, "lecture_720p.mp4");
//! # Ok::<(), amphi_vod::SmilFault>(())
//! ```

mod at_hand;
mod buffers;
mod captions;
mod cursor;
mod cut;
mod dash;
mod fault;
mod listing;
mod mount;
mod names;
mod open_file;
mod playlist;
mod presentation;
mod reading;
mod recording;
mod report;
mod silence;
mod smil;
mod stamp;
mod transcode;

pub use amphi_container::fmp4::layout::{SegmentLayout as Layout, part_of};
pub use amphi_container::mp4::{Extent, Movie, MovieTrack as Track};
pub use amphi_container::webvtt::{Cue, TimedText};
pub use captions::{Captions, ListedText};
pub use cursor::{FrameRendition, RecordedSample, SampleBatch, SampleCursor};
pub use cut::{Cut, Trim, cuts};
pub use fault::VodFault;
pub use listing::Listed;
pub use mount::{Listing, Mount, MountSettings, OPEN_MAX, RecordingStream};
pub use names::{FileNames, RecordingFile, TextName, TrackSelection, VersionNames, parse as parse_file};
pub use presentation::{Presentation, Rendition};
pub use recording::Recording;
pub use report::{LeftOutPart, RecordingReport};
pub use smil::{Smil, SmilFault, with_extension};

#[cfg(test)]
mod caption_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod ffmpeg_tests;
#[cfg(test)]
mod in_file_tests;
#[cfg(test)]
mod tests;
