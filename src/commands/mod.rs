//! The command line: one binary, one module a command.
//!
//! Exit codes: 0 done; 1 it failed, and the last line of stderr says why and what to do; 2 wrong usage or config;
//! 74 an I/O error: start again.

mod client;
mod config;
mod home;
mod hub;
mod import;
mod mesh;
mod say;
mod status;
mod verify;

pub(crate) use say::{clean, count};

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use inbetweenies_simulations::command::Simulate;

/// A home's knowledge on several hubs at once.
#[derive(Debug, Parser)]
#[command(name = "inbetweenies", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a hub in the foreground
    Hub(hub::Args),
    /// Show or check the configuration
    Config(config::Args),
    /// The state of a hub
    Status(status::Args),
    /// Read what a home knows elsewhere into a hub
    Import(import::Args),
    /// Run a mesh of hubs on this machine and fill it with a real home
    Mesh(mesh::Args),
    /// Read and edit a home from this device, with or without a hub in reach
    Client(client::Args),
    /// The hubs of a home
    Members(home::Asked),
    /// Say that a hub is lost, so that nothing waits for it; it may come back
    Fence(home::Fence),
    /// Say that a fenced hub is back
    Unfence(home::Fence),
    /// The rules of a home: show them, change them
    Policy(home::Policy),
    /// Check a store, or have a running hub check its own, compare it with its peers and repair
    Verify(verify::Args),
    /// Run homes in virtual time, with every fault that a home has
    Simulate(Simulate),
}

/// Parses the command line and runs what it says.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    if let Command::Simulate(simulate) = &command {
        return ExitCode::from(simulate.run()); // there a hub's panic is a result
    }
    // A panic anywhere ends the process, in every profile: it recovers from disk, never goes on half dead.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    match command {
        Command::Hub(args) => hub::run(args),
        Command::Config(args) => config::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Mesh(args) => mesh::run(&args),
        Command::Client(args) => client::run(args),
        Command::Members(args) => home::members(&args),
        Command::Fence(args) => home::fence(&args, true),
        Command::Unfence(args) => home::fence(&args, false),
        Command::Policy(args) => home::policy(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Simulate(simulate) => ExitCode::from(simulate.run()),
    }
}

/// Says why a command failed, as the last line of stderr.
fn fail(code: u8, why: impl std::fmt::Display) -> ExitCode {
    eprintln!("inbetweenies: {why}");
    ExitCode::from(code)
}
