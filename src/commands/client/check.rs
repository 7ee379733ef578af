//! `client check`: syncs, then holds what this device has against what the hub has, in one hash.

use std::process::ExitCode;

use inbetweenies_client::{Options, Store, Summary};
use inbetweenies_core::value::Value;
use inbetweenies_core::wire::clock_to_wire;
use serde_json::json;

use crate::api::{Hub, sync};
use crate::commands::say::{self, Failure, count};

/// Tries to meet a hub at one clock, while others write to it.
const TRIES: usize = 5;

/// Runs the command.
pub async fn run(store: &mut Store, hub: &Hub, json: bool) -> Result<ExitCode, Failure> {
    for _ in 0..TRIES {
        sync(store, hub, Options::default(), &mut |_: &Summary| {}).await?;
        let told = hub.digest().await?;
        let told = told.as_map().cloned().unwrap_or_default();
        let (clock, _) = clock_to_wire(store.replica().clock());
        let theirs = told
            .get("vector_clock")
            .and_then(Value::as_map)
            .cloned()
            .unwrap_or_default();
        let same = theirs.len() == clock.len()
            && clock
                .iter()
                .all(|(replica, at)| theirs.get(replica).and_then(Value::as_int) == Some(*at as i64));
        if !same {
            continue;
        }
        let (records, ours) = store.replica().state_digest(&|_| true);
        let equal = told.get("state_digest").and_then(Value::as_text) == Some(ours.to_string().as_str());
        let document = json!({"equal": equal, "records": records, "state_digest": ours.to_string(), "vector_clock": clock});
        if !equal {
            say::answer(
                json,
                &document,
                "this store and the hub hold other records, or other stamps, at the same clock",
            );
            return Err(Failure::new(format!(
                "the store is damaged or the hub is: `verify --hub {}` checks the hub; if that is sound, make a new store \
                 with `client init` and send what is pending first",
                hub.url()
            )));
        }
        let words = format!(
            "equal to {}: {}, state {ours}",
            hub.url(),
            count(records as usize, "record")
        );
        say::answer(json, &document, &words);
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(
        "the hub was never at this store's clock when it was asked: others write to it; try again",
    ))
}
