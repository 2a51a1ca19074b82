//! What differs between two configurations, and what a reload from the one to the other would stop or restart.
//!
//! `server/running.rs` acts on [`Difference::endings`], a reload is allowed or refused by them, and
//! `amphi check NEW --against OLD` prints them: all three give the same answer. That a secret has changed is said; its value
//! is never shown.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::secret::MARK;
use super::{Channel, Config, Schedule, Tls};

/// What kind of thing a change ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A `[[source]]`: its connection.
    Source,
    /// A `[[channel]]` with all its viewers.
    Channel,
    /// A `[[vod]]`: a mount of recordings.
    Mount,
    /// A `[[push]]` to another server.
    Push,
    /// A name under which a channel is played, as `CHANNEL/STREAM`.
    Stream,
    /// The source that the configuration connects to a channel; named by the channel.
    Configured,
    /// The whole calendar of `[schedule]`; it has no name.
    Calendar,
    /// Rules of the calendar; named by their `channel`, which may be a pattern.
    Rules,
}

/// Something that runs and that a change would end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The kind of thing.
    pub part: Part,
    /// Its name; [`Part`] says what that is for each kind.
    pub name: String,
    /// It starts again at once with the new settings.
    pub anew: bool,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, name, anew } = self;
        let (kind, becomes) = match (part, anew) {
            (Part::Source, true) => ("source", "is reconnected"),
            (Part::Source, false) => ("source", "is ended"),
            (Part::Channel, true) => ("channel", "is ended and restarted"),
            (Part::Channel, false) => ("channel", "is ended"),
            (Part::Mount, true) => ("mount", "is reopened"),
            (Part::Mount, false) => ("mount", "is ended"),
            (Part::Push, true) => ("push", "is restarted"),
            (Part::Push, false) => ("push", "is ended"),
            (Part::Stream, _) => ("stream", "is removed"),
            (Part::Configured, true) => ("channel", "is given another source"),
            (Part::Configured, false) => ("channel", "loses its configured source"),
            (Part::Calendar, true) => return f.write_str("the calendar's events are read again"),
            (Part::Calendar, false) => return f.write_str("the calendar is no longer used"),
            (Part::Rules, _) => return write!(f, "the calendar's rules for {name:?} change"),
        };
        write!(f, "{kind} {name:?} {becomes}")
    }
}

/// Everything that changes from one configuration to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Changed sections that are read at start only, e.g. `[server]`.
    pub restart: Vec<&'static str>,
    /// Changed sections that a reload applies, e.g. `[[channel]]`.
    pub taken: Vec<&'static str>,
    /// What a reload would stop or restart.
    pub endings: Vec<Ending>,
    /// Every changed key, a line each: `~` changed, `+` added, `-` removed.
    pub lines: Vec<String>,
}

impl Difference {
    /// Compares `old`, which is running, with `new`.
    pub fn new(old: &Config, new: &Config) -> Self {
        let (mut restart, mut taken) = (Vec::new(), Vec::new());
        for (section, same, at_start) in sections(old, new) {
            if !same {
                if at_start { restart.push(section) } else { taken.push(section) }
            }
        }
        Self { restart, taken, endings: endings(old, new), lines: lines(old, new) }
    }

