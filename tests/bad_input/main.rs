//! Bad input at every door: refused by name, nothing changed, and the hub goes on.

#[path = "../support/process.rs"]
mod process;

mod bodies;
mod decisions;
mod doors;
mod links;
mod requests;
mod sets;
mod slow;
mod start;
mod stranger;

use process::exchange::{self, change, entity, relationship};
use process::http::{JSON, MSGPACK, PROBLEM, Request, Response};
use process::{Hub, Setup, http};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What must come of one request.
enum Expect {
    /// Refused as a whole: status and code.
    Problem(u16, &'static str),
    /// Taken as a request; these rows of `rejected`, in any order, and nothing applied.
    Rows(Vec<(String, &'static str)>),
}

/// One bad input.
struct Case {
    name: String,
    request: Request,
    expect: Expect,
}

fn case(name: &str, request: Request, status: u16, code: &'static str) -> Case {
    Case {
        name: name.to_owned(),
        request,
        expect: Expect::Problem(status, code),
    }
}

/// A sync request in JSON.
fn sync(body: &Value) -> Request {
    Request::post(exchange::SYNC, JSON, body.to_string().into_bytes())
}

/// A hub with a small house in it, and what was found wrong with it so far.
struct Table {
    hub: Hub,
    before: Value,
    checked: usize,
    wrong: Vec<String>,
    _folder: TempDir,
}

/// The room `hall`, the zone `floor`, the device `lamp` that is in the hall, the note `note`.
fn house() -> Value {
    let first = "2026-06-15T09:41:02.581234+00:00-000001-test";
    let located = located_in("lamp");
    json!([
        change(entity("hall", first, "room", json!({"area": 9}))),
        change(entity("floor", first, "zone", json!({}))),
        change(entity("lamp", first, "device", json!({"watts": 4}))),
        change(entity("note", first, "note", json!({"text": "milk"}))),
        {"change_type": "create", "relationships": [relationship(&located, first, "lamp", "located_in", "hall")]},
    ])
}

/// The one id that this thing's place has.
fn located_in(id: &str) -> String {
    let id = inbetweenies_core::id::Id::new(id).expect("an id");
    inbetweenies_core::id::Id::single(&id, "located_in").to_string()
}

fn standing(status: &Value) -> Value {
    let kept = [
        "records",
        "entities",
        "relationships",
        "conflicts",
        "vector_clock",
        "clock_checks",
    ];
    kept.into_iter()
        .map(|key| (key.to_owned(), status[key].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl Table {
    fn new() -> Table {
        Table::with(|setup| setup)
    }

    fn with(settings: impl FnOnce(Setup) -> Setup) -> Table {
        let folder = tempfile::tempdir().expect("a folder");
        let hub = settings(Setup::new("hub", folder.path()).founder()).start();
        exchange::push(hub.address, house());
        let before = standing(&hub.status());
        Table {
            hub,
            before,
            checked: 0,
            wrong: Vec::new(),
            _folder: folder,
        }
    }

    fn all(mut self, cases: Vec<Case>) {
        for case in cases {
            self.check(&case);
        }
        self.done();
    }

    fn check(&mut self, case: &Case) {
        match case.request.send(self.hub.address) {
            Ok(response) => self.judge(&case.name, &case.expect, &response),
            Err(error) => self.wrong.push(format!("{}: no answer: {error}", case.name)),
        }
        self.unchanged(&case.name);
    }

    fn judge(&mut self, name: &str, expect: &Expect, response: &Response) {
        let body = response.json();
        let good = match expect {
            Expect::Problem(status, code) => is_problem(response, *status, code),
            Expect::Rows(rows) => response.status == 200 && are_rows(&body, rows),
        };
        if !good {
            let shown: String = body.to_string().chars().take(600).collect();
            let content_type = response.header("content-type");
            self.wrong
                .push(format!("{name}: {} {content_type:?} {shown}", response.status));
        }
    }

    /// The hub serves, and holds what it held.
    fn unchanged(&mut self, name: &str) {
        self.checked += 1;
        let health = http::get(self.hub.address, "/health");
        let now = standing(&self.hub.status());
        if health.status != 200 || now != self.before {
            self.wrong.push(format!(
                "{name}: health {}, before {}, after {now}",
                health.status, self.before
            ));
            self.before = now;
        }
    }

    fn done(self) {
        let Table { checked, wrong, .. } = &self;
        assert!(
            wrong.is_empty(),
            "{} of {checked} cases:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        println!("{checked} bad inputs refused");
    }
}

fn is_problem(response: &Response, status: u16, code: &str) -> bool {
    let body = response.json();
    let text = |key: &str| body[key].as_str().is_some_and(|text| !text.is_empty());
    let content_type = response.header("content-type");
    response.status == status
        && (content_type == Some(PROBLEM) || content_type == Some(MSGPACK))
        && body["status"] == status
        && body["code"] == code
        && text("title")
        && text("detail")
}

fn are_rows(body: &Value, rows: &[(String, &'static str)]) -> bool {
    let found = body["rejected"].as_array().into_iter().flatten();
    let mut found: Vec<(&str, &str)> = found
        .filter(|row| row["detail"].as_str().is_some_and(|detail| !detail.is_empty()))
        .filter_map(|row| Some((row["id"].as_str()?, row["code"].as_str()?)))
        .collect();
    let mut wanted: Vec<(&str, &str)> = rows.iter().map(|(id, code)| (id.as_str(), *code)).collect();
    found.sort_unstable();
    wanted.sort_unstable();
    found == wanted && body["applied"] == json!([]) && body["applied_relationships"] == json!([])
}
