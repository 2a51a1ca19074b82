//! The files of the audit log: `audit.jsonl`, which is renamed to `audit.1.jsonl` when it is full.
//!
//! A line is one entry. A line that a crash left half-written at the end is cut off when the files are read, so that the next
//! entry begins a new line. Other damaged lines are skipped, and the log says so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Entry;
use crate::state_file;

/// The most bytes of one file; there are two files.
pub const FILE_BYTES: u64 = 2 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    limit: u64,
}

impl Files {
    pub(super) fn new(directory: &Path, limit: u64) -> Self {
        Self { directory: directory.to_owned(), limit }
    }

    /// All entries, oldest first.
    pub(super) fn load(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for path in [self.older(), self.newest()] {
            match read(&path) {
                Ok(some) => entries.extend(some),
                Err(error) => tracing::warn!(path = %path.display(), %error, "the audit log cannot be read"),
            }
        }
        entries
    }

    /// Writes all of the entries to the disk, or none. Begins a new file first if this one is full.
    pub(super) fn append<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) -> io::Result<()> {
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        fs::create_dir_all(&self.directory)?;
        let newest = self.newest();
        let size = fs::metadata(&newest).map_or(0, |metadata| metadata.len());
        if size > 0 && size + text.len() as u64 > self.limit {
            fs::rename(&newest, self.older())?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(newest)?;
        // All or nothing: after an error the file is cut to its old length, since the entries are written again.
        let before = file.metadata()?.len();
        if before == 0 {
            state_file::flush_directory(&self.directory)?;
        }
        file.write_all(&text).and_then(|()| file.sync_data()).inspect_err(|_| drop(file.set_len(before)))
    }

    fn newest(&self) -> PathBuf {
        self.directory.join("audit.jsonl")
    }

    fn older(&self) -> PathBuf {
        self.directory.join("audit.1.jsonl")
    }
}

/// The entries of one file. An incomplete last line is cut off.
fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let Some(bytes) = state_file::read(path)? else { return Ok(Vec::new()) };
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        tracing::warn!(path = %path.display(), bytes = bytes.len() - whole, "a half-written line is cut off");
        File::options().write(true).open(path)?.set_len(whole as u64)?;
    }
    let lines = bytes.get(..whole).unwrap_or_default().split(|&byte| byte == b'\n');
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let entries: Vec<Entry> = lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect();
    if entries.len() < lines.len() {
        let skipped = lines.len() - entries.len();
        tracing::warn!(path = %path.display(), skipped, "damaged lines of the audit log are skipped");
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::*;
    use amphi_media::MediaTime;

    fn entry(number: i64) -> Entry {
        let at = MediaTime::from_millis(1_795_000_000_000 + number);
        Entry::new(at, "operator", Action::Connect)
            .on(&"hall".into())
            .saying("said\nin two lines, with “quotes\"")
    }

    #[test]
    fn what_was_written_is_read_and_a_half_line_is_cut_off() {
        let home = tempfile::tempdir().expect("a directory");
        let files = Files::new(&home.path().join("deep/state"), FILE_BYTES);
        assert_eq!(files.load(), []);
        files.append(&[entry(1), entry(2)]).expect("written");
        let mut file = OpenOptions::new().append(true).open(files.newest()).expect("it is there");
        file.write_all(b"{\"at\":\"2026-11-18T11:0").expect("written");
        assert_eq!(files.load(), [entry(1), entry(2)]);
        files.append(&[entry(3)]).expect("written");
        assert_eq!(files.load(), [entry(1), entry(2), entry(3)]);
    }

    #[test]
    fn a_senseless_line_costs_no_other() {
        let home = tempfile::tempdir().expect("a directory");
        let files = Files::new(home.path(), FILE_BYTES);
        files.append(&[entry(1)]).expect("written");
        let mut file = OpenOptions::new().append(true).open(files.newest()).expect("it is there");
        file.write_all(b"{}\n\n\xff\xfe\n").expect("written");
        files.append(&[entry(2)]).expect("written");
        assert_eq!(files.load(), [entry(1), entry(2)]);
    }

    #[test]
    fn two_files_bound_it() {
        let home = tempfile::tempdir().expect("a directory");
        let files = Files::new(home.path(), 2000);
        for number in 0..100 {
            files.append(&[entry(number)]).expect("written");
        }
        let sizes = [files.newest(), files.older()].map(|path| fs::metadata(path).expect("a file").len());
        assert!(sizes.iter().all(|&size| size <= 2000), "{sizes:?}");
        let kept = files.load();
        assert_eq!(kept.last(), Some(&entry(99)));
        assert!(kept.windows(2).all(|pair| pair[0].at < pair[1].at) && kept.len() > 10);
        assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 2);
    }
}
