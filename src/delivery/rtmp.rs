//! One RTMP connection: a player or a publisher. The shell around [`Session`].
//!
//! A player gets an opening and the newest cell at once, then each cell as it is aired, in one write of shared messages.
//! Every bound answers a way in which a peer could hold a connection for ever: the handshake and the first request
//! within ten seconds, a publisher's next bytes within ten, a player's socket within ten seconds of a write.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::air::AirReader;
use super::registry::Selection;
use super::route::Stream;
use super::{Audience, Counts, Kind, Registry};
use crate::rtmp::{Event, FlvError, Frame, Query, Session, SessionError, StreamName, Unpacker, opening};

/// From connect to play or publish, and between two messages of a publisher.
const PATIENCE: Duration = Duration::from_secs(10);
/// For one write: a player that reads nothing for so long is gone.
const WRITE: Duration = Duration::from_secs(10);
/// The application that publishers use.
const PUBLISH_APP: &str = "publish";
/// Bytes read at once.
const READ: usize = 16 << 10;

/// Who may publish, and where to.
pub trait Publishing: Send + Sync {
    /// Opens the source called `name` for one publisher, or says why not.
    fn open(&self, name: &str, key: &str) -> Result<Box<dyn PublishedStream>, &'static str>;
}

/// Where a publisher's frames go. Dropped when it leaves.
pub trait PublishedStream: Send {
    /// The next access unit.
    fn frame(&mut self, frame: Frame);
}

/// What RTMP connections are served with.
#[derive(Clone)]
pub struct RtmpDoor {
    /// The channels.
    pub registry: Arc<Registry>,
    /// What was answered.
    pub counts: Arc<Counts>,
    /// Who watches.
    pub audience: Arc<Audience>,
    /// The sources that may be published to.
    pub publishing: Arc<dyn Publishing>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Flv(#[from] FlvError),
    #[error("nothing came for {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the peer took nothing for {} s", WRITE.as_secs())]
    Stuck,
    #[error("refused: {0}")]
    Refused(&'static str),
}

/// What a peer wants to do.
enum Wish {
    Play(AirReader, usize),
    Publish(Box<dyn PublishedStream>, String),
}

impl RtmpDoor {
    /// Serves one connection until it ends or `shutdown`.
    pub async fn serve(self, stream: TcpStream, shutdown: CancellationToken) {
        let peer = stream.peer_addr().map_or_else(|_| "?".to_owned(), |peer| peer.to_string());
        let connection = Connection { stream, session: Session::default(), app: String::new() };
        tokio::select! {
            () = shutdown.cancelled() => {}
            ended = connection.run(&self) => match ended {
                Ok(()) => debug!(peer, "RTMP connection closed"),
                Err(why) => debug!(peer, %why, "RTMP connection ended"),
            },
        }
    }

    /// What `stream` of `app` plays: all rungs mean the best one.
    fn find(&self, app: &str, stream: &StreamName) -> Result<(AirReader, usize), &'static str> {
        let channel = self.registry.get(app).ok_or("there is no channel of that name")?;
        let (Some(shelf), Some(air)) = (&channel.shelf, &channel.air) else {
            return Err("the channel is starting");
        };
        let asked = Stream::Name(stream.path.clone());
        let asked = match stream.path.strip_suffix("_all") {
            Some(group) if stream.prefix == "ngrp" => Stream::Group(group.to_owned()),
            _ => asked,
        };
        match channel.select(shelf, Some(&asked)) {
            Some(Selection::All) => Ok((air.clone(), 0)),
            Some(Selection::Rung(index)) => Ok((air.clone(), index)),
            None => Err("the channel has no stream of that name"),
        }
    }

    /// The source is named by the stream; an URL may have put it behind the application.
    fn publisher(
        &self,
        app: &str,
        stream: &StreamName,
        queries: [&Query; 2],
    ) -> Result<Box<dyn PublishedStream>, &'static str> {
        if app != PUBLISH_APP {
            return Err("publish to rtmp://host/publish/<source>?key=...");
        }
        let key = queries.iter().find_map(|query| query.get("key")).unwrap_or_default();
        self.publishing.open(&stream.path, &key)
    }
}

struct Connection {
    stream: TcpStream,
    session: Session,
    app: String,
}

impl Connection {
    async fn run(mut self, door: &RtmpDoor) -> Result<(), Ended> {
        self.stream.set_nodelay(true)?;
        let mut app_query = Query::default();
        let wish = timeout(PATIENCE, self.wish(door, &mut app_query)).await.map_err(|_| Ended::Silent)??;
        match wish {
            None => Ok(()),
            Some(Wish::Play(air, rung)) => self.play(door, air, rung).await,
            Some(Wish::Publish(into, name)) => {
                info!(source = name, "a publisher has come");
                let ended = self.publish(into).await;
                info!(
                    source = name,
                    why = ended.as_ref().err().map(ToString::to_string),
                    "the publisher has gone"
                );
                ended
            }
        }
    }

    /// Reads until the peer plays or publishes; `None` when it leaves before.
    async fn wish(&mut self, door: &RtmpDoor, app_query: &mut Query) -> Result<Option<Wish>, Ended> {
        let mut buffer = vec![0; READ];
        loop {
            let read = self.stream.read(&mut buffer).await?;
            if read == 0 {
                return Ok(None);
            }
            let mut input = &buffer[..read];
            while let Some(event) = self.session.handle(&mut input)? {
                let wish = match event {
                    Event::Connect { app, query, .. } => {
                        (self.app, *app_query) = (app, query);
                        self.session.accept();
                        continue;
                    }
                    Event::Play { stream, .. } => {
                        door.find(&self.app, &stream).map(|(air, rung)| Wish::Play(air, rung))
                    }
                    Event::Publish { stream, query } => door
                        .publisher(&self.app, &stream, [&query, app_query])
                        .map(|into| Wish::Publish(into, stream.path)),
                    _ => continue,
                };
                match wish {
                    Ok(wish) => {
                        self.session.accept();
                        self.flush().await?;
                        return Ok(Some(wish));
                    }
                    Err(why) => {
                        self.session.reject(why);
                        self.flush().await?;
                        return Err(Ended::Refused(why));
                    }
                }
            }
            self.flush().await?;
        }
    }

