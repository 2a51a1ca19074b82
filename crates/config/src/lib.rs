//! The configuration: `config.toml` as typed values. The comments in `config.toml` are the reference for every key.
//!
//! Durations are in the unit that the key's name ends with, rates in bit/s.
//!
//! Read one with [`Config::load`] (a file, and the files it names) or [`Config::parse`] (a text alone). Both
//! report every fault at once, each with its line and column; [`check`] reports warnings too. A configuration is
//! read in three steps: syntax (TOML), shape (unknown keys, wrong types), meaning (`check/`). All faults are reported
//! together; of a table with a syntax error nothing else is reported.
//!
//! **What does not belong here:** what is made of the values. Each crate turns its part into its own settings.
//!
//! **Where to start.** [`Config`] below is the file, key by key; `check/` holds the rules that no type can express;
//! `difference.rs` tells what a reload would change.
//!
//! # Example
//! ```
//! let faults = amphi_config::Config::parse("[server]\nhttp_lisen = \"\"", "config.toml").unwrap_err();
//! assert!(faults.to_string().contains("config.toml:2"), "{faults}");
//! ```

mod access;
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
mod tls;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use access::{
    Access, AccessKey, AccessKeyFault, AccessKeyKind, AccessNetwork, AccessRule, SecureTokenHash,
};
pub use difference::{Difference, Ending, Part};
pub use fault::{Fault, Faults, Position};
pub use report::{CheckReport, check, compare};
pub use secret::Secret;
pub use tls::{Acme, AcmeChallenge, Certificate, Tls};

/// The whole file, one field for each section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Listening ports, bounds on connections, the state directory.
    pub server: Server,
    /// The grid: length of a cell, segments in a playlist.
    pub segment: Segment,
    /// Encoders that we pull, or that publish to us.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
    /// The sets of renditions that sources are coded into.
    #[serde(rename = "ladder")]
    pub ladders: Vec<Ladder>,
    /// The live channels that viewers open.
    #[serde(rename = "channel")]
    pub channels: Vec<Channel>,
    /// Mounts of recorded lectures.
    #[serde(rename = "vod")]
    pub vods: Vec<Vod>,
    /// Channels that are published to other RTMP servers.
    #[serde(rename = "push")]
    pub pushes: Vec<Push>,
    /// The calendar, and which of its events go to which channel.
    pub schedule: Schedule,
    /// Who may use the admin port (REST and console).
    pub admin: Admin,
    /// How long each fault must last to be an alarm, and the webhooks that alarms are posted to.
    pub alarm: Alarm,
    /// Who may watch what.
    pub access: Access,
    /// Settings of the operators' console.
    pub console: Console,
    /// The public pages of the plain HTTP port.
    pub pages: Pages,
    /// User and password of the ports that speak Wowza's REST.
    pub wowza_rest: WowzaRest,
    /// Certificates, and what browsers are told about TLS.
    pub tls: Tls,
}

/// `[server]`: ports, bounds and directories. Every `*_listen` is an IP address and port.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// RTMP, HTTP and RTSP on one port.
    pub listen: String,
    /// Plain HTTP: HLS, DASH and the public pages; empty = off.
    pub http_listen: String,
    /// HTTPS: the same inside TLS; empty = off.
    pub https_listen: String,
    /// The admin port: REST, console, metrics.
    pub admin_listen: String,
    /// The admin port speaks TLS, and nothing else.
    pub admin_tls: bool,
    /// Wowza REST v2 subset; empty = off.
    pub wowza_rest_listen: String,
    /// Wowza's `/connectioncounts`; empty = off.
    pub wowza_counts_listen: String,
    /// Where overrides, the audit log, the last good schedule and the last rehearsal are kept.
    pub state_dir: PathBuf,
    /// Most connections of the media port, of plain HTTP and of HTTPS together.
    pub connections: u32,
    /// Most connections of one address (one /64 of IPv6); 0 = no bound. Loopback has none.
    pub connections_per_address: u32,
    /// Addresses and networks of reverse proxies whose word about a viewer's address and name is taken.
    pub trusted_proxies: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:1935".to_owned(),
            http_listen: "0.0.0.0:8080".to_owned(),
            https_listen: String::new(),
            admin_listen: "127.0.0.1:8088".to_owned(),
            admin_tls: false,
            wowza_rest_listen: String::new(),
            wowza_counts_listen: String::new(),
            state_dir: PathBuf::from("state"),
            connections: 20_000,
            connections_per_address: 5000,
            trusted_proxies: Vec::new(),
        }
    }
}

