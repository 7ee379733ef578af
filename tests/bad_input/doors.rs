//! Requests that are none of this hub's business, and web pages of others.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;

use crate::process::exchange::{self, SYNC};
use crate::process::http::{self, JSON, Request};
use crate::process::wait;
use crate::{Table, case, sync};

#[test]
fn web_pages_of_others_are_refused() {
    let good = || sync(&exchange::request(json!([])));
    let of = |name: &str, request: Request| case(name, request, 403, "foreign_origin");
    Table::new().all(vec![
        of(
            "a page of another site",
            good().header("Origin", "https://evil.example"),
        ),
        of("a page of no site", good().header("Origin", "null")),
        of(
            "a page of this machine's other port",
            good().header("Origin", "http://127.0.0.1:1"),
        ),
        of(
            "a page that reads",
            Request::get("/api/v2/status").header("Origin", "https://evil.example"),
        ),
        of(
            "a page that opens a link",
            Request::get("/api/v2/peer").header("Origin", "https://evil.example"),
        ),
        of(
            "a name that was bound to loopback",
            Request::get("/api/v2/status").header("Host", "evil.example"),
        ),
        of(
            "a name that begins like loopback",
            Request::get("/health").header("Host", "localhost.evil.example:80"),
        ),
        of(
            "a push to such a name",
            good().header("Host", "evil.example:7420"),
        ),
    ]);
}

#[test]
fn what_is_not_served_is_said_to_be_so() {
    let get = |name: &str, path: &str, status, code| case(name, Request::get(path), status, code);
    let wrong = |method: &'static str, path: &str| {
        let request = Request {
            method,
            ..Request::get(path)
        };
        case(&format!("{method} {path}"), request, 405, "wrong_method")
    };
    let long = format!("/api/v2/entities/{}", "i".repeat(65));
    Table::new().all(vec![
        get("an unknown path", "/api/v3/sync", 404, "not_found"),
        get("the root", "/", 404, "not_found"),
        get(
            "a path up and away",
            "/api/v2/entities/../../../etc/passwd",
            404,
            "not_found",
        ),
        get("an unknown entity", "/api/v2/entities/nobody", 404, "not_found"),
        get(
            "an entity that is an edge",
            "/api/v2/relationships/lamp",
            404,
            "not_found",
        ),
        get(
            "an id that is a zero byte",
            "/api/v2/entities/%00",
            404,
            "not_found",
        ),
        get(
            "an id that is not UTF-8",
            "/api/v2/entities/%ff%fe",
            404,
            "not_found",
        ),
        get("an id of 65 bytes", &long, 400, "bad_id"),
        get(
            "an id of 65 bytes in a filter",
            &long.replace("entities/", "relationships?entity="),
            400,
            "bad_id",
        ),
        get(
            "no instant, for all",
            "/api/v2/entities?at=last-tuesday",
            400,
            "bad_instant",
        ),
        get(
            "no instant, for one",
            "/api/v2/entities/lamp?at=last-tuesday",
            400,
            "bad_instant",
        ),
        get(
            "no instant, for edges",
            "/api/v2/relationships?at=last-tuesday",
            400,
            "bad_instant",
        ),
        get(
            "no instant, for a history",
            "/api/v2/entities/lamp/history?at=last-tuesday",
            400,
            "bad_instant",
        ),
        get(
            "a misspelt filter",
            "/api/v2/entities?tpye=note",
            400,
            "bad_query",
        ),
        get(
            "a misspelt filter of one",
            "/api/v2/entities/lamp?limt=1",
            400,
            "bad_query",
        ),
        get(
            "a misspelt filter of edges",
            "/api/v2/relationships?enity=lamp",
            400,
            "bad_query",
        ),
        get(
            "a misspelt filter of a history",
            "/api/v2/entities/lamp/history?limt=1",
            400,
            "bad_query",
        ),
        get(
            "a misspelt filter of conflicts",
            "/api/v2/conflicts?limt=1",
            400,
            "bad_query",
        ),
        get("a limit in words", "/api/v2/entities?limit=ten", 400, "bad_query"),
        get("a limit below 0", "/api/v2/entities?limit=-1", 400, "bad_query"),
        get(
            "a type of 129 bytes",
            &format!("/api/v2/entities?type={}", "t".repeat(129)),
            400,
            "bad_query",
        ),
        get(
            "no WebSocket where one is expected",
            "/api/v2/peer",
            400,
            "no_websocket",
        ),
        wrong("GET", SYNC),
        wrong("DELETE", "/api/v2/entities/lamp"),
        wrong("PUT", "/api/v2/status"),
        wrong("POST", "/api/v2/peer"),
    ]);
}

