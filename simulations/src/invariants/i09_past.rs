//! I9: what is read of an instant is what its records alone give, under the policy of then, whenever they came: views,
//! lists, and what changed between two instants.
//!
//! A sample: most of it at the end, where hubs hold the same and must answer the same.

use std::collections::BTreeMap;

use inbetweenies_core::conflict::read::{self, Shown};
use inbetweenies_core::domain::{Manifest, POLICY_ID, is_reserved};
use inbetweenies_core::id::Id;
use inbetweenies_core::machine::{load_graph, load_policy, load_view_at};
use inbetweenies_core::record::Kind;
use inbetweenies_core::rng::Rng;
use inbetweenies_core::store::{MemorySnapshot, trailing_id};
use inbetweenies_core::time::Micros;
use inbetweenies_core::view::{Graph, Node, Policy, View, view};

use super::model::{Fields, fields};
use super::rows::{Held, by_id, heads, hubs};
use super::{Invariant, Violation, at, between};
use crate::chance::Stream;
use crate::plan::Lane;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// Ids that a sample in the midst of a run looks at.
const IDS: usize = 2;
/// Instants of such a sample, and of the end.
const INSTANTS: usize = 3;
/// Hubs that are asked at the end beside the first.
const HUBS: usize = 2;
/// Things of a page: few, so that there are several.
const PAGE: usize = 3;

/// See the file.
pub struct Past;

impl Invariant for Past {
    fn id(&self) -> &'static str {
        "I9"
    }

    fn promise(&self) -> &'static str {
        "what is read of an instant is what the records of then give under the policy of then, whenever they came"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        // Without the home's rules there are no kinds to ask for.
        if !world.rotten.is_empty() {
            return Ok(());
        }
        let mut chance = Stream::Past(world.now.as_micros() as u64).of(world.plan.seed);
        match seen {
            Seen::Sample => {
                let hub = chance.below(world.hubs.len());
                if world.hubs[hub].disk.is_damaged() {
                    return Ok(());
                }
                some_views(world, hub, &mut chance)
            }
            Seen::End => at_the_end(world, &mut chance),
            _ => Ok(()),
        }
    }
}

/// A few views of a hub in the midst of its work.
fn some_views(world: &World, hub: usize, chance: &mut Rng) -> Result<(), Violation> {
    let disk = world.hubs[hub].disk.image().snapshot();
    let Ok(policy) = load_policy(&disk) else {
        return Ok(());
    };
    // Those of several records: of one there is little to tell.
    let several: Vec<Id> = heads(&disk)
        .into_iter()
        .filter(|(_, row)| row.records > 1)
        .filter_map(|(key, _)| trailing_id(&key, 0))
        .collect();
    for _ in 0..IDS.min(several.len()) {
        let id = &several[chance.below(several.len())];
        let Ok(graph) = load_graph(&disk, id) else {
            continue;
        };
        let times: Vec<Micros> = graph.nodes().map(|node| node.order_time).collect();
        for _ in 0..INSTANTS {
            let instant = near(times[chance.below(times.len())], chance);
            let expected = view(&until(&graph, instant), &policy_at(&disk, instant));
            if load_view_at(&disk, &policy, id, instant).ok().flatten() != expected {
                return at(
                    hub,
                    format!("shows {id} otherwise than its versions until {instant} give"),
                );
            }
        }
    }
    Ok(())
}

type Ids = BTreeMap<Id, Vec<Held>>;
type State = BTreeMap<Id, View>;

/// An instant, or just before it, or just after.
fn near(Micros(exact): Micros, chance: &mut Rng) -> Micros {
    match chance.below(4) {
        0 => Micros(exact.saturating_sub(1)),
        1 => Micros(exact).next(),
        _ => Micros(exact),
    }
}

/// The records of an id until an instant, by themselves.
fn until(graph: &Graph, instant: Micros) -> Graph {
    let then = graph.nodes().filter(|node| node.order_time <= instant).cloned();
    // What a horizon lets go was worked out of all of them already.
    Graph::build(then.map(|node| Node {
        below: Vec::new(),
        ..node
    }))
}

/// The policy of an instant: the newest that had been written by then.
fn policy_at(disk: &MemorySnapshot, instant: Micros) -> Policy {
    let Ok(id) = Id::new(POLICY_ID) else {
        return Policy::default();
    };
    let graph = until(&load_graph(disk, &id).unwrap_or_default(), instant);
    let newest = graph.heads().into_iter().max_by_key(|node| node.rank()).cloned();
    newest.map_or_else(Policy::default, |node| Policy {
        manifest: Manifest::from_content(&node.sealed.record.content)
            .unwrap_or_else(|_| Manifest::unreadable()),
        short: node.sealed.digest.short(),
        ..Policy::default()
    })
}

