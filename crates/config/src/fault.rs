//! What is wrong with a configuration, and where: [`Fault`] and [`Faults`].
//!
//! Here belongs how a fault is located, quoted and printed. What counts as a fault is in `check`.

use std::fmt;
use std::ops::Range;

use super::mask;

/// A position in a file; both numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line's number, from 1.
    pub line: usize,
    /// The character in the line, from 1; not a byte.
    pub column: usize,
}

/// One error, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is; `None` when the file as a whole is meant.
    pub position: Option<Position>,
    /// What is wrong, in a plain sentence without secrets.
    pub message: String,
    excerpt: Option<Excerpt>,
}

/// The quoted line with its secrets removed, and the column (from 1) under which the caret stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    line: String,
    caret: usize,
}

/// Everything that is wrong with one file, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The file's name as it was given.
    pub file: String,
    /// The faults; at least one.
    pub list: Vec<Fault>,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, &self.file, "", &self.list)
    }
}

/// Writes each fault of `list`, with `kind` (e.g. `warning: `) before its message.
pub(super) fn write_list(f: &mut fmt::Formatter<'_>, file: &str, kind: &str, list: &[Fault]) -> fmt::Result {
    for (index, fault) in list.iter().enumerate() {
        if index > 0 {
            writeln!(f)?;
        }
        match fault.position {
            Some(Position { line, column }) => write!(f, "{file}:{line}:{column}: ")?,
            None => write!(f, "{file}: ")?,
        }
        write!(f, "{kind}{}", fault.message)?;
        if let (Some(Position { line, .. }), Some(excerpt)) = (fault.position, &fault.excerpt) {
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            write!(f, "\n  {number} | {}\n  {gutter} | {}", excerpt.line, excerpt.caret_line())?;
        }
    }
    Ok(())
}

impl Excerpt {
    /// Blanks up to the caret. Tabs stay tabs, so that the caret stands under its character.
    fn caret_line(&self) -> String {
        let blanks = self.line.chars().chain(std::iter::repeat(' ')).take(self.caret - 1);
        blanks.map(|char| if char == '\t' { '\t' } else { ' ' }).chain(['^']).collect()
    }
}

impl Fault {
    /// A fault of the file as a whole.
    pub(super) fn of_file(message: impl Into<String>) -> Self {
        Self { position: None, message: message.into(), excerpt: None }
    }
}

/// The file's text, split into lines: turns byte offsets into faults with positions.
#[derive(Debug)]
pub(super) struct FileText<'a> {
    text: &'a str,
    lines: Vec<&'a str>,
    /// Lines inside a secret that spans several.
    hidden: Vec<bool>,
}

impl<'a> FileText<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let lines: Vec<_> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
        let hidden = mask::hidden_lines(&lines);
        Self { text, lines, hidden }
    }

    /// A fault at the start of `span` (bytes).
    pub(super) fn fault(&self, span: &Range<usize>, message: impl Into<String>) -> Fault {
        self.quote(span, message.into(), mask::line)
    }

    /// A fault of an unknown key at `span`: its value may be a secret under a misspelt name and is not quoted.
    pub(super) fn fault_of_unknown_key(&self, span: &Range<usize>, message: impl Into<String>) -> Fault {
        let column = self.position(span.end).column;
        self.quote(span, message.into(), |line| mask::line_behind(line, column - 1))
    }

    fn quote(&self, span: &Range<usize>, message: String, mask: impl Fn(&str) -> String) -> Fault {
        let position = self.position(span.start);
        let index = position.line - 1;
        let line = match self.hidden.get(index) {
            Some(false) => self.lines.get(index).map_or_else(String::new, |line| mask(line)),
            _ => "…".to_owned(),
        };
        let caret = position.column.min(line.chars().count() + 1);
        Fault { position: Some(position), message, excerpt: Some(Excerpt { line, caret }) }
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(fault: Fault) -> String {
        Faults { file: "c.toml".to_owned(), list: vec![fault] }.to_string()
    }

    #[test]
    fn the_caret_stands_under_the_character_also_behind_tabs_and_umlauts() {
        let text = "a = 1\r\n\tö = 2\r\n";
        let at = text.find('2').expect("it is there");
        assert_eq!(
            printed(FileText::new(text).fault(&(at..at + 1), "bad")),
            "c.toml:2:6: bad\n  2 | \tö = 2\n    | \t    ^"
        );
    }

    #[test]
    fn the_end_of_the_file_is_a_place() {
        let fault = FileText::new("a = ").fault(&(4..4), "no value");
        assert_eq!(fault.position, Some(Position { line: 1, column: 5 }));
        assert_eq!(printed(FileText::new("a\n").fault(&(99..99), "x")), "c.toml:2:1: x\n  2 | \n    | ^");
    }

    #[test]
    fn secrets_are_not_quoted() {
        let text = "name = 'a'\npassword = 'hunter2' # hunter2\n";
        for needle in ["password", "'hunter2", "# hunter2"] {
            let at = text.find(needle).expect("it is there");
            let shown = printed(FileText::new(text).fault(&(at..at + 1), "bad"));
            assert!(shown.contains("  2 | password = …\n"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let text = "password = '''\nhunter2\n'''\nfps = 1";
        let at = text.find("hunter2").expect("it is there");
        assert_eq!(printed(FileText::new(text).fault(&(at..at), "bad")), "c.toml:2:1: bad\n  2 | …\n    | ^");
    }
}
