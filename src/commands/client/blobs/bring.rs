//! Bringing what this device keeps to a hub, and letting it go once the hub has it and knows what for.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use inbetweenies_client::Store;
use inbetweenies_core::blob::{BlobId, refs};

use super::shelf::{Kept, Shelf};
use crate::api::{ApiError, Hub};
use crate::commands::say::Failure;

/// Bytes sent in one request.
const PIECE: u64 = 4 << 20;
/// How often a broken upload goes on without a byte more before it is left for the next time.
const TRIES: u32 = 6;

/// What became of the attachments.
#[derive(Debug, Default)]
pub struct Brought {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes that the hub had from an earlier attempt.
    pub resumed: u64,
    /// Blobs that a hub has, and knows what for.
    pub safe: usize,
    /// Blobs that are still kept here, and why.
    pub waiting: Vec<(BlobId, String)>,
}

/// Brings all. What does not get through stays here.
pub async fn bring(store: &Store, hub: &Hub) -> Result<Brought, Failure> {
    let (mut done, shelf) = (Brought::default(), &Shelf::of(store.dir()));
    for (id, kept) in shelf.all() {
        match one(shelf, hub, id, kept, &mut done).await {
            Ok(true) => {
                shelf.release(id);
                done.safe += 1;
            }
            // `attach` ended between the bytes and the edit: nobody was told that they are kept.
            Ok(false) if !refers(store, id) => shelf.release(id),
            Ok(false) => {
                let why = "the hub has the bytes and no record that refers to them yet";
                done.waiting.push((id, why.to_owned()));
            }
            Err(Trouble::Api(error)) => done.waiting.push((id, error.to_string())),
            Err(Trouble::Here(failure)) => return Err(failure),
        }
    }
    Ok(done)
}

/// Whether a record on this device refers to a blob. O(records).
fn refers(store: &Store, id: BlobId) -> bool {
    let mut all = store.replica().all();
    all.any(|held| refs(&held.sealed.record).iter().any(|blob| blob.id == id))
}

enum Trouble {
    Api(ApiError),
    Here(Failure),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Trouble {
        Trouble::Api(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Here(failure)
    }
}

async fn one(
    shelf: &Shelf,
    hub: &Hub,
    id: BlobId,
    mut kept: Kept,
    done: &mut Brought,
) -> Result<bool, Trouble> {
    let mut tries = 0;
    loop {
        let sent = done.sent;
        let attempt = attempt(shelf, hub, id, &mut kept, done).await;
        if done.sent > sent {
            tries = 0; // a line that is cut every few seconds still carries it all
        }
        match attempt {
            Ok(()) => break,
            // A refusal is an answer; a broken line is tried again.
            Err(Trouble::Api(error))
                if error.refusal().is_none_or(|refusal| refusal.status == 423) && tries < TRIES =>
            {
                actix_rt::time::sleep(Duration::from_millis(250 << tries)).await;
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
    let here = hub.blob(id).await?;
    Ok(here.is_some_and(|here| here.whole && here.referenced))
}

async fn attempt(
    shelf: &Shelf,
    hub: &Hub,
    id: BlobId,
    kept: &mut Kept,
    done: &mut Brought,
) -> Result<(), Trouble> {
    if hub.blob(id).await?.is_some_and(|here| here.whole) {
        return Ok(());
    }
    let path = shelf.path(id);
    let file = File::open(&path).map_err(|error| Failure::io(format!("{}: {error}", path.display())))?;
    let at = hub.url().to_string();
    let begun = match kept.uploads.get(&at) {
        Some(place) => hub
            .upload_state(place)
            .await?
            .map(|state| (place.clone(), state.offset)),
        None => None,
    };
    let (place, mut offset) = match begun {
        Some((place, offset)) => {
            done.resumed += offset;
            (place, offset)
        }
        None => {
            let encode = |text: &str| BASE64.encode(text.as_bytes());
            let metadata = format!(
                "filename {},filetype {},sha256 {}",
                encode(&kept.file_name),
                encode(&kept.content_type),
                encode(&kept.blob_id)
            );
            let place = hub.upload_begin(kept.size, &metadata).await?;
            kept.uploads.insert(at, place.clone());
            shelf.keep(kept)?;
            (place, 0)
        }
    };
    let bar = super::bar(kept.size, &kept.file_name);
    bar.set_position(offset);
    bar.reset_eta();
    loop {
        let len = PIECE.min(kept.size.saturating_sub(offset)) as usize;
        let mut piece = vec![0; len];
        file.read_exact_at(&mut piece, offset)
            .map_err(|error| Failure::io(format!("{}: {error}", path.display())))?;
        let state = hub.upload_bytes(&place, offset, Bytes::from(piece)).await?;
        done.sent += state.offset.saturating_sub(offset);
        offset = state.offset;
        bar.set_position(offset);
        if state.blob.is_some() || len == 0 {
            bar.finish_and_clear();
            return Ok(());
        }
    }
}
