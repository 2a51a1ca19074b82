//! AC-3 and E-AC-3 as they are in the file, beside the AAC that is made of them.

use std::sync::Arc;

use super::*;
use amphi_container::dash::{ChannelConfiguration, ContentType, Mpd, RepresentationFormat};
use amphi_container::hls::{self, MultivariantPlaylist, ParsedPlaylist};
use amphi_container::isobmff::{Boxes, put_box};
use amphi_container::mp4::TrackMedia;
use amphi_container::testing::{edit_list, moov, put, track_rewritten};

/// 48 kHz, 5.1, 384 kbit/s: packets of 1536 bytes.
const DAC3: &[u8] = &[0x10, 0x3d, 0xc0];
/// 48 kHz, stereo, 192 kbit/s.
const STEREO: &[u8] = &[0x10, 0x11, 0x40];
const SIZE: u32 = 1536;
/// 5.1, and both rear surrounds in a dependent substream.
const DEC3: &[u8] = &[0x0c, 0, 0x20, 0x0f, 0x02, 0x02];

/// The fixture with sound of this kind and box in packets of [`SIZE`] bytes, for the 20 seconds of its picture. What its packets
/// hold is nonsense.
fn film(kind: [u8; 4], config: &[u8], size: u32) -> Movie {
    let (moov, at, _) = moov();
    let read = Boxes::new(&moov, at).next().expect("a box").expect("sound");
    let name = if kind == *b"ec-3" { *b"dec3" } else { *b"dac3" };
    let edited = track_rewritten(&read, *b"soun", &mut |edited, body| match edited {
        b"stsd" => {
            body.truncate(8);
            put_box(body, kind, |out| {
                out.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 16]);
                out.extend([0, 0, 0, 0, 0xbb, 0x80, 0, 0]);
                put_box(out, name, |out| out.extend(config));
            });
        }
        b"stts" => {
            let count = 20 * 48_000 / 1536;
            body.truncate(4);
            body.extend([1_u32, count, 1536].into_iter().flat_map(u32::to_be_bytes));
        }
        b"stsz" => {
            body.truncate(12);
            put(body, 4, size);
            put(body, 8, 20 * 48_000 / 1536);
        }
        b"stsc" => {
            body.truncate(4);
            body.extend([1_u32, 1, 1, 1].into_iter().flat_map(u32::to_be_bytes));
        }
        b"stco" => {
            body.truncate(4);
            body.extend((20 * 48_000_u32 / 1536).to_be_bytes());
            body.extend((0..20 * 48_000 / 1536).flat_map(|place: u32| (5000 + 2000 * place).to_be_bytes()));
        }
        b"edts" => *body = edit_list(&[(20_000, 0, 1)]),
        _ => {}
    });
    Movie::parse(&edited, at, 10_000_000).and_then(|movie| movie.finish(at)).expect("sound")
}

/// The film with its sound twice: in French and in English.
fn in_two_languages(mut movie: Movie) -> Movie {
    let mut second = movie.audio[0].clone();
    (movie.audio[0].language, second.language) = ("fra".into(), "eng".into());
    movie.audio.push(second);
    movie
}

fn presentation(movie: Movie) -> Presentation {
    let recording = Arc::new(Recording::for_tests(movie));
    let rendition = Rendition { recording, trim: Trim::default(), kind: TrackSelection::Both };
    Presentation { renditions: vec![rendition], smil: None }
}

/// The text with `k` for the key and `t` for the tag.
fn plain(text: &str, played: &Presentation) -> String {
    let names = &played.renditions[0].recording.names;
    text.replace(&names.key, "k").replace(&names.tag, "t")
}

fn playlist(played: &Presentation) -> (String, MultivariantPlaylist) {
    let text = plain(&played.multivariant(Trim::default(), &[]), played);
    match hls::parse(&text) {
        Ok(ParsedPlaylist::Multivariant(read)) => (text, read),
        other => panic!("{other:?}"),
    }
}

