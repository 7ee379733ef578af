//! The axioms of views, under every strategy and rule and with any JSON in them: each property states one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use inbetweenies_core::domain::{Manifest, Path, Strategy};
use inbetweenies_core::entry::Sealed;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Id, Version};
use inbetweenies_core::record::{Kind, Parent, Record};
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::view::{Graph, Node, Policy, State, View, tree, value_at, view, view_by, why};
use proptest::prelude::{Just, ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Draw;

/// A home whose devices are decided by rules, notes by the last write, rooms by people, and zones field by field.
fn policy() -> Policy {
    let text = r#"
        [domain]
        name = "axioms"
        [entity.zone]
        strategy = "merge"
        [entity.note]
        strategy = "last_write_wins"
        [entity.room]
        strategy = "manual"
        [entity.device]
        strategy = "custom"
        rules = [
            { field = ["content", "a"], rule = "max" },
            { field = ["content", "b"], rule = "min" },
            { field = ["content", "c"], rule = "union" },
            { field = ["content", "d"], rule = "prefer", values = [true, 3, "x"] },
            { field = ["content", "e"], rule = "newest" },
            { field = "name", rule = "max" },
        ]
    "#;
    let content: Value = toml_value(text);
    let manifest = Manifest::from_content(content.as_map().unwrap()).unwrap();
    Policy {
        manifest,
        ..Policy::default()
    }
}

fn toml_value(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

/// Any JSON, small.
fn json() -> impl Draw<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-4i64..4).prop_map(Value::Int),
        (-4i64..4).prop_map(|n| Value::Float(n as f64 + 0.5)),
        prop_oneof![Just("x"), Just("y"), Just("")].prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::btree_map(
                prop_oneof![Just("p".to_owned()), Just("q".to_owned())],
                inner,
                0..3
            )
            .prop_map(Value::Map),
        ]
    })
}

#[derive(Debug, Clone)]
struct Drawn {
    parents: Vec<prop::sample::Index>,
    bare: bool,
    time: u64,
    fields: BTreeMap<String, Value>,
    name: Option<String>,
    deleted: bool,
}

fn drawn() -> impl Draw<Value = Drawn> {
    let key = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d"), Just("e"), Just("f")];
    (
        proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        proptest::bool::weighted(0.1),
        0u64..5,
        proptest::collection::btree_map(key.prop_map(str::to_owned), json(), 0..5),
        proptest::option::of(prop_oneof![Just("Lamp".to_owned()), Just("Light".to_owned())]),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(parents, bare, time, fields, name, deleted)| Drawn {
            parents,
            bare,
            time,
            fields,
            name,
            deleted,
        })
}

/// Up to six versions of one thing. Order times follow causes, as hubs stamp them.
fn histories(most: usize) -> impl Draw<Value = Vec<Node>> {
    let kind = prop_oneof![Just("zone"), Just("note"), Just("room"), Just("device")];
    (kind, proptest::collection::vec(drawn(), 1..=most)).prop_map(|(kind, drawn)| {
        let mut nodes: Vec<Node> = Vec::new();
        for (at, drawn) in drawn.into_iter().enumerate() {
            let mut replaced: Vec<&Node> = drawn
                .parents
                .iter()
                .filter(|_| !nodes.is_empty())
                .map(|index| &nodes[index.index(nodes.len())])
                .collect();
            replaced.sort_by_key(|node| node.sealed.digest);
            replaced.dedup_by_key(|node| node.sealed.digest);
            let mut parents: Vec<Parent> = replaced
                .iter()
                .map(|node| Parent {
                    version: node.sealed.record.version.clone(),
                    digest: (!drawn.bare).then_some(node.sealed.digest),
                })
                .collect();
            parents.sort();
            let newest = replaced
                .iter()
                .map(|node| node.order_time.0 + 1)
                .max()
                .unwrap_or(0);
            let edges = replaced.iter().map(|node| node.sealed.digest).collect();
            let sealed = Arc::new(Sealed::new(Record {
                id: Id::new("thing").unwrap(),
                version: Version::new(&format!("v{at}")).unwrap(),
                kind: Kind::Entity {
                    entity_type: kind.to_owned(),
                    name: drawn.name,
                    source_type: None,
                },
                user_id: Some(format!("user{at}")),
                parents,
                deleted: drawn.deleted,
                content: drawn.fields,
                extra: Map::new(),
            }));
            nodes.push(Node {
                sealed,
                order_time: Micros(newest.max(drawn.time)),
                edges,
                late: Vec::new(),
                below: Vec::new(),
                forgotten: false,
            });
        }
        nodes
    })
}

fn seen(nodes: &[Node], policy: &Policy) -> View {
    view(&Graph::build(nodes.to_vec()), policy).unwrap()
}

/// Every order of so many things (Heap 1963).
fn permutations(count: usize) -> Vec<Vec<usize>> {
    fn heap(k: usize, order: &mut Vec<usize>, out: &mut Vec<Vec<usize>>) {
        if k <= 1 {
            return out.push(order.clone());
        }
        for at in 0..k {
            heap(k - 1, order, out);
            order.swap(if k.is_multiple_of(2) { at } else { 0 }, k - 1);
        }
    }
    let mut out = Vec::new();
    heap(count, &mut (0..count).collect(), &mut out);
    out
}

