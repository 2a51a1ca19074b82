//! Whole sessions with the quirks of real halls: a scripted encoder on a port of this machine, and what is received of it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::address::SourceAddress;
use super::fault::SourceFault;
use super::intake::Intake;
use super::session::{SessionEvent, SourceSession};
use amphi_config::Transport;
use amphi_media::Track;
use amphi_media::clock::SystemClock;

const VIDEO: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z2QADKyyAoM/PgIgAAADACAAAAMDweKFSQ==,aOvDyyLA\r\na=control:v\r\n";
const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n";
const AAC: &str = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\n\
    a=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190\r\na=control:a\r\n";

/// What a hall answers to a request, without CSeq; `None`: the usual answer.
type Answer = fn(&Hall, &str) -> Option<String>;

/// What a hall does differently than usual.
#[derive(Clone)]
struct Quirk {
    sdp: String,
    /// An answer (without CSeq) to a request; `None`: the usual one.
    answer: Answer,
    /// The payload of a packet of sound, and its type.
    sound: (u8, Vec<u8>),
    /// Written after the third picture.
    between: Vec<u8>,
    /// No sound is sent after it.
    hushed: bool,
}

impl Default for Quirk {
    fn default() -> Self {
        Self {
            sdp: format!("{HEAD}{VIDEO}{AAC}"),
            answer: |_, _| None,
            sound: (97, vec![0, 16, 0, 4 << 3, 0x21, 0x10, 0x04, 0x60]),
            between: Vec::new(),
            hushed: false,
        }
    }
}

struct Hall {
    port: u16,
    quirk: Quirk,
    connections: AtomicUsize,
    /// What came that is no request before PLAY: answers to the hall, later requests, and packets as `$` and their type.
    heard: Mutex<String>,
    nonce: AtomicUsize,
}

