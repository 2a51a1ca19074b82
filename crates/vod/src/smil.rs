//! SMIL playlists as Opencast writes them and Wowza reads them: which files are renditions of one recording.
//!
//! Sans-IO. Files are named from the mount's root, with or without `mp4:` and extension. Unknown elements and attributes
//! are ignored, as Wowza does; a wrong value is a [`SmilFault`] with its line.

use roxmltree::{Document, Node};

use super::cut::Trim;
use super::names::TrackSelection;

/// Extensions that a name keeps; to any other name `.mp4` is added.
const EXTENSIONS: [&str; 8] = ["mp4", "m4v", "m4a", "mov", "f4v", "vtt", "srt", "mp3"];
/// Most characters of a language tag (RFC 5646 §4.4.1).
const LANGUAGE_MAX: usize = 35;
/// Most renditions, and most subtitles, that are taken from a file.
const RENDITIONS_MAX: usize = 64;

/// A SMIL file: renditions of one recording, and its subtitles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Smil {
    /// The recording's title, if the file has one.
    pub title: Option<String>,
    /// In the order of the file: players start with the first.
    pub renditions: Vec<SmilRendition>,
    /// Subtitles, in the order of the file.
    pub texts: Vec<TextStream>,
}

/// One `<video>`, `<audio>` or `<ref>` element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmilRendition {
    /// The file's path from the mount's root.
    pub path: String,
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

/// Why a file cannot be used as a playlist: its writer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct SmilFault {
    /// The line at fault, counted from 1.
    pub line: u32,
    /// What is wrong in that line.
    pub fault: String,
}

impl Smil {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, SmilFault> {
        let document = Document::parse(text)
            .map_err(|error| SmilFault { line: error.pos().row, fault: error.to_string() })?;
        let root = document.root_element();
        if root.tag_name().name() != "smil" {
            let fault = format!("the root element is {:?}, not \"smil\"", root.tag_name().name());
            return Err(SmilFault { line: line(&root), fault });
        }
        let mut smil = Self { title: title(&root), ..Self::default() };
        for node in root.descendants().filter(Node::is_element) {
            match node.tag_name().name() {
                "video" | "audio" | "ref" if smil.renditions.len() < RENDITIONS_MAX => {
                    smil.renditions.push(rendition(&node)?);
                }
                "textstream" if smil.texts.len() < RENDITIONS_MAX => {
                    let language = language(node.attribute("system-language").unwrap_or_default());
                    smil.texts.push(TextStream { path: bare_path(source(&node)?).to_owned(), language });
                }
                _ => {}
            }
        }
        if smil.renditions.is_empty() {
            return Err(SmilFault { line: line(&root), fault: "it has no video".to_owned() });
        }
        Ok(smil)
    }
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

/// The title of the root, of `<meta name="title" content="…">`, or of the first element that has one.
fn title(root: &Node<'_, '_>) -> Option<String> {
    let meta = root
        .descendants()
        .find(|node| node.tag_name().name() == "meta" && node.attribute("name") == Some("title"));
    let titled = || root.descendants().find_map(|node| node.attribute("title"));
    let title =
        root.attribute("title").or(meta.and_then(|meta| meta.attribute("content"))).or_else(titled)?;
    (!title.trim().is_empty()).then(|| title.trim().to_owned())
}

fn rendition(node: &Node<'_, '_>) -> Result<SmilRendition, SmilFault> {
    let path = path(source(node)?);
    let rate = |name: &str| {
        node.attribute(name).or_else(|| parameter(node, name)).map(str::trim).filter(|rate| !rate.is_empty())
    };
    let stated =
        ["video-bitrate", "system-bitrate", "videoBitrate", "audio-bitrate", "systemBitrate", "audioBitrate"];
    let bitrate_bps = match stated.into_iter().find_map(rate) {
        Some(rate) => {
            let fault =
                || SmilFault { line: line(node), fault: format!("the bit rate {rate:?} is not a number") };
            rate.parse::<f64>().ok().filter(|rate| *rate >= 0.0).ok_or_else(fault)? as u64
        }
        None => 0,
    };
    let time = |name: &str| {
        let fault =
            |text: &str| SmilFault { line: line(node), fault: format!("{name} {text:?} is not a time") };
        node.attribute(name).map(|text| clock_ms(text).ok_or_else(|| fault(text))).transpose()
    };
    let trim = Trim { start_ms: time("begin")?.unwrap_or(0), duration_ms: time("dur")?.filter(|ms| *ms > 0) };
    let says = |name: &str| matches!(rate(name), Some("true" | "TRUE" | "1"));
    let kind = match (says("videoOnly"), says("audioOnly")) {
        (true, false) => TrackSelection::Picture,
        (false, true) => TrackSelection::Sound(0),
        _ => TrackSelection::Both,
    };
    Ok(SmilRendition { path, bitrate_bps, trim, kind })
}

/// The value of the child `<param name=…>`.
fn parameter<'a>(node: &Node<'a, '_>, name: &str) -> Option<&'a str> {
    let is =
        |child: &Node<'_, '_>| child.tag_name().name() == "param" && child.attribute("name") == Some(name);
    node.children().find(is)?.attribute("value")
}

fn source<'a>(node: &Node<'a, '_>) -> Result<&'a str, SmilFault> {
    let source = node.attribute("src").map(str::trim).filter(|source| !source.is_empty());
    source.ok_or_else(|| SmilFault {
        line: line(node),
        fault: format!("{} without src", node.tag_name().name()),
    })
}

/// The path in `src`, with an extension.
fn path(source: &str) -> String {
    with_extension(bare_path(source))
}

/// The path in `src`, without Wowza's prefix (`mp4:`).
fn bare_path(source: &str) -> &str {
    let path = match source.split_once(':') {
        Some((prefix, path)) if prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) => path,
        _ => source,
    };
    path.trim_start_matches("./").trim_start_matches('/')
}

