//! What is not the same in two configurations, and what becomes of what runs by the one when the other is taken over.
//!
//! The estate obeys [`Difference::endings`], a reload is judged by them, and `amphi check NEW --against OLD` prints them:
//! there is one answer to the question of what a change ends. Secrets are told apart and not shown.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::secret::MARK;
use super::{Channel, Config};

/// A part of what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A source.
    Source,
    /// A channel.
    Channel,
    /// A mount of recordings.
    Mount,
    /// A push to another server.
    Push,
    /// The calendar.
    Calendar,
}

/// Something that runs and is ended by a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What it is.
    pub part: Part,
    /// Its name.
    pub name: String,
    /// It begins anew at once, as another one.
    pub anew: bool,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, name, anew } = self;
        let (kind, becomes) = match (part, anew) {
            (Part::Source, true) => ("source", "is connected anew"),
            (Part::Source, false) => ("source", "is ended"),
            (Part::Channel, true) => ("channel", "is ended and begins anew"),
            (Part::Channel, false) => ("channel", "is ended"),
            (Part::Mount, true) => ("mount", "is opened anew"),
            (Part::Mount, false) => ("mount", "is ended"),
            (Part::Push, true) => ("push", "is published anew"),
            (Part::Push, false) => ("push", "is ended"),
            (Part::Calendar, _) => return f.write_str("the calendar is given up"),
        };
        write!(f, "{kind} {name:?} {becomes}")
    }
}

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Sections that are read at start only and are not the same.
    pub restart: Vec<&'static str>,
    /// Sections that a reload takes over and that are not the same.
    pub taken: Vec<&'static str>,
    /// What a reload ends.
    pub endings: Vec<Ending>,
    /// Every key that is not the same, a line each.
    pub lines: Vec<String>,
}

impl Difference {
    /// From `old`, which runs, to `new`.
    pub fn new(old: &Config, new: &Config) -> Self {
        let (mut restart, mut taken) = (Vec::new(), Vec::new());
        for (section, same, at_start) in sections(old, new) {
            if !same {
                if at_start { restart.push(section) } else { taken.push(section) }
            }
        }
        Self { restart, taken, endings: endings(old, new), lines: lines(old, new) }
    }

    /// The names of what is ended of one part.
    pub fn ending(&self, part: Part) -> impl Iterator<Item = &str> {
        self.endings.iter().filter(move |it| it.part == part).map(|it| it.name.as_str())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() {
            return f.write_str("no difference");
        }
        f.write_str(&self.lines.join("\n"))?;
        for ending in &self.endings {
            write!(f, "\nreload: {ending}")?;
        }
        if !self.restart.is_empty() {
            write!(f, "\nrestart: {} are read at start only", self.restart.join(", "))?;
        }
        Ok(())
    }
}

