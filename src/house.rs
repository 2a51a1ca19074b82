//! The architecture's rules, as tests: imports point downward, files do not depend on each other in circles, cores do no
//! I/O, every file and every crate says what it is for, few types share a name. The source of all crates is read
//! with `syn`, so that every line of production code is seen and none of the tests. What Cargo enforces is read from the
//! manifests.

mod circles;
mod figures;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use reading::{Library, SourceFile};

/// Crates that hold several rooms; any other crate is one.
const SHARED: [&str; 4] = ["control", "media", "protocol", "runtime"];

/// Storeys from the ground up, as in the picture in `lib.rs`. A module may import from lower ones only.
const STOREYS: [&[&str]; 6] = [
    &["media", "clock", "log", "meter", "retry", "percent", "socket", "state_file", "tls"],
    &["access"],
    &[
        "acme",
        "admission",
        "agenda",
        "alarm",
        "audit",
        "config",
        "container",
        "sound",
        "feed",
        "matrix",
        "push",
        "http",
        "rtsp",
        "rtmp",
        "sniff",
        "udp",
        "tasks",
        "workshop",
    ],
    &["source", "ladder", "channel", "store", "schedule", "simulator", "vod", "loadtest", "rehearsal"],
    &["delivery", "admin"],
    &["server"],
];

/// Crates that Cargo keeps free of a runtime and of sockets.
const WITHOUT_RUNTIME: [&str; 6] = ["access", "media", "config", "container", "protocol", "tls"];

/// Crates that those do not depend on.
const RUNTIME: [&str; 9] =
    ["tokio", "tokio-util", "tokio-rustls", "hyper", "hyper-util", "socket2", "reqwest", "retina", "axum"];

/// Files that decide: no runtime, no sockets, no files, no clock of their own. Those of crates without a runtime are
/// checked for the rest of this.
const CORES: &[(&str, &[&str])] = &[
    ("crates/access/src/", &[""]),
    ("crates/acme/src/", &["plan"]),
    ("crates/container/src/", &[""]),
    ("crates/protocol/src/", &[""]),
    ("crates/sound/src/", &[""]),
    (
        "crates/media/src/",
        &[
            "aac",
            "auth_params",
            "bits",
            "cell",
            "frame",
            "h264",
            "mp3",
            "packets",
            "percent",
            "picture",
            "retry",
            "segment",
            "time",
        ],
    ),
    (
        "crates/runtime/src/",
        &["log/limiter", "log/line", "log/queue", "tasks/pauses", "tasks/roll", "workshop/queue"],
    ),
    (
        "crates/control/src/",
        &["agenda", "alarm", "audit/entry", "matrix/state", "rehearsal/check", "rehearsal/night"],
    ),
    ("crates/control/src/rehearsal/", &["preflight", "tally"]),
    (
        "crates/control/src/schedule/",
        &[
            "calendar_json",
            "challenge",
            "conflicts",
            "dublin",
            "event",
            "ical",
            "overrun",
            "planner",
            "routing",
            "settings",
            "simulate",
            "timetable",
            "words",
        ],
    ),
    ("crates/http/src/", &["conditions", "guesses", "host", "pace"]),
    (
        "crates/ladder/src/",
        &[
            "assembler",
            "audio",
            "batches",
            "colour",
            "damage",
            "diagnosis",
            "lattice",
            "motion",
            "pressure",
            "rusty",
            "scale",
            "scene",
            "sound",
            "speech",
            "vitals",
        ],
    ),
    ("crates/source/src/", &["described", "intake", "payload", "presence", "timeline", "tracks"]),
    (
        "crates/vod/src/",
        &[
            "captions",
            "cursor",
            "cut",
            "dash",
            "listing",
            "names",
            "playlist",
            "presentation",
            "report",
            "smil",
            "stamp",
            "transcode",
        ],
    ),
    ("crates/loadtest/src/", &["buffer", "fragment"]),
    ("crates/tls/src/", &["identity", "keeper", "settings", "store"]),
    ("crates/admin/src/", &["attendance", "claims", "person"]),
    ("crates/admin/src/sign_in/", &["discovery", "flow", "identity"]),
    (
        "src/",
        &[
            "channel",
            "delivery/address",
            "delivery/audience",
            "delivery/http/disposition",
            "delivery/http/route",
            "server/budget",
        ],
    ),
    ("src/store/", &["bitrate", "playlists", "window"]),
];