    /// The names of all endings of one kind.
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

/// Every section: its name, whether it is the same, whether it is read at start only. The exhaustive pattern makes the
/// compiler ask for a new section here.
fn sections(old: &Config, new: &Config) -> [(&'static str, bool, bool); 16] {
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
        access,
        console,
        pages,
        wowza_rest,
        tls,
    } = new;
    let Tls { certificates, acme, hsts_s, redirect } = tls;
    let told = (acme, hsts_s, redirect) == (&old.tls.acme, &old.tls.hsts_s, &old.tls.redirect);
    [
        ("[server]", *server == old.server, true),
        ("[segment]", *segment == old.segment, true),
        ("[admin]", *admin == old.admin, true),
        ("[alarm]", *alarm == old.alarm, true),
        ("[console]", *console == old.console, true),
        ("[pages]", *pages == old.pages, true),
        ("[wowza_rest]", *wowza_rest == old.wowza_rest, true),
        ("[tls]", told, true),
        ("[[tls.certificate]]", *certificates == old.tls.certificates, false),
        ("[[source]]", *sources == old.sources, false),
        ("[[ladder]]", *ladders == old.ladders, false),
        ("[[channel]]", *channels == old.channels, false),
        ("[[vod]]", *vods == old.vods, false),
        ("[[push]]", *pushes == old.pushes, false),
        ("[schedule]", *schedule == old.schedule, false),
        ("[access]", *access == old.access, false),
    ]
}

impl Config {
    /// The frame rate, in pictures per second, of the lattice on which sources' pictures are placed: the highest of all
    /// rungs, or 15 where there are none.
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
            continue;
        }
        let Some(next) = next else { continue };
        for stream in channel.streams.iter().filter(|stream| !next.streams.contains(stream)) {
            end(Part::Stream, &format!("{}/{stream}", channel.name), false);
        }
        if !channel.source.is_empty() && channel.source != next.source {
            end(Part::Configured, &channel.name, !next.source.is_empty());
        }
    }
    for vod in old.vods.iter().filter(|vod| !new.vods.contains(vod)) {
        end(Part::Mount, &vod.name, new.vods.iter().any(|it| it.name == vod.name));
    }
    for push in old.pushes.iter().filter(|push| !new.pushes.contains(push)) {
        end(Part::Push, &push.name, new.pushes.iter().any(|it| it.name == push.name));
    }
    let (before, after) = (&old.schedule, &new.schedule);
    if before.url.is_empty() {
        return found;
    }
    if after.url.is_empty() || !keeps_events(before, after) {
        end(Part::Calendar, "", !after.url.is_empty());
    } else {
        for channel in rules(before, after) {
            end(Part::Rules, channel, false);
        }
    }
    found
}

/// Whether every event of a calendar lasts as long as before and has the same source.
fn keeps_events(old: &Schedule, new: &Schedule) -> bool {
    let all = |old: &[String], new: &[String]| old.iter().all(|it| new.contains(it));
    // No list of agents: all of them.
    let agents = new.agents.is_empty() || !old.agents.is_empty() && all(&old.agents, &new.agents);
    agents
        && (&old.url, old.format, &old.timezone, &old.source_from_agent)
            == (&new.url, new.format, &new.timezone, &new.source_from_agent)
        && all(&old.shared_sources, &new.shared_sources)
        && old.lead_in_s <= new.lead_in_s
        && old.lead_out_s <= new.lead_out_s
}

/// The channels of those rules whose events may go to another channel. The first rule that matches wins, so removing a rule
/// moves its own events only; any other change may move those of all rules after it.
fn rules<'a>(old: &'a Schedule, new: &Schedule) -> BTreeSet<&'a str> {
    let mut rest = new.rules.iter().peekable();
    let gone: Vec<_> = old.rules.iter().filter(|&rule| rest.next_if_eq(&rule).is_none()).collect();
    let same = old.rules.iter().zip(&new.rules).take_while(|(old, new)| old == new).count();
    let fewer = gone.len() + new.rules.len() == old.rules.len();
    let moved = if fewer { gone } else { old.rules.iter().skip(same).collect() };
    moved.into_iter().map(|rule| rule.channel.as_str()).collect()
}

/// Whether a running channel can take the settings of `next` without a restart.
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
            // A struct of plain values always becomes an object.
            _ => Map::new(),
        }
    }
    let mut lines = Vec::new();
    tables("", &table(old), &table(new), &mut lines);
    lines
}

/// A line for every key that differs between two tables. `at` is the prefix of each line.
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

/// Lines for every entry that differs between two arrays of tables. Entries are matched by name, or by number where they
/// have none.
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

