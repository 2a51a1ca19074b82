//! HLS playlists (RFC 8216) as values, with a writer and a reader.
//!
//! [`MediaPlaylist`] and [`MultivariantPlaylist`] are what live channels and recordings state, and what [`parse`] finds in
//! a playlist of any server. The reader is lenient, as players are: tags that it does not know are read over.
//!
//! What does *not* belong here: which segments there are (`store`, `vod`), and the names of files.

mod attributes;
mod bandwidth;
mod media;
mod multivariant;

pub use bandwidth::{BitRates, VariantLoad, bandwidths};
pub use media::{MediaPlaylist, MediaSegment};
pub use multivariant::{
    AlternativeRendition, IFrameStream, MultivariantPlaylist, RenditionType, VariantStream,
};

/// What is wrong with a playlist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct PlaylistFault {
    /// From 1.
    pub line: usize,
    /// What is wrong, with the section of RFC 8216 that says so.
    pub fault: &'static str,
}

/// A playlist of either kind (§4.1).
#[derive(Clone, Debug, PartialEq)]
pub enum ParsedPlaylist {
    /// Of media segments.
    Media(MediaPlaylist),
    /// Of other playlists.
    Multivariant(MultivariantPlaylist),
}

/// Reads a playlist.
pub fn parse(text: &str) -> Result<ParsedPlaylist, PlaylistFault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.starts_with("#EXTM3U") {
        return Err(PlaylistFault { line: 1, fault: "it does not begin with EXTM3U (§4.3.1.1)" });
    }
    if text.contains("#EXT-X-STREAM-INF:") {
        MultivariantPlaylist::parse(text).map(ParsedPlaylist::Multivariant)
    } else {
        MediaPlaylist::parse(text).map(ParsedPlaylist::Media)
    }
}

/// Lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty())
}

/// Splits a tag from its value.
fn tag(line: &str) -> (&str, &str) {
    line.split_once(':').unwrap_or((line, ""))
}

#[cfg(test)]
mod tests;
