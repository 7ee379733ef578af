//! Documents that are no sync requests, and clocks that cannot be.

use inbetweenies_core::id::ReplicaId;
use serde_json::{Value, json};

use crate::process::exchange;
use crate::process::http::Request;
use crate::{Case, Table, case, sync};

/// A name that no replica has.
const STRANGER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A good request with one field changed; null takes it out.
fn with(key: &str, value: Value) -> Request {
    let mut body = exchange::request(json!([]));
    body[key] = value;
    sync(&body)
}

fn bad(name: &str, key: &str, value: Value, code: &'static str) -> Case {
    case(name, with(key, value), 400, code)
}

#[test]
fn a_document_that_is_no_request_is_refused() {
    let long = "x".repeat(257);
    Table::new().all(vec![
        bad(
            "no protocol version",
            "protocol_version",
            json!(null),
            "unknown_protocol",
        ),
        bad(
            "a later protocol",
            "protocol_version",
            json!("inbetweenies-v3"),
            "unknown_protocol",
        ),
        bad(
            "a protocol that is a number",
            "protocol_version",
            json!(2),
            "unknown_protocol",
        ),
        bad("no device_id", "device_id", json!(null), "malformed"),
        bad("an empty device_id", "device_id", json!(""), "malformed"),
        bad("a long device_id", "device_id", json!(long), "malformed"),
        bad("a device_id that is a number", "device_id", json!(7), "malformed"),
        bad("a user_id that is a list", "user_id", json!(["me"]), "malformed"),
        bad(
            "an unknown sync_type",
            "sync_type",
            json!("everything"),
            "malformed",
        ),
        bad("a limit of 0", "limit", json!(0), "malformed"),
        bad("a limit below 0", "limit", json!(-1), "malformed"),
        bad("a limit in words", "limit", json!("ten"), "malformed"),
        bad("changes that are a map", "changes", json!({}), "malformed"),
        bad("a change that is a string", "changes", json!(["x"]), "malformed"),
        bad(
            "an unknown change_type",
            "changes",
            json!([{"change_type": "upsert"}]),
            "malformed",
        ),
        bad(
            "a set that is a word",
            "changes",
            json!([{"set": "one"}]),
            "malformed",
        ),
        bad(
            "a set that is a fraction",
            "changes",
            json!([{"set": 1.5}]),
            "malformed",
        ),
        bad(
            "an entity that is a list",
            "changes",
            json!([{"entity": []}]),
            "malformed",
        ),
        bad(
            "relationships that are a map",
            "changes",
            json!([{"relationships": {}}]),
            "malformed",
        ),
        bad(
            "a relationship that is a number",
            "changes",
            json!([{"relationships": [1]}]),
            "malformed",
        ),
        bad("filters that are a list", "filters", json!([]), "malformed"),
        bad(
            "a filter of numbers",
            "filters",
            json!({"entity_types": [1]}),
            "malformed",
        ),
        bad(
            "a filter since yesterday",
            "filters",
            json!({"since": "yesterday"}),
            "malformed",
        ),
    ]);
}

