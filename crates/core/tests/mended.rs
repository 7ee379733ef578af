//! Bugs that were, each told once more as the story that showed it.

mod support;

use std::time::Duration;

use inbetweenies_core::id::Version;
use support::{World, check, device};

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
