//! The replicated atom: one log entry per change set, chained to the one before it in the same log.
//!
//! Invariant: an entry's bytes are its accepting hub's; they are stored and passed on verbatim, unknown fields
//! included, so that its hash is the same everywhere.

use std::sync::Arc;

use crate::hash::Digest;
use crate::id::{Dot, HomeId, HubId, ReplicaId, Version};
use crate::record::Record;
use crate::time::Micros;
use crate::value::{self, Map, Value};

/// What one entry says about one record of its set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Which record.
    pub digest: Digest,
    /// The accepting hub's stamp for it.
    pub order_time: Micros,
    /// For each of its bare parent names, in the record's order: the digests it stood for at this hub; none if the
    /// hub did not know.
    pub resolved: Vec<Vec<Digest>>,
}

impl Stamp {
    /// The edges that this entry gives `record`, sorted, and the bare names that its hub did not know, in the record's
    /// order.
    pub fn edges(&self, record: &Record) -> (Vec<Digest>, Vec<Version>) {
        let mut edges: Vec<Digest> = record.parents.iter().filter_map(|parent| parent.digest).collect();
        let mut late = Vec::new();
        let bare = record.parents.iter().filter(|parent| parent.digest.is_none());
        for (at, parent) in bare.enumerate() {
            match self.resolved.get(at) {
                Some(digests) if !digests.is_empty() => edges.extend(digests),
                _ => late.push(parent.version.clone()),
            }
        }
        edges.sort();
        edges.dedup();
        late.sort();
        late.dedup();
        (edges, late)
    }
}

/// What the first entry of a replica carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The home it belongs to.
    pub home_id: HomeId,
    /// The hub whose store begins a life.
    pub hub_id: HubId,
    /// Which life of that hub, from 1: the replica's label for people.
    pub life: u64,
    /// The replica that this one follows, with its last (sequence, hash), if there was one.
    pub earlier: Option<(ReplicaId, u64, Digest)>,
}

/// One log entry, decoded. Its `signature` stands beside it, not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub dot: Dot,
    /// The entry before it in the same log: sequence and hash; None for the first.
    pub prev: Option<(u64, Digest)>,
    /// Only in the first.
    pub genesis: Option<Genesis>,
    /// All records of the set, in the set's order.
    pub stamps: Vec<Stamp>,
    /// Fields that this software does not know; hashed and passed on.
    pub extra: Map,
}

/// Why an entry was refused: it is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed log entry: {0}")]
pub struct EntryError(pub String);

fn bad<T>(what: impl Into<String>) -> Result<T, EntryError> {
    Err(EntryError(what.into()))
}

fn digest_value(digest: &Digest) -> Value {
    Value::Text(digest.to_string())
}

impl Entry {
    /// The bytes that are hashed (and one day signed).
    pub fn canonical(&self) -> Vec<u8> {
        let mut map = self.extra.clone();
        let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
        put("replica", Value::Text(self.dot.replica.to_string()));
        put("sequence", Value::Int(self.dot.sequence as i64));
        put(
            "digests",
            Value::List(self.stamps.iter().map(|s| digest_value(&s.digest)).collect()),
        );
        put(
            "order_times",
            Value::List(
                self.stamps
                    .iter()
                    .map(|s| Value::Int(s.order_time.0 as i64))
                    .collect(),
            ),
        );
        if self.stamps.iter().any(|stamp| !stamp.resolved.is_empty()) {
            let names = |name: &Vec<Digest>| Value::List(name.iter().map(digest_value).collect());
            let record = |stamp: &Stamp| Value::List(stamp.resolved.iter().map(names).collect());
            put("parents", Value::List(self.stamps.iter().map(record).collect()));
        }
        if let Some((sequence, hash)) = &self.prev {
            put(
                "prev",
                Value::List(vec![Value::Int(*sequence as i64), digest_value(hash)]),
            );
        }
        if let Some(genesis) = &self.genesis {
            put("home_id", Value::Text(genesis.home_id.to_string()));
            put("hub_id", Value::Text(genesis.hub_id.to_string()));
            put("life", Value::Int(genesis.life as i64));
            if let Some((replica, sequence, hash)) = &genesis.earlier {
                let earlier = vec![
                    Value::Text(replica.to_string()),
                    Value::Int(*sequence as i64),
                    digest_value(hash),
                ];
                put("earlier", Value::List(earlier));
            }
        }
        value::canonical(&map)
    }

