//! The read paths: views, lists, edges, histories, trees, reasons; now, or as it was at an instant (`at`).

use actix_web::{HttpRequest, HttpResponse, web};
use inbetweenies_core::conflict::read;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::Id;
use inbetweenies_core::time::{Micros, instant};
use inbetweenies_core::wire::Problem;
use serde::{Deserialize, Serialize};

use super::{Doors, body};

/// Things in one page of a list, by default and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;
/// Versions of one tree, by default and at most: the newest.
const TREE: usize = 1_000;
const TREE_MAX: usize = 10_000;

/// What stands behind the `?`. Unknown keys are refused, so that a typo is no filter that does nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    r#type: Option<String>,
    entity: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
    at: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Serialize)]
struct Conflicts {
    conflicts: Vec<read::Shown>,
}

/// Reads the query, of which a path knows only these keys.
fn query(request: &HttpRequest, known: &[&str]) -> Result<Query, Problem> {
    let bad = |detail: String| Problem::bad_request("bad_query", detail);
    let query = web::Query::<Query>::from_query(request.query_string())
        .map_err(|error| bad(error.to_string()))?
        .into_inner();
    let given = [
        ("type", query.r#type.is_some()),
        ("entity", query.entity.is_some()),
        ("limit", query.limit.is_some()),
        ("cursor", query.cursor.is_some()),
        ("at", query.at.is_some()),
        ("from", query.from.is_some()),
        ("to", query.to.is_some()),
    ];
    for (key, is_given) in given {
        if is_given && !known.contains(&key) {
            return Err(bad(format!(
                "{key} means nothing here; {} takes {}",
                request.path(),
                if known.is_empty() {
                    "nothing".to_owned()
                } else {
                    known.join(", ")
                }
            )));
        }
    }
    if query.r#type.as_deref().is_some_and(|name| name.len() > 128) {
        return Err(bad("type has more than 128 bytes".to_owned()));
    }
    Ok(query)
}

fn id(path: &str) -> Result<Id, Problem> {
    Id::new(path).map_err(|error| Problem::bad_request("bad_id", error.to_string()))
}

fn at(text: Option<&str>, key: &str) -> Result<Option<Micros>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let detail = || format!("{key}: {text:?} is no instant: write 2026-06-15T09:41:02Z, or a date");
    instant(text)
        .map(Some)
        .ok_or_else(|| Problem::bad_request("bad_instant", detail()))
}

fn limit(query: &Query, default: usize, most: usize) -> Result<usize, Problem> {
    match query.limit {
        Some(0) => Err(Problem::bad_request(
            "bad_query",
            "limit is 0: a page has at least one",
        )),
        given => Ok(given.unwrap_or(default).min(most)),
    }
}

/// What no page gave is refused: taken for none it would begin again, for ever.
fn no_cursor() -> Problem {
    Problem::bad_request("bad_query", "cursor is not one that a page of this list gave")
}

fn id_cursor(query: &Query) -> Result<Option<Id>, Problem> {
    let cursor = query.cursor.as_deref();
    cursor
        .map(|text| Id::new(text).map_err(|_| no_cursor()))
        .transpose()
}

fn finish<T: Serialize>(request: &HttpRequest, read: Result<T, Problem>) -> HttpResponse {
    match read {
        Ok(body) => body::answer(request, 200, &body),
        Err(problem) => body::problem(request, &problem),
    }
}

fn unknown(path: &str, at: Option<Micros>) -> Problem {
    Problem::not_found(match at {
        None => format!("nothing is known of {path}"),
        Some(at) => format!("nothing is known of {path} from {at} or before"),
    })
}

async fn one(request: HttpRequest, path: String, doors: &Doors, entity: bool) -> HttpResponse {
    let mut past = false;
    let read = async {
        let query = query(&request, &["at"])?;
        let (id, at) = (id(&path)?, at(query.at.as_deref(), "at")?);
        past = at.is_some();
        let found = doors
            .read(move |store, policy| read::one(store, policy, &id, entity, at))
            .await?;
        found.ok_or_else(|| unknown(&path, at))
    };
    match read.await {
        // The tombstone is the answer: what it was is in its history.
        Ok(shown) if shown.is_deleted() && !past => body::answer(&request, 410, &shown),
        read => finish(&request, read),
    }
}

/// `GET /api/v2/entities/{id}`.
pub async fn entity(request: HttpRequest, path: web::Path<String>, doors: web::Data<Doors>) -> HttpResponse {
    one(request, path.into_inner(), &doors, true).await
}

/// `GET /api/v2/relationships/{id}`.
pub async fn relationship(
    request: HttpRequest,
    path: web::Path<String>,
    doors: web::Data<Doors>,
) -> HttpResponse {
    one(request, path.into_inner(), &doors, false).await
}

