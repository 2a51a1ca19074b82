//! The client against a simulated Opencast, with all its faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use jiff::tz::TimeZone;

use super::tests::at;
use amphi_config::{CalendarFormat, Schedule, Secret};
use amphi_control::agenda::FeedFormat;
use amphi_control::schedule::{CalendarClient, CalendarEvent, PollError, PollResult};
use amphi_media::clock::ManualClock;
use amphi_simulator::opencast::{Mishap, Opencast, OpencastLecture, OpencastOptions, Version};

fn lecture(id: &str, agent: &str) -> OpencastLecture {
    OpencastLecture {
        id: id.to_owned(),
        title: format!("UE {id}; partie 1, \"suite\""),
        series_id: "s1".to_owned(),
        agent: agent.to_owned(),
        presenter: "Pr. Élise Martin".to_owned(),
        starts: at(0, 8, 30),
        ends: at(0, 10, 30),
    }
}

async fn opencast(version: Version) -> (Opencast, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(at(0, 8, 0)));
    let options = OpencastOptions {
        version,
        credentials: Some(("capture".to_owned(), "ch:alk é".to_owned())),
        series: BTreeMap::from([("s1".to_owned(), "PAES_2026_S1 & co".to_owned())]),
        lectures: vec![lecture("1", "Amphi_A"), lecture("2", "Amphi_B")],
    };
    (Opencast::start(options, Arc::clone(&clock) as _).await.expect("a port"), clock)
}

fn schedule(opencast: &Opencast) -> Schedule {
    Schedule {
        url: Secret::new(opencast.url()),
        username: "capture".to_owned(),
        password: Secret::new("ch:alk é"),
        agents: vec!["Amphi_A".to_owned(), "Amphi_B".to_owned()],
        timeout_s: 1,
        ..Schedule::default()
    }
}

fn client(schedule: &Schedule) -> CalendarClient {
    CalendarClient::new(schedule, &TimeZone::UTC).expect("good").expect("configured")
}

fn events(result: &PollResult) -> Vec<CalendarEvent> {
    let readings = result.parts.iter().filter_map(|part| part.outcome.as_ref().ok()?.as_ref());
    readings.flat_map(|reading| reading.events.clone()).collect()
}

fn errors(result: &PollResult) -> Vec<PollError> {
    result.parts.iter().filter_map(|part| Some(part.outcome.as_ref().err()?.error.clone())).collect()
}

#[tokio::test]
async fn every_version_is_read_alike() {
    for (version, agents, format) in [
        (Version::V2_2, true, FeedFormat::Ical),
        (Version::Current, true, FeedFormat::Ical),
        (Version::Current, false, FeedFormat::Ical),
        (Version::JsonOnly, true, FeedFormat::Json),
        (Version::JsonOnly, false, FeedFormat::Json),
    ] {
        let (opencast, clock) = opencast(version).await;
        let mut schedule = schedule(&opencast);
        if !agents {
            schedule.agents.clear();
        }
        let mut client = client(&schedule);
        for _ in 0..3 {
            let result = client.fetch(at(0, 8, 0)).await;
            assert_eq!((errors(&result), result.format), (vec![], Some(format)), "{version:?}");
            let [one, two] = &events(&result)[..] else { panic!("{version:?} {result:?}") };
            assert_eq!(one.title, "UE 1; partie 1, \"suite\"");
            assert_eq!(
                (one.series.as_deref(), one.series_id.as_deref()),
                (Some("PAES_2026_S1 & co"), Some("s1"))
            );
            assert_eq!((one.agent.as_str(), two.agent.as_str()), ("Amphi_A", "Amphi_B"));
            assert_eq!(
                (one.starts, one.ends, one.presenters.concat()),
                (at(0, 8, 30), at(0, 10, 30), "Pr. Élise Martin".to_owned())
            );
            // The nonce gets stale in between.
            clock.advance(Duration::from_secs(301));
        }
        assert_eq!(opencast.asked(), if agents { 6 } else { 3 }, "one request for each, no more");
        opencast.stop().await;
    }
}

