//! A hub's storage on disk, filled as a hub fills it: what benches of the store share.

#![allow(dead_code, reason = "each bench takes the part it needs")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inbetweenies::store::{RocksStore, StoreOptions};
use inbetweenies_core::entry::{ChangeSet, Sealed};
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Id, Version};
use inbetweenies_core::machine::{Machine, Ticket};
use inbetweenies_core::record::{Kind, Parent, Record};
use inbetweenies_core::rng::Rng;
use inbetweenies_core::storage::{Input, Output, Settings, Storage};
use inbetweenies_core::store::{Commit, Store};
use inbetweenies_core::time::{Micros, Now};
use inbetweenies_core::value::{Map, Value};

pub const START: u64 = 1_781_516_462_000_000;

pub fn load(when: &str) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load at {when}: {}", load.trim());
}

pub struct Home {
    pub store: RocksStore,
    pub storage: Storage,
    pub now: Now,
    pub chance: Rng,
    /// Every commit so far, if they are wanted.
    pub commits: Option<Vec<Commit>>,
}

pub fn policy() -> Map {
    let text = include_str!("../../config/domains/house.toml");
    let content: Value = toml::from_str(text).expect("the house");
    content.as_map().cloned().expect("a map")
}

pub fn device(id: &Id, number: usize, user: &str, parents: &[&Sealed], at: u64) -> Sealed {
    let text = |text: String| Value::Text(text);
    let mut content = Map::from([
        ("manufacturer".to_owned(), text("Example & Sons".to_owned())),
        (
            "model".to_owned(),
            text("A19 dimmable, second edition".to_owned()),
        ),
        ("serial".to_owned(), text(format!("SN-{id}"))),
        ("watts".to_owned(), Value::Int(number as i64 % 60)),
        ("on".to_owned(), Value::Bool(number.is_multiple_of(2))),
        (
            "firmware".to_owned(),
            text(format!("1.{}.{}", number / 10, number % 10)),
        ),
        (
            "note".to_owned(),
            text("the one by the window; flickers when it is cold".to_owned()),
        ),
    ]);
    content.insert(format!("by_{user}"), Value::Int(number as i64));
    let mut parents: Vec<Parent> = parents
        .iter()
        .map(|parent| Parent {
            version: parent.record.version.clone(),
            digest: Some(parent.digest),
        })
        .collect();
    parents.sort();
    Sealed::new(Record {
        id: id.clone(),
        version: Version::new(&format!("{}-{number:06}-{user}", Micros(at))).expect("a version"),
        kind: Kind::Entity {
            entity_type: "device".to_owned(),
            name: Some("Reading lamp".to_owned()),
            source_type: Some("manual".to_owned()),
        },
        user_id: Some(user.to_owned()),
        parents,
        deleted: false,
        content,
        extra: Map::new(),
    })
}

pub fn id(of: usize) -> Id {
    // As random as UUIDs are, and known again.
    Id::new(&Digest::of(&of.to_be_bytes()).to_string()[..36]).expect("an id")
}

/// What storage is told.
pub fn settings() -> Settings {
    Settings {
        name: "bench".to_owned(),
        address: None,
        found: true,
        policy: policy(),
        group_records_max: 4_096,
        group_bytes_max: 8 << 20,
        content_min: None,
        horizon_interval: Duration::from_secs(86_400),
        seed: [1, 2],
    }
}

impl Home {
    pub fn open(folder: &Path) -> Home {
        let options = StoreOptions {
            init: true,
            cache_bytes: 16 << 20,
            write_buffer_bytes: 32 << 20,
            headroom_bytes: 64 << 20,
        };
        let store = RocksStore::open(&folder.join("data"), &options).expect("a store");
        let settings = settings();
        let storage = Storage::open(settings, &store.snapshot(), &store.marks()).expect("storage");
        let now = Now {
            wall: Micros(START),
            mono: Duration::ZERO,
        };
        let mut home = Home {
            store,
            storage,
            now,
            chance: Rng::new(7, 7),
            commits: None,
        };
        home.step(Vec::new());
        home
    }

    pub fn step(&mut self, inputs: Vec<Input>) {
        let mut inputs = inputs;
        loop {
            let mut out = Vec::new();
            let snapshot = self.store.snapshot();
            self.storage
                .step(self.now, &snapshot, inputs, &mut out)
                .expect("a step");
            drop(snapshot);
            inputs = Vec::new();
            for output in out {
                if let Output::Commit(commit) = output {
                    self.store.commit(&commit).expect("a commit");
                    if let Some(commits) = &mut self.commits {
                        commits.push(commit.clone());
                    }
                    inputs.push(Input::Committed {
                        number: commit.number,
                    });
                }
            }
            if inputs.is_empty() {
                return;
            }
        }
    }

    /// In change sets of a hundred, as many as there are, in one commit.
    pub fn push(&mut self, waiting: &mut Vec<Arc<Sealed>>) -> usize {
        let sets: Vec<ChangeSet> = waiting
            .chunks(100)
            .map(|records| ChangeSet {
                records: records.to_vec(),
            })
            .collect();
        let made = waiting.len();
        waiting.clear();
        self.step(vec![Input::Accept {
            ticket: Ticket(1),
            sets,
        }]);
        made
    }
}
