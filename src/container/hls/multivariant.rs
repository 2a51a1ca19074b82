//! Multivariant playlists (RFC 8216 §4.3.4).
//!
//! What we write states CODECS of every variant, because hls.js drops audio-only variants only where all do; audio-only
//! comes last, because the first variant is where players start.

use hls_m3u8::MasterPlaylist;
use hls_m3u8::tags::{ExtXMedia, VariantStream as StreamTag};
use hls_m3u8::types::{Channels, ClosedCaptions, MediaType, Resolution, StreamData, UFloat};

use super::attributes::{attribute, number, text};
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
                    let VariantStream { bandwidth_bps, codecs, resolution, .. } =
                        stream(list).ok_or(fault("it has no BANDWIDTH (§4.3.4.3)"))?;
                    let uri = text(list, "URI").ok_or(fault("it has no URI (§4.3.4.3)"))?;
                    playlist.i_frames.push(IFrameStream { uri, bandwidth_bps, codecs, resolution });
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

/// The text of the playlist, as `hls_m3u8` writes it.
impl std::fmt::Display for MultivariantPlaylist {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut playlist = MasterPlaylist::default();
        playlist.has_independent_segments = self.has_independent_segments;
        playlist.media = self.renditions.iter().filter_map(media_tag).collect();
        let variants = self.variants.iter().map(stream_tag);
        playlist.variant_streams = variants.chain(self.i_frames.iter().map(i_frame_tag)).collect();
        playlist.fmt(out)
    }
}

/// `None` where a value may not stand in a playlist.
fn media_tag(rendition: &AlternativeRendition) -> Option<ExtXMedia<'_>> {
    let mut tag = ExtXMedia::builder();
    tag.media_type(match rendition.kind {
        RenditionType::Audio => MediaType::Audio,
        RenditionType::Subtitles => MediaType::Subtitles,
    });
    tag.group_id(rendition.group.clone()).name(rendition.name.clone());
    if let Some(language) = &rendition.language {
        tag.language(language.clone());
    }
    if let Some(channels) = rendition.channels {
        tag.channels(Channels::new(channels));
    }
    if let Some(uri) = &rendition.uri {
        tag.uri(uri.clone());
    }
    tag.is_default(rendition.is_default).is_autoselect(true).build().ok()
}

fn stream_data(bandwidth_bps: u64, codecs: &[String], resolution: Option<(u32, u32)>) -> StreamData<'_> {
    let mut data = StreamData::new(bandwidth_bps);
    data.set_codecs(Some(codecs.to_vec()));
    data.set_resolution(resolution.map(|(width, height)| Resolution::new(width as usize, height as usize)));
    data
}

fn stream_tag(variant: &VariantStream) -> StreamTag<'_> {
    let mut stream_data = stream_data(variant.bandwidth_bps, &variant.codecs, variant.resolution);
    stream_data.set_average_bandwidth(variant.average_bps);
    StreamTag::ExtXStreamInf {
        uri: variant.uri.as_str().into(),
        frame_rate: variant.frame_rate.and_then(|rate| UFloat::try_from(rate).ok()),
        audio: variant.audio.as_deref().map(Into::into),
        subtitles: variant.subtitles.as_deref().map(Into::into),
        closed_captions: None::<ClosedCaptions<'_>>,
        stream_data,
    }
}

fn i_frame_tag(stream: &IFrameStream) -> StreamTag<'_> {
    let stream_data = stream_data(stream.bandwidth_bps, &stream.codecs, stream.resolution);
    StreamTag::ExtXIFrame { uri: stream.uri.as_str().into(), stream_data }
}