/// `[segment]`: the grid, and what a live playlist lists of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Segment {
    /// Length of a cell of the grid, which is one media segment.
    pub duration_ms: u32,
    /// Segments in a live media playlist.
    pub window: usize,
}

impl Default for Segment {
    fn default() -> Self {
        Self { duration_ms: 2000, window: 6 }
    }
}

/// The transport of a pulled source's RTP (RFC 2326 §12.39).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Interleaved in the RTSP connection (RFC 2326 §10.12).
    #[default]
    Tcp,
    /// Unicast UDP, to this server alone.
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
    /// `rtsp[s]://[user:password@]host[:port]/path`; empty for a publishing source.
    pub url: Secret,
    /// A PEM file of the certificate authorities to trust for rtsps; empty = the system's.
    pub ca_file: PathBuf,
    /// The transport of its RTP.
    pub transport: Transport,
    /// Stay connected even while no channel wants it.
    pub keep_open: bool,
    /// The key that a publisher must show; empty for a pulled source.
    pub publish_key: Secret,
    /// What to do with a second publisher.
    pub on_second_publisher: SecondPublisher,
}

/// What to do with a publisher while another one publishes to the same source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondPublisher {
    /// The newcomer is refused.
    #[default]
    Refuse,
    /// The newcomer takes over, and the first connection is closed.
    TakeOver,
}

/// `[[ladder]]`: the set of renditions that a source is coded into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ladder {
    /// The name by which channels refer to it.
    pub name: String,
    /// The sound, which all rungs share.
    pub audio: Audio,
    /// The rungs, best first.
    #[serde(rename = "rung")]
    pub rungs: Vec<Rung>,
}

/// `audio` of a ladder: AAC-LC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audio {
    /// Bits per second, of all channels together.
    pub bitrate: u32,
    /// Samples per second: a rate of AAC (ISO/IEC 14496-3 §1.6.3.4).
    pub sample_rate: u32,
    /// 1 (mono) or 2 (stereo).
    pub channels: u8,
}

impl Default for Audio {
    fn default() -> Self {
        Self { bitrate: 96_000, sample_rate: 48_000, channels: 2 }
    }
}

/// `[[ladder.rung]]`: one picture size and bit rate, or sound alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rung {
    /// The suffix of its stream names, as `720p` in `live_720p`.
    pub name: String,
    /// Luma samples per row; even.
    pub width: u32,
    /// Rows of luma samples; even.
    pub height: u32,
    /// Pictures per second; a picture lasts a whole number of 90 kHz ticks.
    pub fps: u32,
    /// Bits per second of the video. Playlists never state less, however little the waiting video needs.
    pub bitrate: u32,
    /// Sound alone: then all numbers above are 0.
    pub audio_only: bool,
}

/// `[[channel]]`: what viewers open.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Channel {
    /// The application name in its URLs.
    pub name: String,
    /// The stream names that its URLs may use.
    pub streams: Vec<String>,
    /// The name of its ladder.
    pub ladder: String,
    /// The file of the waiting video; empty = a plain grey card.
    pub waiting: PathBuf,
    /// The source connected from the start; empty = the waiting loop.
    pub source: String,
    /// How late a live cell may be before a waiting cell takes its place.
    pub live_deadline_ms: u32,
    /// The least time from the loss of a source until the channel shows it again.
    pub hold_ms: u32,
    /// How long a lecture may stay past its lead-out while somebody speaks or something moves; 0 = not at all.
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
    /// The name of the channel that is pushed.
    pub channel: String,
    /// The name of the rung; empty = the best one.
    pub rung: String,
    /// `rtmp[s]://host[:port]/app/key`.
    pub url: Secret,
    /// A PEM file of the certificate authorities to trust for rtmps; empty = the system's.
    pub ca_file: PathBuf,
    /// At which times it is pushed.
    pub when: When,
}

