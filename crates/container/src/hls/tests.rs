//! Reads what was written, here and with another parser; and reads playlists of other servers.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use amphi_media::MediaTime;

fn media(text: &str) -> MediaPlaylist {
    match parse(text) {
        Ok(ParsedPlaylist::Media(media)) => media,
        other => panic!("it is a media playlist: {other:?}"),
    }
}

fn multivariant(text: &str) -> MultivariantPlaylist {
    match parse(text) {
        Ok(ParsedPlaylist::Multivariant(multivariant)) => multivariant,
        other => panic!("it is a multivariant playlist: {other:?}"),
    }
}

#[test]
fn an_entry_for_sync_samples_without_what_it_needs_is_left_out() {
    let text = "#EXTM3U\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1\n#EXT-X-I-FRAME-STREAM-INF:URI=\"i.m3u8\"\n\
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,URI=\"j.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n";
    let playlist = multivariant(text);
    let i_frames: Vec<_> = playlist.i_frames.iter().map(|it| (&*it.uri, it.bandwidth_bps)).collect();
    assert_eq!((playlist.variants.len(), i_frames), (1, vec![("j.m3u8", 9)]));
}

#[test]
fn media_playlists_are_read() {
    let text = "#EXTM3U\r\n#EXT-X-TARGETDURATION:2\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n#EXT-X-MAP:URI=\"i.mp4\"\r\n\
                #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:10.000Z\r\n#EXTINF:2.0,\r\nx.m4s\r\n\
                #EXT-X-DISCONTINUITY\n#EXTINF:1.5,\ny.m4s\n";
    let media = media(text);
    assert_eq!((media.media_sequence, media.target_duration_s, media.map.as_deref()), (7, 2, Some("i.mp4")));
    let listed = |it: &MediaSegment| {
        let ends = it.program_date_time.map(|date| (date + it.duration).as_millis());
        (it.uri.clone(), ends, it.is_discontinuous)
    };
    let listed: Vec<_> = media.segments.iter().map(listed).collect();
    assert_eq!(listed, [("x.m4s".into(), Some(12_000), false), ("y.m4s".into(), Some(13_500), true)]);
    assert!(!media.is_ended);
    let fault = parse("<html>").expect_err("no playlist").to_string();
    assert_eq!(fault, "line 1: it does not begin with EXTM3U (§4.3.1.1)");
    let fault = parse("#EXTM3U\n\n#EXTINF:x,\nx.m4s").expect_err("no number").to_string();
    assert_eq!(fault, "line 3: the duration is no number (§4.3.2.1)");
}

#[test]
fn variants_come_with_their_sound() {
    let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x, y\",URI=\"de.m3u8\"\n\
                #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,URI=\"en.m3u8\"\n\
                #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"b\",NAME=\"in\"\n\
                #EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=1,BANDWIDTH=5,CODECS=\"a,b\",AUDIO=\"a\"\nhigh.m3u8\n\
                #EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"b\"\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb.m3u8\n";
    let playlist = multivariant(text);
    let said = playlist.variants.iter().map(|it| (&*it.uri, it.bandwidth_bps, playlist.sound_of(it)));
    assert_eq!(
        said.collect::<Vec<_>>(),
        [("high.m3u8", 5, Some("en.m3u8")), ("low.m3u8", 2, None), ("b.m3u8", 1, None)]
    );
}

