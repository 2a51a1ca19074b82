//! The result of a load test: a table, JSON, or a page of HTML that needs nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::Options;
use super::histogram::SharedHistogram;
use super::screen::Test;
use super::tally::Second;

/// The result of a load test. Its fields are those of the JSON.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// The URL that was played, without query and password.
    pub url: String,
    /// How many players were asked for.
    pub players: usize,
    /// How long the test took, in seconds.
    pub seconds: f64,
    /// How often players stalled, not counting the start.
    pub stalls: u64,
    /// Duration of all stalls together, in seconds.
    pub stalled_s: f64,
    /// How many players stalled at least once.
    pub stalled_players: u64,
    /// Media received by all players together, in seconds.
    pub media_s: f64,
    /// Seeks within recordings, of all players.
    pub seeks: u64,
    /// Changes to another variant, of all players.
    pub switches: u64,
    /// How often each error occurred.
    pub errors: BTreeMap<String, u64>,
    /// Bytes of all bodies and media received.
    pub bytes: u64,
    /// From the request for a playlist to the end of the reply.
    pub playlist: Latency,
    /// From the request for a segment to the end of the reply.
    pub segment: Latency,
    /// From a player's start, or its seek, to its first media.
    pub start: Latency,
    /// From the end of a live segment's own time to its arrival; players reload after each target duration. Of RTMP's
    /// pictures: how much later they come than the earliest of all players, by time stamps, without each connection's first
    /// seconds.
    pub lateness: Latency,
    /// From the end of the last listed segment's own time to the arrival of a live playlist: up to a segment's duration
    /// more than the server's own delay.
    pub staleness: Latency,
    /// The state at every second.
    pub timeline: Vec<Second>,
}

/// Quantiles of a latency, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// How many values were measured.
    pub count: u64,
    /// The median: half of the values are not larger.
    pub p50_ms: f64,
    /// 90 of 100 values are not larger.
    pub p90_ms: f64,
    /// 99 of 100 values are not larger.
    pub p99_ms: f64,
    /// The largest value, rounded up by about two percent at most.
    pub max_ms: f64,
}

impl From<&SharedHistogram> for Latency {
    fn from(histogram: &SharedHistogram) -> Self {
        let counts = histogram.counts();
        let ms = |of| counts.quantile(of).as_secs_f64() * 1e3;
        Self { count: counts.count(), p50_ms: ms(0.5), p90_ms: ms(0.9), p99_ms: ms(0.99), max_ms: ms(1.0) }
    }
}

pub(super) fn report(test: &Test, options: &Options, took: Duration, timeline: Vec<Second>) -> LoadReport {
    let Test { target, tally, .. } = test;
    let mut url = target.url.clone();
    // Queries may hold tokens, and the part before the host a password.
    url.set_query(None);
    let _ = url.set_password(None);
    LoadReport {
        url: url.to_string(),
        players: options.players,
        seconds: took.as_secs_f64(),
        stalls: tally.stalls.load(Ordering::Relaxed),
        stalled_s: tally.stalled_us.load(Ordering::Relaxed) as f64 * 1e-6,
        stalled_players: tally.stalled_players.load(Ordering::Relaxed),
        media_s: tally.media_ms.load(Ordering::Relaxed) as f64 * 1e-3,
        switches: tally.switches.load(Ordering::Relaxed),
        seeks: tally.seeks.load(Ordering::Relaxed),
        errors: tally.errors(),
        bytes: tally.bytes.load(Ordering::Relaxed),
        playlist: (&tally.playlists).into(),
        segment: (&tally.segments).into(),
        start: (&tally.starts).into(),
        lateness: (&tally.lateness).into(),
        staleness: (&tally.staleness).into(),
        timeline,
    }
}

impl LoadReport {
    /// Whether no player stalled, and media came.
    pub fn is_good(&self) -> bool {
        self.stalls == 0 && self.media_s > 0.0
    }

