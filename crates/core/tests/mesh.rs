//! The promises of a mesh, told as short stories on the core's own machines.

mod support;

use std::time::Duration;

use inbetweenies_core::clock::{Causality, Clock};
use inbetweenies_core::storage::Event;
use inbetweenies_core::value::Value;
use inbetweenies_core::wire::Outcome;
use support::{World, cursor, device, set};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn three_hubs_share_a_home_and_every_edit() {
    let mut world = World::new(3);
    let home = world.hub(0).identity.home_id;
    assert!(home.is_some());
    for at in 1..3 {
        assert_eq!(world.hub(at).identity.home_id, home, "hub {at} has joined");
    }
    for at in 0..3 {
        world.push(at, device(&format!("d{at}"), "02.000001", &[], &[("watts", 1)]));
    }
    world.run(Duration::from_millis(10));
    world.assert_equal(&["d0", "d1", "d2"]);
    assert!(
        world.shown(2, "d0").is_some(),
        "pushed at once, not at the next round"
    );
}

#[test]
fn a_set_pushed_twice_or_to_two_hubs_takes_effect_once() {
    let mut world = World::new(3);
    let lamp = device("lamp", "02.000001", &[], &[("watts", 1)]);
    let first = world.push(0, lamp.clone());
    assert_eq!(first.applied[0].outcome, Outcome::Durable);
    let again = world.push(0, lamp.clone());
    assert_eq!(again.applied[0].outcome, Outcome::Known);
    world.unplug(2);
    world.push(2, lamp);
    world.plug(2);
    world.run(SOON * 4);
    world.assert_equal(&["lamp"]);
    assert_eq!(world.shown(1, "lamp").unwrap().heads.len(), 1);
    assert_eq!(world.hub(1).storage.totals().entities, 1);
}

#[test]
fn different_fields_merge_and_the_same_field_has_one_winner_everywhere() {
    let mut world = World::new(3);
    let base = device("lamp", "02.000001", &[], &[("watts", 1), ("level", 1)]);
    let other = device("plug", "02.000001", &[], &[("watts", 1)]);
    world.push(0, base.clone());
    world.push(0, other.clone());
    world.run(SOON);
    world.unplug(2);
    world.push(
        0,
        device("lamp", "03.000001", &[&base], &[("watts", 2), ("level", 1)]),
    );
    world.push(
        2,
        device("lamp", "04.000001", &[&base], &[("watts", 1), ("level", 2)]),
    );
    world.push(0, device("plug", "05.000001", &[&other], &[("watts", 2)]));
    world.push(2, device("plug", "04.000001", &[&other], &[("watts", 3)]));
    world.plug(2);
    world.run(SOON * 4);
    world.assert_equal(&["lamp", "plug"]);
    let content = |id: &str| world.shown(1, id).unwrap().entity.unwrap()["content"].clone();
    let Value::Map(lamp) = content("lamp") else {
        panic!()
    };
    assert_eq!(
        (&lamp["watts"], &lamp["level"]),
        (&Value::Int(2), &Value::Int(2)),
        "different fields merge"
    );
    let Value::Map(plug) = content("plug") else {
        panic!()
    };
    assert_eq!(plug["watts"], Value::Int(2), "the later write wins");
    assert_eq!(
        world.shown(1, "plug").unwrap().heads.len(),
        2,
        "the loser is kept as a head"
    );
}

#[test]
fn a_push_that_loses_is_told_so_and_kept() {
    let mut world = World::new(1);
    let base = device("lamp", "02.000001", &[], &[("watts", 1)]);
    world.push(0, base.clone());
    world.push(0, device("lamp", "09.000001", &[&base], &[("watts", 2)]));
    let lost = world.push(0, device("lamp", "04.000001", &[&base], &[("watts", 3)]));
    assert_eq!(lost.applied[0].outcome, Outcome::Lost);
    assert_eq!(lost.conflicts.len(), 1);
    assert!(
        lost.conflicts[0].resolved_version.contains("-merge."),
        "{:?}",
        lost.conflicts[0]
    );
}

