//! How stories begin: a home of all hubs, at rest, and an image of one disk as it was before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::entry::{ChangeSet, Sealed};
use inbetweenies_core::id::{HomeId, Id, Version};
use inbetweenies_core::node::Mail;
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::storage;
use inbetweenies_core::value::{Map, Value};

use super::mesh::Mesh;
use super::plan::{Action, Image};
use super::state::{Slot, State};

impl Mesh {
    /// The meshes that stories begin with: a home of all hubs, at rest.
    pub fn beginnings(&self) -> Vec<State> {
        let mut beginnings = Vec::new();
        for salt in self.plan.salts.clone() {
            for image in self.plan.images {
                beginnings.push(self.found(salt, *image));
            }
        }
        self.forget();
        beginnings
    }

    fn found(&self, salt: i64, image: Image) -> State {
        let sets = 1 + self.plan.pushes.iter().map(|(_, set)| *set).max().unwrap_or(0);
        let hub = Slot {
            hub: Arc::default(),
            print: 0,
        };
        let mut state = State {
            mono: Duration::from_secs(1_000),
            slots: vec![hub; self.plan.hubs],
            lines: BTreeMap::new(),
            salt,
            sets: Arc::new((0..sets).map(|set| change_set(set, salt)).collect()),
            image: Arc::default(),
            image_print: 0,
            pushed: (0..self.plan.pushes.len()).collect(),
            acked: BTreeSet::new(),
            owed: BTreeSet::new(),
            crashes: 0,
            stops: 0,
            cuts: 0,
            jumps: 0,
            restored: true,
            unnoticed: false,
            forked: false,
            ticks: u8::MAX,
            bound: Arc::default(),
            bound_print: 0,
            touched: BTreeSet::new(),
            broken: None,
        };
        self.start(&mut state, 0);
        self.settle(&mut state, false);
        let home = state.process(0).storage.identity().home_id;
        let home: HomeId = home.unwrap_or_else(|| panic!("the first hub founds a home"));
        for at in 1..self.plan.hubs {
            self.start(&mut state, at);
            self.settle(&mut state, false);
            let join = Mail::Storage(storage::Input::Join { home_id: home });
            self.within(&mut state, at, |process, disk, mono| {
                process.take(disk, mono, vec![join])
            });
        }
        self.settle(&mut state, true);
        let kept = self.plan.restored.unwrap_or(0);
        if image == Image::Stopped {
            self.stop(&mut state, kept);
            self.settle(&mut state, false);
            self.crash(&mut state, kept, false, false);
            state.image = Arc::new(state.slots[kept].hub.disk.clone());
            self.start(&mut state, kept);
            self.settle(&mut state, true);
        } else {
            state.image = Arc::new(state.slots[kept].hub.disk.clone());
        }
        state.image_print = state.image.print();
        if !self.plan.linked {
            let pairs: Vec<(usize, usize)> = state.lines.keys().copied().collect();
            pairs.into_iter().for_each(|pair| self.cut(&mut state, pair));
        }
        for at in 0..self.plan.hubs {
            Arc::make_mut(&mut state.slots[at].hub).disk.rest();
            state.touched.insert(at);
        }
        assert!(state.broken.is_none(), "{:?}", state.broken);
        state.pushed.clear();
        state.crashes = self.plan.crashes;
        state.stops = self.plan.stops;
        state.cuts = self.plan.cuts;
        state.jumps = self.plan.jumps;
        state.restored = self.plan.restored.is_none();
        state.ticks = self.plan.ticks;
        state.print();
        state
    }

    /// Before the story: the first thing that can be done, until nothing is left.
    fn settle(&self, state: &mut State, linked: bool) {
        for _ in 0..10_000 {
            let mut actions = Vec::new();
            self.due(state, &mut actions);
            if linked {
                self.ups(state, &mut actions);
            }
            if actions.is_empty() && linked && state.wakes_soon() {
                actions.push(Action::Tick);
            }
            match actions.first() {
                Some(action) => self.act(state, *action),
                None => return,
            }
        }
        panic!("the mesh does not come to rest");
    }
}

/// One edit: a device of its own for each set.
fn change_set(set: usize, salt: i64) -> ChangeSet {
    let id = Id::new(&format!("device{set}")).unwrap_or_else(|error| panic!("{error}"));
    // Without a time in it, so that the order time is the hub's own stamp and differs where it is accepted anew.
    let version = Version::new(&format!("v{set}")).unwrap_or_else(|error| panic!("{error}"));
    let record = Record {
        id,
        version,
        kind: Kind::Entity {
            entity_type: "device".to_owned(),
            name: None,
            source_type: None,
        },
        user_id: None,
        parents: Vec::new(),
        deleted: false,
        content: Map::from([("salt".to_owned(), Value::Int(salt))]),
        extra: Map::new(),
    };
    ChangeSet {
        records: vec![Arc::new(Sealed::new(record))],
    }
}
