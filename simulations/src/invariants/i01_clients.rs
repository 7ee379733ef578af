//! I1 for clients: one that has read as far as its hub holds and shows the same of everything.

use std::collections::BTreeSet;

use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::Dot;
use inbetweenies_core::machine::load_view;
use inbetweenies_core::reconcile::{Filter, digest};
use inbetweenies_core::time::Micros;

use super::rows::{by_id, records};
use super::{Invariant, Violation};
use crate::plan::Lane;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct Clients;

impl Invariant for Clients {
    fn id(&self) -> &'static str {
        "I1"
    }

    fn promise(&self) -> &'static str {
        "a client that holds as much as its hub holds and shows the same of everything"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::End => (0..world.clients.len()).try_for_each(|client| same(world, client)),
            _ => Ok(()),
        }
    }
}

fn same(world: &World, client: usize) -> Result<(), Violation> {
    let (replica, hub) = (
        &world.clients[client].replica,
        world.clients[client].at.unwrap_or(0),
    );
    let broken = |text: String| {
        Err(Violation {
            lane: Some(Lane::Client(client)),
            text,
        })
    };
    let name = world.name_of(Lane::Hub(hub));
    let disk = world.hubs[hub].disk.image().snapshot();
    let theirs: BTreeSet<(Digest, Vec<Dot>, Micros)> = records(&disk)
        .into_iter()
        .map(|held| (held.digest, held.row.dots, held.row.order_time))
        .collect();
    let ours: BTreeSet<(Digest, Vec<Dot>, Micros)> = replica
        .all()
        .map(|held| {
            (
                held.sealed.digest,
                held.stamps.keys().copied().collect(),
                held.order_time(),
            )
        })
        .collect();
    if let Some((digest, ..)) = theirs.difference(&ours).next() {
        return broken(format!(
            "holds {} of the {} records of {name}; {} is one that it has not, or stamped otherwise",
            ours.intersection(&theirs).count(),
            theirs.len(),
            digest.short()
        ));
    }
    if let Some((digest, ..)) = ours.difference(&theirs).next() {
        let held = replica.all().find(|held| held.sealed.digest == *digest);
        let what = held.map(|held| {
            let record = &held.sealed.record;
            format!(
                "{} {} {:?} in {} logs",
                record.id,
                record.version,
                record.entity_type(),
                held.stamps.len()
            )
        });
        return broken(format!("holds {}, and {name} does not", what.unwrap_or_default()));
    }
    let (_, theirs) = match digest(&disk, &Filter::default()) {
        Ok(told) => told,
        Err(error) => return broken(format!("{name} cannot tell what it holds: {error}")),
    };
    if replica.state_digest(&|_| true).1 != theirs {
        return broken(format!("works out another state digest than {name}"));
    }
    let policy = replica.policy();
    for id in by_id(&disk).keys() {
        if load_view(&disk, &policy, id).ok().flatten() != replica.view(id, &policy) {
            return broken(format!("shows {id} otherwise than {name}"));
        }
    }
    Ok(())
}
