//! Anti-entropy, told as stories: what a disk loses or invents behind a hub's back is noticed, found and mended.

mod support;

use std::time::Duration;

use inbetweenies_core::id::HubId;
use inbetweenies_core::merkle;
use inbetweenies_core::node::Mail;
use inbetweenies_core::record::Record;
use inbetweenies_core::rng::Rng;
use inbetweenies_core::store::{
    Commit, FORMAT, Family, LogRow, META_KEY, RecordRow, Snapshot, Store, Write, decode_row, encode_row,
    read_meta,
};
use inbetweenies_core::time::Micros;
use inbetweenies_core::wire::{Half, TreeMessage, WireClock, WireLeaves, WireNode};
use serde_bytes::ByteBuf;
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

/// Entries whose bytes are others than they were: they name what is not there, or do not read at all.
#[test]
fn entries_that_a_log_tells_otherwise_are_put_right() {
    for seed in 0..6 {
        let mut world = home(20);
        world.stop(1);
        let mut rng = Rng::new(seed, 5);
        let mut writes = Vec::new();
        for key in drawn(&world, 1, Family::Log, 1 + seed as usize, seed) {
            let row = world.stores[1]
                .snapshot()
                .get(Family::Log, &key)
                .unwrap()
                .unwrap();
            let mut row: LogRow = decode_row(Family::Log, &row).unwrap();
            let at = rng.below(row.entry.len());
            row.entry[at] ^= 1 << rng.below(7);
            writes.push((Family::Log, key, Some(encode_row(&row))));
        }
        meddle(&mut world, 1, writes);
        world.start(1);
        world.run(SOON);
        verify(&mut world, 1, None);
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

/// Damages as a disk does, drawn.
fn rot(world: &mut World, at: usize, rng: &mut Rng) {
    let family = [Family::Records, Family::Records, Family::Log, Family::Merkle][rng.below(4)];
    let keys = keys(world, at, family);
    let Some(key) = keys.get(rng.below(keys.len().max(1))).cloned() else {
        return;
    };
    let store = world.stores[at].snapshot();
    let row = decode_row::<RecordRow>(family, &store.get(family, &key).unwrap().unwrap()).ok();
    let write = match (row, rng.below(3)) {
        (Some(mut row), 0) => {
            row.order_time = Micros(row.order_time.0 + 1);
            (family, key, Some(encode_row(&row)))
        }
        (Some(row), 1) => {
            let mut other = key;
            *other.last_mut().unwrap() ^= 0x80;
            (family, other, Some(encode_row(&row)))
        }
        _ => (family, key, None),
    };
    meddle(world, at, vec![write]);
}

/// Whatever one disk does, with edits and restarts in between, as long as others hold what it had.
#[test]
fn random_damage_of_one_disk_is_mended() {
    for seed in 0..6 {
        let mut rng = Rng::new(seed, 3);
        let mut world = home(8 + rng.below(40) as i64);
        world.merkle.interval = Duration::from_secs(20);
        world.merkle.check_period = Duration::from_secs(40);
        for round in 0..3 {
            world.stop(1);
            for _ in 0..1 + rng.below(12) {
                rot(&mut world, 1, &mut rng);
            }
            world.start(1);
            world.run(Duration::from_secs(rng.below(10) as u64));
            world.push(
                0,
                device(
                    &format!("while-{round}"),
                    "05.000001",
                    &[],
                    &[("seed", seed as i64)],
                ),
            );
            world.run(Duration::from_secs(rng.below(40) as u64));
            // What it has not mended yet it must have, before more goes that others would have to give.
            world.run(SOON * 48);
        }
        check::all_alike(&world);
    }
}

/// A hub that answers nonsense costs its peers a comparison, never a record and never an end.
#[test]
fn nonsense_from_a_peer_changes_nothing() {
    for seed in 0..10 {
        let mut rng = Rng::new(seed, 9);
        let mut world = home(20);
        let before: Vec<_> = keys_of(&world, 0);
        let links: Vec<_> = world.links_of(0);
        for _ in 0..200 {
            let link = links[rng.below(links.len())];
            let message = nonsense(&mut rng, &world);
            world.post(0, Mail::Merkle(merkle::Input::Message { link, message }));
            if rng.below(8) == 0 {
                world.post(0, Mail::Merkle(merkle::Input::Verify { hub_id: None }));
            }
            if rng.below(4) == 0 {
                world.run(Duration::from_millis(rng.below(3_000) as u64));
            }
            for gauge in inbetweenies_core::machine::Machine::gauges(&world.hub(0).merkle) {
                assert!(gauge.now <= gauge.bound, "{gauge:?}");
            }
        }
        world.run(SOON * 24);
        assert_eq!(before, keys_of(&world, 0), "seed {seed}");
        check::all_alike(&world);
    }
}

fn keys_of(world: &World, at: usize) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let mut note = |key: &[u8], _: &[u8]| {
        keys.push(key.to_vec());
        true
    };
    let store = world.hub(at).store.snapshot();
    store.scan(Family::Records, &[], None, &mut note).unwrap();
    keys
}

/// Any message, with parts that fit where that makes it worse.
fn nonsense(rng: &mut Rng, world: &World) -> TreeMessage {
    let half = |rng: &mut Rng| {
        if rng.below(2) == 0 {
            merkle::clock_hash(&world.clock(rng.below(3)))
        } else {
            Half([rng.draw() as u8; 16])
        }
    };
    let bytes = |rng: &mut Rng, most: usize| {
        let len = rng.below(most);
        ByteBuf::from((0..len).map(|_| rng.draw() as u8).collect::<Vec<u8>>())
    };
    let clock = |rng: &mut Rng| WireClock::of(&world.clock(rng.below(3)));
    match rng.below(13) {
        0 => TreeMessage::Key {
            key: None,
            ask: rng.below(2) == 0,
        },
        1 => TreeMessage::Roots {
            clock: half(rng),
            root: half(rng),
        },
        2 => TreeMessage::Equal {
            clock: half(rng),
            root: half(rng),
        },
        3 => TreeMessage::Clocks { clock: clock(rng) },
        4 => TreeMessage::Meet {
            clock: clock(rng),
            root: half(rng),
        },
        5 => TreeMessage::Few {
            at: half(rng),
            root: half(rng),
            syndromes: bytes(rng, 120),
        },
        6 => TreeMessage::Cells {
            at: half(rng),
            root: half(rng),
            from: rng.below(300) as u32,
            cells: bytes(rng, 400),
            about: Some(rng.draw() % 1_000_000),
        },
        7 => TreeMessage::More {
            at: half(rng),
            from: rng.draw() as u32,
            counters: bytes(rng, 300),
        },
        8 | 9 => TreeMessage::Nodes {
            at: half(rng),
            answer: rng.below(2) == 0,
            nodes: (0..rng.below(5))
                .map(|_| {
                    WireNode(
                        rng.below(8) as u8,
                        rng.draw() as u32 & 0xfff,
                        rng.draw() as u16,
                        bytes(rng, 70),
                    )
                })
                .collect(),
            leaves: (0..rng.below(5))
                .map(|_| WireLeaves(rng.below(8) as u8, rng.draw() as u32 & 0xfff, bytes(rng, 200)))
                .collect(),
        },
        10 => TreeMessage::Want {
            at: half(rng),
            leaves: bytes(rng, 200),
        },
        11 => TreeMessage::Took { mended: rng.draw() },
        _ => [TreeMessage::Later, TreeMessage::Again, TreeMessage::Doubt][rng.below(3)].clone(),
    }
}

/// A store of the format before, whose records did not stand by position and which knew of no tree.
#[test]
fn a_store_of_the_format_before_is_brought_up_to_date() {
    let mut world = home(20);
    world.stop(1);
    let store = world.stores[1].snapshot();
    let mut writes: Vec<Write> = Vec::new();
    for key in keys(&world, 1, Family::Records) {
        let row = store.get(Family::Records, &key).unwrap();
        writes.push((Family::Records, key[3..].to_vec(), row));
        writes.push((Family::Records, key, None));
    }
    for key in keys(&world, 1, Family::Merkle) {
        writes.push((Family::Merkle, key, None));
    }
    let mut meta = read_meta(&store).unwrap().unwrap();
    (meta.format, meta.journal, meta.leaves) = (2, 0, [0; 32]);
    writes.push((Family::Meta, META_KEY.to_vec(), Some(encode_row(&meta))));
    meddle(&mut world, 1, writes);
    world.start(1);
    world.run(SOON * 6);
    world.push(1, device("after", "05.000001", &[], &[("n", 1)]));
    world.run(SOON);
    check::all_alike(&world);
    assert_eq!(
        read_meta(&world.hub(1).store.snapshot()).unwrap().unwrap().format,
        FORMAT
    );
}

/// Nearly everything is gone: what is cheaper than naming it all is taking it all again.
#[test]
fn a_store_that_lost_nearly_everything_takes_it_all_again() {
    let mut world = World::new(2);
    for page in 0..5 {
        let records = (0..500).map(|n| device(&format!("thing-{page}-{n}"), "02.000001", &[], &[("n", n)]));
        world
            .sync(
                0,
                inbetweenies_core::clock::Clock::new(),
                vec![support::set(records.collect())],
            )
            .unwrap();
    }
    world.run(SOON * 4);
    let lost = 2_400;
    world.stop(1);
    let writes = drawn(&world, 1, Family::Records, lost, 3);
    let writes = writes
        .into_iter()
        .map(|key| (Family::Records, key, None))
        .collect();
    meddle(&mut world, 1, writes);
    world.start(1);
    world.run(SOON);
    verify(&mut world, 1, None);
    assert_eq!(keys_of(&world, 0), keys_of(&world, 1));
    assert_eq!(
        world.hub(0).root.as_ref().unwrap().root,
        world.hub(1).root.as_ref().unwrap().root
    );
    check::check_tree(&world, 1);
}
