//! Forgetting drops content, never the skeleton: who waits for whom, what stays, and what comes back.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::conflict::read;
use inbetweenies_core::entry::Sealed;
use inbetweenies_core::id::{Dot, Id};
use inbetweenies_core::machine::{Act, load_graph};
use inbetweenies_core::reconcile::whole;
use inbetweenies_core::record::Record;
use inbetweenies_core::store::{Commit, Family, RecordRow, Snapshot, Store, decode_row, record_key};
use inbetweenies_core::value::Value;
use support::{World, device, set};

const SOON: Duration = Duration::from_secs(5);
const KEEP: Duration = Duration::from_secs(60);

/// A chain of edits of one thing, pushed to one hub.
fn edits(world: &mut World, at: usize, id: &str, count: u32) -> Vec<Record> {
    let mut made: Vec<Record> = Vec::new();
    for n in 0..count {
        let parents: Vec<&Record> = made.last().into_iter().collect();
        let record = device(id, &stamp(world), &parents, &[("watts", i64::from(n))]);
        world.push(at, record.clone());
        made.push(record);
        world.run(Duration::from_secs(1));
    }
    made
}

/// A version's time of now, as `device` takes it: it stands behind a fixed minute.
fn stamp(world: &World) -> String {
    let second = world.now.as_secs();
    format!("{:02}.{:06}", second % 60, (second / 60) * 10 + 1)
}

fn rows(world: &World, at: usize, id: &str) -> Vec<RecordRow> {
    let store = world.hub(at).store.snapshot();
    let mut rows = Vec::new();
    store
        .scan(Family::Records, &[], None, &mut |_, value| {
            let row: RecordRow = decode_row(Family::Records, value).unwrap();
            if Record::from_stored(&row.record).unwrap().id.as_str() == id {
                rows.push(row);
            }
            true
        })
        .unwrap();
    rows
}

fn forgotten(world: &World, at: usize, id: &str) -> usize {
    rows(world, at, id).iter().filter(|row| row.forgotten).count()
}

fn watts(world: &World, at: usize, id: &str) -> Option<i64> {
    let shown = world.shown(at, id)?;
    shown.entity?.get("content")?.as_map()?.get("watts")?.as_int()
}

#[test]
fn replaced_content_goes_everywhere_and_nothing_that_readers_see_changes() {
    let mut world = World::keeping(3, Some(KEEP));
    edits(&mut world, 1, "lamp", 5);
    edits(&mut world, 2, "once", 1);
    world.run(SOON);
    let before = [0, 1, 2].map(|at| world.shown(at, "lamp"));
    world.run(KEEP * 3);
    for (at, before) in before.iter().enumerate() {
        assert_eq!(forgotten(&world, at, "lamp"), 4, "hub {at}");
        assert_eq!(forgotten(&world, at, "once"), 0, "hub {at}");
        assert_eq!(
            world.shown(at, "lamp").map(|s| s.heads),
            before.clone().map(|s| s.heads)
        );
        assert_eq!(watts(&world, at, "lamp"), Some(4));
        let store = world.hub(at).store.snapshot();
        let graph = load_graph(&store, &Id::new("lamp").unwrap()).unwrap();
        assert_eq!(graph.nodes().count(), 5, "skeletons stay");
        assert_eq!(graph.heads().len(), 1);
    }
    support::check::all_alike(&world);
    // A view of then says that it was, and no more.
    let store = world.hub(0).store.snapshot();
    let lamp = Id::new("lamp").unwrap();
    let graph = load_graph(&store, &lamp).unwrap();
    let first = graph.eldest().unwrap().order_time;
    let then = read::one(&store, &world.hub(0).policy, &lamp, true, Some(first))
        .unwrap()
        .unwrap();
    assert!(then.forgotten);
    let history = read::history(&store, &world.hub(0).policy, &lamp, true, None, None, 10)
        .unwrap()
        .unwrap();
    let states: Vec<&str> = history.versions.iter().map(|row| row.state).collect();
    assert_eq!(
        states,
        ["head", "forgotten", "forgotten", "forgotten", "forgotten"]
    );
    // A client that starts now gets skeletons, and a hub that joins now too.
    let page = world.sync(0, Clock::new(), Vec::new()).unwrap();
    let told = page.changes.iter().filter_map(|change| change.entity.as_ref());
    let told = told.filter(|map| map.get("forgotten") == Some(&Value::Bool(true)));
    assert_eq!(told.count(), 4);
}

