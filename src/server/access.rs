//! Who may watch, in the running server: rules and keys of the configuration in force, what has been revoked, hooks, published keys.
//!
//! The decision itself is [`amphi_access::AccessControl`]; here it gets what it needs, and every refusal is counted and, not too
//! often, logged.

pub(super) mod counts;
mod hook;
mod published;
mod table;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::info;

use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use crate::delivery::{AccessAction, AccessDenied, AccessRequest, Protocol, Resolved};
use amphi_access::{Admission, Credentials, Network, Refusal, Revocations, Subject, Visit, viewer_address};
use amphi_control::admission::AdmissionBook;
use amphi_control::agenda::Plan;
use amphi_media::clock::WallClock;
use amphi_media::{ChannelName, MediaTime};
use amphi_runtime::log;
use counts::AccessCounts;
use table::AccessTable;

/// Between two looks at which lectures have ended, and at published keys.
const LOOK: Duration = Duration::from_secs(10);

/// When the last lecture of each channel ended.
type LectureEnds = HashMap<ChannelName, Timestamp>;

/// Lets players in, or not. Clones share everything.
#[derive(Clone)]
pub(super) struct ViewerGate {
    table: watch::Receiver<Arc<AccessTable>>,
    revoked: watch::Receiver<Arc<Revocations>>,
    ends: watch::Receiver<Arc<LectureEnds>>,
    clock: Arc<dyn WallClock>,
    counts: Arc<AccessCounts>,
}

impl ViewerGate {
    /// How a player is let in, or why not.
    pub(super) fn admit(
        &self,
        caller: &AccessRequest<'_>,
        what: Resolved<'_>,
    ) -> Result<Admission, AccessDenied> {
        let table = self.table.borrow();
        if table.is_open_to_all() {
            return Ok(Admission::Open);
        }
        let Some(subject) = what.subject() else { return Ok(Admission::Open) };
        let visit = self.visit(caller, what, &subject, table.proxies());
        let revoked = self.revoked.borrow();
        let admitted = match what {
            Resolved::Index(_) => table.control().admit_to_all(&visit, &revoked),
            _ => table.control().admit(&visit, &revoked),
        };
        match &admitted {
            Ok(Admission::Granted(_)) => self.counts.granted.increment(),
            Ok(_) | Err(Refusal::Undecided) => {}
            Err(why) => {
                self.counts.count(*why);
                let address = visit.shown.address;
                if log::may_say("access", Some(address)) {
                    let peer = log::shortened(address);
                    info!(%peer, what = %subject, protocol = ?caller.protocol, "a viewer is not let in: {why}");
                }
            }
        }
        admitted.map_err(AccessDenied::Play)
    }

    /// Asks the hooks that decide about a player.
    pub(super) fn settle(&self, caller: &AccessRequest<'_>) -> BoxFuture<'static, ()> {
        let AccessAction::Play(what) = caller.wish else { return Box::pin(std::future::ready(())) };
        let table = Arc::clone(&self.table.borrow());
        let Some(subject) = what.subject() else { return Box::pin(std::future::ready(())) };
        let visit = self.visit(caller, what, &subject, table.proxies());
        let asked: Vec<_> = table
            .hooks_of(visit.subject)
            .filter_map(|hook| hook.asked(visit.subject, &visit.shown))
            .collect();
        Box::pin(async move {
            futures_util::future::join_all(asked).await;
        })
    }

    fn visit<'a>(
        &self,
        caller: &AccessRequest<'a>,
        what: Resolved<'_>,
        subject: &'a str,
        proxies: &Network,
    ) -> Visit<'a> {
        let address = address(caller, proxies);
        let lecture_ended = match what {
            Resolved::Channel { channel, .. } => self.ends.borrow().get(channel).copied(),
            _ => None,
        };
        let scheme = match caller.protocol {
            Protocol::Http if is_secure(caller, proxies) => "https",
            Protocol::Http => "http",
            Protocol::Rtmp => "rtmp",
            Protocol::Rtsp => "rtsp",
        };
        let shown = Credentials {
            scheme,
            authority: only(caller, "host").unwrap_or_default(),
            path: caller.path,
            query: caller.query,
            authorization: only(caller, "authorization"),
            cookie: only(caller, "cookie"),
            address,
        };
        Visit {
            subject: Subject(subject),
            scope: caller.scope,
            shown,
            grant: caller.grant,
            step: caller.step,
            lecture_ended,
            now: self.clock.now().timestamp(),
        }
    }
}

/// The value of a field that is there once.
fn only<'a>(caller: &AccessRequest<'a>, name: &str) -> Option<&'a str> {
    match caller.fields.values(name).as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

/// Whether the viewer's own connection is inside TLS, perhaps only as far as a trusted proxy.
fn is_secure(caller: &AccessRequest<'_>, proxies: &Network) -> bool {
    let is_trusted = caller.peer.is_some_and(|peer| proxies.has(peer.ip()));
    caller.is_secure || is_trusted && only(caller, "x-forwarded-proto") == Some("https")
}

/// The viewer's address, by what trusted proxies say; the unspecified one if they do not.
fn address(caller: &AccessRequest<'_>, proxies: &Network) -> IpAddr {
    let unknown = IpAddr::from([0, 0, 0, 0]);
    let peer = caller.peer.map_or(unknown, |peer| peer.ip().to_canonical());
    if proxies.is_empty() {
        return peer;
    }
    let (standard, usual) = (caller.fields.values("forwarded"), caller.fields.values("x-forwarded-for"));
    viewer_address(peer, proxies, standard, usual).unwrap_or(unknown)
}

