//! The read paths: views, lists, edges, histories.

use actix_web::{HttpRequest, HttpResponse, web};
use inbetweenies_core::conflict::read;
use inbetweenies_core::id::Id;
use inbetweenies_core::wire::Problem;
use serde::{Deserialize, Serialize};

use super::{Doors, body};

/// Things in one page of a list, by default and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// `?type=&limit=&cursor=` of lists. Unknown keys are refused, so that a typo is no filter that does nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    r#type: Option<String>,
    entity: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
    at: Option<String>,
}

#[derive(Serialize)]
struct Versions {
    versions: Vec<read::VersionRow>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct Conflicts {
    conflicts: Vec<read::Shown>,
}

fn query(request: &HttpRequest) -> Result<ListQuery, Problem> {
    let query = web::Query::<ListQuery>::from_query(request.query_string())
        .map_err(|error| Problem::bad_request("bad_query", error.to_string()))?
        .into_inner();
    if query.at.is_some() {
        let detail = "at: reading the past is not served yet; leave it out for what holds now";
        return Err(Problem::new(501, "Not yet built", "not_implemented", detail));
    }
    Ok(query)
}

/// For the paths that show one thing, or all there is: a filter there would be ignored.
fn no_filters(request: &HttpRequest) -> Result<(), Problem> {
    let query = query(request)?;
    if query.limit.is_some() || query.r#type.or(query.entity).or(query.cursor).is_some() {
        let detail = "type, entity, limit and cursor are for lists";
        return Err(Problem::bad_request("bad_query", detail));
    }
    Ok(())
}

fn id(path: &str) -> Result<Id, Problem> {
    Id::new(path).map_err(|error| Problem::bad_request("bad_id", error.to_string()))
}

fn limit(query: &ListQuery) -> usize {
    query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX)
}

fn finish<T: Serialize>(request: &HttpRequest, read: Result<T, Problem>) -> HttpResponse {
    match read {
        Ok(body) => body::answer(request, 200, &body),
        Err(problem) => body::problem(request, &problem),
    }
}

async fn one(request: HttpRequest, path: String, doors: &Doors, entity: bool) -> HttpResponse {
    let read = async {
        no_filters(&request)?;
        let id = id(&path)?;
        let found = doors
            .read(move |store, policy| read::one(store, policy, &id, entity))
            .await?;
        found.ok_or_else(|| Problem::not_found(format!("nothing is known of {path}")))
    };
    match read.await {
        // The tombstone is the answer: what it was is in its history.
        Ok(shown) if shown.is_deleted() => body::answer(&request, 410, &shown),
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
        let query = query(&request)?;
        if query.entity.is_some() {
            return Err(Problem::bad_request(
                "bad_query",
                "entity is a filter of relationships",
            ));
        }
        if query.r#type.as_deref().is_some_and(|name| name.len() > 128) {
            return Err(Problem::bad_request("bad_query", "type has more than 128 bytes"));
        }
        let limit = limit(&query);
        doors
            .read(move |store, policy| {
                read::entities(
                    store,
                    policy,
                    query.r#type.as_deref(),
                    query.cursor.as_deref(),
                    limit,
                )
            })
            .await
    };
    let read = read.await;
    finish(&request, read)
}

/// `GET /api/v2/relationships`.
pub async fn relationships(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        let query = query(&request)?;
        let limit = limit(&query);
        let entity = query.entity.as_deref().map(id).transpose()?;
        doors
            .read(move |store, policy| {
                let (kind, cursor) = (query.r#type.as_deref(), query.cursor.as_deref());
                read::relationships(store, policy, entity.as_ref(), kind, cursor, limit)
            })
            .await
    };
    let read = read.await;
    finish(&request, read)
}

/// `GET /api/v2/conflicts`.
pub async fn conflicts(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        no_filters(&request)?;
        doors
            .read(|store, policy| read::queue(store, policy, PAGE_MAX))
            .await
    };
    let read = read.await;
    finish(&request, read.map(|conflicts| Conflicts { conflicts }))
}

async fn history(request: HttpRequest, path: String, doors: &Doors, entity: bool) -> HttpResponse {
    let read = async {
        no_filters(&request)?;
        let id = id(&path)?;
        let found = doors
            .read(move |store, policy| read::history(store, policy, &id))
            .await?;
        let versions = found.filter(|rows| rows.iter().any(|row| row.entity.is_some() == entity));
        versions.ok_or_else(|| Problem::not_found(format!("nothing is known of {path}")))
    };
    let read = read.await;
    finish(
        &request,
        read.map(|versions| Versions {
            versions,
            cursor: None,
        }),
    )
}

/// `GET /api/v2/entities/{id}/history`.
pub async fn entity_history(
    request: HttpRequest,
    path: web::Path<String>,
    doors: web::Data<Doors>,
) -> HttpResponse {
    history(request, path.into_inner(), &doors, true).await
}

/// `GET /api/v2/relationships/{id}/history`.
pub async fn relationship_history(
    request: HttpRequest,
    path: web::Path<String>,
    doors: web::Data<Doors>,
) -> HttpResponse {
    history(request, path.into_inner(), &doors, false).await
}
