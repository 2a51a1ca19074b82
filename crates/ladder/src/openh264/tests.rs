//! Encoder and decoder against each other.

use bytes::BytesMut;

use super::*;
use crate::lecture::{FPS, Random, SyntheticLecture};
use amphi_media::h264::{NAL_AUD, NAL_PPS, NAL_SPS, annex_b_nals, nal_type, sample_nals, to_annex_b};
use amphi_media::{MediaTime, ParameterSets, Picture, PictureSize, Slot};

const SMALL: PictureSize = PictureSize { width: 426, height: 240 };
const HD: PictureSize = PictureSize { width: 1280, height: 720 };
const CELL: u64 = 30;

fn settings(size: PictureSize, bitrate_bps: u32) -> EncoderSettings {
    EncoderSettings { size, fps: FPS, bitrate_bps }
}

fn lecture(size: PictureSize) -> impl FnMut(u64) -> Picture {
    let mut lecture = SyntheticLecture::new(size.width, size.height);
    let mut picture = Picture::black(size);
    move |number| {
        lecture.draw(number, picture.planes_mut());
        picture.clone()
    }
}

fn slot(number: u64) -> Slot {
    Slot(26_925_000_000 + number as i64)
}

/// A coded lecture: the pictures, their samples, which are sync.
struct Coded {
    parameter_sets: ParameterSets,
    pictures: Vec<Picture>,
    samples: Vec<(BytesMut, bool)>,
}

impl Coded {
    fn lecture(settings: EncoderSettings, numbers: std::ops::Range<u64>, idr: impl Fn(u64) -> bool) -> Self {
        let mut encoder = Encoder::new(settings).unwrap();
        let pictures: Vec<_> = numbers.clone().map(lecture(settings.size)).collect();
        let samples = pictures
            .iter()
            .zip(numbers)
            .map(|(picture, number)| {
                let mut out = BytesMut::new();
                let encoded = encoder.encode(picture, slot(number), idr(number), &mut out).unwrap();
                assert_eq!(encoded.size as usize, out.len());
                (out, encoded.sync)
            })
            .collect();
        Self { parameter_sets: encoder.parameter_sets().clone(), pictures, samples }
    }

    fn access_unit(&self, index: usize) -> Vec<u8> {
        let (sample, sync) = &self.samples[index];
        let mut out = Vec::new();
        to_annex_b(sample, sync.then_some(&self.parameter_sets), &mut out);
        out
    }
}

fn time(index: usize) -> MediaTime {
    slot(index as u64).time(FPS)
}

type Shown = Vec<(MediaTime, Picture)>;

fn keep(shown: &mut Shown) -> impl FnMut(MediaTime, PictureView<'_>) {
    |pts, view| shown.push((pts, view.to_picture()))
}

