//! Zones that calendars define themselves, as Outlook, Exchange, Google, Apple, Thunderbird and Zimbra write them.

use super::*;

const CENTRAL_EUROPE: &str = "BEGIN:STANDARD\nDTSTART:16011028T030000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\n\
     TZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\n\
     BEGIN:DAYLIGHT\nDTSTART:16010325T020000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\n\
     TZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nEND:DAYLIGHT";

/// A lecture at 8:30 on `day` (`MMDD`) in the zone called `parameter`, which `observances` define as `name`.
fn at(day: &str, name: &str, observances: &str, parameter: &str) -> Reading {
    calendar(&format!(
        "BEGIN:VTIMEZONE\nTZID:{name}\n{observances}\nEND:VTIMEZONE\nBEGIN:VEVENT\nUID:1\nSUMMARY:UE3\n\
         DTSTART;TZID={parameter}:2026{day}T083000\nDTEND;TZID={parameter}:2026{day}T103000\nEND:VEVENT"
    ))
}

#[test]
fn a_zone_is_what_its_component_says_whatever_its_name() {
    for (name, parameter) in [
        ("Customized Time Zone", "Customized Time Zone"),
        (
            r"(UTC+01:00) Brussels\, Copenhagen\, Madrid\, Paris",
            "\"(UTC+01:00) Brussels, Copenhagen, Madrid, Paris\"",
        ),
        (
            r"(UTC+01:00) Brussels\, Copenhagen\, Madrid\, Paris",
            r"(UTC+01:00) Brussels\, Copenhagen\, Madrid\, Paris",
        ),
        ("Romance Standard Time 1", "\"Romance Standard Time 1\""),
        ("Paris, Madrid (heure d’été)", "\"Paris, Madrid (heure d’été)\""),
        ("tzone://Microsoft/Custom", "\"tzone://Microsoft/Custom\""),
        ("/example.org/1/Campus", "/example.org/1/Campus"),
        ("1", "1"),
        // The component is the definition, also of a name that means something else elsewhere.
        ("America/New_York", "America/New_York"),
        ("Tokyo Standard Time", "tokyo standard time"),
        ("UTC", "UTC"),
    ] {
        for (day, utc) in [
            ("1123", "11-23 07:30"),
            ("0701", "07-01 06:30"),
            ("1025", "10-25 07:30"),
            ("0329", "03-29 06:30"),
        ] {
            let reading = at(day, name, CENTRAL_EUROPE, parameter);
            assert_eq!(reading.notes, Vec::<String>::new(), "{name}");
            assert_eq!(shown(&reading), [("1".to_owned(), utc.to_owned(), 120)], "{name}");
        }
    }
}

