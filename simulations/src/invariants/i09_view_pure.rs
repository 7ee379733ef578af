//! I9: what is shown of an id depends on its versions alone: not on the order in which they came, nor how often.

use std::collections::BTreeSet;

use inbetweenies_core::hash::Digest;
use inbetweenies_core::machine::load_graph;
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::store::{End, Family, IdRow, edge_key, id_key, type_key};
use inbetweenies_core::view::{Graph, Node, view};

use super::rows::{by_id, keys, rows};
use super::{Invariant, Violation, at};
use crate::chance::Stream;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct ViewPure;

impl Invariant for ViewPure {
    fn id(&self) -> &'static str {
        "I9"
    }

    fn promise(&self) -> &'static str {
        "what is shown of a thing does not depend on the order in which its versions came"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::End = seen else { return Ok(()) };
        let hub = 0;
        let disk = world.hubs[hub].disk.image().snapshot();
        let Some(process) = &world.hubs[hub].process else {
            return Ok(());
        };
        let kept = rows::<IdRow>(&disk, Family::Ids);
        let mut listed = BTreeSet::new();
        let mut chance = Stream::Checks.of(world.plan.seed);
        for id in by_id(&disk).keys() {
            let Ok(graph) = load_graph(&disk, id) else {
                continue;
            };
            let expected = view(&graph, &process.policy);
            let nodes: Vec<Node> = graph.nodes().cloned().collect();
            for _ in 0..4 {
                let mut shuffled = nodes.clone();
                for last in (1..shuffled.len()).rev() {
                    shuffled.swap(last, chance.below(last + 1));
                }
                let twice = chance.below(shuffled.len());
                shuffled.push(shuffled[twice].clone());
                if view(&Graph::build(shuffled), &process.policy) != expected {
                    return at(
                        hub,
                        format!("shows {id} otherwise when its versions come in another order"),
                    );
                }
            }
            // The row that lists are read from is what the versions give when they are looked at anew.
            let heads: Vec<Digest> = graph.heads().iter().map(|head| head.sealed.digest).collect();
            let row = kept.get(&id_key(id));
            let queued = expected.as_ref().is_some_and(|view| view.queued);
            if row.is_none_or(|row| row.heads != heads || row.queued != queued) {
                return at(hub, format!("keeps of {id} another state than its versions give"));
            }
            listed.extend(expected.iter().flat_map(|view| places(&view.record)));
        }
        let of = |family| keys(&disk, family).into_iter().map(move |key| (family, key));
        let kept: BTreeSet<(Family, Vec<u8>)> = of(Family::Types).chain(of(Family::Edges)).collect();
        if let Some((family, _)) = kept.symmetric_difference(&listed).next() {
            return at(
                hub,
                format!("lists other {} than its things' versions give", family.name()),
            );
        }
        Ok(())
    }
}

/// Where a thing is listed.
fn places(record: &Record) -> Vec<(Family, Vec<u8>)> {
    match &record.kind {
        _ if record.deleted => Vec::new(),
        Kind::Entity { entity_type, .. } => vec![(Family::Types, type_key(entity_type, &record.id))],
        Kind::Relationship {
            from,
            to,
            relationship_type,
        } => [(from, End::From), (to, End::To)]
            .map(|(entity, end)| {
                (
                    Family::Edges,
                    edge_key(entity, end, relationship_type, &record.id),
                )
            })
            .into(),
    }
}
