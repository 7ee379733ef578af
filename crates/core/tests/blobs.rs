//! Blobs arrive whole, from everywhere, however often the line is cut; what is not what it should be is noticed and left.

mod support;

use std::time::Duration;

use inbetweenies_core::blob::{BlobId, CHUNK_BYTES};
use inbetweenies_core::node::Mail;
use inbetweenies_core::record::Record;
use inbetweenies_core::rng::Rng;
use inbetweenies_core::store::{Family, OfBlob, Store, blob_key, read_held, read_ref, scan_prefix};
use inbetweenies_core::transfer::{Fetching, Input};
use inbetweenies_core::value::Value;
use support::{World, check, device};

const SOON: Duration = Duration::from_secs(5);

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, 77);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.draw().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A thing that refers to a blob.
fn photo(name: &str, id: BlobId, size: usize) -> Record {
    let mut record = device(name, "02.000001", &[], &[("size", size as i64)]);
    let text = |text: &str| Value::Text(text.to_owned());
    record.content.insert("blob_id".to_owned(), text(&id.to_string()));
    record.content.insert("file_name".to_owned(), text("boiler.jpeg"));
    record
}

fn whole(world: &World, at: usize, id: BlobId) -> bool {
    let store = world.hub(at).store.snapshot();
    read_held(&store, &id).unwrap().is_some_and(|held| held.whole)
}

#[test]
fn blobs_of_every_size_reach_every_hub_that_wants_them() {
    let mut world = World::new(3);
    const MIB: usize = CHUNK_BYTES;
    let sizes = [
        0,
        1,
        4_096,
        256 << 10,
        (256 << 10) + 1,
        MIB - 1,
        MIB,
        MIB + 1,
        5 * MIB + 7,
    ];
    let mut brought = Vec::new();
    for (n, size) in sizes.into_iter().enumerate() {
        let bytes = if n % 2 == 0 {
            noise(size, n as u64)
        } else {
            vec![n as u8; size]
        };
        let (id, durable) = world.bring(n % 2, &bytes);
        assert!(durable, "{size} bytes");
        world.push(n % 2, photo(&format!("photo-{n}"), id, size));
        brought.push((id, bytes));
    }
    world.run(SOON * 2);
    for at in 0..3 {
        for (id, bytes) in &brought {
            assert!(
                world.read_blob(at, *id).as_ref() == Some(bytes),
                "hub {at}, {} bytes",
                bytes.len()
            );
        }
        assert_eq!(world.hub(at).blobs.held, brought.len() as u64);
        assert_eq!(world.hub(at).blobs.wanted, 0);
        assert_eq!(world.hub(at).blobs.bad_chunks, 0);
    }
    check::all_alike(&world);
    let row = read_ref(&world.hub(2).store.snapshot(), &brought[1].0)
        .unwrap()
        .unwrap();
    assert_eq!(
        (row.of_type.as_str(), row.file_name.as_deref()),
        ("device", Some("boiler.jpeg"))
    );
}

#[test]
fn the_record_may_come_before_the_bytes_or_after() {
    let mut world = World::new(2);
    let bytes = noise(3 * CHUNK_BYTES, 1);
    world.push(1, photo("first", BlobId::of(&bytes), bytes.len()));
    world.run(SOON);
    let (id, _) = world.bring(0, &bytes);
    world.run(SOON);
    assert!(whole(&world, 1, id), "it was waited for");
    let (other, _) = world.bring(1, b"few");
    world.run(SOON);
    assert!(!whole(&world, 0, other), "nobody refers to it");
    world.push(0, photo("second", other, 3));
    world.run(SOON);
    assert!(whole(&world, 0, other));
}

/// Of each cut connection at most one chunk comes twice, and nothing that was verified.
#[test]
fn cuts_cost_no_chunk_that_had_come() {
    let mut world = World::new(2);
    world.transfer.window_bytes_max = 2 * CHUNK_BYTES;
    let bytes = noise(12 * CHUNK_BYTES, 2);
    let (id, _) = world.bring(0, &bytes);
    world.lose = Some((1, "blob_chunks"));
    world.push(0, photo("photo", id, bytes.len()));
    world.run(SOON);
    assert_eq!(world.hub(1).blobs.taken_chunks, 0);
    for _ in 0..4 {
        world.unplug(1);
        world.run(SOON);
        world.plug(1);
        world.run(SOON);
    }
    world.lose = None;
    world.unplug(1);
    world.run(SOON);
    world.plug(1);
    world.run(SOON * 4);
    assert!(world.read_blob(1, id) == Some(bytes));
    assert_eq!(world.hub(1).blobs.taken_chunks, 12);
}

