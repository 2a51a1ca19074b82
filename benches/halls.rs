//! What the whole ladder costs and how good its pictures are, compared with ffmpeg on the same work in the same run.
//!
//! There are three clips of 1280x720 at 15 pictures/s, coded as a hall's encoder would (H.264 High, at most 750 kbit/s): a
//! lecture, a full-frame camera that stands still, and one that turns with the speaker. Each is played into one ladder as
//! fast as the ladder takes it (decode, scale, code 720p and 480p), and then given to ffmpeg. Costs are CPU seconds per second of
//! media, of the ladder's threads by the kernel's accounting. Quality is PSNR and SSIM of luma against the clip before the hall's
//! encoder; for 480p that clip is scaled by swscale. A ladder's picture cannot be much better than what the hall sends, so that is
//! printed too. At the end nine halls run at once, in real time.
//!
//! x264 is there twice: as streaming servers use it, tuned for the eye, and tuned for PSNR. Only the second may be compared by PSNR.
//!
//! `cargo bench --bench halls [-- --seconds 30 --halls 9 --runs 5 --json FILE]`. Needs ffmpeg; `benches/halls.py` writes it down.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so and stop"
)]

#[path = "clips/camera.rs"]
mod camera;
#[path = "../crates/ladder/src/lecture.rs"]
#[expect(dead_code, reason = "where slides begin is for tests")]
mod lecture;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amphi::clock::{Clock, ManualClock, SystemClock};
use amphi::feed::FeedWriter;
use amphi::ladder::{DecoderChoice, LadderMeter, LadderNews, LadderSpec, LiveLadder, PictureRung};
use amphi::media::h264::{
    NAL_AUD, NAL_IDR, NAL_PPS, NAL_SPS, annex_b_nals, nal_type, push_sample_nal, to_annex_b,
};
use amphi::media::{
    AudioFormat, AudioTrack, CellIndex, CodedCell, Grid, MediaTime, ParameterSets, Picture, PictureSize,
    SourceFrame, TrackFormat,
};
use bytes::{Bytes, BytesMut};
use camera::Camera;
use lecture::{FPS, SyntheticLecture};

const HD: PictureSize = PictureSize { width: 1280, height: 720 };
const SD: PictureSize = PictureSize { width: 854, height: 480 };
const GRID: Grid = Grid::new(2000);
const RUNGS: [(&str, PictureSize, u32); 2] = [("720p", HD, 750_000), ("480p", SD, 400_000)];
/// The encoders of ffmpeg to compare with, and their settings.
const FFMPEG: [Rival; 3] = [
    Rival {
        name: "libx264",
        encoder: "libx264",
        options: "-preset veryfast -tune zerolatency -profile:v high -x264-params scenecut=40:keyint=30",
    },
    // Without its psychovisual decisions, which cost PSNR: the one to compare PSNR with.
    Rival {
        name: "libx264 for PSNR",
        encoder: "libx264",
        options: "-preset veryfast -tune psnr,zerolatency -profile:v high -x264-params scenecut=40:keyint=30",
    },
    Rival { name: "libopenh264", encoder: "libopenh264", options: "-profile:v high -allow_skip_frames 0" },
];
/// How many times ffmpeg's target bit rate is corrected until its streams are as long as ours.
const CORRECTIONS: usize = 3;
/// How many pictures a ladder may lag while the clock waits for it: less than half of its patience.
const BEHIND: u64 = 3;
/// Time from a picture's slot to its arrival.
const ON_THE_WAY: Duration = Duration::from_millis(20);

/// An encoder of ffmpeg.
struct Rival {
    name: &'static str,
    encoder: &'static str,
    options: &'static str,
}

/// Luma of a stream against the clip.
#[derive(serde::Serialize)]
struct Quality {
    psnr_db: f64,
    ssim: f64,
    kbit_per_s: u64,
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { psnr_db, ssim, kbit_per_s } = self;
        write!(f, "PSNR-Y {psnr_db:.2} dB, SSIM-Y {ssim:.4} at {kbit_per_s} kbit/s")
    }
}