#[test]
fn observances_are_read_in_every_form() {
    let named = |observances: &str| times(&at("1123", "Campus", observances, "Campus")).concat();
    let standard = |lines: &str| named(&format!("BEGIN:STANDARD\n{lines}\nEND:STANDARD"));
    for (lines, utc) in [
        // Exchange: no summer time.
        ("DTSTART:16010101T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0300", "11-23 05:30"),
        ("DTSTART:19700101T000000\nTZOFFSETFROM:-0330\nTZOFFSETTO:-0330", "11-23 12:00"),
        // .NET begins in the year 1.
        ("DTSTART:00010101T000000\nTZOFFSETFROM:+0530\nTZOFFSETTO:+0530", "11-23 03:00"),
        ("DTSTART:20200101T000000Z\nTZOFFSETTO:+01:00", "11-23 07:30"),
        ("DTSTART:20200101\nTZOFFSETFROM:0100\nTZOFFSETTO:0100", "11-23 07:30"),
        ("DTSTART:18800101T000000\nTZOFFSETFROM:+000921\nTZOFFSETTO:+000921", "11-23 08:20"),
        // Not begun yet: what was before counts.
        ("DTSTART:20270101T000000\nTZOFFSETFROM:+0500\nTZOFFSETTO:+0600", "11-23 03:30"),
        ("DTSTART:20270328T020000\nRRULE:FREQ=YEARLY\nTZOFFSETFROM:+0500\nTZOFFSETTO:+0600", "11-23 03:30"),
        ("DTSTART:20500101T000000\nRRULE:FREQ=YEARLY\nTZOFFSETFROM:+0500\nTZOFFSETTO:+0600", "11-23 03:30"),
        // Several dates; the last before the lecture counts.
        (
            "DTSTART:20251026T030000\nRDATE:20261025T030000,20271031T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100",
            "11-23 07:30",
        ),
        (
            "DTSTART:20251026T030000\nRDATE;VALUE=PERIOD:20261025T010000Z/PT1H\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100",
            "11-23 07:30",
        ),
    ] {
        assert_eq!(standard(lines), utc, "{lines}");
    }
    // Google and Apple: the present rules; Thunderbird and Zimbra: with a rule that has ended before them.
    let apple = "X-LIC-LOCATION:Asia/Tokyo\nBEGIN:DAYLIGHT\nTZOFFSETFROM:+0100\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\n\
        DTSTART:19810329T020000\nTZNAME:GMT+2\nTZOFFSETTO:+0200\nEND:DAYLIGHT\nBEGIN:STANDARD\nTZOFFSETFROM:+0200\n\
        RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nDTSTART:19961027T030000\nTZNAME:GMT+1\nTZOFFSETTO:+0100\nEND:STANDARD";
    assert_eq!(named(apple), "11-23 07:30");
    let older = "BEGIN:STANDARD\nDTSTART:19790930T030000\nRRULE:FREQ=YEARLY;UNTIL=19950924T010000Z;BYDAY=-1SU;BYMONTH=9\n\
        TZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\n";
    assert_eq!(named(&format!("{older}{apple}")), "11-23 07:30");
    // The clocks were left at summer time from 2026 on.
    let abolished =
        apple.replace("BYDAY=-1SU\nDTSTART:19961027", "BYDAY=-1SU;UNTIL=20251101T000000Z\nDTSTART:19961027");
    assert_eq!(named(&abolished), "11-23 06:30");
    // Every year by itself, as Notes and older Evolution write it.
    let listed: String = (2000..2040)
        .map(|year| {
            let turn = |kind: &str, month: u32, from: &str, to: &str| {
                format!("BEGIN:{kind}\nDTSTART:{year}{month:02}25T030000\nTZOFFSETFROM:{from}\nTZOFFSETTO:{to}\nEND:{kind}\n")
            };
            turn("DAYLIGHT", 3, "+0100", "+0200") + &turn("STANDARD", 10, "+0200", "+0100")
        })
        .collect();
    assert_eq!(named(&listed), "11-23 07:30");
}

#[test]
fn a_zone_that_says_absurd_things_defines_nothing() {
    let lines = |lines: &str| format!("BEGIN:STANDARD\n{lines}\nEND:STANDARD");
    let absurd = [
        String::new(),
        lines("DTSTART:16010101T000000"),
        lines("DTSTART:16010101T000000\nTZOFFSETFROM:+4800\nTZOFFSETTO:+4800"),
        lines("DTSTART:16010101T000000\nTZOFFSETTO:+999999999999"),
        lines("DTSTART:16010101T000000\nTZOFFSETTO:one hour"),
        lines("DTSTART:soon\nTZOFFSETTO:+0100"),
        lines("TZOFFSETTO:+0100"),
        lines("DTSTART:16010101T000000\nTZOFFSETTO:+0300\nRRULE:FREQ=DAILY"),
        lines("DTSTART:16010101T000000\nTZOFFSETTO:+0300\nRRULE:FREQ=SECONDLY"),
        lines("DTSTART:16010101T000000\nTZOFFSETTO:+0300\nRRULE:FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR"),
        lines("DTSTART:16010101T000000\nTZOFFSETTO:+0300\nRRULE:FREQ=YEARLY;BYDAY=XX"),
        lines("DTSTART:16010101T000000\nTZOFFSETTO:+0300\nRDATE:never"),
        lines(&format!("DTSTART:16010101T000000\nTZOFFSETTO:+0300\n{}", "RRULE:FREQ=YEARLY\n".repeat(400))),
        lines(&format!(
            "DTSTART:16010101T000000\nTZOFFSETTO:+0300\nRDATE:{}",
            ["16020101T000000"; 301].join(",")
        )),
        // No observance has too many dates by itself.
        lines(&format!("TZOFFSETTO:+0300\nDTSTART:{}", "16010101T000000\nRDATE:".repeat(290)))
            .repeat(8)
            .replace("END:STANDARDBEGIN", "END:STANDARD\nBEGIN"),
        lines("DTSTART:16010101T000000\nTZOFFSETTO:+0300")
            .repeat(400)
            .replace("END:STANDARDBEGIN", "END:STANDARD\nBEGIN"),
        (0..280)
            .map(|n| {
                lines(&format!(
                    "DTSTART:2000{:02}{:02}T000000\nTZOFFSETTO:+00{:02}{:02}",
                    n / 28 + 1,
                    n % 28 + 1,
                    n / 60,
                    n % 60
                )) + "\n"
            })
            .collect(),
    ];
    for observances in absurd {
        // Its name is a zone of the IANA database, or of Windows, or has a location beside it.
        for (name, location) in
            [("Europe/Paris", ""), ("Romance Standard Time", ""), ("Campus", "X-LIC-LOCATION:Europe/Paris\n")]
        {
            let reading = at("1123", name, &format!("{location}{observances}"), name);
            assert_eq!(
                (times(&reading).concat(), reading.notes),
                ("11-23 07:30".to_owned(), vec![]),
                "{observances:.80}"
            );
        }
        let reading = at("1123", "Campus", &observances, "Campus");
        assert_eq!(times(&reading), ["11-23 07:30"], "the server's zone");
        assert_eq!(reading.notes.len(), 1);
        assert!(
            reading.notes[0].starts_with(
                "the time zone \"Campus\" is not known here, and its VTIMEZONE cannot be used ("
            ),
            "{:?}",
            reading.notes
        );
    }
}