/// At which times a channel is pushed.
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

/// `[[vod]]`: a directory of recordings, and the application name that it is served under.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vod {
    /// The application name in its URLs.
    pub name: String,
    /// The directory of the recordings; nothing outside of it is opened.
    pub root: PathBuf,
    /// Segments begin at the key frames nearest to multiples of this.
    pub segment_ms: u32,
    /// Whole files may be downloaded.
    pub download: bool,
    /// Pictures of recordings may be fetched.
    pub poster: bool,
    /// The list of recordings may be fetched.
    pub index: bool,
    /// The encoding of subtitles that do not say theirs and are not UTF-8: a label of the WHATWG Encoding Standard.
    pub text_encoding: String,
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
            text_encoding: "windows-1252".to_owned(),
        }
    }
}

/// The format of a calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CalendarFormat {
    /// Recognized by its content.
    #[default]
    Auto,
    /// iCalendar (RFC 5545).
    Ical,
    /// `calendar.json` of Opencast 11.4 and newer.
    Json,
}

/// `[schedule]`: the calendar, and what its events do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The URL of Opencast's calendar feed or of another calendar, or a path to a file; empty = off.
    pub url: Secret,
    /// The format of the calendar.
    pub format: CalendarFormat,
    /// User name for Digest or Basic authentication; empty = none.
    pub username: String,
    /// Password for Digest or Basic authentication; [`Config::load`] takes it from `password_file` where that is set.
    pub password: Secret,
    /// A file whose first line is the password.
    pub password_file: PathBuf,
    /// Capture agents, one request for each; empty = one request without `agentid`.
    pub agents: Vec<String>,
    /// The time between two polls.
    pub poll_s: u32,
    /// How long one answer may take.
    pub timeout_s: u32,
    /// Ask with `If-None-Match` and believe a 304 (RFC 9110 §13.1.2).
    pub trust_etag: bool,
    /// A PEM file of the certificate authorities to trust for the calendar's server; empty = the system's.
    pub ca_file: PathBuf,
    /// IANA name of the site's time zone; empty = this machine's.
    pub timezone: String,
    /// How long before its event starts a source is connected.
    pub lead_in_s: u32,
    /// How long after its event ends a source stays.
    pub lead_out_s: u32,
    /// Pattern of a source's name, in which `{agent}` stands for the capture agent's.
    pub source_from_agent: String,
    /// Sources that two events may put on two channels at once.
    pub shared_sources: Vec<String>,
    /// Conflicts are alarms this long before they happen.
    pub warn_ahead_s: u32,
    /// How long before its next event starts a channel's waiting picture announces it; 0 = never.
    pub notice_ahead_s: u32,
    /// How long before its event starts a source is checked; 0 = never.
    pub check_s: u32,
    /// When all sources are checked each day, `HH:MM`; empty = never.
    pub rehearsal: String,
    /// Which channel an event goes to; the first match wins.
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
    /// The calendar's path, where `url` is a path and not a URL.
    pub fn file(&self) -> Option<&std::path::Path> {
        let url = self.url.reveal();
        (!url.is_empty() && !url.contains("://")).then(|| std::path::Path::new(url))
    }
}

/// `[[schedule.rule]]`: events that match go to a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Regular expression on the series' title, else on its identifier; empty = any, or none.
    pub series: String,
    /// Regular expression on the event's title; empty = any.
    pub title: String,
    /// The channel's name; `$1` and `${name}` stand for captures of the expression.
    pub channel: String,
}

