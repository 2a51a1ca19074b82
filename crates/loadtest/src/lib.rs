//! Load tests with thousands of viewers: players that behave like real ones, and what they notice.
//!
//! ```text
//!  URL ─▶ target ─▶ players (one task, one connection, one source address each) ─▶ tally ─▶ report
//! ```
//! A player of `hls` reads the multivariant playlist once and reloads its media playlists after each target
//! duration, fetches every segment once over one connection that it keeps (those of separate sound too),
//! and plays from a modelled `buffer`: when that is empty, it stalls. Recordings are begun at a random segment, and
//! players seek in them. Players of `rtmp` and `rtsp` take what comes and begin to show it a second later.
//!
//! Every reply is checked: status, length, that a segment is whole boxes of media, that its fragments' numbers grow and
//! that its time begins where the segment before it ended (`fragment`). RTMP messages and RTP packets are checked for
//! order, gaps and what comes first. It works with any server. Media bytes are counted and thrown away as they arrive: by the
//! kernel, without a copy, where nobody looks at them. `BodyUse` says otherwise: a player that reads all, or none.
//!
//! What does *not* belong here: anything of our own server, so that other servers are measured in the same way.
//!
//! **Where to start.** [`run`] below; `player.rs` and `hls.rs` are what one player does, `tally.rs` is what is counted.
//!
//! # Example
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), amphi_loadtest::LoadTargetError> {
//! let target = amphi_loadtest::LoadTarget::resolve("http://127.0.0.1:8080/Live/playlist.m3u8", false).await?;
//! assert_eq!(target.protocol, amphi_loadtest::TargetProtocol::Http);
//! # Ok(())
//! # }
//! ```

mod buffer;
mod connection;
mod fault;
mod followed;
mod fragment;
mod histogram;
mod hls;
mod library;
mod negotiated;
mod plain;
mod player;
mod report;
mod rtmp;
mod rtsp;
mod screen;
mod socket;
mod tally;
mod target;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

pub use fault::ExchangeError;
pub use fragment::BodyUse;
pub use report::{Latency, LoadReport};
pub use tally::Second;
pub use target::{LoadTarget, LoadTargetError, TargetProtocol};

use library::MediaLibrary;
use player::Player;
use screen::Test;
use tally::LoadTally;

/// Players with one source address. Of its 28 000 ports, those of connections that have ended are not free for a minute,
/// so runs shortly after each other would otherwise have too few.
const PORTS: usize = 1000;
/// Source addresses at most, from 127.1.0.1 on.
const ADDRESSES: usize = 0xfffe;

/// Which variant players play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantChoice {
    /// The first one in the multivariant playlist.
    First,
    /// One of them at random, kept until the end.
    Random,
    /// The one at this index in the multivariant playlist, or the last one.
    Index(usize),
    /// The best one that the measured rate allows, chosen anew after each segment.
    Adaptive,
}

/// How many players play, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many players play at once.
    pub players: usize,
    /// Length of the test from the first player's start.
    pub duration: Duration,
    /// Players are started evenly within this time.
    pub ramp: Duration,
    /// Which variant players play.
    pub variant: VariantChoice,
    /// Players of a recording seek about once in this time.
    pub seek_every: Duration,
    /// What players do with the bytes of segments.
    pub body_use: BodyUse,
    /// Players fetch the segments of a recording as fast as they come, in a circle. They do not seek or change the variant.
    pub is_unpaced: bool,
    /// The number of the first player. Tests that run beside each other with other numbers have other source addresses.
    pub first_player: usize,
    /// Accepts any TLS certificate, for test servers.
    pub insecure: bool,
    /// Whether progress is shown on stderr.
    pub progress: bool,
}

/// Plays `target` with all players until the end; the report says what they noticed.
pub async fn run(target: LoadTarget, options: &Options) -> LoadReport {
    let test = Arc::new(Test {
        target: Arc::new(target),
        tally: LoadTally::default(),
        library: MediaLibrary::default(),
        tls: Arc::new(negotiated::tls(options.insecure)),
        variant: options.variant,
        seek_every: options.seek_every,
        body_use: options.body_use,
        is_unpaced: options.is_unpaced,
    });
    let begun = Instant::now();
    let end = begun + options.duration;
    let mut players = JoinSet::new();
    for number in 0..options.players {
        let source = source_address(test.target.address, options.first_player.saturating_add(number));
        let player = Player { test: Arc::clone(&test), source, end };
        let start = begun + options.ramp.mul_f64(number as f64 / options.players.max(1) as f64);
        players.spawn(async move {
            sleep_until(start).await;
            player.run().await;
        });
    }
    let seconds = watch(&test.tally, options, begun, end).await;
    // Replies that have not come by now are not awaited.
    players.abort_all();
    while players.join_next().await.is_some() {}
    report::report(&test, options, begun.elapsed(), seconds)
}

/// Takes the counts every second until the end.
async fn watch(tally: &LoadTally, options: &Options, begun: Instant, end: Instant) -> Vec<Second> {
    let bar =
        if options.progress { ProgressBar::new(options.duration.as_secs()) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {bar:30} {msg}") {
        bar.set_style(style);
    }
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut seconds: Vec<Second> = Vec::new();
    while Instant::now() < end {
        ticks.tick().await;
        let second = tally.second(begun.elapsed());
        bar.set_position(second.at_s as u64);
        bar.set_message(second.to_string());
        seconds.push(second);
    }
    // What is still on its way may arrive.
    tokio::time::sleep(Duration::from_millis(500)).await;
    bar.finish_and_clear();
    seconds
}

/// On loopback each thousand players have a source address of their own, so that ports suffice.
fn source_address(target: SocketAddr, number: usize) -> Option<SocketAddr> {
    match target.ip() {
        IpAddr::V4(address) if address.is_loopback() => {
            let [high, low] = ((number / PORTS + 1).min(ADDRESSES) as u16).to_be_bytes();
            Some(SocketAddr::from((Ipv4Addr::new(127, 1, high, low), 0)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
