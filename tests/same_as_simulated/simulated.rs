//! The workload in simulated hubs: the same bytes at the same doors, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_client::wire::Reply;
use inbetweenies_core::conflict::read;
use inbetweenies_core::store::{StoreError, read_meta};
use inbetweenies_simulations::domain::Domain;
use inbetweenies_simulations::plan::{ClockPlan, Do, Event, HubPlan, Lane, Line, Plan, Tuning};
use inbetweenies_simulations::watch::Watch;
use inbetweenies_simulations::world::World;
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::held::{self, HUBS, Held, LIST, Question, Who};
use crate::workload::{ISLAND, Step};

/// Until when hubs that reach each other hold the same.
const SETTLED: Duration = Duration::from_secs(20);
/// Between two other steps.
const MOMENT: Duration = Duration::from_millis(250);
/// How often it is looked whether hubs hold the same.
const LOOK: Duration = Duration::from_millis(50);

/// Runs it to its end; every promise is watched on the way.
pub fn run(steps: &[Step], seed: u64) -> Held {
    let times = times(steps);
    let mut world = World::new(Arc::new(plan(steps, &times, seed)), Watch::new(false));
    let mut held = Held::new();
    let mut cut = false;
    for (number, (step, at)) in steps.iter().zip(&times).enumerate() {
        // What is cut, killed and started is in the plan, and comes with the time.
        world.run_until(*at);
        match step {
            Step::Push(hub, sets) => match world.push_sets(*hub, sets.clone()) {
                Ok(reply) => held::answered(&mut held, number, *hub, &reply),
                Err(error) => panic!("{}: {error}", HUBS[*hub]),
            },
            Step::Settle => settle(&mut world, cut, *at + SETTLED),
            Step::Cut => cut = true,
            Step::Join => cut = false,
            Step::Kill(_) | Step::Stop(_) | Step::Start(_) => {}
        }
        let broken = world.watch().and_then(Watch::broken);
        assert!(broken.is_none(), "{broken:?}");
    }
    held::ask_all(&mut Simulated(world), steps, held)
}

/// When each step comes.
fn times(steps: &[Step]) -> Vec<Duration> {
    let mut now = Duration::ZERO;
    let next = |step: &Step| {
        let at = now;
        now += if matches!(step, Step::Settle) {
            SETTLED
        } else {
            MOMENT
        };
        at
    };
    steps.iter().map(next).collect()
}

/// The home, and what is cut and killed at which time.
fn plan(steps: &[Step], times: &[Duration], seed: u64) -> Plan {
    let hub = |(at, name): (usize, &&str)| HubPlan {
        name: (*name).to_owned(),
        seeds: (0..at).collect(),
        clock: ClockPlan::default(),
        starts_at: Duration::ZERO,
    };
    let lasts = |from: usize, over: &dyn Fn(&Step) -> bool| {
        let until = (from..steps.len()).find(|at| over(&steps[*at]));
        times[until.expect("what begins ends")] - times[from]
    };
    let starts = |hub: usize| move |step: &Step| matches!(step, Step::Start(at) if *at == hub);
    let event = |(at, step): (usize, &Step)| {
        let what = match step {
            Step::Cut => Do::Cut {
                from: (0..HUBS.len())
                    .filter(|hub| *hub != ISLAND)
                    .map(Lane::Hub)
                    .collect(),
                to: vec![Lane::Hub(ISLAND)],
                one_way: false,
                lasts: lasts(at, &|step| matches!(step, Step::Join)),
            },
            Step::Kill(hub) => Do::Kill {
                hub: *hub,
                lasts: lasts(at, &starts(*hub)),
            },
            Step::Stop(hub) => Do::Stop {
                hub: *hub,
                lasts: lasts(at, &starts(*hub)),
            },
            Step::Push(..) | Step::Settle | Step::Join | Step::Start(_) => return None,
        };
        Some(Event {
            number: at as u64,
            at: times[at],
            what,
        })
    };
    Plan {
        name: "the workload".to_owned(),
        about: String::new(),
        seed,
        hubs: HUBS.iter().enumerate().map(hub).collect(),
        clients: Vec::new(),
        line: Line::default(),
        lines: BTreeMap::new(),
        walls: Vec::new(),
        // As the real hubs are started.
        tuning: Tuning {
            interval: Duration::from_millis(200),
            dial_backoff_min: Duration::from_millis(50),
            dial_backoff_max: Duration::from_millis(200),
            ..Tuning::default()
        },
        domain: Domain::default(),
        events: steps.iter().enumerate().filter_map(event).collect(),
        heal_at: Duration::MAX,
        expect: Vec::new(),
    }
}

fn settle(world: &mut World, cut: bool, until: Duration) {
    let together = |world: &World| {
        let running = (0..HUBS.len()).filter(|at| world.hubs[*at].process.is_some());
        let mut clocks = running
            .filter(|at| !(cut && *at == ISLAND))
            .map(|at| world.clock_of(at));
        let first = clocks.next().unwrap_or_default();
        !first.is_empty() && clocks.all(|clock| clock == first)
    };
    while !together(world) {
        assert!(world.now < until, "hubs do not hold the same after {SETTLED:?}");
        world.run_until(world.now + LOOK);
    }
}

struct Simulated(World);

impl held::Home for Simulated {
    /// As the real hub's door serves it.
    fn ask(&self, hub: usize, question: &Question) -> (u16, Json) {
        let hub = &self.0.hubs[hub];
        let policy = &hub.process.as_ref().expect("a hub that runs").policy;
        let store = &hub.disk.reader();
        match question {
            Question::One(id, entity) => match good(read::one(store, policy, id, *entity, None)) {
                Some(shown) if shown.is_deleted() => (410, body(&shown)),
                Some(shown) => (200, body(&shown)),
                None => (404, Json::Null),
            },
            Question::History(id, entity) => {
                match good(read::history(store, policy, id, *entity, None, None, LIST)) {
                    Some(page) => (200, body(&page)),
                    None => (404, Json::Null),
                }
            }
            Question::Entities => (
                200,
                body(&good(read::entities(store, policy, None, None, None, LIST))),
            ),
            Question::Relationships => {
                let page = read::relationships(store, policy, None, None, None, None, LIST);
                (200, body(&good(page)))
            }
            Question::Conflicts => {
                let queue = good(read::queue(store, policy, LIST));
                (200, json!({"conflicts": body(&queue)}))
            }
        }
    }

    fn page(&mut self, hub: usize) -> Reply {
        self.0.push_sets(hub, Vec::new()).expect("an answer")
    }

    fn who(&self, hub: usize) -> Who {
        let row = good(read_meta(&self.0.hubs[hub].disk.reader())).expect("a hub that has begun");
        Who {
            hub_id: row.hub_id.to_string(),
            replica: row.replica.expect("a life"),
            life: row.life,
            records: row.records,
            entities: row.entities,
            relationships: row.relationships,
            conflicts: row.queued,
        }
    }
}

fn good<T>(read: Result<T, StoreError>) -> T {
    read.unwrap_or_else(|error| panic!("a simulated disk: {error}"))
}

fn body(shown: &impl Serialize) -> Json {
    serde_json::to_value(shown).expect("JSON")
}