/// What a core does not name. `Instant` and `SystemTime` alone are only types, and allowed.
const IO: [&[&str]; 15] = [
    &["tokio"],
    &["libc"],
    &["rustix"],
    &["socket2"],
    &["std", "env"],
    &["std", "fs"],
    &["std", "io", "stdin"],
    &["std", "net"],
    &["std", "os"],
    &["std", "process"],
    &["std", "thread"],
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
];

/// Files that may depend on each other, because they are one thought; each with the reason.
const CIRCLES: &[(&[&str], &str)] = &[
    (
        &["crates/control/src/matrix/command.rs", "crates/control/src/matrix/view.rs"],
        "what is commanded is what is seen, and the answer to a command is a view",
    ),
    (
        &["crates/protocol/src/rtmp/flv/tag.rs", "crates/protocol/src/rtmp/flv/unpack.rs"],
        "a tag, and what is in its body",
    ),
];

/// How many of a hundred types may share their name with another one. Never raise it.
const HOMONYMS_MAX: usize = 2;

/// The room that a file is of: its crate, a module of a crate that holds several, or a module of the server. The roots of
/// those that hold several are of none.
fn room(file: &SourceFile) -> Option<&str> {
    let package = file.module.first()?;
    let inner = file.module.get(1).map(String::as_str);
    let package = package.strip_prefix("amphi_").unwrap_or(package);
    match package {
        "main" => None,
        // Its own types stand at its root.
        "media" => inner.filter(|it| storey_of(it).is_some()).or(Some(package)),
        "amphi" => inner,
        _ if SHARED.contains(&package) => inner,
        _ => Some(package),
    }
}

fn storey_of(room: &str) -> Option<usize> {
    STOREYS.iter().position(|storey| storey.contains(&room))
}

/// Files of production code, each with its room.
fn production(library: &Library) -> impl Iterator<Item = (&str, &SourceFile)> {
    library.files().filter(|file| !file.is_test).filter_map(|file| Some((room(file)?, file)))
}

