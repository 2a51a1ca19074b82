//! What goes wrong in a hall, by name.
//!
//! | name | what the device does |
//! |---|---|
//! | `off` | its plug is pulled: connections break, new ones are refused |
//! | `reset` | every open connection is reset once |
//! | `freeze` | connections stay open; nothing is sent, nothing is answered |
//! | `no-video`, `no-audio` | one track stops, the other goes on |
//! | `still` | the same picture is sent again and again |
//! | `black`, `silent` | black pictures, digital silence |
//! | `loss=PERCENT` | so many RTP packets are lost (over UDP) |
//! | `reorder` | every tenth RTP packet changes places with the next (over UDP) |
//! | `jump=SECONDS` | both RTP clocks jump |
//! | `video-reset` | the picture's RTP clock begins at 0 again, the sound's goes on |
//! | `wrap` | both RTP clocks are at their 32-bit end five seconds after the next PLAY |
//! | `skew=PPM` | the device's clock runs fast by so much from the next PLAY on |
//! | `resize` | another picture size and rate in mid-stream |
//! | `garbage` | NAL units of random bytes between the pictures |
//! | `deaf` | requests after PLAY are not answered |
//! | `timeout=SECONDS` | a session without a request for so long ends |
//! | `reports` | a session without RTCP receiver reports for 20 s ends |
//! | `expire` | the session ends, and nobody's credentials are accepted any more |
//! | `mono` | the session ends; from now on the sound is mono at 44.1 kHz |

use std::fmt;
use std::str::FromStr;

/// A fault of a simulated hall; what each does is in the module's table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SimulatedFault {
    /// `off`: connections break, and new ones are refused.
    Off,
    /// `reset`: every open connection is reset once.
    Reset,
    /// `freeze`: connections stay open, but nothing is sent.
    Freeze,
    /// `no-video`: the picture stops, the sound goes on.
    NoVideo,
    /// `no-audio`: the sound stops, the picture goes on.
    NoAudio,
    /// `still`: the same IDR picture again and again.
    Still,
    /// `black`: all pictures are black.
    Black,
    /// `silent`: the sound is digital silence.
    Silent,
    /// `loss=PERCENT`: so many RTP packets are lost, 0 to 100.
    Loss(f64),
    /// `reorder`: every tenth RTP packet changes places with the next.
    Reorder,
    /// `jump=SECONDS`: both RTP clocks jump, ahead or back.
    Jump(i32),
    /// `video-reset`: the picture's RTP clock begins at 0 again.
    VideoReset,
    /// `wrap`: RTP clocks reach 2³² five seconds after PLAY.
    Wrap,
    /// `skew=PPM`: the device's clock runs fast by so much.
    Skew(i32),
    /// `resize`: another picture size and rate in mid-stream.
    Resize,
    /// `garbage`: NAL units of random bytes between the pictures.
    Garbage,
    /// `deaf`: requests after PLAY are not answered.
    Deaf,
    /// `timeout=SECONDS`: sessions end after so long without a request.
    Timeout(u32),
    /// `reports`: sessions end without RTCP receiver reports.
    Reports,
    /// `expire`: no credentials are accepted any more.
    Expire,
    /// `mono`: the sound is mono at 44.1 kHz.
    Mono,
}

/// A text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a fault that a simulated hall can have")]
pub struct UnknownFault(String);

/// Faults without a number.
const PLAIN: [(&str, SimulatedFault); 17] = [
    ("off", SimulatedFault::Off),
    ("reset", SimulatedFault::Reset),
    ("freeze", SimulatedFault::Freeze),
    ("no-video", SimulatedFault::NoVideo),
    ("no-audio", SimulatedFault::NoAudio),
    ("still", SimulatedFault::Still),
    ("black", SimulatedFault::Black),
    ("silent", SimulatedFault::Silent),
    ("reorder", SimulatedFault::Reorder),
    ("video-reset", SimulatedFault::VideoReset),
    ("wrap", SimulatedFault::Wrap),
    ("resize", SimulatedFault::Resize),
    ("garbage", SimulatedFault::Garbage),
    ("deaf", SimulatedFault::Deaf),
    ("reports", SimulatedFault::Reports),
    ("expire", SimulatedFault::Expire),
    ("mono", SimulatedFault::Mono),
];

impl FromStr for SimulatedFault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let plain = || PLAIN.iter().find(|(name, _)| *name == text).map(|(_, fault)| *fault);
        let fault = match text.split_once('=') {
            None => plain(),
            Some(("loss", value)) => {
                value.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).map(Self::Loss)
            }
            Some(("jump", value)) => value.parse().ok().map(Self::Jump),
            Some(("skew", value)) => value.parse().ok().map(Self::Skew),
            Some(("timeout", value)) => value.parse().ok().filter(|&seconds| seconds > 0).map(Self::Timeout),
            Some(_) => None,
        };
        fault.ok_or_else(|| UnknownFault(text.to_owned()))
    }
}

impl fmt::Display for SimulatedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss(percent) => write!(f, "loss={percent}"),
            Self::Jump(seconds) => write!(f, "jump={seconds}"),
            Self::Skew(ppm) => write!(f, "skew={ppm}"),
            Self::Timeout(seconds) => write!(f, "timeout={seconds}"),
            plain => f.write_str(PLAIN.iter().find(|(_, fault)| fault == plain).map_or("", |(name, _)| name)),
        }
    }
}

impl SimulatedFault {
    /// Whether sessions end when it begins, so that only the next ones see what it changes.
    pub(super) const fn ends_sessions(self) -> bool {
        matches!(self, Self::Off | Self::Reset | Self::Wrap | Self::Skew(_) | Self::Expire | Self::Mono)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written() {
        let numbers = ["loss=2.5", "jump=-3600", "skew=200", "timeout=20"];
        for name in PLAIN.iter().map(|(name, _)| *name).chain(numbers) {
            assert_eq!(name.parse::<SimulatedFault>().map(|fault| fault.to_string()), Ok(name.to_owned()));
        }
        for text in ["", "of", "loss=101", "loss", "jump=x", "off=1", "timeout=0"] {
            assert!(text.parse::<SimulatedFault>().is_err(), "{text}");
        }
    }
}