fn manifest(played: &Presentation) -> (String, Mpd) {
    let text = plain(&played.manifest(Trim::default(), &[]), played);
    let read = Mpd::parse(&text).expect("a manifest");
    (text, read)
}

/// The representations of a manifest.
fn ids(played: &Presentation) -> Vec<String> {
    let sets = manifest(played).1.adaptation_sets;
    sets.into_iter().flat_map(|set| set.representations.into_iter().map(|it| it.id)).collect()
}

#[test]
fn the_same_pictures_are_listed_again_with_ac3() {
    let (text, _) = playlist(&presentation(in_two_languages(film(*b"ac-3", DAC3, SIZE))));
    assert_eq!(
        text,
        "#EXTM3U\n\
         #EXT-X-MEDIA:TYPE=AUDIO,URI=\"chunklist_k_t_a0.m3u8\",GROUP-ID=\"sound0\",LANGUAGE=\"fra\",NAME=\"fra 1\",DEFAULT=YES,\
         AUTOSELECT=YES,CHANNELS=\"2\"\n\
         #EXT-X-MEDIA:TYPE=AUDIO,URI=\"chunklist_k_t_a1.m3u8\",GROUP-ID=\"sound0\",LANGUAGE=\"eng\",NAME=\"eng 2\",\
         AUTOSELECT=YES,CHANNELS=\"2\"\n\
         #EXT-X-MEDIA:TYPE=AUDIO,URI=\"chunklist_k_t_f0.m3u8\",GROUP-ID=\"dolby0\",LANGUAGE=\"fra\",NAME=\"fra 1\",DEFAULT=YES,\
         AUTOSELECT=YES,CHANNELS=\"6\"\n\
         #EXT-X-MEDIA:TYPE=AUDIO,URI=\"chunklist_k_t_f1.m3u8\",GROUP-ID=\"dolby0\",LANGUAGE=\"eng\",NAME=\"eng 2\",\
         AUTOSELECT=YES,CHANNELS=\"6\"\n\
         #EXT-X-STREAM-INF:BANDWIDTH=328158,AVERAGE-BANDWIDTH=306243,CODECS=\"avc1.640029,mp4a.40.2\",\
         RESOLUTION=1280x720,FRAME-RATE=15.000,AUDIO=\"sound0\"\n\
         chunklist_k_t_v.m3u8\n\
         #EXT-X-STREAM-INF:BANDWIDTH=584250,AVERAGE-BANDWIDTH=561788,CODECS=\"avc1.640029,ac-3\",\
         RESOLUTION=1280x720,FRAME-RATE=15.000,AUDIO=\"dolby0\"\n\
         chunklist_k_t_v.m3u8\n\
         #EXT-X-I-FRAME-STREAM-INF:URI=\"iframes_k_t.m3u8\",BANDWIDTH=126835,CODECS=\"avc1.640029\",\
         RESOLUTION=1280x720\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n"
    );
    hls_m3u8::MasterPlaylist::try_from(&*text).expect("another reader takes it");
}

#[test]
fn what_comes_first_is_as_it_is_without_it() {
    let movies = [film(*b"ac-3", DAC3, SIZE), film(*b"ac-3", &[0; 3], SIZE)];
    let [with, without] = movies.map(|movie| playlist(&presentation(in_two_languages(movie))).1);
    assert_eq!((with.variants.len(), without.variants.len()), (2, 1));
    assert_eq!(
        (&with.variants[..1], &with.renditions[..2]),
        (&without.variants[..], &without.renditions[..])
    );
    assert_eq!(with.i_frames, without.i_frames);
}

#[test]
fn one_sound_stays_beside_its_pictures_over_hls() {
    let played = presentation(film(*b"ac-3", DAC3, SIZE));
    let (text, read) = playlist(&played);
    let said: Vec<_> = read.variants.iter().map(|it| (&*it.uri, it.codecs.join(","))).collect();
    assert_eq!(said, [("chunklist_k_t.m3u8", "avc1.640029,mp4a.40.2".to_owned())], "{text}");
    assert!(read.renditions.is_empty());
    assert_eq!(ids(&played), ["k_v", "k_a0", "k_f0"]);
}

