//! What every long-lived task needs: supervision, the log, a place for costly work, UDP sockets.

pub mod log;
pub mod tasks;
pub mod udp;
pub mod workshop;

use amphi_media as media;
use amphi_media::clock;
use amphi_media::meter;
