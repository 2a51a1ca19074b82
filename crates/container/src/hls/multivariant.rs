//! Multivariant playlists (RFC 8216 §4.3.4).
//!
//! Our playlists state the CODECS of every variant, because hls.js drops audio-only variants only if all variants have
//! CODECS. The audio-only variant is the last one, because players start with the first.

use std::fmt::{self, Display, Formatter};

use super::attributes::{Quoted, attribute, number, optional, text};
use super::{PlaylistFault, lines, tag};

/// A multivariant playlist (§4.3.4; RFC 8216 calls it Master Playlist).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MultivariantPlaylist {
    /// `EXT-X-INDEPENDENT-SEGMENTS`: holds for all variants (§4.3.5.1).
    pub has_independent_segments: bool,
    /// `EXT-X-MEDIA`: alternative sound and subtitles (§4.3.4.1).
    pub renditions: Vec<AlternativeRendition>,
    /// `EXT-X-STREAM-INF`: the variants, in order (§4.3.4.2).
    pub variants: Vec<VariantStream>,
    /// `EXT-X-I-FRAME-STREAM-INF`: playlists of I-frames (§4.3.4.3).
    pub i_frames: Vec<IFrameStream>,
}

/// A variant stream (§4.3.4.2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VariantStream {
    /// URI of its media playlist.
    pub uri: String,
    /// BANDWIDTH: peak rate in bits per second.
    pub bandwidth_bps: u64,
    /// AVERAGE-BANDWIDTH in bits per second.
    pub average_bps: Option<u64>,
    /// CODECS: one string for each track (RFC 6381).
    pub codecs: Vec<String>,
    /// RESOLUTION: width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// FRAME-RATE: pictures per second.
    pub frame_rate: Option<f32>,
    /// AUDIO: GROUP-ID of the renditions with its sound.
    pub audio: Option<String>,
    /// SUBTITLES: GROUP-ID of the renditions with its subtitles.
    pub subtitles: Option<String>,
}

/// A playlist of I-frames, for seeking with previews (§4.3.4.3).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IFrameStream {
    /// URI of its media playlist.
    pub uri: String,
    /// BANDWIDTH: peak rate in bits per second.
    pub bandwidth_bps: u64,
    /// CODECS: one string for each track (RFC 6381).
    pub codecs: Vec<String>,
    /// RESOLUTION: width and height in pixels.
    pub resolution: Option<(u32, u32)>,
}

/// TYPE of an alternative rendition (§4.3.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenditionType {
    /// AUDIO: another sound track.
    Audio,
    /// SUBTITLES: WebVTT in one language.
    Subtitles,
}

/// An alternative rendition: sound or subtitles that variants refer to (§4.3.4.1).
#[derive(Clone, Debug, PartialEq)]
pub struct AlternativeRendition {
    /// TYPE: sound or subtitles.
    pub kind: RenditionType,
    /// GROUP-ID, by which variants refer to it.
    pub group: String,
    /// NAME, as a player's menu shows it.
    pub name: String,
    /// LANGUAGE: a language tag (RFC 5646).
    pub language: Option<String>,
    /// CHANNELS: how many channels the sound has.
    pub channels: Option<u64>,
    /// URI of its media playlist. If `None`, the variant itself has this rendition.
    pub uri: Option<String>,
    /// DEFAULT: played unless the viewer chooses another.
    pub is_default: bool,
}

impl MultivariantPlaylist {
    /// URI of the media playlist with the sound of `variant`, if sound has a playlist of its own.
    pub fn sound_of(&self, variant: &VariantStream) -> Option<&str> {
        let group = variant.audio.as_ref()?;
        let is_of_group = |it: &&AlternativeRendition| it.kind == RenditionType::Audio && it.group == *group;
        let mut sound = self.renditions.iter().filter(is_of_group);
        let default = sound.clone().find(|it| it.is_default);
        default.or_else(|| sound.next())?.uri.as_deref()
    }

    pub(super) fn parse(text_of_all: &str) -> Result<Self, PlaylistFault> {
        let mut playlist = Self::default();
        let mut variant = None;
        for (line, text_of_line) in lines(text_of_all) {
            let fault = |fault| PlaylistFault { line, fault };
            let (name, list) = tag(text_of_line);
            match name {
                "#EXT-X-INDEPENDENT-SEGMENTS" => playlist.has_independent_segments = true,
                "#EXT-X-MEDIA" => playlist.renditions.extend(rendition(list)),
                "#EXT-X-STREAM-INF" => {
                    let found = stream(list).ok_or(fault("it has no BANDWIDTH (§4.3.4.2)"))?;
                    variant = Some(found);
                }
                "#EXT-X-I-FRAME-STREAM-INF" => {
                    // One without BANDWIDTH or URI is left out: nobody plays sync samples alone.
                    playlist.i_frames.extend(i_frames(list));
                }
                _ if text_of_line.starts_with('#') => {}
                _ => {
                    let variant = variant.take().ok_or(fault("a URI without a variant (§4.3.4.2)"))?;
                    playlist.variants.push(VariantStream { uri: text_of_line.to_owned(), ..variant });
                }
            }
        }
        Ok(playlist)
    }
}

