//! What is asked for, by the one name that it has in all protocols and spellings, and patterns of such names.

use core::fmt;

/// What is asked for: `Live_PAES`, a channel; `vod/2026/anatomy.smil`, a recording beneath the mount `vod`; `vod`, the list
/// of what is there. Decoded, in normalization form C, with the extension, without prefixes, rungs and the names of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject<'a>(pub &'a str);

impl<'a> Subject<'a> {
    /// The channel or the mount.
    pub fn app(self) -> &'a str {
        self.0.split_once('/').map_or(self.0, |(app, _)| app)
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A pattern of subjects: `*` stands for any characters, also none and also slashes; everything else for itself. A name
/// without `*` also covers everything beneath it: `vod` is `vod` and `vod/…`, but not `vod2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern; a slash at its beginning or end says nothing.
    pub fn new(text: &str) -> Self {
        Self(text.trim_matches('/').to_owned())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it may cover names that begin with `beneath`, which ends with a slash.
    pub fn may_cover_beneath(&self, beneath: &str) -> bool {
        let (before, has_star) =
            self.0.split_once('*').map_or((self.0.as_str(), false), |(before, _)| (before, true));
        before.starts_with(beneath)
            || has_star && beneath.starts_with(before)
            || format!("{before}/") == beneath
    }

    /// Whether the pattern covers that name.
    pub fn covers(&self, subject: Subject<'_>) -> bool {
        let name = subject.0;
        let mut parts = self.0.split('*');
        let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty() || rest.starts_with('/');
        }
        // Each part between stars at its first place leaves the most for those after it; the last one stands at the end.
        let mut rest = rest;
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_names() {
        let covers = |pattern, name| Pattern::new(pattern).covers(Subject(name));
        assert!(covers("Live_PAES", "Live_PAES"));
        assert!(!covers("Live_PAES", "Live_PAES2"));
        assert!(covers("Live_*", "Live_PAES"));
        assert!(!covers("Live_*", "live_PAES"));
        assert!(covers("vod", "vod/a/b.mp4"));
        assert!(!covers("vod", "vod2"));
        assert!(covers("/vod/", "vod"));
        assert!(covers("vod/*.smil", "vod/a/b.smil"));
        assert!(!covers("vod/*.smil", "vod/a/b.mp4"));
        assert!(covers("vod/*/a*b/c", "vod/x/y/a1b/c"));
        assert!(!covers("vod/*/a*b/c", "vod/x/y/a1b/cc"));
        assert!(covers("*", "anything/at all"));
        assert!(covers("**", ""));
        assert!(!covers("a*a", "a"));
    }
}
