//! Logs panics, with their place and the spans around them, and keeps the last one for the code that catches it.
//!
//! The standard library's own hook writes to stderr directly, and would block the thread if nobody reads there.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::PanicHookInfo;

use std::sync::atomic::{AtomicU64, Ordering};

/// A panic: its message and where it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fall {
    /// Its message, at most 1000 characters.
    pub message: String,
    /// `FILE:LINE:COLUMN`, or empty if it is not known.
    pub place: String,
}

impl fmt::Display for Fall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.place.is_empty() { Ok(()) } else { write!(f, " ({})", self.place) }
    }
}

thread_local! {
    static LAST: RefCell<Option<Fall>> = const { RefCell::new(None) };
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// The number of panics on all threads since start.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Takes the last panic of this thread, for the code that has just caught it.
pub fn last_fall() -> Option<Fall> {
    LAST.try_with(|last| last.try_borrow_mut().ok().and_then(|mut last| last.take())).ok().flatten()
}

/// The message, and the place if it is known, of a panic that was caught on this thread with this payload.
pub fn why(payload: &(dyn Any + Send)) -> String {
    let message = message_of(payload);
    // A payload from another thread does not belong to the last panic of this one.
    let fall = last_fall().filter(|fall| message.starts_with(&fall.message));
    fall.map_or_else(|| message.to_owned(), |fall| fall.to_string())
}

/// Sets the panic hook of this process: panics are logged, and not written to stderr otherwise.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(hook));
}

/// Must not panic itself: a panic in the hook aborts the process.
fn hook(info: &PanicHookInfo<'_>) {
    PANICS.fetch_add(1, Ordering::Relaxed);
    let place = info.location().map(|at| format!("{}:{}:{}", at.file(), at.line(), at.column()));
    let message = message_of(info.payload()).chars().take(1000).collect();
    let fall = Fall { message, place: place.unwrap_or_default() };
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("?");
    tracing::error!(thread, place = fall.place, "a panic: {}", fall.message);
    let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = Some(fall)));
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_caught_says_what_it_was() {
        let caught = std::panic::catch_unwind(|| std::panic::panic_any(7_u8)).expect_err("a panic");
        assert_eq!(message_of(&*caught), "without a message");
        assert_eq!(message_of(&"text"), "text");
        assert_eq!(message_of(&"owned".to_owned()), "owned");
        let fall = Fall { message: "no".to_owned(), place: "a.rs:1:2".to_owned() };
        assert_eq!(fall.to_string(), "no (a.rs:1:2)");
    }
}
