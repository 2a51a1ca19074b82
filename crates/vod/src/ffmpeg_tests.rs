//! Files made by ffmpeg: what is cut out of them decodes to the same frames at the same times.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::*;
use amphi_container::isobmff::Boxes;

/// Files by name, each with the streams that ffmpeg reads and the tracks that we read.
type Variants = BTreeMap<&'static str, (PathBuf, &'static [(&'static str, TrackSelection)])>;

const LECTURE: &[&str] = &["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=13"];
const SPEECH: &[&str] = &["-f", "lavfi", "-i", "sine=f=440:r=48000:d=13"];
const H264: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-bf", "0"];
const B_PICTURES: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3"];
const AAC: &[&str] = &["-c:a", "aac", "-b:a", "64k"];

fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .output()
        .expect("ffmpeg is installed");
    assert!(output.status.success(), "ffmpeg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn make(folder: &Path, name: &str, parts: &[&[&str]]) -> PathBuf {
    let file = folder.join(name);
    let path = file.to_str().expect("UTF-8");
    let arguments: Vec<&str> = parts.concat().into_iter().chain([path]).collect();
    ffmpeg(&arguments);
    file
}

/// Sound with spectral band replication, as FDK codes it, beside a picture; `explicit` says so in the configuration
/// (ISO/IEC 14496-3 §1.6.5), else it is found in the sound.
fn he_aac(folder: &Path, name: &str, explicit: bool) -> PathBuf {
    use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, Encoder, EncoderParams, Transport};
    let encoder = Encoder::new(EncoderParams {
        bit_rate: BitRate::Cbr(48_000),
        sample_rate: 48_000,
        transport: Transport::Adts,
        channels: ChannelMode::Stereo,
        audio_object_type: AudioObjectType::Mpeg4HeAac,
    })
    .expect("a usual format");
    let tone = |n: usize| ((n as f64 * 0.06).sin() * 9000.0) as i16;
    let pcm: Vec<i16> = (0..13 * 48_000).flat_map(|n| [tone(n); 2]).collect();
    let (mut rest, mut adts, mut out) = (&pcm[..], Vec::new(), vec![0; 8192]);
    while !rest.is_empty() {
        let done = encoder.encode(rest, &mut out).expect("coded");
        adts.extend_from_slice(&out[..done.output_size]);
        rest = &rest[done.input_consumed..];
    }
    let coded = folder.join("he.aac");
    std::fs::write(&coded, adts).expect("written");
    let input: &[&str] = &["-i", coded.to_str().expect("UTF-8"), "-c:a", "copy"];
    let file = folder.join(name);
    let parts = [
        LECTURE,
        input,
        &["-c:v", "libx264", "-preset", "ultrafast", "-g", "50"],
        &[file.to_str().expect("UTF-8")],
    ];
    ffmpeg(&parts.concat());
    if explicit {
        // The index comes last: nothing moves when it grows.
        let whole = std::fs::read(&file).expect("read");
        let boxes: Vec<_> = Boxes::new(&whole, 0).map(|found| found.expect("sound")).collect();
        let out = boxes
            .iter()
            .flat_map(|found| if found.kind == *b"moov" { said(found) } else { found.whole.to_vec() });
        std::fs::write(&file, out.collect::<Vec<u8>>()).expect("written");
    }
    file
}

/// The file as a phone that was held upright writes it: a matrix turns the picture by 90 degrees (ISO/IEC 14496-12 §8.3.2).
fn rotated(folder: &Path, file: &Path) -> PathBuf {
    let mut whole = std::fs::read(file).expect("read");
    let matrix = whole.windows(4).position(|window| window == b"tkhd").expect("a track") + 44;
    assert_eq!(whole[matrix..matrix + 4], [0, 1, 0, 0], "not turned yet");
    let turned = [0_i32, 1 << 16, 0, -(1 << 16), 0, 0, 180 << 16, 0, 1 << 30].map(i32::to_be_bytes);
    whole[matrix..matrix + 36].copy_from_slice(turned.as_flattened());
    let path = folder.join("rotated.mp4");
    std::fs::write(&path, whole).expect("written");
    path
}

/// The box with an AAC configuration that says: HE-AAC, whose core has 24 kHz and whose sound has 48.
fn said(found: &amphi_container::isobmff::BoxRef<'_>) -> Vec<u8> {
    let within = |skip: usize| {
        let mut body = found.body[..skip].to_vec();
        body.extend(found.children(skip).flat_map(|child| said(&child.expect("sound"))));
        body
    };
    let body = match &found.kind {
        b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => within(0),
        b"stsd" => within(8),
        b"mp4a" => within(28),
        b"esds" => {
            let mut out = vec![0, 0, 0, 0, 3, 27, 0, 1, 0, 4, 19, 0x40, 0x15];
            out.extend([0; 11]);
            out.extend([5, 4, 0x2b, 0x11, 0x88, 0, 6, 1, 2]);
            out
        }
        _ => return found.whole.to_vec(),
    };
    let mut out = Vec::new();
    amphi_container::isobmff::put_box(&mut out, found.kind, |out| out.extend(body));
    out
}

/// A file made by GStreamer, with B pictures and sound.
fn gstreamer(folder: &Path, name: &str, muxer: &str) -> PathBuf {
    let file = folder.join(name);
    let pipeline = format!(
        "videotestsrc num-buffers=325 ! video/x-raw,width=320,height=180,framerate=25/1 ! \
         x264enc key-int-max=50 bframes=2 speed-preset=superfast ! h264parse ! {muxer} name=mux ! \
         filesink location={} audiotestsrc num-buffers=600 ! audio/x-raw,rate=48000,channels=1 ! \
         avenc_aac ! aacparse ! mux.",
        file.display()
    );
    let output = Command::new("gst-launch-1.0")
        .arg("-q")
        .args(pipeline.split_whitespace())
        .output()
        .expect("GStreamer is installed");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    file
}

/// The file with five gigabytes of nothing before its samples, so that they need 64-bit offsets.
fn stretched(folder: &Path, file: &Path) -> PathBuf {
    use std::os::unix::fs::FileExt;
    const HOLE: u64 = 5 << 30;
    let whole = std::fs::read(file).expect("read");
    let top: Vec<_> = Boxes::new(&whole, 0).map(|found| found.expect("sound")).collect();
    assert_eq!(top.last().map(|last| last.kind), Some(*b"moov"), "it comes last");
    let path = folder.join("stretched.mp4");
    let out = std::fs::File::create(&path).expect("made");
    let mut hole = [1_u32.to_be_bytes(), *b"free"].concat();
    hole.extend(HOLE.to_be_bytes());
    let first = top[0].whole.len() as u64;
    out.write_all_at(top[0].whole, 0).expect("written");
    out.write_all_at(&hole, first).expect("written");
    let mut at = first + HOLE;
    for found in &top[1..] {
        let bytes = if found.kind == *b"moov" { shifted(found, HOLE) } else { found.whole.to_vec() };
        out.write_all_at(&bytes, at).expect("written");
        at += bytes.len() as u64;
    }
    path
}

/// The box with 64-bit chunk offsets (ISO/IEC 14496-12 §8.7.5), all moved by so much.
fn shifted(found: &amphi_container::isobmff::BoxRef<'_>, by: u64) -> Vec<u8> {
    let mut out = Vec::new();
    match &found.kind {
        b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => {
            amphi_container::isobmff::put_box(&mut out, found.kind, |out| {
                for child in found.children(0) {
                    out.extend(shifted(&child.expect("sound"), by));
                }
            });
        }
        b"stco" => amphi_container::isobmff::put_full_box(&mut out, *b"co64", 0, 0, |out| {
            let (offsets, _) = found.body[4..].as_chunks::<4>();
            out.extend(offsets[0]);
            for offset in &offsets[1..] {
                out.extend((u64::from(u32::from_be_bytes(*offset)) + by).to_be_bytes());
            }
        }),
        _ => out.extend(found.whole),
    }
    out
}

/// Time in milliseconds and MD5 of each decoded frame, in order of time.
fn frames(file: &Path, stream: &str) -> Vec<(i64, String)> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-copyts", "-i", file.to_str().expect("UTF-8"), "-map", stream])
        .args(["-fps_mode", "passthrough"])
        .args(["-f", "framemd5", "-"])
        .stderr(Stdio::null())
        .output()
        .expect("ffmpeg is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let base: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("#tb 0: "))
        .and_then(|base| base.split_once('/'))
        .map_or(0.0, |(num, den)| num.parse::<f64>().unwrap_or(0.0) / den.parse::<f64>().unwrap_or(1.0));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let frame = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let pts: f64 = fields[2].parse().expect("a time");
        ((pts * base * 1000.0).round() as i64, fields[5].to_owned())
    };
    lines.map(frame).collect()
}