#[test]
fn a_hub_that_was_away_catches_up_by_pages() {
    let mut world = World::new(3);
    world.unplug(2);
    for n in 0..50 {
        let records = (0..100)
            .map(|m| device(&format!("d{n}-{m}"), "02.000001", &[], &[("n", m)]))
            .collect();
        world
            .sync(n as usize % 2, Clock::new(), vec![set(records)])
            .unwrap();
    }
    world.run(SOON);
    world.plug(2);
    world.run(SOON * 8);
    world.assert_equal(&["d0-0", "d49-99"]);
    assert_eq!(world.hub(2).storage.totals().entities, 5_000);
}

#[test]
fn a_killed_hub_goes_on_in_the_same_life_beyond_its_lease() {
    let mut world = World::new(2);
    world.push(0, device("a", "02.000001", &[], &[]));
    world.run(SOON);
    let before = world.hub(0).identity.clone();
    world.kill(0);
    world.start(0);
    world.run(SOON * 4);
    world.push(0, device("b", "02.000001", &[], &[]));
    world.run(SOON);
    assert_eq!(world.hub(0).identity, before, "no new replica for a crash");
    let replica = before.replica.unwrap();
    assert!(
        world.clock(0).sequence(&replica) > 1_000,
        "sequences of the lease are never used again"
    );
    world.assert_equal(&["a", "b"]);
    world.stop(0);
    let at_stop = world.clock(1).sequence(&replica);
    world.start(0);
    world.run(SOON * 4);
    world.push(0, device("c", "02.000001", &[], &[]));
    world.run(SOON);
    assert_eq!(
        world.clock(0).sequence(&replica),
        at_stop + 1,
        "a clean stop wastes none"
    );
    world.assert_equal(&["a", "b", "c"]);
}

#[test]
fn a_restored_backup_is_noticed_by_its_marks_and_loses_nothing() {
    let mut world = World::new(3);
    world.push(0, device("old", "02.000001", &[], &[]));
    world.run(SOON);
    world.kill(1);
    let backup = world.stores[1].clone();
    world.start(1);
    world.run(SOON * 4);
    world.push(1, device("new", "02.000001", &[], &[]));
    world.run(SOON);
    let old_life = world.hub(1).identity.clone();
    world.kill(1);
    // The store goes back, the marks beside it stay.
    let marks = world.stores[1].clone();
    world.stores[1] = backup;
    let notes = inbetweenies_core::store::Commit {
        high_water: inbetweenies_core::store::Store::marks(&marks).high_water,
        note: inbetweenies_core::store::Store::marks(&marks).note,
        ..Default::default()
    };
    inbetweenies_core::store::Store::commit(&mut world.stores[1], &notes).unwrap();
    world.start(1);
    world.run(SOON * 4);
    assert_ne!(world.hub(1).identity.replica, old_life.replica, "a new life");
    assert_eq!(world.hub(1).identity.life, 2);
    assert!(
        world
            .hub(1)
            .events
            .iter()
            .any(|event| matches!(event, Event::RolledBack { .. }))
    );
    assert!(
        world.shown(1, "new").is_some(),
        "its own entries come back from its peers"
    );
    world.assert_equal(&["old", "new"]);
}

/// The whole folder went back, marks and all: nothing notices until an entry of its own comes back to it.
#[test]
fn a_backup_restored_with_its_marks_is_noticed_at_first_contact() {
    let mut world = World::new(3);
    world.push(1, device("old", "02.000001", &[], &[]));
    world.run(SOON);
    world.stop(1);
    let backup = world.stores[1].clone();
    world.start(1);
    world.run(SOON * 4);
    world.push(1, device("new", "02.000001", &[], &[]));
    world.run(SOON);
    world.kill(1);
    world.stores[1] = backup;
    world.start(1);
    world.run(SOON * 4);
    assert_eq!(world.hub(1).identity.life, 2);
    world.push(1, device("newest", "02.000001", &[], &[]));
    world.run(SOON);
    world.assert_equal(&["old", "new", "newest"]);
}

