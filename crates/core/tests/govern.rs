//! The rules of a home: what a change of policy does to what is shown, how two changes become one, and what a policy
//! comes to that nobody can read.

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
use support::{World, device, manifest};

const SOON: Duration = Duration::from_secs(20);

/// The same, of a room.
fn room(id: &str, version: &str, parents: &[&Record], content: &[(&str, i64)]) -> Record {
    Record {
        kind: Kind::Entity {
            entity_type: "room".into(),
            name: Some(id.into()),
            source_type: None,
        },
        ..device(id, version, parents, content)
    }
}

/// The home's first rules, with another strategy for one type.
fn rules(entity_type: &str, strategy: &str) -> Map {
    let mut content = manifest();
    let Some(Value::Map(types)) = content.get_mut("entity") else {
        panic!("types")
    };
    let table = Map::from([("strategy".to_owned(), Value::from(strategy))]);
    types.insert(entity_type.to_owned(), Value::Map(table));
    content
}

fn change(content: Map, heads: Option<&[String]>) -> Act {
    Act::Policy {
        content,
        heads: heads.map(|heads| heads.iter().cloned().collect::<BTreeSet<String>>()),
        user_id: Some("alice".into()),
    }
}

fn queue(world: &World, at: usize) -> Vec<String> {
    let hub = world.hub(at);
    let queue = read::queue(&hub.store.snapshot(), &hub.policy, 10).unwrap();
    let ids = queue
        .iter()
        .filter_map(|shown| shown.entity.as_ref()?.get("id")?.as_text());
    ids.map(str::to_owned).collect()
}

/// The policy's versions and what became of them, the newest first.
fn policies(world: &World, at: usize) -> Vec<(String, &'static str)> {
    let hub = world.hub(at);
    let id = Id::new(POLICY_ID).unwrap();
    let page = read::history(&hub.store.snapshot(), &hub.policy, &id, true, None, None, 100);
    let rows = page.unwrap().unwrap().versions;
    rows.into_iter().map(|row| (row.digest, row.state)).collect()
}

fn content(world: &World, at: usize, id: &str) -> Map {
    let shown = world.shown(at, id).unwrap().entity.unwrap();
    shown["content"].as_map().unwrap().clone()
}

/// Two hubs edit the hall (a person decides) and the lamp (fields merge) without hearing of each other.
fn divided() -> World {
    let mut world = World::new(3);
    let hall = room("hall", "02.000001", &[], &[("area", 1), ("height", 1)]);
    let lamp = device("lamp", "02.000001", &[], &[("watts", 1), ("level", 1)]);
    world.push(0, hall.clone());
    world.push(0, lamp.clone());
    world.run(SOON);
    world.unplug(2);
    world.push(
        0,
        room("hall", "03.000001", &[&hall], &[("area", 2), ("height", 1)]),
    );
    world.push(
        2,
        room("hall", "04.000001", &[&hall], &[("area", 1), ("height", 2)]),
    );
    world.push(
        0,
        device("lamp", "04.000001", &[&lamp], &[("watts", 2), ("level", 1)]),
    );
    world.push(
        2,
        device("lamp", "03.000001", &[&lamp], &[("watts", 1), ("level", 2)]),
    );
    world.plug(2);
    world.run(SOON);
    world
}

#[test]
fn a_change_of_policy_reworks_what_is_shown_and_what_waits_on_every_hub() {
    let mut world = divided();
    for at in 0..3 {
        assert_eq!(queue(&world, at), ["hall"]);
        assert_eq!(
            content(&world, at, "hall")["area"],
            Value::Int(1),
            "the last write"
        );
        assert_eq!(content(&world, at, "lamp")["watts"], Value::Int(2), "merged");
    }
    let mut swapped = rules("room", "merge");
    swapped.extend(rules("device", "manual").remove("entity").map(|mut types| {
        if let Value::Map(types) = &mut types {
            types.insert("room".into(), Value::Map(Map::new()));
        }
        ("entity".to_owned(), types)
    }));
    world.govern(1, change(swapped, None)).unwrap();
    world.run(SOON);
    for at in 0..3 {
        assert_eq!(queue(&world, at), ["lamp"]);
        let hall = content(&world, at, "hall");
        assert_eq!((&hall["area"], &hall["height"]), (&Value::Int(2), &Value::Int(2)));
        let lamp = content(&world, at, "lamp");
        assert_eq!((&lamp["watts"], &lamp["level"]), (&Value::Int(2), &Value::Int(1)));
        assert!(world.shown(at, "lamp").unwrap().provisional);
    }
    support::check::all_alike(&world);
    // And back: nothing that was written is lost by a rule.
    world.govern(2, change(manifest(), None)).unwrap();
    world.run(SOON);
    for at in 0..3 {
        assert_eq!(queue(&world, at), ["hall"]);
        assert_eq!(content(&world, at, "lamp")["level"], Value::Int(2));
    }
    support::check::all_alike(&world);
}