#[test]
fn a_box_that_is_wrong_is_not_passed_on() {
    // Packets of another size, a bit stream of E-AC-3, a rate that the track does not have.
    for (config, size) in
        [(DAC3, 1000), (&[0x20, 0x3d, 0xc0][..], SIZE), (&[0xd0, 0x3d, 0xc0], SIZE), (&[0; 3], SIZE)]
    {
        let played = presentation(in_two_languages(film(*b"ac-3", config, size)));
        assert!(!playlist(&played).0.contains("dolby"), "{config:x?}");
        assert_eq!(manifest(&played).1.adaptation_sets.len(), 3, "{config:x?}");
        let recording = &played.renditions[0].recording;
        let kind = TrackSelection::InFile(0);
        assert!(recording.init(kind).is_none() && recording.media_playlist(kind, Trim::default()).is_none());
        assert!(recording.cuts_of(kind, Trim::default()).is_none() && recording.cut_at(kind, 0).is_none());
    }
    let aac = presentation({
        let (moov, at, len) = moov();
        Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound")
    });
    assert!(aac.renditions[0].recording.tracks(TrackSelection::InFile(0)).is_none());
}

#[test]
fn sound_with_holes_is_filled_up_as_aac_alone() {
    let whole = in_two_languages(film(*b"ac-3", DAC3, SIZE));
    let edited = |edit: &dyn Fn(&mut Track)| {
        let mut movie = whole.clone();
        edit(&mut movie.audio[0]);
        let played = presentation(movie);
        (playlist(&played).0.contains("_f0.m3u8"), ids(&played).contains(&"k_f0".to_owned()))
    };
    assert_eq!(edited(&|_| {}), (true, true));
    // 160 ms are not noticed, 320 ms are: at the end, and at the beginning.
    assert_eq!(edited(&|track| track.end -= 5), (true, true));
    assert_eq!(edited(&|track| track.end -= 10), (false, false));
    assert_eq!(edited(&|track| track.origin = -5 * 1536), (true, true));
    assert_eq!(edited(&|track| track.origin = -10 * 1536), (false, false));
}

#[test]
fn every_segment_has_the_packets_of_the_file() {
    for film in [film(*b"ac-3", STEREO, 768), film(*b"ec-3", DEC3, SIZE)] {
        let mut alone = film.clone();
        alone.video = None;
        for movie in [film, alone] {
            let packets = movie.audio[0].clone();
            let recording = Recording::for_tests(movie);
            let kind = TrackSelection::InFile(0);
            let cuts = recording.cuts_of(kind, Trim::default()).expect("cuts");
            assert!(cuts.len() > 3 && cuts.windows(2).all(|pair| pair[0].to == pair[1].from), "{cuts:?}");
            assert_eq!((cuts[0].from, cuts[cuts.len() - 1].to), (packets.begin, packets.end));
            for cut in cuts {
                let layout = recording.segment(kind, cut.from, cut.to).expect("a segment");
                let by_time = recording.segment_at(kind, cut.start).expect("the same");
                assert_eq!((&by_time.head, &by_time.extents), (&layout.head, &layout.extents));
                let bytes: u64 = layout.extents.iter().map(|extent| extent.len).sum();
                let is_there = |extent: &Extent| {
                    layout.extents.iter().any(|it| (it.offset..it.end()).contains(&extent.offset))
                };
                assert!(packets.samples.extents(cut.from, cut.to).iter().all(is_there));
                assert!(bytes >= packets.samples.bytes(cut.from, cut.to) && !recording.is_transcoded(kind));
            }
            let listed = recording.media_playlist(kind, Trim::default()).expect("a playlist");
            hls_m3u8::MediaPlaylist::try_from(&*listed).expect("another reader takes it");
            let part = Trim { start_ms: 6000, duration_ms: Some(5000) };
            let part = recording.media_playlist(kind, part).expect("a playlist");
            assert!(part.matches("#EXTINF").count() < listed.matches("#EXTINF").count(), "{part}");
        }
    }
}

