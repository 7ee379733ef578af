//! I11: a hub's root is that of its records; equal roots mean equal records and stamps, and the other way round.

use inbetweenies_core::hash::Digest;
use inbetweenies_core::merkle::mirror::Mirror;
use inbetweenies_core::store::{MemorySnapshot, Snapshot, read_meta};

use super::rows::hubs;
use super::{Invariant, Violation, at, between};
use crate::plan::Lane;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct Merkle;

impl Invariant for Merkle {
    fn id(&self) -> &'static str {
        "I11"
    }

    fn promise(&self) -> &'static str {
        "a hub's root is that of its records, kept up or built anew; hubs with one clock have one root"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Sample => {
                let some = oracle.entries() as usize % world.hubs.len();
                check(world, some).map(|_| ())
            }
            Seen::End => {
                let mut first: Option<(usize, Digest)> = None;
                for hub in hubs(world) {
                    let Some(root) = check(world, hub)? else {
                        return at(hub, "has no root in the end");
                    };
                    let (one, of) = first.get_or_insert((hub, root));
                    if *of != root {
                        return between(format!(
                            "{} and {} hold the same change sets, and their roots differ",
                            world.name_of(Lane::Hub(*one)),
                            world.name_of(Lane::Hub(hub))
                        ));
                    }
                }
                Ok(())
            }
            // Where nothing rots, what is compared differs in nothing.
            Seen::Notice {
                hub,
                notice: inbetweenies_core::node::Notice::Compared(comparison),
            } if !oracle.may_go_back() && !oracle.has_rotted() && comparison.found > 0 => {
                at(*hub, "finds a difference where no disk has rotted")
            }
            _ => Ok(()),
        }
    }
}

/// Holds what a hub keeps up against what its disk gives, built anew another way.
fn check(world: &World, hub: usize) -> Result<Option<Digest>, Violation> {
    let Some(process) = &world.hubs[hub].process else {
        return Ok(None);
    };
    if world.hubs[hub].disk.is_damaged() || world.rotten.contains(&hub) {
        return Ok(None);
    }
    let disk = world.hubs[hub].disk.image().snapshot();
    let mut kept = process.merkle.mirror().clone();
    if kept.catch_up(&disk).is_err() || !kept.is_ready() {
        return Ok(None);
    }
    let built = build(world, &disk);
    if built.as_ref().and_then(Mirror::root) != kept.root() {
        let told = |mirror: &Mirror| {
            format!(
                "{:?} of {} leaves",
                mirror.root().map(|root| root.short()),
                mirror.plain().0
            )
        };
        let there = built.as_ref().map_or_else(|| "none".to_owned(), told);
        return at(
            hub,
            format!(
                "its root is not that of its records: {} and not {there}",
                told(&kept)
            ),
        );
    }
    let plain = kept.plain();
    if let Ok(Some(meta)) = read_meta(&disk)
        && (meta.records, meta.leaves) != (plain.0, plain.1.to_bytes())
    {
        return at(
            hub,
            "the sum that it keeps for clients is not that of its records",
        );
    }
    Ok(kept.root())
}

/// All records, some buckets after the other.
fn build(world: &World, disk: &MemorySnapshot) -> Option<Mirror> {
    let mut mirror = Mirror::open(2, world.plan.tuning.tree_cells, disk as &dyn Snapshot).ok()?;
    mirror.rebuild();
    while let Some(from) = mirror.frontier() {
        mirror.read_strip(disk, from, 64).ok()?;
    }
    Some(mirror)
}