async fn open(file: &Path) -> (Mount, Arc<Recording>) {
    let root = file.parent().expect("a folder").to_owned();
    let mount = Mount::new(MountSettings {
        root,
        segment_ms: 4000,
        download: true,
        poster: true,
        index: true,
        ..MountSettings::default()
    });
    let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8");
    let recording = mount.recording(name).await.unwrap_or_else(|fault| panic!("{fault}"));
    (mount, recording)
}

/// All segments of a media playlist after their initialization section, as a player fetches them.
async fn fetched(
    mount: &Mount,
    recording: &Arc<Recording>,
    kind: TrackSelection,
    trim: Trim,
) -> (Vec<u8>, f64) {
    let playlist = recording.media_playlist(kind, trim).expect("a playlist");
    let mut bytes = recording.init(kind).expect("a section").to_vec();
    let mut sum = 0.0;
    let mut target = 0.0_f64;
    for line in playlist.lines() {
        if let Some(duration) = line.strip_prefix("#EXTINF:") {
            let duration: f64 = duration.trim_end_matches(',').parse().expect("seconds");
            assert!(duration.round() <= target, "no segment is longer than the target duration");
            sum += duration;
        } else if let Some(text) = line.strip_prefix("#EXT-X-TARGETDURATION:") {
            target = text.parse().expect("seconds");
        } else if line.starts_with("media_") {
            let Some(RecordingFile::Segment(names, kind, from, to)) = parse_file(line) else {
                panic!("{line}")
            };
            assert_eq!(names, recording.names);
            let layout = mount.segment(recording, kind, from, to).await.expect("a segment that was listed");
            let (first, more) = mount.read(recording, &layout).await.expect("readable");
            let mut segment = [&layout.head[..], &first[..]].concat();
            if let Some(mut more) = more {
                use futures_util::StreamExt;
                while let Some(part) = more.next().await {
                    segment.extend_from_slice(&part.expect("readable"));
                }
            }
            assert_eq!(segment.len() as u64, layout.total_len());
            let boxes: Vec<_> = Boxes::new(&segment, 0).map(|found| found.expect("sound").kind).collect();
            assert_eq!(boxes, [*b"moof", *b"mdat"]);
            bytes.extend(segment);
        }
    }
    assert!(playlist.ends_with("#EXT-X-ENDLIST\n"));
    (bytes, sum)
}