#[test]
fn imports_point_downward() {
    let library = Library::get();
    let mut faults = BTreeSet::new();
    for (own, file) in production(library) {
        let Some(storey) = storey_of(own) else {
            faults.insert(format!("{}: the room {own} stands on no storey", file.name));
            continue;
        };
        for path in library.paths(file) {
            let Some(name) = library.definition(&path).and_then(room) else { continue };
            // The types of the media path are for all rooms, also on their own storey.
            if name != own && name != "media" && storey_of(name).is_none_or(|it| it >= storey) {
                faults.insert(format!(
                    "{}: {} is of {name}, which does not stand below {own}",
                    file.name,
                    path.text()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", Vec::from_iter(faults).join("\n"));
}

#[test]
fn media_config_container_and_protocol_depend_on_no_runtime_and_no_sockets() {
    for package in WITHOUT_RUNTIME {
        let manifest = format!("{}/crates/{package}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&manifest).expect("it is a crate");
        let manifest: toml::Table = text.parse().expect("Cargo reads it");
        assert!(!manifest.contains_key("build-dependencies"), "{package}: what builds it is not looked at");
        let dependencies = manifest["dependencies"].as_table().expect("a table");
        for (name, dependency) in dependencies {
            assert!(dependency.get("package").is_none(), "{package}: {name} is another package's name");
            assert!(!RUNTIME.contains(&&**name), "{package} is a core and depends on {name}");
            // Nor indirectly, through another crate of the workspace.
            if let Some(ours) = name.strip_prefix("amphi-") {
                assert!(
                    WITHOUT_RUNTIME.contains(&ours),
                    "{package} is a core and depends on {name}, which is none"
                );
            }
        }
        assert!(!manifest.contains_key("target"), "{package}: dependencies of a platform are not looked at");
    }
}

/// Else what stands there would be of no room, and no rule would hold for it.
#[test]
fn roots_of_crates_with_several_rooms_only_name_them() {
    for file in Library::get().files().filter(|file| !file.is_test && file.module.len() == 1) {
        let name = file.name.strip_prefix("crates/").and_then(|name| name.strip_suffix("/src/lib.rs"));
        if name.is_some_and(|name| SHARED.contains(&name) && name != "media") || file.name == "src/lib.rs" {
            assert!(file.types.is_empty(), "{}: {:?} are of no room", file.name, file.types);
        }
    }
}

#[test]
fn cores_do_no_io() {
    let library = Library::get();
    let cores = CORES.iter().flat_map(|(dir, names)| names.iter().map(move |name| format!("{dir}{name}")));
    for core in cores {
        let own: Vec<_> =
            library.files().filter(|file| !file.is_test && file.name.starts_with(&core)).collect();
        assert!(!own.is_empty(), "the core {core} is gone: mend the list");
        for file in own {
            for path in library.paths(file) {
                let named = IO.iter().find(|io| path.names(io));
                assert!(named.is_none(), "{} is a core and uses {}", file.name, path.text());
            }
        }
    }
}

/// Between the file of a module and those in its folder there may be one: it says what they share, and they are its parts.
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

#[test]
fn every_crate_says_what_it_is_for_and_where_to_start() {
    for package in reading::crates() {
        let lib = fs::read_to_string(package.join("src/lib.rs")).expect("a crate is a library");
        let text: Vec<_> = lib.lines().map_while(|line| line.strip_prefix("//!")).collect();
        let text = text.join("\n").replace('*', "");
        for part in ["not belong", "Where to start.", "# Example"] {
            assert!(text.contains(part), "{}: no {part:?}", package.display());
        }
        // A fence without a language is code that Cargo compiles and runs.
        let mut fences = text.lines().filter(|line| line.trim_start().starts_with("```")).step_by(2);
        assert!(fences.any(|line| line.trim() == "```"), "{}: its example is not tested", package.display());
    }
}

#[test]
fn no_type_has_its_name_in_three_rooms() {
    let mut rooms: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (room, file) in production(Library::get()) {
        for name in &file.types {
            rooms.entry(name).or_default().push((room, &file.name));
        }
    }
    let often =
        |files: &[(&str, &str)]| files.iter().map(|(room, _)| room).collect::<BTreeSet<_>>().len() >= 3;
    rooms.retain(|_, files| often(files));
    assert!(rooms.is_empty(), "names in three rooms\n{rooms:#?}");
}

#[test]
fn few_types_share_their_name() {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in Library::get().files().filter(|file| !file.is_test) {
        for name in &file.types {
            files.entry(name).or_default().push(&file.name);
        }
    }
    let all: usize = files.values().map(Vec::len).sum();
    files.retain(|_, files| files.len() > 1);
    let shared: usize = files.values().map(Vec::len).sum();
    println!("{shared} of {all} types share their name with another one");
    assert!(shared * 100 <= all * HOMONYMS_MAX, "{shared} of {all} types share their name\n{files:#?}");
}

/// A line of the picture is a storey's number, its modules, and in parentheses what they are.
#[test]
fn the_picture_in_lib_rs_is_true() {
    let library = Library::get();
    let lib = library.file("src/lib.rs").expect("it is the root");
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
    let rooms: BTreeSet<_> = production(library).map(|(room, _)| room).collect();
    assert_eq!(named, rooms, "left: as drawn, right: as they are");
}
