//! Frames: the steps of a replica's life, each of which happens whole or not at all.

use inbetweenies_core::clock::{Clock, Point};
use inbetweenies_core::hash::{Check, Digest};
use inbetweenies_core::id::{Dot, HomeId, ReplicaId};
use inbetweenies_core::time::Micros;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The format of what follows; a log of a later one is refused rather than misread.
pub const FORMAT: u32 = 1;

/// Numbers below this have the six digits that versions are written with.
const COUNTER_START_BELOW: u64 = 1_000_000;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// The first of a log.
    Opened(Opened),
    /// An edit made here: pending until a hub acknowledges it.
    Edited(Edited),
    /// One exchange with a hub.
    Synced(Box<Synced>),
    /// Records that no hub's log is known to hold any more are pushed again.
    Requeued {
        /// The new pending set.
        set: u64,
        /// Its records.
        digests: Vec<Digest>,
    },
}

/// Who edits here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Of the log: 1 as this software writes it. [`Opened::new`] fills it in.
    pub format: u32,
    /// This device.
    pub device_id: String,
    /// The person.
    pub user_id: String,
    /// Where the counter in versions starts: drawn, so that a device that was set up anew does not name twice.
    pub counter: u64,
}

impl Opened {
    /// Of a device and a person; `random` is what the counter is drawn from.
    pub fn new(device_id: String, user_id: String, random: u64) -> Opened {
        Opened {
            format: FORMAT,
            device_id,
            user_id,
            counter: random % COUNTER_START_BELOW,
        }
    }
}

/// One change set made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edited {
    /// Its number, on this device only.
    pub set: u64,
    /// The counter after it.
    pub counter: u64,
    /// Its records.
    pub records: Vec<LocalRecord>,
}

/// A record made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalRecord {
    /// Its canonical form.
    pub bytes: ByteBuf,
    /// This device's stamp, which counts until a hub's is known.
    pub order_time: Micros,
}

/// What one exchange brought.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Synced {
    /// The hub's home; told once.
    pub home_id: Option<HomeId>,
    /// Pending sets that are on the hub's disk.
    pub landed: Vec<u64>,
    /// Pending sets of which nothing is.
    pub refused: Vec<Refused>,
    /// Replicas whose stamps count no more: their branch was given up, or the only hub that knew all of it is gone.
    pub restarted: Vec<ReplicaId>,
    /// Records with the stamps of one entry each.
    pub sets: Vec<SetRow>,
    /// The place to go on from; None leaves it where it is.
    pub clock: Option<Vec<(ReplicaId, u64, Option<Check>)>>,
}

impl Synced {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Synced::default()
    }
}

/// A set that a hub refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number.
    pub set: u64,
    /// One row for each record.
    pub rows: Vec<RefusedRow>,
}

/// A record of a refused set, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its id.
    pub id: String,
    /// Stable; `set_refused` where another record of the set was the reason.
    pub code: String,
    /// What was wrong.
    pub detail: String,
}

/// Records under one dot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRow {
    /// Whose log, and where in it.
    pub dot: Dot,
    /// The records.
    pub records: Vec<RecordRow>,
}

/// A record and its stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRow {
    /// Its canonical form.
    pub bytes: ByteBuf,
    /// The accepting hub's.
    pub order_time: Micros,
    /// What its bare parent names stood for.
    pub resolved: Vec<Vec<Digest>>,
    /// If its content is forgotten, so that `bytes` are its skeleton's: its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Digest>,
}

/// A clock as a frame holds it.
pub fn clock_row(clock: &Clock) -> Vec<(ReplicaId, u64, Option<Check>)> {
    clock
        .iter()
        .map(|(replica, point)| (*replica, point.sequence, point.check))
        .collect()
}

/// And back.
pub fn clock_of(row: &[(ReplicaId, u64, Option<Check>)]) -> Clock {
    row.iter()
        .map(|(replica, sequence, check)| {
            (
                *replica,
                Point {
                    sequence: *sequence,
                    check: *check,
                },
            )
        })
        .collect()
}
