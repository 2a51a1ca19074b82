//! What is enough to get in, for each name: the rules of the configuration.

use core::fmt;

use super::grant::GrantGroup;
use super::refusal::Refusal;
use super::subject::{Pattern, Subject};

/// What a rule asks for, one of several ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The viewer's address is in that network.
    Network(String),
    /// That key is shown.
    Key(String),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(name) => write!(f, "network:{name}"),
            Self::Key(name) => write!(f, "key:{name}"),
        }
    }
}

/// One way to get in: all of these needs. Without any it is open to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayIn {
    needs: Vec<Need>,
    /// In the grants of those who came by it.
    group: GrantGroup,
}

/// A way that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} says no way to get in; it is \"public\", \"network:NAME\", \"key:NAME\", or several of these joined by \" + \""
)]
pub struct WayInError(pub String);

impl WayIn {
    /// Reads `public`, `network:<name>`, `key:<name>`, or several joined by `+`.
    pub fn parse(text: &str) -> Result<Self, WayInError> {
        let fault = || WayInError(text.to_owned());
        if text.trim() == "public" {
            return Ok(Self::new(Vec::new()));
        }
        let need = |part: &str| {
            let (kind, name) = part.trim().split_once(':')?;
            let name = name.trim().to_owned();
            match kind {
                "network" if !name.is_empty() => Some(Need::Network(name)),
                "key" if !name.is_empty() => Some(Need::Key(name)),
                _ => None,
            }
        };
        text.split('+').map(need).collect::<Option<_>>().map(Self::new).ok_or_else(fault)
    }

    /// The way of those who meet all of these needs.
    pub fn new(needs: Vec<Need>) -> Self {
        let names: Vec<String> = needs.iter().map(ToString::to_string).collect();
        Self { group: GrantGroup::of(&names.join(" + ")), needs }
    }

    /// What has to be met.
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// Whether it is everybody's.
    pub fn is_open(&self) -> bool {
        self.needs.is_empty()
    }

    /// The group that stands in the grants of those who came by it.
    pub const fn group(&self) -> GrantGroup {
        self.group
    }
}

/// A rule: for what it is, and the ways to get in, one of which is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// The names that it covers.
    pub pattern: Pattern,
    /// The ways; without any nobody gets in.
    pub ways: Vec<WayIn>,
}

impl PathRule {
    /// Whether everybody may have what it covers.
    pub fn is_open(&self) -> bool {
        self.ways.iter().any(WayIn::is_open)
    }

    /// Goes through the ways; `meets` says whether the caller meets a need. Of several refusals the most telling one is given.
    pub fn decide(&self, mut meets: impl FnMut(&Need) -> Result<(), Refusal>) -> Result<Passed<'_>, Refusal> {
        if self.is_open() {
            return Ok(Passed::Open);
        }
        let mut refusal = Refusal::Missing;
        for way in &self.ways {
            match way.needs.iter().try_for_each(&mut meets) {
                Ok(()) => return Ok(Passed::By(way)),
                Err(why) => refusal = refusal.max(why),
            }
        }
        Err(refusal)
    }
}

/// The rules, in the order of the configuration. The first one that covers a name decides; a name that none covers is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<PathRule>);

/// How a caller gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed<'a> {
    /// Everybody does.
    Open,
    /// By that way.
    By(&'a WayIn),
}

impl Rules {
    /// The rule that decides about a name.
    pub fn rule(&self, subject: Subject<'_>) -> Option<&PathRule> {
        self.0.iter().find(|rule| rule.pattern.covers(subject))
    }

    /// Whether everybody may have that.
    pub fn is_open(&self, subject: Subject<'_>) -> bool {
        self.rule(subject).is_none_or(PathRule::is_open)
    }

    /// Decides by the rule that covers a name, see [`PathRule::decide`].
    pub fn decide(
        &self,
        subject: Subject<'_>,
        meets: impl FnMut(&Need) -> Result<(), Refusal>,
    ) -> Result<Passed<'_>, Refusal> {
        self.rule(subject).map_or(Ok(Passed::Open), |rule| rule.decide(meets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(all: &[(&str, &[&str])]) -> Rules {
        let rule = |(pattern, ways): &(&str, &[&str])| PathRule {
            pattern: Pattern::new(pattern),
            ways: ways.iter().map(|way| WayIn::parse(way).expect("a way")).collect(),
        };
        Rules(all.iter().map(rule).collect())
    }

    /// Decides for a caller who has these needs met.
    fn ask<'a>(rules: &'a Rules, subject: &str, met: &[Need]) -> Result<Passed<'a>, Refusal> {
        rules.decide(
            Subject(subject),
            |need| if met.contains(need) { Ok(()) } else { Err(Refusal::Signature) },
        )
    }

    #[test]
    fn one_way_is_enough_and_all_of_it_is_needed() {
        let rules = rules(&[
            ("Live_OPEN", &["public"]),
            ("Live_*", &["network:campus", "network:clinic + key:moodle"]),
            ("secret", &[]),
        ]);
        let [campus, clinic] = ["campus", "clinic"].map(|name| Need::Network(name.to_owned()));
        let moodle = Need::Key("moodle".to_owned());
        assert_eq!(ask(&rules, "Live_OPEN", &[]), Ok(Passed::Open));
        assert_eq!(ask(&rules, "vod/a.mp4", &[]), Ok(Passed::Open));
        assert_eq!(ask(&rules, "Live_PAES", &[]), Err(Refusal::Signature));
        let ways = &rules.0[1].ways;
        assert_eq!(ask(&rules, "Live_PAES", std::slice::from_ref(&campus)), Ok(Passed::By(&ways[0])));
        assert_eq!(ask(&rules, "Live_PAES", std::slice::from_ref(&clinic)), Err(Refusal::Signature));
        assert_eq!(ask(&rules, "Live_PAES", std::slice::from_ref(&moodle)), Err(Refusal::Signature));
        assert_eq!(ask(&rules, "Live_PAES", &[clinic, moodle.clone()]), Ok(Passed::By(&ways[1])));
        assert_eq!(ask(&rules, "secret", &[campus, moodle]), Err(Refusal::Missing));
    }

    #[test]
    fn ways_as_they_are_written() {
        assert_eq!(WayIn::parse(" public "), Ok(WayIn::new(Vec::new())));
        assert_eq!(WayIn::parse("key:a+network:b").map(|way| way.needs().len()), Ok(2));
        for wrong in ["", "moodle", "key:", "public + key:a", "key:a +", "Key:a"] {
            assert_eq!(WayIn::parse(wrong), Err(WayInError(wrong.to_owned())), "{wrong}");
        }
    }
}
