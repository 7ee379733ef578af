//! What people decide, said badly: answers, policies, fences; instants and cursors that are none; and records that are
//! strange, and are taken all the same.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inbetweenies_core::time::{EPSILON, Micros, edit_time};
use serde_json::{Value, json};

use crate::process::exchange::{self, change, entity};
use crate::process::http::{JSON, Request};
use crate::{Case, Expect, Table, case, standing, sync};

const BASE: &str = "2026-06-15T09:41:02.581234+00:00-000001-test";
const LEFT: &str = "2026-06-15T10:00:00.000000+00:00-000001-left";
const RIGHT: &str = "2026-06-15T10:00:00.000000+00:00-000001-right";

/// The house, whose lamp stands in conflict: two edits on top of one.
fn contested() -> Table {
    let mut table = Table::new();
    let edit = |version: &str, watts: u64| {
        let mut lamp = entity("lamp", version, "device", json!({"watts": watts}));
        lamp["parent_versions"] = json!([BASE]);
        change(lamp)
    };
    exchange::push(table.hub.address, json!([edit(LEFT, 5)]));
    exchange::push(table.hub.address, json!([edit(RIGHT, 6)]));
    table.before = standing(&table.hub.status());
    table
}

fn body(method: &'static str, path: &str, body: String) -> Request {
    Request {
        method,
        ..Request::post(path, JSON, body.into_bytes())
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }))
}

#[test]
fn an_answer_that_is_none_is_refused_and_settles_nothing() {
    let path = "/api/v2/conflicts/lamp";
    let at = |path: &str, body: Value| Request::post(path, JSON, body.to_string().into_bytes());
    let heads = json!([LEFT, RIGHT]);
    let of = |name: &str, body: Value, status, code| case(name, at(path, body), status, code);
    let malformed = |name: &str, body: Value| of(name, body, 400, "malformed");
    let with = |key: &str, value: Value| json!({"heads": [LEFT, RIGHT], "deleted": true, key: value});
    let wrong = |method: &'static str| {
        let request = body(
            method,
            path,
            json!({"heads": [LEFT, RIGHT], "deleted": true}).to_string(),
        );
        case(method, request, 405, "wrong_method")
    };
    contested().all(vec![
        malformed("no heads", json!({"deleted": true})),
        malformed("an empty list of heads", json!({"heads": [], "deleted": true})),
        malformed("a head alone", json!({"heads": LEFT, "deleted": true})),
        malformed(
            "heads that are numbers",
            json!({"heads": [1, 2], "deleted": true}),
        ),
        malformed("no choice", json!({"heads": heads})),
        malformed("not deleted", json!({"heads": heads, "deleted": false})),
        malformed("two choices", with("keep", json!(LEFT))),
        malformed("a choice and content", with("content", json!({}))),
        malformed(
            "content twice",
            json!({"heads": heads, "content": {}, "properties": {}}),
        ),
        malformed(
            "the strategy manual",
            json!({"heads": heads, "strategy": "manual"}),
        ),
        malformed("an unknown strategy", json!({"heads": heads, "strategy": "dice"})),
        malformed(
            "a strategy that is a number",
            json!({"heads": heads, "strategy": 1}),
        ),
        malformed("to keep a list", json!({"heads": heads, "keep": [LEFT]})),
        malformed("deleted in words", json!({"heads": heads, "deleted": "yes"})),
        malformed("content that is a list", json!({"heads": heads, "content": [1]})),
        malformed("a key that is none", with("winner", json!(LEFT))),
        malformed("a user that is a list", with("user_id", json!(["me"]))),
        malformed("a user without a name", with("user_id", json!(""))),
        of(
            "a user of 300 bytes",
            with("user_id", json!("u".repeat(300))),
            400,
            "bad_version",
        ),
        malformed("a list", json!([heads])),
        malformed("a string", json!("keep mine")),
        case(
            "no JSON",
            Request::post(path, JSON, b"{\"heads\": [".to_vec()),
            400,
            "malformed",
        ),
        case(
            "no body",
            Request::post(path, JSON, Vec::new()),
            400,
            "empty_body",
        ),
        case(
            "words",
            Request::post(path, "text/plain", b"mine".to_vec()),
            415,
            "unsupported_media_type",
        ),
        of(
            "1,000 levels",
            json!({"heads": heads, "content": nested(100)}),
            400,
            "limit_depth",
        ),
        of(
            "content over 256 KiB",
            json!({"heads": heads, "content": {"t": "x".repeat(256 << 10)}}),
            422,
            "refused",
        ),
        of(
            "a version that is none",
            json!({"heads": heads, "keep": "v9"}),
            400,
            "unknown_version",
        ),
        of(
            "seven digits of a digest",
            json!({"heads": heads, "keep": "0123456"}),
            400,
            "unknown_version",
        ),
        of(
            "one of the heads",
            json!({"heads": [LEFT], "deleted": true}),
            409,
            "conflict_changed",
        ),
        of(
            "what was a head once",
            json!({"heads": [BASE], "deleted": true}),
            409,
            "conflict_changed",
        ),
        of(
            "a head too many",
            json!({"heads": [LEFT, RIGHT, BASE], "deleted": true}),
            409,
            "conflict_changed",
        ),
        of(
            "heads of nothing here",
            json!({"heads": ["v1", "v2"], "deleted": true}),
            409,
            "conflict_changed",
        ),
        case(
            "heads of another thing",
            at(
                "/api/v2/conflicts/note",
                json!({"heads": [LEFT, RIGHT], "deleted": true}),
            ),
            409,
            "conflict_changed",
        ),
        case(
            "a thing that is not in conflict",
            at(
                "/api/v2/conflicts/note",
                json!({"heads": [BASE], "deleted": true}),
            ),
            409,
            "no_conflict",
        ),
        case(
            "nothing",
            at(
                "/api/v2/conflicts/nobody",
                json!({"heads": [BASE], "deleted": true}),
            ),
            404,
            "not_found",
        ),
        case(
            "an id of 65 bytes",
            at(
                &format!("/api/v2/conflicts/{}", "i".repeat(65)),
                json!({"heads": [BASE], "deleted": true}),
            ),
            400,
            "bad_id",
        ),
        wrong("GET"),
        wrong("PUT"),
        wrong("DELETE"),
    ]);
}