    async fn play(&mut self, door: &RtmpDoor, mut air: AirReader, rung: usize) -> Result<(), Ended> {
        let _seat = air.tracks().get(rung).map(|tracks| door.audience.enter(&self.app, &tracks.name));
        let mut opened = false;
        let mut buffer = vec![0; READ];
        let mut paused = false;
        loop {
            let cells = tokio::select! {
                cells = air.cells() => cells,
                read = self.stream.read(&mut buffer) => {
                    let read = read?;
                    if read == 0 {
                        return Ok(());
                    }
                    let mut input = &buffer[..read];
                    while let Some(event) = self.session.handle(&mut input)? {
                        match event {
                            Event::Pause { paused: now, .. } => paused = now,
                            Event::Seek { .. } => self.session.reject("a live stream cannot be sought in"),
                            Event::Close => return self.flush().await,
                            _ => {}
                        }
                    }
                    self.flush().await?;
                    continue;
                }
            };
            let Some(cells) = cells else {
                self.session.finish();
                return self.flush().await;
            };
            for aired in cells.iter().filter(|_| !paused) {
                let messages = air.messages(aired, rung);
                let Some(first) = messages.first() else { continue };
                let mut pieces: Vec<Bytes> = Vec::with_capacity(messages.len() + 1);
                if !opened {
                    opened = true;
                    let tracks = air.tracks().get(rung);
                    pieces.extend(tracks.map(|tracks| opening(tracks, air.timestamp_ms(first.at))));
                }
                pieces.extend(messages.iter().map(|message| message.bytes.clone()));
                let len = pieces.iter().map(Bytes::len).sum();
                self.write(pieces).await?;
                door.counts.count(Kind::RtmpCell, len);
            }
        }
    }

    async fn publish(&mut self, mut into: Box<dyn PublishedStream>) -> Result<(), Ended> {
        let mut unpacker = Unpacker::default();
        let mut buffer = vec![0; READ];
        loop {
            let read =
                timeout(PATIENCE, self.stream.read(&mut buffer)).await.map_err(|_| Ended::Silent)??;
            if read == 0 {
                return Ok(());
            }
            let mut input = &buffer[..read];
            while let Some(event) = self.session.handle(&mut input)? {
                let frame = match event {
                    Event::Video { timestamp_ms, data } => unpacker.video(timestamp_ms, data)?,
                    Event::Audio { timestamp_ms, data } => unpacker.audio(timestamp_ms, data)?,
                    Event::Close => return self.flush().await,
                    _ => None,
                };
                if let Some(frame) = frame {
                    into.frame(frame);
                }
            }
            self.flush().await?;
        }
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        let output = self.session.take_output();
        if output.is_empty() { Ok(()) } else { self.write(vec![output]).await }
    }

    /// Writes shared pieces in as few system calls as may be.
    async fn write(&mut self, pieces: Vec<Bytes>) -> Result<(), Ended> {
        let mut pieces = Pieces { pieces, at: 0 };
        let all = async {
            while pieces.has_some() {
                let slices = pieces.slices();
                let written = self.stream.write_vectored(&slices).await?;
                if written == 0 {
                    return Err(io::Error::from(io::ErrorKind::WriteZero));
                }
                pieces.skip(written);
            }
            Ok(())
        };
        timeout(WRITE, all).await.map_err(|_| Ended::Stuck)?.map_err(Ended::from)
    }
}

/// What is left to be written.
struct Pieces {
    pieces: Vec<Bytes>,
    at: usize,
}

impl Pieces {
    /// IOV_MAX is 1024 on Linux.
    const MOST: usize = 256;

    fn has_some(&self) -> bool {
        self.at < self.pieces.len()
    }

    fn slices(&self) -> Vec<io::IoSlice<'_>> {
        self.pieces.iter().skip(self.at).take(Self::MOST).map(|piece| io::IoSlice::new(piece)).collect()
    }

    fn skip(&mut self, mut written: usize) {
        while let Some(piece) = self.pieces.get_mut(self.at) {
            if written < piece.len() {
                let _ = piece.split_to(written);
                return;
            }
            written -= piece.len();
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn however_it_is_written_every_byte_is_written_once(
            lens in prop::collection::vec(0..50_usize, 0..20), steps in prop::collection::vec(1..40_usize, 1..50),
        ) {
            let whole: Vec<u8> = (0..lens.iter().sum::<usize>()).map(|n| n as u8).collect();
            let mut at = 0;
            let cut = lens.iter().map(|len| { at += len; Bytes::copy_from_slice(&whole[at - len..at]) }).collect();
            let mut pieces = Pieces { pieces: cut, at: 0 };
            let mut written = Vec::new();
            for step in steps.iter().cycle() {
                if !pieces.has_some() { break; }
                let ready: Vec<u8> = pieces.slices().iter().flat_map(|slice| slice.to_vec()).collect();
                let step = (*step).min(ready.len());
                written.extend_from_slice(&ready[..step]);
                pieces.skip(step);
            }
            prop_assert_eq!(written, whole);
        }
    }
}
