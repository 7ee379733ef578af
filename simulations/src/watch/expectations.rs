//! What a scenario expects of its end, beside the promises: what readers see, what waits for a person, what was met.

use inbetweenies_core::conflict::read;
use inbetweenies_core::id::Id;
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::store::{Family, IdRow, MemorySnapshot, RecordRow, Snapshot, decode_row, read_id};
use inbetweenies_core::value::Value;
use inbetweenies_core::view::Policy;

use super::{Marks, is_hubs_own};
use crate::plan::{Expect, Lane, Said};
use crate::world::World;

/// The id under which a broken expectation is told.
pub const ID: &str = "EXPECT";
/// What it says.
pub const SAYS: &str = "it ends as the scenario expects";

/// The field that stands for where a thing is.
const PLACE: &str = "located_in";
/// More than any scenario makes.
const QUEUED_MAX: usize = 1_000_000;

/// Where the end is not as expected.
pub struct Unmet {
    /// At which hub, if it is one hub's.
    pub lane: Option<Lane>,
    /// In words.
    pub text: String,
}

/// Holds the end of a run against what its plan expects: the first that is not so.
pub fn check(world: &World, marks: &Marks) -> Result<(), Unmet> {
    for expect in &world.plan.expect {
        if let Expect::Met(mark) = expect {
            if !marks.met().contains_key(mark.as_str()) {
                let met: Vec<&str> = marks.met().keys().copied().collect();
                let met = if met.is_empty() {
                    "nothing rare was".to_owned()
                } else {
                    met.join(", ")
                };
                let text = format!("expected that {mark:?} is met, and it was not; met: {met}");
                return Err(Unmet { lane: None, text });
            }
            continue;
        }
        for hub in 0..world.hubs.len() {
            let Some(process) = &world.hubs[hub].process else {
                continue; // all run in the end, or another promise is broken
            };
            let disk = world.hubs[hub].disk.image().snapshot();
            if let Some(found) = differs(&disk, &process.policy, expect) {
                let text = format!("expected {}, and {} {found}", words(expect), world.hubs[hub].name);
                let lane = Some(Lane::Hub(hub));
                return Err(Unmet { lane, text });
            }
        }
    }
    Ok(())
}

fn words(expect: &Expect) -> String {
    match expect {
        Expect::Field { thing, field, is } => format!("{field} of {thing} to be {is}"),
        Expect::Deleted { thing } => format!("{thing} to be deleted"),
        Expect::Versions { thing, count } => format!("{count} versions of {thing}"),
        Expect::Heads { thing, count } => format!("{count} heads of {thing}"),
        Expect::Queued(queued) => format!("{queued} things to wait for a person"),
        Expect::Records(records) => format!("{records} versions of things"),
        Expect::Met(mark) => format!("{mark:?} to be met"),
    }
}

fn shown(value: &Value) -> String {
    Said::of(value).map_or_else(|| format!("{value:?}"), |said| said.to_string())
}

/// How a hub differs from an expectation, if it does.
fn differs(disk: &MemorySnapshot, policy: &Policy, expect: &Expect) -> Option<String> {
    match expect {
        Expect::Field { thing, field, is } => match seen(disk, policy, thing, field) {
            Ok(value) if value == is.value() => None,
            Ok(value) => Some(format!("shows {}", shown(&value))),
            Err(why) => Some(why),
        },
        Expect::Deleted { thing } => match one(disk, policy, thing, true) {
            Some(map) if map.get("deleted") == Some(&Value::Bool(true)) => None,
            Some(_) => Some(format!("shows {thing}")),
            None => Some(format!("never heard of {thing}")),
        },
        Expect::Versions { thing, count } => {
            let held = id_row(disk, thing).map_or(0, |row| row.records);
            (held != *count as u64).then(|| format!("holds {held}"))
        }
        Expect::Heads { thing, count } => {
            let heads = id_row(disk, thing).map_or(0, |row| row.heads.len());
            (heads != *count).then(|| format!("has {heads}"))
        }
        Expect::Queued(expected) => {
            let queued = read::queue(disk, policy, QUEUED_MAX).map_or(0, |queue| queue.len());
            (queued != *expected).then(|| format!("has {queued}"))
        }
        Expect::Records(expected) => {
            let records = count(disk);
            (records != *expected).then(|| format!("holds {records}"))
        }
        Expect::Met(_) => None,
    }
}

type Map = inbetweenies_core::value::Map;

fn id_row(disk: &MemorySnapshot, thing: &str) -> Option<IdRow> {
    read_id(disk, &Id::new(thing).ok()?).ok()?
}

fn one(disk: &MemorySnapshot, policy: &Policy, thing: &str, entity: bool) -> Option<Map> {
    let shown = read::one(disk, policy, &Id::new(thing).ok()?, entity, None).ok()??;
    shown.entity.or(shown.relationship)
}

/// What readers see of a field, or why they see nothing.
fn seen(disk: &MemorySnapshot, policy: &Policy, thing: &str, field: &str) -> Result<Value, String> {
    let gone = |map: &Map| map.get("deleted") == Some(&Value::Bool(true));
    if field == PLACE {
        let edge = Id::new(thing).map(|id| Id::single(&id, PLACE));
        let map = edge.ok().and_then(|edge| one(disk, policy, edge.as_str(), false));
        let map = map.filter(|map| !gone(map));
        let place = map.as_ref().and_then(|map| map.get("to_entity_id")).cloned();
        return place.ok_or_else(|| format!("does not know where {thing} is"));
    }
    let map = one(disk, policy, thing, true).ok_or_else(|| format!("never heard of {thing}"))?;
    if gone(&map) {
        return Err(format!("shows {thing} deleted"));
    }
    match map.get("content") {
        Some(Value::Map(content)) => content.get(field).cloned(),
        _ => None,
    }
    .ok_or_else(|| format!("shows no {field}"))
}

/// Versions that hubs did not write themselves.
fn count(disk: &MemorySnapshot) -> usize {
    let mut records = 0;
    let scanned = disk.scan(Family::Records, &[], None, &mut |_, value| {
        let row = decode_row::<RecordRow>(Family::Records, value).ok();
        let record = row.and_then(|row| Record::from_stored(&row.record).ok());
        let own = record.is_some_and(|record| match &record.kind {
            Kind::Entity { entity_type, .. } => is_hubs_own(Some(entity_type)),
            Kind::Relationship { .. } => false,
        });
        records += usize::from(!own);
        true
    });
    debug_assert!(scanned.is_ok(), "memory reads");
    records
}