/// The rules of the house with one change.
fn rules(edit: impl FnOnce(&mut Value)) -> Value {
    let mut content = json!({
        "domain": {"name": "house"},
        "entity": {"device": {}, "room": {}, "zone": {}, "note": {}},
        "relationship": {"located_in": {"single": true}},
    });
    edit(&mut content);
    content
}

#[test]
fn a_policy_that_is_none_is_refused_and_the_old_one_holds() {
    let path = "/api/v2/policy";
    let put = |name: &str, document: Value, status, code| {
        case(name, body("PUT", path, document.to_string()), status, code)
    };
    let bad =
        |name: &str, edit: &dyn Fn(&mut Value)| put(name, json!({"content": rules(edit)}), 400, "bad_policy");
    let of_meter =
        |name: &str, table: Value| bad(name, &|content| content["entity"]["meter"] = table.clone());
    let custom = |name: &str, rules: Value| of_meter(name, json!({"strategy": "custom", "rules": rules}));
    let rule = |name: &str, rule: Value| custom(name, json!([rule]));
    let kwh = json!(["content", "kwh"]);
    let many: Vec<Value> = (0..300)
        .map(|n| json!({"field": ["content", n.to_string()], "rule": "max"}))
        .collect();
    let preferred: Vec<u32> = (0..257).collect();
    Table::new().all(vec![
        put("no content", json!({}), 400, "malformed"),
        put("content that is a list", json!({"content": []}), 400, "malformed"),
        put(
            "content that is TOML",
            json!({"content": "[domain]"}),
            400,
            "malformed",
        ),
        put("a policy that is a list", json!([]), 400, "malformed"),
        put("a policy that is a number", json!(7), 400, "malformed"),
        put(
            "heads that are no list",
            json!({"content": rules(|_| ()), "heads": "v1"}),
            400,
            "malformed",
        ),
        put(
            "heads that are numbers",
            json!({"content": rules(|_| ()), "heads": [1]}),
            400,
            "malformed",
        ),
        put(
            "a user of 129 bytes",
            json!({"content": rules(|_| ()), "user_id": "u".repeat(129)}),
            400,
            "malformed",
        ),
        put(
            "another policy than there is",
            json!({"content": rules(|_| ()), "heads": ["v1"]}),
            409,
            "policy_changed",
        ),
        put(
            "no policy seen at all",
            json!({"content": rules(|_| ()), "heads": []}),
            409,
            "policy_changed",
        ),
        put("an empty policy", json!({"content": {}}), 400, "bad_policy"),
        bad("no name", &|content| content["domain"] = json!({})),
        bad("a name of 4,097 bytes", &|content| {
            content["domain"]["name"] = json!("n".repeat(4_097));
        }),
        bad("no types", &|content| content["entity"] = json!({})),
        bad("a type that is a word", &|content| {
            content["entity"]["note"] = json!("merge")
        }),
        bad("a reserved type", &|content| {
            content["entity"]["_policy"] = json!({})
        }),
        bad("a type of 129 bytes", &|content| {
            content["entity"]["t".repeat(129)] = json!({});
        }),
        bad("an edge that is a word", &|content| {
            content["relationship"]["controls"] = json!("any");
        }),
        bad("ends that are a number", &|content| {
            content["relationship"]["controls"] = json!({"from": 7});
        }),
        bad("semantics of the future", &|content| {
            content["domain"]["semantics"] = json!(99)
        }),
        bad("an unknown default", &|content| {
            content["conflict"] = json!({"default": "dice"})
        }),
        of_meter("an unknown strategy", json!({"strategy": "dice"})),
        of_meter("a strategy that is a list", json!({"strategy": ["merge"]})),
        of_meter(
            "rules without custom",
            json!({"strategy": "merge", "rules": [{"field": kwh, "rule": "max"}]}),
        ),
        custom("rules that are a map", json!({"kwh": "max"})),
        custom("300 rules", json!(many)),
        rule("a rule that is a word", json!("max")),
        rule("an unknown rule", json!({"field": kwh, "rule": "median"})),
        rule("a rule without a name", json!({"field": kwh})),
        rule("a rule without a field", json!({"rule": "max"})),
        rule("a field that is none", json!({"field": ["watts"], "rule": "max"})),
        rule("all of the content", json!({"field": ["content"], "rule": "max"})),
        rule("an empty field", json!({"field": [], "rule": "max"})),
        rule("a field of numbers", json!({"field": [1], "rule": "max"})),
        rule(
            "a word that no rule has",
            json!({"field": kwh, "rule": "max", "weight": 2}),
        ),
        rule("prefer without values", json!({"field": kwh, "rule": "prefer"})),
        rule(
            "prefer nothing",
            json!({"field": kwh, "rule": "prefer", "values": []}),
        ),
        rule(
            "257 preferences",
            json!({"field": kwh, "rule": "prefer", "values": preferred}),
        ),
        rule(
            "values for max",
            json!({"field": kwh, "rule": "max", "values": [1]}),
        ),
        custom(
            "two rules for one field",
            json!([{"field": kwh, "rule": "max"}, {"field": ["properties", "kwh"], "rule": "min"}]),
        ),
        put(
            "300 KiB of policy",
            json!({"content": rules(|content| content["note"] = json!("x".repeat(300 << 10)))}),
            400,
            "limit_content",
        ),
        put(
            "100 levels of policy",
            json!({"content": rules(|content| content["note"] = nested(100))}),
            400,
            "limit_depth",
        ),
        case(
            "no JSON",
            body("PUT", path, "{\"content\":".to_owned()),
            400,
            "malformed",
        ),
        case("POST", body("POST", path, "{}".to_owned()), 405, "wrong_method"),
        case(
            "DELETE",
            body("DELETE", path, "{}".to_owned()),
            405,
            "wrong_method",
        ),
    ]);
}