#[tokio::test]
async fn whatever_goes_wrong_is_a_fault_and_the_next_time_is_good() {
    let (opencast, _) = opencast(Version::V2_2).await;
    let mut schedule = schedule(&opencast);
    schedule.agents.truncate(1);
    let mut client = client(&schedule);
    for (mishap, expected) in [
        (Mishap::Html, "the calendar of Amphi_A is neither iCalendar nor JSON: it is a web page (text/html)"),
        (
            Mishap::HtmlAsCalendar,
            "the calendar of Amphi_A is malformed: it begins with \"<html><body>Sorry</body>",
        ),
        (Mishap::Error, "the calendar of Amphi_A is answered with status 500"),
        (
            Mishap::Redirect,
            "the calendar of Amphi_A cannot be fetched: its server redirects to another page (status 302)",
        ),
        (
            Mishap::NotModified,
            "the calendar of Amphi_A is answered with \"not modified\", which was not asked for",
        ),
        (Mishap::Hang, "the calendar of Amphi_A did not arrive within 1 s"),
        (Mishap::HangHalfway, "the calendar of Amphi_A did not arrive within 1 s"),
        (Mishap::HalfBody, "the calendar of Amphi_A arrived only in part: "),
        (Mishap::HalfCalendar, "the calendar of Amphi_A is malformed: it breaks off before END:VCALENDAR"),
        (Mishap::Drop, "the calendar of Amphi_A cannot be reached: "),
    ] {
        opencast.set_mishap(Some(mishap));
        let result = client.fetch(at(0, 8, 0)).await;
        let said = result.parts[0].outcome.as_ref().expect_err("a mishap").to_string();
        assert!(said.starts_with(expected), "{mishap:?}: {said}");
        assert!(
            !said.contains("capture") && !said.contains("chalk") && !said.contains("127.0.0.1"),
            "{said}"
        );
        opencast.set_mishap(None);
        assert_eq!(events(&client.fetch(at(0, 8, 0)).await).len(), 1, "after {mishap:?}");
    }
    opencast.stop().await;
    let said =
        client.fetch(at(0, 8, 0)).await.parts[0].outcome.as_ref().expect_err("nobody is there").to_string();
    assert!(said.contains("cannot be reached") && !said.contains("127.0.0.1"), "{said}");
}

#[tokio::test]
async fn who_we_are_is_proved_and_never_told() {
    let (opencast, _) = opencast(Version::V2_2).await;
    let good = schedule(&opencast);
    let wrong = Schedule { password: Secret::new("cheese"), ..good.clone() };
    assert_eq!(
        errors(&client(&wrong).fetch(at(0, 8, 0)).await),
        [PollError::Refused(401), PollError::Refused(401)]
    );
    let nobody = Schedule { username: String::new(), ..good.clone() };
    assert_eq!(
        errors(&client(&nobody).fetch(at(0, 8, 0)).await),
        [PollError::Anonymous(401), PollError::Anonymous(401)]
    );
    let in_url = opencast.url().replace("http://", "http://capture:ch%3Aalk%20%C3%A9@");
    let in_url =
        Schedule { username: String::new(), password: Secret::default(), url: Secret::new(in_url), ..good };
    let mut client = client(&in_url);
    assert_eq!(events(&client.fetch(at(0, 8, 0)).await).len(), 2);
    assert!(!format!("{client:?}").contains("alk"));
    // The trap itself: a client that does not ask for Digest gets a page that is no error.
    let plain = reqwest::get(opencast.url() + "?agentid=Amphi_A").await.expect("an answer");
    let kind = plain.headers()[CONTENT_TYPE].to_str().expect("text").to_owned();
    assert_eq!((plain.status().as_u16(), kind.as_str()), (200, "text/html;charset=utf-8"));
    opencast.stop().await;
}

#[tokio::test]
async fn opencasts_traps_are_honoured() {
    let (opencast, clock) = opencast(Version::V2_2).await;
    let good = schedule(&opencast);
    // Without agentid, 2.2 fails.
    let said = client(&Schedule { agents: Vec::new(), ..good.clone() }).fetch(at(0, 8, 0)).await;
    let said = said.parts[0].outcome.as_ref().expect_err("status 500").to_string();
    assert!(said.contains("Opencast 2.x needs schedule.agents"), "{said}");
    // An agent that nobody knows has an empty calendar.
    let unknown =
        client(&Schedule { agents: vec!["Amphi_X".to_owned()], ..good.clone() }).fetch(at(0, 8, 0)).await;
    let reading = unknown.parts[0].outcome.as_ref().expect("a calendar").clone().expect("read");
    assert!(reading.events.is_empty() && reading.notes[0].contains("Amphi_X is empty"), "{reading:?}");
    // The ETag does not change with a deletion: only a client that trusts it is deceived.
    opencast.plan(OpencastLecture { id: "3".to_owned(), ..lecture("3", "Amphi_A") });
    let (mut ours, mut trusting) = (client(&good), client(&Schedule { trust_etag: true, ..good }));
    assert_eq!(
        (events(&ours.fetch(at(0, 8, 0)).await).len(), events(&trusting.fetch(at(0, 8, 0)).await).len()),
        (3, 3)
    );
    opencast.delete("1");
    assert_eq!(events(&ours.fetch(at(0, 8, 0)).await).len(), 2);
    let deceived = trusting.fetch(at(0, 8, 0)).await;
    assert_eq!(deceived.parts[0].outcome, Ok(None), "nothing has changed, it says");
    // An hour after its end a lecture leaves the calendar.
    clock.advance(Duration::from_secs(3 * 3600 + 1800));
    assert_eq!(events(&ours.fetch(at(0, 8, 0)).await).len(), 0);
    opencast.stop().await;
}

