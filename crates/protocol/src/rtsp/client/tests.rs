//! Scripted conversations: what the server says, and what the client answers.

use core::time::Duration;

use proptest::prelude::*;
use url::Url;

use super::*;

const SDP: &str = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n\
    m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/48000/2\r\na=control:trackID=1\r\n";

fn place(credentials: bool) -> ServerAddress {
    let who = Credentials { username: "admin".to_owned(), password: "secret".to_owned() };
    ServerAddress { url: Url::parse("rtsp://h/x").unwrap(), credentials: credentials.then_some(who) }
}

/// A conversation, with the caller's part in it.
struct Talk {
    client: Client,
    seen: Vec<String>,
    now: Duration,
}

impl Talk {
    fn new(credentials: bool) -> Self {
        Self { client: Client::new(&place(credentials), "Amphi/1", 7), seen: Vec::new(), now: Duration::ZERO }
    }

    /// What the client has sent.
    fn said(&mut self) -> String {
        String::from_utf8_lossy(&self.client.output().split()).into_owned()
    }

    fn hear(&mut self, words: &[u8]) -> Result<(), Failure> {
        self.client.feed().extend_from_slice(words);
        loop {
            let outcome = self.client.handle(self.now);
            let before = self.seen.len();
            while let Some(happening) = self.client.poll() {
                self.happened(happening);
            }
            outcome?;
            if self.seen.len() == before {
                return Ok(());
            }
        }
    }

    fn happened(&mut self, happening: Happening) {
        match &happening {
            Happening::Described(_) => {
                self.client.set_up(&[
                    (0, RequestedTransport::Interleaved(0)),
                    (1, RequestedTransport::Interleaved(2)),
                ]);
            }
            Happening::SetUp(_) => self.client.play(),
            _ => {}
        }
        self.seen.push(match happening {
            Happening::Described(description) => format!("described {}", description.media.len()),
            Happening::Packet { stream, rtcp, data } => format!("packet {stream} {rtcp} {}", data.len()),
            other => format!("{other:?}"),
        });
    }

    fn answer(&mut self, status: &str, lines: &str) -> Result<(), Failure> {
        self.hear(format!("RTSP/1.0 {status}\r\n{lines}\r\n").as_bytes())
    }

    /// Everything up to the response to PLAY.
    fn until_playing(&mut self) {
        self.described();
        self.answer("200 OK", "Session: 47;timeout=10\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n")
            .unwrap();
        self.answer("200 OK", "Session: 47;timeout=10\r\n").unwrap();
        self.answer(
            "200 OK",
            "RTP-Info: url=trackID=1;rtptime=5,url=rtsp://h/x/trackID=0;seq=1;rtptime=9\r\n",
        )
        .unwrap();
        self.said();
        self.seen.clear();
    }

