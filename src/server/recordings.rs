//! What of the recordings cannot be played as it is: looked for in the background, shown to operators.
//!
//! SMIL files that cannot be read are looked at, and the files that the [`LOOKED_AT`] newest SMIL files of a mount name, one a
//! second, so that faults are seen before a student sees them. Others are looked at when a viewer opens them. Those that are
//! reported are looked at again, so that a report goes away with its reason.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use crate::delivery::Registry;
use amphi_admin::{UnplayedRecording, UnplayedTrack};
use amphi_container::mp4::TrackKind;
use amphi_control::alarm::{AlarmKind, Condition};
use amphi_vod::{Mount, RecordingReport, RecordingStream};

/// The time after the start before the first look: players come first.
const FIRST: Duration = Duration::from_secs(5);
/// The time between two rounds, in which what is reported is looked at.
const EVERY: Duration = Duration::from_secs(30);
/// In each round of so many all of a mount is looked at, which takes reading its folders.
const ROUNDS_OF_ALL: u32 = 20;
/// The time between two files that are read, to spare the NAS.
const PAUSE: Duration = Duration::from_secs(1);
/// How many SMIL files of a mount are looked at, the newest ones.
const LOOKED_AT: usize = 500;
/// How many recordings an alarm names.
const NAMED: usize = 3;

pub(super) fn spawn(shared: &ServerContext, stage: &mut Stage) {
    let registry = Arc::clone(shared.delivery.registry());
    let end = stage.end.clone();
    stage.supervise(TaskSpec::new("recordings"), registry, move |it| Box::pin(run(it, end.clone())));
}

