//! What hubs say to each other to compare what their stores hold.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

use super::WireClock;
use crate::hash::Digest;

/// The first 16 bytes of a SHA-256: of a clock with its checks, of a root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Half(pub [u8; 16]);

impl Half {
    /// Of a whole hash.
    pub fn of(digest: &Digest) -> Half {
        let mut half = [0; 16];
        half.copy_from_slice(&digest.0[..16]);
        Half(half)
    }
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

impl Serialize for Half {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        serde_bytes::Bytes::new(&self.0).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Half {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Half(serde_bytes::ByteArray::<16>::deserialize(d)?.into_array()))
    }
}

/// One node of the tree, told by its children.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireNode(
    /// How many hex digits of positions lead to it.
    pub u8,
    /// Those digits, as a number.
    pub u32,
    /// Which of its 16 children are not empty: bit n for child n.
    pub u16,
    /// Four bytes of the hash of each of those, in order.
    pub ByteBuf,
);

/// All leaves below one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireLeaves(
    /// How many hex digits of positions lead to it.
    pub u8,
    /// Those digits, as a number.
    pub u32,
    /// The short ids of the leaves, sorted: of each the low 8 − digits / 2 bytes, big-endian (the rest is the node's).
    pub ByteBuf,
);

/// What hubs say to compare their stores. `at` is the hash of the clock that both have folded to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeMessage {
    /// The home's key for short ids, as far as the sender knows it. Never told to clients.
    Key {
        /// Sixteen bytes.
        key: Option<Half>,
        /// Whether the receiver is to say its own.
        ask: bool,
    },
    /// Do we hold the same?
    Roots {
        /// Hash of the sender's clock.
        clock: Half,
        /// Its root there.
        root: Half,
    },
    /// We do.
    Equal {
        /// As asked.
        clock: Half,
        /// As asked.
        root: Half,
    },
    /// Our clocks differ: this is the sender's.
    Clocks {
        /// Its clock.
        clock: WireClock,
    },
    /// Do we hold the same, up to this clock, which both have reached?
    Meet {
        /// The meet of both clocks.
        clock: WireClock,
        /// The sender's root there.
        root: Half,
    },
    /// Not now: what was asked for cannot be told at that clock.
    Later,
    /// We do not hold the same: what finds a few differences at once.
    Few {
        /// Where.
        at: Half,
        /// The sender's root there.
        root: Half,
        /// Eight bytes for each difference that it can find.
        syndromes: ByteBuf,
    },
    /// Cells of the sender's sketch.
    Cells {
        /// Where.
        at: Half,
        /// The sender's root there.
        root: Half,
        /// Which cell is the first.
        from: u32,
        /// Eleven bytes each; none if the sender keeps no more.
        cells: ByteBuf,
        /// How many differences there are, roughly, where that was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<u64>,
    },
    /// More cells, please: as many as it takes.
    More {
        /// Where.
        at: Half,
        /// How many are at hand.
        from: u32,
        /// The asker's estimator.
        counters: ByteBuf,
    },
    /// Nodes of the sender's tree. Asked with: where do yours differ? Answered with: here, and this is below.
    Nodes {
        /// Where.
        at: Half,
        /// Whether it is an answer.
        answer: bool,
        /// Told by their children.
        nodes: Vec<WireNode>,
        /// Told whole.
        leaves: Vec<WireLeaves>,
    },
    /// The entries that tell of these leaves are missing at the sender.
    Want {
        /// Where.
        at: Half,
        /// Short ids, eight bytes each, big-endian.
        leaves: ByteBuf,
    },
    /// So many rows were mended by what was sent.
    Took {
        /// Rows.
        mended: u64,
    },
    /// Too much differs: take all my entries again, as I take yours.
    Again,
    /// Our roots differ and nothing below them does: check your store.
    Doubt,
}

impl TreeMessage {
    /// Roughly the bytes that it takes.
    pub fn size(&self) -> usize {
        let clock = |clock: &WireClock| 34 * clock.0.len();
        64 + match self {
            TreeMessage::Key { .. }
            | TreeMessage::Roots { .. }
            | TreeMessage::Equal { .. }
            | TreeMessage::Later
            | TreeMessage::Took { .. }
            | TreeMessage::Again
            | TreeMessage::Doubt => 0,
            TreeMessage::Clocks { clock: told } | TreeMessage::Meet { clock: told, .. } => clock(told),
            TreeMessage::Few { syndromes, .. } => syndromes.len(),
            TreeMessage::Cells { cells, .. } => cells.len(),
            TreeMessage::More { counters, .. } => counters.len(),
            TreeMessage::Nodes { nodes, leaves, .. } => {
                let nodes = nodes.iter().map(|node| node.3.len() + 12);
                let leaves = leaves.iter().map(|leaves| leaves.2.len() + 12);
                nodes.sum::<usize>() + leaves.sum::<usize>()
            }
            TreeMessage::Want { leaves, .. } => leaves.len(),
        }
    }
}
