//! `/api/v1/access`: what is enough to watch, and taking rights away.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::Shared;
use super::access::Caller;
use super::openapi::{BadQuery, GuardResponses, NoSuchName};
use super::problem::{Name, Problem};
use amphi_access::WayIn;
use amphi_config::Config;
use amphi_control::admission::AdmissionBook;
use amphi_control::audit::Action;

/// Who may watch: what the configuration says, and what people have taken away.
#[derive(Clone)]
pub struct Admissions {
    /// The configuration in force.
    pub config: watch::Receiver<std::sync::Arc<Config>>,
    /// What is revoked.
    pub book: AdmissionBook,
}

/// The rules, keys and revocations of this moment; no secrets.
#[derive(Serialize, ToSchema)]
pub(super) struct AccessView {
    /// In the order in which they are asked; what none covers is open to everybody.
    rules: Vec<RuleView>,
    /// The keys by name.
    keys: Vec<KeyView>,
    /// Grants that were revoked and would still be good, each with the time of its end.
    revoked_grants: std::collections::BTreeMap<String, String>,
}

#[derive(Serialize, ToSchema)]
struct RuleView {
    /// A channel, a mount, or what is beneath it.
    path: String,
    /// One of these is enough.
    allow: Vec<String>,
    /// For each of them the four digits by which a grant says that it was enough; caches can be told to refuse a group.
    groups: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct KeyView {
    name: String,
    /// `hmac`, `wowza`, `opencast`, `jwt` or `hook`.
    kind: String,
    /// Whether it opens nothing until it is restored.
    revoked: bool,
}

/// Who may watch what.
#[utoipa::path(get, path = "/api/v1/access", tag = "access", responses(
    (status = 200, description = "Rules, keys, revocations", body = AccessView), GuardResponses,
))]
pub(super) async fn show(State(state): Shared) -> Json<AccessView> {
    let config = state.admissions.config.borrow().clone();
    let revoked = state.admissions.book.current().borrow().clone();
    let rule = |it: &amphi_config::AccessRule| {
        let group = |way: &String| WayIn::parse(way).map(|way| way.group().to_string()).unwrap_or_default();
        RuleView {
            path: it.path.clone(),
            allow: it.allow.clone(),
            groups: it.allow.iter().map(group).collect(),
        }
    };
    let key = |it: &amphi_config::AccessKey| KeyView {
        name: it.name.clone(),
        kind: format!("{:?}", it.kind).to_lowercase(),
        revoked: revoked.keys.contains(&it.name),
    };
    Json(AccessView {
        rules: config.access.rules.iter().map(rule).collect(),
        keys: config.access.keys.iter().map(key).collect(),
        revoked_grants: revoked
            .grants
            .iter()
            .map(|(grant, ends)| (grant.clone(), ends.to_string()))
            .collect(),
    })
}

/// Lets a key open nothing any more. Who watches by it is ended within two seconds over RTMP and RTSP, with the next playlist or
/// segment over HTTP; a cache that checks grants by itself learns of it when the grant ends.
#[utoipa::path(delete, path = "/api/v1/access/keys/{key}", tag = "access",
    params(("key" = String, Path, description = "The key's name")), responses(
    (status = 204, description = "It opens nothing"),
    GuardResponses, NoSuchName,
))]
pub(super) async fn revoke_key(
    State(state): Shared,
    caller: Caller,
    Name(key): Name<String>,
) -> Result<StatusCode, Problem> {
    change_key(&state, &caller, key, Action::RevokeKey).await
}

/// Lets a key that was revoked open again.
#[utoipa::path(put, path = "/api/v1/access/keys/{key}", tag = "access",
    params(("key" = String, Path, description = "The key's name")), responses(
    (status = 204, description = "It opens what the rules say"),
    GuardResponses, NoSuchName,
))]
pub(super) async fn restore_key(
    State(state): Shared,
    caller: Caller,
    Name(key): Name<String>,
) -> Result<StatusCode, Problem> {
    change_key(&state, &caller, key, Action::RestoreKey).await
}

async fn change_key(
    state: &super::AdminContext,
    caller: &Caller,
    key: String,
    action: Action,
) -> Result<StatusCode, Problem> {
    let is_known = state.admissions.config.borrow().access.keys.iter().any(|it| it.name == key);
    let known = if is_known {
        Ok(())
    } else {
        Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no access key {key:?}")))
    };
    let entry = caller.does(action, state.clock.now()).saying(&format!("access key {key:?}"));
    if known.is_ok() {
        let book = state.admissions.book.clone();
        let name = key.clone();
        let saved = tokio::task::spawn_blocking(move || book.revoke_key(&name, action == Action::RevokeKey));
        // It fails only if it panics, and then nothing is known.
        saved
            .await
            .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "it could not be changed"))?;
    }
    state.audit.record(entry.result(&known));
    known.map(|()| StatusCode::NO_CONTENT)
}

/// Lets one grant open nothing any more: all who came by the same right in the same period have it.
#[utoipa::path(delete, path = "/api/v1/access/grants/{grant}", tag = "access",
    params(("grant" = String, Path, description = "As it stands in a viewer's URL, with its sign `~`")), responses(
    (status = 204, description = "It opens nothing"),
    GuardResponses, BadQuery,
))]
pub(super) async fn revoke_grant(
    State(state): Shared,
    caller: Caller,
    Name(grant): Name<String>,
) -> Result<StatusCode, Problem> {
    let now = state.clock.now().timestamp();
    let goes_on = state.admissions.config.borrow().access.goes_on_s;
    let ends =
        end_of(&grant).and_then(|until| until.checked_add(SignedDuration::from_secs(goes_on.into())).ok());
    let known = ends.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "a grant is the part of a viewer's URL that begins with ~")
    });
    // The grant itself opens things: the audit log gets the part that is no secret.
    let shown: String = grant.chars().take(16).collect();
    let entry = caller.does(Action::RevokeGrant, state.clock.now()).saying(&format!("grant {shown:?}"));
    let done = match known {
        Ok(ends) => {
            let book = state.admissions.book.clone();
            let saved = tokio::task::spawn_blocking(move || book.revoke_grant(&grant, ends, now)).await;
            saved
                .map(drop)
                .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "it could not be changed"))
        }
        Err(problem) => Err(problem),
    };
    state.audit.record(entry.result(&done));
    done.map(|()| StatusCode::NO_CONTENT)
}

/// When a text of a grant's form ends.
fn end_of(grant: &str) -> Option<Timestamp> {
    let is_grant = grant.starts_with(amphi_access::GRANT_SIGN) && grant.len() == amphi_access::GRANT_BYTES;
    let until = is_grant.then(|| grant.get(1..11)).flatten()?;
    Timestamp::from_second(until.parse().ok()?).ok()
}
