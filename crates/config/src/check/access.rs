//! `[access]`.

use amphi_access::{Need, Network, Pattern, Subject, WayIn};

use super::super::suggest::hint;
use super::super::{AccessKey, AccessKeyKind, AccessRule, Config};
use super::names::{Names, subject};
use super::server::is_http;
use super::{Checker, Place, quoted};

/// The periods that grants may have, in seconds: shorter ones are different for each viewer, longer ones are of use to others.
const PERIOD_S: std::ops::RangeInclusive<u32> = 10..=3600;

/// Bytes that a secret of grants has at least: who has one grant could try secrets at leisure.
pub(super) const SECRET_BYTES_MIN: usize = 16;

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    let access = &config.access;
    let table = Place::top("access");
    if !PERIOD_S.contains(&access.grant_s) {
        let (from, to) = PERIOD_S.into_inner();
        let message = format!("access: grant_s: {} is not between {from} and {to}", access.grant_s);
        checker.fault(&table.key("grant_s"), message);
    }
    if access.goes_on_s < access.grant_s {
        let message = format!("access: goes_on_s: {} is less than grant_s", access.goes_on_s);
        checker.fault(&table.key("goes_on_s"), message);
    }
    let has_file = !access.grant_secret_file.as_os_str().is_empty();
    if !access.grant_secret.is_empty() && has_file {
        let message = "access: give grant_secret or grant_secret_file, not both";
        checker.fault(&table.key("grant_secret_file"), message);
    }
    let secret = access.grant_secret.reveal();
    if !secret.is_empty() && (secret.len() < SECRET_BYTES_MIN || secret.starts_with("change-me")) {
        let message = format!(
            "access: grant_secret: it is found by trying, if it is not at least {SECRET_BYTES_MIN} bytes by chance: openssl rand -hex 32"
        );
        checker.fault(&table.key("grant_secret"), message);
    }
    let mut names = Names::of("network");
    for (index, network) in access.networks.iter().enumerate() {
        let place = table.key("network").item(index);
        names.check(checker, &place.key("name"), &network.name);
        let subject = subject("network", &network.name, index);
        blocks(checker, &place.key("cidr"), &subject, network.cidr.iter().map(String::as_str));
        if network.cidr.is_empty() {
            checker.fault(&place, format!("{subject}: cidr: no addresses"));
        }
    }
    let mut names = Names::of("key");
    for (index, key) in access.keys.iter().enumerate() {
        let place = table.key("key").item(index);
        names.check(checker, &place.key("name"), &key.name);
        one_key(checker, &place, &subject("key", &key.name, index), key);
    }
    rules(checker, config);
}

fn blocks<'a>(
    checker: &mut Checker<'_>,
    place: &Place,
    subject: &str,
    blocks: impl Iterator<Item = &'a str>,
) {
    for (index, block) in blocks.enumerate() {
        if let Err(error) = Network::new([block]) {
            checker.fault(&place.item(index), format!("{subject}: {error}"));
        }
    }
}

/// What a key of each kind needs, and what is of no use to it.
fn one_key(checker: &mut Checker<'_>, place: &Place, subject: &str, key: &AccessKey) {
    let default = AccessKey::default();
    let kind = key.kind;
    let has_file = !key.secrets_file.as_os_str().is_empty();
    let needs_secret = match kind {
        AccessKeyKind::Hook => false,
        AccessKeyKind::Jwt => key.jwks_url.is_empty(),
        _ => true,
    };
    if needs_secret && key.secrets.is_empty() && !has_file {
        let or = if kind == AccessKeyKind::Jwt {
            "secrets, secrets_file or jwks_url"
        } else {
            "secrets or secrets_file"
        };
        checker.fault(&place.key("secrets"), format!("{subject}: it has no secret: give {or}"));
    }
    if !key.secrets.is_empty() && has_file {
        checker
            .fault(&place.key("secrets_file"), format!("{subject}: give secrets or secrets_file, not both"));
    }
    for (name, url, is_of_kind) in [
        ("jwks_url", key.jwks_url.as_str(), kind == AccessKeyKind::Jwt),
        ("url", key.url.reveal(), kind == AccessKeyKind::Hook),
    ] {
        let is_needed = is_of_kind && name == "url";
        if (is_needed || !url.is_empty()) && !is_http(url) {
            checker.fault(&place.key(name), format!("{subject}: {name} is not an http:// or https:// URL"));
        }
    }
    let is_unclear = checker.document.is_spoiled(place) || has_file || needs_secret && key.secrets.is_empty();
    if !is_unclear && let Err(error) = key.key() {
        checker.fault(place, format!("{subject}: {error}"));
    }
    let of = |kinds: &[AccessKeyKind]| kinds.contains(&kind);
    for (name, is_set, is_of_kind) in [
        ("secrets", !key.secrets.is_empty(), kind != AccessKeyKind::Hook),
        ("secrets_file", has_file, kind != AccessKeyKind::Hook),
        ("prefix", key.prefix != default.prefix, of(&[AccessKeyKind::Wowza])),
        ("hash", key.hash != default.hash, of(&[AccessKeyKind::Wowza])),
        ("ip", key.ip, of(&[AccessKeyKind::Wowza])),
        ("key_id", !key.key_id.is_empty(), of(&[AccessKeyKind::Opencast])),
        ("strict", key.strict, of(&[AccessKeyKind::Opencast])),
        ("jwks_url", !key.jwks_url.is_empty(), of(&[AccessKeyKind::Jwt])),
        ("issuer", !key.issuer.is_empty(), of(&[AccessKeyKind::Jwt])),
        ("audience", !key.audience.is_empty(), of(&[AccessKeyKind::Jwt])),
        ("opens_all", key.opens_all, of(&[AccessKeyKind::Jwt])),
        ("url", !key.url.is_empty(), of(&[AccessKeyKind::Hook])),
        ("timeout_ms", key.timeout_ms != default.timeout_ms, of(&[AccessKeyKind::Hook])),
        ("cache_s", key.cache_s != default.cache_s, of(&[AccessKeyKind::Hook])),
        ("open_when_down", key.open_when_down, of(&[AccessKeyKind::Hook])),
        ("ca_file", key.ca_file != default.ca_file, of(&[AccessKeyKind::Jwt, AccessKeyKind::Hook])),
    ] {
        if is_set && !is_of_kind {
            let kind = format!("{kind:?}").to_lowercase();
            checker.fault(
                &place.key(name),
                format!("{subject}: {name} means nothing to a key of kind {kind:?}"),
            );
        }
    }
}