/// A value as the file has it, or `(a secret)`.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(list) if list.iter().any(|it| shown(it) == "(a secret)") => {
            format!("({} secrets)", list.len())
        }
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
                // Viewers of /A/live get 404 from then on.
                vec!["stream \"A/live\" is removed"],
            ),
            (
                "hunter2@",
                "hunter3@",
                vec!["~ source \"hall\": url: (a secret) -> (a secret)"],
                vec!["source \"hall\" is reconnected"],
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
                vec!["channel \"A\" is ended and restarted", "channel \"B\" is ended and restarted"],
            ),
            (
                "\"/nas\"",
                "\"/nas2\"",
                vec!["~ vod \"vod\": root: \"/nas\" -> \"/nas2\""],
                vec!["mount \"vod\" is reopened"],
            ),
            (
                "app/hunter2",
                "app/hunter3",
                vec!["~ push \"cdn\": url: (a secret) -> (a secret)"],
                vec!["push \"cdn\" is restarted"],
            ),
            (
                "http://opencast/hunter2",
                "",
                vec!["~ [schedule] url: (a secret) -> \"\""],
                vec!["the calendar is no longer used"],
            ),
            (
                "series = \"x\"",
                "series = \"y\"",
                vec!["~ [schedule] rule number 1: series: \"x\" -> \"y\""],
                // The event that is running may have no channel from then on.
                vec!["the calendar's rules for \"A\" change"],
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
        assert_eq!(endings.len(), 4, "another lattice reconnects every source: {endings:?}");
    }

    #[test]
    fn what_is_taken_from_a_channel_that_lives_on_is_an_ending() {
        let with = |source: &str| TEXT.replacen("[\"live\"]", &format!("[\"x\", \"live\"]{source}"), 1);
        let (hall, desk) = (with("\nsource = \"hall\""), with("\nsource = \"desk\""));
        let ends = |old: &str, new: &str| -> Vec<String> {
            let found = Difference::new(&config(old), &config(new));
            found.endings.iter().map(ToString::to_string).collect()
        };
        assert_eq!(ends(TEXT, &hall), [""; 0], "what comes in addition ends nothing");
        assert_eq!(ends(&hall, &desk), ["channel \"A\" is given another source"]);
        assert_eq!(ends(&hall, &with("")), ["channel \"A\" loses its configured source"]);
        let both = ["stream \"A/x\" is removed", "channel \"A\" loses its configured source"];
        assert_eq!(ends(&hall, TEXT), both);
    }

    #[test]
    fn events_that_may_go_elsewhere_are_an_ending_and_others_are_none() {
        let with = |keys: &str, rules: &[&str]| {
            let (head, _) = TEXT.split_once("[[schedule.rule]]").expect("a rule");
            let more = ["C", "D"].map(|name| {
                format!("[[channel]]\nname = \"{name}\"\nstreams = [\"live\"]\nladder = \"l\"\n")
            });
            let head = head.replacen("[[vod]]", &format!("{}[[vod]]", more.concat()), 1);
            let rule =
                |rule: &&str| format!("[[schedule.rule]]\nseries = \"{rule}\"\nchannel = \"{rule}\"\n");
            config(&(format!("{head}{keys}\n") + &rules.iter().map(rule).collect::<Vec<_>>().concat()))
        };
        let ends = |old: &Config, new: &Config| -> Vec<String> {
            Difference::new(old, new).endings.iter().map(|it| format!("{:?} {}", it.part, it.name)).collect()
        };
        let all = with("", &["A", "B", "C"]);
        for (rules, moved) in [
            (&["A", "B", "C", "D"][..], &[][..]),
            (&["A", "C"], &["Rules B"]),
            (&["C"], &["Rules A", "Rules B"]),
            (&[], &["Rules A", "Rules B", "Rules C"]),
            (&["A", "D", "B", "C"], &["Rules B", "Rules C"]),
            (&["A", "D", "C"], &["Rules B", "Rules C"]),
            (&["A", "C", "B"], &["Rules B", "Rules C"]),
        ] {
            assert_eq!(ends(&all, &with("", rules)), moved, "{rules:?}");
        }
        for (before, after, sought) in [
            ("", "poll_s = 60\nlead_out_s = 900\ncheck_s = 0", false),
            ("", "lead_out_s = 60", true),
            ("", "lead_in_s = 60", true),
            ("", "source_from_agent = \"{agent}\"", true),
            ("", "agents = [\"a\"]", true),
            ("agents = [\"a\"]", "", false),
            ("agents = [\"a\"]", "agents = [\"b\", \"a\"]", false),
            ("agents = [\"a\", \"b\"]", "agents = [\"a\"]", true),
        ] {
            let expected = if sought { vec!["Calendar "] } else { vec![] };
            assert_eq!(ends(&with(before, &["A"]), &with(after, &["A"])), expected, "{before} -> {after}");
        }
        let (_, endings) = difference("http://opencast/hunter2", "http://opencast/hunter3");
        assert_eq!(endings, ["the calendar's events are read again"]);
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
