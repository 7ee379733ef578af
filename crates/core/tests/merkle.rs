//! Anti-entropy, told as stories: what a disk loses or invents behind a hub's back is noticed, found and mended.

mod support;

use std::time::Duration;

use inbetweenies_core::id::HubId;
use inbetweenies_core::merkle;
use inbetweenies_core::node::Mail;
use inbetweenies_core::record::Record;
use inbetweenies_core::rng::Rng;
use inbetweenies_core::store::{Commit, Family, RecordRow, Snapshot, Store, Write, decode_row, encode_row};
use inbetweenies_core::time::Micros;
use support::{World, check, device};

const SOON: Duration = Duration::from_secs(5);

fn keys(world: &World, at: usize, family: Family) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let mut note = |key: &[u8], _: &[u8]| {
        keys.push(key.to_vec());
        true
    };
    world.stores[at]
        .snapshot()
        .scan(family, &[], None, &mut note)
        .unwrap();
    keys
}

fn meddle(world: &mut World, at: usize, writes: Vec<Write>) {
    let commit = Commit {
        writes,
        ..Commit::default()
    };
    world.stores[at].commit(&commit).unwrap();
}

/// A home of three hubs with some things in it, a few of them edited.
fn home(things: i64) -> World {
    let mut world = World::new(3);
    for n in 0..things {
        let id = format!("thing-{n}");
        let first: Record = device(&id, "02.000001", &[], &[("n", n)]);
        world.push((n % 3) as usize, first.clone());
        if n % 3 == 0 {
            world.push(
                (n % 2) as usize,
                device(&id, "03.000001", &[&first], &[("n", n + 1)]),
            );
        }
    }
    world.run(SOON * 2);
    check::all_alike(&world);
    world
}

/// Some rows of a family of one hub, drawn.
fn drawn(world: &World, at: usize, family: Family, count: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut keys = keys(world, at, family);
    let mut rng = Rng::new(seed, 7);
    (0..count.min(keys.len()))
        .map(|_| keys.swap_remove(rng.below(keys.len())))
        .collect()
}

fn verify(world: &mut World, at: usize, hub_id: Option<HubId>) {
    world.post(at, Mail::Merkle(merkle::Input::Verify { hub_id }));
    world.run(SOON * 24);
}

#[test]
fn hubs_that_hold_the_same_prove_it_and_say_so_in_a_few_bytes() {
    let mut world = home(12);
    (0..3).for_each(|at| world.hubs[at].as_mut().unwrap().compared.clear());
    let (frames, bytes) = (world.frames, world.bytes);
    verify(&mut world, 0, None);
    let proofs = &world.hub(0).compared;
    assert!(
        proofs.len() >= 2 && proofs.iter().all(|proof| proof.equal && proof.found == 0),
        "{proofs:?}"
    );
    assert!(proofs.iter().all(|proof| proof.clock == world.clock(0)));
    assert!(world.frames > frames && world.bytes > bytes);
}

#[test]
fn records_that_a_disk_loses_come_back_from_peers() {
    for (seed, lost) in [(1, 1), (2, 7), (3, 40), (4, 10_000)] {
        let mut world = home(40);
        world.stop(1);
        let writes = drawn(&world, 1, Family::Records, lost, seed);
        let lost = writes.len();
        let writes = writes
            .into_iter()
            .map(|key| (Family::Records, key, None))
            .collect();
        meddle(&mut world, 1, writes);
        world.start(1);
        world.run(SOON);
        verify(&mut world, 1, None);
        check::all_alike(&world);
        let mended: u64 = world
            .hub(1)
            .compared
            .iter()
            .map(|comparison| comparison.mended_here)
            .sum();
        assert!(mended >= 1 && mended <= 2 * lost as u64, "{mended} of {lost}");
    }
}

#[test]
fn records_that_a_disk_changes_or_invents_are_put_right() {
    let mut world = home(20);
    world.stop(2);
    let mut writes = Vec::new();
    for (n, key) in drawn(&world, 2, Family::Records, 9, 5).into_iter().enumerate() {
        let store = world.stores[2].snapshot();
        let row = store.get(Family::Records, &key).unwrap().unwrap();
        let mut row: RecordRow = decode_row(Family::Records, &row).unwrap();
        match n % 3 {
            0 => row.order_time = Micros(row.order_time.0 - 77),
            1 => *row.record.last_mut().unwrap() ^= 1,
            _ => {
                // Another record's name over it: nothing in the log knows it.
                let mut other = key.clone();
                *other.last_mut().unwrap() ^= 1;
                writes.push((Family::Records, other, Some(encode_row(&row))));
                continue;
            }
        }
        writes.push((Family::Records, key, Some(encode_row(&row))));
    }
    meddle(&mut world, 2, writes);
    world.start(2);
    world.run(SOON);
    verify(&mut world, 2, None);
    verify(&mut world, 2, None);
    check::all_alike(&world);
}

#[test]
fn entries_that_a_log_loses_come_back_from_peers() {
    for seed in 0..6 {
        let mut world = home(20);
        world.stop(1);
        let writes = drawn(&world, 1, Family::Log, 1 + seed as usize, seed);
        let writes = writes.into_iter().map(|key| (Family::Log, key, None)).collect();
        meddle(&mut world, 1, writes);
        world.start(1);
        world.run(SOON);
        // Somebody asks for what the log should have.
        world
            .sync(1, inbetweenies_core::clock::Clock::new(), Vec::new())
            .unwrap();
        world.run(SOON * 60);
        check::all_alike(&world);
    }
}

#[test]
fn a_home_whose_writing_never_stops_is_compared_all_the_same() {
    let mut world = home(30);
    world.stop(1);
    let writes = drawn(&world, 1, Family::Records, 5, 11);
    let writes = writes
        .into_iter()
        .map(|key| (Family::Records, key, None))
        .collect();
    meddle(&mut world, 1, writes);
    world.start(1);
    world.post(1, Mail::Merkle(merkle::Input::Verify { hub_id: None }));
    for n in 0..200 {
        world.push(
            (n % 2 * 2) as usize,
            device(&format!("more-{n}"), "04.000001", &[], &[("n", n)]),
        );
        world.run(Duration::from_millis(150));
    }
    world.run(SOON * 12);
    check::all_alike(&world);
}

/// A restart reads what was kept and the end of the journal, and no records.
#[test]
fn a_restart_goes_on_with_the_tree_that_was() {
    let mut world = home(30);
    for at in 0..3 {
        let root = world.hub(at).root.clone().unwrap();
        assert!(root.root.is_some());
        world.kill(at);
        world.start(at);
        assert!(!world.hub(at).merkle.mirror().is_rebuilding());
        world.run(SOON);
    }
    check::all_alike(&world);
}