/// All that should be shown of an instant: what is not deleted and not the home's own business.
fn state(disk: &MemorySnapshot, ids: &Ids, instant: Micros) -> State {
    let policy = policy_at(disk, instant);
    let shown = ids.keys().filter_map(|id| {
        let view = view(&until(&load_graph(disk, id).ok()?, instant), &policy)?;
        let own = view.record.entity_type().is_some_and(is_reserved);
        (!view.record.deleted && !own).then(|| (id.clone(), view))
    });
    shown.collect()
}

fn at_the_end(world: &World, chance: &mut Rng) -> Result<(), Violation> {
    let disk = world.hubs[0].disk.image().snapshot();
    let ids = by_id(&disk);
    let all: Vec<&Id> = ids.keys().collect();
    if all.is_empty() {
        return Ok(());
    }
    let mut instants: Vec<Micros> = (0..INSTANTS)
        .map(|_| {
            let versions = &ids[all[chance.below(all.len())]];
            near(versions[chance.below(versions.len())].row.order_time, chance)
        })
        .collect();
    instants.sort();
    let states: Vec<State> = instants
        .iter()
        .map(|instant| state(&disk, &ids, *instant))
        .collect();
    // The first, and some of the others: all hold the same, and lists are kept by each for itself.
    let mut asked = vec![0];
    asked.extend((0..HUBS.min(world.hubs.len() - 1)).map(|_| 1 + chance.below(world.hubs.len() - 1)));
    asked.dedup();
    for hub in asked {
        let disk = world.hubs[hub].disk.image().snapshot();
        let Some(process) = &world.hubs[hub].process else {
            continue;
        };
        let asked = Asked {
            hub,
            disk: &disk,
            policy: &process.policy,
        };
        for (instant, state) in instants.iter().zip(&states) {
            asked.views(&ids, *instant, state)?;
            asked.lists(*instant, state, chance)?;
        }
        for pair in 0..INSTANTS {
            let (from, to) = (pair, (pair + 1) % INSTANTS);
            asked.diff((instants[from], &states[from]), (instants[to], &states[to]))?;
        }
    }
    hubs(world).skip(1).try_for_each(|hub| same_policies(world, hub))
}

/// What policies hubs know decides what they say of the past.
fn same_policies(world: &World, hub: usize) -> Result<(), Violation> {
    let policy = |hub: usize| {
        world.hubs[hub]
            .process
            .as_ref()
            .map(|process| process.policy.clone())
    };
    match (policy(0), policy(hub)) {
        (Some(one), Some(other)) if one != other => between(format!(
            "{} and {} hold the same and know other policies of some instant",
            world.name_of(Lane::Hub(0)),
            world.name_of(Lane::Hub(hub))
        )),
        _ => Ok(()),
    }
}

/// A hub that is asked about the past.
struct Asked<'w> {
    hub: usize,
    disk: &'w MemorySnapshot,
    policy: &'w Policy,
}