/// `ours` is a file, its stream, and how many silent frames are at its begin and end that are not in the other file.
fn assert_same_frames(name: &str, stream: &str, ours: (&Path, &str, (u32, u32)), theirs: &Path) {
    let (before, after) = ours.2;
    let (mut ours, mut theirs) = (frames(ours.0, ours.1), frames(theirs, stream));
    if before > 0 {
        // Behind silence a decoder begins a frame with another window.
        ours.drain(..before as usize + 2);
        theirs.drain(..2);
    }
    // In a whole file ffmpeg cuts the priming away, even in the middle of a frame; in fragments it does not.
    let settled_ms = if stream.contains('a') { 30 } else { 0 };
    ours.retain(|(ms, _)| *ms >= settled_ms);
    theirs.retain(|(ms, _)| *ms >= settled_ms);
    assert!(!theirs.is_empty(), "{name}: {stream} has frames");
    assert_eq!(ours.len(), theirs.len() + after as usize, "{name}: frames of {stream}");
    for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(ours.1, theirs.1, "{name}: content of frame {index} of {stream}");
        assert!(
            (ours.0 - theirs.0).abs() <= 1,
            "{name}: frame {index} of {stream} at {} ms, not {}",
            ours.0,
            theirs.0
        );
    }
}

async fn check(name: &str, file: &Path, streams: &[(&str, TrackSelection)]) {
    let (mount, recording) = open(file).await;
    let (bytes, sum) = fetched(&mount, &recording, TrackSelection::Both, Trim::default()).await;
    let own = tempfile::NamedTempFile::with_suffix(".mp4").expect("a file");
    std::fs::write(own.path(), &bytes).expect("written");
    let duration = (recording.movie.duration_nanos() - recording.movie.start_nanos()) as f64 / 1e9;
    assert!((sum - duration).abs() < 0.05, "{name}: EXTINFs add up to {sum} s of {duration} s");
    for (stream, kind) in streams {
        let sound = stream.split_once(":a:").and_then(|(_, index)| index.parse::<usize>().ok());
        let sound = sound.and_then(|index| recording.movie.audio.get(index));
        let silent = sound.map_or((0, 0), |track| track.samples.silent(0, u32::MAX));
        if *kind == TrackSelection::Both {
            assert_same_frames(name, stream, (own.path(), stream, silent), file);
        } else {
            let (bytes, _) = fetched(&mount, &recording, *kind, Trim::default()).await;
            std::fs::write(own.path(), &bytes).expect("written");
            let own_stream = if stream.contains(":a") { "0:a:0" } else { "0:v:0" };
            assert_same_frames(name, stream, (own.path(), own_stream, silent), file);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ffmpeg: tests/run"]
#[expect(clippy::too_many_lines, reason = "a table of files")]
async fn every_kind_of_file_gives_back_its_frames() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let both: &[(&str, TrackSelection)] = &[("0:v:0", TrackSelection::Both), ("0:a:0", TrackSelection::Both)];
    let picture: &[(&str, TrackSelection)] = &[("0:v:0", TrackSelection::Both)];
    let sound: &[(&str, TrackSelection)] = &[("0:a:0", TrackSelection::Both)];
    let av = [LECTURE, SPEECH];
    let with =
        |rest: &[&'static [&'static str]]| -> Vec<&'static [&'static str]> { [&av[..], rest].concat() };
    let mut made: Variants = BTreeMap::new();
    let mut add = |name: &'static str, parts: Vec<&'static [&'static str]>, streams| {
        made.insert(name, (make(dir, name, &parts), streams));
    };
    add("plain.mp4", with(&[H264, AAC]), both);
    add("faststart.mp4", with(&[H264, AAC, &["-movflags", "+faststart"]]), both);
    add("b_pictures.mp4", with(&[B_PICTURES, AAC]), both);
    add("b_no_edit_list.mp4", with(&[B_PICTURES, AAC, &["-use_editlist", "0"]]), both);
    add("b_negative.mp4", with(&[B_PICTURES, AAC, &["-movflags", "negative_cts_offsets"]]), both);
    add("open_gop.mp4", with(&[B_PICTURES, &["-x264-params", "open-gop=1"], AAC]), both);
    add("fragmented.mp4", with(&[H264, AAC, &["-movflags", "frag_keyframe+empty_moov"]]), both);
    add("fragmented_b.mp4", with(&[B_PICTURES, AAC, &["-movflags", "frag_keyframe+empty_moov"]]), both);
    add("fragmented_base.mp4", with(&[H264, AAC, &["-movflags", "frag_keyframe+default_base_moof"]]), both);
    add("fragmented_late_moov.mp4", with(&[H264, AAC, &["-movflags", "frag_keyframe+delay_moov"]]), both);
    add("film_rate.mp4", with(&[&["-r", "24000/1001"], H264, AAC]), both);
    add("tv_rate.mp4", with(&[&["-r", "30000/1001"], B_PICTURES, AAC]), both);
    add("fifty.mp4", with(&[&["-r", "50"], H264, AAC]), both);
    add(
        "variable_rate.mp4",
        with(&[&["-vf", "select='not(mod(n,3))+not(mod(n,7))'", "-fps_mode", "vfr"], H264, AAC]),
        both,
    );
    add(
        "variable_rate_fragments.mp4",
        with(&[
            &["-vf", "select='not(mod(n,3))+not(mod(n,7))'", "-fps_mode", "vfr"],
            B_PICTURES,
            AAC,
            &["-movflags", "frag_keyframe+empty_moov"],
        ]),
        both,
    );
    add("sound_shorter.mp4", with(&[H264, AAC, &["-af", "atrim=end=7"]]), both);
    add("mono_22k.mp4", with(&[H264, AAC, &["-ar", "22050", "-ac", "1"]]), both);
    add("stereo_44k.mp4", with(&[H264, AAC, &["-ar", "44100", "-ac", "2"]]), both);
    add("no_sound.mp4", [LECTURE, H264].to_vec(), picture);
    add("no_picture.m4a", [SPEECH, AAC].to_vec(), sound);
    add("quicktime.mov", with(&[H264, AAC]), both);
    add("quicktime_b.mov", with(&[B_PICTURES, AAC]), both);
    add(
        "hevc.mp4",
        with(&[
            &[
                "-c:v",
                "libx265",
                "-preset",
                "ultrafast",
                "-x265-params",
                "log-level=none:keyint=50",
                "-tag:v",
                "hvc1",
            ],
            AAC,
        ]),
        both,
    );
    add("opus.mp4", with(&[H264, &["-c:a", "libopus", "-strict", "-2"]]), both);
    // Its sound is coded anew, which `transcode` looks at.
    add("mp3.mp4", with(&[H264, &["-c:a", "libmp3lame"]]), picture);
    add(
        "long_groups.mp4",
        with(&[&["-c:v", "libx264", "-preset", "ultrafast", "-g", "250", "-bf", "0"], AAC]),
        both,
    );
    add("all_key_frames.mp4", with(&[&["-c:v", "libx264", "-preset", "ultrafast", "-g", "1"], AAC]), both);
    add("short.mp4", with(&[H264, AAC, &["-t", "0.3"]]), both);
    add("late_sound.mp4", [LECTURE, &["-itsoffset", "1.5"], SPEECH, H264, AAC].to_vec(), both);
    add(
        "late_picture.mp4",
        [SPEECH, &["-itsoffset", "1.5"], LECTURE, &["-map", "1:v", "-map", "0:a"], H264, AAC].to_vec(),
        both,
    );
    add(
        "two_sounds.mp4",
        with(&[
            &["-f", "lavfi", "-i", "sine=f=880:r=48000:d=13", "-map", "0:v", "-map", "1:a", "-map", "2:a"],
            H264,
            AAC,
        ]),
        &[
            ("0:v:0", TrackSelection::Picture),
            ("0:a:0", TrackSelection::Sound(0)),
            ("0:a:1", TrackSelection::Sound(1)),
        ],
    );
    add("baseline.mp4", with(&[H264, &["-profile:v", "baseline", "-level", "3.0"], AAC]), both);
    add("timecode.mov", with(&[H264, &["-timecode", "10:00:00:00"], AAC]), both);
    for (name, muxer) in [
        ("gst.mp4", "mp4mux"),
        ("gst.mov", "qtmux faststart=true"),
        ("gst_fragments.mp4", "mp4mux fragment-duration=2000"),
    ] {
        made.insert(name, (gstreamer(dir, name, muxer), both));
    }
    made.insert("rotated.mp4", (rotated(dir, &made["plain.mp4"].0), both));
    made.insert("he_aac.mp4", (he_aac(dir, "he_aac.mp4", false), both));
    made.insert("he_aac_explicit.mp4", (he_aac(dir, "he_aac_explicit.mp4", true), both));
    made.insert("five_gigabytes.mp4", (stretched(dir, &made["plain.mp4"].0), both));
    for (name, (file, streams)) in &made {
        check(name, file, streams).await;
    }
    assert!(made.len() >= 25, "{}", made.len());
    for (name, codec) in
        [("he_aac.mp4", "mp4a.40.2"), ("he_aac_explicit.mp4", "mp4a.40.5"), ("mp3.mp4", "mp4a.40.2")]
    {
        let (_, recording) = open(&made[name].0).await;
        assert_eq!(recording.movie.audio[0].coding.codec, codec, "{name}");
    }
    let (_, recording) = open(&made["rotated.mp4"].0).await;
    let matrix = &recording.movie.video.as_ref().expect("a picture").matrix;
    assert_ne!(matrix[..4], [0, 1, 0, 0], "how the camera was held is handed on");
}

