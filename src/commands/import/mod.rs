//! `import home-assistant`: a folder's home into a hub's, so often as one likes.
//!
//! What the hub holds is read by one sync from an empty clock with superseded records left out: lists show no
//! tombstones, and asking for each id that a list does not have would take a request for every thing of a first import.

mod graph;
mod work;

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::say::{self, Failure, clean, count};
use crate::api::{Hub, HubUrl};
use crate::import::home_assistant::{Changes, DEFAULT_SOURCE};

pub use work::{Imported, Step, Wish, work};

/// Read what a home knows elsewhere into a hub.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// Areas, floors, devices and entities of a Home Assistant
    HomeAssistant(HomeAssistant),
}

/// Areas, floors, devices and entities of a Home Assistant.
#[derive(Debug, clap::Args)]
struct HomeAssistant {
    /// Its config folder, or the .storage folder in it
    dir: PathBuf,
    /// The hub, as http://127.0.0.1:7420
    #[arg(long, value_name = "URL")]
    hub: String,
    /// Tells one Home Assistant from another: a second one needs a name of its own
    #[arg(long, value_name = "NAME", default_value = DEFAULT_SOURCE)]
    source: String,
    /// What to call the home if it is new; otherwise the folder's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before most of what came from this source is deleted
    #[arg(long)]
    yes: bool,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    let Source::HomeAssistant(args) = &args.source;
    match actix_rt::System::new().block_on(act(args)) {
        Ok(code) => code,
        Err(failure) => failure.exit(),
    }
}

async fn act(args: &HomeAssistant) -> Result<ExitCode, Failure> {
    let url: HubUrl = args.hub.parse()?;
    let wish = Wish {
        dir: &args.dir,
        source: &args.source,
        name: args.name.as_deref(),
        dry_run: args.dry_run,
    };
    let consent = |warning: &str| if args.yes { Ok(()) } else { ask(warning) };
    let bar = indicatif::ProgressBar::new_spinner();
    let mut progress = |step| match step {
        Step::Read(records) => bar.set_message(format!("read {}", count(records, "record"))),
        Step::Sent(records, of) => bar.set_message(format!("sent {records} of {}", count(of, "record"))),
    };
    let done = work(&Hub::new(url.clone()), &wish, &mut progress, &consent).await;
    bar.finish_and_clear();
    let done = done?;
    say::answer(args.json, &document(&done, args), &words(&done, args, &url));
    Ok(if done.refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Asks the person at the terminal; where there is none, says what to do.
fn ask(warning: &str) -> Result<(), Failure> {
    let refused = || {
        Failure::new(format!(
            "nothing was changed: {warning}; if that is right, add --yes"
        ))
    };
    if !std::io::stdin().is_terminal() {
        return Err(refused());
    }
    eprint!("{warning}. Go on? [y/N] ");
    drop(std::io::stderr().flush());
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(refused()),
    }
}

fn document(done: &Imported, args: &HomeAssistant) -> serde_json::Value {
    let counts = |changes: &Changes| json!({"entities": changes.entities.len(), "relationships": changes.relationships.len()});
    let refused = done.refused.iter();
    let refused = refused.map(|row| json!({"id": row.id, "code": row.code, "detail": row.detail}));
    json!({
        "hub": done.hub,
        "home": done.home,
        "source": args.source,
        "dry_run": args.dry_run,
        "created": counts(&done.plan.create),
        "edited": counts(&done.plan.edit),
        "deleted": counts(&done.plan.delete),
        "unchanged": {"entities": done.unchanged.0, "relationships": done.unchanged.1},
        "notes": done.notes,
        "warning": done.plan.warning,
        "refused": refused.collect::<Vec<_>>(),
        "lost": done.lost,
    })
}

fn words(done: &Imported, args: &HomeAssistant, url: &HubUrl) -> String {
    let where_to = format!("{} ({})", clean(&done.hub), url.host_and_port());
    let mut words = match (done.plan.is_empty(), args.dry_run) {
        (true, _) => format!(
            "nothing to change: {where_to} has all of {} already",
            clean(&done.home)
        ),
        (false, true) => format!("would import {} into {where_to}", clean(&done.home)),
        (false, false) => format!("imported {} into {where_to}", clean(&done.home)),
    };
    let amount = |entities, edges| {
        format!(
            "{} and {}",
            count(entities, "entity"),
            count(edges, "relationship")
        )
    };
    let mut rows = Vec::new();
    let plan = &done.plan;
    for (did, changes) in [
        ("created", &plan.create),
        ("changed", &plan.edit),
        ("deleted", &plan.delete),
    ] {
        if !changes.is_empty() {
            let row = amount(changes.entities.len(), changes.relationships.len());
            rows.push(vec![format!("  {did}"), row]);
        }
    }
    rows.push(vec![
        "  as it was".to_owned(),
        amount(done.unchanged.0, done.unchanged.1),
    ]);
    words += &format!("\n{}", say::table(&rows));
    for note in done.notes.iter().chain(&plan.warning) {
        words += &format!("\n  note: {}", clean(note));
    }
    for id in &done.lost {
        words += &format!("\n  lost a conflict, and is kept: {}", clean(id));
    }
    for row in &done.refused {
        let (id, detail, code) = (clean(&row.id), clean(&row.detail), clean(&row.code));
        words += &format!("\n  refused: {id}: {detail} ({code})");
    }
    words
}
