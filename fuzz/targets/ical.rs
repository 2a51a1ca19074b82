//! Calendars in iCalendar with recurring events, and the metadata in them.

#![no_main]

use amphi_media::MediaTime;
use amphi_control::schedule::{dublin, ical, zone};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let zone = zone("Europe/Vienna").expect("it is known");
    let window = ical::around(MediaTime::from_millis(1_795_000_000_000));
    let _ = ical::parse(data, None, &zone, window);
    let _ = dublin::read(&String::from_utf8_lossy(data));
});
