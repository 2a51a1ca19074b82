//! The configuration: `config.toml` as typed values. Keys are fixed by the documentation in `config.toml`.
//!
//! Durations are in the unit that the key's name ends with, rates in bit/s.
//!
//! Read one with [`Config::load`] (a file, and the files it names) or [`Config::parse`] (a text alone). Both
//! say every fault at once, each with its line and column; [`check`] says warnings too. A configuration is
//! read in three steps: syntax (TOML), shape (unknown keys, wrong types), meaning (`check/`). The second and
//! third are told together; where the syntax of a table is bad, nothing else is said of that table.
//!
//! **What does not belong here:** what is made of the values. Each crate turns its part into its own settings.
//!
//! **Where to start.** [`Config`] below is the file, key by key; `check/` holds the rules that no type can say;
//! `difference.rs` says what a reload would change.
//!
//! # Example
//! ```
//! let faults = amphi_config::Config::parse("[server]\nhttp_lisen = \"\"", "config.toml").unwrap_err();
//! assert!(faults.to_string().contains("config.toml:2"), "{faults}");
//! ```

mod check;
mod difference;
mod document;
mod fault;
mod mask;
mod report;
mod secret;
mod suggest;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use difference::{Difference, Ending, Part};
pub use fault::{Fault, Faults, Position};
pub use report::{CheckReport, check, compare};
pub use secret::Secret;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Ports and directories.
    pub server: Server,
    /// The grid.
    pub segment: Segment,
    /// Encoders.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
    /// Encoding ladders.
    #[serde(rename = "ladder")]
    pub ladders: Vec<Ladder>,
    /// What viewers open.
    #[serde(rename = "channel")]
    pub channels: Vec<Channel>,
    /// Mounts of recorded lectures.
    #[serde(rename = "vod")]
    pub vods: Vec<Vod>,
    /// Channels that are pushed to other servers.
    #[serde(rename = "push")]
    pub pushes: Vec<Push>,
    /// The calendar.
    pub schedule: Schedule,
    /// REST and console.
    pub admin: Admin,
    /// What is an alarm, and who is told.
    pub alarm: Alarm,
    /// The console.
    pub console: Console,
    /// The public pages.
    pub pages: Pages,
    /// Who may use Wowza's REST.
    pub wowza_rest: WowzaRest,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// RTMP, HTTP and RTSP on one port.
    pub listen: String,
    /// Plain HTTP; empty = off.
    pub http_listen: String,
    /// REST, console, metrics.
    pub admin_listen: String,
    /// Wowza REST v2 subset; empty = off.
    pub wowza_rest_listen: String,
    /// Wowza's `/connectioncounts`; empty = off.
    pub wowza_counts_listen: String,
    /// Where overrides and the last good schedule are kept.
    pub state_dir: PathBuf,
    /// Connections of the media port and of plain HTTP together.
    pub connections: u32,
    /// Those of one address; 0 = no bound. Loopback has none.
    pub connections_per_address: u32,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:1935".to_owned(),
            http_listen: "0.0.0.0:8080".to_owned(),
            admin_listen: "127.0.0.1:8088".to_owned(),
            wowza_rest_listen: String::new(),
            wowza_counts_listen: String::new(),
            state_dir: PathBuf::from("state"),
            connections: 20_000,
            connections_per_address: 5000,
        }
    }
}

/// `[segment]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Segment {
    /// One cell of the grid.
    pub duration_ms: u32,
    /// Segments in a live media playlist.
    pub window: usize,
}

impl Default for Segment {
    fn default() -> Self {
        Self { duration_ms: 2000, window: 6 }
    }
}

/// How RTP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Interleaved in the RTSP connection (RFC 2326 §10.12).
    #[default]
    Tcp,
    /// Unicast UDP.
    Udp,
    /// Multicast UDP, to a group of the encoder's choice.
    Multicast,
}

/// `[[source]]`: an encoder that we pull (`url`) or that publishes to us (`publish_key`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// Its name in the matrix.
    pub name: String,
    /// `rtsp://[user:password@]host[:port]/path`; empty for a publishing source.
    pub url: Secret,
    /// How RTP travels.
    pub transport: Transport,
    /// Pulled even while no channel wants it.
    pub keep_open: bool,
    /// The key a publisher must show; empty for a pulled source.
    pub publish_key: Secret,
    /// What becomes of a second publisher.
    pub on_second_publisher: SecondPublisher,
}

