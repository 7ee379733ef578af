//! Edits on both sides of a cut: what merges, what wins, what stays deleted, and what becomes of the losers.

use serde_json::{Value, json};

use crate::home::{Home, at, edit, push};
use crate::process::exchange;

/// A home with a lamp, a plug and a vase, on both sides of a cut.
fn parted_home() -> Home {
    let home = Home::new(|setup| setup);
    let first = at(0, "all");
    let things = json!([
        edit(
            "lamp",
            "device",
            &first,
            &[],
            json!({"level": 1, "shade": {"form": "round", "colour": "white"}})
        ),
        edit("plug", "device", &first, &[], json!({"watts": 1})),
        edit("vase", "note", &first, &[], json!({"text": "on the table"})),
        edit("hall", "room", &first, &[], json!({})),
        edit("cellar", "room", &first, &[], json!({})),
    ]);
    exchange::push(home.mainland(), things);
    crate::process::mesh::equal_clocks(&home.addresses(), crate::home::CONVERGED);
    home.cut();
    home
}

#[test]
fn different_fields_of_one_thing_merge() {
    let home = parted_home();
    let (first, anna, bob) = (at(0, "all"), at(1, "anna"), at(2, "bob"));
    let brighter = json!({"level": 2, "shade": {"form": "round", "colour": "white"}});
    let redder = json!({"level": 1, "shade": {"form": "round", "colour": "red"}});
    push(
        home.mainland(),
        edit("lamp", "device", &anna, &[&first], brighter),
    );
    push(home.island(), edit("lamp", "device", &bob, &[&first], redder));
    home.heal();
    let (status, lamp) = home.shown("lamp");
    let both = json!({"level": 2, "shade": {"form": "round", "colour": "red"}});
    assert_eq!((status, &lamp["entity"]["content"]), (200, &both), "{lamp}");
    let mut heads: Vec<&str> = lamp["heads"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    heads.sort_unstable();
    assert_eq!(heads, [&anna, &bob]);
    assert_eq!(
        (&lamp["provisional"], &lamp["strategy"]),
        (&json!(false), &json!("merge"))
    );
    // The merge is a view: no hub wrote a record of it.
    let (_, history) = home.same_everywhere("/api/v2/entities/lamp/history");
    assert_eq!(history["versions"].as_array().map(Vec::len), Some(3), "{history}");
    assert!(
        home.hubs.iter().all(|hub| hub.status()["conflicts"] == 0),
        "nobody has to be asked"
    );
}

#[test]
fn the_same_field_has_one_winner_and_the_loser_is_told() {
    let home = parted_home();
    let (first, anna, bob) = (at(0, "all"), at(1, "anna"), at(2, "bob"));
    let of_anna = edit("plug", "device", &anna, &[&first], json!({"watts": 10}));
    let of_bob = edit("plug", "device", &bob, &[&first], json!({"watts": 20}));
    let alone = (json!("durable"), json!([]));
    assert_eq!(
        push(home.mainland(), of_anna.clone()),
        alone,
        "nobody on the mainland knows of another"
    );
    assert_eq!(
        push(home.island(), of_bob.clone()),
        alone,
        "nor does anybody on the island"
    );
    home.heal();
    let (_, plug) = home.shown("plug");
    assert_eq!(
        (&plug["entity"]["content"]["watts"], &plug["conflict"]),
        (&json!(20), &json!(true)),
        "{plug}"
    );
    let (_, history) = home.same_everywhere("/api/v2/entities/plug/history");
    let states: Vec<[&Value; 3]> = history["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            [
                &row["entity"]["version"],
                &row["entity"]["content"]["watts"],
                &row["state"],
            ]
        })
        .collect();
    let told = json!([[bob, 20, "head"], [anna, 10, "lost"], [first, 1, "superseded"]]);
    assert_eq!(json!(states), told, "the loser is kept and readable");

    // Whoever pushes the loser again, wherever, is told; and so is whoever comes late.
    for address in home.addresses() {
        let (outcome, conflicts) = push(address, of_anna.clone());
        let row = json!([
            outcome,
            conflicts[0]["entity_id"],
            conflicts[0]["local_version"],
            conflicts[0]["remote_version"]
        ]);
        assert_eq!(row, json!(["lost", "plug", bob, anna]), "{conflicts}");
        assert_eq!(push(address, of_bob.clone()).0, "known", "the winner is no news");
    }
    let carol = at(1, "carol");
    let (outcome, conflicts) = push(
        home.island(),
        edit("plug", "device", &carol, &[&first], json!({"watts": 30})),
    );
    assert_eq!(
        (&outcome, &conflicts[0]["local_version"]),
        (&json!("lost"), &json!(bob)),
        "{conflicts}"
    );
    let dave = at(3, "dave");
    let (outcome, conflicts) = push(
        home.island(),
        edit("plug", "device", &dave, &[&first], json!({"watts": 40})),
    );
    assert_eq!(
        (&outcome, &conflicts[0]["remote_version"]),
        (&json!("durable"), &json!(dave)),
        "{conflicts}"
    );
    home.heal();
    assert_eq!(home.shown("plug").1["entity"]["content"]["watts"], 40);

    // An answer that names them all ends it.
    let answer = at(4, "erin");
    let heads = [&anna, &bob, &carol, &dave].map(String::as_str);
    push(
        home.mainland(),
        edit("plug", "device", &answer, &heads, json!({"watts": 5})),
    );
    home.heal();
    let (_, plug) = home.shown("plug");
    let settled = json!([
        plug["entity"]["content"]["watts"],
        plug["conflict"],
        plug["heads"]
    ]);
    assert_eq!(settled, json!([5, false, [answer]]));
}

