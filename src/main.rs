//! The command line: arguments, logging, exit codes. Everything else is in the library.
//!
//! Exit codes: 0 good, 1 a fault was found or the run failed, 2 usage, 3 (`reload` alone) the server can only be asked with
//! SIGHUP. The log goes to stderr, results to stdout.

use std::io::{IsTerminal, Write};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use amphi::loadtest::{BodyUse, LoadTarget, VariantChoice};
use amphi::log::Format;
use amphi::server::{DemoOptions, SignOptions, SimulateOptions};
use amphi::simulator::{SimulatedFault, UnknownFault};
use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// A self-contained streaming media server for lecture halls.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    log: Log,
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Args)]
struct Log {
    /// How the log on stderr is written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is logged: a level for Amphi's own lines (error, warn, info, debug, trace, off), or a filter such as
    /// "amphi=info,amphi_source=debug,hyper=warn". Libraries log only what a filter names. Without this option RUST_LOG
    /// is used, and without that "info".
    #[arg(long, global = true, value_name = "FILTER", value_parser = log_filter)]
    log_level: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Run the server.
    Run {
        /// The configuration file.
        #[arg(default_value = "config.toml")]
        config: PathBuf,
    },
    /// Run the server with simulated encoders, a simulated Opencast and a small NAS, all built in, and print what to open.
    Demo(Demo),
    /// Read the configuration and print every fault with line and column; exit 1 if there is any.
    Check {
        /// The configuration file.
        #[arg(default_value = "config.toml")]
        config: PathBuf,
        /// Print also how it differs from this older file, what a reload would end, and what needs a restart; no secrets.
        #[arg(long, value_name = "OLD")]
        against: Option<PathBuf>,
    },
    /// Ask the running server to read its configuration again; exit 1 if it was not taken over, 3 if only SIGHUP can ask for it:
    /// the server's admin port is not known, or it has another token.
    Reload {
        /// The configuration file, which says where the server's admin port is.
        #[arg(default_value = "config.toml")]
        config: PathBuf,
        /// Reload even if that ends what people are watching.
        #[arg(long)]
        yes: bool,
        /// The admin port, if it is not where the configuration says.
        #[arg(long, value_name = "ADDRESS")]
        admin: Option<std::net::SocketAddr>,
    },
    /// Print what the matrix would do with a calendar, and what is wrong with the plan; exit 1 if anything is.
    Simulate(Simulate),
    /// Print an address with a token, so that it may be watched for a while.
    Sign {
        /// The address of a playlist, a manifest or a page, or rtmp://host/app/stream or rtsp://host/app/stream.
        url: String,
        /// The name of an access key of kind "hmac".
        #[arg(long, value_name = "NAME")]
        key: String,
        /// How long it is good, e.g. 90m, 2h, 3d.
        #[arg(long = "for", value_name = "TIME", value_parser = lasting)]
        lasts: std::time::Duration,
        /// The only address that it is good from.
        #[arg(long, value_name = "ADDRESS")]
        ip: Option<std::net::IpAddr>,
        /// The configuration file, which has the key.
        #[arg(long, default_value = "config.toml")]
        config: PathBuf,
    },
    /// Pull a source for a few seconds and print what it sends.
    Probe(Probe),
    /// Play a stream or recording as many viewers would, and print how it went; exit 1 if any of them stalled.
    Loadtest(Loadtest),
}

