//! RTMP connections of players and publishers: the shell around [`Session`].
//!
//! * `connection` is the socket: reading, writing, time limits;
//! * `live` plays a channel, `recorded` a recording, with pause and seek;
//! * `publish` takes a publisher's frames.
//!
//! Publishers show their source's key behind a `?`, as a segment of the path, or as user name and password
//! ([`authmod`]). Who is refused or sent away is told why, and given time to read it.
//!
//! Every bound answers a way in which a peer could hold a connection for ever: the handshake and the first request
//! within ten seconds, a publisher's next frame within ten, a player's socket within ten seconds of a write, a player
//! who only holds a recording within half an hour.

mod connection;
mod live;
mod publish;
mod recorded;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::address;
use super::air::AirReader;
use super::door::{AccessAction as Wanted, AccessRequest, Door, Protocol, Resolved, Selection};
use super::registry::Absent;
use super::{AnswerCounts, Audience, Registry, Speaks};
use amphi_http::asker;
use amphi_protocol::rtmp::{Event, Query, StreamName, authmod};
use connection::{PATIENCE, RtmpConnection, RtmpEnd};
use publish::After;
use recorded::Recorded;

pub use publish::{PublishedStream, Publishing};

/// Why nothing is played yet.
const STARTING: &str = "the channel is starting";
const NO_CHANNEL: &str = "there is no channel of that name";
const NO_STREAM: &str = "the channel has no stream of that name";
/// The application that publishers use.
const PUBLISH_APP: &str = "publish";
/// The same for those who have a user name and a password: encoders tell them only when they are asked at once.
const PUBLISH_AUTH_APP: &str = "publish-auth";
/// When the server ends, publishers are told so within this.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What RTMP connections are served with.
#[derive(Clone)]
pub struct RtmpPort {
    /// What there is to play.
    pub registry: Arc<Registry>,
    /// What was answered.
    pub counts: Arc<AnswerCounts>,
    /// Who watches.
    pub audience: Arc<Audience>,
    /// Who may do what.
    pub door: Arc<dyn Door>,
    /// The sources that may be published to.
    pub publishing: Arc<dyn Publishing>,
}

/// What a peer wants to do.
enum PeerRequest {
    /// On which channel, which rung.
    Play(String, AirReader, usize),
    PlayRecorded(Box<Recorded>),
    Publish(Box<dyn PublishedStream>, String),
}

/// The application that a connection uses.
#[derive(Default)]
struct App {
    name: String,
    query: Query,
    /// The source whose key was shown when it connected: [`authmod`]'s proof does not last until a second stream.
    proved: Option<String>,
}

