//! `POST /api/v2/sync` as clients speak it.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::http::{JSON, Request, Response};

pub const PROTOCOL: &str = "inbetweenies-v2";
pub const SYNC: &str = "/api/v2/sync";

/// The least that a request must have, and these changes.
pub fn request(changes: Value) -> Value {
    json!({"protocol_version": PROTOCOL, "device_id": "a-test", "sync_type": "delta", "changes": changes})
}

/// An entity without parents.
pub fn entity(id: &str, version: &str, entity_type: &str, content: Value) -> Value {
    json!({"id": id, "version": version, "entity_type": entity_type, "name": id, "content": content})
}

pub fn relationship(id: &str, version: &str, from: &str, kind: &str, to: &str) -> Value {
    json!({"id": id, "version": version, "from_entity_id": from, "to_entity_id": to,
           "relationship_type": kind, "properties": {}})
}

/// A change with one entity.
pub fn change(entity: Value) -> Value {
    json!({"change_type": "update", "entity": entity})
}

pub fn post(address: SocketAddr, body: &Value) -> io::Result<Response> {
    Request::post(SYNC, JSON, body.to_string().into_bytes()).send(address)
}

/// Pushes changes that must all land, and gives the answer back.
pub fn push(address: SocketAddr, changes: Value) -> Value {
    let answer =
        post(address, &request(changes)).unwrap_or_else(|error| panic!("push to {address}: {error}"));
    let (status, answer) = (answer.status, answer.json());
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["rejected"], json!([]), "{answer}");
    answer
}

/// Everything that a hub holds, page by page from an empty clock.
#[derive(Debug, Default)]
pub struct Everything {
    /// Entities and relationships, in the order they came.
    pub records: Vec<Value>,
    pub pages: usize,
    /// Where the last page ended.
    pub clock: Value,
}

pub fn everything(address: SocketAddr) -> Everything {
    let mut all = Everything {
        clock: json!({}),
        ..Everything::default()
    };
    let mut checks = json!({});
    loop {
        let mut body = request(json!([]));
        body["vector_clock"] = all.clock;
        body["clock_checks"] = checks;
        let answer = post(address, &body).unwrap_or_else(|error| panic!("pull from {address}: {error}"));
        let (status, mut answer) = (answer.status, answer.json());
        assert_eq!(status, 200, "{answer}");
        for change in answer["changes"].as_array_mut().into_iter().flatten() {
            if !change["entity"].is_null() {
                all.records.push(change["entity"].take());
            }
            all.records.extend(
                change["relationships"]
                    .as_array_mut()
                    .into_iter()
                    .flatten()
                    .map(Value::take),
            );
        }
        all.pages += 1;
        all.clock = answer["vector_clock"].take();
        checks = answer["clock_checks"].take();
        if answer["cursor"].is_null() {
            return all;
        }
        assert!(all.pages < 10_000, "pages without end");
    }
}
