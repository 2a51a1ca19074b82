//! Reads manifests.

use std::time::Duration;

use roxmltree::{Document, Node};

use super::timeline::S;
use super::writer::PLACES_SCHEME;
use super::{
    AdaptationSet, ChannelConfiguration, ContentType, Mpd, PresentationType, Representation,
    RepresentationFormat, RepresentationMedia, SegmentTemplate, SegmentTimeline,
};

/// Why a text is not a manifest. The server that wrote it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum MpdFault {
    /// It is not well-formed XML.
    #[error(transparent)]
    Xml(#[from] roxmltree::Error),
    /// An attribute or element with this name is missing or has a wrong value.
    #[error("line {line}: {name} is missing or has a wrong value")]
    Field {
        /// Of the element's start tag, from 1.
        line: u32,
        /// The attribute or element.
        name: &'static str,
    },
}

impl MpdFault {
    fn field(node: Node<'_, '_>, name: &'static str) -> Self {
        Self::Field { line: node.document().text_pos_at(node.range().start).row, name }
    }
}

impl Mpd {
    /// Reads the text of a manifest; what the writer does not write is ignored.
    pub fn parse(text: &str) -> Result<Self, MpdFault> {
        let document = Document::parse(text)?;
        let mpd = document.root_element();
        if mpd.tag_name().name() != "MPD" {
            return Err(MpdFault::field(mpd, "MPD"));
        }
        let presentation = if mpd.attribute("type") == Some("dynamic") {
            PresentationType::Dynamic {
                now: field::<jiff::Timestamp>(mpd, "publishTime")?.into(),
                update_period: seconds(mpd, "minimumUpdatePeriod")?,
                buffer_depth: seconds(mpd, "timeShiftBufferDepth")?,
                delay: seconds(mpd, "suggestedPresentationDelay")?,
            }
        } else {
            PresentationType::Static { duration: seconds(mpd, "mediaPresentationDuration")? }
        };
        let sets = children(mpd, "Period").flat_map(|period| children(period, "AdaptationSet"));
        Ok(Self { presentation, adaptation_sets: sets.map(adaptation_set).collect::<Result<_, _>>()? })
    }
}

fn adaptation_set(node: Node<'_, '_>) -> Result<AdaptationSet, MpdFault> {
    let content = match node.attribute("contentType") {
        Some("video") => ContentType::Video,
        Some("audio") => ContentType::Audio,
        Some("text") => ContentType::Text,
        _ => return Err(MpdFault::field(node, "contentType")),
    };
    let representations = children(node, "Representation").map(|it| representation(it, content));
    Ok(AdaptationSet {
        id: field(node, "id")?,
        content,
        language: node.attribute("lang").map(str::to_owned),
        label: children(node, "Label").next().map(|label| label.text().unwrap_or_default().to_owned()),
        selection_priority: optional(node, "selectionPriority")?,
        segment_alignment: node.attribute("segmentAlignment") == Some("true"),
        representations: representations.collect::<Result<_, _>>()?,
    })
}

fn representation(node: Node<'_, '_>, content: ContentType) -> Result<Representation, MpdFault> {
    let media = match (children(node, "SegmentTemplate").next(), children(node, "BaseURL").next()) {
        (Some(template), _) => RepresentationMedia::Segments(segment_template(template)?),
        (None, Some(url)) => RepresentationMedia::BaseUrl(url.text().unwrap_or_default().to_owned()),
        (None, None) => return Err(MpdFault::field(node, "SegmentTemplate")),
    };
    let format = match content {
        ContentType::Video => RepresentationFormat::Video {
            width: field(node, "width")?,
            height: field(node, "height")?,
            frame_rate: field(node, "frameRate")?,
        },
        ContentType::Audio => {
            let said = children(node, "AudioChannelConfiguration").next();
            let channels = said.map(channels).transpose()?;
            RepresentationFormat::Audio { sample_rate: field(node, "audioSamplingRate")?, channels }
        }
        ContentType::Text => RepresentationFormat::Text,
    };
    Ok(Representation {
        id: field(node, "id")?,
        codecs: node.attribute("codecs").unwrap_or_default().to_owned(),
        bandwidth_bps: field(node, "bandwidth")?,
        format,
        media,
    })
}

fn channels(node: Node<'_, '_>) -> Result<ChannelConfiguration, MpdFault> {
    if node.attribute("schemeIdUri") != Some(PLACES_SCHEME) {
        return field(node, "value").map(ChannelConfiguration::Count);
    }
    let places = node.attribute("value").and_then(|digits| u16::from_str_radix(digits, 16).ok());
    places.map(ChannelConfiguration::Places).ok_or_else(|| MpdFault::field(node, "value"))
}

fn segment_template(node: Node<'_, '_>) -> Result<SegmentTemplate, MpdFault> {
    let mut timeline = Vec::new();
    let mut next = 0_i64;
    for s in children(node, "SegmentTimeline").flat_map(|timeline| children(timeline, "S")) {
        let t = optional(s, "t")?.unwrap_or(next);
        let (d, r) = (field::<i64>(s, "d")?, optional(s, "r")?.unwrap_or(0));
        next = t.saturating_add(d.saturating_mul(i64::from(r) + 1));
        timeline.push(S { t, d, r });
    }
    Ok(SegmentTemplate {
        timescale: optional(node, "timescale")?.unwrap_or(1),
        presentation_time_offset: optional(node, "presentationTimeOffset")?,
        start_number: optional(node, "startNumber")?,
        initialization: field(node, "initialization")?,
        media: field(node, "media")?,
        timeline: SegmentTimeline(timeline),
    })
}

fn children<'a, 'd>(node: Node<'a, 'd>, name: &'static str) -> impl Iterator<Item = Node<'a, 'd>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

fn optional<T: std::str::FromStr>(node: Node<'_, '_>, name: &'static str) -> Result<Option<T>, MpdFault> {
    let value = node.attribute(name).map(str::parse);
    value.transpose().map_err(|_| MpdFault::field(node, name))
}

fn field<T: std::str::FromStr>(node: Node<'_, '_>, name: &'static str) -> Result<T, MpdFault> {
    optional(node, name)?.ok_or_else(|| MpdFault::field(node, name))
}

/// A duration (ISO 8601) in the form that the writer uses: seconds only.
fn seconds(node: Node<'_, '_>, name: &'static str) -> Result<Duration, MpdFault> {
    let text = node.attribute(name).and_then(|text| text.strip_prefix("PT")?.strip_suffix('S'));
    let seconds = text.and_then(|text| Duration::try_from_secs_f64(text.parse().ok()?).ok());
    seconds.ok_or_else(|| MpdFault::field(node, name))
}
