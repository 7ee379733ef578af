//! `client tree`, `diff`: how a thing came to be what it is, and what changed meanwhile.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use inbetweenies_core::conflict::read::{DiffPage, DiffRow, Shown, tree_rows};
use inbetweenies_core::time::MICROS_MAX;
use inbetweenies_core::value::Value;
use inbetweenies_core::wire::clock_to_wire;

use super::sight::{Sight, moment, read};
use super::{fields, find};
use crate::commands::say::{self, Failure, clean, count};
use crate::tree;

/// Versions of one drawing: more than anybody looks through, and as many as a hub tells at once.
const TREE_MAX: usize = 10_000;

/// What changed between two instants.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The instant to compare with: 2026-06-15T09:41:02Z, a date, or -2h, -3d
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    from: String,
    /// And the later one; all that is here, where none is given
    #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
    to: Option<String>,
}

/// `tree`.
pub fn tree(sight: &Sight, what: &str, file: Option<PathBuf>, json: bool) -> Result<ExitCode, Failure> {
    let id = sight.find(what)?;
    let tree = sight.replica().tree(&id, &sight.policy, sight.at);
    let page = tree_rows(&tree.ok_or_else(|| sight.unknown(what, &id))?, TREE_MAX);
    let words = match &file {
        None => tree::text(&page),
        Some(file) => {
            keep(file, &tree::svg(&page))?;
            format!(
                "drew {} in {}",
                count(page.nodes.len(), "version"),
                file.display()
            )
        }
    };
    say::answer(json, &page, &words);
    Ok(ExitCode::SUCCESS)
}

fn keep(file: &Path, picture: &str) -> Result<(), Failure> {
    std::fs::write(file, picture)
        .map_err(|error| Failure::new(format!("{} cannot be written: {error}", file.display())))
}

/// `diff`.
pub fn diff(sight: &Sight, wish: &Diff, json: bool) -> Result<ExitCode, Failure> {
    let from = read("--from", &wish.from)?;
    let to = wish.to.as_deref().map(|text| read("--to", text)).transpose()?;
    let replica = sight.replica();
    let page = DiffPage {
        changes: replica.diff(&sight.policy, from, to.unwrap_or(MICROS_MAX)),
        cursor: None,
        complete_to: clock_to_wire(replica.clock()).0,
    };
    let mut words = String::new();
    for row in &page.changes {
        words += &change(row);
    }
    let until = to.map_or_else(|| "now".to_owned(), moment);
    words += &format!(
        "{} from {} to {until}",
        count(page.changes.len(), "difference"),
        moment(from)
    );
    say::answer(json, &page, &words);
    Ok(ExitCode::SUCCESS)
}

/// One thing that differs, its fields below it.
fn change(row: &DiffRow) -> String {
    let told = row.after.as_ref().or(row.before.as_ref());
    let mut words = format!("{} {}\n", row.change, told.map_or_else(String::new, label));
    // What was deleted had every field: that it is gone says enough.
    let fields = row.fields.iter().filter(|_| row.change != "deleted");
    for field in fields {
        let key = fields::key(&field.field);
        let line = match (&field.before, &field.after) {
            (Some(was), Some(is)) => format!("{key}: {} → {}", fields::value(was), fields::value(is)),
            (Some(_), None) => format!("{key}: gone"),
            (None, Some(is)) => format!("{key}: {}", fields::value(is)),
            (None, None) => continue,
        };
        words += &format!("  {}\n", clean(&line));
    }
    if row.change == "updated" && row.fields.is_empty() {
        words += "  says the same in another version\n";
    }
    words
}

/// A thing in a few words: type, name, id.
fn label(shown: &Shown) -> String {
    let map = shown.entity.as_ref().or(shown.relationship.as_ref());
    let text = |key: &str| map.and_then(|map| map.get(key)).and_then(Value::as_text);
    let kind = text("entity_type").or(text("relationship_type"));
    find::label_of(
        kind.unwrap_or_default(),
        text("name"),
        text("id").unwrap_or_default(),
    )
}