/// `path`, with `.mp4` where it has no extension that we know.
pub fn with_extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let has = name
        .rsplit_once('.')
        .is_some_and(|(_, last)| EXTENSIONS.iter().any(|known| last.eq_ignore_ascii_case(known)));
    if has { path.to_owned() } else { format!("{path}.mp4") }
}

/// Milliseconds of a clock value: a number with or without a unit, or fields with colons (SMIL 3.0, clock values).
fn clock_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit_ms) = [("ms", 1.0), ("min", 60_000.0), ("h", 3_600_000.0), ("s", 1000.0)]
        .into_iter()
        .find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, ms)))
        .unwrap_or((text, 1000.0));
    let mut seconds = 0.0;
    for field in number.trim().split(':') {
        let value: f64 = field.parse().ok()?;
        seconds = seconds * 60.0 + value;
    }
    let ms = seconds * unit_ms;
    (0.0..1e12).contains(&ms).then_some(ms.round() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPENCAST: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?><smil><head/><body><switch><video height="360" src="mp4:engage-player/5ab/9e2/PAES_low" video-bitrate="374532" width="640"/><video height="720" src="mp4:engage-player/5ab/1d6/PAES_hd" video-bitrate="1187443" width="1280"/></switch></body></smil>"#;

    #[test]
    fn what_opencast_writes() {
        let smil = Smil::parse(OPENCAST).expect("sound");
        let seen: Vec<_> = smil.renditions.iter().map(|it| (&*it.path, it.bitrate_bps)).collect();
        assert_eq!(
            seen,
            [
                ("engage-player/5ab/9e2/PAES_low.mp4", 374_532),
                ("engage-player/5ab/1d6/PAES_hd.mp4", 1_187_443)
            ]
        );
        let older = OPENCAST.replace("video-bitrate", "system-bitrate");
        assert_eq!(Smil::parse(&older), Ok(smil));
    }

    #[test]
    fn what_wowza_takes() {
        let text = r#"<smil title="Rynek Cam"><head></head><body><switch>
            <video src="a.b.stream" width="1920"><param name="videoBitrate" value="4300000" valuetype="data"/></video>
            <video begin="30.0" dur="40.0" src="mp4:sample.mp4" system-bitrate="0"/>
            <audio src="mp4:/sound.m4a" audio-bitrate="64000" begin="00:01:30.5" dur="1500ms"/>
            <textstream src="video.fr.vtt" system-language="fr"/></switch></body></smil>"#;
        let smil = Smil::parse(text).expect("sound");
        assert_eq!(smil.title.as_deref(), Some("Rynek Cam"));
        let trims: Vec<_> = smil.renditions.iter().map(|it| (&*it.path, it.bitrate_bps, it.trim)).collect();
        let trim = |start_ms, duration_ms| Trim { start_ms, duration_ms };
        assert_eq!(
            trims,
            [
                ("a.b.stream.mp4", 4_300_000, trim(0, None)),
                ("sample.mp4", 0, trim(30_000, Some(40_000))),
                ("sound.m4a", 64_000, trim(90_500, Some(1500))),
            ]
        );
        assert_eq!(smil.texts, [TextStream { path: "video.fr.vtt".to_owned(), language: "fr".to_owned() }]);
    }

    #[test]
    fn wowzas_parameters_choose_tracks() {
        let text = r#"<smil><body><switch>
            <video src="a"><param name="audioOnly" value="true" valuetype="data"/></video>
            <video src="a"><param name="videoOnly" value="TRUE"/><param name="videoCodecId" value="avc1.64002A"/></video>
            <video src="a" system-bitrate="1"><param name="audioOnly" value="false"/></video>
            <textstream src="a.fr.srt"><param name="isWowzaCaptionStream" value="true"/></textstream>
            </switch></body></smil>"#;
        let smil = Smil::parse(text).expect("sound");
        let kinds: Vec<_> = smil.renditions.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [TrackSelection::Sound(0), TrackSelection::Picture, TrackSelection::Both]);
        assert_eq!(smil.texts, [TextStream { path: "a.fr.srt".to_owned(), language: "und".to_owned() }]);
    }

    #[test]
    fn faults_name_their_line() {
        for (text, said) in [
            ("<html/>", "line 1: the root element is \"html\", not \"smil\""),
            ("<smil>\n<body/></smil>", "line 1: it has no video"),
            ("<smil>\n<video/></smil>", "line 2: video without src"),
            (
                "<smil>\n\n<video src='a' system-bitrate='fast'/></smil>",
                "line 3: the bit rate \"fast\" is not a number",
            ),
            ("<smil><video src='a' begin='soon'/></smil>", "line 1: begin \"soon\" is not a time"),
        ] {
            assert_eq!(Smil::parse(text).expect_err("a fault").to_string(), said);
        }
        // A file that is cut off anywhere is a fault, never half a playlist.
        for end in 1..OPENCAST.len() {
            assert!(Smil::parse(&OPENCAST[..end]).is_err(), "{end} bytes");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(<smil>|<video src='|'/>|mp4:|begin='|[0-9:.]{1,4}|</smil>|.){0,12}") {
            let _ = Smil::parse(&text);
        }
    }
}
