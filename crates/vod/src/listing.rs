//! The list of a mount's recordings for portals: its SMIL files, with what Dublin Core says of them. Sans-IO.
//!
//! Opencast writes catalogues of Dublin Core terms. The terms are in some namespace that ends in `dc/terms/`, or in none,
//! so only their local names are compared.

use roxmltree::Document;
use serde::Serialize;

use super::report::LeftOutPart;

/// One recording of a mount, as the list's JSON shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name in URLs beneath the mount, e.g. `smil:mp_1042_presenter.smil`.
    pub path: String,
    /// The title in the catalogue, else in the SMIL file, else the file's name.
    pub title: String,
    /// `isPartOf`: the identifier of its series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// The `creator` terms, in the catalogue's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub creators: Vec<String>,
    /// `created`, or else `date`, as the catalogue has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The term `language`, as the catalogue has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// When the SMIL file was last written (RFC 3339).
    pub modified: String,
    /// URL of the multivariant playlist, relative to the mount.
    pub hls: String,
    /// URL of the DASH manifest, relative to the mount.
    pub dash: String,
    /// URL of a picture of it, relative to the mount.
    pub poster: String,
    /// What of its files is not played, as far as they have been opened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutPart>,
    /// Where its files may be, those of subtitles included, from the mount's root.
    #[serde(skip)]
    pub files: Vec<String>,
}

impl Listed {
    /// The SMIL file at `path`, with the title that it has itself.
    pub(super) fn new(path: &str, title: Option<String>, modified: String) -> Self {
        let escaped = escape(path);
        let name = path.rsplit('/').next().unwrap_or(path);
        Self {
            path: format!("smil:{path}"),
            title: title.unwrap_or_else(|| name.strip_suffix(".smil").unwrap_or(name).to_owned()),
            modified,
            hls: format!("smil:{escaped}/playlist.m3u8"),
            dash: format!("smil:{escaped}/manifest.mpd"),
            poster: format!("smil:{escaped}/poster.jpg"),
            ..Self::default()
        }
    }

    /// Takes over what a catalogue says. A text that is not a catalogue changes nothing.
    pub(super) fn describe(&mut self, catalogue: &str) {
        let Ok(document) = Document::parse(catalogue) else { return };
        if document.root_element().tag_name().name() != "dublincore" {
            return;
        }
        for node in document.root_element().children().filter(roxmltree::Node::is_element) {
            let text = node.text().map(str::trim).filter(|text| !text.is_empty());
            let Some(text) = text.map(str::to_owned) else { continue };
            match node.tag_name().name() {
                "title" => self.title = text,
                "isPartOf" => self.series = Some(text),
                "creator" => self.creators.push(text),
                "created" => self.created = Some(text),
                "date" if self.created.is_none() => self.created = Some(text),
                "language" => self.language = Some(text),
                _ => {}
            }
        }
    }
}

/// Percent-encodes what may not stand in a path (RFC 3986 §3.3).
fn escape(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(byte);
    path.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect::<Vec<_>>()
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: &str = r#"<?xml version="1.0"?>
        <dublincore xmlns="http://www.opencastproject.org/xsd/1.0/dublincore/" xmlns:dcterms="http://purl.org/dc/terms/">
          <dcterms:title>Biophysique &amp; rayons X</dcterms:title><dcterms:isPartOf>PAES-2016-S2</dcterms:isPartOf>
          <dcterms:creator>A. Curie</dcterms:creator><dcterms:creator>B. Röntgen</dcterms:creator>
          <dcterms:created>2016-02-01T08:30:00Z</dcterms:created><dcterms:language/>
        </dublincore>"#;

    #[test]
    fn a_catalogue_is_told() {
        let mut listed = Listed::new("a/b c_présent.smil", None, "2026-11-23T10:00:00Z".to_owned());
        assert_eq!(
            (&*listed.title, &*listed.hls),
            ("b c_présent", "smil:a/b%20c_pr%C3%A9sent.smil/playlist.m3u8")
        );
        listed.describe("<html>no catalogue</html>");
        listed.describe("nothing at all");
        listed.describe(CATALOGUE);
        assert_eq!(listed.title, "Biophysique & rayons X");
        assert_eq!(listed.series.as_deref(), Some("PAES-2016-S2"));
        assert_eq!(listed.creators, ["A. Curie", "B. Röntgen"]);
        assert_eq!((listed.created.as_deref(), listed.language), (Some("2016-02-01T08:30:00Z"), None));
    }
}