/// What becomes of a publisher while another publishes to the same source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondPublisher {
    /// It is refused.
    #[default]
    Refuse,
    /// It takes the place of the first, whose connection is closed.
    TakeOver,
}

/// `[[ladder]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ladder {
    /// Its name, for channels.
    pub name: String,
    /// The sound of all rungs.
    pub audio: Audio,
    /// Rungs, best first.
    #[serde(rename = "rung")]
    pub rungs: Vec<Rung>,
}

/// `audio` of a ladder: AAC-LC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audio {
    /// Bits per second.
    pub bitrate: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
}

impl Default for Audio {
    fn default() -> Self {
        Self { bitrate: 96_000, sample_rate: 48_000, channels: 2 }
    }
}

/// `[[ladder.rung]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rung {
    /// The suffix of its stream names.
    pub name: String,
    /// Luma samples per row; even.
    pub width: u32,
    /// Rows of luma; even.
    pub height: u32,
    /// Pictures per second.
    pub fps: u32,
    /// Bits per second of the picture. Playlists tell players no less, however quiet the waiting video is.
    pub bitrate: u32,
    /// Sound alone.
    pub audio_only: bool,
}

/// `[[channel]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Channel {
    /// The application name in its URLs.
    pub name: String,
    /// Stream names that its URLs may use.
    pub streams: Vec<String>,
    /// The ladder's name.
    pub ladder: String,
    /// The waiting video; empty = a plain grey card of our own.
    pub waiting: PathBuf,
    /// The source connected from the start; empty = the waiting loop.
    pub source: String,
    /// How late a live cell may be.
    pub live_deadline_ms: u32,
    /// Least time from the loss of the source to its return.
    pub hold_ms: u32,
    /// How long a lecture may stay beyond its lead-out while somebody speaks or something moves; 0 = not at all.
    pub overrun_max_s: u32,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            name: String::new(),
            streams: Vec::new(),
            ladder: String::new(),
            waiting: PathBuf::new(),
            source: String::new(),
            live_deadline_ms: 1000,
            hold_ms: 4000,
            overrun_max_s: 0,
        }
    }
}

/// `[[push]]`: a channel's rung, published to another RTMP server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Push {
    /// Its name in REST, metrics and alarms.
    pub name: String,
    /// The channel's name.
    pub channel: String,
    /// The rung's name; empty = the best one.
    pub rung: String,
    /// `rtmp[s]://host[:port]/app/key`.
    pub url: Secret,
    /// Certificate authorities that an rtmps server may be known by, in PEM; empty = those that browsers trust.
    pub ca_file: PathBuf,
    /// When it is pushed.
    pub when: When,
}

/// When a channel is pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Day and night.
    #[default]
    Always,
    /// While a source is on air.
    Live,
    /// While the schedule, the configuration or a person has a source on the channel, on air or not.
    Schedule,
}

/// `[[vod]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vod {
    /// The application name in its URLs.
    pub name: String,
    /// The directory beneath which files are opened.
    pub root: PathBuf,
    /// Segments are cut at key frames near multiples of this.
    pub segment_ms: u32,
    /// Whole files may be fetched.
    pub download: bool,
    /// Pictures of recordings may be fetched.
    pub poster: bool,
    /// The list of recordings may be fetched.
    pub index: bool,
}

impl Default for Vod {
    fn default() -> Self {
        Self {
            name: String::new(),
            root: PathBuf::new(),
            segment_ms: 6000,
            download: true,
            poster: true,
            index: false,
        }
    }
}

/// What a calendar speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CalendarFormat {
    /// Found out by itself.
    #[default]
    Auto,
    /// iCalendar.
    Ical,
    /// Opencast's `calendar.json`.
    Json,
}

