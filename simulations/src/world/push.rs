//! What a script pushes: change sets of every kind, good and odd, on top of what it saw somewhere or of nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use inbetweenies_client::wire::Exchange;
use inbetweenies_core::clock::Clock;
use inbetweenies_core::conflict::read;
use inbetweenies_core::domain::CONTENT;
use inbetweenies_core::entry::Sealed;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Id, Version};
use inbetweenies_core::record::{Kind, Parent, Record};
use inbetweenies_core::rng::Rng;
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::wire::SyncType;

use super::{World, clock::START};
use crate::chance::Stream;
use crate::plan::Lane;
use crate::swarm::fitting;
use crate::watch::Seen;

/// What scripts write about. The first are shared with what people edit.
const THINGS: [&str; 8] = [
    "lamp", "heater", "room-a", "note-1", "edge-a", "edge-b", "mixed", "door",
];

/// What scripts have made so far, by thing.
pub type Made = BTreeMap<&'static str, Vec<Record>>;

struct Script<'w> {
    world: &'w World,
    hub: usize,
    chance: Rng,
    /// Which values are written where a rule decides: drawn beside the rest.
    values: Rng,
    made: &'w mut Made,
    number: u64,
    count: u64,
}

impl World {
    /// A script pushes sets to a hub, and perhaps the same to another.
    pub(super) fn push(&mut self, hub: usize, other: Option<usize>, number: u64, made: &mut Made) {
        if self.hubs[hub].process.is_none() {
            return;
        }
        let chance = Stream::Event(number).of(self.plan.seed);
        let sets = Script {
            world: self,
            hub,
            chance,
            values: Stream::Values(number).of(self.plan.seed),
            made,
            number,
            count: 0,
        }
        .sets();
        let things: std::collections::BTreeSet<&str> = sets
            .iter()
            .flatten()
            .map(|sealed| sealed.record.id.as_str())
            .collect();
        let things = things.into_iter().collect::<Vec<_>>().join(", ");
        let also = other.map_or_else(String::new, |other| {
            format!(" and then to {}", self.hubs[other].name)
        });
        self.saw(&Seen::Action {
            lane: Lane::Hub(hub),
            text: &format!(
                "is pushed {} change sets about {things} by a script{also}",
                sets.len()
            ),
        });
        self.issued(&sets);
        let body = request(sets);
        for hub in [Some(hub), other].into_iter().flatten() {
            self.call(None, hub, body.clone());
        }
    }

    /// Tells who watches that a script made these sets.
    pub(super) fn issued(&mut self, sets: &[Vec<Arc<Sealed>>]) {
        for set in sets {
            self.saw(&Seen::Issued {
                client: None,
                records: set,
            });
        }
    }
}

/// The body with which a script pushes sets, and asks for all that a hub holds.
pub fn request(sets: Vec<Vec<Arc<Sealed>>>) -> Vec<u8> {
    let clock = Clock::new();
    let exchange = Exchange {
        device_id: "script",
        user_id: "script",
        sync_type: SyncType::Delta,
        clock: &clock,
        sets,
        heads_only: false,
    };
    exchange.encode()
}