/// What one clip costs and how it looks, by who coded it.
#[derive(Default, serde::Serialize)]
struct Compared {
    clip: String,
    /// CPU seconds per second of media, for each run.
    cpu_s_per_s: BTreeMap<String, Vec<f64>>,
    /// The same of the ladder's threads.
    threads: BTreeMap<String, Vec<f64>>,
    /// By rung, and by who coded it; "hall" is what the hall sends. Of ffmpeg's encoders, with as many bits as ours.
    quality: BTreeMap<String, BTreeMap<String, Quality>>,
    /// The same with the target that the ladder has, which encoders miss each in its own way.
    quality_as_asked: BTreeMap<String, BTreeMap<String, Quality>>,
    late_pictures: u64,
}

/// A clip before and after the hall's encoder.
struct Clip {
    name: &'static str,
    pristine: PathBuf,
    coded: PathBuf,
    frames: Vec<(Bytes, bool)>,
    format: Arc<TrackFormat>,
}

/// CPU seconds and the output of one ladder.
struct Measured {
    /// CPU seconds by thread name.
    cpu: BTreeMap<String, f64>,
    cells: Vec<Arc<CodedCell>>,
    meter: Arc<LadderMeter>,
}

fn main() {
    let option = |name: &str, default: u64| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    // `cargo test` runs this without `--bench`. It takes minutes and needs ffmpeg, so it only prints a line.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("Testing halls: it runs with --bench");
        return;
    }
    let (seconds, halls) = (option("--seconds", 30).next_multiple_of(2), option("--halls", 9) as usize);
    let runs = option("--runs", 5) as usize;
    let directory = tempfile::tempdir().expect("a directory");
    let mut lecture = SyntheticLecture::new(HD.width, HD.height);
    let mut camera = Camera::new(HD.width, HD.height, false);
    let mut follower = Camera::new(HD.width, HD.height, true);
    let clips = [
        Clip::make("lecture", directory.path(), seconds, |n, planes| lecture.draw(n, planes)),
        Clip::make("camera", directory.path(), seconds, |n, planes| camera.draw(n, planes)),
        Clip::make("follower", directory.path(), seconds, |n, planes| follower.draw(n, planes)),
    ];
    let compared: Vec<_> = clips.iter().map(|clip| compare(clip, directory.path(), seconds, runs)).collect();
    let together = (halls > 0).then(|| at_once(&clips, halls, seconds));
    let mut arguments = std::env::args().skip_while(|argument| argument != "--json").skip(1);
    if let Some(path) = arguments.next() {
        let raw = serde_json::json!({ "clips": compared, "together": together });
        std::fs::write(path, serde_json::to_string_pretty(&raw).expect("JSON")).expect("written");
    }
}

/// So many halls in real time.
fn at_once(clips: &[Clip], halls: usize, seconds: u64) -> serde_json::Value {
    let all: Vec<_> = (0..halls).map(|hall| &clips[hall % clips.len()]).collect();
    let played = play(&all, seconds, true);
    let cpu: f64 = played.iter().flat_map(|hall| hall.cpu.values()).sum();
    let wanted = played.len() * seconds as usize / 2;
    let cells: usize = played.iter().map(|hall| hall.cells.len()).sum();
    let late: u64 = played.iter().map(|hall| hall.meter.late_pictures.get()).sum();
    let thinned =
        played.iter().flat_map(|hall| &hall.meter.rungs).filter(|rung| rung.thinning.get() > 0).count();
    println!(
        "{halls} halls at once, both rungs: {:.3} CPU s per s, {cells} of {wanted} cells, {late} late pictures, \
         {thinned} rungs thinned at the end",
        cpu / seconds as f64
    );
    serde_json::json!({ "halls": halls, "cpu_s_per_s": cpu / seconds as f64, "cells": cells, "wanted": wanted,
                        "late_pictures": late, "thinned_rungs": thinned })
}

