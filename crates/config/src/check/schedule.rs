//! `[schedule]` and its rules.

use jiff::tz::TimeZone;
use regex::Regex;

use super::super::{Config, Rule};
use super::channels::defined;
use super::server::is_http;
use super::{Checker, Place, quoted};

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    feed(checker, config);
    times(checker, config);
    for (index, source) in config.schedule.shared_sources.iter().enumerate() {
        let place = Place::top("schedule").key("shared_sources").item(index);
        let sources = config.sources.iter().map(|source| source.name.as_str());
        defined(checker, &place, "schedule: shared_sources", "source", source, sources);
    }
    for (index, rule) in config.schedule.rules.iter().enumerate() {
        check_rule(checker, config, index, rule);
    }
}

fn feed(checker: &mut Checker<'_>, config: &Config) {
    let schedule = &config.schedule;
    let table = Place::top("schedule");
    if schedule.url.reveal().contains("://") && !is_http(schedule.url.reveal()) {
        checker.fault(&table.key("url"), "schedule: url is not an http:// or https:// URL, nor a file");
    }
    if !schedule.password.is_empty() && !schedule.password_file.as_os_str().is_empty() {
        checker.fault(&table.key("password_file"), "schedule: give password or password_file, not both");
    }
    if !is_time_of_day(&schedule.rehearsal) {
        let message = format!(
            "schedule: rehearsal: {:?} is not a time of day like \"03:00\", or \"\" for off",
            schedule.rehearsal
        );
        checker.fault(&table.key("rehearsal"), message);
    }
    if schedule.poll_s == 0 {
        checker.fault(&table.key("poll_s"), "schedule: poll_s must be at least 1");
    }
    if !(1..=300).contains(&schedule.timeout_s) {
        let message = format!("schedule: timeout_s: {} is not between 1 and 300", schedule.timeout_s);
        checker.fault(&table.key("timeout_s"), message);
    }
}

fn times(checker: &mut Checker<'_>, config: &Config) {
    /// A day: anything longer is a typing error.
    const LONGEST_S: u32 = 86_400;
    let schedule = &config.schedule;
    let table = Place::top("schedule");
    for (key, seconds) in [("lead_in_s", schedule.lead_in_s), ("lead_out_s", schedule.lead_out_s)] {
        if seconds > LONGEST_S {
            checker.fault(&table.key(key), format!("schedule: {key}: {seconds} is more than a day"));
        }
    }
    let zone = &schedule.timezone;
    if !zone.is_empty() && TimeZone::get(zone).is_err() {
        let message = format!("schedule: timezone: this machine knows no zone {}", quoted(zone));
        checker.fault(&table.key("timezone"), message);
    }
    if !schedule.source_from_agent.contains("{agent}") && config.sources.len() > 1 {
        let message = "schedule: source_from_agent has no {agent} in it: every hall has the same source";
        checker.warning(&table.key("source_from_agent"), message);
    }
}

fn check_rule(checker: &mut Checker<'_>, config: &Config, index: usize, rule: &Rule) {
    let table = Place::top("schedule").key("rule").item(index);
    let subject = format!("schedule rule number {}", index + 1);
    if rule.series.is_empty() && rule.title.is_empty() && !checker.document.is_spoiled(&table.key("title")) {
        checker.fault(&table.key("series"), format!("{subject}: series is missing"));
    }
    let mut expressions = Vec::new();
    for (key, text) in [("series", &rule.series), ("title", &rule.title)] {
        match Regex::new(text) {
            Ok(expression) => expressions.push(expression),
            Err(error) => {
                checker.fault(&table.key(key), format!("{subject}: {key}: {}", last_line(&error)));
                return;
            }
        }
    }
    let place = table.key("channel");
    if rule.channel.is_empty() {
        checker.fault(&place, format!("{subject}: channel is missing"));
    } else if rule.channel.contains('$') {
        for name in captures_named(&rule.channel) {
            if !expressions.iter().any(|expression| captures(expression, name)) {
                let message = format!(
                    "{subject}: channel: nothing is captured as {name:?}; to put _x after the first capture, write ${{1}}_x"
                );
                checker.fault(&place, message);
            }
        }
    } else {
        let channels = config.channels.iter().map(|channel| channel.name.as_str());
        defined(checker, &place, &subject, "channel", &rule.channel, channels);
    }
}

/// The last line of a regex error, which says what is wrong; the lines before it quote the expression.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The names that a channel's pattern refers to, as the regex crate's replacement strings do.
fn captures_named(pattern: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = pattern;
    while let Some((_, after)) = rest.split_once('$') {
        if let Some(escaped) = after.strip_prefix('$') {
            rest = escaped;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, next) = braced.unwrap_or_else(|| after.split_at(end));
        if !name.is_empty() {
            names.push(name);
        }
        rest = next;
    }
    names
}

fn captures(expression: &Regex, name: &str) -> bool {
    match name.parse::<usize>() {
        Ok(number) => number < expression.captures_len(),
        Err(_) => expression.capture_names().flatten().any(|known| known == name),
    }
}

/// Whether `text` is `HH:MM`, or empty.
fn is_time_of_day(text: &str) -> bool {
    let number = |digits: &str, end: u32| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain && digits.parse::<u32>().is_ok_and(|number| number < end)
    };
    text.is_empty()
        || text.split_once(':').is_some_and(|(hour, minute)| number(hour, 24) && number(minute, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_captures_are_read_as_the_regex_crate_reads_them() {
        assert_eq!(captures_named("Live_$1"), ["1"]);
        assert_eq!(captures_named("${1}_live$name"), ["1", "name"]);
        assert_eq!(captures_named("$1_live $$ $"), ["1_live"]);
        let expression = Regex::new(r"^(?<programme>[A-Z]+)_(\d+)").expect("good");
        assert!(
            captures(&expression, "2") && captures(&expression, "programme") && captures(&expression, "0")
        );
        assert!(!captures(&expression, "3") && !captures(&expression, "year"));
    }
}