/// The process ends in the midst: what was verified and written is found again, synced or not; what a power cut took is
/// fetched.
#[test]
fn a_start_goes_on_from_what_lies_there() {
    let mut world = World::new(2);
    world.transfer.sync_bytes = 3 << 20;
    let bytes = noise(10 * CHUNK_BYTES, 3);
    let (id, _) = world.bring(0, &bytes);
    world.push(0, photo("photo", id, bytes.len()));
    // A few chunks come, then the lines are lost.
    let mut before = 0;
    while world.hub(1).blobs.taken_chunks < 4 {
        before += 1;
        assert!(before < 1_000);
        world.run(Duration::from_millis(1));
        if world.hub(1).blobs.taken_chunks > 0 {
            world.lose = Some((1, "blob_chunks"));
            break;
        }
    }
    world.run(SOON);
    let taken = world.hub(1).blobs.taken_chunks;
    world.kill(1);
    world.lose = None;
    world.start(1);
    world.run(SOON * 3);
    assert!(world.read_blob(1, id) == Some(bytes.clone()));
    let again = world.hub(1).blobs.taken_chunks;
    assert_eq!(taken + again, 10, "nothing that was written came twice");
    // All that a disk lost without a word is noticed by whoever reads, and fetched again.
    world.files[1].rot(id, 4);
    assert!(world.read_blob(1, id).is_none());
    world.post(1, Mail::Transfer(Input::Damaged { id, index: 4 }));
    world.run(SOON * 2);
    assert!(world.read_blob(1, id) == Some(bytes));
    assert_eq!(world.hub(1).blobs.taken_chunks, again + 1);
}

/// Nobody reads an old photo for years. It is read all the same, and what its disk has lost comes from another hub.
#[test]
fn what_rots_unread_is_found_and_fetched_again() {
    let mut world = World::new(2);
    world.transfer.check_period = Duration::from_secs(1_000);
    (0..2).for_each(|at| {
        world.stop(at);
        world.start(at);
    });
    let bytes = noise(10 * CHUNK_BYTES, 8);
    let (id, _) = world.bring(0, &bytes);
    world.push(0, photo("photo", id, bytes.len()));
    let (few, _) = world.bring(0, b"few");
    world.push(0, photo("other", few, 3));
    world.run(SOON * 2);
    world.files[1].rot(id, 3);
    world.files[1].spoil(id, 4);
    // A hub that runs a minute at a time comes to the end of a pass too: where it was is kept.
    let (mut damaged, mut checked) = (0, 0);
    for _ in 0..12 {
        world.run(Duration::from_secs(60));
        damaged += world.hub(1).blobs.damaged_chunks;
        checked += world.hub(1).blobs.checked_chunks;
        world.stop(1);
        world.start(1);
    }
    assert_eq!(damaged, 2);
    assert!((11..=24).contains(&checked), "{checked}");
    assert!(world.read_blob(1, id) == Some(bytes));
    assert!(world.read_blob(1, few) == Some(b"few".to_vec()));
    // Then it rests until the next pass is due, and finds what has rotted since.
    world.files[1].rot(id, 9);
    world.run(Duration::from_secs(2_000));
    let told = world.hub(1).blobs.clone();
    assert_eq!((told.wanted, told.damaged_chunks), (0, 1), "{told:?}");
    assert!((11..=33).contains(&told.checked_chunks), "{told:?}");
    assert_eq!(world.hub(0).blobs.damaged_chunks, 0);
}

/// A sector goes bad under a chunk: whoever asks is told that it is not there, and takes it from another hub; this hub goes on,
/// and takes it anew.
#[test]
fn a_chunk_that_cannot_be_read_costs_nobody_more_than_that_chunk() {
    let mut world = World::new(3);
    world.unplug(2);
    let bytes = noise(6 * CHUNK_BYTES, 9);
    let (id, _) = world.bring(0, &bytes);
    world.push(0, photo("photo", id, bytes.len()));
    world.run(SOON * 2);
    (0..6).for_each(|index| world.files[index as usize % 2].spoil(id, index));
    world.plug(2);
    world.run(SOON * 120);
    for at in 0..3 {
        assert!(world.read_blob(at, id) == Some(bytes.clone()), "hub {at}");
    }
    let damaged: u64 = (0..2).map(|at| world.hub(at).blobs.damaged_chunks).sum();
    assert!(damaged > 0);
}

