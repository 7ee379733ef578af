//! What the workload tells of single things: before the cut, on both sides of it, and after.

use std::collections::BTreeSet;
use std::sync::Arc;

use inbetweenies_core::entry::Sealed;
use inbetweenies_core::id::{Id, Version};
use inbetweenies_core::record::{Kind, Parent, Record};
use inbetweenies_core::value::{Budget, Map, Value, decode};
use serde_json::{Value as Json, json};

/// Lands whole or not at all.
pub type Set = Vec<Arc<Sealed>>;

/// What happens to one thing, or to a few.
#[derive(Default)]
pub struct Tale {
    /// Everybody comes to hear it.
    pub before: Vec<Set>,
    /// While the island is cut off: at the others,
    pub mainland: Vec<Set>,
    /// and there.
    pub island: Vec<Set>,
    /// When everybody holds everything.
    pub after: Vec<Set>,
}

/// Every tale is about ids of its own.
pub fn all(watts: i64) -> Vec<Tale> {
    vec![
        different_fields(),
        one_field(watts),
        a_room_waits_for_a_person(),
        a_note_has_one_last_writer(),
        deleted_and_edited(),
        deleted_twice(),
        moved_both_ways(),
        pushed_on_both_sides(),
        a_thing_and_an_edge_of_one_id(),
        two_records_of_one_name(),
        a_parent_that_comes_later(),
        children_before_their_parents(),
        stale_edits_at_one_hub(),
        refused(),
    ]
}

/// Rooms that others stand in.
pub fn rooms() -> Vec<Set> {
    ["hall", "cellar", "attic"]
        .map(|room| vec![thing(room, "room", 0, "all", json!({}))])
        .into()
}

/// One of many notes.
pub fn note(at: usize) -> Arc<Sealed> {
    let id = format!("note-{at:02}");
    thing(
        &id,
        "note",
        100 + at as u32,
        "all",
        json!({"text": format!("the {at}th")}),
    )
}

fn different_fields() -> Tale {
    let white = json!({"level": 1, "shade": {"form": "round", "colour": "white"}});
    let lamp = thing("lamp", "device", 0, "all", white);
    let edited = edit(
        &[&lamp],
        1,
        "all",
        json!({"level": 2, "shade": {"form": "round", "colour": "white"}}),
    );
    let brighter = edit(
        &[&edited],
        2,
        "anna",
        json!({"level": 3, "shade": {"form": "round", "colour": "white"}}),
    );
    let redder = edit(
        &[&edited],
        3,
        "bob",
        json!({"level": 2, "shade": {"form": "round", "colour": "red"}, "rgb": [255, 0, 0.5]}),
    );
    let plain = edit(&[&redder], 4, "bob", json!({"level": 2, "shade": "none"}));
    Tale {
        before: vec![vec![lamp], vec![edited]],
        mainland: vec![vec![brighter]],
        island: vec![vec![redder], vec![plain]],
        ..Tale::default()
    }
}

fn one_field(watts: i64) -> Tale {
    let plug = thing("plug", "device", 0, "all", json!({"watts": 1, "on": false}));
    let ten = edit(&[&plug], 1, "anna", json!({"watts": 10, "on": false}));
    let more = edit(&[&plug], 2, "bob", json!({"watts": watts, "on": true}));
    Tale {
        before: vec![vec![plug]],
        mainland: vec![vec![ten]],
        island: vec![vec![more]],
        ..Tale::default()
    }
}

fn a_room_waits_for_a_person() -> Tale {
    let one = |id: &str| {
        let room = thing(id, "room", 0, "all", json!({"floor": 0}));
        let anna = edit(&[&room], 5, "anna", json!({"floor": 1}));
        let bob = edit(&[&room], 4, "bob", json!({"floor": 2}));
        let erin = edit(&[&anna, &bob], 6, "erin", json!({"floor": 3}));
        [room, anna, bob, erin]
    };
    let [room, anna, bob, answer] = one("study");
    let [open_room, open_anna, open_bob, _] = one("pantry");
    Tale {
        before: vec![vec![room, open_room]],
        mainland: vec![vec![anna], vec![open_anna]],
        island: vec![vec![bob, open_bob]],
        after: vec![vec![answer]],
    }
}

fn a_note_has_one_last_writer() -> Tale {
    let note = thing("wifi", "note", 0, "all", json!({"text": "none", "seen": 1}));
    // Of one instant: the larger version is the later.
    let anna = edit(&[&note], 7, "anna", json!({"text": "guest", "seen": 1}));
    let bob = edit(&[&note], 7, "bob", json!({"text": "none", "seen": 2}));
    Tale {
        before: vec![vec![note]],
        mainland: vec![vec![anna]],
        island: vec![vec![bob]],
        ..Tale::default()
    }
}

