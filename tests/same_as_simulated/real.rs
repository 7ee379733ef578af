//! The workload in real hubs: processes, sockets, RocksDB; the island is cut off by relays of the test.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use inbetweenies_client::wire::Reply;
use inbetweenies_core::limits::Limits;
use inbetweenies_simulations::domain::Domain;
use inbetweenies_simulations::world;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::held::{self, HUBS, Held, Question, Who};
use crate::process::exchange::SYNC;
use crate::process::http::{self, MSGPACK, Request};
use crate::process::relay::Relay;
use crate::process::{Hub, Setup, mesh};
use crate::tales::Set;
use crate::workload::{ISLAND, Step};

/// Until when hubs that reach each other hold the same.
const SETTLED: Duration = Duration::from_secs(30);

struct Real {
    /// Those that run.
    hubs: [Option<Hub>; HUBS.len()],
    /// What the others are started with.
    off: [Option<Setup>; HUBS.len()],
    addresses: [SocketAddr; HUBS.len()],
    /// In front of each hub: where the others are told to dial it.
    relays: [Relay; HUBS.len()],
    /// Between the two on the mainland alone.
    _mainland: Relay,
    cut: bool,
    _folder: TempDir,
}

/// Runs it to its end.
pub fn run(steps: &[Step]) -> Held {
    let mut home = Real::found();
    let mut held = Held::new();
    for (number, step) in steps.iter().enumerate() {
        if let Step::Push(hub, sets) = step {
            held::answered(&mut held, number, *hub, &home.push(*hub, sets.clone()));
        }
        home.take(step);
    }
    held::ask_all(&mut home, steps, held)
}

impl Real {
    fn found() -> Real {
        let folder = tempfile::tempdir().expect("a folder");
        let domain = folder.path().join("simulated.toml");
        let text = toml::to_string(&Domain::default().manifest()).expect("the simulator's domain as a file");
        fs::write(&domain, text).expect("a file");
        let relays = HUBS.map(|_| Relay::new());
        let mainland = Relay::new();
        let start = |at: usize, change: &dyn Fn(Setup) -> Setup| {
            let setup = Setup::new(HUBS[at], folder.path())
                .key("conflict.domain", domain.display())
                .key("listen.advertise", relays[at].address)
                .key("mesh.dial_backoff_min", "50ms")
                .key("mesh.dial_backoff_max", "200ms")
                .key("gossip.interval", "200ms");
            let hub = change(setup).start();
            relays[at].lead_to(hub.address);
            hub
        };
        let kitchen = start(0, &Setup::founder);
        mainland.lead_to(kitchen.address);
        let attic = start(1, &|setup| setup.seeds(&[mainland.address]));
        let shed = start(2, &|setup| setup.seeds(&[relays[0].address, relays[1].address]));
        Real {
            addresses: [kitchen.address, attic.address, shed.address],
            hubs: [Some(kitchen), Some(attic), Some(shed)],
            off: [None, None, None],
            relays,
            _mainland: mainland,
            cut: false,
            _folder: folder,
        }
    }

    fn hub(&self, at: usize) -> &Hub {
        self.hubs[at].as_ref().expect("a hub that runs")
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Push(..) => {}
            Step::Settle => self.settle(),
            Step::Cut => {
                self.cut = true;
                self.relays.iter().for_each(Relay::cut);
            }
            Step::Join => {
                self.cut = false;
                self.relays.iter().for_each(Relay::heal);
            }
            Step::Kill(at) => self.off[*at] = self.hubs[*at].take().map(Hub::kill),
            Step::Stop(at) => {
                let (setup, status) = self.hubs[*at].take().expect("a hub that runs").stop();
                assert!(status.success(), "{}: {status}", HUBS[*at]);
                self.off[*at] = Some(setup);
            }
            Step::Start(at) => self.hubs[*at] = self.off[*at].take().map(|setup| setup.start()),
        }
    }

    fn settle(&self) {
        let together = (0..HUBS.len()).filter(|at| self.hubs[*at].is_some() && !(self.cut && *at == ISLAND));
        let addresses: Vec<SocketAddr> = together.map(|at| self.addresses[at]).collect();
        mesh::equal_clocks(&addresses, SETTLED);
    }

    /// The very bytes that the simulator's hubs are given.
    fn push(&self, hub: usize, sets: Vec<Set>) -> Reply {
        let request = Request::post(SYNC, MSGPACK, world::request(sets)).header("Accept", MSGPACK);
        let answer = request
            .send(self.addresses[hub])
            .unwrap_or_else(|error| panic!("{}: {error}", HUBS[hub]));
        assert_eq!(answer.status, 200, "{}", answer.json());
        Reply::decode(&answer.body, &Limits::default()).expect("an answer")
    }
}

impl held::Home for Real {
    fn ask(&self, hub: usize, question: &Question) -> (u16, Json) {
        let answer = http::get(self.addresses[hub], &question.path());
        match answer.status {
            404 => (404, Json::Null),
            status => (status, answer.json()),
        }
    }

    fn page(&mut self, hub: usize) -> Reply {
        self.push(hub, Vec::new())
    }

    fn who(&self, hub: usize) -> Who {
        let hub = self.hub(hub);
        let status = hub.status();
        let figure = |key: &str| status[key].as_u64().expect("a figure");
        let replica = status["replica"].as_str().expect("a replica");
        Who {
            hub_id: hub.id.clone(),
            replica: replica.parse().expect("a replica"),
            life: figure("life"),
            records: figure("records"),
            entities: figure("entities"),
            relationships: figure("relationships"),
            conflicts: figure("conflicts"),
        }
    }
}
