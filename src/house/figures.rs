//! README's figures must not be those of another server: the block that `benches/report.py` writes names the commit at which
//! they were measured. Whether it says what the raw files say is checked by `benches/report.py --check` (`tests/run`).

use std::fs;
use std::path::Path;
use std::process::Command;

/// Figures may lack so many commits to what is measured. Most commits do not touch a hot path, so not each of them asks for
/// a new run; after a wave of work, as before a release, there must be one. `benches/report.py` reads this line.
const COMMITS_MAX: usize = 40;
/// What is measured. `benches/report.py` reads this line.
const MEASURED: [&str; 4] = ["src/delivery", "crates/http", "crates/vod", "crates/ladder"];
/// README's figures may be older if they say so; `benches/report.py --write` does.
const CONFESSION: &str = "**Out of date:**";

/// The part of README that is made by script.
fn block(readme: &str) -> Option<&str> {
    let (_, rest) = readme.split_once("<!-- figures: begin ")?;
    let (block, _) = rest.split_once("<!-- figures: end -->")?;
    Some(block)
}

/// The commits at which a block's figures were measured. The first line of text names them.
fn commits(block: &str) -> Vec<&str> {
    let line = block.lines().find(|line| line.starts_with("Measured on ")).unwrap_or_default();
    let is_commit = |word: &&str| word.len() >= 7 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    line.split('`').skip(1).step_by(2).filter(is_commit).collect()
}

/// How many commits since `commit` touch what is measured. `Err` says why that cannot be known.
fn commits_since(root: &Path, commit: &str) -> Result<usize, String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output();
        let output = output.map_err(|error| format!("git cannot be run: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    };
    // Without this, a copy in another project's tree would be asked about that project.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(&top).ok() != fs::canonicalize(root).ok() {
        return Err(format!("the history is that of {top}"));
    }
    if git(&["rev-parse", "--is-shallow-repository"])? != "false" {
        return Err("the clone is shallow".to_owned());
    }
    git(&["merge-base", "--is-ancestor", commit, "HEAD"])
        .map_err(|error| format!("{commit} is not in the history: {error}"))?;
    let range = format!("{commit}..HEAD");
    let mut arguments = vec!["rev-list", "--no-merges", "--count", range.as_str(), "--"];
    arguments.extend(MEASURED);
    git(&arguments)?.parse().map_err(|_| "git does not count".to_owned())
}

#[test]
fn figures_in_the_readme_are_those_of_this_server() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let block = block(&readme).expect("README.md has marks of figures, as benches/report.py writes them");
    let commits = commits(block);
    assert!(!commits.is_empty(), "README.md's figures name their commit: benches/report.py --write");
    for commit in commits {
        match commits_since(root, commit) {
            Ok(count) => assert!(
                count <= COMMITS_MAX || block.contains(CONFESSION),
                "README.md's figures are those of {commit}, and {count} later commits touch {}: measure again \
                 (benches/all), then benches/report.py --write",
                MEASURED.join(", ")
            ),
            Err(why) => println!("the age of README.md's figures ({commit}) cannot be known: {why}"),
        }
    }
}

#[test]
fn a_block_names_its_commits() {
    let readme = "# A\n<!-- figures: begin benches/runs/1 -->\nMeasured on 2026-11-25 at commit `0ef651b`, `b736dcc12` with \
                  changes: 2 cores\n\n`1234567`\n<!-- figures: end -->\nMeasured on `7654321`\n";
    assert_eq!(commits(block(readme).expect("marks")), ["0ef651b", "b736dcc12"]);
    assert_eq!(block("<!-- figures: begin x -->\n"), None);
    assert!(commits("nothing").is_empty());
}

#[test]
fn without_history_nothing_is_claimed() {
    let nowhere = tempfile::tempdir().expect("a folder");
    assert!(commits_since(nowhere.path(), "0ef651b").is_err());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(commits_since(root, "0000000000").is_err(), "a commit that nobody knows");
}