#[test]
fn a_hub_that_joins_later_takes_skeletons_and_shows_the_same() {
    let mut world = World::keeping(3, Some(KEEP));
    world.kill(2);
    world.stores[2] = Default::default();
    // The hub that is gone for good is fenced; else all would wait for it.
    edits(&mut world, 0, "lamp", 4);
    world.run(KEEP * 3);
    assert_eq!(
        forgotten(&world, 0, "lamp"),
        0,
        "a hub is away, and everybody waits for it"
    );
    let lost = lost_hub(&world);
    world
        .govern(
            0,
            Act::Fence {
                hub_id: lost,
                fenced: true,
                user_id: None,
            },
        )
        .unwrap();
    world.run(KEEP * 3);
    assert_eq!(forgotten(&world, 0, "lamp"), 3);
    world.start(2);
    world.run(SOON * 12);
    assert_eq!(forgotten(&world, 2, "lamp"), 3, "as skeletons");
    assert_eq!(watts(&world, 2, "lamp"), Some(3));
    support::check::all_alike(&world);
}

fn lost_hub(world: &World) -> inbetweenies_core::id::HubId {
    let running: BTreeSet<_> = (0..2).map(|at| world.hub(at).identity.hub_id).collect();
    let members = inbetweenies_core::machine::load_members(&world.hub(0).store.snapshot()).unwrap();
    let lost = members
        .into_iter()
        .find(|member| !running.contains(&member.hub_id));
    lost.unwrap().hub_id
}

#[test]
fn a_fenced_hub_that_returns_brings_its_edits_and_revives_nothing() {
    let mut world = World::keeping(3, Some(KEEP));
    let lamp = edits(&mut world, 0, "lamp", 2);
    let door = edits(&mut world, 0, "door", 2);
    world.run(SOON);
    world.unplug(2);
    // While it is away: the lamp is deleted, the door goes on; it edits both, and a thing of its own.
    let mut gone = device("lamp", &stamp(&world), &[lamp.last().unwrap()], &[]);
    gone.deleted = true;
    world.push(0, gone.clone());
    let mut last = door.last().unwrap().clone();
    for n in 10..13 {
        let next = device("door", &stamp(&world), &[&last], &[("watts", n)]);
        world.push(0, next.clone());
        world.run(Duration::from_secs(1));
        last = next;
    }
    world.push(
        2,
        device("lamp", &stamp(&world), &[lamp.last().unwrap()], &[("watts", 99)]),
    );
    world.push(2, device("own", &stamp(&world), &[], &[("watts", 7)]));
    let lost = world.hub(2).identity.hub_id;
    world
        .govern(
            1,
            Act::Fence {
                hub_id: lost,
                fenced: true,
                user_id: None,
            },
        )
        .unwrap();
    world.run(KEEP * 5);
    assert!(forgotten(&world, 0, "door") > 0 && forgotten(&world, 0, "lamp") > 0);
    assert_eq!(forgotten(&world, 2, "door"), 0, "it has not heard");
    world.plug(2);
    world.run(SOON * 24);
    for at in 0..3 {
        assert!(
            world.shown(at, "lamp").unwrap().is_deleted(),
            "nothing comes back by itself, hub {at}"
        );
        assert_eq!(
            watts(&world, at, "own"),
            Some(7),
            "nothing of its own is lost, hub {at}"
        );
        assert_eq!(watts(&world, at, "door"), Some(12));
        let queue = read::queue(&world.hub(at).store.snapshot(), &world.hub(at).policy, 10).unwrap();
        assert_eq!(queue.len(), 1, "a person is asked about the lamp, hub {at}");
        assert_eq!(forgotten(&world, at, "door"), forgotten(&world, 0, "door"));
    }
    support::check::all_alike(&world);
    let unfenced = world.govern(
        2,
        Act::Fence {
            hub_id: lost,
            fenced: false,
            user_id: None,
        },
    );
    assert_eq!(unfenced.unwrap().applied.len(), 1);
}

#[test]
fn a_conflict_keeps_the_content_of_both_sides_until_it_is_settled() {
    let mut world = World::keeping(2, Some(KEEP));
    let base = edits(&mut world, 0, "lamp", 1).remove(0);
    let one = device("lamp", &stamp(&world), &[&base], &[("watts", 50)]);
    world.run(Duration::from_secs(1));
    let other = device("lamp", &stamp(&world), &[&base], &[("watts", 60)]);
    world.push(0, one.clone());
    world.push(1, other.clone());
    world.run(KEEP * 3);
    assert_eq!(forgotten(&world, 0, "lamp"), 0, "ids in conflict keep theirs");
    world.push(
        0,
        device("lamp", &stamp(&world), &[&one, &other], &[("watts", 55)]),
    );
    world.run(KEEP * 4);
    assert_eq!(forgotten(&world, 0, "lamp"), 3);
    assert_eq!(forgotten(&world, 1, "lamp"), 3);
    support::check::all_alike(&world);
}

