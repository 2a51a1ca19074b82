//! The certificates that are shown, and to whom.

use std::collections::HashMap;
use std::sync::Arc;

use amphi_media::Lock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::identity::Identity;

/// The protocol of an authority that wants a proof (RFC 8737 §6.2).
pub const ACME_ALPN: &[u8] = b"acme-tls/1";

/// The certificates of all ports. Clones share them; a change is seen by the next handshake.
#[derive(Clone, Debug, Default)]
pub struct CertificateStore(Arc<Lock<Shown>>);

#[derive(Debug, Default)]
struct Shown {
    /// Shown to who asks for no name, or for one that none is for.
    first: Option<Arc<CertifiedKey>>,
    /// By lower-case name; the names of wildcards begin with `*.`.
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// Answers to an authority that wants a proof (RFC 8737 §3), by name.
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

impl CertificateStore {
    /// Shows these from now on: the first to who asks for no name that one of them is for; of two for one name, the earlier.
    pub fn show<'a>(&self, identities: impl IntoIterator<Item = &'a Arc<Identity>>) {
        let (mut first, mut by_name) = (None, HashMap::new());
        for identity in identities {
            let certified = identity.certified();
            first.get_or_insert_with(|| Arc::clone(certified));
            for name in identity.names() {
                by_name.entry(name.clone()).or_insert_with(|| Arc::clone(certified));
            }
        }
        let mut shown = self.0.lock();
        (shown.first, shown.by_name) = (first, by_name);
    }

    /// Shows `answer` to an authority that asks for `name` with `acme-tls/1`; `None`: no more.
    pub fn challenge(&self, name: &str, answer: Option<&Identity>) {
        let mut shown = self.0.lock();
        match answer {
            Some(answer) => {
                shown.challenges.insert(name.to_ascii_lowercase(), Arc::clone(answer.certified()));
            }
            None => {
                shown.challenges.remove(&name.to_ascii_lowercase());
            }
        }
    }

    /// The certificate for a name (RFC 6125 §6.4: a wildcard stands for one label).
    fn named(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.lock();
        let by_name = name.and_then(|name| {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let wild = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            let by_name = &shown.by_name;
            by_name.get(&name).or_else(|| wild.and_then(|wild| by_name.get(&wild))).cloned()
        });
        by_name.or_else(|| shown.first.clone())
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut protocols = hello.alpn().into_iter().flatten();
        // Such a connection offers this protocol alone (RFC 8737 §3).
        if protocols.next() == Some(ACME_ALPN) {
            let name = hello.server_name()?.to_ascii_lowercase();
            return self.0.lock().challenges.get(&name).cloned();
        }
        self.named(hello.server_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::made;

    #[test]
    fn who_asks_for_a_name_gets_its_certificate_and_others_the_first() {
        let pair = |names: &[&str]| {
            let (chain, key) = made(names);
            Arc::new(Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair"))
        };
        let store = CertificateStore::default();
        assert!(store.named(None).is_none(), "there is none yet");
        let all =
            [pair(&["a.example.org"]), pair(&["*.b.example.org", "b.example.org"]), pair(&["a.example.org"])];
        store.show(&all);
        for (name, place) in [
            (None, 0),
            (Some("a.example.org"), 0),
            (Some("A.Example.ORG."), 0),
            (Some("elsewhere.example.org"), 0),
            (Some("b.example.org"), 1),
            (Some("x.b.example.org"), 1),
            (Some("x.y.b.example.org"), 0),
            (Some(""), 0),
        ] {
            let shown = store.named(name).expect("one");
            assert!(Arc::ptr_eq(&shown, all[place].certified()), "{name:?}");
        }
        store.show(&all[1..2]);
        let shown = store.named(Some("a.example.org")).expect("one");
        assert!(Arc::ptr_eq(&shown, all[1].certified()), "others are shown from now on");
    }
}