fn by_digest(nodes: &[Node]) -> BTreeMap<Digest, &Node> {
    nodes.iter().map(|node| (node.sealed.digest, node)).collect()
}

#[test]
fn there_are_as_many_orders_as_there_should_be() {
    let orders: BTreeSet<Vec<usize>> = permutations(6).into_iter().collect();
    assert_eq!(orders.len(), 720);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// All orders of up to six versions, each with one of them doubled.
    #[test]
    fn a_view_is_the_same_in_every_order_of_arrival(nodes in histories(6)) {
        let policy = policy();
        let expected = (seen(&nodes, &policy), why(&Graph::build(nodes.clone()), &policy));
        for order in permutations(nodes.len()) {
            let mut other: Vec<Node> = order.iter().map(|at| nodes[*at].clone()).collect();
            other.push(nodes[order[0]].clone());
            let graph = Graph::build(other);
            prop_assert_eq!(&(view(&graph, &policy).unwrap(), why(&graph, &policy)), &expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_view_depends_on_the_heads_and_their_ancestors_alone(nodes in histories(8)) {
        let policy = policy();
        let graph = Graph::build(nodes.clone());
        let needed = graph.with_ancestors(graph.heads().iter().map(|head| head.sealed.digest));
        let kept: Vec<Node> = nodes.iter().filter(|node| needed.contains(&node.sealed.digest)).cloned().collect();
        prop_assert_eq!(seen(&nodes, &policy), seen(&kept, &policy));
    }

    /// A field that one side took away, and the other did not touch, is gone whatever the strategy by fields.
    #[test]
    fn a_deleted_field_stays_deleted(nodes in histories(5), value in json(), later in 0u64..9) {
        let policy = policy();
        let base = seen(&nodes, &policy);
        if base.record.deleted || !matches!(base.strategy, Strategy::Merge | Strategy::Custom) {
            return Ok(());
        }
        let newest = nodes.iter().map(|node| node.order_time.0).max().unwrap() + 1;
        let on_all = |version: &str, content: Map, time: u64| {
            let mut record = base.record.clone();
            record.version = Version::new(version).unwrap();
            record.parents = base.heads.clone();
            record.parents.sort();
            record.content = content;
            let edges = record.parents.iter().filter_map(|parent| parent.digest).collect();
            Node {
                sealed: Arc::new(Sealed::new(record)),
                order_time: Micros(newest + time),
                edges,
                late: Vec::new(),
                below: Vec::new(),
                forgotten: false,
            }
        };
        let mut with = base.record.content.clone();
        with.insert("gone".to_owned(), value);
        let origin = on_all("w0", with.clone(), 0);
        let mut nodes = nodes;
        nodes.push(origin.clone());
        let on_origin = |version: &str, content: Map, time: u64| {
            let mut node = on_all(version, content, time);
            let mut record = node.sealed.record.clone();
            record.parents = vec![Parent { version: origin.sealed.record.version.clone(), digest: Some(origin.sealed.digest) }];
            node.edges = vec![origin.sealed.digest];
            node.sealed = Arc::new(Sealed::new(record));
            node
        };
        let mut without = with.clone();
        without.remove("gone");
        let mut touched = with;
        touched.insert("other".to_owned(), Value::Int(1));
        nodes.push(on_origin("w1", without, 1 + later));
        nodes.push(on_origin("w2", touched, 10 - later));
        let after = seen(&nodes, &policy);
        prop_assert_eq!(after.heads.len(), 2);
        prop_assert!(!after.record.content.contains_key("gone"));
        prop_assert_eq!(after.record.content.get("other"), Some(&Value::Int(1)));
    }

    /// Every version is a head or an ancestor of one, its content can be read, and a loser is named where it lost.
    #[test]
    fn every_loser_is_readable(nodes in histories(7)) {
        let policy = policy();
        let graph = Graph::build(nodes.clone());
        let laid = tree(&graph, &policy).unwrap();
        let all: BTreeSet<Digest> = nodes.iter().map(|node| node.sealed.digest).collect();
        let told: BTreeSet<Digest> = laid.branches.iter().map(|branch| branch.node.sealed.digest).collect();
        prop_assert_eq!(&told, &all);
        let heads: BTreeSet<Digest> = graph.heads().iter().map(|head| head.sealed.digest).collect();
        prop_assert_eq!(graph.with_ancestors(heads.iter().copied()), all);
        let reasons = why(&graph, &policy).unwrap();
        for branch in laid.branches.iter().filter(|branch| branch.state == State::Lost) {
            let digest = branch.node.sealed.digest;
            prop_assert!(heads.contains(&digest));
            let named = reasons.fields.values().any(|field| field.others.contains(&digest));
            // Or what it took over, or took away, was beaten through another writer.
            let differs = reasons.fields.iter().any(|(path, field)| value_at(&branch.node.sealed.record, path) != field.value);
            prop_assert!(named || differs, "{:?} lost and nothing says why", digest);
        }
    }

    /// Any JSON in, an answer out; and each field says who wrote it and by which rule, as the view has it.
    #[test]
    fn rules_are_total_and_reasons_fit_the_view(nodes in histories(8)) {
        let policy = policy();
        let graph = Graph::build(nodes.clone());
        let reasons = why(&graph, &policy).unwrap();
        let known = by_digest(&nodes);
        let mut fields: BTreeSet<&Path> = BTreeSet::new();
        for (path, field) in &reasons.fields {
            prop_assert!(known.contains_key(&field.writer));
            prop_assert!(field.others.iter().all(|other| known.contains_key(other)));
            if path.len() == 1 && path[0] == "deleted" {
                continue;
            }
            prop_assert_eq!(&value_at(&reasons.view.record, path), &field.value, "{:?}", path);
            if field.value.is_some() {
                fields.insert(path);
            }
        }
        let shown = inbetweenies_core::view::paths(&reasons.view.record);
        prop_assert_eq!(fields.into_iter().cloned().collect::<BTreeSet<Path>>(), shown);
        for strategy in [Strategy::Merge, Strategy::LastWriteWins, Strategy::Manual, Strategy::Custom] {
            prop_assert!(view_by(&graph, &policy, Some(strategy)).is_some());
        }
    }

    /// An answer dominates the heads that it names: it is the view, whatever the strategy.
    #[test]
    fn an_edit_on_all_heads_is_what_is_shown(nodes in histories(6), value in json()) {
        let policy = policy();
        let before = seen(&nodes, &policy);
        let mut record = before.record.clone();
        record.version = Version::new("answer").unwrap();
        record.parents = before.heads.clone();
        record.parents.sort();
        record.deleted = false;
        record.content.insert("a".to_owned(), value);
        let edges = record.parents.iter().filter_map(|parent| parent.digest).collect();
        let answer = Node {
            sealed: Arc::new(Sealed::new(record.clone())),
            order_time: Micros(1_000),
            edges,
            late: Vec::new(),
            below: Vec::new(),
            forgotten: false,
        };
        let mut nodes = nodes;
        nodes.push(answer);
        let after = seen(&nodes, &policy);
        prop_assert_eq!(after.heads.len(), 1);
        prop_assert_eq!(after.record, record);
    }

    /// Forgetting changes no head and, where no conflict lies across the horizon, nothing that is shown.
    #[test]
    fn forgetting_changes_no_head_and_no_current_value(nodes in histories(8), cut in any::<prop::sample::Index>()) {
        let policy = policy();
        let before = Graph::build(nodes.clone());
        let cut = cut.index(nodes.len() + 1);
        // What arrived first lies below, as entries do.
        let lowered = |dropped: bool| {
            let nodes = nodes.iter().enumerate().map(|(at, node)| Node { below: if at < cut { vec![0] } else { Vec::new() }, ..node.clone() });
            let graph = Graph::build(nodes);
            if !dropped {
                return graph;
            }
            // The bytes are gone, too.
            let gone = graph.nodes().map(|node| match node.forgotten {
                false => node.clone(),
                true => Node {
                    sealed: Arc::new(Sealed::skeleton(node.sealed.record.clone(), node.sealed.digest)),
                    ..node.clone()
                },
            });
            Graph::build(gone)
        };
        let (kept, dropped) = (lowered(false), lowered(true));
        let heads = |graph: &Graph| graph.heads().iter().map(|head| head.sealed.digest).collect::<Vec<_>>();
        prop_assert_eq!(heads(&before), heads(&kept));
        prop_assert_eq!(heads(&before), heads(&dropped));
        prop_assert_eq!(&view(&kept, &policy), &view(&dropped, &policy), "bytes or not, the view is the same");
        prop_assert!(kept.heads().iter().all(|head| !head.forgotten));
        // An edit above that does not follow what stands at the horizon, or names what it let go, is a conflict across it: hubs write no horizon
        // below a conflict that they know of, and one that comes later counts as writing all its fields.
        let forgotten = kept.nodes().any(|node| node.forgotten);
        let standing = nodes.iter().take(cut).find(|node| !kept.node(&node.sealed.digest).unwrap().forgotten);
        let across = nodes.iter().skip(cut).any(|node| {
            let follows = |standing: &Node| kept.with_ancestors([node.sealed.digest]).contains(&standing.sealed.digest);
            let on_gone = node.edges.iter().any(|edge| kept.node(edge).is_some_and(|parent| parent.forgotten));
            on_gone || standing.is_some_and(|standing| !follows(standing))
        });
        if !(forgotten && across) {
            prop_assert_eq!(view(&before, &policy), view(&dropped, &policy));
        }
    }

    /// A view at T is the view of what stands no later than T, and the heads then are those of the restricted graph.
    #[test]
    fn the_past_is_what_stands_no_later(nodes in histories(8), at in 0u64..12) {
        let policy = policy();
        let then: Vec<Node> = nodes.iter().filter(|node| node.order_time.0 <= at).cloned().collect();
        let graph = Graph::build(nodes).until(Micros(at));
        prop_assert_eq!(view(&graph, &policy), view(&Graph::build(then), &policy));
    }
}
