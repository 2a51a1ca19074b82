//! Media files: reading and writing them. One library for live channels, recordings, posters, the waiting video and the
//! load test.
//!
//! | module | what | standard |
//! |---|---|---|
//! | [`isobmff`] | boxes, written and read | ISO/IEC 14496-12 §4.2 |
//! | [`mp4`] | the index of a file: tracks, samples, edit lists, text, chapters; fragments, read | ISO/IEC 14496-12 §8, 14496-15, 14496-30 |
//! | [`fmp4`] | initialization sections and media segments, written | ISO/IEC 14496-12 §8.8, 23000-19 §7.3 |
//! | [`clip`] | a small file, read whole | |
//! | [`hls`] | media and multivariant playlists, written and read; BANDWIDTH | RFC 8216 |
//! | [`dash`] | manifests, written and read | ISO/IEC 23009-1 |
//! | [`webvtt`] | subtitles: WebVTT, SRT and TTML, read, and cut into segments | WebVTT, TTML2, RFC 8216 §3.5 |
//!
//! Nothing here does I/O: bytes and values in, bytes and values out. It uses the types of the media path
//! ([`media`](amphi_media)) and no other crate of the server.
//!
//! **What does not belong here:** which segments a channel has (`store`), where recordings are cut and what their files are
//! called (`vod`), reading from disks, HTTP, codecs.
//!
//! **Where to start.** To see where a tag of a playlist is written: [`hls::MediaPlaylist`], in `hls/media.rs`. To add a box to
//! the initialization section: `init_section_of` in `fmp4/init.rs`. The snapshots beside it hold the bytes of live sections;
//! [`fmp4::LAYOUT_VERSION`] is a part of the names of recorded ones. To read another box of a file: [`mp4::Movie::parse`].
//!
//! # Example
//! Writes a movie fragment and reads it again:
//! ```
//! use amphi_container::fmp4::{FragmentSample, TrackFragment, fragment_head};
//! use amphi_container::isobmff::{BoxFault, Boxes};
//!
//! let picture = FragmentSample { size: 1200, duration: 3600, composition_offset: 0, sync: true };
//! let track = TrackFragment::new(1, 90_000, [picture; 25].into_iter());
//! let head = fragment_head(7, [track].iter());
//!
//! let moof = Boxes::new(&head, 0).next().expect("a box")?;
//! let traf = moof.need(*b"traf")?;
//! let mut tfdt = traf.need(*b"tfdt")?.full()?;
//! assert_eq!((moof.kind, tfdt.version, tfdt.rest.u64()), (*b"moof", 1, Some(90_000)));
//! # Ok::<(), BoxFault>(())
//! ```

pub mod clip;
pub mod dash;
pub mod fmp4;
pub mod hls;
pub mod isobmff;
pub mod mp4;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod webvtt;
