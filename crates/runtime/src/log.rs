//! The log: lines on stderr, written so that a slow or missing reader holds nobody up.
//!
//! * Logging never waits and never fails: a line goes into a bounded queue (`queue`), and a thread of its own
//!   writes it. When the queue is full, lines are dropped and counted; when writing works again, a line says how many.
//! * A closed pipe, a full disk and a reader that does not read concern that thread alone.
//! * A log line is one line: what peers put into it cannot begin another one, and it is cut at a bound ([`line`]).
//! * What peers without credentials can cause is logged a few times for each address and kind, and then counted
//!   (`limiter`; [`may_say`] asks the one of this process).
//! * A panic is a log line too ([`panic`]), with file and line, and with the spans around it, which name the hall.
//!
//! What does *not* belong here: what is worth a line.

mod format;
mod limiter;
mod line;
mod panic;
mod queue;
mod writer;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use amphi_media::Lock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

pub use limiter::{Limiter, LinesLeftOut, household, shortened};
pub use panic::{Fall, catch_panics, last_fall, panics, why};
pub use writer::{dropped, flush, plain};

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people; in colours on a terminal.
    Text {
        /// Whether levels are coloured by ANSI escape sequences.
        ansi: bool,
    },
}

/// The default filter: our own lines. Those of libraries name no hall and are meant for their developers.
const DEFAULT: &str = "amphi=info";

/// The crates, and the modules that filters may name: `amphi::source` means `amphi_source`, `amphi::matrix` means
/// `amphi_control::matrix`.
const CRATES: [(&str, &[&str]); 17] = [
    ("acme", &["acme"]),
    ("tls", &["tls"]),
    ("access", &["access"]),
    ("admin", &["admin"]),
    ("config", &["config"]),
    ("container", &["container"]),
    ("control", &["admission", "agenda", "alarm", "audit", "matrix", "push", "rehearsal", "schedule"]),
    ("http", &["http"]),
    ("ladder", &["ladder"]),
    ("loadtest", &["loadtest"]),
    ("media", &["clock", "feed", "meter", "retry"]),
    ("protocol", &["rtmp", "rtsp"]),
    ("runtime", &["log", "tasks", "udp", "workshop"]),
    ("simulator", &["simulator"]),
    ("sound", &["sound"]),
    ("source", &["source"]),
    ("vod", &["vod"]),
];

/// A filter from `--log-level` or `RUST_LOG`: a level such as `debug` holds for our own lines only; anything else is in
/// `EnvFilter`'s syntax, with `amphi::MODULE` for a module wherever it stands.
pub fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    let is_level = text.parse::<tracing::level_filters::LevelFilter>().is_ok();
    let text = if is_level { format!("amphi={text}") } else { by_crate(text) };
    EnvFilter::try_new(text)
}

/// Replaces `amphi::MODULE` in a filter's directives by the crate that has the module.
fn by_crate(filter: &str) -> String {
    let directives = filter.split(',').map(|directive| {
        let module = directive.trim().strip_prefix("amphi::").unwrap_or_default();
        let name = module.split([':', '=', '[']).next().unwrap_or_default();
        match CRATES.iter().find(|(_, modules)| modules.contains(&name)) {
            Some((own, _)) if *own == name => format!("amphi_{module}"),
            Some((own, _)) => format!("amphi_{own}::{module}"),
            None => directive.to_owned(),
        }
    });
    directives.collect::<Vec<_>>().join(",")
}

/// The filter where none is given: `amphi=info`.
pub fn default_filter() -> EnvFilter {
    EnvFilter::new(DEFAULT)
}

/// Starts the log of this process, and logs panics from then on. Fails if the thread cannot be started, or if the process
/// already has a `tracing` subscriber.
pub fn start(format: Format, filter: EnvFilter) -> anyhow::Result<()> {
    let writer = writer::start(format)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // Writing to the queue cannot fail, and other errors must not go to the same stderr past the queue.
    let lines = lines.log_internal_errors(false);
    let started = match format {
        Format::Json => lines.json().try_init(),
        Format::Text { ansi } => lines.with_ansi(ansi).event_format(format::Text).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))?;
    catch_panics();
    Ok(())
}

static LIMITER: Lock<Limiter> = Lock::new(Limiter::new());

/// Whether one more line of this kind, caused by a peer at this address, may be logged. If not, it is counted, and the count
/// is logged later.
pub fn may_say(kind: &'static str, address: Option<IpAddr>) -> bool {
    let mut limiter = LIMITER.lock();
    limiter.ask(kind, address, Instant::now())
}

/// Logs how many lines were left out in windows that have ended.
fn say_what_was_left_out() {
    let over = LIMITER.lock().over(Instant::now());
    for LinesLeftOut { kind, address, count } in over {
        let address = address.map_or_else(|| "many addresses".to_owned(), |address| address.to_string());
        tracing::warn!(kind, address, count, "more lines of this kind were not logged");
    }
}

/// How long a process that ends waits until its last lines are written.
pub const LAST_LINES: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_called_by_its_path_in_the_house_or_in_its_crate() {
        let written =
            "amphi=info,amphi::source=debug,amphi::matrix::core[x]=trace,amphi::server=warn,retina=warn";
        let meant = "amphi=info,amphi_source=debug,amphi_control::matrix::core[x]=trace,amphi::server=warn,retina=warn";
        assert_eq!(by_crate(written), meant);
        assert_eq!(by_crate("amphi::source::session"), "amphi_source::session");
        assert!(filter("amphi::source=loud").is_err());
    }

    #[test]
    fn our_own_lines_are_those_of_all_our_crates() {
        // A directive matches every target that begins with its text.
        assert_eq!(filter("debug").expect("a level").to_string(), "amphi=debug");
        let names: Vec<_> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("crates").collect();
        for name in names {
            let name = name.expect("a crate").file_name().into_string().expect("text");
            assert!(
                CRATES.iter().any(|(own, _)| *own == name),
                "{name} is not called by its path in the house"
            );
        }
    }
}
