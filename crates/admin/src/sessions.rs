//! The open sessions, and their file, which outlives a restart.
//!
//! Kept of each are the SHA-256 of its cookie, so that neither the time of a lookup nor the file reveals a cookie, the role,
//! the end, and the person, if one has signed in. Each role has 128 sessions at most; one more ends the session of that role
//! that would end first, so that viewers cannot push out operators.
//!
//! A session also has the mark of what it was made by: a salted hash of the token, or of the settings of OpenID Connect. After
//! a restart with another token or other settings, sessions with the old mark end.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::access::{Role, Tokens};
use super::person::Person;
use amphi_config::OpenIdConnect;
use amphi_control::state_file::StateFile;
use amphi_media::meter::Note;
use amphi_media::retry::Retry;
use amphi_media::{Lock, MediaTime};

/// How long a session is good: a working day.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 3600);
/// The most sessions of one role.
const MOST: usize = 128;
/// The version of the file.
const VERSION: u32 = 1;
/// The waits before a failed write is repeated, the first and the longest.
const TRY_AGAIN: Duration = Duration::from_secs(1);
const RARELY: Duration = Duration::from_secs(60);

/// A SHA-256.
type Hash32 = [u8; 32];

/// What a session was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    OperatorToken,
    ViewerToken,
    OpenId,
}

/// The marks of the present makers; `None` = it is not configured.
#[derive(Clone, Debug)]
struct Marks {
    salt: Hash32,
    operator: Option<Hash32>,
    viewer: Option<Hash32>,
    openid: Option<Hash32>,
}

impl Marks {
    fn new(salt: Hash32, tokens: &Tokens, oidc: &OpenIdConnect) -> Self {
        let mark = |kind: &str, parts: &[&str]| {
            let mut hash = Sha256::new();
            hash.update(salt);
            for part in [kind].iter().chain(parts) {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
            Hash32::from(hash.finalize())
        };
        let of =
            |kind, token: &amphi_config::Secret| (!token.is_empty()).then(|| mark(kind, &[token.reveal()]));
        let OpenIdConnect { issuer, client_id, client_secret, operator, viewer, .. } = oidc;
        let (operators, viewers) = (operator.join("\n"), viewer.join("\n"));
        let parts = [issuer, client_id, client_secret.reveal(), &*operators, &*viewers];
        Self {
            salt,
            operator: of("operator", &tokens.operator),
            viewer: of("viewer", &tokens.viewer),
            openid: (!issuer.is_empty()).then(|| mark("openid", &parts)),
        }
    }

    fn of(&self, maker: Maker) -> Option<Hash32> {
        match maker {
            Maker::OperatorToken => self.operator,
            Maker::ViewerToken => self.viewer,
            Maker::OpenId => self.openid,
        }
    }

    fn maker(&self, mark: Hash32) -> Option<Maker> {
        let all = [Maker::OperatorToken, Maker::ViewerToken, Maker::OpenId];
        all.into_iter().find(|maker| self.of(*maker) == Some(mark))
    }
}

/// One session.
#[derive(Debug)]
struct Opened {
    found: FoundSession,
    /// Cancels `ended` when the session is removed.
    _end: DropGuard,
    ended: CancellationToken,
}

impl Opened {
    fn new(found: FoundSession) -> Self {
        let ended = CancellationToken::new();
        Self { found, _end: ended.clone().drop_guard(), ended }
    }
}

/// What a cookie stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundSession {
    pub(super) role: Role,
    pub(super) until: MediaTime,
    pub(super) person: Option<Arc<Person>>,
    pub(super) maker: Maker,
}

/// The open sessions. Clones share them.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<SharedSessions>);

#[derive(Debug)]
struct SharedSessions {
    open: Lock<HashMap<Hash32, Opened>>,
    marks: Marks,
    changed: Notify,
    /// Whether the file lacks a change.
    dirty: AtomicBool,
    unsaved: Arc<Note>,
}

