//! Asks a server of the site's own who may watch, and remembers its answers for a while.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use moka::sync::Cache;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::Semaphore;
use tracing::warn;

use amphi_access::key::hook::{self, HookAction, HookQuestion};
use amphi_access::{Credentials, KeyCheck, Refusal, Subject};
use amphi_config::AccessKey;
use amphi_runtime::log;

/// Answers that are remembered of one hook.
const ANSWERS: u64 = 20_000;
/// Questions at once. Whoever comes when there are so many waits, but no longer than for an answer.
const AT_ONCE: usize = 64;
/// How long it is remembered that nobody answered.
const DOWN: Duration = Duration::from_secs(5);

/// A hook.
pub(super) struct Hook {
    name: String,
    url: String,
    client: reqwest::Client,
    places: Semaphore,
    timeout: Duration,
    open_when_down: bool,
    /// By all that was asked.
    answers: Cache<[u8; 32], Result<(), Refusal>>,
    /// The same of questions that nobody answered.
    silences: Cache<[u8; 32], ()>,
}

impl Hook {
    pub(super) fn new(key: &AccessKey) -> Result<Self, String> {
        let timeout = Duration::from_millis(key.timeout_ms.into());
        let client = super::published::client(key, timeout)?;
        let cache_s = Duration::from_secs(key.cache_s.max(1).into());
        Ok(Self {
            name: key.name.clone(),
            url: key.url.reveal().to_owned(),
            client,
            places: Semaphore::new(AT_ONCE),
            timeout,
            open_when_down: key.open_when_down,
            answers: Cache::builder().max_capacity(ANSWERS).time_to_live(cache_s).build(),
            silences: Cache::builder().max_capacity(ANSWERS).time_to_live(DOWN).build(),
        })
    }

    /// Asks about a caller, unless the answer is known; `None` if what is shown is too long to ask about.
    pub(super) fn asked(
        self: &Arc<Self>,
        subject: Subject<'_>,
        shown: &Credentials<'_>,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let question = question(subject, shown).ok()?;
        let (key, body) = (question.cache_key(), question.body());
        let hook = Arc::clone(self);
        Some(async move {
            if hook.known(&key).is_some() {
                return;
            }
            // Whoever finds no place is told to come again: a crowd opens nothing.
            let Ok(Ok(_place)) = tokio::time::timeout(hook.timeout, hook.places.acquire()).await else {
                return;
            };
            match tokio::time::timeout(hook.timeout, hook.post(body)).await {
                Ok(Ok(status)) if !matches!(hook::answer(status), Err(Refusal::Unavailable)) => {
                    hook.answers.insert(key, hook::answer(status));
                }
                Ok(Ok(status)) => hook.is_silent(key, &format!("it answers with status {status}")),
                Ok(Err(why)) => hook.is_silent(key, &why),
                Err(_) => hook.is_silent(key, "it does not answer in time"),
            }
        })
    }

    async fn post(&self, body: Vec<u8>) -> Result<u16, String> {
        let request = self.client.post(&self.url).header(CONTENT_TYPE, "application/json").body(body);
        // The URL may hold a secret.
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        Ok(answer.status().as_u16())
    }

    fn is_silent(&self, key: [u8; 32], why: &str) {
        self.silences.insert(key, ());
        if log::may_say("hook", None) {
            let open = if self.open_when_down { "viewers are let in" } else { "viewers are refused" };
            warn!(key = self.name, "the hook cannot be asked who may watch, {open}: {why}");
        }
    }

    fn known(&self, key: &[u8; 32]) -> Option<Result<(), Refusal>> {
        let silent = || {
            self.silences.contains_key(key).then_some(if self.open_when_down {
                Ok(())
            } else {
                Err(Refusal::Unavailable)
            })
        };
        self.answers.get(key).or_else(silent)
    }
}

/// A hook as a key: it knows what has been answered.
pub(super) struct HookKey(pub(super) Arc<Hook>);

impl KeyCheck for HookKey {
    fn check(&self, subject: Subject<'_>, shown: &Credentials<'_>, _: Timestamp) -> Result<(), Refusal> {
        let question = question(subject, shown)?;
        self.0.known(&question.cache_key()).unwrap_or(Err(Refusal::Undecided))
    }
}

fn question<'a>(subject: Subject<'a>, shown: &Credentials<'a>) -> Result<HookQuestion<'a>, Refusal> {
    let action = if subject.app() == subject.0 { HookAction::Read } else { HookAction::Playback };
    let protocol = if shown.scheme.starts_with("http") { "hls" } else { shown.scheme };
    HookQuestion::new(action, subject, shown, protocol, "")
}
