//! Binaries: uploads by tus 1.0, downloads with ranges, and what this hub holds of a blob.
//!
//! Invariant: no byte leaves that was not verified on its way from the disk; an upload is told to be finished only when the
//! blob is durable.

mod download;
mod tus;
mod uploads;

pub use download::download;
pub use tus::{create, drop_one, go_on, offset, options};
pub use uploads::{SWEEP_EVERY, Uploads};

use actix_web::{HttpRequest, HttpResponse, web};
use inbetweenies_core::blob::{BlobId, chunks_of};
use inbetweenies_core::store::{read_held, read_ref};
use inbetweenies_core::wire::Problem;
use serde::Serialize;

use super::{Doors, body};

/// `GET /api/v2/blobs/{sha256}/status`.
#[derive(Serialize)]
struct BlobStatus {
    blob_id: String,
    size: Option<u64>,
    held: &'static str,
    chunks: Option<u32>,
    chunks_held: u32,
    referenced: bool,
    wanted: bool,
}

/// The blob of a path.
fn blob_id(text: &str) -> Result<BlobId, Problem> {
    BlobId::parse(text).ok_or_else(|| {
        let detail = "a blob is named by 64 lower-case hex digits, its SHA-256";
        Problem::bad_request("bad_id", detail)
    })
}

fn unknown(id: BlobId) -> Problem {
    Problem::not_found(format!(
        "no record refers to the blob {id}, and it is not held here"
    ))
}

/// What this hub holds of a blob.
pub async fn status(request: HttpRequest, path: web::Path<String>, doors: web::Data<Doors>) -> HttpResponse {
    let read = async {
        let id = blob_id(&path)?;
        let found = doors
            .read(move |store, _| Ok((read_held(store, &id)?, read_ref(store, &id)?)))
            .await?;
        let (held, referrer) = found;
        if held.is_none() && referrer.is_none() {
            return Err(unknown(id));
        }
        let whole = held.as_ref().is_some_and(|held| held.whole);
        let chunks = held.as_ref().map(|held| chunks_of(held.size));
        let told = referrer.as_ref().and_then(|referrer| referrer.size);
        Ok(BlobStatus {
            blob_id: id.to_string(),
            size: held.as_ref().map(|held| held.size).or(told),
            held: match &held {
                Some(_) if whole => "whole",
                Some(held) if !held.have.is_empty() => "part",
                _ => "none",
            },
            chunks,
            chunks_held: match (&held, chunks) {
                (Some(_), Some(chunks)) if whole => chunks,
                (Some(held), _) => held.have.count(),
                _ => 0,
            },
            referenced: referrer.is_some(),
            wanted: referrer.is_some() && !whole,
        })
    };
    match read.await {
        Ok(status) => body::answer(&request, 200, &status),
        Err(problem) => body::problem(&request, &problem),
    }
}
