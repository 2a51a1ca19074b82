//! The command line: arguments, logging, exit codes. Everything else is in the library.
//!
//! Exit codes: 0 good, 1 a fault was found or the run failed, 2 usage. The log goes to stderr, results to
//! stdout.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use amphi::server::DemoOptions;
use amphi::simulator::{Fault, UnknownFault};
use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// glibc's allocator keeps an arena per thread, and cells travel from thread to thread: under faults resident memory
/// went up and down by a fifth. This one gives pages back whoever frees them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-contained streaming media server for lecture halls.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    log: Log,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Log {
    /// How the log on stderr is written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is logged: a level (error, warn, info, debug, trace) or a filter such as "info,amphi::source=debug".
    /// RUST_LOG is asked where this is absent; without either it is "info".
    #[arg(long, global = true, value_name = "FILTER", value_parser = log_filter)]
    log_level: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve.
    Run {
        /// The configuration.
        #[arg(default_value = "config.toml")]
        config: PathBuf,
    },
    /// Serve with simulated encoders and a small NAS, all built in, and print what to open.
    Demo(Demo),
    /// Read the configuration and say every fault with line and column; exit 1 if there is any.
    Check {
        /// The configuration.
        #[arg(default_value = "config.toml")]
        config: PathBuf,
    },
    /// Pull a source for a few seconds and say what it sends.
    Probe(Probe),
}

#[derive(Debug, Args)]
struct Demo {
    /// RTMP, HTTP and RTSP on one port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1935")]
    listen: String,
    /// Plain HTTP.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    http_listen: String,
    /// The page and REST.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    admin_listen: String,
    /// A hall that fails, e.g. PS-Amphi_A=freeze or PS-Amphi_C=loss=2; may be repeated. The page can do it later.
    #[arg(long, value_name = "HALL=FAULT", value_parser = hall_fault)]
    fault: Vec<(String, Fault)>,
}

#[derive(Debug, Args)]
struct Probe {
    /// rtsp://[user:password@]host[:port]/path
    url: String,
    /// How the media travels.
    #[arg(long, value_enum, default_value_t = Transport::Tcp)]
    transport: Transport,
    /// How long to pull.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Tcp,
    Udp,
}

impl From<Transport> for amphi::config::Transport {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self::Tcp,
            Transport::Udp => Self::Udp,
        }
    }
}

fn main() -> ExitCode {
    // Ends with 2 and an explanation when the arguments make no sense.
    let cli = Cli::parse();
    match start_log(&cli.log).and_then(|()| run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("amphi: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { config } => {
            let report = amphi::config::check(&config);
            writeln!(std::io::stdout(), "{report}")?;
            Ok(ExitCode::from(u8::from(!report.is_good())))
        }
        Command::Run { config } => {
            runtime()?.block_on(amphi::server::run(&config))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(Demo { listen, http_listen, admin_listen, fault: faults }) => {
            let options = DemoOptions { listen, http_listen, admin_listen, faults };
            runtime()?.block_on(amphi::server::demo(options))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Probe(Probe { url, transport, seconds, json }) => {
            let report = runtime()?.block_on(amphi::source::probe::probe(&url, transport.into(), seconds))?;
            let text = if json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
            writeln!(std::io::stdout(), "{text}")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn hall_fault(text: &str) -> Result<(String, Fault), String> {
    let (hall, fault) = text.split_once('=').ok_or("HALL=FAULT is expected")?;
    Ok((hall.to_owned(), fault.parse().map_err(|error: UnknownFault| error.to_string())?))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().thread_name("amphi").enable_all().build()
}

/// A filter that makes sense; it is read again when the log starts.
fn log_filter(text: &str) -> Result<String, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(text).map(|_| text.to_owned())
}

/// retina says at info what concerns its own developers.
const QUIET: &str = "info,retina=warn";

fn start_log(log: &Log) -> anyhow::Result<()> {
    let filter = match &log.log_level {
        Some(filter) => EnvFilter::try_new(filter).context("--log-level")?,
        None if std::env::var_os("RUST_LOG").is_some() => {
            EnvFilter::try_from_default_env().context("RUST_LOG")?
        }
        None => EnvFilter::new(QUIET),
    };
    let log_to_stderr = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.log_format {
        LogFormat::Json => log_to_stderr.json().try_init(),
        LogFormat::Text => log_to_stderr.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
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
            matches!(parsed("amphi run"), Ok(Command::Run { config }) if config.as_os_str() == "config.toml")
        );
        assert!(
            matches!(parsed("amphi check a.toml"), Ok(Command::Check { config }) if config.as_os_str() == "a.toml")
        );
        assert!(matches!(parsed("amphi demo"), Ok(Command::Demo(_))));
        let Ok(Command::Probe(probe)) = parsed("amphi probe rtsp://h/x --transport udp --seconds 3 --json")
        else {
            panic!("probe is a command")
        };
        assert_eq!(
            (probe.url.as_str(), probe.transport, probe.seconds, probe.json),
            ("rtsp://h/x", Transport::Udp, 3, true)
        );
        let Ok(Command::Probe(probe)) = parsed("amphi probe u") else { panic!("probe is a command") };
        assert_eq!((probe.transport, probe.seconds, probe.json), (Transport::Tcp, 5, false));
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
