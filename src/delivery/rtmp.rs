//! RTMP connections of players and publishers: the shell around [`RtmpSession`].
//!
//! * `connection` is the socket: reading, writing, time limits;
//! * `live` plays a channel, `recorded` a recording, with pause and seek;
//! * `publish` takes a publisher's frames.
//!
//! Publishers show their source's key after a `?`, as a segment of the path, or as user name and password
//! ([`authmod`]). A peer that is refused or disconnected is told why, and has time to read it.
//!
//! Each way in which a peer could hold a connection forever has a bound: ten seconds for the handshake and the first request,
//! ten for a publisher's next frame, ten for a player's socket to take something of a write, half an hour for a player that
//! has paused or finished a recording.

mod connection;
mod live;
mod publish;
mod recorded;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, info_span};

use super::address;
use super::air::AirReader;
use super::door::{
    AccessAction as Wanted, AccessRequest, Door, HeldRight, Protocol, Resolved, Selection, ask_settled,
    lapsed,
};
use super::unserved::Unserved;
use super::{AnswerCounts, Audience, Registry, ViewerProtocol};
use amphi_access::VisitStep;
use amphi_http::asker;
use amphi_media::{ChannelName, SourceName};
use amphi_protocol::rtmp::{Query, RtmpEvent, StreamName, authmod};
use amphi_runtime::socket::Socket;
use connection::{PATIENCE, RtmpConnection, RtmpEnd};
use publish::After;
use recorded::Recorded;

pub use publish::{PublishedStream, Publishing};

/// The application that publishers use.
const PUBLISH_APP: &str = "publish";
/// The same for publishers with a user name and a password: encoders send these only if they are asked for them at connect.
const PUBLISH_AUTH_APP: &str = "publish-auth";
/// When the server ends, connections have so long to tell publishers.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What RTMP connections are served with.
#[derive(Clone)]
pub struct RtmpPort {
    /// The channels and mounts that players may ask for.
    pub registry: Arc<Registry>,
    /// Where writes to players are counted.
    pub counts: Arc<AnswerCounts>,
    /// Where viewers are counted.
    pub audience: Arc<Audience>,
    /// Asked before anything is played or published.
    pub door: Arc<dyn Door>,
    /// The sources that may be published to.
    pub publishing: Arc<dyn Publishing>,
}

/// What a peer wants to do.
enum PeerRequest {
    /// The channel's name and air, the index of the rung, and by what right.
    Play(ChannelName, AirReader, usize, Option<HeldRight>),
    PlayRecorded(Box<Recorded>, Option<HeldRight>),
    Publish(Box<dyn PublishedStream>, SourceName),
}

/// The application that a connection uses.
#[derive(Default)]
struct App {
    name: String,
    query: Query,
    /// The source whose key was proved at connect: the proof of [`authmod`] is not valid for a second stream.
    proved: Option<String>,
}

