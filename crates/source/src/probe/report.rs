//! What a probe found: an aligned table for people, JSON for programs.

use std::fmt;

use serde::Serialize;

/// What a source sent while it was watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProbeReport {
    /// The picture; `None` if none came.
    pub video: Option<VideoReport>,
    /// The sound; `None` if there is none or none came.
    pub audio: Option<AudioReport>,
    /// RTP packets lost, of both tracks together.
    pub lost_packets: u64,
    /// Packets that could not be understood.
    pub broken_packets: u64,
    /// RTCP sender reports that came for the picture.
    pub video_sender_reports: u64,
    /// RTCP sender reports that came for the sound.
    pub audio_sender_reports: u64,
    /// How much later than the earliest the latest picture came, relative to their RTP times, in milliseconds.
    pub jitter_ms: Option<f64>,
    /// How much later sound starts than the picture, in milliseconds on the common timeline.
    pub audio_starts_after_ms: Option<f64>,
    /// How far sender reports move the sound against RTP-Info, in milliseconds.
    pub report_correction_ms: Option<f64>,
    /// What is wrong or worth knowing, in plain words.
    pub faults: Vec<String>,
}

/// What was measured of the video.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VideoReport {
    /// The codec as RFC 6381 §3.3 writes it.
    pub codec: String,
    /// The profile by name, e.g. `High` (ITU-T H.264 Annex A.2).
    pub profile: String,
    /// The level, e.g. `4.1` (ITU-T H.264 Annex A.3).
    pub level: String,
    /// Width in luma samples.
    pub width: u32,
    /// Height in luma samples.
    pub height: u32,
    /// Measured pictures per second.
    pub fps: f64,
    /// Measured bit rate of the access units in bits per second.
    pub bitrate_bps: u64,
    /// Fewest pictures from one IDR picture to the next; `None` if no group of pictures was seen whole.
    pub gop_min: Option<u32>,
    /// Most pictures from one IDR picture to the next.
    pub gop_max: Option<u32>,
    /// Whether pictures come in another order than they are shown.
    pub b_frames: bool,
    /// How many pictures came.
    pub pictures: u64,
}

/// What was measured of the sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AudioReport {
    /// The codec as RFC 6381 §3.3 writes it.
    pub codec: String,
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// How many channels it has.
    pub channels: u8,
    /// Measured bit rate of the access units in bits per second.
    pub bitrate_bps: u64,
    /// How many access units came.
    pub frames: u64,
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<(&str, String)> = Vec::new();
        if let Some(video) = &self.video {
            let VideoReport { codec, profile, level, width, height, .. } = video;
            rows.push(("video", format!("H.264 {profile}@{level} ({codec}), {width}x{height}")));
            rows.push(("pictures", format!("{:.2} per second, {} in all", video.fps, video.pictures)));
            rows.push(("GOP", gop(video)));
            rows.push(("B pictures", if video.b_frames { "yes" } else { "no" }.to_owned()));
            rows.push(("video bitrate", kilobits(video.bitrate_bps)));
        }
        if let Some(audio) = &self.audio {
            let AudioReport { codec, sample_rate, channels, .. } = audio;
            let name = if codec == "mp4a.40.2" { "AAC-LC (mp4a.40.2)" } else { codec };
            rows.push(("audio", format!("{name}, {sample_rate} Hz, {channels} channels")));
            rows.push(("audio bitrate", kilobits(audio.bitrate_bps)));
        }
        let (lost, broken) = (self.lost_packets, self.broken_packets);
        rows.push(("packets", format!("{lost} lost, {broken} not understood")));
        let (video, audio) = (self.video_sender_reports, self.audio_sender_reports);
        rows.push(("sender reports", format!("{video} for video, {audio} for audio")));
        for (name, value) in [
            ("arrival jitter", self.jitter_ms),
            ("audio starts after", self.audio_starts_after_ms),
            ("report correction", self.report_correction_ms),
        ] {
            if let Some(value) = value {
                rows.push((name, format!("{value:.1} ms")));
            }
        }
        if self.faults.is_empty() {
            rows.push(("faults", "none".to_owned()));
        }
        rows.extend(self.faults.iter().map(|fault| ("fault", fault.clone())));
        for (name, value) in rows {
            writeln!(f, "{name:<20}{value}")?;
        }
        Ok(())
    }
}

fn gop(video: &VideoReport) -> String {
    match (video.gop_min, video.gop_max) {
        (Some(min), Some(max)) if min == max => format!("{min} pictures"),
        (Some(min), Some(max)) => format!("{min} to {max} pictures"),
        _ => "not seen whole".to_owned(),
    }
}

fn kilobits(bps: u64) -> String {
    format!("{:.0} kbit/s", bps as f64 / 1000.0)
}