    /// Reads the canonical form back and refuses any other form of the same entry.
    pub fn from_canonical(bytes: &[u8]) -> Result<Entry, EntryError> {
        let entry = Entry::from_stored(bytes)?;
        if entry.canonical() != bytes {
            return bad("not in canonical form");
        }
        Ok(entry)
    }

    /// Reads bytes that were verified when they came in.
    pub fn from_stored(bytes: &[u8]) -> Result<Entry, EntryError> {
        // An entry of a set at its bounds names 10,000 records with up to 1,024 parents each; the frame bounds bytes.
        let budget = value::Budget::new(8, bytes.len());
        let map = match value::decode_msgpack(bytes, &budget) {
            Ok(Value::Map(map)) => map,
            Ok(other) => return bad(format!("{} and not a map", other.kind())),
            Err(refusal) => return bad(refusal.detail),
        };
        Entry::read(map)
    }

    fn read(mut map: Map) -> Result<Entry, EntryError> {
        let replica = take_replica(map.remove("replica").as_ref())?;
        let sequence = take_whole(map.remove("sequence").as_ref(), "sequence")?;
        if sequence == 0 {
            return bad("sequences start at 1");
        }
        let digests = take_list(map.remove("digests"), "digests")?;
        let order_times = take_list(map.remove("order_times"), "order_times")?;
        let parents = match map.remove("parents") {
            None => None,
            some => Some(take_list(some, "parents")?),
        };
        if order_times.len() != digests.len() || parents.as_ref().is_some_and(|p| p.len() != digests.len()) {
            return bad("digests, order_times and parents differ in length");
        }
        let mut stamps = Vec::with_capacity(digests.len());
        for (at, digest) in digests.iter().enumerate() {
            let resolved = match &parents {
                None => Vec::new(),
                Some(list) => {
                    let Some(names) = list[at].as_list() else {
                        return bad("parents of a record are a list");
                    };
                    names.iter().map(digest_list).collect::<Result<_, _>>()?
                }
            };
            let order_time = Micros(take_whole(Some(&order_times[at]), "order time")?);
            stamps.push(Stamp {
                digest: take_digest(digest)?,
                order_time,
                resolved,
            });
        }
        let prev = match map.remove("prev") {
            None => None,
            Some(Value::List(pair)) if pair.len() == 2 => {
                Some((take_whole(pair.first(), "prev")?, take_digest(&pair[1])?))
            }
            Some(_) => return bad("prev is a list of sequence and hash"),
        };
        if prev.is_some_and(|(before, _)| before >= sequence) {
            return bad("prev does not lie before the entry");
        }
        let genesis = match prev {
            None => Some(take_genesis(&mut map)?),
            Some(_) => None,
        };
        Ok(Entry {
            dot: Dot { replica, sequence },
            prev,
            genesis,
            stamps,
            extra: map,
        })
    }
}

fn take_genesis(map: &mut Map) -> Result<Genesis, EntryError> {
    let text = |value: Option<Value>| {
        value
            .as_ref()
            .and_then(Value::as_text)
            .unwrap_or_default()
            .to_owned()
    };
    let Ok(home_id) = text(map.remove("home_id")).parse() else {
        return bad("first entry without home_id");
    };
    let Ok(hub_id) = text(map.remove("hub_id")).parse() else {
        return bad("first entry without hub_id");
    };
    let life = take_whole(map.remove("life").as_ref(), "life")?;
    let earlier = match map.remove("earlier") {
        None => None,
        Some(Value::List(list)) if list.len() == 3 => Some((
            take_replica(list.first())?,
            take_whole(list.get(1), "earlier")?,
            take_digest(&list[2])?,
        )),
        Some(_) => return bad("earlier is a list of replica, sequence and hash"),
    };
    Ok(Genesis {
        home_id,
        hub_id,
        life,
        earlier,
    })
}

fn take_replica(value: Option<&Value>) -> Result<ReplicaId, EntryError> {
    match value.and_then(Value::as_text).map(str::parse) {
        Some(Ok(replica)) => Ok(replica),
        _ => bad("a replica is 26 characters of base32"),
    }
}

fn take_whole(value: Option<&Value>, what: &str) -> Result<u64, EntryError> {
    match value.and_then(Value::as_int).map(u64::try_from) {
        Some(Ok(number)) => Ok(number),
        _ => bad(format!("{what} is not a whole number of 0 or more")),
    }
}

fn take_digest(value: &Value) -> Result<Digest, EntryError> {
    match value.as_text().and_then(Digest::parse) {
        Some(digest) => Ok(digest),
        None => bad("a digest is 64 lower-case hex digits"),
    }
}