impl Hall {
    async fn open(quirk: Quirk) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hall = Arc::new(Self {
            port,
            quirk,
            connections: AtomicUsize::new(0),
            heard: Mutex::default(),
            nonce: AtomicUsize::new(0),
        });
        let served = Arc::clone(&hall);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                served.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(Arc::clone(&served).serve(socket));
            }
        });
        hall
    }

    async fn serve(self: Arc<Self>, socket: TcpStream) {
        let (mut reader, mut writer) = socket.into_split();
        let mut bytes = Vec::new();
        let mut channel = 0;
        while let Some(request) = self.request(&mut reader, &mut bytes).await {
            let method = request.split(' ').next().unwrap_or_default();
            let cseq = request.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap_or("0");
            let answer = (self.quirk.answer)(&self, &request).unwrap_or_else(|| match method {
                "DESCRIBE" => described(&self.quirk.sdp),
                "SETUP" => {
                    channel += 2;
                    format!(
                        "200 OK\r\nSession: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved={}-{}\r\n\r\n",
                        channel - 2,
                        channel - 1
                    )
                }
                _ => "200 OK\r\nSession: 1\r\n\r\n".to_owned(),
            });
            let (status, rest) = answer.split_once("\r\n").unwrap();
            let text = format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n{rest}");
            if writer.write_all(text.as_bytes()).await.is_err() {
                return;
            }
            if method == "PLAY" && status.starts_with("200") {
                let hall = Arc::clone(&self);
                tokio::spawn(async move { hall.media(&mut writer).await });
                while let Some(request) = self.request(&mut reader, &mut bytes).await {
                    self.heard.lock().unwrap().push_str(&request);
                }
                return;
            }
        }
    }

    /// The next request; everything else is added to `heard`.
    async fn request(&self, reader: &mut OwnedReadHalf, bytes: &mut Vec<u8>) -> Option<String> {
        loop {
            if bytes.first() == Some(&b'$') && bytes.len() >= 4 {
                let end = 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
                if bytes.len() >= end {
                    let packet: Vec<u8> = bytes.drain(..end).collect();
                    write!(self.heard.lock().unwrap(), "${}:{} ", packet[1], packet[5]).unwrap();
                    continue;
                }
            } else if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
                if !head.starts_with("RTSP/") {
                    return Some(head);
                }
                self.heard.lock().unwrap().push_str(&head);
                continue;
            }
            let read = reader.read_buf(bytes).await.ok()?;
            if read == 0 {
                return None;
            }
        }
    }

    async fn media(&self, writer: &mut OwnedWriteHalf) {
        for n in 0_u16.. {
            let idr = n % 10 == 0;
            let mut out = rtp(0, 96, n, u32::from(n) * 6000, &[if idr { 0x65 } else { 0x41 }, 0x88, 1, 2]);
            if n <= 3 || !self.quirk.hushed {
                out.extend(rtp(2, self.quirk.sound.0, n, u32::from(n) * 3200, &self.quirk.sound.1));
            }
            if n == 3 {
                out.extend_from_slice(&self.quirk.between);
            }
            if writer.write_all(&out).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn url(&self) -> String {
        format!("rtsp://admin:secret@127.0.0.1:{}/x", self.port)
    }

    async fn session(&self) -> Result<SourceSession, SourceFault> {
        let address = SourceAddress::parse(&self.url())?;
        SourceSession::open(&address, Transport::Tcp, Arc::new(SystemClock::default())).await
    }

    /// Plays until so many pictures have come; their losses, and how many frames of sound.
    async fn plays(&self, pictures: usize) -> Result<(Vec<u16>, usize), SourceFault> {
        let mut session = self.session().await?;
        let (mut losses, mut sounds) = (Vec::new(), 0);
        while losses.len() < pictures {
            match tokio::time::timeout(Duration::from_secs(10), session.next()).await.expect("pictures")? {
                SessionEvent::Unit(unit) if unit.track() == Track::Video => losses.push(unit.lost),
                SessionEvent::Unit(_) => sounds += 1,
                _ => {}
            }
        }
        session.close().await;
        Ok((losses, sounds))
    }
}

fn described(sdp: &str) -> String {
    format!("200 OK\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
}

/// An interleaved packet with the marker.
fn rtp(channel: u8, payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![b'$', channel];
    packet.extend_from_slice(&(12 + payload.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[0x80, 0x80 | payload_type]);
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&u32::from(channel).to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

#[tokio::test]
async fn descriptions_as_they_are_written_play() {
    for sdp in [
        format!("{HEAD}{VIDEO}{AAC}"),
        format!("{VIDEO}{AAC}"),
        format!("v=0\no=- 1001 1 IN\nc=IN\nt=now-\n{VIDEO}{AAC}").replace("\r\n", "\n"),
        format!("{HEAD}{VIDEO}{AAC}").replace("fmtp:97", "fmtp:96"),
        format!("{HEAD}{AAC}{VIDEO}").replace("AVP 96", "AVP  96 98 "),
    ] {
        // Where sound is described first the channels differ.
        let first = sdp.find("m=audio") > sdp.find("m=video");
        let hall = Hall::open(Quirk { sdp: sdp.clone(), ..Quirk::default() }).await;
        let (losses, sounds) = hall.plays(5).await.unwrap_or_else(|fault| panic!("{fault}: {sdp}"));
        assert!(losses == [0; 5] && (sounds > 0 || !first), "{losses:?} {sounds}: {sdp}");
    }
}

#[tokio::test]
async fn sound_of_every_kind_comes() {
    let mut mp3 = vec![0; 4 + 384];
    mp3[4..8].copy_from_slice(&[0xff, 0xfb, 0x94, 0x00]);
    let latm = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MP4A-LATM/48000/2\r\na=fmtp:97 cpresent=0;config=400023203fc0\r\n";
    for (media, sound) in [
        (latm.to_owned(), (97, vec![2, 1, 2])),
        (AAC.replace("1190", "11B0"), (97, vec![0, 16, 0, 2 << 3, 1, 2])),
        ("m=audio 0 RTP/AVP 14\r\n".to_owned(), (14, mp3)),
        ("m=audio 0 RTP/AVP 8\r\n".to_owned(), (8, vec![0; 160])),
        ("m=audio 0 RTP/AVP 0\r\n".to_owned(), (0, vec![0; 160])),
    ] {
        let media = if media.contains("control") { media } else { format!("{media}a=control:a\r\n") };
        let hall =
            Hall::open(Quirk { sdp: format!("{HEAD}{VIDEO}{media}"), sound, ..Quirk::default() }).await;
        assert!(hall.plays(5).await.unwrap().1 > 0, "{media}");
    }
}

#[tokio::test]
async fn sound_that_cannot_be_used_is_named() {
    let opus = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\na=control:a\r\n";
    for (sound, why) in [(opus, Some("OPUS")), (AAC, None), ("", None), (&format!("{opus}{AAC}"), None)] {
        let hall = Hall::open(Quirk { sdp: format!("{HEAD}{VIDEO}{sound}"), ..Quirk::default() }).await;
        let session = hall.session().await.unwrap();
        assert_eq!(session.unheard(), why, "{sound}");
        session.close().await;
    }
}

#[tokio::test]
async fn headers_as_they_are_written_play() {
    let answers: [Answer; 4] = [
        |hall, request| {
            let sdp = &hall.quirk.sdp;
            let head = "200 OK\ncontent-type: application/sdp; charset=utf-8\ncontent-length:";
            request
                .starts_with("DESCRIBE")
                .then(|| format!("{head}{}\n\n{sdp}", sdp.len()).replacen('\n', "\r\n", 1))
        },
        |_, request| {
            request.starts_with("SETUP").then(|| "200 OK\r\nSession:  1 ; timeout=60;x=1\r\n\r\n".to_owned())
        },
        |_, request| {
            request.starts_with("PLAY").then(|| "200 OK\r\nRTP-Info: nonsense;;=,\r\n\r\n".to_owned())
        },
        |_, request| request.starts_with("PLAY").then(|| "200\r\n\r\n".to_owned()),
    ];
    for answer in answers {
        let hall = Hall::open(Quirk { answer, ..Quirk::default() }).await;
        assert!(hall.plays(5).await.is_ok());
    }
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever() {
    let answers: [Answer; 3] = [
        |hall, request| {
            let here = format!("301 Moved\r\nLocation: rtsp://127.0.0.1:{}/y\r\n\r\n", hall.port);
            request
                .starts_with("DESCRIBE rtsp://127.0.0.1")
                .then_some(here)
                .filter(|_| request.contains("/x "))
        },
        |_, request| request.contains("/x ").then(|| "302 Found\r\nLocation: /y?z\r\n\r\n".to_owned()),
        |_, request| {
            request
                .starts_with("SETUP")
                .then(|| "307 Go\r\nLocation: /z\r\n\r\n".to_owned())
                .filter(|_| request.contains("/x/v"))
        },
    ];
    for answer in answers {
        let hall = Hall::open(Quirk { answer, ..Quirk::default() }).await;
        assert!(hall.plays(3).await.is_ok());
        assert_eq!(hall.connections.load(Ordering::SeqCst), 2);
    }
    let hall = Hall::open(Quirk {
        answer: |_, _| Some("302 Found\r\nLocation: /x\r\n\r\n".to_owned()),
        ..Quirk::default()
    })
    .await;
    assert_eq!(hall.plays(1).await.unwrap_err(), SourceFault::Redirect("again and again"));
    let answer = |_: &Hall, _: &str| Some("302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n".to_owned());
    let hall = Hall::open(Quirk { answer, ..Quirk::default() }).await;
    assert!(hall.plays(1).await.unwrap_err().to_string().contains("no rtsp:// URL"));
}

#[tokio::test]
async fn a_hall_whose_nonces_serve_once_lets_us_in() {
    let answer = |hall: &Hall, request: &str| {
        let nonce = hall.nonce.load(Ordering::SeqCst);
        if request.contains(&format!("nonce=\"{nonce}\"")) {
            hall.nonce.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        Some(format!(
            "401 No\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"{nonce}\", algorithm=SHA-256\r\n\r\n"
        ))
    };
    let hall = Hall::open(Quirk { answer, ..Quirk::default() }).await;
    assert!(hall.plays(3).await.is_ok());
}

#[tokio::test]
async fn packets_that_make_no_sense_end_nothing() {
    let mut between = b"$\0\0\x03\x80\x60\0$\x07\0\x02xx\x01\x02\x03".to_vec();
    between.extend(rtp(0, 96, 4, 24_000, &[0x1f]));
    between.extend(rtp(1, 72, 4, 24_000, &[0; 7]));
    let other: Vec<u8> = rtp(0, 99, 5, 0, &[1, 2, 3]);
    between.extend(other);
    let hall = Hall::open(Quirk { between, ..Quirk::default() }).await;
    assert!(hall.plays(25).await.unwrap().0.len() == 25);
    assert_eq!(hall.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn sound_that_says_goodbye_is_waited_for_no_longer() {
    // BYE of the sound's source, on its RTCP channel.
    let between = b"$\x03\0\x08\x81\xcb\0\x01\0\0\0\x02".to_vec();
    let hall = Hall::open(Quirk { between, hushed: true, ..Quirk::default() }).await;
    let mut session = hall.session().await.unwrap();
    let (mut pictures, mut waited) = (0, false);
    while pictures < 80 {
        let event = tokio::time::timeout(Duration::from_secs(10), session.next()).await.expect("pictures");
        pictures +=
            usize::from(matches!(event.unwrap(), SessionEvent::Unit(unit) if unit.track() == Track::Video));
        waited |= session.awaited().is_some();
    }
    assert!(waited, "it may go on after all");
    assert_eq!(session.awaited(), None, "a moment that has passed is looked at again and again");
    session.close().await;
}

#[tokio::test]
async fn packets_of_others_cost_no_picture() {
    let mut between = b"$\0\0\x03\x80\x60\0".to_vec();
    between.extend(rtp(0, 99, 700, 24_000, &[1, 2, 3]));
    // RTCP on the channel of RTP, and another source.
    between.extend(rtp(0, 72, 4, 24_000, &[0; 16]));
    let mut other = rtp(0, 96, 800, 24_000, &[0x41, 0x88, 1]);
    other[12..16].copy_from_slice(&[9; 4]);
    between.extend(other);
    let hall = Hall::open(Quirk { between, ..Quirk::default() }).await;
    let mut session = hall.session().await.unwrap();
    let mut intake = Intake::new(50);
    let (mut pictures, mut whole, mut strange) = (0, 0, 0);
    while pictures < 60 {
        match tokio::time::timeout(Duration::from_secs(10), session.next()).await.expect("pictures").unwrap()
        {
            SessionEvent::Unit(unit) => {
                pictures += usize::from(unit.track() == Track::Video);
                intake.push(unit, |frame| {
                    whole += usize::from(frame.track() == Track::Video && !frame.data.is_empty());
                });
            }
            SessionEvent::Broken { missing, .. } => {
                strange += 1;
                if missing {
                    intake.broken();
                }
            }
            _ => {}
        }
    }
    session.close().await;
    assert_eq!((whole, strange), (60, 4));
}

#[tokio::test]
async fn a_hall_that_asks_is_answered_and_gets_its_reports() {
    let between = b"OPTIONS rtsp://127.0.0.1/ RTSP/1.0\r\nCSeq: 900\r\n\r\n".to_vec();
    let hall = Hall::open(Quirk { between, ..Quirk::default() }).await;
    // Reports begin after two and a half seconds.
    let (losses, _) = hall.plays(170).await.unwrap();
    assert!(losses.iter().all(|lost| *lost == 0));
    let heard = hall.heard.lock().unwrap().clone();
    assert!(heard.contains("RTSP/1.0 200 OK\r\nCSeq: 900\r\n"), "{heard}");
    assert!(heard.contains("$1:201") && heard.contains("$3:201"), "{heard}");
}

#[tokio::test]
async fn a_hall_that_sends_us_elsewhere_is_followed_in_mid_stream() {
    let note: Answer = |hall, request| {
        hall.heard.lock().unwrap().push_str(request);
        None
    };
    // There, the sound is known by what it is called.
    let opus = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\na=control:a\r\n";
    let there =
        Hall::open(Quirk { sdp: format!("{HEAD}{VIDEO}{opus}"), answer: note, ..Quirk::default() }).await;
    let between =
        format!("REDIRECT * RTSP/1.0\r\nCSeq: 7\r\nLocation: rtsp://127.0.0.1:{}/y\r\n\r\n", there.port);
    let here = Hall::open(Quirk { between: between.into_bytes(), ..Quirk::default() }).await;
    let mut session = here.session().await.unwrap();
    assert_eq!(session.unheard(), None);
    let (mut before, mut after) = (0, 0);
    while after < 50 {
        match tokio::time::timeout(Duration::from_secs(10), session.next()).await.expect("pictures").unwrap()
        {
            SessionEvent::Unit(unit) if unit.track() == Track::Video => match session.unheard() {
                None => before += 1,
                Some(_) => after += 1,
            },
            _ => {}
        }
    }
    session.close().await;
    assert!((3..10).contains(&before), "{before} pictures from where it began");
    assert_eq!(here.connections.load(Ordering::SeqCst), 1);
    assert_eq!(there.connections.load(Ordering::SeqCst), 1);
    let asked = there.heard.lock().unwrap().clone();
    assert!(asked.contains(&format!("DESCRIBE rtsp://127.0.0.1:{}/y RTSP/1.0", there.port)), "{asked}");
    let told = here.heard.lock().unwrap().clone();
    assert!(told.contains("RTSP/1.0 200 OK\r\nCSeq: 7\r\n") && told.contains("TEARDOWN"), "{told}");
}

#[tokio::test]
async fn a_hall_that_sends_us_away_each_time_is_left() {
    let between = b"REDIRECT * RTSP/1.0\r\nCSeq: 7\r\nLocation: /y\r\n\r\n".to_vec();
    let hall = Hall::open(Quirk { between, ..Quirk::default() }).await;
    assert_eq!(hall.plays(1000).await.unwrap_err(), SourceFault::Redirect("again and again"));
    assert_eq!(hall.connections.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn endless_answers_are_given_up_at_once() {
    let cases: [(Answer, &str); 3] = [
        (|_, _| Some("200 OK\r\nContent-Length: 4000000000\r\n\r\n".to_owned()), "body"),
        (|_, _| Some(format!("200 OK\r\nX: {}", "a".repeat(100_000))), "line"),
        (|_, _| Some(format!("200 OK\r\n{}", "X: y\r\n".repeat(1000))), "lines"),
    ];
    for (answer, word) in cases {
        let hall = Hall::open(Quirk { answer, ..Quirk::default() }).await;
        let fault = hall.plays(1).await.unwrap_err();
        assert!(matches!(&fault, SourceFault::Protocol(why) if why.contains(word)), "{fault}");
    }
}