#[test]
fn a_zone_that_nobody_knows_is_the_servers_and_said_once() {
    let events = ["1123", "1124"].map(|day| {
        format!("BEGIN:VEVENT\nUID:{day}\nDTSTART;TZID=Mars/Olympus:2026{day}T083000\nDTEND;TZID=Mars/Olympus:2026{day}T103000\nEND:VEVENT")
    });
    let reading = calendar(&events.join("\n"));
    assert_eq!(times(&reading), ["11-23 07:30", "11-24 07:30"]);
    assert_eq!(
        reading.notes,
        ["the time zone \"Mars/Olympus\" is not known here: its times are read in the server's"]
    );
}

#[test]
fn names_alone_are_known_in_every_writing() {
    for (zone, utc) in [
        ("\"tzone://Microsoft/Utc\"", "11-23 08:30"),
        ("tzone://Microsoft/Utc", "11-23 08:30"),
        ("\"romance standard time\"", "11-23 07:30"),
        ("Eastern Standard Time", "11-23 13:30"),
        ("/freeassociation.sourceforge.net/Europe/Paris", "11-23 07:30"),
        ("/softwarestudio.org/Olson_20011030_5/Asia/Tokyo", "11-22 23:30"),
        ("(GMT+01.00) Brussels / Copenhagen / Madrid / Paris", "11-23 07:30"),
        ("(UTC+01:00) Brussels, Copenhagen, Madrid, Paris", "11-23 07:30"),
        ("US/Eastern-(Standard)", "11-23 13:30"),
    ] {
        let reading = calendar(&format!(
            "BEGIN:VEVENT\nUID:1\nDTSTART;TZID={zone}:20261123T083000\nDTEND;TZID={zone}:20261123T103000\nEND:VEVENT"
        ));
        if zone.starts_with("US/") && TimeZone::get("US/Eastern").is_err() {
            continue;
        }
        assert_eq!((times(&reading).concat(), reading.notes), (utc.to_owned(), vec![]), "{zone}");
    }
}

#[test]
fn a_series_in_a_zone_of_its_own_stays_at_its_hour() {
    let reading = calendar(&format!(
        "BEGIN:VTIMEZONE\nTZID:Campus\n{CENTRAL_EUROPE}\nEND:VTIMEZONE\nBEGIN:VEVENT\nUID:1\n\
         DTSTART;TZID=Campus:20260907T083000\nDTEND;TZID=Campus:20260907T103000\nRRULE:FREQ=WEEKLY;UNTIL=20261116T073000Z\n\
         EXDATE;TZID=Campus:20261109T083000\nEND:VEVENT"
    ));
    assert_eq!(times(&reading), ["11-02 07:30", "11-16 07:30"]);
    // A week over the change of the hour.
    let window = ("2026-10-19T00:00:00Z", "2026-10-27T00:00:00Z");
    let window =
        (window.0.parse::<Timestamp>().unwrap().into(), window.1.parse::<Timestamp>().unwrap().into());
    let text = format!(
        "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Campus\n{CENTRAL_EUROPE}\nEND:VTIMEZONE\nBEGIN:VEVENT\nUID:1\n\
         DTSTART;TZID=Campus:20260907T083000\nDURATION:PT2H\nRRULE:FREQ=WEEKLY\nEND:VEVENT\nEND:VCALENDAR"
    );
    let reading = parse(text.as_bytes(), None, &paris(), window).expect("a calendar");
    assert_eq!(times(&reading), ["10-19 06:30", "10-26 07:30"]);
}
