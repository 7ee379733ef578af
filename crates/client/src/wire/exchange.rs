//! One sync exchange, as a client writes it.

use std::sync::Arc;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::entry::Sealed;
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::wire::{PROTOCOL, SyncType, clock_to_wire};

/// What a client asks and brings.
#[derive(Debug, Clone)]
pub struct Exchange<'a> {
    /// Which device asks.
    pub device_id: &'a str,
    /// Who asks.
    pub user_id: &'a str,
    /// What is wanted back.
    pub sync_type: SyncType,
    /// The place to go on from.
    pub clock: &'a Clock,
    /// Change sets to push; each lands whole or not at all.
    pub sets: Vec<Vec<Arc<Sealed>>>,
    /// Whether superseded records are left out of the answer.
    pub heads_only: bool,
}

impl Exchange<'_> {
    /// The body, in MessagePack. Within a request sets are numbered from 0, in their order.
    pub fn encode(&self) -> Vec<u8> {
        let (clock, checks) = clock_to_wire(self.clock);
        let clock = clock
            .into_iter()
            .map(|(replica, sequence)| (replica, Value::Int(sequence as i64)));
        let checks = checks
            .into_iter()
            .map(|(replica, check)| (replica, Value::Text(check)));
        let numbered = self.sets.iter().enumerate();
        let changes =
            numbered.flat_map(|(set, records)| records.iter().map(move |sealed| change(set, sealed)));
        let body = [
            ("protocol_version", Value::from(PROTOCOL)),
            ("device_id", Value::from(self.device_id)),
            ("user_id", Value::from(self.user_id)),
            ("sync_type", Value::from(self.sync_type.name())),
            ("vector_clock", Value::Map(clock.collect())),
            ("clock_checks", Value::Map(checks.collect())),
            ("changes", Value::List(changes.collect())),
            ("heads_only", Value::Bool(self.heads_only)),
        ];
        let body: Map = body
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let mut bytes = Vec::new();
        Value::Map(body).encode(&mut bytes);
        bytes
    }
}

fn change(set: usize, sealed: &Sealed) -> Value {
    let record = &sealed.record;
    let change_type = match (record.deleted, record.parents.is_empty()) {
        (true, _) => "delete",
        (false, true) => "create",
        (false, false) => "update",
    };
    let wire = Value::Map(record.to_wire());
    let (entity, relationships) = if record.is_entity() {
        (wire, Vec::new())
    } else {
        (Value::Null, vec![wire])
    };
    let change = [
        ("change_type", Value::from(change_type)),
        ("set", Value::Int(set as i64)),
        ("entity", entity),
        ("relationships", Value::List(relationships)),
    ];
    Value::Map(
        change
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}
