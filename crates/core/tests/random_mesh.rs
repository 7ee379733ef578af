//! Random stories of a mesh: pushes of every kind, lost networks, killed, restored and cloned hubs; then everything is
//! healed and the hubs must hold, show and count the same, and nothing that was acknowledged may be missing.
//!
//! A seed that fails prints itself; `SEED=n cargo test -p inbetweenies-core --test random_mesh` tells its story again.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::conflict::read;
use inbetweenies_core::entry::{ChangeSet, Sealed};
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Id, Version};
use inbetweenies_core::record::{Kind, Parent, Record};
use inbetweenies_core::rng::Rng;
use inbetweenies_core::store::{Commit, Family, MemorySnapshot, MemoryStore, Snapshot, Store, record_key};
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::wire::SyncResponse;
use support::{Crash, World, check, cursor};

const STEPS: usize = 24;
const IDS: [&str; 7] = ["d0", "d1", "r0", "n0", "l0", "l1", "x"];

#[test]
fn hubs_agree_and_lose_nothing_whatever_happened() {
    let seeds = seeds_from_env().unwrap_or(0..80);
    let failed: Vec<u64> = seeds.filter(|seed| !tell(*seed)).collect();
    assert!(failed.is_empty(), "failing seeds: {failed:?}");
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test may be told which stories to tell"
)]
fn seeds_from_env() -> Option<std::ops::Range<u64>> {
    let seeds = std::env::var("SEED").ok()?;
    match seeds.split_once("..") {
        Some((from, to)) => Some(from.parse().ok()?..to.parse().ok()?),
        None => seeds.parse().ok().map(|seed| seed..seed + 1),
    }
}

fn tell(seed: u64) -> bool {
    let mut log = String::new();
    let told = catch_unwind(AssertUnwindSafe(|| Story::new(seed, &mut log).tell()));
    if told.is_err() {
        eprintln!("seed {seed} failed; its story:\n{log}");
    }
    told.is_ok()
}

struct Story<'l> {
    chance: Rng,
    world: World,
    log: &'l mut String,
    /// Every record ever written, by id.
    made: BTreeMap<&'static str, Vec<Record>>,
    names: u64,
    acked: BTreeMap<Digest, Id>,
    /// Refused and never tried with another outcome.
    refused: BTreeMap<Digest, Id>,
    backups: Vec<(usize, MemoryStore)>,
    cloned: bool,
    /// A client that walks from hub to hub.
    cursor: Clock,
    seen: BTreeSet<(Id, Version)>,
}

