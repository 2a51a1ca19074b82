//! The whole decision: rules, then the grant in the path, then what the caller shows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::credentials::Credentials;
use super::grant::{Grant, GrantGroup, Grants};
use super::network::Network;
use super::refusal::Refusal;
use super::rules::{Need, Passed, Rules, WayIn};
use super::subject::Subject;

/// After the end of a lecture its viewers go on for so long, to see what is still in their buffers.
const LAST_CELLS: SignedDuration = SignedDuration::from_secs(120);

/// What a request is for, as far as grants go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitStep {
    /// Where players begin: a playlist, a manifest, a page, the address of an RTMP or RTSP stream. A grant is handed out for what
    /// was shown.
    Entry,
    /// What an entry has named.
    Onward,
}

/// A request as [`AccessControl`] judges it.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// What is asked for.
    pub subject: Subject<'a>,
    /// What a grant for it is made for: the subject as it stands in a path behind the grant.
    pub scope: &'a str,
    /// What the caller shows.
    pub shown: Credentials<'a>,
    /// The grant in the path.
    pub grant: Option<&'a str>,
    /// How far the caller is.
    pub step: VisitStep,
    /// The end of the last lecture that the channel has had; `None` for recordings, and before the first one.
    pub lecture_ended: Option<Timestamp>,
    /// The machine's clock.
    pub now: Timestamp,
}

/// How a caller is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Nothing has to be carried on.
    Open,
    /// By the grant in the path, which relative addresses carry on.
    Carried,
    /// By what was shown with this request: a cache must not give the answer to others.
    Shown,
    /// By what was shown: this grant, with its sign, is to stand in what the entry names.
    Granted(String),
}

/// What has been revoked. What was made before still counts as revoked after a restart if the shell keeps this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// Names of keys that open nothing any more.
    pub keys: BTreeSet<String>,
    /// Single grants, with their signs, and when they would have ended by themselves.
    pub grants: BTreeMap<String, Timestamp>,
}

/// Grants that are remembered as revoked; beyond it the one that ends first is forgotten.
const REVOKED_MAX: usize = 10_000;

impl Revocations {
    /// Revokes a grant, and forgets those that have ended.
    pub fn revoke(&mut self, grant: &str, ends: Timestamp, now: Timestamp) {
        self.grants.retain(|_, ends| *ends > now);
        self.grants.insert(grant.to_owned(), ends);
        while self.grants.len() > REVOKED_MAX {
            let first = self.grants.iter().min_by_key(|(_, ends)| **ends).map(|(grant, _)| grant.clone());
            first.and_then(|grant| self.grants.remove(&grant));
        }
    }
}

/// Reads what a caller shows for one key.
pub trait KeyCheck: Send + Sync {
    /// Whether it opens the subject now.
    fn check(&self, subject: Subject<'_>, shown: &Credentials<'_>, now: Timestamp) -> Result<(), Refusal>;
}

/// Rules, networks, keys and grants of a configuration.
pub struct AccessControl {
    /// What is enough.
    pub rules: Rules,
    /// Networks by their names.
    pub networks: BTreeMap<String, Network>,
    /// Keys by their names.
    pub keys: BTreeMap<String, Box<dyn KeyCheck>>,
    /// Makes and checks grants.
    pub grants: Grants,
    /// How long viewers go on at most after the end of their grant.
    pub goes_on: SignedDuration,
}

impl AccessControl {
    /// Lets a caller in, or says why not. [`Refusal::Undecided`] if a hook has to be asked before that can be said.
    pub fn admit(&self, visit: &Visit<'_>, revoked: &Revocations) -> Result<Admission, Refusal> {
        if self.rules.is_open(visit.subject) {
            return Ok(Admission::Open);
        }
        let carried = visit.grant.map(|grant| self.carried(grant, visit, revoked));
        if let Some(Ok(())) = carried {
            return Ok(Admission::Carried);
        }
        let meets = |need: &Need| self.meets(need, visit, revoked);
        match (self.rules.decide(visit.subject, meets), carried) {
            (Ok(Passed::Open), _) => Ok(Admission::Open),
            (Ok(Passed::By(_)), _) if visit.step == VisitStep::Onward => Ok(Admission::Shown),
            (Ok(Passed::By(way)), _) => Ok(Admission::Granted(self.granted(visit, way.group(), revoked))),
            // What is wrong with the grant says more than that nothing else was shown.
            (Err(Refusal::Missing), Some(Err(why))) | (Err(why), _) => Err(why),
        }
    }

    /// Whether every caller may have what is beneath a mount, or this one shows enough for all of it: a list of it says names.
    pub fn admit_to_all(&self, visit: &Visit<'_>, revoked: &Revocations) -> Result<Admission, Refusal> {
        let own = self.admit(visit, revoked)?;
        let beneath = format!("{}/", visit.subject.app());
        for rule in self.rules.0.iter().filter(|rule| rule.pattern.may_cover_beneath(&beneath)) {
            rule.decide(|need| self.meets(need, visit, revoked))?;
        }
        Ok(own)
    }

    /// The grant of this period, or the next one that has not been revoked.
    fn granted(&self, visit: &Visit<'_>, group: GrantGroup, revoked: &Revocations) -> String {
        let mut at = visit.now;
        loop {
            let grant = self.grants.mint(visit.scope, group, at);
            // There are fewer revocations than periods until the end of time.
            match at.checked_add(self.grants.period()) {
                Ok(next) if revoked.grants.contains_key(&grant) => at = next,
                _ => return grant,
            }
        }
    }

    /// Whether the grant in the path is good for this step.
    fn carried(&self, segment: &str, visit: &Visit<'_>, revoked: &Revocations) -> Result<(), Refusal> {
        let grant = self.grants.check(visit.scope, segment)?;
        // The way must still be one, and none of its keys revoked.
        let ways = self.rules.rule(visit.subject).map(|rule| rule.ways.as_slice()).unwrap_or_default();
        let is_revoked = |need: &Need| matches!(need, Need::Key(name) if revoked.keys.contains(name));
        let stands = |way: &WayIn| way.group() == grant.group && !way.needs().iter().any(is_revoked);
        if revoked.grants.contains_key(segment) || !ways.iter().any(stands) {
            return Err(Refusal::Revoked);
        }
        if visit.now <= grant.until || self.goes_on(grant, visit) {
            return Ok(());
        }
        Err(Refusal::Expired)
    }

    /// Whether who plays with a grant that has ended goes on: for no longer than the configuration says, and not beyond the end
    /// of the lecture that was on, or came next, when the grant was made. One that ended in the period of the grant does not count: a
    /// viewer may have come after it, for the next.
    fn goes_on(&self, grant: Grant, visit: &Visit<'_>) -> bool {
        let late = visit.now.duration_since(grant.until);
        let is_over = visit
            .lecture_ended
            .is_some_and(|end| end > grant.made_by && visit.now.duration_since(end) > LAST_CELLS);
        late <= self.goes_on && !is_over
    }

    fn meets(&self, need: &Need, visit: &Visit<'_>, revoked: &Revocations) -> Result<(), Refusal> {
        match need {
            Need::Network(name) => {
                let is_in = self.networks.get(name).is_some_and(|network| network.has(visit.shown.address));
                is_in.then_some(()).ok_or(Refusal::Missing)
            }
            Need::Key(name) => {
                let key = self.keys.get(name).ok_or(Refusal::UnknownKey)?;
                key.check(visit.subject, &visit.shown, visit.now)?;
                if revoked.keys.contains(name) { Err(Refusal::Revoked) } else { Ok(()) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
