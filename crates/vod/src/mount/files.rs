//! A mount's access to the file system, beneath its root only. All of it blocks.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use tracing::warn;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::MountSettings;
use crate::fault::VodFault;
use crate::listing::Listed;
use crate::smil::{Smil, SmilFault, TextStream, is_language};
use crate::stamp::Stamp;
use amphi_media::charset::{self, WINDOWS_1252};
use amphi_media::{Lock, MediaTime};

/// Most bytes that are read of a text file; a SMIL file has a few kilobytes.
const SMIL_MAX: u64 = 1 << 20;
/// Most bytes that are read of a file of subtitles; those of a day have about two megabytes.
pub(super) const CAPTIONS_MAX: u64 = 16 << 20;
/// Endings of files of subtitles; of one language, the first is taken.
const CAPTION_ENDINGS: [&str; 4] = [".srt", ".vtt", ".ttml", ".dfxp"];
/// Most files and folders that are looked through for the list of recordings.
const LISTED_MAX: usize = 200_000;
/// How deep folders are looked through for it.
const DEPTH_MAX: usize = 6;

/// Opens the root directory; anew each time, since storage comes and goes.
fn root(settings: &MountSettings) -> Result<Dir, VodFault> {
    Dir::open_ambient_dir(&settings.root, ambient_authority())
        .map_err(|error| VodFault::Io { path: settings.root.display().to_string(), error: error.to_string() })
}

/// Refuses names that may lead out of the root, or with empty or odd parts.
fn check(path: &str) -> Result<(), VodFault> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\\']);
    if path.len() < 1024 && path.split('/').all(is_plain) {
        Ok(())
    } else {
        Err(VodFault::of_name(path, "it may lead out of the root", None))
    }
}

/// A path in the form in which paths are compared here (Unicode Standard Annex 15: NFC).
pub(super) fn composed(path: &str) -> Cow<'_, str> {
    if is_nfc(path) { path.into() } else { path.nfc().collect::<String>().into() }
}

/// Does `work` with `path`, or else with the name that the file has on disk, which may be in another normalization form:
/// macOS used to write NFD.
fn with_name<T>(root: &Dir, path: &str, work: impl Fn(&str) -> io::Result<T>) -> io::Result<T> {
    match work(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_ascii() => {
            on_disk(root, path).map_or(Err(error), |found| work(&found))
        }
        done => done,
    }
}

/// The name on disk of the file that `path` names in any normalization form; `None` if there is none.
fn on_disk(root: &Dir, path: &str) -> Option<String> {
    let mut found = String::with_capacity(path.len());
    for part in path.split('/') {
        let forms = [part.to_owned(), part.nfc().collect(), part.nfd().collect()];
        let beneath = |form: &String| if found.is_empty() { form.clone() } else { format!("{found}/{form}") };
        found = forms.iter().map(beneath).find(|it| root.symlink_metadata(it).is_ok())?;
    }
    Some(found)
}

pub(super) fn stamp_of(settings: &MountSettings, path: &str) -> Result<Stamp, VodFault> {
    check(path)?;
    let root = root(settings)?;
    let metadata = with_name(&root, path, |name| root.metadata(name));
    stamp(&metadata.map_err(|error| refused(path, &error))?, path)
}

fn stamp(metadata: &cap_std::fs::Metadata, path: &str) -> Result<Stamp, VodFault> {
    if !metadata.is_file() {
        return Err(VodFault::of_name(path, "it is no plain file", None));
    }
    let modified = metadata.modified().map_err(|error| VodFault::io(path, &error))?.into_std();
    Ok(Stamp { len: metadata.len(), modified })
}

/// The fault for a file that cannot be opened; one that leads out of the root gets a line in the log.
fn refused(path: &str, error: &std::io::Error) -> VodFault {
    match VodFault::io(path, error) {
        VodFault::NotFound if error.kind() != std::io::ErrorKind::NotFound => {
            VodFault::of_name(path, "it leads out of the root, or is closed to us", None)
        }
        other => other,
    }
}

pub(super) fn open_file(settings: &MountSettings, path: &str) -> Result<(std::fs::File, Stamp), VodFault> {
    check(path)?;
    let mut options = OpenOptions::new();
    // A FIFO in the file's place must not block us.
    options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let root = root(settings)?;
    let file = with_name(&root, path, |name| root.open_with(name, &options));
    let file = file.map_err(|error| refused(path, &error))?;
    let metadata = file.metadata().map_err(|error| VodFault::io(path, &error))?;
    let stamp = stamp(&metadata, path)?;
    Ok((file.into_std(), stamp))
}

/// The bytes of a file of subtitles, no more than [`CAPTIONS_MAX`].
pub(super) fn read_captions(settings: &MountSettings, path: &str) -> Result<Vec<u8>, VodFault> {
    read_octets(settings, path, CAPTIONS_MAX)
}

/// Whether a file is found beside recordings as one of subtitles.
pub(super) fn is_caption(path: &str) -> bool {
    language_of(path).is_some()
}

/// The language that a name says before its ending, and which ending that is; letters of any case.
fn language_of(middle: &str) -> Option<(usize, &str)> {
    CAPTION_ENDINGS.iter().enumerate().find_map(|(rank, ending)| {
        let (language, last) = middle.split_at_checked(middle.len().checked_sub(ending.len())?)?;
        last.eq_ignore_ascii_case(ending).then_some((rank, language))
    })
}

