//! Why a channel shows what it shows, in one sentence.
//!
//! Three voices may ask for something: a person's override, the schedule, the configuration, strongest first. The
//! sentence also says which weaker ones are overruled.

use jiff::tz::TimeZone;

use super::super::command::Scheduled;
use super::super::status::OnAir;
use super::super::view::{By, Desired};
use amphi_media::MediaTime;

/// What is asked for one channel, and what it shows.
pub(super) struct Voices<'a> {
    pub(super) scheduled: Option<&'a Scheduled>,
    pub(super) configured: Option<&'a str>,
    pub(super) desired: &'a Desired,
    pub(super) on_air: &'a OnAir,
}

/// How times are written.
pub(super) struct TimeFormat<'a> {
    pub(super) zone: &'a TimeZone,
    /// A time of another day than this one is written with its date.
    pub(super) now: MediaTime,
}

impl TimeFormat<'_> {
    fn tell(&self, time: MediaTime) -> String {
        let [time, now] = [time, self.now].map(|time| time.timestamp().to_zoned(self.zone.clone()));
        let format = if time.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        time.strftime(format).to_string()
    }
}

pub(super) fn explain(voices: &Voices<'_>, clock: &TimeFormat<'_>) -> String {
    let Voices { desired, on_air, .. } = voices;
    let why = why(desired);
    let (wanted, shown) = (desired.source.as_deref(), on_air.source.as_deref());
    let since = clock.tell(on_air.since);
    let mut sentence = match (wanted, shown) {
        (Some(wanted), Some(shown)) if wanted == shown => format!("live because {why}; since {since}"),
        (None, None) => format!("the waiting loop because {why}; since {since}"),
        (Some(wanted), None) => {
            let asked = clock.tell(desired.since);
            let reason = &on_air.reason;
            format!(
                "the waiting loop since {since}: {reason}; {wanted} is wanted since {asked} because {why}"
            )
        }
        (Some(wanted), Some(shown)) => format!("{shown} is still on air; {wanted} comes because {why}"),
        (None, Some(shown)) => format!("{shown} is still on air; the waiting loop comes because {why}"),
    };
    sentence.push_str(&ending(voices, clock));
    sentence
}

/// The end of the sentence: what is overruled, and until when.
fn ending(voices: &Voices<'_>, clock: &TimeFormat<'_>) -> String {
    let until = voices.desired.until.map(|until| clock.tell(until));
    match (overruled(voices), voices.desired.by, until) {
        (Some(overruled), By::Manual, Some(until)) => {
            format!("; {overruled} overruled by hand until {until}")
        }
        (Some(overruled), By::Manual, None) => {
            format!("; {overruled} overruled by hand until that is cleared")
        }
        (Some(overruled), ..) => format!("; {overruled} overruled by the schedule"),
        (None, By::Manual, Some(until)) => format!("; until {until}"),
        (None, ..) => String::new(),
    }
}

fn why(desired: &Desired) -> &str {
    match desired.by {
        By::Manual if desired.source.is_some() => "it was connected by hand",
        By::Manual => "it was switched to by hand",
        By::Schedule => &desired.reason,
        By::Configuration => "the configuration connects it",
        By::None => "no source is connected",
    }
}

