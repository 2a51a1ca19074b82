//! The state of a file, by which its versions are told apart. Sans-IO.

use std::time::SystemTime;

/// The state of a file: if it changes, so has the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The file's length in bytes.
    pub len: u64,
    /// When the file was last written.
    pub modified: SystemTime,
}

impl Stamp {
    /// The state in words that stand for no other.
    pub fn text(&self) -> String {
        let since = self.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{} {}", self.len, since.as_nanos())
    }
}
