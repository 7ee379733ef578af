//! Bugs that were, each told once more as the story that showed it.

mod support;

use std::time::Duration;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::id::Version;
use inbetweenies_core::store::{Commit, Store};
use support::{World, check, cursor, device};

const SOON: Duration = Duration::from_secs(5);

/// A fork takes an entry's stamps with it: what a hub holds of a record that it accepts anew is what it says then, not
/// what the fallen entry said. Else the hub that held the fallen branch ordered writers otherwise than all others.
#[test]
fn a_record_accepted_anew_after_a_fork_has_one_order_time_everywhere() {
    for salt in 0..6 {
        let mut world = World::new(3);
        world.stop(1);
        let backup = world.stores[1].clone();
        world.start(1);
        world.run(SOON);
        let nameless = |id: &str| {
            let mut record = device(id, "02.000001", &[], &[("salt", salt)]);
            record.version = Version::new("no time in it").unwrap();
            record
        };
        world.push(1, nameless("first"));
        world.run(SOON);
        world.kill(1);
        world.stores[1] = backup;
        world.unplug(1);
        world.start(1);
        world.run(SOON);
        world.push(1, nameless("second"));
        world.run(SOON);
        world.plug(1);
        world.run(SOON * 12);
        check::all_alike(&world);
    }
}

/// A hub that gives a branch up must have the other in hand. Else, with the only holder of the other gone for ever, it
/// holds neither, takes the fallen one back from nobody, and never hears again from whoever still writes on it.
#[test]
fn a_branch_is_given_up_only_for_one_that_is_in_hand() {
    for salt in 0..6 {
        let mut world = World::new(3);
        world.stop(1);
        let backup = world.stores[1].clone();
        world.start(1);
        world.run(SOON * 2);
        world.push(1, device("first", "02.000001", &[], &[("salt", salt)]));
        world.run(SOON);
        world.unplug(0);
        world.push(1, device("more", "02.000001", &[], &[("salt", salt)]));
        world.run(SOON);
        world.unplug(2);
        world.kill(1);
        // Restored, it writes another branch, of which hub 0 hears and no more.
        world.stores[1] = backup;
        world.start(1);
        world.push(1, device("second", "02.000001", &[], &[("salt", salt)]));
        world.lose = Some((0, "page"));
        world.plug(0);
        world.run(SOON);
        world.kill(1);
        world.lose = None;
        world.plug(2);
        world.run(SOON * 12);
        check::all_alike(&world);
        assert!(world.shown(0, "more").is_some(), "salt {salt}");
    }
}

/// What a client was shown of a log that ended before anybody else held it will never come. Its replica is gone, its
/// hub lives on in another: the client starts over there instead of being told "not yet" for ever.
#[test]
fn a_client_that_saw_more_of_a_life_than_is_left_of_it_starts_over() {
    let mut world = World::new(3);
    world.push(1, device("old", "02.000001", &[], &[]));
    world.run(SOON);
    world.kill(1);
    let backup = world.stores[1].clone();
    world.start(1);
    world.unplug(1);
    let seen = world.push(1, device("lost", "02.000001", &[], &[]));
    world.kill(1);
    let marks = world.stores[1].marks();
    world.stores[1] = backup;
    let marks = Commit {
        high_water: marks.high_water,
        note: marks.note,
        ..Commit::default()
    };
    world.stores[1].commit(&marks).unwrap();
    world.start(1);
    world.plug(1);
    world.run(SOON * 4);
    for at in 0..3 {
        let answer = world.sync(at, cursor(&seen), Vec::new()).unwrap();
        assert_eq!(answer.reset.len(), 1, "hub {at}");
        assert_eq!(cursor(&answer), world.clock(at), "and goes on from what is there");
    }
}

