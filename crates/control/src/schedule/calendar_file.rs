//! Keeps the last good calendar on disk, in `schedule.json` in the state directory.
//!
//! The file has a hash of the calendar's URL, without user and password: the file of another calendar is not used.

use std::io;
use std::path::Path;

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::planner::StoredCalendar;
use crate::state_file::StateFile;
use amphi_config::Secret;

/// Saves and loads the last good calendar.
#[derive(Clone, Debug)]
pub struct CalendarFile(StateFile);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFile {
    calendar: String,
    kept: StoredCalendar,
}

#[derive(Debug, Serialize)]
struct FileToStore<'a> {
    calendar: String,
    kept: &'a StoredCalendar,
}

impl CalendarFile {
    /// The file is in `directory`, which is created when something is saved.
    pub fn new(directory: impl AsRef<Path>) -> Self {
        Self(StateFile::new(directory.as_ref(), "schedule.json"))
    }

    /// What was saved of the calendar at `url`. A file that cannot be read is logged and counts as none. May block.
    pub fn load(&self, url: &Secret) -> Option<StoredCalendar> {
        let path = self.0.path();
        let bytes = match self.0.load() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the last good schedule cannot be read");
                return None;
            }
        };
        match serde_json::from_slice::<StoredFile>(&bytes) {
            Ok(paper) if paper.calendar == mark(url) => Some(paper.kept),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the file of the last good schedule is damaged: starting without");
                None
            }
        }
    }

    /// Replaces what was saved before, atomically. May block.
    pub fn save(&self, url: &Secret, kept: &StoredCalendar) -> io::Result<()> {
        self.0.save(&serde_json::to_vec(&FileToStore { calendar: mark(url), kept })?)
    }
}

/// A hash of the URL, which tells calendars apart without revealing it.
pub(super) fn mark(url: &Secret) -> String {
    let plain = match url::Url::parse(url.reveal()) {
        Ok(mut parsed) if parsed.has_host() => {
            // These fail only for a URL without a host.
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.to_string()
        }
        _ => url.reveal().to_owned(),
    };
    let hash: [u8; 32] = Sha256::digest(plain.as_bytes()).into();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_kept_is_of_one_calendar_and_without_its_secrets() {
        let directory = tempfile::tempdir().expect("a directory");
        let calendar_file = CalendarFile::new(directory.path().join("state"));
        let url = Secret::new("https://user:hunter2@opencast.example.org/recordings/calendars");
        assert_eq!(calendar_file.load(&url), None);
        let kept =
            StoredCalendar { last_good: "2026-11-23T08:00:00Z".parse().ok(), ..StoredCalendar::default() };
        calendar_file.save(&url, &kept).expect("saved");
        assert_eq!(calendar_file.load(&url), Some(kept.clone()));
        let other_password = Secret::new("https://user:other@opencast.example.org/recordings/calendars");
        assert_eq!(calendar_file.load(&other_password), Some(kept));
        assert_eq!(
            calendar_file.load(&Secret::new("https://elsewhere.example.org/")),
            None,
            "another calendar"
        );
        let text = fs::read_to_string(calendar_file.0.path()).expect("a file");
        assert!(!text.contains("hunter2") && !text.contains("opencast"), "{text}");
        for wrong in ["", "{", "[]", "{\"calendar\": 1}"] {
            fs::write(calendar_file.0.path(), wrong).expect("written");
            assert_eq!(calendar_file.load(&url), None, "{wrong}");
        }
        assert_eq!(
            fs::read_dir(directory.path().join("state")).expect("listed").count(),
            1,
            "nothing is left behind"
        );
    }
}
