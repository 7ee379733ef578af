//! What people decide: answers to conflicts, the policy of the home, which of its hubs are fenced.

use std::collections::BTreeSet;

use actix_web::{HttpRequest, HttpResponse, web};
use inbetweenies_core::conflict::answer::{Answer, Answered};
use inbetweenies_core::conflict::read;
use inbetweenies_core::domain::POLICY_ID;
use inbetweenies_core::id::{HubId, Id};
use inbetweenies_core::machine::{Act, Member, load_graph, load_members};
use inbetweenies_core::node::Mail;
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::store::StoreError;
use inbetweenies_core::value::{Map, Value};
use inbetweenies_core::wire::{PROTOCOL, Problem, SyncRequest, SyncResponse, clock_to_wire};
use inbetweenies_core::{reconcile, storage};
use serde::Serialize;

use super::sync::{ask, room};
use super::{Doors, body};

/// Levels that a sync request or a page has above a record's content, and an answer or a policy has not: changes, the
/// change, its relationships, the record.
const LEVELS_BELOW: usize = 4;

/// Who decides where nobody is named.
const SOMEONE: &str = "someone";

/// `POST /api/v2/conflicts/{id}`: the answer is the new view.
pub async fn answer(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    doors: web::Data<Doors>,
) -> HttpResponse {
    match answered(&request, payload, &path.into_inner(), &doors).await {
        Ok(shown) => body::answer(&request, 200, &shown),
        Err(problem) => body::problem(&request, &problem),
    }
}

async fn answered(
    request: &HttpRequest,
    payload: web::Payload,
    path: &str,
    doors: &Doors,
) -> Result<read::Shown, Problem> {
    let id = Id::new(path).map_err(|error| Problem::bad_request("bad_id", error.to_string()))?;
    let (value, len, _held) = body::read(doors, request, payload, LEVELS_BELOW).await?;
    let answer = Answer::read(value)?;
    room(doors, len)?;
    let (user, of) = (answer.user_id.clone(), id.clone());
    let answered = doors
        .read(move |store, policy| Ok(answer.on(&of, &load_graph(store, &of)?, policy)))
        .await??;
    let sync = as_request(doors, &id, user.as_deref().unwrap_or(SOMEONE), answered)?;
    let response = ask(doors, |ticket| {
        Mail::Reconcile(reconcile::Input::Sync {
            ticket,
            request: Box::new(sync),
        })
    })
    .await?;
    if let Some(row) = response.rejected.into_iter().next() {
        return Err(Problem::new(
            422,
            "Refused",
            "refused",
            format!("{} ({})", row.detail, row.code),
        ));
    }
    let shown = doors
        .read(move |store, policy| {
            let thing = read::one(store, policy, &id, true, None)?;
            thing.map_or_else(
                || read::one(store, policy, &id, false, None),
                |shown| Ok(Some(shown)),
            )
        })
        .await?;
    shown.ok_or_else(|| Problem::not_found("the answer is on disk, and nothing is shown of it"))
}

/// The answer as a client would push it: it goes through the same checks, and the same way.
fn as_request(doors: &Doors, id: &Id, user: &str, answered: Answered) -> Result<SyncRequest, Problem> {
    let now = doors.office.now().wall;
    let entity = matches!(answered.kind, Kind::Entity { .. });
    let version = format!("{now}-000001-{user}");
    let record = Record {
        id: id.clone(),
        version: inbetweenies_core::id::Version::new(&version)
            .map_err(|error| Problem::bad_request("bad_version", error.to_string()))?,
        kind: answered.kind,
        user_id: Some(user.to_owned()),
        parents: answered.parents,
        deleted: answered.deleted,
        content: answered.content,
        extra: answered.extra,
    };
    let map = Value::Map(record.to_wire());
    let change = if entity {
        Map::from([("entity".to_owned(), map)])
    } else {
        Map::from([("relationships".to_owned(), Value::List(vec![map]))])
    };
    // From where this hub is: nothing is to be sent back.
    let (clock, _) = clock_to_wire(&doors.office.board.known().clock);
    let clock = clock
        .into_iter()
        .map(|(replica, sequence)| (replica, Value::Int(sequence as i64)));
    let body = Map::from([
        ("protocol_version".to_owned(), Value::from(PROTOCOL)),
        ("device_id".to_owned(), Value::from("hub")),
        ("user_id".to_owned(), Value::from(user)),
        ("vector_clock".to_owned(), Value::Map(clock.collect())),
        ("limit".to_owned(), Value::Int(1)),
        ("changes".to_owned(), Value::List(vec![Value::Map(change)])),
    ]);
    SyncRequest::read(Value::Map(body), &doors.office.limits)
}

