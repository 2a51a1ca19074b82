//! `amphi demo`: three simulated lecture halls, two channels, a simulated Opencast that plans their day, a small NAS, the
//! console with a panel of faults. It needs nothing but this binary.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use tracing::{info, warn};

use amphi_config::{Alarm, Audio, Channel, Config, Ladder, Rung, Secret, Source, Transport, Vod};
use amphi_container::clip::Clip;
use amphi_media::clock::{Clock, Clocks};
use amphi_runtime::tasks::Tasks;
use amphi_simulator::{SimulatedFault, Simulator, SimulatorOptions, Spares};

use super::halls::Halls;
use super::start::Server;
use super::{demo_day, faults, signals};

/// A hall: its source's name, its recording, and how its RTP travels.
struct DemoHall {
    source: &'static str,
    clip: &'static [u8],
    transport: Transport,
}

const HALLS: [DemoHall; 3] = [
    DemoHall {
        source: "PS-Amphi_A",
        clip: include_bytes!("../../fixtures/hall_a.mp4"),
        transport: Transport::Tcp,
    },
    DemoHall {
        source: "PS-Amphi_B",
        clip: include_bytes!("../../fixtures/hall_b.mp4"),
        transport: Transport::Tcp,
    },
    DemoHall {
        source: "PS-Amphi_C",
        clip: include_bytes!("../../fixtures/hall_c.mp4"),
        transport: Transport::Udp,
    },
];

/// The files of the small NAS, by path.
const NAS: [(&str, &[u8]); 3] = [
    ("engage-player/1042/presenter/PAES_hd.mp4", include_bytes!("../../fixtures/hall_a.mp4")),
    ("engage-player/1042/presenter/PAES_low.mp4", include_bytes!("../../fixtures/hall_a_low.mp4")),
    (SMIL, include_bytes!("../../fixtures/opencast.smil")),
];

const SMIL: &str = "engage-player_1042_presenter.smil";

const WAITING: &[u8] = include_bytes!("../../fixtures/waiting.mp4");

/// Where the demo listens, and what happens in it.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// As `server.listen`: RTMP, HTTP and RTSP.
    pub listen: String,
    /// As `server.http_listen`: plain HTTP and the public pages.
    pub http_listen: String,
    /// As `server.admin_listen`: the console and REST.
    pub admin_listen: String,
    /// Halls that fail from the start, and how.
    pub faults: Vec<(String, SimulatedFault)>,
    /// Whether a simulated Opencast plans the day; without it hall A is connected from the start.
    pub schedule: bool,
}

/// Serves until a signal comes. Prints what to open on stdout. Fails if a port is taken.
pub async fn demo(options: DemoOptions) -> anyhow::Result<()> {
    let mut signals = signals::EndSignals::new()?;
    let clocks = Clocks::system();
    let scratch = tempfile::tempdir().context("no temporary directory for the demo")?;
    let waiting = scratch.path().join("waiting.mp4");
    std::fs::write(&waiting, WAITING).with_context(|| format!("{} cannot be written", waiting.display()))?;

    let nas = scratch.path().join("nas");
    for (path, bytes) in NAS {
        let file = nas.join(path);
        let folder = file.parent().unwrap_or(&nas);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, bytes));
        written.with_context(|| format!("{} cannot be written", file.display()))?;
    }

    let spares = Arc::new(spares()?);
    let mut halls = Halls::default();
    let mut sources = Vec::new();
    for hall in &HALLS {
        let simulator = simulate(hall, Arc::clone(&spares), Arc::clone(&clocks.media)).await?;
        info!(source = hall.source, url = simulator.url(), "simulated SMP 351");
        sources.push(Source {
            name: hall.source.to_owned(),
            url: Secret::new(simulator.url()),
            transport: hall.transport,
            ..Source::default()
        });
        halls.0.insert(hall.source, simulator);
    }
    for (hall, fault) in &options.faults {
        anyhow::ensure!(halls.set_fault(hall, Some(*fault)), "--fault: no hall is called {hall:?}");
    }
    let halls = Arc::new(halls);
    let failing = Arc::clone(&halls);
    let mut config = configuration(&options, sources, &waiting, scratch.path());
    config.vods = vec![Vod { name: "vod".to_owned(), root: nas, ..Vod::default() }];
    let opencast =
        if options.schedule { Some(demo_day::plan(&mut config, &clocks.wall).await?) } else { None };
    let tasks = Tasks::new(Arc::clone(&clocks.wall));
    let listening = tasks.begin("signals", false);
    let doors = faults::router(failing, tasks.clone());
    let server = tokio::select! {
        server = Server::start(config, clocks, tasks, Some(doors)) => server?,
        () = signals.next() => return Ok(()),
    };
    print_what_to_open(&server, options.schedule);
    while let Err(why) = listening.attempt(signals.next()).await {
        listening.again(&why).await;
    }
    server.end().await;
    if let Some(opencast) = opencast {
        opencast.stop().await;
    }
    for simulator in halls.0.values() {
        simulator.stop().await;
    }
    Ok(())
}

