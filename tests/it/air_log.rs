//! What a channel showed, cell by cell, as the matrix says.

use jiff::Timestamp;
use serde_json::Value;

use crate::server::Server;

/// The demo's cell, in milliseconds.
pub const CELL_MS: i64 = 2000;

/// From `since` on, `source` was on air; `None` = the waiting loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub source: Option<String>,
    /// The start of the first cell, in milliseconds of unix time.
    pub since_ms: i64,
}

/// Every change of one channel since the log began. It is to be looked at more often than once a cell.
pub struct AirLog<'a> {
    server: &'a Server,
    channel: String,
    changes: Vec<Change>,
}

/// Milliseconds of unix time.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// When the cell after that of `ms` begins.
pub const fn next_cell(ms: i64) -> i64 {
    (ms.div_euclid(CELL_MS) + 1) * CELL_MS
}

fn milliseconds(value: &Value) -> i64 {
    let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    time.expect("a time").as_millisecond()
}

impl<'a> AirLog<'a> {
    pub fn new(server: &'a Server, channel: &str) -> Self {
        Self { server, channel: channel.to_owned(), changes: Vec::new() }
    }

    /// What is on air.
    pub fn look(&mut self) -> Option<String> {
        let matrix = self.server.matrix();
        let channels = matrix["channels"].as_array().expect("channels");
        let row = channels.iter().find(|row| row["name"] == self.channel.as_str()).expect("the channel");
        let source = row["on_air"]["source"].as_str().map(str::to_owned);
        // Another reason for the same source is no change. Media time may differ from the cell's by some milliseconds.
        if self.changes.last().is_none_or(|last| last.source != source) {
            let since_ms = milliseconds(&row["on_air"]["since"]);
            let since_ms = (since_ms + CELL_MS / 2).div_euclid(CELL_MS) * CELL_MS;
            self.changes.push(Change { source: source.clone(), since_ms });
        }
        source
    }

    /// How many changes there have been.
    pub fn mark(&self) -> usize {
        self.changes.len()
    }

    /// The changes after the first `mark` ones.
    pub fn after(&self, mark: usize) -> &[Change] {
        &self.changes[mark..]
    }

    /// The cells of the waiting loop since `mark`, of a channel that showed the hall then and shows it now.
    pub fn waiting_cells(&self, mark: usize) -> i64 {
        let pairs = self.changes[mark.saturating_sub(1)..].windows(2);
        pairs
            .filter(|pair| pair[0].source.is_none())
            .map(|pair| (pair[1].since_ms - pair[0].since_ms) / CELL_MS)
            .sum()
    }
}

/// Since when a source has been in its state, if that is `state`.
pub fn state_since(server: &Server, source: &str, state: &str) -> Option<i64> {
    let matrix = server.matrix();
    let sources = matrix["sources"].as_array().expect("sources");
    let row = sources.iter().find(|row| row["name"] == source).expect("the source");
    (row["state"] == state).then(|| milliseconds(&row["since"]))
}