/// `[admin]`: who may use the admin port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The operator's bearer token (RFC 6750); empty = loopback only.
    pub token: Secret,
    /// A file whose first line is the token.
    pub token_file: PathBuf,
    /// A bearer token that may read and change nothing; empty = none.
    pub viewer_token: Secret,
    /// A file whose first line is the viewer's token.
    pub viewer_token_file: PathBuf,
    /// The header in which a trusted reverse proxy names the person whom it has signed in; empty = off.
    pub remote_user_header: String,
    /// The header in which it lists the person's groups, separated by `;` or `,`; empty = none is read.
    pub remote_groups_header: String,
    /// The groups of operators, or the names where no groups are read; `*` = everybody whom the proxy names.
    pub remote_operator: Vec<String>,
    /// The same of those who may only read.
    pub remote_viewer: Vec<String>,
    /// Whom to ask for access: shown to people who have signed in and may do nothing.
    pub contact: String,
    /// Sign-in by OpenID Connect.
    pub oidc: OpenIdConnect,
}

impl Admin {
    /// Whether people can sign in, so that the port asks who they are even without a token.
    pub fn knows_people(&self) -> bool {
        !self.oidc.issuer.is_empty() || !self.remote_user_header.is_empty()
    }
}

/// `[admin.oidc]`: sign-in of people by OpenID Connect (OpenID Connect Core 1.0 §3.1, authorization code flow with PKCE).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenIdConnect {
    /// The provider's issuer identifier, exactly as its discovery document has it; empty = off.
    pub issuer: String,
    /// The identifier that the provider has given to this server.
    pub client_id: String,
    /// The secret that goes with it; empty = a public client, which PKCE alone protects.
    pub client_secret: Secret,
    /// A file whose first line is the secret.
    pub client_secret_file: PathBuf,
    /// The URL of `/sign-in/callback` as browsers reach it; empty = made of the request's `Host`.
    pub redirect_url: String,
    /// What is asked for; `openid` must be among them.
    pub scopes: Vec<String>,
    /// The claim with the person's name for the audit log and the console.
    pub name_claim: String,
    /// Operators: `claim=value`, of which one must hold.
    pub operator: Vec<String>,
    /// Those who may only read: the same.
    pub viewer: Vec<String>,
    /// The text of the console's button; empty = the console's own.
    pub label: String,
    /// A PEM file of the certificate authorities to trust for the provider; empty = those of the system.
    pub ca_file: PathBuf,
}

impl Default for OpenIdConnect {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: Secret::default(),
            client_secret_file: PathBuf::new(),
            redirect_url: String::new(),
            scopes: vec!["openid".to_owned(), "profile".to_owned()],
            name_claim: "name".to_owned(),
            operator: Vec::new(),
            viewer: Vec::new(),
            label: String::new(),
            ca_file: PathBuf::new(),
        }
    }
}

/// `[alarm]`: how long a condition must last to be an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alarm {
    /// The picture is black.
    pub black_s: u32,
    /// Not one sample of the picture changes.
    pub frozen_s: u32,
    /// The sound is silent.
    pub silent_s: u32,
    /// The sound clips.
    pub clipped_s: u32,
    /// A source that a channel wants cannot be reached or decoded.
    pub offline_s: u32,
    /// A channel does not show the source that it should, and no other alarm says why.
    pub not_on_air_s: u32,
    /// Where every alarm is posted.
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

/// `[[alarm.webhook]]`: a URL that alarms are posted to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// The `http://` or `https://` URL that alarms are posted to, as JSON.
    pub url: Secret,
    /// The bearer token that is sent (RFC 6750 §2.1); empty = none.
    pub token: Secret,
}

/// `[console]`: the operators' console.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Console {
    /// The time between two thumbnails of an idle hall, while a console is open; 0 = never.
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
    /// The site's name, shown above the list of channels.
    pub title: String,
    /// The base URL under which viewers reach the plain HTTP port, for links in the console and in `now.json`; empty = the
    /// host that the console was opened under, with `http_listen`'s port, and relative links.
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
    /// User name for Digest (RFC 7616); empty = no authentication, and only loopback addresses are allowed.
    pub username: String,
    /// Password for Digest; empty exactly if `username` is.
    pub password: Secret,
}
