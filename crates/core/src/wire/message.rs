//! Messages between hubs, on `/api/v2/peer`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::clock::{Clock, Point};
use crate::entry::{Bundle, Entry, Sealed};
use crate::hash::{Check, Digest};
use crate::id::{Dot, HomeId, HubId, ReplicaId};
use crate::limits::{Limits, NAMED_HEADS_MAX};
use crate::record::Record;
use crate::time::Micros;
use crate::value::WHOLE_MAX;
use crate::wire::{BlobMessage, TreeMessage};

/// Who one end of a link is. The first message in each direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Must be [`super::PROTOCOL`].
    pub protocol_version: String,
    /// Version of the software, for people.
    pub software: String,
    /// The sender's home; none while it looks for one.
    pub home_id: Option<HomeId>,
    /// The sender.
    pub hub_id: HubId,
    /// Its name for people.
    pub name: String,
    /// The life it writes under, once it has a home.
    pub replica: Option<ReplicaId>,
    /// Drawn when the process started: two answers to one hub id are a clone.
    pub boot: u64,
    /// Where it can be dialled.
    pub address: Option<SocketAddr>,
    /// How far it holds each log.
    pub clock: WireClock,
    /// Whether it unpacks LZ4.
    pub lz4: bool,
    /// Whether it understands messages about blobs.
    #[serde(default)]
    pub blobs: bool,
    /// Its wall clock.
    pub wall: Micros,
}

/// A clock in a frame: replica (16 bytes), sequence, check (8 bytes).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WireClock(pub Vec<(ReplicaId, u64, Check)>);

impl WireClock {
    /// Writes a hub's clock; its components all have checks.
    pub fn of(clock: &Clock) -> WireClock {
        let point = |(replica, point): (&ReplicaId, &Point)| Some((*replica, point.sequence, point.check?));
        WireClock(clock.iter().filter_map(point).collect())
    }

    /// Reads it; None if it has more entries than the limit, a replica twice, or a sequence that no entry can have.
    pub fn read(&self, limits: &Limits) -> Option<Clock> {
        let beyond = |(_, sequence, _): &(ReplicaId, u64, Check)| *sequence > WHOLE_MAX as u64;
        if self.0.len() > limits.clock_entries_max || self.0.iter().any(beyond) {
            return None;
        }
        let clock: Clock = self
            .0
            .iter()
            .map(|(replica, sequence, check)| {
                (
                    *replica,
                    Point {
                        sequence: *sequence,
                        check: Some(*check),
                    },
                )
            })
            .collect();
        (clock.len() == self.0.len()).then_some(clock)
    }
}

/// One entry and its records, as bytes: verified before anything is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireBundle {
    /// The entry's canonical form.
    pub entry: ByteBuf,
    /// The accepting hub's signature, once hubs have keys.
    pub signature: Option<ByteBuf>,
    /// The records' canonical forms, in the entry's order; of forgotten ones the skeletons'.
    pub records: Vec<ByteBuf>,
    /// Which of them are forgotten, by their places: their bytes do not have the digest that the entry names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<usize>,
}

/// Why a bundle was refused: the sender is broken or hostile, its link is cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a bundle does not verify: {0}")]
pub struct BundleError(pub String);

impl WireBundle {
    /// Packs a bundle.
    pub fn of(bundle: &Bundle) -> WireBundle {
        WireBundle {
            entry: ByteBuf::from(bundle.bytes.clone()),
            signature: bundle.signature.clone().map(ByteBuf::from),
            records: bundle
                .records
                .iter()
                .map(|sealed| ByteBuf::from(sealed.bytes.clone()))
                .collect(),
            forgotten: (0..bundle.records.len())
                .filter(|at| bundle.records[*at].forgotten)
                .collect(),
        }
    }

    /// Its size on the wire, roughly.
    pub fn size(&self) -> usize {
        let records = self.records.iter().map(|record| record.len() + 8);
        self.entry.len() + records.sum::<usize>()
    }

