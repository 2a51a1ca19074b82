//! Who decides what is on air: matrix, calendar, alarms, audit and rehearsal.

pub mod agenda;
pub mod alarm;
pub mod audit;
pub mod matrix;
pub mod push;
pub mod rehearsal;
pub mod schedule;
mod state_file;

use amphi_config as config;
use amphi_media as media;
use amphi_media::clock;
use amphi_media::meter;
use amphi_media::percent;
use amphi_media::retry;
