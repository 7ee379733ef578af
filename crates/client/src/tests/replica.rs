//! Frames in, state out; and what an answer makes of what was pushed.

use std::sync::Arc;

use inbetweenies_core::entry::Sealed;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{HomeId, Version};
use inbetweenies_core::record::{Kind, Parent};
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Map, Value};

use super::*;
use crate::round::{judge, take_page};
use crate::wire::{Outcome, ReceivedSet, Reply};

fn draft_on(replica: &Replica, what: &str) -> Draft {
    Draft::on(&replica.view(&id(what), &replica.policy()).unwrap())
}

fn name(replica: &Replica) -> Option<String> {
    match replica.view(&id("lamp"), &replica.policy())?.record.kind {
        Kind::Entity { name, .. } => name,
        Kind::Relationship { .. } => None,
    }
}

/// What a sync would do with one answer.
fn take(replica: &mut Replica, pushed: &[(u64, Vec<Arc<Sealed>>)], reply: &Reply) -> Summary {
    let mut summary = Summary::default();
    let mut synced = judge(pushed, reply, &mut summary);
    if !reply.not_yet {
        take_page(replica, reply, &mut synced, &mut summary);
    }
    replica.apply(&Frame::Synced(Box::new(synced))).unwrap();
    summary
}

#[test]
fn an_edit_is_pending_until_a_hub_says_that_it_is_on_its_disk() {
    let mut replica = replica();
    let set = edit(&mut replica, vec![lamp("Lamp")], 1_000_000);
    assert_eq!(
        set.1[0].record.version.as_str(),
        "1970-01-01T00:00:01.000000+00:00-000008-alice"
    );
    take(&mut replica, std::slice::from_ref(&set), &reply());
    assert_eq!(
        replica.pending().count(),
        1,
        "an answer without a word of it changes nothing"
    );
    let answer = Reply {
        applied: acknowledged(&set.1, Outcome::Durable),
        sets: vec![received((HUB, 1), &set.1, 900_000)],
        clock: clock(&[(HUB, 1)]),
        ..reply()
    };
    let summary = take(&mut replica, std::slice::from_ref(&set), &answer);
    assert_eq!((summary.records_sent, summary.records_received), (1, 1));
    assert_eq!(replica.pending().count(), 0);
    let view = replica.view(&id("lamp"), &replica.policy()).unwrap();
    assert_eq!(
        view.order_time,
        Micros(900_000),
        "the hub's stamp counts, not this device's"
    );
    assert_eq!(replica.clock(), &answer.clock);
    let before = replica.clone();
    take(&mut replica, &[], &answer);
    assert_eq!(replica, before, "the same page twice is the page once");
}

#[test]
fn an_edit_on_top_names_what_it_replaces_and_lies_after_it() {
    let mut replica = replica();
    let set = edit(&mut replica, vec![lamp("Lamp")], 5_000_000);
    // This device's clock went back; the edit is after the other all the same.
    let mut on_top = draft_on(&replica, "lamp");
    on_top.content.insert("on".to_owned(), Value::Bool(true));
    let second = edit(&mut replica, vec![on_top], 1_000_000);
    let parent = Parent {
        version: set.1[0].record.version.clone(),
        digest: Some(set.1[0].digest),
    };
    assert_eq!(second.1[0].record.parents, [parent]);
    let view = replica.view(&id("lamp"), &replica.policy()).unwrap();
    assert_eq!((view.order_time, view.heads.len()), (Micros(5_000_001), 1));
}

#[test]
fn what_a_hub_refuses_is_kept_aside_and_no_longer_shown() {
    let mut replica = replica();
    let good = edit(&mut replica, vec![lamp("Lamp")], 1);
    let room = Draft::entity(id("hall"), "rom", None, "manual", Map::new());
    let on_top = draft_on(&replica, "lamp");
    let bad = edit(&mut replica, vec![room, on_top], 2);
    let answer = Reply {
        applied: acknowledged(&good.1, Outcome::Known),
        rejected: vec![
            (
                "hall".to_owned(),
                "unknown_entity_type".to_owned(),
                "no such type".to_owned(),
            ),
            (
                "lamp".to_owned(),
                "set_refused".to_owned(),
                "with the set".to_owned(),
            ),
        ],
        ..reply()
    };
    let summary = take(&mut replica, &[good, bad.clone()], &answer);
    assert_eq!(summary.refused.len(), 2);
    assert_eq!(replica.pending().count(), 0);
    assert!(replica.view(&id("hall"), &replica.policy()).is_none());
    assert_eq!(
        replica.graph(&id("lamp")).nodes().count(),
        1,
        "the first edit is still there"
    );
    let (number, set, rows) = replica.refused().next().unwrap();
    assert_eq!(
        (number, set.records.len(), rows[0].code.as_str()),
        (bad.0, 2, "unknown_entity_type")
    );
}