fn deleted_and_edited() -> Tale {
    let one = |id: &str| {
        let vase = thing(id, "note", 0, "all", json!({"text": "on the table"}));
        let gone = deleted(&[&vase], 1, "anna");
        let shelf = edit(&[&vase], 2, "bob", json!({"text": "on the shelf"}));
        let glued = edit(&[&gone, &shelf], 3, "erin", json!({"text": "glued"}));
        [vase, gone, shelf, glued]
    };
    let [vase, gone, shelf, glued] = one("vase");
    let [jug, jug_gone, jug_shelf, _] = one("jug");
    Tale {
        before: vec![vec![vase], vec![jug]],
        mainland: vec![vec![shelf], vec![jug_gone]],
        island: vec![vec![gone], vec![jug_shelf]],
        after: vec![vec![glued]],
    }
}

fn deleted_twice() -> Tale {
    let fan = thing("fan", "device", 0, "all", json!({"speed": 1}));
    let (anna, bob) = (deleted(&[&fan], 1, "anna"), deleted(&[&fan], 2, "bob"));
    Tale {
        before: vec![vec![fan]],
        mainland: vec![vec![anna]],
        island: vec![vec![bob]],
        ..Tale::default()
    }
}

fn moved_both_ways() -> Tale {
    let radio = thing("radio", "device", 0, "all", json!({}));
    let id = single("radio");
    let hall = edge(&id, "radio", "located_in", "hall", 0, "all");
    let cellar = moved(&[&hall], "cellar", 2, "anna");
    let attic = moved(&[&hall], "attic", 1, "bob");
    let back = moved(&[&cellar], "hall", 3, "erin"); // has not heard of the attic
    let door = edge("door", "hall", "connects_to", "cellar", 0, "all");
    let walled_up = deleted(&[&door], 4, "bob");
    Tale {
        before: vec![vec![radio, hall, door]],
        mainland: vec![vec![cellar]],
        island: vec![vec![attic], vec![walled_up]],
        after: vec![vec![back]],
    }
}

fn pushed_on_both_sides() -> Tale {
    let clock = thing("clock", "device", 0, "all", json!({"zone": "CET"}));
    let set = vec![
        edit(&[&clock], 1, "anna", json!({"zone": "UTC"})),
        thing("once", "note", 1, "anna", json!({"text": "set the clock"})),
    ];
    Tale {
        before: vec![vec![clock]],
        mainland: vec![set.clone()],
        island: vec![set.clone()],
        after: vec![set],
    }
}

fn a_thing_and_an_edge_of_one_id() -> Tale {
    let what = thing("mixed", "device", 2, "anna", json!({"a": 1}));
    let way = edge("mixed", "hall", "connects_to", "attic", 1, "bob");
    let still = edit(&[&what], 3, "anna", json!({"a": 2}));
    Tale {
        mainland: vec![vec![what]],
        island: vec![vec![way]],
        after: vec![vec![still]],
        ..Tale::default()
    }
}

fn two_records_of_one_name() -> Tale {
    let twin = |level: i64| thing("twin", "device", 1, "all", json!({"level": level}));
    let named = by_name(&edit(&[&twin(1)], 2, "erin", json!({"level": 3})));
    Tale {
        mainland: vec![vec![twin(1)]],
        island: vec![vec![twin(2)]],
        after: vec![vec![named]], // stands for both
        ..Tale::default()
    }
}

fn a_parent_that_comes_later() -> Tale {
    let oven = thing("oven", "device", 0, "all", json!({"heat": 0}));
    let warm = edit(&[&oven], 1, "anna", json!({"heat": 100}));
    let hot = by_name(&edit(&[&warm], 2, "anna", json!({"heat": 200})));
    let lost = by_name(&edit(
        &[&thing("oven", "device", 9, "nobody", json!({}))],
        1,
        "bob",
        json!({"heat": 5}),
    ));
    Tale {
        before: vec![vec![oven]],
        mainland: vec![vec![warm]],
        island: vec![vec![hot], vec![lost]],
        ..Tale::default()
    }
}

fn children_before_their_parents() -> Tale {
    let heater = thing("heater", "device", 0, "all", json!({"on": false}));
    let on = by_name(&edit(&[&heater], 1, "all", json!({"on": true})));
    let off = edit(&[&on], 1, "all-again", json!({"on": false}));
    let id = single("heater");
    let stands = edge(&id, "heater", "located_in", "hall", 1, "all");
    Tale {
        before: vec![vec![stands, off, on, heater]],
        ..Tale::default()
    }
}

