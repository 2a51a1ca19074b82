//! Clips that the tests' sources send, made with ffmpeg from the fixtures and kept for the next run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Runs ffmpeg, which must print no error, and returns its standard output.
pub fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "ffmpeg {arguments:?}: {said}");
    output.stdout
}

/// A clip that is made once: by ffmpeg with `arguments` and the clip's path after them.
pub fn clip(name: &str, arguments: &[&str]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !path.exists() {
        // Another test may be making the same one: the last to finish wins, and all are equal.
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let made = scratch.path().join(name);
        ffmpeg(&[arguments, &[made.to_str().expect("UTF-8")]].concat());
        std::fs::rename(&made, &path).expect("moved");
    }
    path
}

/// A lecture of 100 s as an SMP 351 sends it (High@4.1, 720p, 750 kbit/s, AAC), after `fixtures/<hall>`,
/// with these options of ffmpeg beside.
pub fn lecture(name: &str, hall: &str, options: &[&str]) -> PathBuf {
    let hall = fixture(hall);
    let input = ["-stream_loop", "4", "-i", hall.to_str().expect("UTF-8")];
    let smp = "-c:v libx264 -preset veryfast -profile:v high -level 4.1 -pix_fmt yuv420p -b:v 750k -maxrate 750k \
               -bufsize 1500k -g 30 -bf 0 -c:a aac -b:a 96k";
    let smp: Vec<_> = smp.split_whitespace().collect();
    clip(name, &[&input[..], &smp, options].concat())
}