/// The same where the whole folder went back, marks and all, so that the life goes on: its own hub knows where it ends.
#[test]
fn a_client_that_saw_more_of_a_living_log_than_its_hub_holds_starts_over_there() {
    let mut world = World::new(2);
    world.stop(1);
    let backup = world.stores[1].clone();
    world.start(1);
    world.unplug(1);
    world.push(1, device("lost", "02.000001", &[], &[]));
    let seen = world.push(1, device("lost too", "02.000001", &[], &[]));
    world.kill(1);
    world.stores[1] = backup;
    world.start(1);
    world.plug(1);
    world.run(SOON * 4);
    let elsewhere = world.sync(0, cursor(&seen), Vec::new()).unwrap_err();
    assert_eq!(elsewhere.code, "not_yet", "hub 0 cannot know");
    let answer = world.sync(1, cursor(&seen), Vec::new()).unwrap();
    assert_eq!(answer.reset.len(), 1);
    assert_eq!(cursor(&answer), world.clock(1));
}

/// The clock of a client on a branch that was never held here says nothing about the entries above some other fork.
#[test]
fn a_client_from_an_unknown_branch_misses_nothing_of_the_known_one() {
    for salt in 0..6 {
        let mut world = World::new(3);
        world.push(1, device("old", "02.000001", &[], &[]));
        world.run(SOON);
        world.stop(1);
        let early = world.stores[1].clone();
        world.start(1);
        world.run(SOON);
        world.push(1, device("middle", "02.000001", &[], &[("salt", salt)]));
        world.run(SOON);
        world.stop(1);
        let later = world.stores[1].clone();
        // A branch from early on that a client sees and nobody else.
        world.stores[1] = early;
        world.unplug(1);
        world.start(1);
        for n in 0..2 {
            world.push(
                1,
                device(&format!("unknown{n}"), "02.000001", &[], &[("salt", salt)]),
            );
        }
        let seen = world.sync(1, Clock::new(), Vec::new()).unwrap();
        world.kill(1);
        // Two branches from later on, of which one falls.
        world.stores[1] = later.clone();
        world.plug(1);
        world.start(1);
        world.run(SOON);
        world.push(1, device("one", "02.000001", &[], &[("salt", salt)]));
        world.run(SOON);
        world.kill(1);
        world.stores[1] = later;
        world.unplug(1);
        world.start(1);
        for n in 0..5 {
            world.push(1, device(&format!("two{n}"), "02.000001", &[], &[("salt", salt)]));
        }
        world.plug(1);
        world.run(SOON * 12);
        let answer = world.sync(0, cursor(&seen), Vec::new()).unwrap();
        let ids = |change: &inbetweenies_core::wire::Change| {
            change.entity.as_ref().unwrap()["id"]
                .as_text()
                .unwrap()
                .to_owned()
        };
        let ids: Vec<String> = answer.changes.iter().map(ids).collect();
        assert!(ids.contains(&"middle".to_owned()), "{ids:?} with salt {salt}");
    }
}

/// The detector tells the processes of one address apart by the wall clock at their start. When it goes back over a
/// restart, the peers hold the new process for the dead one; its name must get past the old in a few steps.
#[test]
fn a_hub_whose_clock_went_back_over_a_restart_does_not_storm() {
    let mut world = World::new(3);
    world.kill(1);
    world.ahead.insert(1, Duration::from_secs(86_400 * 365));
    world.start(1);
    world.run(SOON * 2);
    world.kill(1);
    world.ahead.remove(&1);
    world.run(SOON * 4);
    let frames = world.frames;
    world.start(1);
    world.run(SOON * 4);
    let said = world.frames - frames;
    assert!(said < 2_000, "{said} frames");
}

/// The answer that says where two branches part was lost, and the question was never asked again: the hub whose branch had
/// to give way never heard of it, and the other was handed the fallen entry every two seconds for ever.
#[test]
fn a_lost_answer_about_a_chain_is_asked_for_again() {
    for salt in 0..6 {
        for deaf in 0..2 {
            let mut world = World::new(2);
            world.stop(1);
            let backup = world.stores[1].clone();
            world.start(1);
            world.run(SOON);
            world.push(1, device("first", "02.000001", &[], &[("salt", salt)]));
            world.run(SOON);
            world.kill(1);
            world.stores[1] = backup;
            world.unplug(1);
            world.start(1);
            world.push(1, device("second", "02.000001", &[], &[("salt", salt)]));
            world.lose = Some((deaf, "chain"));
            world.plug(1);
            world.run(SOON);
            world.lose = None;
            world.run(SOON * 12);
            check::all_alike(&world);
        }
    }
}
