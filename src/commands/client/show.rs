//! `client get`, `list`, `history`, `status`: what this device holds, with no hub asked.

use std::collections::BTreeMap;
use std::process::ExitCode;

use inbetweenies_client::{Edge, HubName, Replica, Stamped, Store, VersionLine};
use inbetweenies_core::conflict::read::Shown;
use inbetweenies_core::id::{Id, ReplicaId};
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::time::edit_time;
use inbetweenies_core::view::View;
use inbetweenies_core::wire::clock_to_wire;
use serde_json::{Value, json};

use super::fields::leaves;
use super::find;
use super::sight::{Sight, moment, written};
use crate::commands::say::{self, Failure, clean, count};

/// `get`.
pub fn get(sight: &Sight, what: &str, json: bool) -> Result<ExitCode, Failure> {
    let replica = sight.replica();
    let view = match sight.at {
        None => find::shown(replica, &sight.policy, what)?,
        // What was deleted by then has an answer too, as at hubs.
        Some(_) => {
            let id = sight.find(what)?;
            sight.view(&id).ok_or_else(|| sight.unknown(what, &id))?
        }
    };
    let mut edges = sight.edges();
    edges.retain(|edge| edge.touches(&view.record.id));
    let mut document = shown(replica, &view);
    if let Value::Object(map) = &mut document {
        map.insert("complete_to".to_owned(), json!(clock_to_wire(replica.clock()).0));
        let around = edges.iter().map(|edge| shown(replica, &edge.view)).collect();
        map.insert("relationships".to_owned(), Value::Array(around));
    }
    say::answer(json, &document, &in_words(sight, &view, &edges));
    Ok(ExitCode::SUCCESS)
}

fn part(record: &Record) -> &'static str {
    if record.is_entity() {
        "entity"
    } else {
        "relationship"
    }
}

/// One view as hubs tell it, and whether it is pending.
pub fn shown(replica: &Replica, view: &View) -> Value {
    told(view, pending(replica, view))
}

fn told(view: &View, pending: bool) -> Value {
    let mut document = json!(Shown::of(view));
    document["pending"] = json!(pending);
    document
}

/// Whether no hub has all of it yet.
fn pending(replica: &Replica, view: &View) -> bool {
    let mut digests = view.heads.iter().filter_map(|head| head.digest);
    digests.any(|digest| replica.is_pending(&digest))
}

fn in_words(sight: &Sight, view: &View, edges: &[Edge]) -> String {
    let record = &view.record;
    let mut rows = vec![
        row("type", &clean(kind(record))),
        row("id", &clean(record.id.as_str())),
    ];
    rows.extend(sight.at.map(|at| row("as of", &moment(at))));
    if let Kind::Relationship { from, to, .. } = &record.kind {
        rows.push(row("from", &named(sight, from)));
        rows.push(row("to", &named(sight, to)));
    }
    rows.push(row("written", &written(record)));
    if pending(sight.replica(), view) {
        rows.push(row("pending", "no hub has the last edit yet"));
    }
    if record.deleted {
        rows.push(row("deleted", "this is what it said last"));
    }
    if view.forgotten {
        rows.push(row("forgotten", "what was written then has been let go since"));
    }
    if view.conflict {
        let how = if view.provisional {
            "the last write is shown until somebody answers"
        } else {
            "merged"
        };
        rows.push(row(
            "conflict",
            &format!("{} heads differ, {how}", view.heads.len()),
        ));
    }
    let fields = leaves(&record.content);
    rows.extend(fields.iter().map(|(key, value)| row(&clean(key), &clean(value))));
    for edge in edges {
        let (arrow, other) = if edge.from == record.id {
            ("→", &edge.to)
        } else {
            ("←", &edge.from)
        };
        let key = format!("{arrow} {}", clean(&edge.relationship_type));
        rows.push(row(&key, &named(sight, other)));
    }
    format!("{}\n{}", find::name(record), say::table(&rows))
}

fn row(key: &str, value: &str) -> Vec<String> {
    vec![format!("  {key}"), value.to_owned()]
}