fn stale_edits_at_one_hub() -> Tale {
    let pump = thing("pump", "device", 0, "all", json!({"a": 0, "b": 0, "c": 0}));
    let of = |second, who, content| edit(&[&pump], second, who, content);
    let (anna, bob) = (
        of(1, "anna", json!({"a": 1, "b": 0, "c": 0})),
        of(2, "bob", json!({"a": 2, "b": 1})),
    );
    let carol = of(3, "carol", json!({"a": 0, "b": 0, "c": 3}));
    let some = edit(&[&anna, &carol], 4, "erin", json!({"a": 4, "b": 0, "c": 3}));
    Tale {
        before: vec![vec![pump]],
        mainland: vec![vec![bob.clone()], vec![anna]], // the later first
        island: vec![vec![carol]],
        after: vec![vec![some], vec![bob]],
    }
}

fn refused() -> Tale {
    let fits = |id: &str| thing(id, "device", 5, "all", json!({}));
    let sets = [
        edge(&single("hall"), "hall", "located_in", "cellar", 1, "all"),
        edge(&single("safe"), "safe", "located_in", "safe", 1, "all"),
        edge("an-id-of-its-own", "safe", "located_in", "hall", 1, "all"),
        thing("spirit", "ghost", 1, "all", json!({})),
        thing("policy", "_policy", 1, "all", json!({})),
        thing("safe", "room", 1, "all", json!({})),
    ];
    let with_another = |(at, culprit)| vec![fits(&format!("refused-{at}")), culprit];
    Tale {
        before: vec![vec![fits("safe")]],
        after: sets.into_iter().enumerate().map(with_another).collect(),
        ..Tale::default()
    }
}

/// A version with an edit time: so many seconds into an hour long past.
fn version(second: u32, who: &str) -> Version {
    let (minute, second) = (second / 60, second % 60);
    let text = format!("2020-01-01T10:{minute:02}:{second:02}.000000+00:00-000001-{who}");
    Version::new(&text).expect("a version")
}

fn named(text: &str) -> Id {
    Id::new(text).expect("an id")
}

fn single(thing: &str) -> String {
    Id::single(&named(thing), "located_in").to_string()
}

fn map(content: Json) -> Map {
    match decode(content, &Budget::new(8, 1_000)) {
        Ok(Value::Map(map)) => map,
        other => panic!("no content: {other:?}"),
    }
}

fn first(id: &str, second: u32, who: &str, kind: Kind, content: Json) -> Arc<Sealed> {
    Arc::new(Sealed::new(Record {
        id: named(id),
        version: version(second, who),
        kind,
        user_id: Some(who.to_owned()),
        parents: Vec::new(),
        deleted: false,
        content: map(content),
        extra: Map::new(),
    }))
}

fn thing(id: &str, entity_type: &str, second: u32, who: &str, content: Json) -> Arc<Sealed> {
    let kind = Kind::Entity {
        entity_type: entity_type.to_owned(),
        name: Some(id.to_owned()),
        source_type: None,
    };
    first(id, second, who, kind, content)
}

fn edge(id: &str, from: &str, kind: &str, to: &str, second: u32, who: &str) -> Arc<Sealed> {
    let kind = Kind::Relationship {
        from: named(from),
        to: named(to),
        relationship_type: kind.to_owned(),
    };
    first(id, second, who, kind, json!({}))
}

/// A record in the place of its parents, named by version and digest; otherwise as the first of them.
fn after(parents: &[&Arc<Sealed>], second: u32, who: &str, change: impl FnOnce(&mut Record)) -> Arc<Sealed> {
    let names = parents.iter().map(|parent| Parent {
        version: parent.record.version.clone(),
        digest: Some(parent.digest),
    });
    let mut record = Record {
        version: version(second, who),
        user_id: Some(who.to_owned()),
        parents: names.collect::<BTreeSet<_>>().into_iter().collect(),
        ..parents[0].record.clone()
    };
    change(&mut record);
    Arc::new(Sealed::new(record))
}

fn edit(parents: &[&Arc<Sealed>], second: u32, who: &str, content: Json) -> Arc<Sealed> {
    after(parents, second, who, |record| {
        (record.content, record.deleted) = (map(content), false);
    })
}

fn deleted(parents: &[&Arc<Sealed>], second: u32, who: &str) -> Arc<Sealed> {
    after(parents, second, who, |record| {
        (record.content, record.deleted) = (Map::new(), true);
    })
}

fn moved(parents: &[&Arc<Sealed>], room: &str, second: u32, who: &str) -> Arc<Sealed> {
    after(parents, second, who, |record| match &mut record.kind {
        Kind::Relationship { to, .. } => *to = named(room),
        Kind::Entity { .. } => panic!("a thing is moved by its edge"),
    })
}

/// The same by a writer who knows its parents by their names alone.
fn by_name(sealed: &Arc<Sealed>) -> Arc<Sealed> {
    let mut record = sealed.record.clone();
    record.parents.iter_mut().for_each(|parent| parent.digest = None);
    Arc::new(Sealed::new(record))
}