    fn described(&mut self) {
        let answer = format!("RTSP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len());
        self.hear(answer.as_bytes()).unwrap();
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.client.tick(self.now);
        self.hear(b"").unwrap();
    }
}

/// Change these requests only if their wording is meant to change.
#[test]
fn requests_have_their_golden_bytes() {
    let mut talk = Talk::new(false);
    assert_eq!(
        talk.said(),
        "DESCRIBE rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: Amphi/1\r\nAccept: application/sdp\r\n\r\n"
    );
    talk.described();
    assert_eq!(
        talk.said(),
        "SETUP rtsp://h/x/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nUser-Agent: Amphi/1\r\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    );
    talk.answer("200 OK", "Session: 47 ; timeout=10\r\n").unwrap();
    assert_eq!(
        talk.said(),
        "SETUP rtsp://h/x/trackID=1 RTSP/1.0\r\nCSeq: 3\r\nUser-Agent: Amphi/1\r\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=2-3\r\nSession: 47\r\n\r\n"
    );
    talk.answer("200 OK", "").unwrap();
    assert_eq!(
        talk.said(),
        "PLAY rtsp://h/x RTSP/1.0\r\nCSeq: 4\r\nUser-Agent: Amphi/1\r\nRange: npt=0.000-\r\nSession: 47\r\n\r\n"
    );
    talk.answer("200 OK", "RTP-Info: url=trackID=1;rtptime=5,url=rtsp://h/x/trackID=0;rtptime=9\r\n")
        .unwrap();
    assert_eq!(talk.seen.last().unwrap(), "Playing([Some(9), Some(5)])");
    talk.client.tear_down();
    assert_eq!(
        talk.said(),
        "TEARDOWN rtsp://h/x RTSP/1.0\r\nCSeq: 5\r\nUser-Agent: Amphi/1\r\nSession: 47\r\n\r\n"
    );
    talk.answer("454 Session Not Found", "").unwrap();
    assert_eq!(talk.seen.last().unwrap(), "Over");
}

#[test]
fn failures_say_what_was_answered_to_what() {
    for (answer, failure) in [
        (
            "404 Not\x07 Found",
            Failure::Status { method: "DESCRIBE", status: 404, reason: "Not Found".to_owned() },
        ),
        ("302 Found", Failure::Status { method: "DESCRIBE", status: 302, reason: "Found".to_owned() }),
        ("401 Unauthorized", Failure::CredentialsMissing),
        ("403 Forbidden", Failure::CredentialsRefused(403)),
        ("461 Unsupported Transport", Failure::Transport),
        ("200 OK", Failure::Senseless("answers DESCRIBE without a description")),
    ] {
        assert_eq!(Talk::new(false).answer(answer, ""), Err(failure));
    }
}

#[test]
fn redirects_are_told_at_every_request() {
    for steps in 0..4 {
        let mut talk = Talk::new(false);
        for step in 0..steps {
            if step == 0 { talk.described() } else { talk.answer("200 OK", "Session: 1\r\n").unwrap() }
        }
        talk.answer("302 Moved", "Location: rtsp://other/x\r\n").unwrap();
        assert_eq!(talk.seen.last().unwrap(), "Moved(\"rtsp://other/x\")", "after {steps} answers");
    }
}

#[test]
fn a_nonce_is_renewed_at_any_request() {
    let challenge = |nonce: u32| format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"{nonce}\"\r\n");
    let mut talk = Talk::new(true);
    assert!(!talk.said().contains("Authorization"));
    talk.answer("401 Unauthorized", &challenge(1)).unwrap();
    assert!(talk.said().contains("nonce=\"1\", uri=\"rtsp://h/x\""));
    talk.described();
    talk.answer("401 Unauthorized", &challenge(2)).unwrap();
    let again = talk.said();
    assert!(again.contains("nonce=\"2\"") && again.contains("interleaved=0-1"), "{again}");
    talk.answer("200 OK", "Session: 1\r\n").unwrap();
    talk.answer("200 OK", "").unwrap();
    talk.answer("200 OK", "").unwrap();
    talk.said();
    talk.pass(30);
    assert!(talk.said().starts_with("OPTIONS"));
    talk.answer("401 Unauthorized", &challenge(3)).unwrap();
    let again = talk.said();
    assert!(again.starts_with("OPTIONS") && again.contains("nonce=\"3\""), "{again}");
    talk.client.tear_down();
    assert!(talk.said().starts_with("TEARDOWN"));
    talk.answer("401 Unauthorized", &challenge(4)).unwrap();
    let again = talk.said();
    assert!(again.starts_with("TEARDOWN") && again.contains("nonce=\"4\""), "{again}");
    talk.answer("401 Unauthorized", &challenge(5)).unwrap();
    assert!(talk.said().is_empty() && talk.client.is_over(), "once is enough");
    let mut refused = Talk::new(true);
    refused.answer("401 Unauthorized", &challenge(1)).unwrap();
    assert_eq!(refused.answer("401 Unauthorized", &challenge(2)), Err(Failure::CredentialsRefused(401)));
}

#[test]
fn the_kind_of_keepalive_that_is_taken_is_kept() {
    let mut talk = Talk::new(false);
    talk.until_playing();
    talk.pass(3);
    assert_eq!(talk.said(), "", "not yet");
    talk.pass(1);
    assert!(talk.said().starts_with("OPTIONS"));
    talk.answer("405 Method Not Allowed", "").unwrap();
    assert!(talk.said().starts_with("GET_PARAMETER"), "at once");
    talk.answer("200 OK", "CSeq: 999\r\n").unwrap();
    talk.pass(4);
    assert!(talk.said().starts_with("GET_PARAMETER"));
    talk.pass(4);
    assert!(talk.said().starts_with("SET_PARAMETER"), "the one before was not answered");
    assert!(talk.seen[0].contains("does not answer keepalives"), "{:?}", talk.seen);
    talk.answer("454 Session Not Found", "").unwrap();
    talk.answer("501 Not Implemented", "").unwrap();
    talk.answer("500 Oh", "").unwrap();
    assert_eq!(talk.seen.len(), 1, "the stream goes on: {:?}", talk.seen);
}

#[test]
fn a_server_that_asks_is_answered_and_its_packets_go_on() {
    let mut talk = Talk::new(false);
    talk.until_playing();
    talk.hear(b"$\0\0\x02\x80\x60OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 900\r\nSession: 47\r\n\r\n$\x03\0\x01\x80$\x09\0\x01x").unwrap();
    assert_eq!(talk.seen, ["packet 0 false 2", "packet 1 true 1"]);
    let answer = talk.said();
    assert!(answer.starts_with("RTSP/1.0 200 OK\r\nCSeq: 900\r\nSession: 47\r\n"), "{answer}");
    talk.hear(b"RECORD * RTSP/1.0\r\nCSeq: 901\r\n\r\n").unwrap();
    assert!(talk.said().starts_with("RTSP/1.0 501"));
    talk.hear(b"REDIRECT * RTSP/1.0\r\nCSeq: 902\r\nLocation: rtsp://other/\r\n\r\n").unwrap();
    talk.hear(b"TEARDOWN * RTSP/1.0\r\nCSeq: 903\r\n\r\n").unwrap();
    assert_eq!(talk.seen[2..], ["Moved(\"rtsp://other/\")", "Over"]);
}

#[test]
fn other_channels_than_asked_for_are_taken() {
    let mut talk = Talk::new(false);
    talk.described();
    talk.answer("200 OK", "Transport: RTP/AVP/TCP;interleaved=8-9\r\n").unwrap();
    talk.answer("200 OK", "Transport: RTP/AVP/TCP;interleaved=8-9\r\n").unwrap();
    talk.answer("457 Invalid Range", "").unwrap();
    talk.answer("200 OK", "").unwrap();
    talk.seen.clear();
    talk.hear(b"$\x08\0\x01\x80$\x09\0\x01\x80$\x00\0\x01\x80$\x02\0\x01\x80").unwrap();
    assert_eq!(talk.seen, ["packet 0 false 1", "packet 0 true 1", "packet 0 false 1", "packet 1 false 1"]);
    assert!(!talk.said().rsplit("PLAY").next().unwrap().contains("Range"), "without one the second time");
}

proptest! {
    #[test]
    fn whatever_a_server_says_nothing_panics_and_cuts_change_nothing(
        pieces in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            Just(format!("RTSP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len()).into_bytes()),
            Just(b"RTSP/1.0 200 OK\r\nSession: 1;timeout=1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n".to_vec()),
            Just(b"RTSP/1.0 200 OK\r\nPublic: OPTIONS\r\nRTP-Info: url=x;rtptime=1\r\n\r\n".to_vec()),
            Just(b"RTSP/1.0 401 No\r\nWWW-Authenticate: Digest nonce=\"1\", stale=true\r\n\r\n".to_vec()),
            Just(b"RTSP/1.0 302 Go\r\nLocation: rtsp://a/\r\n\r\n".to_vec()),
            Just(b"RTSP/1.0 405 No\r\nCSeq: 4\r\n\r\n".to_vec()),
            Just(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".to_vec()),
            Just(b"$\0\0\x04\x80\x60ab".to_vec()),
        ], 0..14),
        step in 1..60_usize,
    ) {
        let bytes = pieces.concat();
        let run = |parts: Vec<&[u8]>| {
            let mut talk = Talk::new(true);
            let mut outcome = Ok(());
            for part in parts {
                outcome = outcome.and_then(|()| talk.hear(part));
            }
            talk.client.tick(Duration::from_secs(100));
            (talk.said(), talk.seen, outcome)
        };
        prop_assert_eq!(run(bytes.chunks(step).collect()), run(vec![&bytes[..]]));
    }
}