#[test]
fn what_one_side_deleted_stays_deleted_and_waits_for_a_person() {
    let home = parted_home();
    let (first, anna, bob) = (at(0, "all"), at(1, "anna"), at(2, "bob"));
    let mut gone = edit("vase", "note", &anna, &[&first], json!({"text": "on the table"}));
    gone["change_type"] = json!("delete");
    push(home.mainland(), gone);
    let kept = edit("vase", "note", &bob, &[&first], json!({"text": "on the shelf"}));
    push(home.island(), kept.clone());
    assert_eq!(
        home.hubs[2].get("/api/v2/entities/vase").0,
        200,
        "the island has not heard of it"
    );
    home.heal();
    let (status, vase) = home.shown("vase");
    let shown = json!([
        vase["entity"]["deleted"],
        vase["conflict"],
        vase["heads"].as_array().map(Vec::len)
    ]);
    assert_eq!((status, shown), (410, json!([true, true, 2])), "{vase}");
    let (status, queue) = home.same_everywhere("/api/v2/conflicts");
    assert_eq!(
        (status, &queue["conflicts"][0]["entity"]["id"]),
        (200, &json!("vase")),
        "{queue}"
    );
    assert!(home.hubs.iter().all(|hub| hub.status()["conflicts"] == 1));
    let (status, history) = home.same_everywhere("/api/v2/entities/vase/history");
    assert_eq!(
        (status, &history["versions"][0]["state"]),
        (200, &json!("lost")),
        "{history}"
    );
    assert_eq!(
        history["versions"][0]["entity"]["content"]["text"], "on the shelf",
        "what was written is kept"
    );
    let (outcome, conflicts) = push(home.mainland(), kept);
    assert_eq!(
        (&outcome, &conflicts[0]["queued"]),
        (&json!("lost"), &json!(true)),
        "{conflicts}"
    );
    // Another edit by somebody who has not heard does not bring it back either.
    push(
        home.island(),
        edit(
            "vase",
            "note",
            &at(3, "carol"),
            &[&bob],
            json!({"text": "broken"}),
        ),
    );
    home.heal();
    assert_eq!(home.shown("vase").0, 410);

    let answer = at(4, "erin");
    push(
        home.island(),
        edit(
            "vase",
            "note",
            &answer,
            &[&anna, &at(3, "carol")],
            json!({"text": "glued"}),
        ),
    );
    home.heal();
    let (status, vase) = home.shown("vase");
    assert_eq!(
        (status, &vase["entity"]["content"]["text"]),
        (200, &json!("glued")),
        "{vase}"
    );
    assert!(home.hubs.iter().all(|hub| hub.status()["conflicts"] == 0));
}

/// Two people put one lamp in two rooms: it is in one of them.
#[test]
fn a_thing_is_in_one_place() {
    let home = parted_home();
    let id = inbetweenies_core::id::Id::new("lamp").expect("an id");
    let id = inbetweenies_core::id::Id::single(&id, "located_in").to_string();
    let placed = |who: &str, seconds: u32, room: &str| {
        let edge = exchange::relationship(&id, &at(seconds, who), "lamp", "located_in", room);
        json!({"change_type": "create", "relationships": [edge]})
    };
    push(home.mainland(), placed("anna", 2, "hall"));
    push(home.island(), placed("bob", 1, "cellar"));
    home.heal();
    let (status, edge) = home.same_everywhere(&format!("/api/v2/relationships/{id}"));
    assert_eq!(
        (status, &edge["relationship"]["to_entity_id"]),
        (200, &json!("hall")),
        "{edge}"
    );
    assert_eq!(edge["conflict"], true, "{edge}");
    let (_, edges) = home.same_everywhere("/api/v2/relationships?entity=lamp");
    assert_eq!(
        edges["relationships"].as_array().map(Vec::len),
        Some(1),
        "{edges}"
    );
    let (_, none) = home.same_everywhere("/api/v2/relationships?entity=cellar");
    assert_eq!(none["relationships"], json!([]));
}

/// A client that lost its connection pushed the same set on both sides of the cut: one record, accepted twice.
#[test]
fn a_set_that_was_pushed_on_both_sides_is_one() {
    let home = parted_home();
    let note = edit("once", "note", &at(1, "anna"), &[], json!({"text": "once"}));
    let next = edit(
        "lamp",
        "device",
        &at(1, "anna"),
        &[&at(0, "all")],
        json!({"level": 7}),
    );
    for address in [home.mainland(), home.island()] {
        for change in [&note, &next] {
            assert_eq!(push(address, change.clone()).0, "durable");
        }
    }
    home.heal();
    for (id, versions) in [("once", 1), ("lamp", 2)] {
        let (_, shown) = home.shown(id);
        assert_eq!(
            (&shown["conflict"], shown["heads"].as_array().map(Vec::len)),
            (&json!(false), Some(1)),
            "{shown}"
        );
        let (_, history) = home.same_everywhere(&format!("/api/v2/entities/{id}/history"));
        assert_eq!(
            history["versions"].as_array().map(Vec::len),
            Some(versions),
            "{history}"
        );
        assert_eq!(
            history["versions"][0]["accepted"].as_array().map(Vec::len),
            Some(2),
            "{history}"
        );
    }
}