#[test]
fn a_fence_around_nobody_is_refused() {
    let of = |name: &str, method: &'static str, path: &str, status, code| {
        case(name, body(method, path, String::new()), status, code)
    };
    let stranger = "/api/v2/members/11111111-1111-4111-8111-111111111111";
    let table = Table::new();
    let me = format!("/api/v2/members/{}", table.hub.id);
    table.all(vec![
        of("no id", "POST", "/api/v2/members/kitchen/fence", 400, "bad_id"),
        of(
            "no id, taken back",
            "POST",
            "/api/v2/members/7/unfence",
            400,
            "bad_id",
        ),
        of(
            "a stranger",
            "POST",
            &format!("{stranger}/fence"),
            404,
            "not_found",
        ),
        of(
            "a stranger taken back",
            "POST",
            &format!("{stranger}/unfence"),
            404,
            "not_found",
        ),
        of("a look", "GET", &format!("{me}/fence"), 405, "wrong_method"),
        of("a PUT", "PUT", &format!("{me}/fence"), 405, "wrong_method"),
        of("something else", "POST", &format!("{me}/expel"), 404, "not_found"),
        of(
            "members to be changed",
            "POST",
            "/api/v2/members",
            405,
            "wrong_method",
        ),
    ]);
}

#[test]
fn instants_cursors_and_limits_that_are_none_are_refused() {
    let get = |path: &str, code| case(path, Request::get(path), 400, code);
    let mut cases = Vec::new();
    for bad in [
        "tuesday",
        "2026-13-01",
        "2026-06-15T25:00",
        "",
        "-2h",
        "1781516462",
    ] {
        for path in [
            "entities?at=",
            "relationships?at=",
            "entities/lamp?at=",
            "entities/lamp/history?at=",
            "entities/lamp/tree?at=",
            "entities/lamp/why?at=",
            "relationships/lamp/why?at=",
            "diff?from=",
            "diff?from=2026-06-15&to=",
        ] {
            cases.push(get(&format!("/api/v2/{path}{bad}"), "bad_instant"));
        }
    }
    let long = "i".repeat(65);
    for path in [
        "diff",
        "diff?to=2026-06-15",
        "diff?from=2026-06-15&at=2026-06-15",
        "diff?from=2026-06-15&type=note",
        &format!("diff?from=2026-06-15&cursor={long}"),
        "diff?from=2026-06-15&limit=0",
        "entities?limit=0",
        "entities?cursor=lamp",
        "entities?cursor=",
        &format!("entities?cursor=device/{long}"),
        "relationships?limit=0",
        &format!("relationships?cursor={long}"),
        "relationships?cursor=",
        "entities/lamp/history?limit=0",
        "entities/lamp/history?cursor=lamp",
        "entities/lamp/history?cursor=0123456789abcdef",
        "entities/lamp/tree?limit=0",
        "entities/lamp/tree?cursor=lamp",
        "entities/lamp/why?limit=5",
        "conflicts?limit=5",
    ] {
        cases.push(get(&format!("/api/v2/{path}"), "bad_query"));
    }
    Table::new().all(cases);
}