fn named(sight: &Sight, id: &Id) -> String {
    match sight.view(id) {
        Some(view) if view.record.deleted => find::label(&view.record) + ", deleted",
        Some(view) => find::label(&view.record),
        None => format!("{}, not here", clean(id.as_str())),
    }
}

fn kind(record: &Record) -> &str {
    match &record.kind {
        Kind::Entity { entity_type, .. } => entity_type,
        Kind::Relationship {
            relationship_type, ..
        } => relationship_type,
    }
}

/// `list`.
pub fn list(sight: &Sight, entity_type: Option<&str>, json: bool) -> Result<ExitCode, Failure> {
    let replica = sight.replica();
    let entities = replica.entities_at(&sight.policy, entity_type, sight.at);
    // Asked once for all: a device that was offline for long may have many of both.
    let waiting = replica.all_pending();
    let waits = |view: &View| {
        let mut digests = view.heads.iter().filter_map(|head| head.digest);
        digests.any(|digest| waiting.contains(&digest))
    };
    let document = json!({
        "entities": entities.iter().map(|view| told(view, waits(view))).collect::<Vec<_>>(),
        "cursor": null,
    });
    let mut rows = Vec::with_capacity(entities.len());
    for view in &entities {
        let mut id = clean(view.record.id.as_str());
        if waits(view) {
            id += "  (pending)";
        }
        if view.conflict {
            id += "  (conflict)";
        }
        rows.push(vec![clean(kind(&view.record)), find::name(&view.record), id]);
    }
    let total = match entity_type {
        Some(name) => format!("{} of type {}", rows.len(), clean(name)),
        None => count(rows.len(), "entity"),
    };
    let then = sight
        .at
        .map_or_else(String::new, |at| format!(" as of {}", moment(at)));
    let words = format!("{}\n{total}{then}", say::table(&rows));
    say::answer(json, &document, words.trim_start());
    Ok(ExitCode::SUCCESS)
}

/// `history`.
pub fn history(sight: &Sight, what: &str, json: bool) -> Result<ExitCode, Failure> {
    let id = sight.find(what)?;
    let lines = sight.replica().history(&id, &sight.policy, sight.at);
    if lines.is_empty() {
        return Err(sight.unknown(what, &id));
    }
    let hubs = sight.replica().hubs();
    let by_version: BTreeMap<&str, &Record> = lines
        .iter()
        .map(|line| (line.sealed.record.version.as_str(), &line.sealed.record))
        .collect();
    let mut words = String::new();
    for line in &lines {
        let record = &line.sealed.record;
        let parent = line
            .parents
            .first()
            .and_then(|version| by_version.get(version.as_str()));
        let state = if line.pending { "pending" } else { line.state };
        let doubt = match line.suspect_time {
            Some(when) => format!("  (its clock was in the {when})"),
            None => String::new(),
        };
        words += &format!("{}  {state}{doubt}\n", written(record));
        for change in changes(parent.copied(), record) {
            words += &format!("  {}\n", clean(&change));
        }
    }
    let document = json!({"versions": lines.iter().map(|line| version(line, &hubs)).collect::<Vec<_>>(), "cursor": null});
    say::answer(json, &document, words.trim_end());
    Ok(ExitCode::SUCCESS)
}

fn version(line: &VersionLine, hubs: &BTreeMap<ReplicaId, HubName>) -> Value {
    let mut accepted: Vec<_> = line.accepted.iter().collect();
    // As hubs do: the order of arrival is a log's own.
    let hub_id = |stamped: &Stamped| hubs.get(&stamped.dot.replica).map(|hub| hub.hub_id.clone());
    accepted.sort_by_key(|stamped| (stamped.order_time, hub_id(stamped)));
    let accepted = accepted.into_iter().map(|stamped| {
        json!({
            "hub_id": hub_id(stamped),
            "replica": stamped.dot.replica.to_string(),
            "sequence": stamped.dot.sequence,
            "order_time": stamped.order_time.to_string(),
        })
    });
    let mut row = json!({
        part(&line.sealed.record): line.sealed.record.to_wire(),
        "digest": line.sealed.digest.to_string(),
        "parents": line.parents,
        "children": line.children,
        "state": line.state,
        "pending": line.pending,
        "accepted": accepted.collect::<Vec<_>>(),
    });
    let edited = edit_time(line.sealed.record.version.as_str());
    row["edit_time"] = json!(edited.map(|time| time.to_string()));
    if let Some(suspect) = line.suspect_time {
        row["suspect_time"] = json!(suspect);
    }
    row
}

