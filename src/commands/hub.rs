//! `hub`: runs a hub in the foreground.

use std::path::PathBuf;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use super::fail;
use crate::config::{Config, LogFormat, environment};

/// Runs a hub in the foreground. When it can serve it prints one line: `ready http://ADDR hub=ID`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file; without it defaults, environment and flags hold
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, as 127.0.0.1:7420 (listen.address)
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The data folder (storage.path)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Make the data folder if it is not a hub's yet: a new hub, not a lost mount
    #[arg(long)]
    init: bool,
}

/// Runs the command.
pub fn run(args: Args) -> ExitCode {
    let mut flags = Vec::new();
    if let Some(address) = args.listen {
        flags.push(("listen.address", address));
    }
    if let Some(path) = &args.data {
        flags.push(("storage.path", path.to_string_lossy().into_owned()));
    }
    let resolved = match Config::load(args.config.as_deref(), environment(), &flags) {
        Ok(resolved) => resolved,
        Err(errors) => return fail(2, errors),
    };
    log(&resolved.config);
    let run = async { crate::hub::run(resolved.config, args.init).await };
    match actix_rt::System::new().block_on(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.exit_code(), error),
    }
}

fn log(config: &Config) {
    let filter = EnvFilter::builder().parse_lossy(config.log.level.as_str());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}