fn take_list(value: Option<Value>, what: &str) -> Result<Vec<Value>, EntryError> {
    match value {
        Some(Value::List(list)) => Ok(list),
        _ => bad(format!("{what} is not a list")),
    }
}

fn digest_list(value: &Value) -> Result<Vec<Digest>, EntryError> {
    match value.as_list() {
        Some(list) => list.iter().map(take_digest).collect(),
        None => bad("what a name stood for is a list of digests"),
    }
}

/// The records of one edit by one writer: lands whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// In the writer's order.
    pub records: Vec<Arc<Sealed>>,
}

/// A record with the bytes and the digest that name it, so that neither is worked out twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The record.
    pub record: Record,
    /// Its canonical form.
    pub bytes: Vec<u8>,
    /// SHA-256 of it; where the content is forgotten, of what it once was.
    pub digest: Digest,
    /// Whether only the skeleton is left.
    pub forgotten: bool,
}

impl Sealed {
    /// Works out bytes and digest.
    pub fn new(record: Record) -> Sealed {
        let bytes = record.canonical();
        let digest = Digest::of(&bytes);
        Sealed {
            record,
            bytes,
            digest,
            forgotten: false,
        }
    }

    /// What is left of a record whose content is forgotten.
    pub fn skeleton(record: Record, digest: Digest) -> Sealed {
        let record = record.skeleton();
        Sealed {
            bytes: record.canonical(),
            record,
            digest,
            forgotten: true,
        }
    }
}

/// An entry with its bytes, hash and all its records: what travels between hubs and is gossiped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The entry.
    pub entry: Entry,
    /// Its canonical form.
    pub bytes: Vec<u8>,
    /// SHA-256 of it.
    pub hash: Digest,
    /// The accepting hub's signature, once hubs have keys.
    pub signature: Option<Vec<u8>>,
    /// All records of the set, in the entry's order.
    pub records: Vec<Arc<Sealed>>,
}

impl Bundle {
    /// Seals an entry of our own.
    pub fn seal(entry: Entry, records: Vec<Arc<Sealed>>) -> Bundle {
        let bytes = entry.canonical();
        let hash = Digest::of(&bytes);
        Bundle {
            entry,
            bytes,
            hash,
            signature: None,
            records,
        }
    }

    /// Its size on the wire, roughly: what pages and windows are counted in.
    pub fn size(&self) -> usize {
        self.bytes.len()
            + self
                .records
                .iter()
                .map(|sealed| sealed.bytes.len() + 8)
                .sum::<usize>()
            + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn first() -> Entry {
        Entry {
            dot: Dot {
                replica: ReplicaId([1; 16]),
                sequence: 1,
            },
            prev: None,
            genesis: Some(Genesis {
                home_id: HomeId(Uuid::from_u128(2)),
                hub_id: HubId(Uuid::from_u128(3)),
                life: 1,
                earlier: None,
            }),
            stamps: vec![Stamp {
                digest: Digest([4; 32]),
                order_time: Micros(1_781_516_462_581_234),
                resolved: vec![vec![Digest([5; 32])], vec![]],
            }],
            extra: Map::new(),
        }
    }

    #[test]
    fn an_entry_reads_back_and_its_hash_is_fixed() {
        let entry = first();
        assert_eq!(Entry::from_canonical(&entry.canonical()).unwrap(), entry);
        assert_eq!(
            Digest::of(&entry.canonical()).to_string(),
            "4914d05fdd3168c9501bf01bb6017463b07d30d4fbe8afa14726c1ecbe500de7"
        );
        let mut second = Entry {
            prev: Some((1, Digest([6; 32]))),
            genesis: None,
            ..first()
        };
        second.dot.sequence = 1_001;
        second.extra.insert("x_later".to_owned(), Value::Int(1));
        assert_eq!(
            Entry::from_canonical(&second.canonical()).unwrap(),
            second,
            "unknown fields stay"
        );
    }

    #[test]
    fn entries_that_claim_the_impossible_are_refused() {
        let mut backwards = Entry {
            prev: Some((1, Digest([6; 32]))),
            genesis: None,
            ..first()
        };
        assert!(
            Entry::from_canonical(&backwards.canonical()).is_err(),
            "prev at its own place"
        );
        backwards.prev = None;
        assert!(
            Entry::from_canonical(&backwards.canonical()).is_err(),
            "a first entry without genesis"
        );
        assert!(Entry::from_canonical(&[0x80]).is_err());
        assert!(Entry::from_canonical(&[0xc1]).is_err());
    }
}
