//! Shared messages as another reader reads them.

use rml_rtmp::chunk_io::ChunkDeserializer;
use rml_rtmp::messages::{MessagePayload, RtmpMessage};

use super::*;
use crate::rtmp::flv::Unpacker;
use amphi_media::{
    AudioFormat, AudioTrack, CellIndex, ParameterSets, PictureSize, SampleEntry, Track, VideoTrack,
};

fn tracks() -> RungTracks {
    let parameter_sets = ParameterSets { sps: vec![0x67, 66, 0xc0, 31].into(), pps: vec![0x68, 1].into() };
    let size = PictureSize { width: 1280, height: 720 };
    RungTracks {
        name: "720p".to_owned(),
        video: Some(VideoTrack { size, fps: 15, bitrate_bps: 750_000, parameter_sets }),
        video_index: Some(0),
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    }
}

fn track(start: i64, duration: u32, sizes: &[usize], first: bool) -> TrackCell {
    let samples = sizes.iter().enumerate().map(|(index, size)| SampleEntry {
        size: *size as u32,
        duration,
        sync: !first || index == 0,
    });
    let samples = samples.collect();
    // Each sample is one NAL unit; sound may have any bytes.
    let data = sizes.iter().enumerate().flat_map(|(index, size)| {
        let mut sample = (*size as u32 - 4).to_be_bytes().to_vec();
        sample.push(if index == 0 { 0x65 } else { 0x41 });
        sample.resize(*size, index as u8);
        sample
    });
    TrackCell { start, samples, data: data.collect::<Vec<_>>().into() }
}

fn hour_cell() -> (CodedCell, MediaTime) {
    let start = MediaTime::from_millis(1_795_000_000_000);
    let picture = track(start.to_ticks(VIDEO_TIMESCALE), 6000, &[200_000, 900, 1000], true);
    let sound = track(start.to_ticks(Timescale(48_000)), 1024, &[200; 9], false);
    (CodedCell { k: CellIndex(897_500_000), video: vec![picture], audio: sound }, start)
}

fn read_all(wire: &[u8]) -> Vec<MessagePayload> {
    let mut reader = ChunkDeserializer::new();
    reader.set_max_chunk_size(CHUNK_SIZE).expect("a legal size");
    let mut messages: Vec<_> = reader.get_next_message(wire).expect("chunks").into_iter().collect();
    while let Some(message) = reader.get_next_message(&[]).expect("chunks") {
        messages.push(message);
    }
    messages
}

/// What arrives at the other end: track, time, sync and data of each frame.
fn frames(wire: &[u8]) -> Vec<(Track, i64, bool, Bytes)> {
    let mut unpacker = Unpacker::default();
    let mut frames = Vec::new();
    for message in read_all(wire) {
        assert_eq!(message.message_stream_id, STREAM_ID);
        let frame = match message.to_rtmp_message().expect("a message") {
            RtmpMessage::VideoData { data } => unpacker.video(message.timestamp.value, data),
            RtmpMessage::AudioData { data } => unpacker.audio(message.timestamp.value, data),
            _ => continue,
        };
        if let Some(frame) = frame.expect("well-formed") {
            frames.push((frame.format.track(), frame.pts_ms, frame.sync, frame.data));
        }
    }
    frames
}

#[test]
fn a_cell_arrives_in_order_of_time_and_byte_by_byte() {
    let (coded, start) = hour_cell();
    // Once before and once after times need the extended field, which continuations of a long picture repeat.
    for before_ms in [5000, 20_000_000] {
        let timebase = Timebase::starting(MediaTime::from_millis(start.as_millis() - before_ms));
        let messages = cell(&tracks(), &coded, timebase).expect("short samples");
        assert!(messages.is_sorted_by_key(|message| message.at));
        assert!(messages[0].sync && messages[0].at == start);
        assert_eq!(messages.iter().filter(|message| message.sync).count(), 1);

        let mut wire = opening(&tracks(), 0).to_vec();
        for message in &messages {
            wire.extend(&message.bytes);
        }
        let frames = frames(&wire);
        let pictures: Vec<_> = frames.iter().filter(|frame| frame.0 == Track::Video).collect();
        let times: Vec<_> = pictures.iter().map(|frame| frame.1 - before_ms).collect();
        assert_eq!(times, [0, 67, 133]);
        assert_eq!(pictures.iter().map(|frame| frame.2).collect::<Vec<_>>(), [true, false, false]);
        let data: Vec<_> = pictures.iter().map(|frame| frame.3.clone()).collect();
        assert_eq!(data, coded.video[0].sample_bytes().collect::<Vec<_>>());
        let sound = frames.iter().filter(|frame| frame.0 == Track::Audio).map(|frame| frame.3.clone());
        assert_eq!(sound.collect::<Vec<_>>(), coded.audio.sample_bytes().collect::<Vec<_>>());
    }
}

#[test]
fn any_message_may_be_left_out() {
    let (coded, start) = hour_cell();
    let messages = cell(&tracks(), &coded, Timebase::starting(start)).expect("short samples");
    let whole: Vec<u8> = messages.iter().flat_map(|message| message.bytes.to_vec()).collect();
    let count = read_all(&whole).len();
    for left_out in 0..messages.len() {
        let kept = messages.iter().enumerate().filter(|(index, _)| *index != left_out);
        let wire: Vec<u8> = kept.flat_map(|(_, message)| message.bytes.to_vec()).collect();
        assert_eq!(read_all(&wire).len(), count - 1);
    }
}

#[test]
fn a_rung_without_picture_may_be_entered_anywhere() {
    let (coded, start) = hour_cell();
    let sound_only = RungTracks { video: None, video_index: None, ..tracks() };
    let messages = cell(&sound_only, &coded, Timebase::starting(start)).expect("short samples");
    assert_eq!(messages.len(), 9);
    assert!(messages.iter().all(|message| message.sync));
    assert_eq!(read_all(&opening(&sound_only, 0)).len(), 2);
}

#[test]
fn an_opening_has_metadata_and_both_configurations() {
    let messages = read_all(&opening(&tracks(), 7));
    let seen: Vec<_> = messages.iter().map(|message| (message.type_id, message.timestamp.value)).collect();
    assert_eq!(seen, [(18, 0), (9, 7), (8, 7)]);
}

#[test]
fn a_message_can_be_addressed_to_another_stream() {
    let message = video(20_000_000, true, &vec![0; 100_000]).expect("short");
    assert_eq!(addressed(&message, STREAM_ID).as_ptr(), message.as_ptr());
    let [ours, theirs] = [&message, &addressed(&message, 5)].map(|bytes| read_all(bytes).remove(0));
    assert_eq!((theirs.message_stream_id, theirs.timestamp), (5, ours.timestamp));
    assert_eq!(theirs.data, ours.data);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert_eq!(video(0, true, &vec![0; MESSAGE_MAX - 4]), Err(TooLong(MESSAGE_MAX - 4)));
    assert!(audio(0, &vec![0; MESSAGE_MAX - 2]).is_ok());
}

#[test]
fn time_wraps_as_rtmp_does_and_never_begins_early() {
    let origin = MediaTime::from_millis(1_795_000_000_000);
    let timebase = Timebase::starting(origin);
    assert_eq!(timebase.timestamp_ms(origin.offset_nanos(-1)), 0);
    assert_eq!(timebase.timestamp_ms(origin.offset_nanos(66_666_667)), 67);
    assert_eq!(timebase.timestamp_ms(origin.offset_nanos(((1 << 32) + 5) * 1_000_000)), 5);
}
