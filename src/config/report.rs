//! Reading a configuration from its text or file: every fault at once.

use std::fmt;
use std::fs;
use std::path::Path;

use super::Config;
use super::check::{Checker, files};
use super::document::Document;
use super::fault::{Fault, Faults, Source, write_list};

/// What `amphi check` says of a file.
#[derive(Clone, Debug)]
pub struct CheckReport {
    /// The file's name as it was given.
    pub file: String,
    /// The values; `None` if there is any fault.
    pub config: Option<Config>,
    /// What must be mended, in the file's order.
    pub faults: Vec<Fault>,
    /// What is strange but lets the server run, in the file's order.
    pub warnings: Vec<Fault>,
}

impl CheckReport {
    /// Nothing must be mended.
    pub fn is_good(&self) -> bool {
        self.config.is_some()
    }

    fn into_result(self) -> Result<Config, Faults> {
        self.config.ok_or(Faults { file: self.file, list: self.faults })
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, config, faults, warnings } = self;
        for (kind, list) in [("", faults), ("warning: ", warnings)] {
            write_list(f, file, kind, list)?;
            if !list.is_empty() {
                writeln!(f)?;
            }
        }
        match config {
            Some(config) => write!(
                f,
                "{file}: good: {} source(s), {} ladder(s), {} channel(s), {} vod mount(s), {} warning(s)",
                config.sources.len(),
                config.ladders.len(),
                config.channels.len(),
                config.vods.len(),
                warnings.len()
            ),
            None => write!(f, "{file}: {} fault(s), {} warning(s)", faults.len(), warnings.len()),
        }
    }
}

/// Reads the file at `path` and says all that is wrong with it and with the files it names.
pub fn check(path: &Path) -> CheckReport {
    let file = path.display().to_string();
    // The parent of "config.toml" is "", and joining to that leaves paths as they are.
    let directory = path.parent().unwrap_or(Path::new(""));
    match fs::read_to_string(path) {
        Ok(text) => judge(&text, &file, Some(directory)),
        Err(error) => {
            let faults = vec![Fault::of_file(format!("cannot be read: {error}"))];
            CheckReport { file, config: None, faults, warnings: Vec::new() }
        }
    }
}

impl Config {
    /// Reads a configuration without looking at the files it names: paths stay as they are written.
    /// `file_name` is for messages.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Faults> {
        judge(text, file_name, None).into_result()
    }

    /// Reads the file at `path`, and the files it names: paths are resolved against its directory, the first
    /// lines of `token_file` and `password_file` become `token` and `password`. Warnings go to the log.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let report = check(path);
        for warning in &report.warnings {
            let line = warning.position.map_or(0, |position| position.line);
            tracing::warn!(file = report.file, line, "{}", warning.message);
        }
        report.into_result()
    }
}

fn judge(text: &str, file: &str, directory: Option<&Path>) -> CheckReport {
    let source = Source::new(text);
    let report = |config, mut faults: Vec<Fault>, mut warnings: Vec<Fault>| {
        faults.sort_by_key(|fault| fault.position);
        warnings.sort_by_key(|warning| warning.position);
        let config = Some(config).filter(|_| faults.is_empty());
        CheckReport { file: file.to_owned(), config, faults, warnings }
    };
    let mut document = match Document::parse(text, &source) {
        Ok(document) => document,
        Err(faults) => return report(Config::default(), faults, Vec::new()),
    };
    let (mut config, faults) = document.read(&source);
    let mut checker = Checker { source: &source, document: &document, faults, warnings: Vec::new() };
    checker.judge(&config);
    if let Some(directory) = directory {
        files::check(&mut checker, &mut config, directory);
    }
    let Checker { faults, warnings, .. } = checker;
    report(config, faults, warnings)
}