/// As above, but it writes before it meets anybody: two branches of one replica.
#[test]
fn two_branches_of_one_replica_are_settled_and_lose_nothing() {
    for salt in 0..6 {
        let mut world = World::new(3);
        world.push(1, device("old", "02.000001", &[], &[]));
        world.run(SOON);
        world.stop(1);
        let backup = world.stores[1].clone();
        world.start(1);
        world.run(SOON * 4);
        for n in 0..3 {
            world.push(
                1,
                device(&format!("first{n}"), "02.000001", &[], &[("salt", salt)]),
            );
        }
        world.run(SOON);
        world.kill(1);
        world.stores[1] = backup;
        world.start(1);
        world.unplug(1);
        for n in 0..5 {
            world.push(
                1,
                device(&format!("second{n}"), "02.000001", &[], &[("salt", salt)]),
            );
        }
        world.plug(1);
        world.run(SOON * 12);
        world.assert_equal(&["old", "first0", "first2", "second0", "second4"]);
        for id in ["first0", "first2", "second0", "second4"] {
            assert!(world.shown(2, id).is_some(), "{id} with salt {salt}");
        }
        let forks = |at: usize| {
            world
                .hub(at)
                .events
                .iter()
                .any(|event| matches!(event, Event::Fork { .. }))
        };
        assert!((0..3).any(forks), "told to people");
        assert_eq!(world.hub(0).storage.totals().entities, 9);
    }
}

#[test]
fn a_cloned_disk_takes_a_name_of_its_own() {
    let mut world = World::new(3);
    world.push(1, device("old", "02.000001", &[], &[]));
    world.run(SOON);
    world.stop(1);
    // The clone stands where hub 2 was.
    world.kill(2);
    world.stores[2] = world.stores[1].clone();
    world.start(1);
    world.run(SOON * 4);
    world.start(2);
    world.run(SOON * 8);
    assert_ne!(world.hub(1).identity.hub_id, world.hub(2).identity.hub_id);
    assert_ne!(world.hub(1).identity.replica, world.hub(2).identity.replica);
    world.push(1, device("one", "02.000001", &[], &[]));
    world.push(2, device("two", "02.000001", &[], &[]));
    world.run(SOON * 4);
    world.assert_equal(&["old", "one", "two"]);
}

#[test]
fn a_client_goes_on_at_another_hub_and_is_told_what_that_hub_lacks() {
    let mut world = World::new(2);
    world.push(0, device("a", "02.000001", &[], &[]));
    world.run(SOON);
    let first = world.sync(0, Clock::new(), Vec::new()).unwrap();
    let elsewhere = world.sync(1, cursor(&first), Vec::new()).unwrap();
    assert!(elsewhere.changes.is_empty(), "nothing twice");
    world.unplug(1);
    let ahead = world.push(0, device("b", "02.000001", &[], &[]));
    let not_yet = world.sync(1, cursor(&ahead), Vec::new()).unwrap_err();
    assert_eq!((not_yet.status, not_yet.code), (409, "not_yet"));
    let taken = world
        .sync(
            1,
            cursor(&ahead),
            vec![set(vec![device("c", "02.000001", &[], &[])])],
        )
        .unwrap();
    assert!(taken.not_yet && taken.changes.is_empty());
    assert_eq!(taken.applied.len(), 1, "the changes are taken all the same");
    world.plug(1);
    world.run(SOON * 4);
    assert_eq!(
        world.sync(1, cursor(&ahead), Vec::new()).unwrap().changes.len(),
        1
    );
}

#[test]
fn equal_hubs_are_quiet() {
    let mut world = World::new(3);
    world.push(0, device("a", "02.000001", &[], &[]));
    world.run(Duration::from_secs(60));
    assert_eq!(world.clock(0).compare(&world.clock(2)), Causality::Equal);
    let (frames, records) = (world.frames, world.hub(0).storage.totals().records);
    world.run(Duration::from_secs(60));
    let a_minute = world.frames - frames;
    assert!(a_minute < 900, "{a_minute} frames in a quiet minute");
    assert_eq!(
        world.hub(0).storage.totals().records,
        records,
        "hubs write nothing by themselves"
    );
}
