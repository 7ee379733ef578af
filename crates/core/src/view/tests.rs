//! The axioms of views: independent of order, doubles and hub; nothing deleted comes back; every loser stays a head's
//! ancestor or a head.

use std::sync::Arc;

use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::Strategy as _;

use super::*;
use crate::entry::Sealed;
use crate::id::{Id, Version};
use crate::value::{Map, Value};

fn record(version: &str, parents: &[&Node], content: &[(&str, Value)]) -> Record {
    Record {
        id: Id::new("lamp").unwrap(),
        version: Version::new(version).unwrap(),
        kind: Kind::Entity {
            entity_type: "device".into(),
            name: Some("Lamp".into()),
            source_type: None,
        },
        user_id: Some("alice".into()),
        parents: parents
            .iter()
            .map(|p| Parent {
                version: p.sealed.record.version.clone(),
                digest: Some(p.sealed.digest),
            })
            .collect(),
        deleted: false,
        content: content
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
        extra: Map::new(),
    }
}

fn node(order_time: u64, record: Record) -> Node {
    let edges = record.parents.iter().filter_map(|parent| parent.digest).collect();
    Node {
        sealed: Arc::new(Sealed::new(record)),
        order_time: Micros(order_time),
        edges,
        late: Vec::new(),
        below: Vec::new(),
        forgotten: false,
    }
}

fn seen(nodes: &[Node]) -> View {
    view(
        &Graph::build(nodes.to_vec()),
        &Policy {
            manifest: Manifest::default(),
            ..Policy::default()
        },
    )
    .unwrap()
}

fn int(number: i64) -> Value {
    Value::Int(number)
}

#[test]
fn different_fields_merge_and_the_same_field_goes_to_the_last_writer() {
    let base = node(
        1,
        record("v1", &[], &[("watts", int(9)), ("colour", "red".into())]),
    );
    let left = node(
        2,
        record("v2", &[&base], &[("watts", int(10)), ("colour", "red".into())]),
    );
    let right = node(
        3,
        record("v3", &[&base], &[("watts", int(11)), ("colour", "blue".into())]),
    );
    let view = seen(&[right.clone(), base.clone(), left.clone()]);
    assert_eq!(view.record.content["watts"], int(11));
    assert_eq!(view.record.content["colour"], "blue".into());
    assert!(view.conflict && !view.queued && !view.provisional);
    assert_eq!(view.heads.len(), 2);
    let answer = node(
        4,
        record(
            view.record.version.as_str(),
            &[&left, &right],
            &[("watts", int(10))],
        ),
    );
    let after = seen(&[base, left, right, answer.clone()]);
    assert_eq!(
        after.record, answer.sealed.record,
        "an edit that names the heads is the merge"
    );
}

#[test]
fn a_deleted_field_stays_deleted() {
    let base = node(1, record("v1", &[], &[("a", int(1)), ("b", int(1))]));
    let drops = node(2, record("v2", &[&base], &[("b", int(1))]));
    let edits = node(3, record("v3", &[&base], &[("a", int(1)), ("b", int(2))]));
    let view = seen(&[base, drops, edits]);
    assert_eq!(view.record.content, Map::from([("b".to_owned(), int(2))]));
}

#[test]
fn delete_against_edit_stays_deleted_and_asks_a_person() {
    let base = node(1, record("v1", &[], &[]));
    let mut gone = record("v2", &[&base], &[]);
    gone.deleted = true;
    let edit = node(9, record("v3", &[&base], &[("a", int(1))]));
    let view = seen(&[base, node(2, gone), edit]);
    assert!(view.record.deleted && view.queued);
}

#[test]
fn a_leaf_against_fields_below_goes_whole_to_the_larger_writer() {
    let deep = Value::Map(Map::from([("b".to_owned(), int(2))]));
    let base = node(1, record("v1", &[], &[("a", int(1))]));
    for (leaf_time, deep_time, expected) in [(2, 3, deep.clone()), (3, 2, int(5))] {
        let leaf = node(leaf_time, record("v2", &[&base], &[("a", int(5))]));
        let fields = node(deep_time, record("v3", &[&base], &[("a", deep.clone())]));
        assert_eq!(seen(&[base.clone(), leaf, fields]).record.content["a"], expected);
    }
}