/// Two chunks of a blob are met damaged before the first is written down: both come again, at once.
#[test]
fn damage_that_is_met_at_once_is_mended_at_once() {
    let mut world = World::new(2);
    let bytes = noise(5 * CHUNK_BYTES, 11);
    let (id, _) = world.bring(0, &bytes);
    world.push(0, photo("photo", id, bytes.len()));
    world.run(SOON * 2);
    let before = world.hub(1).blobs.taken_chunks;
    for index in [1, 3, 4] {
        world.files[1].rot(id, index);
        world.post(1, Mail::Transfer(Input::Damaged { id, index }));
    }
    world.run(SOON * 2);
    assert_eq!(world.hub(1).blobs.taken_chunks, before + 3);
    assert!(world.read_blob(1, id) == Some(bytes));
}

/// A hub that keeps a blob because another has let it go has lost a part of it, and starts again: it does not wait until
/// somebody reads.
#[test]
fn who_keeps_a_blob_for_others_takes_what_it_lost_again() {
    let mut world = World::new(4);
    world.transfer.fetching = Fetching::Pinned;
    (0..4).for_each(|at| {
        world.stop(at);
        world.start(at);
    });
    world.run(SOON);
    let bytes = noise(3 * CHUNK_BYTES, 10);
    let (id, _) = world.bring(0, &bytes);
    world.push(0, photo("photo", id, bytes.len()));
    world.run(SOON);
    for at in 1..4 {
        world.post(at, Mail::Transfer(Input::Demand { id, from: 0 }));
    }
    world.run(SOON * 2);
    world.transfer.budget = Some(1);
    world.stop(3);
    world.start(3);
    world.transfer.budget = None;
    world.run(SOON * 30);
    assert!(!whole(&world, 3, id), "it is let go");
    (0..3).for_each(|at| world.unplug(at));
    for at in 0..3 {
        world.files[at].rot(id, at as u32);
        world.post(at, Mail::Transfer(Input::Damaged { id, index: at as u32 }));
        world.run(SOON);
        world.kill(at);
        world.start(at);
    }
    (0..3).for_each(|at| world.plug(at));
    world.run(SOON * 10);
    let store = |at: usize| world.hub(at).store.snapshot();
    let promised = |at: usize| {
        let mut found = false;
        let prefix = blob_key(OfBlob::Promise, &id);
        scan_prefix(&store(at), Family::Blobs, &prefix, &mut |_, _| {
            found = true;
            true
        })
        .unwrap();
        found
    };
    let keepers: Vec<usize> = (0..3).filter(|at| promised(*at)).collect();
    assert!(keepers.len() >= 2, "{keepers:?}");
    for at in keepers {
        assert!(whole(&world, at, id), "hub {at}");
    }
}

#[test]
fn what_three_rotten_disks_hold_together_arrives_whole() {
    let mut world = World::new(4);
    let bytes = noise(16 * CHUNK_BYTES, 4);
    world.unplug(3);
    let (id, _) = world.bring(0, &bytes);
    world.push(0, photo("photo", id, bytes.len()));
    world.run(SOON * 2);
    // The disks of all three have rotted, each in other places: what they send of those does not verify.
    (0..16).for_each(|index| world.files[index as usize % 3].rot(id, index));
    world.plug(3);
    world.run(SOON * 600);
    assert!(world.read_blob(3, id) == Some(bytes.clone()));
    let told = &world.hub(3).blobs;
    assert!((1..=8).contains(&told.bad_chunks), "{told:?}");
    assert!(told.taken_chunks <= 16 + told.bad_chunks, "{told:?}");
    // Who was told of a bad chunk looked, and took it again from the others.
    let mended: u64 = (0..3).map(|at| world.hub(at).blobs.bad_chunks).sum();
    assert!(mended > 0);
}

#[test]
fn what_is_garbled_on_the_way_is_asked_of_another() {
    let mut world = World::new(3);
    world.unplug(2);
    let bytes = noise(4 * CHUNK_BYTES, 5);
    let (id, _) = world.bring(0, &bytes);
    world.push(0, photo("photo", id, bytes.len()));
    world.run(SOON * 2);
    world.garble = Some((2, 1));
    world.plug(2);
    world.run(SOON * 6);
    assert!(world.read_blob(2, id) == Some(bytes));
    assert_eq!(world.hub(2).blobs.bad_chunks, 1);
}

