//! The command line: reads it, sets up logging, hands over, and turns what happened into an exit code.
//!
//! Exit codes: 0 good, 1 a fault was found or a run failed, 2 the command line is wrong. Logs go to stderr, results
//! to stdout.

use std::path::PathBuf;
use std::process::ExitCode;

use amphi::config::{self, Transport};
use amphi::server::{self, DemoOptions};
use amphi::source;
use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// A self-contained streaming media server for lecture halls.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How logs are written on stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// What is logged, as a filter such as `info` or `amphi::source=debug`; `RUST_LOG` says the same.
    #[arg(long, global = true)]
    log_level: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

#[derive(Subcommand)]
enum Action {
    /// Serve.
    Run {
        /// The configuration.
        #[arg(default_value = "config.toml")]
        config: PathBuf,
    },
    /// Serve with three simulated lecture halls, all built in.
    Demo {
        /// RTMP, HTTP and RTSP on one port.
        #[arg(long, default_value = "127.0.0.1:1935")]
        listen: String,
        /// Plain HTTP.
        #[arg(long, default_value = "127.0.0.1:8080")]
        http_listen: String,
        /// The page and REST.
        #[arg(long, default_value = "127.0.0.1:8088")]
        admin_listen: String,
    },
    /// Read a configuration and say every fault.
    Check {
        /// The configuration.
        #[arg(default_value = "config.toml")]
        config: PathBuf,
    },
    /// Pull a source for a few seconds and say what it sends.
    Probe {
        /// rtsp://[user:password@]host[:port]/path
        url: String,
        /// How RTP travels.
        #[arg(long, value_enum, default_value_t = Carrier::Tcp)]
        transport: Carrier,
        /// How long to look.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
        seconds: u32,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Carrier {
    Tcp,
    Udp,
}

impl From<Carrier> for Transport {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Tcp => Self::Tcp,
            Carrier::Udp => Self::Udp,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(arguments.log_format, arguments.log_level.as_deref());
    match act(arguments.action) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn log(format: LogFormat, level: Option<&str>) {
    // retina says at info what concerns only its own developers.
    let quiet = "info,retina=warn";
    let filter = match level {
        Some(level) => EnvFilter::new(level),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(quiet)),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.init(),
    }
}

fn act(action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Run { config } => match config::Config::load(&config) {
            Ok(config) => runtime()?.block_on(server::run(config)).map(|()| ExitCode::SUCCESS),
            Err(faults) => {
                tracing::error!("the configuration has faults and nothing is started\n{faults}");
                Ok(ExitCode::FAILURE)
            }
        },
        Action::Demo { listen, http_listen, admin_listen } => {
            let options = DemoOptions { listen, http_listen, admin_listen };
            runtime()?.block_on(server::demo(options)).map(|()| ExitCode::SUCCESS)
        }
        Action::Check { config } => Ok(check(&config)),
        Action::Probe { url, transport, seconds, json } => {
            let report = runtime()?.block_on(source::probe::probe(&url, transport.into(), seconds))?;
            print(&if json { serde_json::to_string_pretty(&report)? } else { report.to_string() });
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(path: &std::path::Path) -> ExitCode {
    let report = config::check(path);
    print(&report.to_string());
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().thread_name("amphi").enable_all().build()
}

#[expect(clippy::print_stdout, reason = "results go to stdout")]
fn print(text: &str) {
    println!("{}", text.trim_end());
}
