//! `client why`: who wrote each field that is shown, what it beat and by which rule.

use std::collections::BTreeMap;
use std::process::ExitCode;

use inbetweenies_client::HubName;
use inbetweenies_core::conflict::read::{BeatenRow, FieldRow, WhyRows};
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Id, ReplicaId};
use inbetweenies_core::view::DELETED;

use super::sight::{Sight, moment, told, who};
use super::{fields, find};
use crate::commands::say::{self, Failure, clean};

/// Characters of a replica that stand for it where no hub's name is known.
const REPLICA_LEN: usize = 8;

/// `why`.
pub fn why(sight: &Sight, what: &str, json: bool) -> Result<ExitCode, Failure> {
    let id = sight.find(what)?;
    let rows = sight.replica().why(&id, &sight.policy, sight.at);
    let (Some(rows), Some(view)) = (rows, sight.view(&id)) else {
        return Err(sight.unknown(what, &id));
    };
    let mut words = find::label(&view.record);
    words += &sight
        .at
        .map_or_else(String::new, |at| format!(", as of {}", moment(at)));
    words += &format!("\n{}\n", decided(&rows, view.heads.len()));
    let places = Places {
        sight,
        id: &id,
        hubs: sight.replica().hubs(),
    };
    for row in &rows.fields {
        words += &field(row, &places);
    }
    say::answer(json, &rows, words.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Which rules decided.
fn decided(rows: &WhyRows, heads: usize) -> String {
    let what = match heads {
        1 => "one head: nothing had to be decided".to_owned(),
        heads => format!("{heads} heads, shown by {}", rows.strategy),
    };
    match &rows.policy_version {
        Some(version) => format!("{what}; policy {} of {}", rows.policy, clean(version)),
        None => format!("{what}; rules of this software, for no home's are known here"),
    }
}

fn field(row: &FieldRow, places: &Places) -> String {
    let value = if row.present {
        fields::value(&row.value)
    } else {
        "gone".to_owned()
    };
    let mut words = format!("{}: {}\n", clean(&fields::key(&row.field)), clean(&value));
    words += &format!("  {}\n", places.writer(&row.written));
    for other in &row.beaten {
        words += &match row.rule {
            "agreed" => format!("  and the same {}\n", places.writer(other)),
            _ => format!("  against {} {}\n", said(row, other), places.writer(other)),
        };
    }
    if let Some(rule) = rule(row).filter(|_| !row.beaten.is_empty()) {
        words += &format!("  {rule}\n");
    }
    words
}

fn said(row: &FieldRow, beaten: &BeatenRow) -> String {
    if row.field == [DELETED] {
        return "an edit,".to_owned();
    }
    if beaten.present {
        clean(&fields::value(&beaten.value)) + ","
    } else {
        "no value,".to_owned()
    }
}

/// What decided, as a person would say it; nothing, where all are of one mind.
fn rule(row: &FieldRow) -> Option<String> {
    let words = match (row.rule, row.unfit) {
        ("agreed", _) => return None,
        (_, Some(rule)) => format!("the newest wins: the rule {rule} does not fit these values"),
        ("newest", None) => "the newest wins".to_owned(),
        ("shape", None) => {
            "fields within a field cannot stand beside a plain value: the newest wins".to_owned()
        }
        ("last_write", None) => "the last write is shown whole".to_owned(),
        ("deletion", None) => "a deletion stands against edits".to_owned(),
        (declared, None) => format!("by the rule {declared}"),
    };
    Some(words)
}

/// Where versions of one id were accepted.
struct Places<'s> {
    sight: &'s Sight,
    id: &'s Id,
    hubs: BTreeMap<ReplicaId, HubName>,
}

impl Places<'_> {
    /// Who wrote it, when it counts, where it was accepted.
    fn writer(&self, row: &BeatenRow) -> String {
        let (who, when) = (who(row.user_id.as_deref()), told(&row.order_time));
        format!("by {who} at {when}, {}", self.accepted(&row.digest))
    }

    fn accepted(&self, digest: &str) -> String {
        let stamped = Digest::parse(digest)
            .map(|digest| self.sight.replica().accepted(self.id, &digest))
            .unwrap_or_default();
        if stamped.is_empty() {
            return "in no hub's log yet".to_owned();
        }
        let names = stamped
            .iter()
            .map(|stamped| match self.hubs.get(&stamped.dot.replica) {
                Some(hub) => clean(&hub.name),
                None => {
                    let replica = stamped.dot.replica.to_string();
                    format!("{}/{}", &replica[..REPLICA_LEN], stamped.dot.sequence)
                }
            });
        format!("accepted by {}", names.collect::<Vec<_>>().join(" and "))
    }
}
