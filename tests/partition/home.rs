//! Three hubs that reach each other only through relays of the test: two on the mainland, one on an island.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::exchange::{self, change};
use crate::process::relay::Relay;
use crate::process::{Hub, Setup, http, mesh};

/// Until when hubs that can reach each other hold the same.
pub const CONVERGED: Duration = Duration::from_secs(30);
/// Until when a link that can stand stands, and one that cannot is noticed.
pub const LINKED: Duration = Duration::from_secs(20);

pub struct Home {
    /// Two on the mainland, then the island.
    pub hubs: [Hub; 3],
    /// One in front of each hub: where the others are told to dial it.
    pub relays: [Relay; 3],
    /// Between the two on the mainland alone.
    _mainland: Relay,
    _folder: TempDir,
}

impl Home {
    pub fn new(settings: impl Fn(Setup) -> Setup) -> Home {
        let folder = tempfile::tempdir().expect("a folder");
        let (relays, mainland) = ([Relay::new(), Relay::new(), Relay::new()], Relay::new());
        let setup = |at: usize, name: &str| {
            let setup = Setup::new(name, folder.path())
                .key("listen.advertise", relays[at].address)
                .key("mesh.dial_backoff_min", "50ms")
                .key("mesh.dial_backoff_max", "200ms")
                .key("gossip.interval", "200ms");
            settings(setup)
        };
        let start = |at: usize, setup: Setup| {
            let hub = setup.start();
            relays[at].lead_to(hub.address);
            hub
        };
        let kitchen = start(0, setup(0, "kitchen").founder());
        mainland.lead_to(kitchen.address);
        let attic = start(1, setup(1, "attic").seeds(&[mainland.address]));
        let seeds = [relays[0].address, relays[1].address];
        let shed = start(2, setup(2, "shed").seeds(&seeds));
        let home = Home {
            hubs: [kitchen, attic, shed],
            relays,
            _mainland: mainland,
            _folder: folder,
        };
        home.whole();
        home
    }

    pub fn mainland(&self) -> SocketAddr {
        self.hubs[0].address
    }

    pub fn island(&self) -> SocketAddr {
        self.hubs[2].address
    }

    pub fn addresses(&self) -> [SocketAddr; 3] {
        [0, 1, 2].map(|at: usize| self.hubs[at].address)
    }

    /// Cuts the island off, and waits until everybody has noticed.
    pub fn cut(&self) {
        self.relays.iter().for_each(Relay::cut);
        self.parted();
    }

    /// Waits until the two on the mainland hold a link to each other, and the island none.
    pub fn parted(&self) {
        for (hub, links) in self.hubs.iter().zip([1, 1, 0]) {
            mesh::linked(hub, links, LINKED);
        }
    }

    /// Lets the wires carry again, and waits until everything is everywhere.
    pub fn heal(&self) -> Value {
        self.relays.iter().for_each(Relay::heal);
        self.whole()
    }

    fn whole(&self) -> Value {
        self.hubs.iter().for_each(|hub| mesh::linked(hub, 2, LINKED));
        mesh::equal_clocks(&self.addresses(), CONVERGED)
    }

    /// What all three hubs answer, to the byte.
    pub fn same_everywhere(&self, path: &str) -> (u16, Value) {
        let [first, others @ ..] = self.addresses().map(|address| http::get(address, path));
        for other in &others {
            assert_eq!(other.status, first.status, "{path}");
            let (one, two) = (
                String::from_utf8_lossy(&first.body),
                String::from_utf8_lossy(&other.body),
            );
            assert_eq!(one, two, "{path}");
        }
        (first.status, first.json())
    }

    /// What all three hubs show of an entity.
    pub fn shown(&self, id: &str) -> (u16, Value) {
        self.same_everywhere(&format!("/api/v2/entities/{id}"))
    }
}

/// A version with an edit time: so many seconds into an hour long past.
pub fn at(seconds: u32, who: &str) -> String {
    format!(
        "2020-01-01T10:{:02}:{:02}.000000+00:00-000001-{who}",
        seconds / 60,
        seconds % 60
    )
}

/// An edit of an entity that names its parents.
pub fn edit(id: &str, kind: &str, version: &str, parents: &[&str], content: Value) -> Value {
    let mut entity = exchange::entity(id, version, kind, content);
    entity["parent_versions"] = json!(parents);
    change(entity)
}

/// Pushes one change and gives back what was said of it: its outcome, and the conflicts that it met.
pub fn push(address: SocketAddr, change: Value) -> (Value, Value) {
    let mut answer = exchange::push(address, json!([change]));
    let rows =
        ["applied", "applied_relationships"].map(|key| answer[key].as_array().cloned().unwrap_or_default());
    match &rows.concat()[..] {
        [row] => (row["outcome"].clone(), answer["conflicts"].take()),
        rows => panic!("one change, {} acknowledgements: {answer}", rows.len()),
    }
}
