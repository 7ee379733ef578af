//! What owners decide, and clocks that cannot be right, in a mesh of machines.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::conflict::read;
use inbetweenies_core::domain::{POLICY, POLICY_ID};
use inbetweenies_core::entry::{Bundle, Entry, Genesis, Sealed, Stamp};
use inbetweenies_core::id::{Dot, Id, ReplicaId, Version};
use inbetweenies_core::limits::NAME_BYTES_MAX;
use inbetweenies_core::machine::{Act, load_graph};
use inbetweenies_core::record::{Kind, Parent, Record};
use inbetweenies_core::store::Store;
use inbetweenies_core::value::{Map, Value};
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
    change(content)
}

fn change(content: Map) -> Act {
    Act::Policy {
        content,
        heads: None,
        user_id: Some("owner".to_owned()),
    }
}

/// How many versions the policy has.
fn policies(world: &World) -> usize {
    let hub = world.hub(0);
    let id = Id::new(POLICY_ID).unwrap();
    load_graph(&hub.store.snapshot(), &id).unwrap().nodes().count()
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

/// A change set as a hub of another software would have logged it: the first entry of a new life.
fn foreign(world: &World, record: Record) -> Bundle {
    let sealed = Arc::new(Sealed::new(record));
    let stamp = Stamp {
        digest: sealed.digest,
        order_time: world.clock_now().wall,
        resolved: Vec::new(),
    };
    let genesis = Genesis {
        home_id: world.hub(0).identity.home_id.unwrap(),
        hub_id: "77777777-7777-4777-8777-777777777777".parse().unwrap(),
        life: 1,
        earlier: None,
    };
    let entry = Entry {
        dot: Dot {
            replica: ReplicaId([7; 16]),
            sequence: 1,
        },
        prev: None,
        genesis: Some(genesis),
        stamps: vec![stamp],
        extra: Map::new(),
    };
    Bundle::seal(entry, vec![sealed])
}

#[test]
fn a_policy_that_does_not_read_gives_marked_last_writes_until_it_is_mended() {
    let mut world = World::new(3);
    contested(&mut world);
    let id = Id::new(POLICY_ID).unwrap();
    let graph = load_graph(&world.hub(0).store.snapshot(), &id).unwrap();
    let head = &graph.heads()[0].sealed;
    let parents = vec![Parent {
        version: head.record.version.clone(),
        digest: Some(head.digest),
    }];
    let record = Record {
        id: id.clone(),
        version: Version::new("2026-06-15T09:42:30.000001+00:00-000000-strange").unwrap(),
        kind: Kind::Entity {
            entity_type: POLICY.into(),
            name: None,
            source_type: None,
        },
        user_id: None,
        parents,
        deleted: false,
        content: Map::from([("rules".to_owned(), Value::from("as the spirits say"))]),
        extra: Map::new(),
    };
    let bundle = foreign(&world, record);
    world.apply(1, bundle, false);
    world.run(SOON * 4);
    for at in 0..3 {
        let lamp = world.shown(at, "lamp").unwrap();
        assert_eq!((lamp.strategy, lamp.provisional), ("manual", true), "hub {at}");
    }
    check::all_alike(&world);
    world.govern(2, change(manifest())).unwrap();
    world.run(SOON * 4);
    for at in 0..3 {
        let lamp = world.shown(at, "lamp").unwrap();
        assert_eq!((lamp.strategy, lamp.provisional), ("merge", false), "hub {at}");
    }
    check::all_alike(&world);
}

/// The name of a domain becomes that of the policy entity. One beyond the bound of names was written, and could not be
/// read again: the hub that took it was lost.
#[test]
fn a_policy_keeps_to_the_bounds_of_every_record() {
    let mut world = World::new(1);
    let named = |len: usize| {
        let mut content = manifest();
        let name = Map::from([("name".to_owned(), Value::Text("n".repeat(len)))]);
        content.insert("domain".to_owned(), Value::Map(name));
        content
    };
    let refused = world.govern(0, change(named(NAME_BYTES_MAX + 1))).unwrap_err();
    assert_eq!(refused.code, "bad_policy");
    let mut wide = manifest();
    wide.insert("note".to_owned(), Value::Text("x".repeat(256 << 10)));
    let refused = world.govern(0, change(wide)).unwrap_err();
    assert_eq!(refused.code, "limit_content");
    assert_eq!(policies(&world), 1);
    world.govern(0, change(named(NAME_BYTES_MAX))).unwrap();
    world.kill(0);
    world.start(0);
    assert_eq!(policies(&world), 2);
}
