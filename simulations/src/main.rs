//! The simulator by itself: builds in seconds, without RocksDB and actix. `inbetweenies simulate` is the same.

use std::process::ExitCode;

use clap::Parser;
use inbetweenies_simulations::command::Simulate;

#[derive(Parser)]
#[command(name = "simulate", version)]
struct Cli {
    #[command(flatten)]
    simulate: Simulate,
}

fn main() -> ExitCode {
    ExitCode::from(Cli::parse().simulate.run())
}
