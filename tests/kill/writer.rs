//! A client that writes through all hubs in turn, and at the next one when one does not answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use inbetweenies_core::rng::Rng;
use serde_json::{Value, json};

use crate::process::exchange::{self, change, entity, relationship};

/// Things that all writers edit.
const SHARED: usize = 24;
/// Until when some hub must have taken a set.
const TAKEN: Duration = Duration::from_secs(30);

/// Id and version of a record that some hub acknowledged.
pub type Acknowledged = (String, String);

/// What all writers see.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    pub addresses: &'a [SocketAddr],
    pub over: &'a AtomicBool,
    /// Sets acknowledged so far.
    pub sets: &'a AtomicUsize,
}

pub struct Writer {
    name: String,
    rng: Rng,
    turn: usize,
    writes: usize,
    /// Ids that it has written, with the version that it wrote last.
    last: BTreeMap<String, String>,
    own: Vec<String>,
    done: Done,
}

/// What a writer has seen.
#[derive(Default)]
pub struct Done {
    pub acknowledged: Vec<Acknowledged>,
    pub retries: usize,
}

/// Whether a record's user is one of these.
pub fn is_writer(user: &str) -> bool {
    user.starts_with("writer-")
}

impl Writer {
    pub fn new(number: usize, seed: u64) -> Writer {
        Writer {
            name: format!("writer-{number}"),
            rng: Rng::new(seed, 1 + number as u64),
            turn: number,
            writes: 0,
            last: BTreeMap::new(),
            own: Vec::new(),
            done: Done::default(),
        }
    }

    /// Writes set after set until it is over; the last one is finished.
    pub fn write(mut self, shared: Shared) -> Done {
        while !shared.over.load(Ordering::SeqCst) {
            let changes = self.next_set();
            let mut body = exchange::request(changes);
            body["limit"] = json!(1); // it is here to write
            self.push(&body, shared);
        }
        self.done
    }

    /// One set: a new thing, sometimes with an edge to an older one, or an edit of one or two, sometimes a deletion.
    fn next_set(&mut self) -> Value {
        match self.rng.below(10) {
            0..=2 => {
                let id = format!("{}-{}", self.name, self.own.len());
                let new = self.record(id.clone());
                let mut changes = vec![new];
                if let Some(other) = self.one_of_own() {
                    let edge = format!("{id}-edge");
                    let mut edge = relationship(&edge, &self.version(), &id, "controls", &other);
                    edge["user_id"] = json!(self.name);
                    changes.push(json!({"change_type": "create", "relationships": [edge]}));
                }
                self.own.push(id);
                json!(changes)
            }
            3..=5 => {
                let shared = self.rng.below(SHARED);
                json!([self.record(format!("shared-{shared}"))])
            }
            6..=8 => {
                let mine = self.one_of_own().unwrap_or_else(|| "shared-0".to_owned());
                let shared = self.rng.below(SHARED);
                json!([self.record(mine), self.record(format!("shared-{shared}"))])
            }
            _ => {
                let id = self.own.pop().unwrap_or_else(|| format!("{}-none", self.name));
                let mut deletion = self.record(id);
                deletion["change_type"] = json!("delete");
                json!([deletion])
            }
        }
    }

    fn one_of_own(&mut self) -> Option<String> {
        let len = self.own.len();
        (len > 0).then(|| self.own[self.rng.below(len)].clone())
    }

    fn version(&mut self) -> String {
        self.writes += 1;
        format!("{}-v{}", self.name, self.writes)
    }

    /// The next version of a thing, after the one that this writer wrote last; which may not be known yet where it goes.
    fn record(&mut self, id: String) -> Value {
        let version = self.version();
        let content = json!({self.name.clone(): self.writes, "last": self.name});
        let mut record = entity(&id, &version, "device", content);
        record["user_id"] = json!(self.name);
        if let Some(before) = self.last.insert(id, version) {
            record["parent_versions"] = json!([before]);
        }
        change(record)
    }

    /// Pushes the same set until some hub says that it has it.
    fn push(&mut self, body: &Value, shared: Shared) {
        let started = Instant::now();
        loop {
            let address = shared.addresses[self.turn % shared.addresses.len()];
            self.turn += 1;
            let seen = match exchange::post(address, body) {
                Ok(answer) if answer.status == 200 => {
                    self.acknowledged(body, &answer.json());
                    shared.sets.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                // It stops, or it has no credit left: the next may have.
                Ok(answer) if answer.status == 503 => answer.json().to_string(),
                Ok(answer) => panic!("{address} answered {}: {}", answer.status, answer.json()),
                Err(error) => error.to_string(),
            };
            self.done.retries += 1;
            assert!(
                started.elapsed() < TAKEN,
                "no hub took a set within {TAKEN:?}: {seen}"
            );
        }
    }

    fn acknowledged(&mut self, body: &Value, answer: &Value) {
        assert_eq!(answer["rejected"], json!([]), "{answer}");
        let rows = ["applied", "applied_relationships"]
            .map(|key| answer[key].as_array().cloned().unwrap_or_default());
        for row in rows.concat() {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            self.done.acknowledged.push((text("id"), text("version")));
        }
        let pushed = body["changes"].as_array().map_or(0, Vec::len);
        let told = rows_of(answer);
        assert_eq!(pushed, told, "not every record was acknowledged: {body} {answer}");
    }
}

fn rows_of(answer: &Value) -> usize {
    ["applied", "applied_relationships"]
        .iter()
        .map(|key| answer[*key].as_array().map_or(0, Vec::len))
        .sum()
}
