//! Parsed playlists that players share: bytes that were fetched from the same URL before are not parsed again.

use std::collections::HashMap;
use std::sync::Arc;

use url::{Position, Url};

use super::fault::ExchangeError;
use amphi_container::hls::{self, MediaPlaylist, ParsedPlaylist, VariantStream};
use amphi_media::Lock;

/// Most URLs that are kept: a server that names a new playlist every time must not fill the memory.
const KEPT: usize = 10_000;

/// A playlist whose URIs are paths on the tested server.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    Multivariant(Vec<PlayableVariant>),
    Media(MediaPlaylist),
}

/// One entry of a multivariant playlist.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlayableVariant {
    pub(super) url: Url,
    pub(super) bandwidth_bps: u64,
    pub(super) audio: Option<Url>,
}

/// A playlist as it came, and what was read in it.
type KnownPlaylist = (Arc<[u8]>, Arc<Read>);

/// For each URL the newest bytes, and the playlist in them.
#[derive(Debug, Default)]
pub(super) struct MediaLibrary(Lock<HashMap<String, KnownPlaylist>>);

impl MediaLibrary {
    /// The playlist in `text`, which was fetched from `url`.
    pub(super) fn read(&self, url: &Url, text: &[u8]) -> Result<Arc<Read>, ExchangeError> {
        // Compared without the lock: all players of a test come by here.
        let known = self.0.lock().get(url.as_str()).cloned();
        if let Some((same, read)) = known
            && *same == *text
        {
            return Ok(read);
        }
        let parsed = std::str::from_utf8(text).ok().and_then(|text| hls::parse(text).ok());
        let read = Arc::new(resolved(parsed.ok_or(ExchangeError::Content("not a playlist"))?, url)?);
        let mut known = self.0.lock();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(url.to_string(), (text.into(), Arc::clone(&read)));
        Ok(read)
    }
}

fn resolved(playlist: ParsedPlaylist, base: &Url) -> Result<Read, ExchangeError> {
    let join = |uri: &str| {
        let joined =
            base.join(uri).map_err(|_| ExchangeError::Content("a playlist with a URI that is not valid"))?;
        let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        if place(&joined) == place(base) {
            Ok(joined)
        } else {
            Err(ExchangeError::Content("a playlist that names another server"))
        }
    };
    Ok(match playlist {
        ParsedPlaylist::Multivariant(playlist) => {
            let variant = |it: &VariantStream| {
                Ok::<_, ExchangeError>(PlayableVariant {
                    url: join(&it.uri)?,
                    bandwidth_bps: it.bandwidth_bps,
                    audio: playlist.sound_of(it).map(join).transpose()?,
                })
            };
            Read::Multivariant(playlist.variants.iter().map(variant).collect::<Result<_, _>>()?)
        }
        ParsedPlaylist::Media(mut media) => {
            let path = |uri: &str| join(uri).map(|url| path(&url).to_owned());
            media.map = media.map.as_deref().map(path).transpose()?;
            for segment in &mut media.segments {
                segment.uri = path(&segment.uri)?;
            }
            Read::Media(media)
        }
    })
}

/// Path and query, as a request line has them.
pub(super) fn path(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_not_read_again_and_other_servers_are_left_alone() {
        let library = MediaLibrary::default();
        let url = Url::parse("http://h:1/a/b.m3u8?t=1").expect("an URL");
        let text = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nc.ts?x=2\n";
        let first = library.read(&url, text).expect("a playlist");
        let Read::Media(media) = &*first else { panic!("it is a media playlist") };
        assert_eq!(media.segments[0].uri, "/a/c.ts?x=2");
        assert!(Arc::ptr_eq(&first, &library.read(&url, text).expect("the same")));
        let newer = text.iter().copied().chain(*b"#EXT-X-ENDLIST\n").collect::<Vec<_>>();
        assert!(!Arc::ptr_eq(&first, &library.read(&url, &newer).expect("another")));
        let elsewhere = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://other/c.ts\n";
        assert!(library.read(&url, elsewhere).is_err());
        assert!(library.read(&url, b"<html>").is_err());
    }
}
