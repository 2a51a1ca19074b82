//! A player of RTSP whose packets are interleaved in its connection (RFC 2326 §10.12).

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::fault::{ExchangeError, PATIENCE, broken};
use super::screen::{AGAIN, Screen};
use super::socket::connect;

/// Most bytes that are read at once.
const READ: usize = 16 << 10;
/// The time between requests: sessions end after 60 s without one (RFC 2326 §12.37).
const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// Most bytes of a head or a description.
const REPLY_MAX: usize = 64 << 10;
/// RTP clock of the picture in hertz (RFC 6184 §8.2.1).
const VIDEO_RATE: u32 = 90_000;

/// Plays for ever; connects again after an error.
pub(super) async fn view(screen: &mut Screen, source: Option<SocketAddr>) {
    loop {
        if let Err(error) = connection(screen, source).await {
            screen.error("RTSP", error);
        }
        sleep(AGAIN).await;
    }
}

async fn connection(screen: &mut Screen, source: Option<SocketAddr>) -> Result<(), ExchangeError> {
    let mut url = screen.test.target.url.clone();
    // Credentials are not sent: this player does not answer challenges.
    let _ = (url.set_username(""), url.set_password(None));
    let stream = connect(screen.test.target.address, source).await?;
    let mut session = PlayerSession { stream, buffer: BytesMut::new(), sequence: 0, id: String::new() };
    let described = session.ask("DESCRIBE", url.as_str(), "Accept: application/sdp\r\n").await?;
    let base = described.field("content-base").and_then(|base| Url::parse(base).ok()).unwrap_or(url);
    let tracks = tracks(&String::from_utf8_lossy(&described.body));
    if tracks.is_empty() {
        return Err(ExchangeError::Content("a description without streams"));
    }
    let mut packets = Vec::new();
    for (index, track) in tracks.iter().enumerate() {
        let channel = index * 2;
        let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{}\r\n", channel + 1);
        session.ask("SETUP", &control(&base, &track.control), &transport).await?;
        packets.push(PacketCheck::new(track.rate));
    }
    session.ask("PLAY", base.as_str(), "Range: npt=0.000-\r\n").await?;
    let mut asked = Instant::now();
    loop {
        while let Some((channel, packet)) = session.packet()? {
            screen.bytes(packet.len() as u64);
            let is_first = channel == 0;
            if channel % 2 == 0
                && let Some(packets) = packets.get_mut(usize::from(channel / 2))
                && let Some(advance) = packets.take(&packet)?.filter(|_| is_first)
            {
                screen.arrived(advance);
            }
        }
        if asked.elapsed() > KEEP_ALIVE {
            asked = Instant::now();
            session.send("GET_PARAMETER", base.as_str(), "").await?;
        }
        session.fill().await?;
    }
}

/// The URL of a track for SETUP (RFC 2326 §C.1.1).
fn control(base: &Url, name: &str) -> String {
    if name.starts_with("rtsp:") {
        name.to_owned()
    } else {
        format!("{}/{name}", base.as_str().trim_end_matches('/'))
    }
}

/// A stream of a description (RFC 8866).
#[derive(Debug, PartialEq)]
struct DescribedStream {
    control: String,
    rate: u32,
}

/// The streams of a description. Pictures come first, since their time is the player's.
fn tracks(sdp: &str) -> Vec<DescribedStream> {
    let mut found: Vec<(bool, DescribedStream)> = Vec::new();
    for line in sdp.lines().map(str::trim) {
        if let Some(media) = line.strip_prefix("m=") {
            let is_picture = media.starts_with("video");
            if is_picture || media.starts_with("audio") {
                found.push((is_picture, DescribedStream { control: String::new(), rate: VIDEO_RATE }));
            }
        } else if let Some((_, track)) = found.last_mut() {
            if let Some(control) = line.strip_prefix("a=control:") {
                control.clone_into(&mut track.control);
            } else if let Some(map) = line.strip_prefix("a=rtpmap:") {
                track.rate = map.split('/').nth(1).and_then(|rate| rate.parse().ok()).unwrap_or(VIDEO_RATE);
            }
        }
    }
    found.sort_by_key(|(is_picture, _)| !is_picture);
    found.into_iter().map(|(_, track)| track).collect()
}

/// Checks the packets of one stream (RFC 3550 §5.1). Sans-IO.
#[derive(Debug)]
struct PacketCheck {
    rate: u32,
    sequence: Option<u16>,
    timestamp: Option<u32>,
}

impl PacketCheck {
    fn new(rate: u32) -> Self {
        Self { rate: rate.max(1), sequence: None, timestamp: None }
    }

    /// Takes a packet; returns by how much the stream's time has grown.
    fn take(&mut self, packet: &[u8]) -> Result<Option<Duration>, ExchangeError> {
        let Some([flags, _, s0, s1, t0, t1, t2, t3, ..]) = packet.first_chunk::<12>() else {
            return Err(ExchangeError::Content("a packet without a header"));
        };
        if flags >> 6 != 2 {
            return Err(ExchangeError::Content("a packet of another version of RTP"));
        }
        let (sequence, timestamp) =
            (u16::from_be_bytes([*s0, *s1]), u32::from_be_bytes([*t0, *t1, *t2, *t3]));
        if self.sequence.replace(sequence).is_some_and(|before| sequence != before.wrapping_add(1)) {
            return Err(ExchangeError::Content("packets are missing"));
        }
        let Some(before) = self.timestamp else {
            self.timestamp = Some(timestamp);
            return Ok(Some(Duration::ZERO));
        };
        let step = timestamp.wrapping_sub(before);
        // Pictures may come in another order than they are shown (B pictures).
        if step == 0 || step > u32::MAX / 2 {
            return Ok(None);
        }
        self.timestamp = Some(timestamp);
        Ok(Some(Duration::from_secs_f64(f64::from(step) / f64::from(self.rate))))
    }
}

