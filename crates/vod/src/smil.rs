//! SMIL playlists as Opencast writes them and Wowza reads them: which files are renditions of one recording.
//!
//! Sans-IO. Files are named from the mount's root, with or without `mp4:` and extension. Unknown elements and attributes
//! are ignored, as Wowza does. A document may be in any encoding that it declares, may have a document type with entities of
//! its own (bounded; nothing outside is fetched), and namespaces, declared or not. Names of attributes are compared without
//! case and hyphens.
//!
//! Only what is needed to play can make a file a [`SmilFault`]: that it is XML, and has a video with a `src`. Any other wrong
//! value is left out and told in [`Smil::left_out`], with its line.

mod values;

use roxmltree::{Document, Node, ParsingOptions};

use super::cut::Trim;
use super::names::TrackSelection;
use amphi_media::charset::{self, WINDOWS_1252};
use amphi_media::percent;

/// Extensions of files with pictures or sound that are played.
pub(super) const FILM_EXTENSIONS: [&str; 5] = ["mp4", "m4v", "m4a", "mov", "f4v"];
/// Other extensions that a name keeps; to any other name `.mp4` is added.
const OTHER_EXTENSIONS: [&str; 3] = ["vtt", "srt", "mp3"];
/// Most characters of a language tag (RFC 5646 §4.4.1).
const LANGUAGE_MAX: usize = 35;
/// Most renditions, and most subtitles, that are taken from a file.
const RENDITIONS_MAX: usize = 64;
/// Most nodes of a document.
const NODES_MAX: u32 = 1_000_000;
/// Most namespaces that are used and not declared.
const NAMESPACES_MAX: usize = 8;
/// Most values that are told as left out.
const LEFT_OUT_MAX: usize = 20;
/// Most characters of a value in a message.
const SHOWN_MAX: usize = 60;

/// A SMIL file: renditions of one recording, and its subtitles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Smil {
    /// The recording's title, if the file has one.
    pub title: Option<String>,
    /// In the order of the file: players start with the first.
    pub renditions: Vec<SmilRendition>,
    /// Subtitles, in the order of the file.
    pub texts: Vec<TextStream>,
    /// What is wrong in the file and is not needed to play it.
    pub left_out: Vec<SmilFault>,
}

/// One `<video>`, `<audio>` or `<ref>` element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmilRendition {
    /// The file's path from the mount's root.
    pub path: String,
    /// The path if `src` is a URL, with escapes (RFC 3986 §2.1) or a query; only where that is another one.
    pub path_of_url: Option<String>,
    /// The bit rate that it states, in bits per second; 0 if none.
    pub bitrate_bps: u64,
    /// Which part of the file it names (`begin` and `dur`).
    pub trim: Trim,
    /// Which of the file's tracks it names.
    pub kind: TrackSelection,
}

/// A `<textstream>` element, or a text file beside a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextStream {
    /// The file's path from the mount's root.
    pub path: String,
    /// A language tag (RFC 5646 §2.1); `und` if unknown.
    pub language: String,
}

/// Why a file cannot be used as a playlist, or what of it is left out: its writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct SmilFault {
    /// The line at fault, counted from 1.
    pub line: u32,
    /// What is wrong in that line.
    pub fault: String,
}

