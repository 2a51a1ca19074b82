//! The last rehearsal on disk: `rehearsal.json` in the state directory.

use std::io;
use std::path::Path;

use super::check::{Rehearsal, RehearsalState};
use crate::state_file::StateFile;

/// Saves and loads the last rehearsal. Its methods block.
#[derive(Clone, Debug)]
pub struct Archive(StateFile);

impl Archive {
    /// The archive in `directory`, which is created when something is saved.
    pub fn new(directory: &Path) -> Self {
        Self(StateFile::new(directory, "rehearsal.json"))
    }

    /// The rehearsal that was saved last. A file that cannot be read is logged, and counts as none.
    pub fn load(&self) -> Rehearsal {
        let path = self.0.path();
        let bytes = match self.0.load() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Rehearsal::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the last rehearsal cannot be read");
                return Rehearsal::default();
            }
        };
        let read = serde_json::from_slice::<Rehearsal>(&bytes);
        let mut rehearsal = read.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "the file of the last rehearsal is damaged");
            Rehearsal::default()
        });
        // A rehearsal that a crash has interrupted is over.
        if rehearsal.state == RehearsalState::Running {
            rehearsal.state = RehearsalState::Done;
        }
        rehearsal
    }

    /// Replaces the saved rehearsal, atomically.
    pub fn save(&self, rehearsal: &Rehearsal) -> io::Result<()> {
        self.0.save(&serde_json::to_vec_pretty(rehearsal)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Signs, Tally};
    use super::*;
    use amphi_media::MediaTime;

    #[test]
    fn what_is_saved_is_loaded_and_nonsense_counts_as_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let archive = Archive::new(&home.path().join("deep"));
        assert_eq!(archive.load(), Rehearsal::default());
        let now = MediaTime::from_millis(1_795_000_000_000);
        let mut rehearsal = Rehearsal::begin(now, "night");
        rehearsal.push(Tally::default().judge(&"hall".into(), None, Signs::default(), None, now));
        archive.save(&rehearsal).expect("saved");
        assert_eq!(archive.load().state, RehearsalState::Done, "a crash ends it");
        rehearsal.end(now);
        archive.save(&rehearsal).expect("saved");
        assert_eq!((archive.load(), rehearsal.faults), (rehearsal, 1));
        std::fs::write(archive.0.path(), "{").expect("written");
        assert_eq!(archive.load(), Rehearsal::default());
    }
}