#[tokio::test]
async fn a_format_that_is_configured_is_asked_for_alone() {
    let (opencast, _) = opencast(Version::Current).await;
    let json = Schedule { format: CalendarFormat::Json, ..schedule(&opencast) };
    let result = client(&json).fetch(at(0, 8, 0)).await;
    assert_eq!((result.format, events(&result).len()), (Some(FeedFormat::Json), 2));
    opencast.stop().await;
    let (old, _) = self::opencast(Version::V2_2).await;
    let result = client(&Schedule { url: Secret::new(old.url()), ..json }).fetch(at(0, 8, 0)).await;
    assert_eq!(errors(&result), [PollError::Status(404, false), PollError::Status(404, false)]);
    old.stop().await;
}

#[tokio::test]
async fn a_file_is_a_calendar_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("week.ics");
    let schedule = Schedule { url: Secret::new(path.to_str().expect("UTF-8")), ..Schedule::default() };
    let mut client = client(&schedule);
    assert!(matches!(errors(&client.fetch(at(0, 8, 0)).await)[..], [PollError::File(_)]));
    std::fs::write(&path, include_bytes!("../../../fixtures/opencast-2.2-two-events.ics")).expect("written");
    let result = client.fetch(at(0, 8, 0)).await;
    assert_eq!((events(&result).len(), result.format), (2, Some(FeedFormat::Ical)));
    std::fs::write(&path, "[]").expect("written");
    assert_eq!(client.fetch(at(0, 8, 0)).await.format, Some(FeedFormat::Json));
    std::fs::write(&path, "BEGIN:VCALENDAR\n").expect("written");
    assert!(matches!(errors(&client.fetch(at(0, 8, 0)).await)[..], [PollError::Nonsense(_)]));
}

/// Opencast behind TLS, as `localhost`, with a certificate authority of its own, whose certificate is returned in PEM.
async fn behind_tls(opencast: &Opencast) -> (String, String) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    let [authority_key, key] = [(); 2].map(|()| KeyPair::generate().expect("a key"));
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("signed");
    let issuer = Issuer::from_params(&authority, &authority_key);
    let site = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let site = site.signed_by(&key, &issuer).expect("signed");
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let config = builder.with_single_cert(vec![site.der().clone()], key).expect("a key that fits");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let plain = url::Url::parse(&opencast.url()).expect("a URL");
    let behind = plain.socket_addrs(|| None).expect("an address")[0];
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut site = tokio::net::TcpStream::connect(behind).await.expect("it is there");
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut site).await;
            });
        }
    });
    let coded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, root.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{coded}\n-----END CERTIFICATE-----\n");
    (format!("https://localhost:{port}{}", plain.path()), pem)
}

#[tokio::test]
async fn a_site_with_an_authority_of_its_own_is_known_by_it() {
    let (opencast, _) = opencast(Version::V2_2).await;
    let (url, pem) = behind_tls(&opencast).await;
    let home = tempfile::tempdir().expect("a directory");
    let ca_file = home.path().join("authority.pem");
    std::fs::write(&ca_file, pem).expect("written");
    let strange = Schedule { url: Secret::new(url), timeout_s: 5, ..schedule(&opencast) };
    assert!(
        matches!(errors(&client(&strange).fetch(at(0, 8, 0)).await)[..], [PollError::Unreachable(_), ..]),
        "browsers do not know it"
    );
    let known = Schedule { ca_file: ca_file.clone(), ..strange };
    let result = client(&known).fetch(at(0, 8, 0)).await;
    assert_eq!(events(&result).len(), 2, "{:?}", errors(&result));
    std::fs::write(&ca_file, "no certificate").expect("written");
    assert!(CalendarClient::new(&known, &TimeZone::UTC).is_err(), "nobody would be trusted");
    std::fs::remove_file(&ca_file).expect("it was there");
    assert!(CalendarClient::new(&known, &TimeZone::UTC).is_err());
    opencast.stop().await;
}
