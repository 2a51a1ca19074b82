//! The table of faults with another packetizer: GStreamer's RTSP server, behind a proxy that damages what passes.
//!
//! The simulated halls of the demo are our own, so a bug in our packetizer and its counterpart in our reader could hide
//! each other. The proxy knows RTSP's framing (RFC 2326 §10.12) and changes RTP packets on their way to the server.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::faults::Outcome::{Leaves, Returns, Stays};
use crate::faults::{Case, case, go_through};
use crate::gstreamer::GstServer;
use crate::server::Server;
use crate::sources::one_hall;

/// Interleaved channels in the order of SETUP: picture, its RTCP, sound, its RTCP.
const PICTURE: u8 = 0;
/// The CSeq of a request that the proxy sends in place of the RTSP server.
const ASKED: &str = "CSeq: 424242";

const CASES: [Case; 13] = [
    case("reset", Returns(4), 10),
    case("freeze", Leaves, 8),
    case("no-video", Leaves, 8),
    case("no-audio", Stays, 8),
    case("jump", Stays, 8),
    case("garbage", Stays, 8),
    case("cut", Stays, 8),
    case("double", Stays, 8),
    case("ended-early", Stays, 8),
    case("strange-rtcp", Stays, 8),
    case("strange-channels", Stays, 8),
    case("asks", Stays, 8),
    case("off", Leaves, 8),
];

/// A proxy in front of an RTSP server.
struct Proxy {
    port: u16,
    spoil: Arc<Mutex<Spoil>>,
}

/// What the proxy does to packets.
#[derive(Default)]
struct Spoil {
    how: String,
    /// Packets that have passed since `how` was set.
    packets: u64,
    /// The open connections, so that they can be ended.
    open: Vec<TcpStream>,
}

impl Spoil {
    fn is(&self, how: &str) -> bool {
        self.how == how
    }
}

