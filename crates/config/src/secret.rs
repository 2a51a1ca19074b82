//! [`Secret`]: a text that is never printed.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize, Serializer};

/// A password, key, token, or a URL that may carry one. `Debug` does not show it. Serialized, it is a keyed hash: two
/// secrets can be compared within one run of the program, and nothing else is revealed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`; an empty one means that no secret is set.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the code that compares or sends it. Never log it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether no secret is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Prefix of a serialized secret.
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
