//! Cells of a rung as packets.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use amphi_media::{
    AudioFormat, AudioTrack, CellIndex, Grid, PictureSize, SampleEntry, TrackCell, VideoTrack,
};

const GRID: Grid = Grid::new(2000);

fn tracks(video: bool) -> RungTracks {
    let parameter_sets =
        ParameterSets { sps: Bytes::from_static(&[0x67, 1, 2]), pps: Bytes::from_static(&[0x68, 3]) };
    RungTracks {
        name: "720p".to_owned(),
        video: video.then(|| VideoTrack {
            size: PictureSize { width: 1280, height: 720 },
            fps: 15,
            bitrate_bps: 750_000,
            parameter_sets,
        }),
        video_index: video.then_some(0),
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    }
}

/// A cell of 30 pictures of these sizes, with its sound.
fn cell(k: i64, sizes: &[usize]) -> CodedCell {
    let mut data = BytesMut::new();
    let mut samples = Vec::new();
    for index in 0..30 {
        let mut nal = vec![index as u8; sizes[index % sizes.len()].max(1)];
        nal[0] = if index == 0 { 0x65 } else { 0x41 };
        let before = data.len();
        h264::push_sample_nal(&mut data, &nal);
        samples.push(SampleEntry { size: (data.len() - before) as u32, duration: 6000, sync: index == 0 });
    }
    let start = GRID.start(CellIndex(k)).to_ticks(VIDEO_TIMESCALE);
    let video = TrackCell { start, data: data.freeze(), samples: samples.into() };
    let frames = GRID.audio_frames(CellIndex(k), 48_000);
    let samples: Arc<[SampleEntry]> =
        frames.clone().map(|_| SampleEntry { size: 200, duration: 1024, sync: true }).collect();
    let audio = TrackCell { start: frames.start * 1024, data: vec![7; samples.len() * 200].into(), samples };
    CodedCell { k: CellIndex(k), video: vec![video], audio }
}

fn number(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(packet[at..at + 4].try_into().expect("four bytes"))
}

#[test]
fn a_cells_packets_are_in_order_and_none_is_a_burst() {
    let mut numbers = RungNumbers::new(&tracks(true), || 0xffff_fff0);
    let cell = cell(900_000_000, &[60_000, 3000]);
    let packets = numbers.packets(&tracks(true), &cell);
    let start = GRID.start(CellIndex(900_000_000));
    assert_eq!(packets.start(), Some(start));
    assert!(packets.all().windows(2).all(|pair| pair[0].at <= pair[1].at));
    // The first picture's packets, with SPS and PPS before it, are sent over 33 ms.
    let picture: Vec<_> = packets
        .all()
        .iter()
        .filter(|packet| packet.track == 0 && packet.at < start + Duration::from_millis(34))
        .collect();
    assert_eq!(picture.len(), 2 + 43);
    assert!(picture.last().expect("many").at > start + Duration::from_millis(31));
    // Each picture has one timestamp, which is its unix time; sound has its own.
    for packet in packets.all() {
        let bytes = packets.bytes_of(packet);
        let timestamp = number(&bytes, 4);
        let first = if packet.track == 0 { cell.video[0].start } else { cell.audio.start };
        let step = if packet.track == 0 { 6000 } else { 1024 };
        assert_eq!(timestamp.wrapping_sub(first as u32) % step, 0);
    }
    let sound = packets.all().iter().filter(|packet| packet.track == 1).count();
    assert_eq!(sound, cell.audio.samples.len());
}

#[test]
fn framed_pieces_are_what_the_connection_wants() {
    let packets = RungNumbers::new(&tracks(true), || 1).packets(&tracks(true), &cell(1, &[5000]));
    let count = packets.all().len();
    let mut whole = BytesMut::new();
    for packet in packets.all() {
        super::super::interleaved(packet.track * 2, &packets.bytes_of(packet), &mut whole);
    }
    assert_eq!(packets.framed(0..count), whole);
    assert_eq!([packets.framed(0..7), packets.framed(7..count)].concat(), whole);
    assert_eq!(packets.framed(count..count + 3), Bytes::new());
    assert_eq!(packets.len(), whole.len());
}

#[test]
fn sound_alone_is_track_0() {
    let mut numbers = RungNumbers::new(&tracks(false), || 5);
    assert_eq!(numbers.ssrc(0), 5);
    let packets = numbers.packets(&tracks(false), &cell(1, &[5000]));
    assert!(packets.all().iter().all(|packet| packet.track == 0));
    assert_eq!(packets.bytes_of(&packets.all()[0])[1], 0x80 | PAYLOAD_TYPE);
}

proptest! {
    #[test]
    fn numbers_go_on_from_cell_to_cell_made_or_not(
        sizes in prop::collection::vec(1..8000_usize, 1..4), made in prop::collection::vec(any::<bool>(), 2..6), seed: u32,
    ) {
        let tracks = tracks(true);
        let mut numbers = RungNumbers::new(&tracks, || seed);
        let mut expected: Option<[u16; 2]> = None;
        for (k, made) in made.into_iter().enumerate() {
            let cell = cell(k as i64, &sizes);
            let mut here = numbers.clone();
            numbers.pass(&tracks, &cell);
            if made {
                let packets = here.packets(&tracks, &cell);
                prop_assert_eq!(&here, &numbers);
                for track in 0..2_u8 {
                    let first = packets.sequence_of(track);
                    if let Some(expected) = expected { prop_assert_eq!(first, Some(expected[usize::from(track)])); }
                    for (index, packet) in packets.all().iter().filter(|packet| packet.track == track).enumerate() {
                        let bytes = packets.bytes_of(packet);
                        let sequence = u16::from_be_bytes([bytes[2], bytes[3]]);
                        prop_assert_eq!(Some(sequence.wrapping_sub(index as u16)), first);
                        prop_assert_eq!(number(&bytes, 8), numbers.ssrc(track));
                    }
                }
            }
            expected = numbers.video.as_ref().map(|video| [video.next_sequence(), numbers.audio.next_sequence()]);
        }
    }
}