impl Proxy {
    fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let spoil = Arc::new(Mutex::new(Spoil::default()));
        let shared = Arc::clone(&spoil);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.lock().expect("no panic").is("off") {
                    continue;
                }
                let Ok(server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], upstream))) else {
                    continue;
                };
                pass(client, server, &shared);
            }
        });
        Self { port, spoil }
    }

    fn set(&self, how: &str) {
        let mut spoil = self.spoil.lock().expect("no panic");
        how.clone_into(&mut spoil.how);
        spoil.packets = 0;
        if matches!(how, "off" | "reset") {
            for connection in spoil.open.drain(..) {
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
    }
}

fn pass(client: TcpStream, server: TcpStream, spoil: &Arc<Mutex<Spoil>>) {
    let twins = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
    spoil
        .lock()
        .expect("no panic")
        .open
        .extend([client.try_clone().expect("a socket"), server.try_clone().expect("a socket")]);
    let (down, up) = (Arc::clone(spoil), Arc::clone(spoil));
    std::thread::spawn(move || {
        let _ = requests(&client, &server, &up);
        let _ = server.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let (client, server) = twins;
        let _ = media(&server, &client, &down);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// A message's head and body, or an interleaved packet with its four bytes.
fn next(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let Some(&first) = reader.fill_buf()?.first() else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    let mut whole = Vec::new();
    if first == b'$' {
        whole.resize(4, 0);
        reader.read_exact(&mut whole)?;
        whole.resize(4 + usize::from(u16::from_be_bytes([whole[2], whole[3]])), 0);
        reader.read_exact(&mut whole[4..])?;
        return Ok(whole);
    }
    let mut length = 0;
    loop {
        let begin = whole.len();
        if reader.read_until(b'\n', &mut whole)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&whole[begin..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let head = whole.len();
    whole.resize(head + length, 0);
    reader.read_exact(&mut whole[head..])?;
    Ok(whole)
}

/// From our server to GStreamer's.
fn requests(client: &TcpStream, mut server: &TcpStream, spoil: &Mutex<Spoil>) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    loop {
        let whole = next(&mut reader)?;
        let answers_us = String::from_utf8_lossy(&whole).contains(ASKED);
        if answers_us || spoil.lock().expect("no panic").is("freeze") {
            continue;
        }
        server.write_all(&whole)?;
    }
}

/// From GStreamer's server to ours.
fn media(server: &TcpStream, mut client: &TcpStream, spoil: &Mutex<Spoil>) -> io::Result<()> {
    let mut reader = BufReader::new(server);
    loop {
        let whole = next(&mut reader)?;
        let spoiled = {
            let mut spoil = spoil.lock().expect("no panic");
            if whole.first() == Some(&b'$') { spoil.packet(whole) } else { spoil.answer(whole) }
        };
        client.write_all(&spoiled)?;
    }
}

fn framed(channel: u8, packet: &[u8]) -> Vec<u8> {
    let length = (packet.len() as u16).to_be_bytes();
    [&[b'$', channel], &length[..], packet].concat()
}

impl Spoil {
    fn answer(&self, whole: Vec<u8>) -> Vec<u8> {
        if self.is("freeze") { Vec::new() } else { whole }
    }

    fn packet(&mut self, mut whole: Vec<u8>) -> Vec<u8> {
        self.packets += 1;
        let (channel, is_tenth) = (whole[1], self.packets.is_multiple_of(10));
        let is_picture = channel == PICTURE && whole.len() > 18;
        match self.how.as_str() {
            "freeze" => Vec::new(),
            "no-video" if channel < 2 => Vec::new(),
            "no-audio" if channel >= 2 => Vec::new(),
            "jump" if channel.is_multiple_of(2) && whole.len() > 12 => {
                let ticks = u32::from_be_bytes([whole[8], whole[9], whole[10], whole[11]]);
                whole[8..12].copy_from_slice(&ticks.wrapping_add(1_000_000_000).to_be_bytes());
                whole
            }
            "garbage" if is_picture && is_tenth => {
                for byte in &mut whole[16..] {
                    *byte = byte.wrapping_mul(31).wrapping_add(7);
                }
                whole
            }
            "cut" if is_picture && is_tenth => framed(channel, &whole[4..18]),
            "double" if is_tenth => [whole.clone(), whole].concat(),
            "ended-early" if is_picture && is_tenth => {
                // The marker of an access unit's last packet (RFC 6184 §5.1) where it does not belong.
                whole[5] |= 0x80;
                whole
            }
            "strange-rtcp" if is_tenth => {
                let strange: [&[u8]; 3] = [b"\x80\xc8\x00\xff", b"\x81\xca\x00\x01ab", b"\x00"];
                let rtcp = strange[(self.packets / 10 % 3) as usize];
                [whole, framed(PICTURE + 1, rtcp)].concat()
            }
            "strange-channels" if is_tenth => [framed(77, b"nobody asked for this"), whole].concat(),
            "asks" if self.packets.is_multiple_of(50) => {
                let question = format!("OPTIONS * RTSP/1.0\r\n{ASKED}\r\n\r\n");
                [whole, question.into_bytes()].concat()
            }
            _ => whole,
        }
    }
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn faults_of_another_packetizer_end_as_the_table_says() {
    let pipeline = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=1280,height=720,framerate=15/1 ! \
                    x264enc tune=zerolatency speed-preset=ultrafast bitrate=750 key-int-max=30 ! \
                    rtph264pay name=pay0 pt=96 config-interval=-1 \
                    audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! \
                    rtpmp4gpay name=pay1 pt=97";
    let hall = GstServer::start(Path::new(""), &["--live", pipeline]);
    let proxy = Proxy::before(hall.port);
    let server = Server::run(&one_hall(&format!("rtsp://127.0.0.1:{}/extron1", proxy.port)));
    go_through(&server, "Live", "hall", &CASES, &|how| proxy.set(how));
    assert_eq!(server.end(), Some(0));
}