/// Plays one clip through our ladder and ffmpeg's in turns. Quality is that of the first run; the others give the same pictures.
fn compare(clip: &Clip, directory: &Path, seconds: u64, runs: usize) -> Compared {
    println!("{}: {seconds} s, both rungs, {runs} runs", clip.name);
    let mut told = Compared { clip: clip.name.to_owned(), ..Compared::default() };
    let hall = quality(clip, &clip.coded, HD, seconds);
    println!("    as the hall sends it: {hall}");
    told.quality.entry("720p".to_owned()).or_default().insert("hall".to_owned(), hall);
    let costs = &mut told.cpu_s_per_s;
    let threads = &mut told.threads;
    for run in 0..runs {
        let ours = play(&[clip], seconds, false).remove(0);
        costs.entry("amphi".to_owned()).or_default().push(ours.cpu.values().sum::<f64>() / seconds as f64);
        for (name, cpu) in &ours.cpu {
            threads.entry(name.clone()).or_default().push(cpu / seconds as f64);
        }
        told.late_pictures += ours.meter.late_pictures.get();
        if ours.meter.late_pictures.get() > 0 {
            println!(
                "    {} late pictures: the machine is too busy to measure",
                ours.meter.late_pictures.get()
            );
        }
        for (index, (name, size, _)) in RUNGS.into_iter().enumerate().filter(|_| run == 0) {
            let path = stream(directory, "amphi", name);
            std::fs::write(&path, annex_b(&ours.cells, index)).expect("written");
            let quality = quality(clip, &path, size, seconds);
            println!("    amphi {name}: {quality}");
            told.quality.entry(name.to_owned()).or_default().insert("amphi".to_owned(), quality);
        }
        for rival in &FFMPEG {
            if !has_encoder(rival.encoder) {
                if run == 0 {
                    println!("    ffmpeg {}: not built in", rival.name);
                }
                continue;
            }
            let targets = RUNGS.map(|(.., bitrate)| u64::from(bitrate));
            let cpu = ffmpeg_ladder(clip, rival, directory, targets);
            costs.entry(rival.name.to_owned()).or_default().push(cpu / seconds as f64);
            if run == 0 {
                judge(clip, rival, directory, seconds, "", &mut told.quality_as_asked);
                spend_as_much(clip, rival, directory, targets);
                judge(clip, rival, directory, seconds, " with as many bits", &mut told.quality);
            }
        }
    }
    let ours = costs.get("amphi").cloned().unwrap_or_default();
    for (who, costs) in &*costs {
        let ratios: Vec<_> = ours.iter().zip(costs).map(|(ours, theirs)| ours / theirs).collect();
        println!("  {who}: CPU s per s {}; amphi / {who} {}", spread(costs), spread(&ratios));
    }
    for (name, cpu) in &*threads {
        println!("    of amphi: {name} {}", spread(cpu));
    }
    told
}

/// Tells the quality of what ffmpeg has coded.
fn judge(
    clip: &Clip,
    rival: &Rival,
    directory: &Path,
    seconds: u64,
    bits: &str,
    told: &mut BTreeMap<String, BTreeMap<String, Quality>>,
) {
    for (name, size, _) in RUNGS {
        let quality = quality(clip, &stream(directory, rival.name, name), size, seconds);
        println!("    ffmpeg {} {name}{bits}: {quality}", rival.name);
        told.entry(name.to_owned()).or_default().insert(rival.name.to_owned(), quality);
    }
}

/// Median, minimum and maximum.
fn spread(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(least), Some(median), Some(most)) => format!("{median:.4} ({least:.4} to {most:.4})"),
        _ => String::new(),
    }
}