#[test]
fn the_initialization_section_has_the_entry() {
    for (kind, config, codec, channels) in
        [(*b"ac-3", DAC3, "ac-3", 6), (*b"sac3", DAC3, "ac-3", 6), (*b"ec-3", DEC3, "ec-3", 8)]
    {
        let recording = Recording::for_tests(film(kind, config, SIZE));
        let init = recording.init(TrackSelection::InFile(0)).expect("a section");
        let moov = Boxes::new(&init, 0).nth(1).expect("an index").expect("sound");
        let read = Movie::parse(moov.whole, moov.at, init.len() as u64).expect("an index");
        let coding = &read.audio[0].coding;
        assert_eq!((&*coding.codec, coding.entry.get(4..8)), (codec, Some(codec.as_bytes())));
        assert!(matches!(coding.media, TrackMedia::Audio { sample_rate: 48_000, .. }));
        let dolby = coding.dolby().expect("a box");
        assert_eq!((dolby.channels(), dolby.sample_rate), (channels, 48_000));
        let begin =
            init.windows(4).position(|word| word == [b"dac3", b"dec3"][usize::from(kind == *b"ec-3")]);
        assert_eq!(
            init.get(begin.expect("a box") + 4..).and_then(|rest| rest.get(..config.len())),
            Some(config)
        );
    }
}

#[test]
fn a_second_set_has_the_same_sound() {
    for (kind, config, codec, places) in [(*b"ac-3", DAC3, "ac-3", 0xf801), (*b"ec-3", DEC3, "ec-3", 0xfa01)]
    {
        let mut movie = film(kind, config, SIZE);
        movie.audio[0].label.name = Some("Salle".to_owned());
        let (text, read) = manifest(&presentation(movie));
        let [picture, first, second] = &read.adaptation_sets[..] else { panic!("{text}") };
        assert_eq!((picture.id, first.id, second.id), (0, 1, 2));
        assert_eq!(
            (first.selection_priority, second.selection_priority),
            (None, Some(0)),
            "AAC is the default"
        );
        assert_eq!((&first.language, &first.label), (&second.language, &second.label));
        assert_eq!(second.content, ContentType::Audio);
        assert_eq!(
            (&*first.representations[0].codecs, &*second.representations[0].codecs),
            ("mp4a.40.2", codec)
        );
        assert_eq!((&*first.representations[0].id, &*second.representations[0].id), ("k_a0", "k_f0"));
        let channels = Some(ChannelConfiguration::Places(places));
        assert_eq!(
            second.representations[0].format,
            RepresentationFormat::Audio { sample_rate: 48_000, channels }
        );
        let said =
            format!("tag:dolby.com,2014:dash:audio_channel_configuration:2011\" value=\"{places:04X}\"");
        assert!(text.contains(&said), "{text}");
    }
}

#[test]
fn both_groups_have_all_languages() {
    let mut movie = film(*b"ac-3", DAC3, SIZE);
    let (moov, at, len) = moov();
    let mut aac =
        Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound").audio.remove(0);
    let mut second = movie.audio[0].clone();
    (movie.audio[0].language, aac.language, second.language) = ("fra".into(), "eng".into(), "deu".into());
    movie.audio.extend([aac, second]);
    let played = presentation(movie);
    let (text, read) = playlist(&played);
    let listed: Vec<_> = read
        .renditions
        .iter()
        .map(|it| (&*it.group, it.uri.as_deref().unwrap_or(""), it.is_default))
        .collect();
    assert_eq!(
        listed,
        [
            ("sound0", "chunklist_k_t_a0.m3u8", true),
            ("sound0", "chunklist_k_t_a1.m3u8", false),
            ("sound0", "chunklist_k_t_a2.m3u8", false),
            ("dolby0", "chunklist_k_t_f0.m3u8", true),
            ("dolby0", "chunklist_k_t_a1.m3u8", false),
            ("dolby0", "chunklist_k_t_f2.m3u8", false),
        ]
    );
    let names: Vec<&str> = read.renditions.iter().map(|it| &*it.name).collect();
    assert_eq!(names[..3], names[3..]);
    let codecs: Vec<String> = read.variants.iter().map(|it| it.codecs.join(",")).collect();
    // What lists AAC beside AC-3 would be taken by players without AC-3.
    assert_eq!(codecs, ["avc1.640029,mp4a.40.2", "avc1.640029,ac-3"], "{text}");
    assert_eq!(ids(&played), ["k_v", "k_a0", "k_a1", "k_a2", "k_f0", "k_f2"]);
}

