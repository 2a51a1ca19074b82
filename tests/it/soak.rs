//! Faults again and again: nothing grows, nothing leaks, playlists stay whole.
//!
//! One minute by default, after all faults have been gone through once; `AMPHI_SOAK_MINUTES=30` for the long form, which
//! holds memory to five per cent.

use std::time::{Duration, Instant};

use crate::faults::set_fault;
use crate::http;
use crate::server::{Server, eventually};
use crate::stream::Follower;

const FAULTS: [&str; 12] = [
    "off",
    "freeze",
    "reset",
    "no-video",
    "no-audio",
    "jump=3600",
    "video-reset",
    "resize",
    "garbage",
    "mono",
    "black",
    "wrap",
];

/// What a minute may add to the resident memory: pools that grow into their bounds, and what the allocator keeps. A picture
/// of 720p that is kept with each fault would be eight megabytes.
const SETTLING: f64 = 8e6;

/// Of `/metrics`: resident bytes, threads, tasks, descriptors.
pub fn size(server: &Server) -> [f64; 4] {
    let metrics = http::get(server.admin, "/metrics");
    ["amphi_resident_bytes", "amphi_threads", "amphi_tasks", "amphi_open_files"].map(|name| {
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    })
}

#[test]
#[ignore = "takes a minute: tests/run"]
fn a_fault_every_ten_seconds_leaves_nothing_behind() {
    let minutes =
        std::env::var("AMPHI_SOAK_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let server = Server::demo();
    server.connect("Live_L2", "PS-Amphi_B");
    let is_live = || server.on_air("Live_PAES").is_some() && server.on_air("Live_L2").is_some();
    let mut viewer = Follower::new(server.http, "Live_PAES", "720p");
    viewer.until("both halls are on air", is_live);
    // Warm-up: pools, the window of cells, and what each fault needs once (the simulator codes its clips).
    viewer.follow(Duration::from_secs(if minutes > 1 { 60 } else { 10 }));
    let halls: &[&[&str]] =
        if minutes > 1 { &[&["PS-Amphi_A"], &["PS-Amphi_B"]] } else { &[&["PS-Amphi_A", "PS-Amphi_B"]] };
    for (fault, halls) in FAULTS.iter().flat_map(|fault| halls.iter().map(move |halls| (fault, halls))) {
        for fault in [fault, ""] {
            for hall in *halls {
                set_fault(&server, hall, fault);
            }
            viewer.follow(Duration::from_secs(if minutes > 1 { 5 } else { 3 }));
        }
    }
    let before = size(&server);
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut random = minutes;
    let mut minute = Instant::now();
    while Instant::now() < end {
        // A fixed sequence that visits all faults and both halls in changing order.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let fault = FAULTS[(random >> 33) as usize % FAULTS.len()];
        let hall = if random >> 63 == 0 { "PS-Amphi_A" } else { "PS-Amphi_B" };
        set_fault(&server, hall, fault);
        viewer.follow(Duration::from_secs(5));
        set_fault(&server, hall, "");
        viewer.follow(Duration::from_secs(5));
        // Only what is on air is kept: this viewer's memory is not what is tested.
        while viewer.collected.segments.len() > 12 {
            viewer.collected.segments.pop_first();
        }
        if minute.elapsed() >= Duration::from_secs(60) {
            minute = Instant::now();
            println!("RSS {:.1} MB", size(&server)[0] / 1e6);
        }
    }
    viewer.until("both halls are back", is_live);
    viewer.follow(Duration::from_secs(10));
    let after = size(&server);
    let [memory, threads, tasks, files] = [0, 1, 2, 3].map(|place| (before[place], after[place]));
    println!(
        "RSS {:.1} -> {:.1} MB, threads {} -> {}, tasks {} -> {}, descriptors {} -> {}",
        memory.0 / 1e6,
        memory.1 / 1e6,
        threads.0,
        threads.1,
        tasks.0,
        tasks.1,
        files.0,
        files.1
    );
    // A blocking pool's threads come and go; the ladders' threads must not pile up.
    assert!(threads.1 <= threads.0 + 3.0, "threads {threads:?}");
    eventually("as many tasks as before", || size(&server)[2] <= tasks.0 + 2.0);
    eventually("as many descriptors as before", || size(&server)[3] <= files.0 + 2.0);
    let bound = if minutes > 1 { memory.0 * 1.05 } else { memory.0 + SETTLING };
    // On a machine that is short of time the rungs' queues fill up with pictures, 70 MB of two halls; they empty again.
    eventually(&format!("at most {:.1} MB", bound / 1e6), || size(&server)[0] <= bound);
    assert_eq!(server.end(), Some(0));
}
