//! What a mount does with its file system, beneath its root only. All of it blocks.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use tracing::warn;

use super::MountSettings;
use crate::vod::fault::VodFault;
use crate::vod::recording::Stamp;
use crate::vod::smil::{Smil, TextStream};

/// A SMIL file is some kilobytes.
const SMIL_MAX: u64 = 1 << 20;

/// The directory is opened anew each time: storage comes and goes.
fn root(settings: &MountSettings) -> Result<Dir, VodFault> {
    Dir::open_ambient_dir(&settings.root, ambient_authority())
        .map_err(|error| VodFault::Io { path: settings.root.display().to_string(), error: error.to_string() })
}

/// Names of files beneath the root: no way up, no empty or odd parts.
fn check(path: &str) -> Result<(), VodFault> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\\']);
    if path.len() < 1024 && path.split('/').all(is_plain) { Ok(()) } else { Err(VodFault::NotFound) }
}

pub(super) fn stamp_of(settings: &MountSettings, path: &str) -> Result<Stamp, VodFault> {
    check(path)?;
    let metadata = root(settings)?.metadata(path).map_err(|error| refused(path, &error))?;
    stamp(&metadata, path)
}

fn stamp(metadata: &cap_std::fs::Metadata, path: &str) -> Result<Stamp, VodFault> {
    if !metadata.is_file() {
        warn!(path, "not a file: not opened");
        return Err(VodFault::NotFound);
    }
    let modified = metadata.modified().map_err(|error| VodFault::io(path, &error))?.into_std();
    Ok(Stamp { len: metadata.len(), modified })
}

/// A way out of the root is worth a line.
fn refused(path: &str, error: &std::io::Error) -> VodFault {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        warn!(path, %error, "not opened");
    }
    VodFault::io(path, error)
}

pub(super) fn open_file(settings: &MountSettings, path: &str) -> Result<(std::fs::File, Stamp), VodFault> {
    check(path)?;
    let mut options = OpenOptions::new();
    // A FIFO that took the file's place must not hold us.
    options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let file = root(settings)?.open_with(path, &options).map_err(|error| refused(path, &error))?;
    let metadata = file.metadata().map_err(|error| VodFault::io(path, &error))?;
    let stamp = stamp(&metadata, path)?;
    Ok((file.into_std(), stamp))
}

pub(super) fn read_text(settings: &MountSettings, path: &str) -> Result<String, VodFault> {
    use std::io::Read;
    let (file, stamp) = open_file(settings, path)?;
    let mut text = Vec::with_capacity(stamp.len.min(SMIL_MAX) as usize);
    file.take(SMIL_MAX).read_to_end(&mut text).map_err(|error| VodFault::io(path, &error))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// `<stem>.<language>.vtt` and `.srt` in the file's folder; a folder with thousands of files is looked through once in
/// ten seconds.
pub(super) fn sidecars(settings: &MountSettings, path: &str) -> Result<Vec<TextStream>, VodFault> {
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let entries = root(settings)?.read_dir(folder).map_err(|error| VodFault::io(path, &error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut texts: Vec<TextStream> = names
        .filter_map(|name| {
            let middle = name.strip_prefix(stem)?.strip_prefix('.')?;
            let language = middle.strip_suffix(".vtt").or_else(|| middle.strip_suffix(".srt"))?;
            let is_tag = language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let path = if folder == "." { name.clone() } else { format!("{folder}/{name}") };
            is_tag.then(|| TextStream { path, language: language.to_owned() })
        })
        .collect();
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    texts.dedup_by(|a, b| a.language == b.language);
    Ok(texts)
}

pub(super) fn read_smil(settings: &MountSettings, path: &str) -> Result<Smil, VodFault> {
    let text = read_text(settings, path)?;
    Smil::parse(&text).map_err(|fault| VodFault::Smil { path: path.to_owned(), fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_refused() {
        for path in ["", "..", "a/../b", "/etc/passwd", "a//b", "a/./b", "a\0b", "a\\..\\b"] {
            assert_eq!(check(path), Err(VodFault::NotFound), "{path:?}");
        }
        assert_eq!(check("engage-player/x y/ä.mp4"), Ok(()));
    }
}
