//! A small file of the state directory that is replaced wholly or not at all.
//!
//! It is written beside its place, flushed to the disk and renamed, and the directory is flushed after it: a power cut
//! leaves the old file or the new one. What the file means, and what to do where it means nothing, is its owner's.
//! What grows line by line (the audit log) is not such a file, but is read with the same bound.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Bytes that are read at most, four times those of the largest calendar that is taken. A file that is longer is not ours.
const MAX_BYTES: u64 = 256 << 20;

/// Reads and replaces one file. Blocks.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    directory: PathBuf,
    name: &'static str,
}

impl StateFile {
    /// `name` in `directory`, which is made when something is saved.
    pub(crate) fn new(directory: &Path, name: &'static str) -> Self {
        Self { directory: directory.to_owned(), name }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join(self.name)
    }

    /// What was saved last; `None` where nothing was.
    pub(crate) fn load(&self) -> io::Result<Option<Vec<u8>>> {
        read(&self.path())
    }

    /// Replaces what was saved before.
    pub(crate) fn save(&self, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let prefix = format!(".{}-", self.name);
        let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(&self.directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.path()).map_err(|error| error.error)?;
        flush_directory(&self.directory)
    }

    /// Renames a file that makes no sense, and says how that went.
    pub(crate) fn set_aside(&self) -> String {
        let path = self.path();
        let mut aside = path.clone().into_os_string();
        aside.push(".corrupt");
        match fs::rename(path, &aside) {
            Ok(()) => format!("renamed to {}", Path::new(&aside).display()),
            Err(error) => format!("left in place: {error}"),
        }
    }
}

/// The bytes of a file, `None` where there is none, an error where there are more than [`MAX_BYTES`].
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

/// A file's new name, too, must be on the disk (`fsync(2)`).
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