/// Why somebody is not let in.
enum RejectReason {
    /// Not allowed.
    Denied(Cow<'static, str>),
    /// Not there, or not free.
    Other(Cow<'static, str>),
}

impl RtmpPort {
    /// Serves one connection until it ends or `shutdown`.
    pub async fn serve(self, stream: TcpStream, shutdown: CancellationToken) {
        let mut connection = RtmpConnection::new(stream);
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
                Some(PeerRequest::Play(app, air, rung)) => {
                    let seat = |name: &str| self.audience.enter(&app, name, Speaks::Rtmp);
                    let seat = air.tracks().get(rung).map(|tracks| seat(&tracks.name));
                    return connection.play(&self.counts, seat, air, rung).await;
                }
                Some(PeerRequest::PlayRecorded(recorded)) => {
                    return connection.play_recorded(&self.counts, *recorded).await;
                }
                Some(PeerRequest::Publish(into, name)) => {
                    if let After::Gone = published(connection, into, &name, shutdown).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads until the peer plays or publishes; `None` when it leaves before.
    async fn wish(
        &self,
        connection: &mut RtmpConnection,
        app: &mut App,
    ) -> Result<Option<PeerRequest>, RtmpEnd> {
        loop {
            let Some(event) = connection.event().await? else { return Ok(None) };
            let wish = match event {
                Event::Connect { app: name, query, .. } => match self.welcome(connection, &name, &query) {
                    Ok(proved) => {
                        *app = App { name, query, proved };
                        connection.session.accept();
                        continue;
                    }
                    Err(why) => Err(RejectReason::Other(why)),
                },
                Event::Play { path, query, start_ms } => {
                    self.player(connection, [&query, &app.query], &path, start_ms.unwrap_or(0)).await
                }
                Event::Publish { stream, query } => self.publisher(connection, app, &stream, &query),
                _ => continue,
            };
            let why = match wish {
                Ok(wish) => {
                    match &wish {
                        PeerRequest::PlayRecorded(_) => connection.session.accept_recorded(),
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

    /// Whether a peer may use an application: publishers with a user name and a password are asked for them here. The
    /// source whose key they have shown.
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

    /// `queries` stand behind the stream, and behind the application.
    fn ask(
        &self,
        connection: &RtmpConnection,
        wish: Wanted<'_>,
        queries: [&Query; 2],
    ) -> Result<(), Cow<'static, str>> {
        let query = queries.map(Query::reveal);
        let query = query.into_iter().filter(|query| !query.is_empty()).collect::<Vec<_>>().join("&");
        let caller = AccessRequest { protocol: Protocol::Rtmp, wish, peer: connection.peer(), query: &query };
        self.door.ask(&caller).map_err(|refusal| refusal.0.into())
    }

    /// What `path` plays: a recording of a mount, or a channel's rung; all rungs mean the best one.
    async fn player(
        &self,
        connection: &RtmpConnection,
        queries: [&Query; 2],
        path: &str,
        start_ms: u32,
    ) -> Result<PeerRequest, RejectReason> {
        let other = |why: &'static str| RejectReason::Other(why.into());
        let address = address::parse(path, |app| self.registry.has_mount(app));
        let address = address.map_err(|error| RejectReason::Other(error.to_string().into()))?;
        let resolved = self.registry.resolve(&address);
        self.ask(connection, Wanted::Play(resolved), queries).map_err(RejectReason::Denied)?;
        match resolved {
            Resolved::Recording { mount, stream } => {
                let mount = self.registry.mounted(mount).ok_or(other("there is no such recording"))?;
                let peer = connection.peer().and_then(|peer| asker(peer.ip()));
                let recorded = Recorded::open(mount.asked_by(peer), stream, start_ms).await;
                Ok(PeerRequest::PlayRecorded(Box::new(recorded.map_err(RejectReason::Other)?)))
            }
            Resolved::Channel { channel, rungs } => self.channel(channel, rungs).await.map_err(other),
            Resolved::Nothing(_) if self.registry.get(&address.app).is_some() => Err(other(NO_STREAM)),
            Resolved::Index(_) | Resolved::Nothing(_) => Err(other(NO_CHANNEL)),
        }
    }

    async fn channel(&self, name: &str, rungs: Selection<'_>) -> Result<PeerRequest, &'static str> {
        let channel = self.registry.started(name).await.map_err(|absent| match absent {
            Absent::Unknown => NO_CHANNEL,
            Absent::Starting => STARTING,
        })?;
        let (Some(_), Some(air)) = (&channel.shelf, &channel.air) else { return Err(STARTING) };
        let rung = channel.best_of(rungs).ok_or(NO_STREAM)?;
        Ok(PeerRequest::Play(name.to_owned(), air.clone(), rung))
    }

    /// The source is named by the stream; an URL may have put it behind the application, and the key beside it.
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
            RejectReason::Denied(why)
        })?;
        let into = self.publishing.open(source).map_err(|why| RejectReason::Other(why.into()))?;
        Ok(PeerRequest::Publish(into, source.to_owned()))
    }
}

/// A publisher's stay, from beginning to end.
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

/// Which segment of a path is the source, and what beside it is the key: `source`, `source/key`, or `key/source` where an URL was cut
/// that way.
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
