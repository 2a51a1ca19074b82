//! Saving overrides across a restart: [`Override`] is what is saved, [`Store`] the interface, [`FileStore`] a file.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state_file::StateFile;
use amphi_media::{ChannelName, MediaTime, SourceName};

/// A manual override: what an operator put on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The name of the channel.
    pub channel: ChannelName,
    /// The source to show; `None` = the waiting loop.
    pub source: Option<SourceName>,
    /// When it was made.
    pub since: MediaTime,
    /// When it expires; `None` = when it is cleared.
    pub until: Option<MediaTime>,
}

/// Saves and loads overrides. Called by one task at a time, where it may block.
pub trait Store: Send + Sync + 'static {
    /// What was saved last. A file that cannot be read is logged and counts as empty: damage
    /// must not keep the server from starting.
    fn load(&self) -> Vec<Override>;

    /// Replaces what was saved before, atomically.
    fn save(&self, overrides: &[Override]) -> io::Result<()>;
}

/// Keeps overrides in `overrides.json` in the state directory.
///
/// A damaged file is renamed to `overrides.json.corrupt`.
#[derive(Debug)]
pub struct FileStore(StateFile);

/// The format of the file. Times are written to the nanosecond, unlike in [`MediaTime`]'s own format, so that they are the
/// same when read back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredOverrides {
    overrides: Vec<KeptOverride>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptOverride {
    channel: ChannelName,
    source: Option<SourceName>,
    since: Timestamp,
    until: Option<Timestamp>,
}

impl FileStore {
    /// The store in `directory`, which is created when something is saved.
    pub fn new(directory: impl AsRef<Path>) -> Self {
        Self(StateFile::new(directory.as_ref(), "overrides.json"))
    }
}

impl Store for FileStore {
    fn load(&self) -> Vec<Override> {
        let path = self.0.path();
        let bytes = match self.0.load() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Vec::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "overrides cannot be read: starting without");
                return Vec::new();
            }
        };
        decode(&bytes).unwrap_or_else(|error| {
            let aside = self.0.set_aside();
            tracing::warn!(
                path = %path.display(), %error, aside, "the file of overrides is damaged: starting without"
            );
            Vec::new()
        })
    }

    fn save(&self, overrides: &[Override]) -> io::Result<()> {
        self.0.save(&encode(overrides)?)
    }
}

fn encode(overrides: &[Override]) -> io::Result<Vec<u8>> {
    let keep = |it: &Override| KeptOverride {
        channel: it.channel.clone(),
        source: it.source.clone(),
        since: it.since.timestamp(),
        until: it.until.map(MediaTime::timestamp),
    };
    let kept = StoredOverrides { overrides: overrides.iter().map(keep).collect() };
    Ok(serde_json::to_vec_pretty(&kept)?)
}

fn decode(bytes: &[u8]) -> Result<Vec<Override>, serde_json::Error> {
    let kept: StoredOverrides = serde_json::from_slice(bytes)?;
    let read = |it: KeptOverride| Override {
        channel: it.channel,
        source: it.source,
        since: it.since.into(),
        until: it.until.map(MediaTime::from),
    };
    Ok(kept.overrides.into_iter().map(read).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn some_override() -> Override {
        Override {
            channel: "a".into(),
            source: Some("s".into()),
            since: MediaTime::from_nanos(1_795_000_000_123_456_789),
            until: None,
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = FileStore::new(directory.path().join("deep/state"));
        assert_eq!(store.load(), []);
        store.save(&[some_override()]).expect("it is saved");
        assert_eq!(FileStore::new(directory.path().join("deep/state")).load(), [some_override()]);
        store.save(&[]).expect("it is saved");
        assert_eq!(store.load(), []);
        assert_eq!(
            fs::read_dir(directory.path().join("deep/state")).expect("it is there").count(),
            1,
            "nothing is left behind"
        );
    }

    #[test]
    fn a_corrupt_file_is_set_aside() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = FileStore::new(directory.path());
        for text in ["", "{", "[]", "{\"overrides\":[{\"channel\":1}]}", "\u{0}\u{0}"] {
            fs::write(store.0.path(), text).expect("it is written");
            assert_eq!(store.load(), [], "{text:?}");
            assert!(!store.0.path().exists());
            let aside = fs::read_to_string(directory.path().join("overrides.json.corrupt"));
            assert_eq!(aside.expect("it is there"), text);
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let store = FileStore::new(file.path());
        assert!(store.save(&[]).is_err());
        assert_eq!(store.load(), []);
    }

    proptest! {
        #[test]
        fn every_override_survives_the_file(
            channel in ".*", source in proptest::option::of(".*"), since: i64, until: Option<i64>,
        ) {
            let it = Override {
                channel: channel.into(),
                source: source.map(SourceName::from),
                since: MediaTime::from_nanos(since),
                until: until.map(MediaTime::from_nanos),
            };
            let encoded = encode(std::slice::from_ref(&it)).expect("it is encoded");
            prop_assert_eq!(decode(&encoded).expect("it is decoded"), [it]);
        }
    }
}
