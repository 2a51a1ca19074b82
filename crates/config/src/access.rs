//! `[access]`: who may watch.

use std::path::PathBuf;

use amphi_access::key::hmac::{self, HmacSettings};
use amphi_access::key::jwt::{JwtProof, JwtSettings, KeySetFault, PublicKeys};
use amphi_access::key::opencast::OpencastSettings;
pub use amphi_access::key::wowza::SecureTokenHash;
use amphi_access::key::wowza::WowzaSettings;
use amphi_access::key::{KeyFault, KeySettings, KindSettings};
use amphi_access::secrets::{Secrets, SharedSecret};
use amphi_access::{Key, Pattern, Subject};
use serde::{Deserialize, Serialize};

use super::{Config, Secret};

/// `[access]`: networks, keys and the rules that name them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// The period of grants: what was opened by right may be opened again for one to two periods without showing it again.
    pub grant_s: u32,
    /// How long a viewer who plays goes on at most after the grant has ended.
    pub goes_on_s: u32,
    /// Whether lists (the page `/`, `now.json`) say the names and titles of what is not open to everybody.
    pub list_all: bool,
    /// What grants are signed with; caches in front and a second server need the same. Empty = one that is made at the first
    /// start and kept in `state_dir`.
    pub grant_secret: Secret,
    /// A file whose first line is `grant_secret`.
    pub grant_secret_file: PathBuf,
    /// Addresses that a rule may name.
    #[serde(rename = "network")]
    pub networks: Vec<AccessNetwork>,
    /// Keys that a rule may name.
    #[serde(rename = "key")]
    pub keys: Vec<AccessKey>,
    /// For each channel or mount what is enough; the first that covers it decides.
    #[serde(rename = "rule")]
    pub rules: Vec<AccessRule>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            grant_s: 300,
            goes_on_s: 43_200,
            list_all: false,
            grant_secret: Secret::default(),
            grant_secret_file: PathBuf::new(),
            networks: Vec::new(),
            keys: Vec::new(),
            rules: Vec::new(),
        }
    }
}

/// `[[access.network]]`: addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessNetwork {
    /// The name by which rules refer to it.
    pub name: String,
    /// Blocks of addresses (RFC 4632 §3.1, RFC 4291 §2.3).
    pub cidr: Vec<String>,
}

/// Whose tokens a key reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessKeyKind {
    /// Our own: `amphi sign`.
    #[default]
    Hmac,
    /// Wowza's SecureToken, version 2.
    Wowza,
    /// Opencast's signed URLs.
    Opencast,
    /// JSON Web Tokens (RFC 7519).
    Jwt,
    /// A server of the site's own is asked.
    Hook,
}

/// `[[access.key]]`: one kind of token. Every field but the name belongs to the kinds that it names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessKey {
    /// The name by which rules refer to it.
    pub name: String,
    /// Whose tokens it reads.
    pub kind: AccessKeyKind,
    /// All but hook: the secrets that tokens are signed with; several, while one replaces another. Of JWT those of HS256, or public keys (PEM).
    pub secrets: Vec<Secret>,
    /// A file of secrets, a line each, as [`Secrets`] reads them; for JWT also one of a public key (PEM) or a key set (RFC 7517).
    pub secrets_file: PathBuf,
    /// The text of that file; [`Config::load`](super::Config::load) reads it.
    #[serde(skip_deserializing)]
    pub secrets_text: Secret,
    /// Wowza: how the names of its parameters begin.
    pub prefix: String,
    /// Wowza: the hash.
    pub hash: SecureTokenHash,
    /// Wowza: whether the viewer's address is hashed, too.
    pub ip: bool,
    /// Opencast: the key's identifier in its URLs.
    pub key_id: String,
    /// Opencast: whether scheme, host and port of the signed URL count.
    pub strict: bool,
    /// JWT: where the public keys are (RFC 7517).
    pub jwks_url: String,
    /// JWT: the issuer that a token must name; empty = any.
    pub issuer: String,
    /// JWT: the audience that a token must name; empty = any.
    pub audience: String,
    /// JWT: whether a token that names nothing opens all that a rule gives for this key.
    pub opens_all: bool,
    /// Hook: who is asked, `http://` or `https://`.
    pub url: Secret,
    /// Hook: how long an answer may take.
    pub timeout_ms: u32,
    /// Hook: how long an answer is remembered.
    pub cache_s: u32,
    /// Hook: whether viewers are let in while nobody answers.
    pub open_when_down: bool,
    /// JWT and hook: a PEM file of the certificate authorities to trust for `jwks_url` and `url`; empty = those of the system.
    pub ca_file: PathBuf,
}

impl Default for AccessKey {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: AccessKeyKind::default(),
            secrets: Vec::new(),
            secrets_file: PathBuf::new(),
            secrets_text: Secret::default(),
            prefix: "wowzatoken".to_owned(),
            hash: SecureTokenHash::default(),
            ip: false,
            key_id: String::new(),
            strict: false,
            jwks_url: String::new(),
            issuer: String::new(),
            audience: String::new(),
            opens_all: false,
            url: Secret::default(),
            timeout_ms: 2000,
            cache_s: 60,
            open_when_down: false,
            ca_file: PathBuf::new(),
        }
    }
}

