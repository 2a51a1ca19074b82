//! Signals: the first one asks for an orderly end, a second one ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// Waits for SIGINT or SIGTERM. From then on another one ends the process with the shell's code for it.
pub(super) async fn asked_to_end() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let name = tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    };
    info!(signal = name, "ending in order; a second signal ends at once");
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        warn!("ended at once by a second signal");
        std::process::exit(1);
    });
    Ok(())
}
