//! How a viewer's right is carried on: by a grant in the path of everything that an entry names.
//!
//! All our addresses are relative, so a playlist behind a grant needs no change. One that is fetched without a grant, or with one
//! that has ended, gets the way to the fresh grant in front of each address.

use http::HeaderValue;
use http::header::CACHE_CONTROL;

use super::answer::{Answer, DASH, FoundFile, PLAYLIST};
use super::document_cache::{FoundDocument, StoredDocument};
use crate::delivery::address::Address;
use amphi_access::Admission;
use amphi_container::{dash, hls};
use amphi_http::ETag;
use amphi_media::Segment;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What has to be done with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carry {
    /// Nothing: everybody may have it, or the grant in its path says who.
    Plain,
    /// It is for this viewer, and no cache may give it to others.
    Private,
    /// What it names is behind this relative path, and so is the file itself, which has this name.
    Behind {
        /// Ends with a slash.
        base: String,
        file: String,
        /// Players fetch it again from there.
        is_live: bool,
    },
}

impl Carry {
    /// For the answer to a request of `path`, of which `address` was read.
    pub(super) fn new(admission: Admission, path: &str, address: &Address<'_>, is_live: bool) -> Self {
        match admission {
            Admission::Open | Admission::Carried => Self::Plain,
            Admission::Shown => Self::Private,
            Admission::Granted(grant) => {
                let (names, file) = path.rsplit_once('/').unwrap_or_default();
                // The path begins with a slash, and its first name is the application.
                let up = "../".repeat(names.matches('/').count().saturating_sub(1));
                let stream = address.stream_path().map(|stream| stream + "/").unwrap_or_default();
                Self::Behind { base: format!("{up}{grant}/{stream}"), file: file.to_owned(), is_live }
            }
        }
    }

    /// The text of a playlist or manifest, rewritten if it has to be.
    fn rewritten(&self, text: &[u8], content_type: &HeaderValue) -> Option<String> {
        let Self::Behind { base, file, is_live } = self else { return None };
        let text = str::from_utf8(text).ok()?;
        if *content_type == PLAYLIST {
            return Some(hls::rebased(text, base));
        }
        let location = is_live.then(|| format!("{base}{file}"));
        (*content_type == DASH).then(|| dash::rebased(text, base, location.as_deref()))
    }

    /// A file of a channel, as this viewer gets it.
    pub(super) fn file(&self, found: FoundFile) -> FoundFile {
        match self.rewritten(&found.bytes.pieces().concat(), &found.content_type) {
            Some(text) if matches!(self, Self::Behind { .. }) => {
                let etag = Some(ETag::of(text.as_bytes()));
                FoundFile {
                    bytes: Segment::from(bytes::Bytes::from(text)),
                    cache_control: NO_STORE,
                    etag,
                    ..found
                }
            }
            _ => found,
        }
    }

    /// A document about a recording, as this viewer gets it.
    pub(super) fn document(&self, found: FoundDocument) -> FoundDocument {
        match self.rewritten(found.document.bytes(), &found.content_type) {
            Some(text) => {
                FoundDocument { document: StoredDocument::of(text), cache_control: NO_STORE, ..found }
            }
            None => found,
        }
    }

    /// Says what caches may do with the answer.
    pub(super) fn answer(&self, (kind, mut response): Answer) -> Answer {
        if *self == Self::Private && response.status().is_success() {
            let field = response.headers().get(CACHE_CONTROL).and_then(|field| field.to_str().ok());
            let private = field.and_then(|text| text.strip_prefix("public")).unwrap_or(", no-cache");
            let private = HeaderValue::try_from(format!("private{private}")).unwrap_or(NO_STORE);
            response.headers_mut().insert(CACHE_CONTROL, private);
        }
        (kind, response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::address;

    #[test]
    fn the_way_to_the_grant_is_right_from_every_path() {
        let grant = "~1795000800-36af-a029e671333f6550d07fd054";
        let other = "~1794999900-36af-0123456789abcdef01234567";
        for (path, is_mount, meant) in [
            ("/A/playlist.m3u8".to_owned(), false, format!("/A/{grant}/x.m3u8")),
            ("/A/live/playlist.m3u8".to_owned(), false, format!("/A/{grant}/live/x.m3u8")),
            (
                "/A/_definst_/live_720p/playlist.m3u8".to_owned(),
                false,
                format!("/A/{grant}/live_720p/x.m3u8"),
            ),
            (format!("/A/{other}/live/playlist.m3u8"), false, format!("/A/{grant}/live/x.m3u8")),
            (format!("/A/{other}/playlist.m3u8"), false, format!("/A/{grant}/x.m3u8")),
            ("/A/ngrp%3Alive_all/manifest.mpd".to_owned(), false, format!("/A/{grant}/ngrp:live_all/x.m3u8")),
            (
                "/vod/smil:a/b%20c.smil/playlist.m3u8".to_owned(),
                true,
                format!("/vod/{grant}/smil:a/b%20c.smil/x.m3u8"),
            ),
            (
                "/vod/_definst_/é/playlist.m3u8".to_owned(),
                true,
                format!("/vod/{grant}/mp4:%C3%A9.mp4/x.m3u8"),
            ),
        ] {
            let names = path[1..].rsplit_once('/').expect("a file").0;
            let address = address::parse(names, |_| is_mount).expect("an address");
            let carry = Carry::new(Admission::Granted(grant.to_owned()), &path, &address, true);
            let Carry::Behind { base, .. } = carry else { panic!("{carry:?}") };
            let page = url::Url::parse(&format!("https://host/prefix{path}")).expect("an address");
            let onward = page.join(&format!("{base}x.m3u8")).expect("an address");
            assert_eq!(onward.path(), format!("/prefix{meant}"), "{path}");
            // What is behind the grant is the same thing.
            let again = onward
                .path()
                .strip_prefix("/prefix/")
                .expect("beneath it")
                .rsplit_once('/')
                .expect("a file")
                .0;
            let again = address::parse(again, |_| is_mount).expect("an address");
            assert_eq!(
                (again.app, again.stream, again.grant.as_deref()),
                (address.app, address.stream, Some(grant))
            );
        }
    }
}