/// A method that a path does not take is answered with those that it does.
#[test]
fn a_wrong_method_is_told_the_right_one() {
    let table = Table::new();
    let answer = Request {
        method: "DELETE",
        ..Request::get(SYNC)
    }
    .send(table.hub.address)
    .expect("an answer");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    let answer = Request {
        method: "POST",
        ..Request::get("/health")
    }
    .send(table.hub.address)
    .expect("an answer");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    table.done();
}

/// Noise on the port, by TCP and by UDP: nobody is answered, nothing is changed.
#[test]
fn noise_on_the_port_is_nothing() {
    let mut table = Table::new();
    let noises: [(&str, &[u8]); 5] = [
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello, is this TLS?\r\n\r\n"),
        ("a head without end", &[b'x'; 200_000]),
        ("two lengths", b"POST /api/v2/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 400\r\n\r\n{}{}"),
        ("a length below 0", b"POST /api/v2/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: -4\r\n\r\n{}{}"),
        ("a chunk of no length", b"POST /api/v2/sync HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    ];
    for (name, noise) in noises {
        let mut stream = http::connect(table.hub.address).expect("a connection");
        drop(stream.write_all(noise)); // the hub may hang up in the middle
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a time-out");
        let ended = wait::until("the end of the connection", Duration::from_secs(20), || {
            let mut answer = [0; 4096];
            match stream.read(&mut answer) {
                Ok(0) => Ok("closed".to_owned()),
                Ok(len) => Ok(String::from_utf8_lossy(&answer[..len]).into_owned()),
                Err(error) if crate::process::socket::timed_out(&error) => Err("silence".to_owned()),
                Err(error) => Ok(error.to_string()),
            }
        });
        assert!(!ended.starts_with("HTTP/1.1 2"), "{name}: {ended}");
        table.unchanged(name);
    }
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a UDP port");
    for len in [0, 1, 15, 16, 17, 1_200, 2_000, 60_000] {
        socket
            .send_to(&vec![0xa5; len], table.hub.address)
            .expect("a datagram");
        table.unchanged(&format!("a datagram of {len} bytes"));
    }
    table.done();
}

/// A phone that vanishes before it is answered does not know what became of its set. It pushes the same again, and has
/// one record.
#[test]
fn a_push_whose_answer_was_never_read_lands_once() {
    let table = Table::new();
    let note = exchange::entity(
        "once",
        "2026-06-15T10:00:00+00:00-1-phone",
        "note",
        json!({"text": "eggs"}),
    );
    let body = exchange::request(json!([exchange::change(note)])).to_string();
    let head = format!(
        "POST {SYNC} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for cut in [body.len() / 2, body.len()] {
        let mut stream = http::connect(table.hub.address).expect("a connection");
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&body.as_bytes()[..cut]))
            .expect("a push");
        drop(stream);
    }
    let answer = Request::post(SYNC, JSON, body.into_bytes())
        .send(table.hub.address)
        .expect("an answer")
        .json();
    assert_eq!(answer["applied"][0]["id"], "once", "{answer}");
    let records = |status: &serde_json::Value| status["records"].as_u64();
    assert_eq!(
        records(&table.hub.status()),
        records(&table.before).map(|before| before + 1)
    );
    let found = exchange::everything(table.hub.address).records;
    assert_eq!(found.iter().filter(|record| record["id"] == "once").count(), 1);
}
