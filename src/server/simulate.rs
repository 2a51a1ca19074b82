//! `amphi simulate`: what the matrix would do with a calendar, without waiting for it.

use std::path::PathBuf;

use anyhow::Context;

use amphi_config::Config;
use amphi_control::agenda::FeedFormat;
use amphi_control::schedule::simulate::{Simulation, instant, midnight, simulate as play};
use amphi_control::schedule::{Settings, calendar_json, ical};
use amphi_media::charset::{self, WINDOWS_1252};
use amphi_media::clock::{MachineClock, WallClock};

use super::settings::layout;

/// How long is simulated if no end is given.
const WEEK: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// How long before the start a lecture may have begun.
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// The files and the span of a simulation.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    /// The calendar: iCalendar, or Opencast's `calendar.json`.
    pub calendar: PathBuf,
    /// The configuration's file, for its channels, sources and `[schedule]`.
    pub config: PathBuf,
    /// The start, as `amphi simulate --help` says; `None` = the last midnight.
    pub from: Option<String>,
    /// The end, which is not included; `None` = a week after the start.
    pub to: Option<String>,
}

/// Reads calendar and configuration, and simulates what the schedule would do. Fails if either cannot be read.
pub fn simulate(options: &SimulateOptions) -> anyhow::Result<Simulation> {
    let config = Config::load(&options.config)
        .map_err(|faults| anyhow::anyhow!("the configuration has faults\n{faults}"))?;
    let settings = Settings::new(&config)?;
    let zone = settings.zone().clone();
    let name = || options.calendar.display().to_string();
    let bytes = std::fs::read(&options.calendar).with_context(name)?;
    let (text, _) = charset::decode(&bytes, None, WINDOWS_1252);
    let time = |text: &Option<String>, name: &str| {
        let parsed = text.as_deref().map(|text| instant(text, &zone)).transpose();
        parsed.map_err(|why| anyhow::anyhow!("{name}: {why}"))
    };
    let from = time(&options.from, "--from")?.unwrap_or_else(|| midnight(MachineClock.now(), &zone));
    let to = time(&options.to, "--to")?.unwrap_or(from + WEEK);
    anyhow::ensure!(from < to, "--to must be after --from");
    let (format, reading) = if text.trim_start().starts_with('[') {
        (FeedFormat::Json, calendar_json::parse(&text))
    } else {
        (FeedFormat::Ical, ical::parse(&bytes, None, &zone, (from - DAY, to)))
    };
    let reading = reading.map_err(|why| anyhow::anyhow!("{}: no calendar: {why}", name()))?;
    Ok(play(reading, format, settings, layout(&config), (from, to)))
}
