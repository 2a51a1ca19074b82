//! What is kept about who may watch: the secret of grants, and what people have revoked.
//!
//! Contract: [`AdmissionBook::open`] at start; [`AdmissionBook::current`] is what holds now, in a `watch`. Every change holds
//! at once and is saved; while one cannot be, [`AdmissionBook::unsaved`] says so: call [`AdmissionBook::save_again`] now and then.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use amphi_access::Revocations;
use amphi_media::meter::Note;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{error, warn};

use crate::state_file::StateFile;

/// Bytes of a secret that is made here.
const SECRET_BYTES: usize = 32;

/// As it stands in `access.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Saved {
    /// In base64.
    grant_secret: String,
    revoked_keys: Vec<String>,
    /// When each would end by itself.
    revoked_grants: BTreeMap<String, Timestamp>,
}

/// The secret of grants and the revocations. Clones share everything.
#[derive(Clone)]
pub struct AdmissionBook {
    secret: Arc<[u8]>,
    current: Arc<watch::Sender<Arc<Revocations>>>,
    file: Arc<Mutex<StateFile>>,
    unsaved: Arc<Note>,
    is_saved: Arc<AtomicBool>,
}

impl std::fmt::Debug for AdmissionBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmissionBook").field("revoked", &self.current.borrow()).finish_non_exhaustive()
    }
}

impl AdmissionBook {
    /// Reads what was kept in `directory`; at the first start a secret is made. Blocks. Fails if there is no randomness.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let file = StateFile::new(directory, "access.json");
        let read = file.load().and_then(|bytes| match bytes {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            None => Ok(Saved::default()),
        });
        let mut damage = None;
        let mut saved = read.unwrap_or_else(|error| {
            // Kept for people: what is saved from now on does not have it.
            let aside = file.set_aside();
            error!(path = %file.path().display(), %error, aside, "what was kept about access cannot be read");
            damage =
                Some(format!("access.json cannot be read ({error}; {aside}): revoke again what was revoked"));
            Saved::default()
        });
        let known = decoded(&saved.grant_secret).filter(|secret| secret.len() == SECRET_BYTES);
        let secret: Arc<[u8]> = if let Some(secret) = known {
            secret.into()
        } else {
            let mut secret = [0; SECRET_BYTES];
            getrandom::fill(&mut secret).map_err(io::Error::other)?;
            saved.grant_secret = encoded(&secret);
            secret.as_slice().into()
        };
        let revoked = Revocations {
            keys: saved.revoked_keys.iter().cloned().collect(),
            grants: saved.revoked_grants.clone(),
        };
        let book = Self {
            secret,
            current: Arc::new(watch::Sender::new(Arc::new(revoked))),
            file: Arc::new(Mutex::new(file)),
            unsaved: Arc::default(),
            is_saved: Arc::default(),
        };
        book.save();
        if let Some(damage) = damage {
            book.unsaved.set(&damage);
        }
        Ok(book)
    }

    /// What grants are signed with where the configuration has no secret.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// What is revoked, and each change of it.
    pub fn current(&self) -> watch::Receiver<Arc<Revocations>> {
        self.current.subscribe()
    }

    /// Why the last change could not be saved, as long as it could not.
    pub fn unsaved(&self) -> Arc<Note> {
        Arc::clone(&self.unsaved)
    }

    /// Tries again what could not be saved. Blocks.
    pub fn save_again(&self) {
        if !self.is_saved.load(Ordering::Relaxed) {
            self.save();
        }
    }

    /// Lets a key open nothing any more, or again. `false` if that is so already. Blocks.
    pub fn revoke_key(&self, name: &str, revoked: bool) -> bool {
        self.change(|now| if revoked { now.keys.insert(name.to_owned()) } else { now.keys.remove(name) })
    }

    /// Lets a grant open nothing any more; `ends` is when it would do so by itself. Blocks.
    pub fn revoke_grant(&self, grant: &str, ends: Timestamp, now: Timestamp) -> bool {
        self.change(|revoked| {
            let is_new = !revoked.grants.contains_key(grant);
            revoked.revoke(grant, ends, now);
            is_new
        })
    }

    fn change(&self, change: impl FnOnce(&mut Revocations) -> bool) -> bool {
        let mut is_changed = false;
        self.current.send_if_modified(|current| {
            is_changed = change(Arc::make_mut(current));
            is_changed
        });
        if is_changed {
            self.save();
        }
        is_changed
    }

    /// Saves what holds now; tells of it if that fails.
    fn save(&self) {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let revoked = Arc::clone(&self.current.borrow());
        let saved = Saved {
            grant_secret: encoded(&self.secret),
            revoked_keys: revoked.keys.iter().cloned().collect(),
            revoked_grants: revoked.grants.clone(),
        };
        let saved = serde_json::to_vec_pretty(&saved).map_err(io::Error::other);
        let saved = saved.and_then(|bytes| file.save(&bytes));
        self.is_saved.store(saved.is_ok(), Ordering::Relaxed);
        match saved {
            Ok(()) => self.unsaved.clear(),
            Err(error) => {
                warn!(path = %file.path().display(), %error, "what is revoked cannot be saved; it holds until the next start");
                self.unsaved.set(&format!("{}: {error}", file.path().display()));
            }
        }
    }
}

fn encoded(secret: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(secret)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn what_is_revoked_stays_so_over_a_restart() {
        let home = tempfile::tempdir().expect("a directory");
        let book = AdmissionBook::open(home.path()).expect("random numbers");
        assert!(book.revoke_key("moodle", true));
        assert!(!book.revoke_key("moodle", true));
        assert!(book.revoke_grant("~a", at(200), at(100)));
        let again = AdmissionBook::open(home.path()).expect("random numbers");
        assert_eq!((again.secret(), again.secret().len()), (book.secret(), SECRET_BYTES));
        assert_eq!(*again.current().borrow(), *book.current().borrow());
        assert!(again.revoke_key("moodle", false));
        assert!(again.current().borrow().keys.is_empty());
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::write(home.path().join("access.json"), "{").expect("written");
        let book = AdmissionBook::open(home.path()).expect("random numbers");
        assert_eq!(**book.current().borrow(), Revocations::default());
        assert!(home.path().join("access.json.corrupt").exists());
        assert!(book.unsaved().get().is_some_and(|why| why.contains("revoke again")), "it is an alarm");
    }

    #[test]
    fn what_could_not_be_saved_is_saved_when_it_can_be() {
        let home = tempfile::tempdir().expect("a directory");
        let state = home.path().join("state");
        let book = AdmissionBook::open(&state).expect("random numbers");
        std::fs::remove_dir_all(&state).expect("removed");
        std::fs::write(&state, "in the way").expect("written");
        assert!(book.revoke_key("moodle", true));
        assert!(book.unsaved().get().is_some() && book.current().borrow().keys.contains("moodle"));
        std::fs::remove_file(&state).expect("removed");
        book.save_again();
        assert_eq!(book.unsaved().get(), None);
        assert_eq!(*AdmissionBook::open(&state).expect("it").current().borrow(), *book.current().borrow());
    }
}