impl Script<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.chance.below(bound)
    }

    fn sets(mut self) -> Vec<Vec<Arc<Sealed>>> {
        let mut sets = Vec::new();
        for _ in 0..1 + self.below(2) {
            let mut set: Vec<Arc<Sealed>> = (0..1 + self.below(4))
                .map(|_| Arc::new(Sealed::new(self.record())))
                .collect();
            // Parents may come after their children.
            if self.below(3) == 0 {
                set.reverse();
            }
            sets.push(set);
        }
        if self.below(3) == 0 {
            sets.reverse();
        }
        if self.below(4) == 0 {
            self.share(&mut sets);
        }
        sets
    }

    /// One set has a record that was made before: it stood in another set, and may be known where this one comes.
    fn share(&mut self, sets: &mut [Vec<Arc<Sealed>>]) {
        let things: Vec<&str> = self.made.keys().copied().collect();
        let made = &self.made[things[self.chance.below(things.len())]];
        let shared = Arc::new(Sealed::new(made[self.chance.below(made.len())].clone()));
        let at = self.chance.below(sets.len());
        if sets[at].iter().all(|sealed| sealed.digest != shared.digest) {
            sets[at].push(shared);
        }
    }

    fn version(&mut self) -> Version {
        self.count += 1;
        let now = START.0 + self.world.now.as_micros() as u64;
        let time = match self.below(12) {
            0 => 0,
            1 => 100_000_000_000_000_000,
            2..=4 => {
                let few = self.below(6);
                return named(&format!("v-{few}"));
            }
            _ => now.saturating_sub(5_000_000) + self.below(10_000_000) as u64,
        };
        named(&format!(
            "{}-{:04}{:02}-script",
            Micros(time),
            self.number,
            self.count
        ))
    }

    fn record(&mut self) -> Record {
        let thing = THINGS[self.below(THINGS.len())];
        let edge = match thing {
            "edge-a" | "edge-b" => true,
            "mixed" => self.below(2) == 0,
            _ => false,
        };
        let id = full(thing);
        let kind = if edge {
            let to = ["room-a", "room-b"][self.below(2)];
            Kind::Relationship {
                from: ident(if thing == "edge-a" { "lamp" } else { "heater" }),
                to: ident(to),
                relationship_type: if thing == "mixed" {
                    "connects_to"
                } else {
                    "located_in"
                }
                .to_owned(),
            }
        } else {
            let entity_type = match thing {
                "room-a" => "room",
                "note-1" => "note",
                "mixed" => ["device", "room"][self.below(2)],
                _ => "device",
            };
            Kind::Entity {
                entity_type: entity_type.to_owned(),
                name: [None, Some("a".to_owned()), Some("b".to_owned())][self.below(3)].clone(),
                source_type: None,
            }
        };
        let mut content = Map::new();
        for key in ["a", "b", "c"] {
            match self.below(5) {
                0 => {}
                1 => {
                    let nested = Map::from([("d".to_owned(), Value::Int(1))]);
                    content.insert(key.to_owned(), Value::Map(nested));
                }
                n => drop(content.insert(key.to_owned(), Value::Int(n as i64))),
            }
        }
        self.fit(&kind, &mut content);
        let mut parents = self.parents(thing, edge);
        parents.sort();
        parents.dedup();
        let record = Record {
            id,
            version: self.version(),
            kind,
            user_id: Some("script".to_owned()),
            parents,
            deleted: self.below(8) == 0,
            content,
            extra: Map::new(),
        };
        self.made.entry(thing).or_default().push(record.clone());
        record
    }

    /// Where a rule decides a field, it says what the rule fits, mostly.
    fn fit(&mut self, kind: &Kind, content: &mut Map) {
        let domain = &self.world.plan.domain;
        let name = match kind {
            Kind::Entity { entity_type, .. } => entity_type,
            Kind::Relationship {
                relationship_type, ..
            } => relationship_type,
        };
        for (key, value) in content {
            let mut path = vec![CONTENT.to_owned(), key.clone()];
            let value = match value {
                Value::Map(map) => match map.iter_mut().next() {
                    Some((inside, value)) => {
                        path.push(inside.clone());
                        value
                    }
                    None => continue,
                },
                value => value,
            };
            let rule = domain.rule(name, &path);
            if let Some(fitting) = rule.and_then(|rule| fitting(&mut self.values, rule)) {
                *value = fitting;
            }
        }
    }

    fn parents(&mut self, thing: &'static str, edge: bool) -> Vec<Parent> {
        let hub = &self.world.hubs[self.hub];
        let policy = hub.process.as_ref().map(|process| process.policy.clone());
        let shown = policy
            .and_then(|policy| read::one(&hub.disk.reader(), &policy, &full(thing), !edge, None).ok()?);
        let made = self.made.get(thing).cloned().unwrap_or_default();
        let name = |version: &str, digest: Option<Digest>| Parent {
            version: named(version),
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
                let map = shown.entity.or(shown.relationship);
                let version = map.as_ref().and_then(|map| map.get("version")?.as_text());
                version.map(|version| name(version, None)).into_iter().collect()
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
}

fn ident(text: &str) -> Id {
    Id::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn named(text: &str) -> Version {
    Version::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What a thing is called: an edge of which there is one has its own id.
fn full(thing: &str) -> Id {
    match thing {
        "edge-a" => Id::single(&ident("lamp"), "located_in"),
        "edge-b" => Id::single(&ident("heater"), "located_in"),
        other => ident(other),
    }
}
