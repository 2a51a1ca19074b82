//! `amphi run`: runs a server until a signal comes, with reloads in between.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;

use super::reload::Reloader;
use super::signals::{Signal, Signals};
use super::start::Server;
use amphi_config::Config;
use amphi_media::clock::Clocks;
use amphi_runtime::tasks::Tasks;

/// Serves the configuration at `path` until a signal comes; takes a changed file over. Fails if the configuration has faults,
/// a port is taken, or a waiting loop cannot be coded.
pub async fn run(path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path);
    let config = Config::load_read(path, text.as_deref())
        .map_err(|faults| anyhow::anyhow!("the configuration has faults\n{faults}"))?;
    let mut signals = Signals::new(path)?;
    let clocks = Clocks::system();
    let tasks = Tasks::new(Arc::clone(&clocks.wall));
    let listening = tasks.begin("signals", false);
    let starting = Server::start(config, clocks, tasks, None);
    // Coding the waiting videos may take long; a signal to end does not wait for it.
    let mut server = tokio::select! {
        server = starting => server?,
        () = signals.end() => return Ok(()),
    };
    let mut reloader = Reloader::new(path, text.unwrap_or_default());
    loop {
        let order = tokio::select! {
            signal = listening.attempt(signals.next()) => match signal {
                Ok(Signal::End) => break,
                Ok(Signal::Reload) => None,
                Err(why) => {
                    listening.again(&why).await;
                    continue;
                }
            },
            order = server.next_order() => Some(order),
        };
        if order.is_some() {
            signals.seen();
        }
        // A panic in a reload ends nothing that runs.
        let reloaded = AssertUnwindSafe(reloader.reload(&mut server, order)).catch_unwind().await;
        if let Err(panic) = reloaded {
            reloader.fell(&server, &amphi_runtime::log::why(&*panic));
        }
    }
    server.end().await;
    Ok(())
}
