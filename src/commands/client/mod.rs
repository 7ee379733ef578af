//! `client`: read and edit a home from this device, with or without a hub in reach.

mod blobs;
mod check;
mod conflicts;
mod edit;
mod fields;
mod find;
mod past;
mod settle;
mod show;
mod sight;
mod sync;
mod why;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use inbetweenies_client::{Options, Store};

use self::sight::{At, Sight};
use super::say::{self, Failure};
use crate::api::{Hub, HubUrl};

/// Read and edit a home from this device.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that holds this device's replica
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// A hub, as http://127.0.0.1:7420; edits are sent to it at once
    #[arg(long, value_name = "URL", global = true)]
    hub: Option<String>,
    /// Keep edits here even if a hub is named; `sync` sends them later
    #[arg(long, global = true)]
    offline: bool,
    /// One JSON document instead of words
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the store; with --hub, fetch the home at once
    Init {
        /// Who edits here; the name stands in every version
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Send what is pending and fetch what is new; any hub of the home goes on where another stopped
    Sync {
        /// Take the hub as it is, though it lacks what this store has seen at another: only if that other is gone for
        /// good
        ///
        /// A hub that is behind takes edits, and sends a store nothing until it has caught up, so that nobody is told
        /// of older things than before. It never catches up with what was only on a disk that is lost. With this, the
        /// store goes on from what the hub has, and sends it once more what no other hub is known to hold. Nothing in
        /// the store is given up. Until all is sent, the hub shows less than was seen elsewhere. If the other hub
        /// lives after all, no harm is done.
        #[arg(long)]
        accept_behind: bool,
    },
    /// Sync, then hold what is here against what the hub has, in one hash
    Check,
    /// Make a thing
    Create(edit::Create),
    /// Change a thing
    Edit(edit::Edit),
    /// Delete a thing with its relationships, or one relationship
    Delete(edit::Delete),
    /// Relate two things; where a thing has only one of that type, move it
    Link(edit::Link),
    /// Take a relationship away: its id, or FROM TYPE [TO]
    Unlink(edit::Unlink),
    /// Show a thing, with its relationships
    Get {
        /// An id, the beginning of one, or a name
        what: String,
        #[command(flatten)]
        at: At,
    },
    /// List things
    List {
        /// Only those of this type
        #[arg(long, value_name = "TYPE")]
        r#type: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Every version of a thing, newest first
    History {
        /// An id, the beginning of one, or a name
        what: String,
        #[command(flatten)]
        at: At,
    },
    /// How the versions of a thing follow each other, drawn
    Tree {
        /// An id, the beginning of one, or a name
        what: String,
        /// Draw a picture into this file instead
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
    /// Why a thing is as it is: who wrote each field, what it beat and by which rule
    Why {
        /// An id, the beginning of one, or a name
        what: String,
        #[command(flatten)]
        at: At,
    },
    /// What changed between two instants
    Diff(past::Diff),
    /// The conflicts that wait for a person, and what stands against what
    Conflicts,
    /// Settle a conflict: keep a version, say what holds, delete it, or choose a strategy for this once
    Resolve(settle::Resolve),
    /// Put a thing, a room with what is in it, or the whole home back as it was: new edits, which can be undone
    Restore(settle::PutBack),
    /// Attach files to a thing: photos, manuals, anything; without a hub they are kept here until there is one
    Attach(blobs::Attach),
    /// Fetch what is attached to a thing, from the hub or from this device
    Fetch(blobs::Fetch),
    /// What this store holds, what is pending, what was refused
    Status,
}

/// What every command needs.
struct Desk {
    hub: Option<HubUrl>,
    offline: bool,
    json: bool,
}

impl Desk {
    /// The hub to send edits to at once, if one is named and wanted.
    fn wanted_hub(&self) -> Option<&HubUrl> {
        self.hub.as_ref().filter(|_| !self.offline)
    }
}

/// Runs the command.
pub fn run(args: Args) -> ExitCode {
    match actix_rt::System::new().block_on(act(args)) {
        Ok(code) => code,
        Err(failure) => failure.exit(),
    }
}

async fn act(args: Args) -> Result<ExitCode, Failure> {
    let hub = args.hub.as_deref().map(str::parse).transpose()?;
    let desk = Desk {
        hub,
        offline: args.offline,
        json: args.json,
    };
    let dir = args.store.as_path();
    match args.command {
        Command::Init { user } => init(&desk, dir, user).await,
        Command::Sync { accept_behind } => {
            let Some(url) = &desk.hub else {
                return Err(Failure::usage(
                    "sync needs a hub: give it with --hub http://127.0.0.1:7420",
                ));
            };
            let options = Options {
                accept_behind,
                ..Options::default()
            };
            sync::run(&mut Store::open(dir)?, &Hub::new(url.clone()), options, desk.json).await
        }
        Command::Check => {
            let Some(url) = &desk.hub else {
                return Err(Failure::usage(
                    "check needs a hub: give it with --hub http://127.0.0.1:7420",
                ));
            };
            check::run(&mut Store::open(dir)?, &Hub::new(url.clone()), desk.json).await
        }
        Command::Create(wish) => edit::create(&desk, Store::open(dir)?, wish).await,
        Command::Edit(wish) => edit::edit(&desk, Store::open(dir)?, wish).await,
        Command::Delete(wish) => edit::delete(&desk, Store::open(dir)?, wish).await,
        Command::Link(wish) => edit::link(&desk, Store::open(dir)?, wish).await,
        Command::Unlink(wish) => edit::unlink(&desk, Store::open(dir)?, wish).await,
        Command::Get { what, at } => show::get(&Sight::of(Store::open(dir)?, &at)?, &what, desk.json),
        Command::List { r#type, at } => {
            show::list(&Sight::of(Store::open(dir)?, &at)?, r#type.as_deref(), desk.json)
        }
        Command::History { what, at } => show::history(&Sight::of(Store::open(dir)?, &at)?, &what, desk.json),
        Command::Tree { what, svg, at } => {
            past::tree(&Sight::of(Store::open(dir)?, &at)?, &what, svg, desk.json)
        }
        Command::Why { what, at } => why::why(&Sight::of(Store::open(dir)?, &at)?, &what, desk.json),
        Command::Diff(wish) => past::diff(&Sight::now(Store::open(dir)?), &wish, desk.json),
        Command::Conflicts => conflicts::conflicts(&Sight::now(Store::open(dir)?), desk.json),
        Command::Resolve(wish) => settle::resolve(&desk, Store::open(dir)?, wish).await,
        Command::Restore(wish) => settle::restore(&desk, Store::open(dir)?, wish).await,
        Command::Attach(wish) => blobs::attach(&desk, Store::open(dir)?, wish).await,
        Command::Fetch(wish) => blobs::fetch(&desk, Store::open(dir)?, wish).await,
        Command::Status => show::status(&Store::open(dir)?, desk.json),
    }
}

/// The longest name of a user, in bytes.
const USER_BYTES_MAX: usize = inbetweenies_core::limits::WORD_BYTES_MAX;

async fn init(desk: &Desk, dir: &Path, user: Option<String>) -> Result<ExitCode, Failure> {
    let user = user.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()));
    let user = user.unwrap_or_else(|| "someone".to_owned());
    if user.trim().is_empty() || user.len() > USER_BYTES_MAX || user.chars().any(char::is_control) {
        return Err(Failure::usage(format!(
            "a user's name has 1 to {USER_BYTES_MAX} bytes, all of them printable"
        )));
    }
    let mut store = Store::init(dir, &user)?;
    let made = format!("made a store for {user} in {}", dir.display());
    if let Some(url) = desk.wanted_hub() {
        if !desk.json {
            say::line(&made);
        }
        return sync::run(&mut store, &Hub::new(url.clone()), Options::default(), desk.json).await;
    }
    let document = serde_json::json!({
        "store": dir, "device_id": store.replica().device_id(), "user_id": user,
    });
    say::answer(
        desk.json,
        &document,
        &format!("{made}; `sync --hub URL` fetches the home"),
    );
    Ok(ExitCode::SUCCESS)
}