/// Works until `end`.
async fn run(registry: &Registry, end: CancellationToken) {
    // Looking at all takes long; what was mended meanwhile is not to wait for it.
    let reported = async {
        tokio::time::sleep(FIRST).await;
        loop {
            for (_, mount) in sorted(registry) {
                again(&mount).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    let all = async {
        tokio::time::sleep(FIRST).await;
        loop {
            for (name, mount) in sorted(registry) {
                look(&name, &mount).await;
            }
            tokio::time::sleep(EVERY * ROUNDS_OF_ALL).await;
        }
    };
    tokio::select! {
        () = end.cancelled() => {}
        () = reported => {}
        () = all => {}
    }
}

/// All mounts, by name.
fn sorted(registry: &Registry) -> Vec<(String, Mount)> {
    let mut mounts = registry.mounts();
    mounts.sort_by(|(one, _), (other, _)| one.cmp(other));
    mounts
}

/// Looks at what is reported.
async fn again(mount: &Mount) {
    for RecordingReport { path, .. } in mount.reports() {
        let is_smil = path.to_ascii_lowercase().ends_with(".smil");
        let stream = if is_smil { RecordingStream::Smil(path) } else { RecordingStream::File(path) };
        pause(mount.look(&stream).await).await;
    }
}

/// Looks at what SMIL files name, and at those that cannot be read: no list has them.
async fn look(name: &str, mount: &Mount) {
    let listing = match mount.listing().await {
        Ok(listing) => listing,
        Err(error) => return debug!(mount = name, %error, "recordings cannot be looked at"),
    };
    let mut newest: Vec<_> = listing.recordings.iter().collect();
    newest.sort_by(|one, other| other.modified.cmp(&one.modified));
    let listed = newest.into_iter().take(LOOKED_AT).filter_map(|listed| listed.path.strip_prefix("smil:"));
    let unreadable = listing.unreadable.iter().map(String::as_str).take(LOOKED_AT);
    let paths: Vec<&str> = unreadable.chain(listed).collect();
    for path in paths {
        pause(mount.look(&RecordingStream::Smil(path.to_owned())).await).await;
    }
}

async fn pause(read: usize) {
    if read > 0 {
        tokio::time::sleep(PAUSE * u32::try_from(read).unwrap_or(1)).await;
    }
}

/// The tracks of a file that are not played, and the text of one of subtitles.
fn parts(report: &RecordingReport) -> Vec<UnplayedTrack> {
    let text = report.fault.iter().filter(|_| report.is_text);
    let text = text.map(|reason| (0, TrackKind::Text, reason));
    let tracks = report.left_out.iter().map(|it| (it.track_id, it.kind, &it.reason));
    let part = |(track, kind, reason): (u32, TrackKind, &String)| UnplayedTrack {
        track,
        kind: kind.to_string(),
        reason: reason.clone(),
    };
    text.chain(tracks).map(part).collect()
}

/// What operators are shown.
pub(super) fn unplayed(registry: &Registry) -> Vec<UnplayedRecording> {
    let of_mount = |(name, mount): (String, Mount)| {
        mount.reports().into_iter().map(move |report| UnplayedRecording {
            mount: name.clone(),
            // Subtitles that cannot be read do not keep a recording from being played.
            played: report.fault.is_none() || report.is_text,
            unfinished: report.is_unfinished,
            lacks: report.lacks.iter().map(ToString::to_string).collect(),
            left_out: parts(&report),
            reason: report.fault.filter(|_| !report.is_text),
            path: report.path,
        })
    };
    sorted(registry).into_iter().flat_map(of_mount).collect()
}

/// A condition for each mount of whose recordings viewers get no picture, no sound or nothing, although there is some.
pub(super) fn conditions(registry: &Registry) -> impl Iterator<Item = Condition> {
    sorted(registry).into_iter().filter_map(|(name, mount)| {
        let (count, named) = mount.serious_reports(NAMED);
        let sentence = sentence(&name, count, &named)?;
        let (kind, about) = (AlarmKind::Recording, Some(name));
        Some(Condition { kind, source: None, channel: None, about, sentence, since: None })
    })
}

/// What an alarm says of `count` recordings of a mount; `None` if there are none.
fn sentence(mount: &str, count: usize, named: &[RecordingReport]) -> Option<String> {
    let first = named.first()?;
    let lacks: Vec<String> = first.lacks.iter().map(|kind| format!("no {kind}")).collect();
    let lacks = if lacks.is_empty() { "nothing".to_owned() } else { lacks.join(" and ") };
    let of_lacking = first.left_out.iter().find(|it| first.lacks.contains(&it.kind));
    let why = first.fault.clone().or_else(|| of_lacking.map(ToString::to_string));
    let why = why.unwrap_or_default();
    // A fault names its file.
    let colon = if why.starts_with(&first.path) { String::new() } else { format!("{}: ", first.path) };
    let others: Vec<&str> = named.iter().skip(1).map(|report| report.path.as_str()).collect();
    let more = count.saturating_sub(named.len());
    let others = match (others.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!("; likewise {}", others.join(", ")),
        (false, more) => format!("; likewise {} and {more} more", others.join(", ")),
    };
    Some(format!("viewers get {lacks} of a recording of {mount}: {colon}{why}{others}"))
}

#[cfg(test)]
mod tests {
    use amphi_container::mp4::LeftOut;

    use super::*;

    fn report(path: &str, lacks: &[TrackKind], fault: Option<&str>) -> RecordingReport {
        let left_out =
            |&kind: &TrackKind| LeftOut { track_id: 2, kind, reason: "alac is not decoded".to_owned() };
        RecordingReport {
            path: path.to_owned(),
            fault: fault.map(str::to_owned),
            is_unfinished: false,
            left_out: lacks.iter().map(left_out).collect(),
            lacks: lacks.to_vec(),
            is_text: false,
        }
    }

    #[test]
    fn subtitles_that_cannot_be_read_do_not_keep_a_recording_from_being_played() {
        let text =
            RecordingReport { is_text: true, ..report("a.fr.srt", &[], Some("it holds no subtitles")) };
        let reason = "it holds no subtitles".to_owned();
        assert_eq!(parts(&text), [UnplayedTrack { track: 0, kind: "text".to_owned(), reason }]);
        assert_eq!(parts(&report("b.mp4", &[], Some("it is damaged"))), []);
    }

    #[test]
    fn an_alarm_names_what_viewers_do_not_get_and_why() {
        assert_eq!(sentence("vod", 0, &[]), None);
        let silent = report("a.mp4", &[TrackKind::Sound], None);
        let damaged = report("b.mp4", &[], Some("b.mp4: box stts at byte 7: it is empty"));
        assert_eq!(
            sentence("vod", 1, std::slice::from_ref(&silent)).as_deref(),
            Some("viewers get no sound of a recording of vod: a.mp4: track 2 (sound): alac is not decoded")
        );
        let text = LeftOut { track_id: 3, kind: TrackKind::Text, reason: "it is cut off".to_owned() };
        let left_out = [text].into_iter().chain(silent.left_out.clone()).collect();
        let without_text = RecordingReport { left_out, ..silent.clone() };
        let one = |report: &RecordingReport| sentence("vod", 1, std::slice::from_ref(report));
        assert_eq!(one(&without_text), one(&silent), "what is lacking, though text is left out before it");
        assert_eq!(
            sentence("vod", 5, &[damaged, silent.clone(), silent]).as_deref(),
            Some(
                "viewers get nothing of a recording of vod: b.mp4: box stts at byte 7: it is empty; likewise a.mp4, \
                 a.mp4 and 2 more"
            )
        );
    }
}
