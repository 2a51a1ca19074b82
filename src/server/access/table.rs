//! The rules, networks and keys of one configuration, ready to be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tracing::error;
use unicode_normalization::UnicodeNormalization;

use super::hook::{Hook, HookKey};
use super::published::PublishedKeys;
use amphi_access::{
    AccessControl, Credentials, Grants, Key, KeyCheck, Need, Network, PathRule, Pattern, Refusal, Rules,
    Subject, WayIn,
};
use amphi_config::{Access, AccessKey, AccessKeyKind, AccessRule, Config};

/// What players are asked for.
pub(super) struct AccessTable {
    settings: Access,
    trusted: Vec<String>,
    control: AccessControl,
    proxies: Network,
    hooks: BTreeMap<String, Arc<Hook>>,
    published: Vec<PublishedKeys>,
}

/// A key whose tokens are checked here.
struct OwnKey(Arc<Key>);

impl KeyCheck for OwnKey {
    fn check(&self, subject: Subject<'_>, shown: &Credentials<'_>, now: Timestamp) -> Result<(), Refusal> {
        self.0.check(subject, shown, now).map(drop)
    }
}

/// A key that cannot be used opens nothing.
struct BrokenKey;

impl KeyCheck for BrokenKey {
    fn check(&self, _: Subject<'_>, _: &Credentials<'_>, _: Timestamp) -> Result<(), Refusal> {
        Err(Refusal::Unavailable)
    }
}

impl AccessTable {
    /// That of a configuration that has been checked. What is wrong all the same opens nothing, and is logged.
    pub(super) fn new(config: &Config, secret: &[u8]) -> Self {
        let access = &config.access;
        let mut keys: BTreeMap<String, Box<dyn KeyCheck>> = BTreeMap::new();
        let (mut hooks, mut published) = (BTreeMap::new(), Vec::new());
        for key in &access.keys {
            let check: Box<dyn KeyCheck> = if key.kind == AccessKeyKind::Hook {
                match Hook::new(key) {
                    Ok(hook) => {
                        let hook = Arc::new(hook);
                        hooks.insert(key.name.clone(), Arc::clone(&hook));
                        Box::new(HookKey(hook))
                    }
                    Err(why) => broken(key, &why),
                }
            } else {
                match key.key() {
                    Ok(Some(made)) => {
                        let made = Arc::new(made);
                        if !key.jwks_url.is_empty() {
                            published.extend(PublishedKeys::new(key, Arc::clone(&made)));
                        }
                        Box::new(OwnKey(made))
                    }
                    Ok(None) => Box::new(BrokenKey),
                    Err(why) => broken(key, &why),
                }
            };
            keys.insert(key.name.clone(), check);
        }
        let networks = access.networks.iter().map(|it| (it.name.clone(), network(&it.cidr)));
        let control = AccessControl {
            rules: Rules(access.rules.iter().map(rule).collect()),
            networks: networks.collect(),
            keys,
            grants: Grants::new(secret, access.grant_s),
            goes_on: SignedDuration::from_secs(access.goes_on_s.into()),
        };
        let trusted = config.server.trusted_proxies.clone();
        Self { settings: access.clone(), proxies: network(&trusted), trusted, control, hooks, published }
    }

    /// Whether it is the one of that configuration.
    pub(super) fn is_of(&self, config: &Config) -> bool {
        self.settings == config.access && self.trusted == config.server.trusted_proxies
    }

    /// Whether there is no rule at all.
    pub(super) const fn is_open_to_all(&self) -> bool {
        self.settings.rules.is_empty()
    }

    pub(super) const fn control(&self) -> &AccessControl {
        &self.control
    }

    pub(super) const fn proxies(&self) -> &Network {
        &self.proxies
    }

    /// The hooks that decide about a name.
    pub(super) fn hooks_of(&self, subject: Subject<'_>) -> impl Iterator<Item = &Arc<Hook>> {
        let ways = self.control.rules.rule(subject).map(|rule| rule.ways.as_slice()).unwrap_or_default();
        ways.iter().flat_map(|way| &way.0).filter_map(|need| match need {
            Need::Key(name) => self.hooks.get(name),
            Need::Network(_) => None,
        })
    }

    /// Fetches published keys whenever it is time; never ends.
    pub(super) async fn fetch(&self) {
        futures_util::future::join_all(self.published.iter().map(PublishedKeys::keep_fresh)).await;
        std::future::pending::<()>().await;
    }
}

fn broken(key: &AccessKey, why: &dyn std::fmt::Display) -> Box<dyn KeyCheck> {
    error!(key = key.name, "the access key cannot be used, and opens nothing: {why}");
    Box::new(BrokenKey)
}

fn network(blocks: &[String]) -> Network {
    Network::new(blocks.iter().map(String::as_str)).unwrap_or_else(|why| {
        error!("a network cannot be used, and has no addresses: {why}");
        Network::default()
    })
}

/// A way that cannot be read is none: it opens nothing.
fn rule(rule: &AccessRule) -> PathRule {
    let ways = rule.allow.iter().filter_map(|text| WayIn::parse(text).ok());
    // Names of files are in normalization form C (Unicode Standard Annex 15).
    let path: String = rule.path.nfc().collect();
    PathRule { pattern: Pattern::new(&path), ways: ways.collect() }
}
