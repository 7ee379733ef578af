//! Decisions that cannot be: answers to conflicts, policies, fences, instants. Each is refused by name.

use serde_json::{Value, json};

use crate::process::http::{JSON, Request};
use crate::{Case, Table, case};

fn send(method: &'static str, path: &str, body: &Value) -> Request {
    let mut request = Request::post(path, JSON, body.to_string().into_bytes());
    request.method = method;
    request
}

fn answer(name: &str, id: &str, body: Value, status: u16, code: &'static str) -> Case {
    case(
        name,
        send("POST", &format!("/api/v2/conflicts/{id}"), &body),
        status,
        code,
    )
}

fn policy(name: &str, content: Value, code: &'static str) -> Case {
    let body = json!({ "content": content });
    case(name, send("PUT", "/api/v2/policy", &body), 400, code)
}

/// A policy of one type, with these rules.
fn rules(rules: Value) -> Value {
    json!({"domain": {"name": "house"}, "entity": {"device": {"strategy": "custom", "rules": rules}}})
}

fn rule(rule: Value) -> Value {
    rules(json!([rule]))
}

const FIRST: &str = "2026-06-15T09:41:02.581234+00:00-000001-test";

#[test]
fn an_answer_that_settles_nothing_is_refused() {
    let (heads, long) = (json!([FIRST]), "x".repeat(300 << 10));
    Table::new().all(vec![
        answer("no heads", "lamp", json!({"deleted": true}), 400, "malformed"),
        answer(
            "empty heads",
            "lamp",
            json!({"heads": [], "deleted": true}),
            400,
            "malformed",
        ),
        answer(
            "heads that are numbers",
            "lamp",
            json!({"heads": [7], "deleted": true}),
            400,
            "malformed",
        ),
        answer("no choice", "lamp", json!({ "heads": heads }), 400, "malformed"),
        answer(
            "two choices",
            "lamp",
            json!({"heads": heads, "deleted": true, "keep": FIRST}),
            400,
            "malformed",
        ),
        answer(
            "a strategy that asks again",
            "lamp",
            json!({"heads": heads, "strategy": "manual"}),
            400,
            "malformed",
        ),
        answer(
            "no strategy",
            "lamp",
            json!({"heads": heads, "strategy": "best"}),
            400,
            "malformed",
        ),
        answer(
            "content that is text",
            "lamp",
            json!({"heads": heads, "content": "on"}),
            400,
            "malformed",
        ),
        answer(
            "a misspelt key",
            "lamp",
            json!({"heads": heads, "delete": true}),
            400,
            "malformed",
        ),
        answer("a list", "lamp", json!([1]), 400, "malformed"),
        answer(
            "an unknown id",
            "nowhere",
            json!({"heads": heads, "deleted": true}),
            404,
            "not_found",
        ),
        answer(
            "an id out of bounds",
            &"x".repeat(65),
            json!({"heads": heads, "deleted": true}),
            400,
            "bad_id",
        ),
        answer(
            "other heads",
            "lamp",
            json!({"heads": ["v-1"], "deleted": true}),
            409,
            "conflict_changed",
        ),
        answer(
            "one head",
            "lamp",
            json!({"heads": heads, "deleted": true}),
            409,
            "no_conflict",
        ),
        answer(
            "one head, and content beyond the bound",
            "lamp",
            json!({"heads": heads, "content": {"a": long}}),
            409,
            "no_conflict",
        ),
        case(
            "a GET",
            Request::get("/api/v2/conflicts/lamp"),
            405,
            "wrong_method",
        ),
    ]);
}