/// What is 27 levels deep can be said in an answer, and 28 cannot: a page for clients puts more levels above it, and
/// they read 32. A policy of 31 levels was taken, and no client could sync any more.
#[test]
fn what_an_answer_or_a_policy_says_can_be_read_by_clients() {
    let table = contested();
    let heads = json!([LEFT, RIGHT]);
    let answer = |levels: usize| {
        let body = json!({"heads": heads, "content": nested(levels)});
        let path = "/api/v2/conflicts/lamp";
        Request::post(path, JSON, body.to_string().into_bytes()).send(table.hub.address)
    };
    let set = |levels: usize| {
        let document = json!({"content": rules(|content| content["note"] = nested(levels))});
        body("PUT", "/api/v2/policy", document.to_string()).send(table.hub.address)
    };
    for (refused, what) in [(answer(28), "an answer"), (set(27), "a policy")] {
        let refused = refused.expect("an answer");
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (400, &json!("limit_depth")),
            "{what}"
        );
    }
    for taken in [answer(27), set(26)] {
        let taken = taken.expect("an answer");
        assert_eq!(taken.status, 200, "{}", taken.json());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = crate::process::inbetweenies();
    command
        .args(["client", "--store"])
        .arg(folder.path().join("store"))
        .args(["init", "--hub", &format!("http://{}", table.hub.address)]);
    let ended = crate::process::run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

fn versions(table: &Table, id: &str) -> Vec<Value> {
    let (status, history) = table.hub.get(&format!("/api/v2/entities/{id}/history"));
    assert_eq!(status, 200, "{history}");
    history["versions"].as_array().expect("versions").clone()
}

fn order(row: &Value) -> Micros {
    edit_time(row["accepted"][0]["order_time"].as_str().expect("a time")).expect("a time")
}

fn now() -> Micros {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time after 1970");
    Micros(now.as_micros() as u64)
}

fn note(id: &str, version: &str, parents: &[&str], text: &str) -> Value {
    let mut note = entity(id, version, "note", json!({ "text": text }));
    note["parent_versions"] = json!(parents);
    change(note)
}

/// Nobody's history is refused for being strange: what nothing can be made of is no edge.
#[test]
fn parents_that_run_in_a_circle_or_are_not_there_are_taken_and_told() {
    let mut table = Table::new();
    let push = |change: Value| exchange::push(table.hub.address, json!([change]));
    push(note("circle", "a", &["b"], "1"));
    push(note("circle", "b", &["c"], "2"));
    push(note("circle", "c", &["a"], "3"));
    push(note("selfish", "me", &["me"], "x"));
    push(note("orphan", "late", &["gone", "lost"], "x"));
    push(note("twins", "v1", &[], "one"));
    push(note("twins", "v1", &[], "other"));
    let seen = |table: &Table| {
        ["circle", "selfish", "orphan", "twins"].map(|id| table.hub.get(&format!("/api/v2/entities/{id}")))
    };
    let shown = seen(&table);
    for (status, view) in &shown {
        assert_eq!(*status, 200, "{view}");
    }
    let [circle, selfish, orphan, twins] = shown.each_ref().map(|(_, view)| view);
    assert_eq!(circle["heads"].as_array().map(Vec::len), Some(3), "{circle}");
    assert_eq!(selfish["heads"], json!(["me"]));
    assert_eq!(orphan["missing_parents"], json!(["gone", "lost"]));
    assert_eq!(
        orphan["entity"]["parent_versions"],
        json!(["gone", "lost"]),
        "as written"
    );
    assert_eq!(twins["heads"], json!(["v1", "v1"]), "{twins}");
    assert_ne!(twins["head_digests"][0], twins["head_digests"][1]);
    for (id, count) in [("circle", 3), ("selfish", 1), ("orphan", 1), ("twins", 2)] {
        assert_eq!(versions(&table, id).len(), count);
        for part in ["tree", "why"] {
            assert_eq!(table.hub.get(&format!("/api/v2/entities/{id}/{part}")).0, 200);
        }
    }
    // Both twins go by one name: an answer tells them apart by digest.
    let path = "/api/v2/conflicts/twins";
    let by_name = json!({"heads": ["v1"], "keep": "v1"}).to_string();
    table.before = standing(&table.hub.status());
    table.check(&case(
        "twins by their name",
        body("POST", path, by_name),
        409,
        "conflict_changed",
    ));
    let heads = twins["head_digests"].clone();
    let by_digest = json!({"heads": heads, "keep": heads[0]}).to_string();
    let answer = body("POST", path, by_digest)
        .send(table.hub.address)
        .expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.json()["heads"].as_array().map(Vec::len), Some(1));

    let many: Vec<String> = (0..10_000).map(|n| format!("p{n}")).collect();
    let mut thing = entity("many", BASE, "note", json!({}));
    thing["parent_versions"] = json!(many);
    table.before = standing(&table.hub.status());
    table.check(&Case {
        name: "10,000 parents".to_owned(),
        request: sync(&exchange::request(json!([change(thing)]))),
        expect: Expect::Rows(vec![("many".to_owned(), "limit_parents")]),
    });

    // All of it is read again from the disk, and is the same.
    let before = seen(&table).map(|(_, view)| view);
    let (setup, ended) = table.hub.stop();
    assert!(ended.success(), "{ended:?}");
    table.hub = setup.again().start();
    let stripped = |mut view: Value| {
        view["complete_to"].take();
        view
    };
    assert_eq!(seen(&table).map(|(_, view)| stripped(view)), before.map(stripped));
    assert!(table.wrong.is_empty(), "{:?}", table.wrong);
}