#[test]
fn sound_alone_is_aac_over_hls_and_both_over_dash() {
    let mut movie = film(*b"ec-3", DEC3, SIZE);
    movie.video = None;
    let played = presentation(movie);
    let (text, read) = playlist(&played);
    let said: Vec<_> = read.variants.iter().map(|it| (&*it.uri, it.codecs.join(","))).collect();
    assert_eq!(said, [("chunklist_k_t.m3u8", "mp4a.40.2".to_owned())], "{text}");
    assert!(read.renditions.is_empty());
    assert_eq!(ids(&played), ["k_a0", "k_f0"]);
}

#[test]
fn renditions_of_a_playlist_each_have_theirs() {
    let mut played = presentation(in_two_languages(film(*b"ac-3", DAC3, SIZE)));
    let of = |kind| Rendition { kind, ..played.renditions[0].clone() };
    let (both, picture, sound) =
        (of(TrackSelection::Both), of(TrackSelection::Picture), of(TrackSelection::Sound(0)));
    played.renditions = vec![both.clone(), both, picture, sound];
    let (text, read) = playlist(&played);
    let said: Vec<_> = read.variants.iter().map(|it| (&*it.uri, it.audio.as_deref())).collect();
    assert_eq!(
        said,
        [
            ("chunklist_k_t_v.m3u8", Some("sound0")),
            ("chunklist_k_t_v.m3u8", Some("sound1")),
            ("chunklist_k_t_v.m3u8", None),
            ("chunklist_k_t_a0.m3u8", None),
            ("chunklist_k_t_v.m3u8", Some("dolby0")),
            ("chunklist_k_t_v.m3u8", Some("dolby1")),
        ],
        "{text}"
    );
    let mut stated: Vec<u64> = read.variants.iter().map(|it| it.bandwidth_bps).collect();
    stated.sort_unstable();
    stated.dedup();
    assert_eq!(stated.len(), 6, "{text}");
}

#[test]
fn all_renditions_have_groups_if_one_has() {
    let mut played = presentation(in_two_languages(film(*b"ac-3", DAC3, SIZE)));
    let (moov, at, len) = moov();
    let plain = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound");
    let mut silent = plain.clone();
    silent.audio.clear();
    for movie in [plain, silent] {
        played.renditions.extend(presentation(movie).renditions);
    }
    let (text, read) = playlist(&played);
    let said: Vec<_> = read.variants.iter().map(|it| (&*it.uri, it.audio.as_deref())).collect();
    let apart = "chunklist_k_t_v.m3u8";
    let expected = [
        (apart, Some("sound0")),
        (apart, Some("sound1")),
        ("chunklist_k_t.m3u8", None),
        (apart, Some("dolby0")),
    ];
    assert_eq!(said, expected, "{text}");
    // Without it, each has its sound beside its pictures.
    played.renditions.remove(0);
    assert!(!playlist(&played).0.contains("EXT-X-MEDIA"));
}

#[test]
fn protocols_of_frames_get_aac() {
    let played = presentation(film(*b"ac-3", DAC3, SIZE));
    let frames = played.for_frames().expect("frames");
    assert_eq!(frames.kinds(), [TrackSelection::Picture, TrackSelection::Sound(0)]);
    assert_eq!(frames.formats().len(), 2);
    assert!(played.renditions[0].recording.movie.left_out.is_empty());
}
