//! Reads a configuration from its text or file, and reports every fault at once.

use std::fmt;
use std::path::Path;
use std::{fs, io};

use super::Config;
use super::check::{Checker, certificates, files};
use super::difference::Difference;
use super::document::Document;
use super::fault::{Fault, Faults, FileText, write_list};

/// The result of `amphi check`.
#[derive(Clone, Debug)]
pub struct CheckReport {
    /// The file's name as it was given.
    pub file: String,
    /// The values; `None` if there is any fault.
    pub config: Option<Config>,
    /// Errors, in the file's order. The server does not start with any.
    pub faults: Vec<Fault>,
    /// Missing files that a server can start without, in the file's order: faults to `amphi check`, warnings at start.
    pub absent: Vec<Fault>,
    /// What looks like a mistake but lets the server run, in the file's order.
    pub warnings: Vec<Fault>,
}

impl CheckReport {
    /// Whether there is no fault and no missing file.
    pub fn is_good(&self) -> bool {
        self.config.is_some() && self.absent.is_empty()
    }

    fn into_result(self) -> Result<Config, Faults> {
        self.config.ok_or(Faults { file: self.file, list: self.faults })
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, config, faults, absent, warnings } = self;
        for (kind, list) in [("", faults), ("", absent), ("warning: ", warnings)] {
            write_list(f, file, kind, list)?;
            if !list.is_empty() {
                writeln!(f)?;
            }
        }
        if let Some(config) = config.as_ref().filter(|_| self.is_good()) {
            writeln!(f, "{}", config.openness())?;
        }
        match config {
            Some(config) if self.is_good() => write!(
                f,
                "{file}: good: {} source(s), {} ladder(s), {} channel(s), {} vod mount(s), {} warning(s)",
                config.sources.len(),
                config.ladders.len(),
                config.channels.len(),
                config.vods.len(),
                warnings.len()
            ),
            _ => {
                let faults = faults.len() + absent.len();
                write!(f, "{file}: {faults} fault(s), {} warning(s)", warnings.len())
            }
        }
    }
}

/// What changes from the configuration at `old` to the one at `new`. Paths are compared as they are written, since the new
/// file is to take the old one's place. Fails with the faults of the first file that cannot be read.
pub fn compare(old: &Path, new: &Path) -> Result<Difference, Faults> {
    let read = |path: &Path| {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| Faults {
            list: vec![Fault::of_file(format!("cannot be read: {error}"))],
            file: file.clone(),
        })?;
        Config::parse(&text, &file)
    };
    Ok(Difference::new(&read(old)?, &read(new)?))
}

/// Reads the file at `path`, and reports all that is wrong with it and with the files it names.
pub fn check(path: &Path) -> CheckReport {
    check_read(path, fs::read_to_string(path).as_deref())
}

fn check_read(path: &Path, text: Result<&str, &io::Error>) -> CheckReport {
    let file = path.display().to_string();
    // The parent of "config.toml" is "": joining a path to that leaves it as it is.
    let directory = path.parent().unwrap_or(Path::new(""));
    match text {
        Ok(text) => judge(text, &file, Some(directory)),
        Err(error) => {
            let faults = vec![Fault::of_file(format!("cannot be read: {error}"))];
            CheckReport { file, config: None, faults, absent: Vec::new(), warnings: Vec::new() }
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
        Self::load_read(path, fs::read_to_string(path).as_deref())
    }

    /// As [`Config::load`], for a caller that has already read the file at `path`: `text` is the result.
    pub fn load_read(path: &Path, text: Result<&str, &io::Error>) -> Result<Self, Faults> {
        let report = check_read(path, text);
        for warning in report.absent.iter().chain(&report.warnings) {
            let line = warning.position.map_or(0, |position| position.line);
            tracing::warn!(file = report.file, line, "{}", warning.message);
        }
        report.into_result()
    }
}

fn judge(text: &str, file: &str, directory: Option<&Path>) -> CheckReport {
    let source = FileText::new(text);
    let report = |config, mut faults: Vec<Fault>, absent, mut warnings: Vec<Fault>| {
        faults.sort_by_key(|fault| fault.position);
        warnings.sort_by_key(|warning| warning.position);
        let config = Some(config).filter(|_| faults.is_empty());
        CheckReport { file: file.to_owned(), config, faults, absent, warnings }
    };
    let (mut document, syntax) = Document::parse(text, &source);
    let (mut config, faults) = document.read(&source);
    let (warnings, absent) = (Vec::new(), Vec::new());
    let mut checker = Checker { source: &source, document: &document, faults, warnings, absent };
    checker.judge(&config);
    if let Some(directory) = directory {
        files::check(&mut checker, &mut config, directory);
        certificates::check(&mut checker, &mut config, directory);
    }
    let Checker { mut faults, mut warnings, mut absent, .. } = checker;
    for list in [&mut faults, &mut warnings, &mut absent] {
        list.retain(|fault| document.is_trusted(fault));
    }
    faults.extend(syntax);
    report(config, faults, absent, warnings)
}
