//! Tags in both forms, and tags that must be refused.

use proptest::prelude::*;

use super::super::{AUDIO_CONFIGURATION_HEAD, AUDIO_HEAD, VIDEO_CONFIGURATION_HEAD, video_head};
use super::*;
use amphi_media::AudioFormat;
use amphi_media::h264::avc_configuration;

const STEREO: AudioFormat = AudioFormat { sample_rate: 48_000, channels: 2 };

fn sets() -> ParameterSets {
    ParameterSets { sps: vec![0x67, 66, 0xc0, 31, 9].into(), pps: vec![0x68, 7].into() }
}

fn tag(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

fn sample(nals: &[&[u8]]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for nal in nals {
        h264::push_sample_nal(&mut out, nal);
    }
    out.to_vec()
}

fn configured() -> Unpacker {
    let mut unpacker = Unpacker::default();
    let record = avc_configuration(&sets());
    assert!(
        unpacker.video(0, tag(&[&VIDEO_CONFIGURATION_HEAD, &record])).expect("a configuration").is_none()
    );
    let config = AudioSpecificConfig::lc(STEREO).to_bytes();
    assert!(
        unpacker.audio(0, tag(&[&AUDIO_CONFIGURATION_HEAD, &config])).expect("a configuration").is_none()
    );
    unpacker
}

#[test]
fn legacy_and_enhanced_tags_give_the_same_frames() {
    let picture = sample(&[&[0x65, 1, 2, 3]]);
    let record = avc_configuration(&sets());
    let legacy: [&[&[u8]]; 3] = [
        &[&[0x17, 0, 0, 0, 0], &record],
        &[&[0x17, 1, 0, 0, 40], &picture],
        &[&[0x27, 1, 0, 0, 0], &picture],
    ];
    let enhanced: [&[&[u8]]; 3] = [
        &[&[0x90], b"avc1", &record],
        &[&[0x91], b"avc1", &[0, 0, 40], &picture],
        &[&[0xa3], b"avc1", &picture],
    ];
    for form in [legacy, enhanced] {
        let mut unpacker = Unpacker::default();
        let [none, first, second] = form.map(|parts| unpacker.video(1000, tag(parts)).expect("well-formed"));
        assert!(none.is_none());
        let (first, second) = (first.expect("a picture"), second.expect("a picture"));
        assert_eq!((first.dts_ms, first.pts_ms, first.sync), (1000, 1040, true));
        assert_eq!(second.pts_ms, 1000);
        assert_eq!(first.data, picture);
        assert_eq!(*first.format, TrackFormat::H264(sets()));
        assert!(Arc::ptr_eq(&first.format, &second.format));
    }
}

#[test]
fn enhanced_sound_and_modifiers_are_read() {
    let mut unpacker = Unpacker::default();
    let config = AudioSpecificConfig::lc(STEREO).to_bytes();
    assert!(unpacker.audio(0, tag(&[&[0x90], b"mp4a", &config])).expect("a configuration").is_none());
    // A channel layout.
    assert!(unpacker.audio(0, tag(&[&[0x94], b"mp4a", &[0, 2]])).expect("tolerated").is_none());
    let nanos = [2, 0x06, 0x1a, 0x80];
    let many = [&[255, 1, 0][..], &[7; 257]].concat();
    // No modifier; one of three bytes; one of 257 bytes and one of three.
    let heads: [&[&[u8]]; 3] =
        [&[&[0x91]], &[&[0x97], &nanos, &[0x01]], &[&[0x97], &many, &[0x17], &nanos, &[0x01]]];
    for head in heads {
        let unit = tag(&[&head.concat(), b"mp4a", &[1, 2, 3]]);
        let frame = unpacker.audio(40, unit).expect("well-formed").expect("sound");
        assert_eq!((frame.pts_ms, &frame.data[..]), (40, &[1, 2, 3][..]));
        assert_eq!(*frame.format, TrackFormat::Aac(AudioSpecificConfig::lc(STEREO)));
    }
    let picture = sample(&[&[0x65, 1, 2, 3]]);
    unpacker.video(0, tag(&[&[0x90], b"avc1", &avc_configuration(&sets())])).expect("a configuration");
    let modified = tag(&[&[0x97], &nanos, &[0x03], b"avc1", &picture]);
    assert_eq!(unpacker.video(0, modified).expect("well-formed").expect("a picture").data, picture);
    for short in [&[0x97][..], &[0x97, 255, 9], &[0x97, 5, 0, 0], &[0x97, 0, 0]] {
        let said = unpacker.audio(0, tag(&[short])).err();
        assert_eq!(said, Some(FlvError::Truncated { track: Track::Audio, at: short.len() }));
    }
}

#[test]
fn our_own_heads_are_read() {
    let mut unpacker = configured();
    let picture = sample(&[&[0x41, 1, 2, 3]]);
    let wire = tag(&[&video_head(false), &picture]);
    let frame = unpacker.video(5, wire.clone()).expect("well-formed").expect("a picture");
    assert!(!frame.sync);
    assert_eq!(frame.data.as_ptr(), wire[5..].as_ptr(), "no copy");
    let frame = unpacker.audio(7, tag(&[&AUDIO_HEAD, &[1, 2]])).expect("well-formed").expect("sound");
    assert_eq!((frame.pts_ms, &frame.data[..]), (7, &[1, 2][..]));
    assert_eq!(*frame.format, TrackFormat::Aac(AudioSpecificConfig::lc(STEREO)));
}

#[test]
fn a_repeated_configuration_keeps_the_allocation_and_a_new_one_does_not() {
    let mut unpacker = configured();
    let picture = tag(&[&video_head(true), &sample(&[&[0x65, 1]])]);
    let format = |unpacker: &mut Unpacker| {
        unpacker.video(0, picture.clone()).expect("well-formed").expect("a picture").format
    };
    let before = format(&mut unpacker);
    let again = tag(&[&VIDEO_CONFIGURATION_HEAD, &avc_configuration(&sets())]);
    unpacker.video(0, again).expect("a configuration");
    assert!(Arc::ptr_eq(&before, &format(&mut unpacker)));
    // A delimiter, a changed SPS and the old PPS inside the stream.
    let sps = [0x67, 66, 0xc0, 30, 8];
    let inside = tag(&[&video_head(true), &sample(&[&[9, 0xf0], &sps, &sets().pps, &[0x65, 5]])]);
    let frame = unpacker.video(0, inside).expect("well-formed").expect("a picture");
    assert_eq!(frame.data, sample(&[&[0x65, 5]]));
    let changed = ParameterSets { sps: Bytes::copy_from_slice(&sps), pps: sets().pps };
    assert_eq!(*frame.format, TrackFormat::H264(changed));
}

#[test]
fn shorter_lengths_are_widened() {
    let mut record = avc_configuration(&sets());
    record[4] = 0xfc | 1;
    let mut unpacker = Unpacker::default();
    unpacker.video(0, tag(&[&VIDEO_CONFIGURATION_HEAD, &record])).expect("a configuration");
    let picture = tag(&[&video_head(true), &[0, 2, 0x65, 9, 0, 1, 0x65]]);
    let frame = unpacker.video(0, picture).expect("well-formed").expect("a picture");
    assert_eq!(frame.data, sample(&[&[0x65, 9], &[0x65]]));
}

#[test]
fn composition_times_are_signed_and_timestamps_unwrapped() {
    let mut unpacker = configured();
    let picture = |composition: [u8; 3]| tag(&[&[0x27, 1], &composition, &sample(&[&[0x41, 1]])]);
    let frame =
        unpacker.video(u32::MAX - 9, picture([0xff, 0xff, 0xfe])).expect("well-formed").expect("a picture");
    assert_eq!(frame.pts_ms, i64::from(u32::MAX) - 11);
    let sound = unpacker.audio(10, tag(&[&AUDIO_HEAD, &[1]])).expect("well-formed").expect("sound");
    assert_eq!(sound.pts_ms - frame.dts_ms, 20);
    let back = unpacker.video(u32::MAX - 4, picture([0; 3])).expect("well-formed").expect("a picture");
    assert_eq!(back.dts_ms - frame.dts_ms, 5);
}

#[test]
fn other_codecs_are_named() {
    let mut unpacker = Unpacker::default();
    let text = |result: Result<Option<Frame>, FlvError>| result.expect_err("not ours").to_string();
    for (four_cc, name) in [(b"hvc1", "HEVC (H.265)"), (b"av01", "AV1"), (b"vp09", "VP9"), (b"xyz1", "xyz1")]
    {
        let said = text(unpacker.video(0, tag(&[&[0x90], four_cc, &[0]])));
        assert_eq!(said, format!("the publisher sends {name} video; H.264 is needed"));
    }
    assert!(text(unpacker.video(0, tag(&[&[0x1c, 0, 0, 0, 0]]))).contains("HEVC"));
    assert!(text(unpacker.audio(0, tag(&[&[0x60, 0]]))).contains("Nellymoser audio"));
    assert!(text(unpacker.audio(0, tag(&[&[0xb2, 0]]))).contains("Speex audio"));
    assert!(text(unpacker.audio(0, tag(&[&[0x90], b"Opus", &[0]]))).contains("Opus audio"));
    assert!(
        text(unpacker.video(0, tag(&[&[0x98], b"avc1", &[0]]))).contains("type 8 (byte 5 of the message)")
    );
}

#[test]
fn mp3_and_g711_are_handed_on() {
    let mut unpacker = Unpacker::default();
    let mp3 = [0xff, 0xfb, 0x90, 0xc4, 1, 2];
    for head in [&[0x2f][..], &[0x91, b'.', b'm', b'p', b'3']] {
        let frame = unpacker.audio(0, tag(&[head, &mp3])).expect("well-formed").expect("sound");
        assert_eq!(*frame.format, TrackFormat::Mp3 { sample_rate: 44_100, channels: 1 });
        assert_eq!(frame.data[..], mp3);
        let again = unpacker.audio(0, tag(&[head, &mp3])).expect("well-formed").expect("sound");
        assert!(Arc::ptr_eq(&frame.format, &again.format));
    }
    assert_eq!(unpacker.audio(0, tag(&[&[0x2f], &[0x21, 0x10, 4, 0x60]])).err(), Some(FlvError::Mp3));
    for (head, law, channels) in [(0x72, G711Law::A, 1), (0x83, G711Law::Mu, 2)] {
        let frame = unpacker.audio(0, tag(&[&[head], &[1, 2, 3]])).expect("well-formed").expect("sound");
        assert_eq!(*frame.format, TrackFormat::G711 { law, sample_rate: 8000, channels });
    }
    let raw = unpacker.audio(0, tag(&[&AUDIO_HEAD, &[1]]));
    assert_eq!(raw.err(), Some(FlvError::Unconfigured(Track::Audio)));
}

/// An enhanced multitrack message: kind of multitrack, packet type, tracks with their FourCC.
fn tracks(track: Track, kind: u8, packet_type: u8, parts: &[(&[u8; 4], u8, &[u8])]) -> Bytes {
    let first = if track == Track::Video { 0x96 } else { 0x95 };
    let mut out = vec![first, kind << 4 | packet_type];
    for (index, (four_cc, id, body)) in parts.iter().enumerate() {
        if kind == 2 || index == 0 {
            out.extend(*four_cc);
        }
        out.push(*id);
        if kind != 0 {
            out.extend(&(body.len() as u32).to_be_bytes()[1..]);
        }
        out.extend(*body);
    }
    out.into()
}

#[test]
fn the_first_of_several_tracks_is_used_and_the_others_are_passed_over() {
    let config = AudioSpecificConfig::lc(STEREO).to_bytes();
    // A plain track and further ones, as OBS sends them.
    let mut unpacker = configured();
    let further = tracks(Track::Audio, 0, 0, &[(b"mp4a", 1, &config)]);
    assert_eq!(unpacker.audio(0, further).err(), Some(FlvError::FurtherTrack(Track::Audio)));
    let unit = tracks(Track::Audio, 0, 1, &[(b"mp4a", 1, &[9, 9])]);
    assert_eq!(unpacker.audio(0, unit).err(), Some(FlvError::FurtherTrack(Track::Audio)));
    let plain = unpacker.audio(7, tag(&[&AUDIO_HEAD, &[1, 2]])).expect("well-formed").expect("sound");
    assert_eq!(&plain.data[..], [1, 2]);

    // Only numbered tracks, all in one message: the lowest one that can be used is used.
    for kind in [1, 2] {
        let mut unpacker = Unpacker::default();
        let record = avc_configuration(&sets());
        let other: &[u8; 4] = if kind == 2 { b"hvc1" } else { b"avc1" };
        let broken: &[u8] = &[9, 9];
        let parts = tracks(Track::Video, kind, 0, &[(b"avc1", 3, &record), (other, 0, broken)]);
        let said = unpacker.video(0, parts).err();
        assert!(matches!(said, Some(FlvError::Codec { .. } | FlvError::Avc { .. })), "{said:?}");
        let parts = tracks(Track::Video, kind, 0, &[(b"avc1", 1, &record)]);
        assert!(unpacker.video(0, parts).expect("a configuration").is_none());
        let picture = |n: u8| sample(&[&[0x65, n]]);
        let (one, three) = (picture(1), picture(3));
        let parts = tracks(Track::Video, kind, 3, &[(b"avc1", 3, &three), (b"avc1", 1, &one)]);
        assert_eq!(unpacker.video(0, parts).expect("well-formed").expect("a picture").data, one);
    }
}

#[test]
fn a_configuration_that_says_nothing_or_nonsense_changes_nothing() {
    // As ffmpeg sends it when it copies from MPEG-TS.
    let mut unpacker = Unpacker::default();
    assert!(unpacker.audio(0, tag(&[&AUDIO_CONFIGURATION_HEAD])).expect("passed over").is_none());
    assert_eq!(
        unpacker.audio(0, tag(&[&AUDIO_HEAD, &[1]])).err(),
        Some(FlvError::Unconfigured(Track::Audio))
    );
    let mut unpacker = configured();
    for config in [&[][..], &[0xff], &[0x12]] {
        let said = unpacker.audio(0, tag(&[&AUDIO_CONFIGURATION_HEAD, config]));
        assert!(!matches!(said, Ok(Some(_))));
    }
    let _ = unpacker.video(0, tag(&[&VIDEO_CONFIGURATION_HEAD]));
    assert!(unpacker.video(0, tag(&[&VIDEO_CONFIGURATION_HEAD, &[1, 2]])).is_err());
    assert!(unpacker.audio(0, tag(&[&AUDIO_HEAD, &[1]])).expect("well-formed").is_some());
    let picture = tag(&[&video_head(true), &sample(&[&[0x65, 1]])]);
    assert!(unpacker.video(0, picture).expect("well-formed").is_some());
}

#[test]
fn pictures_that_bring_their_sets_need_no_configuration_and_start_codes_are_read() {
    for start_codes in [false, true] {
        let mut unpacker = Unpacker::default();
        let nals: [&[u8]; 4] = [&[9, 0xf0], &sets().sps, &sets().pps, &[0x65, 5, 1, 1]];
        let body =
            if start_codes { nals.map(|nal| [&[0, 0, 0, 1], nal].concat()).concat() } else { sample(&nals) };
        let frame =
            unpacker.video(0, tag(&[&video_head(true), &body])).expect("well-formed").expect("a picture");
        assert_eq!((frame.data, frame.sync), (sample(&[&[0x65, 5, 1, 1]]).into(), true));
        assert_eq!(*frame.format, TrackFormat::H264(sets()));
    }
}

#[test]
fn further_sets_stay_in_front_of_pictures_to_start_from() {
    let mut record = avc_configuration(&sets()).to_vec();
    // After the SPS comes the number of PPS.
    record[8 + sets().sps.len()] = 2;
    record.extend([0, 2, 0x68, 99]);
    let mut unpacker = Unpacker::default();
    unpacker.video(0, tag(&[&VIDEO_CONFIGURATION_HEAD, &record])).expect("a configuration");
    let (idr, p) = (sample(&[&[0x65, 1]]), sample(&[&[0x41, 1]]));
    let frame = unpacker.video(0, tag(&[&video_head(true), &idr])).expect("well-formed").expect("a picture");
    assert_eq!(frame.data, sample(&[&[0x68, 99], &[0x65, 1]]));
    let frame = unpacker.video(0, tag(&[&video_head(false), &p])).expect("well-formed").expect("a picture");
    assert_eq!(frame.data, p);
}

#[test]
fn encoders_without_extended_timestamps_wrap_at_24_bits() {
    let mut unpacker = configured();
    let mut sound =
        |ms: u32| unpacker.audio(ms, tag(&[&AUDIO_HEAD, &[1]])).expect("well-formed").expect("sound").pts_ms;
    let first = sound(0xff_fff0);
    let times = [0xff_fffe, 0x00_0010, 0xff_fff8, 0x00_0030, 0x00_0020].map(sound);
    assert_eq!(times.map(|at| at - first), [14, 32, 8, 64, 48]);
}

#[test]
fn faults_concern_their_message_alone() {
    let mut unpacker = Unpacker::default();
    let picture = tag(&[&video_head(true), &sample(&[&[0x65, 1]])]);
    assert_eq!(unpacker.video(0, picture.clone()).err(), Some(FlvError::Unconfigured(Track::Video)));
    let mut unpacker = configured();
    let lying = tag(&[&video_head(true), &[0, 0, 0, 9, 0x65]]);
    assert_eq!(unpacker.video(0, lying).err(), Some(FlvError::Lengths { at: 5 }));
    assert_eq!(
        unpacker.video(0, tag(&[&[0x17, 1]])).err(),
        Some(FlvError::Truncated { track: Track::Video, at: 2 })
    );
    // The second NAL unit.
    let lying = tag(&[&video_head(true), &sample(&[&[0x65, 1]]), &[0, 0, 0, 9, 0x65]]);
    assert_eq!(unpacker.video(0, lying).err(), Some(FlvError::Lengths { at: 11 }));
    let record = [&[0x17, 0, 0, 0, 0], &avc_configuration(&sets())[..3]].concat();
    let said = unpacker.video(0, record.into()).expect_err("cut off");
    assert!(said.to_string().ends_with("(byte 5 of the message)"), "{said}");
    // A track of two bytes, whose header has three.
    let tracks = tag(&[&[0x96, 0x11], b"avc1", &[0, 0, 0, 2, 0, 0], &[1, 0, 0, 0]]);
    let said = unpacker.video(0, tracks).err();
    assert_eq!(said, Some(FlvError::Truncated { track: Track::Video, at: 12 }));
    for nothing in [&[][..], &[0x57, 0], &[0x17, 2, 0, 0, 0], &sample(&[])] {
        assert!(unpacker.video(0, tag(&[nothing])).expect("tolerated").is_none());
    }
    assert!(unpacker.video(0, picture).expect("well-formed").is_some());
}

proptest! {
    #[test]
    fn no_tag_makes_it_panic(
        tags in prop::collection::vec((any::<bool>(), any::<u32>(), prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|rest| [&[0x17, 1, 0, 0, 0][..], &rest].concat()),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|rest| [&[0x91][..], b"avc1", &rest].concat()),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|rest| [&[0x97][..], &rest].concat()),
        ]), 1..20),
    ) {
        let mut unpacker = configured();
        for (video, timestamp_ms, tag) in tags {
            let tag = Bytes::from(tag);
            let frame = if video { unpacker.video(timestamp_ms, tag) } else { unpacker.audio(timestamp_ms, tag) };
            if let Ok(Some(frame)) = frame && video {
                let walked: usize = h264::sample_nals(&frame.data).map(|nal| nal.len() + 4).sum();
                prop_assert_eq!(walked, frame.data.len(), "lengths cover the sample");
            }
        }
    }
}