impl Sessions {
    fn with(marks: Marks) -> Self {
        let unsaved = Arc::default();
        Self(Arc::new(SharedSessions {
            open: Lock::default(),
            marks,
            changed: Notify::new(),
            dirty: AtomicBool::new(false),
            unsaved,
        }))
    }

    /// Sessions without a file: they end with the server.
    pub fn in_memory() -> Self {
        Self::with(Marks::new([0; 32], &Tokens::default(), &OpenIdConnect::default()))
    }

    /// Set while the file cannot be written: a sentence with the reason.
    pub fn unsaved(&self) -> Arc<Note> {
        Arc::clone(&self.0.unsaved)
    }

    /// Opens a session: the value of its cookie, and when it ends.
    pub(super) fn open(
        &self,
        role: Role,
        person: Option<Arc<Person>>,
        maker: Maker,
        now: MediaTime,
    ) -> Result<(String, MediaTime), getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let value = URL_SAFE_NO_PAD.encode(bytes);
        let until = now + LIFE;
        self.insert(key(&value), FoundSession { role, until, person, maker }, now);
        self.changed();
        Ok((value, until))
    }

    fn insert(&self, key: Hash32, found: FoundSession, now: MediaTime) {
        let role = found.role;
        let mut open = self.lock();
        open.retain(|_, session| now < session.found.until);
        let of_role =
            |open: &HashMap<Hash32, Opened>| open.values().filter(|it| it.found.role == role).count();
        while of_role(&open) >= MOST {
            let rivals = open.iter().filter(|(_, session)| session.found.role == role);
            let first = rivals.min_by_key(|(_, session)| session.found.until).map(|(key, _)| *key);
            let Some(first) = first else { break };
            open.remove(&first);
        }
        open.insert(key, Opened::new(found));
    }

    /// What a cookie stands for. After a step of the clock backwards by days the session is over.
    pub(super) fn find(&self, value: &str, now: MediaTime) -> Option<FoundSession> {
        let open = self.lock();
        let found = open.get(&key(value)).map(|session| session.found.clone());
        found.filter(|it| now < it.until && it.until <= now + LIFE * 2)
    }

    /// A token that is cancelled when this session ends before its time.
    pub(super) fn ended(&self, value: &str) -> Option<CancellationToken> {
        self.lock().get(&key(value)).map(|session| session.ended.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, value: &str) {
        self.lock().remove(&key(value));
        self.changed();
    }

    fn changed(&self) {
        self.0.dirty.store(true, Ordering::Release);
        self.0.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash32, Opened>> {
        self.0.open.lock()
    }
}

fn key(value: &str) -> Hash32 {
    Sha256::digest(value.as_bytes()).into()
}

/// The file.
#[derive(Serialize, Deserialize)]
struct SessionFile {
    version: u32,
    salt: String,
    sessions: Vec<KeptSession>,
}

/// A session in the file; hashes are base64.
#[derive(Serialize, Deserialize)]
struct KeptSession {
    cookie_hash: String,
    role: Role,
    until: MediaTime,
    made_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

fn hash_of(text: &str) -> Option<Hash32> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

impl Sessions {
    /// The file's text.
    fn saved(&self) -> Vec<u8> {
        let marks = &self.0.marks;
        let open = self.lock();
        let kept = open.iter().filter_map(|(key, Opened { found, .. })| {
            let person = found.person.as_deref();
            Some(KeptSession {
                cookie_hash: URL_SAFE_NO_PAD.encode(key),
                role: found.role,
                until: found.until,
                made_by: URL_SAFE_NO_PAD.encode(marks.of(found.maker)?),
                name: person.map(|it| it.name.clone()),
                subject: person.map(|it| it.subject.clone()),
            })
        });
        let salt = URL_SAFE_NO_PAD.encode(marks.salt);
        let file = SessionFile { version: VERSION, salt, sessions: kept.collect() };
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// Takes over those of the file that are still good; returns how many ended because their maker is another one now.
    fn restore(&self, kept: Vec<KeptSession>, now: MediaTime) -> usize {
        let mut ended = 0;
        // What is beyond the bound is not read.
        for it in kept.into_iter().take(2 * MOST) {
            let (Some(key), Some(mark)) = (hash_of(&it.cookie_hash), hash_of(&it.made_by)) else { continue };
            let Some(maker) = self.0.marks.maker(mark) else {
                ended += 1;
                continue;
            };
            let person = it.subject.and_then(|subject| Person::new(&it.name.unwrap_or_default(), &subject));
            if now < it.until {
                self.insert(key, FoundSession { role: it.role, until: it.until, person, maker }, now);
            }
        }
        ended
    }
}

/// Writes the sessions to their file.
#[derive(Debug)]
pub struct SessionKeeper {
    sessions: Sessions,
    file: StateFile,
    retry: Retry,
}

/// The sessions of `directory`, without those that were made by other tokens or settings, and the task that keeps them there.
/// Reads the file before it returns.
pub fn prepare(
    directory: &Path,
    tokens: &Tokens,
    oidc: &OpenIdConnect,
    now: MediaTime,
) -> (Sessions, SessionKeeper) {
    let file = StateFile::new(directory, "sessions.json");
    let (salt, kept) = load(&file);
    let sessions = Sessions::with(Marks::new(salt, tokens, oidc));
    let ended = sessions.restore(kept, now);
    if ended > 0 {
        tracing::info!(
            ended,
            "sessions have ended: the token or the OpenID Connect settings that made them have changed"
        );
        sessions.changed();
    }
    (sessions.clone(), SessionKeeper { sessions, file, retry: Retry::new(TRY_AGAIN, RARELY) })
}

fn load(file: &StateFile) -> (Hash32, Vec<KeptSession>) {
    let mut fresh = [0; 32];
    if let Err(error) = getrandom::fill(&mut fresh) {
        tracing::error!(%error, "the system gives no random bytes");
    }
    let bytes = match file.load() {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return (fresh, Vec::new()),
        Err(error) => {
            tracing::error!(%error, file = %file.path().display(), "sessions cannot be read: people sign in again");
            return (fresh, Vec::new());
        }
    };
    let read = serde_json::from_slice::<SessionFile>(&bytes).ok().filter(|it| it.version == VERSION);
    read.and_then(|it| Some((hash_of(&it.salt)?, it.sessions))).unwrap_or_else(|| {
        let done = file.set_aside();
        tracing::error!(done, "the file of sessions is damaged or of another version: people sign in again");
        (fresh, Vec::new())
    })
}

impl SessionKeeper {
    /// Writes after every change, and once more at the end. A write that fails is repeated.
    pub async fn run(&mut self, end: CancellationToken) {
        loop {
            let again = self.retry.wait(now());
            tokio::select! {
                () = end.cancelled() => break,
                () = self.sessions.0.changed.notified() => {}
                () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => {}
            }
            if self.retry.wait(now()).is_none_or(|wait| wait.is_zero()) {
                self.write().await;
            }
        }
        self.write().await;
    }

    async fn write(&mut self) {
        if !self.sessions.0.dirty.swap(false, Ordering::AcqRel) {
            return;
        }
        let (file, bytes) = (self.file.clone(), self.sessions.saved());
        let written = tokio::task::spawn_blocking(move || file.save(&bytes)).await;
        let note = &self.sessions.0.unsaved;
        match written.unwrap_or_else(|panic| Err(panic.into())) {
            Ok(()) => {
                if self.retry.worked() {
                    note.clear();
                    tracing::info!("sessions are written again");
                }
            }
            Err(error) => {
                self.sessions.0.dirty.store(true, Ordering::Release);
                if self.retry.wait(now()).is_none() {
                    tracing::error!(%error, "sessions cannot be written; trying again until they can");
                }
                self.retry.failed(now());
                note.set(&format!("sessions cannot be written, a restart would end them: {error}"));
            }
        }
    }
}

/// The time of tokio's clock, which tests can move.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}
