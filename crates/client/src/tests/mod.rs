//! A device, its edits, and answers of hubs, for the tests beside this.

mod past;
mod replica;
mod restore;
mod session;

use std::sync::Arc;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::entry::{Sealed, Stamp};
use inbetweenies_core::hash::Check;
use inbetweenies_core::id::{Dot, Id, ReplicaId};
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::Map;

use crate::wire::{Acknowledged, Outcome, Received, ReceivedSet, Reply};
use crate::*;

const HUB: ReplicaId = ReplicaId([1; 16]);
const OTHER: ReplicaId = ReplicaId([2; 16]);

fn replica() -> Replica {
    Replica::open(Opened::new("device".to_owned(), "alice".to_owned(), 7)).unwrap()
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn lamp(name: &str) -> Draft {
    Draft::entity(id("lamp"), "device", Some(name.to_owned()), "manual", Map::new())
}

/// Makes an edit and returns the set that pushes it.
fn edit(replica: &mut Replica, drafts: Vec<Draft>, at: u64) -> (u64, Vec<Arc<Sealed>>) {
    let edited = replica.stamp(drafts, Micros(at)).unwrap();
    let set = edited.set;
    replica.apply(&Frame::Edited(edited)).unwrap();
    let pending = replica.pending().find(|(number, _)| *number == set).unwrap();
    (set, pending.1.records.clone())
}

fn reply() -> Reply {
    Reply {
        sets: Vec::new(),
        applied: Vec::new(),
        rejected: Vec::new(),
        conflicts: Vec::new(),
        reset: Vec::new(),
        clock: Clock::new(),
        more: false,
        not_yet: false,
        missing: Clock::new(),
        bytes: 0,
    }
}

fn acknowledged(records: &[Arc<Sealed>], outcome: Outcome) -> Vec<Acknowledged> {
    let row = |sealed: &Arc<Sealed>| Acknowledged {
        id: sealed.record.id.to_string(),
        version: sealed.record.version.to_string(),
        outcome,
    };
    records.iter().map(row).collect()
}

fn received(dot: (ReplicaId, u64), records: &[Arc<Sealed>], order_time: u64) -> ReceivedSet {
    let stamped = |sealed: &Arc<Sealed>| Received {
        sealed: sealed.clone(),
        stamp: Stamp {
            digest: sealed.digest,
            order_time: Micros(order_time),
            resolved: Vec::new(),
        },
    };
    ReceivedSet {
        dot: Dot {
            replica: dot.0,
            sequence: dot.1,
        },
        records: records.iter().map(stamped).collect(),
    }
}

fn clock(points: &[(ReplicaId, u64)]) -> Clock {
    let mut clock = Clock::new();
    for (replica, sequence) in points {
        clock.set(*replica, *sequence, Some(Check([*sequence as u8; 8])));
    }
    clock
}