/// `GET /api/v2/entities`.
pub async fn entities(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        let query = query(&request, &["type", "at", "limit", "cursor"])?;
        let is_one = |cursor: &str| cursor.split_once('/').is_some_and(|(_, id)| Id::new(id).is_ok());
        if query.cursor.as_deref().is_some_and(|cursor| !is_one(cursor)) {
            return Err(no_cursor());
        }
        let (at, limit) = (at(query.at.as_deref(), "at")?, limit(&query, PAGE, PAGE_MAX)?);
        doors
            .read(move |store, policy| {
                let (kind, cursor) = (query.r#type.as_deref(), query.cursor.as_deref());
                read::entities(store, policy, kind, at, cursor, limit)
            })
            .await
    };
    let read = read.await;
    finish(&request, read)
}

/// `GET /api/v2/relationships`.
pub async fn relationships(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        let query = query(&request, &["entity", "type", "at", "limit", "cursor"])?;
        id_cursor(&query)?;
        let (at, limit) = (at(query.at.as_deref(), "at")?, limit(&query, PAGE, PAGE_MAX)?);
        let entity = query.entity.as_deref().map(id).transpose()?;
        doors
            .read(move |store, policy| {
                let (kind, cursor) = (query.r#type.as_deref(), query.cursor.as_deref());
                read::relationships(store, policy, entity.as_ref(), kind, at, cursor, limit)
            })
            .await
    };
    let read = read.await;
    finish(&request, read)
}

/// `GET /api/v2/conflicts`.
pub async fn conflicts(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        query(&request, &[])?;
        doors
            .read(|store, policy| read::queue(store, policy, PAGE_MAX))
            .await
    };
    let read = read.await;
    finish(&request, read.map(|conflicts| Conflicts { conflicts }))
}

/// `GET /api/v2/diff`.
pub async fn diff(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        let query = query(&request, &["from", "to", "limit", "cursor"])?;
        let (from, to) = (at(query.from.as_deref(), "from")?, at(query.to.as_deref(), "to")?);
        let Some(from) = from else {
            let detail = "from is missing: the instant to compare with, as ?from=2026-06-15T09:41:02Z";
            return Err(Problem::bad_request("bad_query", detail));
        };
        let to = to.unwrap_or(inbetweenies_core::time::MICROS_MAX);
        let cursor = id_cursor(&query)?;
        let limit = limit(&query, PAGE, PAGE_MAX)?;
        doors
            .read(move |store, policy| read::diff(store, policy, from, to, cursor.as_ref(), limit))
            .await
    };
    let read = read.await;
    finish(&request, read)
}

async fn history(request: HttpRequest, path: String, doors: &Doors, entity: bool) -> HttpResponse {
    let read = async {
        let query = query(&request, &["at", "limit", "cursor"])?;
        let (id, at) = (id(&path)?, at(query.at.as_deref(), "at")?);
        let cursor = match query.cursor.as_deref() {
            None => None,
            Some(text) => Some(Digest::parse(text).ok_or_else(no_cursor)?),
        };
        let limit = limit(&query, PAGE, PAGE_MAX)?;
        let found = doors
            .read(move |store, policy| read::history(store, policy, &id, entity, at, cursor.as_ref(), limit))
            .await?;
        found.ok_or_else(|| unknown(&path, at))
    };
    let read = read.await;
    finish(&request, read)
}

async fn tree(request: HttpRequest, path: String, doors: &Doors, entity: bool) -> HttpResponse {
    let picture = body::wants_picture(&request);
    let read = async {
        let query = query(&request, &["at", "limit"])?;
        let (id, at) = (id(&path)?, at(query.at.as_deref(), "at")?);
        let limit = limit(&query, TREE, TREE_MAX)?;
        let found = doors
            .read(move |store, policy| {
                let page = read::tree(store, policy, &id, entity, at, limit)?;
                // Drawn here, for ten thousand versions take a while.
                Ok(page.map(|page| (picture.then(|| crate::tree::svg(&page)), page)))
            })
            .await?;
        found.ok_or_else(|| unknown(&path, at))
    };
    match read.await {
        Ok((Some(svg), _)) => body::picture(svg),
        read => finish(&request, read.map(|(_, page)| page)),
    }
}

async fn why(request: HttpRequest, path: String, doors: &Doors, entity: bool) -> HttpResponse {
    let read = async {
        let query = query(&request, &["at"])?;
        let (id, at) = (id(&path)?, at(query.at.as_deref(), "at")?);
        let found = doors
            .read(move |store, policy| read::why(store, policy, &id, entity, at))
            .await?;
        found.ok_or_else(|| unknown(&path, at))
    };
    let read = read.await;
    finish(&request, read)
}

/// `GET /api/v2/entities/{id}/{history,tree,why}`.
pub async fn of_entity(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    doors: web::Data<Doors>,
) -> HttpResponse {
    part(request, path.into_inner(), &doors, true).await
}

/// `GET /api/v2/relationships/{id}/{history,tree,why}`.
pub async fn of_relationship(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    doors: web::Data<Doors>,
) -> HttpResponse {
    part(request, path.into_inner(), &doors, false).await
}

async fn part(
    request: HttpRequest,
    (id, part): (String, String),
    doors: &Doors,
    entity: bool,
) -> HttpResponse {
    match part.as_str() {
        "history" => history(request, id, doors, entity).await,
        "tree" => tree(request, id, doors, entity).await,
        _ => why(request, id, doors, entity).await,
    }
}