/// What a version says that the one before it did not.
fn changes(before: Option<&Record>, record: &Record) -> Vec<String> {
    if record.deleted && before.is_some_and(|before| !before.deleted) {
        return vec!["deleted".to_owned()];
    }
    let (old, new) = (before.map(fields).unwrap_or_default(), fields(record));
    let mut lines = Vec::new();
    for (key, value) in &new {
        match old.get(key) {
            Some(was) if was == value => {}
            Some(was) => lines.push(format!("{key}: {was} → {value}")),
            None => lines.push(format!("{key}: {value}")),
        }
    }
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    lines.extend(gone.map(|key| format!("{key}: gone")));
    lines
}

fn fields(record: &Record) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = leaves(&record.content).into_iter().collect();
    match &record.kind {
        Kind::Entity { name, .. } => {
            fields.extend(name.as_ref().map(|name| ("name".to_owned(), format!("{name:?}"))));
        }
        Kind::Relationship { from, to, .. } => {
            fields.insert("from".to_owned(), from.to_string());
            fields.insert("to".to_owned(), to.to_string());
        }
    }
    fields
}

/// `status`.
pub fn status(store: &Store, json: bool) -> Result<ExitCode, Failure> {
    let (replica, policy) = (store.replica(), store.replica().policy());
    let (entities, edges) = (
        replica.entities(&policy, None).len(),
        replica.edges(&policy).len(),
    );
    let (clock, checks) = clock_to_wire(replica.clock());
    let pending = replica.pending().map(|(number, set)| {
        let ids: Vec<&str> = set
            .records
            .iter()
            .map(|sealed| sealed.record.id.as_str())
            .collect();
        json!({"set": number, "ids": ids})
    });
    let pending: Vec<Value> = pending.collect();
    let (mut refused, mut lines) = (Vec::new(), String::new());
    for (number, set, rows) in replica.refused() {
        for row in rows {
            let (id, detail, code) = (clean(&row.id), clean(&row.detail), clean(&row.code));
            lines += &format!("\n  {id}: {detail} ({code})");
        }
        let why = rows
            .iter()
            .map(|row| json!({"id": row.id, "code": row.code, "detail": row.detail}));
        let records = set.records.iter().map(|sealed| json!(sealed.record.to_wire()));
        refused.push(json!({
            "set": number, "records": records.collect::<Vec<_>>(), "rows": why.collect::<Vec<_>>(),
        }));
    }
    let home = replica.home_id().map(|home| home.to_string());
    let holds = format!(
        "{} in {} and {}",
        count(replica.records(), "record"),
        count(entities, "entity"),
        count(edges, "relationship")
    );
    let kept = super::blobs::Shelf::of(store.dir()).all();
    let kept_bytes: u64 = kept.iter().map(|(_, kept)| kept.size).sum();
    let words = say::table(&[
        row("store", &store.dir().display().to_string()),
        row("user", &clean(replica.user_id())),
        row("device", replica.device_id()),
        row("home", home.as_deref().unwrap_or("not synced yet")),
        row("holds", &holds),
        row("pending", &count(pending.len(), "change set")),
        row(
            "attachments",
            &format!("{} not safe on a hub yet ({kept_bytes} bytes)", kept.len()),
        ),
        row("refused", &count(refused.len(), "change set")),
    ]);
    let document = json!({
        "store": store.dir(), "device_id": replica.device_id(), "user_id": replica.user_id(), "home_id": home,
        "records": replica.records(), "entities": entities, "relationships": edges,
        "pending": pending, "refused": refused,
        "attachments": {"count": kept.len(), "bytes": kept_bytes}, "vector_clock": clock, "clock_checks": checks,
    });
    say::answer(json, &document, &(words + &lines));
    Ok(ExitCode::SUCCESS)
}