#[test]
fn a_policy_that_is_no_policy_is_refused() {
    let many: Vec<Value> = (0..257)
        .map(|n| json!({"field": ["content", n.to_string()], "rule": "max"}))
        .collect();
    let twice =
        json!([{"field": ["content", "a"], "rule": "max"}, {"field": ["properties", "a"], "rule": "min"}]);
    Table::new().all(vec![
        case("no content", send("PUT", "/api/v2/policy", &json!({})), 400, "malformed"),
        case("a list", send("PUT", "/api/v2/policy", &json!([])), 400, "malformed"),
        policy("no domain", json!({"entity": {"device": {}}}), "bad_policy"),
        policy("no types", json!({"domain": {"name": "house"}}), "bad_policy"),
        policy("an unknown strategy", json!({"domain": {"name": "h"}, "entity": {"a": {"strategy": "best"}}}), "bad_policy"),
        policy("a reserved type", json!({"domain": {"name": "h"}, "entity": {"_policy": {}}}), "bad_policy"),
        policy(
            "rules that nothing uses",
            json!({"domain": {"name": "h"}, "entity": {"a": {"strategy": "merge", "rules": [{"field": "name", "rule": "max"}]}}}),
            "bad_policy",
        ),
        policy(
            "semantics of another time",
            json!({"domain": {"name": "h", "semantics": 9}, "entity": {"a": {}}}),
            "bad_policy",
        ),
        policy("rules that are a map", rules(json!({})), "bad_policy"),
        policy("257 rules", rules(json!(many)), "bad_policy"),
        policy("two rules for one field", rules(twice), "bad_policy"),
        policy("an unknown rule", rule(json!({"field": ["content", "a"], "rule": "sum"})), "bad_policy"),
        policy("no field", rule(json!({"rule": "max"})), "bad_policy"),
        policy("a field that is none", rule(json!({"field": ["watts"], "rule": "max"})), "bad_policy"),
        policy("all of the content", rule(json!({"field": ["content"], "rule": "max"})), "bad_policy"),
        policy("prefer nothing", rule(json!({"field": ["content", "a"], "rule": "prefer"})), "bad_policy"),
        policy(
            "values for max",
            rule(json!({"field": ["content", "a"], "rule": "max", "values": [1]})),
            "bad_policy",
        ),
        policy(
            "a misspelt key",
            rule(json!({"field": ["content", "a"], "rule": "max", "vaules": [1]})),
            "bad_policy",
        ),
        case("a DELETE", send("DELETE", "/api/v2/policy", &json!({})), 405, "wrong_method"),
    ]);
}

#[test]
fn fences_instants_and_cursors_that_are_none_are_refused() {
    let nobody = "/api/v2/members/00000000-0000-4000-8000-000000000000";
    let get = |name: &str, path: &str, code| case(name, Request::get(path), 400, code);
    Table::new().all(vec![
        case(
            "a fence of no id",
            send("POST", "/api/v2/members/attic/fence", &json!({})),
            400,
            "bad_id",
        ),
        case(
            "a fence of nobody",
            send("POST", &format!("{nobody}/fence"), &json!({})),
            404,
            "not_found",
        ),
        case(
            "taking back nobody's",
            send("POST", &format!("{nobody}/unfence"), &json!({})),
            404,
            "not_found",
        ),
        case(
            "a GET of a fence",
            Request::get(&format!("{nobody}/fence")),
            405,
            "wrong_method",
        ),
        get("a diff from nowhere", "/api/v2/diff", "bad_query"),
        get("a diff from a word", "/api/v2/diff?from=tuesday", "bad_instant"),
        get(
            "a diff to a word",
            "/api/v2/diff?from=2026-01-01&to=tuesday",
            "bad_instant",
        ),
        get(
            "a diff of a type",
            "/api/v2/diff?from=2026-01-01&type=note",
            "bad_query",
        ),
        get(
            "a tree of a word",
            "/api/v2/entities/lamp/tree?at=13:00",
            "bad_instant",
        ),
        get(
            "a tree in pages",
            "/api/v2/entities/lamp/tree?cursor=x",
            "bad_query",
        ),
        get(
            "reasons in pages",
            "/api/v2/entities/lamp/why?limit=3",
            "bad_query",
        ),
        get(
            "a history from a word",
            "/api/v2/entities/lamp/history?cursor=x",
            "bad_query",
        ),
    ]);
}
