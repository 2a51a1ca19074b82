//! The rules of a configuration beyond its shape.
//!
//! One file per part of the configuration. Every check goes on after a fault, so that one run reports all of
//! them. Only `files` and `certificates` touch the file system; everything else looks at the text alone.

mod access;
pub(super) mod certificates;
mod channels;
pub(super) mod files;
mod ladders;
mod names;
mod people;
mod pushes;
mod schedule;
mod secrets;
mod server;
mod sources;
mod tls;

use super::Config;
use super::document::{Document, Place};
use super::fault::{Fault, FileText};

/// Collects faults and warnings with their positions.
pub(super) struct Checker<'a> {
    pub(super) source: &'a FileText<'a>,
    pub(super) document: &'a Document<'a>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    pub(super) absent: Vec<Fault>,
}

impl Checker<'_> {
    fn fault(&mut self, at: &Place, message: impl Into<String>) {
        if !self.document.is_spoiled(at) {
            self.faults.push(self.source.fault(&self.document.span(at), message));
        }
    }

    fn warning(&mut self, at: &Place, message: impl Into<String>) {
        if !self.document.is_spoiled(at) {
            self.warnings.push(self.source.fault(&self.document.span(at), message));
        }
    }

    /// A missing file that the server can start without: a fault to `amphi check` only.
    fn absent(&mut self, at: &Place, message: impl Into<String>) {
        if !self.document.is_spoiled(at) {
            self.absent.push(self.source.fault(&self.document.span(at), message));
        }
    }

    /// The line of the value at `place`, for a message about another place.
    fn line_of(&self, place: &Place) -> usize {
        self.source.position(self.document.span(place).start).line
    }

    /// Checks `config` without looking at the file system.
    pub(super) fn judge(&mut self, config: &Config) {
        server::check(self, config);
        tls::check(self, config);
        sources::check(self, &config.sources);
        ladders::check(self, config);
        channels::check(self, config);
        pushes::check(self, config);
        schedule::check(self, config);
        access::check(self, config);
        secrets::check(self, config);
        people::check(self, config);
    }
}

/// `word` in quotes for a message. A URL in the wrong place may carry a password and is not repeated.
fn quoted(word: &str) -> String {
    if word.contains("://") { "\"…\"".to_owned() } else { format!("{word:?}") }
}
