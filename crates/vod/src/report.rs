//! What of a mount's recordings cannot be played as it is, and why. Sans-IO.

use std::collections::BTreeMap;

use amphi_container::mp4::{LeftOut, Movie, TrackKind};
use serde::Serialize;

use super::fault::VodFault;
use super::smil::{Smil, SmilFault, is_language};
use super::stamp::Stamp;

/// Most files of a mount that are reported. What is left out of more is in the log alone.
const REPORTS_MAX: usize = 1000;

/// What is left out of a recording: a track or a part of it, a value of a SMIL file, or a whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOutPart {
    /// The file's path from the mount's root.
    pub file: String,
    /// `track_ID` in the file; `None` for all of the file, for a box that is of no track, and for a value of a SMIL file or of subtitles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<u32>,
    /// What it would have been: `picture`, `sound`, `text` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Why, in words for an operator.
    pub reason: String,
}

/// A file that cannot be played as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingReport {
    /// Its path from the mount's root.
    pub path: String,
    /// Why nothing of it is played; `None` if something is.
    pub fault: Option<String>,
    /// Whether the fault will go away by itself, since the file is still being written.
    pub is_unfinished: bool,
    /// What is not played as it is in the file, or the values that are left out of a SMIL file.
    pub left_out: Vec<LeftOut>,
    /// Of what its viewers get nothing, although the file has it.
    pub lacks: Vec<TrackKind>,
    /// Whether it is a file of subtitles or chapters, and not one of pictures and sound.
    pub is_text: bool,
}

impl RecordingReport {
    /// What is to be said of a file with this index; `None` if all of it is played.
    pub(super) fn of_movie(path: &str, movie: &Movie) -> Option<Self> {
        let is_lost = |kind: TrackKind| movie.left_out.iter().any(|it| it.kind == kind);
        let lacks = [(TrackKind::Picture, movie.video.is_none()), (TrackKind::Sound, movie.audio.is_empty())];
        let lacks = lacks.into_iter().filter(|(kind, is_absent)| *is_absent && is_lost(*kind));
        let report = || Self {
            left_out: movie.left_out.clone(),
            lacks: lacks.map(|(kind, _)| kind).collect(),
            ..Self::nothing(path)
        };
        (!movie.left_out.is_empty()).then(report)
    }

    /// What is to be said of a SMIL file; `None` if all of it is obeyed.
    pub(super) fn of_smil(path: &str, smil: &Smil) -> Option<Self> {
        let left_out =
            |it: &SmilFault| LeftOut { track_id: 0, kind: TrackKind::Other, reason: it.to_string() };
        let report =
            || Self { left_out: smil.left_out.iter().map(left_out).collect(), ..Self::nothing(path) };
        (!smil.left_out.is_empty()).then(report)
    }

    /// A SMIL file that cannot be read now, in place of which the last good reading is used.
    pub(super) fn of_last_good(path: &str, fault: &VodFault) -> Self {
        let reason = format!("{fault}; until it is mended, it is played as it was before");
        Self {
            left_out: vec![LeftOut { track_id: 0, kind: TrackKind::Other, reason }],
            ..Self::nothing(path)
        }
    }

    /// What is to be said of a file of subtitles of which these parts cannot be read; `None` if there are none.
    pub(super) fn of_text(path: &str, lost: Vec<String>) -> Option<Self> {
        let left_out = |reason| LeftOut { track_id: 0, kind: TrackKind::Text, reason };
        let is_whole = lost.is_empty();
        let left_out = lost.into_iter().map(left_out).collect();
        (!is_whole).then(|| Self { left_out, is_text: true, ..Self::nothing(path) })
    }

    /// A file of subtitles that is not read at all.
    pub(super) fn of_unusable_text(path: &str, why: String) -> Self {
        Self { fault: Some(why), is_text: true, ..Self::nothing(path) }
    }

    fn nothing(path: &str) -> Self {
        let (left_out, lacks) = (Vec::new(), Vec::new());
        Self { path: path.to_owned(), fault: None, is_unfinished: false, left_out, lacks, is_text: false }
    }

    /// A file of which nothing is played.
    pub(super) fn of_fault(path: &str, fault: String, is_unfinished: bool) -> Self {
        Self { fault: Some(fault), is_unfinished, ..Self::nothing(path) }
    }