    /// Verifies that bytes, digests and entry fit, and opens it.
    pub fn open(self) -> Result<Bundle, BundleError> {
        let entry = Entry::from_canonical(&self.entry).map_err(|error| BundleError(error.to_string()))?;
        if entry.stamps.len() != self.records.len() {
            return Err(BundleError(format!(
                "{} records for {} digests",
                self.records.len(),
                entry.stamps.len()
            )));
        }
        let mut records = Vec::with_capacity(self.records.len());
        let forgotten: BTreeSet<usize> = self.forgotten.into_iter().collect();
        for (at, (stamp, bytes)) in entry.stamps.iter().zip(self.records).enumerate() {
            let bytes = bytes.into_vec();
            let forgotten = forgotten.contains(&at);
            let digest = if forgotten {
                stamp.digest
            } else {
                Digest::of(&bytes)
            };
            if digest != stamp.digest {
                return Err(BundleError(
                    "a record does not have the digest that its entry names".to_owned(),
                ));
            }
            let record = Record::from_canonical(&bytes).map_err(|error| BundleError(error.detail))?;
            let bare = record
                .parents
                .iter()
                .filter(|parent| parent.digest.is_none())
                .count();
            if !stamp.resolved.is_empty() && stamp.resolved.len() != bare {
                return Err(BundleError(
                    "an entry resolves other names than its record has".to_owned(),
                ));
            }
            if stamp.resolved.iter().any(|name| name.len() > NAMED_HEADS_MAX) {
                return Err(BundleError(
                    "a name that stands for more records than one can name".to_owned(),
                ));
            }
            if forgotten && record != record.skeleton() {
                return Err(BundleError("a forgotten record with content".to_owned()));
            }
            records.push(Arc::new(Sealed {
                record,
                bytes,
                digest,
                forgotten,
            }));
        }
        let hash = Digest::of(&self.entry);
        Ok(Bundle {
            entry,
            bytes: self.entry.into_vec(),
            hash,
            signature: self.signature.map(ByteBuf::into_vec),
            records,
        })
    }
}

/// Everything that hubs say to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The first in each direction.
    Hello(Box<Hello>),
    /// How far the sender holds each log, durably.
    Clock {
        /// Its clock.
        clock: WireClock,
    },
    /// Asks for a page of what `clock` lacks.
    Pull {
        /// Counts pulls on this link; comes back with the page.
        round: u64,
        /// What the asker holds or is about to hold.
        clock: WireClock,
    },
    /// One page, in the sender's order of arrival.
    Page {
        /// Of the pull.
        round: u64,
        /// The entries.
        bundles: Vec<WireBundle>,
        /// Whether the sender has more beyond this page.
        more: bool,
        /// Logs that the sender does not hold whole, each with the first entry that it lacks: it serves nothing above.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        holes: Vec<Dot>,
    },
    /// New entries, sent unasked.
    Push {
        /// The entries.
        bundles: Vec<WireBundle>,
    },
    /// Entries of which the receiver was found to lack rows, whether its clock covers them or not.
    Mend {
        /// The entries.
        bundles: Vec<WireBundle>,
    },
    /// Anti-entropy.
    Tree(TreeMessage),
    /// Binaries.
    Blob(BlobMessage),
    /// Asks for the hashes of one replica's chain, to find where two branches part.
    Trace {
        /// Whose chain.
        replica: ReplicaId,
        /// Entries above this sequence.
        above: u64,
    },
    /// The chain asked for, in its order, from just above `above`.
    Chain {
        /// Whose chain.
        replica: ReplicaId,
        /// As asked.
        above: u64,
        /// Each entry's dot and hash; a bounded number.
        links: Vec<(Dot, Digest)>,
    },
    /// A datagram of the failure detector.
    Swim {
        /// Its bytes.
        data: ByteBuf,
    },
    /// Are you there?
    Ping {
        /// Comes back.
        nonce: u64,
        /// The sender's wall clock.
        wall: Micros,
    },
    /// I am.
    Pong {
        /// Of the ping.
        nonce: u64,
        /// The sender's wall clock.
        wall: Micros,
    },
    /// The link ends, and why; the last message.
    Bye {
        /// Stable, in lower case.
        code: String,
        /// For people.
        detail: String,
    },
}

impl Message {
    /// Its name, for counters and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Hello(_) => "hello",
            Message::Clock { .. } => "clock",
            Message::Pull { .. } => "pull",
            Message::Page { .. } => "page",
            Message::Push { .. } => "push",
            Message::Mend { .. } => "mend",
            Message::Tree(_) => "tree",
            Message::Blob(message) => message.name(),
            Message::Trace { .. } => "trace",
            Message::Chain { .. } => "chain",
            Message::Swim { .. } => "swim",
            Message::Ping { .. } => "ping",
            Message::Pong { .. } => "pong",
            Message::Bye { .. } => "bye",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame carries any 64 bits; a pull from the last of them made the hub count beyond it and end.
    #[test]
    fn a_clock_beyond_what_an_entry_can_say_is_refused() {
        let clock = |sequence| WireClock(vec![(ReplicaId([1; 16]), sequence, Check([2; 8]))]);
        let last = WHOLE_MAX as u64;
        assert!(clock(last).read(&Limits::default()).is_some());
        assert!(clock(last + 1).read(&Limits::default()).is_none());
        assert!(clock(u64::MAX).read(&Limits::default()).is_none());
    }
}