#[test]
fn an_older_write_does_not_beat_what_replaced_it_through_another_line() {
    // criss-cross: both heads saw both edits, and settled them differently
    let base = node(1, record("v1", &[], &[("a", int(0))]));
    let one = node(2, record("v2", &[&base], &[("a", int(1))]));
    let two = node(3, record("v3", &[&base], &[("a", int(2))]));
    let keeps_one = node(4, record("v4", &[&one, &two], &[("a", int(1))]));
    let keeps_two = node(5, record("v5", &[&one, &two], &[("a", int(2))]));
    assert_eq!(
        seen(&[base, one, two, keeps_one, keeps_two]).record.content["a"],
        int(2)
    );
}

#[test]
fn a_parent_that_comes_after_its_child_is_no_head() {
    let base = node(1, record("v1", &[], &[]));
    let child = node(2, record("v2", &[&base], &[("a", int(1))]));
    let alone = seen(std::slice::from_ref(&child));
    assert_eq!(alone.missing_parents, vec![Version::new("v1").unwrap()]);
    let whole = seen(&[child.clone(), base]);
    assert_eq!(whole.heads.len(), 1);
    assert_eq!(whole.record, child.sealed.record);
    assert!(whole.missing_parents.is_empty());
}

fn named(order_time: u64, version: &str, names: &[&str]) -> Node {
    let mut record = record(version, &[], &[]);
    let late: Vec<Version> = names.iter().map(|name| Version::new(name).unwrap()).collect();
    record.parents = late
        .iter()
        .map(|version| Parent {
            version: version.clone(),
            digest: None,
        })
        .collect();
    Node {
        late,
        ..node(order_time, record)
    }
}

#[test]
fn names_stand_for_the_one_that_bears_them_and_cycles_for_nothing() {
    let heads = |nodes: &[Node]| seen(nodes).heads.len();
    assert_eq!(heads(&[named(1, "v1", &[]), named(2, "v2", &["v1"])]), 1);
    assert_eq!(
        heads(&[named(1, "v1", &["v2"]), named(2, "v2", &["v1"])]),
        2,
        "a cycle is no order"
    );
    assert_eq!(heads(&[named(1, "v1", &["v1"])]), 1, "a record that names itself");
    let mut twin = named(3, "v1", &[]);
    twin.sealed = Arc::new(Sealed::new(record("v1", &[], &[("other", int(1))])));
    assert_eq!(
        heads(&[named(1, "v1", &[]), twin, named(2, "v2", &["v1"])]),
        3,
        "two bear it: it stands for none"
    );
}