/// Why a request is refused.
enum RejectReason {
    Denied(Cow<'static, str>),
    /// It is not there, or not free.
    Other(Cow<'static, str>),
}

impl From<Unserved> for RejectReason {
    fn from(fault: Unserved) -> Self {
        match fault {
            Unserved::Denied(_) => Self::Denied(fault.rtmp()),
            _ => Self::Other(fault.rtmp()),
        }
    }
}

impl RtmpPort {
    /// Serves one connection until it ends or `shutdown`.
    pub async fn serve(self, stream: impl Into<Socket>, shutdown: CancellationToken) {
        let mut connection = RtmpConnection::new(stream.into());
        let peer = connection.peer_name();
        let late = async {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        let ended = tokio::select! {
            () = late => return,
            ended = self.run(&mut connection, &shutdown) => ended,
        };
        match ended {
            Ok(()) => debug!(peer, "RTMP connection closed"),
            Err(why) => {
                debug!(peer, %why, "RTMP connection ended");
                if !matches!(why, RtmpEnd::Io(_) | RtmpEnd::Stuck) {
                    connection.farewell().await;
                }
            }
        }
    }

    async fn run(
        &self,
        connection: &mut RtmpConnection,
        shutdown: &CancellationToken,
    ) -> Result<(), RtmpEnd> {
        connection.prepare()?;
        let mut app = App::default();
        loop {
            let wish = timeout(PATIENCE, self.wish(connection, &mut app)).await;
            match wish.map_err(|_| RtmpEnd::Silent)?? {
                None => return Ok(()),
                Some(PeerRequest::Play(app, air, rung, right)) => {
                    let viewer = |name: &str| self.audience.of(&app).enter(name, ViewerProtocol::Rtmp);
                    let viewer = air.tracks().get(rung).map(|tracks| viewer(&tracks.name));
                    let span = info_span!("channel", name = %app);
                    let play = connection.play(&self.counts, viewer, air, rung).instrument(span);
                    return while_held(play, right).await;
                }
                Some(PeerRequest::PlayRecorded(recorded, right)) => {
                    let play = connection.play_recorded(&self.counts, *recorded);
                    return while_held(play, right).await;
                }
                Some(PeerRequest::Publish(into, name)) => {
                    if let After::Gone = published(connection, into, &name, shutdown).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads until the peer plays or publishes; `None` if it leaves before.
    async fn wish(
        &self,
        connection: &mut RtmpConnection,
        app: &mut App,
    ) -> Result<Option<PeerRequest>, RtmpEnd> {
        loop {
            let Some(event) = connection.event().await? else { return Ok(None) };
            let wish = match event {
                RtmpEvent::Connect { app: name, query, .. } => {
                    match self.welcome(connection, &name, &query) {
                        Ok(proved) => {
                            *app = App { name, query, proved };
                            connection.session.accept();
                            continue;
                        }
                        Err(why) => Err(RejectReason::Other(why)),
                    }
                }
                RtmpEvent::Play { path, query, start_ms } => {
                    self.player(connection, [&query, &app.query], &path, start_ms.unwrap_or(0)).await
                }
                RtmpEvent::Publish { stream, query } => self.publisher(connection, app, &stream, &query),
                _ => continue,
            };
            let why = match wish {
                Ok(wish) => {
                    match &wish {
                        PeerRequest::PlayRecorded(..) => connection.session.accept_recorded(),
                        _ => connection.session.accept(),
                    }
                    connection.flush().await?;
                    return Ok(Some(wish));
                }
                Err(RejectReason::Denied(why)) => {
                    connection.session.deny(&why);
                    why
                }
                Err(RejectReason::Other(why)) => {
                    connection.session.reject(&why);
                    why
                }
            };
            connection.flush().await?;
            return Err(RtmpEnd::Refused(why.into_owned()));
        }
    }

    /// Decides whether a peer may use an application. Publishers with a user name and a password are asked for them here;
    /// returns the source whose key they have proved.
    fn welcome(
        &self,
        connection: &RtmpConnection,
        app: &str,
        query: &Query,
    ) -> Result<Option<String>, Cow<'static, str>> {
        if app != PUBLISH_APP && app != PUBLISH_AUTH_APP {
            return Ok(None);
        }
        let shows = |names: &[&str]| names.iter().any(|name| query.get(name).is_some());
        match query.get("authmod").as_deref() {
            None if app == PUBLISH_APP || shows(&["key", "pass", "password"]) => Ok(None),
            Some("adobe") => {
                let user = query.get("user").unwrap_or_default();
                if query.get("response").is_none() {
                    return Err(self.door.challenge(&user).map_or(authmod::FAILED.into(), Cow::Owned));
                }
                let wish = Wanted::Publish { app, source: &user };
                self.ask(connection, wish, [query, &Query::default()]).map_err(|_| authmod::FAILED)?;
                Ok(Some(user.into_owned()))
            }
            _ => Err(authmod::NEED.into()),
        }
    }

    /// Asks the door about a publisher; `queries` are those of the stream and of the application.
    fn ask(
        &self,
        connection: &RtmpConnection,
        wish: Wanted<'_>,
        queries: [&Query; 2],
    ) -> Result<(), Unserved> {
        let query = joined(queries);
        self.door.ask(&caller(connection, wish, &query)).map(drop).map_err(Unserved::Denied)
    }

    /// What `path` names: a recording of a mount, or a channel's rung; the best one where all are asked for.
    async fn player(
        &self,
        connection: &RtmpConnection,
        queries: [&Query; 2],
        path: &str,
        start_ms: u32,
    ) -> Result<PeerRequest, RejectReason> {
        let address = address::parse(path, |app| self.registry.has_mount(app));
        let address = address.map_err(Unserved::Path)?;
        let resolved = self.registry.resolve(&address);
        let (query, scope, url) = (joined(queries), address.scope(), format!("/{path}"));
        let caller = AccessRequest {
            path: &url,
            scope: &scope,
            grant: address.grant.as_deref(),
            ..caller(connection, Wanted::Play(resolved), &query)
        };
        let admission = ask_settled(&*self.door, &caller).await.map_err(Unserved::Denied)?;
        let right = HeldRight::new(&self.door, &caller, admission);
        match resolved {
            Resolved::Recording { mount, stream } => {
                let mount = self.registry.mounted(mount).ok_or(Unserved::Missing)?;
                let peer = connection.peer().and_then(|peer| asker(peer.ip()));
                let recorded = Recorded::open(mount.asked_by(peer), stream, start_ms).await;
                Ok(PeerRequest::PlayRecorded(Box::new(recorded.map_err(RejectReason::Other)?), right))
            }
            Resolved::Channel { channel, rungs } => Ok(self.channel(channel, rungs, right).await?),
            Resolved::Nothing(_) if self.registry.get(&address.app).is_some() => Err(Unserved::Stream.into()),
            Resolved::Index(_) | Resolved::Nothing(_) => Err(Unserved::Channel.into()),
        }
    }

    async fn channel(
        &self,
        name: &str,
        rungs: Selection<'_>,
        right: Option<HeldRight>,
    ) -> Result<PeerRequest, Unserved> {
        let channel = self.registry.started(name).await?;
        let (Some(_), Some(air)) = (&channel.window, &channel.air) else { return Err(Unserved::NotReady) };
        let rung = channel.best_of(rungs).ok_or(Unserved::Stream)?;
        Ok(PeerRequest::Play(name.into(), air.clone(), rung, right))
    }

    /// The source that is published to. The stream is its name; some encoders cut the URL so that the key is part of it.
    fn publisher(
        &self,
        connection: &RtmpConnection,
        app: &App,
        stream: &StreamName,
        query: &Query,
    ) -> Result<PeerRequest, RejectReason> {
        if app.name != PUBLISH_APP && app.name != PUBLISH_AUTH_APP {
            return Err(RejectReason::Other("publish to rtmp://host/publish/<source>?key=...".into()));
        }
        let path = stream.to_string();
        let (source, key) = located(&path, |name| self.publishing.knows(name));
        let query = key.map_or(query.clone(), |key| query.with("key", key));
        let wish = Wanted::Publish { app: &app.name, source };
        let proved = app.proved.as_deref() == Some(source);
        let asked = if proved { Ok(()) } else { self.ask(connection, wish, [&query, &app.query]) };
        asked.map_err(|why| {
            let nothing = query.is_empty() && app.query.is_empty();
            let told = if nothing { "it showed no key" } else { "its key is not the right one" };
            self.publishing.refused(source, told);
            RejectReason::from(why)
        })?;
        let into = self.publishing.open(source).map_err(|why| RejectReason::Other(why.into()))?;
        Ok(PeerRequest::Publish(into, source.into()))
    }
}

/// The queries of a stream and of its application, as one.
fn joined(queries: [&Query; 2]) -> String {
    let queries = queries.map(Query::reveal);
    queries.into_iter().filter(|query| !query.is_empty()).collect::<Vec<_>>().join("&")
}

/// What the door is asked for a peer.
fn caller<'a>(connection: &RtmpConnection, wish: Wanted<'a>, query: &'a str) -> AccessRequest<'a> {
    AccessRequest {
        protocol: Protocol::Rtmp,
        wish,
        peer: connection.peer(),
        is_secure: false,
        path: "",
        query,
        fields: &(),
        step: VisitStep::Entry,
        scope: "",
        grant: None,
    }
}

/// Plays as long as the player has the right to.
async fn while_held(
    play: impl Future<Output = Result<(), RtmpEnd>>,
    mut right: Option<HeldRight>,
) -> Result<(), RtmpEnd> {
    tokio::select! {
        ended = play => ended,
        why = lapsed(right.as_mut()) => Err(RtmpEnd::Refused(why.to_string())),
    }
}

/// Serves one publication, from beginning to end.
async fn published(
    connection: &mut RtmpConnection,
    mut into: Box<dyn PublishedStream>,
    source: &str,
    shutdown: &CancellationToken,
) -> Result<After, RtmpEnd> {
    info!(source, "a publisher has come");
    let ended = connection.publish(&mut *into, source, shutdown).await;
    let why = match &ended {
        Ok(After::Gone) => "it closed the connection".to_owned(),
        Ok(After::Onward) => "it ended its stream".to_owned(),
        Err(why) => why.to_string(),
    };
    into.left(&why);
    info!(source, why, "the publisher has gone");
    ended
}

/// The source and the key in a path: `source`, `source/key`, or `key/source`, if an encoder has cut the URL that way.
fn located(path: &str, knows: impl Fn(&str) -> bool) -> (&str, Option<&str>) {
    match (path.split_once('/'), path.rsplit_once('/')) {
        _ if knows(path) => (path, None),
        (Some((source, key)), _) if knows(source) => (source, Some(key)),
        (_, Some((key, source))) if knows(source) => (source, Some(key)),
        _ => (path, None),
    }
}

#[cfg(test)]
mod tests;
