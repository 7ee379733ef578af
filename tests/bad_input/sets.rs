//! Good requests with bad change sets: a row for each record, and nothing of the set lands.

use serde_json::{Value, json};

use crate::process::exchange::{self, change, entity, relationship, request};
use crate::{Case, Expect, Table, located_in, sync};

const NOW: &str = "2026-06-15T10:00:00.000000+00:00-000001-test";

fn rows(name: &str, changes: Value, rows: &[(&str, &'static str)]) -> Case {
    let rows = rows.iter().map(|(id, code)| ((*id).to_owned(), *code)).collect();
    Case {
        name: name.to_owned(),
        request: sync(&request(changes)),
        expect: Expect::Rows(rows),
    }
}

/// One entity, good but for one field.
fn field(name: &str, key: &str, value: Value, code: &'static str) -> Case {
    let mut thing = entity("x", NOW, "note", json!({}));
    thing[key] = value;
    rows(name, json!([change(thing)]), &[("x", code)])
}

fn edge(name: &str, id: &str, from: &str, kind: &str, to: &str, code: &'static str) -> Case {
    let edges = json!([{"relationships": [relationship(id, NOW, from, kind, to)]}]);
    rows(name, edges, &[(id, code)])
}

fn deleted(thing: Value) -> Value {
    json!({"change_type": "delete", "entity": thing})
}

#[test]
fn a_record_that_is_out_of_bounds_is_refused() {
    let parents: Vec<String> = (0..1_025).map(|n| format!("p{n}")).collect();
    let mut cases = vec![
        field("an empty version", "version", json!(""), "bad_version"),
        field("no version", "version", json!(null), "bad_version"),
        field(
            "a version of 256 bytes",
            "version",
            json!("v".repeat(256)),
            "bad_version",
        ),
        field(
            "a version of 10 KB",
            "version",
            json!("v".repeat(10 << 10)),
            "bad_version",
        ),
        field("a version that is a number", "version", json!(1), "malformed"),
        field("no type", "entity_type", json!(null), "malformed"),
        field(
            "a type of 129 bytes",
            "entity_type",
            json!("t".repeat(129)),
            "malformed",
        ),
        field(
            "a name of 4,097 bytes",
            "name",
            json!("n".repeat(4_097)),
            "malformed",
        ),
        field("a name that is a map", "name", json!({}), "malformed"),
        field(
            "a user of 256 bytes",
            "user_id",
            json!("u".repeat(256)),
            "malformed",
        ),
        field("deleted in words", "deleted", json!("yes"), "malformed"),
        field("content that is a list", "content", json!([1]), "malformed"),
        field(
            "content over 256 KiB",
            "content",
            json!({"t": "x".repeat(256 << 10)}),
            "limit_content",
        ),
        field(
            "1,025 parents",
            "parent_versions",
            json!(parents),
            "limit_parents",
        ),
        field(
            "1,025 digests of parents",
            "parent_digests",
            json!(parents),
            "limit_parents",
        ),
        field(
            "parents that are a string",
            "parent_versions",
            json!("v"),
            "malformed",
        ),
        field(
            "a parent that is a number",
            "parent_versions",
            json!([1]),
            "malformed",
        ),
        field("an empty parent", "parent_versions", json!([""]), "malformed"),
        field(
            "digests without parents",
            "parent_digests",
            json!(["0".repeat(64)]),
            "malformed",
        ),
        field(
            "a checksum of something else",
            "checksum",
            json!("0".repeat(64)),
            "checksum_mismatch",
        ),
        field(
            "a checksum that is none",
            "checksum",
            json!("sha256"),
            "checksum_mismatch",
        ),
        field(
            "a checksum that is a number",
            "checksum",
            json!(7),
            "checksum_mismatch",
        ),
        field(
            "a field of the protocol's own",
            "parents",
            json!([]),
            "reserved_field",
        ),
        field("another one", "digest", json!("0"), "reserved_field"),
        rows(
            "an empty id",
            json!([change(entity("", NOW, "note", json!({})))]),
            &[("", "malformed")],
        ),
        rows(
            "an id that is a number",
            json!([change(json!({"id": 5, "version": NOW, "entity_type": "note"}))]),
            &[("", "malformed")],
        ),
    ];
    let long = "i".repeat(65);
    // The row names it as far as an id goes.
    cases.push(rows(
        "an id of 65 bytes",
        json!([change(entity(&long, NOW, "note", json!({})))]),
        &[(&long[..64], "malformed")],
    ));
    let mut bad_digest = entity("x", NOW, "note", json!({}));
    bad_digest["parent_versions"] = json!(["v"]);
    bad_digest["parent_digests"] = json!(["no digest"]);
    cases.push(rows(
        "a digest that is none",
        json!([change(bad_digest)]),
        &[("x", "malformed")],
    ));
    Table::new().all(cases);
}

#[test]
fn a_record_that_the_domain_does_not_know_is_refused() {
    let note = |id: &str| entity(id, NOW, "note", json!({}));
    let of_type = |id: &str, kind: &str| json!([change(entity(id, NOW, kind, json!({})))]);
    let mut named_source = note("x");
    named_source["source_type"] = json!("rumour");
    let both = json!([
        change(entity("attic", NOW, "room", json!({}))),
        change(entity("pump", NOW, "device", json!({}))),
        {"relationships": [relationship("e", NOW, "attic", "controls", "pump")]},
    ]);
    Table::new().all(vec![
        rows(
            "an unknown type",
            of_type("x", "spaceship"),
            &[("x", "unknown_entity_type")],
        ),
        rows(
            "a member of the home",
            of_type("x", "_member"),
            &[("x", "reserved_type")],
        ),
        rows(
            "a policy",
            of_type("_policy", "_policy"),
            &[("_policy", "reserved_type")],
        ),
        rows(
            "a note under the policy's id",
            of_type("_policy", "note"),
            &[("_policy", "reserved_type")],
        ),
        rows(
            "a reserved id",
            of_type("_mine", "note"),
            &[("_mine", "reserved_type")],
        ),
        rows(
            "the policy deleted",
            json!([deleted(entity("_policy", NOW, "_policy", json!({})))]),
            &[("_policy", "reserved_type")],
        ),
        rows(
            "the policy deleted as a note",
            json!([deleted(note("_policy"))]),
            &[("_policy", "reserved_type")],
        ),
        rows(
            "a reserved id deleted before it is used",
            json!([deleted(note("_next"))]),
            &[("_next", "reserved_type")],
        ),
        edge(
            "an edge under a reserved id",
            "_next",
            "lamp",
            "controls",
            "lamp",
            "reserved_type",
        ),
        rows(
            "an unknown source",
            json!([change(named_source)]),
            &[("x", "unknown_source_type")],
        ),
        rows(
            "a room that becomes a zone",
            of_type("hall", "zone"),
            &[("hall", "type_changed")],
        ),
        edge(
            "a room that becomes an edge",
            "hall",
            "lamp",
            "controls",
            "lamp",
            "type_changed",
        ),
        rows(
            "an edge that becomes a note",
            of_type(&located_in("lamp"), "note"),
            &[(&located_in("lamp"), "type_changed")],
        ),
        edge(
            "an unknown kind of edge",
            "e",
            "lamp",
            "married_to",
            "hall",
            "unknown_relationship_type",
        ),
        edge(
            "an edge from what cannot be its start",
            "e",
            "hall",
            "controls",
            "lamp",
            "endpoint_type",
        ),
        edge(
            "an edge to what cannot be its end",
            "e",
            "lamp",
            "documented_by",
            "hall",
            "endpoint_type",
        ),
        edge(
            "a place that is a device",
            &located_in("note"),
            "note",
            "located_in",
            "lamp",
            "endpoint_type",
        ),
        edge(
            "a second place under another id",
            "e",
            "lamp",
            "located_in",
            "floor",
            "single_id",
        ),
        edge(
            "an edge without a start",
            "e",
            "",
            "controls",
            "lamp",
            "malformed",
        ),
        rows(
            "an edge that does not fit its own set",
            both,
            &[
                ("attic", "set_refused"),
                ("pump", "set_refused"),
                ("e", "endpoint_type"),
            ],
        ),
    ]);
}

#[test]
fn a_set_lands_whole_or_not_at_all() {
    let good = |id: &str| change(entity(id, NOW, "note", json!({})));
    let bad = change(entity("bad", NOW, "spaceship", json!({})));
    let worse = change(entity("worse", "", "note", json!({})));
    let in_set = |number: u64, mut change: Value| {
        change["set"] = json!(number);
        change
    };
    let many: Vec<Value> = (0..10_001)
        .map(|n| change(json!({"id": format!("m{n}"), "version": NOW, "entity_type": "note"})))
        .collect();
    let mut many_rows: Vec<(String, &'static str)> =
        (1..10_001).map(|n| (format!("m{n}"), "set_refused")).collect();
    many_rows.push(("m0".to_owned(), "limit_set"));
    Table::new().all(vec![
        rows(
            "one bad record among three",
            json!([good("a"), bad, good("c")]),
            &[
                ("a", "set_refused"),
                ("bad", "unknown_entity_type"),
                ("c", "set_refused"),
            ],
        ),
        rows(
            "one that cannot even be read",
            json!([good("a"), worse, good("c")]),
            &[
                ("a", "set_refused"),
                ("worse", "bad_version"),
                ("c", "set_refused"),
            ],
        ),
        rows(
            "two sets, both bad",
            json!([
                in_set(1, good("a")),
                in_set(1, bad.clone()),
                in_set(2, worse.clone())
            ]),
            &[
                ("a", "set_refused"),
                ("bad", "unknown_entity_type"),
                ("worse", "bad_version"),
            ],
        ),
        Case {
            name: "10,001 records in a set".to_owned(),
            request: sync(&request(json!(many))),
            expect: Expect::Rows(many_rows),
        },
    ]);
}

/// One request, two sets, one of them bad: the good one lands and is acknowledged, the bad one has its rows.
#[test]
fn a_bad_set_does_not_sink_the_others() {
    let table = Table::new();
    let numbered = |number: u64, id: &str, kind: &str| {
        let mut change = change(entity(id, NOW, kind, json!({})));
        change["set"] = json!(number);
        change
    };
    let changes = json!([
        numbered(1, "good", "note"),
        numbered(2, "bad", "spaceship"),
        numbered(2, "mate", "note")
    ]);
    let answer = exchange::post(table.hub.address, &request(changes))
        .expect("an answer")
        .json();
    assert_eq!(
        answer["applied"],
        json!([{"id": "good", "version": NOW, "outcome": "durable"}]),
        "{answer}"
    );
    let codes = [&answer["rejected"][0]["code"], &answer["rejected"][1]["code"]];
    assert_eq!(codes, ["unknown_entity_type", "set_refused"], "{answer}");
    let found = ["good", "bad", "mate"].map(|id| table.hub.get(&format!("/api/v2/entities/{id}")).0);
    assert_eq!(found, [200, 404, 404]);
    let records = |status: &Value| status["records"].as_u64();
    assert_eq!(
        records(&table.hub.status()),
        records(&table.before).map(|before| before + 1)
    );
}