impl Smil {
    /// Reads the octets of a file, in the encoding that it declares.
    pub fn read(octets: &[u8]) -> Result<Self, SmilFault> {
        Self::parse(&charset::decode_xml(octets, WINDOWS_1252))
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, SmilFault> {
        // Some files are as long as they were meant to become, with zeros at their end.
        let text = text.trim_start_matches('\u{feff}').trim_end_matches('\0');
        if let Some(line) = charset::too_many_entities(text) {
            return Err(SmilFault { line, fault: "its entities would become too long".to_owned() });
        }
        // Blank lines may stand before the document, but not before its declaration (XML 1.0 §2.8), which is not needed any more.
        let document = text.trim_start();
        let blank = text.get(..text.len() - document.len()).unwrap_or_default();
        match document.strip_prefix("<?xml").and_then(|declaration| declaration.split_once("?>")) {
            Some((_, document)) if !blank.is_empty() => {
                Self::parse_xml(&format!("{blank}{document}"), NAMESPACES_MAX)
            }
            _ => Self::parse_xml(text, NAMESPACES_MAX),
        }
    }

    /// Parses a document, with as many namespaces as `further` that it does not declare.
    fn parse_xml(text: &str, further: usize) -> Result<Self, SmilFault> {
        // Entities that are not in the file itself stay unknown: nothing is fetched.
        let options = ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        let error = match Document::parse_with_options(text, options) {
            Ok(document) => return Self::of_document(&document),
            Err(error) => error,
        };
        if let (roxmltree::Error::UnknownNamespace(prefix, _), Some(further)) =
            (&error, further.checked_sub(1))
            && let Some(whole) = with_namespace(text, prefix)
        {
            return Self::parse_xml(&whole, further);
        }
        Err(SmilFault { line: error.pos().row, fault: error.to_string() })
    }

    fn of_document(document: &Document<'_>) -> Result<Self, SmilFault> {
        let root = document.root_element();
        if !is_element(&root, "smil") {
            let fault = format!("the root element is {:?}, not \"smil\"", root.tag_name().name());
            return Err(SmilFault { line: line(&root), fault });
        }
        let mut smil = Self { title: title(&root), ..Self::default() };
        for node in root.descendants().filter(Node::is_element) {
            let kind = node.tag_name().name().to_ascii_lowercase();
            match kind.as_str() {
                "video" | "audio" | "ref" if smil.renditions.len() < RENDITIONS_MAX => {
                    let rendition = rendition(&node, &mut smil.left_out);
                    smil.renditions.extend(rendition);
                }
                "textstream" if smil.texts.len() < RENDITIONS_MAX => {
                    let language = language(attribute(&node, "system-language").unwrap_or_default());
                    // The ending of a file of subtitles says how it is read.
                    let source = source(&node, &mut smil.left_out, |path| bare_path(path).to_owned());
                    let path = source.map(|(path, of_url)| of_url.unwrap_or(path));
                    smil.texts.extend(path.map(|path| TextStream { path, language }));
                }
                _ => {}
            }
        }
        if smil.renditions.is_empty() {
            let no_video = || SmilFault { line: line(&root), fault: "it has no video".to_owned() };
            return Err(smil.left_out.into_iter().next().unwrap_or_else(no_video));
        }
        Ok(smil)
    }
}

/// The text with a namespace declared that it uses and does not declare: readers without namespaces, as Wowza's, take it.
fn with_namespace(text: &str, prefix: &str) -> Option<String> {
    let at = text.match_indices("smil").map(|(at, name)| (at, at + name.len())).find(|(at, _)| {
        let tag = text
            .get(..*at)
            .unwrap_or_default()
            .trim_end_matches(|char: char| char.is_ascii_alphanumeric() || char == ':');
        tag.ends_with('<')
    });
    let (before, after) = text.split_at_checked(at?.1)?;
    Some(format!("{before} xmlns:{prefix}=\"urn:{prefix}\"{after}"))
}

/// The first language of a list as a tag that is safe in any playlist (RFC 5646 §2.1); `und` if there is no such
/// tag.
fn language(list: &str) -> String {
    let first = list.split([',', ';']).map(str::trim).find(|tag| !tag.is_empty()).unwrap_or_default();
    if is_language(first) { first.to_owned() } else { "und".to_owned() }
}

/// Whether `tag` has only letters, digits and hyphens: nothing that ends a quoted string or a line (RFC 8216 §4.2).
pub(super) fn is_language(tag: &str) -> bool {
    let is_plain = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain && tag.starts_with(|first: char| first.is_ascii_alphabetic()) && tag.len() <= LANGUAGE_MAX
}

fn line(node: &Node<'_, '_>) -> u32 {
    node.document().text_pos_at(node.range().start).row
}

fn is_element(node: &Node<'_, '_>, name: &str) -> bool {
    node.tag_name().name().eq_ignore_ascii_case(name)
}

/// Whether two names differ in case and hyphens at most: `system-bitrate`, `systemBitrate`.
fn is_same(one: &str, other: &str) -> bool {
    let letters = |name: &str| {
        name.bytes()
            .filter(|byte| !matches!(byte, b'-' | b'_' | b' '))
            .map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    letters(one) == letters(other)
}

/// The value of an attribute without blanks around it; those without a namespace first.
fn attribute<'a>(node: &Node<'a, '_>, name: &str) -> Option<&'a str> {
    let mut own = node.attributes().filter(|attribute| is_same(attribute.name(), name));
    let plain = own.clone().find(|attribute| attribute.namespace().is_none());
    plain.or_else(|| own.next()).map(|attribute| attribute.value().trim())
}

/// The title of the root, of `<meta name="title" content="…">`, or of the first element that has one.
fn title(root: &Node<'_, '_>) -> Option<String> {
    let is_title = |node: &Node<'_, '_>| {
        is_element(node, "meta")
            && attribute(node, "name").is_some_and(|name| name.eq_ignore_ascii_case("title"))
    };
    let meta = root.descendants().find(is_title);
    let titled = || root.descendants().find_map(|node| attribute(&node, "title"));
    let title =
        attribute(root, "title").or(meta.and_then(|meta| attribute(&meta, "content"))).or_else(titled)?;
    (!title.is_empty()).then(|| title.to_owned())
}

/// Tells what is wrong with an element; what is not needed is left out.
fn tell(left_out: &mut Vec<SmilFault>, node: &Node<'_, '_>, fault: String) {
    if left_out.len() < LEFT_OUT_MAX {
        left_out.push(SmilFault { line: line(node), fault });
    }
}

fn short(value: &str) -> String {
    value.chars().take(SHOWN_MAX).collect()
}

fn rendition(node: &Node<'_, '_>, left_out: &mut Vec<SmilFault>) -> Option<SmilRendition> {
    let (path, path_of_url) = source(node, left_out, path)?;
    let value =
        |name: &str| attribute(node, name).or_else(|| parameter(node, name)).filter(|it| !it.is_empty());
    let mut bitrate_bps = None;
    for name in ["video-bitrate", "system-bitrate", "audio-bitrate"] {
        let Some(stated) = value(name).filter(|_| bitrate_bps.is_none()) else { continue };
        bitrate_bps = values::rate_bps(stated);
        if bitrate_bps.is_none() {
            tell(left_out, node, format!("{name} {:?} is not a bit rate", short(stated)));
        }
    }
    let mut time = |name: &str| {
        let text = attribute(node, name).filter(|text| !text.is_empty() && !values::is_open(text))?;
        let ms = values::clock_ms(text);
        if ms.is_none() {
            tell(left_out, node, format!("{name} {:?} is not a time", short(text)));
        }
        ms
    };
    let trim = Trim { start_ms: time("begin").unwrap_or(0), duration_ms: time("dur").filter(|ms| *ms > 0) };
    let says = |name: &str| {
        value(name).is_some_and(|it| ["true", "1", "yes"].iter().any(|yes| it.eq_ignore_ascii_case(yes)))
    };
    let kind = match (says("videoOnly"), says("audioOnly")) {
        (true, false) => TrackSelection::Picture,
        (false, true) => TrackSelection::Sound(0),
        _ => TrackSelection::Both,
    };
    Some(SmilRendition { path, path_of_url, bitrate_bps: bitrate_bps.unwrap_or(0), trim, kind })
}

/// The value of the child `<param name=…>`.
fn parameter<'a>(node: &Node<'a, '_>, name: &str) -> Option<&'a str> {
    let is = |child: &Node<'_, '_>| {
        is_element(child, "param") && attribute(child, "name").is_some_and(|own| is_same(own, name))
    };
    attribute(&node.children().find(is)?, "value")
}

/// The path that `src` names as `path` reads it, and the one that it names as a URL, if that is another.
fn source(
    node: &Node<'_, '_>,
    left_out: &mut Vec<SmilFault>,
    path: fn(&str) -> String,
) -> Option<(String, Option<String>)> {
    let names_none =
        |source: &str| ["", "mp4:", "m4a:", "mp3:", "flv:"].iter().any(|it| it.eq_ignore_ascii_case(source));
    let Some(source) = attribute(node, "src").filter(|source| !names_none(source)) else {
        tell(left_out, node, format!("{} without src", node.tag_name().name()));
        return None;
    };
    let leads_out = |path: &String| path.split(['/', '\\']).any(|part| part == "..");
    let as_it_is = path(source);
    let plain = source.split(['?', '#']).next().unwrap_or_default().replace('\\', "/");
    let as_url = Some(path(&percent::decode_lossy(&plain)));
    let as_url = as_url.filter(|url| *url != as_it_is && !url.contains(char::REPLACEMENT_CHARACTER));
    if leads_out(&as_it_is) || as_url.as_ref().is_some_and(leads_out) {
        tell(left_out, node, format!("src {:?} leads out of the mount", short(source)));
        return None;
    }
    Some((as_it_is, as_url))
}

/// The path in `src`, with an extension.
fn path(source: &str) -> String {
    with_extension(bare_path(source))
}

/// The path in `src`, without Wowza's prefix (`mp4:`).
fn bare_path(source: &str) -> &str {
    without_prefix(source).trim_start_matches("./").trim_start_matches('/')
}

fn without_prefix(source: &str) -> &str {
    match source.split_once(':') {
        Some((prefix, path)) if prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) => path.trim(),
        _ => source.trim(),
    }
}

/// `path`, with `.mp4` where it has no extension that we know.
pub fn with_extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let has = name.rsplit_once('.').is_some_and(|(_, last)| {
        FILM_EXTENSIONS.iter().chain(&OTHER_EXTENSIONS).any(|known| last.eq_ignore_ascii_case(known))
    });
    if has { path.to_owned() } else { format!("{path}.mp4") }
}

#[cfg(test)]
mod tests;
