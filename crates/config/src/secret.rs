//! A text that is never printed.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize, Serializer};

/// A password, key, token, or an URL that may carry one. `Debug` does not show it; serialized it is a mark that tells one
/// secret from another within this run of the program, and nothing else.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a serialized secret begins with.
pub(super) const MARK: &str = "…secret ";

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        if self.0.is_empty() {
            return serializer.serialize_str("");
        }
        serializer.collect_str(&format_args!("{MARK}{:x}", KEYS.hash_one(&self.0)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"…\"" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("rtsp://admin:hunter2@192.0.2.14/x");
        assert_eq!(format!("{secret:?}"), "\"…\"");
        let mark = serde_json::to_string(&secret).expect("text");
        assert!(mark.starts_with("\"…secret ") && !mark.contains("hunter2"), "{mark}");
        assert_eq!(mark, serde_json::to_string(&secret.clone()).expect("text"));
        assert_ne!(mark, serde_json::to_string(&Secret::new("x")).expect("text"));
    }
}
