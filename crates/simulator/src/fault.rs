//! What goes wrong in a hall, by name.
//!
//! | name | what the device does |
//! |---|---|
//! | `off` | its plug is pulled: connections break, new ones are refused |
//! | `reset` | every connection is reset once |
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
//! | `garbage` | senseless NAL units between the pictures |
//! | `deaf` | requests after PLAY are not answered |
//! | `timeout=SECONDS` | a session without a request for so long ends |
//! | `reports` | a session without RTCP receiver reports for 20 s ends |
//! | `expire` | the session ends, and nobody's credentials are accepted any more |
//! | `mono` | the session ends; from now on the sound is mono at 44.1 kHz |

use std::fmt;
use std::str::FromStr;

/// See the module's table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SimulatedFault {
    /// `off`
    Off,
    /// `reset`
    Reset,
    /// `freeze`
    Freeze,
    /// `no-video`
    NoVideo,
    /// `no-audio`
    NoAudio,
    /// `still`
    Still,
    /// `black`
    Black,
    /// `silent`
    Silent,
    /// `loss=PERCENT`
    Loss(f64),
    /// `reorder`
    Reorder,
    /// `jump=SECONDS`
    Jump(i32),
    /// `video-reset`
    VideoReset,
    /// `wrap`
    Wrap,
    /// `skew=PPM`
    Skew(i32),
    /// `resize`
    Resize,
    /// `garbage`
    Garbage,
    /// `deaf`
    Deaf,
    /// `timeout=SECONDS`
    Timeout(u32),
    /// `reports`
    Reports,
    /// `expire`
    Expire,
    /// `mono`
    Mono,
}

/// A text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fault that a simulated hall can have")]
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
    /// Sessions end when it begins; what it changes is seen by the next one.
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
