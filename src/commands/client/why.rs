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
    for beaten in &row.beaten {
        words += &format!("  against {} {}\n", said(row, beaten), places.writer(beaten));
    }
    if !row.beaten.is_empty() {
        words += &format!("  {}\n", rule(row));
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

/// What decided, as a person would say it.
fn rule(row: &FieldRow) -> String {
    match row.rule {
        "agreed" => "all of one mind".to_owned(),
        "newest" => match row.unfit {
            None => "the newest wins".to_owned(),
            Some(rule) => format!("the newest wins: the rule {rule} does not fit these values"),
        },
        "shape" => "fields within a field cannot stand beside a plain value: the newest wins".to_owned(),
        "last_write" => "the last write is shown whole".to_owned(),
        "deletion" => "a deletion stands against edits".to_owned(),
        declared => format!("by the rule {declared}"),
    }
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
