//! The parsed file with the position of every key, and the faults of its shape.
//!
//! Shape is what `serde` checks: unknown keys, values of the wrong type. `serde` stops at the first fault of
//! shape. Here the offending entry is recorded and removed, and the rest is read again, until no fault is
//! left. A removed entry falls back to its default, and an unknown key was meant to be another one: faults of meaning about
//! these two would only mislead and are left out, see [`Document::is_spoiled`]. All others are reported in the same run.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::Config;
use super::fault::{Fault, FileText};
use super::mask::SECRET_KEYS;
use super::suggest::closest;

/// The path of keys and indices from the top of the file to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(Vec<PathStep>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathStep {
    Key(String),
    Item(usize),
}

impl Place {
    /// A key at the top of the file.
    pub(super) fn top(key: &str) -> Self {
        Self::default().key(key)
    }

    /// A key of the table here.
    pub(super) fn key(&self, key: &str) -> Self {
        Self([self.0.as_slice(), &[PathStep::Key(key.to_owned())]].concat())
    }

    /// An item of the array here, counted from 0.
    pub(super) fn item(&self, index: usize) -> Self {
        Self([self.0.as_slice(), &[PathStep::Item(index)]].concat())
    }

    fn parent(&self) -> Self {
        Self(self.0.split_last().map_or_else(Vec::new, |(_, parents)| parents.to_vec()))
    }

    fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            PathStep::Key(key) => Some(key.as_str()),
            PathStep::Item(_) => None,
        })
    }
}

/// A file, as far as it could be parsed.
#[derive(Debug)]
pub(super) struct Document<'a> {
    root: Spanned<DeValue<'a>>,
    /// Entries that were removed, and the keys that unknown keys were meant to be.
    spoiled: Vec<Place>,
    /// Kinds (`source`, `ladder`, `channel`) of which some name could not be read.
    nameless: Vec<String>,
    /// Lines of tables with a syntax error: other faults found there are not reported.
    untrusted: Vec<Range<usize>>,
}

impl<'a> Document<'a> {
    /// Parses the text and returns every syntax error (TOML 1.1). Tables without one are checked all the same.
    pub(super) fn parse(text: &'a str, source: &FileText<'a>) -> (Self, Vec<Fault>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let root = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        let end = text.len()..text.len();
        let fault = |error: &toml::de::Error| {
            source.fault(&error.span().unwrap_or_else(|| end.clone()), error.message())
        };
        let faults: Vec<Fault> = errors.iter().map(fault).collect();
        let mut document = Self { root, spoiled: Vec::new(), nameless: Vec::new(), untrusted: Vec::new() };
        if !faults.is_empty() {
            document.distrust(text, &faults);
        }
        (document, faults)
    }

    /// Marks every table that has a syntax error in its lines as untrusted.
    fn distrust(&mut self, text: &str, faults: &[Fault]) {
        self.nameless = ["source", "ladder", "channel"].map(str::to_owned).to_vec();
        let mut headers: Vec<(usize, &str)> = vec![(1, "")];
        headers.extend((1..).zip(text.lines()).filter(|(_, line)| line.trim_start().starts_with('[')));
        let ends = headers.iter().skip(1).map(|(line, _)| *line).chain([usize::MAX]);
        for ((from, header), to) in headers.iter().zip(ends) {
            let at = |fault: &Fault| fault.position.is_some_and(|it| (*from..to).contains(&it.line));
            if faults.iter().any(at) {
                self.untrusted.push(*from..to);
                let inside = header.trim_start().trim_start_matches('[');
                let key = inside.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').next();
                if let Some(key) = key.filter(|_| !header.trim_start().starts_with("[[")) {
                    self.spoiled.push(Place::top(key));
                }
            }
        }
    }

    /// Whether a fault is worth reporting: it does not lie in a table with a syntax error.
    pub(super) fn is_trusted(&self, fault: &Fault) -> bool {
        self.untrusted.is_empty()
            || fault.position.is_some_and(|it| !self.untrusted.iter().any(|lines| lines.contains(&it.line)))
    }