#[test]
fn a_hub_that_fetches_on_demand_does_so_when_somebody_reads() {
    let mut world = World::new(1);
    world.transfer.fetching = Fetching::Pinned;
    world.transfer.pin_types = vec!["room".to_owned()];
    world.hubs.push(None);
    world.stores.push(Default::default());
    world.files.push(Default::default());
    world.chunk_bytes.push(0);
    world.start(1);
    world.run(SOON * 2);
    let bytes = noise(3 * CHUNK_BYTES, 6);
    let (id, _) = world.bring(0, &bytes);
    let (pinned, _) = world.bring(0, b"pinned");
    world.push(0, photo("photo", id, bytes.len()));
    let mut room = photo("room", pinned, 6);
    if let inbetweenies_core::record::Kind::Entity { entity_type, .. } = &mut room.kind {
        *entity_type = "room".to_owned();
    }
    world.push(0, room);
    world.run(SOON * 4);
    assert!(whole(&world, 1, pinned) && !whole(&world, 1, id));
    world.post(1, Mail::Transfer(Input::Demand { id, from: 1 }));
    world.run(SOON);
    assert!(world.read_blob(1, id) == Some(bytes));
}

/// A hub lets go only what two others have promised to keep, and they do not let it go while it relies on them.
#[test]
fn over_its_budget_a_hub_lets_go_what_two_others_keep() {
    let mut world = World::new(3);
    world.transfer.budget = Some(3_000);
    world.hubs.push(None);
    world.stores.push(Default::default());
    world.files.push(Default::default());
    world.chunk_bytes.push(0);
    world.start(3);
    world.run(SOON);
    let mut ids = Vec::new();
    for n in 0..6_u64 {
        let bytes = noise(1_000, 100 + n);
        let (id, _) = world.bring(3, &bytes);
        world.push(3, photo(&format!("photo-{n}"), id, bytes.len()));
        ids.push((id, bytes));
    }
    world.run(Duration::from_secs(120));
    let told = world.hub(3).blobs.clone();
    assert!(told.bytes <= 3_000 && told.evicted >= 3, "{told:?}");
    let gone = ids.iter().find(|(id, _)| !whole(&world, 3, *id)).unwrap().clone();
    let holders: Vec<usize> = (0..3).filter(|at| whole(&world, *at, gone.0)).collect();
    assert_eq!(holders.len(), 3);
    let promises = |world: &World, at: usize| {
        let store = world.hub(at).store.snapshot();
        let mut found = 0;
        let prefix = blob_key(OfBlob::Promise, &gone.0);
        scan_prefix(&store, Family::Blobs, &prefix, &mut |_, _| {
            found += 1;
            true
        })
        .unwrap();
        found
    };
    assert!((0..3).map(|at| promises(&world, at)).sum::<usize>() >= 2);
    // Somebody reads it there: it comes back, and the others are released.
    world.post(3, Mail::Transfer(Input::Demand { id: gone.0, from: 0 }));
    world.run(SOON);
    assert!(world.read_blob(3, gone.0) == Some(gone.1));
    assert_eq!((0..3).map(|at| promises(&world, at)).sum::<usize>(), 0);
    check::all_alike(&world);
}

#[test]
fn what_nothing_refers_to_goes_after_a_while_and_what_is_referred_to_never() {
    let mut world = World::keeping(2, Some(Duration::from_secs(60)));
    world.transfer.unreferenced_min = Duration::from_secs(30);
    (0..2).for_each(|at| {
        world.stop(at);
        world.start(at);
    });
    let large = noise(2 * CHUNK_BYTES, 7);
    let (lost, _) = world.bring(0, &large);
    let (kept, _) = world.bring(0, b"kept");
    world.push(0, photo("photo", kept, 4));
    world.run(SOON);
    // Replaced: the blob of the version before is referred to as long as its content is.
    let now = (world.now.as_secs() / 60) * 10 + 1;
    let old = photo("photo", kept, 4);
    let mut next = device(
        "photo",
        &format!("{:02}.{now:06}", world.now.as_secs() % 60),
        &[&old],
        &[],
    );
    next.content.clear();
    world.push(0, next);
    world.run(Duration::from_secs(45));
    assert!(!whole(&world, 0, lost), "nothing refers to it");
    assert_eq!(world.files[0].chunks().count(), 0, "its bytes are gone");
    assert!(whole(&world, 0, kept) && whole(&world, 1, kept));
    world.run(Duration::from_secs(300));
    let store = world.hub(0).store.snapshot();
    assert!(
        read_ref(&store, &kept).unwrap().is_none(),
        "its content is forgotten"
    );
    assert!(!whole(&world, 0, kept) && !whole(&world, 1, kept));
}