/// `[schedule]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Opencast's calendar feed, another calendar's URL, or a file; empty = off.
    pub url: Secret,
    /// What it speaks.
    pub format: CalendarFormat,
    /// For Digest or Basic.
    pub username: String,
    /// For Digest or Basic.
    pub password: Secret,
    /// A file whose first line is the password.
    pub password_file: PathBuf,
    /// Capture agents asked for one by one; empty = one request without `agentid`.
    pub agents: Vec<String>,
    /// Between two polls.
    pub poll_s: u32,
    /// How long one answer may take.
    pub timeout_s: u32,
    /// Believes an answer 304 that says nothing has changed.
    pub trust_etag: bool,
    /// Certificate authorities that the calendar's server may be known by, in PEM; empty = those that browsers trust.
    pub ca_file: PathBuf,
    /// IANA name of the site's zone; empty = this machine's.
    pub timezone: String,
    /// Connected this long before an event starts.
    pub lead_in_s: u32,
    /// Connected this long after an event ends.
    pub lead_out_s: u32,
    /// The source's name, from the agent's.
    pub source_from_agent: String,
    /// Sources that two events may put on two channels at once.
    pub shared_sources: Vec<String>,
    /// Conflicts are alarms this long before they happen.
    pub warn_ahead_s: u32,
    /// A channel's waiting picture announces its next event this long before it starts; 0 = never.
    pub notice_ahead_s: u32,
    /// A source is looked at this long before its event starts; 0 = never.
    pub check_s: u32,
    /// When all sources are looked at, `HH:MM`; empty = never.
    pub rehearsal: String,
    /// Series to channel, first match wins.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            format: CalendarFormat::default(),
            username: String::new(),
            password: Secret::default(),
            password_file: PathBuf::new(),
            agents: Vec::new(),
            poll_s: 180,
            timeout_s: 20,
            trust_etag: false,
            ca_file: PathBuf::new(),
            timezone: String::new(),
            lead_in_s: 180,
            lead_out_s: 600,
            source_from_agent: "PS-{agent}".to_owned(),
            shared_sources: Vec::new(),
            warn_ahead_s: 604_800,
            notice_ahead_s: 86_400,
            check_s: 600,
            rehearsal: "03:00".to_owned(),
            rules: Vec::new(),
        }
    }
}

impl Schedule {
    /// The calendar's file, where it is one.
    pub fn file(&self) -> Option<&std::path::Path> {
        let url = self.url.reveal();
        (!url.is_empty() && !url.contains("://")).then(|| std::path::Path::new(url))
    }
}

/// `[[schedule.rule]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Regular expression on the series' title, else on its identifier; empty = any, or none.
    pub series: String,
    /// Regular expression on the event's title; empty = any.
    pub title: String,
    /// The channel's name; `$1`, `${name}` stand for what the expression has captured.
    pub channel: String,
}

/// `[admin]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Bearer token; empty = loopback only.
    pub token: Secret,
    /// A file whose first line is the token.
    pub token_file: PathBuf,
    /// Bearer token that may only look; empty = none.
    pub viewer_token: Secret,
    /// A file whose first line is the viewer's token.
    pub viewer_token_file: PathBuf,
}

/// `[alarm]`: how long something must last to be one, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alarm {
    /// A black picture.
    pub black_s: u32,
    /// A picture in which nothing at all moves.
    pub frozen_s: u32,
    /// Silence.
    pub silent_s: u32,
    /// Sound that clips.
    pub clipped_s: u32,
    /// A wanted source that cannot be had.
    pub offline_s: u32,
    /// A channel that does not show the source that it should, where nothing else says why.
    pub not_on_air_s: u32,
    /// Who is told.
    #[serde(rename = "webhook")]
    pub webhooks: Vec<Webhook>,
}

impl Default for Alarm {
    fn default() -> Self {
        Self {
            black_s: 20,
            frozen_s: 120,
            silent_s: 60,
            clipped_s: 10,
            offline_s: 5,
            not_on_air_s: 10,
            webhooks: Vec::new(),
        }
    }
}

/// `[[alarm.webhook]]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// Where alarms are posted as JSON.
    pub url: Secret,
    /// Bearer token; empty = none.
    pub token: Secret,
}

/// `[console]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Console {
    /// Between two looks at an idle hall, in seconds, while a console is open; 0 = never.
    pub glance_s: u32,
}

impl Default for Console {
    fn default() -> Self {
        Self { glance_s: 300 }
    }
}

/// `[pages]`: what viewers open in a browser.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pages {
    /// The site's name, on the list of channels.
    pub title: String,
    /// Where viewers reach the plain HTTP port, for links in the console; empty = the host that the console was opened
    /// under, and `http_listen`'s port.
    pub public_url: String,
    /// Origins whose pages may frame a player; `*` = all.
    pub embed_from: Vec<String>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { title: "Amphi".to_owned(), public_url: String::new(), embed_from: vec!["*".to_owned()] }
    }
}

/// `[wowza_rest]`: who may use the ports `server.wowza_rest_listen` and `server.wowza_counts_listen`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct WowzaRest {
    /// For Digest; empty = nobody is asked, and the port must be a loopback one.
    pub username: String,
    /// For Digest.
    pub password: Secret,
}