/// `<stem>.<language>.srt`, `.vtt`, `.ttml` and `.dfxp` in the file's folder. The caller keeps the answer for ten seconds, since a folder
/// may have thousands of files.
pub(super) fn sidecars(settings: &MountSettings, path: &str) -> Result<Vec<TextStream>, VodFault> {
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    let stem = composed(name.rsplit_once('.').map_or(name, |(stem, _)| stem));
    let root = root(settings)?;
    let entries = with_name(&root, folder, |name| root.read_dir(name));
    let entries = entries.map_err(|error| VodFault::io(path, &error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut texts: Vec<(usize, TextStream)> = names
        .filter_map(|name| {
            let known = composed(&name);
            let middle = known.strip_prefix(&*stem)?.strip_prefix('.')?;
            let (rank, language) = language_of(middle)?;
            let language = language.to_owned();
            drop(known);
            let path = if folder == "." { name.clone() } else { format!("{folder}/{name}") };
            is_language(&language).then_some((rank, TextStream { path, language }))
        })
        .collect();
    // In the order of the names without their endings.
    let place = |(rank, text): &(usize, TextStream)| {
        (text.path.rsplit_once('.').map(|(name, _)| format!("{name}.")), *rank)
    };
    texts.sort_by_cached_key(place);
    Ok(texts.into_iter().map(|(_, text)| text).collect())
}

/// A SMIL file. What of it is left out is said in the log.
pub(super) fn read_smil(settings: &MountSettings, path: &str) -> Result<Smil, VodFault> {
    let smil = smil_of(settings, path)?;
    for SmilFault { line, fault } in &smil.left_out {
        warn!(smil = path, line, %fault, "a value is left out of a SMIL file: its writer should mend it");
    }
    Ok(smil)
}

fn smil_of(settings: &MountSettings, path: &str) -> Result<Smil, VodFault> {
    let octets = read_octets(settings, path, SMIL_MAX)?;
    Smil::read(&octets).map_err(|fault| VodFault::Smil { path: path.to_owned(), fault })
}

/// Up to a mebibyte of a file.
fn read_octets(settings: &MountSettings, path: &str, most: u64) -> Result<Vec<u8>, VodFault> {
    use std::io::Read;
    let (file, stamp) = open_file(settings, path)?;
    let mut octets = Vec::with_capacity(stamp.len.min(most) as usize);
    file.take(most).read_to_end(&mut octets).map_err(|error| VodFault::io(path, &error))?;
    Ok(octets)
}

/// SMIL files that were read before, by path, each with its state at that time.
pub(super) type KnownListed = Lock<HashMap<String, (Stamp, Listed)>>;

/// Every SMIL file beneath the root, in order of titles, and the paths of those that cannot be read. Only what has changed is
/// read, and kept in `known` even if the caller gives up before all is read.
pub(super) fn list(
    settings: &MountSettings,
    known: &KnownListed,
) -> Result<(Vec<Listed>, Vec<String>), VodFault> {
    let root = root(settings)?;
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    let mut seen = 0;
    'folders: while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = root.read_dir(if folder.is_empty() { "." } else { &folder }) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > LISTED_MAX {
                warn!(root = %settings.root.display(), LISTED_MAX, "too many files in the mount: its list is incomplete");
                break 'folders;
            }
            let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if kind.is_dir() && depth < DEPTH_MAX {
                folders.push((path, depth + 1));
            } else if kind.is_file() && path.to_ascii_lowercase().ends_with(".smil") {
                found.push(path);
            }
        }
    }
    let (mut recordings, mut unreadable) = (Vec::new(), Vec::new());
    for path in &found {
        match listed(settings, path, known) {
            Some(listed) => recordings.push(listed),
            None => unreadable.push(composed(path).into_owned()),
        }
    }
    let found: std::collections::HashSet<&String> = found.iter().collect();
    known.lock().retain(|path, _| found.contains(path));
    recordings.sort_by(|a, b| (&a.title, &a.path).cmp(&(&b.title, &b.path)));
    Ok((recordings, unreadable))
}

/// One SMIL file and the catalogue beside it; `None` if it cannot be read. Whoever opens it gets the reason.
fn listed(settings: &MountSettings, path: &str, known: &KnownListed) -> Option<Listed> {
    let stamp = stamp_of(settings, path).ok()?;
    if let Some((_, listed)) = known.lock().get(path).filter(|(known, _)| *known == stamp) {
        return Some(listed.clone());
    }
    let smil = smil_of(settings, path).ok()?;
    let since = stamp.modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let modified = MediaTime::from_nanos(i64::try_from(since.as_nanos()).ok()?).to_string();
    let composed_path = composed(path);
    let named = smil.renditions.iter().flat_map(|it| super::candidates(&composed_path, it));
    let texts =
        smil.texts.iter().flat_map(|text| crate::captions::text_candidates(&composed_path, &text.path));
    let files = named.chain(texts).chain([composed_path.to_string()]).collect();
    let mut listed = Listed { files, ..Listed::new(&composed_path, smil.title, modified) };
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let stem = name.strip_suffix(".smil").unwrap_or(name);
    let beside = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    let names = [format!("{stem}.xml"), "dublincore.xml".to_owned(), "episode.xml".to_owned()];
    if let Some(octets) = names.iter().find_map(|name| read_octets(settings, &beside(name), SMIL_MAX).ok()) {
        listed.describe(&charset::decode_xml(&octets, WINDOWS_1252));
    }
    known.lock().insert(path.to_owned(), (stamp, listed.clone()));
    Some(listed)
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
