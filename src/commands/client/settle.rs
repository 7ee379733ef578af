//! `client resolve`, `restore`: a person settles a conflict, or puts things back as they were. Both are ordinary edits.

use std::process::ExitCode;

use inbetweenies_client::{Frame, Restore, Scope, Store, wall_clock};
use inbetweenies_core::conflict::answer::{Answer, Choice};
use inbetweenies_core::domain::Strategy;
use inbetweenies_core::time::Micros;
use serde_json::json;
use uuid::Uuid;

use super::edit::carry_out;
use super::fields::{Fields, unset};
use super::sync::{Pushed, code, document, push, troubles};
use super::{Desk, sight};
use crate::commands::say::{self, Failure, count};

/// Settle a conflict.
#[derive(Debug, clap::Args)]
pub struct Resolve {
    /// An id, the beginning of one, or a name
    what: String,
    /// Keep this version: its name or digest, or the first eight or more digits of that, as `history` shows them
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["delete", "strategy", "unset"])]
    keep: Option<String>,
    /// Delete it
    #[arg(long, conflicts_with_all = ["strategy", "unset"])]
    delete: bool,
    /// Take what this strategy makes of the heads: merge, last_write_wins or custom
    #[arg(long, value_name = "NAME", conflicts_with = "unset")]
    strategy: Option<String>,
    /// Take a field away from what is shown; /a/b is a field within a field
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    #[command(flatten)]
    fields: Fields,
    /// The heads that you saw, if this is to fail when they are others by now
    #[arg(long, value_name = "VERSION")]
    head: Vec<String>,
}

/// Put things back as they were.
#[derive(Debug, clap::Args)]
pub struct PutBack {
    /// An id, the beginning of one, or a name; a room goes back with what was or is in it
    #[arg(required_unless_present = "home")]
    what: Option<String>,
    /// The whole home
    #[arg(long, conflicts_with = "what")]
    home: bool,
    /// The thing and its relationships, without what is in it
    #[arg(long, conflicts_with = "home")]
    alone: bool,
    /// As it was at this instant: 2026-06-15T09:41:02Z, a date, or -2h, -3d
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    to: String,
    /// Say what would be put back, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// `resolve`.
pub async fn resolve(desk: &Desk, mut store: Store, wish: Resolve) -> Result<ExitCode, Failure> {
    let (replica, policy) = (store.replica(), store.replica().policy());
    let id = replica.find(&wish.what, &policy)?;
    let Some(view) = replica.view(&id, &policy) else {
        return Err(Failure::new(format!("nothing is known of {id}")));
    };
    let choice = match (wish.keep, wish.delete, wish.strategy) {
        (Some(version), ..) => Choice::Keep(version),
        (None, true, _) => Choice::Deleted,
        (None, false, Some(name)) => match Strategy::parse(&name) {
            Some(Strategy::Manual) | None => {
                return Err(Failure::usage(format!(
                    "{name:?} settles nothing: merge, last_write_wins or custom"
                )));
            }
            Some(strategy) => Choice::Strategy(strategy),
        },
        (None, false, None) => {
            let mut content = view.record.content.clone();
            wish.fields.apply(&mut content)?;
            for key in &wish.unset {
                unset(&mut content, key)?;
            }
            if content == view.record.content {
                return Err(Failure::usage(
                    "how? --keep VERSION, --delete, --strategy NAME, or new values with --set and --unset",
                ));
            }
            Choice::Content(content)
        }
    };
    let heads = if wish.head.is_empty() {
        let digests = view.heads.iter().filter_map(|head| head.digest);
        digests.map(|digest| digest.to_string()).collect()
    } else {
        wish.head.into_iter().collect()
    };
    let answer = Answer {
        heads,
        choice,
        user_id: None,
    };
    let draft = replica.answer(&id, &policy, &answer)?;
    carry_out(desk, &mut store, vec![draft], "settled").await
}

/// `restore`.
pub async fn restore(desk: &Desk, mut store: Store, wish: PutBack) -> Result<ExitCode, Failure> {
    let to = sight::read("--to", &wish.to)?;
    let (replica, policy) = (store.replica(), store.replica().policy());
    let scope = match &wish.what {
        None => Scope::Home,
        Some(what) => {
            let id = replica.find(what, &policy)?;
            let edge = replica
                .view(&id, &policy)
                .is_some_and(|view| !view.record.is_entity());
            if wish.alone || edge {
                Scope::Thing(id)
            } else {
                Scope::Within(id)
            }
        }
    };
    let restore_id = Uuid::new_v4().to_string();
    let restore = replica.restore(&policy, &scope, to, &restore_id, wall_clock())?;
    if restore.sets.is_empty() {
        let document = told(&restore, None, to, true);
        say::answer(
            desk.json,
            &document,
            &format!("nothing to put back: it is as it was at {to}"),
        );
        return Ok(ExitCode::SUCCESS);
    }
    if wish.dry_run {
        let words = format!("this would be: {}", counted(&restore));
        say::answer(desk.json, &told(&restore, None, to, false), &words);
        return Ok(ExitCode::SUCCESS);
    }
    for drafts in restore.sets.clone() {
        let edited = store.replica().stamp(drafts, restore.now)?;
        store.keep(&Frame::Edited(edited))?;
    }
    let mut words = format!(
        "{}, as at {to}; the same with `--to {}` undoes it",
        counted(&restore),
        restore.undo
    );
    let mut answer = told(&restore, Some(&restore_id), to, true);
    let mut exit = ExitCode::SUCCESS;
    match push(&mut store, desk.wanted_hub()).await? {
        Pushed::NotAsked => words += "; kept here, `sync --hub URL` sends it",
        Pushed::Waiting(why) => words += &format!("; kept here until `sync` finds a hub: {why}"),
        Pushed::Done(summary) => {
            words += &troubles(&summary);
            exit = code(&summary);
            answer["sync"] = json!(document(&summary, store.replica()));
        }
    }
    say::answer(desk.json, &answer, &words);
    Ok(exit)
}

fn counted(restore: &Restore) -> String {
    let sets = restore.sets.len();
    let parts = if sets > 1 {
        format!(", in {sets} change sets")
    } else {
        String::new()
    };
    let changed = format!("{} put back", count(restore.changed, "record"));
    let deleted = format!("{} deleted that was not there", count(restore.deleted, "record"));
    let did = match (restore.changed, restore.deleted) {
        (_, 0) => changed,
        (0, _) => deleted,
        _ => format!("{changed}, {deleted}"),
    };
    format!("{did}{parts}")
}

fn told(restore: &Restore, restore_id: Option<&str>, to: Micros, done: bool) -> serde_json::Value {
    json!({
        "restore_id": restore_id, "to": to.to_string(), "undo": restore.undo.to_string(), "done": done,
        "changed": restore.changed, "deleted": restore.deleted, "sets": restore.sets.len(), "sync": null,
    })
}