#[test]
fn two_changes_at_two_hubs_that_cannot_hear_each_other_end_as_one_and_stay_in_the_history() {
    let mut world = divided();
    let first = policies(&world, 0);
    world.unplug(2);
    world.govern(0, change(rules("room", "merge"), None)).unwrap();
    world.run(Duration::from_secs(1));
    world.govern(2, change(rules("device", "manual"), None)).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!((queue(&world, 0).len(), queue(&world, 2).len()), (0, 2));
    world.plug(2);
    world.run(SOON);
    let told = policies(&world, 0);
    assert_eq!(
        told.iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        ["head", "lost", "superseded"]
    );
    assert_eq!(told[2].0, first[0].0);
    for at in 0..3 {
        assert_eq!(policies(&world, at), told);
        assert_eq!(world.hub(at).policy.short, told[0].0[..8]);
        assert_eq!(
            queue(&world, at),
            ["hall", "lamp"],
            "the last write holds, hub {at}"
        );
    }
    support::check::all_alike(&world);

    // Who has not seen both does not decide; who has, settles it.
    let versions = world.shown(1, POLICY_ID).unwrap().heads;
    assert_eq!(versions.len(), 2);
    let stale = world.govern(1, change(rules("room", "merge"), Some(&versions[..1])));
    assert_eq!(stale.unwrap_err().code, "policy_changed");
    world
        .govern(1, change(rules("room", "merge"), Some(&versions)))
        .unwrap();
    world.run(SOON);
    let states: Vec<&str> = policies(&world, 2).iter().map(|(_, state)| *state).collect();
    assert_eq!(states, ["head", "superseded", "superseded", "superseded"]);
    let before = world.clock(1);
    world.govern(1, change(rules("room", "merge"), None)).unwrap();
    assert_eq!(world.clock(1), before, "the same again writes nothing");
    support::check::all_alike(&world);
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
    let mut world = divided();
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
    world.apply(1, bundle);
    world.run(SOON);
    for at in 0..3 {
        assert_eq!(queue(&world, at), ["hall", "lamp"], "hub {at}");
        let lamp = world.shown(at, "lamp").unwrap();
        assert!(lamp.provisional);
        assert_eq!(
            content(&world, at, "lamp")["level"],
            Value::Int(1),
            "the last write"
        );
    }
    support::check::all_alike(&world);
    world.govern(2, change(manifest(), None)).unwrap();
    world.run(SOON);
    for at in 0..3 {
        assert_eq!(queue(&world, at), ["hall"], "hub {at}");
        assert_eq!(
            content(&world, at, "lamp")["level"],
            Value::Int(2),
            "merged again"
        );
    }
    support::check::all_alike(&world);
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
    let refused = world
        .govern(0, change(named(NAME_BYTES_MAX + 1), None))
        .unwrap_err();
    assert_eq!(refused.code, "bad_policy");
    let mut wide = manifest();
    wide.insert("note".to_owned(), Value::Text("x".repeat(256 << 10)));
    let refused = world.govern(0, change(wide, None)).unwrap_err();
    assert_eq!(refused.code, "limit_content");
    assert_eq!(policies(&world, 0).len(), 1);
    world.govern(0, change(named(NAME_BYTES_MAX), None)).unwrap();
    world.kill(0);
    world.start(0);
    assert_eq!(policies(&world, 0).len(), 2);
}