/// Random histories: each record replaces some of those before it and writes some fields.
fn histories() -> impl proptest::strategy::Strategy<Value = Vec<Node>> {
    let one = (
        proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        0u64..6,
        0i64..3,
        0i64..3,
        0u8..8,
    );
    proptest::collection::vec(one, 1..7).prop_map(|drawn| {
        let mut nodes: Vec<Node> = Vec::new();
        for (at, (parents, time, a, b, flags)) in drawn.into_iter().enumerate() {
            let parents: Vec<Node> = if nodes.is_empty() {
                Vec::new()
            } else {
                parents
                    .iter()
                    .map(|index| nodes[index.index(nodes.len())].clone())
                    .collect()
            };
            let refs: Vec<&Node> = parents.iter().collect();
            let mut fields = vec![("b", int(b))];
            if a > 0 {
                fields.push((
                    "a",
                    if flags & 1 == 0 {
                        int(a)
                    } else {
                        Value::Map(Map::from([("x".into(), int(a))]))
                    },
                ));
            }
            let mut made = record(&format!("v{at}"), &refs, &fields);
            made.parents.sort();
            made.parents.dedup();
            made.deleted = flags == 7;
            nodes.push(node(time, made));
        }
        nodes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_view_is_independent_of_order_and_doubles(nodes in histories(), turn in any::<prop::sample::Index>()) {
        let mut other = nodes.clone();
        other.reverse();
        let by = turn.index(other.len());
        other.rotate_left(by);
        other.extend(nodes.iter().take(2).cloned());
        prop_assert_eq!(seen(&nodes), seen(&other));
    }

    #[test]
    fn a_view_depends_on_the_heads_and_their_ancestors_alone(nodes in histories()) {
        let graph = Graph::build(nodes.clone());
        let needed = graph.with_ancestors(graph.heads().iter().map(|head| head.sealed.digest));
        let kept: Vec<Node> = nodes.iter().filter(|node| needed.contains(&node.sealed.digest)).cloned().collect();
        prop_assert_eq!(seen(&nodes).record, seen(&kept).record);
    }

    #[test]
    fn every_shown_value_is_one_that_somebody_wrote(nodes in histories()) {
        let view = seen(&nodes);
        for (key, value) in &view.record.content {
            let wrote = |node: &Node| node.sealed.record.content.get(key) == Some(value);
            prop_assert!(nodes.iter().any(wrote) || matches!(value, Value::Map(_)), "{} = {:?}", key, value);
        }
    }
}

#[test]
fn an_unknown_field_of_any_name_stands_in_nobodys_way() {
    let base = node(1, record("v1", &[], &[("a", int(1))]));
    let left = node(2, record("v2", &[&base], &[("a", int(2))]));
    for name in ["\0content", "content", "properties", "name", "from_entity_id"] {
        let mut right = record("v3", &[&base], &[("a", int(1))]);
        right.extra.insert(name.to_owned(), int(5));
        let view = seen(&[base.clone(), left.clone(), node(3, right)]);
        assert_eq!(
            view.record.content,
            Map::from([("a".to_owned(), int(2))]),
            "{name:?}"
        );
        assert_eq!(
            view.record.extra,
            Map::from([(name.to_owned(), int(5))]),
            "{name:?}"
        );
        assert!(matches!(view.record.kind, Kind::Entity { name: Some(name), .. } if name == "Lamp"));
    }
}

/// Its own conflicts are decided before there is a policy to ask.
#[test]
fn the_view_of_the_policy_is_its_last_write() {
    let of_type = |mut record: Record| {
        record.kind = Kind::Entity {
            entity_type: crate::domain::POLICY.into(),
            name: None,
            source_type: None,
        };
        record
    };
    let left = node(2, of_type(record("v1", &[], &[("a", int(1))])));
    let right = node(3, of_type(record("v2", &[], &[("b", int(1))])));
    let view = seen(&[left, right]);
    assert_eq!(view.record.content, Map::from([("b".to_owned(), int(1))]));
    assert_eq!(view.strategy, Strategy::LastWriteWins);
}

/// The bug: an edge under the id of a thing was shown with the thing's name, until the thing's content was gone from a disk:
/// a device and a hub that held the same showed another.
#[test]
fn an_edge_under_the_id_of_a_thing_is_shown_the_same_when_the_thing_is_forgotten() {
    let thing = node(1, record("v1", &[], &[("watts", int(9))]));
    let mut edge = record("v2", &[&thing], &[("medium", "zigbee".into())]);
    edge.kind = Kind::Relationship {
        from: Id::new("room").unwrap(),
        to: Id::new("lamp").unwrap(),
        relationship_type: "holds".into(),
    };
    let edge = node(2, edge);
    let whole = seen(&[thing.clone(), edge.clone()]);
    let gone = Node {
        sealed: Arc::new(Sealed {
            record: thing.sealed.record.skeleton(),
            bytes: thing.sealed.record.skeleton().canonical(),
            digest: thing.sealed.digest,
            forgotten: true,
        }),
        forgotten: true,
        ..thing
    };
    assert_eq!(seen(&[gone, edge]), whole);
    assert_eq!(
        whole.record.entity_type(),
        Some("device"),
        "what it was first stays"
    );
}