    /// The same for lists.
    pub fn parts(&self) -> impl Iterator<Item = LeftOutPart> + '_ {
        let whole = self.fault.as_ref().map(|reason| LeftOutPart {
            file: self.path.clone(),
            track: None,
            kind: self.is_text.then(|| TrackKind::Text.to_string()),
            reason: reason.clone(),
        });
        let track = |it: &LeftOut| LeftOutPart {
            file: self.path.clone(),
            track: (it.track_id > 0).then_some(it.track_id),
            kind: Some(it.kind.to_string()),
            reason: it.reason.clone(),
        };
        whole.into_iter().chain(self.left_out.iter().map(track))
    }

    /// Whether its viewers get no picture or no sound although the file has one, and will not without an operator.
    pub fn is_serious(&self) -> bool {
        !self.lacks.is_empty() || self.fault.is_some() && !self.is_unfinished && !self.is_text
    }
}

/// The reports of a mount's files, each with the state of the file.
#[derive(Debug, Default)]
pub(super) struct RecordingReports(BTreeMap<String, (Stamp, RecordingReport)>);

impl RecordingReports {
    /// Takes what is to be said of the file at `path` in this state. Says whether it is new.
    pub(super) fn note(&mut self, path: &str, stamp: Stamp, report: Option<RecordingReport>) -> bool {
        let Some(report) = report else {
            self.0.remove(path);
            return false;
        };
        // What raises an alarm goes first.
        if report.is_serious() && self.0.len() >= REPORTS_MAX && !self.0.contains_key(path) {
            let other =
                self.0.iter().find(|(_, (_, known))| !known.is_serious()).map(|(path, _)| path.clone());
            other.map(|other| self.0.remove(&other));
        }
        let known = self.0.get(path);
        let is_new = known.is_none_or(|(of, known)| *of != stamp || *known != report);
        if known.is_some() || self.0.len() < REPORTS_MAX {
            self.0.insert(path.to_owned(), (stamp, report));
        }
        is_new
    }

    /// The state of the file of which something is said.
    pub(super) fn stamp_of(&self, path: &str) -> Option<Stamp> {
        self.0.get(path).map(|(stamp, _)| *stamp)
    }

    /// The file is not there any more.
    pub(super) fn forget(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// All of them, by path.
    pub(super) fn all(&self) -> Vec<RecordingReport> {
        self.0.values().map(|(_, report)| report.clone()).collect()
    }

    /// How many are serious, and `most` of those.
    pub(super) fn serious(&self, most: usize) -> (usize, Vec<RecordingReport>) {
        let all = || self.0.values().map(|(_, report)| report).filter(|report| report.is_serious());
        (all().count(), all().take(most).cloned().collect())
    }

    /// Whether something is said of the file at `path`, and that is a file of subtitles.
    pub(super) fn is_text(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|(_, report)| report.is_text)
    }

    /// What of these files is left out, and of the subtitles beside them.
    pub(super) fn of(&self, files: &[String]) -> Vec<LeftOutPart> {
        let mut found = BTreeMap::new();
        for path in files {
            found.extend(self.0.get(path).map(|(_, report)| (&report.path, report)));
            let (folder, name) = path.rsplit_once('/').map_or(("", &**path), |(folder, name)| (folder, name));
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            let begin = if folder.is_empty() { format!("{stem}.") } else { format!("{folder}/{stem}.") };
            let beside = self.0.range(begin.clone()..).take_while(|(path, _)| path.starts_with(&begin));
            let texts = beside.map(|(_, (_, report))| report).filter(|report| report.is_text);
            let texts = texts.filter(|report| report.path.get(begin.len()..).is_some_and(is_beside));
            found.extend(texts.map(|report| (&report.path, report)));
        }
        found.into_values().flat_map(RecordingReport::parts).collect()
    }
}

