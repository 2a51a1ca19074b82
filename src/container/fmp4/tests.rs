//! Bytes as expected, and bytes as another parser reads them.

use std::sync::Arc;

use bytes::Bytes;
use mp4_atom::{Decode, Ftyp, Moof, Moov};
use proptest::prelude::*;

use super::*;
use crate::media::{
    AudioFormat, AudioTrack, CellIndex, ParameterSets, Parts, PictureSize, RungTracks, SampleEntry,
    TrackCell, VideoTrack,
};

fn tracks(profile: u8, with_video: bool) -> RungTracks {
    let parameter_sets = ParameterSets {
        sps: Bytes::copy_from_slice(&[0x67, profile, 0x00, 0x1f, 0xac, 0xd9, 0x40]),
        pps: Bytes::from_static(&[0x68, 0xeb, 0xe3, 0xcb]),
    };
    RungTracks {
        name: "720p".to_owned(),
        video: with_video.then(|| VideoTrack {
            size: PictureSize { width: 1280, height: 720 },
            fps: 15,
            bitrate_bps: 750_000,
            parameter_sets,
        }),
        video_index: with_video.then_some(0),
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    }
}

fn cell(start: i64, samples: &[(u32, u32, bool)]) -> TrackCell {
    let samples: Arc<[SampleEntry]> =
        samples.iter().map(|&(size, duration, sync)| SampleEntry { size, duration, sync }).collect();
    let len = samples.iter().map(|sample| sample.size as usize).sum();
    TrackCell { start, data: vec![7; len].into(), samples }
}

#[test]
fn a_head_byte_by_byte() {
    let video = cell(0x1_0000_0002, &[(300, 6000, true), (20, 6000, false)]);
    let audio = cell(0x8000_0000, &[(5, 1024, true)]);
    let head = segment_head(CellIndex(0x1_0000_0007), Some(&video), Some(&audio));
    #[rustfmt::skip]
    let expected: &[u8] = &[
        0, 0, 0, 184, b'm', b'o', b'o', b'f',
        0, 0, 0, 16, b'm', b'f', b'h', b'd', 0, 0, 0, 0, 0, 0, 0, 7,
        // Picture: one duration, the first sample alone sync, its bytes behind the head.
        0, 0, 0, 84, b't', b'r', b'a', b'f',
        0, 0, 0, 24, b't', b'f', b'h', b'd', 0, 2, 0, 0x28, 0, 0, 0, 1, 0, 0, 0x17, 0x70, 1, 1, 0, 0,
        0, 0, 0, 20, b't', b'f', b'd', b't', 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2,
        0, 0, 0, 32, b't', b'r', b'u', b'n', 0, 0, 2, 0x05, 0, 0, 0, 2, 0, 0, 0, 192, 2, 0, 0, 0,
        0, 0, 1, 0x2c, 0, 0, 0, 20,
        // Sound: 320 bytes further.
        0, 0, 0, 76, b't', b'r', b'a', b'f',
        0, 0, 0, 24, b't', b'f', b'h', b'd', 0, 2, 0, 0x28, 0, 0, 0, 2, 0, 0, 4, 0, 2, 0, 0, 0,
        0, 0, 0, 20, b't', b'f', b'd', b't', 1, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0,
        0, 0, 0, 24, b't', b'r', b'u', b'n', 0, 0, 2, 0x01, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 5,
        0, 0, 1, 0x4d, b'm', b'd', b'a', b't',
    ];
    assert_eq!(&head[..], expected);
}

#[test]
fn the_other_parser_reads_the_head() {
    let video = cell(161_550_000_000_000, &[(300, 6000, true), (20, 6000, false), (90, 6000, true)]);
    let audio = cell(86_160_000_000_512, &[(5, 1024, true), (6, 1024, true)]);
    let segment = segment(CellIndex(897_500_000), Some(&video), Some(&audio));
    let moof = Moof::decode(&mut &segment.head[..]).expect("a movie fragment");
    assert_eq!(moof.mfhd.sequence_number, 897_500_000);
    let [picture, sound] = &moof.traf[..] else { panic!("two tracks: {moof:?}") };
    assert_eq!((picture.tfhd.track_id, sound.tfhd.track_id), (VIDEO_TRACK_ID, AUDIO_TRACK_ID));
    assert!(picture.tfhd.default_base_is_moof && sound.tfhd.default_base_is_moof);
    assert_eq!(sound.tfhd.default_sample_flags, Some(SYNC_SAMPLE));
    assert_eq!(picture.tfdt.as_ref().map(|tfdt| tfdt.base_media_decode_time), Some(161_550_000_000_000));
    assert_eq!(picture.trun[0].data_offset, Some(segment.head.len() as i32));
    assert_eq!(sound.trun[0].data_offset, Some(segment.head.len() as i32 + 410));
    let flags: Vec<_> = picture.trun[0].samples.iter().map(|sample| sample.flags).collect();
    assert_eq!(flags, [Some(SYNC_SAMPLE), Some(OTHER_SAMPLE), Some(SYNC_SAMPLE)]);
    assert_eq!(segment.video.as_ref().map(|data| data.as_ptr()), Some(video.data.as_ptr()));
    let mdat = &segment.head[segment.head.len() - 8..];
    assert_eq!(mdat, [0, 0, 1, 0xad, b'm', b'd', b'a', b't']);
}

