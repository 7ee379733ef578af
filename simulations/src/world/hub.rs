//! One hub: a box with a disk and a clock, and while it runs a process with the core's machines in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::conflict::{self, Conflict};
use inbetweenies_core::machine::{Identity, Link, Machine, Ticket};
use inbetweenies_core::merkle::{self, Merkle};
use inbetweenies_core::node::Mail;
use inbetweenies_core::peers::{self, Peers};
use inbetweenies_core::reconcile::{self, Reconcile};
use inbetweenies_core::storage::{self, Storage};
use inbetweenies_core::store::Commit;
use inbetweenies_core::transfer::{self, Transfer};
use inbetweenies_core::view::Policy;

use super::Due;
use super::clock::WallClock;
use super::disk::{Disk, Image};
use super::network::ConnId;

/// A room of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// The only writer.
    Storage,
    /// Comparing and handing over.
    Reconcile,
    /// What readers see.
    Conflict,
    /// What stores really hold.
    Merkle,
    /// Blobs on their way.
    Transfer,
    /// Who is there.
    Peers,
}

impl Room {
    /// All rooms.
    pub const ALL: [Room; 6] = [
        Room::Storage,
        Room::Reconcile,
        Room::Conflict,
        Room::Merkle,
        Room::Transfer,
        Room::Peers,
    ];
}

/// A hub, running or not.
pub struct Hub {
    /// For people.
    pub name: String,
    /// Where it is dialled.
    pub address: SocketAddr,
    /// What it has.
    pub disk: Disk,
    /// Its wall clock.
    pub clock: WallClock,
    /// What runs on it.
    pub process: Option<Process>,
    /// Counts processes; what was meant for an earlier one is dropped.
    pub boots: u64,
    /// Why it is off: numbers of events, or of the hub's own ends.
    pub off: BTreeSet<u64>,
    /// Whether the machine itself is without power, so that nobody even refuses a connection.
    pub dark: bool,
    /// Why it is frozen.
    pub frozen: BTreeSet<u64>,
    /// What came while it was frozen.
    pub held: Vec<Due>,
    /// A copy of its disk in a drawer.
    pub drawer: Option<Image>,
    /// Hubs that it dials first.
    pub seeds: Vec<SocketAddr>,
    /// Whether it begins the home.
    pub founds: bool,
}

/// The commit under way and what the room does after it.
pub struct Flight {
    /// What is being made durable.
    pub commit: Commit,
    /// Effects of the same step that come after it.
    pub after: VecDeque<inbetweenies_core::node::Effect>,
}

/// A running process.
pub struct Process {
    /// When it began; its monotonic clock counts from here.
    pub started: Duration,
    /// The machine.
    pub storage: Storage,
    /// The machine.
    pub reconcile: Reconcile,
    /// The machine.
    pub conflict: Conflict,
    /// The machine.
    pub merkle: Merkle,
    /// The machine.
    pub transfer: Transfer,
    /// The machine.
    pub peers: Peers,
    /// Mail that waits, by room.
    pub boxes: Boxes,
    /// Rooms that have a step coming.
    pub scheduled: BTreeSet<Room>,
    /// When each room wants to be woken, as far as it has been arranged.
    pub timers: BTreeMap<Room, Duration>,
    /// The commit under way.
    pub flight: Option<Flight>,
    /// Its links and the connections they are ends of.
    pub links: BTreeMap<Link, ConnId>,
    /// Names given to links and tickets.
    pub names: u64,
    /// What clients have brought and is not where it belongs yet, and of which client it is.
    pub uploads: BTreeMap<Ticket, Upload>,
    /// Clients that wait for an answer.
    pub calls: BTreeMap<Ticket, u64>,
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// Who it is.
    pub identity: Identity,
    /// So many effects until it ends in the midst of its work, and whether it is the power.
    pub fuse: Option<Fuse>,
}

/// A blob that a client has brought.
pub struct Upload {
    /// Its bytes.
    pub bytes: Arc<Vec<u8>>,
    /// Whose.
    pub client: usize,
}

/// Ends a process between two effects.
#[derive(Debug, Clone, Copy)]
pub struct Fuse {
    /// Effects to go.
    pub left: u32,
    /// Whether it is the power.
    pub power: bool,
    /// The event that keeps the hub off then,
    pub event: u64,
    /// for so long.
    pub lasts: Duration,
}

/// The rooms' letter boxes.
#[derive(Default)]
pub struct Boxes {
    /// To the only writer.
    pub storage: Vec<storage::Input>,
    /// To reconciliation.
    pub reconcile: Vec<reconcile::Input>,
    /// To conflicts.
    pub conflict: Vec<conflict::Input>,
    /// To anti-entropy.
    pub merkle: Vec<merkle::Input>,
    /// To blobs on their way.
    pub transfer: Vec<transfer::Input>,
    /// To peers.
    pub peers: Vec<peers::Input>,
}

impl Boxes {
    /// Puts mail in its box; says which.
    pub fn post(&mut self, mail: Mail) -> Room {
        match mail {
            Mail::Storage(input) => {
                self.storage.push(input);
                Room::Storage
            }
            Mail::Reconcile(input) => {
                self.reconcile.push(input);
                Room::Reconcile
            }
            Mail::Conflict(input) => {
                self.conflict.push(input);
                Room::Conflict
            }
            Mail::Merkle(input) => {
                self.merkle.push(input);
                Room::Merkle
            }
            Mail::Transfer(input) => {
                self.transfer.push(input);
                Room::Transfer
            }
            Mail::Peers(input) => {
                self.peers.push(input);
                Room::Peers
            }
        }
    }

    /// The fullest.
    pub fn longest(&self) -> usize {
        [
            self.storage.len(),
            self.reconcile.len(),
            self.conflict.len(),
            self.merkle.len(),
            self.transfer.len(),
            self.peers.len(),
        ]
        .into_iter()
        .max()
        .unwrap_or(0)
    }
}

impl Process {
    /// When a room wants to be woken, on the process's own clock.
    pub fn wake_at(&self, room: Room) -> Option<Duration> {
        match room {
            Room::Storage => self.storage.wake_at(),
            Room::Reconcile => self.reconcile.wake_at(),
            Room::Conflict => self.conflict.wake_at(),
            Room::Merkle => self.merkle.wake_at(),
            Room::Transfer => self.transfer.wake_at(),
            Room::Peers => self.peers.wake_at(),
        }
    }

    /// A name that no link or ticket of this process had.
    pub fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }
}

impl Hub {
    /// Whether it runs and is not frozen.
    pub fn is_awake(&self) -> bool {
        self.process.is_some() && self.frozen.is_empty()
    }
}

/// Where the hub at a place listens.
pub fn address(at: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (at >> 8) as u8, at as u8 + 1], 7_420))
}