fn stream(list: &str) -> Option<VariantStream> {
    let codecs = attribute(list, "CODECS").map(|all| all.split(',').map(|it| it.trim().to_owned()).collect());
    let resolution = attribute(list, "RESOLUTION").and_then(|size| size.split_once('x'));
    Some(VariantStream {
        uri: String::new(),
        bandwidth_bps: number(list, "BANDWIDTH")?,
        average_bps: number(list, "AVERAGE-BANDWIDTH"),
        codecs: codecs.unwrap_or_default(),
        resolution: resolution.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?))),
        frame_rate: number(list, "FRAME-RATE"),
        audio: text(list, "AUDIO"),
        subtitles: text(list, "SUBTITLES"),
    })
}

/// `None` without BANDWIDTH or URI (§4.3.4.3).
fn i_frames(list: &str) -> Option<IFrameStream> {
    let VariantStream { bandwidth_bps, codecs, resolution, .. } = stream(list)?;
    Some(IFrameStream { uri: text(list, "URI")?, bandwidth_bps, codecs, resolution })
}

/// `None` for video renditions and closed captions.
fn rendition(list: &str) -> Option<AlternativeRendition> {
    Some(AlternativeRendition {
        kind: match attribute(list, "TYPE")? {
            "AUDIO" => RenditionType::Audio,
            "SUBTITLES" => RenditionType::Subtitles,
            _ => return None,
        },
        group: text(list, "GROUP-ID")?,
        name: text(list, "NAME").unwrap_or_default(),
        language: text(list, "LANGUAGE"),
        channels: number(list, "CHANNELS"),
        uri: text(list, "URI"),
        is_default: attribute(list, "DEFAULT") == Some("YES"),
    })
}

/// Writes the text of the playlist.
impl Display for MultivariantPlaylist {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "#EXTM3U")?;
        self.renditions.iter().try_for_each(|rendition| rendition.fmt(out))?;
        self.variants.iter().try_for_each(|variant| variant.fmt(out))?;
        self.i_frames.iter().try_for_each(|stream| stream.fmt(out))?;
        if self.has_independent_segments {
            writeln!(out, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        Ok(())
    }
}

impl Display for AlternativeRendition {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            RenditionType::Audio => "AUDIO",
            RenditionType::Subtitles => "SUBTITLES",
        };
        write!(out, "#EXT-X-MEDIA:TYPE={kind}")?;
        optional(out, "URI", self.uri.as_deref().map(Quoted))?;
        write!(out, ",GROUP-ID={}", Quoted(&self.group))?;
        optional(out, "LANGUAGE", self.language.as_deref().map(Quoted))?;
        write!(out, ",NAME={}", Quoted(&self.name))?;
        optional(out, "DEFAULT", self.is_default.then_some("YES"))?;
        write!(out, ",AUTOSELECT=YES")?;
        optional(out, "CHANNELS", self.channels.map(|channels| format!("\"{channels}\"")))?;
        writeln!(out)
    }
}

impl Display for VariantStream {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={}", self.bandwidth_bps)?;
        optional(out, "AVERAGE-BANDWIDTH", self.average_bps)?;
        write_coding(out, &self.codecs, self.resolution)?;
        optional(out, "FRAME-RATE", self.frame_rate.map(|rate| format!("{rate:.3}")))?;
        optional(out, "AUDIO", self.audio.as_deref().map(Quoted))?;
        optional(out, "SUBTITLES", self.subtitles.as_deref().map(Quoted))?;
        writeln!(out, "\n{}", self.uri)
    }
}

impl Display for IFrameStream {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self { uri, bandwidth_bps, codecs, resolution } = self;
        write!(out, "#EXT-X-I-FRAME-STREAM-INF:URI={},BANDWIDTH={bandwidth_bps}", Quoted(uri))?;
        write_coding(out, codecs, *resolution)?;
        writeln!(out)
    }
}

fn write_coding(out: &mut Formatter<'_>, codecs: &[String], resolution: Option<(u32, u32)>) -> fmt::Result {
    write!(out, ",CODECS={}", Quoted(&codecs.join(",")))?;
    optional(out, "RESOLUTION", resolution.map(|(width, height)| format!("{width}x{height}")))
}
