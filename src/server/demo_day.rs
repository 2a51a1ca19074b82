//! The demo's day: a simulated Opencast whose lectures start and end every few minutes.
//!
//! On Live_PAES lectures alternate between halls A and B, on Live_L2 all are in hall C; each lasts two and a half
//! minutes of every four. The first one is live a few seconds after the start. One lecture has no series, so that
//! there is a conflict to look at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use amphi_config::{Config, Rule, Schedule, Secret};
use amphi_media::MediaTime;
use amphi_media::clock::WallClock;
use amphi_simulator::opencast::{Opencast, OpencastLecture, OpencastOptions, Version};

/// From the start of a lecture to that of the next one on the same channel.
const ROUND: Duration = Duration::from_secs(240);
/// How long a lecture lasts.
const LENGTH: Duration = Duration::from_secs(150);
/// The first lecture's start after the demo's.
const FIRST: Duration = Duration::from_secs(20);
/// The same on Live_L2: half a round later.
const SECOND: Duration = Duration::from_secs(140);
/// Lectures of each channel: twelve hours.
const ROUNDS: u32 = 180;

const TITLES: [&str; 5] =
    ["UE3 Biophysique", "UE1 Chimie organique", "UE5 Anatomie", "UE2 Histologie", "UE4 Biostatistiques"];
const USER: &str = "matterhorn_system_account";
const PASSWORD: &str = "demo";

/// Starts Opencast and points the configuration to it.
pub(super) async fn plan(config: &mut Config, clock: &Arc<dyn WallClock>) -> anyhow::Result<Opencast> {
    let series = [("s-paes", "PAES_2026_S1_UE3"), ("s-l2", "L2_2026_S1_Droit")];
    let options = OpencastOptions {
        version: Version::V2_2,
        credentials: Some((USER.to_owned(), PASSWORD.to_owned())),
        series: BTreeMap::from(series.map(|(id, title)| (id.to_owned(), title.to_owned()))),
        lectures: lectures(clock.now()),
    };
    let opencast = Opencast::start(options, Arc::clone(clock)).await.context("the simulated Opencast")?;
    tracing::info!(url = opencast.url(), "simulated Opencast");
    for channel in &mut config.channels {
        channel.source.clear();
    }
    let rule = Rule {
        series: r"^([A-Z0-9]+)_\d{4}_S[12]".to_owned(),
        channel: "Live_$1".to_owned(),
        ..Rule::default()
    };
    config.schedule = Schedule {
        url: Secret::new(opencast.url()),
        username: USER.to_owned(),
        password: Secret::new(PASSWORD),
        agents: ["Amphi_A", "Amphi_B", "Amphi_C"].map(str::to_owned).to_vec(),
        poll_s: 10,
        lead_in_s: 10,
        lead_out_s: 10,
        rules: vec![rule],
        ..Schedule::default()
    };
    Ok(opencast)
}

fn lectures(now: MediaTime) -> Vec<OpencastLecture> {
    // Calendars have whole seconds.
    let now = MediaTime::from_millis(now.as_millis().div_euclid(1000) * 1000);
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let title =
            |offset: usize| TITLES.get((round as usize + offset) % TITLES.len()).copied().unwrap_or_default();
        let begin = now + ROUND * round;
        let mut lecture = |title: &str, series: &str, agent: &str, starts: MediaTime| {
            all.push(OpencastLecture {
                id: (1000 + all.len()).to_string(),
                title: title.to_owned(),
                series_id: series.to_owned(),
                agent: agent.to_owned(),
                presenter: "Pr. Martin".to_owned(),
                starts,
                ends: starts + LENGTH,
            });
        };
        let hall = if round % 2 == 0 { "Amphi_A" } else { "Amphi_B" };
        lecture(title(0), "s-paes", hall, begin + FIRST);
        lecture(title(2), "s-l2", "Amphi_C", begin + SECOND);
        if round == 5 {
            let free = if hall == "Amphi_A" { "Amphi_B" } else { "Amphi_A" };
            lecture("Réunion d'information", "", free, begin + FIRST);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hall_and_no_channel_is_planned_twice() {
        let all = lectures(MediaTime::from_millis(1_795_000_000_123));
        for (index, one) in all.iter().enumerate() {
            for other in all.iter().skip(index + 1) {
                let apart = one.ends <= other.starts || other.ends <= one.starts;
                let strangers = one.agent != other.agent && one.series_id != other.series_id;
                assert!(apart || strangers, "{one:?} {other:?}");
            }
        }
    }
}