fn luma_psnr(a: &Picture, b: &Picture) -> f64 {
    let squares: u64 =
        a.planes()[0].iter().zip(b.planes()[0]).map(|(a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    let mean = squares.max(1) as f64 / a.size().luma_len() as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

#[test]
fn pictures_survive_the_way_through_both_codecs_in_order_and_with_their_times() {
    let coded = Coded::lecture(settings(SMALL, 400_000), 0..75, |number| number.is_multiple_of(CELL));
    let mut decoder = Decoder::new().unwrap();
    let mut shown = Shown::new();
    for index in 0..coded.samples.len() {
        decoder.decode(&coded.access_unit(index), time(index), &mut keep(&mut shown)).unwrap();
    }
    assert_eq!(shown.len(), coded.samples.len() - 1, "one picture is held back");
    decoder.flush(&mut keep(&mut shown)).unwrap();
    let times: Vec<_> = shown.iter().map(|(pts, _)| *pts).collect();
    assert_eq!(times, (0..coded.samples.len()).map(time).collect::<Vec<_>>());
    for ((_, shown), picture) in shown.iter().zip(&coded.pictures).skip(5) {
        let psnr = luma_psnr(shown, picture);
        assert!(psnr > 29.0, "{psnr} dB");
    }
}

#[test]
fn idr_pictures_come_exactly_where_they_are_asked_for() {
    let asked = |number: u64| [0, 7, 8, 30, 44, 60].contains(&number);
    let coded = Coded::lecture(settings(SMALL, 300_000), 0..110, asked);
    let sync: Vec<_> = (0..).zip(&coded.samples).filter(|(_, sample)| sample.1).map(|(n, _)| n).collect();
    assert_eq!(sync, [0, 7, 8, 30, 44, 60], "and not at the slide changes at 14 and 104");
}

#[test]
fn the_first_picture_is_an_idr_picture_unasked() {
    assert!(Coded::lecture(settings(SMALL, 300_000), 0..2, |_| false).samples[0].1);
}

#[test]
fn equal_settings_give_equal_parameter_sets_and_samples_hold_none() {
    let [live, waiting] =
        [0..5, 400..440].map(|numbers| Coded::lecture(settings(HD, 750_000), numbers, |n| n % 20 == 0));
    assert_eq!(live.parameter_sets, waiting.parameter_sets);
    // Constrained High (no B slices, frames only), level 3.1.
    assert_eq!(live.parameter_sets.codec_string(), "avc1.640C1F");
    for (sample, _) in live.samples.iter().chain(&waiting.samples) {
        let kinds: Vec<_> = sample_nals(sample).map(nal_type).collect();
        assert!(!kinds.is_empty());
        assert!(!kinds.iter().any(|kind| [NAL_SPS, NAL_PPS, NAL_AUD].contains(kind)), "{kinds:?}");
        assert_eq!(sample_nals(sample).map(|nal| nal.len() + 4).sum::<usize>(), sample.len());
    }
    let other = Encoder::new(settings(SMALL, 300_000)).unwrap();
    assert_ne!(&live.parameter_sets, other.parameter_sets());
}

#[test]
fn cells_of_two_encoders_can_be_mixed() {
    let [a, b] = [0, 300].map(|first| {
        Coded::lecture(settings(SMALL, 300_000), first..first + 90, |number| number.is_multiple_of(CELL))
    });
    let mut decoder = Decoder::new().unwrap();
    let mut shown = Shown::new();
    for index in 0..90 {
        let from = if (30..60).contains(&index) { &b } else { &a };
        decoder.decode(&from.access_unit(index), time(index), &mut keep(&mut shown)).unwrap();
    }
    decoder.flush(&mut keep(&mut shown)).unwrap();
    assert_eq!(shown.len(), 90);
    for (index, (_, picture)) in shown.iter().enumerate().filter(|(index, _)| index % 30 > 5) {
        let from = if (30..60).contains(&index) { &b } else { &a };
        assert!(luma_psnr(picture, &from.pictures[index]) > 29.0, "picture {index}");
    }
}

#[test]
fn the_bitrate_is_held_and_slides_are_sharp() {
    let (seconds, bitrate) = (20, 750_000);
    let idr = |number: u64| number.is_multiple_of(CELL) || SyntheticLecture::slide_begins(number);
    let coded = Coded::lecture(settings(HD, bitrate), 0..seconds * u64::from(FPS), idr);
    let bits = 8 * coded.samples.iter().map(|(sample, _)| sample.len() as u64).sum::<u64>();
    let share = bits as f64 / (seconds * u64::from(bitrate)) as f64;
    assert!((0.92..=1.08).contains(&share), "{share} of the target");
    let mut decoder = Decoder::new().unwrap();
    let mut shown = Shown::new();
    for index in 0..coded.samples.len() {
        decoder.decode(&coded.access_unit(index), time(index), &mut keep(&mut shown)).unwrap();
    }
    decoder.flush(&mut keep(&mut shown)).unwrap();
    assert_eq!(shown.len(), coded.pictures.len());
    let psnr = shown.iter().zip(&coded.pictures).map(|((_, shown), picture)| luma_psnr(shown, picture));
    let mean = psnr.sum::<f64>() / shown.len() as f64;
    assert!(mean > 40.0, "{mean} dB");
}

#[test]
fn wrong_settings_and_pictures_are_refused() {
    for (width, height, fps, bitrate_bps) in
        [(0, 0, 15, 1), (427, 240, 15, 300_000), (8, 8, 15, 1000), (426, 240, 0, 1), (16_384, 9000, 15, 1000)]
    {
        let settings = EncoderSettings { size: PictureSize { width, height }, fps, bitrate_bps };
        assert_eq!(Encoder::new(settings).unwrap_err(), CodecError::Settings(settings));
    }
    let mut encoder = Encoder::new(settings(SMALL, 300_000)).unwrap();
    let mut out = BytesMut::new();
    let error = encoder.encode(&Picture::black(HD), Slot(0), true, &mut out).unwrap_err();
    assert_eq!(error, CodecError::PictureSize { picture: HD, encoder: SMALL });
    assert!(encoder.encode(&Picture::black(SMALL), Slot(0), true, &mut out).is_ok());
}

#[test]
fn damage_is_an_error_until_the_next_idr_picture_and_what_is_shown_is_whole() {
    let coded = Coded::lecture(settings(SMALL, 300_000), 0..90, |number| number.is_multiple_of(CELL));
    let mut intact = Shown::new();
    let mut decoder = Decoder::new().unwrap();
    for index in 0..90 {
        decoder.decode(&coded.access_unit(index), time(index), &mut keep(&mut intact)).unwrap();
    }
    decoder.flush(&mut keep(&mut intact)).unwrap();

    let mut random = Random(3);
    let mut decoder = Decoder::new().unwrap();
    let (mut shown, mut errors) = (Shown::new(), 0);
    // Starts in the middle of a cell; a truncated and a garbled access unit in the second cell.
    for index in 10..90 {
        let mut unit = coded.access_unit(index);
        match index {
            35 => unit.truncate(unit.len() / 2),
            45 => unit.iter_mut().for_each(|byte| *byte = random.next() as u8),
            _ => {}
        }
        errors += usize::from(decoder.decode(&unit, time(index), &mut keep(&mut shown)).is_err());
    }
    decoder.flush(&mut keep(&mut shown)).unwrap();
    assert!(errors >= 20 + 2, "{errors}");
    assert_eq!(shown[0].0, time(30));
    assert_eq!(shown[shown.len() - 30].0, time(60));
    for (pts, picture) in &shown {
        let (_, same) = intact.iter().find(|(time, _)| time == pts).unwrap();
        assert!(picture == same, "the picture at {pts} is not whole");
    }
}

#[test]
fn garbage_does_no_harm() {
    let coded = Coded::lecture(settings(SMALL, 300_000), 0..31, |number| number.is_multiple_of(CELL));
    let mut random = Random(1);
    let mut decoder = Decoder::new().unwrap();
    let mut ignore = |_: MediaTime, _: PictureView<'_>| {};
    assert_eq!(decoder.decode(&[], time(0), &mut ignore), Err(DecodeError::Length(0)));
    for round in 0..600 {
        let mut unit = coded.access_unit(round % 31);
        match round % 3 {
            0 => unit = (0..random.next() % 3000).map(|_| random.next() as u8).collect(),
            1 => unit.truncate(random.next() as usize % unit.len()),
            _ => {
                for _ in 0..8 {
                    let at = random.next() as usize % unit.len();
                    unit[at] ^= 1 << (random.next() % 8);
                }
            }
        }
        let _ = decoder.decode(&unit, time(round), &mut ignore);
    }
    let mut shown = Shown::new();
    for index in 0..31 {
        let _ = decoder.decode(&coded.access_unit(index), time(1000 + index), &mut keep(&mut shown));
    }
    decoder.flush(&mut keep(&mut shown)).unwrap();
    assert!(shown.iter().filter(|(pts, _)| *pts >= time(1000)).count() >= 30);
}

#[test]
fn the_size_may_change_in_mid_stream() {
    let big = PictureSize { width: 854, height: 480 };
    let streams = [SMALL, big, SMALL].map(|size| Coded::lecture(settings(size, 300_000), 0..10, |_| false));
    let mut decoder = Decoder::new().unwrap();
    let mut shown = Shown::new();
    for (index, stream) in streams.iter().enumerate() {
        for number in 0..10 {
            // The first access unit of another size may cost the picture held back, not an error for ever.
            let _ =
                decoder.decode(&stream.access_unit(number), time(10 * index + number), &mut keep(&mut shown));
        }
    }
    decoder.flush(&mut keep(&mut shown)).unwrap();
    assert!(shown.len() >= 28, "{}", shown.len());
    for (pts, picture) in shown {
        let wanted = if pts >= time(10) && pts < time(20) { big } else { SMALL };
        assert_eq!(picture.size(), wanted, "at {pts}");
    }
}

/// Runs a program and returns what it writes on stdout.
fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = std::process::Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
#[ignore = "needs ffmpeg"]
fn b_pictures_come_in_presentation_order_with_their_own_times() {
    const COUNT: usize = 150;
    for options in ["b-pyramid=none", "b-pyramid=normal:ref=4", "b-pyramid=none:open-gop=1", "bframes=0"] {
        let file = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
        let mp4 = file.path().to_str().unwrap();
        let mut make = "-v error -y -f lavfi -i testsrc2=size=426x240:rate=15:duration=10"
            .split(' ')
            .collect::<Vec<_>>();
        make.extend("-c:v libx264 -threads 1 -profile:v high -g 30 -bf 3 -b:v 800k -x264-params".split(' '));
        run("ffmpeg", &[&make[..], &[options, mp4]].concat());

        // Decode order, as presentation times; the access units in that order; the pictures as ffmpeg shows them.
        let probed = run("ffprobe", &["-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0", mp4]);
        let pts: Vec<i64> = String::from_utf8(probed)
            .unwrap()
            .lines()
            .map(|line| line.trim_matches(',').parse().unwrap())
            .collect();
        let rank = |pts_of_unit: &i64| pts.iter().filter(|other| *other < pts_of_unit).count();
        let filter = "h264_mp4toannexb,h264_metadata=aud=insert";
        let stream =
            run("ffmpeg", &["-v", "error", "-i", mp4, "-c", "copy", "-bsf:v", filter, "-f", "h264", "-"]);
        let raw = run("ffmpeg", &["-v", "error", "-i", mp4, "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"]);
        let mut units: Vec<Vec<u8>> = Vec::new();
        for nal in annex_b_nals(&stream) {
            if nal_type(nal) == NAL_AUD {
                units.push(Vec::new());
            }
            units.last_mut().unwrap().extend([&[0, 0, 0, 1], nal].concat());
        }
        assert_eq!((units.len(), pts.len()), (COUNT, COUNT));

        let mut decoder = Decoder::new().unwrap();
        let mut shown = Shown::new();
        for (unit, pts) in units.iter().zip(&pts) {
            decoder.decode(unit, time(rank(pts)), &mut keep(&mut shown)).unwrap();
        }
        assert!((COUNT - 5..COUNT).contains(&shown.len()), "{} before the flush", shown.len());
        decoder.flush(&mut keep(&mut shown)).unwrap();
        let times: Vec<_> = shown.iter().map(|(pts, _)| *pts).collect();
        assert_eq!(times, (0..COUNT).map(time).collect::<Vec<_>>(), "{options}");
        for (number, ((_, shown), raw)) in shown.iter().zip(raw.chunks(SMALL.luma_len() * 3 / 2)).enumerate()
        {
            let mut wanted = Picture::black(SMALL);
            wanted.planes_mut()[0].copy_from_slice(&raw[..SMALL.luma_len()]);
            // OpenH264 rounds direct-mode B pictures its own way: 46 dB at worst.
            assert!(luma_psnr(shown, &wanted) > 40.0, "{options}: picture {number}");
        }
    }
}