#[test]
fn a_clock_that_cannot_be_is_refused() {
    let of = |name: &str, value: Value| json!({name: value});
    let names = (0..2_000u128).map(|n| ReplicaId(n.to_be_bytes()).to_string());
    let huge: serde_json::Map<String, Value> = names.map(|name| (name, json!(1))).collect();
    let wide: Vec<String> = (0..2_000).map(|n| format!("\"{n}\":1")).collect();
    let mut wide_body = exchange::request(json!([])).to_string();
    wide_body.truncate(wide_body.len() - 1);
    wide_body.push_str(&format!(",\"vector_clock\":{{{}}}}}", wide.join(",")));
    let mut both = exchange::request(json!([]));
    both["vector_clock"] = of(STRANGER, json!(1));
    let mut checked = |checks: Value| {
        both["clock_checks"] = checks;
        sync(&both)
    };
    let clock = |name: &str, value: Value| bad(name, "vector_clock", value, "bad_clock");
    Table::new().all(vec![
        clock("a clock that is a list", json!([[STRANGER, 1]])),
        clock("a clock that is a string", json!("now")),
        clock("a replica of another length", of("abc", json!(1))),
        clock("a replica in capitals", of(&STRANGER.to_uppercase(), json!(1))),
        clock(
            "a replica with digits of no alphabet",
            of("00000000000000000000000000", json!(1)),
        ),
        clock("an empty replica", of("", json!(1))),
        clock("a sequence below 0", of(STRANGER, json!(-1))),
        clock("a sequence that is a fraction", of(STRANGER, json!(1.5))),
        clock("a sequence that is a string", of(STRANGER, json!("1"))),
        clock("a sequence that is null", of(STRANGER, json!(null))),
        clock("2,000 replicas", Value::Object(huge.clone())),
        case(
            "2,000 names that are no replicas",
            Request::post(exchange::SYNC, "application/json", wide_body.into_bytes()),
            400,
            "bad_clock",
        ),
        case("checks that are a list", checked(json!([])), 400, "bad_clock"),
        case(
            "a check that is a number",
            checked(of(STRANGER, json!(5))),
            400,
            "bad_clock",
        ),
        case(
            "a check of 15 digits",
            checked(of(STRANGER, json!("0123456789abcde"))),
            400,
            "bad_clock",
        ),
        case(
            "a check in capitals",
            checked(of(STRANGER, json!("0123456789ABCDEF"))),
            400,
            "bad_clock",
        ),
        case("2,000 checks", checked(Value::Object(huge)), 400, "bad_clock"),
        bad(
            "a sequence beyond 2^53",
            "vector_clock",
            of(STRANGER, json!(u64::MAX)),
            "unsupported_value",
        ),
    ]);
}

/// Somebody else has seen what this hub has not: it says what is missing and when to come back.
#[test]
fn a_clock_ahead_of_the_hub_is_told_what_is_missing() {
    let mut table = Table::new();
    let own = table.hub.status()["replica"]
        .as_str()
        .expect("a replica")
        .to_owned();
    let request = with("vector_clock", json!({STRANGER: 9_007_199_254_740_991u64}));
    let response = request.send(table.hub.address).expect("an answer");
    let body = response.json();
    table.check(&case("a clock ahead", request, 409, "not_yet"));
    assert_eq!(
        body["missing"],
        json!({STRANGER: 9_007_199_254_740_991u64}),
        "{body}"
    );
    assert!(body["retry_after"].is_u64(), "{body}");
    assert!(response.header("retry-after").is_some(), "{response:?}");
    // The hub knows where its own log ends: what lies beyond will never come, and the client begins anew.
    let request = with("vector_clock", json!({&own: 9_007_199_254_740_991u64}));
    let answer = request.send(table.hub.address).expect("an answer").json();
    assert_eq!(answer["reset"], json!([own]), "{answer}");
    table.done();
}

/// With changes the same clock is no reason to refuse them: they are taken, and the answer brings no news.
#[test]
fn changes_are_taken_whatever_the_clock_names() {
    let table = Table::new();
    let entity = exchange::entity("new", "2026-06-15T10:00:00+00:00-1-test", "note", json!({}));
    let mut body = exchange::request(json!([exchange::change(entity)]));
    body["vector_clock"] = json!({STRANGER: 5});
    let answer = exchange::post(table.hub.address, &body).expect("an answer");
    let (status, answer) = (answer.status, answer.json());
    assert_eq!((status, &answer["not_yet"]), (200, &json!(true)), "{answer}");
    assert_eq!(answer["missing"], json!({STRANGER: 5}), "{answer}");
    assert_eq!(answer["applied"][0]["outcome"], "durable", "{answer}");
    assert_eq!(
        (&answer["changes"], &answer["vector_clock"]),
        (&json!([]), &json!({STRANGER: 5})),
        "{answer}"
    );
    assert_eq!(table.hub.get("/api/v2/entities/new").0, 200);
}
