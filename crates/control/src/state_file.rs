//! A small file of the state directory that is replaced atomically.
//!
//! The new content is written to a temporary file, flushed to the disk and renamed, and then the directory is flushed: a
//! power cut leaves the old file or the new one. The owner of the file decides what it means, and what to do if it is
//! damaged. The audit log, which grows line by line, is not such a file, but is read with the same bound.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The most bytes that are read: four times the largest calendar that is accepted. A longer file is not ours.
const MAX_BYTES: u64 = 256 << 20;

/// Reads and replaces one file. All methods block.
#[derive(Clone, Debug)]
pub struct StateFile {
    directory: PathBuf,
    name: &'static str,
}

impl StateFile {
    /// `name` in `directory`, which is created when something is saved.
    pub fn new(directory: &Path, name: &'static str) -> Self {
        Self { directory: directory.to_owned(), name }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.directory.join(self.name)
    }

    /// What was saved last; `None` if there is no file.
    pub fn load(&self) -> io::Result<Option<Vec<u8>>> {
        read(&self.path())
    }

    /// Replaces it. Only its owner may read it.
    pub fn save(&self, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let prefix = format!(".{}-", self.name);
        let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(&self.directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.path()).map_err(|error| error.error)?;
        flush_directory(&self.directory)
    }

    /// Renames a damaged file to `NAME.corrupt`. Returns what was done, for the log.
    pub fn set_aside(&self) -> String {
        let path = self.path();
        let mut aside = path.clone().into_os_string();
        aside.push(".corrupt");
        match fs::rename(path, &aside) {
            Ok(()) => format!("renamed to {}", Path::new(&aside).display()),
            Err(error) => format!("left in place: {error}"),
        }
    }
}

/// The bytes of a file; `None` if there is none, an error if there are more than [`MAX_BYTES`].
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let text = format!("longer than {MAX_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(Some(bytes))
}

/// Flushes the directory, so that a file's new name is on the disk too (fsync(2)).
pub(crate) fn flush_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let home = tempfile::tempdir().expect("a directory");
        let file = StateFile::new(&home.path().join("deep/state"), "things.json");
        assert_eq!(file.load().expect("no fault"), None);
        for text in ["one", "", "three"] {
            file.save(text.as_bytes()).expect("saved");
            assert_eq!(file.load().expect("read").as_deref(), Some(text.as_bytes()));
        }
        assert_eq!(fs::read_dir(&file.directory).expect("listed").count(), 1);
        assert!(file.set_aside().ends_with("things.json.corrupt"));
        assert_eq!(file.load().expect("no fault"), None);
        assert!(file.set_aside().starts_with("left in place"));
    }

    #[test]
    fn a_file_without_end_is_not_read_into_memory() {
        let home = tempfile::tempdir().expect("a directory");
        let file = StateFile::new(home.path(), "things.json");
        File::create(file.path()).and_then(|made| made.set_len(MAX_BYTES + 1)).expect("a sparse file");
        assert_eq!(file.load().expect_err("too long").kind(), io::ErrorKind::FileTooLarge);
    }
}