#[test]
fn a_hub_without_a_home_refuses_for_now_and_not_for_good() {
    let mut replica = replica();
    let set = edit(&mut replica, vec![lamp("Lamp")], 1);
    let answer = Reply {
        rejected: vec![("lamp".to_owned(), "no_home".to_owned(), String::new())],
        ..reply()
    };
    take(&mut replica, &[set], &answer);
    assert_eq!((replica.pending().count(), replica.refused().count()), (1, 0));
}

#[test]
fn a_lost_conflict_is_told_and_its_loser_is_in_the_history() {
    let mut replica = replica();
    let first = edit(&mut replica, vec![lamp("Lamp")], 1);
    take(
        &mut replica,
        std::slice::from_ref(&first),
        &Reply {
            applied: acknowledged(&first.1, Outcome::Durable),
            sets: vec![received((HUB, 1), &first.1, 1)],
            clock: clock(&[(HUB, 1)]),
            ..reply()
        },
    );
    // Somebody else renames it while this device does, and is later.
    let mut theirs = first.1[0].record.clone();
    theirs.version = Version::new("v-theirs").unwrap();
    theirs.parents = vec![Parent {
        version: first.1[0].record.version.clone(),
        digest: Some(first.1[0].digest),
    }];
    if let Kind::Entity { name, .. } = &mut theirs.kind {
        *name = Some("Theirs".to_owned());
    }
    let theirs = vec![Arc::new(Sealed::new(theirs))];
    let mut mine = draft_on(&replica, "lamp");
    if let Kind::Entity { name, .. } = &mut mine.kind {
        *name = Some("Mine".to_owned());
    }
    let mine = edit(&mut replica, vec![mine], 10);
    let summary = take(
        &mut replica,
        std::slice::from_ref(&mine),
        &Reply {
            applied: acknowledged(&mine.1, Outcome::Lost),
            sets: vec![received((OTHER, 1), &theirs, 20), received((HUB, 2), &mine.1, 10)],
            clock: clock(&[(HUB, 2), (OTHER, 1)]),
            ..reply()
        },
    );
    assert_eq!(summary.lost_ids().into_iter().collect::<Vec<_>>(), ["lamp"]);
    assert_eq!(name(&replica).as_deref(), Some("Theirs"));
    let lines = replica.history(&id("lamp"), &replica.policy(), None);
    let states: Vec<&str> = lines.iter().map(|line| line.state).collect();
    assert_eq!(states, ["head", "lost", "superseded"]);
}

#[test]
fn a_hub_that_is_behind_takes_edits_and_moves_no_clock() {
    let mut replica = replica();
    let set = edit(&mut replica, vec![lamp("Lamp")], 1);
    let summary = take(
        &mut replica,
        std::slice::from_ref(&set),
        &Reply {
            applied: acknowledged(&set.1, Outcome::Durable),
            not_yet: true,
            clock: clock(&[(HUB, 1)]),
            ..reply()
        },
    );
    assert_eq!((summary.sets_landed, replica.pending().count()), (1, 0));
    assert!(replica.clock().is_empty());
    assert_eq!(
        replica.orphans().len(),
        1,
        "acknowledged, and in no log that this device has read"
    );
}

#[test]
fn a_log_that_gave_way_is_read_from_its_beginning_and_what_it_alone_held_is_pushed_again() {
    let mut replica = replica();
    let (kept, gone) = (
        edit(&mut replica, vec![lamp("Lamp")], 1),
        edit(
            &mut replica,
            vec![Draft::entity(id("hall"), "room", None, "manual", Map::new())],
            2,
        ),
    );
    let both = [kept.clone(), gone.clone()];
    take(
        &mut replica,
        &both,
        &Reply {
            applied: both
                .iter()
                .flat_map(|set| acknowledged(&set.1, Outcome::Durable))
                .collect(),
            sets: vec![received((HUB, 1), &kept.1, 1), received((HUB, 2), &gone.1, 2)],
            clock: clock(&[(HUB, 2), (OTHER, 4)]),
            ..reply()
        },
    );
    assert!(replica.orphans().is_empty());
    // The hub was restored from a backup of before its second entry.
    let summary = take(
        &mut replica,
        &[],
        &Reply {
            reset: vec![HUB],
            sets: vec![received((HUB, 7), &kept.1, 9)],
            clock: clock(&[(HUB, 7), (OTHER, 4)]),
            ..reply()
        },
    );
    assert_eq!(summary.records_received, 0, "this page began where nobody knows");
    assert_eq!(replica.clock(), &clock(&[(OTHER, 4)]));
    assert_eq!(
        name(&replica).as_deref(),
        Some("Lamp"),
        "nothing disappears meanwhile"
    );
    take(
        &mut replica,
        &[],
        &Reply {
            sets: vec![received((HUB, 1), &kept.1, 1)],
            clock: clock(&[(HUB, 1), (OTHER, 4)]),
            ..reply()
        },
    );
    assert_eq!(replica.orphans(), [gone.1[0].digest]);
    let set = replica.next_set();
    let digests = replica.orphans();
    replica.apply(&Frame::Requeued { set, digests }).unwrap();
    assert_eq!(
        replica
            .pending()
            .next()
            .map(|(number, set)| (number, set.records.clone())),
        Some((set, gone.1))
    );
    assert!(replica.orphans().is_empty());
}

