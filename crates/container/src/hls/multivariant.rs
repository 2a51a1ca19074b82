//! Multivariant playlists (RFC 8216 §4.3.4).
//!
//! What we write states CODECS of every variant, because hls.js drops audio-only variants only where all do; audio-only
//! comes last, because the first variant is where players start.

use std::fmt::{self, Display, Formatter};

use super::attributes::{Quoted, attribute, number, optional, text};
use super::{PlaylistFault, lines, tag};

/// A multivariant playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MultivariantPlaylist {
    /// `EXT-X-INDEPENDENT-SEGMENTS`, of all variants (§4.3.5.1).
    pub has_independent_segments: bool,
    /// `EXT-X-MEDIA` (§4.3.4.1).
    pub renditions: Vec<AlternativeRendition>,
    /// `EXT-X-STREAM-INF` (§4.3.4.2).
    pub variants: Vec<VariantStream>,
    /// `EXT-X-I-FRAME-STREAM-INF` (§4.3.4.3).
    pub i_frames: Vec<IFrameStream>,
}

/// One version of the presentation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VariantStream {
    /// Its media playlist.
    pub uri: String,
    /// BANDWIDTH.
    pub bandwidth_bps: u64,
    /// AVERAGE-BANDWIDTH.
    pub average_bps: Option<u64>,
    /// CODECS (RFC 6381).
    pub codecs: Vec<String>,
    /// RESOLUTION: width and height.
    pub resolution: Option<(u32, u32)>,
    /// FRAME-RATE.
    pub frame_rate: Option<f32>,
    /// AUDIO: a group of renditions.
    pub audio: Option<String>,
    /// SUBTITLES: a group of renditions.
    pub subtitles: Option<String>,
}

/// The sync samples of a version alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IFrameStream {
    /// Its media playlist.
    pub uri: String,
    /// BANDWIDTH.
    pub bandwidth_bps: u64,
    /// CODECS (RFC 6381).
    pub codecs: Vec<String>,
    /// RESOLUTION: width and height.
    pub resolution: Option<(u32, u32)>,
}

/// TYPE of a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenditionType {
    /// Sound.
    Audio,
    /// Subtitles.
    Subtitles,
}

/// Sound or subtitles beside a variant.
#[derive(Clone, Debug, PartialEq)]
pub struct AlternativeRendition {
    /// TYPE.
    pub kind: RenditionType,
    /// GROUP-ID.
    pub group: String,
    /// NAME.
    pub name: String,
    /// LANGUAGE (RFC 5646).
    pub language: Option<String>,
    /// CHANNELS.
    pub channels: Option<u64>,
    /// Its media playlist; without one it is in the variant itself.
    pub uri: Option<String>,
    /// DEFAULT.
    pub is_default: bool,
}

impl MultivariantPlaylist {
    /// The media playlist of the sound of `variant`, where that is separate.
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

/// `None` for video and closed captions.
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

/// The text of the playlist.
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