    /// A page of HTML with plots, which loads nothing else.
    pub fn html(&self) -> String {
        let mut out = String::new();
        let title = escape(&format!("{} players on {}", self.players, self.url));
        let _ = write!(
            out,
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>\
             body{{font:16px system-ui;margin:2rem auto;max-width:60rem}}svg{{width:100%;background:#f6f6f6}}text{{font-size:14px}}\
             pre{{background:#f6f6f6;padding:1rem;overflow:auto}}h2{{font-size:1rem;margin:1.5rem 0 .3rem}}</style>\
             <h1>{title}</h1><pre>{}</pre>",
            escape(&self.to_string())
        );
        let series: [(&str, &[(&str, Figure)]); 5] = [
            ("Viewers", &[("playing", |second| second.players as f64)]),
            ("Throughput, Mbit/s", &[("media", |second| second.mbit_per_s)]),
            (
                "Latency of segments, ms",
                &[("p99", |second| second.segment_p99_ms), ("p50", |second| second.segment_p50_ms)],
            ),
            (
                "Latency of playlists, ms",
                &[("p99", |second| second.playlist_p99_ms), ("p50", |second| second.playlist_p50_ms)],
            ),
            (
                "Stalls and errors so far",
                &[("stalls", |second| second.stalls as f64), ("errors", |second| second.errors as f64)],
            ),
        ];
        for (name, lines) in series {
            plot(&mut out, name, &self.timeline, lines);
        }
        out.push_str("</html>\n");
        out
    }
}

/// The value of a second that is plotted.
type Figure = fn(&Second) -> f64;

const COLOURS: [&str; 2] = ["#c40", "#06c"];

fn plot(out: &mut String, name: &str, timeline: &[Second], lines: &[(&str, Figure)]) {
    let values = lines.iter().flat_map(|(_, value)| timeline.iter().map(value));
    let top = values.fold(0.0, f64::max);
    let end = timeline.last().map_or(1.0, |second| second.at_s).max(1.0);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<h2>{name}</h2><svg viewBox=\"0 0 1000 200\" role=\"img\" aria-label=\"{name}\">\
         <path d=\"M60 5V170H990\" fill=\"none\" stroke=\"#999\"/>\
         <text x=\"54\" y=\"16\" text-anchor=\"end\">{top:.1}</text><text x=\"54\" y=\"172\" text-anchor=\"end\">0</text>\
         <text x=\"60\" y=\"190\">0 s</text><text x=\"990\" y=\"190\" text-anchor=\"end\">{end:.0} s</text>"
    );
    for (place, ((label, value), colour)) in lines.iter().zip(COLOURS).enumerate() {
        let point = |second: &Second| {
            let (x, y) = (60.0 + second.at_s / end * 930.0, 170.0 - value(second) / top.max(1e-9) * 165.0);
            format!("{x:.1},{y:.1}")
        };
        let points: Vec<String> = timeline.iter().map(point).collect();
        let _ = write!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\
             <text x=\"{}\" y=\"190\" fill=\"{colour}\">{label}</text>",
            points.join(" "),
            400 + place * 120
        );
    }
    out.push_str("</svg>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} players for {:.0} s on {}", self.players, self.seconds, self.url)?;
        writeln!(
            f,
            "{:.2} GB, {:.0} Mbit/s, {:.0} s of media; {} stalls ({:.1} s) of {} players; {} seeks; {} switches; {} errors",
            self.bytes as f64 * 1e-9,
            self.bytes as f64 * 8e-6 / self.seconds.max(1e-3),
            self.media_s,
            self.stalls,
            self.stalled_s,
            self.stalled_players,
            self.seeks,
            self.switches,
            self.errors.values().sum::<u64>()
        )?;
        writeln!(f, "{:>12} {:>9} {:>9} {:>9} {:>9} {:>9}", "ms", "count", "p50", "p90", "p99", "max")?;
        let rows = [
            ("playlist", self.playlist),
            ("segment", self.segment),
            ("start", self.start),
            ("lateness", self.lateness),
            ("staleness", self.staleness),
        ];
        for (name, row) in rows.into_iter().filter(|(_, row)| row.count > 0) {
            writeln!(
                f,
                "{name:>12} {:>9} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
                row.count, row.p50_ms, row.p90_ms, row.p99_ms, row.max_ms
            )?;
        }
        for (error, count) in &self.errors {
            writeln!(f, "{count:>9} x {error}")?;
        }
        Ok(())
    }
}