    /// The values, and every fault of their shape. Entries of the wrong shape are removed.
    pub(super) fn read(&mut self, source: &FileText<'a>) -> (Config, Vec<Fault>) {
        let mut faults = Vec::new();
        loop {
            let error = match Config::deserialize(ValueDeserializer::from(self.root.clone())) {
                Ok(config) => return (config, faults),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_else(|| self.root.span());
            let Some(place) = take_out(self.root.get_mut(), &span) else {
                faults.push(source.fault(&span, error.message()));
                return (Config::default(), faults);
            };
            let (fault, meant) = shape_fault(source, &span, error.message(), &place);
            faults.push(fault);
            self.spoil(place, meant);
        }
    }

    /// Records what was removed, and the key that it was meant to be.
    fn spoil(&mut self, place: Place, meant: Option<String>) {
        let meant = meant.map(|key| place.parent().key(&key));
        for place in [Some(&place), meant.as_ref()].into_iter().flatten() {
            match place.0.as_slice() {
                [PathStep::Key(kind)] | [PathStep::Key(kind), PathStep::Item(_)] => {
                    self.nameless.push(kind.clone());
                }
                [PathStep::Key(kind), PathStep::Item(_), PathStep::Key(key)] if key == "name" => {
                    self.nameless.push(kind.clone());
                }
                _ => {}
            }
        }
        // A key that is also there under its right name is checked all the same.
        self.spoiled.extend(meant.filter(|meant| !self.is_written(meant)));
        if let Some(PathStep::Item(index)) = place.0.last() {
            self.close_up(&place.parent(), *index);
        } else {
            self.spoiled.push(place);
        }
    }

    /// Items after the removed one have moved up by one.
    fn close_up(&mut self, array: &Place, index: usize) {
        let depth = array.0.len();
        for spoiled in self.spoiled.iter_mut().filter(|it| it.0.starts_with(&array.0)) {
            if let Some(PathStep::Item(at)) = spoiled.0.get_mut(depth)
                && *at > index
            {
                *at -= 1;
            }
        }
    }

    /// Whether the entry at `place`, or one that was meant for it, had the wrong shape or name.
    pub(super) fn is_spoiled(&self, place: &Place) -> bool {
        self.spoiled.iter().any(|spoiled| place.0.starts_with(&spoiled.0))
    }

    /// Whether some name of this kind could not be read: a name that seems undefined may be that one.
    pub(super) fn is_nameless(&self, kind: &str) -> bool {
        self.nameless.iter().any(|it| it == kind)
    }

    fn is_written(&self, place: &Place) -> bool {
        self.find(place).1
    }

    /// The byte range of the value at `place`, or of the nearest table that should hold it.
    pub(super) fn span(&self, place: &Place) -> Range<usize> {
        self.find(place).0.span()
    }

    /// The value at `place` and `true`, or the nearest table that should hold it and `false`.
    fn find(&self, place: &Place) -> (&Spanned<DeValue<'a>>, bool) {
        let mut value = &self.root;
        for step in &place.0 {
            let next = match step {
                PathStep::Key(key) => value.get_ref().get(key.as_str()),
                PathStep::Item(index) => value.get_ref().get(*index),
            };
            let Some(next) = next else { return (value, false) };
            value = next;
        }
        (value, true)
    }
}

/// Removes the entry whose key or value stands at `span` from `value`, and returns where it was.
///
/// A table's span is its header alone, so the search cannot be guided by spans. The array of `[[x]]` and its
/// first table share a span: the array is found first.
fn take_out(value: &mut DeValue<'_>, span: &Range<usize>) -> Option<Place> {
    fn search(value: &mut DeValue<'_>, span: &Range<usize>, here: &Place) -> Option<Place> {
        match value {
            DeValue::Table(table) => {
                let found = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span);
                if let Some(key) = found.map(|(key, _)| key.get_ref().to_string()) {
                    table.remove(key.as_str());
                    return Some(here.key(&key));
                }
                table
                    .iter_mut()
                    .find_map(|(key, value)| search(value.get_mut(), span, &here.key(key.get_ref())))
            }
            DeValue::Array(array) => {
                if let Some(index) = array.iter().position(|item| item.span() == *span) {
                    let items = std::mem::replace(array, DeArray::new()).into_iter().enumerate();
                    *array = items.filter(|&(at, _)| at != index).map(|(_, item)| item).collect();
                    return Some(here.item(index));
                }
                let mut items = array.iter_mut().enumerate();
                items.find_map(|(index, item)| search(item.get_mut(), span, &here.item(index)))
            }
            _ => None,
        }
    }
    search(value, span, &Place::default())
}

/// Turns `serde`'s message into ours; for an unknown key also returns the key that was probably meant.
fn shape_fault(
    source: &FileText<'_>,
    span: &Range<usize>,
    message: &str,
    place: &Place,
) -> (Fault, Option<String>) {
    let key = place.last_key().unwrap_or_default();
    if message.starts_with("unknown field `") {
        // "unknown field `a`, expected one of `b`, `c`": every second part is a name. The first part is the
        // key itself, which may hold a backtick: the known names are what follows ", expected".
        let known: Vec<&str> = message
            .rsplit_once(", expected ")
            .map_or_else(Vec::new, |(_, names)| names.split('`').skip(1).step_by(2).collect());
        let meant = closest(key, known.iter().copied());
        let hint = match meant {
            Some(name) => format!(" (did you mean {name:?}?)"),
            None => format!("; known here: {}", known.join(", ")),
        };
        let fault = source.fault_of_unknown_key(span, format!("unknown key {key:?}{hint}"));
        return (fault, meant.map(str::to_owned));
    }
    if SECRET_KEYS.contains(&key) {
        return (source.fault(span, format!("{key}: expected a text in quotes")), None);
    }
    let message = message.replace("expected u32", "expected a whole number from 0 to 4294967295");
    (source.fault(span, format!("{key}: {message}")), None)
}