#[test]
fn drafts_meet_the_hubs_own_door_on_this_device() {
    let replica = replica();
    let refused = |draft: Draft| replica.stamp(vec![draft], Micros(1)).unwrap_err().code;
    let mut large = lamp("Lamp");
    large
        .content
        .insert("text".to_owned(), Value::Text("x".repeat(300_000)));
    assert_eq!(refused(large), "limit_content");
    assert_eq!(refused(lamp(&"x".repeat(5_000))), "malformed");
    let mut reserved = lamp("Lamp");
    reserved.extra.insert("digest".to_owned(), Value::Int(1));
    assert_eq!(refused(reserved), "reserved_field");
    assert!(replica.stamp(vec![lamp("Lamp")], Micros(1)).is_ok());
}

#[test]
fn a_word_means_an_id_then_a_name_then_the_beginning_of_an_id() {
    let mut replica = replica();
    let thing =
        |text: &str, name: &str| Draft::entity(id(text), "room", Some(name.to_owned()), "manual", Map::new());
    let rooms = vec![
        thing("hall", "Kitchen"),
        thing("kitchen-1", "Hall"),
        thing("kitchen-2", "Store"),
        thing("cellar-1", "Store"),
    ];
    edit(&mut replica, rooms, 1);
    let policy = replica.policy();
    let find = |word: &str| replica.find(word, &policy).map(|id| id.to_string());
    assert_eq!(find("hall").unwrap(), "hall", "an id goes before a name");
    assert_eq!(
        find("KITCHEN").unwrap(),
        "hall",
        "a name before the beginning of an id"
    );
    assert_eq!(
        find("kitchen-")
            .unwrap_err()
            .to_string()
            .matches("room kitchen-")
            .count(),
        2
    );
    assert_eq!(find("cell").unwrap(), "cellar-1");
    assert!(matches!(find("store"), Err(NotFound::Several(..))));
    assert!(
        matches!(find("cel"), Err(NotFound::Nothing(_))),
        "too short to mean an id"
    );
}

#[test]
fn a_store_that_is_opened_again_is_the_store_that_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("me");
    assert!(matches!(Store::open(&path), Err(StoreError::NotThere { .. })));
    let mut store = Store::init(&path, "alice").unwrap();
    let edited = store.replica().stamp(vec![lamp("Lamp")], wall_clock()).unwrap();
    store.keep(&Frame::Edited(edited.clone())).unwrap();
    let twice = store.keep(&Frame::Edited(edited));
    assert!(
        matches!(twice, Err(StoreError::Frame { .. })),
        "a set's number stands once"
    );
    let synced = Synced {
        home_id: Some(HomeId(uuid::Uuid::from_u128(5))),
        clock: Some(vec![(HUB, 3, None)]),
        ..Synced::default()
    };
    store.keep(&Frame::Synced(Box::new(synced))).unwrap();
    let before = store.replica().clone();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.replica(), &before);
    drop(store);
    assert!(matches!(
        Store::init(&path, "bob"),
        Err(StoreError::Exists { .. })
    ));
}

#[test]
fn a_record_known_under_two_dots_has_the_smaller_time_and_the_edges_of_both() {
    let mut replica = replica();
    let first = edit(&mut replica, vec![lamp("Lamp")], 1);
    let mut second = first.1[0].record.clone();
    second.version = Version::new("v-2").unwrap();
    second.parents = vec![Parent {
        version: first.1[0].record.version.clone(),
        digest: None,
    }];
    let second = vec![Arc::new(Sealed::new(second))];
    let resolved = |set: ReceivedSet, digests: Vec<Digest>| {
        let mut set = set;
        set.records[0].stamp.resolved = vec![digests];
        set
    };
    take(
        &mut replica,
        std::slice::from_ref(&first),
        &Reply {
            applied: acknowledged(&first.1, Outcome::Durable),
            sets: vec![
                received((HUB, 1), &first.1, 5),
                resolved(received((HUB, 2), &second, 9), Vec::new()),
                resolved(received((OTHER, 1), &second, 7), vec![first.1[0].digest]),
            ],
            clock: clock(&[(HUB, 2), (OTHER, 1)]),
            ..reply()
        },
    );
    let graph = replica.graph(&id("lamp"));
    let node = graph.node(&second[0].digest).unwrap();
    assert_eq!(node.order_time, Micros(7));
    assert_eq!(node.edges, [first.1[0].digest]);
    assert_eq!(node.late, [first.1[0].record.version.clone()]);
    assert_eq!(graph.heads().len(), 1);
}
