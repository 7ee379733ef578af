//! Bodies that are no documents, or documents that would cost too much.

use serde_json::json;

use crate::process::exchange::{self, PROTOCOL, SYNC};
use crate::process::http::{Body, JSON, MSGPACK, Request};
use crate::{Case, Table, case};

/// Far above the body's bound, and above what is kept in any buffer on the way.
const HUGE: usize = 100 << 20;

fn msgpack(name: &str, body: Vec<u8>, code: &'static str) -> Case {
    case(
        &format!("{name}, MessagePack"),
        Request::post(SYNC, MSGPACK, body),
        400,
        code,
    )
}

fn json_text(name: &str, body: impl Into<Vec<u8>>, code: &'static str) -> Case {
    case(
        &format!("{name}, JSON"),
        Request::post(SYNC, JSON, body.into()),
        400,
        code,
    )
}

/// A good request in MessagePack in whose place for `changes` stands something else.
fn around(changes: &[u8]) -> Vec<u8> {
    let mut body = vec![0x83];
    for (key, value) in [("protocol_version", PROTOCOL), ("device_id", "a-test")] {
        text(&mut body, key);
        text(&mut body, value);
    }
    text(&mut body, "changes");
    body.extend_from_slice(changes);
    body
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(0xa0 | text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// A good request in JSON, one of whose entities has this content.
fn content(content: &str) -> String {
    let mut body = exchange::request(json!([])).to_string();
    let entity = format!(
        r#"[{{"entity":{{"id":"x","version":"v","entity_type":"note","name":"x","content":{content}}}}}]"#
    );
    body = body.replace("\"changes\":[]", &format!("\"changes\":{entity}"));
    body
}

/// A MessagePack map or list of a million numbers.
fn million(map: bool) -> Vec<u8> {
    let mut body = vec![if map { 0xdf } else { 0xdd }];
    body.extend_from_slice(&1_000_000u32.to_be_bytes());
    for n in 0..1_000_000u32 {
        if map {
            body.push(0xa4);
            body.extend([0, 5, 10, 15].map(|bits| b'A' + (n >> bits & 31) as u8));
        }
        body.push(1);
    }
    body
}

#[test]
fn a_body_that_is_no_document_is_refused() {
    let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
    let mut cases = vec![
        msgpack("a byte that stands for nothing", vec![0xc1], "malformed"),
        msgpack("cut short", vec![0x82, 0xa1, b'a'], "malformed"),
        msgpack("bytes behind the end", vec![0x80, 0x80], "malformed"),
        msgpack("no map", vec![0x93, 1, 2, 3], "malformed"),
        msgpack("a key that is a number", vec![0x81, 1, 1], "malformed"),
        msgpack(
            "text that is not UTF-8",
            vec![0x81, 0xa1, b'a', 0xa1, 0xff],
            "unsupported_value",
        ),
        json_text("an open brace", "{", "malformed"),
        json_text("two documents", "{} {}", "malformed"),
        json_text("no map", "[1, 2, 3]", "malformed"),
        json_text(
            "not UTF-8",
            vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}'],
            "malformed",
        ),
        json_text(
            "packed with gzip",
            vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
            "malformed",
        ),
        json_text("empty", "", "empty_body"),
        msgpack("empty", Vec::new(), "empty_body"),
        json_text("one key twice", r#"{"a": 1, "a": 1}"#, "duplicate_key"),
        json_text(
            "one key twice in a content",
            content(r#"{"a": {"b": 1, "b": 2}}"#),
            "duplicate_key",
        ),
        msgpack(
            "one key twice",
            vec![0x82, 0xa1, b'a', 1, 0xa1, b'a', 1],
            "duplicate_key",
        ),
        msgpack("binary", around(&[0x91, 0xc4, 2, 0, 1]), "unsupported_value"),
        msgpack("an extension", around(&[0x91, 0xd4, 5, 0]), "unsupported_value"),
        msgpack(
            "a timestamp",
            around(&[0x91, 0xd6, 0xff, 0, 0, 0, 0]),
            "unsupported_value",
        ),
        msgpack(
            "NaN",
            around(&[0x91, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]),
            "unsupported_value",
        ),
        msgpack(
            "infinity",
            around(&[0x91, 0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0]),
            "unsupported_value",
        ),
        msgpack(
            "infinity in 32 bits",
            around(&[0x91, 0xca, 0xff, 0x80, 0, 0]),
            "unsupported_value",
        ),
        json_text("NaN", content(r#"{"a": NaN}"#), "malformed"),
        json_text(
            "a number beyond all floats",
            content(r#"{"a": 1e999}"#),
            "malformed",
        ),
        json_text(
            "a whole number beyond 2^53",
            content(r#"{"a": 9007199254740993}"#),
            "unsupported_value",
        ),
        json_text(
            "a whole number below -2^53",
            content(r#"{"a": -9007199254740993}"#),
            "unsupported_value",
        ),
        json_text(
            "a whole float beyond 2^53",
            content(r#"{"a": 1e300}"#),
            "unsupported_value",
        ),
        msgpack(
            "the largest u64",
            around(&[0x91, 0xcf, 255, 255, 255, 255, 255, 255, 255, 255]),
            "unsupported_value",
        ),
        json_text(
            "1,000 lists in each other",
            nested("[", "]", 1_000),
            "limit_depth",
        ),
        json_text(
            "1,000 maps in each other",
            nested("{\"a\":", "}", 1_000),
            "limit_depth",
        ),
        json_text(
            "1,000 levels in a content",
            content(&nested("{\"a\":", "}", 1_000)),
            "limit_depth",
        ),
        json_text("a million levels", "[".repeat(1_000_000), "limit_depth"),
        msgpack("1,000 lists in each other", vec![0x91; 1_000], "limit_depth"),
        msgpack(
            "1,000 maps in each other",
            [0x81, 0xa1, b'a'].repeat(1_000),
            "limit_depth",
        ),
        msgpack("a million levels", vec![0x91; 1_000_000], "limit_depth"),
        msgpack("a list of a million", million(false), "limit_elements"),
        msgpack("a map of a million", million(true), "limit_elements"),
        json_text(
            "a list of a million",
            format!("[{}1]", "1,".repeat(1_000_000)),
            "limit_elements",
        ),
        json_text("a map of a million", million_json(), "limit_elements"),
    ];
    for (name, byte) in [
        ("array32", 0xdd),
        ("map32", 0xdf),
        ("str32", 0xdb),
        ("bin32", 0xc6),
    ] {
        let claim = [byte, 0xff, 0xff, 0xff, 0xff];
        cases.push(msgpack(&format!("{name} of 4 GiB"), claim.to_vec(), "malformed"));
        cases.push(msgpack(
            &format!("{name} of 4 GiB within"),
            around(&claim),
            "malformed",
        ));
    }
    Table::new().all(cases);
}

fn million_json() -> String {
    let entries: Vec<String> = (0..1_000_000).map(|n| format!("\"k{n}\":1")).collect();
    format!("{{{}}}", entries.join(","))
}

#[test]
fn a_body_beyond_the_bound_is_refused_before_it_is_read() {
    let large = |chunked| Request {
        body: Body::Large { bytes: HUGE, chunked },
        ..Request::post(SYNC, JSON, Vec::new())
    };
    Table::new().all(vec![
        case("100 MB that say so", large(false), 413, "limit_body"),
        case("100 MB in chunks", large(true), 413, "limit_body"),
    ]);
}

#[test]
fn a_body_of_another_kind_is_refused() {
    let good = exchange::request(json!([])).to_string().into_bytes();
    let of = |content_type: &str| Request::post(SYNC, content_type, good.clone());
    let kinds = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/cbor",
        "json",
        "application/json5",
    ];
    let mut cases: Vec<Case> = kinds
        .iter()
        .map(|kind| case(kind, of(kind), 415, "unsupported_media_type"))
        .collect();
    cases.push(case("JSON that says MessagePack", of(MSGPACK), 400, "malformed"));
    Table::new().all(cases);
}

/// Clients that speak MessagePack get their problems in it.
#[test]
fn a_problem_comes_in_the_format_that_is_accepted() {
    let table = Table::new();
    let request = Request::post(SYNC, MSGPACK, vec![0xc1]).header("Accept", MSGPACK);
    let response = request.send(table.hub.address).expect("an answer");
    assert_eq!(response.header("content-type"), Some(MSGPACK));
    let body: serde_json::Value = rmp_serde::from_slice(&response.body).expect("MessagePack");
    assert_eq!(
        (response.status, &body["status"], &body["code"]),
        (400, &json!(400), &json!("malformed"))
    );
    table.done();
}
