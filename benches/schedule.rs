//! What the calendar costs: reading a feed of 500 lectures as Opencast writes it, and making a timetable of it.

#![expect(clippy::expect_used, reason = "a bench stops at the first fault")]

use std::hint::black_box;
use std::time::Duration;

use amphi::config::{Channel, Config, Rule, Source};
use amphi::media::MediaTime;
use amphi::schedule::{CalendarEvent, Settings, ical, settle};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const MONDAY: MediaTime = MediaTime::from_millis(1_795_420_800_000);

fn stamp(time: MediaTime) -> String {
    time.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A feed of `count` lectures in nine halls, with the metadata that Opencast attaches: 2.2 KB for each lecture.
fn feed(count: u32) -> String {
    let xml = |series: &str| {
        let padding = "x".repeat(500);
        STANDARD.encode(format!(
            "<dublincore xmlns:dcterms=\"http://purl.org/dc/terms/\"><dcterms:title>{series}</dcterms:title>\
             <dcterms:description>{padding}</dcterms:description></dublincore>"
        ))
    };
    let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n".to_owned();
    for n in 0..count {
        let starts = MONDAY + Duration::from_secs(u64::from(n / 9) * 7200);
        let attach = "ATTACH;FMTTYPE=application/xml;VALUE=BINARY;ENCODING=BASE64;X-APPLE-FILENAME";
        let event = format!(
            "BEGIN:VEVENT\r\nDTSTAMP:20261123T113303Z\r\nDTSTART:{}\r\nDTEND:{}\r\nSUMMARY:UE{n} Biophysique\\, partie 1\r\n\
             UID:{n}\r\nORGANIZER;CN=Pr. Dupont:mailto:x@y\r\nLOCATION:Amphi_{}\r\nRELATED-TO:s{}\r\n\
             {attach}=episode.xml:{}\r\n{attach}=series.xml:{}\r\nEND:VEVENT\r\n",
            stamp(starts),
            stamp(starts + Duration::from_secs(6000)),
            n % 9,
            n % 3,
            xml("UE3"),
            xml(&format!("PAES{}_2026_S1", n % 9)),
        );
        text += &event;
    }
    text + "END:VCALENDAR\r\n"
}

fn settings() -> Settings {
    let mut config = Config::default();
    "Europe/Paris".clone_into(&mut config.schedule.timezone);
    for n in 0..9 {
        config.channels.push(Channel { name: format!("Live_{n}"), ..Channel::default() });
        config.sources.push(Source { name: format!("PS-Amphi_{n}"), ..Source::default() });
    }
    let series = r"^PAES(\d)_\d{4}_S[12]".to_owned();
    config.schedule.rules = vec![Rule { series, channel: "Live_$1".to_owned(), ..Rule::default() }];
    Settings::new(&config).expect("good rules")
}

fn parse(c: &mut Criterion) {
    let text = feed(500);
    let settings = settings();
    let mut group = c.benchmark_group("schedule");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("ical_of_500_lectures", |b| {
        b.iter(|| {
            let reading =
                ical::parse(black_box(text.as_bytes()), None, settings.zone(), ical::around(MONDAY))
                    .expect("a calendar");
            assert_eq!(reading.events.len(), 500);
            reading
        });
    });
    group.finish();
}

fn timetable(c: &mut Criterion) {
    let settings = settings();
    let events = ical::parse(feed(500).as_bytes(), None, settings.zone(), ical::around(MONDAY))
        .expect("a calendar")
        .events;
    // All lectures at the same time: the worst case.
    let crowded: Vec<CalendarEvent> = events
        .iter()
        .map(|event| CalendarEvent {
            starts: MONDAY,
            ends: MONDAY + Duration::from_secs(6000),
            ..event.clone()
        })
        .collect();
    let mut group = c.benchmark_group("schedule");
    group.bench_function("timetable_of_500_lectures", |b| b.iter(|| settle(black_box(&events), &settings)));
    group.bench_function("timetable_of_500_at_once", |b| b.iter(|| settle(black_box(&crowded), &settings)));
    group.finish();
}

criterion_group!(benches, parse, timetable);
criterion_main!(benches);
