//! I23: recovering twice is recovering once: a crash in the midst of it costs nothing and begins nothing.

use std::time::Duration;

use inbetweenies_core::machine::Machine;
use inbetweenies_core::storage::{Output, Storage};
use inbetweenies_core::store::read_meta;

use super::rows::records;
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen, is_hubs_own};
use crate::world::{Disk, World, storage_settings};

/// See the file.
pub struct Recovery;

impl Invariant for Recovery {
    fn id(&self) -> &'static str {
        "I23"
    }

    fn promise(&self) -> &'static str {
        "a hub that is cut off in its recovery recovers to the same state"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Started { hub } = seen else {
            return Ok(());
        };
        let mut disk = Disk::of(world.hubs[*hub].disk.image().clone());
        if world.hubs[*hub].disk.is_damaged() {
            return Ok(());
        }
        let before = own(&disk);
        if recover(world, *hub, &mut disk, 1).is_none() {
            return Ok(());
        }
        let once = own(&disk);
        if recover(world, *hub, &mut disk, 2).is_none() {
            return Ok(());
        }
        let twice = own(&disk);
        if once.0.iter().any(|digest| !before.0.contains(digest))
            || before.0.iter().any(|d| !once.0.contains(d))
        {
            return at(*hub, "recovery changes what people wrote");
        }
        if once != twice {
            return at(
                *hub,
                format!(
                    "a second recovery does more: life {} after life {}",
                    twice.1, once.1
                ),
            );
        }
        Ok(())
    }
}

/// What people wrote, and the life.
fn own(disk: &Disk) -> (Vec<inbetweenies_core::hash::Digest>, u64) {
    let snapshot = disk.image().snapshot();
    let people = records(&snapshot)
        .into_iter()
        .filter(|held| !is_hubs_own(held.record.entity_type()));
    let life = read_meta(&snapshot).ok().flatten().map_or(0, |meta| meta.life);
    (people.map(|held| held.digest).collect(), life)
}

/// Opens the store and makes its first commit durable, and no more.
fn recover(world: &World, hub: usize, disk: &mut Disk, seed: u64) -> Option<()> {
    let of = &world.hubs[hub];
    let settings = storage_settings(&of.name, of.address, of.founds, &world.plan, [seed, seed]);
    let marks = disk.image().marks.clone();
    let reader = disk.reader();
    let mut storage = Storage::open(settings, &reader, &marks).ok()?;
    let mut out = Vec::new();
    storage
        .step(world.now_at(hub), &reader, Vec::new(), &mut out)
        .ok()?;
    drop(reader);
    for output in out {
        if let Output::Commit(commit) = output {
            disk.commit(Duration::ZERO, &commit).ok()?;
        }
    }
    Some(())
}