struct RtspReply {
    head: String,
    body: Vec<u8>,
}

impl RtspReply {
    fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(field, _)| field.trim().eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }
}

struct PlayerSession {
    stream: TcpStream,
    buffer: BytesMut,
    sequence: u32,
    id: String,
}

impl PlayerSession {
    async fn send(&mut self, method: &str, url: &str, fields: &str) -> Result<(), ExchangeError> {
        self.sequence += 1;
        let session = if self.id.is_empty() { String::new() } else { format!("Session: {}\r\n", self.id) };
        let request = format!(
            "{method} {url} RTSP/1.0\r\nCSeq: {}\r\nUser-Agent: amphi-loadtest\r\n{session}{fields}\r\n",
            self.sequence
        );
        self.stream.write_all(request.as_bytes()).await.map_err(|error| broken(&error))
    }

    async fn ask(&mut self, method: &str, url: &str, fields: &str) -> Result<RtspReply, ExchangeError> {
        self.send(method, url, fields).await?;
        loop {
            if let Some(reply) = self.reply()? {
                let status = reply.head.split(' ').nth(1).and_then(|status| status.parse().ok());
                match status {
                    Some(200) => {}
                    Some(status) => return Err(ExchangeError::Status(status)),
                    None => return Err(ExchangeError::Protocol("RTSP/1.0")),
                }
                if let Some(id) = reply.field("session").and_then(|value| value.split(';').next()) {
                    id.clone_into(&mut self.id);
                }
                return Ok(reply);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), ExchangeError> {
        if self.buffer.is_empty() {
            // No player keeps a buffer while it waits.
            self.buffer = BytesMut::new();
        }
        let ready = timeout(PATIENCE, self.stream.readable()).await.map_err(|_| ExchangeError::Silence)?;
        ready.map_err(|error| broken(&error))?;
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await.map_err(|error| broken(&error))? {
            0 => Err(ExchangeError::Connection("closed".to_owned())),
            _ => Ok(()),
        }
    }

    /// The next whole reply; packets before it are dropped.
    fn reply(&mut self) -> Result<Option<RtspReply>, ExchangeError> {
        while self.buffer.first() == Some(&b'$') {
            if self.interleaved().is_none() {
                return Ok(None);
            }
        }
        let Some(head) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            let too_long = self.buffer.len() > REPLY_MAX;
            return if too_long { Err(ExchangeError::Protocol("RTSP/1.0")) } else { Ok(None) };
        };
        let text = String::from_utf8_lossy(self.buffer.get(..head).unwrap_or_default()).into_owned();
        let reply = RtspReply { head: text, body: Vec::new() };
        let length = reply.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
        if length > REPLY_MAX {
            return Err(ExchangeError::Protocol("RTSP/1.0"));
        }
        if self.buffer.len() < head + 4 + length {
            return Ok(None);
        }
        self.buffer.advance(head + 4);
        Ok(Some(RtspReply { body: self.buffer.split_to(length).to_vec(), ..reply }))
    }

    /// The next packet with its channel; replies to keep-alives between packets are skipped.
    fn packet(&mut self) -> Result<Option<(u8, BytesMut)>, ExchangeError> {
        loop {
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'$') => return Ok(self.interleaved()),
                Some(b'R') => match self.reply()? {
                    Some(_) => {}
                    None => return Ok(None),
                },
                Some(_) => return Err(ExchangeError::Protocol("RTSP/1.0")),
            }
        }
    }

    fn interleaved(&mut self) -> Option<(u8, BytesMut)> {
        let [_, channel, high, low] = *self.buffer.first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if self.buffer.len() < 4 + length {
            return None;
        }
        self.buffer.advance(4);
        Some((channel, self.buffer.split_to(length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_name_their_streams() {
        let sdp = "v=0\r\na=control:*\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/48000/2\r\na=control:a\r\n\
                   m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:rtsp://h/x/v\r\n";
        let expected = [
            DescribedStream { control: "rtsp://h/x/v".to_owned(), rate: 90_000 },
            DescribedStream { control: "a".to_owned(), rate: 48_000 },
        ];
        assert_eq!(tracks(sdp), expected);
        let base = Url::parse("rtsp://h/x/").expect("an URL");
        assert_eq!(control(&base, "a"), "rtsp://h/x/a");
        assert_eq!(control(&base, "rtsp://h/x/v"), "rtsp://h/x/v");
    }

    #[test]
    fn lost_packets_and_time_are_noticed() {
        let packet = |sequence: u16, timestamp: u32| {
            let mut packet = vec![0x80, 96];
            packet.extend(sequence.to_be_bytes());
            packet.extend(timestamp.to_be_bytes());
            packet.extend([0; 8]);
            packet
        };
        let mut packets = PacketCheck::new(90_000);
        assert_eq!(packets.take(&packet(65_535, u32::MAX)), Ok(Some(Duration::ZERO)));
        assert_eq!(packets.take(&packet(0, u32::MAX)), Ok(None));
        assert_eq!(packets.take(&packet(1, 8_999)), Ok(Some(Duration::from_millis(100))));
        assert!(packets.take(&packet(3, 9_000)).is_err());
        assert!(packets.take(&[0x80]).is_err());
    }
}
