//! The rules of the house, as tests: imports point downward, files do not lean on each other in circles, cores are free
//! of I/O, every file introduces itself. Source is read with `syn`, so that every line of production is seen and none of
//! the tests.

mod circles;
mod reading;

use std::collections::BTreeSet;

use reading::{Library, SourceFile};

/// Storeys from the ground up, as in the picture in `lib.rs`. A module may import from lower ones only.
const STOREYS: [&[&str]; 5] = [
    &["media", "clock", "log", "meter", "retry", "percent"],
    &[
        "agenda",
        "alarm",
        "audit",
        "config",
        "container",
        "feed",
        "matrix",
        "push",
        "http",
        "rtsp",
        "rtmp",
        "udp",
        "tasks",
        "workshop",
    ],
    &["source", "ladder", "channel", "store", "schedule", "simulator", "vod", "loadtest", "rehearsal"],
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
    "container",
    "channel",
    "rtsp",
    "rtmp",
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
    "store/playlists.rs",
    "store/window.rs",
    "tasks/pauses.rs",
    "tasks/roll.rs",
    "vod/cursor.rs",
    "vod/cut.rs",
    "vod/dash.rs",
    "vod/listing.rs",
    "vod/names.rs",
    "vod/playlist.rs",
    "vod/presentation.rs",
    "vod/smil.rs",
    "workshop/queue.rs",
    "loadtest/buffer.rs",
    "loadtest/fragment.rs",
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

/// What a core does not name. The names of `Instant` and `SystemTime` alone are only types.
const IO: [&[&str]; 6] = [
    &["tokio"],
    &["std", "net"],
    &["std", "fs"],
    &["std", "thread"],
    &["Instant", "now"],
    &["SystemTime", "now"],
];

/// Files that lean on each other and may: two files that are one thought, each with why.
const CIRCLES: &[(&[&str], &str)] = &[
    (
        &["delivery/answer.rs", "delivery/fault.rs"],
        "a fault is an answer, and an answer is what a fault becomes",
    ),
    (
        &["matrix/command.rs", "matrix/view.rs"],
        "what is commanded is what is seen, and the answer to a command is a view",
    ),
    (&["rtmp/flv/tag.rs", "rtmp/flv/unpack.rs"], "a tag, and what is in its body"),
    (&["vod/chapters.rs", "vod/fragments.rs", "vod/movie.rs"], "three parts of one reader of one box tree"),
];

/// The module that stands on a storey.
fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

fn storey_of(module: &str) -> Option<usize> {
    STOREYS.iter().position(|storey| storey.contains(&module))
}

fn production(library: &Library) -> impl Iterator<Item = &SourceFile> {
    library.files().filter(|file| !file.is_test && !["lib.rs", "main.rs"].contains(&&*file.name))
}

#[test]
fn imports_point_downward() {
    let library = Library::get();
    let mut faults = BTreeSet::new();
    for file in production(library) {
        let module = room(&file.name);
        let Some(own) = storey_of(module) else {
            faults.insert(format!("{}: module {module} stands on no storey", file.name));
            continue;
        };
        for name in library.paths(file).iter().filter_map(|path| path.in_crate()?.first()) {
            // The words of the media path are everybody's, also on their own storey.
            if name != module && name != "media" && storey_of(name).is_none_or(|storey| storey >= own) {
                faults.insert(format!("{}: imports {name}, which does not stand below {module}", file.name));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", Vec::from_iter(faults).join("\n"));
}

#[test]
fn cores_do_no_io() {
    let library = Library::get();
    for core in CORES {
        let own: Vec<_> = production(library).filter(|file| file.name.starts_with(core)).collect();
        assert!(!own.is_empty(), "the core {core} is gone: mend the list");
        for file in own {
            for path in library.paths(file) {
                let named = IO.iter().find(|io| path.names(io));
                assert!(named.is_none(), "{} is a core and uses {}", file.name, path.text());
            }
        }
    }
}

#[test]
fn no_files_lean_on_each_other_in_a_circle() {
    let library = Library::get();
    let found = circles::find(&library.edges());
    let known: BTreeSet<BTreeSet<&str>> =
        CIRCLES.iter().map(|(files, _)| files.iter().copied().collect()).collect();
    let mut faults = Vec::new();
    for circle in &found {
        if !known.contains(&circle.files.iter().map(String::as_str).collect()) {
            faults.push(circle.to_string());
        }
    }
    for files in known {
        if !found.iter().any(|circle| circle.files.iter().map(String::as_str).eq(files.iter().copied())) {
            faults.push(format!("there is no circle of {files:?} any more: mend the list"));
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_file_introduces_itself() {
    for file in Library::get().files() {
        assert!(file.text.starts_with("//!"), "{} does not say what belongs in it", file.name);
    }
}

/// A line of the picture is a storey's number, its modules, and in parentheses what they are.
#[test]
fn the_picture_in_lib_rs_is_true() {
    let library = Library::get();
    let lib = library.file("lib.rs").expect("it is the root");
    let picture = lib.text.lines().skip_while(|line| !line.starts_with("//! ## The house"));
    let drawn: Vec<BTreeSet<&str>> = picture
        .take_while(|line| line.starts_with("//!"))
        .filter_map(|line| {
            let line = line.strip_prefix("//!")?.trim_start();
            let rest = line.strip_prefix(|c: char| c.is_ascii_digit())?.strip_prefix("  ")?;
            Some(rest.split('(').next().unwrap_or(rest).split_whitespace().collect())
        })
        .filter(|modules: &BTreeSet<_>| !modules.contains("main.rs"))
        .collect();
    let storeys: Vec<_> = STOREYS.iter().rev().map(|storey| storey.iter().copied().collect()).collect();
    assert_eq!(drawn, storeys, "left: as drawn, right: as they are");
    let named: BTreeSet<_> = STOREYS.iter().copied().flatten().copied().collect();
    let modules: BTreeSet<_> = library.files().map(|file| room(&file.name)).collect();
    let apart = BTreeSet::from(["lib", "main", "house"]);
    assert_eq!(named, modules.difference(&apart).copied().collect(), "left: as drawn, right: as they are");
}