impl Clip {
    fn make(
        name: &'static str,
        directory: &Path,
        seconds: u64,
        mut draw: impl FnMut(u64, [&mut [u8]; 3]),
    ) -> Self {
        let (pristine, coded) =
            (directory.join(format!("{name}.mkv")), directory.join(format!("{name}.h264")));
        let raw = format!("-f rawvideo -pix_fmt yuv420p -s {HD} -r {FPS} -i -");
        let smp = "-c:v libx264 -preset medium -profile:v high -level 4.1 -b:v 750k -maxrate 750k -bufsize 1500k -g 30 \
                   -bf 0 -bsf:v h264_metadata=aud=insert";
        let mut ffmpeg = ffmpeg(&format!("{raw} -c:v libx264 -qp 0 -preset ultrafast"))
            .arg(&pristine)
            .args(smp.split_whitespace())
            .arg(&coded)
            .stdin(Stdio::piped())
            .spawn()
            .expect("ffmpeg");
        let mut input = ffmpeg.stdin.take().expect("a pipe");
        let mut picture = Picture::black(HD);
        for number in 0..seconds * u64::from(FPS) {
            draw(number, picture.planes_mut());
            for plane in picture.planes() {
                input.write_all(plane).expect("ffmpeg takes pictures");
            }
        }
        drop(input);
        assert!(ffmpeg.wait().expect("ffmpeg").success());
        let stream = std::fs::read(&coded).expect("read");
        let (frames, format) = access_units(&stream);
        Self { name, pristine, coded, frames, format }
    }
}

/// The access units of an Annex B stream with delimiters, as a source delivers them.
fn access_units(stream: &[u8]) -> (Vec<(Bytes, bool)>, Arc<TrackFormat>) {
    let (mut units, mut sps, mut pps) = (Vec::<(BytesMut, bool)>::new(), Bytes::new(), Bytes::new());
    for nal in annex_b_nals(stream) {
        match nal_type(nal) {
            NAL_AUD => units.push((BytesMut::new(), false)),
            NAL_SPS => sps = Bytes::copy_from_slice(nal),
            NAL_PPS => pps = Bytes::copy_from_slice(nal),
            kind => {
                let (unit, sync) = units.last_mut().expect("a delimiter before it");
                push_sample_nal(unit, nal);
                *sync |= kind == NAL_IDR;
            }
        }
    }
    let units = units.into_iter().map(|(unit, sync)| (unit.freeze(), sync)).collect();
    (units, Arc::new(TrackFormat::H264(ParameterSets { sps, pps })))
}

fn spec() -> LadderSpec {
    let pictures = RUNGS.map(|(name, size, bitrate_bps)| PictureRung {
        name: name.to_owned(),
        size,
        fps: FPS,
        bitrate_bps,
    });
    LadderSpec {
        name: "lecture".to_owned(),
        grid: GRID,
        decoder: if std::env::args().any(|argument| argument == "--openh264") {
            DecoderChoice::OpenH264
        } else {
            DecoderChoice::Rusty
        },
        patience: Duration::from_millis(500),
        pictures: pictures.into(),
        audio_only: Vec::new(),
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    }
}

/// How time passes in a run: in real time, or as fast as the ladder goes, so that other load on the machine does not make it
/// drop pictures.
enum Pace {
    Real(Arc<SystemClock>),
    Ladders(Arc<ManualClock>),
}

impl Pace {
    fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Real(clock) => Arc::clone(clock) as Arc<dyn Clock>,
            Self::Ladders(clock) => Arc::clone(clock) as Arc<dyn Clock>,
        }
    }

    /// Waits until `at`, and until `followed` says that the ladder has caught up.
    fn wait(&self, at: MediaTime, followed: impl Fn() -> bool) {
        match self {
            Self::Real(clock) => std::thread::sleep(at.saturating_since(clock.now())),
            Self::Ladders(clock) => {
                for _ in 0..4000 {
                    if followed() {
                        break;
                    }
                    std::thread::sleep(Duration::from_micros(500));
                }
                clock.advance(at.saturating_since(clock.now()));
            }
        }
    }
}

