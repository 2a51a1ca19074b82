//! RTMP connections of players and publishers: the shell around [`Session`].
//!
//! * `connection` is the socket: reading, writing, time limits;
//! * `live` plays a channel, `recorded` a recording, with pause and seek;
//! * `publish` takes a publisher's frames.
//!
//! Every bound answers a way in which a peer could hold a connection for ever: the handshake and the first request
//! within ten seconds, a publisher's next frame within ten, a player's socket within ten seconds of a write, a player
//! who only holds a recording within half an hour.

mod connection;
mod live;
mod publish;
mod recorded;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::air::AirReader;
use super::door::{Caller, Door, Protocol, Wish as Wanted};
use super::registry::Selection;
use super::route::Stream;
use super::{Audience, Counts, Registry, Speaks};
use crate::http::asker;
use crate::rtmp::{Event, Query, StreamName};
use connection::{Connection, Ended, PATIENCE};
use recorded::Recorded;

pub use publish::{PublishedStream, Publishing};

/// The application that publishers use.
const PUBLISH_APP: &str = "publish";

/// What RTMP connections are served with.
#[derive(Clone)]
pub struct RtmpPort {
    /// What there is to play.
    pub registry: Arc<Registry>,
    /// What was answered.
    pub counts: Arc<Counts>,
    /// Who watches.
    pub audience: Arc<Audience>,
    /// Who may do what.
    pub door: Arc<dyn Door>,
    /// The sources that may be published to.
    pub publishing: Arc<dyn Publishing>,
}

/// What a peer wants to do.
enum Wish {
    /// On which channel, which rung.
    Play(String, AirReader, usize),
    PlayRecorded(Box<Recorded>),
    Publish(Box<dyn PublishedStream>, String),
}

impl RtmpPort {
    /// Serves one connection until it ends or `shutdown`.
    pub async fn serve(self, stream: TcpStream, shutdown: CancellationToken) {
        let connection = Connection::new(stream);
        let peer = connection.peer_name();
        tokio::select! {
            () = shutdown.cancelled() => {}
            ended = self.run(connection) => match ended {
                Ok(()) => debug!(peer, "RTMP connection closed"),
                Err(why) => debug!(peer, %why, "RTMP connection ended"),
            },
        }
    }

    async fn run(&self, mut connection: Connection) -> Result<(), Ended> {
        connection.prepare()?;
        let wish = timeout(PATIENCE, self.wish(&mut connection)).await.map_err(|_| Ended::Silent)??;
        match wish {
            None => Ok(()),
            Some(Wish::Play(app, air, rung)) => {
                let seat = |name: &str| self.audience.enter(&app, name, Speaks::Rtmp);
                let seat = air.tracks().get(rung).map(|tracks| seat(&tracks.name));
                connection.play(&self.counts, seat, air, rung).await
            }
            Some(Wish::PlayRecorded(recorded)) => connection.play_recorded(&self.counts, *recorded).await,
            Some(Wish::Publish(into, name)) => {
                info!(source = name, "a publisher has come");
                let ended = connection.publish(into).await;
                let why = ended.as_ref().err().map(ToString::to_string);
                info!(source = name, why, "the publisher has gone");
                ended
            }
        }
    }

    /// Reads until the peer plays or publishes; `None` when it leaves before.
    async fn wish(&self, connection: &mut Connection) -> Result<Option<Wish>, Ended> {
        let mut app = String::new();
        let mut app_query = Query::default();
        loop {
            let Some(event) = connection.event().await? else { return Ok(None) };
            let wish = match event {
                Event::Connect { app: name, query, .. } => {
                    (app, app_query) = (name, query);
                    connection.session.accept();
                    continue;
                }
                Event::Play { stream, query, start_ms } => {
                    let peer = connection.peer().and_then(|peer| asker(peer.ip()));
                    let asked =
                        Asked { connection, app: &app, stream: &stream, queries: [&query, &app_query] };
                    match self.ask(Wanted::Play, &asked) {
                        Ok(()) => self.find(&app, &stream, start_ms.unwrap_or(0), peer).await,
                        Err(why) => Err(why),
                    }
                }
                Event::Publish { stream, query } => {
                    let asked =
                        Asked { connection, app: &app, stream: &stream, queries: [&query, &app_query] };
                    self.publisher(&asked).map(|into| Wish::Publish(into, stream.path.clone()))
                }
                _ => continue,
            };
            match wish {
                Ok(wish) => {
                    match &wish {
                        Wish::PlayRecorded(_) => connection.session.accept_recorded(),
                        _ => connection.session.accept(),
                    }
                    connection.flush().await?;
                    return Ok(Some(wish));
                }
                Err(why) => {
                    connection.session.reject(&why);
                    connection.flush().await?;
                    return Err(Ended::Refused(why.into_owned()));
                }
            }
        }
    }

    fn ask(&self, wish: Wanted, asked: &Asked<'_>) -> Result<(), Cow<'static, str>> {
        let StreamName { prefix, path } = asked.stream;
        let stream = if prefix.is_empty() { path.clone() } else { format!("{prefix}:{path}") };
        let query = asked.queries.map(Query::reveal);
        let query = query.into_iter().filter(|query| !query.is_empty()).collect::<Vec<_>>().join("&");
        let peer = asked.connection.peer();
        let (protocol, app) = (Protocol::Rtmp, asked.app);
        let caller = Caller { protocol, wish, peer, app, stream: &stream, query: &query };
        self.door.ask(&caller).map_err(|refusal| refusal.0.into())
    }

    /// What `stream` of `app` plays: a recording of a mount, or a channel's rung; all rungs mean the best one.
    async fn find(
        &self,
        app: &str,
        stream: &StreamName,
        start_ms: u32,
        peer: Option<IpAddr>,
    ) -> Result<Wish, Cow<'static, str>> {
        if let Some(mount) = self.registry.mounted(app) {
            let recorded = Recorded::open(mount.asked_by(peer), stream, start_ms).await?;
            return Ok(Wish::PlayRecorded(Box::new(recorded)));
        }
        let channel = self.registry.get(app).ok_or("there is no channel of that name")?;
        let (Some(shelf), Some(air)) = (&channel.shelf, &channel.air) else {
            return Err("the channel is starting".into());
        };
        let asked = match stream.path.strip_suffix("_all") {
            Some(group) if stream.prefix == "ngrp" => Stream::Group(group.into()),
            _ => Stream::Name(stream.path.as_str().into()),
        };
        match channel.select(shelf, Some(&asked)) {
            Some(Selection::All) => Ok(Wish::Play(app.to_owned(), air.clone(), 0)),
            Some(Selection::Rung(index)) => Ok(Wish::Play(app.to_owned(), air.clone(), index)),
            None => Err("the channel has no stream of that name".into()),
        }
    }

    /// The source is named by the stream; an URL may have put it behind the application.
    fn publisher(&self, asked: &Asked<'_>) -> Result<Box<dyn PublishedStream>, Cow<'static, str>> {
        if asked.app != PUBLISH_APP {
            return Err("publish to rtmp://host/publish/<source>?key=...".into());
        }
        self.ask(Wanted::Publish, asked)?;
        Ok(self.publishing.open(&asked.stream.path)?)
    }
}

/// A question for the door.
struct Asked<'a> {
    connection: &'a Connection,
    app: &'a str,
    stream: &'a StreamName,
    /// Behind the stream, and behind the application.
    queries: [&'a Query; 2],
}

#[cfg(test)]
mod tests;
