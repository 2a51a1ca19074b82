//! Names: which characters they may have, and that no name is used twice.

use std::collections::HashMap;

use super::{Checker, Place, quoted};

/// Names stand in URLs, file names and metric labels: `[A-Za-z0-9_.-]+`, and not `.` or `..`.
fn is_name(name: &str) -> bool {
    let allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '-');
    !name.is_empty() && name.chars().all(allowed) && !name.chars().all(|char| char == '.')
}

/// Names of one kind that must differ from one another.
pub(super) struct Names<'a> {
    kind: &'static str,
    seen: HashMap<&'a str, (&'static str, Place)>,
}

impl<'a> Names<'a> {
    /// No names yet. `kind` is what they name, for messages, e.g. "source".
    pub(super) fn of(kind: &'static str) -> Self {
        Self { kind, seen: HashMap::new() }
    }

    /// The following names are of `kind`, and must differ from those before, too.
    pub(super) fn and_of(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Checks the name that stands at `place`.
    pub(super) fn check(&mut self, checker: &mut Checker<'_>, place: &Place, name: &'a str) {
        let kind = self.kind;
        if name.is_empty() {
            checker.fault(place, format!("{kind} without a name"));
        } else if !is_name(name) {
            let message = format!(
                "{kind} {}: a name is made of letters, digits, \"_\", \".\" and \"-\", and not of dots alone",
                quoted(name)
            );
            checker.fault(place, message);
        } else if let Some((other, first)) = self.seen.get(name) {
            let line = checker.line_of(first);
            let message = if *other == kind {
                format!("{kind} {name:?} is defined twice: first on line {line}")
            } else {
                format!("{kind} {name:?} has the name of the {other} on line {line}; they share their URLs")
            };
            checker.fault(place, message);
        } else {
            self.seen.insert(name, (kind, place.clone()));
        }
    }
}

/// How messages refer to an entry: by its name, or by its number where it has none.
pub(super) fn subject(kind: &str, name: &str, index: usize) -> String {
    if is_name(name) { format!("{kind} {name:?}") } else { format!("{kind} number {}", index + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_urls_and_paths() {
        for name in ["a", "PS-Amphi_D", "720p", "a.b", ".hidden", "..a"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "ä", "a:b", "%41", "a\n"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