/// The strongest voice that is overruled, as the beginning of a clause.
fn overruled(voices: &Voices<'_>) -> Option<String> {
    let schedule = voices.scheduled.filter(|_| voices.desired.by == By::Manual);
    let configured = voices.configured.filter(|_| matches!(voices.desired.by, By::Manual | By::Schedule));
    // A voice that asks for the same source is not overruled.
    let source = voices.desired.source.as_deref();
    let schedule = schedule.filter(|it| source != Some(it.source.as_str()));
    let configured = configured.filter(|it| source != Some(*it) && schedule.is_none());
    match (schedule, configured) {
        (Some(Scheduled { source, reason, .. }), _) => Some(format!("{source} ({reason}) is")),
        (None, Some(configured)) => Some(format!("{configured} (configuration) is")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::command::Command;
    use super::super::{ChannelLayout, Layout, Matrix};
    use super::*;

    const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    fn after(seconds: u64) -> MediaTime {
        START + std::time::Duration::from_secs(seconds)
    }

    /// 12:06 in Paris at the start.
    fn matrix() -> Matrix {
        let channel = |name: &str, source: Option<&str>| ChannelLayout {
            name: name.into(),
            streams: Vec::new(),
            source: source.map(Into::into),
        };
        let channels = vec![channel("configured", Some("x")), channel("hall", None)];
        let layout = Layout { channels, sources: vec!["x".into(), "y".into()] };
        Matrix::new(layout, START).in_zone(TimeZone::fixed(jiff::tz::offset(1)))
    }

    fn told(matrix: &Matrix, channel: &str) -> String {
        matrix.view().channel(channel).expect("it is there").explanation.clone()
    }

    fn schedule(channel: &str, source: &str) -> Command {
        let scheduled = Scheduled {
            source: source.into(),
            reason: "event 1042 'UE3 Biophysique' 12:10–14:00".to_owned(),
            until: after(7200),
        };
        Command::Schedule { channel: channel.into(), scheduled: Some(scheduled) }
    }

    fn by_hand(source: &str, until: Option<u64>) -> Command {
        Command::Connect { channel: "hall".into(), source: source.into(), until: until.map(after) }
    }

    fn show(matrix: &mut Matrix, source: Option<&str>, reason: &str, second: u64) {
        let on_air =
            OnAir { source: source.map(Into::into), reason: reason.to_owned(), since: after(second) };
        matrix.on_air(&"hall".into(), on_air);
    }

    #[test]
    fn the_schedule_is_told_and_what_overrules_it() {
        let mut matrix = matrix();
        assert_eq!(told(&matrix, "hall"), "the waiting loop because no source is connected; since 12:06");
        matrix.apply(schedule("hall", "x"), after(60)).expect("known");
        assert_eq!(
            told(&matrix, "hall"),
            "the waiting loop since 12:06: the channel is starting; x is wanted since 12:07 because event 1042 'UE3 \
             Biophysique' 12:10–14:00"
        );
        show(&mut matrix, Some("x"), "", 64);
        let live = "live because event 1042 'UE3 Biophysique' 12:10–14:00; since 12:07";
        assert_eq!(told(&matrix, "hall"), live);
        matrix.apply(by_hand("y", Some(3600)), after(120)).expect("known");
        assert_eq!(
            told(&matrix, "hall"),
            "x is still on air; y comes because it was connected by hand; x (event 1042 'UE3 Biophysique' \
             12:10–14:00) is overruled by hand until 13:06"
        );
        show(&mut matrix, Some("y"), "", 124);
        assert_eq!(
            told(&matrix, "hall"),
            "live because it was connected by hand; since 12:08; x (event 1042 'UE3 Biophysique' 12:10–14:00) is \
             overruled by hand until 13:06"
        );
        matrix.apply(by_hand("x", Some(3600)), after(130)).expect("known");
        show(&mut matrix, Some("x"), "", 134);
        let same = "live because it was connected by hand; since 12:08; until 13:06";
        assert_eq!(told(&matrix, "hall"), same, "who asks for the same is not overruled");
        matrix.tick(after(3600));
        assert_eq!(
            told(&matrix, "hall"),
            "live because event 1042 'UE3 Biophysique' 12:10–14:00; since 12:08"
        );
    }

    #[test]
    fn the_configuration_is_told_and_what_overrules_it() {
        let mut matrix = matrix();
        let starting = "the waiting loop since 12:06: the channel is starting; x is wanted since 12:06 because the \
                        configuration connects it";
        assert_eq!(told(&matrix, "configured"), starting);
        matrix.apply(schedule("configured", "y"), after(1)).expect("known");
        assert!(
            told(&matrix, "configured").ends_with("14:00; x (configuration) is overruled by the schedule")
        );
        let off = Command::Disconnect { channel: "configured".into() };
        matrix.apply(off, after(2)).expect("known");
        assert_eq!(
            told(&matrix, "configured"),
            "the waiting loop because it was switched to by hand; since 12:06; y (event 1042 'UE3 Biophysique' \
             12:10–14:00) is overruled by hand until that is cleared"
        );
    }

    #[test]
    fn another_day_is_told_with_its_date() {
        let mut matrix = matrix();
        show(&mut matrix, Some("y"), "", 0);
        matrix.apply(by_hand("y", Some(100_000)), after(90_000)).expect("known");
        assert_eq!(
            told(&matrix, "hall"),
            "live because it was connected by hand; since 2026-11-18 12:06; until 15:53"
        );
    }
}
