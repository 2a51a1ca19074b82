//! Circles: files each of which depends on all others, directly or not (strongly connected components, Tarjan 1972).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Files that cannot be read one before the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Circle {
    pub(super) files: BTreeSet<String>,
    /// Which file of it depends on which, and for what name.
    leans: Vec<(String, String, String)>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a circle of {} files:", self.files.len())?;
        self.leans.iter().try_for_each(|(from, to, by)| write!(f, "\n    {from} needs {to} for {by}"))
    }
}

/// All circles of two files or more.
pub(super) fn find(edges: &BTreeMap<(String, String), String>) -> Vec<Circle> {
    let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges.keys() {
        out.entry(from).or_default().push(to);
        out.entry(to).or_default();
    }
    let mut search = Search {
        out: &out,
        index: BTreeMap::new(),
        low: BTreeMap::new(),
        stack: Vec::new(),
        found: Vec::new(),
    };
    for file in out.keys() {
        if !search.index.contains_key(file) {
            search.visit(file);
        }
    }
    let circle = |files: BTreeSet<String>| {
        let within = edges.iter().filter(|((from, to), _)| files.contains(from) && files.contains(to));
        let leans = within.map(|((from, to), by)| (from.clone(), to.clone(), by.clone())).collect();
        Circle { files, leans }
    };
    search.found.into_iter().map(circle).collect()
}

struct Search<'a> {
    out: &'a BTreeMap<&'a str, Vec<&'a str>>,
    index: BTreeMap<&'a str, usize>,
    low: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    found: Vec<BTreeSet<String>>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, file: &'a str) {
        let number = self.index.len();
        self.index.insert(file, number);
        self.stack.push(file);
        let mut low = number;
        for next in self.out.get(file).into_iter().flatten() {
            if !self.index.contains_key(next) {
                self.visit(next);
                low = low.min(self.low[next]);
            } else if self.stack.contains(next) {
                low = low.min(self.index[next]);
            }
        }
        self.low.insert(file, low);
        if low == number {
            let at = self.stack.iter().position(|it| *it == file).expect("it was pushed");
            let component: BTreeSet<String> = self.stack.drain(at..).map(str::to_owned).collect();
            if component.len() > 1 {
                self.found.push(component);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_lines_are_not() {
        let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("f", "g"), ("g", "f")];
        let edges = edges.map(|(from, to)| ((from.to_owned(), to.to_owned()), "X".to_owned()));
        let found = find(&BTreeMap::from(edges));
        let files: Vec<Vec<_>> =
            found.iter().map(|it| it.files.iter().map(String::as_str).collect()).collect();
        assert_eq!(files, [vec!["a", "b", "c"], vec!["f", "g"]]);
    }
}
