//! Comparing stores: `/api/v2/verify`, `/api/v2/leaves`, `/api/v2/digest`.

use std::collections::BTreeSet;

use actix_web::{HttpRequest, HttpResponse, web};
use inbetweenies_core::conflict::read;
use inbetweenies_core::id::HubId;
use inbetweenies_core::merkle::{self, survey};
use inbetweenies_core::node::Mail;
use inbetweenies_core::reconcile::{Filter, digest};
use inbetweenies_core::wire::{ClockMap, Filters, Problem, SyncType, clock_to_wire};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Doors, body};

/// Types or writers that one filter names at most.
const NAMES_MAX: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    against: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaves {
    prefix: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selected {
    sync_type: Option<String>,
    entity_types: Option<String>,
    modified_by: Option<String>,
}

/// What a check that was begun is told by.
#[derive(Serialize)]
struct Begun {
    /// Checks that had ended before: the status tells of one more when this one has.
    checks: u64,
    /// With whom stores are compared after it.
    against: Vec<String>,
}

#[derive(Serialize)]
struct Told {
    state_digest: String,
    records: u64,
    vector_clock: ClockMap,
    clock_checks: std::collections::BTreeMap<String, String>,
}

fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    let read = web::Query::<T>::from_query(request.query_string());
    read.map(web::Query::into_inner)
        .map_err(|error| Problem::bad_request("bad_query", error.to_string()))
}

fn finish<T: Serialize>(request: &HttpRequest, status: u16, read: Result<T, Problem>) -> HttpResponse {
    match read {
        Ok(told) => body::answer(request, status, &told),
        Err(problem) => body::problem(request, &problem),
    }
}

/// `POST /api/v2/verify?against=HUB`: checks every record now, then compares with a linked hub, or with all.
pub async fn verify(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let begin = || {
        let query: Verify = query(&request)?;
        let linked = doors.office.board.linked();
        let meant: Vec<(HubId, String)> = match &query.against {
            None => linked,
            Some(word) => {
                let found = linked
                    .into_iter()
                    .filter(|(id, name)| id.to_string() == *word || name == word);
                let found: Vec<_> = found.collect();
                match found.len() {
                    1 => found,
                    0 => {
                        let detail = format!(
                            "this hub is linked with no hub called {word:?}: the status lists its peers"
                        );
                        return Err(Problem::not_found(detail));
                    }
                    _ => {
                        let detail =
                            format!("several hubs are called {word:?}: give an id, as the status lists them");
                        return Err(Problem::bad_request("bad_query", detail));
                    }
                }
            }
        };
        let hub_id = query
            .against
            .is_some()
            .then(|| meant.first().map(|(id, _)| *id))
            .flatten();
        let checks = doors.office.board.checks();
        doors.office.post(Mail::Merkle(merkle::Input::Verify { hub_id }));
        Ok(Begun {
            checks,
            against: meant.into_iter().map(|(id, _)| id.to_string()).collect(),
        })
    };
    finish(&request, 202, begin())
}

/// `GET /api/v2/leaves?prefix=HEX`: what this store holds below a node of the tree, read from its records.
pub async fn leaves(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        let query: Leaves = query(&request)?;
        let text = query.prefix.unwrap_or_default();
        let Some(place) = survey::place(&text) else {
            let detail = format!("prefix {text:?} is no node: write 0 to 6 hex digits in lower case");
            return Err(Problem::bad_request("bad_query", detail));
        };
        doors.read(move |store, _| survey::survey(store, place)).await
    };
    let read = read.await;
    finish(&request, 200, read)
}

/// `GET /api/v2/digest`: the digest of what a filter selects, and the clock that it holds at.
pub async fn selected(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        let query: Selected = query(&request)?;
        let filter = filter(&query)?;
        doors
            .read(move |store, _| {
                let (records, digest) = digest(store, &filter)?;
                let (vector_clock, clock_checks) = clock_to_wire(&read::clock(store)?);
                Ok(Told {
                    state_digest: digest.to_string(),
                    records,
                    vector_clock,
                    clock_checks,
                })
            })
            .await
    };
    let read = read.await;
    finish(&request, 200, read)
}

fn filter(query: &Selected) -> Result<Filter, Problem> {
    let bad = |detail: String| Problem::bad_request("bad_query", detail);
    let sync_type = match query.sync_type.as_deref() {
        None => None,
        Some("full") => Some(SyncType::Full),
        Some("delta") => Some(SyncType::Delta),
        Some("entities") => Some(SyncType::Entities),
        Some("relationships") => Some(SyncType::Relationships),
        Some(other) => {
            return Err(bad(format!(
                "sync_type {other:?} is none of full, delta, entities, relationships"
            )));
        }
    };
    let names = |given: &Option<String>, what: &str| -> Result<Option<BTreeSet<String>>, Problem> {
        let Some(given) = given else { return Ok(None) };
        let names: BTreeSet<String> = given.split(',').map(str::to_owned).collect();
        if names.len() > NAMES_MAX || names.iter().any(|name| name.is_empty() || name.len() > 128) {
            return Err(bad(format!(
                "{what} is a list of 1 to {NAMES_MAX} names of 1 to 128 bytes, with commas between them"
            )));
        }
        Ok(Some(names))
    };
    let filters = Filters {
        entity_types: names(&query.entity_types, "entity_types")?,
        modified_by: names(&query.modified_by, "modified_by")?,
        ..Filters::default()
    };
    Ok(Filter {
        sync_type,
        filters,
        heads_only: false,
    })
}