#[test]
fn a_multivariant_playlist_is_read_as_it_was_written() {
    let rendition = |kind, name: &str, language: Option<&str>, is_default| AlternativeRendition {
        kind,
        group: "g".to_owned(),
        name: name.to_owned(),
        language: language.map(str::to_owned),
        channels: (kind == RenditionType::Audio).then_some(2),
        uri: Some(format!("{name}.m3u8")),
        is_default,
    };
    let codecs = vec!["avc1.64001F".to_owned(), "mp4a.40.2".to_owned()];
    let playlist = MultivariantPlaylist {
        has_independent_segments: true,
        renditions: vec![
            rendition(RenditionType::Audio, "fr 1", Some("fr"), true),
            rendition(RenditionType::Subtitles, "de, ch", Some("de-CH"), false),
        ],
        variants: vec![VariantStream {
            uri: "high.m3u8".to_owned(),
            bandwidth_bps: 800_000,
            average_bps: Some(700_000),
            codecs: codecs.clone(),
            resolution: Some((1280, 720)),
            frame_rate: Some(12.5),
            audio: Some("g".to_owned()),
            subtitles: Some("g".to_owned()),
        }],
        i_frames: vec![IFrameStream {
            uri: "i.m3u8".to_owned(),
            bandwidth_bps: 9000,
            codecs: codecs[..1].to_vec(),
            resolution: None,
        }],
    };
    let text = playlist.to_string();
    assert_eq!(multivariant(&text), playlist, "{text}");
    let other = hls_m3u8::MasterPlaylist::try_from(&*text).expect("a strict reader takes it");
    assert_eq!(other.to_string(), text, "and would have written the same");
}

#[test]
fn bandwidths_are_unequal_in_a_group_and_in_the_order_of_the_nominal_rates() {
    let load = |group, nominal_bps, peak_bps| VariantLoad { group, nominal_bps, peak_bps };
    let loads = [load('a', 9, 3), load('a', 5, 20), load('b', 5, 5), load('a', 5, 5), load('b', 0, 0)];
    assert_eq!(bandwidths(&loads), [21, 20, 5, 5, 1]);
    let later = [load('a', 20, 20), load('a', 20, 20), load('a', 3, 3)];
    assert_eq!(bandwidths_beside(&[21, 20, 23], &later), [24, 22, 3]);
}

fn segment() -> impl Strategy<Value = MediaSegment> {
    ("[a-z]{1,8}\\.m4s", 0..100_000_u64, any::<bool>()).prop_map(|(uri, ms, is_discontinuous)| MediaSegment {
        uri,
        duration: Duration::from_millis(ms),
        program_date_time: None,
        is_discontinuous,
    })
}

proptest! {
    #[test]
    fn a_media_playlist_is_read_as_it_was_written(
        segments in prop::collection::vec(segment(), 0..9), flags in any::<[bool; 5]>(),
        (target_duration_s, media_sequence, date) in (1..99_u64, any::<u32>(), 0..1_i64 << 40),
    ) {
        let [is_vod, has_independent_segments, is_i_frames_only, has_map, is_ended] = flags;
        let map = has_map.then(|| "init.mp4".to_owned());
        let mut playlist = MediaPlaylist {
            target_duration_s,
            media_sequence: media_sequence.into(),
            is_vod,
            has_independent_segments,
            is_i_frames_only,
            map,
            segments,
            is_ended,
        };
        if !is_vod {
            let mut next = MediaTime::from_millis(date);
            for segment in &mut playlist.segments {
                segment.program_date_time = Some(next);
                next = next + segment.duration;
            }
        }
        let text = playlist.to_string();
        prop_assert_eq!(media(&text), playlist, "{}", text);
    }

    #[test]
    fn nothing_panics(text in "#EXTM3U(\n|#EXT-X-|STREAM-INF:|MEDIA|MAP|INF|[A-Z]{1,9}=|\"|,|:|[0-9.]{1,9}|.){0,40}") {
        let _ = parse(&text);
    }

    #[test]
    fn a_base_stands_before_every_address_and_nowhere_else(
        uris in prop::collection::vec("[a-z0-9_:%.]{1,12}", 3), name in "[a-zA-Z ,:=]{0,12}|x,URI=",
    ) {
        let text = format!(
            "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"{name}\",URI=\"{}\"\n#EXT-X-SESSION-DATA:URI=\"{}\",DATA-ID=\"u\"\n\
             #EXT-X-STREAM-INF:BANDWIDTH=1\n{}\n",
            uris[0], uris[1], uris[2]
        );
        let expected = format!(
            "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"{name}\",URI=\"../~g/{}\"\n#EXT-X-SESSION-DATA:URI=\"../~g/{}\",\
             DATA-ID=\"u\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n../~g/{}\n",
            uris[0], uris[1], uris[2]
        );
        prop_assert_eq!(rebased(&text, "../~g/"), expected);
    }
}
