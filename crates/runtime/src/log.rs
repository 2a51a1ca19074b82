//! The log: lines on stderr, written so that nobody's fate hangs on who reads them.
//!
//! * Whoever logs never waits and never fails: a line goes into a bounded queue (`queue`), and a thread of its own
//!   writes it. What finds the queue full is dropped and counted; when writing works again, a line says how many were.
//! * A pipe that was closed, a disk that is full and a reader that stands still are met in that thread alone.
//! * A line is one line: what peers put into it cannot begin another one, and it is cut at a bound ([`line`]).
//! * What peers without credentials can cause is said a few times for each address and kind, and then counted
//!   (`limiter`; [`may_say`] asks the one of this process).
//! * A panic is a line too ([`panic`]): with its place, and the hall by the spans around it.
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

pub use limiter::{Limiter, LinesLeftOut, household};
pub use panic::{Fall, catch_panics, last_fall, panics, why};
pub use writer::{dropped, flush, plain};

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An object of JSON for each.
    Json,
    /// For people; in colours on a terminal.
    Text {
        /// In colours.
        ansi: bool,
    },
}

/// What is logged by default: our own lines. Those of libraries name no hall and are for their developers.
const DEFAULT: &str = "amphi=info";

/// Modules that are crates, or stand in one. Filters call them `amphi::source` as well as `amphi_source`.
const CRATES: [(&str, &[&str]); 13] = [
    ("admin", &["admin"]),
    ("config", &["config"]),
    ("container", &["container"]),
    ("control", &["agenda", "alarm", "audit", "matrix", "push", "rehearsal", "schedule"]),
    ("http", &["http"]),
    ("ladder", &["ladder"]),
    ("loadtest", &["loadtest"]),
    ("media", &["clock", "feed", "meter", "retry"]),
    ("protocol", &["rtmp", "rtsp"]),
    ("runtime", &["log", "tasks", "udp", "workshop"]),
    ("simulator", &["simulator"]),
    ("source", &["source"]),
    ("vod", &["vod"]),
];

/// A filter from what people write: a level is that of our own lines, anything else a filter as `EnvFilter` has it.
pub fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    let is_level = text.parse::<tracing::level_filters::LevelFilter>().is_ok();
    let text = if is_level { format!("amphi={text}") } else { by_crate(text) };
    EnvFilter::try_new(text)
}

/// The directives of a filter, with modules called by the crates that they stand in.
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

/// The filter where nobody has asked for another.
pub fn default_filter() -> EnvFilter {
    EnvFilter::new(DEFAULT)
}

/// Starts the log of this process, and makes panics lines of it.
pub fn start(format: Format, filter: EnvFilter) -> anyhow::Result<()> {
    let writer = writer::start(format)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // It cannot fail, and what does fail must not be told to the same stderr.
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

/// Whether one more line of this kind, caused by a peer at this address, is said; if not, it is counted, and the count
/// is said later.
pub fn may_say(kind: &'static str, address: Option<IpAddr>) -> bool {
    let mut limiter = LIMITER.lock();
    limiter.ask(kind, address, Instant::now())
}

/// Says what was left out in windows that are over.
fn say_what_was_left_out() {
    let over = LIMITER.lock().over(Instant::now());
    for LinesLeftOut { kind, address, count } in over {
        let address = address.map_or_else(|| "many addresses".to_owned(), |address| address.to_string());
        tracing::warn!(kind, address, count, "more lines of one kind were not said");
    }
}

/// How long a process that ends waits for its last lines.
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
        // A target is asked for by its beginning.
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