fn spares() -> anyhow::Result<Spares> {
    let parse = |bytes| Clip::parse(&Bytes::from_static(bytes)).context("a recording for faults");
    let [_, _, mono] = &HALLS;
    Ok(Spares {
        black: parse(include_bytes!("../../fixtures/black.mp4"))?,
        small: parse(include_bytes!("../../fixtures/small.mp4"))?,
        mono: parse(mono.clip)?.audio.context("hall C speaks")?,
    })
}

async fn simulate(hall: &DemoHall, spares: Arc<Spares>, clock: Arc<dyn Clock>) -> anyhow::Result<Simulator> {
    let clip = Clip::parse(&Bytes::from_static(hall.clip))
        .with_context(|| format!("the recording of {}", hall.source))?;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = SimulatorOptions { clip: Arc::new(clip), listen, credentials: None, spares };
    Simulator::start(options, clock).await.with_context(|| format!("the simulator of {}", hall.source))
}

fn configuration(options: &DemoOptions, sources: Vec<Source>, waiting: &Path, state: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen.clone_from(&options.listen);
    config.server.http_listen.clone_from(&options.http_listen);
    config.server.admin_listen.clone_from(&options.admin_listen);
    config.server.state_dir = state.join("state");
    config.sources = sources;
    // Short enough for somebody who tries it out.
    config.alarm =
        Alarm { black_s: 5, frozen_s: 8, silent_s: 5, clipped_s: 5, offline_s: 3, ..Alarm::default() };
    let rung = |name: &str, width, height, bitrate| Rung {
        name: name.to_owned(),
        width,
        height,
        fps: 15,
        bitrate,
        audio_only: false,
    };
    config.ladders = vec![Ladder {
        name: "lecture".to_owned(),
        audio: Audio::default(),
        rungs: vec![
            rung("720p", 1280, 720, 750_000),
            rung("480p", 854, 480, 400_000),
            Rung { name: "160p".to_owned(), audio_only: true, ..Rung::default() },
        ],
    }];
    let channel = |name: &str, source: &str| Channel {
        name: name.to_owned(),
        streams: vec!["live".to_owned()],
        ladder: "lecture".to_owned(),
        waiting: waiting.to_owned(),
        source: source.to_owned(),
        ..Channel::default()
    };
    config.channels = vec![channel("Live_PAES", HALLS[0].source), channel("Live_L2", "")];
    config
}

fn print_what_to_open(server: &Server, scheduled: bool) {
    let text = what_to_open(server, scheduled);
    // The reader of stdout may be gone, or blocked.
    let said = std::thread::Builder::new().name("greeting".to_owned()).spawn(move || {
        let mut out = std::io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    });
    if let Err(error) = said {
        warn!(%error, "the URLs to open could not be printed");
    }
}

fn what_to_open(server: &Server, scheduled: bool) -> String {
    let addresses = server.addresses();
    let mut lines = vec!["Amphi demo: three simulated lecture halls, two channels.\n".to_owned()];
    if let Some(admin) = addresses.admin {
        lines.push(format!("  Open the console         http://{admin}/"));
        lines.push(format!("  The matrix as JSON       http://{admin}/api/v1/matrix"));
        if scheduled {
            lines.push(format!("  The day as JSON          http://{admin}/api/v1/schedule"));
        }
    }
    if let Some(media) = addresses.http.or(addresses.media) {
        let (paes, l2) = if scheduled { ("(halls A, B)", "(hall C)") } else { ("(hall A)", "(waiting)") };
        lines.push(format!("  Live_PAES {paes:<14} http://{media}/Live_PAES/playlist.m3u8"));
        lines.push(format!("  Live_L2 {l2:<16} http://{media}/Live_L2/playlist.m3u8"));
        lines.push(format!("  A recorded lecture       http://{media}/vod/smil:{SMIL}/playlist.m3u8"));
    }
    if scheduled {
        lines.push(
            "\nA simulated Opencast plans the day: lectures start and end every two minutes, the first at once."
                .to_owned(),
        );
        lines.push("Without it: amphi demo --no-schedule".to_owned());
    }
    lines.push("\nEnd it with Ctrl-C.\n".to_owned());
    lines.join("\n")
}