#[test]
fn an_initialization_section_says_what_the_tracks_are() {
    let init = init_section(&tracks(100, true), Parts::All).expect("a valid rung");
    let mut rest = &init[..];
    let ftyp = Ftyp::decode(&mut rest).expect("ftyp");
    assert_eq!(ftyp.major_brand, b"iso6".into());
    let moov = Moov::decode(&mut rest).expect("moov");
    assert!(rest.is_empty());
    let [picture, sound] = &moov.trak[..] else { panic!("two tracks") };
    assert_eq!((picture.mdia.mdhd.timescale, sound.mdia.mdhd.timescale), (90_000, 48_000));
    assert!(picture.edts.is_none() && sound.edts.is_none());
    let [mp4_atom::Codec::Avc1(avc1)] = &picture.mdia.minf.stbl.stsd.codecs[..] else { panic!("avc1") };
    assert_eq!((avc1.visual.width, avc1.visual.height), (1280, 720));
    assert_eq!(avc1.avcc.ext, Some(mp4_atom::AvccExt::default()));
    let [mp4_atom::Codec::Mp4a(mp4a)] = &sound.mdia.minf.stbl.stsd.codecs[..] else { panic!("mp4a") };
    let config = mp4a.esds.es_desc.dec_config.dec_specific.as_ref().expect("an AudioSpecificConfig");
    assert_eq!(config.raw, [0x11, 0x90]);
    let trex = &moov.mvex.expect("mvex").trex;
    assert_eq!(trex.iter().map(|trex| trex.track_id).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn baseline_has_no_high_profile_bytes_and_sound_alone_is_track_2() {
    let init = init_section(&tracks(66, true), Parts::All).expect("a valid rung");
    let moov = Moov::decode(&mut &init[init.len() - moov_len(&init)..]).expect("moov");
    let [mp4_atom::Codec::Avc1(avc1)] = &moov.trak[0].mdia.minf.stbl.stsd.codecs[..] else { panic!("avc1") };
    assert_eq!(avc1.avcc.ext, None);

    let init = init_section(&tracks(66, false), Parts::All).expect("a valid rung");
    let moov = Moov::decode(&mut &init[init.len() - moov_len(&init)..]).expect("moov");
    assert_eq!(moov.trak.iter().map(|trak| trak.tkhd.track_id).collect::<Vec<_>>(), [AUDIO_TRACK_ID]);
}

fn moov_len(init: &[u8]) -> usize {
    init.len() - u32::from_be_bytes([init[0], init[1], init[2], init[3]]) as usize
}

#[test]
fn a_stunted_sps_is_an_error_that_names_the_rung() {
    let mut tracks = tracks(100, true);
    if let Some(video) = &mut tracks.video {
        video.parameter_sets.sps = Bytes::from_static(&[0x67]);
    }
    let error = init_section(&tracks, Parts::All).expect_err("no profile").to_string();
    assert!(error.contains("720p") && error.contains("1 bytes"), "{error}");
}

proptest! {
    /// Whatever the pattern of durations and sync samples, both parsers agree with the samples.
    #[test]
    fn every_pattern_is_read_back(
        samples in prop::collection::vec((0..5000_u32, prop::sample::select(vec![3000_u32, 6000]), any::<bool>()), 0..40),
        k in 0..i64::MAX, start in 0..i64::MAX,
    ) {
        let track = cell(start, &samples);
        let head = segment_head(CellIndex(k), Some(&track), None);
        let moof = Moof::decode(&mut &head[..]).expect("a movie fragment");
        let traf = &moof.traf[0];
        let read: Vec<_> = traf.trun[0].samples.iter().map(|sample| {
            let size = sample.size.expect("always written");
            let duration = sample.duration.or(traf.tfhd.default_sample_duration).expect("written somewhere");
            let flags = sample.flags.or(traf.tfhd.default_sample_flags).expect("written somewhere");
            (size, duration, flags == SYNC_SAMPLE)
        }).collect();
        prop_assert_eq!(read, samples);
        prop_assert_eq!(traf.tfdt.as_ref().map(|tfdt| tfdt.base_media_decode_time), Some(start as u64));
    }
}
