//! The life of a connection, with a clock that is moved by hand.

use bytes::BufMut;
use proptest::prelude::*;

use super::*;
use crate::rtsp::{Incoming, IncomingRequest, Npt, Requests};

struct Rig {
    session: RtspSession,
    now: Instant,
    cseq: u32,
}

impl Default for Rig {
    fn default() -> Self {
        let now = Instant::now();
        Self { session: RtspSession::new(0xA11CE, now), now, cseq: 0 }
    }
}

const URL: &str = "rtsp://h:1935/hs-a/vl1_720p";
const TCP: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
const SESSION_ID: &str = "Session: 00000000000A11CE\r\n";

fn request(text: &str) -> IncomingRequest {
    let mut requests = Requests::default();
    requests.feed().put_slice(text.as_bytes());
    match requests.take() {
        Ok(Some(Incoming::Request(request))) => request,
        other => panic!("{text}: {other:?}"),
    }
}

impl Rig {
    fn ask(&mut self, method: &str, url: &str, headers: &str) -> Option<RtspEvent> {
        self.cseq += 1;
        let text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{headers}\r\n", self.cseq);
        self.session.handle(&request(&text), self.now)
    }

    /// What the peer reads. Its CSeq must be that of the last request.
    fn answer(&mut self) -> String {
        let text = String::from_utf8(self.session.output().split().to_vec()).expect("text");
        assert!(text.contains(&format!("CSeq: {}\r\n", self.cseq)), "{text}");
        text
    }

