//! Compares bytes with the expected ones, and with what another parser reads.

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use mp4::{BoxHeader, FtypBox, MoofBox, MoovBox, ReadBox};
use proptest::prelude::*;

use super::super::isobmff::{BoxReader, Boxes};
use super::*;
use amphi_media::{
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
        // Picture: one duration, only the first sample is a sync sample, its bytes follow the head.
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
fn samples_that_are_made_stand_first_in_the_data() {
    let sample =
        |(size, duration): (u32, u32)| FragmentSample { size, duration, composition_offset: 0, sync: true };
    let picture = TrackFragment::new(1, 0, [(300, 6000)].iter().copied().map(sample));
    let frames = [(5, 1024), (40, 1024), (41, 1000), (6, 1024)];
    let sound = TrackFragment::new(2, 1024, frames.iter().copied().map(sample));
    let head = fragment_head(9, [picture, sound.with_made(1, 1)].iter());
    #[rustfmt::skip]
    let expected: &[u8] = &[
        0, 0, 0, 240, b'm', b'o', b'o', b'f',
        0, 0, 0, 16, b'm', b'f', b'h', b'd', 0, 0, 0, 0, 0, 0, 0, 9,
        // The picture comes after the 11 bytes that are made.
        0, 0, 0, 76, b't', b'r', b'a', b'f',
        0, 0, 0, 24, b't', b'f', b'h', b'd', 0, 2, 0, 0x28, 0, 0, 0, 1, 0, 0, 0x17, 0x70, 2, 0, 0, 0,
        0, 0, 0, 20, b't', b'f', b'd', b't', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 24, b't', b'r', b'u', b'n', 0, 0, 2, 0x01, 0, 0, 0, 1, 0, 0, 1, 3, 0, 0, 1, 0x2c,
        // Of the sound the first sample is made, the next two are in the file, the last is made.
        0, 0, 0, 140, b't', b'r', b'a', b'f',
        0, 0, 0, 20, b't', b'f', b'h', b'd', 0, 2, 0, 0x20, 0, 0, 0, 2, 2, 0, 0, 0,
        0, 0, 0, 20, b't', b'f', b'd', b't', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0,
        0, 0, 0, 28, b't', b'r', b'u', b'n', 0, 0, 3, 0x01, 0, 0, 0, 1, 0, 0, 0, 248,
        0, 0, 4, 0, 0, 0, 0, 5,
        0, 0, 0, 36, b't', b'r', b'u', b'n', 0, 0, 3, 0x01, 0, 0, 0, 2, 0, 0, 2, 0x2f,
        0, 0, 4, 0, 0, 0, 0, 40, 0, 0, 3, 0xe8, 0, 0, 0, 41,
        0, 0, 0, 28, b't', b'r', b'u', b'n', 0, 0, 3, 0x01, 0, 0, 0, 1, 0, 0, 0, 253,
        0, 0, 4, 0, 0, 0, 0, 6,
        0, 0, 1, 0x90, b'm', b'd', b'a', b't',
    ];
    assert_eq!(&head[..], expected);
}

/// A movie fragment as the other parser reads it.
fn moof(head: &[u8]) -> MoofBox {
    let mut bytes = Cursor::new(head);
    let header = BoxHeader::read(&mut bytes).expect("a header");
    MoofBox::read_box(&mut bytes, header.size).expect("a movie fragment")
}

/// A flag of `tfhd` that the other parser has no name for.
const BASE_IS_MOOF: u32 = 0x02_0000;

#[test]
fn the_other_parser_reads_the_head() {
    let video = cell(161_550_000_000_000, &[(300, 6000, true), (20, 6000, false), (90, 6000, true)]);
    let audio = cell(86_160_000_000_512, &[(5, 1024, true), (6, 1024, true)]);
    let segment = segment(CellIndex(897_500_000), Some(&video), Some(&audio));
    let moof = moof(&segment.head);
    assert_eq!(moof.mfhd.sequence_number, 897_500_000);
    let [picture, sound] = &moof.trafs[..] else { panic!("two tracks: {moof:?}") };
    assert_eq!((picture.tfhd.track_id, sound.tfhd.track_id), (VIDEO_TRACK_ID, AUDIO_TRACK_ID));
    assert!((picture.tfhd.flags & sound.tfhd.flags & BASE_IS_MOOF) != 0);
    assert_eq!(sound.tfhd.default_sample_flags, Some(SYNC_SAMPLE));
    assert_eq!(picture.tfdt.as_ref().map(|tfdt| tfdt.base_media_decode_time), Some(161_550_000_000_000));
    let [picture, sound] = [picture, sound].map(|traf| traf.trun.as_ref().expect("a run"));
    assert_eq!(picture.data_offset, Some(segment.head.len() as i32));
    assert_eq!(sound.data_offset, Some(segment.head.len() as i32 + 410));
    assert_eq!(picture.sample_flags, [SYNC_SAMPLE, OTHER_SAMPLE, SYNC_SAMPLE]);
    assert_eq!(segment.video.as_ref().map(|data| data.as_ptr()), Some(video.data.as_ptr()));
    let mdat = &segment.head[segment.head.len() - 8..];
    assert_eq!(mdat, [0, 0, 1, 0xad, b'm', b'd', b'a', b't']);
}

/// Hexadecimal, sixteen bytes a line.
fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().fold(String::new(), |out, byte| out + &format!("{byte:02x}"));
    bytes.chunks(16).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn initialization_sections_byte_by_byte() {
    let said = [(100, true, Parts::All), (66, true, Parts::Picture), (66, false, Parts::All)];
    let sections = said.map(|(profile, picture, parts)| {
        hex(&init_section(&tracks(profile, picture), parts).expect("a valid rung"))
    });
    insta::assert_snapshot!(sections.join("\n\n"));
}

/// A section as the other parser reads it. There must be nothing after it.
fn moov(init: &[u8]) -> MoovBox {
    let mut rest = Cursor::new(init);
    let header = BoxHeader::read(&mut rest).expect("a header");
    let ftyp = FtypBox::read_box(&mut rest, header.size).expect("ftyp");
    assert_eq!(ftyp.major_brand, mp4::FourCC::from(*b"iso6"));
    let header = BoxHeader::read(&mut rest).expect("a header");
    let moov = MoovBox::read_box(&mut rest, header.size).expect("moov");
    assert_eq!(rest.position(), init.len() as u64);
    moov
}

/// The `track_ID` of each `trex`; the other parser keeps only one of them.
fn defaults(init: &[u8]) -> Vec<u32> {
    let moov = Boxes::new(init, 0).flatten().find(|found| found.kind == *b"moov").expect("moov");
    let mvex = moov.need(*b"mvex").expect("mvex");
    mvex.children(0).map(|trex| BoxReader(&trex.expect("trex").body[4..]).u32().expect("a number")).collect()
}

#[test]
fn an_initialization_section_says_what_the_tracks_are() {
    let init = init_section(&tracks(100, true), Parts::All).expect("a valid rung");
    let moov = moov(&init);
    let [picture, sound] = &moov.traks[..] else { panic!("two tracks") };
    assert_eq!((picture.mdia.mdhd.timescale, sound.mdia.mdhd.timescale), (90_000, 48_000));
    assert!(picture.edts.is_none() && sound.edts.is_none());
    let avc1 = picture.mdia.minf.stbl.stsd.avc1.as_ref().expect("avc1");
    assert_eq!((avc1.width, avc1.height), (1280, 720));
    assert!(has_high_profile_bytes(&init));
    let mp4a = sound.mdia.minf.stbl.stsd.mp4a.as_ref().expect("mp4a");
    let config = &mp4a.esds.as_ref().expect("esds").es_desc.dec_config;
    assert_eq!((config.object_type_indication, config.avg_bitrate), (0x40, 96_000));
    let config = &config.dec_specific;
    assert_eq!((config.profile, config.freq_index, config.chan_conf), (2, 3, 2), "11 90");
    assert_eq!(defaults(&init), [1, 2]);
}

/// Whether `avcC` ends with 4:2:0 and 8 bits.
fn has_high_profile_bytes(init: &[u8]) -> bool {
    let at = init.windows(4).position(|window| window == b"avcC").expect("avcC") - 4;
    let avcc = Boxes::new(&init[at..], 0).next().expect("a box").expect("sound");
    avcc.body.ends_with(&[0x68, 0xeb, 0xe3, 0xcb, 0xfd, 0xf8, 0xf8, 0])
}

#[test]
fn baseline_has_no_high_profile_bytes_and_sound_alone_is_track_2() {
    let init = init_section(&tracks(66, true), Parts::All).expect("a valid rung");
    assert_eq!(moov(&init).traks.len(), 2);
    assert!(!has_high_profile_bytes(&init));

    let init = init_section(&tracks(66, false), Parts::All).expect("a valid rung");
    assert_eq!(moov(&init).traks.iter().map(|trak| trak.tkhd.track_id).collect::<Vec<_>>(), [AUDIO_TRACK_ID]);
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
    /// Whatever the pattern of durations and sync samples, both parsers find the samples that were written.
    #[test]
    fn every_pattern_is_read_back(
        samples in prop::collection::vec((0..5000_u32, prop::sample::select(vec![3000_u32, 6000]), any::<bool>()), 0..40),
        k in 0..i64::MAX, start in 0..i64::MAX,
    ) {
        let track = cell(start, &samples);
        let head = segment_head(CellIndex(k), Some(&track), None);
        let moof = moof(&head);
        let traf = &moof.trafs[0];
        let trun = traf.trun.as_ref().expect("a run");
        let read: Vec<_> = (0..trun.sample_count as usize).map(|index| {
            let size = trun.sample_sizes[index];
            let duration = trun.sample_durations.get(index).copied().or(traf.tfhd.default_sample_duration);
            let first = trun.first_sample_flags.filter(|_| index == 0);
            let flags = first.or(trun.sample_flags.get(index).copied()).or(traf.tfhd.default_sample_flags);
            (size, duration.expect("written somewhere"), flags.expect("written somewhere") == SYNC_SAMPLE)
        }).collect();
        prop_assert_eq!(read, samples);
        prop_assert_eq!(traf.tfdt.as_ref().map(|tfdt| tfdt.base_media_decode_time), Some(start as u64));
    }
}
