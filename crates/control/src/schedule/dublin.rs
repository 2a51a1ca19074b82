//! Opencast's Dublin Core: the metadata of an episode or a series, as XML.
//!
//! A document type declaration is refused (roxmltree's default), so entities cannot be expanded without bound.

const TERMS: &str = "http://purl.org/dc/terms/";

/// The metadata that we use of an episode or a series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DublinCore {
    /// `dcterms:title`, the first one.
    pub title: Option<String>,
    /// `dcterms:identifier`, the first one.
    pub identifier: Option<String>,
    /// `dcterms:isPartOf`: the series' identifier.
    pub is_part_of: Option<String>,
    /// `dcterms:creator`, all of them: the presenters.
    pub creators: Vec<String>,
    /// `dcterms:spatial`: the capture agent.
    pub spatial: Option<String>,
}

/// Reads the metadata; `None` if `text` is not XML.
pub fn read(text: &str) -> Option<DublinCore> {
    let document = roxmltree::Document::parse(text.trim_start_matches('\u{feff}').trim_start()).ok()?;
    let all = |name: &str| -> Vec<String> {
        let of_name = document.descendants().filter(|node| node.has_tag_name((TERMS, name)));
        let texts = of_name.filter_map(|node| Some(node.text()?.trim().to_owned()));
        texts.filter(|text| !text.is_empty()).collect()
    };
    let first = |name: &str| all(name).into_iter().next();
    Some(DublinCore {
        title: first("title"),
        identifier: first("identifier"),
        is_part_of: first("isPartOf"),
        creators: all("creator"),
        spatial: first("spatial"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_read_and_a_document_type_is_refused() {
        let text = "<?xml version=\"1.0\"?><dublincore xmlns:dcterms=\"http://purl.org/dc/terms/\">\
                    <dcterms:title> PAES_2016_S2 </dcterms:title><dcterms:creator>A</dcterms:creator>\
                    <dcterms:creator>B &amp; C</dcterms:creator><dcterms:isPartOf/></dublincore>";
        let read_text = read(text).expect("XML");
        assert_eq!(read_text.title.as_deref(), Some("PAES_2016_S2"));
        assert_eq!(read_text.creators, ["A", "B & C"]);
        assert_eq!((read_text.identifier, read_text.is_part_of), (None, None));
        assert_eq!(read("<!DOCTYPE x [<!ENTITY a \"b\">]><x>&a;</x>"), None);
        assert_eq!(read("no XML"), None);
    }
}
