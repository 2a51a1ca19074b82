//! People whom a reverse proxy has signed in (Shibboleth, CAS) and names in a header.
//!
//! The header is believed only of the addresses in `server.trusted_proxies`; of any other it is ignored, and that is logged
//! once. Everybody who is named so is as if with a session's cookie: only pages of this port may change something.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amphi_access::Network;
use http::{HeaderMap, HeaderName};

use super::access::Role;
use super::person::Person;
use amphi_config::Config;

/// What the headers of a request say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Nobody, or nobody whose word counts says so.
    Nobody,
    /// A person who may do something.
    Known(Role, Arc<Person>),
    /// A person who may do nothing, or whose headers cannot be read.
    Stranger,
}

/// Who is believed, and what the named people may do.
#[derive(Debug)]
pub(super) struct RemoteUsers {
    proxies: Network,
    user: HeaderName,
    groups: Option<HeaderName>,
    operator: Vec<String>,
    viewer: Vec<String>,
    warned: AtomicBool,
}

impl RemoteUsers {
    /// `None` if it is off.
    pub(super) fn new(config: &Config) -> Option<Self> {
        let admin = &config.admin;
        let header = |name: &str| HeaderName::from_bytes(name.as_bytes()).ok();
        Some(Self {
            proxies: Network::new(config.server.trusted_proxies.iter().map(String::as_str))
                .unwrap_or_default(),
            user: Some(&admin.remote_user_header).filter(|it| !it.is_empty()).and_then(|it| header(it))?,
            groups: Some(&admin.remote_groups_header).filter(|it| !it.is_empty()).and_then(|it| header(it)),
            operator: admin.remote_operator.clone(),
            viewer: admin.remote_viewer.clone(),
            warned: AtomicBool::new(false),
        })
    }

    /// Whom the request's headers name.
    pub(super) fn named(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Named {
        if !headers.contains_key(&self.user) {
            return Named::Nobody;
        }
        let is_trusted = address.is_some_and(|address| self.proxies.has(address));
        if !is_trusted {
            if !self.warned.swap(true, Ordering::Relaxed) {
                let header = self.user.as_str();
                tracing::warn!(
                    ?address,
                    header,
                    "a name in a header is ignored: server.trusted_proxies lacks this address"
                );
            }
            return Named::Nobody;
        }
        let Ok(user) = the_one(headers, &self.user) else { return Named::Stranger };
        // Proxies send an empty header where nobody has signed in.
        if user.trim().is_empty() || user.trim() == "(null)" {
            return Named::Nobody;
        }
        let Some(person) = Person::new(&user, &user) else { return Named::Stranger };
        let groups = match self.groups.as_ref().map(|name| the_one(headers, name)) {
            None => user,
            Some(Ok(groups)) => groups,
            Some(Err(())) => return Named::Stranger,
        };
        match self.role_of(&groups) {
            Some(role) => Named::Known(role, person),
            None => Named::Stranger,
        }
    }

    fn role_of(&self, groups: &str) -> Option<Role> {
        let separators: &[char] = if self.groups.is_some() { &[';', ','] } else { &[] };
        let has = |list: &[String]| {
            let mut own = groups.split(separators).map(str::trim);
            list.iter().any(|it| it == "*") || own.any(|group| list.iter().any(|it| it == group))
        };
        if has(&self.operator) {
            return Some(Role::Operator);
        }
        has(&self.viewer).then_some(Role::Viewer)
    }
}

/// The value of a header that is there once; empty if it is not there.
fn the_one(headers: &HeaderMap, name: &HeaderName) -> Result<String, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(String::new()),
        (Some(value), None) => std::str::from_utf8(value.as_bytes()).map(str::to_owned).map_err(|_| ()),
        // One of them may be the browser's own.
        (Some(_), Some(_)) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn users(keys: &str) -> RemoteUsers {
        let text = format!(
            "[server]\ntrusted_proxies = [\"192.0.2.0/24\", \"::1\"]\n[admin]\nremote_user_header = \"X-Remote-User\"\n{keys}"
        );
        RemoteUsers::new(&Config::parse(&text, "c.toml").unwrap_or_else(|it| panic!("{it}")))
            .expect("it is on")
    }

    fn named(users: &RemoteUsers, from: &str, headers: &[(&'static str, &'static str)]) -> Named {
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
        });
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        users.named(&map, from.parse().ok())
    }

    fn known(role: Role, name: &str) -> Named {
        Named::Known(role, Person::new(name, name).expect("a person"))
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        let users = users("remote_operator = [\"ada\"]\nremote_viewer = [\"*\"]\n");
        let ada = [("x-remote-user", "ada")];
        for from in ["192.0.2.7", "::ffff:192.0.2.7", "::1"] {
            assert_eq!(named(&users, from, &ada), known(Role::Operator, "ada"), "{from}");
        }
        assert!(!users.warned.load(Ordering::Relaxed));
        for from in ["192.0.3.7", "127.0.0.1", "::2", "unknown"] {
            assert_eq!(named(&users, from, &ada), Named::Nobody, "{from}");
        }
        assert!(users.warned.load(Ordering::Relaxed), "said once");
        assert_eq!(named(&users, "192.0.2.7", &[("x-remote-user", "eve")]), known(Role::Viewer, "eve"));
        assert_eq!(
            named(&users, "192.0.2.7", &[("x-remote-user", "ada, eve")]),
            known(Role::Viewer, "ada, eve")
        );
    }

    #[test]
    fn nobody_and_what_is_doubtful_get_nothing() {
        let users = users("remote_operator = [\"*\"]\n");
        for headers in
            [&[][..], &[("x-remote-user", "")], &[("x-remote-user", " ")], &[("x-remote-user", "(null)")]]
        {
            assert_eq!(named(&users, "::1", headers), Named::Nobody, "{headers:?}");
        }
        let twice = [("x-remote-user", "ada"), ("x-remote-user", "eve")];
        assert_eq!(named(&users, "::1", &twice), Named::Stranger);
        assert_eq!(named(&users, "::1", &[("x-remote-user", "\u{200b}")]), Named::Stranger);
    }

    #[test]
    fn groups_give_roles() {
        let users = users(
            "remote_groups_header = \"X-Groups\"\nremote_operator = [\"video\", \"cn=a;b\"]\nremote_viewer = [\"staff\"]\n",
        );
        let of =
            |groups: &'static str| named(&users, "::1", &[("x-remote-user", "ada"), ("x-groups", groups)]);
        for groups in ["video", "staff; video", "staff,video", " video "] {
            assert_eq!(of(groups), known(Role::Operator, "ada"), "{groups}");
        }
        assert_eq!(of("staff;videos"), known(Role::Viewer, "ada"));
        for groups in ["", "students", "VIDEO", "a video"] {
            assert_eq!(of(groups), Named::Stranger, "{groups}");
        }
        assert_eq!(
            named(&users, "::1", &[("x-remote-user", "video")]),
            Named::Stranger,
            "a name is no group"
        );
    }
}