#[derive(Debug, Args)]
struct Loadtest {
    /// The playlist's URL, e.g. "http://127.0.0.1:8080/Live_PAES/playlist.m3u8", also with https: (HTTP/2 where the server
    /// speaks it) or h2c: (HTTP/2 without TLS); or a stream, rtmp://host/app/stream or rtsp://host/app/stream.
    url: String,
    /// Viewers at the same time.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    players: u32,
    /// Seconds from the first viewer's start.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    duration: u32,
    /// Seconds within which all viewers start.
    #[arg(long, value_name = "S", default_value_t = 10)]
    ramp: u32,
    /// The variant to play: "first", "random", "adaptive", or its place in the playlist, counted from 0.
    #[arg(long, value_name = "WHICH", default_value = "first", value_parser = variant)]
    variant: VariantChoice,
    /// Seconds between two seeks of a viewer of a recording, on average.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seek: u32,
    /// Copy every byte of a segment to the viewer, as real players do. By default heads and indexes are read and checked, and
    /// the kernel throws the rest away.
    #[arg(long, conflicts_with = "discard")]
    read: bool,
    /// Let the kernel throw segments away unread (HTTP/1.1 without TLS): viewers cost least, and nothing of a segment is
    /// checked but its status and its length.
    #[arg(long)]
    discard: bool,
    /// Fetch the segments of a recording as fast as they come, from a random one on and in a circle, without pauses and seeks.
    #[arg(long)]
    unpaced: bool,
    /// The number of the first viewer. On loopback every thousand viewers have a source address, by their numbers: give load
    /// tests that run beside each other different ones, e.g. 0 and 20000.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=60_000_000))]
    first_player: u32,
    /// Write all figures to this file, as JSON. "-" = standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Accept any TLS certificate.
    #[arg(long)]
    insecure: bool,
    /// Required where the server has a public address: its owner agrees to the load.
    #[arg(long)]
    i_own_this_server: bool,
}

fn variant(text: &str) -> Result<VariantChoice, String> {
    match text {
        "first" => Ok(VariantChoice::First),
        "random" => Ok(VariantChoice::Random),
        "adaptive" => Ok(VariantChoice::Adaptive),
        number => number
            .parse()
            .map(VariantChoice::Index)
            .map_err(|_| "first, random, adaptive or a number is expected".to_owned()),
    }
}

#[derive(Debug, Args)]
struct Demo {
    /// Where RTMP, HTTP and RTSP are served, on one port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1935")]
    listen: String,
    /// Where plain HTTP and the public pages are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    http_listen: String,
    /// Where the console and REST are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    admin_listen: String,
    /// A hall that fails, e.g. PS-Amphi_A=freeze or PS-Amphi_C=loss=2; may be repeated. The console can do it later.
    #[arg(long, value_name = "HALL=FAULT", value_parser = hall_fault)]
    fault: Vec<(String, SimulatedFault)>,
    /// Run without the simulated Opencast: hall A is connected from the start, and nothing changes by itself.
    #[arg(long)]
    no_schedule: bool,
}

