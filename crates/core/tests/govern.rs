//! What owners decide, and clocks that cannot be right, in a mesh of machines.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use inbetweenies_core::conflict::read;
use inbetweenies_core::id::{Id, Version};
use inbetweenies_core::machine::Act;
use inbetweenies_core::store::Store;
use inbetweenies_core::value::Value;
use support::{World, check, device, manifest};

const SOON: Duration = Duration::from_secs(5);

fn act(strategy: &str) -> Act {
    let mut content = manifest();
    let Some(Value::Map(types)) = content.get_mut("entity") else {
        unreachable!("the manifest has types")
    };
    let Some(Value::Map(device)) = types.get_mut("device") else {
        unreachable!("devices are one of them")
    };
    device.insert("strategy".to_owned(), Value::from(strategy));
    Act::Policy {
        content,
        heads: None,
        user_id: Some("owner".to_owned()),
    }
}

/// Two edits of one thing at two hubs that do not see each other.
fn contested(world: &mut World) {
    let base = device("lamp", "02.000001", &[], &[("watts", 1)]);
    world.push(0, base.clone());
    world.run(SOON);
    world.unplug(1);
    world.push(0, device("lamp", "03.000001", &[&base], &[("watts", 2)]));
    world.push(1, device("lamp", "04.000001", &[&base], &[("watts", 3)]));
    world.plug(1);
    world.run(SOON * 4);
}

#[test]
fn other_rules_rework_what_is_shown_and_queued_everywhere() {
    let mut world = World::new(3);
    contested(&mut world);
    let queue = |world: &World, at: usize| {
        let hub = world.hub(at);
        read::queue(&hub.store.snapshot(), &hub.policy, 10).unwrap().len()
    };
    assert_eq!(queue(&world, 2), 0);
    let answer = world.govern(2, act("manual")).unwrap();
    assert_eq!(answer.applied[0].id, "_policy");
    world.run(SOON);
    for at in 0..3 {
        let shown = world.shown(at, "lamp").unwrap();
        assert_eq!((shown.strategy, shown.provisional), ("manual", true));
        assert_eq!(queue(&world, at), 1);
    }
    world.govern(0, act("merge")).unwrap();
    world.run(SOON);
    assert_eq!([0, 1, 2].map(|at| queue(&world, at)), [0; 3]);
    check::all_alike(&world);
}

#[test]
fn two_owners_cut_off_from_each_other_end_with_one_policy_and_both_in_its_history() {
    let mut world = World::new(3);
    contested(&mut world);
    world.unplug(2);
    world.govern(0, act("manual")).unwrap();
    world.run(SOON);
    world.govern(2, act("last_write_wins")).unwrap();
    world.plug(2);
    world.run(SOON * 4);
    let id = Id::new("_policy").unwrap();
    let strategies: BTreeSet<&str> = (0..3)
        .map(|at| world.shown(at, "lamp").unwrap().strategy)
        .collect();
    assert_eq!(strategies, BTreeSet::from(["last_write_wins"]), "the last write");
    for at in 0..3 {
        let hub = world.hub(at);
        let history = read::history(&hub.store.snapshot(), &hub.policy, &id, true, None, None, 10);
        assert_eq!(history.unwrap().unwrap().versions.len(), 3);
    }
    check::all_alike(&world);
    // The same again writes nothing; from what was seen before, nothing either.
    let same = world.govern(1, act("last_write_wins")).unwrap();
    world.run(SOON);
    let again = world.govern(1, act("last_write_wins")).unwrap();
    assert_eq!(same.applied[0].version, again.applied[0].version);
    let stale = Act::Policy {
        content: manifest(),
        heads: Some(BTreeSet::from(["v-1".to_owned()])),
        user_id: None,
    };
    assert_eq!(world.govern(1, stale).unwrap_err().code, "policy_changed");
}

#[test]
fn times_that_cannot_be_right_are_kept_bounded_and_flagged() {
    let mut world = World::new(2);
    let claims = [
        ("far", "2199-01-01T00:00:00.000000"),
        ("old", "1950-01-01T00:00:00.000000"),
        ("good", "2026-06-15T09:41:20.000000"),
    ];
    for (id, claim) in claims {
        let mut record = device(id, "02.000001", &[], &[("watts", 1)]);
        record.version = Version::new(&format!("{claim}+00:00-000001-alice")).unwrap();
        world.push(0, record);
    }
    world.run(SOON);
    for at in 0..2 {
        let hub = world.hub(at);
        let flag = |id: &str| {
            let id = Id::new(id).unwrap();
            let page = read::history(&hub.store.snapshot(), &hub.policy, &id, true, None, None, 10);
            let row = page.unwrap().unwrap().versions.remove(0);
            assert!(
                row.accepted[0].order_time.as_str() < "2026-06-15T09:47",
                "{row:?}"
            );
            row.suspect_time
        };
        assert_eq!(
            [flag("far"), flag("old"), flag("good")],
            [Some("future"), Some("past"), None]
        );
    }
}

#[test]
fn a_hub_whose_clock_jumped_ahead_stamps_by_what_the_others_say() {
    let mut world = World::new(2);
    world.ahead.insert(1, Duration::from_secs(400 * 86_400));
    world.run(Duration::from_secs(60));
    let mut nameless = device("lamp", "02.000001", &[], &[("watts", 1)]);
    nameless.version = Version::new("no time in it").unwrap();
    world.push(1, nameless);
    world.run(SOON);
    let hub = world.hub(0);
    let page = read::history(
        &hub.store.snapshot(),
        &hub.policy,
        &Id::new("lamp").unwrap(),
        true,
        None,
        None,
        10,
    );
    let row = page.unwrap().unwrap().versions.remove(0);
    assert!(
        row.accepted[0].order_time.starts_with("2026-06-15T09:4"),
        "{row:?}"
    );
}
