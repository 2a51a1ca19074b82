//! Odd recordings: what no encoder of ours writes, but somebody's does. `tests/odd` makes them from a grammar and judges what is
//! delivered; this runs a sample of them.

use std::path::Path;
use std::process::Command;

/// Runs `tests/odd` with the server of this build. Its whole output is shown if anything is wrong.
fn judged(arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/odd");
    let output = Command::new(script)
        .arg(env!("CARGO_BIN_EXE_amphi"))
        .args(arguments)
        .output()
        .expect("bash and Python are installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs Python: tests/run"]
fn the_box_editor_keeps_samples() {
    let output = Command::new("python3")
        .args(["-m", "unittest", "discover", "tests/recordings"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("Python is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs ffmpeg, GStreamer and Node: tests/run"]
fn odd_recordings_are_delivered_as_ffmpeg_reads_them() {
    judged(&["--sample"]);
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn browser_players_seek_in_odd_recordings() {
    judged(&["--sample", "--players", "6"]);
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn browser_recordings_are_delivered_as_ffmpeg_reads_them() {
    judged(&["--record", "12"]);
}
