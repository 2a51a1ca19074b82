//! `[access]`: who may watch.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// `[access]`: networks, keys and the rules that name them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// The period of grants: what was opened by right may be opened again for one to two periods without showing it again.
    pub grant_s: u32,
    /// How long a viewer who plays goes on at most after the grant has ended.
    pub goes_on_s: u32,
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

/// The hash of Wowza's SecureToken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecureTokenHash {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
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
    /// A file of secrets, a line each; a line may say `from` and `until` when.
    pub secrets_file: PathBuf,
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
    /// JWT and hook: a PEM file of the certificate authorities to trust for `jwks_url` and `url`; empty = those that browsers trust.
    pub ca_file: PathBuf,
}

impl Default for AccessKey {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: AccessKeyKind::default(),
            secrets: Vec::new(),
            secrets_file: PathBuf::new(),
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

/// `[[access.rule]]`: what is enough for some channels, mounts or recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessRule {
    /// A channel, a mount, or what is beneath it; `*` stands for any characters.
    pub path: String,
    /// One of these is enough: `public`, `network:NAME`, `key:NAME`, or several joined by ` + `.
    pub allow: Vec<String>,
}