impl Story<'_> {
    fn new(seed: u64, log: &mut String) -> Story<'_> {
        let mut chance = Rng::new(seed, 0);
        let mut world = World::new(2 + chance.below(3));
        world.chance = Some(Rng::new(seed, 1));
        for at in 0..world.hubs.len() {
            if chance.below(4) == 0 {
                world
                    .ahead
                    .insert(at, Duration::from_secs(chance.below(1_000) as u64));
            }
        }
        Story {
            chance,
            world,
            log,
            made: BTreeMap::new(),
            names: 0,
            acked: BTreeMap::new(),
            refused: BTreeMap::new(),
            backups: Vec::new(),
            cloned: false,
            cursor: Clock::new(),
            seen: BTreeSet::new(),
        }
    }

    fn say(&mut self, what: String) {
        let _ = writeln!(self.log, "{:>9.3}s {what}", self.world.now.as_secs_f64());
    }

    fn below(&mut self, bound: usize) -> usize {
        self.chance.below(bound)
    }

    fn running(&mut self) -> Option<usize> {
        let running: Vec<usize> = (0..self.world.hubs.len())
            .filter(|at| self.world.hubs[*at].is_some())
            .collect();
        (!running.is_empty()).then(|| running[self.chance.below(running.len())])
    }

    fn tell(mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        self.heal();
        self.check();
    }

    fn step(&mut self) {
        if self.below(2) == 0 {
            let span = Duration::from_millis([1, 30, 700, 3_000][self.below(4)]);
            self.world.run(span);
        }
        let at = self.below(self.world.hubs.len());
        let up = self.world.hubs[at].is_some();
        match self.below(24) {
            0..=9 => self.push(),
            10 | 11 => {
                self.say("run".to_owned());
                self.world.run(Duration::from_secs(8));
            }
            12 | 13 => {
                self.say(format!("unplug {at}"));
                self.world.unplug(at);
            }
            14 | 15 => {
                self.say(format!("plug {at}"));
                self.world.plug(at);
            }
            16 if up => {
                self.say(format!("kill {at}"));
                self.world.kill(at);
            }
            17 if up => {
                self.say(format!("stop {at}"));
                self.world.stop(at);
            }
            16 | 17 => self.start(at),
            18 => {
                let crash = [
                    Crash::Before,
                    Crash::AfterTheMark,
                    Crash::AfterTheBatch,
                    Crash::AfterTheNote,
                ];
                let crash = crash[self.below(4)];
                self.say(format!("power fails at {at} {crash:?}"));
                self.world.crash = Some((at, crash));
                if up {
                    self.push();
                } else {
                    self.start(at);
                }
                self.world.crash = None;
            }
            19 | 20 => {
                self.say(format!("back up {at}"));
                let store = self.store(at);
                self.backups.push((at, store));
            }
            21 if !self.backups.is_empty() => self.restore(),
            22 if !self.cloned => self.clone_disk(at),
            _ => self.pull(),
        }
    }

    fn store(&self, at: usize) -> MemoryStore {
        match &self.world.hubs[at] {
            Some(hub) => hub.store.clone(),
            None => self.world.stores[at].clone(),
        }
    }

    fn start(&mut self, at: usize) {
        if self.world.hubs[at].is_none() {
            self.say(format!("start {at}"));
            self.world.start(at);
        }
    }

    fn restore(&mut self) {
        let at = self.below(self.backups.len());
        let (hub, mut backup) = self.backups[at].clone();
        let with_marks = self.below(2) == 0;
        self.say(format!("restore {hub} with its marks: {with_marks}"));
        self.world.kill(hub);
        if !with_marks {
            let marks = self.world.stores[hub].marks();
            let marks = Commit {
                high_water: marks.high_water,
                note: marks.note,
                ..Commit::default()
            };
            backup.commit(&marks).unwrap();
        }
        self.world.stores[hub] = backup;
        // What stood on the lost disk alone is lost.
        let stores: Vec<MemorySnapshot> = (0..self.world.hubs.len())
            .map(|at| self.store(at).snapshot())
            .collect();
        let held = |digest: &Digest, id: &Id| {
            stores.iter().any(|store| {
                store
                    .get(Family::Records, &record_key(id, digest))
                    .unwrap()
                    .is_some()
            })
        };
        self.acked.retain(|digest, id| held(digest, id));
        if self.below(2) == 0 {
            self.start(hub);
        }
    }

    fn clone_disk(&mut self, of: usize) {
        self.cloned = true;
        let at = self.world.hubs.len();
        self.say(format!("clone {of} as {at}"));
        let store = self.store(of);
        self.world.hubs.push(None);
        self.world.stores.push(store);
        if self.below(2) == 0 {
            self.world.unplug(at);
        }
        self.start(at);
    }

    fn pull(&mut self) {
        if let Some(at) = self.running() {
            self.say(format!("the client asks {at}"));
            self.pull_from(at);
        }
    }

    fn pull_from(&mut self, at: usize) {
        while let Some(Ok(response)) = self.world.try_sync(at, self.cursor.clone(), Vec::new()) {
            self.take(&response);
            if response.cursor.is_none() {
                break;
            }
        }
    }

    fn take(&mut self, response: &SyncResponse) {
        for change in &response.changes {
            for map in change.entity.iter().chain(&change.relationships) {
                let text = |key: &str| map[key].as_text().unwrap().to_owned();
                self.seen.insert((
                    Id::new(&text("id")).unwrap(),
                    Version::new(&text("version")).unwrap(),
                ));
            }
        }
        self.cursor = cursor(response);
    }

    fn version(&mut self) -> Version {
        self.names += 1;
        let now = self.world.clock_now().wall.0;
        let time = match self.below(12) {
            0 => 0,
            1 => 100_000_000_000_000_000,
            2..=4 => {
                let few = self.below(6);
                return Version::new(&format!("v-{few}")).unwrap();
            }
            _ => now - 5_000_000 + self.below(10_000_000) as u64,
        };
        Version::new(&format!("{}-{:06}-alice", Micros(time), self.names)).unwrap()
    }

    fn record(&mut self, at: usize) -> Record {
        let id = IDS[self.below(IDS.len())];
        let edge = match id {
            "l0" | "l1" => true,
            "x" => self.below(2) == 0,
            _ => false,
        };
        let from = Id::new(if id == "l0" { "d0" } else { "d1" }).unwrap();
        let kind = if edge {
            Kind::Relationship {
                to: Id::new(["r0", "r1"][self.below(2)]).unwrap(),
                from: from.clone(),
                relationship_type: if id == "x" { "connects_to" } else { "located_in" }.into(),
            }
        } else {
            let entity_type = match id {
                "r0" => "room",
                "n0" => "note",
                "x" => ["device", "room"][self.below(2)],
                _ => "device",
            };
            Kind::Entity {
                entity_type: entity_type.into(),
                name: [None, Some("a".to_owned()), Some("b".to_owned())][self.below(3)].clone(),
                source_type: None,
            }
        };
        let mut content = Map::new();
        for key in ["a", "b", "c"] {
            match self.below(5) {
                0 => {}
                1 => drop(content.insert(key.into(), Value::Map(Map::from([("d".into(), Value::Int(1))])))),
                n => drop(content.insert(key.into(), Value::Int(n as i64))),
            }
        }
        let mut parents = self.parents(at, id, edge);
        parents.sort();
        parents.dedup();
        let record = Record {
            id: if edge && id != "x" {
                Id::single(&from, "located_in")
            } else {
                Id::new(id).unwrap()
            },
            version: self.version(),
            kind,
            user_id: Some("alice".into()),
            parents,
            deleted: self.below(8) == 0,
            content,
            extra: Map::new(),
        };
        self.made.entry(id).or_default().push(record.clone());
        record
    }

    fn parents(&mut self, at: usize, id: &'static str, edge: bool) -> Vec<Parent> {
        let full = match id {
            "l0" => Id::single(&Id::new("d0").unwrap(), "located_in"),
            "l1" => Id::single(&Id::new("d1").unwrap(), "located_in"),
            _ => Id::new(id).unwrap(),
        };
        let hub = self.world.hubs[at].as_ref().unwrap();
        let shown = read::one(&hub.store.snapshot(), &hub.policy, &full, !edge).unwrap();
        let made = self.made.get(id).cloned().unwrap_or_default();
        let name = |version: &str, digest: Option<Digest>| Parent {
            version: Version::new(version).unwrap(),
            digest,
        };
        let of = |record: &Record| Some(Sealed::new(record.clone()).digest);
        match (self.below(20), shown) {
            (0..=6, Some(shown)) => {
                let digests = shown.head_digests.iter().map(|digest| Digest::parse(digest));
                shown
                    .heads
                    .iter()
                    .zip(digests)
                    .map(|(version, digest)| name(version, digest))
                    .collect()
            }
            (7 | 8, Some(shown)) => shown.heads.iter().map(|version| name(version, None)).collect(),
            (9..=11, Some(shown)) => {
                let map = shown.entity.or(shown.relationship).unwrap();
                vec![name(map["version"].as_text().unwrap(), None)]
            }
            (12 | 13, _) if !made.is_empty() => (0..1 + self.below(2))
                .map(|_| &made[self.below(made.len())])
                .map(|record| name(record.version.as_str(), of(record)))
                .collect(),
            (14 | 15, _) if !made.is_empty() => (0..1 + self.below(2))
                .map(|_| name(made[self.below(made.len())].version.as_str(), None))
                .collect(),
            (16, _) => vec![name(&format!("v-{}", self.below(6)), None)],
            _ => Vec::new(),
        }
    }

    fn push(&mut self) {
        let Some(at) = self.running() else { return };
        let sets: Vec<ChangeSet> = (0..1 + self.below(2))
            .map(|_| support::set((0..1 + self.below(4)).map(|_| self.record(at)).collect()))
            .collect();
        // Parents may come after their children, and to another hub.
        let mut sets = sets;
        if self.below(3) == 0 {
            sets.reverse();
        }
        for set in &mut sets {
            if self.below(3) == 0 {
                set.records.reverse();
            }
        }
        self.push_to(at, &sets);
        if self.below(4) == 0
            && let Some(other) = self.running()
        {
            self.push_to(other, &sets);
        }
    }

    fn push_to(&mut self, at: usize, sets: &[ChangeSet]) {
        let names: Vec<String> = sets
            .iter()
            .map(|set| {
                let names = set
                    .records
                    .iter()
                    .map(|s| format!("{}@{:?}", s.record.id, s.digest));
                names.collect::<Vec<_>>().join("+")
            })
            .collect();
        self.say(format!("push {} to {at}", names.join(", ")));
        let Some(answer) = self.world.try_sync(at, Clock::new(), sets.to_vec()) else {
            self.say("  no answer".to_owned());
            let all = sets.iter().flat_map(|set| &set.records);
            all.for_each(|sealed| drop(self.refused.remove(&sealed.digest)));
            return;
        };
        let Ok(answer) = answer else {
            self.say("  refused".to_owned());
            return;
        };
        let applied: BTreeSet<(&str, &str)> = answer
            .applied
            .iter()
            .chain(&answer.applied_relationships)
            .map(|row| (row.id.as_str(), row.version.as_str()))
            .collect();
        let refused: BTreeSet<&str> = answer.rejected.iter().map(|row| row.id.as_str()).collect();
        for set in sets {
            let all = |test: &dyn Fn(&Sealed) -> bool| set.records.iter().all(|sealed| test(sealed));
            let landed = all(&|s| applied.contains(&(s.record.id.as_str(), s.record.version.as_str())));
            if landed && !all(&|s| refused.contains(s.record.id.as_str())) {
                for sealed in &set.records {
                    self.acked.insert(sealed.digest, sealed.record.id.clone());
                }
            }
        }
        if !answer.rejected.is_empty() {
            let text = format!(
                "  rejected {:?}",
                answer.rejected.iter().map(|r| &r.code).collect::<Vec<_>>()
            );
            self.say(text);
        }
    }

    fn heal(&mut self) {
        self.say("heal".to_owned());
        self.world.crash = None;
        for at in 0..self.world.hubs.len() {
            self.world.plug(at);
            self.start(at);
        }
        let equal = |world: &World| (1..world.hubs.len()).all(|at| world.clock(at) == world.clock(0));
        for _ in 0..12 {
            self.world.run(Duration::from_secs(10));
            if equal(&self.world) {
                break;
            }
        }
        for at in 1..self.world.hubs.len() {
            assert_eq!(
                self.world.clock(0),
                self.world.clock(at),
                "the clocks of 0 and {at}"
            );
        }
        // Rest: nothing is written by itself, and little is said.
        let before = (self.world.clock(0), self.world.frames);
        self.world.run(Duration::from_secs(60));
        assert_eq!(self.world.clock(0), before.0, "a quiet minute");
        let hubs = self.world.hubs.len();
        let said = self.world.frames - before.1;
        assert!(
            said < 150 * hubs * hubs,
            "{said} frames in a quiet minute of {hubs} hubs"
        );
    }

    fn check(&mut self) {
        let stores: Vec<MemorySnapshot> = (0..self.world.hubs.len())
            .map(|at| self.world.hub(at).store.snapshot())
            .collect();
        for (digest, id) in &self.acked {
            for (at, store) in stores.iter().enumerate() {
                let row = store.get(Family::Records, &record_key(id, digest)).unwrap();
                assert!(
                    row.is_some(),
                    "{id}@{digest:?} was acknowledged and is not at {at}"
                );
            }
        }
        check::all_alike(&self.world);
        // A life of which nothing is left anywhere is "not yet" until somebody tells the client otherwise.
        let all = self.world.clock(0);
        self.cursor = self
            .cursor
            .iter()
            .filter(|(of, _)| all.sequence(of) > 0)
            .map(|(of, point)| (*of, *point))
            .collect();
        // Where a log went back unnoticed, only its own hub can tell the client so.
        (0..self.world.hubs.len()).for_each(|at| self.pull_from(at));
        self.pull_from(0);
        assert_eq!(self.cursor, self.world.clock(0), "the client's clock");
        for row in check::records(&stores[0]).values() {
            let record = Record::from_stored(&row.record).unwrap();
            assert!(
                self.seen.contains(&(record.id.clone(), record.version.clone())),
                "the client never saw {} {}",
                record.id,
                record.version
            );
        }
    }
}