fn rules(checker: &mut Checker<'_>, config: &Config) {
    let access = &config.access;
    for (index, rule) in access.rules.iter().enumerate() {
        let place = Place::top("access").key("rule").item(index);
        let subject = format!("access rule number {}", index + 1);
        if rule.path.trim_matches('/').is_empty() {
            checker.fault(&place.key("path"), format!("{subject}: path: empty; \"*\" is everything"));
            continue;
        }
        let ways: Vec<WayIn> = (0..)
            .zip(&rule.allow)
            .filter_map(|(at, text)| one_way(checker, &place, &subject, (at, text), config))
            .collect();
        if rule.allow.is_empty() {
            checker.warning(&place, format!("{subject}: allow is empty: nobody may watch {:?}", rule.path));
        }
        if ways.len() > 1 && ways.iter().any(WayIn::is_open) {
            checker.warning(
                &place.key("allow"),
                format!("{subject}: \"public\" makes all else in allow meaningless"),
            );
        }
        if let Some((app, _)) = rule.path.trim_matches('/').split_once('/')
            && config.channels.iter().any(|channel| channel.name == app)
        {
            let message = format!("{subject}: path: a channel has no parts: {app:?} is all of it");
            checker.fault(&place.key("path"), message);
        }
        let before = access.rules.iter().take(index).position(|other| shadows(other, rule));
        if let Some(other) = before {
            let message =
                format!("{subject}: rule number {} comes first and covers all of {:?}", other + 1, rule.path);
            checker.warning(&place.key("path"), message);
        }
        let app = rule.path.trim_matches('/').split('/').next().unwrap_or_default();
        let names =
            || config.channels.iter().map(|it| &*it.name).chain(config.vods.iter().map(|it| &*it.name));
        let pattern = Pattern::new(app);
        if !names().any(|name| pattern.covers(Subject(name))) && !checker.document.is_nameless("channel") {
            let message =
                format!("{subject}: no channel and no mount is called {}{}", quoted(app), hint(app, names()));
            checker.warning(&place.key("path"), message);
        }
    }
}

/// Whether nothing is left to `later` by `first`. Two patterns with stars are not compared.
fn shadows(first: &AccessRule, later: &AccessRule) -> bool {
    let covers =
        !later.path.contains('*') && Pattern::new(&first.path).covers(Subject(later.path.trim_matches('/')));
    covers || first.path.trim_matches('/') == later.path.trim_matches('/') || first.path == "*"
}

fn one_way(
    checker: &mut Checker<'_>,
    place: &Place,
    subject: &str,
    (at, text): (usize, &str),
    config: &Config,
) -> Option<WayIn> {
    let place = place.key("allow").item(at);
    let way = match WayIn::parse(text) {
        Ok(way) => way,
        Err(error) => {
            checker.fault(&place, format!("{subject}: allow: {error}"));
            return None;
        }
    };
    for need in way.needs() {
        let (kind, name, known): (_, _, Vec<&str>) = match need {
            Need::Network(name) => {
                ("network", name, config.access.networks.iter().map(|it| &*it.name).collect())
            }
            Need::Key(name) => ("key", name, config.access.keys.iter().map(|it| &*it.name).collect()),
        };
        if !known.contains(&name.as_str()) {
            let message =
                format!("{subject}: allow: there is no {kind} {}{}", quoted(name), hint(name, known));
            checker.fault(&place, message);
        }
    }
    Some(way)
}