/// A device's clock may say what it likes: its claim is kept to the letter and counts within bounds, and who looks at
/// the history sees that it cannot be right.
#[test]
fn edits_of_the_far_future_and_the_far_past_are_kept_bounded_and_flagged() {
    const FUTURE: &str = "2200-01-01T00:00:00.000000+00:00-000001-prophet";
    const PAST: &str = "1950-01-01T00:00:00.000000+00:00-000001-grandpa";
    let table = Table::new();
    let push = |change: Value| exchange::push(table.hub.address, json!([change]));
    let before = now();
    push(note("diary", FUTURE, &[], "flying cars"));
    let after = now();
    let rows = versions(&table, "diary");
    assert_eq!(rows[0]["entity"]["version"], FUTURE);
    assert_eq!(rows[0]["edit_time"], "2200-01-01T00:00:00.000000+00:00");
    assert_eq!(rows[0]["suspect_time"], "future");
    let stamped = order(&rows[0]);
    let second = Duration::from_secs(1);
    assert!(
        before.plus(EPSILON) <= stamped && stamped <= after.plus(EPSILON + second),
        "{before} {stamped} {after}"
    );

    // An edit on top of it comes after it, whatever its own clock says.
    push(note("diary", PAST, &[FUTURE], "steam engines"));
    let rows = versions(&table, "diary");
    assert_eq!(rows[0]["entity"]["version"], PAST);
    assert_eq!(
        rows[0]["edit_time"], "1970-01-01T00:00:00.000000+00:00",
        "the first instant there is"
    );
    assert_eq!(rows[0]["suspect_time"], "past");
    assert_eq!(order(&rows[0]), stamped.next());
    let shown = table.hub.get("/api/v2/entities/diary").1;
    assert_eq!(shown["entity"]["content"]["text"], "steam engines");

    // What was on its way for a while keeps its time, and what claims none has the hub's; neither is strange.
    let written = format!("{before}-000001-test");
    push(note("letter", &written, &[], "of today"));
    push(note("other", "v-1795375283624", &[], "no time"));
    let letter = &versions(&table, "letter")[0];
    assert_eq!((order(letter), letter.get("suspect_time")), (before, None));
    let other = &versions(&table, "other")[0];
    assert_eq!(
        (&other["edit_time"], other.get("suspect_time")),
        (&Value::Null, None)
    );
    assert!(before <= order(other));
}
