//! The right of a player whose connection stays: over RTMP and RTSP nothing asks the door again, so this does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use amphi_access::{Admission, VisitStep};
use amphi_vod::RecordingStream;
use tokio::time::Instant;

use super::{AccessAction, AccessDenied, AccessRequest, Door, Protocol, Resolved, Selection};

/// Between two questions: about a cell.
const EVERY: Duration = Duration::from_secs(2);

/// What a player was let in for, and by which grant.
#[derive(Clone, Debug)]
pub(in crate::delivery) struct HeldRight {
    door: Arc<dyn Door>,
    protocol: Protocol,
    peer: Option<SocketAddr>,
    what: HeldThing,
    scope: String,
    /// `None` where everybody was let in.
    grant: Option<String>,
    /// When the door is asked again.
    next: Instant,
}

#[derive(Clone, Debug)]
enum HeldThing {
    Channel(String),
    Recording(String, RecordingStream),
}

impl HeldRight {
    /// The right that `caller` was admitted by; `None` where it cannot be asked about again.
    pub(in crate::delivery) fn new(
        door: &Arc<dyn Door>,
        caller: &AccessRequest<'_>,
        admission: Admission,
    ) -> Option<Self> {
        let grant = match admission {
            Admission::Granted(grant) => Some(grant),
            Admission::Carried => caller.grant.map(str::to_owned),
            Admission::Open => None,
            // What was shown is not kept.
            Admission::Shown => return None,
        };
        let what = match caller.wish {
            AccessAction::Play(Resolved::Channel { channel, .. }) => HeldThing::Channel(channel.to_owned()),
            AccessAction::Play(Resolved::Recording { mount, stream }) => {
                HeldThing::Recording(mount.to_owned(), stream.clone())
            }
            _ => return None,
        };
        let (protocol, peer, scope) = (caller.protocol, caller.peer, caller.scope.to_owned());
        let next = Instant::now() + EVERY;
        Some(Self { door: Arc::clone(door), protocol, peer, what, scope, grant, next })
    }

    /// Waits until the right is no more, and says why. May be dropped and called again.
    async fn lapsed(&mut self) -> AccessDenied {
        loop {
            tokio::time::sleep_until(self.next).await;
            self.next = Instant::now() + EVERY;
            if let Err(why) = self.ask() {
                return why;
            }
        }
    }

    fn ask(&self) -> Result<Admission, AccessDenied> {
        let what = match &self.what {
            HeldThing::Channel(channel) => Resolved::Channel { channel, rungs: Selection::All },
            HeldThing::Recording(mount, stream) => Resolved::Recording { mount, stream },
        };
        self.door.ask(&AccessRequest {
            protocol: self.protocol,
            wish: AccessAction::Play(what),
            peer: self.peer,
            is_secure: false,
            path: "",
            query: "",
            fields: &(),
            step: VisitStep::Onward,
            scope: &self.scope,
            grant: self.grant.as_deref(),
        })
    }
}

/// Waits for the right of a player to lapse; for ever, if there is none.
pub(in crate::delivery) async fn lapsed(right: Option<&mut HeldRight>) -> AccessDenied {
    match right {
        Some(right) => right.lapsed().await,
        None => std::future::pending().await,
    }
}
