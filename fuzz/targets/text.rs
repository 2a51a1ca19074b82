//! Subtitles and chapters in files and in samples of mp4 files, HLS playlists, DASH manifests.

#![no_main]

use amphi_container::dash::Mpd;
use amphi_container::hls;
use amphi_container::mp4::{TextCoding, chapters_of};
use amphi_container::testing::text_track;
use amphi_container::webvtt::{self, TimedText};
use amphi_media::charset::WINDOWS_1252;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((kind, samples)) = data.split_first_chunk::<4>()
        && let Some(coding) = coding(kind)
    {
        // Two samples, so that one may go on in the other.
        let sizes = [samples.len() / 2, samples.len() - samples.len() / 2].map(|size| size as u32);
        let track = text_track(coding, &sizes);
        check(&track.read_samples(samples));
        let _ = chapters_of(&track, samples);
        return;
    }
    check(&TimedText::of_bytes(data, WINDOWS_1252));
    let text = String::from_utf8_lossy(data);
    let _ = webvtt::plain(&text);
    let _ = hls::parse(&text).map(|playlist| match playlist {
        hls::ParsedPlaylist::Media(media) => media.to_string(),
        hls::ParsedPlaylist::Multivariant(multivariant) => {
            let sounds = multivariant.variants.iter().map(|variant| multivariant.sound_of(variant));
            format!("{multivariant}{:?}", sounds.collect::<Vec<_>>())
        }
    });
    let _ = Mpd::parse(&text).map(|mpd| mpd.to_string());
});

fn coding(kind: &[u8; 4]) -> Option<TextCoding> {
    match kind {
        b"tx3g" => Some(TextCoding::TimedText),
        b"text" => Some(TextCoding::QuickTime),
        b"wvtt" => Some(TextCoding::Wvtt { header: "WEBVTT\n\nSTYLE\n::cue {}".to_owned() }),
        b"stpp" => Some(TextCoding::Stpp),
        _ => None,
    }
}

/// What is written is read, and is the same.
fn check(text: &TimedText) {
    let end = text.cues.iter().map(|cue| cue.end_ms).max().unwrap_or(0);
    let again = TimedText::of(&webvtt::whole(text, 0..end));
    assert_eq!(again.cues.len(), text.cues.len(), "{text:?}\n{again:?}");
    for (first, second) in text.cues.iter().zip(&again.cues) {
        assert!(first.start_ms < first.end_ms && (first.start_ms, first.end_ms) == (second.start_ms, second.end_ms));
        assert_eq!(first.text.trim(), second.text.trim());
    }
    let _ = webvtt::segment(text, 0);
    let _ = webvtt::playlist(|part| part.to_string(), 0..end.min(1 << 24));
}
