//! Viewers by the thousand: players that behave like real ones, and what they notice.
//!
//! ```text
//!  URL ─▶ target ─▶ players (one task, one connection, one source address each) ─▶ tally ─▶ report
//! ```
//! A player of `hls` reads the multivariant playlist once and its media playlists on the rhythm of the target
//! duration, fetches every segment once over one connection that it keeps, that of its sound too where sound is separate,
//! and plays from a modelled `buffer`: when that is empty, it stalls. Recordings are begun at a random place and sought
//! through. Players of `rtmp` and `rtsp` take what comes and begin to show it a second later.
//!
//! Every reply is checked: status, length, that a segment is whole boxes of media, that its fragment's number grows and
//! that its time begins where the segment before it ended (`fragment`); RTMP messages and RTP packets for order, gaps
//! and what comes first. It works on any server. Media bytes are counted and thrown away where they arrive.
//!
//! What does *not* belong here: anything of our own server. Peers are judged by the same means.
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
pub use report::{Latency, LoadReport};
pub use tally::Second;
pub use target::{LoadTarget, LoadTargetError, TargetProtocol};

use library::MediaLibrary;
use player::Player;
use screen::Test;
use tally::LoadTally;

/// Players with one source address. Of some 28 000 ports those of connections that have ended are not free for a minute,
/// so runs one after the other would be without ports long before their players are.
const PORTS: usize = 1000;

/// Which variant players play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariantChoice {
    /// The first of the list.
    First,
    /// Any, by chance.
    Random,
    /// The one of that place in the list.
    Index(usize),
    /// The best one that the measured rate carries, anew after each segment.
    Adaptive,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Players at once.
    pub players: usize,
    /// From the first player's start.
    pub duration: Duration,
    /// Within this time all players are started, evenly.
    pub ramp: Duration,
    /// Which variant.
    pub variant: VariantChoice,
    /// Players of a recording seek about so often.
    pub seek_every: Duration,
    /// Any certificate will do.
    pub insecure: bool,
    /// Shows progress on stderr.
    pub progress: bool,
}

/// Plays `target` and says what came of it.
pub async fn run(target: LoadTarget, options: &Options) -> LoadReport {
    let test = Arc::new(Test {
        target: Arc::new(target),
        tally: LoadTally::default(),
        library: MediaLibrary::default(),
        tls: Arc::new(negotiated::tls(options.insecure)),
        variant: options.variant,
        seek_every: options.seek_every,
    });
    let begun = Instant::now();
    let end = begun + options.duration;
    let mut players = JoinSet::new();
    for number in 0..options.players {
        let player =
            Player { test: Arc::clone(&test), source: source_address(test.target.address, number), end };
        let start = begun + options.ramp.mul_f64(number as f64 / options.players.max(1) as f64);
        players.spawn(async move {
            sleep_until(start).await;
            player.run().await;
        });
    }
    let seconds = watch(&test.tally, options, begun, end).await;
    // A reply that never comes is not waited for.
    players.abort_all();
    while players.join_next().await.is_some() {}
    report::report(&test, options, begun.elapsed(), seconds)
}

/// Looks at the tally every second until the end.
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

/// On loopback each thousand players have an address of their own, so that ports suffice.
fn source_address(target: SocketAddr, number: usize) -> Option<SocketAddr> {
    match target.ip() {
        IpAddr::V4(address) if address.is_loopback() => {
            let [high, low] = ((number / PORTS + 1) as u16).to_be_bytes();
            Some(SocketAddr::from((Ipv4Addr::new(127, 1, high, low), 0)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