/// Plays the clips at the same time, each into a ladder of its own.
fn play(clips: &[&Clip], seconds: u64, real: bool) -> Vec<Measured> {
    let pace = if real {
        Pace::Real(Arc::default())
    } else {
        Pace::Ladders(Arc::new(ManualClock::at(MediaTime::from_millis(1_800_000_000_000))))
    };
    let clock = pace.clock();
    let spec = spec();
    let tracks = spec.tracks().expect("tracks");
    let wanted = (seconds / 2) as usize;
    let mut halls = Vec::new();
    for hall in 0..clips.len() {
        let publisher = FeedWriter::default();
        let cells = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let cells = Arc::clone(&cells);
            move |news| {
                if let LadderNews::Cell(cell) = news {
                    cells.lock().unwrap().push(cell);
                }
            }
        };
        let name = format!("{hall}");
        let ladder =
            LiveLadder::start(&name, &spec, &tracks, publisher.subscribe(), Arc::clone(&clock), sink)
                .expect("a ladder");
        halls.push((publisher, cells, ladder));
    }
    let begin = GRID.start(GRID.cell_at(clock.now()).next());
    for number in 0..seconds * u64::from(FPS) {
        let pts = begin.offset_nanos((number * 1_000_000_000 / u64::from(FPS)) as i64);
        // A ladder that lags more would repeat or drop pictures.
        let follows =
            |ladder: &LiveLadder| ladder.meter().rungs.iter().all(|rung| rung.coded.get() + BEHIND >= number);
        pace.wait(pts + ON_THE_WAY, || halls.iter().all(|(.., ladder)| follows(ladder)));
        for ((publisher, ..), clip) in halls.iter().zip(clips) {
            let (data, sync) = clip.frames[number as usize].clone();
            publisher.publish(&SourceFrame { pts, data, sync, format: Arc::clone(&clip.format) });
        }
    }
    let end = clock.now() + Duration::from_secs(3);
    while clock.now() < end && halls.iter().any(|(_, cells, _)| cells.lock().unwrap().len() < wanted) {
        std::thread::sleep(Duration::from_millis(20));
        pace.wait(clock.now() + Duration::from_millis(20), || true);
    }
    let cpu = thread_cpu();
    halls
        .into_iter()
        .enumerate()
        .map(|(hall, (_, cells, ladder))| {
            let suffix = format!(" {hall}");
            let cpu = cpu
                .iter()
                .filter(|(name, _)| name.ends_with(&suffix))
                .map(|(name, cpu)| (name.clone(), *cpu));
            let (cpu, meter) = (cpu.collect(), Arc::clone(ladder.meter()));
            ladder.join();
            let cells = std::mem::take(&mut *cells.lock().unwrap());
            Measured { cpu, cells, meter }
        })
        .collect()
}

/// CPU seconds of each thread of this process, by name.
fn thread_cpu() -> Vec<(String, f64)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    let one = |task: std::fs::DirEntry| {
        let name = read(task.path().join("comm"))?.trim().to_owned();
        let nanos: f64 = read(task.path().join("schedstat"))?.split(' ').next()?.parse().ok()?;
        Some((name, nanos / 1e9))
    };
    tasks.flatten().filter_map(one).collect()
}

fn annex_b(cells: &[Arc<CodedCell>], rung: usize) -> Vec<u8> {
    let tracks = spec().tracks().expect("tracks");
    let sets = tracks[rung].video.as_ref().map(|video| &video.parameter_sets);
    let (mut stream, mut unit) = (Vec::new(), Vec::new());
    let mut next: Option<CellIndex> = None;
    for cell in cells {
        assert!(
            next.is_none_or(|next| next == cell.k),
            "a cell is missing: the machine is too busy to measure"
        );
        next = Some(cell.k.next());
        for (sample, entry) in cell.video[rung].sample_bytes().zip(cell.video[rung].samples.iter()) {
            to_annex_b(&sample, sets.filter(|_| entry.sync), &mut unit);
            stream.extend_from_slice(&unit);
        }
    }
    stream
}