    fn status(&mut self) -> u16 {
        let answer = self.answer();
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    fn set_up(&mut self) {
        for (track, channels) in [(0, "0-1"), (1, "2-3")] {
            let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n");
            let event = self.ask("SETUP", &format!("{URL}/trackID={track}"), &transport);
            assert!(matches!(event, Some(RtspEvent::SetUp { track: at, .. }) if at == track), "{event:?}");
            self.session.set_up(7, (0, 0));
            assert_eq!(self.status(), 200);
        }
    }

    fn play(&mut self) {
        self.set_up();
        assert_eq!(self.ask("PLAY", URL, SESSION_ID), Some(RtspEvent::Play(Span::default())));
        self.session.playing(Span::default(), &[]);
        assert_eq!(self.status(), 200);
    }
}

#[test]
fn an_answer_to_what_was_not_asked_leaves_the_question_open() {
    let mut rig = Rig::default();
    assert!(matches!(rig.ask("DESCRIBE", URL, "Accept: application/sdp\r\n"), Some(RtspEvent::Describe(_))));
    rig.session.set_up(7, (0, 0));
    rig.session.described("v=0\r\n");
    assert_eq!(rig.status(), 200);
}

#[test]
fn a_player_comes_plays_pauses_and_goes() {
    let mut rig = Rig::default();
    assert_eq!(rig.ask("OPTIONS", "*", ""), None);
    assert!(rig.answer().contains("Public: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE"));
    let target = RequestTarget { path: "/hs-a/vl1_720p".to_owned(), query: Some("token=x".to_owned()) };
    let event = rig.ask("DESCRIBE", &format!("{URL}/?token=x"), "Accept: application/sdp\r\n");
    assert_eq!(event, Some(RtspEvent::Describe(target)));
    rig.session.described("v=0\r\n");
    let answer = rig.answer();
    assert!(answer.contains("Content-Base: rtsp://h:1935/hs-a/vl1_720p/\r\n"), "{answer}");
    assert!(answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\nv=0\r\n"), "{answer}");
    rig.set_up();
    let event = rig.ask("PLAY", &format!("{URL}/"), &format!("{SESSION_ID}Range: npt=0.000-\r\n"));
    let span = Span { from: Some(Npt::Nanos(0)), to: None };
    assert_eq!(event, Some(RtspEvent::Play(span)));
    let starts = [
        Start { track: 1, sequence: Some(65_535), timestamp: u32::MAX },
        Start { track: 0, sequence: None, timestamp: 5 },
        Start { track: 5, sequence: None, timestamp: 5 },
    ];
    rig.session.playing(Span { from: Some(Npt::Now), to: None }, &starts);
    let answer = rig.answer();
    assert!(answer.contains("Session: 00000000000A11CE;timeout=60\r\n"), "{answer}");
    assert!(answer.contains("Range: npt=now-\r\n"), "{answer}");
    let info = format!(
        "RTP-Info: url={URL}/trackID=1;seq=65535;rtptime=4294967295,url={URL}/trackID=0;rtptime=5\r\n"
    );
    assert!(answer.contains(&info), "{answer}");
    assert!(rig.session.is_playing());
    assert_eq!(rig.ask("GET_PARAMETER", URL, SESSION_ID), None);
    assert_eq!(rig.status(), 200);
    assert_eq!(rig.ask("PAUSE", URL, SESSION_ID), Some(RtspEvent::Pause));
    rig.session.paused();
    assert_eq!((rig.status(), rig.session.is_playing()), (200, false));
    assert_eq!(rig.ask("PAUSE", URL, SESSION_ID), None);
    assert_eq!(rig.status(), 200);
    assert_eq!(rig.ask("TEARDOWN", URL, SESSION_ID), Some(RtspEvent::TearDown));
    assert_eq!(rig.status(), 200);
    assert_eq!(rig.ask("PLAY", URL, SESSION_ID), None);
    assert_eq!(rig.status(), 454);
}

#[test]
fn what_comes_in_the_wrong_order_or_form_is_refused() {
    let mut rig = Rig::default();
    for (method, url, headers, status) in [
        ("PLAY", URL, "", 455),
        ("PAUSE", URL, "", 455),
        ("PLAY", URL, "Session: 1\r\n", 454),
        ("SETUP", URL, "Transport: RTP/AVP;multicast\r\n", 461),
        ("SETUP", URL, "", 461),
        ("SETUP", "rtsp://h/a/trackID=8", TCP, 404),
        ("SETUP", "rtsp://h/a/trackID=x", TCP, 404),
        ("DESCRIBE", URL, "Accept: text/html\r\n", 406),
        ("DESCRIBE", URL, "Require: www.onvif.org/ver20/backchannel\r\n", 551),
        ("ANNOUNCE", URL, "", 405),
        ("RECORD", URL, "", 405),
        ("", URL, "", 405),
        ("SET_PARAMETER", URL, "Content-Length: 3\r\n\r\na\r\n", 451),
    ] {
        assert_eq!(rig.ask(method, url, headers), None, "{method} {headers}");
        assert_eq!(rig.status(), status, "{method} {headers}");
    }
    for text in ["OPTIONS * RTSP/1.0\r\n\r\n", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n X-Evil: 1\r\n\r\n"] {
        assert_eq!(rig.session.handle(&request(text), rig.now), None);
        let answer = String::from_utf8(rig.session.output().split().to_vec()).expect("text");
        assert!(answer.starts_with("RTSP/1.0 400 ") && !answer.contains("Evil"), "{answer}");
    }
    rig.session.handle(&request("OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n"), rig.now);
    assert!(rig.session.output().starts_with(b"RTSP/1.0 505 "));
}

#[test]
fn a_connection_has_one_session_and_a_session_one_presentation() {
    let mut rig = Rig::default();
    rig.set_up();
    for (url, headers, status) in [
        ("rtsp://h:1935/hs-a/other/trackID=1", TCP.to_owned(), 459),
        (URL, format!("{TCP}Session: 12345678\r\n"), 454),
    ] {
        assert_eq!(rig.ask("SETUP", url, &headers), None);
        assert_eq!(rig.status(), status);
    }
    rig.play();
    assert_eq!(rig.ask("SETUP", &format!("{URL}/trackID=1"), TCP), None);
    assert_eq!(rig.status(), 455, "not while it plays");
}

#[test]
fn channels_of_two_streams_never_meet() {
    let mut rig = Rig::default();
    let mut seen = Vec::new();
    for (track, wish) in
        [(0, "interleaved=0-1"), (1, "interleaved=1-2"), (2, "unicast"), (0, "interleaved=0-1")]
    {
        let headers = format!("Transport: RTP/AVP/TCP;{wish}\r\n");
        let event = rig.ask("SETUP", &format!("{URL}/trackID={track}"), &headers);
        let Some(RtspEvent::SetUp { transport: Transport::Interleaved { rtp, rtcp }, .. }) = event else {
            panic!()
        };
        rig.session.set_up(0x00AB_CDEF, (0, 0));
        let answer = rig.answer();
        assert!(answer.contains(&format!("interleaved={rtp}-{rtcp};ssrc=00ABCDEF")), "{answer}");
        seen.push((rtp, rtcp));
    }
    assert_eq!(seen, [(0, 1), (2, 3), (4, 5), (0, 1)]);
}

#[test]
fn udp_is_answered_with_both_sides_ports() {
    let mut rig = Rig::default();
    let headers =
        "Transport: RTP/AVP/UDP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    let event = rig.ask("SETUP", &format!("{URL}/trackID=0"), headers);
    let transport = Transport::Udp { rtp: 5000, rtcp: 5001 };
    assert!(matches!(event, Some(RtspEvent::SetUp { transport: it, .. }) if it == transport), "{event:?}");
    rig.session.set_up(7, (40_000, 40_001));
    assert!(
        rig.answer().contains("RTP/AVP;unicast;client_port=5000-5001;server_port=40000-40001;ssrc=00000007")
    );
}

#[test]
fn silence_ends_a_session_and_any_sign_of_life_keeps_it() {
    let mut rig = Rig::default();
    assert_eq!(rig.session.ends_at(), rig.now + OPENING);
    rig.play();
    assert_eq!(rig.session.ends_at(), rig.now + TIMEOUT);
    rig.now += Duration::from_secs(50);
    rig.ask("OPTIONS", URL, "");
    assert_eq!(rig.session.ends_at(), rig.now + TIMEOUT);
    let report = rig.now + Duration::from_secs(20);
    rig.session.heard(report);
    rig.session.heard(rig.now);
    assert_eq!(rig.session.ends_at(), report + TIMEOUT, "time does not go back");
    rig.session.set_timeout(Duration::from_secs(20));
    assert_eq!(rig.session.ends_at(), report + Duration::from_secs(20));
}

#[test]
fn who_does_not_know_the_password_is_challenged() {
    let mut rig = Rig::default();
    rig.session.set_digest(Some(Digest::new("halls", "abc", "admin", "secret")));
    assert_eq!(rig.ask("DESCRIBE", URL, ""), None);
    assert!(rig.answer().contains("WWW-Authenticate: Digest realm=\"halls\", nonce=\"abc\""));
    assert_eq!(rig.ask("OPTIONS", URL, ""), None);
    assert_eq!(rig.status(), 200);
    assert!(!format!("{:?}", rig.session).contains("secret"));
}

#[test]
fn an_event_that_nobody_answers_is_answered() {
    let mut rig = Rig::default();
    rig.ask("DESCRIBE", URL, "");
    rig.ask("OPTIONS", URL, "");
    let text = String::from_utf8(rig.session.output().split().to_vec()).expect("text");
    assert!(
        text.starts_with("RTSP/1.0 500 ") && text.contains("CSeq: 1\r\n") && text.contains("CSeq: 2\r\n")
    );
    // Nothing is sent for an answer without a request.
    rig.session.described("x");
    rig.session.set_up(1, (1, 2));
    rig.session.playing(Span::default(), &[]);
    rig.session.paused();
    rig.session.refuse(Refusal::NotFound);
    assert!(rig.session.output().is_empty() && !rig.session.is_playing());
}

/// Whatever a peer sends, every request is answered once and nothing panics.
pub(in crate::rtsp) fn converse(bytes: &[u8], answers: &[u8]) {
    let mut requests = Requests::default();
    let now = Instant::now();
    let mut session = RtspSession::new(1, now);
    let mut answers = answers.iter().cycle();
    for part in bytes.chunks(61) {
        requests.feed().put_slice(part);
        while let Ok(Some(incoming)) = requests.take() {
            let Incoming::Request(request) = incoming else {
                session.heard(now);
                continue;
            };
            let event = session.handle(&request, now);
            let answer = answers.next().copied().unwrap_or(0);
            match event {
                Some(RtspEvent::TearDown) | None => {}
                Some(_) if answer & 7 == 7 => session.refuse(Refusal::NotFound),
                Some(RtspEvent::Describe(_)) => session.described("v=0\r\n"),
                Some(RtspEvent::SetUp { .. }) => session.set_up(1, (40_000, 40_001)),
                Some(RtspEvent::Play(span)) => {
                    session.playing(span, &[Start { track: 0, sequence: Some(1), timestamp: 2 }]);
                }
                Some(RtspEvent::Pause) => session.paused(),
            }
            let output = session.output().split();
            assert_eq!(output.windows(9).filter(|window| window == b"RTSP/1.0 ").count(), 1);
            assert!(output.starts_with(b"RTSP/1.0 "));
        }
    }
}

proptest! {
    #[test]
    fn no_peer_makes_it_panic(
        parts in prop::collection::vec(
            prop_oneof![
                "(OPTIONS|DESCRIBE|SETUP|PLAY|PAUSE|TEARDOWN|GET_PARAMETER|ANNOUNCE|[A-Z]{0,3}) (\\*|rtsp://h/[a-z/:=%?]{0,9}(/trackID=[0-9]{1,21})?) RTSP/[12].0\r\n",
                "(CSeq: [0-9]{1,3}|Session: 0000000000000001|Transport: RTP/AVP(/TCP)?;(interleaved|client_port)=[0-9]{1,6}(-[0-9]{1,6})?|Range: npt=[0-9.:-]{0,12}|Content-Length: [0-9]{1,3}|Require: .{0,9})\r\n",
                Just("\r\n".to_owned()),
                Just("PLAY rtsp://h/a RTSP/1.0\r\nCSeq: 9\r\n\r\n".to_owned()),
                Just("SETUP rtsp://h/a/trackID=0 RTSP/1.0\r\nCSeq: 9\r\nTransport: RTP/AVP/TCP\r\n\r\n".to_owned()),
                "\\$.{0,20}",
            ],
            0..40,
        ),
        answers in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        converse(parts.concat().as_bytes(), &answers);
    }
}