/// One hub of the home, as its records say.
#[derive(Serialize)]
struct MemberRow {
    hub_id: String,
    name: String,
    address: Option<String>,
    replica: Option<String>,
    state: &'static str,
}

#[derive(Serialize)]
struct Members {
    members: Vec<MemberRow>,
}

impl MemberRow {
    fn of(member: &Member) -> MemberRow {
        MemberRow {
            hub_id: member.hub_id.to_string(),
            name: member.name.clone(),
            address: member.address.map(|address| address.to_string()),
            replica: member.replica.map(|replica| replica.to_string()),
            state: match (member.left, member.fenced) {
                (true, _) => "left",
                (false, true) => "fenced",
                (false, false) => "member",
            },
        }
    }
}

async fn members_now(doors: &Doors) -> Result<Members, Problem> {
    let members = doors.read(|store, _| load_members(store)).await?;
    Ok(Members {
        members: members.iter().map(MemberRow::of).collect(),
    })
}

/// `GET /api/v2/members`.
pub async fn members(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    match members_now(&doors).await {
        Ok(members) => body::answer(&request, 200, &members),
        Err(problem) => body::problem(&request, &problem),
    }
}

/// `POST /api/v2/members/{hub}/{fence,unfence}`: the answer is the members.
pub async fn fence(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    doors: web::Data<Doors>,
) -> HttpResponse {
    let (hub, act) = path.into_inner();
    let done = async {
        let hub_id: HubId = hub
            .parse()
            .map_err(|_| Problem::bad_request("bad_id", format!("{hub:?} is no hub id: a UUID")))?;
        let act = Act::Fence {
            hub_id,
            fenced: act == "fence",
            user_id: None,
        };
        decide(&doors, act).await?;
        members_now(&doors).await
    };
    match done.await {
        Ok(members) => body::answer(&request, 200, &members),
        Err(problem) => body::problem(&request, &problem),
    }
}

async fn decide(doors: &Doors, act: Act) -> Result<SyncResponse, Problem> {
    room(doors, 0)?;
    ask(doors, |ticket| {
        Mail::Storage(storage::Input::Govern { ticket, act })
    })
    .await
}

async fn policy_now(doors: &Doors) -> Result<read::Shown, Problem> {
    let shown = doors
        .read(|store, policy| {
            let id = Id::new(POLICY_ID).map_err(|error| StoreError::Corrupt {
                family: "ids",
                detail: error.to_string(),
            })?;
            read::one(store, policy, &id, true, None)
        })
        .await?;
    shown.ok_or_else(|| Problem::not_found("this hub has no home yet, so no policy"))
}

/// `GET /api/v2/policy`: the policy entity as it is now; its history is that of the entity `_policy`.
pub async fn policy(request: HttpRequest, doors: web::Data<Doors>) -> HttpResponse {
    match policy_now(&doors).await {
        Ok(shown) => body::answer(&request, 200, &shown),
        Err(problem) => body::problem(&request, &problem),
    }
}

/// `PUT /api/v2/policy`: `{"heads":[…],"content":{…}}`, the content whole; the answer is the policy entity.
pub async fn set_policy(
    request: HttpRequest,
    payload: web::Payload,
    doors: web::Data<Doors>,
) -> HttpResponse {
    let done = async {
        let (value, _, _held) = body::read(&doors, &request, payload, LEVELS_BELOW).await?;
        decide(&doors, policy_act(value)?).await?;
        policy_now(&doors).await
    };
    match done.await {
        Ok(shown) => body::answer(&request, 200, &shown),
        Err(problem) => body::problem(&request, &problem),
    }
}

fn policy_act(value: Value) -> Result<Act, Problem> {
    let bad = |detail: &str| Err(Problem::bad_request("malformed", detail));
    let Value::Map(mut map) = value else {
        return bad("a policy is a map with content, and heads");
    };
    let Some(Value::Map(content)) = map.remove("content") else {
        return bad("content is missing: the domain manifest, whole, as a map");
    };
    let heads = match map.remove("heads") {
        None | Some(Value::Null) => None,
        Some(Value::List(heads)) if heads.iter().all(|head| head.as_text().is_some()) => {
            let heads: BTreeSet<String> = heads
                .iter()
                .filter_map(Value::as_text)
                .map(str::to_owned)
                .collect();
            Some(heads)
        }
        Some(_) => return bad("heads is not a list of versions"),
    };
    let user_id = match map.remove("user_id") {
        None | Some(Value::Null) => None,
        Some(Value::Text(user)) if (1..=inbetweenies_core::limits::WORD_BYTES_MAX).contains(&user.len()) => {
            Some(user)
        }
        Some(_) => return bad("user_id is not a string of 1 to 128 bytes"),
    };
    Ok(Act::Policy {
        content,
        heads,
        user_id,
    })
}