/// Whether this follows the name of a recording in that of subtitles: `<language>.<ending>`.
fn is_beside(rest: &str) -> bool {
    rest.split_once('.').is_some_and(|(language, ending)| is_language(language) && !ending.contains('.'))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn movie(lost: &[(u32, TrackKind)]) -> Movie {
        let (moov, at, len) = amphi_container::testing::moov();
        let mut movie = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound");
        let left_out = |&(track_id, kind): &(u32, TrackKind)| LeftOut {
            track_id,
            kind,
            reason: "its codec is unknown: alac".to_owned(),
        };
        movie.left_out = lost.iter().map(left_out).collect();
        movie
    }

    fn stamp(len: u64) -> Stamp {
        Stamp { len, modified: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn a_whole_picture_or_sound_that_is_lost_is_serious() {
        assert_eq!(RecordingReport::of_movie("a.mp4", &movie(&[])), None);
        let second = RecordingReport::of_movie("a.mp4", &movie(&[(3, TrackKind::Sound)])).expect("a report");
        assert!(!second.is_serious(), "there is other sound: {second:?}");
        let mut silent = movie(&[(2, TrackKind::Sound)]);
        silent.audio.clear();
        let silent = RecordingReport::of_movie("a.mp4", &silent).expect("a report");
        assert!(silent.is_serious() && silent.lacks == [TrackKind::Sound], "{silent:?}");
        let mut without = movie(&[(7, TrackKind::Text)]);
        without.audio.clear();
        assert!(!RecordingReport::of_movie("a.mp4", &without).expect("a report").is_serious());
        assert!(RecordingReport::of_fault("a.mp4", "cut off".to_owned(), false).is_serious());
        assert!(!RecordingReport::of_fault("a.mp4", "grows".to_owned(), true).is_serious());
    }

    #[test]
    fn each_state_of_a_file_is_said_once() {
        let mut reports = RecordingReports::default();
        let report = || RecordingReport::of_movie("a.mp4", &movie(&[(2, TrackKind::Sound)]));
        assert!(reports.note("a.mp4", stamp(1), report()) && !reports.note("a.mp4", stamp(1), report()));
        assert!(reports.note("a.mp4", stamp(2), report()), "another version");
        let files = ["b.mp4", "a.mp4"].map(str::to_owned);
        let json = serde_json::to_value(reports.of(&files)).expect("JSON");
        let reason = "its codec is unknown: alac";
        let part = serde_json::json!({ "file": "a.mp4", "track": 2, "kind": "sound", "reason": reason });
        assert_eq!(json, serde_json::json!([part]));
        assert!(!reports.note("a.mp4", stamp(3), None) && reports.all().is_empty(), "it has been mended");
        for number in 0..REPORTS_MAX + 5 {
            let path = format!("{number}.mp4");
            let fault = RecordingReport::of_fault(&path, "cut off".to_owned(), false);
            assert!(reports.note(&path, stamp(1), Some(fault)));
        }
        assert_eq!(reports.all().len(), REPORTS_MAX);
        assert_eq!(reports.serious(1).0, REPORTS_MAX);
    }

    #[test]
    fn what_raises_an_alarm_has_its_place() {
        let mut reports = RecordingReports::default();
        for number in 0..REPORTS_MAX {
            let path = format!("{number}.smil");
            reports.note(&path, stamp(1), RecordingReport::of_text(&path, vec!["line 2: odd".to_owned()]));
        }
        reports.note("y.smil", stamp(1), RecordingReport::of_text("y.smil", vec!["line 2: odd".to_owned()]));
        assert!(reports.stamp_of("y.smil").is_none(), "there is no more room");
        let fault = RecordingReport::of_fault("z.mp4", "cut off".to_owned(), false);
        reports.note("z.mp4", stamp(1), Some(fault));
        assert_eq!((reports.serious(1).0, reports.all().len()), (1, REPORTS_MAX));
    }

    #[test]
    fn subtitles_of_another_recording_are_not_told() {
        let mut reports = RecordingReports::default();
        for path in ["a/b.de.srt", "a/b.part2.de.srt", "a/b2.de.srt", "b.de.srt"] {
            reports.note(path, stamp(1), RecordingReport::of_text(path, vec!["line 2: odd".to_owned()]));
        }
        let told = reports.of(&["a/b.mp4".to_owned()]);
        assert_eq!(told.iter().map(|part| &*part.file).collect::<Vec<_>>(), ["a/b.de.srt"]);
    }
}
