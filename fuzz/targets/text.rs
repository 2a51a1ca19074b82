//! Subtitles and chapters, HLS playlists, DASH manifests.

#![no_main]

use amphi_container::dash::Mpd;
use amphi_container::hls;
use amphi_container::webvtt::TimedText;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = TimedText::of(&text);
    let _ = hls::parse(&text).map(|playlist| match playlist {
        hls::ParsedPlaylist::Media(media) => media.to_string(),
        hls::ParsedPlaylist::Multivariant(multivariant) => multivariant.to_string(),
    });
    let _ = Mpd::parse(&text).map(|mpd| mpd.to_string());
});
