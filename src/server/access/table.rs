//! The rules, networks and keys of one configuration, ready to be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tracing::error;
use unicode_normalization::UnicodeNormalization;

use super::hook::{Hook, HookKey};
use super::published::{PublishedKey, PublishedKeys};
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
    published: Vec<Arc<PublishedKeys>>,
}

/// A key whose tokens are checked here.
struct OwnKey(Key);

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
    /// That of a configuration that has been checked. What is wrong all the same opens nothing, and is logged. `secret` is that of
    /// grants where the configuration has none; keys that are as they were in the table `before` keep what they know.
    pub(super) fn new(config: &Config, secret: &[u8], before: Option<&Self>) -> Self {
        let access = &config.access;
        let kept = |key: &AccessKey| before.filter(|before| before.settings.keys.contains(key));
        let mut keys: BTreeMap<String, Box<dyn KeyCheck>> = BTreeMap::new();
        let (mut hooks, mut published) = (BTreeMap::new(), Vec::new());
        for key in &access.keys {
            let check: Box<dyn KeyCheck> = if key.kind == AccessKeyKind::Hook {
                let known = kept(key).and_then(|before| before.hooks.get(&key.name)).cloned();
                match known.map_or_else(|| Hook::new(key).map(Arc::new), Ok) {
                    Ok(hook) => {
                        hooks.insert(key.name.clone(), Arc::clone(&hook));
                        Box::new(HookKey(hook))
                    }
                    Err(why) => broken(key, &why),
                }
            } else if let Some(known) = kept(key).and_then(|before| before.published_of(&key.name)) {
                published.push(Arc::clone(known));
                Box::new(PublishedKey(Arc::clone(known)))
            } else {
                match key.key() {
                    Ok(Some(made)) if !key.jwks_url.is_empty() => match PublishedKeys::new(key, made) {
                        Ok(made) => {
                            let made = Arc::new(made);
                            published.push(Arc::clone(&made));
                            Box::new(PublishedKey(made))
                        }
                        Err(why) => broken(key, &why),
                    },
                    Ok(Some(made)) => Box::new(OwnKey(made)),
                    Ok(None) => Box::new(BrokenKey),
                    Err(why) => broken(key, &why),
                }
            };
            keys.insert(key.name.clone(), check);
        }
        let configured = access.grant_secret.reveal().as_bytes();
        let secret = if configured.is_empty() { secret } else { configured };
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

    fn published_of(&self, key: &str) -> Option<&Arc<PublishedKeys>> {
        self.published.iter().find(|published| published.name() == key)
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
        ways.iter().flat_map(WayIn::needs).filter_map(|need| match need {
            Need::Key(name) => self.hooks.get(name),
            Need::Network(_) => None,
        })
    }

    /// Fetches published keys whenever it is time; never ends.
    pub(super) async fn fetch(&self) {
        futures_util::future::join_all(self.published.iter().map(|published| published.keep_fresh())).await;
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
