//! Clients that take their time: bounded, and nobody else waits for them.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::process::exchange::{self, SYNC, change, entity};
use crate::process::http::{self, JSON, MSGPACK, Response};
use crate::{Expect, Table, house};

/// The bounds that these hubs are given: the least that the config takes, and less than that.
const HEAD: &str = "1s";
const BODY: &str = "300ms";
/// Until when a slow client must have been sent away, on a machine that is busy with other things.
const GONE: Duration = Duration::from_secs(10);
/// Between two bytes of a slow client.
const PAUSE: Duration = Duration::from_millis(20);

fn impatient() -> Table {
    Table::with(|setup| {
        setup
            .key("listen.body_timeout", BODY)
            .key("listen.head_timeout", HEAD)
    })
}

fn head_of_push(accept: &str, length: usize) -> String {
    format!(
        "POST {SYNC} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nAccept: {accept}\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends byte by byte until the hub answers or hangs up.
fn drip(table: &Table, begin: &str, drops: u8) -> (Option<Response>, Duration) {
    let started = Instant::now();
    let mut stream = http::connect(table.hub.address).expect("a connection");
    stream.write_all(begin.as_bytes()).expect("the beginning");
    let mut answers = stream.try_clone().expect("the other half");
    let answer = std::thread::spawn(move || http::read(&mut answers).ok());
    while !answer.is_finished() {
        assert!(
            started.elapsed() < GONE,
            "the hub listens to {begin:?} for {GONE:?}"
        );
        drop(stream.write_all(&[drops]));
        std::thread::sleep(PAUSE);
    }
    (answer.join().expect("the answer"), started.elapsed())
}

#[test]
fn a_body_that_drips_is_cut_off() {
    let mut table = impatient();
    for (name, accept) in [
        ("a body that drips", JSON),
        ("one that drips to MessagePack", MSGPACK),
    ] {
        let (answer, took) = drip(&table, &head_of_push(accept, 5_000), b' ');
        let answer = answer.unwrap_or_else(|| panic!("{name}: no answer in {took:?}"));
        table.judge(name, &Expect::Problem(408, "body_timeout"), &answer);
        table.unchanged(name);
    }
    table.done();
}

#[test]
fn a_head_that_drips_is_cut_off() {
    let mut table = impatient();
    let (answer, _) = drip(&table, "GET /health HTTP/1.1\r\nX-Drip: ", b'x');
    let status = answer.as_ref().map(|answer| answer.status);
    assert!(matches!(status, None | Some(408)), "{answer:?}");
    table.unchanged("a head that drips");
    table.done();
}

/// A few clients that announce the largest body there is and send next to nothing do not shut the door for others.
#[test]
fn bodies_that_were_only_announced_hold_nobody_up() {
    let mut table = Table::new();
    let chunked =
        format!("POST {SYNC} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n");
    let declared = head_of_push(JSON, 32 << 20) + " ";
    let slow: Vec<TcpStream> = (0..16)
        .map(|n| {
            let mut stream = http::connect(table.hub.address).expect("a connection");
            let begin = if n % 2 == 0 { &chunked } else { &declared };
            stream.write_all(begin.as_bytes()).expect("the beginning");
            stream
        })
        .collect();
    let started = Instant::now();
    for n in 0..20 {
        let note = entity(
            &format!("quick-{n}"),
            "2026-06-15T10:00:00+00:00-1-test",
            "note",
            json!({}),
        );
        exchange::push(table.hub.address, json!([change(note)]));
    }
    assert!(
        started.elapsed() < GONE,
        "20 pushes took {:?} beside slow clients",
        started.elapsed()
    );
    drop(slow);
    table.before = crate::standing(&table.hub.status());
    table.unchanged("bodies that were only announced");
    table.done();
}

/// A client that asks and does not read holds its own connection only.
#[test]
fn answers_that_nobody_reads_hold_nobody_up() {
    let mut table = Table::new();
    let big = json!({"text": "x".repeat(100_000)});
    let notes = (0..9).map(|n| {
        change(entity(
            &format!("big-{n}"),
            "2026-06-15T10:00:00+00:00-1-test",
            "note",
            big.clone(),
        ))
    });
    exchange::push(table.hub.address, notes.collect::<Vec<_>>().into());
    table.before = crate::standing(&table.hub.status());
    let body = exchange::request(json!([])).to_string();
    let request = head_of_push(JSON, body.len()) + &body;
    let deaf: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = http::connect(table.hub.address).expect("a connection");
            stream
                .write_all(request.repeat(3).as_bytes())
                .expect("three requests");
            stream
        })
        .collect();
    let started = Instant::now();
    let answer = exchange::push(table.hub.address, house());
    assert_eq!(answer["applied"][0]["outcome"], "known", "{answer}");
    assert!(
        started.elapsed() < GONE,
        "a push took {:?} beside deaf clients",
        started.elapsed()
    );
    table.unchanged("answers that nobody reads");
    drop(deaf);
    table.done();
}
