//! Who callers are, and what they may do.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::person::Person;
use amphi_config::Secret;
use amphi_control::audit::{Action, Entry};
use amphi_media::MediaTime;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May read everything and change nothing.
    Viewer,
    /// May read and change everything.
    Operator,
}

/// The tokens that callers show. An empty one is not set.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// The operator's token. If it is not set and people cannot sign in, no token is asked for, and the port is bound to
    /// loopback only.
    pub operator: Secret,
    /// The token of those who may only read.
    pub viewer: Secret,
}

impl Tokens {
    /// Whether there is an operator's token.
    pub(super) fn are_set(&self) -> bool {
        !self.operator.is_empty()
    }

    /// The role of a caller with this token. The comparison takes constant time; it reveals the tokens' lengths at most.
    pub(super) fn role_of(&self, shown: &[u8]) -> Option<Role> {
        let is = |token: &Secret| !token.is_empty() & bool::from(shown.ct_eq(token.reveal().as_bytes()));
        let (operator, viewer) = (is(&self.operator), is(&self.viewer));
        if operator { Some(Role::Operator) } else { viewer.then_some(Role::Viewer) }
    }
}

/// How a caller has authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Proof {
    /// By a bearer token (RFC 6750).
    Token,
    /// By a session's cookie.
    Session,
    /// By a trusted reverse proxy, which names the person.
    Proxy,
    /// Not at all: the port is bound to loopback and asks for no token.
    Loopback,
}

/// The caller. It is in the extensions of every request that has passed the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) role: Role,
    pub(super) proof: Proof,
    /// When its session ends, if it has one.
    pub(super) until: Option<MediaTime>,
    pub(super) address: Option<IpAddr>,
    /// Who it is, if a person has signed in.
    pub(super) person: Option<Arc<Person>>,
}

impl Caller {
    /// The value of `who` in the audit log.
    pub(super) fn name(&self) -> String {
        let kind = match (self.proof, self.role) {
            (Proof::Loopback, _) => "local",
            (_, Role::Operator) => "operator",
            (_, Role::Viewer) => "viewer",
        };
        match &self.person {
            Some(person) => format!("{kind}:{}", person.name),
            None => kind.to_owned(),
        }
    }

    /// An entry of the audit log about an act of this caller.
    pub(super) fn does(&self, what: Action, now: MediaTime) -> Entry {
        let subject = self.person.as_ref().map(|person| person.subject.clone());
        let entry = Entry::new(now, self.name(), what).subject(subject);
        entry.address(self.address.map(|address| address.to_string()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    /// A request that has not passed the guard has the role of a viewer.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let nobody =
            Self { role: Role::Viewer, proof: Proof::Loopback, until: None, address: None, person: None };
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(nobody))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_its_role_and_an_empty_one_gives_none() {
        let tokens = Tokens { operator: Secret::new("chalk"), viewer: Secret::new("sponge") };
        assert_eq!(tokens.role_of(b"chalk"), Some(Role::Operator));
        assert_eq!(tokens.role_of(b"sponge"), Some(Role::Viewer));
        for wrong in ["", "chal", "chalkk", "Chalk", "chalksponge"] {
            assert_eq!(tokens.role_of(wrong.as_bytes()), None, "{wrong}");
        }
        let tokens = Tokens { operator: Secret::new("chalk"), viewer: Secret::default() };
        assert_eq!(tokens.role_of(b""), None);
        assert!(tokens.are_set() && !Tokens::default().are_set());
    }
}
