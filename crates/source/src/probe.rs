//! Looks at a source for a few seconds and says what it sends, and what is wrong with it.
//!
//! `tally` counts (sans-IO), `report` is the result.

mod report;
mod tally;

use std::sync::Arc;
use std::time::Duration;

pub use self::report::{AudioReport, ProbeReport, VideoReport};
use self::tally::ProbeTally;
use super::address::SourceAddress;
use super::fault::SourceFault;
use super::session::{SessionEvent, SourceSession};
use amphi_config::Transport;
use amphi_media::clock::SystemClock;

/// Pulls `url` for `seconds` and reports. Ends early, with a fault in the report, when the source ends.
pub async fn probe(url: &str, transport: Transport, seconds: u32) -> Result<ProbeReport, SourceFault> {
    let address = SourceAddress::parse(url)?;
    let mut session = SourceSession::open(&address, transport, Arc::new(SystemClock::default())).await?;
    let mut tally = ProbeTally::default();
    let ending =
        tokio::time::timeout(Duration::from_secs(u64::from(seconds)), read(&mut session, &mut tally));
    let ended = ending.await.ok();
    let report = tally.report(&session.media(), session.skipped(), ended.as_ref());
    session.close().await;
    Ok(report)
}

/// Reads until the source ends, and says why it did.
async fn read(session: &mut SourceSession, tally: &mut ProbeTally) -> SourceFault {
    loop {
        match session.next().await {
            Ok(SessionEvent::Unit(unit)) => tally.unit(&unit),
            Ok(SessionEvent::Report { track, rtp, ntp }) => tally.sender_report(track, rtp, ntp),
            Ok(SessionEvent::Broken { .. }) => tally.broken(),
            Ok(SessionEvent::Nothing) => {}
            Err(fault) => return fault,
        }
    }
}