/// Every section: its name, whether it is the same, whether it is read at start only. Whoever adds one must say.
fn sections(old: &Config, new: &Config) -> [(&'static str, bool, bool); 13] {
    let Config {
        server,
        segment,
        sources,
        ladders,
        channels,
        vods,
        pushes,
        schedule,
        admin,
        alarm,
        console,
        pages,
        wowza_rest,
    } = new;
    [
        ("[server]", *server == old.server, true),
        ("[segment]", *segment == old.segment, true),
        ("[admin]", *admin == old.admin, true),
        ("[alarm]", *alarm == old.alarm, true),
        ("[console]", *console == old.console, true),
        ("[pages]", *pages == old.pages, true),
        ("[wowza_rest]", *wowza_rest == old.wowza_rest, true),
        ("[[source]]", *sources == old.sources, false),
        ("[[ladder]]", *ladders == old.ladders, false),
        ("[[channel]]", *channels == old.channels, false),
        ("[[vod]]", *vods == old.vods, false),
        ("[[push]]", *pushes == old.pushes, false),
        ("[schedule]", *schedule == old.schedule, false),
    ]
}

impl Config {
    /// The lattice on which sources' pictures are placed: that of the ladders, whose rungs mostly agree.
    pub fn lattice_fps(&self) -> u32 {
        let rungs = self.ladders.iter().flat_map(|ladder| &ladder.rungs);
        rungs.filter(|rung| !rung.audio_only).map(|rung| rung.fps).max().unwrap_or(15)
    }
}

fn endings(old: &Config, new: &Config) -> Vec<Ending> {
    let mut found = Vec::new();
    let mut end = |part, name: &str, anew| found.push(Ending { part, name: name.to_owned(), anew });
    let lattice = old.lattice_fps() == new.lattice_fps();
    for source in old.sources.iter().filter(|source| !lattice || !new.sources.contains(source)) {
        end(Part::Source, &source.name, new.sources.iter().any(|it| it.name == source.name));
    }
    let ladder = |config: &Config, name: &str| config.ladders.iter().find(|it| it.name == name).cloned();
    for channel in &old.channels {
        let next = new.channels.iter().find(|next| next.name == channel.name);
        let same_ladder = ladder(old, &channel.ladder) == ladder(new, &channel.ladder);
        if !next.is_some_and(|next| same_ladder && lives_on(channel, next)) {
            end(Part::Channel, &channel.name, next.is_some());
        }
    }
    for vod in old.vods.iter().filter(|vod| !new.vods.contains(vod)) {
        end(Part::Mount, &vod.name, new.vods.iter().any(|it| it.name == vod.name));
    }
    for push in old.pushes.iter().filter(|push| !new.pushes.contains(push)) {
        end(Part::Push, &push.name, new.pushes.iter().any(|it| it.name == push.name));
    }
    if !old.schedule.url.is_empty() && new.schedule.url.is_empty() {
        end(Part::Calendar, "", false);
    }
    found
}

/// Whether a running channel can become `next` without being started anew.
fn lives_on(channel: &Channel, next: &Channel) -> bool {
    let Channel { name, streams: _, ladder, waiting, source: _, live_deadline_ms, hold_ms, overrun_max_s: _ } =
        next;
    (name, ladder, waiting, live_deadline_ms, hold_ms)
        == (&channel.name, &channel.ladder, &channel.waiting, &channel.live_deadline_ms, &channel.hold_ms)
}

fn lines(old: &Config, new: &Config) -> Vec<String> {
    fn table(config: &impl Serialize) -> Map<String, Value> {
        match serde_json::to_value(config) {
            Ok(Value::Object(table)) => table,
            // Names of keys and plain values alone: it does not happen.
            _ => Map::new(),
        }
    }
    let mut lines = Vec::new();
    tables("", &table(old), &table(new), &mut lines);
    lines
}

/// Every key of two tables that is not the same. `at`: what stands before it in a line.
fn tables(at: &str, old: &Map<String, Value>, new: &Map<String, Value>, lines: &mut Vec<String>) {
    for (key, now) in new {
        let before = old.get(key).unwrap_or(&Value::Null);
        if before == now {
            continue;
        }
        match (before, now) {
            (Value::Object(before), Value::Object(now)) => {
                let inner = if at.is_empty() { format!("[{key}] ") } else { format!("{at}{key}.") };
                tables(&inner, before, now, lines);
            }
            (Value::Array(before), Value::Array(now)) if before.iter().chain(now).any(Value::is_object) => {
                entries(at, key, before, now, lines);
            }
            _ => lines.push(format!("~ {at}{key}: {} -> {}", shown(before), shown(now))),
        }
    }
}

/// Every entry of two arrays of tables that is not the same: by name, and by number where it has none.
fn entries(at: &str, kind: &str, old: &[Value], new: &[Value], lines: &mut Vec<String>) {
    let name = |(index, entry): (usize, &Value)| match entry.get("name").and_then(Value::as_str) {
        Some(name) => format!("{at}{kind} {name:?}"),
        None => format!("{at}{kind} number {}", index + 1),
    };
    let named = |list: &[Value]| -> Vec<(String, Value)> {
        list.iter().enumerate().map(|entry| (name(entry), entry.1.clone())).collect()
    };
    let (old, new) = (named(old), named(new));
    for (name, _) in old.iter().filter(|(name, _)| !new.iter().any(|(other, _)| other == name)) {
        lines.push(format!("- {name}"));
    }
    for (name, now) in &new {
        match old.iter().find(|(other, _)| other == name) {
            None => lines.push(format!("+ {name}")),
            Some((_, before)) => {
                if let (Value::Object(before), Value::Object(now)) = (before, now) {
                    tables(&format!("{name}: "), before, now, lines);
                }
            }
        }
    }
    let order = |list: &[(String, Value)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (mut before, mut after) = (order(&old), order(&new));
    before.retain(|name| after.contains(name));
    after.retain(|name| before.contains(name));
    if before != after {
        lines.push(format!("~ {at}{kind}: in another order"));
    }
}

/// A value as the file has it; a secret as a word. Lists of texts may hold no secrets.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) if text.starts_with(MARK) => "(a secret)".to_owned(),
        Value::String(text) if text.contains("://") && text.contains('@') => "(a secret)".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[[source]]
name = "hall"
url = "rtsp://u:hunter2@192.0.2.14/x"
[[source]]
name = "desk"
publish_key = "hunter2"
[[ladder]]
name = "l"
[[ladder.rung]]
name = "480p"
width = 854
height = 480
fps = 25
bitrate = 400000
[[channel]]
name = "A"
streams = ["live"]
ladder = "l"
[[channel]]
name = "B"
streams = ["live"]
ladder = "l"
[[vod]]
name = "vod"
root = "/nas"
[[push]]
name = "cdn"
channel = "A"
url = "rtmp://h/app/hunter2"
[schedule]
url = "http://opencast/hunter2"
[[schedule.rule]]
series = "x"
channel = "A"
"#;

    fn config(text: &str) -> Config {
        Config::parse(text, "c.toml").unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn difference(from: &str, to: &str) -> (Vec<String>, Vec<String>) {
        assert!(TEXT.contains(from), "{from}");
        let found = Difference::new(&config(TEXT), &config(&TEXT.replacen(from, to, 1)));
        assert!(!found.to_string().contains("hunter"), "{found}");
        (found.lines, found.endings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_the_same_makes_no_difference() {
        let same = Difference::new(&config(TEXT), &config(TEXT));
        assert_eq!(same, Difference::default());
        assert_eq!(same.to_string(), "no difference");
    }

    #[test]
    fn each_change_is_said_with_what_it_ends() {
        for (from, to, lines, endings) in [
            (
                "streams = [\"live\"]",
                "streams = [\"x\"]",
                vec!["~ channel \"A\": streams: [\"live\"] -> [\"x\"]"],
                vec![],
            ),
            (
                "hunter2@",
                "hunter3@",
                vec!["~ source \"hall\": url: (a secret) -> (a secret)"],
                vec!["source \"hall\" is connected anew"],
            ),
            (
                "\"desk\"",
                "\"table\"",
                vec!["- source \"desk\"", "+ source \"table\""],
                vec!["source \"desk\" is ended"],
            ),
            (
                "bitrate = 400000",
                "bitrate = 500000",
                vec!["~ ladder \"l\": rung \"480p\": bitrate: 400000 -> 500000"],
                vec!["channel \"A\" is ended and begins anew", "channel \"B\" is ended and begins anew"],
            ),
            (
                "\"/nas\"",
                "\"/nas2\"",
                vec!["~ vod \"vod\": root: \"/nas\" -> \"/nas2\""],
                vec!["mount \"vod\" is opened anew"],
            ),
            (
                "app/hunter2",
                "app/hunter3",
                vec!["~ push \"cdn\": url: (a secret) -> (a secret)"],
                vec!["push \"cdn\" is published anew"],
            ),
            (
                "http://opencast/hunter2",
                "",
                vec!["~ [schedule] url: (a secret) -> \"\""],
                vec!["the calendar is given up"],
            ),
            (
                "series = \"x\"",
                "series = \"y\"",
                vec!["~ [schedule] rule number 1: series: \"x\" -> \"y\""],
                vec![],
            ),
            ("[[vod]]", "[segment]\nwindow = 7\n[[vod]]", vec!["~ [segment] window: 6 -> 7"], vec![]),
        ] {
            assert_eq!(
                difference(from, to),
                (
                    lines.into_iter().map(str::to_owned).collect(),
                    endings.into_iter().map(str::to_owned).collect()
                ),
                "{from} -> {to}"
            );
        }
        let (_, endings) = difference("fps = 25", "fps = 15");
        assert_eq!(endings.len(), 4, "another lattice connects every source anew: {endings:?}");
    }

    #[test]
    fn sections_that_are_read_at_start_are_told_apart() {
        let new = config(
            &(TEXT.to_owned()
                + "[pages]\ntitle = \"x\"\n[console]\nglance_s = 1\n[[vod]]\nname = \"w\"\nroot = \"/w\"\n"),
        );
        let found = Difference::new(&config(TEXT), &new);
        assert_eq!((found.restart, found.taken), (vec!["[console]", "[pages]"], vec!["[[vod]]"]));
    }
}