/// Starts the task that keeps everything up to date.
pub(super) fn spawn(shared: &ServerContext, book: &AdmissionBook, stage: &mut Stage) -> ViewerGate {
    let config = shared.config.clone();
    let first = Arc::new(AccessTable::new(&config.borrow(), book.secret(), None));
    let (tell_table, table) = watch::channel(first);
    let (tell_ends, ends) = watch::channel(Arc::default());
    let viewers = ViewerGate {
        table,
        revoked: book.current(),
        ends,
        clock: Arc::clone(&shared.clocks.wall),
        counts: Arc::clone(&shared.access),
    };
    let keeper = AccessKeeper {
        config,
        plan: shared.plan.clone(),
        book: book.clone(),
        table: tell_table,
        ends: tell_ends,
    };
    let clock = Arc::clone(&shared.clocks.wall);
    let end = stage.end.clone();
    stage.supervise(TaskSpec::new("access").needed(), keeper, move |keeper| {
        let (clock, end) = (Arc::clone(&clock), end.clone());
        Box::pin(async move {
            tokio::select! {
                () = end.cancelled() => {}
                () = keeper.run(&*clock) => {}
            }
        })
    });
    viewers
}

/// Owns what changes.
struct AccessKeeper {
    config: watch::Receiver<Arc<amphi_config::Config>>,
    plan: watch::Receiver<Arc<Plan>>,
    book: AdmissionBook,
    table: watch::Sender<Arc<AccessTable>>,
    ends: watch::Sender<Arc<LectureEnds>>,
}

impl AccessKeeper {
    async fn run(&mut self, clock: &dyn WallClock) {
        loop {
            let table = Arc::clone(&self.table.borrow());
            let mut fetching = std::pin::pin!(table.fetch());
            while !self.reload() {
                self.look(clock.now());
                tokio::select! {
                    changed = self.config.changed() => {
                        if changed.is_err() {
                            return std::future::pending().await;
                        }
                    }
                    () = tokio::time::sleep(LOOK) => {
                        let book = self.book.clone();
                        // It fails only if it panics; then the next look tries again.
                        let _ = tokio::task::spawn_blocking(move || book.save_again()).await;
                    }
                    () = &mut fetching => {}
                }
            }
        }
    }

    /// Takes over the configuration in force; `true` if that is another one.
    fn reload(&mut self) -> bool {
        let config = Arc::clone(&self.config.borrow_and_update());
        self.table.send_if_modified(|table| {
            let is_new = !table.is_of(&config);
            if is_new {
                *table = Arc::new(AccessTable::new(&config, self.book.secret(), Some(table)));
            }
            is_new
        })
    }

    /// Notes which lectures have ended. The calendar may forget those that have.
    fn look(&self, now: MediaTime) {
        let plan = Arc::clone(&self.plan.borrow());
        self.ends.send_if_modified(|ends| {
            let next = ended(ends, &plan, now);
            let is_new = **ends != next;
            if is_new {
                *ends = Arc::new(next);
            }
            is_new
        });
    }
}

/// When the last lecture of each channel ended: by the plan, or as it was known `before`. One that was prolonged after its end has
/// not ended.
fn ended(before: &LectureEnds, plan: &Plan, now: MediaTime) -> LectureEnds {
    let mut ends = before.clone();
    for event in &plan.events {
        let Some((channel, from)) = event.channel.as_ref().zip(event.connect_from) else { continue };
        let Some(end) = event.may_last_until.or(event.connect_until) else { continue };
        if end <= now {
            let last = ends.entry(channel.clone()).or_insert(end.timestamp());
            *last = (*last).max(end.timestamp());
        } else if from <= now && ends.get(channel).is_some_and(|end| *end > from.timestamp()) {
            ends.remove(channel);
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_control::agenda::PlannedEvent;

    #[test]
    fn a_lecture_that_is_prolonged_after_its_end_goes_on() {
        let at = |minute: i64| MediaTime::from_millis(1_795_000_000_000 + minute * 60_000);
        let event = |from, until| PlannedEvent {
            channel: Some("L".into()),
            connect_from: Some(at(from)),
            connect_until: Some(at(until)),
            ..PlannedEvent::default()
        };
        let plan = |events: Vec<PlannedEvent>| Plan { events, ..Plan::default() };
        let end = |ends: &LectureEnds| ends.get("L").copied();
        let none = LectureEnds::new();
        let first = ended(&none, &plan(vec![event(0, 90)]), at(91));
        assert_eq!(end(&first), Some(at(90).timestamp()));
        assert_eq!(end(&ended(&none, &plan(vec![event(0, 90)]), at(89))), None);
        assert_eq!(end(&ended(&first, &plan(vec![]), at(95))), Some(at(90).timestamp()), "it is remembered");
        assert_eq!(end(&ended(&first, &plan(vec![event(0, 120)]), at(95))), None, "prolonged");
        let next = ended(&first, &plan(vec![event(0, 90), event(100, 190)]), at(101));
        assert_eq!(end(&next), Some(at(90).timestamp()), "the next one has begun");
    }
}
