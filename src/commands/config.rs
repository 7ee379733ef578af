//! `config show` and `config check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::fail;
use crate::config::{Config, check_file, environment};

/// Shows or checks the configuration.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every key with value, origin and meaning
    Show {
        /// The config file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// One JSON document instead of words
        #[arg(long)]
        json: bool,
    },
    /// The errors of a file, with line and column
    Check {
        /// The config file
        file: PathBuf,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::Show { config, json } => match Config::load(config.as_deref(), environment(), &[]) {
            Ok(resolved) => {
                println!(
                    "{}",
                    if *json {
                        resolved.show_json()
                    } else {
                        resolved.show()
                    }
                );
                ExitCode::SUCCESS
            }
            Err(errors) => fail(2, errors),
        },
        Command::Check { file } => match check_file(file) {
            Ok(()) => {
                println!("{} is good", file.display());
                ExitCode::SUCCESS
            }
            Err(errors) => fail(2, errors),
        },
    }
}
