//! The rules of the house, as tests: imports point downward, cores are free of I/O, every file introduces
//! itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Storeys from the ground up, as in the picture in `lib.rs`. A module may import from lower ones only.
const STOREYS: [&[&str]; 5] = [
    &["media", "clock", "log", "meter", "retry", "percent"],
    &[
        "agenda", "alarm", "audit", "clip", "config", "feed", "matrix", "push", "http", "rtsp", "rtmp",
        "udp", "isobmff", "tasks", "workshop",
    ],
    &[
        "source",
        "ladder",
        "channel",
        "package",
        "store",
        "schedule",
        "simulator",
        "vod",
        "loadtest",
        "rehearsal",
    ],
    &["delivery", "admin"],
    &["server"],
];

/// Files that decide: no runtime, no sockets, no files, no clock of their own.
const CORES: &[&str] = &[
    "agenda.rs",
    "admin/attendance.rs",
    "alarm",
    "audit/entry.rs",
    "media",
    "clip.rs",
    "channel",
    "package",
    "rtsp",
    "rtmp",
    "isobmff",
    "log/limiter.rs",
    "log/line.rs",
    "log/queue.rs",
    "ladder/lattice.rs",
    "ladder/assembler.rs",
    "ladder/batches.rs",
    "ladder/damage.rs",
    "ladder/colour.rs",
    "ladder/diagnosis.rs",
    "ladder/sound.rs",
    "ladder/audio",
    "ladder/rusty",
    "ladder/scale",
    "ladder/motion.rs",
    "ladder/scene.rs",
    "ladder/speech.rs",
    "ladder/pressure.rs",
    "ladder/vitals.rs",
    "source/timeline",
    "source/payload",
    "source/tracks.rs",
    "source/intake.rs",
    "source/described.rs",
    "source/presence.rs",
    "store/bitrate.rs",
    "store/manifest.rs",
    "store/media_playlist.rs",
    "store/multivariant.rs",
    "store/window.rs",
    "tasks/pauses.rs",
    "tasks/roll.rs",
    "vod/compact.rs",
    "vod/samples.rs",
    "vod/tables.rs",
    "vod/fragments.rs",
    "vod/entry.rs",
    "vod/movie.rs",
    "vod/cursor.rs",
    "vod/cut.rs",
    "vod/dash.rs",
    "vod/chapters.rs",
    "vod/listing.rs",
    "vod/text.rs",
    "vod/fmp4.rs",
    "vod/names.rs",
    "vod/playlist.rs",
    "vod/presentation.rs",
    "vod/smil.rs",
    "workshop/queue.rs",
    "loadtest/buffer.rs",
    "loadtest/fragment.rs",
    "loadtest/playlist.rs",
    "delivery/address",
    "delivery/audience.rs",
    "delivery/http/route.rs",
    "http/guesses.rs",
    "http/host.rs",
    "percent.rs",
    "retry.rs",
    "server/budget.rs",
    "matrix/core",
    "rehearsal/check.rs",
    "rehearsal/night.rs",
    "rehearsal/preflight.rs",
    "rehearsal/tally.rs",
    "schedule/calendar_json.rs",
    "schedule/challenge.rs",
    "schedule/conflicts.rs",
    "schedule/desk.rs",
    "schedule/dublin.rs",
    "schedule/event.rs",
    "schedule/ical.rs",
    "schedule/ical/recurrence.rs",
    "schedule/ical/zones.rs",
    "schedule/overrun.rs",
    "schedule/routing.rs",
    "schedule/settings.rs",
    "schedule/simulate.rs",
    "schedule/timetable.rs",
    "schedule/words.rs",
];

const IO: [&str; 6] = ["tokio::", "std::net", "std::fs", "Instant::now", "SystemTime::now", "std::thread"];

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file beneath `dir`, with its path relative to `src`, and its text without the tests at its end.
fn files(dir: &Path, out: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).expect("src can be read") {
        let path = entry.expect("src can be read").path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is text");
            let name = path.strip_prefix(source_dir()).expect("beneath src").to_string_lossy().into_owned();
            out.insert(name, text);
        }
    }
}

fn all_files() -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    files(&source_dir(), &mut out);
    out
}

/// Tests may do what they like.
fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs") || file.ends_with("_tests.rs")
}

fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

fn module_of(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

fn storey_of(module: &str) -> Option<usize> {
    STOREYS.iter().position(|storey| storey.contains(&module))
}

/// Modules of this crate that the text names by `crate::module`, also in a braced import.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or(list).split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let word = name.trim_start();
            let end = word.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(word.len());
            if end > 0 {
                found.push(word[..end].to_owned());
            }
        }
    }
    found
}

#[test]
fn imports_point_downward() {
    let mut faults = Vec::new();
    for (file, text) in all_files() {
        let module = module_of(&file);
        if ["lib", "main", "house"].contains(&module) {
            continue;
        }
        let Some(own) = storey_of(module) else {
            faults.push(format!("{file}: module {module} stands on no storey"));
            continue;
        };
        for name in imports(without_tests(&text)) {
            // The words of the media path are everybody's, also on their own storey.
            if name != module && name != "media" && storey_of(&name).is_none_or(|storey| storey >= own) {
                faults.push(format!("{file}: imports {name}, which does not stand below {module}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn cores_do_no_io() {
    let files = all_files();
    for core in CORES {
        let own: Vec<_> = files.iter().filter(|(file, _)| file.starts_with(core) && !is_test(file)).collect();
        assert!(!own.is_empty(), "the core {core} is gone: mend the list");
        for (file, text) in own {
            for word in IO {
                assert!(!without_tests(text).contains(word), "{file} is a core and uses {word}");
            }
        }
    }
}

#[test]
fn every_file_introduces_itself() {
    for (file, text) in all_files() {
        assert!(text.starts_with("//!"), "{file} does not say what belongs in it");
    }
}

#[test]
fn imports_are_found_in_every_form() {
    assert_eq!(imports("use crate::media::X; crate::feed::Y"), ["media", "feed"]);
    assert_eq!(imports("use crate::{clock::Clock, meter::Counter};"), ["clock", "meter"]);
}
