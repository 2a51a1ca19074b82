//! The configuration: every fault is reported, and none panics.

#![no_main]

use amphi_config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(faults) = Config::parse(text, "config.toml") {
        assert!(!faults.to_string().is_empty());
    }
});