/// A key frame of more than one part is read whole.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ffmpeg: tests/run"]
async fn a_large_key_frame_is_one_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let noise: &[&str] =
        &["-f", "lavfi", "-i", "nullsrc=s=1280x720:r=5:d=1,geq=random(1)*255:128:128", "-c:v", "libx264"];
    let file = make(
        folder.path(),
        "noise.mp4",
        &[noise, &["-preset", "ultrafast", "-qp", "8", "-pix_fmt", "yuv420p"]],
    );
    let (mount, recording) = open(&file).await;
    let video = recording.movie.video.as_ref().expect("a picture");
    let size = video.samples.size(0) as usize;
    assert!(size > 300_000, "{size}");
    let picture = mount.read_sample(&recording, 0).await.expect("read");
    let whole = std::fs::read(&file).expect("read");
    let at = video.samples.extents(0, 1)[0].offset as usize;
    assert_eq!(picture, whole[at..at + size]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ffmpeg: tests/run"]
async fn a_part_begins_at_the_key_frame_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = make(folder.path(), "a.mp4", &[LECTURE, SPEECH, B_PICTURES, AAC]);
    let (mount, recording) = open(&file).await;
    let trim = Trim { start_ms: 5000, duration_ms: Some(3000) };
    let (bytes, sum) = fetched(&mount, &recording, TrackSelection::Both, trim).await;
    let own = folder.path().join("part.mp4");
    std::fs::write(&own, &bytes).expect("written");
    let (ours, whole) = (frames(&own, "0:v:0"), frames(&file, "0:v:0"));
    // Key frames stand every two seconds.
    let expected: Vec<_> = whole.iter().filter(|(ms, _)| (4000..8000).contains(ms)).cloned().collect();
    assert_eq!(ours, expected);
    assert!((sum - 4.0).abs() < 0.001, "{sum}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ffmpeg: tests/run"]
async fn a_file_that_grows_is_unfinished_and_then_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = make(folder.path(), "a.mp4", &[LECTURE, SPEECH, H264, AAC, &["-movflags", "+faststart"]]);
    let whole = std::fs::read(&file).expect("read");
    for part in [1, 10, 30, 60] {
        std::fs::write(&file, &whole[..whole.len() * part / 64]).expect("written");
        let mount = Mount::new(MountSettings {
            root: folder.path().to_owned(),
            segment_ms: 4000,
            download: true,
            poster: true,
            index: true,
            ..MountSettings::default()
        });
        let fault = mount.recording("a.mp4").await.expect_err("half a file");
        assert!(matches!(fault, VodFault::Unfinished { .. }), "{part}/64: {fault}");
    }
    std::fs::write(&file, &whole).expect("written");
    check("whole again", &file, &[("0:v:0", TrackSelection::Both)]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ffmpeg: tests/run"]
async fn chapters_of_quicktime_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("chapters.txt");
    let chapter =
        |start, end, title| format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={title}\n");
    let text =
        format!(";FFMETADATA1\n{}{}", chapter(0, 5000, "Bases"), chapter(5000, 13000, "Après la pause"));
    std::fs::write(&list, text).expect("written");
    let list = list.to_str().expect("UTF-8").to_owned();
    for name in ["a.mp4", "a.mov"] {
        let file = folder.path().join(name);
        let path = file.to_str().expect("UTF-8");
        let arguments =
            [LECTURE, SPEECH, &["-f", "ffmetadata", "-i", &list, "-map_metadata", "2"], H264, AAC, &[path]]
                .concat();
        ffmpeg(&arguments);
        let (mount, _) = open(&file).await;
        let opened = mount.open(&RecordingStream::File(name.to_owned())).await.expect("opened");
        let chapters = mount.chapters_within(&opened).await.expect("read");
        let told: Vec<_> = chapters.iter().map(|cue| (cue.start_ms, cue.end_ms, &*cue.text)).collect();
        assert_eq!(told, [(0, 5000, "Bases"), (5000, 13000, "Après la pause")], "{name}");
    }
}

/// The packets of a file's only or first sound: times in milliseconds and digests.
fn packets(file: &Path) -> Vec<(i64, String)> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-copyts", "-i", file.to_str().expect("UTF-8"), "-map", "0:a:0"])
        .args(["-c", "copy", "-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let base = text.lines().find_map(|line| line.strip_prefix("#tb 0: 1/")).expect("a time base");
    let base: f64 = base.parse().expect("a number");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let packet = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let pts: f64 = fields[2].parse().expect("a time");
        ((pts * 1000.0 / base).round() as i64, fields[5].to_owned())
    };
    lines.map(packet).collect()
}

/// What another reader says of a file's sound.
fn probed(file: &Path) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "a", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=codec_name,codec_tag_string,sample_rate,channels"])
        .arg(file)
        .output()
        .expect("ffmpeg is installed");
    String::from_utf8_lossy(&output.stdout).trim().trim_end_matches(',').to_owned()
}

