//! One edit at the first hub, and how long until the last hub shows it.

use std::time::{Duration, Instant};

use futures_util::future::join;
use inbetweenies_client::{Draft, Frame, Options, Store, wall_clock};
use inbetweenies_core::id::Id;
use inbetweenies_core::value::Map;
use uuid::Uuid;

use super::hubs::Hubs;
use crate::api::{Hub, sync};
use crate::commands::say::{self, Failure};

/// How long the last hub has to show it.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// How often it is asked; finer than what is measured.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// What was written.
pub struct Note {
    /// Its id.
    pub id: String,
}

/// Writes a note through the client at the first hub and reads it at the last.
pub async fn measure(hubs: &Hubs) -> Result<Note, Failure> {
    let (Some(first), Some(last)) = (hubs.all().first(), hubs.all().last()) else {
        return Err(Failure::new("a mesh without hubs"));
    };
    let dir = hubs.ground().dir().join("client");
    let mut store = if dir.exists() {
        Store::open(&dir)?
    } else {
        Store::init(&dir, "mesh")?
    };
    let (near, far) = (Hub::new(first.url()), Hub::new(last.url()));
    // The client has its home already, as one in use has; and the far end a connection to ask on.
    sync(&mut store, &near, Options::default(), &mut |_| {}).await?;
    far.status().await?;

    let id = Uuid::new_v4().to_string();
    let note = Id::new(&id).map_err(|error| Failure::new(error.to_string()))?;
    let name = format!("Hello from the {}", first.name);
    let started = Instant::now();
    let draft = Draft::entity(note, "note", Some(name.clone()), "manual", Map::new());
    let edited = store.replica().stamp(vec![draft], wall_clock())?;
    store.keep(&Frame::Edited(edited))?;
    let pushing = async {
        let pushed = sync(&mut store, &near, Options::default(), &mut |_| {}).await;
        pushed.map(|_| started.elapsed())
    };
    let reading = async {
        while started.elapsed() < SEEN_WITHIN {
            // A hub that is busy for a moment is asked again.
            if far.entity(&id).await.ok().flatten().is_some() {
                return Some(started.elapsed());
            }
            actix_rt::time::sleep(ASK_EVERY).await;
        }
        None
    };
    let (acknowledged, seen) = join(pushing, reading).await;
    let acknowledged = acknowledged?.as_secs_f64() * 1_000.0;
    let Some(seen) = seen else {
        return Err(Failure::new(format!(
            "the note {name:?} written at {} did not show at {} within {} s",
            first.name,
            last.name,
            SEEN_WITHIN.as_secs()
        )));
    };
    say::line(&format!(
        "wrote the note {name:?} at {}: acknowledged after {acknowledged:.1} ms, read at {} after {:.1} ms",
        first.name,
        last.name,
        seen.as_secs_f64() * 1_000.0
    ));
    Ok(Note { id })
}
