//! HLS playlists (RFC 8216) as values, with a writer and a reader.
//!
//! Live channels and recordings write [`MediaPlaylist`] and [`MultivariantPlaylist`]; [`parse`] reads those of any server. The
//! reader is lenient, as players are: it ignores tags that it does not know.
//!
//! What does *not* belong here: which segments there are (`store`, `vod`), and file names.

mod attributes;
mod bandwidth;
mod media;
mod multivariant;

pub use bandwidth::{BitRates, VariantLoad, bandwidths, bandwidths_beside};
pub use media::{MediaPlaylist, MediaSegment};
pub use multivariant::{
    AlternativeRendition, IFrameStream, MultivariantPlaylist, RenditionType, VariantStream,
};

/// What is wrong with a playlist, and where. The server that wrote it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct PlaylistFault {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong, with the section of RFC 8216.
    pub fault: &'static str,
}

/// A playlist of either kind (§4.1).
#[derive(Clone, Debug, PartialEq)]
pub enum ParsedPlaylist {
    /// One that lists media segments.
    Media(MediaPlaylist),
    /// One that lists media playlists.
    Multivariant(MultivariantPlaylist),
}

/// Reads a playlist of either kind. A byte order mark at its beginning is ignored.
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

/// A playlist of ours, in which all addresses are relative, with `base` in front of each of them: of lines that are no tags, and of
/// the attribute `URI` (§4.2). `base` ends with a slash.
pub fn rebased(text: &str, base: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16 * base.len());
    for line in text.split_inclusive('\n') {
        if !line.starts_with('#') {
            if !line.trim().is_empty() {
                out.push_str(base);
            }
            out.push_str(line);
            continue;
        }
        let mut before = "";
        for (index, part) in line.split('"').enumerate() {
            if index > 0 {
                out.push('"');
            }
            // Every second part is in quotes.
            if index % 2 == 1 && (before.ends_with(",URI=") || before.ends_with(":URI=")) {
                out.push_str(base);
            }
            out.push_str(part);
            before = part;
        }
    }
    out
}

/// The lines that are not empty, trimmed, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty())
}

/// Splits a line into the tag's name and its value.
fn tag(line: &str) -> (&str, &str) {
    line.split_once(':').unwrap_or((line, ""))
}

#[cfg(test)]
mod tests;