#[derive(Debug, Args)]
struct Simulate {
    /// The calendar: an .ics file, or Opencast's calendar.json.
    file: PathBuf,
    /// The start: 2026-11-23, 2026-11-23T08:00 (in the site's zone) or 2026-11-23T07:00:00Z. Default: today.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<String>,
    /// The end, which is not included. Default: a week after the start.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<String>,
    /// The configuration file, for its channels, sources and [schedule].
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Probe {
    /// The source's URL: rtsp://[user:password@]host[:port]/path
    url: String,
    /// How the media travels.
    #[arg(long, value_enum, default_value_t = RtpTransport::Tcp)]
    transport: RtpTransport,
    /// How many seconds to pull.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RtpTransport {
    Tcp,
    Udp,
    Multicast,
}

impl From<RtpTransport> for amphi::config::Transport {
    fn from(transport: RtpTransport) -> Self {
        match transport {
            RtpTransport::Tcp => Self::Tcp,
            RtpTransport::Udp => Self::Udp,
            RtpTransport::Multicast => Self::Multicast,
        }
    }
}

/// Keeps glibc's allocator from holding on to memory. By default each thread has an arena of its own, while cells travel
/// from thread to thread, and codecs come and go with their sources. With these settings large blocks are given back as
/// soon as they are free. After five minutes of faults in two halls 135 MB are resident; with mimalloc it was 320 MB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library's settings have no safe interface")]
fn bound_memory() {
    for (option, value) in
        [(libc::M_ARENA_MAX, 2), (libc::M_MMAP_THRESHOLD, 1 << 20), (libc::M_TRIM_THRESHOLD, 4 << 20)]
    {
        // SAFETY: no other thread runs yet. What the library refuses stays as it was.
        unsafe { libc::mallopt(option, value) };
    }
}

/// Other C libraries have no such settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn bound_memory() {}

fn main() -> ExitCode {
    bound_memory();
    // Exits with 2 and an explanation if the arguments are wrong.
    let cli = Cli::parse();
    let work = || start_log(&cli.log).and_then(|()| run(cli.command));
    // The message of a panic must be written before the process ends.
    let ended = std::panic::catch_unwind(AssertUnwindSafe(work));
    let ended =
        ended.unwrap_or_else(|panic| Err(anyhow::anyhow!("internal error: {}", amphi::log::why(&*panic))));
    let code = ended.unwrap_or_else(|error| {
        amphi::log::plain(&format!("amphi: {error:#}"));
        ExitCode::from(1)
    });
    // A reader of the log that has stopped does not keep the process alive for long.
    amphi::log::flush(amphi::log::LAST_LINES);
    code
}

fn run(command: CliCommand) -> anyhow::Result<ExitCode> {
    match command {
        CliCommand::Check { config, against } => {
            let report = amphi::config::check(&config);
            writeln!(std::io::stdout(), "{report}")?;
            let mut good = report.is_good();
            if let Some(old) = against {
                match amphi::config::compare(&old, &config) {
                    Ok(difference) => writeln!(std::io::stdout(), "{difference}")?,
                    Err(faults) => {
                        writeln!(std::io::stdout(), "the files cannot be compared:\n{faults}")?;
                        good = false;
                    }
                }
            }
            Ok(ExitCode::from(u8::from(!good)))
        }
        CliCommand::Reload { config, yes, admin } => {
            let outcome = runtime()?.block_on(amphi::server::reload(&config, admin, yes))?;
            writeln!(std::io::stdout(), "{outcome}")?;
            Ok(ExitCode::from(if outcome.deaf { 3 } else { u8::from(!outcome.done) }))
        }
        CliCommand::Run { config } => serve(amphi::server::run(&config)),
        CliCommand::Demo(Demo { listen, http_listen, admin_listen, fault: faults, no_schedule }) => {
            let options = DemoOptions { listen, http_listen, admin_listen, faults, schedule: !no_schedule };
            serve(amphi::server::demo(options))
        }
        CliCommand::Simulate(Simulate { file, from, to, config, json }) => {
            let options = SimulateOptions { calendar: file, config, from, to };
            let simulation = amphi::server::simulate(&options)?;
            let text =
                if json { serde_json::to_string_pretty(&simulation)? + "\n" } else { simulation.to_string() };
            write!(std::io::stdout(), "{text}")?;
            Ok(ExitCode::from(u8::from(!simulation.is_good())))
        }
        CliCommand::Sign { url, key, lasts, ip, config } => {
            let options = SignOptions { config, url, key, lasts, ip };
            writeln!(std::io::stdout(), "{}", amphi::server::sign(&options, jiff::Timestamp::now())?)?;
            Ok(ExitCode::SUCCESS)
        }
        CliCommand::Probe(Probe { url, transport, seconds, json }) => {
            let report = runtime()?.block_on(amphi::source::probe::probe(&url, transport.into(), seconds))?;
            let text = if json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
            writeln!(std::io::stdout(), "{text}")?;
            Ok(ExitCode::SUCCESS)
        }
        CliCommand::Loadtest(test) => loadtest(&test),
    }
}

/// Runs a server to its end. A thread that still waits for a hanging file system is not waited for.
fn serve(server: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    let ended = runtime.block_on(server);
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}

fn loadtest(test: &Loadtest) -> anyhow::Result<ExitCode> {
    let options = amphi::loadtest::Options {
        players: test.players as usize,
        duration: Duration::from_secs(test.duration.into()),
        ramp: Duration::from_secs(test.ramp.into()),
        variant: test.variant,
        seek_every: Duration::from_secs(test.seek.into()),
        body_use: match (test.read, test.discard) {
            (true, _) => BodyUse::Read,
            (_, true) => BodyUse::Discard,
            _ => BodyUse::Check,
        },
        is_unpaced: test.unpaced,
        first_player: test.first_player as usize,
        insecure: test.insecure,
        progress: std::io::stderr().is_terminal(),
    };
    let report = runtime()?.block_on(async {
        let target = LoadTarget::resolve(&test.url, test.i_own_this_server).await?;
        target.fits(&options)?;
        anyhow::Ok(amphi::loadtest::run(target, &options).await)
    })?;
    let json = serde_json::to_string_pretty(&report)?;
    match test.json.as_deref() {
        Some(path) if path.as_os_str() == "-" => writeln!(std::io::stdout(), "{json}")?,
        Some(path) => std::fs::write(path, json).with_context(|| path.display().to_string())?,
        None => {}
    }
    if let Some(path) = &test.html {
        std::fs::write(path, report.html()).with_context(|| path.display().to_string())?;
    }
    if test.json.as_deref().is_none_or(|path| path.as_os_str() != "-") {
        write!(std::io::stdout(), "{report}")?;
    }
    Ok(ExitCode::from(u8::from(!report.is_good())))
}

/// `90m`, `2h`, `1h 30m`, `3d`; a day has 24 hours.
fn lasting(text: &str) -> Result<std::time::Duration, String> {
    let span: jiff::SignedDuration = match text.trim().strip_suffix('d').map(str::parse::<u32>) {
        Some(Ok(days)) => jiff::SignedDuration::from_hours(24 * i64::from(days)),
        _ => text.parse().map_err(|_| "write a time such as 90m, 2h or 3d".to_owned())?,
    };
    let lasts = std::time::Duration::try_from(span).map_err(|_| "a time that has not passed".to_owned())?;
    if lasts.is_zero() { Err("it would never be good".to_owned()) } else { Ok(lasts) }
}

fn hall_fault(text: &str) -> Result<(String, SimulatedFault), String> {
    let (hall, fault) = text.split_once('=').ok_or("HALL=FAULT is expected")?;
    Ok((hall.to_owned(), fault.parse().map_err(|error: UnknownFault| error.to_string())?))
}

/// Checks that `text` is a time; it is parsed again when the zone is known.
fn moment(text: &str) -> Result<String, String> {
    amphi::schedule::simulate::instant(text, &jiff::tz::TimeZone::UTC).map(|_| text.to_owned())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().thread_name("amphi").enable_all().build()
}

/// Checks that `text` is a filter; it is parsed again when the log starts.
fn log_filter(text: &str) -> Result<String, String> {
    amphi::log::filter(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn start_log(log: &Log) -> anyhow::Result<()> {
    let asked = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = match (&log.log_level, asked) {
        (Some(text), _) => amphi::log::filter(text).context("--log-level")?,
        (None, Some(text)) => amphi::log::filter(&text).context("RUST_LOG")?,
        (None, None) => amphi::log::default_filter(),
    };
    let format = match log.log_format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text { ansi: std::io::stderr().is_terminal() },
    };
    amphi::log::start(format, filter)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_and_their_defaults_are_as_documented() {
        let parsed = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        assert!(
            matches!(parsed("amphi run"), Ok(CliCommand::Run { config }) if config.as_os_str() == "config.toml")
        );
        assert!(
            matches!(parsed("amphi check a.toml"), Ok(CliCommand::Check { config, against: None }) if config.as_os_str() == "a.toml")
        );
        assert!(matches!(parsed("amphi demo"), Ok(CliCommand::Demo(_))));
        let Ok(CliCommand::Probe(probe)) =
            parsed("amphi probe rtsp://h/x --transport udp --seconds 3 --json")
        else {
            panic!("probe is a command")
        };
        assert_eq!(
            (probe.url.as_str(), probe.transport, probe.seconds, probe.json),
            ("rtsp://h/x", RtpTransport::Udp, 3, true)
        );
        let Ok(CliCommand::Probe(probe)) = parsed("amphi probe u") else { panic!("probe is a command") };
        assert_eq!((probe.transport, probe.seconds, probe.json), (RtpTransport::Tcp, 5, false));
    }

    #[test]
    fn bad_usage_is_told_apart_from_faults() {
        for line in [
            "amphi",
            "amphi fly",
            "amphi probe",
            "amphi probe u --seconds 0",
            "amphi run a b",
            "amphi --log-format x run",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        assert_eq!(Cli::try_parse_from(["amphi", "--help"]).expect_err("help").exit_code(), 0);
    }

    #[test]
    fn logging_options_may_stand_anywhere() {
        for line in [
            "amphi --log-format json --log-level debug demo",
            "amphi demo --log-format json --log-level debug",
        ] {
            let log = Cli::try_parse_from(line.split(' ')).expect(line).log;
            assert_eq!((log.log_format, log.log_level.as_deref()), (LogFormat::Json, Some("debug")));
        }
    }
}