fn ffmpeg(arguments: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args("-nostdin -v error -y".split(' ')).args(arguments.split_whitespace()).stdin(Stdio::null());
    command
}

/// PSNR and SSIM of a stream's luma against the clip, and its bit rate.
fn quality(clip: &Clip, stream: &Path, size: PictureSize, seconds: u64) -> Quality {
    let scale = if size == HD {
        String::new()
    } else {
        format!("scale={}:{}:flags=bicubic+accurate_rnd,", size.width, size.height)
    };
    let graph = format!(
        "[0:v]settb=1/{FPS},setpts=N,split[a][b];[1:v]{scale}settb=1/{FPS},setpts=N,split[c][d];\
         [a][c]psnr;[b][d]ssim"
    );
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-r", &FPS.to_string(), "-i"])
        .arg(stream)
        .args(["-r", &FPS.to_string(), "-i"])
        .arg(&clip.pristine)
        .args(["-filter_complex", &graph, "-f", "null", "-"])
        .output()
        .expect("ffmpeg");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let after = |key: &str| -> f64 {
        let value =
            said.split(key).nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
        value.parse().expect("a figure from ffmpeg")
    };
    let kbit_per_s = std::fs::metadata(stream).map_or(0, |file| file.len()) * 8 / seconds / 1000;
    Quality { psnr_db: after("PSNR y:"), ssim: after("SSIM Y:"), kbit_per_s }
}

/// CPU seconds of child processes that have ended.
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // cutime and cstime (proc_pid_stat(5)), counted after pid and name; in hundredths of a second.
    fields[13].parse::<f64>().unwrap() / 100.0 + fields[14].parse::<f64>().unwrap() / 100.0
}

fn has_encoder(encoder: &str) -> bool {
    let encoders = Command::new("ffmpeg").args(["-v", "error", "-encoders"]).output().expect("ffmpeg").stdout;
    String::from_utf8_lossy(&encoders).contains(&format!(" {encoder} "))
}

/// The file for a rung coded by `who`.
fn stream(directory: &Path, who: &str, rung: &str) -> PathBuf {
    directory.join(format!("{who}_{rung}.h264"))
}

/// CPU seconds of ffmpeg for decoding, scaling and coding both rungs, with a target in bit/s for each.
fn ffmpeg_ladder(clip: &Clip, rival: &Rival, directory: &Path, targets: [u64; RUNGS.len()]) -> f64 {
    let Rival { name: who, encoder, options } = rival;
    let input = clip.coded.to_str().expect("UTF-8");
    let mut command = ffmpeg(&format!("-threads 1 -r {FPS} -i {input}"));
    command.args(["-filter_complex_threads", "1", "-filter_complex", "[0:v]split[a][b];[b]scale=854:480[c]"]);
    for (label, ((name, ..), target)) in ["[a]", "[c]"].into_iter().zip(RUNGS.into_iter().zip(targets)) {
        let rate = format!(
            "-c:v {encoder} {options} -threads 1 -b:v {target} -maxrate {target} -bufsize {} -g 30",
            2 * target
        );
        command.args(["-map", label]).args(rate.split_whitespace()).arg(stream(directory, who, name));
    }
    let before = children_cpu();
    assert!(command.status().expect("ffmpeg").success());
    children_cpu() - before
}

/// Makes ffmpeg code the clip again until its streams are about as long as ours. Encoders miss their targets, each in its own
/// way, and qualities can be compared only at equal length.
fn spend_as_much(clip: &Clip, rival: &Rival, directory: &Path, mut targets: [u64; RUNGS.len()]) {
    let length =
        |who, rung| std::fs::metadata(stream(directory, who, rung)).map_or(1, |file| file.len().max(1));
    for _ in 0..CORRECTIONS {
        for (target, (name, ..)) in targets.iter_mut().zip(RUNGS) {
            *target = *target * length("amphi", name) / length(rival.name, name);
        }
        ffmpeg_ladder(clip, rival, directory, targets);
    }
}
