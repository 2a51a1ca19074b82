//! RTSP, RTP and RTMP as cores without I/O.

pub mod rtmp;
pub mod rtsp;

use amphi_media as media;
use amphi_media::percent;
