//! Both ends of the wire against each other.

use inbetweenies_core::id::{Id, Version};
use inbetweenies_core::record::{Kind, Parent};
use inbetweenies_core::value::{Budget, Map, decode_msgpack};
use inbetweenies_core::wire::{Change, EntryRow, SyncRequest, SyncResponse, SyncType};

use super::*;
use crate::wire::Exchange;

fn record(id: &str, edge: bool) -> Record {
    let kind = if edge {
        Kind::Relationship {
            from: Id::new("lamp").unwrap(),
            to: Id::new("hall").unwrap(),
            relationship_type: "located_in".to_owned(),
        }
    } else {
        Kind::Entity {
            entity_type: "device".to_owned(),
            name: Some("Lamp".to_owned()),
            source_type: None,
        }
    };
    Record {
        id: Id::new(id).unwrap(),
        version: Version::new("v-2").unwrap(),
        kind,
        user_id: Some("alice".to_owned()),
        parents: vec![
            Parent {
                version: Version::new("v-0").unwrap(),
                digest: None,
            },
            Parent {
                version: Version::new("v-1").unwrap(),
                digest: Some(Digest([7; 32])),
            },
        ],
        deleted: edge,
        content: Map::from([("brightness".to_owned(), Value::Float(0.5))]),
        extra: Map::from([("x_new".to_owned(), Value::Int(1))]),
    }
}

fn through(value: &impl serde::Serialize) -> Value {
    decode_msgpack(&rmp_serde::to_vec_named(value).unwrap(), &Budget::new(32, 10_000)).unwrap()
}

#[test]
fn a_hub_reads_what_a_client_writes() {
    let (thing, edge) = (
        Sealed::new(record("lamp", false)),
        Sealed::new(record("edge", true)),
    );
    let exchange = Exchange {
        device_id: "device",
        user_id: "alice",
        sync_type: SyncType::Delta,
        clock: &Clock::new(),
        sets: vec![vec![Arc::new(thing.clone())], vec![Arc::new(edge.clone())]],
        heads_only: true,
    };
    let body = decode_msgpack(&exchange.encode(), &Budget::new(32, 10_000)).unwrap();
    let request = SyncRequest::read(body, &Limits::default()).unwrap();
    assert!(request.heads_only && request.device_id == "device");
    let digests: Vec<Digest> = request
        .sets
        .iter()
        .map(|set| set.set.as_ref().unwrap().records[0].digest)
        .collect();
    assert_eq!(
        digests,
        [thing.digest, edge.digest],
        "the same bytes on both ends"
    );
}

#[test]
fn a_client_reads_what_a_hub_writes() {
    let (thing, edge) = (
        Sealed::new(record("lamp", false)),
        Sealed::new(record("edge", true)),
    );
    let mut response = SyncResponse::new(SyncType::Full, Micros(0));
    response.changes.push(Change {
        change_type: "create",
        set: 0,
        entity: Some(thing.record.to_wire()),
        relationships: vec![edge.record.to_wire()],
    });
    response.entries.push(EntryRow {
        replica: ReplicaId([3; 16]).to_string(),
        sequence: 9,
        order_times: vec![11, 12],
        parents: vec![vec![vec![Digest([5; 32]).to_string()]], vec![vec![]]],
    });
    response.cursor = Some("more".to_owned());
    let body = rmp_serde::to_vec_named(&response).unwrap();
    let reply = Reply::decode(&body, &Limits::default()).unwrap();
    assert_eq!(reply.bytes, body.len());
    assert!(Reply::decode(&body[..body.len() - 1], &Limits::default()).is_err());
    assert_eq!(
        reply.sets[0].dot,
        Dot {
            replica: ReplicaId([3; 16]),
            sequence: 9
        }
    );
    let [first, second] = &reply.sets[0].records[..] else {
        panic!("two records")
    };
    assert_eq!(
        (first.sealed.digest, second.sealed.digest),
        (thing.digest, edge.digest)
    );
    assert_eq!(first.stamp.resolved, vec![vec![Digest([5; 32])]]);
    assert_eq!(
        (second.stamp.order_time, second.stamp.resolved.len()),
        (Micros(12), 1)
    );
    assert!(reply.more && !reply.not_yet && reply.missing.is_empty());
}

#[test]
fn a_client_reads_what_a_hub_that_is_behind_lacks() {
    let mut response = SyncResponse::new(SyncType::Delta, Micros(0));
    response.not_yet = true;
    response.missing.insert(ReplicaId([3; 16]).to_string(), 9);
    let reply = Reply::read(through(&response), 0, &Limits::default()).unwrap();
    let mut missing = Clock::new();
    missing.set(ReplicaId([3; 16]), 9, None);
    assert_eq!((reply.not_yet, reply.missing), (true, missing));
}

#[test]
fn an_answer_whose_parts_do_not_fit_is_refused() {
    let mut response = SyncResponse::new(SyncType::Full, Micros(0));
    response.changes.push(Change {
        change_type: "create",
        set: 1,
        entity: Some(record("lamp", false).to_wire()),
        relationships: Vec::new(),
    });
    let limits = Limits::default();
    assert!(
        Reply::read(through(&response), 0, &limits).is_err(),
        "a set without entry"
    );
    response.changes[0].set = 0;
    response.entries.push(EntryRow {
        replica: ReplicaId([3; 16]).to_string(),
        sequence: 9,
        order_times: vec![],
        parents: vec![],
    });
    assert!(
        Reply::read(through(&response), 0, &limits).is_err(),
        "a record without stamp"
    );
    assert!(Reply::read(Value::Int(1), 0, &limits).is_err());
}
