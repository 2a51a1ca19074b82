//! # Amphi: from a lecture hall's RTSP feed to a student's browser
//!
//! A **source** is an encoder that we pull, or that publishes to us. A **channel** is what viewers open; it never ends. The
//! **matrix** says which source is on which channel. Each connected source is decoded once and coded once per
//! **rung** by its **ladder**. A waiting video is coded once, by the same ladder, at start. Time is cut into
//! **cells** of one segment duration D on the wall clock: cell *k* covers `[k·D, (k+1)·D)` of unix time. Every
//! rung begins every cell with an IDR picture, so for each cell a channel takes either the live cell or the
//! waiting cell. One timeline, one initialization section per rung, no discontinuity, nothing for a player to
//! notice. An idle channel costs no encoding at all.
//!
//! The flow, and the life of a picture and of a request, are drawn in `docs/architecture.md`; `CONTRIBUTING.md` says which files
//! to touch, in order, to add something. This text says what holds in all of the code; the words are
//! explained in `docs/glossary.md`.
//!
//! ## The house
//! ```text
//!  6  main.rs                                                            (command line, logging)
//!  5  server                                                             (wiring, demo, order of ending)
//!  4  delivery admin                                                     (what the world may ask)
//!  3  source ladder channel store vod schedule rehearsal simulator loadtest    (stages: none knows another)
//!  2  config feed matrix acme admission agenda alarm audit http rtsp rtmp sniff udp container sound push tasks workshop
//!                                                                        (what stages are told and joined with)
//!  1  access                                                             (who may watch; the configuration is checked by it, too)
//!  0  media clock meter log retry percent socket state_file tls          (types that everybody uses)
//! ```
//! A room is a crate (`amphi_vod`), or a module of this crate or of one that holds several (`amphi_media`, `amphi_protocol`,
//! `amphi_runtime`, `amphi_control`). It imports only from lower storeys. Rooms of one storey do not know each other; they are joined in
//! [`server`]. No files depend on each other in a circle. The tests in `house.rs` enforce it, and compare this picture with it.
//!
//! * **Cores** decide and are free of I/O; time is an argument. The timeline of a source
//!   ([`source`]), the lattice of pictures and of sound ([`ladder`]), the splicer ([`channel`]), boxes,
//!   playlists and manifests ([`container`]), what they list ([`store`]), which command takes precedence ([`matrix`]), what is
//!   an alarm ([`alarm`]), RTSP sessions, RTP packets and their pace ([`rtsp`]), RTMP connections ([`rtmp`]), routes and
//!   viewers ([`delivery`]) are cores.
//! * **Shells** around them are thin: a task per source, two per channel (one shows, one paints its waiting
//!   picture), one for the matrix, one conductor, one watchman; a decoding thread per ladder and a thread per rung.
//!
//! ## Cells and batches
//! HLS, DASH, RTSP and pushes get whole cells: the splicer decides about cell *k* when it has ended. RTMP players get a
//! cell's pictures and sound as they are coded, in batches; for them the airing ([`channel`]) decides at the cell's start,
//! and what was begun is finished.
//!
//! ## Coming and going
//! `RunningParts` (in [`server`]) holds one stage of tasks for each source and channel. At start it applies the
//! configuration to nothing, at a reload to what runs: what is equal in both is not touched. The conductor, the watchman
//! and the metrics see it as an immutable inventory in a `watch`; the matrix takes the new layout and keeps the commands
//! for the sources and channels that stay.
//!
//! ## When things go wrong
//! A source's fault ends at its channel: the splicer takes a live cell that is whole and in time, or a waiting one. The
//! lattice finishes a cell that was begun by holding the last picture. Missing sound is silence, and where cells of two
//! origins meet, one silent frame lets the one fade out and the other in. A ladder that cannot keep up leaves pictures
//! out, the last rung first. A condition that lasts becomes an alarm ([`alarm`]).
//!
//! A fault of ours ends nothing either. Every long-lived task is supervised ([`tasks`]): a panic in it, or an end that
//! nobody asked for, is a line in the log, a count and an alarm, and the task starts again, at once the first time, with the
//! state that it needs. A channel goes on with the same window and the next cell; a panic in a source's task is reported as
//! that source's fault; a ladder's threads end and start together; a port keeps its socket and its connections, and a panic
//! in one connection ends only that one. `GET /api/v1/health` says how each is, `/readyz` which of those that viewers need
//! are down.
//!
//! The log is written by a thread of its own, from a bounded queue ([`log`]): a task that logs never waits for the reader.
//!
//! ## Time
//! Media time is unix time in the track's timescale, 64 bits wide. A source's RTP clocks are mapped to it where
//! they arrive, before anything else happens. Pictures stand on a lattice of slots k·D + i/fps, sound on
//! a lattice of frames n·1024/rate; both are counted in whole numbers from the epoch ([`media::Grid`]), so a
//! server that starts again, or a second one beside it, goes on with the same numbers.
//!
//! There are two clocks ([`clock`]), of two types. **Media time** ([`clock::Clock`]) goes on smoothly: cells, the
//! grid, `EXT-X-PROGRAM-DATE-TIME`, DASH's `UTCTiming` and availability, sender reports, how long a fault has lasted.
//! **The machine's clock** ([`clock::WallClock`]) is obeyed at once: lectures and their notices, overrides, sessions and
//! nonces, the audit log, start times in REST and webhooks, `Date`, the log. Channels do what the matrix says *now*, so no
//! lecture's time is ever turned into a cell. A media time that is shown (since when something is on air, heard or black)
//! is moved by the present difference of the two clocks ([`clock::Clocks::to_wall`]).
//!
//! | the machine's clock | calendar, sessions, log | media |
//! |---|---|---|
//! | is slewed (NTP, a smeared leap second) | follow at once | follows: up to 1 ms per second |
//! | steps by a leap second | follow at once | is a second off, for about a quarter of an hour |
//! | steps by more than a second | follow at once; a line in the log | goes on, follows by 1 ms per second; beyond 5 s an alarm until they agree, which after an hour's step means a restart at a quiet moment |
//! | steps before the first channel has begun | follow at once | steps, too |
//! | sleeps with the machine, and wakes | follow at once; a line in the log | is right at once: cells between are missing, channels go on with the cell of the moment, sources' timelines are anchored anew within three seconds |
//!
//! ## Bytes
//! A rung's cell lies in one allocation from the moment its encoder writes it ([`media::TrackCell`]); a segment
//! is a head of a few hundred bytes and that allocation, shared by every viewer. Waiting cells of all
//! channels share their samples; only the head differs. A recording's segment is a head and ranges of its file, which the
//! kernel sends from there ([`http::FileRanges`]).
//!
//! ## Queues
//! Every queue has a bound and a policy for when it is full:
//! * feeds drop everything up to the next sync frame ([`feed`]); rungs drop pictures and repeat the one before; coded cells
//!   drop the oldest;
//! * an RTMP player that lags goes on with the oldest of the last four cells, an RTSP player that is a second late with the
//!   next cell;
//! * a command to the matrix waits;
//! * webhooks and the log drop the newest message.
//!
//! **What does not belong here:** libraries in their own right. They are in `crates/`.
//!
//! **Where to start.** [`server::Server::start`] reads like a table of contents; `main.rs` has the commands.

pub use amphi_access as access;
pub use amphi_admin as admin;
pub use amphi_config as config;
pub use amphi_container as container;
pub use amphi_control::{admission, agenda, alarm, audit, matrix, push, rehearsal, schedule};
pub use amphi_http as http;
pub use amphi_ladder as ladder;
pub use amphi_loadtest as loadtest;
pub use amphi_media as media;
pub use amphi_media::{clock, feed, meter, percent, retry};
pub use amphi_protocol::{rtmp, rtsp};
pub use amphi_runtime::{log, tasks, udp, workshop};
pub use amphi_simulator as simulator;
pub use amphi_source as source;
pub use amphi_vod as vod;

pub mod channel;
pub mod delivery;
pub mod server;
pub mod store;

#[cfg(test)]
mod house;
