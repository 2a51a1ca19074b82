//! Where an event goes: its channel by the rules, its source by its capture agent.

use std::collections::BTreeSet;

use regex::Regex;

use super::event::CalendarEvent;
use amphi_config::{self as config, Config};
use amphi_media::{ChannelName, SourceName};

/// The rules, and the names of the configured channels and sources.
#[derive(Clone, Debug)]
pub(super) struct Routing {
    rules: Vec<RoutingRule>,
    /// `source_from_agent`: `{agent}` stands for the capture agent.
    source_pattern: String,
    channels: BTreeSet<ChannelName>,
    sources: BTreeSet<SourceName>,
}

#[derive(Clone, Debug)]
struct RoutingRule {
    series: Option<Regex>,
    title: Option<Regex>,
    channel: String,
    /// `series` captures everything that `channel` refers to.
    series_fills: bool,
}

/// Why an event has no channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Astray {
    /// No rule matches.
    NoRule,
    /// The event belongs to no series, and no rule matches its title.
    NoSeries,
    /// The rule's channel is not configured.
    UnknownChannel(ChannelName),
}

impl Routing {
    pub(super) fn new(config: &Config) -> Result<Self, regex::Error> {
        let expression = |text: &str| (!text.is_empty()).then(|| Regex::new(text)).transpose();
        let rule = |rule: &config::Rule| {
            let series = expression(&rule.series)?;
            Ok(RoutingRule {
                series_fills: series.as_ref().is_some_and(|series| rule.is_filled_by(series)),
                series,
                title: expression(&rule.title)?,
                channel: rule.channel.clone(),
            })
        };
        Ok(Self {
            rules: config.schedule.rules.iter().map(rule).collect::<Result<_, regex::Error>>()?,
            source_pattern: config.schedule.source_from_agent.clone(),
            channels: config.channels.iter().map(|channel| channel.name.as_str().into()).collect(),
            sources: config.sources.iter().map(|source| source.name.as_str().into()).collect(),
        })
    }

    /// The channel of the first rule that matches the event.
    pub(super) fn channel(&self, event: &CalendarEvent) -> Result<ChannelName, Astray> {
        let Some(channel) = self.rules.iter().find_map(|rule| rule.channel(event)) else {
            let has_series = event.series.is_some() || event.series_id.is_some();
            return Err(if has_series { Astray::NoRule } else { Astray::NoSeries });
        };
        if self.channels.contains(&channel) { Ok(channel) } else { Err(Astray::UnknownChannel(channel)) }
    }

    /// The source of a hall; the error is the name of a source that is not configured.
    pub(super) fn source(&self, agent: &str) -> Result<SourceName, SourceName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let agent: String = agent.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
        let source = SourceName::from(self.source_pattern.replace("{agent}", &agent));
        if self.sources.contains(&source) { Ok(source) } else { Err(source) }
    }
}

impl RoutingRule {
    /// The channel, if the rule matches: `series` the series' title or else its identifier, `title` the event's title. If the
    /// rule has both, both must match.
    fn channel(&self, event: &CalendarEvent) -> Option<ChannelName> {
        let names = [event.series.as_deref(), event.series_id.as_deref()];
        let series = match &self.series {
            Some(expression) => Some(names.into_iter().flatten().find_map(|name| expression.captures(name))?),
            None => None,
        };
        let title = match &self.title {
            Some(expression) => Some(expression.captures(&event.title)?),
            None => None,
        };
        let mut channel = self.channel.clone();
        // Captures come from `series` where it has all that the channel refers to, else from `title`.
        let captures = if self.series_fills { series.or(title) } else { title.or(series) };
        if let Some(captures) = captures.filter(|_| self.channel.contains('$')) {
            channel = String::new();
            captures.expand(&self.channel, &mut channel);
        }
        Some(channel.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing(rules: &[(&str, &str, &str)]) -> Routing {
        let mut config = Config::default();
        for name in ["Live_PAES", "Live_L2", "Live_Any"] {
            config.channels.push(config::Channel { name: name.to_owned(), ..config::Channel::default() });
        }
        config.sources.push(config::Source { name: "PS-Amphi_D".to_owned(), ..config::Source::default() });
        config.schedule.rules = rules
            .iter()
            .map(|(series, title, channel)| config::Rule {
                series: (*series).to_owned(),
                title: (*title).to_owned(),
                channel: (*channel).to_owned(),
            })
            .collect();
        Routing::new(&config).expect("good rules")
    }

    fn event(series: Option<&str>, id: Option<&str>, title: &str) -> CalendarEvent {
        CalendarEvent {
            series: series.map(str::to_owned),
            series_id: id.map(str::to_owned),
            title: title.to_owned(),
            ..CalendarEvent::default()
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins_on_title_or_identifier() {
        let routing = routing(&[
            (r"^(?<programme>[A-Z0-9]+)_\d{4}_S[12]", "", "Live_$programme"),
            ("^a1b2", "", "Live_Any"),
            ("", "(?i)inaugural", "Live_Any"),
        ]);
        let to = |series, id, title: &str| routing.channel(&event(series, id, title));
        assert_eq!(to(Some("PAES_2016_S2_UE3"), Some("a1b2"), "x"), Ok("Live_PAES".into()));
        assert_eq!(to(Some("L2_2016_S1"), None, "x"), Ok("Live_L2".into()));
        assert_eq!(to(Some("Divers"), Some("a1b2c3"), "x"), Ok("Live_Any".into()), "by its identifier");
        assert_eq!(to(None, Some("PAES_2016_S1"), "x"), Ok("Live_PAES".into()), "no title");
        assert_eq!(to(None, None, "Leçon inaugurale"), Ok("Live_Any".into()), "no series, but a title");
        assert_eq!(to(None, None, "UE3"), Err(Astray::NoSeries));
        let routing = self::routing(&[("^Divers", "^(L2|PAES) ", "Live_$1")]);
        assert_eq!(routing.channel(&event(Some("Divers"), None, "L2 rentrée")), Ok("Live_L2".into()));
        assert_eq!(to(Some("Divers"), None, "UE3"), Err(Astray::NoRule));
        assert_eq!(to(Some("L3_2016_S1"), None, ""), Err(Astray::UnknownChannel("Live_L3".into())));
    }

    #[test]
    fn a_rule_with_both_parts_needs_both() {
        let routing = routing(&[("^PAES", "^UE3", "Live_PAES")]);
        assert!(routing.channel(&event(Some("PAES_2016"), None, "UE3 Biophysique")).is_ok());
        assert_eq!(routing.channel(&event(Some("PAES_2016"), None, "UE1")), Err(Astray::NoRule));
        assert_eq!(routing.channel(&event(None, None, "UE3")), Err(Astray::NoSeries));
    }

    #[test]
    fn a_hall_becomes_a_source_by_the_pattern() {
        let routing = routing(&[]);
        assert_eq!(routing.source("Amphi_D"), Ok("PS-Amphi_D".into()));
        assert_eq!(routing.source("Amphi D"), Ok("PS-Amphi_D".into()), "as people write it");
        assert_eq!(routing.source("Amphi_É"), Err("PS-Amphi__".into()));
        assert_eq!(routing.source(""), Err("PS-".into()));
    }
}