/// All of a set of the manifest, as a player fetches it.
async fn fetched_by_time(mount: &Mount, recording: &Arc<Recording>, id: usize) -> Vec<u8> {
    use amphi_container::dash::{Mpd, RepresentationMedia};
    let whole =
        Rendition { recording: Arc::clone(recording), trim: Trim::default(), kind: TrackSelection::Both };
    let text = Presentation { renditions: vec![whole], smil: None }.manifest(Trim::default(), &[]);
    let sets = Mpd::parse(&text).expect("a manifest").adaptation_sets;
    let set = sets.into_iter().find(|set| set.id == id).expect("a set");
    let RepresentationMedia::Segments(template) = &set.representations[0].media else { panic!("{text}") };
    let Some(RecordingFile::Init(_, kind)) = parse_file(&template.initialization) else { panic!("{text}") };
    let mut bytes = recording.init(kind).expect("a section").to_vec();
    for (start, _) in template.timeline.segments() {
        let name = template.media.replace("$Time$", &start.to_string());
        let Some(RecordingFile::SegmentAt(_, kind, start)) = parse_file(&name) else { panic!("{name}") };
        let layout = mount.segment_at(recording, kind, start).await.expect("a segment that was listed");
        bytes.extend_from_slice(&layout.head);
        bytes.extend_from_slice(&mount.read(recording, &layout).await.expect("readable").0);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ffmpeg: tests/run"]
async fn sound_that_is_as_it_is_has_the_packets_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let ac3: &[&str] = &["-c:a", "ac3", "-b:a", "192k", "-ac", "2"];
    let surround: &[&str] = &["-c:a", "ac3", "-b:a", "384k", "-ac", "6"];
    let eac3: &[&str] = &["-c:a", "eac3", "-b:a", "256k", "-ac", "6"];
    let slow: &[&str] = &["-c:a", "ac3", "-b:a", "160k", "-ac", "2", "-ar", "44100"];
    let fragments: &[&str] = &["-movflags", "frag_keyframe+empty_moov+delay_moov"];
    let films: &[(&str, &[&[&str]], &str)] = &[
        ("stereo.mp4", &[LECTURE, SPEECH, H264, ac3], "ac3,ac-3,48000,2"),
        ("surround.mp4", &[LECTURE, SPEECH, B_PICTURES, surround], "ac3,ac-3,48000,6"),
        ("surround.mov", &[LECTURE, SPEECH, H264, surround], "ac3,ac-3,48000,6"),
        ("eac3.mp4", &[LECTURE, SPEECH, H264, eac3], "eac3,ec-3,48000,6"),
        ("44100.mp4", &[LECTURE, SPEECH, H264, slow], "ac3,ac-3,44100,2"),
        ("fragments.mp4", &[LECTURE, SPEECH, H264, surround, fragments], "ac3,ac-3,48000,6"),
        ("alone.mp4", &[SPEECH, ac3], "ac3,ac-3,48000,2"),
    ];
    let late = make(dir, "late.mp4", &[LECTURE, &["-itsoffset", "1.5"], SPEECH, H264, ac3]);
    assert!(
        open(&late).await.1.tracks(TrackSelection::InFile(0)).is_none(),
        "it would have to begin with silence"
    );
    let own = tempfile::NamedTempFile::with_suffix(".mp4").expect("a file");
    for (name, parts, said) in films {
        let file = make(dir, name, parts);
        let (mount, recording) = open(&file).await;
        let kind = TrackSelection::InFile(0);
        let over_hls = fetched(&mount, &recording, kind, Trim::default()).await.0;
        let over_dash = fetched_by_time(&mount, &recording, 2).await;
        let theirs = packets(&file);
        assert!(theirs.len() > 350, "{name}: {} packets", theirs.len());
        for bytes in [over_hls, over_dash] {
            std::fs::write(own.path(), &bytes).expect("written");
            assert_eq!(probed(own.path()), *said, "{name}");
            let ours = packets(own.path());
            let digests =
                |packets: &[(i64, String)]| packets.iter().map(|it| it.1.clone()).collect::<Vec<_>>();
            assert_eq!(digests(&ours), digests(&theirs), "{name}");
            let apart = ours.iter().zip(&theirs).map(|(ours, theirs)| (ours.0 - theirs.0).abs()).max();
            assert!(apart <= Some(1), "{name}: {apart:?} ms apart");
        }
        let part = Trim { start_ms: 5000, duration_ms: Some(3000) };
        std::fs::write(own.path(), fetched(&mount, &recording, kind, part).await.0).expect("written");
        let (some, first) = (packets(own.path()), theirs.len() / 4);
        assert!(some.len() > 60 && some.len() < first * 3, "{name}: {} packets", some.len());
        assert!(
            theirs.windows(some.len()).any(|them| them.iter().zip(&some).all(|(it, ours)| it.1 == ours.1)),
            "{name}"
        );
    }
}