/// Why a key's settings make no key. No secret is in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessKeyFault {
    /// A fault of its secrets or names.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A public key, or a set of them, that cannot be read.
    #[error(transparent)]
    KeySet(#[from] KeySetFault),
}

impl AccessKey {
    /// The key; `None` of a hook, which nobody can check here. A secret in a file that has not been read is one that there is not.
    pub fn key(&self) -> Result<Option<Key>, AccessKeyFault> {
        let kind = match self.kind {
            AccessKeyKind::Hook => return Ok(None),
            AccessKeyKind::Hmac => KindSettings::Hmac(HmacSettings {
                secrets: self.shared_secrets()?,
                parameter: hmac::PARAMETER.to_owned(),
            }),
            AccessKeyKind::Wowza => KindSettings::Wowza(WowzaSettings {
                secrets: self.shared_secrets()?,
                prefix: self.prefix.clone(),
                hash: self.hash,
                with_address: self.ip,
            }),
            AccessKeyKind::Opencast => KindSettings::Opencast(OpencastSettings {
                key_id: self.key_id.clone(),
                secrets: self.shared_secrets()?,
                strict: self.strict,
            }),
            AccessKeyKind::Jwt => KindSettings::Jwt(JwtSettings {
                proof: self.proof()?,
                issuers: Some(self.issuer.clone()).filter(|it| !it.is_empty()).into_iter().collect(),
                audiences: Some(self.audience.clone()).filter(|it| !it.is_empty()).into_iter().collect(),
                parameters: vec!["jwt".to_owned(), "token".to_owned()],
                cookie: Some("jwt".to_owned()),
                any_claims: self.opens_all,
            }),
        };
        Ok(Some(Key::new(KeySettings { name: self.name.clone(), kind })?))
    }

    fn shared_secrets(&self) -> Result<Secrets, KeyFault> {
        if !self.secrets_text.is_empty() {
            return Ok(Secrets::read(self.secrets_text.reveal())?);
        }
        let one = |secret: &Secret| SharedSecret::new(secret.reveal(), None, None);
        Ok(Secrets::new(self.secrets.iter().map(one).collect::<Result<_, _>>()?)?)
    }

    /// With what tokens are checked: published keys, public keys, or secrets.
    fn proof(&self) -> Result<JwtProof, AccessKeyFault> {
        if !self.jwks_url.is_empty() {
            return Ok(JwtProof::Fetched);
        }
        let text = match self.secrets.as_slice() {
            [] => self.secrets_text.reveal(),
            [one] => one.reveal(),
            _ => "",
        };
        Ok(if text.trim_start().starts_with("-----BEGIN") {
            JwtProof::Keys(PublicKeys::from_pem(text)?)
        } else if text.trim_start().starts_with('{') {
            JwtProof::Keys(PublicKeys::from_jwks(text)?)
        } else {
            JwtProof::Secrets(self.shared_secrets()?)
        })
    }
}

impl Access {
    /// Whether everybody may watch what has this name: a channel, a mount, or what is beneath one.
    pub fn is_open(&self, name: &str) -> bool {
        let rule = self.rules.iter().find(|rule| Pattern::new(&rule.path).covers(Subject(name)));
        rule.is_none_or(AccessRule::is_public)
    }
}

impl AccessRule {
    fn is_public(&self) -> bool {
        self.allow.iter().any(|way| way.trim() == "public")
    }
}

impl Config {
    /// Which channels and mounts everybody may watch, and of which mounts a part, in a line for people.
    pub fn openness(&self) -> String {
        let rules = &self.access.rules;
        if rules.is_empty() {
            return "access: there is no rule: everybody may watch everything".to_owned();
        }
        let is_open = |name: &str| self.access.is_open(name);
        let mut said: Vec<String> = Vec::new();
        said.extend(self.channels.iter().filter(|it| is_open(&it.name)).map(|it| it.name.clone()));
        for mount in &self.vods {
            let beneath = format!("{}/", mount.name);
            let open = is_open(&mount.name);
            let others = |rule: &&AccessRule| {
                let pattern = Pattern::new(&rule.path);
                pattern.as_str() != mount.name
                    && pattern.may_cover_beneath(&beneath)
                    && rule.is_public() != open
            };
            let others: Vec<&str> = rules.iter().filter(others).map(|rule| rule.path.as_str()).collect();
            match (open, others.join(", ")) {
                (true, others) if others.is_empty() => said.push(mount.name.clone()),
                (true, others) => said.push(format!("{} but for {others}", mount.name)),
                (false, others) if others.is_empty() => {}
                (false, others) => said.push(format!("of {} only {others}", mount.name)),
            }
        }
        let list = if said.is_empty() { "nothing".to_owned() } else { said.join("; ") };
        format!("access: open to everybody is {list}")
    }
}

/// `[[access.rule]]`: what is enough for some channels, mounts or recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessRule {
    /// A channel, a mount, or what is beneath it; `*` stands for any characters.
    pub path: String,
    /// One of these is enough: `public`, `network:NAME`, `key:NAME`, or several joined by ` + `.
    pub allow: Vec<String>,
}
