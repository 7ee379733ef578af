//! `POST /api/v2/sync`: the way in for changes and the way out for news.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use inbetweenies_core::machine::Ticket;
use inbetweenies_core::node::{Mail, room_for_body};
use inbetweenies_core::reconcile;
use inbetweenies_core::wire::{Problem, SyncRequest, SyncResponse};

use super::{Doors, body};
use crate::hub::office::Answer;

/// How long an exchange may take inside the hub. The sets of one that takes longer may land all the same: the client
/// is told that it does not know, and pushes again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// One exchange.
pub async fn sync(request: HttpRequest, payload: web::Payload, doors: web::Data<Doors>) -> HttpResponse {
    match exchange(&request, payload, &doors).await {
        Ok(response) => body::answer(&request, 200, &response),
        Err(problem) => body::problem(&request, &problem),
    }
}

async fn exchange(request: &HttpRequest, payload: web::Payload, doors: &Doors) -> Answer {
    let _credit = doors
        .requests
        .clone()
        .try_acquire_owned()
        .map_err(|_| doors.busy("sync requests"))?;
    let (value, len, _held) = body::read(doors, request, payload, 0).await?;
    let limits = doors.office.limits.clone();
    let read = if len <= 64 << 10 {
        SyncRequest::read(value, &limits)
    } else {
        // Canonical forms and digests of a large push: not on a thread that serves sockets.
        web::block(move || SyncRequest::read(value, &limits))
            .await
            .map_err(|_| doors.busy("bodies"))?
    }?;
    if !read.sets.is_empty() {
        room(doors, len)?;
    }
    let answer = ask(doors, |ticket| {
        Mail::Reconcile(reconcile::Input::Sync {
            ticket,
            request: Box::new(read),
        })
    });
    answer.await.map(Box::new)
}

/// Whether the disk takes what a body of so many bytes brings.
pub fn room(doors: &Doors, len: usize) -> Result<(), Problem> {
    doors.reader.room_for(room_for_body(len)).map_err(|room| {
        let detail =
            format!("this hub's disk is full ({room}); reads go on, changes are taken when there is room");
        let mut problem = Problem::new(507, "Disk full", "disk_full", detail);
        problem.retry_after = Some(30);
        problem
    })
}

/// Posts what is asked for under a ticket, and waits for the answer.
pub async fn ask(doors: &Doors, mail: impl FnOnce(Ticket) -> Mail) -> Result<SyncResponse, Problem> {
    let (expected, answer) = doors.office.expect();
    doors.office.post(mail(expected.ticket));
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(answer)) => answer.map(|response| *response).map_err(|mut problem| {
            problem.retry_after = problem.retry_after.map(|_| doors.retry_after);
            problem
        }),
        Ok(Err(_)) => Err(Problem::new(
            503,
            "Stopping",
            "stopping",
            "this hub stops: push again at another",
        )),
        Err(_) => {
            let detail =
                "no answer within 60 s; what you pushed may or may not have landed: push the same again";
            Err(Problem::new(504, "Too slow", "unknown_outcome", detail))
        }
    }
}