#[test]
fn a_clock_that_jumped_ahead_lets_nothing_go_early() {
    let mut world = World::keeping(2, Some(KEEP * 60));
    edits(&mut world, 0, "lamp", 3);
    world.run(SOON);
    for at in 0..2 {
        if world.hub(at).identity.hub_id < world.hub(1 - at).identity.hub_id {
            world.ahead.insert(at, KEEP * 60 * 24 * 365);
        }
    }
    world.run(KEEP * 5);
    assert_eq!(forgotten(&world, 0, "lamp"), 0);
}

/// A hub that lost a record below a horizon gets it back whole from one that has not swept yet: what the horizon let go is
/// let go again, or this hub kept content for ever that all others have dropped.
#[test]
fn a_record_taken_again_below_a_horizon_is_forgotten_again() {
    let mut world = World::keeping(2, Some(KEEP));
    let lamp = edits(&mut world, 0, "lamp", 3);
    world.run(SOON);
    let replica = world.hub(0).identity.replica.unwrap();
    let store = world.hub(1).store.snapshot();
    let found = (1..20).find_map(|sequence| {
        let entry = whole(&store, Dot { replica, sequence }).unwrap()?;
        let bundle = entry.to_wire().open().unwrap();
        let names = |sealed: &std::sync::Arc<Sealed>| sealed.record == lamp[0];
        bundle.records.iter().any(names).then_some(bundle)
    });
    let first = found.unwrap();
    world.run(KEEP * 3);
    assert_eq!(forgotten(&world, 1, "lamp"), 2);
    world.kill(1);
    let key = record_key(&lamp[0].id, &first.records[0].digest);
    let lost = Commit {
        writes: vec![(Family::Records, key, None)],
        ..Commit::default()
    };
    world.stores[1].commit(&lost).unwrap();
    world.start(1);
    world.apply(1, first, true);
    assert_eq!(rows(&world, 1, "lamp").len(), 3);
    world.run(SOON * 3);
    assert_eq!(forgotten(&world, 1, "lamp"), 2);
    support::check::all_alike(&world);
}

/// One of two sides of a conflict was lost when a horizon came: the other side looked settled, and the content that both were
/// made from went, at this hub alone. Nobody noticed, for what is compared does not tell content from its skeleton.
#[test]
fn nothing_goes_while_a_record_is_lost() {
    let mut world = World::keeping(2, Some(KEEP));
    let base = device("lamp", &stamp(&world), &[], &[("watts", 1), ("lumen", 1)]);
    world.push(0, base.clone());
    world.run(Duration::from_secs(1));
    let one = device("lamp", &stamp(&world), &[&base], &[("watts", 2), ("lumen", 1)]);
    world.push(0, one);
    world.run(Duration::from_secs(1));
    let other = device("lamp", &stamp(&world), &[&base], &[("watts", 1), ("lumen", 2)]);
    world.push(0, other.clone());
    edits(&mut world, 0, "stove", 3);
    world.run(SOON);
    // The hub with the smallest id writes horizons: the other sleeps meanwhile.
    let first = usize::from(world.hub(1).identity.hub_id < world.hub(0).identity.hub_id);
    let second = 1 - first;
    world.kill(second);
    let digest = Sealed::new(other.clone()).digest;
    let lost = Commit {
        writes: vec![(Family::Records, record_key(&other.id, &digest), None)],
        ..Commit::default()
    };
    world.stores[second].commit(&lost).unwrap();
    world.run(KEEP * 3);
    assert_eq!(forgotten(&world, first, "stove"), 2, "a horizon came meanwhile");
    world.start(second);
    assert_eq!(rows(&world, second, "lamp").len(), 2);
    world.run(KEEP * 4);
    assert_eq!(forgotten(&world, second, "stove"), 2, "and was swept");
    assert_eq!(forgotten(&world, first, "lamp"), 0);
    assert_eq!(forgotten(&world, second, "lamp"), 0, "nor here is the base gone");
    assert_eq!(
        rows(&world, second, "lamp").len(),
        3,
        "what was lost has come back"
    );
    support::check::all_alike(&world);
}

/// A look reads 10,000 rows of the log at most, and proves all of it before a horizon is written. A home that has more goes on
/// where it stopped, instead of reading the same rows for ever.
#[test]
fn a_long_log_is_looked_at_in_pieces_and_comes_to_its_end() {
    let mut world = World::keeping(1, Some(KEEP));
    // Things that were never replaced fill the first look; what can go lies behind them.
    for hundred in 0..101 {
        let record = |number| {
            let id = format!("thing-{hundred}-{number}");
            set(vec![device(&id, &stamp(&world), &[], &[("watts", 1)])])
        };
        let sets = (0..100).map(record).collect();
        let clock = world.clock(0);
        world.sync(0, clock, sets).unwrap();
    }
    edits(&mut world, 0, "lamp", 3);
    world.run(KEEP * 4);
    assert_eq!(forgotten(&world, 0, "lamp"), 2);
}