impl Asked<'_> {
    fn broken<T>(&self, text: impl Into<String>) -> Result<T, Violation> {
        at(self.hub, text)
    }

    fn views(&self, ids: &Ids, instant: Micros, state: &State) -> Result<(), Violation> {
        for id in ids.keys() {
            let shown = load_view_at(self.disk, self.policy, id, instant).ok().flatten();
            let own = |view: &View| view.record.entity_type().is_some_and(is_reserved);
            let shown = shown.filter(|view| !view.record.deleted && !own(view));
            if shown.as_ref() != state.get(id) {
                return self.broken(format!(
                    "shows {id} otherwise than its versions until {instant} give"
                ));
            }
        }
        Ok(())
    }

    /// Lists have exactly what the views show: all, those of a type, those around a thing.
    fn lists(&self, instant: Micros, state: &State, chance: &mut Rng) -> Result<(), Violation> {
        let kinds = [None, Some("device"), Some("room"), Some("note")];
        let kind = kinds[chance.below(kinds.len())];
        let things = state.values().filter(|view| {
            let of = view.record.entity_type();
            of.is_some() && kind.is_none_or(|kind| of == Some(kind))
        });
        let mut listed = self.entities(kind, instant);
        listed.sort_by(|a, b| map_id(a).cmp(&map_id(b)));
        self.compare(listed, things, || {
            format!("lists of {} of {instant}", kind.unwrap_or("all types"))
        })?;
        let things: Vec<&Id> = state
            .values()
            .filter(|view| view.record.is_entity())
            .map(|view| &view.record.id)
            .collect();
        let around = match things.len() {
            0 => None,
            len => Some(things[chance.below(len)]).filter(|_| chance.below(3) > 0),
        };
        let kind = [None, Some("located_in"), Some("connects_to")][chance.below(3)];
        let edges = state.values().filter(|view| match &view.record.kind {
            Kind::Entity { .. } => false,
            Kind::Relationship {
                from,
                to,
                relationship_type,
            } => {
                around.is_none_or(|around| from == around || to == around)
                    && kind.is_none_or(|kind| relationship_type == kind)
            }
        });
        let listed = self.relationships(around, kind, instant);
        self.compare(listed, edges, || {
            let around = around.map_or("everything", Id::as_str);
            format!("lists of what is around {around} of {instant}")
        })
    }

    fn compare<'v>(
        &self,
        listed: Vec<Shown>,
        expected: impl Iterator<Item = &'v View>,
        what: impl Fn() -> String,
    ) -> Result<(), Violation> {
        let expected: Vec<Shown> = expected.map(Shown::of).collect();
        if listed == expected {
            return Ok(());
        }
        let ids = |shown: &[Shown]| shown.iter().filter_map(map_id).collect::<Vec<_>>().join(", ");
        self.broken(format!(
            "{}: gives {}; the views show {}",
            what(),
            ids(&listed),
            ids(&expected)
        ))
    }

    fn entities(&self, kind: Option<&str>, instant: Micros) -> Vec<Shown> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = read::entities(
                self.disk,
                self.policy,
                kind,
                Some(instant),
                cursor.as_deref(),
                PAGE,
            );
            let Ok(page) = page else { return all };
            all.extend(page.items.entities);
            cursor = page.cursor;
            if cursor.is_none() {
                return all;
            }
        }
    }

    fn relationships(&self, around: Option<&Id>, kind: Option<&str>, instant: Micros) -> Vec<Shown> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let (disk, at) = (self.disk, Some(instant));
            let page = read::relationships(disk, self.policy, around, kind, at, cursor.as_deref(), PAGE);
            let Ok(page) = page else { return all };
            all.extend(page.items.relationships);
            cursor = page.cursor;
            if cursor.is_none() {
                return all;
            }
        }
    }

    /// What changed, applied to the one state, gives the other: whole, and field by field.
    fn diff(&self, from: (Micros, &State), to: (Micros, &State)) -> Result<(), Violation> {
        let text = |state: &State| -> BTreeMap<String, Shown> {
            let shown = state.iter().map(|(id, view)| (id.to_string(), Shown::of(view)));
            shown.collect()
        };
        // How several heads would become one is nothing that changed of a thing that has one.
        let same = |a: Option<&Shown>, b: Option<&Shown>| match (a, b) {
            (Some(a), Some(b)) => {
                let strategy = b.strategy;
                Shown {
                    strategy,
                    ..a.clone()
                } == *b
            }
            _ => a == b,
        };
        let (mut state, expected) = (text(from.1), text(to.1));
        let mut cursor: Option<Id> = None;
        loop {
            let page = read::diff(self.disk, self.policy, from.0, to.0, cursor.as_ref(), PAGE);
            let Ok(page) = page else {
                return self.broken(format!("cannot tell what changed from {} to {}", from.0, to.0));
            };
            for row in page.changes {
                let before = state.remove(&row.id);
                let told = |what: &str| format!("from {} to {}: {what} of {}", from.0, to.0, row.id);
                if before != row.before {
                    return self.broken(told("another state before the change"));
                }
                let of = |state: &State| {
                    let view = Id::new(&row.id).ok().and_then(|id| state.get(&id).cloned());
                    view.map_or_else(Fields::new, |view| fields(&view.record))
                };
                let mut said = of(from.1);
                for field in row.fields {
                    let before = match field.after {
                        Some(after) => said.insert(field.field, after),
                        None => said.remove(&field.field),
                    };
                    if before != field.before {
                        return self.broken(told("another value before the change"));
                    }
                }
                if said != of(to.1) {
                    return self.broken(told("other fields after the change"));
                }
                state.extend(row.after.map(|after| (row.id.clone(), after)));
            }
            cursor = page.cursor.and_then(|cursor| Id::new(&cursor).ok());
            if cursor.is_none() {
                break;
            }
        }
        let differ = |id: &&String| !same(state.get(*id), expected.get(*id));
        match state.keys().chain(expected.keys()).find(differ) {
            Some(id) => self.broken(format!(
                "what changed from {} to {} does not lead from the one state to the other: {id}",
                from.0, to.0
            )),
            None => Ok(()),
        }
    }
}

fn map_id(shown: &Shown) -> Option<&str> {
    let map = shown.entity.as_ref().or(shown.relationship.as_ref());
    map.and_then(|map| map.get("id")?.as_text())
}
